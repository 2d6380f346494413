//! A Dial under way: several legs ring, one wins, two talk.

use std::sync::Arc;
use std::time::Instant;

use tandem_model::ports::{FetchKind, LegTarget};
use tandem_model::{CallStatus, HangupCause, HangupSource};

use super::Dial;
use super::confirm::{Confirming, Question, Verdict};
use super::music::{Music, Tune};
use super::pattern::Watch;
use super::report::{Event, LegFacts, Outcome, Rang, leg_event};
use crate::address::Target;
use crate::effect::{DialOrder, DialTarget, Effect, Loops, Sound};
use crate::input::Input;
use crate::leg::{End, Leg, PlaybackId};
use crate::session::{ALeg, Load, Session};
use crate::verbs::{Running, Step, record};

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
    /// What A hears instead of early audio.
    ringback: Option<PlaybackId>,
    music: Option<Music>,
    /// A's line is open already, so its own phone rings no more.
    opened: bool,
    /// The most telling end so far.
    outcome: Option<Outcome>,
    keys_a: Watch,
    keys_b: Watch,
    /// Recordings written inside the Dial, until they begin.
    recordings: Vec<record::Rules>,
}

#[derive(Debug)]
struct Rules {
    action: Option<Target>,
    redirect: bool,
    callback: Option<Target>,
    time_limit: std::time::Duration,
    hangup_on_star: bool,
    question: Option<Question>,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Nobody took the call yet; `None` when nobody rings any more, but somebody is being asked.
    Ringing { until: Option<Instant> },
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
    /// Keys are sent to its early media already.
    send_early: bool,
    /// It answered and is being asked whether it takes the call.
    confirming: Option<Confirming>,
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
                credentials: callee.credentials,
            });
            let from = shown_from.trim_start_matches('+').to_owned();
            let facts = LegFacts { position: index + 1, from, to, call: None, answered_at: None };
            legs.push(BLeg {
                leg,
                facts,
                send_digits: callee.send_digits,
                send_early: callee.send_early,
                confirming: None,
            });
        }
        let hears = session.early_media || session.a() == ALeg::Answered;
        let music = dial.music.filter(|_| hears).and_then(|url| Music::start(now, session, &url));
        Self {
            rules: Rules {
                action: dial.action,
                redirect: dial.redirect,
                callback: dial.callback,
                time_limit: dial.time_limit,
                hangup_on_star: dial.hangup_on_star,
                question: dial.question,
            },
            phase: Phase::Ringing {
                until: Some(now + dial.ring_timeout.unwrap_or(session.limits.ring_timeout)),
            },
            legs,
            rang: Rang::NotYet,
            early: None,
            ringback: None,
            opened: music.is_some(),
            music,
            outcome: None,
            keys_a: Watch::new(dial.digits_a),
            keys_b: Watch::new(dial.digits_b),
            recordings: dial.recordings,
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
            Input::LegAnswered { leg } if self.find(*leg).is_some() => self.answered(now, session, *leg),
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
            Input::Digit { leg, digit } if matches!(self.phase, Phase::Bridged { .. }) => {
                self.key(now, session, *leg, *digit)
            }
            Input::PlaybackDone { playback, .. } if self.ringback == Some(*playback) => {
                self.ringback = None;
                Step::Stay
            }
            input => {
                let step = self.ask(now, session, input);
                if matches!(step, Step::Stay) && matches!(input, Input::Deadline) {
                    return self.timer(now, session);
                }
                step
            }
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match self.phase {
            Phase::Ringing { until } => {
                let asked = self.legs.iter().filter_map(|it| it.confirming.as_ref()?.due()).min();
                [until, self.music.as_ref().and_then(Music::due), asked].into_iter().flatten().min()
            }
            Phase::Bridged { until, .. } => Some(until),
            Phase::Connecting { .. } => None,
        }
    }

    fn partner(&self) -> Option<Leg> {
        match self.phase {
            Phase::Bridged { winner, .. } => Some(winner),
            Phase::Ringing { .. } | Phase::Connecting { .. } => None,
        }
    }

    fn release(&mut self, now: Instant, session: &mut Session, leg: Leg) -> Step {
        if self.find(leg).is_none() {
            return Step::Stay;
        }
        self.leg_ended(now, session, leg, End::new(HangupCause::NormalHangup, HangupSource::ApiRequest));
        self.go_on_if_over(session)
    }

    fn abandon(&mut self, now: Instant, session: &mut Session, end: End) {
        let talk = End::new(HangupCause::NormalHangup, end.source);
        let (answered, ringing) = match self.phase {
            Phase::Ringing { .. } => (talk, End::new(HangupCause::Canceled, end.source)),
            // The callee answered: whatever ended the caller before it could, this was a call.
            Phase::Connecting { .. } if end.cause == HangupCause::Canceled => (talk, talk),
            Phase::Connecting { .. } | Phase::Bridged { .. } => (end, end),
        };
        self.silence(session);
        let legs: Vec<_> = self.legs.iter().map(|it| (it.leg, it.facts.answered_at.is_some())).collect();
        for (leg, has_answered) in legs {
            self.hang_up(now, session, leg, if has_answered { answered } else { ringing });
        }
        if let Some(load) = self.action(session) {
            session.request_only(&load);
        }
    }
}

/// Transitions.
impl Fork {
    fn rings(&mut self, session: &mut Session) {
        self.rang = Rang::Heard;
        // An unanswered caller hears ringing from its own side, unless it hears something of ours already.
        let hears_us = session.a() == ALeg::Answered || self.opened;
        let silent = self.early.is_none() && self.ringback.is_none() && self.music.is_none();
        if silent && hears_us && matches!(self.phase, Phase::Ringing { .. }) {
            self.ringback = Some(session.play(Leg::A, Sound::Ringback, Loops::Forever));
        }
    }

    fn early_media(&mut self, session: &mut Session, leg: Leg) {
        self.rang = Rang::Heard;
        if let Some(b_leg) = self.find(leg)
            && b_leg.send_early
            && let Some(digits) = b_leg.send_digits.take()
        {
            session.emit(Effect::SendDigits { leg, digits });
        }
        if self.early.is_some() || self.music.is_some() || !matches!(self.phase, Phase::Ringing { .. }) {
            return;
        }
        self.silence(session);
        self.early = Some(leg);
        self.opened = session.early_media;
        session.emit(Effect::EarlyMedia { from: leg });
    }

    /// A leg answered: it takes the call, unless it is to be asked first.
    fn answered(&mut self, now: Instant, session: &mut Session, leg: Leg) -> Step {
        let Some(b_leg) = self.find(leg).filter(|it| it.facts.answered_at.is_none()) else {
            return Step::Stay;
        };
        b_leg.facts.answered_at = Some(now);
        if let Some(digits) = b_leg.send_digits.take() {
            session.emit(Effect::SendDigits { leg, digits });
        }
        self.rang = Rang::Heard;
        self.tell(session, leg, &Event::Answer);
        let Some(question) = self.rules.question.clone() else { return self.won(now, session, leg) };
        let confirming = Confirming::start(now, session, leg, &question);
        let verdict = confirming.verdict();
        if let Some(b_leg) = self.find(leg) {
            b_leg.confirming = Some(confirming);
        }
        if self.early == Some(leg) {
            // What is said to the callee now is not for the caller.
            self.early = None;
            session.emit(Effect::Unbridge { a: Leg::A, b: leg });
            self.rings(session);
        }
        self.judged(now, session, leg, verdict)
    }

    /// What happened while somebody rings may answer a question, or be about the music.
    fn ask(&mut self, now: Instant, session: &mut Session, input: &Input) -> Step {
        if !matches!(self.phase, Phase::Ringing { .. }) {
            return Step::Stay;
        }
        if self.music.as_mut().is_some_and(|music| music.hear(now, session, input) == Tune::Failed) {
            self.music = None;
            if self.rang == Rang::Heard {
                self.rings(session);
            }
        }
        let asked: Vec<Leg> =
            self.legs.iter().filter(|it| it.confirming.is_some()).map(|it| it.leg).collect();
        for leg in asked {
            let confirming = self.find(leg).and_then(|it| it.confirming.as_mut());
            let verdict = confirming.map_or(Verdict::Open, |it| it.hear(now, session, input));
            let step = self.judged(now, session, leg, verdict);
            if verdict == Verdict::Accepted || !matches!(step, Step::Stay) {
                return step;
            }
        }
        Step::Stay
    }

    fn judged(&mut self, now: Instant, session: &mut Session, leg: Leg, verdict: Verdict) -> Step {
        match verdict {
            Verdict::Open => Step::Stay,
            Verdict::Accepted => self.won(now, session, leg),
            Verdict::Failed => {
                let end = End::new(HangupCause::ConfirmKeyFailed, HangupSource::Vobiz);
                self.hang_up(now, session, leg, end);
                self.go_on_if_over(session)
            }
        }
    }

    fn won(&mut self, now: Instant, session: &mut Session, winner: Leg) -> Step {
        self.silence(session);
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
        for rules in std::mem::take(&mut self.recordings) {
            rules.in_background(session);
        }
        session.dial_answered();
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
            Phase::Ringing { until: Some(until) } if now >= until => {
                // Who is being asked has time of its own.
                self.phase = Phase::Ringing { until: None };
                let end = End::new(HangupCause::RingTimeout, HangupSource::Vobiz);
                let ringing = self.legs.iter().filter(|it| it.confirming.is_none());
                for leg in ringing.map(|it| it.leg).collect::<Vec<_>>() {
                    self.hang_up(now, session, leg, end);
                }
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
        let has_taken_it = matches!(
            self.phase,
            Phase::Connecting { winner } | Phase::Bridged { winner, .. } if winner == leg
        );
        self.note(match b_leg.facts.answered_at {
            Some(_) if has_taken_it => Outcome { status: CallStatus::Completed, end, call: b_leg.facts.call },
            // It was asked and did not take the call.
            Some(_) => Outcome { status: CallStatus::NoAnswer, end, call: b_leg.facts.call },
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
            session.stop(Leg::A, playback);
        }
        if let Some(mut music) = self.music.take() {
            music.stop(session);
        }
    }

    fn action(&self, session: &Session) -> Option<Load> {
        let target = self.rules.action.clone()?;
        let parameters = Arc::new(self.outcome?.parameters(session, self.rang));
        Some(Load { kind: FetchKind::Action, target, parameters })
    }
}
