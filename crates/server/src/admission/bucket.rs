//! A token bucket: so many a second, with a burst of one second's worth; who is patient may have a token of the near future.

use std::time::{Duration, Instant};

/// Tokens left and when they were counted. Below zero are tokens promised to those who wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    counted_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_second: impl Into<f64>, now: Instant) -> Self {
        Self { tokens: burst(per_second.into()), counted_at: now }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, per_second: impl Into<f64>, now: Instant) -> bool {
        self.claim(per_second, Duration::ZERO, now).is_some()
    }

    /// Takes the next token, which may be one of the future: how long until it is there. `None` takes nothing: those who wait already
    /// have every token of as long as `patience` lasts. First come, first served.
    pub(crate) fn claim(
        &mut self,
        per_second: impl Into<f64>,
        patience: Duration,
        now: Instant,
    ) -> Option<Duration> {
        let missing = self.missing(per_second, now)?;
        if missing > patience {
            return None;
        }
        self.tokens -= 1.0;
        Some(missing)
    }

    /// Whether there is a token, without taking it.
    pub(crate) fn has_token(&mut self, per_second: impl Into<f64>, now: Instant) -> bool {
        self.missing(per_second, now) == Some(Duration::ZERO)
    }

    /// How long until there is a whole token; `None` for never.
    fn missing(&mut self, per_second: impl Into<f64>, now: Instant) -> Option<Duration> {
        let rate = per_second.into();
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(burst(rate));
        self.counted_at = self.counted_at.max(now);
        if rate <= 0.0 {
            return None;
        }
        // A hair of rounding must not cost a millisecond.
        let missing = (1.0 - self.tokens - 1e-9).max(0.0) / rate;
        Some(Duration::from_secs_f64(missing))
    }
}

/// One second's worth; a whole token at least, for those slower than one a second.
fn burst(per_second: f64) -> f64 {
    if per_second > 0.0 { per_second.max(1.0) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use tandem_model::clock;

    use super::*;

    #[test]
    fn a_second_gives_its_limit_and_not_one_more() {
        let start = clock::monotonic();
        let mut bucket = Bucket::new(3, start);
        let taken = (0..10).filter(|_| bucket.take(3, start)).count();
        assert_eq!(taken, 3);
        let later = start + Duration::from_mins(1);
        let taken = (0..10).filter(|_| bucket.take(3, later)).count();
        assert_eq!(taken, 3, "an idle minute saves up one second's worth");
    }

    #[test]
    fn the_patient_get_tokens_of_the_near_future_in_turn_and_the_next_one_nothing() {
        let start = clock::monotonic();
        let mut bucket = Bucket::new(2, start);
        let patience = Duration::from_secs(1);
        let waits: Vec<_> = (0..6).map(|_| bucket.claim(2, patience, start)).collect();
        let ms = |wait: u64| Some(Duration::from_millis(wait));
        let rounded: Vec<_> = waits
            .into_iter()
            .map(|wait| wait.map(|wait| Duration::from_millis((wait.as_secs_f64() * 1000.0).round() as u64)))
            .collect();
        assert_eq!(rounded, [ms(0), ms(0), ms(500), ms(1000), None, None]);
        assert!(
            !bucket.take(2, start + Duration::from_millis(900)),
            "the tokens of this second are promised"
        );
        assert!(bucket.take(2, start + Duration::from_millis(1600)));
    }

    #[test]
    fn half_a_call_a_second_is_one_every_two() {
        let start = clock::monotonic();
        let mut bucket = Bucket::new(0.5, start);
        let taken =
            (0..100).filter(|tenth| bucket.take(0.5, start + Duration::from_millis(100 * tenth))).count();
        assert_eq!(taken, 5, "at 0, 2, 4, 6 and 8 s");
    }

    #[test]
    fn a_limit_of_none_gives_none() {
        let start = clock::monotonic();
        let mut bucket = Bucket::new(0, start);
        assert_eq!(bucket.claim(0, Duration::from_hours(1), start + Duration::from_hours(1)), None);
    }
}
