//! What the API asks of a live call beside hanging it up, and what it is answered. Carried out by the session that owns
//! the call's legs; everything here is about its two parties, the A leg and the leg A talks with.

use std::time::Duration;

use tandem_model::ports::SpeechRequest;
use tandem_model::{CallId, UrlCall};
use thiserror::Error;
use tokio::sync::oneshot;

/// Orders that may wait for one session; one more is [`SteerError::Busy`].
pub const MAX_WAITING_ORDERS: usize = 32;

/// Something asked of a live call.
#[derive(Clone, Debug)]
pub enum LiveCommand {
    /// Move legs to other documents. A leg that is not moved goes on: A after its Dial; the other leg is hung up when A
    /// moves alone, for it has no document of its own.
    Transfer {
        /// Where A goes.
        a: Option<UrlCall>,
        /// Where the leg goes that A talks with.
        b: Option<UrlCall>,
    },
    /// Play to legs; a sound of the same kind that plays to them already ends.
    Play {
        /// To whom; the leg named in the request when absent.
        legs: Option<LiveLegs>,
        /// What.
        sound: LiveSound,
        /// Again and again until stopped.
        repeats: bool,
        /// Stop after this long.
        length: Option<Duration>,
        /// Mix it with the conversation instead of silencing that.
        mixes: bool,
    },
    /// Stop what [`LiveCommand::Play`] plays, to every leg of the call.
    StopPlaying(SoundKind),
    /// Send keys: `0-9 * # A-D`, `w` waits half a second, `W` a whole one.
    SendDigits {
        /// To whom; the leg named in the request when absent.
        legs: Option<LiveLegs>,
        /// Which.
        digits: String,
    },
}

/// Which legs of a call are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LiveLegs {
    /// The leg the call began with.
    A,
    /// The leg A talks with.
    B,
    /// Both.
    Both,
}

/// A sound to play into a live call.
#[derive(Clone, Debug)]
pub enum LiveSound {
    /// Files, one after the other: absolute URLs.
    Files(Vec<String>),
    /// Speech.
    Speech(SpeechRequest),
}

/// Files and speech are stopped apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoundKind {
    /// [`LiveSound::Files`].
    Files,
    /// [`LiveSound::Speech`].
    Speech,
}

impl LiveSound {
    /// What it is stopped as.
    pub fn kind(&self) -> SoundKind {
        match self {
            Self::Files(_) => SoundKind::Files,
            Self::Speech(_) => SoundKind::Speech,
        }
    }
}

/// An order that was taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Steered {
    /// The calls it was carried out on.
    pub calls: Vec<CallId>,
}

/// Why an order was not carried out. Nothing has happened.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum SteerError {
    /// The call is not live here, or not answered, or ends.
    #[error("the call is not in progress")]
    NotInProgress,
    /// A talks with nobody.
    #[error("the call has no second leg")]
    NoOtherLeg,
    /// No document steers a trunk call.
    #[error("a call through a trunk runs no document")]
    NoDocument,
    /// Too many orders wait for this call.
    #[error("too many requests for this call at once")]
    Busy,
    /// The node takes no new sessions.
    #[error("the node has as many live calls as it may")]
    Overloaded,
}

/// An order on its way.
#[derive(Debug)]
pub(crate) struct LiveOrder {
    pub(crate) call: CallId,
    pub(crate) command: LiveCommand,
    pub(crate) answer: oneshot::Sender<Result<Steered, SteerError>>,
}
