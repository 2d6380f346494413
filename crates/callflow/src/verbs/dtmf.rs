//! `<DTMF>`: presses keys towards the caller.

use std::time::{Duration, Instant};

use super::{Running, Started, Step, Verb};
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{Element, Severity};
use crate::effect::Effect;
use crate::input::Input;
use crate::leg::Leg;
use crate::session::Session;

/// Most keys and pauses of one element.
const MAX_KEYS: usize = 128;
/// A key and the gap after it take less.
const KEY_TIME: Duration = Duration::from_millis(200);
/// Given up on this long after the keys should have left.
const GRACE: Duration = Duration::from_secs(5);

pub(super) const SPEC: Spec = Spec {
    name: "DTMF",
    aliases: &[],
    summary: "Presses keys towards the caller.",
    text: "the keys: `0-9 * #`; `w` waits half a second, `W` a whole one. At most 128.",
    children: &[],
    attributes: &[Attribute::built(
        "async",
        Kind::Switch,
        "true",
        "`true`: the document goes on after the first key; `false`: after the last.",
    )],
    behaviour: "Answers an unanswered call. Keys are sent as telephone-events, or as SIP INFO to a caller who takes no \
                events. With any other character the element is ignored.",
    example: "<Response>\n  <DTMF async=\"false\">1w2W3#</DTMF>\n  <Speak>Sent.</Speak>\n</Response>",
};

#[derive(Debug)]
struct Dtmf {
    /// `None` when there is a character that is no key.
    keys: Option<String>,
    waits_for_all: bool,
}

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    let keys: String = element.text().split_whitespace().collect();
    let is_key = |key: char| matches!(key, '0'..='9' | '*' | '#' | 'w' | 'W');
    let right = !keys.is_empty() && keys.len() <= MAX_KEYS && keys.chars().all(is_key);
    if !right {
        element.note(
            Severity::Warning,
            "<DTMF> is ignored: its text is not 1 to 128 of 0-9 * # w W",
            "Put only keys between <DTMF> and </DTMF>; `w` and `W` are pauses.",
        );
    }
    Box::new(Dtmf { keys: right.then_some(keys), waits_for_all: !element.switch("async") })
}

impl Verb for Dtmf {
    fn needs_media(&self, _session: &Session) -> bool {
        self.keys.is_some()
    }

    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        let Some(digits) = self.keys else {
            session.trace("<DTMF> ignored: it holds something that is no key");
            return Started::Done(Step::Next);
        };
        let first = digits.chars().position(|key| !key.eq_ignore_ascii_case(&'w'));
        let counted = if self.waits_for_all { digits.len() } else { first.map_or(digits.len(), |at| at + 1) };
        let time: Duration = digits.chars().take(counted).map(length).sum();
        let until = if self.waits_for_all { now + time + GRACE } else { now + time };
        session.emit(Effect::SendDigits { leg: Leg::A, digits });
        Started::Running(Box::new(Pressing { until }))
    }
}

fn length(key: char) -> Duration {
    match key {
        'w' => Duration::from_millis(500),
        'W' => Duration::from_secs(1),
        _ => KEY_TIME,
    }
}

#[derive(Debug)]
struct Pressing {
    until: Instant,
}

impl Running for Pressing {
    fn step(&mut self, now: Instant, _session: &mut Session, input: &Input) -> Step {
        match input {
            Input::DigitsSent { leg: Leg::A } => Step::Next,
            Input::Deadline if now >= self.until => Step::Next,
            _ => Step::Stay,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        Some(self.until)
    }
}
