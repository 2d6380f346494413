//! Who is told of a recording, and what: the events of its end (Vobiz voice reference 2.6, 3.13, 9.2). Pure: facts in, events
//! out.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tandem_callflow::parameters;
use tandem_model::ports::{Notice, Parameters};
use tandem_model::{
    AccountId, CallFacts, CallStatus, EventId, EventKind, HttpMethod, RecordingId, RecordingOrder,
    RecordingResult, RecordingWords, UrlCall,
};
use tandem_store::OutboxEvent;
use tandem_store::recordings::Recording;

use crate::webhooks::{callback_event, endpoint_key};

/// A recording that a document or the API asked for, as noted at its beginning.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Begun {
    pub(crate) id: RecordingId,
    /// The call it is of.
    pub(crate) facts: CallFacts,
    /// Who pays for the call.
    pub(crate) payer: AccountId,
    pub(crate) order: RecordingOrder,
    pub(crate) started_at: Timestamp,
    /// Where the account hears of it.
    pub(crate) webhook: Option<RecordingWebhook>,
}

impl Begun {
    /// The name of the file that is written while it runs.
    pub(crate) fn wav(&self) -> String {
        format!("{}.{}.wav", self.facts.call, self.id)
    }

    /// The name of what becomes of it, when an MP3 is asked for.
    pub(crate) fn mp3(&self) -> String {
        format!("{}.{}.mp3", self.facts.call, self.id)
    }
}

/// Where an account hears of its recordings.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RecordingWebhook {
    /// Where and how.
    #[serde(flatten)]
    pub(crate) call: UrlCall,
    /// Whose event it is, and whose secret signs when no trunk's does.
    pub(crate) account: AccountId,
    /// The trunk of the call: its secret signs.
    pub(crate) trunk: Option<String>,
}

/// Everybody who is told how it ended. `url`: where its file is, if there is one.
pub(crate) fn of_end(
    begun: &Begun,
    result: &RecordingResult,
    url: &str,
    status: CallStatus,
    action_requested: bool,
) -> Vec<OutboxEvent> {
    let element = |name: &str| {
        let mut parameters = parameters::standard(&begun.facts, name, status);
        parameters::recording(&mut parameters, begun.id, url, Some(result));
        parameters
    };
    let notice = |call: &UrlCall, params: Parameters| {
        callback_event(Notice {
            account: begun.facts.account.clone(),
            call: begun.facts.call,
            event: EventKind::RecordStop,
            url: call.url.clone(),
            method: call.method,
            params,
        })
    };
    let action = begun.order.action.iter().filter(|_| !action_requested);
    let mut events: Vec<_> = action.map(|call| notice(call, element("Record"))).collect();
    for tell in &begun.order.tells {
        events.push(notice(
            &tell.call,
            match &tell.words {
                RecordingWords::Record => element("Record"),
                RecordingWords::RecordStop => element("RecordStop"),
                RecordingWords::Api { api_id } => api_words(begun, result, url, api_id),
            },
        ));
    }
    events
}

/// What was begun over the API is told in lower case.
fn api_words(begun: &Begun, result: &RecordingResult, url: &str, api_id: &str) -> Parameters {
    let url = if result.error.is_none() { url } else { "" };
    let mut words: Parameters = vec![
        ("api_id".into(), api_id.to_owned()),
        ("record_url".into(), url.to_owned()),
        ("call_uuid".into(), begun.facts.call.to_string()),
        ("recording_id".into(), begun.id.to_string()),
        ("recording_duration".into(), (result.duration_ms.saturating_add(500) / 1_000).to_string()),
        ("recording_duration_ms".into(), result.duration_ms.to_string()),
        ("recording_start_ms".into(), result.started_at.as_millisecond().to_string()),
        ("recording_end_ms".into(), result.ended_at.as_millisecond().to_string()),
    ];
    if let Some(error) = &result.error {
        words.push(("error".into(), error.clone()));
    }
    words
}

/// `recording.completed`, to the account.
pub(crate) fn completed(
    webhook: &RecordingWebhook,
    recording: &Recording,
    url: &str,
    at: Timestamp,
) -> OutboxEvent {
    let kind = match webhook.trunk {
        Some(_) => EventKind::TrunkRecordingCompleted,
        None => EventKind::RecordingCompleted,
    };
    let duration_ms = recording.duration_ms.unwrap_or_default();
    let body = json!({
        "event": kind.name(),
        "recording_id": recording.id,
        "call_uuid": recording.call,
        "trunk_id": webhook.trunk,
        "account_id": recording.sub_account.as_ref().unwrap_or(&recording.account),
        "recording_url": url,
        "recording_type": recording.kind.as_str(),
        "format": recording.format,
        "duration": duration_ms.saturating_add(500) / 1_000,
        "duration_ms": duration_ms,
        "from": recording.from_number.trim_start_matches('+'),
        "to": recording.to_number.trim_start_matches('+'),
        "timestamp": instant(at),
    });
    event(webhook, kind, recording.call, body.to_string(), at)
}

/// `recording.failed`, to the account: what was asked for could not be made.
pub(crate) fn failed(
    webhook: &RecordingWebhook,
    id: RecordingId,
    facts: &CallFacts,
    error: &str,
    at: Timestamp,
) -> OutboxEvent {
    let kind = match webhook.trunk {
        Some(_) => EventKind::TrunkRecordingFailed,
        None => EventKind::RecordingFailed,
    };
    let body = json!({
        "event": kind.name(),
        "recording_id": id,
        "call_uuid": facts.call,
        "trunk_id": webhook.trunk,
        "account_id": facts.account,
        "error": error,
        "from": facts.from.trim_start_matches('+'),
        "to": facts.to.trim_start_matches('+'),
        "timestamp": instant(at),
    });
    event(webhook, kind, facts.call, body.to_string(), at)
}

fn event(
    webhook: &RecordingWebhook,
    kind: EventKind,
    call: tandem_model::CallId,
    body: String,
    at: Timestamp,
) -> OutboxEvent {
    let (endpoint_key, secret_kind, secret_ref) = match &webhook.trunk {
        Some(trunk) => (format!("trunk:{trunk}"), "trunk", trunk.clone()),
        None => (endpoint_key(&webhook.call.url), "account", webhook.account.to_string()),
    };
    // A body needs a method that has one.
    let method = match kind {
        EventKind::RecordingCompleted | EventKind::RecordingFailed => HttpMethod::Post,
        _ => webhook.call.method,
    };
    OutboxEvent {
        event: EventId::random(),
        account: webhook.account.clone(),
        call: Some(call),
        endpoint_key,
        kind: kind.name().to_owned(),
        channel: kind.channel(),
        url: webhook.call.url.clone(),
        method,
        content_type: "application/json".to_owned(),
        body,
        secret_kind: secret_kind.to_owned(),
        secret_ref,
        // After the call's own end, where both are told in one transaction.
        sequence: 2,
        created_at: at,
    }
}

fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
