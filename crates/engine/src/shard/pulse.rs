//! How long work waits for this thread: a datagram in the socket's buffer, a session for its turn.
//!
//! The buffer cannot be asked how old its oldest datagram is, but it is no older than the last time the buffer was found
//! empty. A session's wait is measured by a task that is woken now and then, like a session, and says when its turn came.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tandem_model::clock;
use tokio::sync::Notify;

use super::Shard;
use crate::overload::{Pressure, Stance};

/// Between two questions.
const EVERY: Duration = Duration::from_millis(20);
/// An answer older than this says nothing about now.
const FRESH: Duration = Duration::from_millis(100);

#[derive(Debug)]
pub(super) struct Pulse {
    bell: Notify,
    asked: Cell<Option<Instant>>,
    /// When the last answer came, and how long it took.
    answered: Cell<(Instant, Duration)>,
    /// Since when the socket has not been found empty.
    behind_since: Cell<Option<Instant>>,
}

impl Pulse {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            bell: Notify::new(),
            asked: Cell::new(None),
            answered: Cell::new((now, Duration::ZERO)),
            behind_since: Cell::new(None),
        }
    }

    /// The socket was read until nothing was left.
    pub(super) fn emptied(&self) {
        self.behind_since.set(None);
    }

    /// The socket may hold more than was read.
    pub(super) fn left_some(&self, now: Instant) {
        self.behind_since.set(self.behind_since.get().or(Some(now)));
    }

    /// Asks, if it is time to.
    fn ask(&self, now: Instant) {
        let (answered, _) = self.answered.get();
        if self.asked.get().is_none() && now.saturating_duration_since(answered) >= EVERY {
            self.asked.set(Some(now));
            self.bell.notify_one();
        }
    }

    /// The asked task has its turn.
    fn answer(&self, now: Instant) {
        if let Some(asked) = self.asked.take() {
            self.answered.set((now, now.saturating_duration_since(asked)));
        }
    }

    /// How long what comes now will wait, as far as is known.
    fn waited(&self, now: Instant) -> Duration {
        let (answered, took) = self.answered.get();
        let last = if now.saturating_duration_since(answered) < FRESH { took } else { Duration::ZERO };
        let asked = self.asked.get().map_or(Duration::ZERO, |asked| now.saturating_duration_since(asked));
        let socket =
            self.behind_since.get().map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        last.max(asked) + socket
    }
}

impl Shard {
    /// The task that stands in line with the sessions.
    pub(super) async fn beat(self: Rc<Self>) {
        loop {
            self.pulse.bell.notified().await;
            self.pulse.answer(clock::monotonic());
        }
    }

    /// Decides whether calls that come now are taken.
    pub(super) fn weigh(&self) {
        let now = clock::monotonic();
        self.pulse.ask(now);
        let pressure = Pressure {
            waited: self.pulse.waited(now),
            writes: self.ports.admission.backlog(),
            full: self.live.is_draining() || self.live.count() >= self.config.limits.sessions,
        };
        let stance = self.overload.borrow_mut().judge(now, pressure);
        let turns_away = (stance != Stance::Takes).then_some(self.config.limits.retry_after_s);
        self.endpoint.borrow_mut().turn_invites_away(turns_away);
        let overloaded = stance == Stance::Overloaded;
        if overloaded == self.live.is_overloaded() {
            return;
        }
        self.live.set_overloaded(overloaded);
        let turned_away = self.endpoint.borrow().stats().turned_away;
        let (waited_ms, writes) = (pressure.waited.as_millis(), pressure.writes);
        if overloaded {
            tracing::warn!(waited_ms, writes, "overloaded: new calls are answered 503");
        } else {
            tracing::warn!(
                turned_away,
                "new calls are taken again; so many were turned away since the start"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_is_that_of_the_last_answer_or_of_the_open_question_and_of_the_socket() {
        let start = clock::monotonic();
        let at = |ms| start + Duration::from_millis(ms);
        let ms = Duration::from_millis;
        let pulse = Pulse::new(start);
        pulse.ask(at(19));
        assert_eq!(pulse.waited(at(500)), ms(0), "too soon to ask again");
        pulse.ask(at(20));
        assert_eq!(pulse.waited(at(50)), ms(30));
        pulse.answer(at(60));
        assert_eq!(pulse.waited(at(61)), ms(40));
        pulse.left_some(at(70));
        pulse.left_some(at(80));
        assert_eq!(pulse.waited(at(90)), ms(40 + 20));
        pulse.emptied();
        assert_eq!(pulse.waited(at(160)), ms(0), "an old answer says nothing");
    }
}
