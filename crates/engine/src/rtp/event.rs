//! What the media plane tells a session.
//!
//! One bounded channel per session, made by [`event_channel`] and shared by its legs. When the
//! session is slow: an ending keeps its place at the worker and is delivered as soon as a slot is
//! free, digits have slots that nothing else may take, and the rest is dropped and counted in
//! [`super::LegReport::events_dropped`].

use std::net::SocketAddr;

use tandem_media::PlayId;
use tandem_media::dtmf::Digit;
use tokio::sync::mpsc;

use super::plane::MediaKey;

/// Slots of a session's event channel.
pub const EVENT_CAPACITY: usize = 64;

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
        refused: Option<tandem_media::dtmf::DigitsError>,
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
    /// The recorded peer has been silent for [`super::RecordRequest::silence`]; reported once.
    RecordingSilent {
        /// On which leg.
        leg: MediaKey,
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
    Refused(tandem_media::PlayoutError),
}

/// A finished recording.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordEnd {
    /// The file.
    pub path: std::path::PathBuf,
    /// Its length in time.
    pub length: std::time::Duration,
    /// Its length in bytes.
    pub bytes: u64,
    /// Root-mean-square level of what the peer said.
    pub received_dbfs: f32,
    /// Root-mean-square level of what the peer heard.
    pub sent_dbfs: f32,
    /// Frames that were lost between worker and file because the disk was slow.
    pub frames_dropped: u64,
    /// Why the file is short or missing; `None` for a good one.
    pub error: Option<String>,
}
