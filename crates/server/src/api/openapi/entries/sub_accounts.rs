//! Sub-accounts (REST reference §3), and the older Plivo routes for the same (§2.7).

use tandem_model::ErrorCode::{CapabilityMissing, Conflict, NotFound};

use crate::api::openapi::operation::{Operation, Who, delete, get, post, put};

const SUB: &str = "{name email? phone? description? permissions:{calls:bool cdr:bool}? rate_limit:int id parent_account_id
  parent_auth_id:id auth_id:id auth_token api_id:uuid email_verified:bool enabled:bool created:time modified:time
  is_active:bool created_at:time updated_at:time last_used:time? account resource_uri
  kyc_mode-python:personal_use|customer_use kyc_calls_blocked-python:bool business_type-python?}";
const PLIVO: &str = "{account api_id:uuid auth_id:id auth_token created:time enabled:bool modified:time name
  new_auth_token? resource_uri}";
const TOKENS: &str = "{access_token refresh_token token_type expires_in:int}";
const FIELDS: &str = r#"email:email phone:e164 description:str(500)="Night shift" rate_limit:int(1..1000000)=1000
  permissions:{calls:bool cdr:bool}={"calls":true,"cdr":false} enabled:bool kyc_mode:personal_use|customer_use
  business_type:individual|proprietorship|private_limited|llp|partnership|public_limited|trust|society|huf|government"#;

pub(super) fn entries() -> Vec<Operation> {
    let list = "/Account/{auth_id}/sub-accounts";
    let one = "/Account/{auth_id}/sub-accounts/{sub_auth_id}";
    let (older_list, older) =
        ("/Account/{auth_id}/Subaccount", "/Account/{auth_id}/Subaccount/{sub_auth_id}");
    let change = format!(r#"name:str(200)="Evening team" {FIELDS}"#);
    let new = format!(r#"name!:str(200)="QA team" {FIELDS} password:str(128)"#);
    let meta = "{limit:int offset:int total_count:int next previous?}";
    let entries = vec![
        get(list, "List sub-accounts, newest first")
            .note("active_only=false lists disabled ones too.")
            .query("page:int(1..)=1 size:int(1..100)=25 active_only:bool")
            .answers(
                200,
                &format!(
                    "{{sub_accounts:[{SUB}] total:int page:int size:int api_id-fern:uuid meta-fern:{meta} objects-fern:[{SUB}]}}"
                ),
            ),
        post(list, "Create a sub-account")
            .note("Its credentials are shown here and nowhere else. customer_use needs an e-mail address.")
            .body(&new)
            .answers(
                201,
                &format!(
                    "{{message sub_account:{SUB} auth_credentials:{{auth_id:id auth_token}} tokens:{TOKENS}
                    auth_id-fern:id auth_token-fern:str api_id-fern:uuid}}"
                ),
            )
            .refuses(&[Conflict, CapabilityMissing]),
        get(one, "Read a sub-account, its token masked").answers(200, SUB).refuses(&[NotFound]),
        put(one, "Change a sub-account: what is not sent stays")
            .note("Promoting it to customer_use blocks its calls until its documents are verified.")
            .body(&change)
            .answers(200, SUB)
            .refuses(&[NotFound, Conflict]),
        delete(one, "Remove a sub-account")
            .note("Its numbers return to the main account; its trunks, endpoints and applications go.")
            .answers(200, "{message}")
            .refuses(&[NotFound, Conflict]),
        get(older_list, "List sub-accounts, as older clients read them")
            .query("limit:int(1..100)=20 offset:int(0..)=0")
            .answers(200, &format!("{{api_id:uuid meta:{meta} objects:[{PLIVO}]}}")),
        post(older_list, "Create a sub-account, as older clients do")
            .body(&new)
            .answers(201, "{api_id:uuid message auth_id:id auth_token}")
            .refuses(&[Conflict, CapabilityMissing]),
        get(older, "Read a sub-account, as older clients do").answers(200, PLIVO).refuses(&[NotFound]),
        post(older, "Change a sub-account, as older clients do")
            .body(&change)
            .answers(200, "{api_id:uuid message}")
            .refuses(&[NotFound, Conflict]),
        put(older, "Change a sub-account, as older clients do")
            .body(&change)
            .answers(200, "{api_id:uuid message}")
            .refuses(&[NotFound, Conflict]),
        delete(older, "Remove a sub-account, as older clients do").answers(204, "").refuses(&[NotFound, Conflict]),
    ];
    entries.into_iter().map(|entry| entry.tag("Sub-accounts").by(Who::Parent)).collect()
}
