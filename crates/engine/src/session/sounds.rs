//! What legs hear and what they press: playing for the call flow, and the media plane's events.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tandem_callflow::{End, Input, Leg as Name, Loops, PlaybackId, PlaybackOutcome, Sound, Watch};
use tandem_media::dtmf::info::{InfoDigit, InfoKind};
use tandem_media::dtmf::{Digit, DigitsError, MAX_QUEUED_DIGITS};
use tandem_media::energy::Tone;
use tandem_media::{ListenFor, Material, PlayId, PlayItem, Repeat};
use tandem_model::ports::{Clip, SoundError, SpeechRequest, TraceKind};
use tandem_model::{HangupCause, HangupSource};
use tandem_sip::Outcome;

use super::leg::Stage;
use super::{Done, Playing, Session};
use crate::rtp::{MediaEvent, MediaKey, PlayEnd};

/// How long a digit sent by INFO is said to have been held.
const INFO_DIGIT_MS: u16 = 160;
/// The tone after which to speak.
const BEEP: Tone = Tone::Sine { hz: 1_000, level_dbfs: -12 };
/// How long it sounds.
const BEEP_LENGTH: Duration = Duration::from_millis(400);

impl Session {
    /// `Effect::Play`.
    pub(super) fn play(&mut self, playback: PlaybackId, leg: Name, sound: Sound, loops: Loops) {
        if Self::is_a(leg) {
            // Before the answer A hears it as early media.
            self.open_early_media();
        }
        let repeat = match loops {
            Loops::Times(times) => Repeat::Times(NonZeroU32::new(times).unwrap_or(NonZeroU32::MIN)),
            Loops::Forever => Repeat::Forever,
        };
        self.sounds.push(Playing { playback, leg, repeat, queued: false });
        let is_beep = sound == Sound::Beep;
        match self.clip(sound) {
            Some(clip) => self.spawn(async move { Done::SoundReady { playback, result: clip.await } }),
            None if is_beep => self.queue(playback, |media| {
                let material = Material::Tone(BEEP, BEEP_LENGTH);
                media.play(PlayItem { id: play_id(playback), material, repeat: Repeat::ONCE })
            }),
            None => self.queue(playback, |media| media.tone(play_id(playback), Tone::Ring)),
        }
    }

    /// `Effect::Prepare`. Whoever plays the sound later finds it, or joins whoever makes it.
    pub(super) fn prepare(&mut self, preparation: PlaybackId, sound: Sound) {
        let clip = self.clip(sound);
        self.spawn(async move {
            if let Some(clip) = clip {
                // A sound that cannot be had is told when it is played.
                drop(clip.await);
            }
            Done::Prepared(preparation)
        });
    }

    /// What a sound is made of; `None` for a tone.
    fn clip(&self, sound: Sound) -> Option<impl Future<Output = Result<Arc<Clip>, SoundError>> + 'static> {
        let account = self.a_facts().map(|facts| facts.account.clone());
        if matches!(sound, Sound::Ringback | Sound::Beep) {
            return None;
        }
        let sounds = self.shard.ports.sounds.clone();
        Some(async move {
            match (sound, account) {
                (Sound::Speech { text, language, voice }, _) => {
                    sounds.speak(SpeechRequest { text, language, voice }).await
                }
                (Sound::File { url }, Some(account)) => sounds.load(account, url).await,
                (Sound::File { .. } | Sound::Ringback | Sound::Beep, _) => {
                    Err(SoundError("the call has no account yet".to_owned()))
                }
            }
        })
    }

    /// The clip of a playback is there, or cannot be had.
    pub(super) fn on_sound_ready(&mut self, playback: PlaybackId, result: Result<Arc<Clip>, SoundError>) {
        let Some(repeat) = self.sounds.iter().find(|playing| playing.playback == playback).map(|p| p.repeat)
        else {
            return;
        };
        match result {
            Ok(clip) => {
                let material = self.shard.prompts.material(&clip);
                self.trace(TraceKind::Audio, || format!("playback of {} ms begins", clip.duration_ms()));
                self.queue(playback, |media| {
                    media.play(PlayItem { id: play_id(playback), material, repeat })
                });
            }
            Err(error) => self.playback_over(playback, PlaybackOutcome::Failed(error.0)),
        }
    }

    fn queue(
        &mut self,
        playback: PlaybackId,
        order: impl FnOnce(&crate::rtp::RtpLeg) -> Result<(), crate::rtp::CommandError>,
    ) {
        let Some(playing) = self.sounds.iter().position(|playing| playing.playback == playback) else {
            return;
        };
        let media =
            self.position(self.sounds[playing].leg).and_then(|position| self.legs[position].media.as_ref());
        match media.map(order) {
            Some(Ok(())) => self.sounds[playing].queued = true,
            Some(Err(error)) => self.playback_over(playback, PlaybackOutcome::Failed(error.to_string())),
            None => self.playback_over(playback, PlaybackOutcome::Failed("the leg has no audio".to_owned())),
        }
    }

    /// `Effect::StopPlayback`.
    pub(super) fn stop_playback(&mut self, playback: PlaybackId) {
        let Some(playing) = self.sounds.iter().find(|playing| playing.playback == playback) else { return };
        if playing.queued
            && let Some(media) =
                self.position(playing.leg).and_then(|position| self.legs[position].media.as_ref())
            && let Err(error) = media.stop_playback()
        {
            tracing::error!(call_id = %self.call_id(), %error, "a sound was not stopped");
        }
        self.playback_over(playback, PlaybackOutcome::Stopped);
    }

    fn playback_over(&mut self, playback: PlaybackId, outcome: PlaybackOutcome) {
        let before = self.sounds.len();
        self.sounds.retain(|playing| playing.playback != playback);
        if self.sounds.len() < before {
            self.trace(TraceKind::Audio, || match &outcome {
                PlaybackOutcome::Completed => "playback ended".to_owned(),
                PlaybackOutcome::Stopped => "playback stopped".to_owned(),
                PlaybackOutcome::Failed(words) => format!("playback failed: {words}"),
            });
            self.tell(Input::PlaybackDone { playback, outcome });
        }
    }

    /// The media plane noticed something.
    pub(super) fn on_media(&mut self, event: MediaEvent) {
        if let Some((_, session)) = self.moved.iter().find(|(moved, _)| *moved == event.leg()) {
            if session.try_send(event).is_err() {
                tracing::warn!(call_id = %self.call_id(), "an event of a moved leg found no place");
            }
            return;
        }
        match event {
            MediaEvent::Digit { leg, digit } => {
                if let Some(position) = self.position_of_media(leg) {
                    self.on_digit(position, digit.as_char());
                }
            }
            MediaEvent::PlaybackDone { play, end, .. } => {
                let outcome = match end {
                    PlayEnd::Finished => PlaybackOutcome::Completed,
                    PlayEnd::Cleared => PlaybackOutcome::Stopped,
                    PlayEnd::Refused(error) => PlaybackOutcome::Failed(error.to_string()),
                };
                if !self.live_sound_over(PlaybackId(play.0), &outcome) {
                    self.playback_over(PlaybackId(play.0), outcome);
                }
            }
            MediaEvent::DigitsSent { leg, refused } => {
                if let Some(position) = self.position_of_media(leg) {
                    self.on_digits_sent(position, refused);
                }
            }
            MediaEvent::Noticed { leg } => {
                if let Some(position) = self.position_of_media(leg) {
                    let leg = self.legs[position].name;
                    self.trace(TraceKind::Audio, || format!("{leg:?}: what was listened for was heard"));
                    self.tell(Input::Noticed { leg });
                }
            }
            MediaEvent::FirstPacket { leg, source } => {
                if let Some(position) = self.position_of_media(leg) {
                    self.trace(TraceKind::Audio, || {
                        format!("first packet of {:?} from {source}", self.legs[position].name)
                    });
                }
            }
            MediaEvent::RemoteLatched { leg, destination } => {
                if let Some(position) = self.position_of_media(leg) {
                    self.trace(TraceKind::Audio, || {
                        format!("{:?} is reached at {destination}", self.legs[position].name)
                    });
                }
            }
            MediaEvent::MediaTimeout { leg } => {
                let end = End::new(HangupCause::MediaTimeout, HangupSource::Vobiz);
                match self.position_of_media(leg) {
                    Some(0) => self.end_a(end),
                    Some(position) => self.fail_leg(position, end, None),
                    None => {}
                }
            }
            MediaEvent::RecordingDone { end, .. } => self.on_recording_done(&end),
        }
    }

    fn on_recording_done(&mut self, end: &crate::rtp::RecordEnd) {
        self.trace(TraceKind::Audio, || {
            format!(
                "recording of {:.1} s: caller {:.1} dBFS, callee {:.1} dBFS",
                end.length.as_secs_f32(),
                end.received_dbfs,
                end.sent_dbfs
            )
        });
        if self.on_asked_recording_done(end) {
            return;
        }
        let record = self
            .legs
            .iter_mut()
            .filter_map(|leg| leg.record.as_deref_mut())
            .find(|record| record.recording_open.is_some_and(|open| open.name == end.name));
        let Some(record) = record else { return };
        record.recording_open = None;
        record.recorded = end.error.is_none();
        if let Some(error) = &end.error {
            tracing::error!(call_id = %record.facts.call, %error, "a recording is not complete");
        }
    }

    fn position_of_media(&self, key: MediaKey) -> Option<usize> {
        self.legs.iter().position(|leg| leg.media.as_ref().is_some_and(|media| media.key() == key))
    }

    /// `Effect::Watch`.
    pub(super) fn listen_to(&mut self, name: Name, watch: Option<Watch>) {
        let wanted = watch.map(|watch| match watch {
            Watch::Silence(length) => ListenFor::Silence(length),
            Watch::Beep => ListenFor::Beep,
        });
        let media = self.position(name).and_then(|position| self.legs[position].media.as_ref());
        if let Some(Err(error)) = media.map(|media| media.listen_for(wanted)) {
            tracing::error!(call_id = %self.call_id(), %error, "a leg is not listened to");
        }
    }

    /// `Effect::SendDigits`.
    pub(super) fn send_digits(&mut self, name: Name, digits: String) {
        let media = self.position(name).and_then(|position| self.legs[position].media.as_ref());
        match media.map(|media| media.send_digits(&digits)) {
            Some(Ok(())) => {
                if let Some(position) = self.position(name) {
                    self.legs[position].dialling_digits = digits;
                }
            }
            Some(Err(error)) => {
                tracing::error!(call_id = %self.call_id(), %error, "digits were not sent");
                self.tell(Input::DigitsSent { leg: name });
            }
            None => self.tell(Input::DigitsSent { leg: name }),
        }
    }

    /// A peer without telephone-event gets its digits as INFO, one after the other.
    fn on_digits_sent(&mut self, position: usize, refused: Option<DigitsError>) {
        let digits = std::mem::take(&mut self.legs[position].dialling_digits);
        if refused != Some(DigitsError::NotNegotiated) {
            return self.tell(Input::DigitsSent { leg: self.legs[position].name });
        }
        let idle = self.legs[position].info_digits.is_empty();
        let waiting = &mut self.legs[position].info_digits;
        let room = MAX_QUEUED_DIGITS.saturating_sub(waiting.len());
        waiting.extend(digits.chars().filter(|c| Digit::from_char(*c).is_some()).take(room));
        if idle {
            self.send_info_digit(position);
        }
    }

    /// The INFO before was answered.
    pub(super) fn send_next_info_digit(&mut self, position: usize) {
        self.legs[position].info_digits.pop_front();
        self.send_info_digit(position);
    }

    fn send_info_digit(&mut self, position: usize) {
        let leg = &mut self.legs[position];
        let name = leg.name;
        let next = leg.info_digits.front().copied().and_then(Digit::from_char);
        let (Some(digit), Some(sip), Stage::Talking) = (next, leg.sip(), leg.stage) else {
            leg.info_digits.clear();
            return self.tell(Input::DigitsSent { leg: name });
        };
        let kind = InfoKind::DtmfRelay;
        let body = kind.body(InfoDigit { digit, duration_ms: INFO_DIGIT_MS });
        let sent =
            self.shard.command(|endpoint, now| endpoint.info(now, sip, kind.content_type(), body.as_bytes()));
        if sent != Outcome::Sent {
            self.legs[position].info_digits.clear();
            self.tell(Input::DigitsSent { leg: name });
        }
    }
}

fn play_id(playback: PlaybackId) -> PlayId {
    PlayId(playback.0)
}
