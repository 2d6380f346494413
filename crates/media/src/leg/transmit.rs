//! Producing what the leg says itself: playout, digits, mixer frames.

use std::time::{Duration, Instant};

use super::{Incoming, MediaLeg};
use crate::bridge::RelayDrop;
use crate::dtmf::{DigitsError, DtmfSender};
use crate::playout::{PlayId, PlayItem, PlayoutError};
use crate::repacketise::PTIME_MS;
use crate::rtp::HEADER_LEN;
use crate::sender::SourceKind;

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

    /// Drops everything queued and playing, at once; the ids come back as
    /// [`LegEvent::PlayoutCleared`](super::LegEvent::PlayoutCleared).
    pub fn clear_playout(&mut self) {
        if let Some(playout) = &mut self.playout {
            playout.clear();
        }
    }

    /// Drops one item, playing or waiting; false if it is not there.
    pub fn stop_playout(&mut self, id: PlayId) -> bool {
        self.playout.as_mut().is_some_and(|playout| playout.remove(id))
    }

    /// Whether something is queued or playing.
    pub fn is_playing(&self) -> bool {
        self.playout.as_ref().is_some_and(|playout| playout.is_busy())
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
            let heard = self.playout.as_mut().is_some_and(|playout| playout.fill(law, frame));
            if !heard {
                return None;
            }
            self.next_frame_at = at + self.ptime();
            if self.may_send() {
                return self.finish_packet(at, SourceKind::Playout, samples, out);
            }
        }
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
