//! Our own offers: first INVITE to B, the 200 of a late-offer INVITE, re-INVITEs for hold.

use std::net::IpAddr;

use super::codec::{
    AudioCapabilities, AudioCodec, COMFORT_NOISE_PAYLOAD_TYPE, TELEPHONE_EVENT, comfort_noise_rtpmap,
};
use super::description::{
    Connection, Direction, Fmtp, Media, MediaKind, Origin, RtpMap, SessionDescription, Transport,
};
use super::negotiated::{DEFAULT_PTIME_MS, MAX_PTIME_MS, MIN_PTIME_MS};

/// Where and how we take part in a leg's media.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address to announce (the public one, behind a one-to-one NAT).
    pub address: IpAddr,
    /// RTP port. RTCP is the next one unless multiplexed.
    pub port: u16,
    /// Packet time to ask for.
    pub ptime_ms: u16,
    /// What we want: `SendOnly` or `Inactive` to hold the peer.
    pub direction: Direction,
    /// Whether RTP and RTCP may share the port.
    pub rtcp_mux: RtcpMux,
}

/// Our stand on RFC 5761.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RtcpMux {
    /// Neither offer nor accept.
    #[default]
    Never,
    /// Accept when the peer offers it.
    Accept,
    /// Offer and accept.
    Offer,
}

/// The identity of our description within a dialog: `id` stays, `version` rises by one with each
/// description that differs from the last (RFC 3264 §8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LocalSession {
    /// Session identifier, any number unique to the call leg.
    pub id: u64,
    /// Version of this description.
    pub version: u64,
}

impl LocalMedia {
    /// `sendrecv`, 20 ms, RTCP on the next port.
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self {
            address,
            port,
            ptime_ms: DEFAULT_PTIME_MS,
            direction: Direction::SendRecv,
            rtcp_mux: RtcpMux::Never,
        }
    }
}

/// Offers one audio section with these codecs, most wanted first, and `telephone-event` at each
/// of their clock rates (RFC 4733 §2.1).
pub fn make_offer(
    local: &LocalMedia,
    capabilities: &AudioCapabilities,
    session: LocalSession,
) -> SessionDescription {
    let mut audio = AudioSection::new(Transport::RtpAvp);
    for codec in capabilities.codecs() {
        audio.add_codec(*codec, codec.payload_type());
    }
    if capabilities.comfort_noise() && capabilities.codecs().iter().any(|codec| codec.is_g711()) {
        audio.add_comfort_noise(COMFORT_NOISE_PAYLOAD_TYPE);
    }
    if let Some(payload_type) = capabilities.telephone_event() {
        for clock_rate in [NARROWBAND_CLOCK, OPUS_CLOCK] {
            if capabilities.codecs().iter().any(|codec| codec.clock_rate() == clock_rate) {
                let payload_type =
                    if clock_rate == OPUS_CLOCK { opus_telephone_event(payload_type) } else { payload_type };
                audio.add_telephone_event(payload_type, clock_rate);
            }
        }
    }
    let media = audio.finish(
        local,
        sendable_ptime(local.ptime_ms),
        local.direction,
        local.rtcp_mux == RtcpMux::Offer,
    );
    describe(local, session, (0, 0), vec![media])
}

const NARROWBAND_CLOCK: u32 = 8_000;
const OPUS_CLOCK: u32 = 48_000;

/// A payload type for events beside Opus that meets neither Opus's own nor the narrow-band one.
fn opus_telephone_event(narrowband: u8) -> u8 {
    if narrowband == 110 { 109 } else { 110 }
}

/// The nearest packet time that G.711 and our timers can do: whole tens, within the limits.
pub(super) fn sendable_ptime(ptime_ms: u16) -> u16 {
    (ptime_ms / 10 * 10).clamp(MIN_PTIME_MS, MAX_PTIME_MS)
}

/// Wraps media sections into a description of ours.
pub(super) fn describe(
    local: &LocalMedia,
    session: LocalSession,
    timing: (u64, u64),
    media: Vec<Media>,
) -> SessionDescription {
    SessionDescription {
        origin: Origin {
            username: "tandem".to_owned(),
            session_id: session.id.to_string(),
            version: session.version.to_string(),
            host: local.address.into(),
        },
        session_name: "tandem".to_owned(),
        connection: Some(Connection { host: local.address.into() }),
        timing,
        direction: None,
        attributes: Vec::new(),
        media,
    }
}

/// An audio section of ours in the making.
pub(super) struct AudioSection(Media);

impl AudioSection {
    pub(super) fn new(transport: Transport) -> Self {
        Self(Media::new(MediaKind::Audio, 0, transport, Vec::new()))
    }

    pub(super) fn add_codec(&mut self, codec: AudioCodec, payload_type: u8) {
        self.0.formats.push(payload_type.to_string());
        self.0.rtpmaps.push(codec.rtpmap(payload_type));
        if let Some(parameters) = codec.fmtp() {
            self.0.fmtps.push(Fmtp { payload_type, parameters: parameters.to_owned() });
        }
    }

    pub(super) fn add_telephone_event(&mut self, payload_type: u8, clock_rate: u32) {
        self.0.formats.push(payload_type.to_string());
        self.0.rtpmaps.push(RtpMap {
            payload_type,
            encoding: TELEPHONE_EVENT.to_owned(),
            clock_rate,
            channels: 1,
        });
        self.0.fmtps.push(Fmtp { payload_type, parameters: "0-15".to_owned() });
    }

    pub(super) fn add_comfort_noise(&mut self, payload_type: u8) {
        self.0.formats.push(payload_type.to_string());
        self.0.rtpmaps.push(comfort_noise_rtpmap(payload_type));
    }

    pub(super) fn finish(
        mut self,
        local: &LocalMedia,
        ptime_ms: u16,
        direction: Direction,
        rtcp_mux: bool,
    ) -> Media {
        self.0.port = local.port;
        self.0.ptime_ms = Some(ptime_ms);
        self.0.rtcp_mux = rtcp_mux;
        self.0.direction = Some(direction);
        self.0
    }
}
