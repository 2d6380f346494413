//! `<Gather>`: collects keys while it speaks.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_model::HttpMethod;
use tandem_model::ports::FetchKind;

use super::{Running, Started, Step, Verb, play, speak, unknown, wait};
use crate::address::Target;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{DocumentError, Element};
use crate::effect::Sound;
use crate::input::Input;
use crate::leg::Leg;
use crate::parameters::add;
use crate::session::{Load, Session};

/// `digitEndTimeout="auto"`: long enough to read the next digits off a card.
const AUTO_DIGIT_GAP: Duration = Duration::from_secs(5);

const FOR_SPEECH: &str = "it is about speech recognition, which is not built";

pub(super) const SPEC: Spec = Spec {
    name: "Gather",
    aliases: &["GetDigits", "GetInput"],
    summary: "Collects keys, usually while it speaks, and requests a URL with them.",
    text: "",
    children: &["Speak", "Play", "Wait"],
    attributes: &[
        Attribute::built(
            "action",
            Kind::Url,
            "",
            "Receives the keys and returns the next document; the number's input URL when absent, or else the document's own.",
        ),
        Attribute::built("method", Kind::Method, "POST", "How to request it."),
        Attribute::built(
            "inputType",
            Kind::Text,
            "dtmf",
            "`dtmf`, or `dtmf speech` of which keys work. `speech` alone is refused: not built.",
        )
        .also(&["input"]),
        Attribute::built(
            "executionTimeout",
            Kind::Whole { least: 5, most: 60 },
            "15",
            "Seconds for the whole input, from the end of the prompts.",
        )
        .also(&["timeout"]),
        Attribute::built(
            "digitEndTimeout",
            Kind::WholeOrAuto { least: 2, most: 10 },
            "auto",
            "Seconds after a key that end the input; `auto` is 5.",
        ),
        Attribute::built(
            "finishOnKey",
            Kind::Text,
            "#",
            "The key that ends the input and is not part of it; empty or `none` for none.",
        ),
        Attribute::built(
            "numDigits",
            Kind::Whole { least: 1, most: 32 },
            "32",
            "That many keys end the input at once.",
        ),
        Attribute::built(
            "redirect",
            Kind::Switch,
            "true",
            "`false`: the action is requested, its answer ignored, the document goes on.",
        ),
        Attribute::ignored("log", Kind::Switch, "keys are never logged"),
        Attribute::ignored("speechEndTimeout", Kind::WholeOrAuto { least: 2, most: 10 }, FOR_SPEECH)
            .also(&["speechTimeout"]),
        Attribute::ignored("speechModel", Kind::Text, FOR_SPEECH),
        Attribute::ignored("hints", Kind::Text, FOR_SPEECH),
        Attribute::ignored("language", Kind::Text, FOR_SPEECH),
        Attribute::ignored("interimSpeechResultsCallback", Kind::Url, FOR_SPEECH),
        Attribute::ignored("interimSpeechResultsCallbackMethod", Kind::Method, FOR_SPEECH),
        Attribute::ignored("profanityFilter", Kind::Switch, FOR_SPEECH),
    ],
    behaviour: "Answers an unanswered call. A key interrupts the prompts. The action gets the standard parameters with \
                `Event=Redirect`, `InputType`, `Digits`, `Speech`, `SpeechConfidenceScore` and `BilledAmount`. \
                Without any key nothing is requested and the next element runs. With `redirect=\"true\"` an action that fails ends \
                the call: 7012 (unreachable), 7022 (no http or https URL), 7032 (method), 8012 (invalid XML).",
    example: "<Response>\n  <Gather action=\"https://example.com/menu\" numDigits=\"1\">\n    <Speak>Press 1 for sales.</Speak>\n  \
              </Gather>\n  <Speak>We did not hear you.</Speak>\n</Response>",
};

/// When input ends, and where it goes.
#[derive(Clone, Debug)]
struct Rules {
    /// Absent when the document names none.
    action: Option<Target>,
    method: Option<HttpMethod>,
    redirect: bool,
    execution_timeout: Duration,
    digit_gap: Duration,
    finish_key: Option<char>,
    digits_max: usize,
}

#[derive(Debug)]
struct Gather {
    rules: Rules,
    prompts: VecDeque<Box<dyn Verb>>,
}

pub(super) fn parse(element: &Element<'_>) -> Result<Box<dyn Verb>, DocumentError> {
    let input = element.value("inputType").unwrap_or_default().to_ascii_lowercase();
    let mut kinds = input.split([' ', ',']).filter(|kind| !kind.is_empty());
    if !kinds.any(|kind| kind != "speech") {
        return Err(element.error("inputType=\"speech\" of `<Gather>` is not built: use \"dtmf\"".to_owned()));
    }
    let mut prompts = VecDeque::new();
    for node in element.children() {
        let written = node.tag_name().name();
        prompts.push_back(if speak::SPEC.is_called(written) {
            speak::parse(&element.child(node, &speak::SPEC)?)
        } else if play::SPEC.is_called(written) {
            play::parse(&element.child(node, &play::SPEC)?)
        } else if wait::SPEC.is_called(written) {
            wait::parse(&element.child(node, &wait::SPEC)?)
        } else {
            return Err(misplaced(element, node));
        });
    }
    let rules = Rules {
        action: element.target("action", "method"),
        method: element.method("method"),
        redirect: element.switch("redirect"),
        execution_timeout: Duration::from_secs(element.whole("executionTimeout").unwrap_or(15)),
        digit_gap: element.whole("digitEndTimeout").map_or(AUTO_DIGIT_GAP, Duration::from_secs),
        finish_key: finish_key(element),
        digits_max: element.whole("numDigits").unwrap_or(32) as usize,
    };
    Ok(Box::new(Gather { rules, prompts }))
}

/// An element that may not stand inside this one, or nowhere.
fn misplaced<'a>(element: &Element<'a>, node: roxmltree::Node<'a, 'a>) -> DocumentError {
    let written = node.tag_name().name();
    if super::TABLE.iter().any(|entry| entry.spec.is_called(written)) {
        return element
            .source()
            .error_in(node, format!("<{written}> may not stand inside <{}>", element.name()));
    }
    unknown(node, element.source())
}

fn finish_key(element: &Element<'_>) -> Option<char> {
    let written = element.as_written("finishOnKey").unwrap_or("#");
    if written.is_empty() || written.eq_ignore_ascii_case("none") {
        return None;
    }
    let mut characters = written.chars();
    match (characters.next(), characters.next()) {
        (Some(key @ ('0'..='9' | '*' | '#')), None) => Some(key),
        _ => Some('#'),
    }
}

impl Verb for Gather {
    fn needs_media(&self) -> bool {
        true
    }

    fn sounds(&self, session: &Session) -> Vec<Sound> {
        self.prompts.iter().flat_map(|prompt| prompt.sounds(session)).collect()
    }

    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        let mut collecting = Collecting {
            rules: self.rules,
            prompts: self.prompts,
            prompt: None,
            digits: String::new(),
            input_until: None,
            digit_until: None,
        };
        collecting.next_prompt(now, session);
        Started::Running(Box::new(collecting))
    }
}

#[derive(Debug)]
struct Collecting {
    rules: Rules,
    prompts: VecDeque<Box<dyn Verb>>,
    prompt: Option<Box<dyn Running>>,
    digits: String,
    /// From the end of the prompts, or from the key that interrupted them.
    input_until: Option<Instant>,
    /// From the last key.
    digit_until: Option<Instant>,
}

impl Running for Collecting {
    fn step(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step {
        if let Input::Digit { leg: Leg::A, digit } = input {
            return self.key(now, session, *digit);
        }
        if let Some(prompt) = &mut self.prompt {
            if !matches!(prompt.step(now, session, input), Step::Stay) {
                self.next_prompt(now, session);
            }
            return Step::Stay;
        }
        let over = [self.input_until, self.digit_until].into_iter().flatten().any(|until| now >= until);
        if matches!(input, Input::Deadline) && over { self.complete(session) } else { Step::Stay }
    }

    fn deadline(&self) -> Option<Instant> {
        let prompt = self.prompt.as_ref().and_then(|prompt| prompt.deadline());
        [prompt, self.input_until, self.digit_until].into_iter().flatten().min()
    }

    fn stop(&mut self, session: &mut Session) {
        self.prompts.clear();
        if let Some(mut prompt) = self.prompt.take() {
            prompt.stop(session);
        }
    }
}

impl Collecting {
    fn next_prompt(&mut self, now: Instant, session: &mut Session) {
        self.prompt = None;
        while let Some(prompt) = self.prompts.pop_front() {
            if let Started::Running(running) = prompt.start(now, session) {
                self.prompt = Some(running);
                return;
            }
        }
        self.input_until = Some(now + self.rules.execution_timeout);
    }

    fn key(&mut self, now: Instant, session: &mut Session, digit: char) -> Step {
        self.stop(session);
        self.input_until.get_or_insert(now + self.rules.execution_timeout);
        if self.rules.finish_key == Some(digit) {
            return self.complete(session);
        }
        if !matches!(digit, '0'..='9' | '*' | '#') {
            return Step::Stay;
        }
        self.digits.push(digit);
        if self.digits.len() >= self.rules.digits_max {
            return self.complete(session);
        }
        self.digit_until = Some(now + self.rules.digit_gap);
        Step::Stay
    }

    /// The action; else the number's input URL; else the document's own.
    fn target(&self, session: &Session) -> Target {
        match (&self.rules.action, &session.input) {
            (Some(action), _) => action.clone(),
            (None, Some(input)) => Target { url: input.url.clone(), method: Some(input.method) },
            (None, None) => Target { url: String::new(), method: self.rules.method },
        }
    }

    fn complete(&mut self, session: &mut Session) -> Step {
        if self.digits.is_empty() {
            session.trace("<Gather> heard no key");
            return Step::Next;
        }
        let mut parameters = session.parameters("Redirect");
        add(&mut parameters, "InputType", "dtmf");
        add(&mut parameters, "Digits", std::mem::take(&mut self.digits));
        add(&mut parameters, "Speech", "");
        add(&mut parameters, "SpeechConfidenceScore", "");
        add(&mut parameters, "BilledAmount", "0.00000");
        let load =
            Load { kind: FetchKind::Action, target: self.target(session), parameters: Arc::new(parameters) };
        if self.rules.redirect {
            return Step::Load(Box::new(load));
        }
        session.request_only(&load);
        Step::Next
    }
}
