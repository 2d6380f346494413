//! Calls (REST reference §10): make them, look at them, end them.
//!
//! The cast: [`order`] reads a request; [`claim`] gives a keyed request the same call ids each time; [`fire`]
//! admits and dials; [`waiting`] holds calls until their turn of the account's calls per second comes. What steers a call
//! that lives (play, speak, transfer, …) is in [`actions`]: read and checked, but not built.

mod actions;
pub(super) mod claim;
mod fire;
mod order;
mod steering;
mod waiting;

use std::time::Duration;

use axum::extract::{Path, State};
use axum::routing::{delete, get};
use serde_json::{Value, json};
use tandem_model::ports::LegTarget;
use tandem_model::{CallId, HangupSource};
use tandem_store::calls::{LiveCall, LiveState};

use super::lenient::Fields;
use super::{ApiError, AppState, Dialect, Posted, Query, Reply, RequestId, Routes, records};
use crate::auth::Scoped;
use claim::Claimed;
use order::Order;
pub(crate) use waiting::WaitingCalls;

/// A call is known to the engine so soon after it was taken: asked for a few times within.
const UNTIL_KNOWN: Duration = Duration::from_millis(50);
const KNOWN_TRIES: usize = 10;
/// Queued calls listed at most.
const QUEUED_MAX: usize = 20;

/// The routes of calls.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/Call", get(list).post(make))
        .route("/Account/{auth_id}/Call/{call_uuid}", get(read).post(steering::transfer).delete(hang_up))
        .route("/Account/{auth_id}/Request/{call_uuid}", delete(hang_up))
        .merge(actions::routes())
        .merge(steering::routes())
}

fn not_found() -> ApiError {
    ApiError::not_found("call not found").word("call not found")
}

/// Without `status` it is a record that was asked for, which a call has once it has ended.
fn no_record() -> ApiError {
    not_found().hint("A call that lives is read with ?status=live, one that waits with ?status=queued.")
}

/// Make a call, or one for each of up to 1000 destinations with `<` between them. Answered once the calls
/// are admitted; those beyond the account's calls per second are queued. How they end is told to the hangup URL and the
/// status URL, and stands in the call records.
async fn make(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    request: RequestId,
    Posted { value: fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let order = order::read(fields)?;
    if state.live.is_none() {
        return Err(fire::runs_no_calls());
    }
    let claimed = claim::claim(&state, &effect, scoped.id()).await?;
    let hold = match claimed {
        Claimed::Replay(reply) => return Ok(reply),
        Claimed::Go(hold) => hold,
    };
    // Once begun it runs to its end, whether or not the client is still there: a reservation nobody dials
    // would keep its money.
    let account = scoped.id().clone();
    let task = async move {
        let fired = fire::all(&state, &account, &order, &hold).await;
        let answer = fired.map(|calls| Reply::ok(fired_body(&request, dialect, &order, &calls)));
        hold.keep(&state, &answer).await;
        answer
    };
    tokio_util::task::TaskTracker::new().spawn(task).await.map_err(ApiError::internal)?
}

/// The typed clients know one string; others get a list for several calls, and what became of each destination.
fn fired_body(
    request: &RequestId,
    dialect: Dialect,
    order: &Order,
    outcomes: &[Result<CallId, ApiError>],
) -> Value {
    let several = order.targets.len() > 1;
    let calls: Vec<CallId> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).copied().collect();
    let ids = if several && !dialect.is_fern() { json!(calls) } else { json!(calls.first()) };
    let mut body = json!({ "api_id": request.api_id, "message": "Call fired", "request_uuid": ids.clone() });
    if dialect.is_fern() {
        return body;
    }
    body["call_uuid"] = ids;
    if several {
        let destination = |(target, outcome): (&LegTarget, &Result<CallId, ApiError>)| {
            let (LegTarget::Number(to) | LegTarget::User(to)) = target;
            match outcome {
                Ok(call) => json!({ "to": to, "call_uuid": call }),
                Err(error) => json!({ "to": to, "call_uuid": null, "error": error.code().slug() }),
            }
        };
        body["destinations"] = order.targets.iter().zip(outcomes).map(destination).collect();
    }
    body
}

/// The business a live call was stored with.
fn facts(call: &LiveCall) -> Value {
    serde_json::from_str::<Value>(&call.call.facts).map(|mut facts| facts["facts"].take()).unwrap_or_default()
}

/// Whether a live call is the account's: it pays, and a sub-account sees its own only.
fn is_of(scoped: &Scoped, call: &LiveCall) -> bool {
    call.call.account == *scoped.payer()
        && (scoped.id() == scoped.payer() || facts(call)["account"] == scoped.id().as_str())
}

/// List live (`status=live`, the default) or queued calls.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Query(mut fields): Query<Fields>,
) -> Result<Reply, ApiError> {
    let queued = status(&mut fields)? == Some("queued");
    let calls = state.reader.live_calls(scoped.payer(), None).await?;
    let most = if queued { QUEUED_MAX } else { usize::MAX };
    let ids: Vec<CallId> = calls
        .iter()
        .filter(|call| (call.call.state == LiveState::Queued) == queued && is_of(&scoped, call))
        .map(|call| call.call.call)
        .take(most)
        .collect();
    Ok(Reply::ok(json!({ "api_id": request.api_id, "calls": ids })))
}

fn status(fields: &mut Fields) -> Result<Option<&'static str>, ApiError> {
    let status = fields.word(&["status"], &["live", "queued"]).value();
    fields.check_sentence()?;
    Ok(status)
}

/// Read a live or queued call; without `status` the record of one that ended.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Query(mut fields): Query<Fields>,
) -> Result<Reply, ApiError> {
    let id: CallId = id.parse().map_err(|_| not_found())?;
    let Some(status) = status(&mut fields)? else {
        let record = records::find(&state, &scoped, id).await?.ok_or_else(no_record)?;
        let mut body = records::single(record);
        body["api_id"] = json!(request.api_id);
        body["call_uuid"] = json!(id);
        return Ok(Reply::ok(body));
    };
    let call = state.reader.live_call(id).await?.filter(|call| is_of(&scoped, call)).ok_or_else(not_found)?;
    if (call.call.state == LiveState::Queued) != (status == "queued") {
        return Err(not_found());
    }
    let caller_name = facts(&call)["caller_name"].as_str().unwrap_or_default().to_owned();
    let mut body = json!({
        "api_id": request.api_id,
        "call_status": call.call.state.as_str(),
        "call_uuid": id,
        "caller_name": caller_name,
        "direction": call.call.direction.as_str(),
        "from": call.call.from,
        "request_uuid": id,
        "to": call.call.to,
    });
    if status == "live" {
        let session_start = call.call.started_at.strftime("%Y-%m-%d %H:%M:%S%.6f");
        body["session_start"] = session_start.to_string().into();
        body["stir_attestation"] = "".into();
        body["stir_verification"] = "Not Applicable".into();
    }
    Ok(Reply::ok(body))
}

/// End a call: a live one is hung up, a queued one is never dialled.
async fn hang_up(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let id: CallId = id.parse().map_err(|_| not_found())?;
    let owned = state.reader.live_call(id).await?.filter(|call| is_of(&scoped, call));
    let _ = owned.ok_or_else(not_found)?;
    let live = state.live.as_ref().ok_or_else(fire::runs_no_calls)?;
    for _ in 0..KNOWN_TRIES {
        if waiting::cancel(&state, id).await || live.engine.hangup(id, HangupSource::ApiRequest) {
            return Ok(Reply::no_content());
        }
        // Between the queue and the engine, or just over: its row tells.
        tokio::time::sleep(UNTIL_KNOWN).await;
        if state.reader.live_call(id).await?.is_none() {
            break;
        }
    }
    Err(not_found())
}
