//! A Dial under way: several legs ring, one wins, two talk.

use std::sync::Arc;
use std::time::Instant;

use tandem_model::ports::{FetchKind, LegTarget};
use tandem_model::{CallStatus, HangupCause, HangupSource};

use super::Dial;
use super::pattern::Watch;
use super::report::{Event, LegFacts, Outcome, Rang, leg_event};
use crate::address::Target;
use crate::effect::{DialOrder, DialTarget, Effect, Loops, Sound};
use crate::input::Input;
use crate::leg::{End, Leg, PlaybackId};
use crate::session::{ALeg, Load, Session};
use crate::verbs::{Running, Step};

/// See the module.
#[derive(Debug)]
pub(super) struct Fork {
    rules: Rules,
    phase: Phase,
    /// Legs that have not ended.
    legs: Vec<BLeg>,
    rang: Rang,
    /// Whose early audio A hears.
    early: Option<Leg>,
    /// What A hears instead of early audio, when answered already.
    ringback: Option<PlaybackId>,
    /// The most telling end so far.
    outcome: Option<Outcome>,
    keys_a: Watch,
    keys_b: Watch,
}

#[derive(Debug)]
struct Rules {
    action: Option<Target>,
    redirect: bool,
    callback: Option<Target>,
    time_limit: std::time::Duration,
    hangup_on_star: bool,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nobody answered yet.
    Ringing { until: Instant },
    /// A leg answered; A's answer is under way.
    Connecting { winner: Leg },
    /// Two legs talk.
    Bridged { winner: Leg, until: Instant },
}

#[derive(Debug)]
struct BLeg {
    leg: Leg,
    facts: LegFacts,
    send_digits: Option<String>,
}

impl Fork {
    /// Rings everybody.
    pub(super) fn start(dial: Dial, now: Instant, session: &mut Session) -> Self {
        let shown_from = dial.caller_id.clone().unwrap_or_else(|| session.facts.from.clone());
        let mut legs = Vec::with_capacity(dial.callees.len());
        for (index, callee) in dial.callees.into_iter().enumerate() {
            let to = match &callee.target {
                LegTarget::Number(number) => number.trim_start_matches('+').to_owned(),
                LegTarget::User(uri) => uri.clone(),
            };
            let leg = session.dial(DialOrder {
                target: DialTarget::Leg(callee.target),
                caller_id: dial.caller_id.clone(),
                caller_name: dial.caller_name.clone(),
                custom_headers: callee.custom_headers,
            });
            let from = shown_from.trim_start_matches('+').to_owned();
            let facts = LegFacts { position: index + 1, from, to, call: None, answered_at: None };
            legs.push(BLeg { leg, facts, send_digits: callee.send_digits });
        }
        Self {
            rules: Rules {
                action: dial.action,
                redirect: dial.redirect,
                callback: dial.callback,
                time_limit: dial.time_limit,
                hangup_on_star: dial.hangup_on_star,
            },
            phase: Phase::Ringing { until: now + dial.ring_timeout.unwrap_or(session.limits.ring_timeout) },
            legs,
            rang: Rang::NotYet,
            early: None,
            ringback: None,
            outcome: None,
            keys_a: Watch::new(dial.digits_a),
            keys_b: Watch::new(dial.digits_b),
        }
    }
}

impl Running for Fork {
    fn step(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step {
        match input {
            Input::LegAnswered { leg: Leg::A } => self.connect(now, session),
            Input::LegAdmitted { leg, facts } => {
                if let Some(b_leg) = self.find(*leg) {
                    b_leg.facts.admitted(facts);
                }
                Step::Stay
            }
            Input::LegRinging { leg } if self.find(*leg).is_some() => {
                self.rings(session);
                Step::Stay
            }
            Input::LegEarlyMedia { leg } if self.find(*leg).is_some() => {
                self.early_media(session, *leg);
                Step::Stay
            }
            Input::LegAnswered { leg } if self.find(*leg).is_some() => self.won(now, session, *leg),
            Input::LegRefused { leg, refusal } => {
                let Some(b_leg) = self.take(*leg) else { return Step::Stay };
                session.trace(format!("leg {} not dialled: {}", b_leg.facts.position, refusal.reason));
                self.note(Outcome::unreached(
                    End::new(refusal.code.hangup_cause(), HangupSource::Vobiz),
                    None,
                ));
                self.go_on_if_over(session)
            }
            Input::LegEnded { leg, end, .. } if self.find(*leg).is_some() => {
                self.leg_ended(now, session, *leg, *end);
                self.go_on_if_over(session)
            }
            Input::Digit { leg, digit } => self.key(now, session, *leg, *digit),
            Input::PlaybackDone { playback, .. } if self.ringback == Some(*playback) => {
                self.ringback = None;
                Step::Stay
            }
            Input::Deadline => self.timer(now, session),
            _ => Step::Stay,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ringing { until } | Phase::Bridged { until, .. } => Some(until),
            Phase::Connecting { .. } => None,
        }
    }

    fn abandon(&mut self, now: Instant, session: &mut Session, end: End) {
        let end = match self.phase {
            Phase::Ringing { .. } => End::new(HangupCause::Canceled, end.source),
            // The callee answered: whatever ended the caller before it could, this was a call.
            Phase::Connecting { .. } if end.cause == HangupCause::Canceled => {
                End::new(HangupCause::NormalHangup, end.source)
            }
            Phase::Connecting { .. } | Phase::Bridged { .. } => end,
        };
        self.silence(session);
        self.end_all(now, session, end);
        if let Some(load) = self.action(session) {
            session.request_only(&load);
        }
    }
}

/// Transitions.
impl Fork {
    fn rings(&mut self, session: &mut Session) {
        self.rang = Rang::Heard;
        // An unanswered caller hears ringing from its own side.
        let silent = self.early.is_none() && self.ringback.is_none();
        if silent && session.a() == ALeg::Answered && matches!(self.phase, Phase::Ringing { .. }) {
            self.ringback = Some(session.play(Sound::Ringback, Loops::Forever));
        }
    }

    fn early_media(&mut self, session: &mut Session, leg: Leg) {
        self.rang = Rang::Heard;
        if self.early.is_some() || !matches!(self.phase, Phase::Ringing { .. }) {
            return;
        }
        self.silence(session);
        self.early = Some(leg);
        session.emit(Effect::EarlyMedia { from: leg });
    }

    fn won(&mut self, now: Instant, session: &mut Session, winner: Leg) -> Step {
        if !matches!(self.phase, Phase::Ringing { .. }) {
            return Step::Stay;
        }
        self.rang = Rang::Heard;
        self.silence(session);
        if let Some(b_leg) = self.find(winner) {
            b_leg.facts.answered_at = Some(now);
            if let Some(digits) = b_leg.send_digits.take() {
                session.emit(Effect::SendDigits { leg: winner, digits });
            }
        }
        self.tell(session, winner, &Event::Answer);
        let losers: Vec<Leg> = self.legs.iter().map(|it| it.leg).filter(|leg| *leg != winner).collect();
        for loser in losers {
            self.hang_up(now, session, loser, End::new(HangupCause::LostRace, HangupSource::Vobiz));
        }
        self.phase = Phase::Connecting { winner };
        match session.a() {
            ALeg::Answered => self.connect(now, session),
            ALeg::Unanswered | ALeg::Answering | ALeg::Ended(_) => {
                session.answer();
                Step::Stay
            }
        }
    }

    /// Both sides are there.
    fn connect(&mut self, now: Instant, session: &mut Session) -> Step {
        let Phase::Connecting { winner } = self.phase else { return Step::Stay };
        self.phase = Phase::Bridged { winner, until: now + self.rules.time_limit };
        session.emit(Effect::Bridge { a: Leg::A, b: winner });
        self.tell(session, winner, &Event::Connected);
        Step::Stay
    }

    fn key(&mut self, now: Instant, session: &mut Session, leg: Leg, key: char) -> Step {
        let Phase::Bridged { winner, .. } = self.phase else { return Step::Stay };
        if leg == Leg::A && key == '*' && self.rules.hangup_on_star {
            self.hang_up(now, session, winner, End::new(HangupCause::NormalHangup, HangupSource::Caller));
            return self.go_on_if_over(session);
        }
        let (watch, by) = match leg {
            Leg::A => (&mut self.keys_a, "aleg"),
            leg if leg == winner => (&mut self.keys_b, "bleg"),
            _ => return Step::Stay,
        };
        if let Some(digits) = watch.press(key) {
            self.tell(session, winner, &Event::DigitsMatch { digits, by });
        }
        Step::Stay
    }

    fn timer(&mut self, now: Instant, session: &mut Session) -> Step {
        match self.phase {
            Phase::Ringing { until } if now >= until => {
                self.end_all(now, session, End::new(HangupCause::RingTimeout, HangupSource::Vobiz));
            }
            Phase::Bridged { winner, until } if now >= until => {
                self.hang_up(
                    now,
                    session,
                    winner,
                    End::new(HangupCause::ScheduledHangup, HangupSource::Vobiz),
                );
            }
            _ => return Step::Stay,
        }
        self.go_on_if_over(session)
    }

    /// What comes after the last leg.
    fn go_on_if_over(&mut self, session: &mut Session) -> Step {
        if !self.legs.is_empty() {
            return Step::Stay;
        }
        self.silence(session);
        let talked = self.outcome.filter(|outcome| outcome.status == CallStatus::Completed);
        match (self.action(session), talked) {
            (Some(load), _) if self.rules.redirect => Step::Load(Box::new(load)),
            (Some(load), _) => {
                session.request_only(&load);
                Step::Next
            }
            // The elements after a Dial are for callers whom nobody talked to.
            (None, Some(outcome)) if self.rules.redirect => Step::End(outcome.end),
            (None, _) => Step::Next,
        }
    }
}

/// Legs.
impl Fork {
    fn find(&mut self, leg: Leg) -> Option<&mut BLeg> {
        self.legs.iter_mut().find(|it| it.leg == leg)
    }

    fn take(&mut self, leg: Leg) -> Option<BLeg> {
        let index = self.legs.iter().position(|it| it.leg == leg)?;
        Some(self.legs.remove(index))
    }

    fn end_all(&mut self, now: Instant, session: &mut Session, end: End) {
        let legs: Vec<Leg> = self.legs.iter().map(|it| it.leg).collect();
        for leg in legs {
            self.hang_up(now, session, leg, end);
        }
    }

    fn hang_up(&mut self, now: Instant, session: &mut Session, leg: Leg, end: End) {
        self.part(session, leg);
        session.emit(Effect::HangupLeg { leg, end });
        self.leg_over(now, session, leg, end);
    }

    fn leg_ended(&mut self, now: Instant, session: &mut Session, leg: Leg, end: End) {
        self.part(session, leg);
        self.leg_over(now, session, leg, end);
    }

    fn part(&mut self, session: &mut Session, leg: Leg) {
        if let Phase::Bridged { winner, .. } = self.phase
            && winner == leg
            && !matches!(session.a(), ALeg::Ended(_))
        {
            session.emit(Effect::Unbridge { a: Leg::A, b: leg });
        }
    }

    /// Books the end of a leg: the outcome, and the event.
    fn leg_over(&mut self, now: Instant, session: &mut Session, leg: Leg, end: End) {
        let Some(b_leg) = self.take(leg) else { return };
        if self.early == Some(leg) {
            self.early = None;
        }
        self.note(match b_leg.facts.answered_at {
            Some(_) => Outcome { status: CallStatus::Completed, end, call: b_leg.facts.call },
            None => Outcome::unreached(end, b_leg.facts.call),
        });
        leg_event(session, self.rules.callback.as_ref(), &b_leg.facts, &Event::Hangup { end, at: now });
    }

    fn note(&mut self, outcome: Outcome) {
        self.outcome = Some(self.outcome.map_or(outcome, |before| before.more_telling(outcome)));
    }

    fn tell(&self, session: &mut Session, leg: Leg, event: &Event) {
        if let Some(b_leg) = self.legs.iter().find(|it| it.leg == leg) {
            leg_event(session, self.rules.callback.as_ref(), &b_leg.facts, event);
        }
    }

    fn silence(&mut self, session: &mut Session) {
        if let Some(playback) = self.ringback.take() {
            session.stop(playback);
        }
    }

    fn action(&self, session: &Session) -> Option<Load> {
        let target = self.rules.action.clone()?;
        let parameters = Arc::new(self.outcome?.parameters(session, self.rang));
        Some(Load { kind: FetchKind::Action, target, parameters })
    }
}
