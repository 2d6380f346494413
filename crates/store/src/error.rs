//! What can go wrong beneath a command. Expected refusals (no money, a taken name) are values in a
//! command's output; these are the unexpected, each naming its culprit.

use thiserror::Error;

/// A failure of the store.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// The Writer's queue is full: too much is asked at once. Nothing was written.
    #[error("the writer's queue is full")]
    Overloaded,
    /// Another process has claimed this node's name since: this one must stop writing. Nothing was written.
    #[error("node {name} epoch {epoch} is no longer current: another process took the name")]
    Fenced {
        /// The node's name.
        name: String,
        /// The epoch this process held.
        epoch: i64,
    },
    /// Another process has this data directory open.
    #[error("{0} is in use by another process")]
    Locked(String),
    /// The Writer was shut down.
    #[error("the writer is closed")]
    Closed,
    /// The database cannot be reached, or its disk is full. After a lost connection a write may or may not
    /// have happened; commands are keyed, so asking again is safe.
    #[error("the database is unavailable: {0}")]
    Unavailable(String),
    /// Lost a race that the Writer re-runs by itself (SQLSTATE 40001, 40P01, SQLITE_BUSY).
    #[error("the transaction must be run again: {0}")]
    Retry(String),
    /// A statement failed for a reason no command expects: a bug, or a constraint that caught one.
    #[error("statement failed: {message}, in: {statement}")]
    Statement {
        /// The database's words.
        message: String,
        /// The start of the SQL text; never its parameters.
        statement: String,
    },
    /// A row does not have the column or type the code reads, or a stored document does not parse.
    #[error("unexpected data: {0}")]
    Data(String),
    /// The schema could not be brought up to date, or is newer than this program.
    #[error("schema: {0}")]
    Schema(String),
}

impl StoreError {
    /// A failed statement, with the start of its text.
    pub(crate) fn statement(message: impl Into<String>, sql: &str) -> Self {
        const SHOWN: usize = 120;
        let words: Vec<&str> = sql.split_whitespace().collect();
        let statement: String = words.join(" ").chars().take(SHOWN).collect();
        Self::Statement { message: message.into(), statement }
    }

    /// Whether the database itself is away: nothing is wrong with the command.
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}
