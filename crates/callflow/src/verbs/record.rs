//! `<Record>`: records the caller, waiting for the end (voicemail) or in the background (session). The description, its
//! parser and the background kind; [`voicemail`] waits.

mod voicemail;

use std::time::{Duration, Instant};

use tandem_model::{
    RecordingChannels, RecordingFormat, RecordingOrder, RecordingTell, RecordingWords, UrlCall,
};

use super::unbuilt::Unbuilt;
use super::{Started, Step, Verb, not_built, out_of_place};
use crate::address::Target;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{DocumentError, Element, Severity};
use crate::session::{Background, Session};

/// Longest recording, seconds: a day.
const MAX_LENGTH_S: u64 = 86_400;

const NO_TRANSCRIPTION: &str = "transcription is not built: the recording is made and nobody transcribes it";
const TRANSCRIPTION: [&str; 5] = [
    "transcriptionType",
    "transcriptionUrl",
    "transcriptionMethod",
    "transcriptionReportType",
    "transcriptionEnabled",
];

pub(crate) const SPEC: Spec = Spec {
    name: "Record",
    aliases: &[],
    summary: "Records the caller: a message with a beep before it, or everything from here on.",
    text: "",
    children: &[],
    attributes: &[
        Attribute::built(
            "action",
            Kind::Url,
            "",
            "Told of the message when it is over, and may return the next document; of a session recording when it begins.",
        ),
        Attribute::built("method", Kind::Method, "POST", "How to request it."),
        Attribute::built(
            "redirect",
            Kind::Switch,
            "",
            "Of a message. `true`: what the action returns runs next. `false`: the document goes on. Absent: `true` for the last element of a document, else `false`.",
        ),
        Attribute::built("fileFormat", Kind::Text, "mp3", "`mp3` or `wav`."),
        Attribute::built(
            "maxLength",
            Kind::Whole { least: 1, most: MAX_LENGTH_S },
            "60",
            "Seconds after which it ends.",
        ),
        Attribute::built(
            "timeout",
            Kind::Whole { least: 1, most: MAX_LENGTH_S },
            "60",
            "Of a message: seconds of the caller's silence that end it.",
        ),
        Attribute::built(
            "finishOnKey",
            Kind::Text,
            "1234567890*#",
            "Of a message: the keys that end it; empty or `none` for none.",
        ),
        Attribute::built("playBeep", Kind::Switch, "true", "Of a message: a beep says when it begins."),
        Attribute::built(
            "recordSession",
            Kind::Switch,
            "false",
            "Records everything from here on in the background.",
        ),
        Attribute::built(
            "startOnDialAnswer",
            Kind::Switch,
            "false",
            "The same, from when the next `<Dial>` joins the caller with somebody.",
        ),
        Attribute::built("callbackUrl", Kind::Url, "", "Told when the file is there."),
        Attribute::built("callbackMethod", Kind::Method, "POST", "How to request it."),
        Attribute::built(
            "recordChannelType",
            Kind::Text,
            "",
            "`mono`: both sides added up. `stereo`: what the caller says on the left, what it hears on the right. Absent: mono for a message, stereo for a session.",
        ),
        Attribute::ignored("transcriptionType", Kind::Text, NO_TRANSCRIPTION),
        Attribute::ignored("transcriptionUrl", Kind::Url, NO_TRANSCRIPTION),
        Attribute::ignored("transcriptionMethod", Kind::Method, NO_TRANSCRIPTION),
        Attribute::ignored("transcriptionReportType", Kind::Text, NO_TRANSCRIPTION),
        Attribute::ignored("transcriptionEnabled", Kind::Switch, NO_TRANSCRIPTION),
    ],
    behaviour: "Answers an unanswered call, unless it waits for a `<Dial>`. Inside `<Dial>` it begins when that Dial joins two \
                legs.\n\nA message is waited for; it ends by a key, by silence, at its greatest length or with the call \
                (`RecordingEndReason` is `FinishedOnKey`, `RecordingTimeout`, `maxLength`, `HungUp`). Its action is requested \
                once, when it is over, also when the caller hung up: `Event=Record`, `RecordUrl`, `RecordFile`, \
                `RecordingID`, `RecordingDuration`, `RecordingDurationMs`, `RecordingStartMs`, `RecordingEndMs`, \
                `RecordingEndReason`, `Digits`. With `redirect` an action that fails ends the call: 7012 (unreachable), 7022 (no \
                http or https URL), 7032 (method), 8012 (invalid XML).\n\nA session recording runs beside the document, over every \
                document and Dial that follows, until its greatest length or the end of the call; each element makes a file of \
                its own, up to 16 at once. Its action is requested with `Event=Record` and `RecordingID` when it begins. The \
                callback gets `Event=RecordStop` and all of the above when the file can be fetched; without a callback the \
                action gets them.\n\nAn MP3 may be there a moment after its action was requested; the callback comes when it is.",
    example: "<Response>\n  <Speak>Leave a message after the tone.</Speak>\n  <Record action=\"https://example.com/message\" \
              maxLength=\"120\" timeout=\"5\" finishOnKey=\"#\"/>\n</Response>",
};

/// What the document asks for.
#[derive(Clone, Debug)]
pub(crate) struct Rules {
    action: Option<Target>,
    redirect: Option<bool>,
    callback: Option<Target>,
    format: RecordingFormat,
    channels: Option<RecordingChannels>,
    max_length: Duration,
    silence: Duration,
    finish_keys: String,
    beep: bool,
}

/// Which kind of recording an element is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Message,
    Session,
    NextDial,
}

#[derive(Debug)]
struct Record {
    rules: Rules,
    mode: Mode,
}

pub(super) fn parse(element: &Element<'_>) -> Result<Box<dyn Verb>, DocumentError> {
    if element.children().any(|node| not_built(node.tag_name().name()) == Some("Stream")) {
        // Older documents wrap the Stream that is to be recorded.
        let what = "<Stream> inside <Record>";
        element.note(
            Severity::Warning,
            format!("{what} is not built yet: a call that reaches it ends (5010)"),
            "",
        );
        return Ok(Box::new(Unbuilt { what: what.to_owned() }));
    }
    let rules = rules(element)?;
    let mode = match (element.switch("startOnDialAnswer"), element.switch("recordSession")) {
        (true, _) => Mode::NextDial,
        (false, true) => Mode::Session,
        (false, false) => Mode::Message,
    };
    Ok(Box::new(Record { rules, mode }))
}

/// Written inside `<Dial>`: it begins when that Dial joins two legs.
pub(super) fn inside_dial(element: &Element<'_>) -> Result<Rules, DocumentError> {
    rules(element)
}

fn rules(element: &Element<'_>) -> Result<Rules, DocumentError> {
    for node in element.children() {
        out_of_place(element, node)?;
    }
    if let Some(name) = TRANSCRIPTION.into_iter().find(|name| element.as_written(name).is_some()) {
        element.note(Severity::Warning, format!("{name}: {NO_TRANSCRIPTION}"), "");
    }
    let written_url = |name: &str| element.as_written(name).is_some_and(|url| !url.is_empty());
    Ok(Rules {
        action: element.target("action", "method").filter(|_| written_url("action")),
        redirect: element.value("redirect").map(|_| element.switch("redirect")),
        callback: element.target("callbackUrl", "callbackMethod").filter(|_| written_url("callbackUrl")),
        format: element.value("fileFormat").and_then(RecordingFormat::parse).unwrap_or_default(),
        channels: element.value("recordChannelType").and_then(RecordingChannels::parse),
        max_length: Duration::from_secs(element.whole("maxLength").unwrap_or(60)),
        silence: Duration::from_secs(element.whole("timeout").unwrap_or(60)),
        finish_keys: finish_keys(element),
        beep: element.switch("playBeep"),
    })
}

/// Characters that are no keys are passed over.
fn finish_keys(element: &Element<'_>) -> String {
    let written = element.as_written("finishOnKey").unwrap_or("1234567890*#");
    if written.eq_ignore_ascii_case("none") {
        return String::new();
    }
    written.chars().filter(|key| matches!(key, '0'..='9' | '*' | '#')).collect()
}

impl Rules {
    /// The order and whom it names; a callback or an action that is no URL is nobody.
    fn order(&self, session: &mut Session, mode: Mode) -> RecordingOrder {
        let mut url_of = |target: &Option<Target>, what: &str| -> Option<UrlCall> {
            let target = target.as_ref()?;
            let call = session.url_call(target);
            if call.is_none() {
                session.trace(format!("{what} of <Record> is not told: its URL or its method is not valid"));
            }
            call
        };
        let callback = url_of(&self.callback, "the callback");
        let stop = callback.map(|call| RecordingTell { call, words: RecordingWords::RecordStop });
        let action = url_of(&self.action, "the action");
        let (action, late) = match mode {
            Mode::Message => (action, None),
            // The action knows of the beginning; of the end when nobody else is told.
            Mode::Session | Mode::NextDial => {
                let late = action.filter(|_| stop.is_none());
                (None, late.map(|call| RecordingTell { call, words: RecordingWords::Record }))
            }
        };
        let by_mode = match mode {
            Mode::Message => RecordingChannels::Mono,
            Mode::Session | Mode::NextDial => RecordingChannels::Stereo,
        };
        RecordingOrder {
            format: self.format,
            channels: self.channels.unwrap_or(by_mode),
            max_length: self.max_length,
            silence: (mode == Mode::Message).then_some(self.silence),
            action,
            tells: stop.into_iter().chain(late).collect(),
        }
    }

    fn background(self, session: &mut Session) -> Background {
        Background { order: self.order(session, Mode::Session), announce: self.action }
    }

    /// Records from now on, waiting for nothing.
    pub(super) fn in_background(self, session: &mut Session) {
        let background = self.background(session);
        session.record_in_background(background);
    }
}

impl Verb for Record {
    fn needs_media(&self, _session: &Session) -> bool {
        self.mode != Mode::NextDial
    }

    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        match self.mode {
            Mode::Message => Started::Running(Box::new(voicemail::Message::start(self.rules, now, session))),
            Mode::Session => {
                self.rules.in_background(session);
                Started::Done(Step::Next)
            }
            Mode::NextDial => {
                let background = self.rules.background(session);
                session.at_dial_answer.push(background);
                Started::Done(Step::Next)
            }
        }
    }
}
