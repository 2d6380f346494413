//! What is not built of steering a call that lives (REST reference §10.3): recording and streams. Every parameter is read and refused as it will be, then the call is looked for, then a sentence says what is missing.
//! A client learns from it everything but that.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde_json::Value;
use tandem_model::CallId;
use tandem_store::calls::LiveState;

use super::{is_of, not_found};
use crate::api::lenient::{Fields, invalid};
use crate::api::{ApiError, AppState, Posted, Query, Routes, not_built};
use crate::auth::Scoped;

const URL_MAX: usize = 2_048;
const WORD_MAX: usize = 64;
/// A day, seconds.
const DAY_S: u64 = 86_400;
/// Characters of the headers that a stream's start carries.
const EXTRA_HEADERS_MAX: usize = 512;
const CONTENT_TYPES: [&str; 4] =
    ["audio/x-l16;rate=8000", "audio/x-l16;rate=16000", "audio/x-l16;rate=24000", "audio/x-mulaw;rate=8000"];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Call/{call_uuid}/Record", post(record).delete(stop_record))
        .route(
            "/Account/{auth_id}/Call/{call_uuid}/Stream",
            post(stream).get(list_streams).delete(stop_streams),
        )
        .route("/Account/{auth_id}/Call/{call_uuid}/Stream/{stream_id}", get(read_stream).delete(stop_stream))
}

/// The refusal of an operation on a call: 404 when the call is not in progress, else the sentence.
async fn on_call(state: &AppState, scoped: &Scoped, id: &str, operation: &str) -> ApiError {
    let Ok(id) = id.parse::<CallId>() else { return not_found() };
    match state.reader.live_call(id).await {
        Ok(Some(call)) if is_of(scoped, &call) && call.call.state == LiveState::InProgress => {
            not_built::sentence(operation)
        }
        Ok(_) => not_found(),
        Err(error) => error.into(),
    }
}

/// Record a live call.
async fn record(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, .. }: Posted<Fields>,
) -> ApiError {
    if let Err(error) = read_record(&mut fields) {
        return error;
    }
    on_call(&state, &scoped, &id, "Recording a live call on request").await
}

fn read_record(fields: &mut Fields) -> Result<(), ApiError> {
    fields.number(&["time_limit"], 1, DAY_S);
    fields.word(&["file_format"], &["mp3", "wav"]);
    fields.word(&["transcription_type"], &["auto", "hybrid"]);
    fields.word(&["record_channel_type"], &["mono", "stereo"]);
    fields.url(&["transcription_url"]);
    fields.method(&["transcription_method"]);
    fields.url(&["callback_url"]);
    fields.method(&["callback_method"]);
    fields.check_sentence()
}

async fn stop_record(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> ApiError {
    on_call(&state, &scoped, &id, "Recording a live call on request").await
}

/// Stream a live call's audio.
async fn stream(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, .. }: Posted<Fields>,
) -> ApiError {
    if let Err(error) = read_stream_order(&mut fields) {
        return error;
    }
    on_call(&state, &scoped, &id, "Audio streams").await
}

fn read_stream_order(fields: &mut Fields) -> Result<(), ApiError> {
    let url = fields.required(&["service_url"], URL_MAX);
    let is_socket = url
        .parse::<http::Uri>()
        .is_ok_and(|uri| matches!(uri.scheme_str(), Some("ws" | "wss")) && uri.host().is_some());
    if !url.is_empty() && !is_socket {
        fields.refuse("service_url", "Must be a ws:// or wss:// URL");
    }
    let is_bidirectional = fields.flag(&["bidirectional"]).value().unwrap_or_default();
    let track = fields.word(&["audio_track"], &["inbound", "outbound", "both"]).value().unwrap_or("inbound");
    if is_bidirectional && track != "inbound" {
        fields.refuse("audio_track", "Must be inbound when bidirectional is true");
    }
    // One kind of client names the format in a word (REST reference §21 row 36).
    if let Some(text) = fields.text(&["content_type"], WORD_MAX).value() {
        let bare: String = text.to_ascii_lowercase().split_whitespace().collect();
        if !CONTENT_TYPES.contains(&bare.as_str()) {
            fields.refuse("content_type", format!("Must be one of: {}", CONTENT_TYPES.join(", ")));
        }
    }
    fields.word(&["audio_format"], &["pcm", "mulaw"]);
    fields.number(&["stream_timeout"], 1, DAY_S);
    fields.url(&["status_callback_url"]);
    fields.method(&["status_callback_method"]);
    if !matches!(fields.raw(&["extra_headers"]), Some(Value::Object(_))) {
        fields.text(&["extra_headers"], EXTRA_HEADERS_MAX);
    }
    fields.check_sentence()
}

/// Streams of a call, were there any.
async fn list_streams(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Query(mut fields): Query<Fields>,
) -> ApiError {
    fields.number(&["limit"], 1, 100);
    fields.number(&["offset"], 0, u64::from(u32::MAX));
    match fields.check_sentence() {
        Err(error) => error,
        Ok(()) => on_call(&state, &scoped, &id, "Audio streams").await,
    }
}

async fn stop_streams(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> ApiError {
    on_call(&state, &scoped, &id, "Audio streams").await
}

async fn read_stream(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id, stream)): Path<(String, String, String)>,
) -> ApiError {
    one_stream(&state, &scoped, &id, &stream).await
}

async fn stop_stream(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id, stream)): Path<(String, String, String)>,
) -> ApiError {
    one_stream(&state, &scoped, &id, &stream).await
}

async fn one_stream(state: &AppState, scoped: &Scoped, id: &str, stream: &str) -> ApiError {
    if uuid::Uuid::parse_str(stream).is_err() {
        return invalid("stream_id: Must be a stream's id");
    }
    on_call(state, scoped, id, "Audio streams").await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    type Read = fn(&mut Fields) -> Result<(), ApiError>;

    fn names(read: Read, body: Value) -> Vec<String> {
        let mut fields: Fields = serde_json::from_value(body).unwrap();
        match read(&mut fields) {
            Ok(()) => Vec::new(),
            Err(error) => error
                .shown_word()
                .split("; ")
                .map(|part| part.split(':').next().unwrap_or_default().to_owned())
                .collect(),
        }
    }

    #[test]
    fn what_is_right_passes() {
        let right: [(Read, Value); 4] = [
            (read_record, json!({})),
            (read_record, json!({"time_limit": 60, "file_format": "wav", "record_channel_type": "stereo"})),
            (
                read_stream_order,
                json!({"service_url": "wss://a.example/s", "bidirectional": true, "extra_headers": {"a": "b"}}),
            ),
            (
                read_stream_order,
                json!({"service_url": "ws://a.example", "content_type": "audio/x-mulaw; rate=8000", "audio_format": "pcm"}),
            ),
        ];
        for (read, body) in right {
            assert_eq!(names(read, body.clone()), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        let wrong: [(Read, Value, &[&str]); 3] = [
            (read_record, json!({"time_limit": 0, "file_format": "ogg"}), &["file_format", "time_limit"]),
            (
                read_stream_order,
                json!({"service_url": "https://a.example", "stream_timeout": DAY_S + 1}),
                &["service_url", "stream_timeout"],
            ),
            (
                read_stream_order,
                json!({"service_url": "wss://a.example", "bidirectional": "true", "audio_track": "both", "content_type": "audio/ogg"}),
                &["audio_track", "content_type"],
            ),
        ];
        for (read, body, fields) in wrong {
            assert_eq!(names(read, body.clone()), fields, "{body}");
        }
    }
}
