//! The driver: committed events in, attempts out, outcomes onto the record. It decides nothing.
//!
//! Outcomes are recorded in batches: whatever settled while the last batch was being written. While
//! the store does not take them, nothing new is taken in; leases then run out, and what was delivered
//! but not recorded is delivered again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use tandem_model::ports::Observer;
use tandem_model::{EventId, clock};
use tandem_store::outbox::{
    AttemptOutcome, AttemptVerdict, LeaseDue, OutboxRow, RecordAttempts, ReleaseFormer,
};
use tandem_store::{EventFeed, OutboxEvent, StoreError, Writer};
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::attempt::{Report, Sender};
use super::schedule::DURABLE_LIFE;
use super::scheduler::{LEASE, Scheduler};
use super::words::{Cause, Delivery, Finish, Input, Output, Settled, Start, Verdict};
use crate::egress::Egress;
use crate::post::Post;
use crate::webhooks::{SealedBodies, SigningSecrets};

/// Pause between two scans of due rows.
const SCAN_EVERY: Duration = Duration::from_secs(1);
/// Rows leased by one scan.
const SCAN_ROWS_MAX: usize = 500;
/// Rows of an earlier process freed in one transaction.
const INHERITED_MAX: u32 = 20_000;
/// Outcomes in one recording.
const RECORD_BATCH_MAX: usize = 256;
/// Outcomes waiting to be recorded; beyond, nothing new is taken in.
const UNRECORDED_MAX: usize = 4_096;
/// Pause before outcomes the store refused are offered again.
const RECORD_AGAIN: Duration = Duration::from_millis(500);
/// How long a stop waits for attempts under way: the longest of them.
const DRAIN_MAX: Duration = Duration::from_secs(15);
/// How long a stop waits for the record.
const LAST_RECORDS_MAX: Duration = Duration::from_secs(5);

type Scan = BoxFuture<'static, Result<Vec<OutboxRow>, StoreError>>;
type Recording = BoxFuture<'static, (Vec<AttemptOutcome>, Result<(), StoreError>)>;

/// Delivers the outbox. One per process.
pub struct DeliveryEngine {
    writer: Writer,
    sender: Sender,
    scheduler: Scheduler,
    attempts: JoinSet<(EventId, Report)>,
    /// Which delivery a task makes, should it panic.
    tasks: HashMap<Id, EventId>,
    reports: HashMap<EventId, Report>,
    unrecorded: Vec<AttemptOutcome>,
    recording: Option<Recording>,
    record_from: Instant,
    scan: Option<Scan>,
    scan_at: Instant,
    stopping: bool,
}

impl DeliveryEngine {
    /// An engine that records through `writer` and sends through `egress`.
    pub fn new(
        writer: Writer,
        egress: Egress,
        secrets: Arc<dyn SigningSecrets>,
        observer: Arc<dyn Observer>,
    ) -> Self {
        let now = clock::monotonic();
        Self {
            writer,
            sender: Sender { egress, secrets, observer, bodies: None, post: None },
            scheduler: Scheduler::default(),
            attempts: JoinSet::new(),
            tasks: HashMap::new(),
            reports: HashMap::new(),
            unrecorded: Vec::new(),
            recording: None,
            record_from: now,
            scan: None,
            scan_at: now,
            stopping: false,
        }
    }

    /// The same engine, which can open sealed bodies.
    #[must_use]
    pub fn opening(mut self, bodies: Arc<dyn SealedBodies>) -> Self {
        self.sender.bodies = Some(bodies);
        self
    }

    /// The same engine, which can send letters.
    #[must_use]
    pub(crate) fn mailing(mut self, post: Option<Post>) -> Self {
        self.sender.post = post;
        self
    }

    /// Delivers until `stop` is cancelled or the store is closed for good; then waits for attempts
    /// under way and their record. Stop the Writer after this returned.
    pub async fn run(mut self, mut feed: EventFeed, stop: CancellationToken) {
        let mut feed_open = true;
        let mut inheriting: Option<BoxFuture<'static, ()>> = Some(Box::pin(inherit(self.writer.clone())));
        loop {
            self.drain_outputs();
            self.begin_io();
            let takes_in = self.unrecorded.len() < UNRECORDED_MAX && self.scheduler.room() > 0;
            let wake_at = self.wake_at();
            tokio::select! {
                () = stop.cancelled() => break,
                event = feed.next(), if feed_open && takes_in => match event {
                    Some(event) => self.offer_committed(event),
                    None => feed_open = false,
                },
                Some(ended) = self.attempts.join_next_with_id() => self.attempt_ended(ended),
                rows = ready(&mut self.scan) => self.scanned(rows),
                () = ready(&mut inheriting) => {
                    inheriting = None;
                    self.scan_at = clock::monotonic();
                }
                (batch, outcome) = ready(&mut self.recording) => {
                    if let Ending::Final = self.recorded(batch, outcome) {
                        return;
                    }
                }
                () = tokio::time::sleep_until(wake_at.into()) => {
                    self.scheduler.handle(clock::monotonic(), Input::Tick);
                }
            }
        }
        self.finish_up().await;
    }

    /// Attempts under way may end, what they came to is recorded; nothing new begins.
    async fn finish_up(mut self) {
        self.scheduler.handle(clock::monotonic(), Input::Stop);
        self.stopping = true;
        self.scan = None;
        let drained = tokio::time::timeout(DRAIN_MAX, async {
            while let Some(ended) = self.attempts.join_next_with_id().await {
                self.attempt_ended(ended);
                self.drain_outputs();
            }
        })
        .await;
        if drained.is_err() {
            tracing::warn!(
                attempts = self.attempts.len(),
                "stopped with webhook attempts under way; they are repeated when their leases end"
            );
        }
        self.attempts.shutdown().await;
        let recorded = tokio::time::timeout(LAST_RECORDS_MAX, async {
            loop {
                self.record_from = clock::monotonic();
                self.begin_io();
                let Some(recording) = self.recording.take() else { return };
                let (batch, outcome) = recording.await;
                if let Ending::Final = self.recorded(batch, outcome) {
                    return;
                }
            }
        })
        .await;
        if recorded.is_err() {
            tracing::warn!(
                attempts = self.unrecorded.len(),
                "stopped with webhook attempts not on record; they are repeated when their leases end"
            );
        }
    }

    fn drain_outputs(&mut self) {
        while let Some(output) = self.scheduler.poll() {
            match output {
                Output::Start(start) => self.start(start),
                Output::Settled(settled) => self.settle(settled),
            }
        }
    }

    fn start(&mut self, start: Start) {
        let sender = self.sender.clone();
        let event = start.event.event;
        let task = self.attempts.spawn(async move { (event, sender.attempt(start).await) });
        self.tasks.insert(task.id(), event);
    }

    fn settle(&mut self, settled: Settled) {
        let now = clock::wall();
        let report = self.reports.remove(&settled.event);
        let untried = match settled.cause {
            Cause::Attempted => None,
            Cause::CircuitOpen => Some("not sent: the endpoint failed too often in a row"),
            Cause::EndpointGone => Some("not sent: the endpoint answered 410 Gone"),
        };
        let at = report.as_ref().map_or(now, |report| report.at);
        let (status, duration_ms, error, response_excerpt) = match report {
            Some(report) => (report.status, report.duration_ms, report.error, report.excerpt),
            None => (None, 0, untried.map(str::to_owned), None),
        };
        tracing::debug!(
            event_id = %settled.event,
            attempt = settled.attempt,
            status,
            duration_ms,
            verdict = ?settled.verdict,
            "a webhook attempt ended"
        );
        let verdict = match settled.verdict {
            Verdict::Delivered => AttemptVerdict::Delivered,
            Verdict::Dead => AttemptVerdict::Dead,
            Verdict::RetryHere { pause } => AttemptVerdict::Retry {
                due_at: later(now, pause),
                keep_lease_until: Some(later(now, pause + LEASE)),
            },
            Verdict::RetryLater { pause } => {
                AttemptVerdict::Retry { due_at: later(now, pause), keep_lease_until: None }
            }
        };
        if verdict == AttemptVerdict::Dead {
            tracing::warn!(event_id = %settled.event, attempt = settled.attempt, "an event became a dead letter");
        }
        self.unrecorded.push(AttemptOutcome {
            event: settled.event,
            attempt: settled.attempt,
            at,
            status,
            duration_ms,
            error,
            response_excerpt,
            verdict,
        });
    }

    /// Starts a recording and a scan where one is due and none runs.
    fn begin_io(&mut self) {
        let now = clock::monotonic();
        if self.recording.is_none() && !self.unrecorded.is_empty() && now >= self.record_from {
            let count = self.unrecorded.len().min(RECORD_BATCH_MAX);
            let batch: Vec<_> = self.unrecorded.drain(..count).collect();
            let writer = self.writer.clone();
            self.recording = Some(Box::pin(async move {
                let outcome = writer.submit(RecordAttempts(batch.clone())).await;
                (batch, outcome)
            }));
        }
        let rows = self.scheduler.room().min(SCAN_ROWS_MAX);
        let may_scan = !self.stopping && self.scan.is_none() && now >= self.scan_at;
        if may_scan && rows > 0 && self.unrecorded.len() < UNRECORDED_MAX {
            let Some(owner) = self.writer.node().map(|node| node.lease_owner()) else { return };
            let writer = self.writer.clone();
            let at = clock::wall();
            let lease = LeaseDue { owner, now: at, until: later(at, LEASE), limit: rows as u32 };
            self.scan_at = now + SCAN_EVERY;
            self.scan = Some(Box::pin(async move { writer.submit(lease).await }));
        }
    }

    fn wake_at(&self) -> Instant {
        let mut wake_at = self.scan_at.max(clock::monotonic() + Duration::from_millis(1));
        if let Some(deadline) = self.scheduler.deadline() {
            wake_at = wake_at.min(deadline);
        }
        if !self.unrecorded.is_empty() && self.recording.is_none() {
            wake_at = wake_at.min(self.record_from);
        }
        wake_at
    }

    fn offer_committed(&mut self, event: OutboxEvent) {
        let leased_until = later(event.created_at, LEASE);
        self.offer(event, 0, leased_until);
    }

    fn offer(&mut self, event: OutboxEvent, attempts: u32, leased_until: Timestamp) {
        let (now, wall) = (clock::monotonic(), clock::wall());
        let lease = Duration::try_from(leased_until.duration_since(wall)).unwrap_or_default();
        let age = Duration::try_from(wall.duration_since(event.created_at)).unwrap_or_default();
        let delivery = Delivery {
            event: Arc::new(event),
            attempts,
            lease_until: now + lease,
            life_left: DURABLE_LIFE.saturating_sub(age),
        };
        self.scheduler.handle(now, Input::Offer(delivery));
    }

    fn attempt_ended(&mut self, ended: Result<(Id, (EventId, Report)), JoinError>) {
        let (event, report) = match ended {
            Ok((task, (event, report))) => {
                self.tasks.remove(&task);
                (event, report)
            }
            Err(panicked) => {
                let Some(event) = self.tasks.remove(&panicked.id()) else { return };
                tracing::error!(event_id = %event, "a webhook attempt panicked");
                (event, Report::lost(clock::wall()))
            }
        };
        let finish = report.finish;
        self.reports.insert(event, report);
        self.scheduler.handle(clock::monotonic(), Input::Finished(event, finish));
    }

    fn scanned(&mut self, rows: Result<Vec<OutboxRow>, StoreError>) {
        self.scan = None;
        match rows {
            Ok(rows) => {
                if rows.len() == SCAN_ROWS_MAX {
                    self.scan_at = clock::monotonic();
                }
                let leased_until = later(clock::wall(), LEASE);
                for row in rows {
                    self.offer(row.event, row.attempts, leased_until);
                }
            }
            Err(error) => tracing::warn!(%error, "cannot look for due webhooks"),
        }
    }

    fn recorded(&mut self, batch: Vec<AttemptOutcome>, outcome: Result<(), StoreError>) -> Ending {
        self.recording = None;
        match outcome {
            Ok(()) => Ending::GoOn,
            Err(error @ (StoreError::Closed | StoreError::Fenced { .. })) => {
                tracing::warn!(%error, "webhook delivery ends with the store");
                Ending::Final
            }
            Err(error @ (StoreError::Overloaded | StoreError::Unavailable(_) | StoreError::Retry(_))) => {
                tracing::warn!(%error, attempts = batch.len(), "webhook attempts wait to be recorded");
                self.unrecorded.splice(0..0, batch);
                self.record_from = clock::monotonic() + RECORD_AGAIN;
                Ending::GoOn
            }
            Err(error) => {
                // One of them is poison. Their rows stay due: delivered again rather than lost.
                tracing::error!(%error, attempts = batch.len(), "webhook attempts cannot be recorded");
                Ending::GoOn
            }
        }
    }
}

enum Ending {
    GoOn,
    Final,
}

impl Report {
    /// Of an attempt that left none.
    fn lost(at: Timestamp) -> Self {
        let error = Some("the attempt broke off".to_owned());
        Self { at, duration_ms: 0, status: None, error, excerpt: None, finish: Finish::Unreachable }
    }
}

/// Frees what the process before this one was delivering when it ended.
async fn inherit(writer: Writer) {
    let Some(owner) = writer.node().map(|node| node.lease_owner()) else { return };
    loop {
        let release = ReleaseFormer { owner: owner.clone(), limit: INHERITED_MAX };
        match writer.submit(release).await {
            Ok(freed) if freed < u64::from(INHERITED_MAX) => return,
            Ok(_) => {}
            Err(StoreError::Closed | StoreError::Fenced { .. }) => return,
            Err(error) => {
                tracing::warn!(%error, "events of the process before could not be freed; trying again");
                tokio::time::sleep(SCAN_EVERY).await;
            }
        }
    }
}

/// Awaits what is in a slot; for ever when it is empty.
async fn ready<T>(slot: &mut Option<BoxFuture<'static, T>>) -> T {
    match slot {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}

fn later(at: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    at.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
