//! Deadlines of many legs, of which one each matters.
//!
//! Nearly every packet moves its leg's deadline later (media timeout, reports), so an entry is
//! only pushed when a deadline moves earlier than what is armed; when an entry falls due the leg
//! is asked again.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::plane::MediaKey;

/// A due leg: the slot it lived in when the entry was made, and its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Due {
    pub(super) at: Instant,
    pub(super) slot: usize,
    pub(super) key: MediaKey,
}

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Timers {
    heap: BinaryHeap<Reverse<Due>>,
}

impl Timers {
    /// Arms `due` unless `armed` comes first; returns what is armed now.
    pub(super) fn arm(&mut self, armed: Option<Instant>, due: Due) -> Option<Instant> {
        match armed {
            Some(earlier) if earlier <= due.at => armed,
            _ => {
                self.heap.push(Reverse(due));
                Some(due.at)
            }
        }
    }

    /// The next entry due at `now`; may be stale.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Due> {
        let Reverse(first) = self.heap.peek()?;
        if first.at > now {
            return None;
        }
        self.heap.pop().map(|Reverse(due)| due)
    }

    pub(super) fn next(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse(due)| due.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tandem_model::clock;

    #[test]
    fn only_an_earlier_deadline_makes_an_entry() {
        let start = clock::monotonic();
        let at = |ms| Due { at: start + Duration::from_millis(ms), slot: 3, key: MediaKey::new(0, 3) };
        let mut timers = Timers::default();
        let mut armed = timers.arm(None, at(100));
        armed = timers.arm(armed, at(200));
        assert_eq!(timers.heap.len(), 1);
        armed = timers.arm(armed, at(50));
        assert_eq!((armed, timers.heap.len()), (Some(at(50).at), 2));
        assert_eq!(timers.next(), Some(at(50).at));
        assert_eq!(timers.pop(at(49).at), None);
        assert_eq!(timers.pop(at(50).at), Some(at(50)));
    }
}
