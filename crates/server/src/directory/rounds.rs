//! The rounds in which the feed follows the store, so that a request that changed something can wait until
//! this node goes by it: who buys a number and calls from it in the next breath must not be told it is not theirs.

use std::time::Duration;

use tokio::sync::watch;

/// Longest wait for a round: a store that does not answer must not hold back what is committed.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Default)]
struct Round {
    begun: u64,
    finished: u64,
}

/// Counts rounds; shared by the feed and those who wait for it.
pub(super) struct Rounds(watch::Sender<Round>);

impl Rounds {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Round::default()))
    }

    pub(super) fn begin(&self) {
        self.0.send_modify(|round| round.begun += 1);
    }

    pub(super) fn finish(&self) {
        self.0.send_modify(|round| round.finished = round.begun);
    }

    /// Wakes the feed and waits for a round that begins after now. Returns at once where no feed runs.
    pub(super) async fn next(&self, wake: impl FnOnce()) {
        let mut rounds = self.0.subscribe();
        let begun = rounds.borrow_and_update().begun;
        wake();
        if begun == 0 {
            return;
        }
        let followed = rounds.wait_for(|round| round.finished > begun);
        if tokio::time::timeout(PATIENCE, followed).await.is_err() {
            tracing::warn!("a change is committed, but this node's directory has not followed it yet");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_under_way_is_not_the_one_waited_for() {
        let rounds = Arc::new(Rounds::new());
        rounds.begin();
        let waiting = rounds.next(|| ());
        tokio::pin!(waiting);
        assert!(futures_util::poll!(&mut waiting).is_pending());
        rounds.finish();
        assert!(futures_util::poll!(&mut waiting).is_pending(), "it began before the change was committed");
        rounds.begin();
        rounds.finish();
        waiting.await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_without_a_feed_or_for_one_that_is_stuck() {
        let rounds = Rounds::new();
        rounds.next(|| ()).await;
        rounds.begin();
        rounds.next(|| ()).await;
    }
}
