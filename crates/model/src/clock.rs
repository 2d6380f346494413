//! The one place that reads the clock. Drivers (`engine`, `server`, `cli`) call it and pass the
//! value inward; pure code takes `now` as an argument.

use std::time::Instant;

use jiff::Timestamp;

/// The monotonic clock: durations, timers, billing seconds.
#[expect(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// The wall clock, UTC: records and headers, never durations.
#[expect(clippy::disallowed_methods, reason = "the one reader of the wall clock")]
pub fn wall() -> Timestamp {
    Timestamp::now()
}
