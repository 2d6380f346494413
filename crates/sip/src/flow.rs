//! Where a message came from and where its answer goes: transport plus both socket addresses.
//!
//! Used by every layer and by the driver, which maps a [`Flow`] to one of its sockets. Promises
//! nothing about reachability.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// A SIP transport protocol (RFC 3261 §18, RFC 7118 for the WebSocket ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Transport {
    /// Datagrams; retransmission is ours.
    Udp,
    /// Plain stream.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// SIP over WebSocket.
    Ws,
    /// SIP over secure WebSocket.
    Wss,
}

impl Transport {
    /// Whether the transport itself retransmits, which turns timers A, E and G off and D, I, J and
    /// K to zero.
    pub fn is_reliable(self) -> bool {
        !matches!(self, Self::Udp)
    }

    /// The word in a Via's `sent-protocol`.
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The value of a URI's `transport` parameter, where one is needed: UDP is the default.
    pub fn uri_parameter(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws | Self::Wss => Some("ws"),
        }
    }
}

/// One path to a peer: which socket of ours, which address of theirs.
///
/// For a stream transport the four-tuple is the connection, so a flow is also its identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Flow {
    /// Protocol.
    pub transport: Transport,
    /// Our socket's address as bound.
    pub local: SocketAddr,
    /// The peer's address as seen by our socket.
    pub remote: SocketAddr,
}

impl Flow {
    /// The flow over the same socket to another address.
    pub fn to(self, remote: SocketAddr) -> Self {
        Self { remote, ..self }
    }
}
