//! What goes into an [`Endpoint`](crate::Endpoint) and what comes out.

use std::ops::Deref;
use std::sync::Arc;

use super::event::Event;
use crate::flow::Flow;

/// One thing that happened outside.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// One whole message: a datagram, or one message framed out of a stream.
    Datagram {
        /// The path it came over.
        flow: Flow,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// A connection closed, or a datagram to this address was refused (ICMP).
    TransportFailed {
        /// The path that failed.
        flow: Flow,
    },
    /// The time given by [`Endpoint::deadline`](crate::Endpoint::deadline) has come.
    Timeout,
}

/// One thing to do outside. Take them with [`Endpoint::poll`](crate::Endpoint::poll) until `None`.
#[derive(Clone, Debug)]
pub enum Output {
    /// Send these bytes over this path.
    Transmit {
        /// The path; for UDP, `flow.remote` is the destination.
        flow: Flow,
        /// One whole message.
        bytes: Packet,
    },
    /// Something the owner of calls should know.
    Event(Event),
}

/// A printed message, shared between the output queue and retransmission without a copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet(Arc<[u8]>);

impl Packet {
    pub(crate) fn new(bytes: &[u8]) -> Self {
        Self(Arc::from(bytes))
    }
}

impl Deref for Packet {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Packet {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
