//! What an [`Endpoint`](crate::Endpoint) is told once: addresses, identity, limits, timers.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::flow::{Flow, Transport};

/// RFC 3261 §17 timer bases and the time limits built on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timers {
    /// Round-trip estimate; first retransmission interval.
    pub t1: Duration,
    /// Longest retransmission interval of non-INVITE requests and of INVITE answers.
    pub t2: Duration,
    /// Longest life of a message in the network.
    pub t4: Duration,
}

impl Default for Timers {
    fn default() -> Self {
        Self { t1: Duration::from_millis(500), t2: Duration::from_secs(4), t4: Duration::from_secs(5) }
    }
}

impl Timers {
    /// 64 × T1: timers B, F, H, J (unreliable), L and M.
    pub fn timeout(&self) -> Duration {
        self.t1 * 64
    }

    /// Timer D: how long a client INVITE transaction absorbs repeated failures over UDP.
    pub fn timer_d(&self) -> Duration {
        self.timeout().max(Duration::from_secs(32))
    }
}

/// The addresses put into Via and Contact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advertised {
    /// Host name or address (IPv6 in brackets) as peers should see it.
    pub host: String,
    /// The same for peers reached over IPv6, where it is another one.
    pub host_v6: Option<String>,
    /// Port for UDP.
    pub port: u16,
    /// Port for TCP.
    pub tcp_port: u16,
    /// Port for TLS.
    pub tls_port: u16,
    /// Port for WebSocket transports.
    pub ws_port: u16,
}

impl Advertised {
    /// The host that the far end of a flow can reach: one of its own address family.
    pub fn host_for(&self, flow: Flow) -> &str {
        match &self.host_v6 {
            Some(host) if flow.remote.is_ipv6() => host,
            _ => &self.host,
        }
    }

    /// The port peers reach over a transport.
    pub fn port_for(&self, transport: Transport) -> u16 {
        match transport {
            Transport::Udp => self.port,
            Transport::Tcp => self.tcp_port,
            Transport::Tls => self.tls_port,
            Transport::Ws | Transport::Wss => self.ws_port,
        }
    }
}

/// Bounds on every table. When one is full, new work is refused (503 for INVITE and requests, an
/// error from commands); what exists keeps running.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Legs, including those that only wait for their last timers.
    pub legs: usize,
    /// Server transactions.
    pub server_transactions: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Early dialogs and extra answers remembered for one outgoing INVITE.
    pub forks_per_leg: usize,
    /// Outputs waiting to be polled before new out-of-dialog requests are dropped unanswered.
    pub pending_outputs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            legs: 200_000,
            server_transactions: 1_000_000,
            client_transactions: 1_000_000,
            forks_per_leg: 12,
            pending_outputs: 65_536,
        }
    }
}

/// Which addresses learned from a peer's Contact or Route may be sent to.
///
/// A refused address, like a host name, makes the leg fall back to the flow its messages came from.
#[derive(Clone)]
pub struct AddressGuard(Arc<dyn Fn(SocketAddr) -> bool + Send + Sync>);

impl AddressGuard {
    /// Guard by a predicate that says whether an address may be sent to.
    pub fn new(allows: impl Fn(SocketAddr) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(allows))
    }

    /// Allow every address: for tests and closed networks.
    pub fn allow_all() -> Self {
        Self::new(|_| true)
    }

    /// Ask.
    pub fn allows(&self, address: SocketAddr) -> bool {
        (self.0)(address)
    }
}

impl fmt::Debug for AddressGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AddressGuard")
    }
}

/// Whether a request that the endpoint refuses by itself (malformed, unknown dialog, unsupported
/// extension, merged, tables full) is answered or met with silence.
///
/// A server on the open internet answers only for its own hosts: a flood of foreign requests then
/// draws no byte. Requests inside known dialogs are always answered.
#[derive(Clone)]
pub struct CourtesyGuard(Arc<dyn Fn(Flow, &str) -> bool + Send + Sync>);

impl CourtesyGuard {
    /// Guard by a predicate over the path and the Request-URI's host (empty if unreadable).
    pub fn new(answers: impl Fn(Flow, &str) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(answers))
    }

    /// Answer everybody: for tests and closed networks.
    pub fn answer_all() -> Self {
        Self::new(|_, _| true)
    }

    /// Ask.
    pub fn answers(&self, flow: Flow, host: &str) -> bool {
        (self.0)(flow, host)
    }
}

impl fmt::Debug for CourtesyGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CourtesyGuard")
    }
}

/// A request outside any dialog, before anything is kept of it. Hosts are as written, without port.
#[derive(Clone, Copy, Debug)]
pub struct Knock<'a> {
    /// The path it came over.
    pub flow: Flow,
    /// Its method as written.
    pub method: &'a str,
    /// Host of the Request-URI.
    pub request_host: &'a str,
    /// User of the Request-URI; empty if it has none.
    pub request_user: &'a str,
    /// Host of From; empty if it cannot be read.
    pub from_host: &'a str,
    /// User of From.
    pub from_user: &'a str,
    /// Host of To; empty if it cannot be read.
    pub to_host: &'a str,
}

/// Whether a request outside any dialog is looked at, or dropped without a byte and without a trace.
///
/// What the door refuses costs its parsing and nothing else: no transaction, no leg, no answer.
#[derive(Clone)]
pub struct Door(pub(super) Arc<dyn Fn(&Knock<'_>) -> bool + Send + Sync>);

impl Door {
    /// A door that opens to whom the predicate says.
    pub fn new(opens: impl Fn(&Knock<'_>) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(opens))
    }

    /// Open to everybody: for tests and closed networks.
    pub fn open() -> Self {
        Self::new(|_| true)
    }
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Door")
    }
}

/// Where in-dialog requests of a leg go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum NatPolicy {
    /// To the first Route or the peer's Contact when it is a literal, permitted address.
    Contact,
    /// To the flow that the peer's messages came from.
    #[default]
    ReceivedFlow,
}

/// Everything an endpoint is told at start.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// Shard number, printed in our branches, tags and Contacts.
    pub shard: u16,
    /// Number of this start of the process, printed beside the shard.
    pub generation: u16,
    /// Via and Contact address.
    pub advertised: Advertised,
    /// `User-Agent` and `Server` value; printed only if it is one line.
    pub product: String,
    /// Timer bases.
    pub timers: Timers,
    /// Table bounds.
    pub limits: Limits,
    /// SSRF guard for peers' Contact and Route addresses.
    pub guard: AddressGuard,
    /// Whom the endpoint's own refusals are sent to.
    pub courtesy: CourtesyGuard,
    /// Our end of TCP, for requests within a dialog that are too long for a datagram; `None` where TCP is off.
    pub tcp: Option<SocketAddr>,
    /// Which requests outside any dialog are looked at.
    pub door: Door,
    /// Policy of legs that come in; [`Endpoint::set_nat_policy`](crate::Endpoint::set_nat_policy)
    /// changes one.
    pub nat_policy: NatPolicy,
    /// Smallest `Session-Expires` accepted as UAS (RFC 4028 asks for at least 90 s).
    pub min_session_expires: Duration,
}

impl EndpointConfig {
    /// Defaults around an advertised address.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            shard: 0,
            generation: 0,
            advertised: Advertised {
                host: host.into(),
                host_v6: None,
                port,
                tcp_port: port,
                tls_port: 5061,
                ws_port: 443,
            },
            product: "Tandem".to_owned(),
            timers: Timers::default(),
            limits: Limits::default(),
            guard: AddressGuard::allow_all(),
            courtesy: CourtesyGuard::answer_all(),
            tcp: None,
            door: Door::open(),
            nat_policy: NatPolicy::default(),
            min_session_expires: Duration::from_secs(90),
        }
    }
}
