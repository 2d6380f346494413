//! `/admin/bans` and `/admin/edge`: who is not listened to, lifting that, and what the edge has dropped. Both live in the
//! memory of the running node.

use axum::extract::{Path, State};
use axum::routing::{delete, get};
use axum::{Json, Router};
use jiff::Timestamp;
use serde_json::{Value, json};
use tandem_engine::{Ban, EngineHandle};

use crate::api::{ApiError, AppState};

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/bans", get(list))
        .route("/admin/bans/{source}", delete(lift))
        .route("/admin/edge", get(counts))
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let bans: Vec<_> = engine(&state)?.bans().iter().map(shown).collect();
    Ok(Json(json!({ "bans": bans })))
}

async fn lift(State(state): State<AppState>, Path(source): Path<String>) -> Result<Json<Value>, ApiError> {
    match engine(&state)?.lift_ban(&source) {
        Some(true) => Ok(Json(json!({ "lifted": source }))),
        Some(false) => Err(ApiError::not_found(format!("No ban on {source}"))),
        None => Err(ApiError::field("source", "is an IP address, or a network as it is listed")),
    }
}

async fn counts(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    Ok(Json(json!({ "dropped": engine(&state)?.edge_counts() })))
}

fn engine(state: &AppState) -> Result<&EngineHandle, ApiError> {
    let live = state.live.as_ref();
    live.map(|live| &live.engine).ok_or_else(|| ApiError::not_found("No node runs on this data folder"))
}

fn shown(ban: &Ban) -> Value {
    let time =
        |seconds: u64| i64::try_from(seconds).ok().and_then(|seconds| Timestamp::from_second(seconds).ok());
    json!({"source": ban.source, "reason": ban.reason, "since": time(ban.since_s), "until": time(ban.until_s),
        "times": ban.times, "dropped": ban.dropped})
}
