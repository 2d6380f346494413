//! What people watch as it happens: the timeline of a call in development mode.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::CallId;

/// What a line of a timeline is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraceKind {
    /// A SIP message received or sent.
    Sip,
    /// A document fetched or an element run.
    Xml,
    /// Audio: started, heard, stopped, measured.
    Audio,
    /// The record.
    Record,
    /// Money.
    Charge,
    /// A webhook attempt.
    Webhook,
}

/// One line of a timeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trace {
    /// The call.
    pub call: CallId,
    /// When.
    pub at: Timestamp,
    /// What about.
    pub kind: TraceKind,
    /// For people, such as `<- INVITE sip:+91… from 127.0.0.1:5071`.
    pub text: String,
}

/// A watcher. Never waits; drops when nobody watches.
pub trait Observer: Send + Sync {
    /// Whether anybody watches: callers skip formatting when not.
    fn watching(&self) -> bool;

    /// Takes a line.
    fn observe(&self, trace: Trace);
}
