//! Recordings that documents and the API ask for: who names them and looks after their files.

use std::path::PathBuf;

use jiff::Timestamp;

use crate::{CallFacts, CallStatus, RecordingId, RecordingOrder, RecordingResult};

/// A recording that begins now.
#[derive(Clone, Debug)]
pub struct RecordingBegin {
    /// Of which call.
    pub facts: CallFacts,
    /// What was asked for.
    pub order: RecordingOrder,
    /// Now.
    pub at: Timestamp,
}

/// Where it goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingPlace {
    /// Its id.
    pub recording: RecordingId,
    /// The file to write: WAV, whatever is asked for; the service converts it.
    pub path: PathBuf,
    /// Where its file will be fetched.
    pub url: String,
}

/// A recording whose file is complete, or failed.
#[derive(Clone, Debug)]
pub struct RecordingOutcome {
    /// Which.
    pub recording: RecordingId,
    /// What came of it.
    pub result: RecordingResult,
    /// Where its call stands.
    pub status: CallStatus,
    /// The call flow requests the action itself.
    pub action_requested: bool,
}

/// Names recordings and looks after their files.
pub trait Recordings: Send + Sync {
    /// Names a recording and notes it, so that it is completed even if this process is killed. Does not wait.
    fn begin(&self, begin: RecordingBegin) -> RecordingPlace;

    /// A recording is over: its row and its events are written, however long that takes. Does not wait.
    fn ended(&self, outcome: RecordingOutcome);

    /// Nobody knows what became of a recording: its file tells. Does not wait.
    fn lost(&self, recording: RecordingId);
}
