//! Calls that wait for their turn of their account's calls per second. Their money and their channel are taken, their rows
//! say `queued`; here is who may still take them back. How many wait is bounded twice: by the patience of admission
//! (`api.call_queue_ms`) for an account, by [`WAITING_MAX`] for a node. If the process dies, the reaper settles them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_model::{CallId, HangupCause, HangupSource};
use tokio::sync::Notify;

use super::fire::{self, Ending};
use crate::admission::AdmittedCall;
use crate::api::AppState;

/// Calls waiting on one node at most.
const WAITING_MAX: usize = 10_000;

/// The calls that wait. Clones are handles.
#[derive(Clone, Default)]
pub(crate) struct WaitingCalls(Arc<Mutex<HashMap<CallId, Arc<Notify>>>>);

impl WaitingCalls {
    /// How long one more may wait.
    pub(super) fn patience(&self, configured: Duration) -> Duration {
        if self.lock().len() < WAITING_MAX { configured } else { Duration::ZERO }
    }

    /// How many wait.
    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    fn insert(&self, call: CallId) -> Arc<Notify> {
        let taken_back = Arc::new(Notify::new());
        self.lock().insert(call, Arc::clone(&taken_back));
        taken_back
    }

    /// Takes the call out; whoever gets `true` decides what becomes of it.
    fn take(&self, call: CallId) -> bool {
        let taken = self.lock().remove(&call);
        if let Some(waiting) = &taken {
            waiting.notify_one();
        }
        taken.is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CallId, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Dials an admitted call when its turn comes, unless it is taken back before.
pub(super) fn dial_later(state: &AppState, admitted: AdmittedCall, ring_timeout_s: Option<u32>) {
    let Some(live) = &state.live else { return };
    let (call, wait) = (admitted.leg.facts.call, admitted.wait);
    let taken_back = live.waiting.insert(call);
    let state = state.clone();
    tokio_util::task::TaskTracker::new().spawn(async move {
        let Some(live) = &state.live else { return };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = taken_back.notified() => return,
        }
        if !live.waiting.take(call) {
            return;
        }
        live.admission.turn_came(call);
        if let Err(error) = fire::dial(live, admitted, ring_timeout_s).await {
            tracing::warn!(call_id = %call, %error, "a call that waited for its turn was not dialled");
        }
    });
}

/// Takes a waiting call back, as its account wishes; `false` when it does not wait.
pub(super) async fn cancel(state: &AppState, call: CallId) -> bool {
    let Some(live) = state.live.as_ref().filter(|live| live.waiting.take(call)) else { return false };
    let ending = Ending {
        cause: HangupCause::Canceled,
        source: HangupSource::ApiRequest,
        reason: "Canceled before it was dialled".to_owned(),
    };
    fire::settle(live, call, ending).await;
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_taken_once() {
        let waiting = WaitingCalls::default();
        let call = CallId::random();
        waiting.insert(call);
        assert_eq!(waiting.count(), 1);
        assert!(waiting.take(call));
        assert!(!waiting.take(call), "somebody else has it");
    }

    #[test]
    fn a_node_lets_so_many_wait_and_then_nobody() {
        let waiting = WaitingCalls::default();
        let patience = Duration::from_secs(5);
        for _ in 0..WAITING_MAX - 1 {
            waiting.insert(CallId::random());
        }
        assert_eq!(waiting.patience(patience), patience);
        let last = CallId::random();
        waiting.insert(last);
        assert_eq!(waiting.patience(patience), Duration::ZERO);
        waiting.take(last);
        assert_eq!(waiting.patience(patience), patience);
    }
}
