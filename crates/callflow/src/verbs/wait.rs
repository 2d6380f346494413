//! `<Wait>`: lets time pass.

use std::time::{Duration, Instant};

use super::{Running, Started, Step, Verb};
use crate::document::Element;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::input::Input;
use crate::session::Session;

pub(super) const SPEC: Spec = Spec {
    name: "Wait",
    aliases: &["Pause"],
    summary: "Waits in silence.",
    text: "",
    children: &[],
    attributes: &[
        Attribute::built("length", Kind::Whole { least: 1, most: 86_400 }, "1", "Seconds."),
        Attribute::not_built("silence", Kind::Switch, &["false", "0"]),
        Attribute::ignored(
            "minSilence",
            Kind::Whole { least: 1, most: 86_400_000 },
            "it matters only with `silence`",
        ),
        Attribute::not_built("beep", Kind::Switch, &["false", "0"]),
    ],
    behaviour: "Does not answer: before the first element that does, the caller hears ringing for longer.",
    example: "<Response>\n  <Wait length=\"5\"/>\n  <Speak>Thank you for holding.</Speak>\n</Response>",
};

#[derive(Debug)]
struct Wait {
    length: Duration,
}

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    Box::new(Wait { length: Duration::from_secs(element.whole("length").unwrap_or(1)) })
}

impl Verb for Wait {
    fn start(self: Box<Self>, now: Instant, _session: &mut Session) -> Started {
        Started::Running(Box::new(Waiting { until: now + self.length }))
    }
}

#[derive(Debug)]
struct Waiting {
    until: Instant,
}

impl Running for Waiting {
    fn step(&mut self, now: Instant, _session: &mut Session, input: &Input) -> Step {
        match input {
            Input::Deadline if now >= self.until => Step::Next,
            _ => Step::Stay,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }
}
