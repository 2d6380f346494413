//! From a packet that one leg accepted to the packet another leg sends.
//!
//! In place and without allocation (but for one small queue, made once, where packet times
//! differ): the law is changed by table, the payload moved up against a twelve-byte header, the
//! header rewritten onto the sending leg's own identity.

use std::time::{Duration, Instant};

use crate::codec::PayloadKind;
use crate::g711::Law;
use crate::leg::{Incoming, MediaLeg};
use crate::repacketise::Repacketiser;
use crate::rtp::HEADER_LEN;
use crate::sender::SourceKind;

/// While an event is relayed between repacketised audio, audio waits this long after its last
/// packet: a rebase in between would give the event a second timestamp, and so a second digit.
const EVENT_HOLD: Duration = Duration::from_millis(100);

/// Why a packet was not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RelayDrop {
    /// The codecs do not meet.
    #[error("the legs' codecs do not meet")]
    Codec,
    /// The other leg has no telephone-event or no comfort noise.
    #[error("the other leg did not negotiate this payload")]
    Unsupported,
    /// Late, from before a source switch.
    #[error("the packet is from before a source switch")]
    Late,
    /// The other leg is on hold, dialling, playing, or has no destination.
    #[error("the other leg cannot speak now")]
    Busy,
    /// Kept until enough has come for a packet of the other leg's length. Not a loss.
    #[error("kept until a whole packet has come")]
    Kept,
    /// The buffer is too small for the outgoing packet.
    #[error("the buffer is too small")]
    Buffer,
}

/// What a bridge did so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RelayCounters {
    /// Packets that left.
    pub relayed: u64,
    /// Packets that did not, whatever the reason (those kept not counted).
    pub dropped: u64,
}

/// One direction of a bridge; a call has two.
#[derive(Debug, Default)]
pub struct Bridge {
    repacketiser: Option<Box<Repacketiser>>,
    audio_waits_until: Option<Instant>,
    counters: RelayCounters,
}

impl Bridge {
    /// One direction, nothing relayed yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rewrites the datagram at the start of `buffer`, which `incoming` describes, and returns how
    /// many bytes to send to `to.destination()`. Pass the whole receive buffer: where packet times
    /// differ the outgoing packet may be longer, and further ones come from [`Self::poll`].
    pub fn relay(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        incoming: &Incoming,
        to: &mut MediaLeg,
    ) -> Result<usize, RelayDrop> {
        let outcome = self.rewrite(now, buffer, incoming, to);
        match outcome {
            Ok(_) => self.counters.relayed += 1,
            Err(RelayDrop::Kept) => {}
            Err(_) => self.counters.dropped += 1,
        }
        outcome
    }

    /// Further packets made of the last datagram (60 ms in, 20 ms out); call until `None`.
    pub fn poll(&mut self, now: Instant, to: &mut MediaLeg, out: &mut [u8]) -> Option<usize> {
        let len = self.next_frame(now, to, out)?;
        self.counters.relayed += 1;
        Some(len)
    }

    /// What it did so far.
    pub fn counters(&self) -> RelayCounters {
        self.counters
    }

    fn rewrite(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        incoming: &Incoming,
        to: &mut MediaLeg,
    ) -> Result<usize, RelayDrop> {
        if !to.may_relay(now) {
            if let PayloadKind::Audio(codec) = incoming.kind
                && let Some(law) = codec.law()
            {
                to.overhear(law, incoming.payload(buffer));
            }
            if let Some(queue) = &mut self.repacketiser {
                queue.clear();
            }
            return Err(RelayDrop::Busy);
        }
        match incoming.kind {
            PayloadKind::Audio(codec) => {
                if !codec.relays_to(to.codec()) {
                    return Err(RelayDrop::Codec);
                }
                let payload = payload_mut(buffer, incoming).ok_or(RelayDrop::Buffer)?;
                let laws = codec.law().zip(to.codec().law());
                if let Some((from_law, to_law)) = laws {
                    from_law.transcode(to_law, payload);
                    if self.must_repacketise(payload.len(), to) {
                        return self.repacketise(now, buffer, incoming, to_law, to);
                    }
                }
                let ticks = codec.ticks(usize::from(incoming.packet.payload_len));
                to.relay_packet(now, buffer, incoming, to.negotiated().send.audio, ticks)
            }
            PayloadKind::TelephoneEvent => {
                if self.repacketiser.is_some() {
                    self.audio_waits_until = Some(now + EVENT_HOLD);
                }
                let payload_type = to.negotiated().send.telephone_event;
                Self::relay_side(now, buffer, incoming, payload_type, to)
            }
            PayloadKind::ComfortNoise => {
                let payload_type = to.negotiated().send.comfort_noise;
                Self::relay_side(now, buffer, incoming, payload_type, to)
            }
        }
    }

    /// Relays what is not audio, or closes its place in the sequence.
    fn relay_side(
        now: Instant,
        buffer: &mut [u8],
        incoming: &Incoming,
        payload_type: Option<u8>,
        to: &mut MediaLeg,
    ) -> Result<usize, RelayDrop> {
        let Some(payload_type) = payload_type else {
            to.suppress_packet(now, incoming);
            return Err(RelayDrop::Unsupported);
        };
        to.relay_packet(now, buffer, incoming, payload_type, 0)
    }

    fn must_repacketise(&self, payload_len: usize, to: &MediaLeg) -> bool {
        payload_len != to.packet_samples()
            || self.repacketiser.as_ref().is_some_and(|queue| !queue.is_empty())
    }

    fn repacketise(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        incoming: &Incoming,
        law: Law,
        to: &mut MediaLeg,
    ) -> Result<usize, RelayDrop> {
        if self.audio_waits_until.is_some_and(|until| now < until) {
            return Err(RelayDrop::Kept);
        }
        let header = incoming.packet.header;
        let queue = self.repacketiser.get_or_insert_default();
        if !queue.push(header.ssrc, header.timestamp, incoming.payload(buffer), law.silence()) {
            return Err(RelayDrop::Late);
        }
        if buffer.len() < HEADER_LEN + to.packet_samples() {
            return Err(RelayDrop::Buffer);
        }
        self.next_frame(now, to, buffer).ok_or(RelayDrop::Kept)
    }

    fn next_frame(&mut self, now: Instant, to: &mut MediaLeg, out: &mut [u8]) -> Option<usize> {
        let queue = self.repacketiser.as_mut()?;
        let samples = to.packet_samples();
        let frame = out.get_mut(HEADER_LEN..HEADER_LEN + samples)?;
        if !queue.pop(frame) {
            return None;
        }
        to.finish_packet(now, SourceKind::Repacketised, samples, out)
    }
}

fn payload_mut<'a>(buffer: &'a mut [u8], incoming: &Incoming) -> Option<&'a mut [u8]> {
    let start = usize::from(incoming.packet.payload_start);
    buffer.get_mut(start..start + usize::from(incoming.packet.payload_len))
}

impl MediaLeg {
    /// Samples of one packet this leg sends.
    pub(crate) fn packet_samples(&self) -> usize {
        usize::from(self.negotiated().ptime_ms) * 8
    }
}

#[cfg(test)]
mod tests;
