//! Answering an offer and reading an answer (RFC 3264 §6, §7).

use std::net::{IpAddr, SocketAddr};

use super::codec::{AudioCapabilities, AudioCodec, TELEPHONE_EVENT, comfort_noise_of};
use super::description::{Direction, Media, MediaKind, SessionDescription, Transport};
use super::negotiated::{DEFAULT_PTIME_MS, HoldState, Negotiated, NegotiationError, TelephoneEvent};
use super::offer::{AudioSection, LocalMedia, LocalSession, RtcpMux, describe, sendable_ptime};

/// Whose order of codecs decides an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preference {
    /// The offer's order.
    Offerer,
    /// The order of our [`AudioCapabilities`], as when A's answer follows B's codec.
    Ours,
}

/// Answers a peer's offer with one codec and, if offered, `telephone-event`.
///
/// The first audio section that fits is taken; every other section is refused with port 0 in its
/// place. Payload types are the offer's own. Hold is answered locally.
pub fn answer(
    offer: &SessionDescription,
    local: &LocalMedia,
    capabilities: &AudioCapabilities,
    preference: Preference,
    session: LocalSession,
) -> Result<Negotiated, NegotiationError> {
    let (index, audio, payload_type, codec) = choose(offer, capabilities, preference)?;
    let peer = Peer::read(offer, audio, local.address)?;
    let events = capabilities.telephone_event().and_then(|_| {
        let (payload_type, clock_rate) = telephone_event(audio, codec)?;
        Some(TelephoneEvent {
            send_payload_type: payload_type,
            receive_payload_type: payload_type,
            clock_rate,
        })
    });
    let rtcp_mux = audio.rtcp_mux && local.rtcp_mux != RtcpMux::Never;
    let ptime_ms = ptime(audio, local.ptime_ms);
    let direction_local = local.direction.meet(peer.direction.reversed());

    let mut section = AudioSection::new(audio.transport.clone());
    section.add_codec(codec, payload_type);
    let noise = comfort_noise_of(audio).filter(|_| capabilities.comfort_noise() && codec.is_g711());
    if let Some(payload_type) = noise {
        section.add_comfort_noise(payload_type);
    }
    if let Some(events) = events {
        section.add_telephone_event(events.receive_payload_type, events.clock_rate);
    }
    let mut accepted = Some(section.finish(local, ptime_ms, direction_local, rtcp_mux));
    let sections = offer.media.iter().enumerate().map(|(position, media)| {
        let ours = if position == index { accepted.take() } else { None };
        ours.unwrap_or_else(|| media.refused())
    });
    let sections = sections.collect();
    Ok(Negotiated {
        local: describe(local, session, offer.timing, sections),
        codec,
        send_payload_type: payload_type,
        receive_payload_type: payload_type,
        receive_codecs: vec![(payload_type, codec)],
        codec_parameters: audio.fmtp(payload_type).map(str::to_owned),
        telephone_event: events,
        comfort_noise: noise.map(|payload_type| (payload_type, payload_type)),
        remote_rtp: peer.rtp,
        remote_rtcp: if rtcp_mux { peer.rtp } else { peer.rtcp },
        rtcp_mux,
        ptime_ms,
        direction_local,
        direction_remote: peer.direction,
        hold: peer.hold(Direction::SendRecv),
    })
}

/// Reads the peer's answer to [`super::make_offer`]'s offer, be it in a 200, a 183 or, after a
/// late offer, in the ACK.
pub fn accept_answer(
    our_offer: &SessionDescription,
    their_answer: &SessionDescription,
) -> Result<Negotiated, NegotiationError> {
    let (ours, theirs) = matching_audio(our_offer, their_answer)?;
    if !is_plain_rtp(&theirs.transport) {
        return Err(NegotiationError::UnsupportedTransport {
            transport: theirs.transport.as_str().to_owned(),
        });
    }
    let our_address = our_offer.connection_of(ours).and_then(|connection| connection.host.ip());
    let peer = Peer::read(their_answer, theirs, our_address.ok_or(NegotiationError::UnusableAddress)?)?;

    let agreed = agreed_codecs(ours, theirs);
    let Some(&(send_payload_type, receive_payload_type, codec)) = agreed.first() else {
        return Err(NegotiationError::NoCommonCodec { offered: encodings(theirs) });
    };
    let events = telephone_event(theirs, codec).and_then(|(send_payload_type, clock_rate)| {
        let receive_payload_type = telephone_event_at(ours, clock_rate)?;
        Some(TelephoneEvent { send_payload_type, receive_payload_type, clock_rate })
    });
    let rtcp_mux = ours.rtcp_mux && theirs.rtcp_mux;
    let direction_offered = our_offer.direction_of(ours);
    Ok(Negotiated {
        local: our_offer.clone(),
        codec,
        send_payload_type,
        receive_payload_type,
        receive_codecs: agreed.iter().map(|(_, receive, codec)| (*receive, *codec)).collect(),
        codec_parameters: theirs.fmtp(send_payload_type).map(str::to_owned),
        telephone_event: events,
        comfort_noise: comfort_noise_of(theirs).zip(comfort_noise_of(ours)).filter(|_| codec.is_g711()),
        remote_rtp: peer.rtp,
        remote_rtcp: if rtcp_mux { peer.rtp } else { peer.rtcp },
        rtcp_mux,
        ptime_ms: ptime(theirs, ours.ptime_ms.unwrap_or(DEFAULT_PTIME_MS)),
        direction_local: direction_offered.meet(peer.direction.reversed()),
        direction_remote: peer.direction,
        hold: peer.hold(direction_offered.reversed()),
    })
}

/// The first audio section that we can take, and the codec in it.
fn choose<'a>(
    offer: &'a SessionDescription,
    capabilities: &AudioCapabilities,
    preference: Preference,
) -> Result<(usize, &'a Media, u8, AudioCodec), NegotiationError> {
    let mut refusal = None;
    for (index, media) in offer.media.iter().enumerate() {
        if media.kind != MediaKind::Audio || media.port == 0 {
            continue;
        }
        if !is_plain_rtp(&media.transport) {
            let transport = media.transport.as_str().to_owned();
            refusal.get_or_insert(NegotiationError::UnsupportedTransport { transport });
            continue;
        }
        match choose_codec(media, capabilities, preference) {
            Some((payload_type, codec)) => return Ok((index, media, payload_type, codec)),
            None => {
                refusal.get_or_insert(NegotiationError::NoCommonCodec { offered: encodings(media) });
            }
        }
    }
    Err(refusal.unwrap_or(NegotiationError::NoAudio))
}

fn choose_codec(
    media: &Media,
    capabilities: &AudioCapabilities,
    preference: Preference,
) -> Option<(u8, AudioCodec)> {
    let mut common = codecs(media).filter(|(_, codec)| capabilities.codecs().contains(codec));
    match preference {
        Preference::Offerer => common.next(),
        Preference::Ours => common.min_by_key(|(_, codec)| {
            // `min_by_key` keeps the first of equals: the offerer's order among payload types.
            capabilities.codecs().iter().position(|ours| ours == codec)
        }),
    }
}

/// Our audio section and the peer's answer to it: same place, or, from peers that drop or reorder
/// sections, the first audio.
fn matching_audio<'a>(
    our_offer: &'a SessionDescription,
    their_answer: &'a SessionDescription,
) -> Result<(&'a Media, &'a Media), NegotiationError> {
    let is_audio = |media: &&Media| media.kind == MediaKind::Audio;
    let (index, ours) = our_offer
        .media
        .iter()
        .enumerate()
        .find(|(_, media)| media.kind == MediaKind::Audio && media.port != 0)
        .ok_or(NegotiationError::NoAudio)?;
    let in_place = their_answer.media.get(index).filter(is_audio);
    let theirs = in_place
        .or_else(|| their_answer.media.iter().find(is_audio))
        .filter(|media| media.port != 0)
        .ok_or(NegotiationError::AudioRefused)?;
    Ok((ours, theirs))
}

/// (their payload type, our payload type, codec) in the order of the answer. An answer without
/// `rtpmap` for a dynamic type that repeats our number means our codec.
fn agreed_codecs(ours: &Media, theirs: &Media) -> Vec<(u8, u8, AudioCodec)> {
    let mut agreed: Vec<(u8, u8, AudioCodec)> = Vec::new();
    for their_type in theirs.payload_types() {
        let codec = match AudioCodec::of(theirs, their_type) {
            None if theirs.rtpmap(their_type).is_none() => AudioCodec::of(ours, their_type),
            known => known,
        };
        let Some(codec) = codec else { continue };
        let Some((our_type, _)) = codecs(ours).find(|(_, offered)| *offered == codec) else { continue };
        if agreed.iter().all(|(.., known)| *known != codec) {
            agreed.push((their_type, our_type, codec));
        }
    }
    agreed
}

fn codecs(media: &Media) -> impl Iterator<Item = (u8, AudioCodec)> + '_ {
    media
        .payload_types()
        .filter_map(|payload_type| Some((payload_type, AudioCodec::of(media, payload_type)?)))
}

/// The peer's formats by name, for the log line of a refusal.
fn encodings(media: &Media) -> Vec<String> {
    let name = |payload_type: u8| match (media.rtpmap(payload_type), AudioCodec::of(media, payload_type)) {
        (Some(map), _) => format!("{}/{}", map.encoding, map.clock_rate),
        (None, Some(codec)) => codec.encoding().to_owned(),
        (None, None) => payload_type.to_string(),
    };
    media.payload_types().map(name).collect()
}

/// Payload type and clock of `telephone-event`: at the codec's clock (RFC 4733 §2.1), else, from
/// clients that offer 8000 beside Opus, whatever is there.
fn telephone_event(media: &Media, codec: AudioCodec) -> Option<(u8, u32)> {
    let exact = telephone_event_at(media, codec.clock_rate()).map(|found| (found, codec.clock_rate()));
    exact.or_else(|| telephone_events(media).next())
}

fn telephone_event_at(media: &Media, clock_rate: u32) -> Option<u8> {
    telephone_events(media).find(|(_, rate)| *rate == clock_rate).map(|(payload_type, _)| payload_type)
}

fn telephone_events(media: &Media) -> impl Iterator<Item = (u8, u32)> + '_ {
    media.payload_types().filter_map(|payload_type| {
        let map = media.rtpmap(payload_type)?;
        map.encoding.eq_ignore_ascii_case(TELEPHONE_EVENT).then_some((payload_type, map.clock_rate))
    })
}

/// Packet time of what we send: the peer's wish, else ours, within its maximum.
fn ptime(theirs: &Media, ours_ms: u16) -> u16 {
    let wish = theirs.ptime_ms.filter(|ptime| *ptime > 0).unwrap_or(ours_ms);
    let longest = theirs.maxptime_ms.filter(|ptime| *ptime > 0).unwrap_or(u16::MAX);
    sendable_ptime(wish.min(longest))
}

fn is_plain_rtp(transport: &Transport) -> bool {
    matches!(transport, Transport::RtpAvp | Transport::RtpAvpf)
}

/// The peer's end of the media, as its description states it.
struct Peer {
    rtp: SocketAddr,
    rtcp: SocketAddr,
    /// As stated, less what a zero address takes away.
    direction: Direction,
}

impl Peer {
    fn read(
        description: &SessionDescription,
        media: &Media,
        our_address: IpAddr,
    ) -> Result<Self, NegotiationError> {
        let address = description
            .connection_of(media)
            .and_then(|connection| connection.host.ip())
            // An IPv4 address written as an IPv6 one is the IPv4 address.
            .map(|address| address.to_canonical())
            .filter(|address| !address.is_multicast())
            .ok_or(NegotiationError::UnusableAddress)?;
        let rtp = SocketAddr::new(address, media.port);
        if !address.is_unspecified() && address.is_ipv4() != our_address.is_ipv4() {
            return Err(NegotiationError::AddressFamily { remote: rtp });
        }
        let stated = description.direction_of(media);
        let direction = if address.is_unspecified() { stated.meet(Direction::SendOnly) } else { stated };
        Ok(Self { rtp, rtcp: rtcp_address(media, rtp), direction })
    }

    /// Hold is to listen less than the other side's description allows.
    fn hold(&self, expected: Direction) -> HoldState {
        if self.rtp.ip().is_unspecified() {
            return HoldState::ZeroAddress;
        }
        match self.direction {
            stated if stated == expected => HoldState::Active,
            Direction::SendOnly => HoldState::SendOnly,
            Direction::Inactive => HoldState::Inactive,
            Direction::SendRecv | Direction::RecvOnly => HoldState::Active,
        }
    }
}

/// `a=rtcp` (RFC 3605), else the next port. An address of another family is ignored.
fn rtcp_address(media: &Media, rtp: SocketAddr) -> SocketAddr {
    match &media.rtcp {
        Some(rtcp) => {
            let address = rtcp.address.filter(|address| address.is_ipv4() == rtp.is_ipv4());
            SocketAddr::new(address.unwrap_or(rtp.ip()), rtcp.port)
        }
        None => SocketAddr::new(rtp.ip(), rtp.port().checked_add(1).unwrap_or(rtp.port())),
    }
}
