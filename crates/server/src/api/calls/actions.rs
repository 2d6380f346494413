//! What steers a call that lives (REST reference §10.3): transfer, play, speak, digits, recording, streams. None of it is
//! built; every parameter is read and refused as it will be, then the call is looked for, then a sentence says what is missing.
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

const LEGS: [&str; 3] = ["aleg", "bleg", "both"];
/// Sounds of one request.
const URLS_MAX: usize = 100;
const URL_MAX: usize = 2_048;
/// Characters of a text to be spoken, of digits to be sent.
const TEXT_MAX: usize = 3_000;
const DIGITS_MAX: usize = 255;
const WORD_MAX: usize = 64;
/// A day, seconds.
const DAY_S: u64 = 86_400;
/// Characters of the headers that a stream's start carries.
const EXTRA_HEADERS_MAX: usize = 512;
const CONTENT_TYPES: [&str; 4] =
    ["audio/x-l16;rate=8000", "audio/x-l16;rate=16000", "audio/x-l16;rate=24000", "audio/x-mulaw;rate=8000"];

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Call/{call_uuid}/Play", post(play).delete(stop_play))
        .route("/Account/{auth_id}/Call/{call_uuid}/Speak", post(speak).delete(stop_speak))
        .route("/Account/{auth_id}/Call/{call_uuid}/DTMF", post(digits))
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

/// Which legs of a call are meant.
fn legs(fields: &mut Fields, names: &[&'static str]) -> &'static str {
    fields.word(names, &LEGS).value().unwrap_or("aleg")
}

/// Transfer a live call to other documents.
pub(super) async fn transfer(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, .. }: Posted<Fields>,
) -> ApiError {
    if let Err(error) = read_transfer(&mut fields) {
        return error;
    }
    on_call(&state, &scoped, &id, "Transferring a live call").await
}

fn read_transfer(fields: &mut Fields) -> Result<(), ApiError> {
    let legs = legs(fields, &["legs"]);
    let wanted = [("aleg_url", "aleg_method", legs != "bleg"), ("bleg_url", "bleg_method", legs != "aleg")];
    for (url, method, is_wanted) in wanted {
        fields.method(&[method]);
        if is_wanted {
            fields.required_url(&[url]);
        } else {
            fields.url(&[url]);
        }
    }
    fields.check_sentence()
}

/// Play audio into a live call.
async fn play(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, .. }: Posted<Fields>,
) -> ApiError {
    if let Err(error) = read_play(&mut fields) {
        return error;
    }
    on_call(&state, &scoped, &id, "Playing audio into a live call").await
}

/// `urls` is one, several with commas between them, or an array (REST reference §21 row 34).
fn read_play(fields: &mut Fields) -> Result<(), ApiError> {
    let urls: Vec<String> = match fields.raw(&["urls"]) {
        Some(Value::Array(items)) => {
            items.iter().map(|item| item.as_str().unwrap_or_default().trim().to_owned()).collect()
        }
        Some(Value::String(text)) => text.split(',').map(|url| url.trim().to_owned()).collect(),
        None | Some(Value::Null) => Vec::new(),
        Some(_) => vec![String::new()],
    };
    let is_url = |url: &String| {
        url.len() <= URL_MAX
            && url
                .parse::<http::Uri>()
                .is_ok_and(|uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some())
    };
    if urls.iter().all(String::is_empty) {
        fields.refuse("urls", "This field is required");
    } else if urls.len() > URLS_MAX {
        fields.refuse("urls", format!("Must be at most {URLS_MAX} URLs"));
    } else if !urls.iter().all(is_url) {
        fields.refuse("urls", "Enter a valid URL");
    }
    fields.number(&["length"], 0, DAY_S);
    legs(fields, &["legs"]);
    fields.flag(&["loop"]);
    fields.flag(&["mix"]);
    fields.check_sentence()
}

async fn stop_play(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> ApiError {
    on_call(&state, &scoped, &id, "Playing audio into a live call").await
}

/// Speak into a live call.
async fn speak(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, .. }: Posted<Fields>,
) -> ApiError {
    if let Err(error) = read_speak(&mut fields) {
        return error;
    }
    on_call(&state, &scoped, &id, "Speaking into a live call").await
}

/// One client writes the voice into `length`: whatever stands there is let be.
fn read_speak(fields: &mut Fields) -> Result<(), ApiError> {
    fields.required(&["text"], TEXT_MAX);
    let voice = fields.text(&["voice"], WORD_MAX).value();
    let is_known = |voice: &str| {
        ["WOMAN", "MAN"].iter().any(|known| known.eq_ignore_ascii_case(voice)) || voice.starts_with("Polly.")
    };
    if voice.is_some_and(|voice| !is_known(&voice)) {
        fields.refuse("voice", "Must be WOMAN, MAN or a Polly voice");
    }
    fields.text(&["language"], WORD_MAX);
    fields.text(&["type"], WORD_MAX);
    legs(fields, &["legs"]);
    fields.flag(&["loop"]);
    fields.flag(&["mix"]);
    fields.url(&["callback_url"]);
    fields.method(&["callback_method"]);
    fields.check_sentence()
}

async fn stop_speak(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> ApiError {
    on_call(&state, &scoped, &id, "Speaking into a live call").await
}

/// Send digits into a live call.
async fn digits(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, .. }: Posted<Fields>,
) -> ApiError {
    if let Err(error) = read_digits(&mut fields) {
        return error;
    }
    on_call(&state, &scoped, &id, "Sending digits into a live call").await
}

fn read_digits(fields: &mut Fields) -> Result<(), ApiError> {
    let digits = fields.required(&["digits"], DIGITS_MAX);
    if !digits.chars().all(|digit| digit.is_ascii_digit() || "*#wW".contains(digit)) {
        fields.refuse("digits", "Must be digits, *, #, w or W");
    }
    legs(fields, &["leg", "legs"]);
    fields.check_sentence()
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
        let right: [(Read, Value); 12] = [
            (read_transfer, json!({"aleg_url": "https://a.example/x"})),
            (
                read_transfer,
                json!({"legs": "both", "aleg_url": "https://a.example/x", "bleg_url": "http://b.example/"}),
            ),
            (read_play, json!({"urls": "https://a.example/x.mp3,https://a.example/y.mp3", "loop": "true"})),
            (
                read_play,
                json!({"urls": ["https://a.example/x.mp3"], "legs": "both", "length": "30", "mix": false}),
            ),
            (read_speak, json!({"text": "hi", "voice": "Polly.Aditi", "language": "hi-IN"})),
            (read_speak, json!({"text": "hi", "length": "WOMAN"})),
            (read_digits, json!({"digits": "1w2W#*", "leg": "bleg"})),
            (read_digits, json!({"digits": 123, "legs": "both"})),
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
        let wrong: [(Read, Value, &[&str]); 12] = [
            (read_transfer, json!({}), &["aleg_url"]),
            (read_transfer, json!({"legs": "both", "aleg_url": "x"}), &["aleg_url", "bleg_url"]),
            (
                read_transfer,
                json!({"legs": "cleg", "aleg_url": "https://a.example/", "aleg_method": "PUT"}),
                &["aleg_method", "legs"],
            ),
            (read_play, json!({}), &["urls"]),
            (read_play, json!({"urls": ["ftp://a.example/x"], "loop": "maybe"}), &["loop", "urls"]),
            (read_play, json!({"urls": vec!["https://a.example/x"; URLS_MAX + 1]}), &["urls"]),
            (read_speak, json!({"text": "", "voice": "CHILD"}), &["text", "voice"]),
            (read_speak, json!({"text": "x".repeat(TEXT_MAX + 1)}), &["text"]),
            (read_digits, json!({"digits": "12x"}), &["digits"]),
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
