//! Development mode's window: `GET /` shows calls as they happen and plays their recordings. Served only
//! under `--dev`, to this machine only: it shows what the timeline shows, without credentials. `GET /dev/mail` shows the
//! mails that this node would have sent, caught by an SMTP server of its own.

mod mail;
mod mail_text;
mod smtp;

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde_json::json;
use tandem_model::CallId;
use tower::ServiceExt as _;
use tower_http::services::ServeFile;

use crate::api::AppState;

pub(crate) use smtp::{Mailbox, catch_mail};

const PAGE: &str = include_str!("page.html");

/// The window's routes.
pub(crate) fn router(state: AppState, mailbox: Mailbox) -> Router {
    Router::new()
        .merge(mail::routes(mailbox))
        .route("/", get(page))
        .route("/dev/calls", get(calls))
        .route("/dev/calls/{call}", get(call))
        .route("/dev/recordings/{file}", get(recording))
        .layer(middleware::from_fn(this_machine_only))
        .with_state(state)
}

async fn this_machine_only(request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
    if peer.is_some_and(|ip| !ip.to_canonical().is_loopback()) {
        return (
            StatusCode::FORBIDDEN,
            "This page is for the machine that runs Tandem in development mode.\n",
        )
            .into_response();
    }
    next.run(request).await
}

async fn page() -> impl IntoResponse {
    let policy = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; connect-src 'self'; \
                  media-src 'self'; img-src data:";
    ([(header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(policy))], Html(PAGE))
}

async fn calls(State(state): State<AppState>) -> Response {
    let Some(timelines) = &state.timelines else { return StatusCode::NOT_FOUND.into_response() };
    let mut calls = Vec::new();
    for timeline in timelines.recent() {
        calls.push(described(&state, timeline.call, &json!(timeline.lines)).await);
    }
    axum::Json(json!({ "calls": calls })).into_response()
}

async fn call(State(state): State<AppState>, Path(call): Path<CallId>) -> Response {
    let timeline = state.timelines.as_ref().and_then(|timelines| timelines.of(call));
    let Some(timeline) = timeline else { return StatusCode::NOT_FOUND.into_response() };
    axum::Json(described(&state, call, &json!(timeline.lines)).await).into_response()
}

/// A call with its lines, what is on record of it, and its recording.
async fn described(state: &AppState, call: CallId, lines: &serde_json::Value) -> serde_json::Value {
    let recording = recording_path(state, &call.to_string()).is_file();
    let record = match state.reader.operator_call_record(call).await {
        Ok(record) => record.map(|record| {
            json!({
                "from": record.caller_id_number, "to": record.destination_number,
                "direction": record.call_direction, "billsec": record.billsec,
                "cost": record.total_cost().to_fixed(6), "currency": record.currency,
                "cause": record.hangup_cause_name, "source": record.hangup_source,
                "mos": record.mos_milli.map(|mos| mos as f64 / 1000.0), "codec": record.codec,
                "parent": record.parent_call,
            })
        }),
        Err(error) => {
            tracing::warn!(%error, call_id = %call, "the record of a call on the page cannot be read");
            None
        }
    };
    json!({
        "call": call,
        "lines": lines,
        "record": record,
        "recording": recording.then(|| format!("/dev/recordings/{call}.wav")),
    })
}

fn recording_path(state: &AppState, stem: &str) -> std::path::PathBuf {
    state.config.node.data.join("recordings").join(format!("{stem}.wav"))
}

async fn recording(State(state): State<AppState>, Path(file): Path<String>, request: Request) -> Response {
    let Some(call) = file.strip_suffix(".wav").and_then(|stem| stem.parse::<CallId>().ok()) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    // ServeFile answers Range, which browsers need to seek.
    match ServeFile::new(recording_path(&state, &call.to_string())).oneshot(request).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}
