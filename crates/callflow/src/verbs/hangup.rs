//! `<Hangup>`: ends the call, now or later.

use std::time::{Duration, Instant};

use tandem_model::{HangupCause, HangupSource};

use super::{Started, Step, Verb};
use crate::document::Element;
use crate::document::spec::{Attribute, Kind, Spec};
use crate::leg::End;
use crate::session::{ALeg, Session};

pub(super) const SPEC: Spec = Spec {
    name: "Hangup",
    aliases: &["Reject"],
    summary: "Ends the call.",
    text: "",
    children: &[],
    attributes: &[
        Attribute::built(
            "reason",
            Kind::Text,
            "",
            "`rejected` (603) or `busy` (486) for a call that is not answered; other values are ignored.",
        ),
        Attribute::built(
            "schedule",
            Kind::Whole { least: 1, most: 86_400 },
            "",
            "Seconds until the call is ended (6000); the document goes on meanwhile.",
        ),
    ],
    behaviour: "What plays before it is played to its end. A call that is not answered is refused and costs nothing.",
    example: "<Response>\n  <Hangup reason=\"busy\"/>\n</Response>",
};

#[derive(Debug)]
struct Hangup {
    cause_unanswered: HangupCause,
    schedule: Option<Duration>,
}

pub(super) fn parse(element: &Element<'_>) -> Box<dyn Verb> {
    let busy = element.value("reason").is_some_and(|reason| reason.eq_ignore_ascii_case("busy"));
    Box::new(Hangup {
        cause_unanswered: if busy { HangupCause::BusyLine } else { HangupCause::Rejected },
        schedule: element.whole("schedule").map(Duration::from_secs),
    })
}

impl Verb for Hangup {
    fn start(self: Box<Self>, now: Instant, session: &mut Session) -> Started {
        if let Some(delay) = self.schedule {
            session.scheduled_hangup = Some(now + delay);
            return Started::Done(Step::Next);
        }
        let cause = match session.a() {
            ALeg::Unanswered => self.cause_unanswered,
            ALeg::Answering | ALeg::Answered | ALeg::Ended(_) => HangupCause::NormalHangup,
        };
        Started::Done(Step::End(End::new(cause, HangupSource::AnswerXml)))
    }
}
