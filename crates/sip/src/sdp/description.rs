//! The session description as a value: what was said, typed where we act on it.
//!
//! Attributes that negotiation reads have fields of their own; all others are kept, in order, as
//! [`Attribute`]. Lines that are neither (`b=`, `k=`, `i=`, …) are dropped when parsing.

use std::fmt;
use std::net::IpAddr;

/// One session description (RFC 8866 §5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionDescription {
    /// `o=`: who made it, which session, which version.
    pub origin: Origin,
    /// `s=`; `-` where the peer left it out.
    pub session_name: String,
    /// Session-level `c=`, the default for every media section.
    pub connection: Option<Connection>,
    /// Start and stop of `t=`; an answer repeats the offer's (RFC 3264 §6).
    pub timing: (u64, u64),
    /// Session-level direction, the default for every media section.
    pub direction: Option<Direction>,
    /// Session-level attributes without a field of their own.
    pub attributes: Vec<Attribute>,
    /// The media sections, in order. The order is the identity of a section in offer/answer.
    pub media: Vec<Media>,
}

/// `o=<username> <session id> <version> IN <address type> <host>` (RFC 8866 §5.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// User name; may contain blanks, because one carrier's gateways send some.
    pub username: String,
    /// Session identifier. Text, because peers send numbers beyond 64 bits and compare by equality.
    pub session_id: String,
    /// Version of the session, raised by the peer with each change.
    pub version: String,
    /// Address of the originator; informative only, never used to send media.
    pub host: Host,
}

/// A literal address or a name. Names are carried but never resolved here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Host {
    /// A literal IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A host name under the address type that the peer wrote (`IP4` or `IP6`).
    Name {
        /// `true` when the peer wrote `IP6`.
        ipv6: bool,
        /// The name.
        name: String,
    },
}

/// `c=` (RFC 8866 §5.7). A multicast TTL or count is dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Connection {
    /// Where media goes.
    pub host: Host,
}

/// One `m=` section with its attributes (RFC 8866 §5.14).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// Audio, video, image or another type.
    pub kind: MediaKind,
    /// Transport port; 0 says that the section is refused or ended.
    pub port: u16,
    /// Transport protocol.
    pub transport: Transport,
    /// Formats as written: RTP payload types, or names such as `t38`.
    pub formats: Vec<String>,
    /// Media-level `c=`.
    pub connection: Option<Connection>,
    /// Media-level direction.
    pub direction: Option<Direction>,
    /// `a=rtpmap`.
    pub rtpmaps: Vec<RtpMap>,
    /// `a=fmtp` for numeric payload types.
    pub fmtps: Vec<Fmtp>,
    /// `a=ptime`, milliseconds.
    pub ptime_ms: Option<u16>,
    /// `a=maxptime`, milliseconds.
    pub maxptime_ms: Option<u16>,
    /// `a=rtcp` (RFC 3605).
    pub rtcp: Option<RtcpAttribute>,
    /// `a=rtcp-mux` (RFC 5761).
    pub rtcp_mux: bool,
    /// `a=crypto` (RFC 4568), carried unread.
    pub crypto: Vec<Crypto>,
    /// Attributes without a field of their own, in order.
    pub attributes: Vec<Attribute>,
}

/// The media type of an `m=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaKind {
    /// `audio`.
    Audio,
    /// `video`.
    Video,
    /// `image`, in practice T.38.
    Image,
    /// Any other, as written.
    Other(String),
}

/// The transport protocol of an `m=` line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Transport {
    /// `RTP/AVP`.
    RtpAvp,
    /// `RTP/AVPF` (RFC 4585).
    RtpAvpf,
    /// `RTP/SAVP` (RFC 3711).
    RtpSavp,
    /// `RTP/SAVPF` (RFC 5124).
    RtpSavpf,
    /// `UDP/TLS/RTP/SAVPF` (RFC 5764).
    UdpTlsRtpSavpf,
    /// `udptl`, T.38.
    Udptl,
    /// Any other, as written.
    Other(String),
}

/// `a=rtpmap:<payload type> <encoding>/<clock rate>[/<channels>]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtpMap {
    /// RTP payload type, 0–127.
    pub payload_type: u8,
    /// Encoding name as written; compare without case.
    pub encoding: String,
    /// RTP clock rate in Hz.
    pub clock_rate: u32,
    /// Channels, 1 where absent.
    pub channels: u8,
}

/// `a=fmtp:<payload type> <parameters>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fmtp {
    /// RTP payload type, 0–127.
    pub payload_type: u8,
    /// Parameters as written.
    pub parameters: String,
}

/// `a=rtcp:<port> [IN <type> <address>]` (RFC 3605).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RtcpAttribute {
    /// RTCP port.
    pub port: u16,
    /// RTCP address where it differs from the media's.
    pub address: Option<IpAddr>,
}

/// `a=crypto`, unread. `Debug` shows the suite and hides the key.
#[derive(Clone, PartialEq, Eq)]
pub struct Crypto(String);

/// An attribute that has no field of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Name, before the colon.
    pub name: String,
    /// Value, after the colon; `None` for a property attribute.
    pub value: Option<String>,
}

/// Media direction as its owner sees it (RFC 3264 §5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Direction {
    /// Sends and receives.
    #[default]
    SendRecv,
    /// Sends, does not listen: hold with music.
    SendOnly,
    /// Listens, does not send.
    RecvOnly,
    /// Neither.
    Inactive,
}

/// How a description relates to the one its sender gave before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revision {
    /// Same origin, same content: a session refresh, nothing to do.
    Unchanged,
    /// A new version or another session.
    Changed,
    /// The content differs though the version does not. RFC 3264 §8 forbids it; phones do it on
    /// hold. Treat it as changed.
    ChangedSilently,
}

impl SessionDescription {
    /// Compares with the previous description of the same peer in the same dialog.
    pub fn revision_since(&self, previous: &Self) -> Revision {
        if self == previous {
            Revision::Unchanged
        } else if self.origin == previous.origin {
            Revision::ChangedSilently
        } else {
            Revision::Changed
        }
    }

    /// The connection that holds for one media section: its own, else the session's.
    pub fn connection_of<'a>(&'a self, media: &'a Media) -> Option<&'a Connection> {
        media.connection.as_ref().or(self.connection.as_ref())
    }

    /// The direction that holds for one media section: its own, the session's, else `sendrecv`.
    pub fn direction_of(&self, media: &Media) -> Direction {
        media.direction.or(self.direction).unwrap_or_default()
    }
}

impl Host {
    /// The literal address, if it is one.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Ip(address) => Some(*address),
            Self::Name { .. } => None,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        Self::Ip(address)
    }
}

impl MediaKind {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Audio => "audio",
            Self::Video => "video",
            Self::Image => "image",
            Self::Other(name) => name,
        }
    }

    /// The kind of that name, whatever its case.
    pub fn from_name(name: &str) -> Self {
        [Self::Audio, Self::Video, Self::Image]
            .into_iter()
            .find(|kind| kind.as_str().eq_ignore_ascii_case(name))
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl Transport {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::RtpAvp => "RTP/AVP",
            Self::RtpAvpf => "RTP/AVPF",
            Self::RtpSavp => "RTP/SAVP",
            Self::RtpSavpf => "RTP/SAVPF",
            Self::UdpTlsRtpSavpf => "UDP/TLS/RTP/SAVPF",
            Self::Udptl => "udptl",
            Self::Other(name) => name,
        }
    }

    /// The transport of that name, whatever its case.
    pub fn from_name(name: &str) -> Self {
        [Self::RtpAvp, Self::RtpAvpf, Self::RtpSavp, Self::RtpSavpf, Self::UdpTlsRtpSavpf, Self::Udptl]
            .into_iter()
            .find(|transport| transport.as_str().eq_ignore_ascii_case(name))
            .unwrap_or_else(|| Self::Other(name.to_owned()))
    }
}

impl Media {
    /// A bare section without attributes.
    pub fn new(kind: MediaKind, port: u16, transport: Transport, formats: Vec<String>) -> Self {
        Self {
            kind,
            port,
            transport,
            formats,
            connection: None,
            direction: None,
            rtpmaps: Vec::new(),
            fmtps: Vec::new(),
            ptime_ms: None,
            maxptime_ms: None,
            rtcp: None,
            rtcp_mux: false,
            crypto: Vec::new(),
            attributes: Vec::new(),
        }
    }

    /// The same section refused: port 0, formats kept, attributes gone (RFC 3264 §6).
    pub fn refused(&self) -> Self {
        let mut formats = self.formats.clone();
        if formats.is_empty() {
            formats.push("0".to_owned());
        }
        Self::new(self.kind.clone(), 0, self.transport.clone(), formats)
    }

    /// The payload types in order of preference; formats that are no payload type are skipped.
    pub fn payload_types(&self) -> impl Iterator<Item = u8> + '_ {
        self.formats
            .iter()
            .filter_map(|format| format.parse().ok())
            .filter(|payload_type| *payload_type < 128)
    }

    /// The `rtpmap` of one payload type.
    pub fn rtpmap(&self, payload_type: u8) -> Option<&RtpMap> {
        self.rtpmaps.iter().find(|map| map.payload_type == payload_type)
    }

    /// The `fmtp` parameters of one payload type.
    pub fn fmtp(&self, payload_type: u8) -> Option<&str> {
        self.fmtps.iter().find(|fmtp| fmtp.payload_type == payload_type).map(|fmtp| fmtp.parameters.as_str())
    }
}

impl Crypto {
    /// Wraps the value after `a=crypto:`.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The whole value, key included.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The crypto suite, second word of the value.
    pub fn suite(&self) -> Option<&str> {
        self.0.split_ascii_whitespace().nth(1)
    }
}

impl fmt::Debug for Crypto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Crypto").field(&self.suite().unwrap_or("?")).finish()
    }
}

impl Direction {
    /// The attribute name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }

    /// The same flow of media as the other side would name it.
    pub fn reversed(self) -> Self {
        match self {
            Self::SendOnly => Self::RecvOnly,
            Self::RecvOnly => Self::SendOnly,
            symmetric => symmetric,
        }
    }

    /// What both directions allow.
    pub fn meet(self, other: Self) -> Self {
        match (self.sends() && other.sends(), self.receives() && other.receives()) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// Whether the owner of this direction sends.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the owner of this direction listens.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}
