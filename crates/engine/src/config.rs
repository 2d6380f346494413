//! What the engine is told at start. The service reads files and environment; the engine sees only
//! this typed result.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tandem_callflow::CallSetup;

use crate::gate::BanRules;

/// Everything the engine needs to know of its surroundings.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where SIP over UDP listens; port 0 takes a free one. `[::]` listens for IPv4 as well.
    pub sip_bind: SocketAddr,
    /// Where SIP over TCP listens: port 0 takes [`Self::sip_bind`]'s. `None` switches TCP off.
    pub tcp_bind: Option<SocketAddr>,
    /// SIP over TLS; `None` switches it off.
    pub tls: Option<TlsConfig>,
    /// Ask gateways by OPTIONS whether they live; `None` asks nobody.
    pub probing: Option<Probing>,
    /// The address written into Via, Contact and SDP: the public one behind a one-to-one NAT.
    pub advertised_ip: IpAddr,
    /// The same for peers reached over IPv6, when [`Self::advertised_ip`] is an IPv4 address.
    pub advertised_v6: Option<Ipv6Addr>,
    /// Host names that are ours besides [`Self::advertised_ip`] (registrar, shared SIP host), for
    /// OPTIONS and for the directory's benefit.
    pub hosts: Vec<String>,
    /// UDP ports for RTP (even) and RTCP (the odd one above).
    pub rtp_ports: RangeInclusive<u16>,
    /// RTP worker threads.
    pub rtp_threads: usize,
    /// Signalling shards. One is built; more is refused at start.
    pub shards: usize,
    /// Number of this process's life, in branches and tags: a restarted process recognises
    /// messages meant for its predecessor.
    pub generation: u32,
    /// Key of digest nonces; keep it across restarts and answered challenges stay valid.
    pub nonce_key: [u8; 32],
    /// `User-Agent` and `Server`.
    pub user_agent: String,
    /// Said to a caller when no document can be had from the application.
    pub apology: String,
    /// What is bounded.
    pub limits: Limits,
    /// What unknown sources may do.
    pub edge: EdgeLimits,
    /// How long things may take.
    pub timing: Timing,
}

/// How gateways are asked whether they live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probing {
    /// Between two rounds.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Silences in a row after which a gateway is down.
    pub failures: u32,
}

/// SIP over TLS.
#[derive(Clone, Debug)]
pub struct TlsConfig {
    /// Where it listens; port 0 takes a free one.
    pub bind: SocketAddr,
    /// Our certificate and key, for peers that connect to us.
    pub server: Arc<rustls::ServerConfig>,
    /// Whose certificates we accept from peers that we connect to.
    pub client: Arc<rustls::ClientConfig>,
}

/// Bounds of one engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Live sessions; one more INVITE gets 503 with Retry-After.
    pub sessions: usize,
    /// Legs forked by one `<Dial>`.
    pub forks: usize,
    /// SIP connections open at once.
    pub connections: usize,
    /// Of those, what one source address may open: an office of phones behind one NAT is one source.
    pub connections_per_source: usize,
    /// New calls are answered 503 while messages and sessions wait longer than this for the signalling thread; zero: they
    /// may wait for ever.
    pub wait: Duration,
    /// Retry-After on 503 from overload or drain.
    pub retry_after_s: u32,
    /// `SO_RCVBUF` asked of the kernel, bytes.
    pub receive_buffer_bytes: usize,
}

/// What sources may do that are neither carriers nor on an IP ACL. A source is an IPv4 address or an IPv6 /64; rates are
/// messages a second, and 0 is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeLimits {
    /// Datagrams of one source that has proven nothing.
    pub stranger_rate_per_s: u32,
    /// What such a source may save up.
    pub stranger_burst: u32,
    /// Datagrams of all such sources together.
    pub strangers_per_s: u32,
    /// Datagrams of one source that has proven itself.
    pub proven_rate_per_s: u32,
    /// What such a source may save up.
    pub proven_burst: u32,
    /// How long a source counts as proven after a right answer to a challenge.
    pub proven_for: Duration,
    /// How long after a request of ours to it.
    pub asked_for: Duration,
    /// Challenges and refusals to sources that have proven nothing.
    pub answers_per_s: u32,
    /// Wrong answers to live challenges within [`Self::ban_window`] that ban a source; 0 bans nobody.
    pub ban_after: u32,
    /// See [`Self::ban_after`].
    pub ban_window: Duration,
    /// Length of a first ban; each further one is four times as long.
    pub ban: Duration,
    /// Longest ban.
    pub longest_ban: Duration,
}

impl EdgeLimits {
    /// The rules of bans.
    pub(crate) fn bans(&self) -> BanRules {
        BanRules {
            offences: self.ban_after,
            window_s: self.ban_window.as_secs(),
            first_s: self.ban.as_secs(),
            longest_s: self.longest_ban.as_secs(),
        }
    }
}

impl Default for EdgeLimits {
    fn default() -> Self {
        Self {
            stranger_rate_per_s: 30,
            stranger_burst: 200,
            strangers_per_s: 10_000,
            proven_rate_per_s: 2_000,
            proven_burst: 4_000,
            proven_for: Duration::from_hours(1),
            asked_for: Duration::from_mins(5),
            answers_per_s: 5_000,
            ban_after: 20,
            ban_window: Duration::from_mins(10),
            ban: Duration::from_mins(15),
            longest_ban: Duration::from_hours(24),
        }
    }
}

/// Durations. Tests shorten them; the defaults are the contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Ringing before 6010 where nothing else says so.
    pub ring_timeout: Duration,
    /// No RTP from a peer that should speak: 6020.
    pub media_timeout: Duration,
    /// T1 of RFC 3261.
    pub t1: Duration,
    /// Smallest Session-Expires taken from a caller (RFC 4028).
    pub min_session_expires: Duration,
    /// Between two reports of elapsed talk time for the reaper.
    pub tick: Duration,
    /// A route that says nothing at all for this long gives way to the next one.
    pub no_response: Duration,
    /// How long opening a connection may take before the next route is tried.
    pub connect: Duration,
    /// How long a TLS handshake, the first message of a new connection and the rest of an unfinished message may take.
    pub half_open: Duration,
    /// A connection on which nothing passed for so long, and that no call needs, is closed.
    pub idle_connection: Duration,
    /// How long an RTP port rests after its leg.
    pub port_quarantine: Duration,
    /// How long an ended call waits for what is still open: the outcome of a CANCEL, a recording.
    pub settle_grace: Duration,
    /// First pause before an unsaved end of a call is tried again; doubles up to a minute.
    pub end_retry: Duration,
}

impl EngineConfig {
    /// A configuration for `bind` with the contract's defaults.
    pub fn new(bind: SocketAddr, nonce_key: [u8; 32]) -> Self {
        let advertised_ip = match bind.ip() {
            IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
            IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
            ip => ip,
        };
        Self {
            sip_bind: bind,
            tcp_bind: None,
            tls: None,
            probing: None,
            advertised_ip,
            advertised_v6: None,
            hosts: Vec::new(),
            rtp_ports: 20_000..=40_000,
            rtp_threads: 1,
            shards: 1,
            generation: 0,
            nonce_key,
            user_agent: "Tandem".to_owned(),
            apology: CallSetup::APOLOGY.to_owned(),
            limits: Limits::default(),
            edge: EdgeLimits::default(),
            timing: Timing::default(),
        }
    }
}

impl EngineConfig {
    /// Our address as `peer` can reach it: one of its own family, where we have one.
    pub(crate) fn advertised_to(&self, peer: IpAddr) -> IpAddr {
        match self.advertised_v6 {
            Some(ip) if peer.to_canonical().is_ipv6() => ip.into(),
            _ => self.advertised_ip,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            sessions: 5_000,
            forks: 10,
            connections: 10_000,
            connections_per_source: 500,
            wait: Duration::from_millis(150),
            retry_after_s: 10,
            receive_buffer_bytes: 4 << 20,
        }
    }
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            ring_timeout: Duration::from_mins(2),
            media_timeout: Duration::from_mins(1),
            t1: Duration::from_millis(500),
            min_session_expires: Duration::from_secs(90),
            tick: Duration::from_secs(5),
            no_response: Duration::from_secs(6),
            connect: Duration::from_secs(4),
            half_open: Duration::from_secs(10),
            idle_connection: Duration::from_mins(15),
            port_quarantine: Duration::from_secs(10),
            settle_grace: Duration::from_secs(3),
            end_retry: Duration::from_millis(250),
        }
    }
}

/// An address as the host of a SIP URI: IPv6 in brackets (RFC 3261 §19.1.1).
pub(crate) fn host_text(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_string(),
        IpAddr::V6(ip) => format!("[{ip}]"),
    }
}
