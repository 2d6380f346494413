//! The last words of a call whose documents all failed.

use std::time::Instant;

use crate::effect::{Loops, Sound};
use crate::input::Input;
use crate::leg::{End, Leg, PlaybackId};
use crate::session::Session;
use crate::verbs::{Running, Step};

/// Speaks, then ends the call.
#[derive(Debug)]
pub(super) struct Apology {
    playback: PlaybackId,
    end: End,
}

impl Apology {
    /// Begins to speak to A, which is answered.
    pub(super) fn start(session: &mut Session, text: String, end: End) -> Self {
        let sound = Sound::Speech { text, language: "en-US".to_owned(), voice: "WOMAN".to_owned() };
        Self { playback: session.play(Leg::A, sound, Loops::Times(1)), end }
    }
}

impl Running for Apology {
    fn step(&mut self, _now: Instant, _session: &mut Session, input: &Input) -> Step {
        match input {
            Input::PlaybackDone { playback, .. } if *playback == self.playback => Step::End(self.end),
            _ => Step::Stay,
        }
    }

    fn stop(&mut self, session: &mut Session) {
        session.stop(Leg::A, self.playback);
    }
}
