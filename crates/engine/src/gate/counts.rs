//! What the edge has dropped and why, for the operator.

use std::sync::atomic::{AtomicU64, Ordering};

/// One reason to count.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Counted {
    /// A source, unknown or proven, spoke more often than it may.
    OverRate,
    /// All unknown sources together did.
    Crowd,
    /// The source is banned.
    Banned,
    /// The request named a host that is not ours.
    Foreign,
    /// The response would have been larger than what was asked.
    Withheld,
    /// Challenges and refusals reached their limit per second.
    AnswersLimited,
    /// A wrong answer to a live challenge.
    WrongAnswer,
    /// A ban began.
    BanBegun,
}

/// The counters, written by the shard and read by anybody.
#[derive(Debug, Default)]
pub(crate) struct EdgeCounters {
    over_rate: AtomicU64,
    crowd: AtomicU64,
    banned: AtomicU64,
    foreign: AtomicU64,
    withheld: AtomicU64,
    answers_limited: AtomicU64,
    wrong_answers: AtomicU64,
    bans: AtomicU64,
}

/// What the edge has dropped since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct EdgeCounts {
    /// Messages of sources that spoke more often than they may, unread.
    pub over_rate: u64,
    /// Messages of unknown sources past what all of them together may send, unread.
    pub crowd: u64,
    /// Messages and connections of banned sources, unread.
    pub banned: u64,
    /// Requests that named a host that is not ours, without answer.
    pub foreign: u64,
    /// Responses not sent because they were larger than what was asked.
    pub withheld: u64,
    /// Challenges and refusals not sent because they had reached their limit per second.
    pub answers_limited: u64,
    /// Wrong answers to live challenges.
    pub wrong_answers: u64,
    /// Bans that began.
    pub bans: u64,
}

impl EdgeCounters {
    /// Counts one.
    pub(crate) fn count(&self, what: Counted) {
        let counter = match what {
            Counted::OverRate => &self.over_rate,
            Counted::Crowd => &self.crowd,
            Counted::Banned => &self.banned,
            Counted::Foreign => &self.foreign,
            Counted::Withheld => &self.withheld,
            Counted::AnswersLimited => &self.answers_limited,
            Counted::WrongAnswer => &self.wrong_answers,
            Counted::BanBegun => &self.bans,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// What was counted so far.
    pub(crate) fn read(&self) -> EdgeCounts {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        EdgeCounts {
            over_rate: of(&self.over_rate),
            crowd: of(&self.crowd),
            banned: of(&self.banned),
            foreign: of(&self.foreign),
            withheld: of(&self.withheld),
            answers_limited: of(&self.answers_limited),
            wrong_answers: of(&self.wrong_answers),
            bans: of(&self.bans),
        }
    }
}
