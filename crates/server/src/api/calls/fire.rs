//! Admits the calls of a request and hands them to the engine.

use std::time::Duration;

use futures_util::{StreamExt as _, stream};
use serde_json::json;
use tandem_model::ports::{Admission as _, LegTarget};
use tandem_model::{AccountId, CallEnd, CallId, ErrorCode, HangupCause, HangupSource, Refusal, clock};

use tandem_engine::{OriginateError, Origination};

use super::claim::Hold;
use super::order::Order;
use super::waiting;
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

/// Fires every call of an order. What became of each destination, in their order; the first refusal when no call was taken.
pub(super) async fn all(
    state: &AppState,
    account: &AccountId,
    order: &Order,
    hold: &Hold,
) -> Result<Vec<Result<CallId, ApiError>>, ApiError> {
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
    match fired.iter().find_map(|outcome| outcome.as_ref().err()) {
        Some(refusal) if fired.iter().all(Result::is_err) => Err(refusal.clone()),
        _ => Ok(fired),
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
        patience: live.waiting.patience(Duration::from_millis(state.config.api.call_queue_ms)),
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
    let admitted = admitted.map_err(|refusal| refused(state, account, refusal))?;
    if !admitted.wait.is_zero() {
        waiting::dial_later(state, admitted, order.ring_timeout_s);
        return Ok(());
    }
    dial(live, admitted, order.ring_timeout_s).await.map_err(|error| {
        // On record already, so no 5xx; 429 says the same to clients.
        let words = format!("The call was not dialled: {error}");
        ApiError::because(ErrorCode::RateLimited, words).retry_after(RETRY_AFTER_S)
    })
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

/// Why a call ends that was never dialled.
pub(super) struct Ending {
    pub(super) cause: HangupCause,
    pub(super) source: HangupSource,
    pub(super) reason: String,
}

/// Dials an admitted call; one the engine does not take ends here.
pub(super) async fn dial(
    live: &Live,
    admitted: AdmittedCall,
    ring_timeout_s: Option<u32>,
) -> Result<(), OriginateError> {
    let AdmittedCall { leg, application, .. } = admitted;
    let call = leg.facts.call;
    let Err(error) = live.engine.originate(Origination { leg, application, ring_timeout_s }) else {
        return Ok(());
    };
    let ending =
        Ending { cause: HangupCause::InternalError, source: HangupSource::Error, reason: error.to_string() };
    settle(live, call, ending).await;
    Err(error)
}

/// Ends a call that was not dialled: its money and its channel come back.
pub(super) async fn settle(live: &Live, call: CallId, ending: Ending) {
    let Ending { cause, source, reason } = ending;
    let end = CallEnd {
        call,
        ended_at: clock::wall(),
        progress_at: None,
        answered_at: None,
        billsec: 0,
        ring_s: 0,
        cause,
        cause_text: None,
        source,
        disposition: "send_cancel".to_owned(),
        reason,
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
                tracing::error!(call_id = %call, %error, "a call that was not dialled is not settled yet");
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}
