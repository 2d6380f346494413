//! So many in a second of monotonic time and no more: for what strangers can make us read and say.

use std::time::{Duration, Instant};

const WINDOW: Duration = Duration::from_secs(1);

/// Allows `limit` a second; 0 is no limit.
#[derive(Debug)]
pub(crate) struct Limiter {
    limit: u32,
    window_began: Instant,
    spent: u32,
}

impl Limiter {
    /// A limiter whose first window begins `now`.
    pub(crate) fn new(now: Instant, limit: u32) -> Self {
        Self { limit, window_began: now, spent: 0 }
    }

    /// Whether one more is allowed; counts it if so.
    pub(crate) fn allow(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.window_began) >= WINDOW {
            self.window_began = now;
            self.spent = 0;
        }
        let allowed = self.limit == 0 || self.spent < self.limit;
        self.spent += u32::from(allowed);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::clock;

    use super::*;

    #[test]
    fn the_limit_holds_at_and_one_past_and_ends_with_the_second() {
        let start = clock::monotonic();
        let mut limiter = Limiter::new(start, 2);
        assert!(limiter.allow(start) && limiter.allow(start));
        assert!(!limiter.allow(start + Duration::from_millis(999)));
        assert!(limiter.allow(start + WINDOW));
        let mut unlimited = Limiter::new(start, 0);
        assert!((0..100).all(|_| unlimited.allow(start)));
    }
}
