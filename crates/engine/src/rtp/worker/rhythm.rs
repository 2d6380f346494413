//! When to answer each datagram at once and when to gather a few.
//!
//! Falling asleep and waking costs as much as relaying three packets. Below the threshold a
//! worker answers at once; above it, it looks at its sockets once a millisecond, which adds half a
//! millisecond of delay on average and halves the cost of a packet.

use std::time::{Duration, Instant};

/// How long datagrams are gathered. Commands and playout wait as long at most.
const GATHER: Duration = Duration::from_millis(1);
/// How long traffic is counted before deciding.
const WINDOW: Duration = Duration::from_millis(10);
/// Datagrams in a window from which gathering pays: four per pause (80 talking legs).
const DENSE: usize = 40;

#[derive(Debug)]
pub(super) struct Rhythm {
    window_ends: Instant,
    datagrams: usize,
    gathering: bool,
}

impl Rhythm {
    pub(super) fn new(now: Instant) -> Self {
        Self { window_ends: now + WINDOW, datagrams: 0, gathering: false }
    }

    /// Takes note of a round that began at `now` and served this many sockets.
    pub(super) fn note(&mut self, now: Instant, served: usize) {
        self.datagrams += served;
        if now >= self.window_ends {
            // A window that ran over its end was quiet: the poll waited.
            let on_time = now < self.window_ends + WINDOW;
            self.gathering = on_time && self.datagrams >= DENSE;
            self.datagrams = 0;
            self.window_ends = now + WINDOW;
        }
    }

    /// How long to leave the sockets alone at `now` when the last round began at `round`.
    pub(super) fn pause(&self, round: Instant, now: Instant) -> Option<Duration> {
        let left = (round + GATHER).checked_duration_since(now)?;
        (self.gathering && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_model::clock;

    #[test]
    fn dense_traffic_is_gathered_and_sparse_traffic_answered_at_once() {
        let start = clock::monotonic();
        let mut rhythm = Rhythm::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        for ms in 1..=10 {
            rhythm.note(at(ms), 4);
        }
        assert_eq!(rhythm.pause(at(10), at(10)), Some(GATHER));
        assert_eq!(rhythm.pause(at(10), at(11)), None);
        for ms in 11..=20 {
            rhythm.note(at(ms), if ms == 15 { 3 } else { 4 });
        }
        assert_eq!(rhythm.pause(at(20), at(20)), None, "one datagram short");
    }

    #[test]
    fn a_crowd_after_a_long_quiet_is_not_taken_for_dense_traffic() {
        let start = clock::monotonic();
        let mut rhythm = Rhythm::new(start);
        let late = start + Duration::from_secs(5);
        rhythm.note(late, 1_000);
        assert_eq!(rhythm.pause(late, late), None);
    }
}
