//! Who guessed passwords wrongly, and for how long nobody listens to them.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

/// Wrong responses that lead to a ban.
pub const FAILURE_LIMIT: u32 = 5;
/// The span in which they count.
pub const FAILURE_WINDOW_SECONDS: u64 = 60;
/// Length of a ban.
pub const BAN_SECONDS: u64 = 15 * 60;
/// Most (source, user) pairs remembered; beyond it the least recently seen is forgotten.
pub const MAX_TRACKED_SOURCES: usize = 16_384;

type Pair = (IpAddr, String);

/// Counts wrong responses per (source, user) and bans the pair.
///
/// Sources on an access list are not to be asked about: UDP addresses can be forged, and a ban must
/// not cut off a carrier.
#[derive(Debug, Default)]
pub struct FailureLedger {
    records: HashMap<Pair, Record>,
    /// Pairs by the turn in which they last failed: the first is the one to forget.
    order: BTreeMap<u64, Pair>,
    turn: u64,
}

#[derive(Debug)]
struct Record {
    turn: u64,
    /// Times of the failures within the window, oldest first; at most [`FAILURE_LIMIT`].
    failures: Vec<u64>,
    last_response: String,
    banned_until: Option<u64>,
}

impl FailureLedger {
    /// An empty ledger.
    pub fn new() -> Self {
        Self::default()
    }

    /// Counts one [`super::Verdict::WrongPassword`]. `response` is the response text: the same text
    /// again is a retransmission and counts once. Returns the end of the ban if there is one now.
    pub fn record(&mut self, now: u64, source: IpAddr, username: &str, response: &str) -> Option<u64> {
        let pair = pair(source, username);
        self.turn += 1;
        let turn = self.turn;
        let record = self.records.entry(pair.clone()).or_insert_with(|| Record {
            turn,
            failures: Vec::new(),
            last_response: String::new(),
            banned_until: None,
        });
        self.order.remove(&record.turn);
        record.turn = turn;
        self.order.insert(turn, pair);
        let banned_until = record.fail(now, response);
        self.forget_surplus();
        banned_until
    }

    /// Forgets a pair that has authenticated.
    pub fn clear(&mut self, source: IpAddr, username: &str) {
        if let Some(record) = self.records.remove(&pair(source, username)) {
            self.order.remove(&record.turn);
        }
    }

    /// The end of the ban on a pair, if it is banned at `now`.
    pub fn banned_until(&self, now: u64, source: IpAddr, username: &str) -> Option<u64> {
        self.records.get(&pair(source, username))?.banned_until.filter(|until| now < *until)
    }

    fn forget_surplus(&mut self) {
        while self.records.len() > MAX_TRACKED_SOURCES {
            let Some((_, oldest)) = self.order.pop_first() else { return };
            self.records.remove(&oldest);
        }
    }
}

impl Record {
    fn fail(&mut self, now: u64, response: &str) -> Option<u64> {
        if let Some(until) = self.banned_until {
            if now < until {
                return Some(until);
            }
            self.banned_until = None;
        }
        if self.last_response == response {
            return None;
        }
        response.clone_into(&mut self.last_response);
        self.failures.retain(|failed_at| now.saturating_sub(*failed_at) < FAILURE_WINDOW_SECONDS);
        self.failures.push(now);
        if self.failures.len() < FAILURE_LIMIT as usize {
            return None;
        }
        self.failures.clear();
        self.banned_until = Some(now + BAN_SECONDS);
        self.banned_until
    }
}

fn pair(source: IpAddr, username: &str) -> Pair {
    (source.to_canonical(), username.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(last: u32) -> IpAddr {
        IpAddr::V4(last.into())
    }

    #[test]
    fn fifth_wrong_response_within_a_minute_bans_for_fifteen_minutes() {
        let mut ledger = FailureLedger::new();
        for attempt in 0..FAILURE_LIMIT - 1 {
            assert_eq!(ledger.record(100 + u64::from(attempt), source(1), "u", &attempt.to_string()), None);
        }
        assert_eq!(ledger.banned_until(104, source(1), "u"), None);
        let until = 159 + BAN_SECONDS;
        assert_eq!(ledger.record(159, source(1), "u", "last"), Some(until));
        assert_eq!(ledger.banned_until(until - 1, source(1), "u"), Some(until));
        assert_eq!(ledger.banned_until(until, source(1), "u"), None);
        // Another user of that source and that user from elsewhere are not banned.
        assert_eq!(ledger.banned_until(160, source(1), "v"), None);
        assert_eq!(ledger.banned_until(160, source(2), "u"), None);
    }

    #[test]
    fn failures_a_minute_apart_never_ban() {
        let mut ledger = FailureLedger::new();
        for attempt in 0..50 {
            let now = 100 + attempt * FAILURE_WINDOW_SECONDS / 4;
            assert_eq!(ledger.record(now, source(1), "u", &attempt.to_string()), None);
        }
    }

    #[test]
    fn retransmitted_wrong_response_counts_once() {
        let mut ledger = FailureLedger::new();
        for _ in 0..50 {
            assert_eq!(ledger.record(100, source(1), "u", "same"), None);
        }
    }

    #[test]
    fn success_clears_and_ended_ban_starts_from_zero() {
        let mut ledger = FailureLedger::new();
        for attempt in 0..FAILURE_LIMIT - 1 {
            ledger.record(100, source(1), "u", &attempt.to_string());
        }
        ledger.clear(source(1), "u");
        assert_eq!(ledger.record(100, source(1), "u", "x"), None);
        let mut until = None;
        for attempt in 0..FAILURE_LIMIT {
            until = ledger.record(100, source(2), "u", &attempt.to_string());
        }
        let after = until.unwrap();
        assert_eq!(ledger.record(after, source(2), "u", "again"), None);
    }

    #[test]
    fn memory_is_bounded_at_the_limit_and_forgets_the_least_recent() {
        let mut ledger = FailureLedger::new();
        for number in 0..=MAX_TRACKED_SOURCES as u32 {
            ledger.record(100, source(number), "u", "x");
        }
        assert_eq!(ledger.records.len(), MAX_TRACKED_SOURCES);
        assert_eq!(ledger.order.len(), MAX_TRACKED_SOURCES);
        assert!(!ledger.records.contains_key(&pair(source(0), "u")));
        assert!(ledger.records.contains_key(&pair(source(1), "u")));
    }
}
