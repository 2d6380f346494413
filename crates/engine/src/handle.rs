//! Starting, steering and stopping an engine: all that the service sees of it.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_model::ports::{AdmittedLeg, Ports};
use tandem_model::{ApplicationPlan, CallId, HangupSource, OrphanCall};
use thiserror::Error;

use crate::config::EngineConfig;

/// The engine: the only SIP and RTP sockets of a node.
pub struct Engine;

/// A running engine. Clones steer the same one.
#[derive(Clone)]
pub struct EngineHandle {}

/// An API call whose admission is done.
#[derive(Clone, Debug)]
pub struct Origination {
    /// Identity, routes, money, limits and recording of the call.
    pub leg: AdmittedLeg,
    /// What runs once it is answered.
    pub application: ApplicationPlan,
    /// Seconds of ringing before 6010; [`crate::Timing::ring_timeout`] when absent.
    pub ring_timeout_s: Option<u32>,
}

/// Why an engine did not start.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A socket could not be had.
    #[error("cannot listen for SIP on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The media plane could not start.
    #[error("cannot start the media plane: {0}")]
    Media(String),
    /// The configuration cannot be.
    #[error("configuration: {0}")]
    Configuration(&'static str),
    /// Stored registrations could not be read.
    #[error("cannot load registrations")]
    Registrations(#[source] tandem_model::ports::StoreUnavailable),
    /// A thread could not be started, or ended at once.
    #[error("cannot run the signalling thread")]
    Thread(#[source] std::io::Error),
}

/// Why an API call was not taken. Nothing was recorded: the caller settles it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OriginateError {
    /// As many sessions as the configuration allows, or a full command queue.
    #[error("the node has as many live calls as it may")]
    Overloaded,
    /// The engine drains or has stopped.
    #[error("the node is draining")]
    Draining,
}

impl Engine {
    /// Binds the sockets, loads the registrations and starts the threads. Returns once calls are
    /// served.
    pub async fn start(config: EngineConfig, ports: Ports) -> Result<EngineHandle, EngineError> {
        let _ = (config, ports);
        todo!()
    }
}

impl EngineHandle {
    /// The SIP address actually bound.
    pub fn sip_addr(&self) -> SocketAddr {
        todo!()
    }

    /// Dials an admitted API call; its end arrives through `Admission::ended`.
    pub fn originate(&self, origination: Origination) -> Result<(), OriginateError> {
        let _ = origination;
        todo!()
    }

    /// Ends a live call, whichever leg it names; `false` when it is not live here. The request is
    /// latched: it cannot be lost to a full queue.
    pub fn hangup(&self, call: CallId, source: HangupSource) -> bool {
        let _ = (call, source);
        todo!()
    }

    /// Ends, at the peers, calls whose process is gone: BYE for answered ones; CANCEL towards B and
    /// 500 towards A for the others. Returns how many dialogs got a message.
    pub async fn end_orphans(&self, orphans: Vec<OrphanCall>) -> usize {
        let _ = orphans;
        todo!()
    }

    /// Sessions alive, those that only wait for their end to be stored included.
    pub fn live_count(&self) -> usize {
        todo!()
    }

    /// Refuses new calls (503 with Retry-After) and waits until none is left or `limit` has
    /// passed; then ends the rest. Returns how many it had to end.
    pub async fn drain(&self, limit: Duration) -> usize {
        let _ = limit;
        todo!()
    }

    /// Ends every call, waits until the ends are stored (at most a few seconds) and stops the
    /// threads.
    pub async fn shutdown(&self) {
        todo!()
    }

    /// Stops at once, saying goodbye to nobody, as a crash would: for tests of what follows one.
    pub fn abandon(&self) {
        todo!()
    }
}
