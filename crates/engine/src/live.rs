//! Which calls live here: shared between the signalling thread and everybody who steers it.
//!
//! Requests from outside are latched on a call's [`Doorbell`], never queued: a hang-up cannot be
//! lost because something is full.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_model::{CallId, HangupSource};
use tokio::sync::Notify;

/// Wakes one session and holds what was asked of it.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    bell: Notify,
    /// At most one request per call of the session.
    hangups: Mutex<Vec<(CallId, HangupSource)>>,
}

impl Doorbell {
    /// Wakes the session.
    pub(crate) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Asks the session to end one of its calls; asking again changes nothing.
    pub(crate) fn hang_up(&self, call: CallId, source: HangupSource) {
        let mut hangups = lock(&self.hangups);
        if !hangups.iter().any(|(asked, _)| *asked == call) {
            hangups.push((call, source));
        }
        drop(hangups);
        self.bell.notify_one();
    }

    /// Waits for the next ring. A ring before the wait ends it at once.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Takes what was asked.
    pub(crate) fn take_hangups(&self) -> Vec<(CallId, HangupSource)> {
        std::mem::take(&mut *lock(&self.hangups))
    }
}

/// The calls of this engine and whether it takes new ones.
#[derive(Debug, Default)]
pub(crate) struct LiveCalls {
    doors: Mutex<HashMap<CallId, Arc<Doorbell>>>,
    sessions: AtomicUsize,
    draining: AtomicBool,
    overloaded: AtomicBool,
    changed: Notify,
}

impl LiveCalls {
    /// Counts a session in, unless there are `limit` already or the engine drains.
    pub(crate) fn enter(&self, limit: usize) -> bool {
        if self.is_draining() {
            return false;
        }
        self.sessions
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |live| (live < limit).then_some(live + 1))
            .is_ok()
    }

    /// Counts a session out.
    pub(crate) fn leave(&self) {
        self.sessions.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_waiters();
    }

    /// Makes a call reachable by its id.
    pub(crate) fn insert(&self, call: CallId, door: Arc<Doorbell>) {
        lock(&self.doors).insert(call, door);
    }

    /// Forgets a call.
    pub(crate) fn remove(&self, call: CallId) {
        lock(&self.doors).remove(&call);
    }

    /// Latches a hang-up; `false` when the call is not live.
    pub(crate) fn hang_up(&self, call: CallId, source: HangupSource) -> bool {
        let door = lock(&self.doors).get(&call).cloned();
        let found = door.is_some();
        if let Some(door) = door {
            door.hang_up(call, source);
        }
        found
    }

    /// Latches a hang-up on every call; returns how many.
    pub(crate) fn hang_up_all(&self, source: HangupSource) -> usize {
        let doors: Vec<_> = lock(&self.doors).iter().map(|(call, door)| (*call, Arc::clone(door))).collect();
        for (call, door) in &doors {
            door.hang_up(*call, source);
        }
        doors.len()
    }

    /// Sessions alive.
    pub(crate) fn count(&self) -> usize {
        self.sessions.load(Ordering::Acquire)
    }

    /// Takes no new calls from now on.
    pub(crate) fn start_draining(&self) {
        self.draining.store(true, Ordering::Release);
    }

    /// Whether new calls are refused.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Whether new calls are turned away for the time being.
    pub(crate) fn is_overloaded(&self) -> bool {
        self.overloaded.load(Ordering::Acquire)
    }

    /// Turns new calls away, or takes them again.
    pub(crate) fn set_overloaded(&self, overloaded: bool) {
        self.overloaded.store(overloaded, Ordering::Release);
    }

    /// Waits until no session is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let changed = self.changed.notified();
            if self.count() == 0 {
                return;
            }
            changed.await;
        }
    }
}

/// The data behind these locks stays whole at every step, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_session_limit_holds_at_and_one_past() {
        let live = LiveCalls::default();
        assert!(live.enter(2) && live.enter(2));
        assert!(!live.enter(2));
        live.leave();
        assert!(live.enter(2));
        live.leave();
        live.start_draining();
        assert!(!live.enter(2));
    }

    #[test]
    fn a_hangup_is_latched_once_per_call() {
        let live = LiveCalls::default();
        let call = CallId::random();
        assert!(!live.hang_up(call, HangupSource::ApiRequest));
        let door = Arc::new(Doorbell::default());
        live.insert(call, Arc::clone(&door));
        for _ in 0..1_000 {
            assert!(live.hang_up(call, HangupSource::ApiRequest));
        }
        assert_eq!(door.take_hangups(), [(call, HangupSource::ApiRequest)]);
        assert!(door.take_hangups().is_empty());
    }
}
