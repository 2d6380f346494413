//! The money of one talking call, in seconds: ask for more at 80 % of what is covered, hang up at
//! the covered end when there is none.

use std::time::{Duration, Instant};

use tandem_model::ports::{Extension, Reservation};

/// Between two tries to extend while the store is away.
const RETRY: Duration = Duration::from_secs(1);

/// Watches a reservation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Meter {
    covered: Option<Duration>,
    ask: Ask,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// At 80 %.
    Later,
    /// Not before.
    After(Instant),
    /// Asked, no answer yet.
    Pending,
    /// There is no more.
    Never,
}

/// What a meter wants at some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Demand {
    /// Nothing.
    Nothing,
    /// Ask for more at this many seconds of talk.
    Extend(u64),
    /// The covered time has passed.
    HangUp,
}

impl Meter {
    /// A meter over what was reserved at admission.
    pub(crate) fn new(reservation: Reservation) -> Self {
        Self { covered: reservation.covered_s.map(Duration::from_secs), ask: Ask::Later }
    }

    /// When to look again, for a call answered at `answered`.
    pub(crate) fn deadline(&self, answered: Instant) -> Option<Instant> {
        let covered = self.covered?;
        let end = answered + covered;
        Some(match self.ask {
            Ask::Later => answered + covered * 4 / 5,
            Ask::After(at) => at.min(end),
            Ask::Pending | Ask::Never => end,
        })
    }

    /// What is due at `now`.
    pub(crate) fn look(&mut self, now: Instant, answered: Instant) -> Demand {
        let Some(covered) = self.covered else { return Demand::Nothing };
        let elapsed = now.saturating_duration_since(answered);
        if elapsed >= covered {
            return Demand::HangUp;
        }
        let due = match self.ask {
            Ask::Later => elapsed >= covered * 4 / 5,
            Ask::After(at) => now >= at,
            Ask::Pending | Ask::Never => false,
        };
        if !due {
            return Demand::Nothing;
        }
        self.ask = Ask::Pending;
        Demand::Extend(elapsed.as_secs())
    }

    /// Whoever asked the store will not hear its answer: it is asked again.
    pub(crate) fn forget_answer(&mut self, now: Instant) {
        if self.ask == Ask::Pending {
            self.ask = Ask::After(now);
        }
    }

    /// The store's answer; `None` when it could not be asked.
    pub(crate) fn answer(&mut self, now: Instant, extension: Option<Extension>) {
        match extension {
            Some(Extension::Covered(reservation)) => *self = Self::new(reservation),
            Some(Extension::Exhausted) => self.ask = Ask::Never,
            None => self.ask = Ask::After(now + RETRY),
        }
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::clock;

    use super::*;

    fn seconds(s: u64) -> Duration {
        Duration::from_secs(s)
    }

    #[test]
    fn it_asks_once_at_80_percent_and_goes_on_when_covered() {
        let start = clock::monotonic();
        let mut meter = Meter::new(Reservation { covered_s: Some(60) });
        assert_eq!(meter.deadline(start), Some(start + seconds(48)));
        assert_eq!(meter.look(start + seconds(47), start), Demand::Nothing);
        assert_eq!(meter.look(start + seconds(48), start), Demand::Extend(48));
        assert_eq!(meter.look(start + seconds(49), start), Demand::Nothing, "asked already");
        meter.answer(start + seconds(49), Some(Extension::Covered(Reservation { covered_s: Some(120) })));
        assert_eq!(meter.deadline(start), Some(start + seconds(96)));
    }

    #[test]
    fn no_more_money_hangs_up_at_the_covered_end() {
        let start = clock::monotonic();
        let mut meter = Meter::new(Reservation { covered_s: Some(60) });
        assert_eq!(meter.look(start + seconds(50), start), Demand::Extend(50));
        meter.answer(start + seconds(50), Some(Extension::Exhausted));
        assert_eq!(meter.deadline(start), Some(start + seconds(60)));
        assert_eq!(meter.look(start + seconds(59), start), Demand::Nothing);
        assert_eq!(meter.look(start + seconds(60), start), Demand::HangUp);
    }

    #[test]
    fn a_store_that_is_away_is_asked_again_until_the_covered_end() {
        let start = clock::monotonic();
        let mut meter = Meter::new(Reservation { covered_s: Some(10) });
        assert_eq!(meter.look(start + seconds(8), start), Demand::Extend(8));
        meter.answer(start + seconds(8), None);
        assert_eq!(meter.look(start + seconds(9), start), Demand::Extend(9));
        meter.answer(start + seconds(9), None);
        assert_eq!(meter.look(start + seconds(10), start), Demand::HangUp);
    }

    #[test]
    fn a_free_call_is_never_looked_at() {
        let start = clock::monotonic();
        let mut meter = Meter::new(Reservation { covered_s: None });
        assert_eq!(meter.deadline(start), None);
        assert_eq!(meter.look(start + seconds(100_000), start), Demand::Nothing);
    }
}
