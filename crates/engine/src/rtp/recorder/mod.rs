//! Recordings: frames from the workers, files from one thread.
//!
//! A worker appends a frame to a bounded queue under a lock held for nanoseconds, and wakes
//! nobody: the recorder thread takes whatever waits ten times a second and does the decoding,
//! mixing and writing. When the disk is slow and the queue full, frames are dropped and counted;
//! the recording then has silence in that place. Beginnings and ends are never dropped.

mod file;
mod thread;

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use smallvec::SmallVec;
use tandem_media::{Codec, Side};
use tokio::sync::mpsc;

use super::event::{MediaEvent, RecordStop};
use super::leg::{RecordRequest, Recorded};
use super::plane::MediaKey;

pub(super) use thread::RecorderThread;

/// Frames waiting for the recorder thread: three seconds of 100 recorded calls, under 4 MiB.
const MAX_FRAMES: usize = 16_384;

/// Names a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct RecordingId(u64);

/// The audio of one packet.
#[derive(Debug)]
pub(super) struct Frame {
    pub(super) recording: RecordingId,
    pub(super) at: Instant,
    pub(super) side: Side,
    pub(super) ssrc: u32,
    pub(super) timestamp: u32,
    pub(super) codec: Codec,
    pub(super) payload: SmallVec<[u8; 160]>,
}

/// A recording to start.
#[derive(Debug)]
struct Beginning {
    id: RecordingId,
    at: Instant,
    leg: MediaKey,
    request: RecordRequest,
    events: mpsc::Sender<MediaEvent>,
}

#[derive(Debug)]
enum Order {
    Begin(Box<Beginning>),
    Frame(Frame),
    TellTo { id: RecordingId, events: mpsc::Sender<MediaEvent> },
    Pause { id: RecordingId, at: Instant, recorded: Recorded },
    End { id: RecordingId, at: Instant, stop: RecordStop, frames_dropped: u64 },
}

#[derive(Debug, Default)]
struct Waiting {
    orders: Vec<Order>,
    frames: usize,
    next_id: u64,
    stopping: bool,
}

#[derive(Debug, Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// A worker's end of the queue.
#[derive(Clone, Debug)]
pub(super) struct RecorderQueue {
    shared: Arc<Shared>,
}

impl RecorderQueue {
    /// Starts a recording.
    pub(super) fn begin(
        &self,
        at: Instant,
        leg: MediaKey,
        request: RecordRequest,
        events: mpsc::Sender<MediaEvent>,
    ) -> RecordingId {
        let mut waiting = self.shared.lock();
        let id = RecordingId(waiting.next_id);
        waiting.next_id += 1;
        waiting.orders.push(Order::Begin(Box::new(Beginning { id, at, leg, request, events })));
        self.shared.changed.notify_one();
        id
    }

    /// Hands over a frame; false if there was no room.
    pub(super) fn push(&self, frame: Frame) -> bool {
        let mut waiting = self.shared.lock();
        if waiting.frames >= MAX_FRAMES {
            return false;
        }
        waiting.frames += 1;
        waiting.orders.push(Order::Frame(frame));
        true
    }

    /// Interrupts a recording, or lets it go on.
    pub(super) fn pause(&self, at: Instant, id: RecordingId, recorded: Recorded) {
        self.shared.lock().orders.push(Order::Pause { id, at, recorded });
    }

    /// Its end is told there.
    pub(super) fn tell_to(&self, id: RecordingId, events: mpsc::Sender<MediaEvent>) {
        self.shared.lock().orders.push(Order::TellTo { id, events });
    }

    /// Ends a recording; one that ended by itself is not there any more.
    pub(super) fn end(&self, at: Instant, id: RecordingId, stop: RecordStop, frames_dropped: u64) {
        let mut waiting = self.shared.lock();
        waiting.orders.push(Order::End { id, at, stop, frames_dropped });
        self.shared.changed.notify_one();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tandem_model::clock;

    #[test]
    fn a_full_queue_drops_frames_and_never_an_end() {
        let queue = RecorderQueue { shared: Arc::default() };
        let at = clock::monotonic();
        let frame = || Frame {
            recording: RecordingId(0),
            at,
            side: Side::Caller,
            ssrc: 1,
            timestamp: 0,
            codec: Codec::Pcmu,
            payload: SmallVec::from_elem(0xff, 160),
        };
        for _ in 0..MAX_FRAMES {
            assert!(queue.push(frame()));
        }
        assert!(!queue.push(frame()));
        queue.end(at, RecordingId(0), RecordStop::Asked, 1);
        assert_eq!(queue.shared.lock().orders.len(), MAX_FRAMES + 1);
    }
}
