//! `/admin/dead-letters`: events that were given up on, and sending them again under the same id.

use std::collections::BTreeSet;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, EventId, clock};
use tandem_store::outbox::{OutboxRow, ReplayDead};

use super::commit;
use crate::api::{ApiError, AppState, Payload};

/// Read at once.
const PAGE: u32 = 500;
/// Listed at most; there may be more.
const LISTED_MAX: usize = 5000;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/admin/dead-letters", get(list)).route("/admin/dead-letters/replay", post(replay))
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let mut events = Vec::new();
    each(&state, |row| {
        events.push(json!({
            "event_id": row.event.event, "kind": row.event.kind, "account_id": row.event.account,
            "call_id": row.event.call, "url": row.event.url, "attempts": row.attempts,
            "last_status": row.last_status, "created_at": row.event.created_at,
        }));
        events.len() < LISTED_MAX
    })
    .await?;
    Ok(Json(json!({ "events": events })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Replay {
    /// An event's id, or `all`.
    event: String,
}

async fn replay(State(state): State<AppState>, body: Payload<Replay>) -> Result<Json<Value>, ApiError> {
    let wanted: Option<EventId> = match body.value.event.as_str() {
        "all" => None,
        text => Some(text.parse().map_err(|_| ApiError::field("event", "is an event's UUID, or all"))?),
    };
    let mut accounts: BTreeSet<AccountId> = BTreeSet::new();
    each(&state, |row| {
        let matches = wanted.is_none_or(|event| event == row.event.event);
        if matches {
            accounts.insert(row.event.account.clone());
        }
        wanted.is_none() || !matches
    })
    .await?;
    if let (Some(event), true) = (wanted, accounts.is_empty()) {
        return Err(ApiError::not_found(format!("No dead letter has the id {event}")));
    }
    let mut replayed = 0;
    for account in accounts {
        let command = ReplayDead { account, event: wanted, since: None, at: clock::wall() };
        replayed += commit(&state, command).await?;
    }
    Ok(Json(json!({ "replayed": replayed })))
}

/// Shows every dead letter, newest first, until `seen` has had enough.
async fn each(state: &AppState, mut seen: impl FnMut(&OutboxRow) -> bool) -> Result<(), ApiError> {
    let mut before: Option<(Timestamp, EventId)> = None;
    loop {
        let rows = state.reader.dead_letters(None, before, PAGE).await?;
        for row in &rows {
            if !seen(row) {
                return Ok(());
            }
        }
        let Some(last) = rows.last().filter(|_| rows.len() == PAGE as usize) else { return Ok(()) };
        before = Some((last.event.created_at, last.event.event));
    }
}
