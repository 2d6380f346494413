//! `<Dial>`: calls somebody and joins them with the caller. The description and its parser; what happens
//! then is [`fork`]'s, what is told about it [`report`]'s.

mod confirm;
mod fork;
mod headers;
mod music;
mod pattern;
mod report;

use std::time::{Duration, Instant};

use tandem_model::ports::LegTarget;

use self::confirm::Question;
use super::record::{self, Rules};
use super::{Started, Verb, out_of_place};
use crate::address::Target;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{DocumentError, Element, Severity};
use crate::effect::SipCredentials;
use crate::session::Session;

/// Legs rung at once.
pub(super) const MAX_LEGS: usize = 10;
/// Longest `callerName`.
const MAX_CALLER_NAME_CHARS: usize = 50;
/// Longest `sendDigits`.
const MAX_SEND_DIGITS: usize = 64;

pub(super) const SPEC: Spec = Spec {
    name: "Dial",
    aliases: &[],
    summary: "Calls numbers and SIP users, up to 10 at once, and joins the first that answers with the caller.",
    text: "a number, when there is neither `<Number>` nor `<User>`.",
    children: &["Number", "User", "Record"],
    attributes: &[
        Attribute::built("action", Kind::Url, "", "Told how it went; may return the next document."),
        Attribute::built("method", Kind::Method, "POST", "How to request it."),
        Attribute::built(
            "redirect",
            Kind::Switch,
            "true",
            "`false`: the action is requested, its answer ignored, the document goes on.",
        ),
        Attribute::built("callbackUrl", Kind::Url, "", "Told what happens to each leg."),
        Attribute::built("callbackMethod", Kind::Method, "POST", "How to request it."),
        Attribute::built(
            "callerId",
            Kind::Text,
            "",
            "A number of the account; the caller's own number when absent. Of somebody else: nobody is called.",
        ),
        Attribute::built(
            "callerName",
            Kind::Text,
            "",
            "At most 50 characters; the caller's own name when absent.",
        ),
        Attribute::built(
            "timeout",
            Kind::Whole { least: 1, most: 600 },
            "",
            "Seconds of ringing; 120 when absent.",
        ),
        Attribute::built(
            "timeLimit",
            Kind::Whole { least: 1, most: 86_400 },
            "14400",
            "Seconds of talk after which the callee is hung up (6000).",
        ),
        Attribute::built(
            "hangupOnStar",
            Kind::Switch,
            "false",
            "The caller drops the callee by pressing `*`.",
        ),
        Attribute::built(
            "digitsMatch",
            Kind::Text,
            "",
            "Comma list of key sequences of the caller that are told to the callback.",
        ),
        Attribute::built("digitsMatchBLeg", Kind::Text, "", "The same for the callee."),
        Attribute::built(
            "sipHeaders",
            Kind::Text,
            "",
            "`Name=value,…`, sent as `X-VH-Name`. `X-VH-`, `X-PH-` before and `X-VH`, `X-PH` after a name are understood.",
        ),
        Attribute::built(
            "dialMusic",
            Kind::Text,
            "real",
            "What the caller hears meanwhile: `real` is the ringing or the callee's early audio; a URL is a sound file, or a \
             document of Play, Speak and Wait requested by POST, played over and over.",
        ),
        Attribute::built(
            "confirmSound",
            Kind::Url,
            "",
            "Requested by POST when a callee answers: a document of Play, Speak and Wait, said to the callee before the two \
             are joined.",
        ),
        Attribute::built(
            "confirmKey",
            Kind::Text,
            "",
            "One of `0-9 * #`: a callee takes the call by pressing it. Other keys are ignored.",
        ),
        Attribute::built(
            "confirmTimeout",
            Kind::Whole { least: 1, most: 600 },
            "120",
            "Seconds from its answer after which a callee who has not pressed the key is hung up (9110).",
        ),
    ],
    behaviour: "Does not answer: an unanswered caller hears ringing, or the callee's early audio, and is answered when the \
                callee answers. Music is early media (183) to an unanswered caller. The first to answer takes the call, or with \
                `confirmKey` the first to press it: meanwhile the others go on ringing. They are cancelled then (9000). Callback events: `DialAnswer`, `DialConnected`, \
                `DialDigitsMatch`, `DialHangup`; none for a leg that was not admitted. The action gets the standard \
                parameters with `Event=DialAction`, `DialStatus` (`completed`, `busy`, `failed`, `cancel`, `no-answer`), \
                `DialRingStatus`, `DialHangupCause`, `DialALegUUID` and `DialBLegUUID`, also when the caller hung up.\n\n\
                After a conversation the document does not go on, unless `redirect=\"false\"`: without an action the call \
                ends. When nobody was reached and there is no action, the next element runs.",
    example: "<Response>\n  <Dial callerId=\"+918012345678\" timeout=\"20\" action=\"https://example.com/dialled\">\n    \
              <Number>+919812345678</Number>\n    <User>sip:agent@registrar.example.com</User>\n  </Dial>\n  \
              <Speak>Nobody is available.</Speak>\n</Response>",
};

const SEND_DIGITS: Attribute = Attribute::built(
    "sendDigits",
    Kind::Text,
    "",
    "Keys sent once the leg answers: `0-9 * # A-D`, `w` waits half a second, `W` a whole one.",
);

const SEND_ON_PREANSWER: Attribute = Attribute::built(
    "sendOnPreanswer",
    Kind::Switch,
    "false",
    "`true`: they are sent as soon as there is early media.",
);

/// `<Number>`.
pub(crate) const NUMBER: Spec = Spec {
    name: "Number",
    aliases: &[],
    summary: "A telephone number to call, inside `<Dial>`.",
    text: "the number, E.164 or as dialled in the account's country.",
    children: &[],
    attributes: &[
        SEND_DIGITS,
        SEND_ON_PREANSWER,
        Attribute::ignored("sendDigitsMode", Kind::Text, "keys are always sent as telephone-events"),
    ],
    behaviour: "",
    example: "<Response>\n  <Dial><Number sendDigits=\"wwww2410\">+918012345678</Number></Dial>\n</Response>",
};

/// `<User>`.
pub(crate) const USER: Spec = Spec {
    name: "User",
    aliases: &[],
    summary: "A SIP endpoint to call, inside `<Dial>`.",
    text: "its SIP URI.",
    children: &[],
    attributes: &[
        SEND_DIGITS,
        Attribute::built("sipHeaders", Kind::Text, "", "As on `<Dial>`; a header written here wins."),
        SEND_ON_PREANSWER,
        Attribute::built(
            "sipAuthUsername",
            Kind::Text,
            "",
            "User name with which a challenge (401, 407) of the callee's server is answered.",
        ),
        Attribute::built("sipAuthPassword", Kind::Text, "", "The password that belongs to it."),
    ],
    behaviour: "",
    example: "<Response>\n  <Dial><User sipHeaders=\"Reason=billing\">sip:agent@registrar.example.com</User></Dial>\n</Response>",
};

/// What the document asks for.
#[derive(Debug)]
pub(super) struct Dial {
    action: Option<Target>,
    redirect: bool,
    callback: Option<Target>,
    caller_id: Option<String>,
    caller_name: Option<String>,
    ring_timeout: Option<Duration>,
    time_limit: Duration,
    hangup_on_star: bool,
    /// `dialMusic`, unless `real`.
    music: Option<String>,
    question: Option<Question>,
    digits_a: Vec<String>,
    digits_b: Vec<String>,
    callees: Vec<Callee>,
    recordings: Vec<Rules>,
}

/// One of those to ring.
#[derive(Debug)]
struct Callee {
    target: LegTarget,
    custom_headers: Vec<(String, String)>,
    send_digits: Option<String>,
    send_early: bool,
    credentials: Option<SipCredentials>,
}

pub(super) fn parse(element: &Element<'_>) -> Result<Box<dyn Verb>, DocumentError> {
    let common = element.value("sipHeaders").map(|text| headers::read(text, element)).unwrap_or_default();
    let mut callees = Vec::new();
    let mut recordings = Vec::new();
    for node in element.children() {
        let written = node.tag_name().name();
        if NUMBER.is_called(written) {
            let number = element.child(node, &NUMBER);
            callees.push(callee(&number, LegTarget::Number(text(&number)), common.clone()));
        } else if USER.is_called(written) {
            let user = element.child(node, &USER);
            let own = user.value("sipHeaders").map(|text| headers::read(text, &user)).unwrap_or_default();
            let headers = headers::overlay(common.clone(), own);
            callees.push(callee(&user, LegTarget::User(text(&user)), headers));
        } else if record::SPEC.is_called(written) {
            recordings.push(record::inside_dial(&element.child(node, &record::SPEC))?);
        } else {
            out_of_place(element, node)?;
        }
    }
    if callees.is_empty() && !element.text().is_empty() {
        callees.push(callee(element, LegTarget::Number(element.text()), common));
    }
    if callees.is_empty() {
        let error = element.error("<Dial> needs a <Number> or a <User>".to_owned());
        return Err(error.remedied("Write <Number>+91…</Number> into it."));
    }
    if callees.len() > MAX_LEGS {
        return Err(element.error(format!("<Dial> takes at most {MAX_LEGS} numbers and users")));
    }
    let written_url = |name: &str| element.as_written(name).is_some_and(|url| !url.is_empty());
    Ok(Box::new(Dial {
        action: element.target("action", "method").filter(|_| written_url("action")),
        redirect: element.switch("redirect"),
        callback: element.target("callbackUrl", "callbackMethod").filter(|_| written_url("callbackUrl")),
        caller_id: element.value("callerId").map(str::to_owned),
        caller_name: element
            .value("callerName")
            .map(|name| name.chars().take(MAX_CALLER_NAME_CHARS).collect()),
        ring_timeout: element.whole("timeout").map(Duration::from_secs),
        time_limit: Duration::from_secs(element.whole("timeLimit").unwrap_or(14_400)),
        hangup_on_star: element.switch("hangupOnStar"),
        music: element.value("dialMusic").filter(|it| !it.eq_ignore_ascii_case("real")).map(str::to_owned),
        question: question(element),
        digits_a: pattern::read(element.value("digitsMatch")),
        digits_b: pattern::read(element.value("digitsMatchBLeg")),
        callees,
        recordings,
    }))
}

/// Whom to call; noted when it says nobody.
fn text(element: &Element<'_>) -> String {
    let text = element.text();
    if text.is_empty() {
        element.note(Severity::Error, format!("<{}> is empty: nobody is called", element.name()), "");
    }
    text
}

fn question(element: &Element<'_>) -> Option<Question> {
    let written = element.value("confirmKey");
    let key = written.and_then(|text| {
        let mut keys = text.chars();
        keys.next().filter(|key| matches!(key, '0'..='9' | '*' | '#') && keys.next().is_none())
    });
    if written.is_some() && key.is_none() {
        element.note(
            Severity::Warning,
            "confirmKey of <Dial> is no key: none is asked for",
            "Write one of 0-9 * #.",
        );
    }
    let sound = element.value("confirmSound").map(str::to_owned);
    let timeout = Duration::from_secs(element.whole("confirmTimeout").unwrap_or(120));
    (sound.is_some() || key.is_some()).then_some(Question { sound, key, timeout })
}

fn callee(element: &Element<'_>, target: LegTarget, custom_headers: Vec<(String, String)>) -> Callee {
    let send_digits = element.value("sendDigits").map(|written| {
        let is_key = |key: &char| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D' | 'w' | 'W');
        written.chars().filter(is_key).take(MAX_SEND_DIGITS).collect::<String>()
    });
    let credentials = element.value("sipAuthUsername").map(|username| SipCredentials {
        username: username.to_owned(),
        password: element.value("sipAuthPassword").unwrap_or_default().to_owned(),
    });
    Callee {
        target,
        custom_headers,
        send_digits: send_digits.filter(|digits| !digits.is_empty()),
        send_early: element.switch("sendOnPreanswer"),
        credentials,
    }
}

impl Verb for Dial {
    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        Started::Running(Box::new(fork::Fork::start(*self, now, session)))
    }
}
