//! The media plane: the only RTP sockets of a node.
//!
//! The cast, top-down. [`MediaPlane`] binds port pairs and places each leg on one of a few worker
//! threads; [`RtpLeg`] is the session's handle to its leg there (dropping it closes the leg);
//! [`MediaEvent`]s come back through the session's own bounded channel. A worker owns its sockets
//! and the `tandem_media` state machines behind them: it receives, hands in, drains, sends and
//! waits for the next deadline. One recorder thread owns the files; no worker ever touches one.
//!
//! Promises: a command never blocks its caller; closing a leg and the ending of anything are never
//! lost to a full queue; nothing that arrives on the wire ends a call.

mod command;
mod event;
mod leg;
mod plane;
mod poller;
mod ports;
mod recorder;
mod report;
mod timers;
mod worker;

#[cfg(test)]
mod tests;

pub use command::Wake;
pub use event::{EVENT_CAPACITY, MediaEvent, PlayEnd, RecordEnd, RecordStop, event_channel};
pub use leg::{
    CommandError, Flow, LegMedia, MAX_RECORDINGS, RecordName, RecordRequest, Recorded, ReflectionGuard,
    RtpLeg,
};
pub use plane::{MAX_THREADS, MediaKey, MediaPlane, MediaPlaneConfig, OpenError, OpenLeg, StartError};
pub use report::LegReport;
