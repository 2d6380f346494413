//! What a leg negotiated: codecs, payload type numbers and direction.
//!
//! Shared by every part of the crate; knows nothing of SDP text.

use crate::g711::Law;

/// An audio encoding a leg can carry. G.711 is also decoded; the rest passes through untouched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 µ-law, static payload type 0.
    Pcmu,
    /// G.711 A-law, static payload type 8.
    Pcma,
    /// G.722, static payload type 9; its RTP clock is 8 kHz by historical error (RFC 3551 4.5.2).
    G722,
    /// G.729, static payload type 18.
    G729,
    /// Opus (RFC 7587), 48 kHz clock.
    Opus,
}

impl Codec {
    /// RTP clock in ticks per second.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Self::Opus => 48_000,
            Self::Pcmu | Self::Pcma | Self::G722 | Self::G729 => 8_000,
        }
    }

    /// The static payload type of RFC 3551, if the codec has one.
    pub const fn static_payload_type(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::G729 => Some(18),
            Self::Opus => None,
        }
    }

    /// The name SDP uses in `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::G729 => "G729",
            Self::Opus => "opus",
        }
    }

    /// Whether this is µ-law or A-law, which this crate decodes, generates and transcodes.
    pub const fn is_g711(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }

    /// The companding law, if it is one.
    pub const fn law(self) -> Option<Law> {
        match self {
            Self::Pcmu => Some(Law::Ulaw),
            Self::Pcma => Some(Law::Alaw),
            Self::G722 | Self::G729 | Self::Opus => None,
        }
    }

    /// Clock ticks that `payload_len` bytes last; Opus, which does not say, counts as 20 ms.
    pub const fn ticks(self, payload_len: usize) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => payload_len as u32,
            // Ten bytes are 10 ms, 80 ticks.
            Self::G729 => payload_len as u32 * 8,
            Self::Opus => 960,
        }
    }

    /// Whether audio of this codec can be relayed to a leg that sends `to`.
    pub fn relays_to(self, to: Self) -> bool {
        self == to || (self.is_g711() && to.is_g711())
    }
}

/// What a payload type number means on one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PayloadKind {
    /// Audio of the leg's codec.
    Audio(Codec),
    /// RFC 4733 telephone-event.
    TelephoneEvent,
    /// RFC 3389 comfort noise.
    ComfortNoise,
}

/// Payload type numbers for one direction of one leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadMap {
    /// The chosen audio codec.
    pub codec: Codec,
    /// Its payload type number.
    pub audio: u8,
    /// telephone-event's number, if negotiated.
    pub telephone_event: Option<u8>,
    /// Comfort noise's number, if negotiated.
    pub comfort_noise: Option<u8>,
}

impl PayloadMap {
    /// Plain G.711 µ-law with telephone-event 101, the commonest trunk answer.
    pub const PCMU_101: Self =
        Self { codec: Codec::Pcmu, audio: 0, telephone_event: Some(101), comfort_noise: None };

    /// Plain G.711 A-law with telephone-event 101.
    pub const PCMA_101: Self =
        Self { codec: Codec::Pcma, audio: 8, telephone_event: Some(101), comfort_noise: None };

    /// The meaning of an arriving payload type, or `None` for one never negotiated.
    ///
    /// Both G.711 static numbers are understood whichever was chosen: peers switch between the
    /// laws inside a call when both were offered (RFC 3264 5.1 allows it).
    pub fn kind(&self, payload_type: u8) -> Option<PayloadKind> {
        if payload_type == self.audio {
            return Some(PayloadKind::Audio(self.codec));
        }
        if Some(payload_type) == self.telephone_event {
            return Some(PayloadKind::TelephoneEvent);
        }
        if Some(payload_type) == self.comfort_noise {
            return Some(PayloadKind::ComfortNoise);
        }
        match payload_type {
            0 if self.codec.is_g711() => Some(PayloadKind::Audio(Codec::Pcmu)),
            8 if self.codec.is_g711() => Some(PayloadKind::Audio(Codec::Pcma)),
            13 => Some(PayloadKind::ComfortNoise),
            _ => None,
        }
    }
}

/// The negotiated direction, seen from us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send only (the peer put us on hold, or listens only).
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Neither way.
    Inactive,
}

impl Direction {
    /// Whether we may send audio.
    pub fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether the peer is expected to send audio, so that its silence is a fault.
    pub fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_g711_laws_are_understood_whichever_was_chosen() {
        let map = PayloadMap::PCMA_101;
        assert_eq!(map.kind(8), Some(PayloadKind::Audio(Codec::Pcma)));
        assert_eq!(map.kind(0), Some(PayloadKind::Audio(Codec::Pcmu)));
        assert_eq!(map.kind(101), Some(PayloadKind::TelephoneEvent));
        assert_eq!(map.kind(18), None);
    }

    #[test]
    fn relay_needs_the_same_codec_or_two_g711_laws() {
        assert!(Codec::Pcmu.relays_to(Codec::Pcma));
        assert!(Codec::G729.relays_to(Codec::G729));
        assert!(!Codec::G729.relays_to(Codec::Pcmu));
    }

    #[test]
    fn direction_says_whose_silence_is_a_fault() {
        assert!(Direction::SendRecv.receives());
        assert!(!Direction::SendOnly.receives());
        assert!(!Direction::Inactive.sends());
    }
}
