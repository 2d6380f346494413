//! What one telephone says: packets with one identity, on an absolute grid of packet times.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt};
use tandem_media::dtmf::DtmfSender;
use tandem_media::energy::{SAMPLE_RATE, Tone};
use tandem_media::g711::Law;
use tandem_media::rtp::HEADER_LEN;
use tandem_media::{RtpSender, SourceKind};

use super::behaviour::Voice;
use super::negotiation::Terms;

/// Later than this the grid starts again from now instead of bursting.
const MAX_LAG: Duration = Duration::from_millis(200);
/// Level of steady tones.
const TONE_DBFS: i8 = -10;
/// Clips waiting at most.
const MAX_QUEUED_CLIPS: usize = 16;

/// Says things in one call.
pub(super) struct Mouth {
    sender: RtpSender,
    terms: Terms,
    voice: Voice,
    clips: VecDeque<Clip>,
    dialler: DtmfSender,
    dialling: Option<u32>,
    next_frame_at: Instant,
    tone_sample: u64,
    /// Ids of what has been said to its end.
    said: VecDeque<u32>,
}

struct Clip {
    id: u32,
    samples: Arc<[i16]>,
    position: usize,
}

impl Mouth {
    pub(super) fn new(now: Instant, terms: Terms, random: &mut StdRng) -> Self {
        Self {
            sender: RtpSender::new(random.next_u32(), random.random(), random.next_u32(), SAMPLE_RATE),
            terms,
            voice: Voice::Mute,
            clips: VecDeque::new(),
            dialler: DtmfSender::new(now),
            dialling: None,
            next_frame_at: now,
            tone_sample: 0,
            said: VecDeque::new(),
        }
    }

    pub(super) fn agree(&mut self, terms: Terms) {
        self.terms = terms;
    }

    /// What to say when nothing else is to be said. Clips not yet heard are forgotten.
    pub(super) fn set_voice(&mut self, now: Instant, voice: Voice) {
        self.rest_until(now);
        self.voice = voice;
        self.said.extend(self.clips.drain(..).map(|clip| clip.id));
    }

    pub(super) fn play(&mut self, now: Instant, id: u32, samples: Arc<[i16]>) {
        self.rest_until(now);
        if self.clips.len() < MAX_QUEUED_CLIPS {
            self.clips.push_back(Clip { id, samples, position: 0 });
        } else {
            self.said.push_back(id);
        }
    }

    /// False if the digits cannot be sent here.
    pub(super) fn dial(&mut self, now: Instant, id: u32, digits: &str) -> bool {
        if self.terms.telephone_event.is_none() || self.dialler.dial(now, digits).is_err() {
            return false;
        }
        self.dialling = Some(id);
        true
    }

    /// The id of something that has been said to its end.
    pub(super) fn said(&mut self) -> Option<u32> {
        self.said.pop_front()
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.dialler.deadline().or_else(|| self.has_frames().then_some(self.next_frame_at))
    }

    /// The next packet that is due, 0 for one that may not leave; call until `None`.
    pub(super) fn tick(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if let Some(id) = self.dialling {
            let ptime = Duration::from_millis(u64::from(self.terms.ptime_ms));
            let payload_type = self.terms.telephone_event.map_or(0, |(send, _)| send);
            let packet = self.dialler.poll(now, ptime, payload_type, &mut self.sender, out);
            if !self.dialler.is_busy() {
                self.dialling = None;
                self.said.push_back(id);
                self.rest_until(now);
            }
            return packet.map(|len| if self.may_send() { len } else { 0 });
        }
        self.tick_frame(now, out)
    }

    /// The packet that returns heard audio to its sender, if that is what we do.
    pub(super) fn echo(&mut self, now: Instant, law: Law, payload: &[u8], out: &mut [u8]) -> Option<usize> {
        let is_free = self.voice == Voice::Echo && self.clips.is_empty() && self.dialling.is_none();
        if !is_free || !self.may_send() {
            return None;
        }
        let body = out.get_mut(HEADER_LEN..HEADER_LEN + payload.len())?;
        body.copy_from_slice(payload);
        law.transcode(self.terms.law, body);
        self.head(now, SourceKind::Repacketised, payload.len(), out)
    }

    fn tick_frame(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if !self.has_frames() || self.next_frame_at > now {
            return None;
        }
        let at = if now - self.next_frame_at > MAX_LAG { now } else { self.next_frame_at };
        let samples = usize::from(self.terms.ptime_ms) * SAMPLE_RATE as usize / 1_000;
        let body = out.get_mut(HEADER_LEN..HEADER_LEN + samples)?;
        let law = self.terms.law;
        for byte in body {
            *byte = match self.next_sample() {
                Some(sample) => law.encode(sample),
                None => law.silence(),
            };
        }
        self.next_frame_at = at + Duration::from_millis(u64::from(self.terms.ptime_ms));
        if !self.may_send() {
            return Some(0);
        }
        self.head(at, SourceKind::Playout, samples, out)
    }

    fn next_sample(&mut self) -> Option<i16> {
        while let Some(clip) = self.clips.front_mut() {
            if let Some(sample) = clip.samples.get(clip.position) {
                clip.position += 1;
                return Some(*sample);
            }
            self.said.push_back(clip.id);
            self.clips.pop_front();
        }
        let Voice::Tone { hz } = self.voice else { return None };
        self.tone_sample += 1;
        Some(Tone::Sine { hz, level_dbfs: TONE_DBFS }.sample(self.tone_sample))
    }

    fn has_frames(&self) -> bool {
        let speaks = matches!(self.voice, Voice::Speak | Voice::Silence | Voice::Tone { .. });
        speaks || !self.clips.is_empty()
    }

    fn may_send(&self) -> bool {
        self.terms.sends && !self.terms.remote.ip().is_unspecified()
    }

    /// What begins now does not make up for the silence before it.
    fn rest_until(&mut self, now: Instant) {
        if !self.has_frames() {
            self.next_frame_at = self.next_frame_at.max(now);
        }
    }

    fn head(&mut self, at: Instant, source: SourceKind, samples: usize, out: &mut [u8]) -> Option<usize> {
        let header = self.sender.next(at, source, self.terms.send_payload_type, samples as u32);
        out.get_mut(..HEADER_LEN)?.copy_from_slice(&header.to_bytes());
        Some(HEADER_LEN + samples)
    }
}

/// A tone as a clip.
pub(super) fn tone_clip(hz: u16, length: Duration) -> Arc<[i16]> {
    Tone::Sine { hz, level_dbfs: TONE_DBFS }.samples(length).into()
}
