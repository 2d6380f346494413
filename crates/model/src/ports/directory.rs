//! Who is this stranger? One read of memory, before anything is answered.

use std::net::SocketAddr;

use secrecy::SecretString;

use super::routing::{Gateway, GatewayHealth};
use crate::{AccountId, CarrierId, TrunkId};

/// Transport of a signalling flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A TCP connection.
    Tcp,
    /// TLS over TCP.
    Tls,
}

/// What is known of a request before authentication.
#[derive(Clone, Debug)]
pub struct EdgeFacts<'a> {
    /// Where the datagram came from.
    pub source: SocketAddr,
    /// Over what.
    pub transport: Transport,
    /// SIP method.
    pub method: &'a str,
    /// Host of the Request-URI, without port, lower case.
    pub request_host: &'a str,
    /// User of the Request-URI.
    pub request_user: &'a str,
    /// Host of From, lower case.
    pub from_host: &'a str,
    /// User of From.
    pub from_user: &'a str,
    /// Host of To, lower case.
    pub to_host: &'a str,
}

/// Which digest challenges are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DigestPolicy {
    /// MD5 only: what every PBX can do.
    #[default]
    Md5,
    /// SHA-256 only.
    Sha256,
    /// Both, MD5 first.
    Both,
}

/// Whose user names a challenge is about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum DigestScope {
    /// Credentials of a trunk.
    Trunk(TrunkId),
    /// SIP endpoints of the registrar.
    Endpoints,
}

/// How a request to a trunk may prove itself.
#[derive(Clone, Debug)]
pub struct TrunkAccess {
    /// The trunk.
    pub trunk: TrunkId,
    /// Its account.
    pub account: AccountId,
    /// The source is on the trunk's IP ACL (together with its domain): no digest needed.
    pub acl_match: bool,
    /// The trunk has enabled credentials: challenge with this realm.
    pub digest: Option<(String, DigestPolicy)>,
}

/// What the directory makes of a request.
#[derive(Clone, Debug)]
pub enum Located {
    /// A host that is not ours, or a source nobody knows: silence.
    Stranger,
    /// A known source, an unknown domain: 404.
    UnknownDomain,
    /// A trunk's domain.
    Trunk(TrunkAccess),
    /// The registrar's host: an endpoint, which must prove itself by digest in this realm.
    Endpoint {
        /// Realm of the challenge.
        realm: String,
        /// Challenges offered.
        policy: DigestPolicy,
    },
    /// A carrier's address: a call from the telephone network.
    Carrier(CarrierId),
}

/// The in-memory directory. Answers within microseconds and never waits.
pub trait Directory: Send + Sync {
    /// Finds what a request is addressed to and how it may prove itself.
    fn locate(&self, facts: &EdgeFacts<'_>) -> Located;

    /// Whether the address is a carrier's or stands on some trunk's IP ACL: such peers are never limited or banned.
    fn knows(&self, source: SocketAddr, transport: Transport) -> bool;

    /// The password of a user name, to compute HA1 for a realm. `None` for an unknown or disabled
    /// user; the caller must spend the same time on both.
    fn password(&self, scope: &DigestScope, username: &str) -> Option<SecretString>;

    /// The address may be sent SIP or RTP (the address guard: no SIP-side SSRF).
    fn may_send_to(&self, address: SocketAddr) -> bool;

    /// The gateways in use, each once: whom to ask for signs of life.
    fn gateways(&self) -> Vec<Gateway> {
        Vec::new()
    }

    /// What the probes of a gateway say. Routes to one that is down are tried after all others.
    fn mark_gateway(&self, gateway: &Gateway, health: GatewayHealth) {
        let _ = (gateway, health);
    }
}
