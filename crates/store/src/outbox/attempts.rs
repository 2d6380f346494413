//! What became of delivery attempts, recorded many at a time.

use jiff::Timestamp;
use tandem_model::EventId;

use crate::command::{BoxFuture, Interleaving};
use crate::{Command, StoreError, Tx};

/// One attempt and what follows from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptOutcome {
    /// The event.
    pub event: EventId,
    /// Counted from 1 over the event's life.
    pub attempt: u32,
    /// When it began.
    pub at: Timestamp,
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub duration_ms: u64,
    /// What failed, for people.
    pub error: Option<String>,
    /// The start of the answer's body.
    pub response_excerpt: Option<String>,
    /// What follows.
    pub verdict: AttemptVerdict,
}

/// What follows from an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptVerdict {
    /// Delivered.
    Delivered,
    /// Due again at this instant; still leased to the node until then if `keep_lease_until` says so.
    Retry {
        /// When.
        due_at: Timestamp,
        /// The node keeps the row in memory and retries by itself until this instant.
        keep_lease_until: Option<Timestamp>,
    },
    /// Given up: a dead letter.
    Dead,
}

/// Records attempts. Repeating it changes nothing.
pub struct RecordAttempts(pub Vec<AttemptOutcome>);

impl Command for RecordAttempts {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            for outcome in &self.0 {
                record(tx, outcome).await?;
            }
            Ok(())
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

const ATTEMPT: &str =
    "insert into delivery_attempt (event_id, attempt, at, status, duration_ms, error, response_excerpt)
  values ($1, $2, $3, $4, $5, $6, $7) on conflict (event_id, attempt) do nothing";
const DELIVERED: &str =
    "update outbox set state = 'delivered', attempts = $2, delivered_at = $3, last_status = $4,
    lease_owner = null, lease_until = null
  where event_id = $1 and state = 'pending'";
const RETRY: &str = "update outbox set attempts = $2, due_at = $3, last_status = $4,
    lease_until = $5, lease_owner = case when cast($5 as bigint) is null then null else lease_owner end
  where event_id = $1 and state = 'pending'";
const DEAD: &str = "update outbox set state = 'dead', attempts = $2, last_status = $3, lease_owner = null, lease_until = null
  where event_id = $1 and state = 'pending'";

async fn record(tx: &mut Tx<'_>, outcome: &AttemptOutcome) -> Result<(), StoreError> {
    let params = [
        outcome.event.into(),
        outcome.attempt.into(),
        outcome.at.into(),
        outcome.status.into(),
        outcome.duration_ms.into(),
        outcome.error.as_ref().into(),
        outcome.response_excerpt.as_ref().into(),
    ];
    tx.execute(ATTEMPT, &params).await?;
    let (event, attempt, status) = (outcome.event.into(), outcome.attempt.into(), outcome.status.into());
    match outcome.verdict {
        AttemptVerdict::Delivered => {
            tx.execute(DELIVERED, &[event, attempt, outcome.at.into(), status]).await?
        }
        AttemptVerdict::Retry { due_at, keep_lease_until } => {
            tx.execute(RETRY, &[event, attempt, due_at.into(), status, keep_lease_until.into()]).await?
        }
        AttemptVerdict::Dead => tx.execute(DEAD, &[event, attempt, status]).await?,
    };
    Ok(())
}
