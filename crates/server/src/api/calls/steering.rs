//! Steering a call that lives (REST reference §10.3, Vobiz live-call reference): transfer, play, speak, digits. A request is
//! read, the call is looked for in the account, then the session that owns its legs is told; the answer says that it has
//! taken the order up.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::post;
use serde_json::{Value, json};
use tandem_engine::{LiveCommand, LiveLegs, LiveSound, SoundKind, SteerError, Steered};
use tandem_model::ports::SpeechRequest;
use tandem_model::{CallId, ErrorCode, HttpMethod, UrlCall};
use tandem_store::calls::LiveState;

use super::claim::{self, Claimed};
use super::{fire, is_of, not_found};
use crate::api::lenient::Fields;
use crate::api::{ApiError, AppState, Effect, Posted, Reply, RequestId, Routes};
use crate::auth::Scoped;

/// Sounds of one request.
const URLS_MAX: usize = 100;
const URL_MAX: usize = 2_048;
/// Characters of a text to be spoken, of digits to be sent.
const TEXT_MAX: usize = 3_000;
const DIGITS_MAX: usize = 255;
const WORD_MAX: usize = 64;
/// A day, seconds.
const DAY_S: u64 = 86_400;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Call/{call_uuid}/Play", post(play).delete(stop_play))
        .route("/Account/{auth_id}/Call/{call_uuid}/Speak", post(speak).delete(stop_speak))
        .route("/Account/{auth_id}/Call/{call_uuid}/DTMF", post(digits))
}

/// A call of the account that is in progress.
async fn in_progress(state: &AppState, scoped: &Scoped, id: &str) -> Result<CallId, ApiError> {
    let id: CallId = id.parse().map_err(|_| not_found())?;
    match state.reader.live_call(id).await? {
        Some(call) if is_of(scoped, &call) && call.call.state == LiveState::InProgress => Ok(id),
        _ => Err(not_found()),
    }
}

/// Tells the session.
async fn steer(state: &AppState, call: CallId, command: LiveCommand) -> Result<Steered, ApiError> {
    let live = state.live.as_ref().ok_or_else(fire::runs_no_calls)?;
    live.engine.steer(call, command).await.map_err(|error| match error {
        SteerError::NotInProgress => not_found(),
        SteerError::NoOtherLeg => not_found().hint(
            "The call has no second leg now: bleg is the leg its caller talks with, while a Dial lasts.",
        ),
        SteerError::NoDocument => ApiError::because(
            ErrorCode::Conflict,
            "A call through a trunk runs no document: it cannot be transferred to one",
        )
        .status(StatusCode::BAD_REQUEST),
        SteerError::Busy => {
            ApiError::because(ErrorCode::RateLimited, "Too many requests for this call at once")
                .retry_after(1)
        }
        SteerError::Overloaded => ApiError::new(ErrorCode::Overloaded).retry_after(1),
    })
}

/// Carries an order out once per `Idempotency-Key`.
async fn order(
    state: &AppState,
    scoped: &Scoped,
    effect: &Effect,
    id: &str,
    command: LiveCommand,
    told: impl FnOnce(&Steered) -> Value,
) -> Result<Reply, ApiError> {
    let call = in_progress(state, scoped, id).await?;
    let hold = match claim::claim(state, effect, scoped.id()).await? {
        Claimed::Replay(reply) => return Ok(reply),
        Claimed::Go(hold) => hold,
    };
    let done = steer(state, call, command).await;
    let answer = done.map(|steered| Reply::json(StatusCode::ACCEPTED, told(&steered)));
    hold.keep(state, &answer).await;
    answer
}

/// Which legs are meant; nothing said means the leg that is named.
fn legs(fields: &mut Fields, names: &[&'static str]) -> Option<LiveLegs> {
    fields.word(names, &["aleg", "bleg", "both"]).value().map(|word| match word {
        "bleg" => LiveLegs::B,
        "both" => LiveLegs::Both,
        _ => LiveLegs::A,
    })
}

/// Transfer a live call to other documents.
pub(super) async fn transfer(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let command = read_transfer(&mut fields)?;
    let named = id.clone();
    let told = |steered: &Steered| {
        json!({
            "api_id": request.api_id, "message": "call transferred", "call_uuid": named, "call_uuids": steered.calls,
        })
    };
    order(&state, &scoped, &effect, &id, command, told).await
}

fn read_transfer(fields: &mut Fields) -> Result<LiveCommand, ApiError> {
    let legs = legs(fields, &["legs"]).unwrap_or(LiveLegs::A);
    let mut url = |url: &'static str, method: &'static str, is_wanted: bool| {
        let method = fields.method(&[method]).value().unwrap_or(HttpMethod::Post);
        if is_wanted {
            Some(UrlCall { url: fields.required_url(&[url]), method })
        } else {
            fields.url(&[url]);
            None
        }
    };
    let a = url("aleg_url", "aleg_method", legs != LiveLegs::B);
    let b = url("bleg_url", "bleg_method", legs != LiveLegs::A);
    fields.check_sentence()?;
    Ok(LiveCommand::Transfer { a, b })
}

/// Play audio into a live call.
async fn play(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let command = read_play(&mut fields)?;
    let told = |_: &Steered| json!({ "api_id": request.api_id, "message": "play started" });
    order(&state, &scoped, &effect, &id, command, told).await
}

/// `urls` is one, several with commas between them, or an array (REST reference §21 row 34).
fn read_play(fields: &mut Fields) -> Result<LiveCommand, ApiError> {
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
    let length = fields.number(&["length"], 0, DAY_S).value();
    play_command(fields, LiveSound::Files(urls), length)
}

/// What playing and speaking have in common. Without a length, or with 0, a sound plays to its end.
fn play_command(
    fields: &mut Fields,
    sound: LiveSound,
    length_s: Option<u64>,
) -> Result<LiveCommand, ApiError> {
    let legs = legs(fields, &["legs"]);
    let repeats = fields.flag(&["loop"]).value().unwrap_or(false);
    let mixes = fields.flag(&["mix"]).value().unwrap_or(true);
    fields.check_sentence()?;
    let length = length_s.filter(|length| *length > 0).map(Duration::from_secs);
    Ok(LiveCommand::Play { legs, sound, repeats, length, mixes })
}

/// Speak into a live call.
async fn speak(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let command = read_speak(&mut fields)?;
    let told = |_: &Steered| json!({ "api_id": request.api_id, "message": "speak started" });
    order(&state, &scoped, &effect, &id, command, told).await
}

/// One client writes the voice into `length`: whatever stands there is let be.
fn read_speak(fields: &mut Fields) -> Result<LiveCommand, ApiError> {
    let text = fields.required(&["text"], TEXT_MAX);
    let voice = fields.text(&["voice"], WORD_MAX).value();
    let is_known = |voice: &str| {
        ["WOMAN", "MAN"].iter().any(|known| known.eq_ignore_ascii_case(voice)) || voice.starts_with("Polly.")
    };
    if voice.as_deref().is_some_and(|voice| !is_known(voice)) {
        fields.refuse("voice", "Must be WOMAN, MAN or a Polly voice");
    }
    let language = fields.text(&["language"], WORD_MAX).value();
    fields.text(&["type"], WORD_MAX);
    fields.url(&["callback_url"]);
    fields.method(&["callback_method"]);
    let speech = SpeechRequest {
        text,
        language: language.unwrap_or_else(|| "en-US".to_owned()),
        voice: voice.unwrap_or_else(|| "WOMAN".to_owned()),
    };
    play_command(fields, LiveSound::Speech(speech), None)
}

/// Stop playing into a live call.
async fn stop_play(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    stop(&state, &scoped, &id, SoundKind::Files).await
}

/// Stop speaking into a live call.
async fn stop_speak(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    stop(&state, &scoped, &id, SoundKind::Speech).await
}

/// 204 also when nothing plays.
async fn stop(state: &AppState, scoped: &Scoped, id: &str, kind: SoundKind) -> Result<Reply, ApiError> {
    let call = in_progress(state, scoped, id).await?;
    steer(state, call, LiveCommand::StopPlaying(kind)).await?;
    Ok(Reply::no_content())
}

/// Send digits into a live call.
async fn digits(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let command = read_digits(&mut fields)?;
    let told = |_: &Steered| json!({ "api_id": request.api_id, "message": "digits sent" });
    order(&state, &scoped, &effect, &id, command, told).await
}

fn read_digits(fields: &mut Fields) -> Result<LiveCommand, ApiError> {
    let digits = fields.required(&["digits"], DIGITS_MAX);
    if !digits.chars().all(|digit| digit.is_ascii_digit() || "*#wW".contains(digit)) {
        fields.refuse("digits", "Must be digits, *, #, w or W");
    }
    let legs = legs(fields, &["leg", "legs"]);
    fields.check_sentence()?;
    Ok(LiveCommand::SendDigits { legs, digits })
}

#[cfg(test)]
mod tests {
    use super::*;

    type Read = fn(&mut Fields) -> Result<LiveCommand, ApiError>;

    fn read(read: Read, body: Value) -> Result<LiveCommand, Vec<String>> {
        let mut fields: Fields = serde_json::from_value(body).unwrap();
        read(&mut fields).map_err(|error| {
            let name = |part: &str| part.split(':').next().unwrap_or_default().to_owned();
            error.shown_word().split("; ").map(name).collect()
        })
    }

    #[test]
    fn what_is_right_becomes_an_order() {
        let Ok(LiveCommand::Transfer { a, b }) = read(
            read_transfer,
            json!({"legs": "both", "aleg_url": "https://a.example/x", "bleg_url": "http://b.example/", "bleg_method": "get"}),
        ) else {
            panic!("a transfer");
        };
        let get = UrlCall { url: "http://b.example/".to_owned(), method: HttpMethod::Get };
        assert_eq!((a.map(|a| a.method), b), (Some(HttpMethod::Post), Some(get)));
        for (urls, count) in [
            (json!("https://a.example/x.mp3,https://a.example/y.mp3"), 2),
            (json!(["https://a.example/x.mp3"]), 1),
        ] {
            let body = json!({"urls": urls, "loop": "true", "mix": false, "legs": "both", "length": "30"});
            let Ok(LiveCommand::Play { legs, sound: LiveSound::Files(files), repeats, length, mixes }) =
                read(read_play, body)
            else {
                panic!("files");
            };
            assert_eq!((legs, files.len(), repeats, mixes), (Some(LiveLegs::Both), count, true, false));
            assert_eq!(length, Some(Duration::from_secs(30)));
        }
        // One client writes the voice into `length`.
        let Ok(LiveCommand::Play { legs, sound: LiveSound::Speech(speech), repeats, length, mixes }) =
            read(read_speak, json!({"text": "hi", "length": "WOMAN"}))
        else {
            panic!("speech");
        };
        assert_eq!((legs, repeats, length, mixes), (None, false, None, true));
        assert_eq!((speech.language.as_str(), speech.voice.as_str()), ("en-US", "WOMAN"));
        assert!(read(read_speak, json!({"text": "hi", "voice": "Polly.Aditi", "language": "hi-IN"})).is_ok());
        for body in [json!({"digits": "1w2W#*", "leg": "bleg"}), json!({"digits": 123, "legs": "bleg"})] {
            let Ok(LiveCommand::SendDigits { legs, .. }) = read(read_digits, body) else { panic!("digits") };
            assert_eq!(legs, Some(LiveLegs::B));
        }
    }

    #[test]
    fn each_wrong_parameter_is_named() {
        let wrong: [(Read, Value, &[&str]); 9] = [
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
        ];
        for (reader, body, fields) in wrong {
            assert_eq!(read(reader, body.clone()).unwrap_err(), fields, "{body}");
        }
    }
}
