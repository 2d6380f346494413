//! A message being taken: the beep, the recording, the action.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_model::ports::FetchKind;
use tandem_model::{RecordingEndReason, RecordingId, RecordingResult};

use super::{Mode, Rules};
use crate::effect::{Effect, Loops, Sound};
use crate::input::Input;
use crate::leg::{Leg, PlaybackId, RecordingName};
use crate::parameters;
use crate::session::{Load, Session};
use crate::verbs::{Running, Step};

/// How long a recording may take to be over once it ought to be.
const GRACE: Duration = Duration::from_secs(10);

/// See the module.
#[derive(Debug)]
pub(super) struct Message {
    rules: Rules,
    redirect: bool,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    Beep(PlaybackId),
    Recording {
        recording: RecordingName,
        place: Option<(RecordingId, String)>,
        /// The key that ended it, empty before.
        digits: String,
        /// It is over by then, or never.
        until: Instant,
    },
    Over,
}

impl Message {
    pub(super) fn start(rules: Rules, now: Instant, session: &mut Session) -> Self {
        let redirect = rules.redirect.unwrap_or(session.at_last_element);
        let mut message = Self { rules, redirect, phase: Phase::Over };
        if message.rules.beep {
            message.phase = Phase::Beep(session.play(Leg::A, Sound::Beep, Loops::Times(1)));
        } else {
            message.record(now, session);
        }
        message
    }

    fn record(&mut self, now: Instant, session: &mut Session) {
        let order = self.rules.order(session, Mode::Message);
        let recording = session.record(order);
        let until = now + self.rules.max_length + GRACE;
        self.phase = Phase::Recording { recording, place: None, digits: String::new(), until };
    }

    fn key(&mut self, now: Instant, session: &mut Session, key: char) {
        if let Phase::Recording { recording, digits, until, .. } = &mut self.phase
            && digits.is_empty()
            && self.rules.finish_keys.contains(key)
        {
            digits.push(key);
            *until = now + GRACE;
            session.emit(Effect::StopRecording {
                recording: *recording,
                reason: RecordingEndReason::FinishedOnKey,
                digits: key.to_string(),
                abandoned: false,
            });
        }
    }

    fn over(&mut self, session: &mut Session, result: &RecordingResult) -> Step {
        let Phase::Recording { place, .. } = std::mem::replace(&mut self.phase, Phase::Over) else {
            return Step::Stay;
        };
        if let Some(error) = &result.error {
            session.trace(format!("nothing was recorded: {error}"));
        }
        let (Some(target), Some((id, url))) = (self.rules.action.clone(), place) else { return Step::Next };
        let mut parameters = session.parameters("Record");
        parameters::recording(&mut parameters, id, &url, Some(result));
        let load = Load { kind: FetchKind::Action, target, parameters: Arc::new(parameters) };
        if self.redirect {
            return Step::Load(Box::new(load));
        }
        session.request_only(&load);
        Step::Next
    }
}

impl Running for Message {
    fn step(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step {
        match (input, &mut self.phase) {
            (Input::PlaybackDone { playback, .. }, Phase::Beep(beep)) if playback == beep => {
                self.record(now, session);
            }
            (Input::Digit { leg: Leg::A, digit }, _) => self.key(now, session, *digit),
            (
                Input::RecordingStarted { recording, id, url },
                Phase::Recording { recording: own, place, .. },
            ) if recording == own => {
                *place = Some((*id, url.clone()));
            }
            (Input::RecordingDone { recording, result }, Phase::Recording { recording: own, .. })
                if recording == own =>
            {
                return self.over(session, result);
            }
            (Input::Deadline, Phase::Recording { until, .. }) if now >= *until => {
                session.trace("the recording does not end; the document goes on");
                self.stop(session);
                return Step::Next;
            }
            _ => {}
        }
        Step::Stay
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Recording { until, .. } => Some(until),
            Phase::Beep(_) | Phase::Over => None,
        }
    }

    /// The caller is gone, or somebody took the call elsewhere: what was said is kept, and the action told of it.
    fn stop(&mut self, session: &mut Session) {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Beep(beep) => session.stop(Leg::A, beep),
            Phase::Recording { recording, digits, .. } => session.emit(Effect::StopRecording {
                recording,
                reason: RecordingEndReason::HungUp,
                digits,
                abandoned: true,
            }),
            Phase::Over => {}
        }
    }
}
