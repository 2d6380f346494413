//! `<Speak>`: says a text.

use super::Verb;
use super::cue::{Audience, Cue, Heard};
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{Element, Severity};
use crate::effect::Sound;

pub(super) const SPEC: Spec = Spec {
    name: "Speak",
    aliases: &["Say"],
    summary: "Says a text to the caller.",
    text: "what to say, plain or with SSML: `break` is a pause (at most 10 s), `p` and `s` end in one, `sub` says its alias, \
           `say-as` spells `characters`, `digits` and `telephone`, `prosody` takes a `rate`. Of any other markup the text is \
           said.",
    children: &[],
    attributes: &[
        Attribute::built(
            "voice",
            Kind::Text,
            "WOMAN",
            "`WOMAN`, `MAN`, or the name of a voice such as `Polly.Joanna`, of which the nearest is taken.",
        ),
        Attribute::built(
            "language",
            Kind::Text,
            "en-US",
            "BCP 47 tag; an unknown one gets the nearest voice.",
        ),
        Attribute::built("loop", Kind::Whole { least: 0, most: 1000 }, "1", "How often; 0 is for ever."),
    ],
    behaviour: "Answers an unanswered call. Runs to its end before the next element, unless a key interrupts it \
                inside `<Gather>`. Speech that cannot be had is skipped.",
    example: "<Response>\n  <Speak voice=\"MAN\" language=\"en-GB\">Welcome to Acme.</Speak>\n</Response>",
};

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    Box::new(Heard { cues: vec![cue(element)], audience: Audience::Answered })
}

/// What is heard.
pub(super) fn cue(element: &Element<'_>) -> Cue {
    let text = element.speech();
    if text.is_empty() {
        element.note(
            Severity::Warning,
            "<Speak> is skipped: it has no text",
            "Put the words between <Speak> and </Speak>.",
        );
    }
    let language = element.value("language").unwrap_or_default().to_owned();
    let voice = element.value("voice").unwrap_or_default().to_owned();
    Cue::Sound { sound: Sound::Speech { text, language, voice }, loops: super::play::loops(element) }
}
