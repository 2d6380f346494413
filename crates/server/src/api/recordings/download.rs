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
use crate::recordings::FORMAT;

const AUDIO_WAV: &str = "audio/wav";
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

/// The file of `{id}`, `{id}.wav`; of `{id}.mp3` it is told that there is none.
pub(super) async fn file(
    state: &AppState,
    scoped: &Scoped,
    name: &str,
    request: Request,
) -> Result<Response, ApiError> {
    let (id, format) = name.split_once('.').unwrap_or((name, FORMAT));
    let recording = find(state, scoped, id).await?;
    if !format.eq_ignore_ascii_case(FORMAT) {
        let error = match format.to_ascii_lowercase().as_str() {
            "mp3" => ApiError::not_built("Not built: recordings as MP3. This one is WAV: ask for .wav"),
            _ => not_found(),
        };
        return Err(error.with("recording_format", recording.format));
    }
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
        let disposition = format!("attachment; filename=\"{}.{FORMAT}\"", recording.id);
        let headers = answer.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(AUDIO_WAV));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(PRIVATE));
        if let Ok(disposition) = HeaderValue::from_str(&disposition) {
            headers.insert(header::CONTENT_DISPOSITION, disposition);
        }
    }
    Ok(answer)
}
