//! What is heard: [`Cue`] is a Speak, Play or Wait once read; [`Prompter`] plays a list of them to one leg. Whoever has
//! something played uses it: the three verbs, PreAnswer, Gather's prompts, Dial's music and its question to the callee.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Running, Started, Step, Verb};
use crate::address;
use crate::effect::{Loops, Sound};
use crate::input::{Input, PlaybackOutcome};
use crate::leg::{Leg, PlaybackId};
use crate::session::Session;

/// Something to hear, or to wait for in silence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Cue {
    /// A text, a tone: what needs no address.
    Sound {
        /// What.
        sound: Sound,
        /// How often.
        loops: Loops,
    },
    /// A file.
    File {
        /// As written: it may be relative to its document.
        url: String,
        /// How often.
        loops: Loops,
    },
    /// A pause.
    Silence(Duration),
}

impl Cue {
    /// With its URL absolute, as a document at `base` means it.
    pub(crate) fn based_on(self, base: &str) -> Self {
        match self {
            Self::File { url, loops } if !url.is_empty() => {
                Self::File { url: address::resolve(base, &url).unwrap_or_default(), loops }
            }
            other => other,
        }
    }

    /// What will be played, once its address is known; `None` for silence and what cannot be had.
    pub(super) fn sound(&self, session: &Session) -> Option<Sound> {
        match self {
            Self::Silence(_) => None,
            Self::Sound { sound: Sound::Speech { text, .. }, .. } if text.is_empty() => None,
            Self::Sound { sound, .. } => Some(sound.clone()),
            Self::File { url, .. } if url.is_empty() => None,
            Self::File { url, .. } => session.resolve(url).map(|url| Sound::File { url }),
        }
    }
}

/// Plays cues to a leg, one after the other.
#[derive(Debug)]
pub(crate) struct Prompter {
    to: Leg,
    cues: VecDeque<Cue>,
    now: Option<Sounding>,
    /// A sound was played to its end, or a pause was kept.
    has_played: bool,
}

#[derive(Clone, Copy, Debug)]
enum Sounding {
    Sound(PlaybackId),
    Silence { until: Instant },
}

impl Prompter {
    /// Begins with the first.
    pub(crate) fn start(
        now: Instant,
        session: &mut Session,
        to: Leg,
        cues: impl IntoIterator<Item = Cue>,
    ) -> Self {
        let mut prompter = Self { to, cues: cues.into_iter().collect(), now: None, has_played: false };
        prompter.next(now, session);
        prompter
    }

    /// Whether everything has been played.
    pub(crate) fn is_over(&self) -> bool {
        self.now.is_none()
    }

    /// Whether anything was there to be heard.
    pub(crate) fn has_played(&self) -> bool {
        self.has_played
    }

    /// Takes in what happened.
    pub(crate) fn hear(&mut self, now: Instant, session: &mut Session, input: &Input) {
        match (self.now, input) {
            (Some(Sounding::Sound(mine)), Input::PlaybackDone { playback, outcome }) if *playback == mine => {
                match outcome {
                    PlaybackOutcome::Failed(why) => session.trace(format!("sound skipped: {why}")),
                    PlaybackOutcome::Completed | PlaybackOutcome::Stopped => self.has_played = true,
                }
                self.next(now, session);
            }
            (Some(Sounding::Silence { until }), Input::Deadline) if now >= until => {
                self.has_played = true;
                self.next(now, session);
            }
            _ => {}
        }
    }

    /// When it wants [`Input::Deadline`].
    pub(crate) fn due(&self) -> Option<Instant> {
        match self.now {
            Some(Sounding::Silence { until }) => Some(until),
            _ => None,
        }
    }

    /// Falls silent.
    pub(crate) fn fall_silent(&mut self, session: &mut Session) {
        self.cues.clear();
        if let Some(Sounding::Sound(playback)) = self.now.take() {
            session.stop(self.to, playback);
        }
    }

    fn next(&mut self, now: Instant, session: &mut Session) {
        self.now = None;
        while let Some(cue) = self.cues.pop_front() {
            let (sound, loops) = match cue {
                Cue::Silence(length) => {
                    self.now = Some(Sounding::Silence { until: now + length });
                    return;
                }
                Cue::Sound { sound: Sound::Speech { text, .. }, .. } if text.is_empty() => continue,
                Cue::Sound { sound, loops } => (sound, loops),
                Cue::File { url, loops } => {
                    let file = (!url.is_empty()).then(|| session.resolve(&url)).flatten();
                    let Some(url) = file else {
                        session.trace("<Play> skipped: its text is no http or https URL");
                        continue;
                    };
                    (Sound::File { url }, loops)
                }
            };
            self.now = Some(Sounding::Sound(session.play(self.to, sound, loops)));
            return;
        }
    }
}

impl Running for Prompter {
    fn step(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step {
        self.hear(now, session, input);
        if self.is_over() { Step::Next } else { Step::Stay }
    }

    fn deadline(&self) -> Option<Instant> {
        self.due()
    }

    fn stop(&mut self, session: &mut Session) {
        self.fall_silent(session);
    }
}

/// A verb that is nothing but something to hear.
#[derive(Debug)]
pub(super) struct Heard {
    pub(super) cues: Vec<Cue>,
    pub(super) audience: Audience,
}

/// Who may hear a verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Audience {
    /// Whoever has been answered.
    Answered,
    /// Also a caller who is not, where the line can carry that.
    Early,
    /// It makes no difference.
    Anybody,
}

impl Verb for Heard {
    fn needs_media(&self, session: &Session) -> bool {
        match self.audience {
            Audience::Answered => true,
            Audience::Early => !session.early_media,
            Audience::Anybody => false,
        }
    }

    fn sounds(&self, session: &Session) -> Vec<Sound> {
        self.cues.iter().filter_map(|cue| cue.sound(session)).collect()
    }

    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        let prompter = Prompter::start(now, session, Leg::A, self.cues);
        if prompter.is_over() { Started::Done(Step::Next) } else { Started::Running(Box::new(prompter)) }
    }
}
