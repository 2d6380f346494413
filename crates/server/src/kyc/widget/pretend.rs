//! The sandbox's DigiLocker: a page that asks for consent and goes back where the visit came from.

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Redirect, Response};

use super::fields::Form;
use super::page::{View, render};
use super::texts::Language;
use crate::api::Query;
use crate::kyc::Desk;
use crate::kyc::verifier::Consent;

#[derive(serde::Deserialize)]
pub(super) struct Visit {
    #[serde(default)]
    request: String,
}

fn unknown() -> Response {
    render(StatusCode::NOT_FOUND, &View { stage: "over", ..View::default() }, Language::English)
}

pub(super) async fn ask(State(desk): State<Desk>, Query(visit): Query<Visit>) -> Response {
    if !desk.sandbox.knows(&visit.request) {
        return unknown();
    }
    let view = View { stage: "pretend", request: visit.request, ..View::default() };
    render(StatusCode::OK, &view, Language::English)
}

pub(super) async fn answer(State(desk): State<Desk>, body: Bytes) -> Response {
    let form = Form::parse(&body);
    let consent = if form.get("say") == "granted" { Consent::Given } else { Consent::Denied };
    match desk.sandbox.answer(form.get("request"), consent) {
        Some(url) => Redirect::to(&url).into_response(),
        None => unknown(),
    }
}
