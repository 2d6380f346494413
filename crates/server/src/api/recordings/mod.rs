//! Recordings (REST reference §12): list, read, delete, download, export.

mod bulk;
mod download;
mod export;
mod filter;

use axum::extract::{Path, Request, State};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{delete, get, post};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tandem_model::{AccountId, RecordingId, clock};
use tandem_store::calls::RecordsOf;
use tandem_store::recordings::{DeleteRecordings, Recording};

use super::json::joined;
use super::lenient::Fields;
use super::window::WindowQuery;
use super::{ApiError, AppState, Effect, Query, Reply, RequestId, Routes};
use crate::auth::Scoped;
use crate::recordings::end_of;

/// Recordings are charged by nobody for lying there.
const STORAGE_RATE: u64 = 0;
const SECONDS_A_DAY: i64 = 86_400;
/// Lengths are shown in whole steps of so many seconds.
const STEP_S: u64 = 60;

/// The routes of recordings. `{recording_id}` with a file's ending is the file.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Recording", get(list))
        .route("/Account/{auth_id}/Recording/BulkDelete", delete(bulk::remove))
        .route("/Account/{auth_id}/Recording/{recording_id}", get(read).delete(remove))
        .route("/Account/{auth_id}/Recording/{recording_id}/download", get(download::by_name))
        .route("/Account/{auth_id}/export/recording", post(export::export))
}

/// Whose recordings a request is for: a main account's include its sub-accounts', whose calls it pays for.
fn whose(scoped: &Scoped) -> RecordsOf<'_> {
    match scoped.account.parent {
        Some(_) => RecordsOf::SubAccount(scoped.id()),
        None => RecordsOf::Account(scoped.id()),
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Recording not found").word("Recording not found")
}

/// The recording of an id, if it is theirs.
async fn find(state: &AppState, scoped: &Scoped, id: &str) -> Result<Recording, ApiError> {
    let id: RecordingId = id.parse().map_err(|_| not_found())?;
    state.reader.recording(whose(scoped), id).await?.ok_or_else(not_found)
}

/// Where its file is fetched.
fn url(state: &AppState, account: &AccountId, recording: &Recording) -> String {
    let Recording { id, format, .. } = recording;
    format!("{}/api/v1/Account/{account}/Recording/{id}.{format}", state.api_url)
}

/// Milliseconds as text with five decimals: nobody knows why, but clients read it so.
fn milliseconds(ms: i64) -> String {
    format!("{ms}.00000")
}

/// `2026-05-07 09:45:35.792760+00:00`.
fn spaced_instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.6f+00:00").to_string()
}

fn days_since(at: Timestamp, now: Timestamp) -> i64 {
    now.duration_since(at).max(SignedDuration::ZERO).as_secs() / SECONDS_A_DAY
}

fn view(state: &AppState, account: &AccountId, recording: &Recording, now: Timestamp) -> Value {
    let length_ms = recording.duration_ms.unwrap_or_default();
    let rounded = length_ms.div_ceil(STEP_S * 1_000) * STEP_S;
    json!({
        "add_time": spaced_instant(recording.created_at),
        "call_uuid": recording.call,
        "conference_name": recording.conference,
        "from_number": recording.from_number,
        "monthly_recording_storage_amount": STORAGE_RATE,
        "recording_duration_ms": milliseconds(i64::try_from(length_ms).unwrap_or(i64::MAX)),
        "recording_end_ms": milliseconds(end_of(recording).as_millisecond()),
        "recording_format": recording.format,
        "recording_id": recording.id,
        "recording_start_ms": milliseconds(recording.started_at.as_millisecond()),
        "recording_storage_duration": days_since(recording.created_at, now),
        "recording_storage_rate": STORAGE_RATE,
        "recording_type": recording.kind.as_str(),
        "recording_url": url(state, account, recording),
        "resource_uri": format!("/v1/Account/{account}/Recording/{}/", recording.id),
        "rounded_recording_duration": rounded,
        "to_number": recording.to_number,
    })
}

/// List recordings, newest first.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Query(window): Query<WindowQuery>,
    Query(mut fields): Query<Fields>,
) -> Result<Reply, ApiError> {
    let (window, now) = (window.window(), clock::wall());
    let filter = filter::read(&mut fields, now)?;
    let found = state.reader.recordings(whose(&scoped), &filter, window.offset, window.limit).await?;
    let objects: Vec<_> =
        found.recordings.iter().map(|recording| view(&state, scoped.id(), recording, now)).collect();
    let meta = window.plivo_meta(&format!("/v1/Account/{}/Recording/", scoped.id()), found.total);
    Ok(Reply::ok(json!({ "api_id": request.api_id, "meta": meta, "objects": objects })))
}

/// Read one recording; with a file's ending, fetch it.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    request_id: RequestId,
    Path((_, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    if name.contains('.') {
        return download::file(&state, &scoped, &name, request).await;
    }
    let recording = find(&state, &scoped, &name).await?;
    let body = view(&state, scoped.id(), &recording, clock::wall());
    Ok(Reply::ok(joined(body, json!({ "api_id": request_id.api_id }))).into_response())
}

/// Delete one recording: gone for everybody at once, from the disk a moment later.
async fn remove(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let id: RecordingId = id.parse().map_err(|_| not_found())?;
    let command = DeleteRecordings {
        ids: vec![id],
        account: Some(scoped.id().clone()),
        actor: scoped.caller.actor.clone(),
        at: clock::wall(),
    };
    let answer = effect
        .run(scoped.id(), command, |deleted| match deleted {
            0 => Err(not_found()),
            _ => Ok(Reply::no_content()),
        })
        .await?;
    state.recordings.wake();
    Ok(answer)
}
