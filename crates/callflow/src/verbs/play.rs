//! `<Play>`: plays an audio file.

use super::Verb;
use super::cue::{Audience, Cue, Heard};
use crate::document::spec::{Attribute, Kind, Spec};
use crate::document::{Element, Severity};
use crate::effect::Loops;

pub(super) const SPEC: Spec = Spec {
    name: "Play",
    aliases: &[],
    summary: "Plays an audio file to the caller.",
    text: "URL of the file.",
    children: &[],
    attributes: &[Attribute::built(
        "loop",
        Kind::Whole { least: 0, most: 1000 },
        "1",
        "How often; 0 is for ever.",
    )],
    behaviour: "Answers an unanswered call. Runs to its end before the next element, unless a key interrupts it \
                inside `<Gather>`. A file that cannot be had is skipped.",
    example: "<Response>\n  <Play loop=\"2\">https://example.com/welcome.wav</Play>\n</Response>",
};

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    Box::new(Heard { cues: vec![cue(element)], audience: Audience::Answered })
}

/// What is heard.
pub(super) fn cue(element: &Element<'_>) -> Cue {
    let url = element.text();
    if !crate::address::could_be_web(&url) || url.is_empty() {
        element.note(
            Severity::Warning,
            "<Play> is skipped: its text is no http or https URL",
            "Put the URL of an audio file between <Play> and </Play>.",
        );
    }
    Cue::File { url, loops: loops(element) }
}

/// The attribute `loop`.
pub(super) fn loops(element: &Element<'_>) -> Loops {
    match element.whole("loop") {
        Some(0) => Loops::Forever,
        times => Loops::Times(times.unwrap_or(1) as u32),
    }
}
