//! One call of this network while it lives: its record, its media, and which part we play in it.

use std::sync::Arc;
use std::time::Instant;

use tandem_sip::LegId;
use tokio::sync::{oneshot, watch};

use super::behaviour::{Plan, Voice};
use super::call_log::SimCall;
use super::call_spec::{CallSpec, Step};
use super::line::{LineCommand, LineEnd};
use super::live::{InfoKeys, LiveSender};
use super::negotiation::{CallMedia, Terms};
use super::outcome::{CallOutcome, EndedBy, FinalStatus, Progress};

/// Lines of a timeline at most.
const MAX_TIMELINE: usize = 256;

/// A live call.
pub(super) struct Call {
    pub(super) leg: LegId,
    /// What the log gets.
    pub(super) sim: SimCall,
    pub(super) born: Instant,
    pub(super) answered_at: Option<Instant>,
    pub(super) ended_at: Option<Instant>,
    pub(super) media: CallMedia,
    pub(super) part: Part,
    /// Whoever steers this call from outside is told here.
    pub(super) live: Option<LiveSender>,
    /// Keys going out by INFO.
    pub(super) info: Option<InfoKeys>,
    /// What a called number says begins with the first ACK.
    talks: bool,
    timeline: Vec<(u64, String)>,
}

/// Our part in it.
pub(super) enum Part {
    /// The platform called one of our numbers.
    Callee(Box<Callee>),
    /// We called the platform.
    Caller(Box<Caller>),
}

/// A called number.
pub(super) struct Callee {
    pub(super) plan: Plan,
    /// The offer of the INVITE.
    pub(super) offer: Option<Vec<u8>>,
    /// Who waits for the end of a call that is steered from outside.
    pub(super) outcome: Option<oneshot::Sender<CallOutcome>>,
}

/// A caller with a script.
pub(super) struct Caller {
    pub(super) spec: CallSpec,
    pub(super) request_uri: String,
    pub(super) body: Vec<u8>,
    /// An answer to a challenge has been sent.
    pub(super) has_authenticated: bool,
    /// We cancelled: whatever comes now is our doing.
    pub(super) is_cancelled: bool,
    /// The step being done.
    pub(super) step: usize,
    pub(super) failed_step: Option<String>,
    pub(super) rang: bool,
    pub(super) early_media: bool,
    pub(super) progress: watch::Sender<Progress>,
    pub(super) outcome: Option<oneshot::Sender<CallOutcome>>,
}

impl Call {
    pub(super) fn new(leg: LegId, sim: SimCall, born: Instant, media: CallMedia, part: Part) -> Self {
        Self {
            leg,
            sim,
            born,
            answered_at: None,
            ended_at: None,
            media,
            part,
            live: None,
            info: None,
            talks: false,
            timeline: Vec::new(),
        }
    }

    /// Writes a line into the timeline.
    pub(super) fn note(&mut self, now: Instant, line: impl Into<String>) {
        if self.timeline.len() < MAX_TIMELINE {
            let offset_ms = now.saturating_duration_since(self.born).as_millis() as u64;
            self.timeline.push((offset_ms, line.into()));
        }
    }

    /// Tells the line, if there is one.
    pub(super) fn tell_line(&mut self, now: Instant, command: LineCommand) {
        let Some(line) = &self.media.line else { return };
        if line.try_send(command).is_err() {
            self.note(now, "the line is gone or too busy to listen");
        }
    }

    pub(super) fn callee(&mut self) -> Option<&mut Callee> {
        match &mut self.part {
            Part::Callee(callee) => Some(callee),
            Part::Caller(_) => None,
        }
    }

    pub(super) fn caller(&mut self) -> Option<&mut Caller> {
        match &mut self.part {
            Part::Caller(caller) => Some(caller),
            Part::Callee(_) => None,
        }
    }

    /// What its line says while nothing else is to be said.
    pub(super) fn voice(&self) -> Voice {
        match &self.part {
            Part::Callee(callee) => callee.plan.voice,
            Part::Caller(_) => Voice::Silence,
        }
    }

    pub(super) fn terms(&self) -> Option<Arc<Terms>> {
        self.media.terms.clone()
    }

    /// True at the first ACK to our 200.
    pub(super) fn begins_talking(&mut self) -> bool {
        !std::mem::replace(&mut self.talks, true)
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended_at.is_some()
    }

    /// Settles who ended it and how.
    pub(super) fn settle(&mut self, now: Instant, at_ms: i64, by: EndedBy, status: Option<FinalStatus>) {
        self.ended_at = Some(now);
        self.sim.ended_at_ms = Some(at_ms);
        self.sim.ended_by = Some(by);
        if let Some(status) = status {
            // A 200 stays one; only its end adds a Reason.
            let answered = self.answered_at.is_some();
            let keep = std::mem::take(&mut self.sim.status);
            self.sim.status = if answered { FinalStatus { reason: status.reason, ..keep } } else { status };
        }
        if let Some(answered_at) = self.answered_at {
            self.sim.talk_ms = now.saturating_duration_since(answered_at).as_millis() as u64;
        }
    }

    /// The record and, for a caller, the verdict, with what the line heard.
    pub(super) fn finish(mut self, heard: Option<LineEnd>) -> SimCall {
        let (rtp, recording) = heard.map(|end| (end.facts, end.recording)).unwrap_or_default();
        self.sim.rtp = rtp;
        let (outcome, caller) = match self.part {
            Part::Caller(mut caller) => (caller.outcome.take(), Some(caller)),
            Part::Callee(mut callee) => (callee.outcome.take(), None),
        };
        if let Some(reply) = outcome {
            let outcome = CallOutcome {
                call_id: self.sim.call_id.clone(),
                status: self.sim.status.clone(),
                rang: caller.as_ref().is_some_and(|caller| caller.rang),
                early_media: caller.as_ref().is_some_and(|caller| caller.early_media),
                answered_at: self.answered_at,
                ended_at: self.ended_at.unwrap_or(self.born),
                talk_seconds: self.sim.talk_ms as f64 / 1_000.0,
                ended_by: self.sim.ended_by.unwrap_or(EndedBy::Failure),
                failed_step: caller.as_ref().and_then(|caller| caller.failed_step.clone()),
                info_digits: self.sim.info_digits.clone(),
                rtp: self.sim.rtp.clone(),
                recording,
                timeline: self.timeline,
            };
            // Nobody waits for the outcome of a call whose handle was dropped.
            let _ = reply.send(outcome);
        }
        if let Some(caller) = caller {
            caller.progress.send_replace(Progress::Ended);
        }
        self.sim
    }
}

impl Caller {
    /// The step being done.
    pub(super) fn current(&self) -> Option<&Step> {
        self.spec.script.get(self.step)
    }

    pub(super) fn reach(&mut self, progress: Progress) {
        self.progress.send_if_modified(|now| {
            let is_further = progress > *now;
            if is_further {
                *now = progress;
            }
            is_further
        });
    }
}
