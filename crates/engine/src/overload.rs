//! When new calls are turned away so that those that exist can go on.
//!
//! What decides is how long work waits, not how much there is: a queue that empties in time is no harm. The first
//! measures are the signalling thread's own (a message in the socket's buffer, a session's turn), then the commands that
//! wait for the Writer, and how many sessions there are. A wait above the limit must last a moment before anybody is
//! turned away, and must fall to half before calls are taken again. Pure: the time is passed in.

use std::time::{Duration, Instant};

/// A wait above the limit for less than this is a hiccup of the machine.
const HICCUP: Duration = Duration::from_millis(150);
/// Commands waiting for the Writer: four full batches.
pub(crate) const MAX_WAITING_WRITES: usize = 1_024;

/// What presses at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pressure {
    /// How long messages and sessions wait for the signalling thread.
    pub(crate) waited: Duration,
    /// Commands that wait to be made durable.
    pub(crate) writes: usize,
    /// As many sessions live as may, or the node drains.
    pub(crate) full: bool,
}

/// Whether the node takes new calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stance {
    Takes,
    /// One call less and it takes another.
    Full,
    Overloaded,
}

/// Decides whether new calls are taken.
#[derive(Debug)]
pub(crate) struct Overload {
    /// Longest wait; zero for any.
    limit: Duration,
    above_since: Option<Instant>,
    overloaded: bool,
}

impl Overload {
    /// Takes calls until told otherwise; waits of more than `limit` are too long, unless it is zero.
    pub(crate) fn new(limit: Duration) -> Self {
        Self { limit, above_since: None, overloaded: false }
    }

    /// What becomes of calls that come now.
    pub(crate) fn judge(&mut self, now: Instant, pressure: Pressure) -> Stance {
        let above = self.is_beyond(pressure, 1);
        self.above_since = if above { self.above_since.or(Some(now)) } else { None };
        let lasts = self.above_since.is_some_and(|since| now.saturating_duration_since(since) >= HICCUP);
        self.overloaded = lasts || (self.overloaded && self.is_beyond(pressure, 2));
        match (self.overloaded, pressure.full) {
            (true, _) => Stance::Overloaded,
            (false, true) => Stance::Full,
            (false, false) => Stance::Takes,
        }
    }

    /// Whether more than the `part`th part of a limit is used.
    fn is_beyond(&self, pressure: Pressure, part: u32) -> bool {
        (!self.limit.is_zero() && pressure.waited > self.limit / part)
            || pressure.writes > MAX_WAITING_WRITES / part as usize
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::clock;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(150);

    fn waited(ms: u64) -> Pressure {
        Pressure { waited: Duration::from_millis(ms), ..Pressure::default() }
    }

    fn writes(writes: usize) -> Pressure {
        Pressure { writes, ..Pressure::default() }
    }

    /// What is decided at each of these milliseconds.
    fn course(limit: Duration, course: &[(u64, Pressure)]) -> Vec<Stance> {
        let start = clock::monotonic();
        let mut overload = Overload::new(limit);
        course
            .iter()
            .map(|(ms, pressure)| overload.judge(start + Duration::from_millis(*ms), *pressure))
            .collect()
    }

    #[test]
    fn a_wait_that_lasts_turns_calls_away_until_it_has_halved() {
        use Stance::{Overloaded, Takes};
        let stances = course(
            LIMIT,
            &[
                (0, waited(150)),
                (10, waited(151)),
                (159, waited(300)),
                (160, waited(300)),
                (170, waited(76)),
                (180, waited(75)),
                (190, waited(151)),
            ],
        );
        assert_eq!(stances, [Takes, Takes, Takes, Overloaded, Overloaded, Takes, Takes]);
    }

    #[test]
    fn a_hiccup_turns_nobody_away() {
        let stances =
            course(LIMIT, &[(0, waited(900)), (149, waited(900)), (150, waited(10)), (400, waited(900))]);
        assert_eq!(stances, [Stance::Takes; 4]);
    }

    #[test]
    fn a_writer_that_is_behind_turns_calls_away() {
        let (most, half) = (MAX_WAITING_WRITES, MAX_WAITING_WRITES / 2);
        let stances = course(
            Duration::ZERO,
            &[
                (0, writes(most)),
                (1, writes(most + 1)),
                (151, writes(most + 1)),
                (152, writes(half + 1)),
                (153, writes(half)),
            ],
        );
        use Stance::{Overloaded, Takes};
        assert_eq!(stances, [Takes, Takes, Overloaded, Overloaded, Takes]);
    }

    #[test]
    fn without_a_limit_work_may_wait() {
        assert_eq!(course(Duration::ZERO, &[(0, waited(9_000)), (9_000, waited(9_000))]), [Stance::Takes; 2]);
    }

    #[test]
    fn a_full_node_turns_away_at_once_and_no_longer_than_it_is_full() {
        let full = Pressure { full: true, ..Pressure::default() };
        assert_eq!(course(LIMIT, &[(0, full), (1, Pressure::default())]), [Stance::Full, Stance::Takes]);
    }
}
