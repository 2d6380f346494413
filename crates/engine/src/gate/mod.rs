//! The gate in front of SIP: who may speak how often, whose words are not read at all, and how much may be answered.
//!
//! Used by the shard, which asks before it parses ([`Gate::admit`]) and before it answers ([`Gate::may_answer`]), and by
//! the operator, who reads [`EdgeCounts`] and lists and lifts bans. The cast:
//!
//! * [`source`] — what counts as one source: an IPv4 address, an IPv6 /64.
//! * [`strangers`] — a table of fixed size: a token bucket and the bytes owed to each unknown source.
//! * [`proven`] — sources that have shown who they are lately.
//! * [`bans`] — sources that guess passwords.
//!
//! What holds whatever arrives: memory is that of the tables, which do not grow with the number of sources; known peers
//! (carriers, IP ACLs) pass without limit and are never banned; unknown sources never get more bytes than they sent.

mod bans;
mod counts;
mod proven;
mod source;
mod strangers;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use bans::Ban;
pub(crate) use bans::{BanRules, Bans, Offence};
pub use counts::EdgeCounts;
pub(crate) use counts::{Counted, EdgeCounters};
pub(crate) use source::Source;

use crate::config::EdgeLimits;
use crate::limiter::Limiter;
use proven::Proven;
use strangers::Strangers;

/// Asks the directory about an address; only where it decides something.
pub(crate) type IsKnown<'a> = &'a dyn Fn() -> bool;

/// The gate of one shard.
pub(crate) struct Gate {
    limits: EdgeLimits,
    born: Instant,
    strangers: Strangers,
    proven: Proven,
    crowd: Limiter,
    answers: Limiter,
    bans: Arc<Bans>,
    counters: Arc<EdgeCounters>,
}

impl Gate {
    /// A gate that nobody has passed.
    pub(crate) fn new(
        now: Instant,
        limits: EdgeLimits,
        bans: Arc<Bans>,
        counters: Arc<EdgeCounters>,
    ) -> Self {
        Self {
            limits,
            born: now,
            strangers: Strangers::new(limits.stranger_rate_per_s, limits.stranger_burst),
            proven: Proven::new(limits.proven_rate_per_s, limits.proven_burst),
            crowd: Limiter::new(now, limits.strangers_per_s),
            answers: Limiter::new(now, limits.answers_per_s),
            bans,
            counters,
        }
    }

    /// Whether a message of `bytes` bytes that has just come by datagram is read. `is_known` says whether the address is
    /// a carrier's or stands on an IP ACL.
    pub(crate) fn admit(
        &mut self,
        now: Instant,
        wall_s: u64,
        address: IpAddr,
        bytes: usize,
        is_known: IsKnown<'_>,
    ) -> bool {
        let source = Source::of(address);
        let now_ms = self.ms(now);
        if let Some(has_token) = self.proven.take(now_ms, source) {
            let passes = has_token || is_known();
            if !passes {
                self.counters.count(Counted::OverRate);
            }
            return passes;
        }
        if self.bans.is_banned(wall_s, source) && !is_known() {
            self.bans.count_dropped(source);
            self.counters.count(Counted::Banned);
            return false;
        }
        if !self.strangers.hear(now_ms, source, bytes) && !is_known() {
            self.counters.count(Counted::OverRate);
            return false;
        }
        if !self.crowd.allow(now) && !is_known() {
            self.counters.count(Counted::Crowd);
            return false;
        }
        true
    }

    /// Whether a connection of this address may be used: its rate is bounded by the connection itself.
    pub(crate) fn admits_connection(
        &mut self,
        now: Instant,
        wall_s: u64,
        address: IpAddr,
        is_known: IsKnown<'_>,
    ) -> bool {
        let source = Source::of(address);
        let banned = self.bans.is_banned(wall_s, source)
            && !self.proven.is_proven(self.ms(now), source)
            && !is_known();
        if banned {
            self.bans.count_dropped(source);
            self.counters.count(Counted::Banned);
        }
        !banned
    }

    /// Whether a response of `bytes` bytes may go to an address by datagram: to strangers never more than they sent.
    pub(crate) fn may_answer(
        &mut self,
        now: Instant,
        address: IpAddr,
        bytes: usize,
        is_known: IsKnown<'_>,
    ) -> bool {
        let source = Source::of(address);
        if self.proven.is_proven(self.ms(now), source) || self.strangers.owe(source, bytes) || is_known() {
            return true;
        }
        self.counters.count(Counted::Withheld);
        false
    }

    /// Whether one more challenge or refusal may be said to somebody who has proven nothing. Known and proven sources do
    /// not compete with a flood for it.
    pub(crate) fn may_refuse(&mut self, now: Instant, address: IpAddr, is_known: IsKnown<'_>) -> bool {
        if self.answers.allow(now) || self.proven.is_proven(self.ms(now), Source::of(address)) || is_known() {
            return true;
        }
        self.counters.count(Counted::AnswersLimited);
        false
    }

    /// The source has answered a challenge rightly: it is who it says, at this address.
    pub(crate) fn proved(&mut self, now: Instant, address: IpAddr) {
        self.registered(now, address, Duration::ZERO);
        self.bans.forgive(Source::of(address));
    }

    /// The source holds a registration for so long.
    pub(crate) fn registered(&mut self, now: Instant, address: IpAddr, time: Duration) {
        let now_ms = self.ms(now);
        let until_ms = now_ms + self.limits.proven_for.max(time).as_millis() as u64;
        self.proven.insert(now_ms, Source::of(address), until_ms);
    }

    /// We send requests there: answers, and requests of the dialogs that come of it, are expected.
    pub(crate) fn asked(&mut self, now: Instant, address: IpAddr) {
        let now_ms = self.ms(now);
        self.proven.insert(now_ms, Source::of(address), now_ms + self.limits.asked_for.as_millis() as u64);
    }

    /// A wrong answer to a live challenge of ours. Its nonce went to this address and came back, so the address is not
    /// forged.
    pub(crate) fn guessed(&mut self, now: Instant, wall_s: u64, address: IpAddr, is_known: IsKnown<'_>) {
        self.counters.count(Counted::WrongAnswer);
        self.accuse(now, wall_s, address, Offence::WrongPassword, is_known);
    }

    /// A request for a host that is not ours, over a connection.
    pub(crate) fn probed(&mut self, now: Instant, wall_s: u64, address: IpAddr, is_known: IsKnown<'_>) {
        self.accuse(now, wall_s, address, Offence::Probe, is_known);
    }

    fn accuse(
        &mut self,
        now: Instant,
        wall_s: u64,
        address: IpAddr,
        offence: Offence,
        is_known: IsKnown<'_>,
    ) {
        let source = Source::of(address);
        if self.proven.is_proven(self.ms(now), source) || is_known() {
            return;
        }
        if self.bans.offend(wall_s, source, offence) {
            self.counters.count(Counted::BanBegun);
        }
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.born).as_millis() as u64
    }
}

#[cfg(test)]
mod tests;
