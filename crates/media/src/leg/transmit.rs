//! Producing what the leg says itself: playout, digits, mixer frames.

use std::time::{Duration, Instant};

use super::{Incoming, MediaLeg};
use crate::bridge::RelayDrop;
use crate::dtmf::{DigitsError, DtmfSender};
use crate::g711::Law;
use crate::overlay::{Beneath, Overlay};
use crate::playout::{PlayId, PlayItem, PlayoutError};
use crate::repacketise::PTIME_MS;
use crate::rtp::HEADER_LEN;
use crate::sender::SourceKind;

/// Samples of the longest packet.
const MAX_FRAME: usize = *PTIME_MS.end() as usize * 8;

/// A worker later than this starts the grid again from now instead of bursting.
const MAX_LAG: Duration = Duration::from_millis(200);

impl MediaLeg {
    /// Queues a sound behind the others; starts at once if the leg is idle and the gate open.
    pub fn play(&mut self, now: Instant, item: PlayItem) -> Result<(), PlayoutError> {
        if self.law().is_none() {
            return Err(PlayoutError::Codec);
        }
        let playout = self.playout.get_or_insert_default();
        if !playout.is_busy() {
            self.next_frame_at = self.next_frame_at.max(now);
        }
        playout.push(item)
    }

    /// Plays a sound over whatever the leg hears otherwise: other legs and its own queue.
    pub fn overlay(&mut self, now: Instant, item: PlayItem, beneath: Beneath) -> Result<(), PlayoutError> {
        if self.law().is_none() {
            return Err(PlayoutError::Codec);
        }
        if !self.is_playing() {
            self.next_frame_at = self.next_frame_at.max(now);
        }
        self.overlay.get_or_insert_with(|| Box::new(Overlay::new(beneath))).push(item, beneath)
    }

    /// Drops everything queued and playing, at once; the ids come back as
    /// [`LegEvent::PlayoutCleared`](super::LegEvent::PlayoutCleared). A sound over it goes on.
    pub fn clear_playout(&mut self) {
        if let Some(playout) = &mut self.playout {
            playout.clear();
        }
    }

    /// Drops every sound, those over the queue as well.
    pub fn clear_sounds(&mut self) {
        self.clear_playout();
        if let Some(overlay) = &mut self.overlay {
            overlay.clear();
        }
    }

    /// Drops one item, playing or waiting, in the queue or over it; false if it is not there.
    pub fn stop_playout(&mut self, id: PlayId) -> bool {
        self.playout.as_mut().is_some_and(|playout| playout.remove(id))
            || self.overlay.as_mut().is_some_and(|overlay| overlay.remove(id))
    }

    /// Whether something is queued or playing.
    pub fn is_playing(&self) -> bool {
        self.playout.as_ref().is_some_and(|playout| playout.is_busy()) || self.is_overlaid()
    }

    fn is_overlaid(&self) -> bool {
        self.overlay.as_ref().is_some_and(|overlay| overlay.is_busy())
    }

    /// What another leg says and may not be relayed because a sound lies over it.
    pub(crate) fn overhear(&mut self, law: Law, payload: &[u8]) {
        if let Some(overlay) = self.overlay.as_mut().filter(|overlay| overlay.is_busy()) {
            overlay.overhear(law, payload);
        }
    }

    /// Dials `digits` (`0-9*#A-D`, `w` half a second, `W` a second) as telephone-events.
    pub fn send_digits(&mut self, now: Instant, digits: &str) -> Result<(), DigitsError> {
        if self.negotiated.send.telephone_event.is_none() {
            return Err(DigitsError::NotNegotiated);
        }
        self.dialler.get_or_insert_with(|| Box::new(DtmfSender::new(now))).dial(now, digits)
    }

    /// Whether digits are still going out.
    pub fn is_dialling(&self) -> bool {
        self.dialler.is_some()
    }

    /// The next packet of our own that is due, for `destination()`; call until `None`. Digits go
    /// before playout, which waits for them. On hold both run on unheard, so that they end.
    pub fn tick(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        while self.dialler.is_some() {
            let len = self.tick_dialler(now, out)?;
            if len > 0 {
                return Some(len);
            }
        }
        self.tick_playout(now, out)
    }

    /// Sends one 8 kHz linear frame of a mixer or stream, 10–60 ms, in the leg's G.711 law.
    pub fn send_frame(&mut self, now: Instant, frame: &[i16], out: &mut [u8]) -> Option<usize> {
        let law = self.law()?;
        let longest = usize::from(*PTIME_MS.end()) * 8;
        if !self.may_send() || self.is_dialling() || frame.is_empty() || frame.len() > longest {
            return None;
        }
        law.encode_into(frame, out.get_mut(HEADER_LEN..HEADER_LEN + frame.len())?);
        self.finish_packet(now, SourceKind::Frames, frame.len(), out)
    }

    pub(super) fn playout_deadline(&self) -> Option<Instant> {
        if !self.is_playing() {
            return None;
        }
        match self.gate.opens_at() {
            Some(opens_at) => Some(self.next_frame_at.max(opens_at)),
            None if self.gate.is_open(self.next_frame_at) => Some(self.next_frame_at),
            None => None,
        }
    }

    /// Whether what another leg says may leave here now.
    pub(crate) fn may_relay(&self, now: Instant) -> bool {
        self.may_send() && !self.is_dialling() && !(self.is_playing() && self.gate.is_open(now))
    }

    /// Writes the header before a payload that already lies in `out` and counts the packet.
    pub(crate) fn finish_packet(
        &mut self,
        at: Instant,
        source: SourceKind,
        payload_len: usize,
        out: &mut [u8],
    ) -> Option<usize> {
        let room = out.get_mut(..HEADER_LEN)?;
        let header = self.sender.next(at, source, self.negotiated.send.audio, payload_len as u32);
        room.copy_from_slice(&header.to_bytes());
        self.sent(payload_len);
        Some(HEADER_LEN + payload_len)
    }

    /// A packet's length, 0 for one that may not leave, `None` when nothing is due.
    fn tick_dialler(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let permitted = self.may_send();
        let ptime = self.ptime();
        let payload_type = self.negotiated.send.telephone_event;
        let dialler = self.dialler.as_mut()?;
        let Some(payload_type) = payload_type else {
            // A re-INVITE took telephone-event away: the rest cannot be said.
            self.dialler = None;
            self.digits_sent = true;
            return Some(0);
        };
        let packet = dialler.poll(now, ptime, payload_type, &mut self.sender, out);
        if !dialler.is_busy() {
            self.next_frame_at = self.next_frame_at.max(now);
            self.dialler = None;
            self.digits_sent = true;
            return Some(
                packet.filter(|_| permitted).inspect(|len| self.sent(len - HEADER_LEN)).unwrap_or(0),
            );
        }
        let len = packet?;
        if !permitted {
            return Some(0);
        }
        self.sent(len - HEADER_LEN);
        Some(len)
    }

    fn tick_playout(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        let law = self.law()?;
        let samples = self.frame_samples();
        loop {
            let due = self.playout_deadline()?;
            if due > now {
                return None;
            }
            let at = if now - due > MAX_LAG { now } else { due };
            let frame = out.get_mut(HEADER_LEN..HEADER_LEN + samples)?;
            if !self.next_playout_frame(law, frame) {
                return None;
            }
            self.next_frame_at = at + self.ptime();
            if self.may_send() {
                return self.finish_packet(at, SourceKind::Playout, samples, out);
            }
        }
    }
}

/// Frames of our own.
impl MediaLeg {
    fn next_playout_frame(&mut self, law: Law, frame: &mut [u8]) -> bool {
        let above =
            self.overlay.as_ref().filter(|overlay| overlay.is_busy()).map(|overlay| overlay.beneath());
        let own = self.playout.as_mut().filter(|_| above != Some(Beneath::Silenced));
        let heard = own.is_some_and(|playout| playout.fill(law, frame));
        let (Some(overlay), Some(_)) = (&mut self.overlay, above) else { return heard };
        if !heard {
            frame.fill(law.silence());
        }
        let mut room = [0; MAX_FRAME];
        let Some(room) = room.get_mut(..frame.len()) else { return heard };
        overlay.lay(law, frame, room) || heard
    }
}

/// What a bridge asks of the leg it sends through.
impl MediaLeg {
    /// Rewrites an incoming packet in place onto this leg's identity and counts it.
    pub(crate) fn relay_packet(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        incoming: &Incoming,
        payload_type: u8,
        ticks: u32,
    ) -> Result<usize, RelayDrop> {
        let start = usize::from(incoming.packet.payload_start);
        let len = usize::from(incoming.packet.payload_len);
        if buffer.len() < (HEADER_LEN + len).max(start + len) {
            return Err(RelayDrop::Buffer);
        }
        let rewritten =
            self.rewriter.rewrite(now, incoming.packet.header, payload_type, ticks, &mut self.sender)?;
        if start != HEADER_LEN {
            buffer.copy_within(start..start + len, HEADER_LEN);
        }
        let head = buffer.get_mut(..HEADER_LEN).ok_or(RelayDrop::Buffer)?;
        head.copy_from_slice(&rewritten.header.to_bytes());
        self.sent(len);
        Ok(HEADER_LEN + len)
    }

    /// A packet is not relayed: its place in the sequence closes.
    pub(crate) fn suppress_packet(&mut self, now: Instant, incoming: &Incoming) {
        self.rewriter.suppress(now, incoming.packet.header);
    }
}
