//! Audio codecs by name and payload type, and the ordered list of those that a leg may use.

use super::description::{Media, RtpMap};

/// Payload type that we give to `telephone-event` in our own offers.
pub const DEFAULT_TELEPHONE_EVENT_PAYLOAD_TYPE: u8 = 101;
/// Payload type of comfort noise at 8,000 Hz (RFC 3389 §4), which is static.
pub const COMFORT_NOISE_PAYLOAD_TYPE: u8 = 13;
/// Encoding name of comfort noise.
const COMFORT_NOISE: &str = "CN";
/// Encoding name of RFC 4733 events.
pub(super) const TELEPHONE_EVENT: &str = "telephone-event";

/// An audio codec that we can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// G.711 µ-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.729, payload type 18; passed through only.
    G729,
    /// Opus (RFC 7587), dynamic payload type; passed through only.
    Opus,
}

/// The codecs of one leg, most wanted first, and how it takes DTMF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioCapabilities {
    codecs: Vec<AudioCodec>,
    telephone_event: Option<u8>,
    comfort_noise: bool,
}

impl AudioCodec {
    /// Encoding name as registered.
    pub fn encoding(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G729 => "G729",
            Self::Opus => "opus",
        }
    }

    /// RTP clock rate in Hz.
    pub fn clock_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G729 => 8_000,
            Self::Opus => 48_000,
        }
    }

    /// Channels as written in `rtpmap`.
    pub fn channels(self) -> u8 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G729 => 1,
            Self::Opus => 2,
        }
    }

    /// Payload type that we use in our own offers: the static one, or 111 for Opus.
    pub fn payload_type(self) -> u8 {
        match self {
            Self::Pcmu => 0,
            Self::Pcma => 8,
            Self::G729 => 18,
            Self::Opus => 111,
        }
    }

    /// Whether we can decode and encode it: play files, mix, record. Others only pass through.
    pub fn is_g711(self) -> bool {
        matches!(self, Self::Pcmu | Self::Pcma)
    }

    /// The `fmtp` parameters that we state for it.
    pub(super) fn fmtp(self) -> Option<&'static str> {
        match self {
            Self::Pcmu | Self::Pcma => None,
            // Stated in answers too: both ends must agree on Annex B, and `no` suits every decoder.
            Self::G729 => Some("annexb=no"),
            Self::Opus => Some("useinbandfec=1"),
        }
    }

    pub(super) fn rtpmap(self, payload_type: u8) -> RtpMap {
        RtpMap {
            payload_type,
            encoding: self.encoding().to_owned(),
            clock_rate: self.clock_rate(),
            channels: self.channels(),
        }
    }

    /// The codec that a payload type stands for in a media section: by `rtpmap`, else by the
    /// static table of RFC 3551.
    pub fn of(media: &Media, payload_type: u8) -> Option<Self> {
        match media.rtpmap(payload_type) {
            Some(map) => Self::from_rtpmap(map),
            None => match payload_type {
                0 => Some(Self::Pcmu),
                8 => Some(Self::Pcma),
                18 => Some(Self::G729),
                _ => None,
            },
        }
    }

    fn from_rtpmap(map: &RtpMap) -> Option<Self> {
        let named = |name: &str| map.encoding.eq_ignore_ascii_case(name);
        let codec = if named("PCMU") {
            Self::Pcmu
        } else if named("PCMA") {
            Self::Pcma
        } else if named("G729") || named("G729A") {
            Self::G729
        } else if named("opus") {
            Self::Opus
        } else {
            return None;
        };
        (codec.clock_rate() == map.clock_rate && codec.channels() == map.channels).then_some(codec)
    }
}

impl AudioCapabilities {
    /// These codecs in this order (duplicates dropped), with `telephone-event`.
    pub fn new(codecs: impl IntoIterator<Item = AudioCodec>) -> Self {
        let mut ordered = Vec::new();
        for codec in codecs {
            if !ordered.contains(&codec) {
                ordered.push(codec);
            }
        }
        Self {
            codecs: ordered,
            telephone_event: Some(DEFAULT_TELEPHONE_EVENT_PAYLOAD_TYPE),
            comfort_noise: false,
        }
    }

    /// PCMU, PCMA and `telephone-event`: what every leg of ours can do.
    pub fn g711() -> Self {
        Self::new([AudioCodec::Pcmu, AudioCodec::Pcma])
    }

    /// Moves one codec to the front, if it is there. With [`super::Preference::Ours`] this makes
    /// A's answer follow the codec that B took, so that the relay need not convert.
    #[must_use]
    pub fn preferring(mut self, codec: AudioCodec) -> Self {
        if let Some(position) = self.codecs.iter().position(|known| *known == codec) {
            let preferred = self.codecs.remove(position);
            self.codecs.insert(0, preferred);
        }
        self
    }

    /// Uses this payload type for `telephone-event` in offers, as when the peer chose 96 before.
    /// Static and impossible types (below 96, above 127) leave it as it is.
    #[must_use]
    pub fn with_telephone_event(mut self, payload_type: u8) -> Self {
        if (96..128).contains(&payload_type) {
            self.telephone_event = Some(payload_type);
        }
        self
    }

    /// Neither offers nor accepts `telephone-event`.
    #[must_use]
    pub fn without_telephone_event(mut self) -> Self {
        self.telephone_event = None;
        self
    }

    /// Offers and accepts comfort noise beside G.711, or neither: we make none ourselves, so this is for legs whose far
    /// end does.
    #[must_use]
    pub fn with_comfort_noise(mut self, wanted: bool) -> Self {
        self.comfort_noise = wanted;
        self
    }

    /// Whether comfort noise is offered and accepted.
    pub fn comfort_noise(&self) -> bool {
        self.comfort_noise
    }

    /// The codecs, most wanted first.
    pub fn codecs(&self) -> &[AudioCodec] {
        &self.codecs
    }

    /// The payload type of `telephone-event` in our offers, if we use it at all.
    pub fn telephone_event(&self) -> Option<u8> {
        self.telephone_event
    }
}

/// The payload type that means comfort noise at 8,000 Hz in a media section.
pub fn comfort_noise_of(media: &Media) -> Option<u8> {
    media.payload_types().find(|payload_type| match media.rtpmap(*payload_type) {
        Some(map) => map.encoding.eq_ignore_ascii_case(COMFORT_NOISE) && map.clock_rate == 8_000,
        None => *payload_type == COMFORT_NOISE_PAYLOAD_TYPE,
    })
}

pub(super) fn comfort_noise_rtpmap(payload_type: u8) -> RtpMap {
    RtpMap { payload_type, encoding: COMFORT_NOISE.to_owned(), clock_rate: 8_000, channels: 1 }
}
