//! Who guessed passwords wrongly, and for how long nobody listens to them.

use std::net::IpAddr;

/// Wrong responses that lead to a ban.
pub const FAILURE_LIMIT: u32 = 5;
/// The span in which they count.
pub const FAILURE_WINDOW_SECONDS: u64 = 60;
/// Length of a ban.
pub const BAN_SECONDS: u64 = 15 * 60;
/// Most (source, user) pairs remembered; beyond it the least recently seen is forgotten.
pub const MAX_TRACKED_SOURCES: usize = 16_384;

/// Counts wrong responses per (source, user) and bans the pair.
#[derive(Debug, Default)]
pub struct FailureLedger {}

impl FailureLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one [`super::Verdict::WrongPassword`]. `response` is the response text: the same text
    /// again is a retransmission and counts once. Returns the end of the ban if there is one now.
    pub fn record(&mut self, now: u64, source: IpAddr, username: &str, response: &str) -> Option<u64> {
        let _ = (now, source, username, response);
        todo!()
    }

    /// Forgets a pair that has authenticated.
    pub fn clear(&mut self, source: IpAddr, username: &str) {
        let _ = (source, username);
        todo!()
    }

    /// The end of the ban on a pair, if it is banned at `now`.
    pub fn banned_until(&self, now: u64, source: IpAddr, username: &str) -> Option<u64> {
        let _ = (now, source, username);
        todo!()
    }
}
