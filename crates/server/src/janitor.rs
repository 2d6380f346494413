//! Forgets what is kept for a while only: answers to idempotency keys, sessions and links long past. Takes no input,
//! is idempotent, works on every node alike.

use std::time::Duration;

use jiff::SignedDuration;
use tandem_model::clock;
use tandem_store::idempotency::PurgeIdempotent;
use tandem_store::sessions::PurgeSessions;
use tandem_store::{StoreError, Writer};
use tokio_util::sync::CancellationToken;

/// Between two rounds.
const EVERY: Duration = Duration::from_mins(10);
/// How long the same key gives the same answer.
const KEYS_KEPT: SignedDuration = SignedDuration::from_hours(24);
/// A session that is over is told from one that never was for so long.
const SESSIONS_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// Works until cancelled; a round that fails is done again in the next.
pub(crate) async fn run(writer: Writer, cancel: CancellationToken) {
    loop {
        if let Err(error) = forget(&writer).await {
            tracing::warn!(%error, "old keys and sessions could not be forgotten; trying again");
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
