//! What goes into a leg and what comes out of it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::codec::{Direction, PayloadKind, PayloadMap};
use crate::dtmf::DigitEvent;
use crate::latch::LatchPolicy;
use crate::playout::{PlayId, PlayoutEvent};
use crate::rtp::Packet;
use crate::start_gate::Start;

/// Packets sent at most to an address that differs from the signalling one and never answered:
/// enough to open a NAT, too few to be worth reflecting.
pub const UNPROVEN_PACKETS: u16 = 50;

/// What SDP settled; changes with a re-INVITE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Negotiated {
    /// Numbers the peer uses towards us (our SDP).
    pub receive: PayloadMap,
    /// Numbers we use towards the peer (its SDP).
    pub send: PayloadMap,
    /// Milliseconds per packet we send, 10–60 (the peer's `a=ptime`, else 20).
    pub ptime_ms: u8,
    /// The peer's SDP address; `None` while unknown or 0.0.0.0.
    pub remote: Option<SocketAddr>,
    /// The peer's RTCP address: `None` is port + 1; equal to `remote` when multiplexed.
    pub remote_rtcp: Option<SocketAddr>,
    /// Direction seen from us.
    pub direction: Direction,
}

/// Everything a leg is born with.
#[derive(Clone, Copy, Debug)]
pub struct LegConfig {
    /// Our SSRC, random.
    pub ssrc: u32,
    /// First sequence number, random.
    pub first_sequence: u16,
    /// First timestamp, random.
    pub first_timestamp: u32,
    /// Time since the Unix epoch at the instant of creation: RTCP's wall clock.
    pub unix_time: Duration,
    /// What SDP settled.
    pub negotiated: Negotiated,
    /// How the peer's address is learned.
    pub latch: LatchPolicy,
    /// The IP address signalling came from: the other address a NATed peer may speak from.
    pub signalling_ip: Option<IpAddr>,
    /// Silence of this length, where the peer should speak, is a [`LegEvent::MediaTimeout`].
    /// `None` is off.
    pub media_timeout: Option<Duration>,
    /// When playout may start.
    pub start: Start,
    /// [`UNPROVEN_PACKETS`] for strangers; `None` for configured carriers.
    pub unproven_packets: Option<u16>,
}

/// An accepted RTP packet: enough to relay, decode or record it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// Header and payload bounds.
    pub packet: Packet,
    /// What the payload type means on the leg it arrived at.
    pub kind: PayloadKind,
}

/// What RTCP told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RtcpFacts {
    /// The peer said BYE.
    pub bye: bool,
    /// It carried a report on our stream.
    pub report: bool,
}

/// Why a datagram was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reject {
    /// Neither RTP nor RTCP.
    Malformed,
    /// From an address this leg does not listen to.
    Source,
    /// Seen before.
    Duplicate,
    /// A payload type never negotiated.
    PayloadType,
    /// Sequence far outside the window (replay or a stray stream).
    Stray,
}

/// What a datagram was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// Audio: relay, record or decode it.
    Audio(Incoming),
    /// A telephone-event packet: relay it; `Some` when it tells something new.
    Digit(Incoming, Option<DigitEvent>),
    /// Comfort noise: relay it if the other leg has it.
    ComfortNoise(Incoming),
    /// RTCP, consumed.
    Rtcp(RtcpFacts),
    /// Not for us; counted.
    Rejected(Reject),
}

/// What a leg noticed by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LegEvent {
    /// The frame with the item's last sample has been sent (or the mark was reached).
    PlayoutDone(PlayId),
    /// The item was cleared or stopped before its end.
    PlayoutCleared(PlayId),
    /// A digit whose end was lost, or one heard in-band.
    Digit(DigitEvent),
    /// Every queued digit has been sent.
    DigitsSent,
    /// What [`super::MediaLeg::listen_for`] waits for was heard.
    Noticed,
    /// No RTP or RTCP for the media timeout; once per silence.
    MediaTimeout,
}

/// Counters of a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct LegStats {
    /// RTP packets accepted.
    pub packets_received: u64,
    /// RTP packets sent.
    pub packets_sent: u64,
    /// Payload bytes sent.
    pub octets_sent: u64,
    /// Packets lost on the way to us.
    pub packets_lost: u64,
    /// Duplicates dropped.
    pub duplicates: u64,
    /// Packets that arrived out of order.
    pub reordered: u64,
    /// Datagrams refused.
    pub rejected: u64,
    /// Times the peer's SSRC changed or its sequence restarted.
    pub ssrc_changes: u32,
}

impl Incoming {
    /// The payload inside the datagram it was parsed from.
    pub fn payload<'a>(&self, datagram: &'a [u8]) -> &'a [u8] {
        self.packet.payload(datagram)
    }
}

impl From<PlayoutEvent> for LegEvent {
    fn from(event: PlayoutEvent) -> Self {
        match event {
            PlayoutEvent::Done(id) => Self::PlayoutDone(id),
            PlayoutEvent::Cleared(id) => Self::PlayoutCleared(id),
        }
    }
}
