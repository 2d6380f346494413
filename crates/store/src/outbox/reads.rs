//! What people ask of the outbox: the events of a call with every attempt, dead letters, counts.

use jiff::Timestamp;
use tandem_model::{AccountId, CallId, EventId};

use super::{OutboxEvent, event_of};
use crate::value::Row;
use crate::{Reader, StoreError};

/// An event with the state of its delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxRow {
    /// What is sent and where.
    pub event: OutboxEvent,
    /// `pending`, `delivered` or `dead`.
    pub state: String,
    /// Attempts made.
    pub attempts: u32,
    /// When the next one is due.
    pub due_at: Timestamp,
    /// When it arrived.
    pub delivered_at: Option<Timestamp>,
    /// Status of the last answer.
    pub last_status: Option<u16>,
}

/// One attempt as recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The event.
    pub event: EventId,
    /// Counted from 1.
    pub attempt: u32,
    /// When it began.
    pub at: Timestamp,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// What failed.
    pub error: Option<String>,
    /// The start of the answer.
    pub response_excerpt: Option<String>,
}

/// How many events are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutboxCounts {
    /// Waiting.
    pub pending: u64,
    /// Arrived and not purged yet.
    pub delivered: u64,
    /// Given up.
    pub dead: u64,
}

pub(super) fn row_of(row: &Row) -> Result<OutboxRow, StoreError> {
    Ok(OutboxRow {
        event: event_of(row)?,
        state: row.string("state")?,
        attempts: small(row.int("attempts")?)?,
        due_at: row.instant("due_at")?,
        delivered_at: row.opt_instant("delivered_at")?,
        last_status: status(row.opt_int("last_status")?)?,
    })
}

fn small(n: i64) -> Result<u32, StoreError> {
    u32::try_from(n).map_err(|_| StoreError::Data(format!("{n} attempts")))
}

fn status(n: Option<i64>) -> Result<Option<u16>, StoreError> {
    n.map(|n| u16::try_from(n).map_err(|_| StoreError::Data(format!("status {n}")))).transpose()
}

impl Reader {
    /// One event, if it is the account's.
    pub async fn outbox_event(
        &self,
        account: &AccountId,
        event: EventId,
    ) -> Result<Option<OutboxRow>, StoreError> {
        const ONE: &str = "select * from outbox where event_id = $1 and account_id = $2";
        let row = self.point(ONE, &[event.into(), account.into()]).await?;
        row.as_ref().map(row_of).transpose()
    }

    /// The events of one call, in order.
    pub async fn outbox_by_call(&self, call: CallId) -> Result<Vec<OutboxRow>, StoreError> {
        const BY_CALL: &str =
            "select * from outbox where call_id = $1 order by sequence, created_at, event_id";
        self.query(BY_CALL, &[call.into()]).await?.iter().map(row_of).collect()
    }

    /// The account's dead letters, newest first; all accounts' without one. Pages by (created_at, event) of the last row.
    pub async fn dead_letters(
        &self,
        account: Option<&AccountId>,
        before: Option<(Timestamp, EventId)>,
        limit: u32,
    ) -> Result<Vec<OutboxRow>, StoreError> {
        const DEAD: &str = "select * from outbox
          where state = 'dead' and account_id = coalesce(cast($1 as text), account_id)
            and (cast($2 as bigint) is null or created_at < cast($2 as bigint)
                 or (created_at = cast($2 as bigint) and event_id < cast($3 as text)))
          order by created_at desc, event_id desc limit $4";
        let (at, event) = before.unzip();
        let params = [account.into(), at.into(), event.into(), limit.into()];
        self.query(DEAD, &params).await?.iter().map(row_of).collect()
    }

    /// Every recorded attempt of an event, in order.
    pub async fn delivery_attempts(&self, event: EventId) -> Result<Vec<Attempt>, StoreError> {
        const ATTEMPTS: &str = "select * from delivery_attempt where event_id = $1 order by attempt";
        let rows = self.query(ATTEMPTS, &[event.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(Attempt {
                    event: row.parsed("event_id")?,
                    attempt: small(row.int("attempt")?)?,
                    at: row.instant("at")?,
                    status: status(row.opt_int("status")?)?,
                    duration_ms: row.count("duration_ms")?,
                    error: row.opt_string("error")?,
                    response_excerpt: row.opt_string("response_excerpt")?,
                })
            })
            .collect()
    }

    /// How many events are in which state, over all accounts.
    pub async fn outbox_counts(&self) -> Result<OutboxCounts, StoreError> {
        const COUNTS: &str = "select state, count(*) as n from outbox group by state";
        let mut counts = OutboxCounts::default();
        for row in self.query(COUNTS, &[]).await? {
            let n = row.count("n")?;
            match row.text("state")? {
                "pending" => counts.pending = n,
                "delivered" => counts.delivered = n,
                _ => counts.dead = n,
            }
        }
        Ok(counts)
    }

    /// When the earliest waiting event is due that nobody holds.
    pub async fn next_due(&self) -> Result<Option<Timestamp>, StoreError> {
        const NEXT: &str = "select min(due_at) as due_at from outbox where state = 'pending'";
        match self.query_one(NEXT, &[]).await? {
            Some(row) => row.opt_instant("due_at"),
            None => Ok(None),
        }
    }
}
