//! The thread that owns every recording's file.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tandem_model::clock;

use super::super::event::{MediaEvent, Outbox, RecordStop};
use super::file::Recording;
use super::{Order, RecorderQueue, RecordingId, Shared};

/// Between two looks at the queue while anything records: long enough to work in batches, short
/// against the tap's tolerance of late frames.
const ROUND: Duration = Duration::from_millis(100);

/// The running recorder.
#[derive(Debug)]
pub(in crate::rtp) struct RecorderThread {
    queue: RecorderQueue,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl RecorderThread {
    pub(in crate::rtp) fn start() -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let queue = RecorderQueue { shared: Arc::clone(&shared) };
        let recorder = Recorder { shared, active: HashMap::new(), outbox: Outbox::default() };
        let thread =
            std::thread::Builder::new().name("tandem-recorder".to_owned()).spawn(move || recorder.run())?;
        Ok(Self { queue, thread: Mutex::new(Some(thread)) })
    }

    pub(in crate::rtp) fn queue(&self) -> RecorderQueue {
        self.queue.clone()
    }

    /// Completes every file and joins the thread.
    pub(in crate::rtp) fn stop(&self) {
        self.queue.shared.lock().stopping = true;
        self.queue.shared.changed.notify_one();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A recorder that panicked has said so already.
            let _ = thread.join();
        }
    }
}

struct Recorder {
    shared: Arc<Shared>,
    active: HashMap<RecordingId, Recording>,
    outbox: Outbox,
}

impl Recorder {
    fn run(mut self) {
        let mut orders = Vec::new();
        loop {
            let stopping = self.wait(&mut orders);
            for order in orders.drain(..) {
                self.carry_out(order);
            }
            let now = clock::monotonic();
            let due: Vec<_> = self
                .active
                .iter_mut()
                .filter_map(|(id, recording)| Some((*id, recording.round(now)?)))
                .collect();
            for (id, stop) in due {
                if let Some(recording) = self.active.remove(&id) {
                    self.complete(recording, now, stop, 0);
                }
            }
            self.outbox.retry();
            if stopping {
                break;
            }
        }
        let now = clock::monotonic();
        for (_, recording) in std::mem::take(&mut self.active) {
            self.complete(recording, now, RecordStop::LegClosed, 0);
        }
    }

    /// Takes what waits; sleeps without a limit while nothing records.
    fn wait(&self, orders: &mut Vec<Order>) -> bool {
        let shared = Arc::clone(&self.shared);
        let mut waiting = shared.lock();
        let idle = self.active.is_empty() && self.outbox.is_empty();
        if idle {
            while waiting.orders.is_empty() && !waiting.stopping {
                waiting = shared.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
            }
        } else if !waiting.stopping {
            // Woken early by a beginning or an end; frames do not wake.
            waiting = shared.changed.wait_timeout(waiting, ROUND).unwrap_or_else(PoisonError::into_inner).0;
        }
        waiting.frames = 0;
        std::mem::swap(orders, &mut waiting.orders);
        waiting.stopping
    }

    fn carry_out(&mut self, order: Order) {
        match order {
            Order::Begin(beginning) => {
                self.active.insert(beginning.id, Recording::begin(*beginning));
            }
            Order::Frame(frame) => {
                if let Some(recording) = self.active.get_mut(&frame.recording) {
                    recording.place(&frame);
                }
            }
            Order::TellTo { id, events } => {
                if let Some(recording) = self.active.get_mut(&id) {
                    recording.tell_to(events);
                }
            }
            Order::Pause { id, at, recorded } => {
                if let Some(recording) = self.active.get_mut(&id) {
                    recording.pause(at, recorded);
                }
            }
            Order::End { id, at, stop, frames_dropped } => {
                if let Some(recording) = self.active.remove(&id) {
                    self.complete(recording, at, stop, frames_dropped);
                }
            }
        }
    }

    fn complete(&mut self, recording: Recording, at: Instant, stop: RecordStop, frames_dropped: u64) {
        let (leg, events) = (recording.leg(), recording.events().clone());
        let end = recording.finish(at, stop, frames_dropped);
        if let Some(error) = &end.error {
            tracing::warn!(path = %end.path.display(), %error, "a recording is incomplete");
        }
        self.outbox.send(&events, MediaEvent::RecordingDone { leg, end: Box::new(end) });
    }
}
