//! Between SDP and the media plane: what a leg offers and answers, and what its worker is told.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tandem_media::{
    Codec, Direction as MediaDirection, LatchPolicy, Negotiated as MediaNegotiated, PayloadMap, Start,
};
use tandem_sip::sdp::{
    self, AudioCapabilities, AudioCodec, Direction, LocalMedia, LocalSession, MediaKind, Negotiated,
    NegotiationError, Preference, Revision, SdpError, SessionDescription,
};
use thiserror::Error;

use crate::rtp::{LegMedia, ReflectionGuard};

/// Why a leg's audio could not be agreed.
#[derive(Debug, Error)]
pub(crate) enum AudioError {
    /// The body is no SDP.
    #[error(transparent)]
    Unreadable(#[from] SdpError),
    /// It is, but nothing fits.
    #[error(transparent)]
    Unfitting(#[from] NegotiationError),
    /// An answer without an offer of ours, or no body where one must be.
    #[error("no session description where one must be")]
    Missing,
}

/// One leg's side of every offer and answer of its life.
#[derive(Debug)]
pub(crate) struct Audio {
    session: LocalSession,
    /// The peer's first offer, until it is answered.
    their_offer: Option<Box<SessionDescription>>,
    /// Our offer, until it is answered.
    our_offer: Option<Box<SessionDescription>>,
    /// Our last description.
    local: Option<Box<SessionDescription>>,
    /// What was agreed last.
    agreed: Option<Box<Negotiated>>,
}

/// How far a peer's media address is trusted, fixed for a leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PeerPlace {
    /// A configured carrier.
    Carrier,
    /// A customer's PBX or a URI, at the address it names.
    Public,
    /// Expected behind NAT: symmetric RTP.
    Nat,
}

impl Audio {
    /// A leg that has neither offered nor answered; `id` is unique to it.
    pub(crate) fn new(id: u64) -> Self {
        // RFC 8866 §5.2 wants digits only; keeping below 2^63 suits parsers with signed integers.
        let session = LocalSession { id: id >> 1, version: 1 };
        Self { session, their_offer: None, our_offer: None, local: None, agreed: None }
    }

    /// Takes the offer of an INVITE that came from `source` and checks that something in it fits `codecs`. `place_towards`
    /// is our address as somebody can reach it.
    pub(crate) fn take_offer(
        &mut self,
        body: &[u8],
        source: IpAddr,
        place_towards: impl FnOnce(IpAddr) -> IpAddr,
        codecs: &AudioCapabilities,
    ) -> Result<(), AudioError> {
        let offer = SessionDescription::parse(body)?;
        let place = place_towards(audio_ip(&offer).unwrap_or(source));
        // The answer made here is a rehearsal: port and codec order come when the leg is answered.
        sdp::answer(&offer, &LocalMedia::new(place, 9), codecs, Preference::Offerer, self.session)?;
        self.their_offer = Some(Box::new(offer));
        Ok(())
    }

    /// The codecs of the peer's waiting offer that we can carry, in its order.
    pub(crate) fn offered_codecs(&self) -> Vec<AudioCodec> {
        let Some(offer) = &self.their_offer else { return Vec::new() };
        let Some(audio) = offer.media.iter().find(|media| media.kind == MediaKind::Audio && media.port != 0)
        else {
            return Vec::new();
        };
        audio.payload_types().filter_map(|payload_type| AudioCodec::of(audio, payload_type)).collect()
    }

    /// Whether the peer's waiting offer has comfort noise, or what was agreed with it does.
    pub(crate) fn has_comfort_noise(&self) -> bool {
        if let Some(agreed) = &self.agreed {
            return agreed.comfort_noise.is_some();
        }
        let audio = self.their_offer.iter().flat_map(|offer| &offer.media);
        let mut audio = audio.filter(|media| media.kind == MediaKind::Audio && media.port != 0);
        audio.next().is_some_and(|media| sdp::comfort_noise_of(media).is_some())
    }

    /// The address the peer's waiting offer names for its audio.
    pub(crate) fn offered_ip(&self) -> Option<IpAddr> {
        audio_ip(self.their_offer.as_ref()?)
    }

    /// The peer has offered and waits for our answer.
    pub(crate) fn has_offer(&self) -> bool {
        self.their_offer.is_some()
    }

    /// The codec in use.
    pub(crate) fn codec(&self) -> Option<AudioCodec> {
        self.agreed.as_ref().map(|agreed| agreed.codec)
    }

    /// What was agreed last.
    pub(crate) fn agreed(&self) -> Option<&Negotiated> {
        self.agreed.as_deref()
    }

    /// Our last description, printed.
    pub(crate) fn local_body(&self) -> Option<Vec<u8>> {
        self.local.as_ref().map(|local| local.to_string().into_bytes())
    }

    /// Answers the offer taken before; in the order of `codecs`.
    pub(crate) fn answer(
        &mut self,
        local: SocketAddr,
        codecs: &AudioCapabilities,
    ) -> Result<Vec<u8>, AudioError> {
        let offer = self.their_offer.take().ok_or(AudioError::Missing)?;
        self.settle(&offer, local, codecs)
    }

    /// Answers a later offer (re-INVITE); keeps the version when nothing of ours changes.
    pub(crate) fn answer_again(
        &mut self,
        body: &[u8],
        local: SocketAddr,
        codecs: &AudioCapabilities,
    ) -> Result<Vec<u8>, AudioError> {
        let offer = SessionDescription::parse(body)?;
        self.settle(&offer, local, codecs)
    }

    /// Makes our own offer.
    pub(crate) fn offer(&mut self, local: SocketAddr, codecs: &AudioCapabilities) -> Vec<u8> {
        let media = LocalMedia::new(local.ip(), local.port());
        let mut offer = sdp::make_offer(&media, codecs, self.session);
        if self.differs(&offer) {
            self.session.version += 1;
            offer = sdp::make_offer(&media, codecs, self.session);
        }
        let body = offer.to_string().into_bytes();
        self.local = Some(Box::new(offer.clone()));
        self.our_offer = Some(Box::new(offer));
        body
    }

    /// Takes the answer to our offer. Early answers (183) may be followed by the final one.
    pub(crate) fn take_answer(&mut self, body: &[u8]) -> Result<(), AudioError> {
        let answer = SessionDescription::parse(body)?;
        let offer = self.our_offer.as_ref().ok_or(AudioError::Missing)?;
        self.agreed = Some(Box::new(sdp::accept_answer(offer, &answer)?));
        Ok(())
    }

    fn settle(
        &mut self,
        offer: &SessionDescription,
        local: SocketAddr,
        codecs: &AudioCapabilities,
    ) -> Result<Vec<u8>, AudioError> {
        let media = LocalMedia::new(local.ip(), local.port());
        let mut agreed = sdp::answer(offer, &media, codecs, Preference::Ours, self.session)?;
        if self.differs(&agreed.local) {
            self.session.version += 1;
            agreed = sdp::answer(offer, &media, codecs, Preference::Ours, self.session)?;
        }
        let body = agreed.local.to_string().into_bytes();
        self.local = Some(Box::new(agreed.local.clone()));
        self.agreed = Some(Box::new(agreed));
        Ok(body)
    }

    fn differs(&self, next: &SessionDescription) -> bool {
        self.local.as_ref().is_some_and(|last| next.revision_since(last) != Revision::Unchanged)
    }
}

/// What the worker is told of an agreement. `allowed` is the address guard's word on the peer's RTP
/// address: a refused one is not sent to, and the leg waits to be spoken to from where signalling
/// comes from.
pub(crate) fn leg_media(
    agreed: &Negotiated,
    place: PeerPlace,
    allowed: bool,
    signalling_ip: IpAddr,
    media_timeout: Duration,
    start: Start,
) -> LegMedia {
    let events = agreed.telephone_event;
    let codec = media_codec(agreed.codec);
    let noise = agreed.comfort_noise;
    let map =
        |audio, telephone_event, comfort_noise| PayloadMap { codec, audio, telephone_event, comfort_noise };
    let usable = allowed && !agreed.remote_rtp.ip().is_unspecified();
    let nat = place == PeerPlace::Nat || !allowed;
    LegMedia {
        negotiated: MediaNegotiated {
            receive: map(
                agreed.receive_payload_type,
                events.map(|events| events.receive_payload_type),
                noise.map(|(_, receive)| receive),
            ),
            send: map(
                agreed.send_payload_type,
                events.map(|events| events.send_payload_type),
                noise.map(|(send, _)| send),
            ),
            ptime_ms: u8::try_from(agreed.ptime_ms).unwrap_or(20),
            remote: usable.then_some(agreed.remote_rtp),
            remote_rtcp: usable.then_some(agreed.remote_rtcp),
            direction: match agreed.direction_local {
                Direction::SendRecv => MediaDirection::SendRecv,
                Direction::SendOnly => MediaDirection::SendOnly,
                Direction::RecvOnly => MediaDirection::RecvOnly,
                Direction::Inactive => MediaDirection::Inactive,
            },
        },
        latch: if nat { LatchPolicy::Nat } else { LatchPolicy::Strict },
        signalling_ip: Some(signalling_ip),
        guard: if place == PeerPlace::Carrier { ReflectionGuard::Trusted } else { ReflectionGuard::Prove },
        media_timeout: Some(media_timeout),
        start: if nat && start == Start::AtAck { Start::AtFirstPacket } else { start },
    }
}

/// The codecs of a leg that must meet one speaking `other`: that codec first; the other G.711 law
/// too, because the relay converts between the two.
pub(crate) fn codecs_like(other: AudioCodec) -> AudioCapabilities {
    match other {
        AudioCodec::Pcmu => AudioCapabilities::g711(),
        AudioCodec::Pcma => AudioCapabilities::g711().preferring(AudioCodec::Pcma),
        AudioCodec::G729 | AudioCodec::Opus => AudioCapabilities::new([other]),
    }
}

/// The codecs to offer B when A offered `codecs`: those, completed to both laws of G.711.
pub(crate) fn codecs_through(mut codecs: Vec<AudioCodec>) -> AudioCapabilities {
    if codecs.is_empty() {
        return AudioCapabilities::g711();
    }
    if codecs.iter().any(|codec| codec.is_g711()) {
        codecs.extend([AudioCodec::Pcmu, AudioCodec::Pcma]);
    }
    AudioCapabilities::new(codecs)
}

/// Every codec that can pass through a bridge.
pub(crate) fn codecs_relayed() -> AudioCapabilities {
    AudioCapabilities::new([AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G729, AudioCodec::Opus])
}

fn media_codec(codec: AudioCodec) -> Codec {
    match codec {
        AudioCodec::Pcmu => Codec::Pcmu,
        AudioCodec::Pcma => Codec::Pcma,
        AudioCodec::G729 => Codec::G729,
        AudioCodec::Opus => Codec::Opus,
    }
}
/// Where the peer wants its audio; `None` where it says 0.0.0.0, the old way to hold.
fn audio_ip(description: &SessionDescription) -> Option<IpAddr> {
    let audio = description.media.iter().find(|media| media.kind == MediaKind::Audio && media.port != 0)?;
    let ip = description.connection_of(audio)?.host.ip()?.to_canonical();
    (!ip.is_unspecified()).then_some(ip)
}
