//! What the media plane tells a session.
//!
//! One bounded channel per session, made by [`event_channel`] and shared by its legs. When the
//! session is slow: an ending keeps its place at the worker and is delivered as soon as a slot is
//! free, digits have slots that notes cannot take, and the rest is dropped and counted in
//! [`super::LegReport::events_dropped`].

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use tandem_media::dtmf::{Digit, DigitsError};
use tandem_media::energy::SILENCE_DBFS;
use tandem_media::{PlayId, PlayoutError};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;

use super::leg::{RecordName, RecordRequest};
use super::plane::MediaKey;

/// Slots of a session's event channel.
pub const EVENT_CAPACITY: usize = 64;
/// Slots that only endings may take.
const ENDING_SLOTS: usize = 8;
/// Slots that only endings and digits may take.
const DIGIT_SLOTS: usize = ENDING_SLOTS + 32;

/// A session's event channel.
pub fn event_channel() -> (mpsc::Sender<MediaEvent>, mpsc::Receiver<MediaEvent>) {
    mpsc::channel(EVENT_CAPACITY)
}

/// What happened on a leg.
#[derive(Clone, Debug, PartialEq)]
pub enum MediaEvent {
    /// The peer pressed a key; once per press, whether or not the leg is bridged.
    Digit {
        /// On which leg.
        leg: MediaKey,
        /// Which key.
        digit: Digit,
    },
    /// Every digit of `send_digits` has left, or none could.
    DigitsSent {
        /// On which leg.
        leg: MediaKey,
        /// Why none could.
        refused: Option<DigitsError>,
    },
    /// What [`super::RtpLeg::listen_for`] waits for was heard.
    Noticed {
        /// On which leg.
        leg: MediaKey,
    },
    /// A queued item is over.
    PlaybackDone {
        /// On which leg.
        leg: MediaKey,
        /// Which item.
        play: PlayId,
        /// How it ended.
        end: PlayEnd,
    },
    /// The first RTP packet was accepted.
    FirstPacket {
        /// On which leg.
        leg: MediaKey,
        /// From where.
        source: SocketAddr,
    },
    /// The destination was learned from the peer's packets instead of SDP.
    RemoteLatched {
        /// On which leg.
        leg: MediaKey,
        /// Where RTP goes now.
        destination: SocketAddr,
    },
    /// The peer should speak and has not for the media timeout.
    MediaTimeout {
        /// On which leg.
        leg: MediaKey,
    },
    /// A recording is complete on disk, or failed.
    RecordingDone {
        /// On which leg.
        leg: MediaKey,
        /// What there is.
        end: Box<RecordEnd>,
    },
}

/// How a queued item ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlayEnd {
    /// Its last frame was sent.
    Finished,
    /// It was stopped, or its leg closed.
    Cleared,
    /// It could not be queued.
    Refused(PlayoutError),
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordStop {
    /// It was stopped.
    Asked,
    /// Its leg was closed.
    LegClosed,
    /// The peer was silent for [`super::RecordRequest::silence`].
    Silence,
    /// It is [`super::RecordRequest::max_length`] long.
    MaxLength,
}

/// A finished recording.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordEnd {
    /// Its name.
    pub name: RecordName,
    /// Why it ended.
    pub stop: RecordStop,
    /// The file.
    pub path: PathBuf,
    /// Its length in time.
    pub length: Duration,
    /// Its length in bytes.
    pub bytes: u64,
    /// Root-mean-square level of what the peer said.
    pub received_dbfs: f32,
    /// Root-mean-square level of what the peer heard.
    pub sent_dbfs: f32,
    /// Frames lost between worker and file because the disk was slow.
    pub frames_dropped: u64,
    /// Why the file is short or missing; `None` for a good one.
    pub error: Option<String>,
}

impl RecordEnd {
    /// Of a recording that was not begun.
    pub(super) fn refused(request: RecordRequest, error: &str) -> Self {
        Self {
            name: request.name,
            stop: RecordStop::Asked,
            path: request.path,
            length: Duration::ZERO,
            bytes: 0,
            received_dbfs: SILENCE_DBFS as f32,
            sent_dbfs: SILENCE_DBFS as f32,
            frames_dropped: 0,
            error: Some(error.to_owned()),
        }
    }
}

/// What may be done with an event when its channel is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weight {
    Note,
    Digit,
    Ending,
}

impl MediaEvent {
    /// The leg it happened on.
    pub fn leg(&self) -> MediaKey {
        match self {
            Self::Digit { leg, .. }
            | Self::DigitsSent { leg, .. }
            | Self::PlaybackDone { leg, .. }
            | Self::FirstPacket { leg, .. }
            | Self::RemoteLatched { leg, .. }
            | Self::MediaTimeout { leg }
            | Self::Noticed { leg, .. }
            | Self::RecordingDone { leg, .. } => *leg,
        }
    }

    fn weight(&self) -> Weight {
        match self {
            Self::FirstPacket { .. } | Self::RemoteLatched { .. } => Weight::Note,
            Self::Digit { .. } => Weight::Digit,
            Self::DigitsSent { .. }
            | Self::Noticed { .. }
            | Self::PlaybackDone { .. }
            | Self::MediaTimeout { .. }
            | Self::RecordingDone { .. } => Weight::Ending,
        }
    }
}

/// Whether an event reached its channel, or will.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Kept,
    Dropped,
}

/// One thread's way to the sessions: sends what fits and holds the endings that did not.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    late: VecDeque<(mpsc::Sender<MediaEvent>, MediaEvent)>,
}

impl Outbox {
    /// Sends `event`, or holds or drops it by its weight.
    pub(super) fn send(&mut self, to: &mpsc::Sender<MediaEvent>, event: MediaEvent) -> Delivery {
        let weight = event.weight();
        let reserved = match weight {
            Weight::Note => DIGIT_SLOTS,
            Weight::Digit => ENDING_SLOTS,
            Weight::Ending => 0,
        };
        if weight != Weight::Ending {
            let room = to.capacity() > reserved;
            let sent = room && to.try_send(event).is_ok();
            return if sent { Delivery::Kept } else { Delivery::Dropped };
        }
        // Behind the endings of the same session that wait already: they stay in order.
        if self.late.iter().any(|(waiting, _)| waiting.same_channel(to)) {
            self.late.push_back((to.clone(), event));
        } else if let Err(TrySendError::Full(event)) = to.try_send(event) {
            self.late.push_back((to.clone(), event));
        }
        Delivery::Kept
    }

    /// Tries the held endings again; sessions that are gone lose theirs.
    pub(super) fn retry(&mut self) {
        let mut blocked: Vec<mpsc::Sender<MediaEvent>> = Vec::new();
        for (to, event) in std::mem::take(&mut self.late) {
            if blocked.iter().any(|full| full.same_channel(&to)) {
                self.late.push_back((to, event));
            } else if let Err(TrySendError::Full(event)) = to.try_send(event) {
                blocked.push(to.clone());
                self.late.push_back((to, event));
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.late.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ending(play: u64) -> MediaEvent {
        MediaEvent::PlaybackDone { leg: MediaKey::new(0, 1), play: PlayId(play), end: PlayEnd::Finished }
    }

    fn digit() -> MediaEvent {
        MediaEvent::Digit { leg: MediaKey::new(0, 1), digit: Digit::from_char('5').unwrap() }
    }

    fn note() -> MediaEvent {
        MediaEvent::RemoteLatched { leg: MediaKey::new(0, 1), destination: "127.0.0.1:4000".parse().unwrap() }
    }

    #[test]
    fn notes_leave_room_for_digits_and_digits_for_endings() {
        let (to, _from) = event_channel();
        let mut outbox = Outbox::default();
        let mut kept = |event: fn() -> MediaEvent| {
            (0..EVENT_CAPACITY).filter(|_| outbox.send(&to, event()) == Delivery::Kept).count()
        };
        assert_eq!(kept(note), EVENT_CAPACITY - DIGIT_SLOTS);
        assert_eq!(kept(digit), DIGIT_SLOTS - ENDING_SLOTS);
        assert_eq!(kept(note), 0);
        assert_eq!(kept(|| ending(1)), EVENT_CAPACITY, "endings wait, they are never dropped");
    }

    #[test]
    fn endings_outlive_a_full_channel_in_order() {
        let (to, mut from) = event_channel();
        let mut outbox = Outbox::default();
        let total = EVENT_CAPACITY as u64 + 20;
        for play in 0..total {
            assert_eq!(outbox.send(&to, ending(play)), Delivery::Kept);
        }
        outbox.retry();
        let mut heard = Vec::new();
        while heard.len() < total as usize {
            while let Ok(event) = from.try_recv() {
                heard.push(event);
            }
            outbox.retry();
        }
        assert_eq!(heard, (0..total).map(ending).collect::<Vec<_>>());
        assert!(outbox.is_empty());
    }

    #[test]
    fn a_session_that_is_gone_holds_nothing_back() {
        let (to, from) = event_channel();
        let mut outbox = Outbox::default();
        for play in 0..=EVENT_CAPACITY as u64 {
            outbox.send(&to, ending(play));
        }
        assert!(!outbox.is_empty());
        drop(from);
        outbox.retry();
        assert!(outbox.is_empty());
    }
}
