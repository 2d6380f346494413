//! Forgets what is kept for a while only: answers to idempotency keys, sessions and links long past, events that were
//! delivered or given up. Is idempotent, works on every node alike.

use std::time::Duration;

use jiff::SignedDuration;
use tandem_model::clock;
use tandem_store::idempotency::PurgeIdempotent;
use tandem_store::outbox::PurgeOutbox;
use tandem_store::sessions::PurgeSessions;
use tandem_store::{StoreError, Writer};
use tokio_util::sync::CancellationToken;

/// Between two rounds.
const EVERY: Duration = Duration::from_mins(10);
/// How long the same key gives the same answer.
const KEYS_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A session that is over is told from one that never was for so long.
const SESSIONS_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// Events forgotten in one transaction, with a pause after each that leaves the Writer to the calls.
const EVENTS_A_STEP: u32 = 500;
const PAUSE: Duration = Duration::from_millis(50);

/// Works until cancelled; a round that fails is done again in the next.
pub(crate) async fn run(writer: Writer, events_kept_days: u32, cancel: CancellationToken) {
    loop {
        let round = async {
            forget(&writer).await?;
            forget_events(&writer, events_kept_days).await
        };
        if let Some(Err(error)) = cancel.run_until_cancelled(round).await {
            tracing::warn!(%error, "what is past could not be forgotten; trying again");
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// One round.
pub(crate) async fn forget(writer: &Writer) -> Result<(), StoreError> {
    let now = clock::wall();
    let keys = writer.submit(PurgeIdempotent { before: now - KEYS_KEPT }).await?;
    let sessions = writer.submit(PurgeSessions { before: now - SESSIONS_KEPT }).await?;
    if keys + sessions > 0 {
        tracing::debug!(keys, sessions, "old keys and sessions are forgotten");
    }
    Ok(())
}

/// Events that ended so many days ago, with their attempts.
pub(crate) async fn forget_events(writer: &Writer, kept_days: u32) -> Result<(), StoreError> {
    let before = clock::wall() - SignedDuration::from_hours(24 * i64::from(kept_days));
    loop {
        let forgotten = writer.submit(PurgeOutbox { before, limit: EVENTS_A_STEP }).await?;
        if forgotten < u64::from(EVENTS_A_STEP) {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
}
