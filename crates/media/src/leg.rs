//! One side of one call.
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::codec::{Codec, Direction, PayloadKind, PayloadMap};
use crate::dtmf::{DigitEvent, DigitsError};
use crate::latch::LatchPolicy;
use crate::playout::{PlayId, PlayItem, PlayoutError, Start};
use crate::quality::Quality;
use crate::rtp::Packet;

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
    /// The IP address signalling came from: the second address a NATed peer may speak from.
    pub signalling_ip: Option<IpAddr>,
    /// Silence of this length, where the peer should speak, ends the call. `None` is off.
    pub media_timeout: Option<Duration>,
    /// When playout may start.
    pub start: Start,
    /// Packets sent to an address that never answered (reflection guard); `None` for configured carriers.
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
    /// A telephone-event packet: relay it; the event is new when `Some`.
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
    /// The item's last frame has been sent (or the mark was reached).
    PlayoutDone(PlayId),
    /// The item was cleared or stopped before its end.
    PlayoutCleared(PlayId),
    /// A digit whose end was lost, or one heard in-band.
    Digit(DigitEvent),
    /// Every queued digit has been sent.
    DigitsSent,
    /// No RTP or RTCP for the media timeout.
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
    /// Times the peer's SSRC changed.
    pub ssrc_changes: u32,
}

/// One side of one call.
#[derive(Debug)]
pub struct MediaLeg {
    config: LegConfig,
}

impl MediaLeg {
    /// A leg, silent until told otherwise.
    pub fn new(now: Instant, config: LegConfig) -> Self {
        todo!()
    }

    /// A re-INVITE settled something new; identity and counters go on.
    pub fn renegotiate(&mut self, now: Instant, negotiated: Negotiated) {
        todo!()
    }

    /// ACK arrived (or was sent): playout may start.
    pub fn on_ack(&mut self, now: Instant) {
        todo!()
    }

    /// Judges a datagram from the RTP or the RTCP socket.
    pub fn on_datagram(&mut self, now: Instant, source: SocketAddr, datagram: &[u8]) -> Received {
        todo!()
    }

    /// The next packet of our own that is due (playout, digits); call until `None`.
    pub fn tick(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        todo!()
    }

    /// Our RTCP compound if one is due, for `rtcp_destination()`.
    pub fn rtcp(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        todo!()
    }

    /// The farewell RTCP (report, SDES, BYE) when the leg ends.
    pub fn rtcp_bye(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        todo!()
    }

    /// What the leg noticed; call until `None` after `on_datagram` and `tick`.
    pub fn poll(&mut self, now: Instant) -> Option<LegEvent> {
        todo!()
    }

    /// When `tick`, `rtcp` or `poll` next has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Queues a sound.
    pub fn play(&mut self, now: Instant, item: PlayItem) -> Result<(), PlayoutError> {
        todo!()
    }

    /// Drops everything queued and playing; the ids come back as `PlayoutCleared`.
    pub fn clear_playout(&mut self) {
        todo!()
    }

    /// Whether something is queued or playing.
    pub fn is_playing(&self) -> bool {
        todo!()
    }

    /// Dials `digits` (`0-9*#A-D`, `w` half a second, `W` a second) as telephone-events.
    pub fn send_digits(&mut self, now: Instant, digits: &str) -> Result<(), DigitsError> {
        todo!()
    }

    /// Whether digits are still going out.
    pub fn is_dialling(&self) -> bool {
        todo!()
    }

    /// Sends one 8 kHz linear frame of a mixer or stream, in the leg's G.711 law.
    pub fn send_frame(&mut self, now: Instant, frame: &[i16], out: &mut [u8]) -> Option<usize> {
        todo!()
    }

    /// Starts decoding what arrives, for mixers, streams and in-band digits.
    pub fn listen(&mut self, listening: bool) {
        todo!()
    }

    /// The next decoded 20 ms frame (silence for loss and DTX); call once per 20 ms.
    pub fn next_frame(&mut self, now: Instant) -> Option<[i16; 160]> {
        todo!()
    }

    /// Hears DTMF tones in the audio itself; for peers with neither telephone-event nor INFO.
    pub fn detect_inband(&mut self, detect: bool) {
        todo!()
    }

    /// Where RTP goes; `None` while unknown, on hold of the peer, or the guard is spent.
    pub fn destination(&self) -> Option<SocketAddr> {
        todo!()
    }

    /// Where RTCP goes.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        todo!()
    }

    /// What was negotiated.
    pub fn negotiated(&self) -> &Negotiated {
        todo!()
    }

    /// The audio codec we send.
    pub fn codec(&self) -> Codec {
        todo!()
    }

    /// Counters.
    pub fn stats(&self) -> LegStats {
        todo!()
    }

    /// Quality of what we receive.
    pub fn quality(&self) -> Quality {
        todo!()
    }

    /// Quality of what the peer receives, as its RTCP says.
    pub fn remote_quality(&self) -> Option<Quality> {
        todo!()
    }
}
