//! A recording's file: whole or in ranges, under the name that clients of each generation ask for.

use axum::body::Body;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use super::super::{ApiError, AppState};
use super::{find, not_found};
use crate::auth::Scoped;

const AUDIO_WAV: &str = "audio/wav";
const AUDIO_MPEG: &str = "audio/mpeg";
/// What was deleted must not come out of a cache.
const PRIVATE: &str = "private, no-store";

/// `GET …/Recording/{id}/download`: the file in the format it has.
pub(super) async fn by_name(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<Response, ApiError> {
    file(&state, &scoped, &id, request).await
}

/// The file of `{id}`, or of `{id}.mp3`, `{id}.wav` when that is what it is.
pub(super) async fn file(
    state: &AppState,
    scoped: &Scoped,
    name: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let (id, format) = match name.split_once('.') {
        Some((id, format)) => (id, Some(format)),
        None => (name, None),
    };
    let recording = find(state, scoped, id).await?;
    if format.is_some_and(|format| !format.eq_ignore_ascii_case(&recording.format)) {
        return Err(not_found().with("recording_format", recording.format));
    }
    let content_type = if recording.format == "mp3" { AUDIO_MPEG } else { AUDIO_WAV };
    let path = state.recordings.path(&recording);
    let answer = match ServeFile::new(path).oneshot(request).await {
        Ok(answer) => answer,
        Err(never) => match never {},
    };
    if answer.status() == StatusCode::NOT_FOUND {
        tracing::warn!(recording_id = %recording.id, node = %recording.node, "the file of a recording is not here");
        let words = "The file of this recording is not on this node";
        return Err(ApiError::not_found(words).word("Recording not found"));
    }
    let mut answer = answer.map(Body::new);
    if answer.status().is_success() {
        let disposition = format!("attachment; filename=\"{}.{}\"", recording.id, recording.format);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(PRIVATE));
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
    }
    Ok(answer)
}
