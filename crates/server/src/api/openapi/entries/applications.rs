//! Applications (REST reference §7).

use tandem_model::ErrorCode::{Conflict, NotFound};

use crate::api::openapi::operation::{Operation, delete, get, post};

/// The keys of an application in a list.
pub(super) const APPLICATION: &str = "answer_method answer_url app_id app_name application_type
  callback_events*:[Ring|StartApp|Hangup|recording.completed|call.failed] created_at default_app:bool
  default_endpoint_app:bool enabled:bool fallback_answer_url? fallback_method hangup_method hangup_url
  log_incoming_message:bool message_method message_url? public_uri:bool resource_uri sip_transfer_method
  sip_transfer_url? sip_uri sub_account? updated_at";

const FIELDS: &str = "answer_method:GET|POST hangup_url:url hangup_method:GET|POST fallback_answer_url:url
  fallback_method:GET|POST callback_events:[Ring|StartApp|Hangup|recording.completed|call.failed]
  message_url:url message_method:GET|POST sip_transfer_url:url sip_transfer_method:GET|POST
  application_type:XML|voice default_app:bool default_number_app:bool default_endpoint_app:bool enabled:bool
  log_incoming_message:bool public_uri:bool";

pub(super) fn entries() -> Vec<Operation> {
    let list = "/Account/{auth_id}/Application";
    let one = "/Account/{auth_id}/Application/{app_id}";
    let entries = vec![
        get(list, "List applications, newest first").query("limit:int(1..100)=20 offset:int(0..)=0").answers(
            200,
            &format!(
                "{{api_id:uuid meta:{{limit:int next offset:int previous? total_count:int}} objects:[{{{APPLICATION}}}]}}"
            ),
        ),
        post(list, "Create an application")
            .body(&format!(
                r#"app_name!:str(255)="Reception" answer_url!:url="https://shop.example/answer" sub_account:id {FIELDS}"#
            ))
            .answers(201, "{api_id:uuid app_id message}"),
        get(one, "Read an application").answers(200, &format!("{{{APPLICATION} api_id:uuid}}")).refuses(&[NotFound]),
        post(one, "Change an application: what is not sent stays")
            .body(&format!(r#"app_name:str(255)="Front desk" answer_url:url {FIELDS}"#))
            .answers(200, "{api_id:uuid message}")
            .refuses(&[NotFound, Conflict]),
        delete(one, "Delete an application that nothing uses").answers(204, "").refuses(&[NotFound, Conflict]),
        post("/Account/{auth_id}/XML/check", "Check a call-control document")
            .note("An extension of this server. The document may also be the whole body, as text/xml or application/xml, at most 100 KiB. Answers what is wrong with it, where, and what to do, and which elements a call would run; nothing is kept.")
            .body(r#"xml!:str="<Response><Speak>Welcome</Speak></Response>""#)
            .answers(
                200,
                "{api_id:uuid valid:bool errors:[{line:int column:int element? attribute? severity message remedy}]
                warnings:[{line:int column:int element? attribute? severity message remedy}] plan:[{element line:int}]}",
            ),
    ];
    entries.into_iter().map(|entry| entry.tag("Applications")).collect()
}
