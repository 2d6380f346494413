//! The one instant tests start from; everything after it is virtual.

use std::time::{Duration, Instant};

/// An origin with room before it.
#[expect(clippy::disallowed_methods, reason = "an `Instant` has no other constructor; tests only add to it")]
pub(crate) fn origin() -> Instant {
    Instant::now() + Duration::from_hours(1)
}

/// `ms` after `from`.
pub(crate) fn after(from: Instant, ms: u64) -> Instant {
    from + Duration::from_millis(ms)
}
