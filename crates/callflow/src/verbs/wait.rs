//! `<Wait>`: lets time pass; ends early when the other side falls silent, or when an answering machine beeps.

use std::time::{Duration, Instant};

use super::cue::{Audience, Cue, Heard};
use super::{Running, Started, Step, Verb};
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{Element, Severity};
use crate::effect::{Effect, Watch};
use crate::input::Input;
use crate::leg::Leg;
use crate::session::{ALeg, Session};

pub(super) const SPEC: Spec = Spec {
    name: "Wait",
    aliases: &["Pause"],
    summary: "Waits in silence.",
    text: "",
    children: &[],
    attributes: &[
        Attribute::built("length", Kind::Whole { least: 1, most: 86_400 }, "1", "Seconds."),
        Attribute::built(
            "silence",
            Kind::Switch,
            "false",
            "`true`: ends early, once the caller has been silent for `minSilence`.",
        ),
        Attribute::built(
            "minSilence",
            Kind::Whole { least: 1, most: 86_400_000 },
            "2000",
            "Milliseconds without voice; only with `silence`, and less than `length`.",
        ),
        Attribute::built(
            "beep",
            Kind::Switch,
            "false",
            "`true`: ends early, after the beep of an answering machine: a steady tone of 0.1 to 5 s between 300 and 2000 Hz. \
             Not with `silence`.",
        ),
    ],
    behaviour: "Does not answer: before the first element that does, the caller hears ringing for longer. `silence` and `beep` \
                need a call that is answered; before that the whole length is waited.",
    example: "<Response>\n  <Wait length=\"30\" beep=\"true\"/>\n  <Speak>Please call us back.</Speak>\n</Response>",
};

#[derive(Debug)]
struct Wait {
    length: Duration,
    watch: Watch,
}

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    let length = length(element);
    match watch(element, length) {
        Some(watch) => Box::new(Wait { length, watch }),
        None => Box::new(Heard { cues: vec![Cue::Silence(length)], audience: Audience::Anybody }),
    }
}

/// What is heard: nothing, for so long.
pub(super) fn cue(element: &Element<'_>) -> Cue {
    Cue::Silence(length(element))
}

fn length(element: &Element<'_>) -> Duration {
    Duration::from_secs(element.whole("length").unwrap_or(1))
}

fn watch(element: &Element<'_>, length: Duration) -> Option<Watch> {
    if !element.switch("silence") {
        return element.switch("beep").then_some(Watch::Beep);
    }
    let silence = Duration::from_millis(element.whole("minSilence").unwrap_or(2_000));
    if silence >= length {
        element.note(
            Severity::Warning,
            "minSilence of <Wait> is not less than its length: the whole length is waited",
            "Write a longer `length` (seconds) or a shorter `minSilence` (milliseconds).",
        );
        return None;
    }
    Some(Watch::Silence(silence))
}

impl Verb for Wait {
    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        if session.a() == ALeg::Answered {
            session.emit(Effect::Watch { leg: Leg::A, watch: Some(self.watch) });
        }
        Started::Running(Box::new(Watching { until: now + self.length }))
    }
}

#[derive(Debug)]
struct Watching {
    until: Instant,
}

impl Running for Watching {
    fn step(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step {
        match input {
            Input::Noticed { leg: Leg::A } => Step::Next,
            Input::Deadline if now >= self.until => {
                self.stop(session);
                Step::Next
            }
            _ => Step::Stay,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }

    fn stop(&mut self, session: &mut Session) {
        if session.a() == ALeg::Answered {
            session.emit(Effect::Watch { leg: Leg::A, watch: None });
        }
    }
}
