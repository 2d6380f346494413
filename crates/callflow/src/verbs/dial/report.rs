//! What is told about a Dial: leg events to the callback, the result to the action.

use std::time::Instant;

use tandem_model::{CallFacts, CallId, CallStatus, EventKind, HangupCause};

use crate::address::Target;
use crate::leg::End;
use crate::parameters::{Parameters, add, add_custom_headers};
use crate::session::Session;

/// A leg as events describe it.
#[derive(Debug)]
pub(super) struct LegFacts {
    /// 1-based place in the fork.
    pub(super) position: usize,
    pub(super) from: String,
    pub(super) to: String,
    /// Once admitted.
    pub(super) call: Option<CallId>,
    pub(super) answered_at: Option<Instant>,
}

impl LegFacts {
    /// Takes over what admission made of the leg.
    pub(super) fn admitted(&mut self, facts: &CallFacts) {
        self.call = Some(facts.call);
        self.from.clone_from(&facts.from);
        self.to.clone_from(&facts.to);
    }
}

/// What happened to a leg.
pub(super) enum Event {
    Answer,
    Connected,
    DigitsMatch { digits: String, by: &'static str },
    Hangup { end: End, at: Instant },
}

impl Event {
    /// `Event`, and the word of `DialAction` and `DialBLegStatus`.
    fn names(&self) -> (&'static str, &'static str) {
        match self {
            Self::Answer => ("DialAnswer", "answer"),
            Self::Connected => ("DialConnected", "connected"),
            Self::DigitsMatch { .. } => ("DialDigitsMatch", "digits"),
            Self::Hangup { .. } => ("DialHangup", "hangup"),
        }
    }
}

/// Tells the callback, if there is one.
pub(super) fn leg_event(session: &mut Session, callback: Option<&Target>, leg: &LegFacts, event: &Event) {
    let Some(callback) = callback else { return };
    let (name, word) = event.names();
    let mut parameters = Parameters::new();
    add(&mut parameters, "CallUUID", session.facts.call.to_string());
    add(&mut parameters, "Event", name);
    add(&mut parameters, "ParentAuthID", session.facts.parent_account.as_str());
    add(&mut parameters, "DialAction", word);
    add(&mut parameters, "DialALegUUID", session.facts.a_leg.to_string());
    add(&mut parameters, "DialBLegUUID", uuid(leg.call));
    add(&mut parameters, "DialBLegStatus", word);
    add(&mut parameters, "DialBLegFrom", leg.from.as_str());
    add(&mut parameters, "DialBLegTo", leg.to.as_str());
    add(&mut parameters, "DialBLegPosition", leg.position.to_string());
    match event {
        Event::Answer | Event::Connected => {}
        Event::DigitsMatch { digits, by } => {
            add(&mut parameters, "DialDigitsMatch", digits.as_str());
            add(&mut parameters, "DialDigitsPressedBy", *by);
        }
        Event::Hangup { end, at } => {
            let talked_s = talked_seconds(leg.answered_at, *at);
            add(&mut parameters, "DialBLegDuration", talked_s.to_string());
            add(&mut parameters, "DialBLegBillDuration", (talked_s.div_ceil(60) * 60).to_string());
            add(&mut parameters, "DialBLegHangupCause", end.text.as_str());
            add(&mut parameters, "DialBLegHangupCauseName", end.cause.name());
            add(&mut parameters, "DialBLegHangupCauseCode", end.cause.code().to_string());
            add(&mut parameters, "DialBLegHangupSource", end.source.as_str());
        }
    }
    add(&mut parameters, "STIRVerification", "Not Applicable");
    add_custom_headers(&mut parameters, &session.facts.custom_headers);
    session.notify(EventKind::DialEvent, callback, parameters);
}

/// How a Dial came out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    /// `completed` when two legs talked.
    pub(super) status: CallStatus,
    /// Of the leg that decided it.
    pub(super) end: End,
    /// Of the leg that decided it, if it was admitted.
    pub(super) call: Option<CallId>,
}

impl Outcome {
    /// Of a leg that was not talked to.
    pub(super) fn unreached(end: End, call: Option<CallId>) -> Self {
        // Programs know a leg that rang out as `no-answer`, whosever timer it was.
        let status = match CallStatus::of_end(false, end.cause) {
            CallStatus::Timeout => CallStatus::NoAnswer,
            status => status,
        };
        Self { status, end, call }
    }

    /// Of two outcomes of one fork, the one that tells more about the people called.
    pub(super) fn more_telling(self, other: Self) -> Self {
        let rank = |outcome: &Self| match outcome.status {
            CallStatus::Completed => 4,
            CallStatus::Busy => 3,
            CallStatus::NoAnswer => 2,
            CallStatus::Cancel if outcome.end.cause != HangupCause::LostRace => 1,
            _ => 0,
        };
        if rank(&other) > rank(&self) { other } else { self }
    }

    /// The parameters of the action.
    pub(super) fn parameters(&self, session: &Session, rang: Rang) -> Parameters {
        let mut parameters = session.parameters("DialAction");
        add(&mut parameters, "DialStatus", self.status.as_str());
        add(&mut parameters, "DialRingStatus", if rang == Rang::Heard { "true" } else { "false" });
        add(&mut parameters, "DialHangupCause", self.end.text.as_str());
        add(&mut parameters, "DialALegUUID", session.facts.a_leg.to_string());
        add(&mut parameters, "DialBLegUUID", uuid(self.call));
        parameters
    }
}

/// Whether any leg rang.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rang {
    NotYet,
    Heard,
}

fn uuid(call: Option<CallId>) -> String {
    call.map(|call| call.to_string()).unwrap_or_default()
}

/// Whole seconds, rounded half up.
fn talked_seconds(answered_at: Option<Instant>, ended_at: Instant) -> u64 {
    let talked = answered_at.map(|at| ended_at.saturating_duration_since(at)).unwrap_or_default();
    (talked.as_millis() as u64 + 500) / 1000
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn talk_is_rounded_half_up() {
        let answered = tandem_model::clock::monotonic();
        let after = |ms| talked_seconds(Some(answered), answered + Duration::from_millis(ms));
        assert_eq!([after(0), after(499), after(500), after(1499), after(1500)], [0, 0, 1, 1, 2]);
        assert_eq!(talked_seconds(None, answered), 0);
    }
}
