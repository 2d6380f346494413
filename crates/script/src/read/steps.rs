//! The steps of a party: each names its kind with one key; the others are options of that kind.

use std::path::PathBuf;
use std::time::Duration;

use super::fields::{Fields, Reader, tone};
use super::{http_status, http_url, not_empty, party, shown_value, webhooks};
use crate::problem::{Place, Problem};
use crate::script::{Ask, Awaited, Barge, Deed, Heard, KeyBy, Pitch, Sound, Step, Wait};
use crate::table::{Block, HEARD, KeySpec, REQUEST, STEPS, StepSpec};
use crate::values;
use crate::yaml::{Key, Node, Value};

/// Steps of one party at most.
pub(super) const MAX_STEPS: usize = 1_000;
/// Longest text to speak.
const MAX_SPEECH: usize = 3_000;

/// What is waited for must begin so soon, unless told.
const WITHIN: Duration = Duration::from_secs(10);
/// The far side has so long to ring and answer, to hang up.
const CALL_WITHIN: Duration = Duration::from_secs(30);
/// Lengths that make audio, silence and a tone, unless told.
const AUDIO_FOR: Duration = Duration::from_millis(100);
const SILENCE_FOR: Duration = Duration::from_millis(700);
pub(super) const TONE_FOR: Duration = Duration::from_millis(200);
/// Length of a tone to play, unless told.
const PLAYED_FOR: Duration = Duration::from_secs(1);

/// What `wait_for` waits for.
const AWAITED: &[&str] = &["audio", "silence", "tone", "digits", "ringing", "answer", "hangup", "webhook"];

pub(super) fn steps(node: &Node) -> Result<Vec<Step>, Problem> {
    match &node.value {
        Value::List(items) if items.len() <= MAX_STEPS => items.iter().map(step).collect(),
        Value::List(_) => Err(Problem::new(node.place, format!("a party has at most {MAX_STEPS} steps"))),
        Value::Nothing => Ok(Vec::new()),
        other => {
            Err(Problem::new(node.place, format!("`steps`: a list is needed here, not {}", other.kind())))
        }
    }
}

fn step(node: &Node) -> Result<Step, Problem> {
    let names: Vec<&str> = STEPS.iter().map(|spec| spec.name).collect();
    let unknown = |place: Place, word: &str| Problem::unknown(place, "step", word, &names);
    let nothing = Node { place: node.place, value: Value::Nothing };
    let no_options: &[(Key, Node)] = &[];
    let (spec, place, value, members) = match &node.value {
        // `- hang_up`
        Value::Text(word) => {
            let spec = spec_of(word).ok_or_else(|| unknown(node.place, word))?;
            (spec, node.place, &nothing, no_options)
        }
        Value::Map(members) => {
            let mut named = members.iter().filter_map(|(key, value)| Some((spec_of(&key.text)?, key, value)));
            let Some((spec, key, value)) = named.next() else {
                let first = members.first().map(|(key, _)| key);
                let (place, word) = first.map_or((node.place, ""), |key| (key.place, key.text.as_str()));
                return Err(unknown(place, word));
            };
            // `digits` and the like are options of `wait_for`, not steps.
            if let Some((_, second, _)) = named.next() {
                let message =
                    format!("`{}` and `{}` are two steps: give each its own `-`", key.text, second.text);
                return Err(Problem::new(second.place, message));
            }
            (spec, key.place, value, members.as_slice())
        }
        other => return Err(Problem::new(node.place, format!("a step is a mapping, not {}", other.kind()))),
    };
    let options = Options { spec, place, value, members };
    options.check()?;
    let deed = deed(&options)?;
    Ok(Step { place, title: options.title(), deed })
}

fn spec_of(name: &str) -> Option<&'static StepSpec> {
    STEPS.iter().find(|spec| spec.name == name)
}

/// A step's keys: its own value and what stands beside it.
struct Options<'a> {
    spec: &'static StepSpec,
    place: Place,
    value: &'a Node,
    members: &'a [(Key, Node)],
}

impl<'a> Options<'a> {
    fn check(&self) -> Result<(), Problem> {
        let known: Vec<&str> = self.spec.options.iter().map(|option| option.name).collect();
        for (key, _) in self.members.iter().filter(|(key, _)| key.text != self.spec.name) {
            if known.is_empty() {
                return Err(Problem::new(key.place, format!("`{}` has no options", self.spec.name)));
            }
            if !known.contains(&key.text.as_str()) {
                let what = format!("option of `{}`", self.spec.name);
                return Err(Problem::unknown(key.place, &what, &key.text, &known));
            }
        }
        Ok(())
    }

    /// The step's value by its kind.
    fn value<T>(&self, reader: Reader<T>) -> Result<T, Problem> {
        let Value::Text(text) = &self.value.value else {
            let message = format!("`{}`: {} is needed here", self.spec.name, self.spec.value);
            return Err(Problem::new(self.value.place, message));
        };
        reader(text)
            .map_err(|message| Problem::new(self.value.place, format!("`{}`: {message}", self.spec.name)))
    }

    fn no_value(&self) -> Result<(), Problem> {
        match self.value.value {
            Value::Nothing => Ok(()),
            _ => Err(Problem::new(self.value.place, format!("`{}` has no value", self.spec.name))),
        }
    }

    fn options(&self) -> Result<Fields<'a>, Problem> {
        Fields::of_members(self.place, self.members, &ANY)
    }

    fn barge(&self) -> Result<Barge, Problem> {
        let options = self.options()?;
        Ok(Barge {
            at: options.read("barge_in", values::length)?,
            stops_within: options.read("stops_within", values::length)?,
        })
    }

    fn title(&self) -> String {
        let value = match &self.value.value {
            Value::Nothing => return self.spec.name.to_owned(),
            Value::Map(members) => {
                let words = members.iter().map(|(key, value)| match shown_value(value) {
                    text if text.is_empty() || key.text == "password" => key.text.clone(),
                    text => format!("{} {text}", key.text),
                });
                words.collect::<Vec<_>>().join(", ")
            }
            _ => shown_value(self.value),
        };
        let mut title = format!("{}: {value}", self.spec.name);
        for (key, option) in self.members.iter().filter(|(key, _)| key.text != self.spec.name) {
            let option = shown_value(option);
            title.push_str(&format!(", {}{}{option}", key.text, if option.is_empty() { "" } else { " " }));
        }
        title
    }
}

/// The options of all steps: each step's own have been checked when they are read.
static ANY: Block = Block {
    of: "option",
    title: "",
    intro: "",
    keys: &[
        any("wait_for"),
        any("say"),
        any("play"),
        any("tone"),
        any("press"),
        any("expect"),
        any("answer"),
        any("refuse"),
        any("pause"),
        any("record"),
        any("request"),
        any("hang_up"),
        any("within"),
        any("for"),
        any("hz"),
        any("tolerance"),
        any("digits"),
        any("path"),
        any("method"),
        any("parameters"),
        any("language"),
        any("voice"),
        any("barge_in"),
        any("stops_within"),
        any("by"),
        any("after"),
    ],
};

const fn any(name: &'static str) -> KeySpec {
    KeySpec { name, value: "", what: "" }
}

fn deed(options: &Options<'_>) -> Result<Deed, Problem> {
    match options.spec.name {
        "wait_for" => wait(options).map(Deed::Wait),
        "say" => {
            let words = options.options()?;
            let text = options.value(speech)?;
            let language = words.text("language")?.unwrap_or_else(|| "en-US".to_owned());
            let voice = words.text("voice")?.unwrap_or_else(|| "WOMAN".to_owned());
            Ok(Deed::Sound(Sound::Speech { text, language, voice }, options.barge()?))
        }
        "play" => {
            let path = options.value(not_empty)?;
            Ok(Deed::Sound(Sound::File(PathBuf::from(path)), options.barge()?))
        }
        "tone" => {
            let (hz, lasting) = options.value(tone)?;
            let beside = options.options()?.read("for", values::length)?;
            if lasting.is_some() && beside.is_some() {
                return Err(Problem::new(options.place, "`tone` says its length twice"));
            }
            let lasting = lasting.or(beside).unwrap_or(PLAYED_FOR);
            Ok(Deed::Sound(Sound::Tone { hz, lasting }, options.barge()?))
        }
        "press" => {
            let by = options.options()?.read("by", key_by)?.unwrap_or(KeyBy::Event);
            let keys = options.value(|text| values::digits(text, true))?;
            Ok(Deed::Press(keys, by, options.barge()?))
        }
        "expect" => heard(options.value).map(Deed::Expect),
        "answer" => {
            options.no_value()?;
            Ok(Deed::Answer(options.options()?.time("after", Duration::ZERO)?))
        }
        "refuse" => options.value(failure).map(Deed::Refuse),
        "pause" => options.value(values::length).map(Deed::Pause),
        "record" => options.value(not_empty).map(|path| Deed::Record(PathBuf::from(path))),
        "request" => request(options.value).map(|ask| Deed::Request(Box::new(ask))),
        _ => options.no_value().map(|()| Deed::HangUp),
    }
}

fn wait(options: &Options<'_>) -> Result<Wait, Problem> {
    let fields = options.options()?;
    let word = options.value(|text| Ok(text.to_owned()))?;
    let only = |names: &[&str]| {
        let foreign = ["for", "hz", "tolerance", "digits", "path", "method", "parameters"];
        let mut foreign = foreign.iter().filter(|name| !names.contains(*name));
        foreign.try_for_each(|name| fields.refuse(name, &format!("`wait_for: {word}` has no such option")))
    };
    let (what, within, lasting) = match word.as_str() {
        "audio" => {
            only(&["for"])?;
            (Awaited::Audio, WITHIN, AUDIO_FOR)
        }
        "silence" => {
            only(&["for"])?;
            (Awaited::Silence, WITHIN, SILENCE_FOR)
        }
        "tone" => {
            only(&["for", "hz", "tolerance"])?;
            let pitch =
                Pitch { hz: fields.required("hz", values::frequency)?, tolerance: fields.tolerance()? };
            (Awaited::Tone(pitch), WITHIN, TONE_FOR)
        }
        "digits" => {
            only(&["digits"])?;
            (
                Awaited::Digits(fields.read("digits", |text| values::digits(text, false))?),
                WITHIN,
                Duration::ZERO,
            )
        }
        "ringing" => only(&[]).map(|()| (Awaited::Ringing, CALL_WITHIN, Duration::ZERO))?,
        "answer" => only(&[]).map(|()| (Awaited::Answer, CALL_WITHIN, Duration::ZERO))?,
        "hangup" => only(&[]).map(|()| (Awaited::HangUp, CALL_WITHIN, Duration::ZERO))?,
        "webhook" => {
            only(&["path", "method", "parameters"])?;
            (Awaited::Webhook(webhooks::request_match(&fields)?), WITHIN, Duration::ZERO)
        }
        _ => return Err(Problem::unknown(options.value.place, "thing to wait for", &word, AWAITED)),
    };
    Ok(Wait { what, within: fields.time("within", within)?, lasting: fields.time("for", lasting)? })
}

fn heard(node: &Node) -> Result<Heard, Problem> {
    let fields = Fields::of(node, &HEARD)?;
    let heard = Heard {
        tone: fields.pitch("tone")?.map(|(pitch, lasting)| (pitch, lasting.unwrap_or(TONE_FOR))),
        energy: fields.levels("energy")?,
        length_ms: fields.time_bounds("length")?,
        digits: fields.read("digits", party::heard_digits)?,
        early_media: fields.read("early_media", values::truth)?,
    };
    let nothing = heard.tone.is_none()
        && heard.energy.is_none()
        && heard.length_ms.is_none()
        && heard.digits.is_none()
        && heard.early_media.is_none();
    if nothing {
        return Err(Problem::new(
            node.place,
            "`expect` expects nothing: tone, energy, length, digits, early_media",
        ));
    }
    Ok(heard)
}

fn request(node: &Node) -> Result<Ask, Problem> {
    let fields = Fields::of(node, &REQUEST)?;
    let body = fields.text("json")?;
    let default = if body.is_some() { "POST" } else { "GET" };
    Ok(Ask {
        method: fields.read("method", method)?.unwrap_or_else(|| default.to_owned()),
        url: fields.required("url", http_url)?,
        credentials: party::credentials(&fields)?,
        headers: fields.pairs("headers")?,
        body,
        status: fields.read("status", http_status)?,
    })
}

pub(super) fn method(text: &str) -> Result<String, String> {
    let method = text.to_ascii_uppercase();
    if ["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
        Ok(method)
    } else {
        Err(format!("`{text}` is no method: GET, POST, PUT, PATCH, DELETE"))
    }
}

fn speech(text: &str) -> Result<String, String> {
    match text.chars().count() {
        _ if text.trim().is_empty() => Err("nothing stands here".to_owned()),
        0..=MAX_SPEECH => Ok(text.to_owned()),
        long => Err(format!("{long} characters are more than {MAX_SPEECH}")),
    }
}

fn key_by(text: &str) -> Result<KeyBy, String> {
    match text {
        "rfc4733" => Ok(KeyBy::Event),
        "inband" => Ok(KeyBy::Inband),
        "info" => Ok(KeyBy::Info),
        _ => Err(format!("`{text}` is no way to send keys: rfc4733, inband, info")),
    }
}

fn failure(text: &str) -> Result<u16, String> {
    match text.parse() {
        Ok(status @ 400..=699) => Ok(status),
        _ => Err(format!("`{text}` is no failure: 400 to 699")),
    }
}
