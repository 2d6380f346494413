//! Changes of something read before: applied to what was read, refused by the store when it changed
//! meanwhile, then tried anew.

use jiff::{SignedDuration, Timestamp};
use tandem_model::{ErrorCode, clock};

use super::ApiError;

/// Times a change is applied anew before giving up.
pub(super) const ATTEMPTS: usize = 4;

/// What tells it from other conflicts.
const STALE: &str = "changed_meanwhile";

/// Now, but later than the revision read: two changes within a microsecond are still two.
pub(super) fn after(read: Timestamp) -> Timestamp {
    clock::wall().max(read + SignedDuration::from_micros(1))
}

/// Others changed it each time.
pub(super) fn stale() -> ApiError {
    ApiError::because(ErrorCode::Conflict, "It is being changed by others: try again")
        .hint("Send it again.")
        .word(STALE)
        .retry_after(1)
}

/// Whether that is why: then what is to be changed is read again.
pub(super) fn is_stale(error: &ApiError) -> bool {
    error.code() == ErrorCode::Conflict && error.shown_word() == STALE
}
