//! Recordings (REST reference §12).

use tandem_model::ErrorCode::{Conflict, MailNotConfigured, NotBuilt, NotFound};

use crate::api::openapi::operation::{Operation, delete, get, post};

const ITEM: &str = "add_time call_uuid:uuid conference_name? from_number monthly_recording_storage_amount:int
  recording_duration_ms recording_end_ms recording_format recording_id:uuid recording_start_ms
  recording_storage_duration:int recording_storage_rate:num recording_type:call|conference|trunk recording_url:url
  resource_uri rounded_recording_duration:int to_number";
const FILTERS: &str = "call_uuid:uuid recording_type:call|conference|trunk from_number:str(255) to_number:str(255)
  conference_name:str(255) recording_format:wav|mp3 add_time__gte:str(64) add_time__gt:str(64) add_time__lte:str(64)
  add_time__lt:str(64) recording_storage_duration:int(0..36500) recording_storage_duration__gte:int(0..36500)
  recording_storage_duration__gt:int(0..36500) recording_storage_duration__lte:int(0..36500)
  recording_storage_duration__lt:int(0..36500)";

pub(super) fn entries() -> Vec<Operation> {
    let all = "/Account/{auth_id}/Recording";
    let one = "/Account/{auth_id}/Recording/{recording_id}";
    let meta = "{limit:int offset:int total_count:int next previous?}";
    let entries = vec![
        get(all, "List recordings, newest first")
            .note("Times are UTC unless they say otherwise; recording_storage_duration is the days since.")
            .query(FILTERS)
            .query("limit:int(1..100)=20 offset:int(0..)=0")
            .answers(200, &format!("{{api_id:uuid meta:{meta} objects:[{{{ITEM}}}]}}")),
        get(one, "Read a recording")
            .note(
                "With .wav after the id it answers the file, as recording_url does; .mp3 is not built (501).",
            )
            .answers(200, &format!("{{api_id:uuid {ITEM}}}"))
            .refuses(&[NotFound, NotBuilt]),
        get("/Account/{auth_id}/Recording/{recording_id}/download", "Download a recording")
            .note("Answers ranges. The caller is on the left, the callee on the right.")
            .answers(200, "str")
            .media("audio/wav")
            .refuses(&[NotFound]),
        delete("/Account/{auth_id}/Recording/BulkDelete", "Delete recordings by filters")
            .note(
                "At least one filter, in the query or as JSON in the body; one that is not known is refused. The example deletes those of one call.",
            )
            .query(&FILTERS.replace("call_uuid:uuid", "call_uuid:uuid=\"{call_uuid}\""))
            .answers(202, "{api_id:uuid status}"),
        delete(one, "Delete a recording")
            .note("Nobody reads it any more once this is answered; its file goes a moment later.")
            .answers(204, "")
            .refuses(&[NotFound]),
        post("/Account/{auth_id}/export/recording", "Send a list of recordings by letter")
            .note("The last 7 days unless it says otherwise; from and to, or days kept. One at a time for an account.")
            .body(
                r#"recipient!:{customer_account!:[email]}={"customer_account": ["ops@shop.example"]} from:str(64) to:str(64)
                call_uuid:uuid recording_id:uuid from_number:str(255) to_number:str(255) conference_name:str(255)
                recording_format:wav|mp3 recording_storage_duration:int(0..30) recording_storage_duration__gte:int(0..30)
                recording_storage_duration__gt:int(0..30) recording_storage_duration__lte:int(0..30)
                recording_storage_duration__lt:int(0..30)"#,
            )
            .answers(202, "{api_id:uuid status}")
            .refuses(&[MailNotConfigured])
            .refuses_as(403, Conflict),
    ];
    entries.into_iter().map(|entry| entry.tag("Recordings")).collect()
}
