//! Admits the calls of a request and hands them to the engine.

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tandem_model::ports::{Admission as _, LegTarget};
use tandem_model::{
    AccountId, CallEnd, CallFacts, CallId, ErrorCode, HangupCause, HangupSource, Refusal, clock,
};

use tandem_engine::{OriginateError, Origination};

use super::claim::Hold;
use super::order::Order;
use crate::admission::{AdmittedCall, ApiCall};
use crate::api::state::Live;
use crate::api::{ApiError, AppState};

/// Calls of one request admitted at once: they share the Writer's commits.
const AT_ONCE: usize = 32;
/// Times a call that could not be dialled is settled before it is left to the next start's reaper.
const SETTLE_ATTEMPTS: usize = 5;
/// When a refused call may be tried again, seconds.
const RETRY_AFTER_CPS_S: u32 = 1;
const RETRY_AFTER_S: u32 = 5;

/// Only a running node dials.
pub(super) fn runs_no_calls() -> ApiError {
    let words = "This node runs no calls: the server is not started";
    ApiError::because(ErrorCode::Overloaded, words).retry_after(RETRY_AFTER_S)
}

/// Fires every call of an order. The calls that were taken, in the order of their destinations; the first
/// refusal when none was.
pub(super) async fn all(
    state: &AppState,
    account: &AccountId,
    order: &Order,
    hold: &Hold,
) -> Result<Vec<CallId>, ApiError> {
    let one = |(index, target): (usize, LegTarget)| async move {
        let call = hold.call_id(state, index);
        if hold.resumed && exists(state, call).await? {
            return Ok(call);
        }
        fire(state, account, order, call, target).await.map(|()| call)
    };
    // Futures are made from owned items, so that the stream can live in a task of its own.
    let items: Vec<_> = order.targets.iter().cloned().enumerate().map(one).collect();
    let fired: Vec<Result<CallId, ApiError>> = stream::iter(items).buffered(AT_ONCE).collect().await;
    let mut refusal = None;
    let mut calls = Vec::with_capacity(fired.len());
    for outcome in fired {
        match outcome {
            Ok(call) => calls.push(call),
            Err(error) => refusal = refusal.or(Some(error)),
        }
    }
    match refusal {
        Some(refusal) if calls.is_empty() => Err(refusal),
        _ => Ok(calls),
    }
}

/// Whether a call was made before: it lives, or it has its record.
async fn exists(state: &AppState, call: CallId) -> Result<bool, ApiError> {
    Ok(state.reader.live_call(call).await?.is_some() || state.reader.has_call_record(call).await?)
}

async fn fire(
    state: &AppState,
    account: &AccountId,
    order: &Order,
    call: CallId,
    target: LegTarget,
) -> Result<(), ApiError> {
    let live = state.live.as_ref().ok_or_else(runs_no_calls)?;
    let request = || ApiCall {
        call,
        account: account.clone(),
        from: order.from.clone(),
        caller_name: order.caller_name.clone(),
        target: target.clone(),
        custom_headers: order.custom_headers.clone(),
        plan: order.plan.clone(),
        time_limit_s: order.time_limit_s,
    };
    // Another node may have opened the account or sold the number a moment ago: look again before saying no.
    // Neither refusal has left a record.
    if state.directory.account(account).is_none() {
        state.settled().await;
    }
    let mut admitted = live.admission.admit_api_call(request()).await;
    if admitted.as_ref().is_err_and(|refusal| refusal.code == ErrorCode::CallerIdNotOwned) {
        state.settled().await;
        admitted = live.admission.admit_api_call(request()).await;
    }
    let AdmittedCall { leg, application } = admitted.map_err(|refusal| refused(state, account, refusal))?;
    let facts = leg.facts.clone();
    let origination = Origination { leg, application, ring_timeout_s: order.ring_timeout_s };
    let Err(error) = live.engine.originate(origination) else { return Ok(()) };
    settle(live, &facts, error).await;
    // On record already, so no 5xx; 429 says the same to clients.
    let words = format!("The call was not dialled: {error}");
    Err(ApiError::because(ErrorCode::RateLimited, words).retry_after(RETRY_AFTER_S))
}

/// Every 429 says when to come back, and of which limit it speaks.
fn refused(state: &AppState, account: &AccountId, refusal: Refusal) -> ApiError {
    let (kind, seconds) = match refusal.code {
        ErrorCode::CpsExceeded => ("cps", RETRY_AFTER_CPS_S),
        ErrorCode::ConcurrencyExceeded => ("concurrent_calls", RETRY_AFTER_S),
        _ => return refusal.into(),
    };
    let cps = state.directory.account(account).map(|account| account.cps_limit);
    let seconds = refusal.retry_after_s.unwrap_or(seconds);
    let mut details = json!({ "limitType": kind, "retryAfter": seconds });
    if let Some(limit) = cps.filter(|_| kind == "cps") {
        details["limit"] = limit.into();
        details["current"] = limit.into();
    }
    ApiError::from(refusal).retry_after(seconds).details(details)
}

/// Ends a call the engine did not take: its money and its channel come back.
async fn settle(live: &Live, facts: &CallFacts, error: OriginateError) {
    let now = clock::wall();
    let waited = now.as_second().saturating_sub(facts.started_at.as_second());
    let end = CallEnd {
        call: facts.call,
        ended_at: now,
        progress_at: None,
        answered_at: None,
        billsec: 0,
        ring_s: u64::try_from(waited).unwrap_or_default(),
        cause: HangupCause::InternalError,
        cause_text: None,
        source: HangupSource::Error,
        disposition: "send_cancel".to_owned(),
        reason: error.to_string(),
        sip_call_id: String::new(),
        sip_user_agent: None,
        codec: None,
        quality: None,
        network_addr: None,
        carrier_addr: None,
        terminated_to: None,
        bridge: None,
        recording: None,
        answered_while_cancelling: false,
    };
    for _ in 0..SETTLE_ATTEMPTS {
        match live.admission.ended(end.clone()).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(call_id = %facts.call, %error, "a call that was not dialled is not settled yet");
            }
        }
        tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    }
}
