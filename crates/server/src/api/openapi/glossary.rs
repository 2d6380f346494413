//! What fields mean where their name and type do not say it: units, what is counted from when, what stands for absent.
//! Shown beside the field on the docs page and as its description in the OpenAPI document.

use super::operation::Operation;

/// A field, where (the beginning of `METHOD pattern`; everywhere when empty), and what it means.
type Meaning = (&'static str, &'static str, &'static str);

const EVENTS: &str = "Taken in any case, by these names or the older call.initiated (Ring), call.answered (StartApp), call.completed \
(Hangup); at most 16; an empty list means all";
const RECORD_DAY: &str = "YYYY-MM-DD, a day in UTC; start_date and end_date go together, both days included";
const LEDGER_FROM: &str =
    "YYYY-MM-DD, a day in UTC, or an instant such as 2026-03-01T00:00:00Z; at and after";
const LEDGER_TO: &str = "YYYY-MM-DD, a day in UTC, itself included, or an instant; up to";
const POST_CALL: &str = "POST /Account/{auth_id}/Call";

/// Where a name is listed more than once, the first that fits counts.
const MEANINGS: &[Meaning] = &[
    ("time_limit", "POST /Account/{auth_id}/Call/{call_uuid}/Record", "Seconds that are recorded"),
    (
        "time_limit",
        POST_CALL,
        "Seconds of talk after which the call is ended (cause 6000); at most 86400 counts; without it the money decides",
    ),
    (
        "ring_timeout",
        POST_CALL,
        "Seconds of ringing after which the call is given up (cause 6010); sip.ring_timeout_s (120) without it, and at most",
    ),
    ("hangup_on_ring", POST_CALL, "Seconds of ringing, as ring_timeout: the shorter counts; 0 counts as 1"),
    ("to", POST_CALL, "A number, or a sip: URI of an endpoint; several, at most 1000, with < between"),
    ("from", POST_CALL, "A number of the account"),
    ("answer_method", POST_CALL, "POST without it"),
    ("answer_method", "POST /Account/{auth_id}/Application", "POST without it"),
    ("hangup_url", POST_CALL, "Told of the end by Event=Hangup; answer_url without it"),
    (
        "hangup_url",
        "POST /Account/{auth_id}/Application",
        "Told of the end by Event=Hangup; answer_url without it",
    ),
    ("request_uuid", POST_CALL, "Text for one destination, a list for several; a call's id from here on"),
    ("status", "GET /Account/{auth_id}/Call", "live: not ended; queued: waiting for its turn"),
    ("duration", "", "Seconds from INVITE to end, ringing included"),
    ("billsec", "", "Seconds from answer to end; the price counts these, rounded up to the rate's pulse"),
    ("ring_time", "", "Seconds from INVITE to answer, or to the end without one"),
    ("min_duration", "", "Least duration in seconds, ringing included"),
    ("rounded_recording_duration", "", "Seconds, rounded up to whole minutes"),
    ("recording_duration_ms", "", "Milliseconds"),
    ("recording_storage_duration", "", "Days since it was made"),
    ("default_number_app", "", "Numbers bought from now on lead to this application"),
    ("default_endpoint_app", "", "Endpoints made without an application lead to this one"),
    ("callback_events", "", EVENTS),
    ("status_callback_events", "", EVENTS),
    ("default_callback_events", "", EVENTS),
    ("start_date", "", RECORD_DAY),
    ("end_date", "", RECORD_DAY),
    ("from_date", "GET /partner/analytics", "YYYY-MM-DD"),
    ("to_date", "GET /partner/analytics", "YYYY-MM-DD, itself included"),
    ("from_date", "", LEDGER_FROM),
    ("to_date", "", LEDGER_TO),
    (
        "concurrent_calls_limit",
        "POST /Account/{auth_id}/trunks",
        "Of this trunk; the account's own limit counts besides",
    ),
    (
        "concurrent_calls_limit",
        "PUT /Account/{auth_id}/trunks",
        "Of this trunk; the account's own limit counts besides",
    ),
    ("max_concurrent", "", "3 for a new customer; more by channel-subscriptions or from the partner"),
    (
        "release_fee",
        "",
        "700 INR unless the operator sets numbers.release_fee; refunded when the release is cancelled",
    ),
    ("hangup_cause_code", "", "See the page of hangup causes"),
];

/// What a field of an operation means beyond its type.
pub(super) fn meaning(operation: &Operation, field: &str) -> Option<&'static str> {
    let place = format!("{} {}", operation.method, operation.pattern);
    let fits = |meaning: &&Meaning| meaning.0 == field && place.starts_with(meaning.1);
    MEANINGS.iter().find(fits).map(|(_, _, words)| *words)
}

#[cfg(test)]
mod tests {
    use super::super::operations;
    use super::super::shape::{Field, Shape};
    use super::*;

    fn names(fields: &[Field], all: &mut Vec<String>) {
        for field in fields {
            all.push(field.name.clone());
            let shape = if let Shape::List(item) = &field.shape { item } else { &field.shape };
            if let Shape::Object(fields) = shape {
                names(fields, all);
            }
        }
    }

    #[test]
    fn every_meaning_is_of_a_field_that_is_there() {
        let mut told = Vec::new();
        for operation in operations() {
            let mut all = Vec::new();
            names(&operation.query, &mut all);
            names(&operation.body, &mut all);
            if let Some(Shape::Object(fields)) = &operation.answer {
                names(fields, &mut all);
            }
            told.extend(all.iter().filter_map(|name| Some((name.clone(), meaning(&operation, name)?))));
        }
        for (name, place, words) in MEANINGS {
            assert!(told.iter().any(|told| told.0 == *name && told.1 == *words), "{name} at {place:?}");
        }
    }

    #[test]
    fn the_nearer_meaning_counts() {
        let all = operations();
        let at = |method: &str, pattern: &str, field: &str| {
            let found = all.iter().find(|one| one.method == method && one.pattern == pattern);
            meaning(found.unwrap(), field)
        };
        let one = "/Account/{auth_id}/Call/{call_uuid}/Record";
        assert_eq!(at("POST", one, "time_limit"), Some("Seconds that are recorded"));
        assert!(at("POST", "/Account/{auth_id}/Call", "time_limit").unwrap().contains("6000"));
        assert_eq!(at("GET", "/Account/{auth_id}/cdr", "start_date"), Some(RECORD_DAY));
        assert_eq!(at("GET", "/partner/analytics", "from_date"), Some("YYYY-MM-DD"));
    }
}
