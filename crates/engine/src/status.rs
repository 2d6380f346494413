//! What an operator can see of an engine: how full its tables and queues are, and what it has counted.

/// What a reading means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadingKind {
    /// Entries that belong to calls and requests: none is left 32 s (RFC 3261, 64×T1) after the last of them.
    Drains,
    /// Entries that outlast calls: registrations, connections, what is known of peers.
    Stays,
    /// Counted since the start.
    Counts,
}

/// One number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// Its name: words of `a-z` and `_`.
    pub name: &'static str,
    /// What it is, in a few words.
    pub help: &'static str,
    /// What it means.
    pub kind: ReadingKind,
    /// The number.
    pub value: u64,
}

impl Reading {
    /// A table or queue that is empty when there are no calls.
    pub fn drains(name: &'static str, help: &'static str, value: usize) -> Self {
        Self { name, help, kind: ReadingKind::Drains, value: value as u64 }
    }

    /// A table that outlasts calls.
    pub fn stays(name: &'static str, help: &'static str, value: usize) -> Self {
        Self { name, help, kind: ReadingKind::Stays, value: value as u64 }
    }

    /// A count since the start.
    pub fn counts(name: &'static str, help: &'static str, value: u64) -> Self {
        Self { name, help, kind: ReadingKind::Counts, value }
    }
}
