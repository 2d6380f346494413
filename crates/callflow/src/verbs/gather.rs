//! `<Gather>`: collects keys while it speaks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_model::HttpMethod;
use tandem_model::ports::FetchKind;

use super::cue::{Cue, Prompter};
use super::unbuilt::Unbuilt;
use super::{Running, Started, Step, Verb, cues, out_of_place};
use crate::address::Target;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{DocumentError, Element, Severity};
use crate::effect::{Loops, Sound};
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
            "`dtmf`, or `dtmf speech` of which keys work. `speech` alone is not built: a call that reaches it ends (5010).",
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
            "The key that ends the input and is not part of it, or several such keys; empty or `none` for none.",
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
        Attribute::built("log", Kind::Switch, "true", "`false`: the keys are shown on no timeline, for card numbers."),
        Attribute::built(
            "retries",
            Kind::Whole { least: 1, most: 10 },
            "1",
            "How often in all the prompts are played and keys waited for, while none comes.",
        ),
        Attribute::built("validDigits", Kind::Text, "0123456789*#", "Other keys are not taken."),
        Attribute::built(
            "invalidDigitsSound",
            Kind::Url,
            "",
            "A file played before a retry when only keys outside `validDigits` were pressed.",
        ),
        Attribute::built("playBeep", Kind::Switch, "false", "A beep after the prompts."),
        Attribute::ignored("speechEndTimeout", Kind::WholeOrAuto { least: 2, most: 10 }, FOR_SPEECH)
            .also(&["speechTimeout"]),
        Attribute::ignored("speechModel", Kind::Text, FOR_SPEECH),
        Attribute::ignored("hints", Kind::Text, FOR_SPEECH),
        Attribute::ignored("language", Kind::Text, FOR_SPEECH),
        Attribute::not_built("interimSpeechResultsCallback", Kind::Url, &[]),
        Attribute::ignored("interimSpeechResultsCallbackMethod", Kind::Method, FOR_SPEECH),
        Attribute::ignored("profanityFilter", Kind::Switch, FOR_SPEECH),
    ],
    behaviour: "Answers an unanswered call. A key interrupts the prompts. The action gets the standard parameters with \
                `Event=Redirect`, `InputType`, `Digits`, `Speech`, `SpeechConfidenceScore` and `BilledAmount`. \
                Without any key nothing is requested, and after the last of `retries` the next element runs. With `redirect=\"true\"` an action that fails ends \
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
    finish_keys: String,
    valid_keys: String,
    digits_max: usize,
    /// The keys may be shown to nobody.
    secret: bool,
    /// Played before a retry after wrong keys.
    wrong_keys: Option<Cue>,
}

#[derive(Debug)]
struct Gather {
    rules: Rules,
    prompts: Vec<Cue>,
    attempts: u64,
}

pub(super) fn parse(element: &Element<'_>) -> Result<Box<dyn Verb>, DocumentError> {
    let input = element.value("inputType").unwrap_or_default().to_ascii_lowercase();
    let mut kinds = input.split([' ', ',']).filter(|kind| !kind.is_empty());
    let mut prompts = Vec::new();
    for node in element.children() {
        match cues(node, element.source()) {
            Some(cues) => prompts.extend(cues),
            None => out_of_place(element, node)?,
        }
    }
    if kinds.all(|kind| kind == "speech") {
        element.note(
            Severity::Warning,
            "inputType=\"speech\" of <Gather> is not built yet: a call that reaches it ends (5010)",
            "Write `dtmf`, or `dtmf speech` of which keys work.",
        );
        return Ok(Box::new(Unbuilt { what: "speech input of <Gather>".to_owned() }));
    }
    if element.switch("playBeep") {
        prompts.push(Cue::Sound { sound: Sound::Beep, loops: Loops::Times(1) });
    }
    let wrong_keys = element.value("invalidDigitsSound");
    let rules = Rules {
        action: element.target("action", "method"),
        method: element.method("method"),
        redirect: element.switch("redirect"),
        execution_timeout: Duration::from_secs(element.whole("executionTimeout").unwrap_or(15)),
        digit_gap: element.whole("digitEndTimeout").map_or(AUTO_DIGIT_GAP, Duration::from_secs),
        finish_keys: finish_keys(element),
        valid_keys: element.value("validDigits").unwrap_or_default().to_owned(),
        digits_max: element.whole("numDigits").unwrap_or(32) as usize,
        secret: !element.switch("log"),
        wrong_keys: wrong_keys.map(|url| Cue::File { url: url.to_owned(), loops: Loops::Times(1) }),
    };
    Ok(Box::new(Gather { rules, prompts, attempts: element.whole("retries").unwrap_or(1) }))
}

fn finish_keys(element: &Element<'_>) -> String {
    let written = element.as_written("finishOnKey").unwrap_or("#");
    if written.is_empty() || written.eq_ignore_ascii_case("none") {
        return String::new();
    }
    if written.chars().all(is_key) {
        return written.to_owned();
    }
    element.note(
        Severity::Warning,
        format!("finishOnKey=\"{written}\" of <Gather> is no key: # is used"),
        "Write one of 0-9 * #, or `none`.",
    );
    "#".to_owned()
}

fn is_key(character: char) -> bool {
    matches!(character, '0'..='9' | '*' | '#')
}

impl Verb for Gather {
    fn needs_media(&self, _session: &Session) -> bool {
        true
    }

    fn sounds(&self, session: &Session) -> Vec<Sound> {
        self.prompts.iter().filter_map(|cue| cue.sound(session)).collect()
    }

    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        let mut collecting = Collecting {
            rules: self.rules,
            prompts: self.prompts,
            attempts: self.attempts,
            prompter: None,
            digits: String::new(),
            heard_wrong_key: false,
            input_until: None,
            digit_until: None,
        };
        collecting.attempt(now, session);
        Started::Running(Box::new(collecting))
    }
}

#[derive(Debug)]
struct Collecting {
    rules: Rules,
    prompts: Vec<Cue>,
    /// How often more, this time included.
    attempts: u64,
    prompter: Option<Prompter>,
    digits: String,
    heard_wrong_key: bool,
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
        if let Some(prompter) = &mut self.prompter {
            prompter.hear(now, session, input);
            self.listen_when_spoken(now);
            return Step::Stay;
        }
        let over = [self.input_until, self.digit_until].into_iter().flatten().any(|until| now >= until);
        if matches!(input, Input::Deadline) && over { self.complete(now, session) } else { Step::Stay }
    }

    fn deadline(&self) -> Option<Instant> {
        let prompt = self.prompter.as_ref().and_then(Prompter::due);
        [prompt, self.input_until, self.digit_until].into_iter().flatten().min()
    }

    fn keeps_keys_secret(&self) -> bool {
        self.rules.secret
    }

    fn stop(&mut self, session: &mut Session) {
        if let Some(mut prompter) = self.prompter.take() {
            prompter.fall_silent(session);
        }
    }
}

impl Collecting {
    /// Prompts, then waits for keys.
    fn attempt(&mut self, now: Instant, session: &mut Session) {
        let wrong_keys = self.rules.wrong_keys.clone().filter(|_| std::mem::take(&mut self.heard_wrong_key));
        (self.input_until, self.digit_until) = (None, None);
        let cues = wrong_keys.into_iter().chain(self.prompts.iter().cloned());
        self.prompter = Some(Prompter::start(now, session, Leg::A, cues));
        self.listen_when_spoken(now);
    }

    fn listen_when_spoken(&mut self, now: Instant) {
        if self.prompter.as_ref().is_some_and(Prompter::is_over) {
            self.prompter = None;
            self.input_until = Some(now + self.rules.execution_timeout);
        }
    }

    fn key(&mut self, now: Instant, session: &mut Session, digit: char) -> Step {
        self.stop(session);
        self.input_until.get_or_insert(now + self.rules.execution_timeout);
        if self.rules.finish_keys.contains(digit) {
            return self.complete(now, session);
        }
        if !is_key(digit) {
            return Step::Stay;
        }
        self.digit_until = Some(now + self.rules.digit_gap);
        if !self.rules.valid_keys.contains(digit) {
            self.heard_wrong_key = true;
            return Step::Stay;
        }
        self.digits.push(digit);
        if self.digits.len() >= self.rules.digits_max { self.complete(now, session) } else { Step::Stay }
    }

    /// The action; else the number's input URL; else the document's own.
    fn target(&self, session: &Session) -> Target {
        match (&self.rules.action, &session.input) {
            (Some(action), _) => action.clone(),
            (None, Some(input)) => Target { url: input.url.clone(), method: Some(input.method) },
            (None, None) => Target { url: String::new(), method: self.rules.method },
        }
    }

    fn complete(&mut self, now: Instant, session: &mut Session) -> Step {
        if self.digits.is_empty() {
            session.trace("<Gather> heard no key");
            self.attempts = self.attempts.saturating_sub(1);
            if self.attempts == 0 {
                return Step::Next;
            }
            self.attempt(now, session);
            return Step::Stay;
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
