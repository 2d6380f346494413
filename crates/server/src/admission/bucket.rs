//! A token bucket: so many a second, with a burst of one second's worth.

use std::time::Instant;

/// Tokens left and when they were counted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    tokens: f64,
    counted_at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub(crate) fn new(per_second: u32, now: Instant) -> Self {
        Self { tokens: f64::from(per_second), counted_at: now }
    }

    /// Takes a token if there is one.
    pub(crate) fn take(&mut self, per_second: u32, now: Instant) -> bool {
        let rate = f64::from(per_second);
        let passed = now.saturating_duration_since(self.counted_at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate).min(rate.max(1.0));
        self.counted_at = now;
        let taken = self.tokens >= 1.0;
        if taken {
            self.tokens -= 1.0;
        }
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
}
