//! Which calls live here: shared between the signalling thread and everybody who steers it.
//!
//! Requests from outside are latched on a call's [`Doorbell`], never queued: a hang-up cannot be
//! lost because something is full.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tandem_model::{CallId, HangupSource};
use tokio::sync::Notify;

use crate::steer::{LiveOrder, MAX_WAITING_ORDERS, SteerError};

/// Wakes one session and holds what was asked of it.
#[derive(Debug, Default)]
pub(crate) struct Doorbell {
    bell: Notify,
    /// At most one request per call of the session.
    hangups: Mutex<Vec<(CallId, HangupSource)>>,
    /// At most [`MAX_WAITING_ORDERS`].
    orders: Mutex<Vec<LiveOrder>>,
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

    /// Leaves an order; it comes back when there is no place.
    pub(crate) fn order(&self, order: LiveOrder) -> Result<(), LiveOrder> {
        let mut orders = lock(&self.orders);
        if orders.len() >= MAX_WAITING_ORDERS {
            return Err(order);
        }
        orders.push(order);
        drop(orders);
        self.bell.notify_one();
        Ok(())
    }

    /// Takes what was ordered.
    pub(crate) fn take_orders(&self) -> Vec<LiveOrder> {
        std::mem::take(&mut *lock(&self.orders))
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

    /// Leaves an order with the session of a call.
    pub(crate) fn order(&self, order: LiveOrder) -> Result<(), SteerError> {
        let door = lock(&self.doors).get(&order.call).cloned().ok_or(SteerError::NotInProgress)?;
        door.order(order).map_err(|_| SteerError::Busy)
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
    fn orders_wait_up_to_their_limit_and_one_more_is_refused() {
        let live = LiveCalls::default();
        let call = CallId::random();
        let order = || {
            let (answer, told) = tokio::sync::oneshot::channel();
            let command = crate::LiveCommand::StopPlaying(crate::SoundKind::Files);
            drop(told);
            LiveOrder { call, command, answer }
        };
        assert_eq!(live.order(order()), Err(SteerError::NotInProgress));
        let door = Arc::new(Doorbell::default());
        live.insert(call, Arc::clone(&door));
        for _ in 0..MAX_WAITING_ORDERS {
            assert_eq!(live.order(order()), Ok(()));
        }
        assert_eq!(live.order(order()), Err(SteerError::Busy));
        assert_eq!(door.take_orders().len(), MAX_WAITING_ORDERS);
        assert_eq!(live.order(order()), Ok(()), "places are given back");
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
