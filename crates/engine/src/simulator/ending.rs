//! The driver's part that ends calls: who did it, how it reads, what is left behind.

use std::time::Instant;

use tandem_model::clock;
use tandem_sip::{LegId, Outcome, Reason, ReasonProtocol};

use super::call::Call;
use super::call_log::SimEvent;
use super::driver::{CallKey, Driver, wall_ms};
use super::line::LineEnd;
use super::outcome::{EndedBy, FinalStatus};

impl Driver {
    /// Ends a call from our side in whatever state it is.
    pub(super) fn hang_up(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| !call.has_ended()) else { return };
        let leg = call.leg;
        let is_answered = call.answered_at.is_some();
        if let Some(caller) = call.caller()
            && !is_answered
        {
            // The end comes with the 487 (or whatever meets the CANCEL).
            if caller.is_cancelled {
                return;
            }
            caller.is_cancelled = true;
            call.note(now, "cancelled");
            let outcome = self.endpoint.cancel(now, leg, None);
            if outcome == Outcome::Sent {
                return;
            }
            return self.end(now, key, EndedBy::Us, Some(status(487, "Request Terminated")));
        }
        let cause = Reason { protocol: ReasonProtocol::Q850, cause: 16, text: None };
        let outcome = self.endpoint.hang_up(now, leg, 480, Some(&cause));
        self.check(now, key, "hang up", outcome);
        let unanswered = (!is_answered).then(|| status(480, "Temporarily Unavailable"));
        self.end(now, key, EndedBy::Us, unanswered);
    }

    pub(super) fn end_leg(&mut self, now: Instant, leg: LegId, by: EndedBy, status: FinalStatus) {
        if let Some(key) = self.legs.get(&leg).copied() {
            self.end(now, key, by, Some(status));
        }
    }

    pub(super) fn fail_leg(&mut self, now: Instant, leg: LegId, why: &str) {
        self.note_leg(now, leg, why);
        let status = FinalStatus { code: 408, phrase: why.to_owned(), reason: None };
        self.end_leg(now, leg, EndedBy::Failure, status);
    }

    /// The call is over; it is closed when its line has said what it heard.
    pub(super) fn end(&mut self, now: Instant, key: CallKey, by: EndedBy, status: Option<FinalStatus>) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| !call.has_ended()) else { return };
        call.settle(now, wall_ms(), by, status);
        call.note(now, format!("ended by {by:?}"));
        self.legs.remove(&call.leg);
        if call.media.line.take().is_some() {
            return;
        }
        if let Some(call) = self.calls.remove(&key) {
            self.close_call(call, None);
        }
    }

    pub(super) fn close_call(&mut self, mut call: Call, heard: Option<LineEnd>) {
        if !call.has_ended() {
            // Only a line that failed ends before its call.
            let outcome = self.endpoint.hang_up(clock::monotonic(), call.leg, 500, None);
            tracing::warn!(?outcome, "a simulator line failed; its call was ended");
            self.legs.remove(&call.leg);
            call.settle(clock::monotonic(), wall_ms(), EndedBy::Failure, None);
        }
        if let Some(port) = call.media.port {
            self.ports.release(clock::monotonic(), port);
        }
        let at_ms = call.sim.ended_at_ms.unwrap_or_default();
        let sim = call.finish(heard);
        self.log.note(at_ms, SimEvent::Ended(sim));
    }
}

/// A status without Reason.
pub(super) fn status(code: u16, phrase: &str) -> FinalStatus {
    FinalStatus { code, phrase: phrase.to_owned(), reason: None }
}

/// A Reason header as text.
pub(super) fn reason_text(reason: &Reason) -> String {
    let protocol = match reason.protocol {
        ReasonProtocol::Q850 => "Q.850",
        ReasonProtocol::Sip => "SIP",
    };
    let text = reason.text.as_ref().map(|text| format!(";text={text:?}")).unwrap_or_default();
    format!("{protocol};cause={}{text}", reason.cause)
}
