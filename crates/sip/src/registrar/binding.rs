//! A binding: one contact of one user, and the flow over which it is reached.

use std::net::SocketAddr;

/// One registered contact as stored. Identified by (`aor`, `contact_uri`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// Address of record in the host's canonical form, `user@domain`.
    pub aor: String,
    /// Contact URI as the phone wrote it: the Request-URI of calls to it.
    pub contact_uri: String,
    /// Expiry, seconds since the epoch.
    pub expires_at: u64,
    /// Last accepted REGISTER for it, seconds since the epoch.
    pub refreshed_at: u64,
    /// Call-ID of that REGISTER.
    pub call_id: String,
    /// CSeq of that REGISTER.
    pub cseq: u32,
    /// Where that REGISTER came from: requests to the phone go there.
    pub flow: Flow,
    /// Path (RFC 3327), topmost first: preloaded routes for requests to the phone.
    pub path: Vec<String>,
    /// User-Agent of the phone.
    pub user_agent: Option<String>,
    /// `+sip.instance`, which names the device.
    pub instance: Option<String>,
    /// `reg-id` (RFC 5626), which tells a device's flows apart.
    pub reg_id: Option<u32>,
    /// `q` in thousandths, 1000 where absent.
    pub q_millis: u16,
}

/// A change to store. Changes of one outcome belong in one transaction, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BindingChange {
    /// Insert, or replace the binding of the same (`aor`, `contact_uri`).
    Upsert(Binding),
    /// Delete the binding of this (`aor`, `contact_uri`), if it is there.
    Remove {
        /// Address of record.
        aor: String,
        /// Contact URI.
        contact_uri: String,
    },
}

/// The network path of a REGISTER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Flow {
    /// Transport of the request.
    pub transport: FlowTransport,
    /// Our address that it reached.
    pub local: SocketAddr,
    /// Its source: `received` and `rport` of the top Via.
    pub remote: SocketAddr,
    /// The host's number for the connection; `None` for UDP. A connection without one gets no
    /// keep-alives and is not found by [`super::Registrar::connection_closed`].
    pub connection: Option<u64>,
    /// Whether there is a NAT between.
    pub nat: Nat,
}

/// Transport of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum FlowTransport {
    /// UDP.
    Udp,
    /// TCP.
    Tcp,
    /// TLS over TCP.
    Tls,
    /// WebSocket (RFC 7118).
    Ws,
    /// WebSocket over TLS.
    Wss,
}

/// Whether the contact's own address is its source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Nat {
    /// Via and Contact name the source of the packet.
    Direct,
    /// They do not: the flow is the only way to the phone.
    Translated,
}

impl FlowTransport {
    /// Whether the flow is a connection, which a restart breaks.
    pub fn is_connection(self) -> bool {
        self != Self::Udp
    }
}
