//! The Writer: one per process, on a thread of its own. It runs whatever has queued in one transaction and
//! answers only after that commit is durable. A lone command is committed at once; under load batches begin
//! at most once per [`TEMPO`]'s gather, so that commands share a commit.
//!
//! When its queue is full, [`Writer::submit`] returns [`StoreError::Overloaded`] at once: the caller sheds
//! load (503, 429) rather than wait without bound.

mod batch;
pub(crate) mod connection;
mod job;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tandem_model::rhythm::Tempo;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::StoreError;
use crate::command::Command;
use crate::outbox::{EventFeed, OutboxEvent};
use connection::Source;
use job::{Audience, Job, Typed};

/// Commands in one transaction at most: bounds the time a rollback throws away.
const BATCH_MAX: usize = 256;

/// Commands that may wait; one more is refused.
const QUEUE_CAPACITY: usize = 8_192;
/// Committed events that may wait for their first delivery.
const FEED_CAPACITY: usize = 8_192;

/// A commit costs the CPU of several commands, however quick the disk: with a thousand commands a second, three
/// milliseconds gather three and more for each. They are the most it adds to a command's wait; half, on average. From five
/// thousand a second, six milliseconds: what the process cannot spend on commits it has for calls.
const TEMPO: Tempo = Tempo {
    gather: Duration::from_millis(3),
    window: Duration::from_millis(20),
    dense: 20,
    crowded: Some((100, Duration::from_millis(6))),
    worthwhile: 2,
};

/// The name and epoch under which this process writes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NodeIdentity {
    /// The node's configured name.
    pub name: String,
    /// Grows each time a process claims the name; the older process is fenced out.
    pub epoch: i64,
}

impl NodeIdentity {
    /// The owner written into leases.
    pub fn lease_owner(&self) -> String {
        format!("{}/{}", self.name, self.epoch)
    }
}

/// How to start a Writer.
#[derive(Clone, Debug)]
pub struct WriterConfig {
    /// The node whose name to claim. `None` only for tools that run while no server does: unfenced.
    pub node: Option<String>,
    /// Now, for the node's row.
    pub started_at: Timestamp,
    /// Commands that may wait; one more is refused.
    pub queue: usize,
    /// Committed events that may wait for delivery. When full, an event is not handed over: its lease
    /// expires and the scan of due rows finds it.
    pub feed: usize,
    /// A deliberate fault for crash tests to notice.
    #[cfg(feature = "planted-faults")]
    pub fault: Option<crate::Fault>,
}

impl WriterConfig {
    /// A server's Writer.
    pub fn for_node(name: &str, started_at: Timestamp) -> Self {
        Self { node: Some(name.to_owned()), ..Self::unfenced(started_at) }
    }

    /// A tool's Writer, with no node and no leases.
    pub fn unfenced(started_at: Timestamp) -> Self {
        Self {
            node: None,
            started_at,
            queue: QUEUE_CAPACITY,
            feed: FEED_CAPACITY,
            #[cfg(feature = "planted-faults")]
            fault: None,
        }
    }
}

enum Message {
    Run(Box<dyn Job>),
    Stop,
}

struct Shared {
    queue: mpsc::Sender<Message>,
    node: Option<NodeIdentity>,
    stopped: Mutex<Option<oneshot::Receiver<()>>>,
}

/// A handle to the Writer; clones share it.
#[derive(Clone)]
pub struct Writer {
    shared: Arc<Shared>,
}

impl Writer {
    /// Starts the thread, connects, claims the node's name.
    pub(crate) async fn start(source: Source, config: WriterConfig) -> Result<(Self, EventFeed), StoreError> {
        let (queue, commands) = mpsc::channel(config.queue.max(1));
        let (feed, events) = mpsc::channel::<OutboxEvent>(config.feed.max(1));
        let (ready, is_ready) = oneshot::channel();
        let (done, stopped) = oneshot::channel();
        let spawned = std::thread::Builder::new().name("tandem-writer".to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            match runtime {
                Ok(runtime) => runtime.block_on(batch::serve(source, config, commands, feed, ready)),
                Err(error) => drop(ready.send(Err(StoreError::Unavailable(error.to_string())))),
            }
            // Nobody may be waiting for the end.
            let _ = done.send(());
        });
        if let Err(error) = spawned {
            return Err(StoreError::Unavailable(format!("no thread for the writer: {error}")));
        }
        let node = is_ready.await.map_err(|_| StoreError::Closed)??;
        let shared = Shared { queue, node, stopped: Mutex::new(Some(stopped)) };
        Ok((Self { shared: Arc::new(shared) }, EventFeed::new(events)))
    }

    /// Runs a command and waits until its commit is durable.
    pub async fn submit<C: Command>(&self, command: C) -> Result<C::Output, StoreError> {
        let (reply, answer) = oneshot::channel();
        self.enqueue(Box::new(Typed::new(command, Audience::Submitter(reply))))?;
        answer.await.unwrap_or(Err(StoreError::Closed))
    }

    /// Queues a command whose outcome nobody waits for; a failure is logged. An error here means it was not queued.
    pub fn submit_detached<C: Command>(&self, command: C) -> Result<(), StoreError> {
        self.enqueue(Box::new(Typed::new(command, Audience::Log)))
    }

    /// The identity under which this Writer writes.
    pub fn node(&self) -> Option<&NodeIdentity> {
        self.shared.node.as_ref()
    }

    /// Commands that may still be queued before [`StoreError::Overloaded`].
    pub fn headroom(&self) -> usize {
        self.shared.queue.capacity()
    }

    /// Commands that wait.
    pub fn backlog(&self) -> usize {
        self.shared.queue.max_capacity() - self.shared.queue.capacity()
    }

    /// Finishes what is queued, then stops. Commands submitted afterwards get [`StoreError::Closed`].
    pub async fn shutdown(&self) {
        // A closed channel means that it has stopped already.
        drop(self.shared.queue.send(Message::Stop).await);
        if let Some(stopped) = self.shared.stopped.lock().await.take() {
            drop(stopped.await);
        }
    }

    fn enqueue(&self, job: Box<dyn Job>) -> Result<(), StoreError> {
        self.shared.queue.try_send(Message::Run(job)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => StoreError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })
    }
}
