//! What sessions ask for, carried out.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rand::RngExt as _;
use tandem_media::dtmf::DigitsError;
use tandem_media::{Bridge, LegConfig, MediaLeg, PlayoutError};
use tandem_model::clock;

use super::super::command::{Closing, Command, LegCommand, MediaCommand, Opening};
use super::super::event::{MediaEvent, PlayEnd};
use super::super::leg::{Flow, LegMedia};
use super::super::plane::MediaKey;
use super::leg::{Leg, Onward, Progress};
use super::{Socket, Worker, token};

/// Commands that wait for a leg's first configuration.
const MAX_WAITING: usize = 32;

impl Worker {
    pub(super) fn take_commands(&mut self, now: Instant) {
        let (mut commands, mut closings) = (Vec::new(), Vec::new());
        self.commands.drain(&mut commands, &mut closings);
        for command in commands {
            match command {
                Command::Open(opening) => self.open(now, *opening),
                Command::Leg(key, command) => self.on_command(now, key, command),
            }
        }
        for closing in closings {
            self.close(now, closing);
        }
    }

    pub(super) fn close_all(&mut self, now: Instant) {
        self.take_commands(now);
        let keys: Vec<MediaKey> = self.slots.keys().copied().collect();
        for key in keys {
            self.close(now, Closing { key, report: None });
        }
    }

    fn open(&mut self, now: Instant, opening: Opening) {
        let entry = self.legs.vacant_entry();
        let slot = entry.key();
        let key = opening.key;
        let leg = entry.insert(Box::new(Leg::new(now, opening)));
        let registered = self
            .poller
            .add(&leg.rtp, token(slot, Socket::Rtp))
            .and_then(|()| self.poller.add(&leg.rtcp, token(slot, Socket::Rtcp)));
        if let Err(error) = registered {
            // The leg stays, deaf: its session hangs up by media timeout like any silent one.
            tracing::error!(%error, "cannot poll an RTP socket");
        }
        self.slots.insert(key, slot);
    }

    fn on_command(&mut self, now: Instant, key: MediaKey, command: LegCommand) {
        let Some(&slot) = self.slots.get(&key) else { return };
        let Some(leg) = self.legs.get_mut(slot) else { return };
        match command {
            LegCommand::Configure(media) => self.configure(now, slot, &media),
            LegCommand::Media(command) => self.on_media_command(now, slot, command),
            LegCommand::Bridge(other, flow) => self.bridge(slot, other, flow),
            LegCommand::Unbridge => self.unbridge(slot),
            LegCommand::Record(request) => {
                leg.start_recording(now, *request, &self.recorder, &mut self.outbox);
            }
            LegCommand::StopRecording(name) => leg.stop_recording(now, name, &self.recorder),
            LegCommand::PauseRecording(name, recorded) => {
                leg.pause_recording(now, name, recorded, &self.recorder);
            }
            LegCommand::TellTo(events) => leg.tell_to(events, &self.recorder),
            LegCommand::Report(to) => {
                // A session that no longer waits is no error.
                let _ = to.send(leg.report());
            }
        }
        self.serve(now, slot);
    }

    fn on_media_command(&mut self, now: Instant, slot: usize, command: MediaCommand) {
        let Some(leg) = self.legs.get_mut(slot) else { return };
        let key = leg.key;
        let event = match (&mut leg.media, command) {
            (Some(media), command) => carry_out(now, key, media, command),
            (None, MediaCommand::StopPlayback) => {
                leg.cancel_waiting(&mut self.outbox);
                None
            }
            (None, command) if leg.waiting.len() < MAX_WAITING => {
                leg.waiting.push(command);
                None
            }
            (None, command) => refusal(key, &command),
        };
        if let Some(event) = event {
            leg.tell(&mut self.outbox, event);
        }
    }

    fn configure(&mut self, now: Instant, slot: usize, settled: &LegMedia) {
        let config = LegConfig {
            ssrc: self.random.random(),
            first_sequence: self.random.random(),
            first_timestamp: self.random.random(),
            unix_time: Duration::try_from(clock::wall().as_duration()).unwrap_or_default(),
            negotiated: settled.negotiated,
            latch: settled.latch,
            signalling_ip: settled.signalling_ip,
            media_timeout: settled.media_timeout,
            start: settled.start,
            // Judged here, per offer: see `guard`.
            unproven_packets: None,
        };
        let Some(leg) = self.legs.get_mut(slot) else { return };
        match &mut leg.media {
            Some(media) => media.renegotiate(now, settled.negotiated),
            None => leg.media = Some(Box::new(MediaLeg::new(now, config))),
        }
        leg.guard.settle(settled);
        leg.settle_destination();
        for command in std::mem::take(&mut leg.waiting) {
            self.on_media_command(now, slot, command);
        }
    }

    /// Relays from `slot` to `other`, and back if `flow` says so.
    fn bridge(&mut self, slot: usize, other: MediaKey, flow: Flow) {
        let Some(&other) = self.slots.get(&other) else { return };
        if other == slot {
            return;
        }
        self.connect(slot, other);
        if flow == Flow::Both {
            self.connect(other, slot);
        }
    }

    fn connect(&mut self, from: usize, to: usize) {
        let connected =
            self.legs.get(from).and_then(|leg| leg.onward.as_ref()).is_some_and(|onward| onward.to == to);
        if connected {
            return;
        }
        self.silence(from);
        if let Some(speaker) = self.legs.get(to).and_then(|leg| leg.hears) {
            self.silence(speaker);
        }
        if let Some(leg) = self.legs.get_mut(from) {
            leg.onward = Some(Onward { to, bridge: Bridge::new(), progress: Progress::Waiting });
        }
        if let Some(leg) = self.legs.get_mut(to) {
            leg.hears = Some(from);
        }
    }

    /// Ends relaying from `slot`.
    fn silence(&mut self, slot: usize) {
        let Some(onward) = self.legs.get_mut(slot).and_then(|leg| leg.onward.take()) else { return };
        if let Some(listener) = self.legs.get_mut(onward.to) {
            listener.hears = None;
        }
    }

    fn unbridge(&mut self, slot: usize) {
        self.silence(slot);
        if let Some(speaker) = self.legs.get(slot).and_then(|leg| leg.hears) {
            self.silence(speaker);
        }
    }

    /// Sends what a command made due at once, and arms what it made due later.
    fn serve(&mut self, now: Instant, slot: usize) {
        if let Some(leg) = self.legs.get_mut(slot) {
            leg.serve(now, &mut *self.buffer, &mut self.outbox, &self.recorder);
        }
        self.arm(slot, now);
    }

    fn close(&mut self, now: Instant, closing: Closing) {
        let Some(slot) = self.slots.remove(&closing.key) else { return };
        self.unbridge(slot);
        let Some(mut leg) = self.legs.try_remove(slot) else { return };
        leg.cancel_waiting(&mut self.outbox);
        if let Some(media) = &mut leg.media {
            media.clear_sounds();
            if let Some(len) = media.rtcp_bye(now, &mut *self.buffer) {
                leg.transmit_rtcp(self.buffer.get(..len).unwrap_or_default());
            }
        }
        leg.drain(now, &mut self.outbox);
        leg.stop_recordings(now, &self.recorder);
        let (port, report) = (leg.port, leg.report());
        // Closing a socket takes it out of the poll; only then may its port rest.
        drop(leg);
        self.ports.release(port);
        self.live.fetch_sub(1, Ordering::Relaxed);
        if let Some(to) = closing.report {
            // A session that does not wait for its figures is no error.
            let _ = to.send(report);
        }
    }
}

/// Carries out a command on a leg that lives; returns what to tell the session at once.
fn carry_out(now: Instant, leg: MediaKey, media: &mut MediaLeg, command: MediaCommand) -> Option<MediaEvent> {
    match command {
        MediaCommand::StartPlayout => media.on_ack(now),
        MediaCommand::StopPlayback => media.clear_playout(),
        MediaCommand::DetectInband(detect) => media.detect_inband(detect),
        MediaCommand::ListenFor(wanted) => media.listen_for(now, wanted),
        MediaCommand::Stop(play) => {
            media.stop_playout(play);
        }
        MediaCommand::Overlay(item, beneath) => {
            let play = item.id;
            let refused = media.overlay(now, *item, beneath).err()?;
            return Some(MediaEvent::PlaybackDone { leg, play, end: PlayEnd::Refused(refused) });
        }
        MediaCommand::Play(item) => {
            let play = item.id;
            let refused = media.play(now, *item).err()?;
            return Some(MediaEvent::PlaybackDone { leg, play, end: PlayEnd::Refused(refused) });
        }
        MediaCommand::SendDigits(digits) => {
            let refused = media.send_digits(now, &digits).err()?;
            return Some(MediaEvent::DigitsSent { leg, refused: Some(refused) });
        }
    }
    None
}

/// What to tell of a command that came before the first configuration and found no room.
fn refusal(leg: MediaKey, command: &MediaCommand) -> Option<MediaEvent> {
    match command {
        MediaCommand::Play(item) | MediaCommand::Overlay(item, _) => Some(MediaEvent::PlaybackDone {
            leg,
            play: item.id,
            end: PlayEnd::Refused(PlayoutError::QueueFull),
        }),
        MediaCommand::SendDigits(_) => {
            Some(MediaEvent::DigitsSent { leg, refused: Some(DigitsError::TooMany) })
        }
        MediaCommand::StartPlayout
        | MediaCommand::Stop(_)
        | MediaCommand::StopPlayback
        | MediaCommand::DetectInband(_)
        | MediaCommand::ListenFor(_) => None,
    }
}
