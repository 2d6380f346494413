//! An export of recordings (REST reference §12.3): a list of what filters keep, with where each file is fetched, by
//! letter. The letter is an event of the outbox: it leaves although the process dies, and while it has not left no other
//! export of the account is taken.

use axum::extract::State;
use axum::http::StatusCode;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use tandem_model::{ErrorCode, EventId, EventKind, HttpMethod, Ids, clock};
use tandem_store::OutboxEvent;
use tandem_store::recordings::{ExportRecordings, Recording, RecordingFilter, RecordingPage};

use super::super::lenient::{Fields, invalid};
use super::super::{ApiError, AppState, Posted, Reply, RequestId, checks};
use super::{filter, milliseconds, spaced_instant, url, whose};
use crate::auth::Scoped;

/// Recordings in one letter; of more, the letter says how many there are.
const LISTED_MAX: u32 = 1_000;
/// Whom one letter goes to.
const RECIPIENTS_MAX: usize = 5;
/// Without a range: of the last so many days.
const USUAL: SignedDuration = SignedDuration::from_hours(24 * 7);
/// The longest range, and the longest with a further filter.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);
const LONGEST_FILTERED: SignedDuration = SignedDuration::from_hours(24 * 30);
const DAYS_MAX: u64 = 30;
const AGES: &[&str] = &[
    "recording_storage_duration",
    "recording_storage_duration__gte",
    "recording_storage_duration__gt",
    "recording_storage_duration__lte",
    "recording_storage_duration__lt",
];
const FURTHER: &[&str] =
    &["from_number", "to_number", "call_uuid", "conference_name", "recording_format", "recording_id"];

/// A refusal in this operation's own words.
fn failure(words: impl Into<String>) -> ApiError {
    invalid(words).with("status", "failure")
}

/// Who gets the letter.
fn recipients(fields: &Fields) -> Result<Vec<String>, ApiError> {
    let wrong = || failure("recipient: Must be {\"customer_account\": [e-mail addresses]}");
    let listed = fields
        .raw(&["recipient"])
        .and_then(|value| value["customer_account"].as_array())
        .ok_or_else(wrong)?;
    if listed.is_empty() || listed.len() > RECIPIENTS_MAX {
        return Err(failure(format!("recipient: Takes 1 to {RECIPIENTS_MAX} addresses")));
    }
    let address = |value: &serde_json::Value| checks::email("recipient", value.as_str()?).ok();
    listed.iter().map(|value| address(value).ok_or_else(wrong)).collect()
}

/// Which recordings, and from when to when.
fn asked(fields: &mut Fields, now: Timestamp) -> Result<RecordingFilter, ApiError> {
    let dates =
        (fields.text(&["from", "from_date"], 64).value(), fields.text(&["to", "to_date"], 64).value());
    for name in AGES {
        let _ = fields.number(&[*name], 0, DAYS_MAX);
    }
    fields.check_sentence().map_err(|error| error.with("status", "failure"))?;
    let ages: Vec<_> = AGES.iter().copied().filter(|name| fields.has(&[*name])).collect();
    if !ages.is_empty() && dates != (None, None) {
        return Err(failure("From/To cannot be used with recording storage duration"));
    }
    let has = |name: &str| ages.contains(&name);
    if has("recording_storage_duration__gt") && has("recording_storage_duration__gte")
        || has("recording_storage_duration__lt") && has("recording_storage_duration__lte")
    {
        return Err(failure("recording_storage_duration: One bound on each side"));
    }
    let lower = has("recording_storage_duration__gt") || has("recording_storage_duration__gte");
    let upper = has("recording_storage_duration__lt") || has("recording_storage_duration__lte");
    if lower != upper {
        return Err(failure("recording_storage_duration: Range filters go in pairs"));
    }
    let mut filter = filter::read(fields, now).map_err(|error| error.with("status", "failure"))?;
    if !ages.is_empty() {
        return Ok(filter);
    }
    let read = |name: &str, text: Option<String>| {
        let remedy = || failure(format!("{name}: Must be YYYY-MM-DD HH:MM:SS"));
        text.map(|text| filter::instant(&text).ok_or_else(remedy)).transpose()
    };
    let to = read("to", dates.1)?.unwrap_or(now);
    let from = read("from", dates.0)?.unwrap_or_else(|| to.saturating_sub(USUAL).unwrap_or(to));
    let longest = if FURTHER.iter().any(|name| fields.has(&[*name])) { LONGEST_FILTERED } else { LONGEST };
    if to < from || to.duration_since(from) > longest {
        return Err(failure(format!("from, to: A range of at most {} days", longest.as_hours() / 24)));
    }
    filter.added_from = Some(filter.added_from.map_or(from, |other| other.max(from)));
    filter.added_before = Some(filter.added_before.map_or(to, |other| other.min(to)));
    Ok(filter)
}

/// Export recordings by letter.
pub(super) async fn export(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let now = clock::wall();
    let recipients = recipients(&fields)?;
    let filter = asked(&mut fields, now)?;
    if state.config.mail.smtp_url.is_empty() {
        return Err(ApiError::new(ErrorCode::MailNotConfigured).with("status", "failure"));
    }
    let found = state.reader.recordings(whose(&scoped), &filter, 0, LISTED_MAX).await?;
    let (subject, text) = letter(&state, &scoped, &found);
    let body = json!({ "subject": subject, "text": text }).to_string();
    let account = scoped.id().clone();
    let to = |address: &String| OutboxEvent {
        event: EventId(Ids::random()),
        account: account.clone(),
        call: None,
        endpoint_key: "mail".to_owned(),
        kind: EventKind::RecordingExport.name().to_owned(),
        channel: EventKind::RecordingExport.channel(),
        url: format!("mailto:{address}"),
        method: HttpMethod::Post,
        content_type: "application/json".to_owned(),
        body: body.clone(),
        secret_kind: "account".to_owned(),
        secret_ref: account.to_string(),
        sequence: 0,
        created_at: now,
    };
    let command = ExportRecordings {
        account: account.clone(),
        letters: recipients.iter().map(to).collect(),
        actor: scoped.caller.actor.clone(),
        at: now,
    };
    let api_id = request.api_id;
    let answer = move |taken: &bool| match taken {
        true => Ok(Reply::json(StatusCode::ACCEPTED, json!({ "api_id": api_id, "status": "success" }))),
        false => {
            let words = "An Export Historic Recording request is already in process. Try again once its letter has left.";
            Err(ApiError::because(ErrorCode::Conflict, words)
                .status(StatusCode::FORBIDDEN)
                .hint("Wait for the letter of the export before.")
                .with("status", "failure"))
        }
    };
    effect.run(&account, command, answer).await
}

fn letter(state: &AppState, scoped: &Scoped, found: &RecordingPage) -> (String, String) {
    let RecordingPage { recordings, total } = found;
    let subject = format!("Your recordings: {total} of {}", scoped.id());
    let mut text = format!(
        "{total} recordings match. Each file is fetched from its address with the credentials of {}.\n\n\
         recording_id,call_uuid,add_time,from_number,to_number,duration_ms,recording_url\n",
        scoped.id()
    );
    for recording in recordings {
        text.push_str(&line(recording, &url(state, scoped.id(), recording)));
    }
    if *total > recordings.len() as u64 {
        text.push_str("\nThe rest is listed by GET /Account/");
        text.push_str(scoped.id().as_str());
        text.push_str("/Recording/.\n");
    }
    (subject, text)
}

fn line(recording: &Recording, url: &str) -> String {
    let duration = i64::try_from(recording.duration_ms.unwrap_or_default()).unwrap_or(i64::MAX);
    let (duration, added) = (milliseconds(duration), spaced_instant(recording.created_at));
    let duration = duration.split('.').next().unwrap_or_default();
    let Recording { id, call, from_number, to_number, .. } = recording;
    format!("{id},{call},{added},{from_number},{to_number},{duration},{url}\n")
}
