//! `<Speak>`: says a text.

use std::time::Instant;

use super::play::Playing;
use super::{Started, Step, Verb};
use crate::document::Element;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::effect::{Loops, Sound};
use crate::session::Session;

pub(super) const SPEC: Spec = Spec {
    name: "Speak",
    aliases: &["Say"],
    summary: "Says a text to the caller.",
    text: "what to say. SSML elements are accepted; their text is spoken, their markup is not interpreted.",
    children: &[],
    attributes: &[
        Attribute::built("voice", Kind::Text, "WOMAN", "`WOMAN`, `MAN`, or the name of a voice."),
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

#[derive(Debug)]
struct Speak {
    text: String,
    language: String,
    voice: String,
    loops: Loops,
}

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    Box::new(Speak {
        text: element.text(),
        language: element.value("language").unwrap_or_default().to_owned(),
        voice: element.value("voice").unwrap_or_default().to_owned(),
        loops: super::play::loops(element),
    })
}

impl Verb for Speak {
    fn needs_media(&self) -> bool {
        true
    }

    fn sounds(&self, _session: &Session) -> Vec<Sound> {
        let Self { text, language, voice, .. } = self;
        let speech = Sound::Speech { text: text.clone(), language: language.clone(), voice: voice.clone() };
        (!text.is_empty()).then_some(speech).into_iter().collect()
    }

    fn start(self: Box<Self>, _now: Instant, session: &mut Session) -> Started {
        let Self { text, language, voice, loops } = *self;
        if text.is_empty() {
            return Started::Done(Step::Next);
        }
        Started::Running(Box::new(Playing::start(session, Sound::Speech { text, language, voice }, loops)))
    }
}
