//! The one place that reads the clock. Drivers (`engine`, `server`, `cli`) call it and pass the
//! value inward; pure code takes `now` as an argument.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Instant;

use jiff::{SignedDuration, Timestamp};

/// What the wall clock is ahead of the world's, in seconds.
static AHEAD_S: AtomicI64 = AtomicI64::new(0);

/// The monotonic clock: durations, timers, billing seconds.
#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock, UTC: records and headers, never durations.
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn wall() -> Timestamp {
    let ahead = AHEAD_S.load(Ordering::Relaxed);
    if ahead == 0 {
        return Timestamp::now();
    }
    Timestamp::now() + SignedDuration::from_secs(ahead)
}

/// Puts the wall clock ahead for the rest of the process: how a development node lives through months in a minute. At most
/// a century.
pub fn set_ahead(seconds: u32) {
    const CENTURY_S: u32 = 3_155_760_000;
    AHEAD_S.store(i64::from(seconds.min(CENTURY_S)), Ordering::Relaxed);
}
