//! Unknown sources in a table of fixed size: a token bucket for each, and the bytes it has sent and was not answered.
//!
//! The table is made once and never grows: a source falls into one set of [`WAYS`] places by a keyed hash, so nobody can
//! choose whose place it takes, and the one unheard for longest makes room. Who comes while places are fought over starts
//! with one message instead of a full bucket: forged sources gain nothing by being many.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;

use super::source::Source;

/// Sets of the table.
const SETS: usize = 16_384;
/// Places in a set.
const WAYS: usize = 4;
/// A source heard within so many milliseconds has to make room: there is a crowd.
const CROWDED_MS: u64 = 1_000;
/// Most bytes that may be owed to one source.
const MAX_OWED: u32 = 16_384;
/// Tokens are counted in thousandths: a rate per second then adds itself each millisecond.
const MESSAGE: u32 = 1_000;

#[derive(Clone, Copy, Debug)]
struct Place {
    source: Option<Source>,
    heard_ms: u64,
    tokens: u32,
    owed: u32,
}

const EMPTY: Place = Place { source: None, heard_ms: 0, tokens: 0, owed: 0 };

/// See the module documentation.
#[derive(Debug)]
pub(super) struct Strangers {
    places: Box<[[Place; WAYS]]>,
    hasher: RandomState,
    /// Messages a second of one source; 0 for no limit.
    rate: u32,
    burst: u32,
}

impl Strangers {
    /// An empty table.
    pub(super) fn new(rate_per_s: u32, burst: u32) -> Self {
        let burst = burst.clamp(1, u32::MAX / MESSAGE) * MESSAGE;
        let places = vec![[EMPTY; WAYS]; SETS].into_boxed_slice();
        Self { places, hasher: RandomState::new(), rate: rate_per_s, burst }
    }

    /// A message of a source: takes a token, and owes its bytes if there was one.
    pub(super) fn hear(&mut self, now_ms: u64, source: Source, bytes: usize) -> bool {
        let (rate, burst) = (self.rate, self.burst);
        let place = self.enter(now_ms, source);
        let gained = now_ms.saturating_sub(place.heard_ms).saturating_mul(u64::from(rate));
        place.tokens = u64::from(place.tokens).saturating_add(gained).min(u64::from(burst)) as u32;
        place.heard_ms = now_ms;
        if rate > 0 {
            let Some(left) = place.tokens.checked_sub(MESSAGE) else { return false };
            place.tokens = left;
        }
        place.owed = place.owed.saturating_add(bytes.min(MAX_OWED as usize) as u32).min(MAX_OWED);
        true
    }

    /// Pays so many bytes back to a source, if it is owed so many.
    pub(super) fn owe(&mut self, source: Source, bytes: usize) -> bool {
        let set = self.set(source);
        let Some(place) = set.iter_mut().find(|place| place.source == Some(source)) else { return false };
        let left = u32::try_from(bytes).ok().and_then(|bytes| place.owed.checked_sub(bytes));
        place.owed = left.unwrap_or(place.owed);
        left.is_some()
    }

    fn enter(&mut self, now_ms: u64, source: Source) -> &mut Place {
        let burst = self.burst;
        let set = self.set(source);
        let held = set.iter().position(|place| place.source == Some(source));
        let at = held.unwrap_or_else(|| {
            let order = |place: &Place| place.source.map(|_| place.heard_ms);
            (0..WAYS).min_by_key(|way| order(&set[*way])).unwrap_or(0)
        });
        let place = &mut set[at];
        if held.is_none() {
            let crowded = place.source.is_some() && now_ms.saturating_sub(place.heard_ms) < CROWDED_MS;
            let tokens = if crowded { MESSAGE } else { burst };
            *place = Place { source: Some(source), heard_ms: now_ms, tokens, owed: 0 };
        }
        place
    }

    fn set(&mut self, source: Source) -> &mut [Place; WAYS] {
        let at = self.hasher.hash_one(source) as usize % SETS;
        &mut self.places[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(number: u32) -> Source {
        Source::of(std::net::Ipv4Addr::from(number).into())
    }

    #[test]
    fn a_bucket_holds_its_burst_and_fills_at_its_rate() {
        let mut table = Strangers::new(10, 3);
        let heard = |table: &mut Strangers, at| table.hear(at, source(1), 100);
        assert!((0..3).all(|_| heard(&mut table, 0)));
        assert!(!heard(&mut table, 99));
        assert!(heard(&mut table, 100), "a tenth of a second buys one");
        assert!(!heard(&mut table, 100));
        assert!((0..3).all(|_| heard(&mut table, 1_000_000)));
        assert!(!heard(&mut table, 1_000_000), "never more than the burst");
        assert!(table.hear(0, source(2), 100), "each source has its own");
    }

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        let mut table = Strangers::new(0, 1);
        assert!((0..100).all(|_| table.hear(0, source(1), 100)));
    }

    #[test]
    fn no_more_bytes_are_owed_than_came_and_were_not_answered() {
        let mut table = Strangers::new(0, 1);
        assert!(!table.owe(source(1), 1), "who said nothing is owed nothing");
        table.hear(0, source(1), 300);
        assert!(!table.owe(source(1), 301));
        assert!(table.owe(source(1), 200) && table.owe(source(1), 100));
        assert!(!table.owe(source(1), 1));
        for _ in 0..100 {
            table.hear(0, source(1), 8_000);
        }
        assert!(table.owe(source(1), MAX_OWED as usize) && !table.owe(source(1), 1));
    }

    #[test]
    fn what_is_over_the_rate_earns_no_answer() {
        let mut table = Strangers::new(1, 1);
        assert!(table.hear(0, source(1), 100));
        assert!(!table.hear(0, source(1), 100));
        assert!(!table.owe(source(1), 101));
    }

    #[test]
    fn a_million_forged_sources_do_not_grow_the_table_and_come_with_one_message_each() {
        let mut table = Strangers::new(1, 50);
        let before = size_of_val(&*table.places);
        for number in 0..1 << 20 {
            table.hear(number / 20_000, source(number as u32), 100);
        }
        assert_eq!(size_of_val(&*table.places), before);
        assert!(before <= 4 << 20, "{before} bytes");
        let full = (0..1 << 20).filter(|number| {
            let known = table.set(source(*number)).iter().any(|place| place.source == Some(source(*number)));
            known && (0..2).all(|_| table.hear(60, source(*number), 100))
        });
        assert_eq!(full.count(), 0, "in a crowd newcomers have no burst");
    }

    #[test]
    fn the_one_unheard_for_longest_makes_room() {
        let mut table = Strangers::new(1, 5);
        let wanted = table.hasher.hash_one(source(0)) as usize % SETS;
        let same: Vec<_> = (0..u32::MAX)
            .map(source)
            .filter(|one| table.hasher.hash_one(*one) as usize % SETS == wanted)
            .take(WAYS + 1)
            .collect();
        for (at, one) in same.iter().enumerate() {
            table.hear(at as u64, *one, 100);
        }
        assert!(!table.owe(same[0], 1), "the first is forgotten");
        assert!(same[1..].iter().all(|one| table.owe(*one, 1)));
    }
}
