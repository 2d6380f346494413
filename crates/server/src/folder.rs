//! Folds call records into daily sums and slices for searching, behind the calls: takes no input, is idempotent, may run on
//! every node at once. Steps are small, and a backlog is worked off with pauses, so that calls do not wait for it.

use std::time::Duration;

use tandem_model::clock;
use tandem_store::{Reader, StoreError, Writer};
use tokio_util::sync::CancellationToken;

/// Between two looks when all is folded.
const EVERY: Duration = Duration::from_secs(5);
/// Records of one step: some milliseconds of the Writer's time.
const STEP: u32 = 200;
/// A step is followed by a pause of so many times as long as it took.
const PAUSE_FACTOR: u32 = 2;

/// Works until cancelled; a step that fails is done again in the next round.
pub(crate) async fn run(reader: Reader, writer: Writer, cancel: CancellationToken) {
    loop {
        if let Some(Err(error)) = cancel.run_until_cancelled(fold(&reader, &writer)).await {
            tracing::warn!(%error, "call records could not be folded; trying again");
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

/// Folds what there is.
pub(crate) async fn fold(reader: &Reader, writer: &Writer) -> Result<(), StoreError> {
    loop {
        let began = clock::monotonic();
        let Some(fold) = reader.next_fold(STEP).await? else { return Ok(()) };
        let records = fold.records;
        writer.submit(fold).await?;
        if records < STEP as usize {
            return Ok(());
        }
        tokio::time::sleep(began.elapsed() * PAUSE_FACTOR).await;
    }
}
