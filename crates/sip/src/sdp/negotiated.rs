//! The result of an exchange: what the media plane must do on one leg, or why there is none.

use std::net::SocketAddr;

use super::codec::AudioCodec;
use super::description::{Direction, SessionDescription};

/// Shortest packet time that we send.
pub const MIN_PTIME_MS: u16 = 10;
/// Longest packet time that we send.
pub const MAX_PTIME_MS: u16 = 60;
/// Packet time where neither side names one.
pub const DEFAULT_PTIME_MS: u16 = 20;

/// One leg's audio as agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// Our description as it stands after the exchange: the answer to send, or the offer that was
    /// accepted.
    pub local: SessionDescription,
    /// The codec that we send.
    pub codec: AudioCodec,
    /// Payload type on packets that we send.
    pub send_payload_type: u8,
    /// Payload type of [`Self::codec`] on packets that we receive.
    pub receive_payload_type: u8,
    /// All that the peer may send, [`Self::codec`] included: peers that answer with several codecs
    /// may switch among them at any packet.
    pub receive_codecs: Vec<(u8, AudioCodec)>,
    /// The peer's `fmtp` for [`Self::codec`], for codecs that pass through.
    pub codec_parameters: Option<String>,
    /// DTMF as RTP events (RFC 4733), where both sides have it.
    pub telephone_event: Option<TelephoneEvent>,
    /// Payload types of comfort noise (RFC 3389) on packets that we send and that we receive, where both sides have it beside
    /// G.711.
    pub comfort_noise: Option<(u8, u8)>,
    /// Where our RTP goes. Unspecified (`0.0.0.0`) under [`HoldState::ZeroAddress`]: look at
    /// [`Self::direction_local`] before sending.
    pub remote_rtp: SocketAddr,
    /// Where our RTCP goes; equals `remote_rtp` when multiplexed.
    pub remote_rtcp: SocketAddr,
    /// Whether both agreed on one port for RTP and RTCP.
    pub rtcp_mux: bool,
    /// Packet time of what we send, a multiple of 10 from 10 to 60.
    pub ptime_ms: u16,
    /// Our direction: whether we send and listen.
    pub direction_local: Direction,
    /// The peer's direction as it stated it: whether it sends (media timeout) and listens.
    pub direction_remote: Direction,
    /// Whether the peer put us on hold, and how.
    pub hold: HoldState,
}

/// Payload types of `telephone-event` on one leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TelephoneEvent {
    /// On packets that we send.
    pub send_payload_type: u8,
    /// On packets that we receive.
    pub receive_payload_type: u8,
    /// 8000, or 48000 beside Opus.
    pub clock_rate: u32,
}

/// Hold as the peer asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldState {
    /// No hold; the peer listens.
    Active,
    /// `a=sendonly`: the peer may play music at us.
    SendOnly,
    /// `a=inactive`: silence both ways.
    Inactive,
    /// `c=0.0.0.0` as in RFC 2543: nothing may be sent to the peer.
    ZeroAddress,
}

/// Why an exchange ends without audio. All are answered 488 (RFC 3261 §21.4.26).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NegotiationError {
    /// No audio section with a port.
    #[error("the description has no usable audio section")]
    NoAudio,
    /// The peer refused our audio section with port 0, or left it out.
    #[error("the peer refused our audio section")]
    AudioRefused,
    /// Audio is there, but none of its codecs is ours.
    #[error("no codec in common; the peer has {}", offered.join(", "))]
    NoCommonCodec {
        /// The peer's codecs, for the log.
        offered: Vec<String>,
    },
    /// Audio is there, but only over a transport that we do not speak, such as SRTP.
    #[error("audio over {transport} is not supported here")]
    UnsupportedTransport {
        /// As the peer wrote it.
        transport: String,
    },
    /// The media address is a name, a multicast group or missing.
    #[error("the media address is missing or not a literal unicast address")]
    UnusableAddress,
    /// The peer's address family is not ours.
    #[error("the media address {remote} is not of our address family")]
    AddressFamily {
        /// The peer's RTP address.
        remote: SocketAddr,
    },
}

impl HoldState {
    /// Whether the peer holds the call in any way.
    pub fn is_held(self) -> bool {
        self != Self::Active
    }
}

impl NegotiationError {
    /// Code and text for the `Warning` header of the 488 (RFC 3261 §20.43).
    pub fn warning(&self) -> (u16, &'static str) {
        match self {
            Self::NoAudio | Self::AudioRefused => (304, "Media type not available"),
            Self::NoCommonCodec { .. } => (305, "Incompatible media format"),
            Self::UnsupportedTransport { .. } => (302, "Incompatible transport protocol"),
            Self::UnusableAddress | Self::AddressFamily { .. } => {
                (301, "Incompatible network address formats")
            }
        }
    }
}
