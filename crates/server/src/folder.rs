//! Folds call records into daily sums and slices for searching, behind the calls: takes no input, is idempotent, may run on
//! every node at once. Steps are small, and a backlog is worked off with pauses, so that calls do not wait for it.

use std::time::Duration;

use tandem_model::clock;
use tandem_store::{Reader, StoreError, Writer};
use tokio_util::sync::CancellationToken;

/// Between two looks.
const EVERY: Duration = Duration::from_secs(1);
/// Records wait so long for company: the more of an account are folded together, the less each costs.
const PATIENCE: Duration = Duration::from_secs(30);
/// Records of one step, and so many end the patience: as many as a list may read through behind the watermark.
const STEP: u32 = 2_000;
/// A step is followed by a pause of so many times as long as it took.
const PAUSE_FACTOR: u32 = 2;

/// Works until cancelled; a step that fails is done again in the next round.
pub(crate) async fn run(reader: Reader, writer: Writer, cancel: CancellationToken) {
    let mut folded_at = clock::monotonic();
    loop {
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
        let round = async {
            let behind = reader.fold_backlog().await?;
            if behind >= u64::from(STEP) || (behind > 0 && folded_at.elapsed() >= PATIENCE) {
                fold(&reader, &writer).await?;
                folded_at = clock::monotonic();
            }
            Ok::<(), StoreError>(())
        };
        if let Some(Err(error)) = cancel.run_until_cancelled(round).await {
            tracing::warn!(%error, "call records could not be folded; trying again");
        }
    }
}

/// Folds what there is.
pub(crate) async fn fold(reader: &Reader, writer: &Writer) -> Result<(), StoreError> {
    loop {
        let began = clock::monotonic();
        let Some(fold) = reader.next_fold(STEP).await? else { return Ok(()) };
        writer.submit(fold).await?;
        if reader.fold_backlog().await? == 0 {
            return Ok(());
        }
        tokio::time::sleep(began.elapsed() * PAUSE_FACTOR).await;
    }
}
