//! Sources that have shown who they are: by a right answer to a challenge that was sent to them, by a registration, or
//! because we call them. Their bucket is far larger, a flood does not compete with them for answers, and nobody can have
//! them banned.
//!
//! Nobody enters by a forged address: each way in takes a message that only reaches who lives there, or our own decision
//! to send. What does not fit is not remembered, which costs it only these privileges.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::source::Source;

/// Most sources remembered.
const MAX_PROVEN: usize = 65_536;
/// Tokens are counted in thousandths: a rate per second then adds itself each millisecond.
const MESSAGE: u64 = 1_000;

#[derive(Debug)]
struct Standing {
    until_ms: u64,
    heard_ms: u64,
    tokens: u64,
}

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Proven {
    standings: HashMap<Source, Standing>,
    /// Messages a second of one source; 0 for no limit.
    rate: u64,
    burst: u64,
    swept_ms: u64,
}

impl Proven {
    /// Nobody.
    pub(super) fn new(rate_per_s: u32, burst: u32) -> Self {
        let burst = u64::from(burst.max(1)) * MESSAGE;
        Self { standings: HashMap::new(), rate: u64::from(rate_per_s), burst, swept_ms: 0 }
    }

    /// Takes a token of a proven source: whether there was one. `None` for a source that is not proven.
    pub(super) fn take(&mut self, now_ms: u64, source: Source) -> Option<bool> {
        let (rate, burst) = (self.rate, self.burst);
        let standing = self.standings.get_mut(&source).filter(|standing| now_ms < standing.until_ms)?;
        let gained = now_ms.saturating_sub(standing.heard_ms).saturating_mul(rate);
        standing.tokens = standing.tokens.saturating_add(gained).min(burst);
        standing.heard_ms = now_ms;
        if rate == 0 {
            return Some(true);
        }
        let left = standing.tokens.checked_sub(MESSAGE);
        standing.tokens = left.unwrap_or(standing.tokens);
        Some(left.is_some())
    }

    /// Whether a source is proven.
    pub(super) fn is_proven(&self, now_ms: u64, source: Source) -> bool {
        self.standings.get(&source).is_some_and(|standing| now_ms < standing.until_ms)
    }

    /// A source is proven until then, or longer if it was already.
    pub(super) fn insert(&mut self, now_ms: u64, source: Source, until_ms: u64) {
        if self.standings.len() >= MAX_PROVEN && self.swept_ms + 1_000 <= now_ms {
            self.swept_ms = now_ms;
            self.standings.retain(|_, standing| now_ms < standing.until_ms);
        }
        let is_full = self.standings.len() >= MAX_PROVEN;
        let burst = self.burst;
        match self.standings.entry(source) {
            Entry::Occupied(mut standing) => {
                let standing = standing.get_mut();
                if standing.until_ms <= now_ms {
                    standing.tokens = burst;
                }
                standing.until_ms = standing.until_ms.max(until_ms);
            }
            Entry::Vacant(place) if !is_full => {
                place.insert(Standing { until_ms, heard_ms: now_ms, tokens: burst });
            }
            Entry::Vacant(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> Source {
        Source::of(std::net::Ipv4Addr::from(number).into())
    }

    #[test]
    fn a_proven_source_stays_so_to_the_last_moment_and_has_its_own_bucket() {
        let mut proven = Proven::new(2, 2);
        assert_eq!(proven.take(0, source(1)), None);
        proven.insert(0, source(1), 1_000);
        assert_eq!([0; 3].map(|at| proven.take(at, source(1))), [Some(true), Some(true), Some(false)]);
        assert_eq!(proven.take(500, source(1)), Some(true));
        proven.insert(600, source(1), 700);
        assert!(proven.is_proven(999, source(1)), "a shorter proof does not shorten a longer one");
        assert!(!proven.is_proven(1_000, source(1)));
        assert_eq!(proven.take(1_000, source(1)), None);
    }

    #[test]
    fn the_table_is_bounded_and_makes_room_of_what_has_expired() {
        let mut proven = Proven::new(0, 1);
        for number in 0..=MAX_PROVEN as u32 {
            proven.insert(5, source(number), 100);
        }
        assert_eq!(proven.standings.len(), MAX_PROVEN);
        assert!(!proven.is_proven(5, source(MAX_PROVEN as u32)));
        proven.insert(2_000, source(MAX_PROVEN as u32), 3_000);
        assert!(proven.is_proven(2_000, source(MAX_PROVEN as u32)));
        assert_eq!(proven.standings.len(), 1);
    }
}
