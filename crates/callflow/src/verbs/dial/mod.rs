//! `<Dial>`: calls somebody and joins them with the caller. The description and its parser; what happens
//! then is [`fork`]'s, what is told about it [`report`]'s.

mod fork;
mod headers;
mod pattern;
mod report;

use std::time::{Duration, Instant};

use tandem_model::ports::LegTarget;

use super::{Started, Verb, unknown};
use crate::address::Target;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{DocumentError, Element};
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
    children: &["Number", "User"],
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
        Attribute::not_built("dialMusic", Kind::Text, &["real"]),
        Attribute::not_built("confirmSound", Kind::Url, &[]),
        Attribute::not_built("confirmKey", Kind::Text, &[]),
        Attribute::ignored(
            "confirmTimeout",
            Kind::Whole { least: 1, most: 600 },
            "it matters only with `confirmKey`",
        ),
    ],
    behaviour: "Does not answer: an unanswered caller hears ringing, or the callee's early audio, and is answered when the \
                callee answers. The others are cancelled (9000). Callback events: `DialAnswer`, `DialConnected`, \
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

/// `<Number>`.
pub(crate) const NUMBER: Spec = Spec {
    name: "Number",
    aliases: &[],
    summary: "A telephone number to call, inside `<Dial>`.",
    text: "the number, E.164 or as dialled in the account's country.",
    children: &[],
    attributes: &[
        SEND_DIGITS,
        Attribute::not_built("sendOnPreanswer", Kind::Switch, &["false", "0"]),
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
        Attribute::not_built("sendOnPreanswer", Kind::Switch, &["false", "0"]),
        Attribute::not_built("sipAuthUsername", Kind::Text, &[]),
        Attribute::not_built("sipAuthPassword", Kind::Text, &[]),
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
    digits_a: Vec<String>,
    digits_b: Vec<String>,
    callees: Vec<Callee>,
}

/// One of those to ring.
#[derive(Debug)]
struct Callee {
    target: LegTarget,
    custom_headers: Vec<(String, String)>,
    send_digits: Option<String>,
}

pub(super) fn parse(element: &Element<'_>) -> Result<Box<dyn Verb>, DocumentError> {
    let common = element.value("sipHeaders").map(|text| headers::read(text, element)).unwrap_or_default();
    let mut callees = Vec::new();
    for node in element.children() {
        let written = node.tag_name().name();
        callees.push(if NUMBER.is_called(written) {
            let number = element.child(node, &NUMBER)?;
            callee(&number, LegTarget::Number(number.text()), common.clone())
        } else if USER.is_called(written) {
            let user = element.child(node, &USER)?;
            let own = user.value("sipHeaders").map(|text| headers::read(text, &user)).unwrap_or_default();
            callee(&user, LegTarget::User(user.text()), headers::overlay(common.clone(), own))
        } else if super::TABLE.iter().any(|entry| entry.spec.is_called(written)) {
            return Err(element.source().error_in(node, format!("<{written}> may not stand inside <Dial>")));
        } else {
            return Err(unknown(node, element.source()));
        });
    }
    if callees.is_empty() && !element.text().is_empty() {
        callees.push(Callee {
            target: LegTarget::Number(element.text()),
            custom_headers: common,
            send_digits: None,
        });
    }
    if callees.is_empty() {
        return Err(element.error("<Dial> needs a <Number> or a <User>".to_owned()));
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
        digits_a: pattern::read(element.value("digitsMatch")),
        digits_b: pattern::read(element.value("digitsMatchBLeg")),
        callees,
    }))
}

fn callee(element: &Element<'_>, target: LegTarget, custom_headers: Vec<(String, String)>) -> Callee {
    let send_digits = element.value("sendDigits").map(|written| {
        let is_key = |key: &char| matches!(key, '0'..='9' | '*' | '#' | 'A'..='D' | 'w' | 'W');
        written.chars().filter(is_key).take(MAX_SEND_DIGITS).collect::<String>()
    });
    Callee { target, custom_headers, send_digits: send_digits.filter(|digits| !digits.is_empty()) }
}

impl Verb for Dial {
    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        Started::Running(Box::new(fork::Fork::start(*self, now, session)))
    }
}
