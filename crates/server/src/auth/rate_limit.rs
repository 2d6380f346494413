//! Requests a second of each account, as token buckets on this node.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tandem_model::AccountId;

/// Buckets kept before full ones are forgotten: a full bucket remembers nothing.
const FORGET_ABOVE: usize = 10_000;

/// A limit and a bucket for each account that has asked lately.
pub(crate) struct RateLimiter {
    per_second: f64,
    burst: f64,
    buckets: Mutex<HashMap<AccountId, Bucket>>,
}

#[derive(Clone, Copy)]
struct Bucket {
    tokens: f64,
    counted_at: Instant,
}

impl RateLimiter {
    /// So many a second, and so many at once after a pause.
    pub(crate) fn new(per_second: u32, burst: u32) -> Self {
        Self {
            per_second: f64::from(per_second.max(1)),
            burst: f64::from(burst.max(1)),
            buckets: Mutex::default(),
        }
    }

    /// The limit, for people.
    pub(crate) fn per_second(&self) -> u32 {
        self.per_second as u32
    }

    /// Takes one request's token; `Err` says after how many whole seconds there will be one.
    pub(crate) fn take(&self, account: &AccountId, now: Instant) -> Result<(), u32> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        if buckets.len() > FORGET_ABOVE {
            buckets.retain(|_, bucket| self.refilled(*bucket, now) < self.burst);
        }
        let bucket = buckets.entry(account.clone()).or_insert(Bucket { tokens: self.burst, counted_at: now });
        let tokens = self.refilled(*bucket, now);
        *bucket = Bucket { tokens: if tokens >= 1.0 { tokens - 1.0 } else { tokens }, counted_at: now };
        if tokens >= 1.0 { Ok(()) } else { Err(((1.0 - tokens) / self.per_second).ceil().max(1.0) as u32) }
    }

    fn refilled(&self, bucket: Bucket, now: Instant) -> f64 {
        let passed = now.saturating_duration_since(bucket.counted_at).as_secs_f64();
        (bucket.tokens + passed * self.per_second).min(self.burst)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_model::clock;

    use super::*;

    #[test]
    fn an_account_gets_its_burst_then_its_rate_and_takes_nothing_from_others() {
        let limiter = RateLimiter::new(2, 5);
        let (a, b) = (AccountId::new("MA_A"), AccountId::new("MA_B"));
        let start = clock::monotonic();
        let taken =
            |account: &AccountId, at: Instant| (0..20).filter(|_| limiter.take(account, at).is_ok()).count();
        assert_eq!(taken(&a, start), 5);
        assert_eq!(limiter.take(&a, start), Err(1));
        assert_eq!(taken(&b, start), 5);
        assert_eq!(taken(&a, start + Duration::from_secs(1)), 2);
        assert_eq!(taken(&a, start + Duration::from_mins(10)), 5);
    }
}
