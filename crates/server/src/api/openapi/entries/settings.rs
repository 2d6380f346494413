//! What an account sets for itself, its token, its history, and the older account routes (REST reference §2.7, §2.8).

use tandem_model::ErrorCode::Conflict;

use crate::api::openapi::operation::{Operation, get, patch, post};

const SETTINGS: &str = "{account_id:id default_callback_url? default_callback_method:GET|POST
  default_callback_events:[Ring|StartApp|Hangup|recording.completed|call.failed] updated_at:time}";
const AUDIT: &str = "{entries:[{id at:time actor account_id? action resource_kind resource_id? fields:[str]
  before_hash? after_hash? request_id? source_ip?}] next_cursor}";
const AUDIT_QUERY: &str = "limit:int(1..200)=50 cursor from to action:str(50)";
const ROTATED: &str = "{message auth_id:id auth_token previous_valid_until:time?}";

pub(super) fn entries() -> Vec<Operation> {
    let entries = vec![
        get("/Account/{auth_id}/settings", "Read what the account has set for itself").answers(200, SETTINGS),
        patch("/Account/{auth_id}/settings", "Change settings: what is not sent stays")
            .note("The default callback is told of calls whose application and trunk have none. An empty list of events
                means all; there are Ring, StartApp, Hangup, recording.completed and call.failed.")
            .body(r#"default_callback_url:url="https://shop.example/default" default_callback_method:GET|POST="POST"
                default_callback_events:[Ring|StartApp|Hangup|recording.completed|call.failed]"#)
            .answers(200, SETTINGS),
        post("/Account/{auth_id}/token/rotate", "Change the auth token")
            .note("Shown here and nowhere else. The old one is good for grace_s seconds more.")
            .body("grace_s:int(0..604800)=60")
            .answers(200, ROTATED),
        get("/Account/{auth_id}/audit", "List what was changed, newest first")
            .query(AUDIT_QUERY)
            .answers(200, AUDIT),
        get("/Account/{auth_id}", "Read the account, as older clients do").answers(
            200,
            "{api_id:uuid auth_id:id account_type billing_mode timezone cash_credits:money auto_recharge:bool
            resource_uri name address city state}",
        ),
        post("/Account/{auth_id}", "Change the account, as older clients do")
            .body(r#"name:str(200)="Lotus Dialers" address:str(200) city:str(200)="Pune" state:str(200) zip_code:str(200)"#)
            .answers(200, "{api_id:uuid message}")
            .refuses(&[Conflict]),
        get("/Account/{auth_id}/Transaction", "List ledger lines, as older clients do")
            .query("cursor")
            .answers(200, "{objects:[{id:uuid amount:money description created_at:time}] meta:{next}}"),
    ];
    let mut entries: Vec<Operation> =
        entries.into_iter().map(|entry| entry.tag("Account settings")).collect();
    entries.push(
        post("/partner/token/rotate", "Change the partner's auth token")
            .note("Shown here and nowhere else. The old one is good for grace_s seconds more.")
            .body("grace_s:int(0..604800)=60")
            .answers(200, ROTATED),
    );
    entries.push(
        get("/partner/audit", "List what the partner changed, newest first")
            .query(AUDIT_QUERY)
            .answers(200, AUDIT),
    );
    entries
}
