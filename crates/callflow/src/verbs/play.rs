//! `<Play>`: plays an audio file. Also the machine that waits for any sound to end.

use std::time::Instant;

use super::{Running, Started, Step, Verb};
use crate::document::Element;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::effect::{Loops, Sound};
use crate::input::{Input, PlaybackOutcome};
use crate::leg::PlaybackId;
use crate::session::Session;

pub(super) const SPEC: Spec = Spec {
    name: "Play",
    aliases: &[],
    summary: "Plays an audio file to the caller.",
    text: "URL of the file.",
    children: &[],
    attributes: &[Attribute::built(
        "loop",
        Kind::Whole { least: 0, most: 1000 },
        "1",
        "How often; 0 is for ever.",
    )],
    behaviour: "Answers an unanswered call. Runs to its end before the next element, unless a key interrupts it \
                inside `<Gather>`. A file that cannot be had is skipped.",
    example: "<Response>\n  <Play loop=\"2\">https://example.com/welcome.wav</Play>\n</Response>",
};

#[derive(Debug)]
struct Play {
    url: String,
    loops: Loops,
}

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    Box::new(Play { url: element.text(), loops: loops(element) })
}

/// The attribute `loop`.
pub(super) fn loops(element: &Element<'_>) -> Loops {
    match element.whole("loop") {
        Some(0) => Loops::Forever,
        times => Loops::Times(times.unwrap_or(1) as u32),
    }
}

impl Play {
    fn file(&self, session: &Session) -> Option<String> {
        (!self.url.is_empty()).then(|| session.resolve(&self.url)).flatten()
    }
}

impl Verb for Play {
    fn needs_media(&self) -> bool {
        true
    }

    fn sounds(&self, session: &Session) -> Vec<Sound> {
        self.file(session).map(|url| Sound::File { url }).into_iter().collect()
    }

    fn start(self: Box<Self>, _now: Instant, session: &mut Session) -> Started {
        let Some(url) = self.file(session) else {
            session.trace("<Play> skipped: its text is no http or https URL");
            return Started::Done(Step::Next);
        };
        Started::Running(Box::new(Playing::start(session, Sound::File { url }, self.loops)))
    }
}

/// A sound on its way.
#[derive(Debug)]
pub(super) struct Playing {
    playback: PlaybackId,
}

impl Playing {
    /// Begins to play to A.
    pub(super) fn start(session: &mut Session, sound: Sound, loops: Loops) -> Self {
        Self { playback: session.play(sound, loops) }
    }
}

impl Running for Playing {
    fn step(&mut self, _now: Instant, session: &mut Session, input: &Input) -> Step {
        match input {
            Input::PlaybackDone { playback, outcome } if *playback == self.playback => {
                if let PlaybackOutcome::Failed(why) = outcome {
                    session.trace(format!("sound skipped: {why}"));
                }
                Step::Next
            }
            _ => Step::Stay,
        }
    }

    fn stop(&mut self, session: &mut Session) {
        session.stop(self.playback);
    }
}
