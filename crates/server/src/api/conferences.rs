//! Conferences (REST reference §11). Requests are read as they will be, so that a wrong one is told what is wrong with it;
//! a right one is answered 501: conferences come with their media.

use axum::extract::Path;
use axum::routing::{MethodRouter, delete, get, post};
use serde_json::Value;

use super::lenient::Fields;
use super::{ApiError, AppState, Posted, Routes, not_built};
use crate::auth::Scoped;

/// Characters of a room's name at most.
const NAME_MAX: usize = 255;
/// Members named in one path at most.
const MEMBERS_MAX: usize = 100;
const TEXT_MAX: usize = 3_000;

pub(super) fn routes() -> Routes {
    let room = "/Account/{auth_id}/Conference/{name}";
    let member = |action: &str| format!("{room}/Member/{{member_id}}{action}");
    let undone = || delete(async |_: Scoped, path: MemberPath| unbuilt(path.check()));
    Routes::new()
        .route("/Account/{auth_id}/Conference", get(all).delete(all))
        .route(room, get(one).delete(one))
        .route(&format!("{room}/Record"), post(record).delete(one))
        .route(&member(""), undone())
        .route(&member("/Kick"), acted(|_| {}))
        .route(&member("/Mute"), acted(|_| {}).merge(undone()))
        .route(&member("/Deaf"), acted(|_| {}).merge(undone()))
        .route(&member("/Play"), acted(play).merge(undone()))
        .route(&member("/Speak"), acted(speak).merge(undone()))
}

/// `{name}` and `{member_id}`.
type MemberPath = Path<(String, String, String)>;

trait Checked {
    fn check(self) -> Result<(), ApiError>;
}

impl Checked for MemberPath {
    fn check(self) -> Result<(), ApiError> {
        let Path((_, name, members)) = self;
        named(&name)?;
        let ids: Vec<&str> = members.split(',').map(str::trim).collect();
        let good = |id: &&str| !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_digit());
        if ids.len() > MEMBERS_MAX || (members != "all" && !ids.iter().all(good)) {
            return Err(ApiError::field("member_id", "is a member's number, several with commas, or all"));
        }
        Ok(())
    }
}

fn named(name: &str) -> Result<(), ApiError> {
    if name.trim().is_empty() || name.chars().count() > NAME_MAX || name.chars().any(char::is_control) {
        return Err(ApiError::field("conference_name", "is 1 to 255 characters"));
    }
    Ok(())
}

/// What every right request is told.
fn unbuilt(checked: Result<(), ApiError>) -> ApiError {
    match checked {
        Ok(()) => not_built::sentence("Conferences"),
        Err(wrong) => wrong,
    }
}

async fn all(_: Scoped) -> ApiError {
    unbuilt(Ok(()))
}

async fn one(_: Scoped, Path((_, name)): Path<(String, String)>) -> ApiError {
    unbuilt(named(&name))
}

async fn record(_: Scoped, Path((_, name)): Path<(String, String)>, posted: Posted<Fields>) -> ApiError {
    let mut fields = posted.value;
    let _ = fields.word(&["file_format"], &["mp3", "wav"]);
    let _ = fields.url(&["recording_callback_url", "callback_url"]);
    let _ = fields.method(&["recording_callback_method", "callback_method"]);
    let _ = fields.url(&["transcription_url"]);
    unbuilt(named(&name).and_then(|()| fields.check_sentence()))
}

fn play(fields: &mut Fields) {
    // One URL, or a list of which each is one.
    match fields.raw(&["url", "urls"]) {
        Some(Value::Array(urls)) if !urls.is_empty() => {}
        _ => {
            let _ = fields.required_url(&["url", "urls"]);
        }
    }
}

fn speak(fields: &mut Fields) {
    let _ = fields.required(&["text"], TEXT_MAX);
    let _ = fields.text(&["voice"], 64);
    let _ = fields.text(&["language"], 32);
}

fn acted(read: fn(&mut Fields)) -> MethodRouter<AppState> {
    post(async move |_: Scoped, path: MemberPath, posted: Posted<Fields>| {
        let mut fields = posted.value;
        read(&mut fields);
        unbuilt(path.check().and_then(|()| fields.check_sentence()))
    })
}
