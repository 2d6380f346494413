//! SIP endpoints (REST reference §8).

use tandem_model::ErrorCode::{Conflict, DuplicateUsername, NotFound};

use crate::api::openapi::operation::{Operation, delete, get, post};

const MORE: &str = "sip_contact*-fern:str sip_expires*-fern:int sip_user_agent*-fern:str sip_registration*-fern:{}
  allow_voice-fern:bool allow_message-fern:bool allow_video-fern:bool allow_same_domain-fern:bool
  allow_other_domains-fern:bool allow_phones-fern:bool allow_apps-fern:bool created_at-fern:time updated_at-fern:time
  api_id-fern:uuid";

fn endpoint(application: &str) -> String {
    format!("alias {application} endpoint_id resource_uri sip_registered sip_uri sub_account? username")
}

pub(super) fn entries() -> Vec<Operation> {
    let list = "/Account/{auth_id}/Endpoint";
    let one = "/Account/{auth_id}/Endpoint/{endpoint_id}";
    let entries = vec![
        get(list, "List endpoints, newest first")
            .query(
                "limit:int(1..100)=20 offset:int(0..)=0 username__contains username__exact username__startswith
                alias__contains alias__exact application_id__exact application_id__isnull:bool sub_account",
            )
            .answers(
                200,
                &format!(
                    "{{api_id:uuid meta:{{limit:int next? offset:int previous? total_count:int}} objects:[{{{}}}]}}",
                    endpoint("application?")
                ),
            ),
        post(list, "Create an endpoint for a phone")
            .note("User names are unique on the platform.")
            .body(
                r#"username!:str(64)="desk7" password!:str(128)="Phone-pass-1" alias:str(255)="Desk 7"
                application:str(32)="{app_id}" sub_account:id allow_voice:bool allow_message:bool allow_video:bool
                allow_same_domain:bool allow_other_domains:bool allow_phones:bool allow_apps:bool"#,
            )
            .answers(
                201,
                "{alias endpoint_id username api_id-fern:uuid message-fern:str sip_uri-fern:str resource_uri-fern:str}",
            )
            .refuses(&[DuplicateUsername]),
        get(one, "Read an endpoint and where its phone is")
            .answers(200, &format!("{{{} {MORE}}}", endpoint("application?")))
            .refuses(&[NotFound]),
        post(one, "Change an endpoint: what is not sent stays")
            .note("A new password drops its registrations. Generated clients get an empty text.")
            .body(
                r#"password:str(128)="Other-pass-2" alias:str(255)="Desk 8" application:str(32) allow_voice:bool
                allow_message:bool allow_video:bool"#,
            )
            .answers(202, "any")
            .refuses(&[NotFound, Conflict]),
        delete(one, "Delete an endpoint and its registrations").answers(204, "").refuses(&[NotFound]),
    ];
    entries.into_iter().map(|entry| entry.tag("Endpoints")).collect()
}
