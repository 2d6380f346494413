//! The words of commands to an [`Endpoint`](crate::Endpoint): arguments and outcomes.

use std::time::Duration;

use thiserror::Error;

use super::config::NatPolicy;
use crate::digest::Credentials;
use crate::flow::Flow;
use crate::message::{Address, HeaderField, Method, OwnedUri};

/// What became of a command. The endpoint's order is the truth: a command that lost a race says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Done: what the command sends is in the output queue, or leaves as soon as the protocol lets
    /// it (a CANCEL waits for a provisional, a 2xx for a PRACK).
    Sent,
    /// The caller cancelled first.
    AlreadyCancelled,
    /// The leg, transaction or request no longer exists.
    Gone,
    /// The leg exists but is not in a state where the command makes sense.
    WrongState,
    /// A table is full, or the argument cannot be printed; nothing was sent.
    Refused,
}

/// Why no leg or request was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CommandError {
    /// A table of [`Limits`](crate::Limits) is full.
    #[error("the endpoint's tables are full")]
    Full,
    /// The message would exceed [`MAX_EXTRA_FIELDS`](crate::message::MAX_EXTRA_FIELDS), or a text
    /// given as plain string (Call-ID, Contact user, content type) holds a forbidden character.
    #[error("the message cannot be printed from these values")]
    Unprintable,
}

/// Which of the two challenges to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChallengeKind {
    /// 401 with WWW-Authenticate.
    Unauthorized,
    /// 407 with Proxy-Authenticate.
    ProxyAuthenticationRequired,
}

/// When the ACK to the 2xx of an outgoing INVITE leaves.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AckTiming {
    /// As soon as the 2xx is here (unless the ACK has to carry our answer).
    #[default]
    AtOnce,
    /// When [`Endpoint::acknowledge`](crate::Endpoint::acknowledge) says so: after the dialog has been
    /// written down. Until then the callee repeats its 2xx, to whoever we are by then.
    ByCommand,
}

/// An outgoing call.
#[derive(Clone, Debug)]
pub struct OutgoingInvite {
    /// Where to send it. Name resolution is the caller's.
    pub flow: Flow,
    /// A connection to the same peer, taken instead of a UDP flow when the INVITE is longer than
    /// [`LARGE_REQUEST_BYTES`](crate::LARGE_REQUEST_BYTES); should it fail, UDP is tried after all (RFC 3261 §18.1.1).
    /// `None` where the transport was chosen for us (a `transport` parameter, an SRV record).
    pub large_flow: Option<Flow>,
    /// Request-URI.
    pub request_uri: OwnedUri,
    /// From, without tag.
    pub from: Address,
    /// To.
    pub to: Address,
    /// User part of our Contact; none prints a bare host.
    pub contact_user: Option<String>,
    /// P-Asserted-Identity.
    pub p_asserted_identity: Option<Address>,
    /// Further headers (Diversion, Privacy, X-VH-…, Authorization learned before, …).
    pub headers: Vec<HeaderField>,
    /// Call-ID; generated if absent.
    pub call_id: Option<String>,
    /// Pre-loaded route set (outbound proxy, Path of a registration).
    pub route: Vec<OwnedUri>,
    /// The offer; `None` asks the far side for one.
    pub sdp: Option<Vec<u8>>,
    /// Timer C: how long it may stay unanswered after the INVITE, whatever provisionals come.
    pub ring_timeout: Duration,
    /// Max-Forwards.
    pub max_forwards: u8,
    /// Where later requests of this leg go.
    pub nat_policy: NatPolicy,
    /// When the ACK leaves.
    pub ack: AckTiming,
    /// What answers a challenge to a later request of the leg (BYE, INFO, a refresh). The INVITE's own is reported by
    /// `Event::Challenged`.
    pub credentials: Option<Credentials>,
}

impl OutgoingInvite {
    /// A call with defaults: no extra headers, 60 s ring timeout, Max-Forwards 70.
    pub fn new(flow: Flow, request_uri: OwnedUri, from: Address, to: Address) -> Self {
        Self {
            flow,
            large_flow: None,
            request_uri,
            from,
            to,
            contact_user: None,
            p_asserted_identity: None,
            headers: Vec::new(),
            call_id: None,
            route: Vec::new(),
            sdp: None,
            ring_timeout: Duration::from_mins(1),
            max_forwards: 70,
            nat_policy: NatPolicy::default(),
            ack: AckTiming::AtOnce,
            credentials: None,
        }
    }
}

/// An outgoing request outside a dialog: OPTIONS, REGISTER, MESSAGE.
#[derive(Clone, Debug)]
pub struct OutgoingRequest {
    /// Where to send it.
    pub flow: Flow,
    /// Any method but INVITE, ACK, CANCEL and BYE.
    pub method: Method,
    /// Request-URI.
    pub request_uri: OwnedUri,
    /// From, without tag.
    pub from: Address,
    /// To.
    pub to: Address,
    /// Call-ID; a REGISTER keeps one for its whole life. Generated if absent.
    pub call_id: Option<String>,
    /// CSeq number; a REGISTER's grows. 1 if the caller does not care.
    pub cseq: u32,
    /// From-tag; generated if absent.
    pub from_tag: Option<String>,
    /// User part of our Contact; `None` prints no Contact.
    pub contact_user: Option<String>,
    /// Pre-loaded route set.
    pub route: Vec<OwnedUri>,
    /// Further headers (Expires, Authorization, …).
    pub headers: Vec<HeaderField>,
    /// Content type and body.
    pub body: Option<(String, Vec<u8>)>,
}

impl OutgoingRequest {
    /// A request with defaults.
    pub fn new(flow: Flow, method: Method, request_uri: OwnedUri, from: Address, to: Address) -> Self {
        Self {
            flow,
            method,
            request_uri,
            from,
            to,
            call_id: None,
            cseq: 1,
            from_tag: None,
            contact_user: None,
            route: Vec::new(),
            headers: Vec::new(),
            body: None,
        }
    }
}
