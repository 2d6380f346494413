//! `<Redirect>`: another document instead of this one.

use std::sync::Arc;
use std::time::Instant;

use tandem_model::ports::FetchKind;

use super::{Started, Step, Verb};
use crate::address::Target;
use crate::document::Element;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::session::{Load, Session};

pub(super) const SPEC: Spec = Spec {
    name: "Redirect",
    aliases: &[],
    summary: "Fetches another document and runs it instead of this one.",
    text: "URL of the document.",
    children: &[],
    attributes: &[Attribute::built("method", Kind::Method, "POST", "How to request it.")],
    behaviour: "The request carries the standard parameters with `Event=Redirect`. Nothing after it runs. Failures end \
                the call: 7014 (unreachable), 7024 (no http or https URL), 7034 (method), 8014 (invalid XML). \
                A call runs at most 100 documents a minute.",
    example: "<Response>\n  <Redirect method=\"GET\">https://example.com/menu.xml</Redirect>\n</Response>",
};

#[derive(Debug)]
struct Redirect {
    target: Target,
}

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    Box::new(Redirect { target: Target { url: element.text(), method: element.method("method") } })
}

impl Verb for Redirect {
    fn start(self: Box<Self>, _now: Instant, session: &mut Session) -> Started {
        Started::Done(Step::Load(Box::new(Load {
            kind: FetchKind::Redirect,
            target: self.target,
            parameters: Arc::new(session.parameters("Redirect")),
        })))
    }
}
