//! When to look at which entry next.
//!
//! Entries keep their own deadlines; the queue only promises to name an entry no later than the
//! deadline it was pushed with. Most deadlines of a busy endpoint are "64×T1 from now": those arrive
//! in order, so they wait in a ring; the others in a heap.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::time::{Duration, Instant};

/// Deadlines with what they concern.
#[derive(Debug)]
pub(crate) struct TimerQueue<T> {
    ring: VecDeque<(Instant, T)>,
    heap: BinaryHeap<Reverse<(Instant, T)>>,
    ring_span: Duration,
}

impl<T: Ord + Copy> TimerQueue<T> {
    /// A queue whose ring takes deadlines up to `ring_span` away.
    pub(crate) fn new(ring_span: Duration) -> Self {
        Self { ring: VecDeque::new(), heap: BinaryHeap::new(), ring_span }
    }

    pub(crate) fn push(&mut self, now: Instant, at: Instant, target: T) {
        let in_order = self.ring.back().is_none_or(|(last, _)| *last <= at);
        // A deadline just short of the span would make later ones wait in the heap, nothing worse.
        let near_span = at <= now + self.ring_span && at + self.ring_span / 64 >= now + self.ring_span;
        if in_order && near_span {
            self.ring.push_back((at, target));
        } else {
            self.heap.push(Reverse((at, target)));
        }
    }

    /// Deadlines waiting, those of entries that are gone included.
    pub(crate) fn len(&self) -> usize {
        self.ring.len() + self.heap.len()
    }

    /// Keep only what `is_wanted` says.
    pub(crate) fn retain(&mut self, mut is_wanted: impl FnMut(Instant, T) -> bool) {
        self.ring.retain(|(at, target)| is_wanted(*at, *target));
        self.heap.retain(|Reverse((at, target))| is_wanted(*at, *target));
    }

    pub(crate) fn next_at(&self) -> Option<Instant> {
        let ring = self.ring.front().map(|(at, _)| *at);
        let heap = self.heap.peek().map(|Reverse((at, _))| *at);
        [ring, heap].into_iter().flatten().min()
    }

    /// The earliest entry that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<(Instant, T)> {
        let at = self.next_at().filter(|at| *at <= now)?;
        if self.ring.front().is_some_and(|(front, _)| *front == at) {
            return self.ring.pop_front();
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }
}
