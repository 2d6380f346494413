//! One leg as its worker holds it: sockets, media state, and who it relays to.

use std::net::{SocketAddr, UdpSocket};
use std::time::Instant;

use smallvec::SmallVec;
use tandem_media::dtmf::DigitEvent;
use tandem_media::rtp::Packet;
use tandem_media::{Bridge, Codec, Incoming, LegEvent, LegStats, MediaLeg, PayloadKind, Quality, Side};
use tokio::sync::mpsc;

use super::super::command::{MediaCommand, Opening};
use super::super::event::{Delivery, MediaEvent, Outbox, PlayEnd, RecordEnd, RecordStop};
use super::super::leg::{MAX_RECORDINGS, RecordName, RecordRequest, Recorded};
use super::super::plane::MediaKey;
use super::super::recorder::{Frame, RecorderQueue, RecordingId};
use super::super::report::LegReport;
use super::guard::Guard;

/// A leg on its worker.
pub(super) struct Leg {
    pub(super) key: MediaKey,
    pub(super) port: u16,
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
    /// `None` until SDP is settled.
    pub(super) media: Option<Box<MediaLeg>>,
    /// Commands that need `media` and came before it.
    pub(super) waiting: Vec<MediaCommand>,
    /// Where what this leg's peer says goes.
    pub(super) onward: Option<Onward>,
    /// The leg whose `onward` names this one.
    pub(super) hears: Option<usize>,
    pub(super) recordings: SmallVec<[Tapped; 1]>,
    /// The deadline that stands for this leg in the heap.
    pub(super) armed: Option<Instant>,
    pub(super) relay_dropped: u64,
    pub(super) guard: Guard,
    events: mpsc::Sender<MediaEvent>,
    opened: Instant,
    /// When a datagram was last taken from the RTP socket.
    pub(super) read: Instant,
    first_packet: Option<Instant>,
    /// As last announced to the session.
    destination: Option<SocketAddr>,
    octets_received: u64,
    held_back: u64,
    send_errors: u64,
    events_dropped: u64,
}

/// One direction of a bridge.
pub(super) struct Onward {
    pub(super) to: usize,
    pub(super) bridge: Bridge,
    pub(super) progress: Progress,
}

/// Whether a direction of a bridge has carried anything yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    Waiting,
    Speaking,
}

/// A running recording of this leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tapped {
    pub(super) name: RecordName,
    pub(super) id: RecordingId,
    pub(super) frames_dropped: u64,
}

impl Leg {
    pub(super) fn new(now: Instant, opening: Opening) -> Self {
        Self {
            key: opening.key,
            port: opening.port,
            rtp: opening.rtp,
            rtcp: opening.rtcp,
            media: None,
            waiting: Vec::new(),
            onward: None,
            hears: None,
            recordings: SmallVec::new(),
            armed: None,
            relay_dropped: 0,
            guard: Guard::default(),
            events: opening.events,
            opened: now,
            read: now,
            first_packet: None,
            destination: None,
            octets_received: 0,
            held_back: 0,
            send_errors: 0,
            events_dropped: 0,
        }
    }

    /// Sends what is due and tells what happened.
    pub(super) fn serve(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        outbox: &mut Outbox,
        recorder: &RecorderQueue,
    ) {
        while let Some(len) = self.media.as_mut().and_then(|media| media.tick(now, buffer)) {
            self.transmit(now, buffer.get(..len).unwrap_or_default(), recorder);
        }
        while let Some(len) = self.media.as_mut().and_then(|media| media.rtcp(now, buffer)) {
            self.transmit_rtcp(buffer.get(..len).unwrap_or_default());
        }
        self.drain(now, outbox);
    }

    /// Tells the session what the media state noticed.
    pub(super) fn drain(&mut self, now: Instant, outbox: &mut Outbox) {
        let leg = self.key;
        while let Some(event) = self.media.as_mut().and_then(|media| media.poll(now)) {
            let event = match event {
                LegEvent::PlayoutDone(play) => MediaEvent::PlaybackDone { leg, play, end: PlayEnd::Finished },
                LegEvent::PlayoutCleared(play) => {
                    MediaEvent::PlaybackDone { leg, play, end: PlayEnd::Cleared }
                }
                LegEvent::Digit(DigitEvent::Began(digit)) => MediaEvent::Digit { leg, digit },
                LegEvent::Digit(DigitEvent::Ended { .. }) => continue,
                LegEvent::DigitsSent => MediaEvent::DigitsSent { leg, refused: None },
                LegEvent::Noticed => MediaEvent::Noticed { leg },
                LegEvent::MediaTimeout => MediaEvent::MediaTimeout { leg },
            };
            self.tell(outbox, event);
        }
    }

    /// Playback that waits for the first configuration ends; other commands wait on.
    pub(super) fn cancel_waiting(&mut self, outbox: &mut Outbox) {
        for command in std::mem::take(&mut self.waiting) {
            match command {
                MediaCommand::Play(item) | MediaCommand::Overlay(item, _) => {
                    let end = PlayEnd::Cleared;
                    self.tell(outbox, MediaEvent::PlaybackDone { leg: self.key, play: item.id, end });
                }
                other => self.waiting.push(other),
            }
        }
    }

    pub(super) fn tell(&mut self, outbox: &mut Outbox, event: MediaEvent) {
        if outbox.send(&self.events, event) == Delivery::Dropped {
            self.events_dropped += 1;
        }
    }

    /// Another session has this leg.
    pub(super) fn tell_to(&mut self, events: mpsc::Sender<MediaEvent>, recorder: &RecorderQueue) {
        for tapped in &self.recordings {
            recorder.tell_to(tapped.id, events.clone());
        }
        self.events = events;
    }

    /// Notes an accepted RTP packet: counters, first packet, a destination learned from it.
    pub(super) fn accepted(
        &mut self,
        now: Instant,
        source: SocketAddr,
        incoming: &Incoming,
        outbox: &mut Outbox,
    ) {
        self.octets_received += u64::from(incoming.packet.payload_len);
        let leg = self.key;
        if self.first_packet.is_none() {
            self.first_packet = Some(now);
            self.tell(outbox, MediaEvent::FirstPacket { leg, source });
        }
        let destination = self.media.as_ref().and_then(|media| media.destination());
        if destination != self.destination {
            self.destination = destination;
            // A hold that ends is no news; a peer found elsewhere is.
            if let Some(destination) = destination.filter(|learned| *learned == source) {
                self.tell(outbox, MediaEvent::RemoteLatched { leg, destination });
            }
        }
    }

    /// SDP moved the destination: that is not learned and not told.
    pub(super) fn settle_destination(&mut self) {
        self.destination = self.media.as_ref().and_then(|media| media.destination());
    }

    /// Sends RTP to the peer and to the recording.
    pub(super) fn transmit(&mut self, now: Instant, datagram: &[u8], recorder: &RecorderQueue) {
        let Some(media) = &self.media else { return };
        if let Some(destination) = media.destination() {
            if !self.guard.permit() {
                self.held_back += 1;
            } else if self.rtp.send_to(datagram, destination).is_err() {
                self.send_errors += 1;
            }
        }
        if self.recordings.is_empty() {
            return;
        }
        if let Ok(packet) = Packet::parse(datagram)
            && let Some(PayloadKind::Audio(codec)) = media.negotiated().send.kind(packet.header.payload_type)
        {
            self.tap(now, Side::Callee, packet, codec, datagram, recorder);
        }
    }

    pub(super) fn transmit_rtcp(&mut self, datagram: &[u8]) {
        let Some(media) = &self.media else { return };
        let Some(destination) = media.rtcp_destination() else { return };
        if !self.guard.permit() {
            return;
        }
        let multiplexed = media.negotiated().remote.is_some()
            && media.negotiated().remote == media.negotiated().remote_rtcp;
        let socket = if multiplexed { &self.rtp } else { &self.rtcp };
        if socket.send_to(datagram, destination).is_err() {
            self.send_errors += 1;
        }
    }

    /// Hands a packet's audio to every recording that runs.
    pub(super) fn tap(
        &mut self,
        at: Instant,
        side: Side,
        packet: Packet,
        codec: Codec,
        datagram: &[u8],
        recorder: &RecorderQueue,
    ) {
        for tapped in &mut self.recordings {
            let frame = Frame {
                recording: tapped.id,
                at,
                side,
                ssrc: packet.header.ssrc,
                timestamp: packet.header.timestamp,
                codec,
                payload: SmallVec::from_slice(packet.payload(datagram)),
            };
            if !recorder.push(frame) {
                tapped.frames_dropped += 1;
            }
        }
    }

    /// Starts a recording, unless there are as many as there may be.
    pub(super) fn start_recording(
        &mut self,
        now: Instant,
        request: RecordRequest,
        recorder: &RecorderQueue,
        outbox: &mut Outbox,
    ) {
        if self.recordings.len() >= MAX_RECORDINGS {
            let end = Box::new(RecordEnd::refused(request, "the leg has as many recordings as it may"));
            return self.tell(outbox, MediaEvent::RecordingDone { leg: self.key, end });
        }
        let name = request.name;
        let id = recorder.begin(now, self.key, request, self.events.clone());
        self.recordings.push(Tapped { name, id, frames_dropped: 0 });
    }

    pub(super) fn stop_recording(&mut self, now: Instant, name: RecordName, recorder: &RecorderQueue) {
        if let Some(index) = self.recordings.iter().position(|tapped| tapped.name == name) {
            let tapped = self.recordings.remove(index);
            recorder.end(now, tapped.id, RecordStop::Asked, tapped.frames_dropped);
        }
    }

    pub(super) fn pause_recording(
        &self,
        now: Instant,
        name: RecordName,
        recorded: Recorded,
        recorder: &RecorderQueue,
    ) {
        if let Some(tapped) = self.recordings.iter().find(|tapped| tapped.name == name) {
            recorder.pause(now, tapped.id, recorded);
        }
    }

    /// The leg closes.
    pub(super) fn stop_recordings(&mut self, now: Instant, recorder: &RecorderQueue) {
        for tapped in std::mem::take(&mut self.recordings) {
            recorder.end(now, tapped.id, RecordStop::LegClosed, tapped.frames_dropped);
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.media.as_ref().and_then(|media| media.deadline())
    }

    pub(super) fn report(&self) -> LegReport {
        let media = self.media.as_deref();
        LegReport {
            codec: media.map(MediaLeg::codec),
            stats: media.map_or_else(LegStats::default, MediaLeg::stats),
            quality: media.map_or_else(Quality::default, MediaLeg::quality),
            remote_quality: media.and_then(MediaLeg::remote_quality),
            octets_received: self.octets_received,
            first_packet_after: self.first_packet.map(|at| at.saturating_duration_since(self.opened)),
            destination: self.destination,
            relay_dropped: self.relay_dropped,
            held_back: self.held_back,
            send_errors: self.send_errors,
            events_dropped: self.events_dropped,
        }
    }
}
