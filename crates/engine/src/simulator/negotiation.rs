//! Offers and answers of one call, and what they mean for its line.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use tandem_media::g711::Law;
use tandem_sip::sdp::{
    self, AudioCapabilities, AudioCodec, Direction, LocalMedia, LocalSession, MediaKind, Negotiated,
    Preference, SessionDescription,
};
use tokio::sync::mpsc;

use super::line::LineCommand;

/// What was agreed, as far as RTP needs it.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// Where to send.
    pub(super) remote: SocketAddr,
    /// Law and payload type of what we send.
    pub(super) law: Law,
    pub(super) send_payload_type: u8,
    /// What may come.
    pub(super) receive: Vec<(u8, Law)>,
    /// Payload types of telephone-event: sent, received.
    pub(super) telephone_event: Option<(u8, u8)>,
    /// Of what we send.
    pub(super) ptime_ms: u16,
    /// Whether we may send.
    pub(super) sends: bool,
    /// Whether we listen.
    pub(super) receives: bool,
}

/// The media of one call.
pub(super) struct CallMedia {
    capabilities: AudioCapabilities,
    local: LocalMedia,
    session: LocalSession,
    /// Our last description.
    described: Option<SessionDescription>,
    /// Bound and waiting for the line; `None` once that runs, and for calls without media.
    pub(super) socket: Option<UdpSocket>,
    /// To the line, once it runs.
    pub(super) line: Option<mpsc::Sender<LineCommand>>,
    /// The port to give back.
    pub(super) port: Option<u16>,
    /// What was agreed last.
    pub(super) terms: Option<Arc<Terms>>,
}

impl Terms {
    fn of(negotiated: &Negotiated, ptime_ms: u16) -> Result<Self, String> {
        let law = law_of(negotiated.codec).ok_or("the codec agreed on is not G.711")?;
        let received = negotiated.receive_codecs.iter();
        Ok(Self {
            remote: negotiated.remote_rtp,
            law,
            send_payload_type: negotiated.send_payload_type,
            receive: received.filter_map(|(number, codec)| Some((*number, law_of(*codec)?))).collect(),
            telephone_event: negotiated
                .telephone_event
                .map(|event| (event.send_payload_type, event.receive_payload_type)),
            ptime_ms,
            sends: negotiated.direction_local.sends(),
            receives: negotiated.direction_local.receives(),
        })
    }

    pub(super) fn codec_name(&self) -> &'static str {
        match self.law {
            Law::Ulaw => "PCMU",
            Law::Alaw => "PCMA",
        }
    }
}

impl CallMedia {
    pub(super) fn new(address: IpAddr, port: u16, session_id: u64) -> Self {
        Self {
            capabilities: AudioCapabilities::g711(),
            local: LocalMedia::new(address, port),
            session: LocalSession { id: session_id, version: 1 },
            described: None,
            socket: None,
            line: None,
            port: None,
            terms: None,
        }
    }

    /// Speaks one law alone.
    pub(super) fn restrict_to(&mut self, law: Law) {
        self.capabilities = AudioCapabilities::new([match law {
            Law::Ulaw => AudioCodec::Pcmu,
            Law::Alaw => AudioCodec::Pcma,
        }]);
    }

    /// Insists on a packet time.
    pub(super) fn set_ptime(&mut self, ptime_ms: u16) {
        self.local.ptime_ms = ptime_ms;
    }

    /// Our offer with this direction.
    pub(super) fn offer(&mut self, direction: Direction) -> Vec<u8> {
        self.local.direction = direction;
        let capabilities = &self.capabilities;
        let local = &self.local;
        let description = next_version(&mut self.session, self.described.as_ref(), |session| {
            Ok::<_, String>(sdp::make_offer(local, capabilities, session))
        });
        self.describe(description.unwrap_or_else(|_| sdp::make_offer(local, capabilities, self.session)))
    }

    /// Answers the peer's offer: our description and what it comes to.
    pub(super) fn answer(&mut self, offer: &[u8]) -> Result<(Vec<u8>, Terms), String> {
        let offer = SessionDescription::parse(offer).map_err(|error| error.to_string())?;
        let (local, capabilities) = (&self.local, &self.capabilities);
        let answer_as = |session| {
            sdp::answer(&offer, local, capabilities, Preference::Offerer, session)
                .map_err(|error| error.to_string())
        };
        let negotiated = answer_as(self.session)?;
        let ptime_ms =
            if local.ptime_ms == sdp::DEFAULT_PTIME_MS { negotiated.ptime_ms } else { local.ptime_ms };
        let terms = Terms::of(&negotiated, ptime_ms)?;
        let description = next_version(&mut self.session, self.described.as_ref(), |session| {
            let mut description = answer_as(session)?.local;
            for media in description.media.iter_mut().filter(|media| media.kind == MediaKind::Audio) {
                media.ptime_ms = media.ptime_ms.map(|_| ptime_ms);
            }
            Ok::<_, String>(description)
        })?;
        self.terms = Some(Arc::new(terms.clone()));
        Ok((self.describe(description), terms))
    }

    /// Reads the peer's answer to our last offer.
    pub(super) fn accept(&mut self, answer: &[u8]) -> Result<Terms, String> {
        let ours = self.described.as_ref().ok_or("an answer came before our offer")?;
        let theirs = SessionDescription::parse(answer).map_err(|error| error.to_string())?;
        let negotiated = sdp::accept_answer(ours, &theirs).map_err(|error| error.to_string())?;
        let terms = Terms::of(&negotiated, negotiated.ptime_ms)?;
        self.terms = Some(Arc::new(terms.clone()));
        Ok(terms)
    }

    /// Our last description again, as a 200 after a 183 must carry it.
    pub(super) fn described(&self) -> Option<Vec<u8>> {
        self.described.as_ref().map(|description| description.to_string().into_bytes())
    }

    fn describe(&mut self, description: SessionDescription) -> Vec<u8> {
        let bytes = description.to_string().into_bytes();
        self.described = Some(description);
        bytes
    }
}

/// A description whose version rises only if it says something new (RFC 3264 §8).
fn next_version<E>(
    session: &mut LocalSession,
    before: Option<&SessionDescription>,
    mut make: impl FnMut(LocalSession) -> Result<SessionDescription, E>,
) -> Result<SessionDescription, E> {
    let same = make(*session)?;
    if before.is_none_or(|before| *before == same) {
        return Ok(same);
    }
    session.version += 1;
    make(*session)
}

fn law_of(codec: AudioCodec) -> Option<Law> {
    match codec {
        AudioCodec::Pcmu => Some(Law::Ulaw),
        AudioCodec::Pcma => Some(Law::Alaw),
        AudioCodec::G729 | AudioCodec::Opus => None,
    }
}
