//! Sources that are not listened to for a while, because they guess.
//!
//! Who is banned: a source that gave too many wrong answers to live challenges, whosever names it tried, known or
//! unknown; and one that came by a connection and asked for hosts that are not ours. Who never is: a source on an IP ACL,
//! a carrier, a source that has proven itself lately or holds a registration. What never counts: a stale or foreign nonce,
//! and anything a datagram says that takes no answer of ours to say. A nonce only works from the address it was sent to,
//! and a connection only stands with the address that it names; so nobody can have another banned by forging addresses.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::source::Source;

/// Most sources with an offence that are remembered; the one that offended longest ago is forgotten.
const MAX_OFFENDERS: usize = 16_384;
/// Each ban lasts so many times longer than the one before.
const ESCALATION: u64 = 4;
/// A source that behaved for so long after a ban starts anew.
const FORGIVEN_AFTER_S: u64 = 24 * 60 * 60;

/// When a source is banned, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BanRules {
    /// Offences within the window that lead to a ban; 0 for never.
    pub(crate) offences: u32,
    /// Seconds in which they count together.
    pub(crate) window_s: u64,
    /// Length of a first ban.
    pub(crate) first_s: u64,
    /// Longest ban.
    pub(crate) longest_s: u64,
}

/// What a source has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offence {
    /// A wrong answer to a live challenge.
    WrongPassword,
    /// A request for a host that is not ours, over a connection.
    Probe,
}

impl Offence {
    fn words(self) -> &'static str {
        match self {
            Self::WrongPassword => "wrong passwords",
            Self::Probe => "requests for hosts that are not ours",
        }
    }
}

/// A source that is not listened to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ban {
    /// An IPv4 address, or an IPv6 network with `/64`.
    pub source: String,
    /// Why.
    pub reason: &'static str,
    /// Since when, seconds since the epoch.
    pub since_s: u64,
    /// Until when.
    pub until_s: u64,
    /// How many bans it has had in a row, this one included.
    pub times: u32,
    /// Messages and connections that were dropped since.
    pub dropped: u64,
}

#[derive(Debug)]
struct Record {
    /// Orders records by their last offence.
    turn: u64,
    offences: u32,
    window_began_s: u64,
    since_s: u64,
    until_s: u64,
    times: u32,
    reason: Offence,
    dropped: u64,
}

#[derive(Debug, Default)]
struct Table {
    records: HashMap<Source, Record>,
    order: BTreeSet<(u64, Source)>,
    turn: u64,
}

/// The bans of one node.
#[derive(Debug)]
pub(crate) struct Bans {
    rules: BanRules,
    table: Mutex<Table>,
}

impl Bans {
    /// Nobody is banned.
    pub(crate) fn new(rules: BanRules) -> Self {
        Self { rules, table: Mutex::default() }
    }

    /// Whether a source is banned at `now_s`.
    pub(crate) fn is_banned(&self, now_s: u64, source: Source) -> bool {
        self.lock().records.get(&source).is_some_and(|record| now_s < record.until_s)
    }

    /// Counts something that a ban dropped.
    pub(crate) fn count_dropped(&self, source: Source) {
        if let Some(record) = self.lock().records.get_mut(&source) {
            record.dropped += 1;
        }
    }

    /// Counts an offence; whether it began a ban. Only for what cannot be done under a forged address.
    pub(crate) fn offend(&self, now_s: u64, source: Source, offence: Offence) -> bool {
        if self.rules.offences == 0 {
            return false;
        }
        let mut table = self.lock();
        let table = &mut *table;
        table.turn += 1;
        let turn = table.turn;
        let record = table.records.entry(source).or_insert(Record {
            turn,
            offences: 0,
            window_began_s: now_s,
            since_s: 0,
            until_s: 0,
            times: 0,
            reason: offence,
            dropped: 0,
        });
        table.order.remove(&(record.turn, source));
        table.order.insert((turn, source));
        record.turn = turn;
        let begins = record.offend(now_s, offence, self.rules);
        let until_s = record.until_s;
        while table.records.len() > MAX_OFFENDERS
            && let Some((_, forgotten)) = table.order.pop_first()
        {
            table.records.remove(&forgotten);
        }
        if begins {
            let (reason, seconds) = (offence.words(), until_s - now_s);
            tracing::warn!(%source, reason, seconds, "a source is banned: nothing it sends is read");
        }
        begins
    }

    /// A source has proven itself: what it did is forgotten.
    pub(crate) fn forgive(&self, source: Source) -> bool {
        let mut table = self.lock();
        let Some(record) = table.records.remove(&source) else { return false };
        table.order.remove(&(record.turn, source));
        true
    }

    /// The bans in force at `now_s`, the latest first.
    pub(crate) fn list(&self, now_s: u64) -> Vec<Ban> {
        let table = self.lock();
        let in_force = table.records.iter().filter(|(_, record)| now_s < record.until_s);
        let mut bans: Vec<_> = in_force
            .map(|(source, record)| Ban {
                source: source.to_string(),
                reason: record.reason.words(),
                since_s: record.since_s,
                until_s: record.until_s,
                times: record.times,
                dropped: record.dropped,
            })
            .collect();
        bans.sort_by(|a, b| (b.since_s, &a.source).cmp(&(a.since_s, &b.source)));
        bans
    }

    /// Lifts the ban of a source and forgets what led to it; whether there was one.
    pub(crate) fn lift(&self, now_s: u64, source: Source) -> bool {
        self.is_banned(now_s, source) && self.forgive(source)
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Record {
    fn offend(&mut self, now_s: u64, offence: Offence, rules: BanRules) -> bool {
        if now_s < self.until_s {
            return false;
        }
        if now_s.saturating_sub(self.window_began_s) >= rules.window_s {
            self.window_began_s = now_s;
            self.offences = 0;
        }
        self.offences += 1;
        if self.offences < rules.offences {
            return false;
        }
        if now_s.saturating_sub(self.until_s) >= FORGIVEN_AFTER_S {
            self.times = 0;
        }
        let length = (0..self.times).fold(rules.first_s, |length, _| length.saturating_mul(ESCALATION));
        self.times += 1;
        self.offences = 0;
        self.since_s = now_s;
        self.until_s = now_s + length.min(rules.longest_s).max(1);
        self.reason = offence;
        self.dropped = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: BanRules = BanRules { offences: 3, window_s: 600, first_s: 900, longest_s: 86_400 };

    fn source(number: u32) -> Source {
        Source::of(std::net::Ipv4Addr::from(number).into())
    }

    /// Offends until banned; the end of the ban.
    fn banned_until(bans: &Bans, now_s: u64) -> u64 {
        let begun = (0..3).filter(|_| bans.offend(now_s, source(1), Offence::WrongPassword)).count();
        assert_eq!(begun, 1);
        bans.list(now_s)[0].until_s
    }

    #[test]
    fn the_last_offence_within_the_window_bans_to_the_last_moment() {
        let bans = Bans::new(RULES);
        assert!(!bans.offend(100, source(1), Offence::WrongPassword));
        assert!(!bans.offend(100, source(1), Offence::WrongPassword));
        assert!(!bans.offend(700, source(1), Offence::WrongPassword), "the window has passed");
        assert!(!bans.offend(1_299, source(1), Offence::WrongPassword));
        assert!(!bans.is_banned(1_299, source(1)));
        assert!(bans.offend(1_299, source(1), Offence::WrongPassword));
        assert!(bans.is_banned(2_198, source(1)) && !bans.is_banned(2_199, source(1)));
        assert!(!bans.is_banned(1_300, source(2)));
    }

    #[test]
    fn bans_grow_longer_up_to_a_day_and_a_day_of_peace_begins_anew() {
        let bans = Bans::new(RULES);
        let mut now = 1_000_000;
        for length in [900, 3_600, 14_400, 57_600, 86_400, 86_400] {
            let until = banned_until(&bans, now);
            assert_eq!(until - now, length);
            now = until;
        }
        now += FORGIVEN_AFTER_S;
        assert_eq!(banned_until(&bans, now) - now, 900);
    }

    #[test]
    fn a_ban_is_listed_counts_what_it_drops_and_is_lifted_once() {
        let bans = Bans::new(RULES);
        banned_until(&bans, 1_000);
        bans.count_dropped(source(1));
        let listed = bans.list(1_001);
        let expected = Ban {
            source: "0.0.0.1".to_owned(),
            reason: "wrong passwords",
            since_s: 1_000,
            until_s: 1_900,
            times: 1,
            dropped: 1,
        };
        assert_eq!(listed, [expected]);
        assert!(bans.lift(1_001, source(1)) && !bans.lift(1_001, source(1)));
        assert!(bans.list(1_001).is_empty() && !bans.is_banned(1_001, source(1)));
    }

    #[test]
    fn no_rule_bans_nobody() {
        let bans = Bans::new(BanRules { offences: 0, ..RULES });
        assert!((0..1_000).all(|_| !bans.offend(100, source(1), Offence::Probe)));
    }

    #[test]
    fn the_table_is_bounded_and_forgets_the_oldest_offender() {
        let bans = Bans::new(RULES);
        for number in 0..=MAX_OFFENDERS as u32 {
            bans.offend(100, source(number), Offence::Probe);
        }
        let table = bans.lock();
        assert_eq!((table.records.len(), table.order.len()), (MAX_OFFENDERS, MAX_OFFENDERS));
        assert!(!table.records.contains_key(&source(0)));
    }
}
