//! Runs batches: one transaction for whatever has queued, cut in half until a poisoned command stands
//! alone, run again when the database says that a race was lost.

use std::time::Duration;

use futures_util::future::{BoxFuture, join_all};
use tandem_model::clock;
use tandem_model::rhythm::Rhythm;
use tokio::sync::{mpsc, oneshot};

use super::connection::{Source, WriteConnection};
use super::job::Job;
use super::{BATCH_MAX, Message, NodeIdentity, TEMPO, WriterConfig};
use crate::StoreError;
use crate::command::Interleaving;
use crate::dialect::{FENCE, LOCK_ACCOUNTS};
use crate::nodes::claim;
use crate::outbox::OutboxEvent;
use crate::tx::{Link, Tx};

/// How often a batch that lost a race, or its connection before the commit, is run again.
const ATTEMPTS_MAX: u32 = 8;
/// Pause before the second attempt; doubles each time, to about three seconds in all.
const RETRY_PAUSE: Duration = Duration::from_millis(25);

/// What became of one attempt.
enum Attempt {
    Committed(Vec<OutboxEvent>),
    /// Nothing was written.
    Failed(StoreError),
    /// The connection broke while the commit was under way: it may stand.
    Unknown(StoreError),
}

/// The Writer's life: claim the node, then batch after batch until told to stop.
pub(super) async fn serve(
    source: Source,
    config: WriterConfig,
    mut commands: mpsc::Receiver<Message>,
    feed: mpsc::Sender<OutboxEvent>,
    ready: oneshot::Sender<Result<Option<NodeIdentity>, StoreError>>,
) {
    let opened = open(source, &config).await;
    let (connection, node) = match opened {
        Ok(opened) => opened,
        Err(error) => return drop(ready.send(Err(error))),
    };
    drop(ready.send(Ok(node.clone())));
    let mut runner = Runner {
        connection,
        node,
        feed,
        #[cfg(feature = "planted-faults")]
        faults: crate::fault::FaultState::planting(config.fault),
    };
    let mut messages = Vec::with_capacity(BATCH_MAX);
    let mut round = clock::monotonic();
    let mut rhythm = Rhythm::new(TEMPO, round);
    loop {
        if let Some(pause) = rhythm.pause(round, clock::monotonic()) {
            // Not the runtime's timer: nobody who submits needs to wake this thread meanwhile.
            std::thread::park_timeout(pause);
        }
        if commands.recv_many(&mut messages, BATCH_MAX).await == 0 {
            break;
        }
        round = clock::monotonic();
        rhythm.note(round, messages.len());
        let mut jobs = Vec::with_capacity(messages.len());
        for message in messages.drain(..) {
            match message {
                Message::Run(job) => jobs.push(job),
                // What is queued already still runs; then `recv_many` returns 0.
                Message::Stop => commands.close(),
            }
        }
        runner.run(jobs).await;
        runner.connection.tend();
    }
}

async fn open(
    source: Source,
    config: &WriterConfig,
) -> Result<(WriteConnection, Option<NodeIdentity>), StoreError> {
    let mut connection = WriteConnection::open(source).await?;
    let Some(name) = &config.node else { return Ok((connection, None)) };
    connection.begin().await?;
    let epoch = claim(&mut connection.tx(None), name, config.started_at).await?;
    connection.commit().await?;
    Ok((connection, Some(NodeIdentity { name: name.clone(), epoch })))
}

struct Runner {
    connection: WriteConnection,
    node: Option<NodeIdentity>,
    feed: mpsc::Sender<OutboxEvent>,
    #[cfg(feature = "planted-faults")]
    faults: crate::fault::FaultState,
}

impl Runner {
    /// Runs every job to its answer.
    async fn run(&mut self, jobs: Vec<Box<dyn Job>>) {
        let mut pending = vec![jobs];
        while let Some(mut jobs) = pending.pop() {
            if jobs.is_empty() {
                continue;
            }
            match self.commit_with_retries(&mut jobs).await {
                Ok(events) => {
                    self.hand_over(events);
                    for job in &mut jobs {
                        job.finish(Ok(()));
                    }
                    #[cfg(feature = "planted-faults")]
                    self.write_postponed().await;
                }
                Err(error @ StoreError::Statement { .. } | error @ StoreError::Data(_)) if jobs.len() > 1 => {
                    tracing::warn!(%error, commands = jobs.len(), "a batch failed; cutting it in half");
                    let later = jobs.split_off(jobs.len() / 2);
                    pending.push(later);
                    pending.push(jobs);
                }
                Err(error) => {
                    for job in &mut jobs {
                        job.finish(Err(error.clone()));
                    }
                }
            }
        }
    }

    /// First delivery attempts run from memory; a full channel is no loss, the row's lease expires.
    fn hand_over(&self, events: Vec<OutboxEvent>) {
        for event in events {
            if self.feed.try_send(event).is_err() {
                tracing::debug!("delivery is behind; an event waits for the scan of due rows");
            }
        }
    }

    async fn commit_with_retries(
        &mut self,
        jobs: &mut [Box<dyn Job>],
    ) -> Result<Vec<OutboxEvent>, StoreError> {
        let mut pause = RETRY_PAUSE;
        for attempt in 1.. {
            let error = match self.attempt(jobs).await {
                Attempt::Committed(events) => return Ok(events),
                Attempt::Unknown(error) => return Err(error),
                Attempt::Failed(error) => error,
            };
            let again = match &error {
                StoreError::Retry(_) => true,
                StoreError::Unavailable(_) => self.connection.shared().is_some(),
                _ => false,
            };
            if !again || attempt >= ATTEMPTS_MAX {
                return Err(match error {
                    StoreError::Retry(words) => StoreError::Unavailable(words),
                    other => other,
                });
            }
            tracing::debug!(%error, attempt, "running a batch again");
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        Err(StoreError::Closed)
    }

    async fn attempt(&mut self, jobs: &mut [Box<dyn Job>]) -> Attempt {
        if let Err(error) = self.connection.begin().await {
            self.connection.rollback().await;
            return Attempt::Failed(error);
        }
        let events = match self.run_all(jobs).await {
            Ok(events) => events,
            Err(error) => {
                self.connection.rollback().await;
                return Attempt::Failed(error);
            }
        };
        #[cfg(feature = "planted-faults")]
        if self.faults.acknowledges_early() {
            for job in jobs.iter_mut() {
                job.finish(Ok(()));
            }
            tokio::time::sleep(crate::fault::WINDOW).await;
        }
        match self.connection.commit().await {
            Ok(()) => Attempt::Committed(events),
            Err(error @ StoreError::Unavailable(_)) if self.connection.shared().is_some() => {
                Attempt::Unknown(error)
            }
            Err(error) => {
                self.connection.rollback().await;
                Attempt::Failed(error)
            }
        }
    }

    /// Everything between begin and commit.
    async fn run_all(&mut self, jobs: &mut [Box<dyn Job>]) -> Result<Vec<OutboxEvent>, StoreError> {
        #[cfg(feature = "planted-faults")]
        self.faults.forget();
        self.verify_epoch().await?;
        self.lock_accounts(jobs).await?;
        let mut events = Vec::new();
        let mut rest = jobs;
        while !rest.is_empty() {
            let free = match self.connection.shared() {
                #[cfg(feature = "planted-faults")]
                Some(_) if self.faults.is_planted() => 0,
                Some(_) => rest.iter().take_while(|job| job.interleaving() == Interleaving::Free).count(),
                None => 0,
            };
            let (now, later) = rest.split_at_mut(free.max(1));
            match (now, self.connection.shared()) {
                (several @ [_, _, ..], Some(connection)) => {
                    events.extend(run_together(several, connection, self.node.as_ref()).await?);
                }
                (alone, _) => {
                    for job in alone {
                        let mut tx = self.connection.tx(self.node.as_ref());
                        #[cfg(feature = "planted-faults")]
                        std::mem::swap(&mut tx.faults, &mut self.faults);
                        let outcome = job.run(&mut tx).await;
                        events.append(&mut tx.emitted);
                        #[cfg(feature = "planted-faults")]
                        {
                            let used = std::mem::take(&mut tx.faults);
                            drop(tx);
                            self.faults = used;
                        }
                        outcome?;
                    }
                }
            }
            rest = later;
        }
        Ok(events)
    }

    /// The second transaction of two of the faults.
    #[cfg(feature = "planted-faults")]
    async fn write_postponed(&mut self) {
        let (events, records) = self.faults.take_postponed();
        if events.is_empty() && records.is_empty() {
            return;
        }
        tokio::time::sleep(crate::fault::WINDOW).await;
        let written = async {
            self.connection.begin().await?;
            let mut tx = self.connection.tx(self.node.as_ref());
            for event in &events {
                crate::outbox::insert(&mut tx, event).await?;
            }
            for record in &records {
                crate::calls::insert_record(&mut tx, record).await?;
            }
            drop(tx);
            self.connection.commit().await
        };
        match written.await {
            Ok(()) => self.hand_over(events),
            Err(error) => tracing::error!(%error, "a planted fault's second transaction failed"),
        }
    }

    /// A process whose name was claimed by another must not write one more row.
    async fn verify_epoch(&mut self) -> Result<(), StoreError> {
        let Some(node) = &self.node else { return Ok(()) };
        let mut tx = self.connection.tx(None);
        let fence = FENCE.on(tx.dialect());
        let row = tx.query_one(fence, &[node.name.as_str().into()]).await?;
        if row.is_some_and(|row| row.int_at(0) == Ok(node.epoch)) {
            Ok(())
        } else {
            Err(StoreError::Fenced { name: node.name.clone(), epoch: node.epoch })
        }
    }

    async fn lock_accounts(&self, jobs: &[Box<dyn Job>]) -> Result<(), StoreError> {
        let Some(connection) = self.connection.shared() else { return Ok(()) };
        let mut ids: Vec<&str> =
            jobs.iter().flat_map(|job| job.accounts()).map(|account| account.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        if ids.is_empty() { Ok(()) } else { connection.lock(LOCK_ACCOUNTS, &ids).await }
    }
}

/// Polls the commands in turn, so that their statements travel together. The first error that is not an
/// echo of another's (25P02, "current transaction is aborted") is the one that counts.
async fn run_together(
    jobs: &mut [Box<dyn Job>],
    connection: &crate::postgres::PgConnection,
    node: Option<&NodeIdentity>,
) -> Result<Vec<OutboxEvent>, StoreError> {
    let pending = jobs.iter_mut().map(|job| -> BoxFuture<'_, Result<Vec<OutboxEvent>, StoreError>> {
        Box::pin(async move {
            let mut tx = Tx::new(Link::Postgres(connection), node);
            job.run(&mut tx).await?;
            Ok(tx.emitted)
        })
    });
    let mut events = Vec::new();
    let mut failure: Option<StoreError> = None;
    for outcome in join_all(pending).await {
        match outcome {
            Ok(mut emitted) => events.append(&mut emitted),
            Err(error) if failure.is_none() || !is_echo(&error) && failure.as_ref().is_some_and(is_echo) => {
                failure = Some(error);
            }
            Err(_) => {}
        }
    }
    failure.map_or(Ok(events), Err)
}

fn is_echo(error: &StoreError) -> bool {
    matches!(error, StoreError::Statement { message, .. } if message.starts_with("25P02"))
}
