//! What may be asked of a recording, by a document or over the API, and how it ended.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::UrlCall;

/// The container and codec of a recording's file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingFormat {
    /// MPEG-1/2 Layer III.
    #[default]
    Mp3,
    /// Linear PCM.
    Wav,
}

impl RecordingFormat {
    /// `mp3` or `wav`: the word in records and the file's ending.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Mp3 => "mp3",
            Self::Wav => "wav",
        }
    }

    /// Reads either in any case.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Mp3, Self::Wav].into_iter().find(|format| format.as_str().eq_ignore_ascii_case(text.trim()))
    }
}

/// How the two directions of a leg lie in a recording.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingChannels {
    /// Added up.
    #[default]
    Mono,
    /// What the leg says on the left, what it hears on the right.
    Stereo,
}

impl RecordingChannels {
    /// Reads `mono` or `stereo` in any case.
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            text if text.eq_ignore_ascii_case("mono") => Some(Self::Mono),
            text if text.eq_ignore_ascii_case("stereo") => Some(Self::Stereo),
            _ => None,
        }
    }
}

/// Why a recording ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RecordingEndReason {
    /// Its speaker was silent for too long.
    RecordingTimeout,
    /// It is as long as it may be.
    MaxLength,
    /// A key was pressed that ends it.
    FinishedOnKey,
    /// The call ended.
    HungUp,
    /// It was stopped over the API.
    Stopped,
}

impl RecordingEndReason {
    /// As in `RecordingEndReason`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RecordingTimeout => "RecordingTimeout",
            Self::MaxLength => "maxLength",
            Self::FinishedOnKey => "FinishedOnKey",
            Self::HungUp => "HungUp",
            Self::Stopped => "Stopped",
        }
    }
}

/// A recording to make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingOrder {
    /// Its file.
    pub format: RecordingFormat,
    /// Its sides.
    pub channels: RecordingChannels,
    /// It ends when it is this long.
    pub max_length: Duration,
    /// It ends after its speaker was silent this long.
    pub silence: Option<Duration>,
    /// Told with `Event=Record` how it came out, unless the call flow itself requests it then.
    pub action: Option<UrlCall>,
    /// Told how it came out.
    pub tells: Vec<RecordingTell>,
}

/// Somebody who is told how a recording came out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingTell {
    /// Where and how.
    #[serde(flatten)]
    pub call: UrlCall,
    /// In which words.
    pub words: RecordingWords,
}

/// The words of a recording's end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RecordingWords {
    /// The parameters of an element, `Event=Record`.
    Record,
    /// The parameters of an element, `Event=RecordStop`.
    RecordStop,
    /// The lower-case parameters of a recording begun over the API.
    Api {
        /// `api_id` of the request that began it.
        api_id: String,
    },
}

/// A recording that is over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingResult {
    /// Why.
    pub reason: RecordingEndReason,
    /// The key that ended it.
    pub digits: String,
    /// When its audio begins.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
    /// Length of its audio, milliseconds.
    pub duration_ms: u64,
    /// Why there is no file; `None` for a good one.
    pub error: Option<String>,
}
