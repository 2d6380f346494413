//! Calls and call records (REST reference §10, §13).

use tandem_model::ErrorCode::{
    CallerIdNotOwned, ConcurrencyExceeded, CountryBarred, CpsExceeded, InsufficientBalance,
    InvalidDestinationNumber, KycRequired, NoRate, NoRoute, NotBuilt, NotFound, RateLimited,
};

use crate::api::openapi::operation::{Operation, delete, get, post};

/// A record of a list.
pub(super) const RECORD: &str =
    "account_id:id answer_time:time? billsec:int bridge_uuid:uuid? call_direction:inbound|outbound
  caller_id_name caller_id_number campaign_id? carrier_ip? codec? context cost:num created_at:time currency
  customer_endpoint? destination_number duration:int end_time:time failure_code? failure_reason? hangup_cause?
  hangup_cause_code:int? hangup_cause_name? hangup_disposition? hangup_source? id:int jitter:num? mos:num?
  network_addr? origination_region packet_loss:num? progress_time:time? region ring_time:int sip_call_id
  sip_user_agent? start_time:time streaming_cost:num terminated_to? total_cost:num trunk_id? updated_at:time uuid:uuid
  occurrences*:int";
/// A record read by itself: no nulls.
pub(super) const SINGLE: &str =
    "account_id:id answer_time billsec:int bridge_uuid call_direction:inbound|outbound caller_id_name
  caller_id_number campaign_id carrier_ip codec context cost:num created_at:time currency customer_endpoint
  destination_number duration:int end_time:time failure_code failure_reason hangup_cause hangup_cause_code:int
  hangup_cause_name hangup_disposition hangup_source id:int jitter:num mos:num network_addr origination_region
  packet_loss:int progress_time region ring_time:int sip_call_id sip_user_agent start_time:time streaming_cost:int
  terminated_to total_cost:num trunk_id updated_at:time uuid:uuid occurrences*";
pub(super) const SUMMARY: &str =
    "summary:{answerRate:num answeredCalls:int avgCallDuration last_call_at totalCalls:int total_billable_seconds:int
  total_cost:num total_duration_seconds:int}";
pub(super) const PAGINATION: &str =
    "pagination:{page:int per_page:int total:int pages:int has_next:bool has_prev:bool}";
pub(super) const FILTERS: &str =
    "page:int(1..)=1 per_page:int(1..100)=20 start_date end_date from_number to_number call_direction:inbound|outbound
  context:voice-api|sip-trunking min_duration:int(0..) hangup_cause hangup_disposition sip_call_id bridge_uuid:uuid
  campaign_id search";
/// The same of an export, which has no pages.
const EXPORT_FILTERS: &str =
    "start_date end_date from_number to_number call_direction:inbound|outbound context:voice-api|sip-trunking
  min_duration:int(0..) hangup_cause hangup_disposition sip_call_id bridge_uuid:uuid campaign_id search";

fn calls() -> Vec<Operation> {
    let list = "/Account/{auth_id}/Call";
    let one = "/Account/{auth_id}/Call/{call_uuid}";
    let entries = vec![
        get(list, "List live or queued calls")
            .query("status:live|queued")
            .answers(200, "{api_id:uuid calls:[uuid]}"),
        post(list, "Make a call")
            .note("When it is answered, answer_url is asked what to do. Several destinations, at most 1000, are separated by <. Calls beyond the account's calls per second are queued for api.call_queue_ms; status_url is told Ring, StartApp and Hangup, without one the account's default callback. One destination is answered with request_uuid as text, several with a list, in their order; a new customer has 3 live calls and 1 new call a second.")
            .body(
                r#"from!:str(255)="{e164}" to!:str="919812345678" answer_url!:url="https://shop.example/answer"
                answer_method:GET|POST fallback_url:url fallback_method:GET|POST hangup_url:url hangup_method:GET|POST
                ring_url:url ring_method:GET|POST caller_name:str(50) time_limit:int(1..) ring_timeout:int(1..86400)
                hangup_on_ring:int(0..86400) sip_headers:any status_url:url status_method:GET|POST"#,
            )
            .answers(200, "{api_id:uuid message request_uuid:any call_uuid-fern:any destinations*-fern:[{to call_uuid:uuid? error*}]}")
            .refuses(&[
                CallerIdNotOwned,
                KycRequired,
                CountryBarred,
                InsufficientBalance,
                InvalidDestinationNumber,
                NoRate,
                NoRoute,
                CpsExceeded,
                ConcurrencyExceeded,
            ]),
        get(one, "Read a call")
            .note("A call that is not over is found with status=live or status=queued only; without, its record is looked for.")
            .query("status:live|queued=live")
            .answers(
                200,
                "{api_id:uuid call_status call_uuid:uuid caller_name direction from request_uuid:uuid to session_start*
                stir_attestation* stir_verification*}",
            )
            .refuses(&[NotFound]),
        post(one, "Transfer a live call")
            .note("What runs is torn down, the URL is requested with Event=Transfer, and its document runs at once. A leg that is not moved goes on as after a Dial; moved alone, the caller leaves a callee without a document, who is hung up.")
            .body(r#"legs:aleg|bleg|both="aleg" aleg_url:url="https://shop.example/aleg" aleg_method:GET|POST bleg_url:url bleg_method:GET|POST"#)
            .answers(202, "{api_id:uuid message call_uuid:uuid call_uuids:[uuid]}")
            .refuses(&[NotFound, RateLimited]),
        delete(one, "End a live or queued call").answers(204, "").refuses(&[NotFound]),
        delete("/Account/{auth_id}/Request/{call_uuid}", "End a call, as older clients ask").answers(204, "").refuses(&[NotFound]),
    ];
    entries.into_iter().chain(steering()).chain(not_built()).map(|entry| entry.tag("Calls")).collect()
}

/// What steers a call that lives.
fn steering() -> Vec<Operation> {
    const STARTED: &str = "{api_id:uuid message}";
    let at = |action: &str| format!("/Account/{{auth_id}}/Call/{{call_uuid}}/{action}");
    vec![
        post(&at("Play"), "Play audio into a live call").body(
            r#"urls!:any="https://shop.example/wait.mp3" length:int(0..86400) legs:aleg|bleg|both loop:bool mix:bool"#,
        )
        .note("Files play one after the other, over what the legs hear: mixed with it, or with mix=false in its place. length stops them after so many seconds; legs is the leg named in the path when absent.")
        .answers(202, STARTED)
        .refuses(&[NotFound, RateLimited]),
        delete(&at("Play"), "Stop playing into a live call").answers(204, "").refuses(&[NotFound]),
        post(&at("Speak"), "Speak into a live call").body(
            r#"text!:str(3000)="Please hold the line" voice:str(64) language:str(64) legs:aleg|bleg|both loop:bool mix:bool
            type:str(64) callback_url:url callback_method:GET|POST"#,
        )
        .note("As playing. type and callback_url are understood and have no effect.")
        .answers(202, STARTED)
        .refuses(&[NotFound, RateLimited]),
        delete(&at("Speak"), "Stop speaking into a live call").answers(204, "").refuses(&[NotFound]),
        post(&at("DTMF"), "Send digits into a live call")
            .note("As telephone-events, or as INFO to a peer without them. w waits half a second, W a whole one.")
            .body(r#"digits!:str(255)="12#" leg:aleg|bleg|both"#)
            .answers(202, STARTED)
            .refuses(&[NotFound, RateLimited]),
    ]
}

/// Parameters are checked and the call is looked for, then it is told that it is not built.
fn not_built() -> Vec<Operation> {
    let at = |action: &str| format!("/Account/{{auth_id}}/Call/{{call_uuid}}/{action}");
    let entries = vec![
        post(&at("Record"), "Record a live call").body(
            "time_limit:int(1..86400)=60 file_format:mp3|wav record_channel_type:mono|stereo transcription_type:auto|hybrid
            transcription_url:url transcription_method:GET|POST callback_url:url callback_method:GET|POST",
        ),
        delete(&at("Record"), "Stop recording a live call"),
        post(&at("Stream"), "Stream a live call's audio").body(
            r#"service_url!:str(2048)="wss://shop.example/audio" bidirectional:bool audio_track:inbound|outbound|both
            content_type:str(64) audio_format:pcm|mulaw stream_timeout:int(1..86400) status_callback_url:url
            status_callback_method:GET|POST extra_headers:any"#,
        ),
        get(&at("Stream"), "List a live call's streams").query("limit:int(1..100) offset:int(0..)"),
        delete(&at("Stream"), "Stop a live call's streams"),
        get(&at("Stream/{stream_id}"), "Read a stream"),
        delete(&at("Stream/{stream_id}"), "Stop a stream"),
    ];
    entries.into_iter().map(|entry| entry.answers(501, "").refuses(&[NotBuilt, NotFound])).collect()
}

pub(super) fn entries() -> Vec<Operation> {
    let mut entries = calls();
    let records = [
        get("/Account/{auth_id}/cdr", "List call records, newest first, with what they add up to")
            .note("Days are YYYY-MM-DD in UTC, both or neither. offset without page is answered in the older envelope.")
            .query(FILTERS)
            .answers(
                200,
                &format!(
                    "{{account_id:id count:int data:[{{{RECORD}}}] {PAGINATION} success:bool {SUMMARY}}}"
                ),
            ),
        get("/Account/{auth_id}/cdr/search", "Search call records").query(FILTERS).answers(
            200,
            &format!(
                "{{account_id:id count:int data:[{{{RECORD}}}] {PAGINATION} success:bool {SUMMARY}
                filters:{{call_direction from_number hangup_cause to_number}}}}"
            ),
        ),
        get("/Account/{auth_id}/cdr/recent", "List the newest call records")
            .query("limit:int(1..100)=20")
            .answers(200, &format!("{{account_id:id count:int data:[{{{RECORD}}}] success:bool}}")),
        get("/Account/{auth_id}/cdr/export", "Export call records as CSV")
            .note("All that match, newest first, under the 43 keys of a record. A text that a spreadsheet would take for a formula has an apostrophe before it. One export of an account at a time; a client that takes nothing for 30 seconds is let go.")
            .query(EXPORT_FILTERS)
            .answers(200, "str")
            .media("text/csv")
            .refuses(&[RateLimited]),
        get("/Account/{auth_id}/cdr/{call_uuid}", "Read a call record")
            .answers(200, &format!("{{data:{{{SINGLE}}} success:bool}}"))
            .refuses(&[NotFound]),
    ];
    entries.extend(records.into_iter().map(|entry| entry.tag("Call records")));
    entries
}
