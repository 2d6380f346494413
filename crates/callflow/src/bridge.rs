//! A trunk call: one B leg over the routes admitted with the call. What the callee does, the caller sees;
//! both are hung up together.

use std::time::{Duration, Instant};

use tandem_model::{HangupCause, HangupSource};

use crate::effect::{DialOrder, DialTarget, Effect};
use crate::input::Input;
use crate::leg::{End, Leg};
use crate::session::{ALeg, Session};
use crate::verbs::{Running, Step};

/// See the module.
#[derive(Debug)]
pub(crate) struct Bridge {
    b: Leg,
    phase: Phase,
    rang: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    Ringing {
        until: Instant,
    },
    /// B answered; A's answer is under way.
    Connecting,
    Bridged,
    /// B is gone.
    Over,
}

impl Bridge {
    /// Dials.
    pub(crate) fn start(now: Instant, session: &mut Session, ring_timeout: Duration) -> Self {
        let b = session.dial(DialOrder {
            target: DialTarget::AdmittedRoutes,
            caller_id: None,
            caller_name: None,
            custom_headers: Vec::new(),
            credentials: None,
        });
        Self { b, phase: Phase::Ringing { until: now + ring_timeout }, rang: false }
    }

    fn answered(&mut self, session: &mut Session) -> Step {
        if !matches!(self.phase, Phase::Ringing { .. }) {
            return Step::Stay;
        }
        self.phase = Phase::Connecting;
        if session.a() == ALeg::Answered {
            return self.connect(session);
        }
        session.answer();
        Step::Stay
    }

    fn connect(&mut self, session: &mut Session) -> Step {
        if matches!(self.phase, Phase::Connecting) {
            self.phase = Phase::Bridged;
            session.emit(Effect::Bridge { a: Leg::A, b: self.b });
        }
        Step::Stay
    }

    /// B is gone; A follows, refused with B's own status when it was not answered.
    fn over(&mut self, session: &mut Session, end: End, sip_status: Option<u16>) -> Step {
        if matches!(self.phase, Phase::Bridged) {
            session.emit(Effect::Unbridge { a: Leg::A, b: self.b });
        }
        self.phase = Phase::Over;
        // A challenge meant for us, or a redirection, would only mislead the caller's equipment.
        let passable = |status: &u16| (400..700).contains(status) && !matches!(status, 401 | 407);
        Step::Refuse(end, sip_status.filter(passable).unwrap_or(end.cause.sip_status()))
    }

    fn ring_timeout(&mut self, session: &mut Session) -> Step {
        let end = End::new(HangupCause::RingTimeout, HangupSource::Vobiz);
        session.emit(Effect::HangupLeg { leg: self.b, end });
        self.over(session, end, None)
    }
}

impl Running for Bridge {
    fn step(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step {
        match input {
            Input::LegAnswered { leg: Leg::A } => self.connect(session),
            Input::LegAnswered { leg } if *leg == self.b => self.answered(session),
            Input::LegRinging { leg } if *leg == self.b => {
                if !self.rang && session.a() == ALeg::Unanswered {
                    self.rang = true;
                    session.emit(Effect::Ring);
                }
                Step::Stay
            }
            Input::LegEarlyMedia { leg } if *leg == self.b => {
                if matches!(self.phase, Phase::Ringing { .. }) {
                    session.emit(Effect::EarlyMedia { from: self.b });
                }
                Step::Stay
            }
            Input::LegEnded { leg, end, sip_status } if *leg == self.b => {
                self.over(session, *end, *sip_status)
            }
            Input::LegRefused { leg, refusal } if *leg == self.b => {
                let end = End::new(refusal.code.hangup_cause(), HangupSource::Vobiz);
                self.over(session, end, Some(refusal.code.sip_status()))
            }
            Input::Deadline => match self.phase {
                Phase::Ringing { until } if now >= until => self.ring_timeout(session),
                _ => Step::Stay,
            },
            _ => Step::Stay,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ringing { until } => Some(until),
            Phase::Connecting | Phase::Bridged | Phase::Over => None,
        }
    }

    fn partner(&self) -> Option<Leg> {
        matches!(self.phase, Phase::Bridged).then_some(self.b)
    }

    fn abandon(&mut self, _now: Instant, session: &mut Session, end: End) {
        if !matches!(self.phase, Phase::Over) {
            session.emit(Effect::HangupLeg { leg: self.b, end });
            self.phase = Phase::Over;
        }
    }
}
