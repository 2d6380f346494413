//! Carrying out what the API asks of a live call: sounds over its legs, keys, and (in `transfer`) other documents.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_callflow::{Call, Leg as Name, PlaybackId, PlaybackOutcome};
use tandem_media::{Beneath, PlayId, PlayItem, Repeat};
use tandem_model::ports::{Clip, SoundError, Sounds, TraceKind};
use tandem_model::{AccountId, CallId, clock};

use super::leg::Stage;
use super::{Done, Session};
use crate::steer::{LiveCommand, LiveLegs, LiveOrder, LiveSound, SoundKind, SteerError, Steered};

/// Names of live sounds begin here; the call flow never counts so far.
const FIRST_LIVE: u64 = 1 << 63;
/// Samples of one sound made of several files at most: half an hour.
const MAX_SAMPLES: usize = 30 * 60 * 8_000;
/// How long all files of a sound may take to load.
const LOAD_TIMEOUT: Duration = Duration::from_secs(30);

/// What the API plays to the legs of a call.
#[derive(Debug, Default)]
pub(super) struct LiveSounds {
    sounds: Vec<Live>,
    last: u64,
}

#[derive(Debug)]
struct Live {
    playback: PlaybackId,
    leg: Name,
    kind: SoundKind,
    repeat: Repeat,
    beneath: Beneath,
    length: Option<Duration>,
    /// It is to stop then; known once it plays.
    until: Option<Instant>,
}

impl LiveSounds {
    /// When the next one is to stop.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.sounds.iter().filter_map(|sound| sound.until).min()
    }

    fn take(&mut self, is_meant: impl Fn(&Live) -> bool) -> Vec<Live> {
        let (taken, kept) = std::mem::take(&mut self.sounds).into_iter().partition(is_meant);
        self.sounds = kept;
        taken
    }
}

impl Session {
    /// Carries out an order and answers it.
    pub(super) fn on_order(&mut self, order: LiveOrder) {
        let LiveOrder { call, command, answer } = order;
        let done = match command {
            LiveCommand::Transfer { a, b } => {
                let moved = self.transfer(a, b);
                // Whoever asked may have gone.
                let _ = answer.send(moved.map(|calls| Steered { calls }));
                return;
            }
            LiveCommand::Play { legs, sound, repeats, length, mixes } => {
                self.meant(call, legs).map(|positions| {
                    let repeat = if repeats { Repeat::Forever } else { Repeat::Times(NonZeroU32::MIN) };
                    let beneath = if mixes { Beneath::Mixed } else { Beneath::Silenced };
                    self.play_live(&positions, sound, repeat, beneath, length)
                })
            }
            LiveCommand::StopPlaying(kind) => self.meant(call, Some(LiveLegs::A)).map(|_| {
                let stopped = self.live_sounds.take(|sound| sound.kind == kind);
                self.stop_live(stopped)
            }),
            LiveCommand::SendDigits { legs, digits } => self.meant(call, legs).inspect(|positions| {
                for position in positions {
                    let name = self.legs[*position].name;
                    self.send_digits(name, digits.clone());
                }
            }),
        };
        let steered = done.map(|positions| Steered { calls: self.calls_of(&positions) });
        // Whoever asked may have gone.
        let _ = answer.send(steered);
    }

    /// Where the leg stands that A talks with.
    pub(super) fn partner(&self) -> Option<usize> {
        self.position(self.call.as_ref().and_then(Call::partner)?)
    }

    /// The positions of the legs that are meant; a request that says nothing means the leg it names.
    fn meant(&self, call: CallId, legs: Option<LiveLegs>) -> Result<Vec<usize>, SteerError> {
        let talks = |position: usize| self.legs.get(position).is_some_and(|leg| leg.stage == Stage::Talking);
        if !talks(0) || self.finished.is_some() {
            return Err(SteerError::NotInProgress);
        }
        let named = || {
            self.legs
                .iter()
                .position(|leg| leg.record.as_ref().is_some_and(|record| record.facts.call == call))
        };
        let other = || self.partner().filter(|position| talks(*position)).ok_or(SteerError::NoOtherLeg);
        Ok(match legs {
            None => vec![named().filter(|position| talks(*position)).ok_or(SteerError::NotInProgress)?],
            Some(LiveLegs::A) => vec![0],
            Some(LiveLegs::B) => vec![other()?],
            Some(LiveLegs::Both) => vec![0, other()?],
        })
    }

    pub(super) fn calls_of(&self, positions: &[usize]) -> Vec<CallId> {
        let call = |position: &usize| Some(self.legs.get(*position)?.record.as_ref()?.facts.call);
        let mut calls: Vec<_> = positions.iter().filter_map(call).collect();
        if calls.is_empty() {
            calls.push(self.call_id());
        }
        calls
    }

    fn play_live(
        &mut self,
        positions: &[usize],
        sound: LiveSound,
        repeat: Repeat,
        beneath: Beneath,
        length: Option<Duration>,
    ) -> Vec<usize> {
        let kind = sound.kind();
        let mut playbacks = Vec::with_capacity(positions.len());
        for position in positions {
            let leg = self.legs[*position].name;
            let before = self.live_sounds.take(|sound| sound.leg == leg && sound.kind == kind);
            self.stop_live(before);
            self.live_sounds.last += 1;
            let playback = PlaybackId(FIRST_LIVE | self.live_sounds.last);
            let live = Live { playback, leg, kind, repeat, beneath, length, until: None };
            self.live_sounds.sounds.push(live);
            playbacks.push(playback);
        }
        let account = self.a_facts().map(|facts| facts.account.clone());
        let sounds = self.shard.ports.sounds.clone();
        self.spawn(async move {
            let loading = load(&*sounds, account, sound);
            let result = match tokio::time::timeout(LOAD_TIMEOUT, loading).await {
                Ok(result) => result,
                Err(_) => Err(SoundError(format!("not loaded within {} s", LOAD_TIMEOUT.as_secs()))),
            };
            Done::LiveSoundReady { playbacks, result }
        });
        positions.to_vec()
    }

    /// A live sound is there, or cannot be had.
    pub(super) fn on_live_sound_ready(
        &mut self,
        playbacks: &[PlaybackId],
        result: Result<Arc<Clip>, SoundError>,
    ) {
        let clip = match result {
            Ok(clip) => clip,
            Err(SoundError(why)) => {
                self.trace(TraceKind::Audio, || format!("a sound of the API is not played: {why}"));
                self.live_sounds.take(|sound| playbacks.contains(&sound.playback));
                return;
            }
        };
        let material = self.shard.prompts.material(&clip);
        let now = clock::monotonic();
        for playback in playbacks {
            let Some(index) = self.live_sounds.sounds.iter().position(|sound| sound.playback == *playback)
            else {
                continue;
            };
            let live = &self.live_sounds.sounds[index];
            let item = PlayItem { id: PlayId(playback.0), material: material.clone(), repeat: live.repeat };
            let media = self.position(live.leg).and_then(|position| self.legs[position].media.as_ref());
            if media.is_some_and(|media| media.overlay(item, live.beneath).is_ok()) {
                let live = &mut self.live_sounds.sounds[index];
                live.until = live.length.map(|length| now + length);
            } else {
                self.live_sounds.sounds.remove(index);
            }
        }
    }

    /// A sound has ended: whether it was one of the API's.
    pub(super) fn live_sound_over(&mut self, playback: PlaybackId, outcome: &PlaybackOutcome) -> bool {
        if playback.0 < FIRST_LIVE {
            return false;
        }
        if !self.live_sounds.take(|sound| sound.playback == playback).is_empty() {
            self.trace(TraceKind::Audio, || format!("a sound of the API ended: {outcome:?}"));
        }
        true
    }

    /// Stops the sounds whose time is over.
    pub(super) fn end_live_sounds_due(&mut self, now: Instant) {
        let due = self.live_sounds.take(|sound| sound.until.is_some_and(|until| until <= now));
        self.stop_live(due);
    }

    fn stop_live(&self, sounds: Vec<Live>) -> Vec<usize> {
        let mut positions = Vec::new();
        for sound in sounds {
            let Some(position) = self.position(sound.leg) else { continue };
            positions.push(position);
            if let Some(Err(error)) =
                self.legs[position].media.as_ref().map(|media| media.stop(PlayId(sound.playback.0)))
            {
                tracing::error!(call_id = %self.call_id(), %error, "a sound of the API was not stopped");
            }
        }
        positions
    }
}

/// One clip of all that a sound is made of.
async fn load(
    sounds: &dyn Sounds,
    account: Option<AccountId>,
    sound: LiveSound,
) -> Result<Arc<Clip>, SoundError> {
    let urls = match sound {
        LiveSound::Speech(request) => return sounds.speak(request).await,
        LiveSound::Files(urls) => urls,
    };
    let account = account.ok_or_else(|| SoundError("the call has no account yet".to_owned()))?;
    let mut all: Option<Arc<Clip>> = None;
    for url in urls {
        let clip = sounds.load(account.clone(), url).await?;
        all = Some(match all {
            None => clip,
            Some(before) => {
                let samples = [&before.samples[..], &clip.samples[..]].concat();
                Arc::new(Clip { samples })
            }
        });
        if all.as_ref().is_some_and(|all| all.samples.len() > MAX_SAMPLES) {
            return Err(SoundError("the files are longer than half an hour together".to_owned()));
        }
    }
    all.ok_or_else(|| SoundError("there is no file".to_owned()))
}
