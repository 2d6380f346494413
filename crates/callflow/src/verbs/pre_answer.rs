//! `<PreAnswer>`: speaks to a caller who is not answered and pays nothing yet.

use super::cue::{Audience, Heard};
use super::{Verb, cues};
use crate::document::spec::Spec;
use crate::document::{DocumentError, Element};

pub(super) const SPEC: Spec = Spec {
    name: "PreAnswer",
    aliases: &[],
    summary: "Lets an unanswered caller hear something: early media (183).",
    text: "",
    children: &["Speak", "Play", "Wait"],
    attributes: &[],
    behaviour: "Goes first: what it plays costs nothing, the call is answered by what comes after it, if anything does. A caller \
                whose line carries no early media (an INVITE without SDP) is answered first and hears it then; one who is \
                answered already hears it like any other sound.",
    example: "<Response>\n  <PreAnswer>\n    <Speak>Calls are recorded.</Speak>\n  </PreAnswer>\n  \
              <Dial>+919812345678</Dial>\n</Response>",
};

pub(super) fn parse(element: &Element<'_>) -> Result<Box<dyn Verb>, DocumentError> {
    let mut heard = Vec::new();
    for node in element.children() {
        match cues(node, element.source()) {
            Some(cues) => heard.extend(cues),
            None => super::out_of_place(element, node)?,
        }
    }
    Ok(Box::new(Heard { cues: heard, audience: Audience::Early }))
}
