//! When to serve each arrival at once and when to gather a few.
//!
//! Falling asleep, waking and (for the Writer) committing cost more than most of the work they are
//! for. While arrivals are sparse each is served at once. While they are dense, rounds begin at
//! most once per [`Tempo::gather`]: that adds half of it to the delay on average. Rounds that
//! gather nothing prove that whoever sends waits for the answer first; then nothing is gathered
//! for a while. Used by the media workers and by the Writer. Pure: the time is passed in.

use std::time::{Duration, Instant};

/// How long a rhythm that gathered in vain serves at once.
const REST: Duration = Duration::from_secs(1);

/// How a [`Rhythm`] gathers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tempo {
    /// The shortest time between the beginnings of two rounds.
    pub gather: Duration,
    /// How long arrivals are counted before deciding.
    pub window: Duration,
    /// Arrivals in a window from which gathering pays.
    pub dense: usize,
    /// The same, and the time between rounds, for arrivals so dense that longer rounds pay again.
    pub crowded: Option<(usize, Duration)>,
    /// Arrivals a round must have on average for gathering to go on.
    pub worthwhile: usize,
}

impl Tempo {
    /// How long to gather when a window had this many arrivals.
    fn gather_for(&self, arrivals: usize) -> Option<Duration> {
        let crowded = self.crowded.filter(|(least, _)| arrivals >= *least).map(|(_, gather)| gather);
        crowded.or_else(|| (arrivals >= self.dense).then_some(self.gather))
    }
}

/// Decides between serving at once and gathering.
#[derive(Debug)]
pub struct Rhythm {
    tempo: Tempo,
    window_ends: Instant,
    arrivals: usize,
    rounds: usize,
    /// How long rounds gather at present.
    gathering: Option<Duration>,
    rests_until: Instant,
}

impl Rhythm {
    /// Starts by serving at once.
    pub fn new(tempo: Tempo, now: Instant) -> Self {
        Self {
            tempo,
            window_ends: now + tempo.window,
            arrivals: 0,
            rounds: 0,
            gathering: None,
            rests_until: now,
        }
    }

    /// Takes note of a round that began at `now` and served `arrivals`.
    pub fn note(&mut self, now: Instant, arrivals: usize) {
        self.arrivals += arrivals;
        self.rounds += usize::from(arrivals > 0);
        if now < self.window_ends {
            return;
        }
        // A window that ran over its end was quiet: nothing came to end it.
        let on_time = now < self.window_ends + self.tempo.window;
        let was_gathering = self.gathering.is_some();
        self.gathering = on_time.then(|| self.tempo.gather_for(self.arrivals)).flatten();
        if was_gathering && self.arrivals < self.tempo.worthwhile * self.rounds {
            self.gathering = None;
            self.rests_until = now + REST;
        }
        self.arrivals = 0;
        self.rounds = 0;
        self.window_ends = now + self.tempo.window;
    }

    /// How long to leave arrivals alone at `now` when the last round began at `round`.
    pub fn pause(&self, round: Instant, now: Instant) -> Option<Duration> {
        let left = (round + self.gathering?).checked_duration_since(now)?;
        (now >= self.rests_until && !left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    const TEMPO: Tempo = Tempo {
        gather: Duration::from_millis(1),
        window: Duration::from_millis(10),
        dense: 40,
        crowded: Some((200, Duration::from_millis(3))),
        worthwhile: 2,
    };

    #[test]
    fn dense_arrivals_are_gathered_and_sparse_ones_served_at_once() {
        let start = clock::monotonic();
        let mut rhythm = Rhythm::new(TEMPO, start);
        let at = |ms| start + Duration::from_millis(ms);
        for ms in 1..=10 {
            rhythm.note(at(ms), 4);
        }
        assert_eq!(rhythm.pause(at(10), at(10)), Some(TEMPO.gather));
        assert_eq!(rhythm.pause(at(10), at(11)), None);
        for ms in 11..=20 {
            rhythm.note(at(ms), if ms == 15 { 3 } else { 4 });
        }
        assert_eq!(rhythm.pause(at(20), at(20)), None, "one arrival short");
    }

    #[test]
    fn crowded_arrivals_are_gathered_for_longer() {
        let start = clock::monotonic();
        let mut rhythm = Rhythm::new(TEMPO, start);
        let at = |ms| start + Duration::from_millis(ms);
        for ms in 1..=10 {
            rhythm.note(at(ms), 20);
        }
        assert_eq!(rhythm.pause(at(10), at(10)), Some(Duration::from_millis(3)));
        for ms in 11..=20 {
            rhythm.note(at(ms), if ms == 15 { 19 } else { 20 });
        }
        assert_eq!(rhythm.pause(at(20), at(20)), Some(TEMPO.gather), "one arrival short");
    }

    #[test]
    fn a_crowd_after_a_long_quiet_is_not_taken_for_density() {
        let start = clock::monotonic();
        let mut rhythm = Rhythm::new(TEMPO, start);
        let late = start + Duration::from_secs(5);
        rhythm.note(late, 1_000);
        assert_eq!(rhythm.pause(late, late), None);
    }

    #[test]
    fn one_sender_that_waits_for_each_answer_is_not_slowed() {
        let start = clock::monotonic();
        let mut rhythm = Rhythm::new(Tempo { dense: 10, ..TEMPO }, start);
        let at = |ms| start + Duration::from_millis(ms);
        for half_ms in 1..=20 {
            rhythm.note(start + Duration::from_micros(500 * half_ms), 1);
        }
        assert!(rhythm.pause(at(10), at(10)).is_some(), "dense, so it was tried");
        for ms in 11..=20 {
            rhythm.note(at(ms), 1);
        }
        assert_eq!(rhythm.pause(at(20), at(20)), None, "each round gathered one");
        for ms in 21..=30 {
            rhythm.note(at(ms), 4);
        }
        assert_eq!(rhythm.pause(at(30), at(30)), None, "not tried again at once");
        for ms in 1_011..=1_030 {
            rhythm.note(at(ms), 4);
        }
        assert!(rhythm.pause(at(1_030), at(1_030)).is_some());
    }
}
