//! The driver's part as the network that is called: what each behaviour does, step by step.

use std::time::{Duration, Instant};

use tandem_media::g711::Law;
use tandem_model::clock;
use tandem_sip::message::{FieldName, HeaderField, Method, reason_phrase};
use tandem_sip::sdp::Direction;
use tandem_sip::{LegId, Outcome, RequestFacts, TransactionId};

use super::behaviour::{Opening, Plan, Verdict, Voice, behaviour_of, plan_for};
use super::call::{Call, Callee, Part};
use super::call_log::{SimCall, SimDirection};
use super::config::Demand;
use super::driver::{Alarm, CallKey, Driver, wall_ms};
use super::ending::status;
use super::gatekeeper::{Admission, challenge_kind};
use super::line::LineCommand;
use super::outcome::{EndedBy, FinalStatus, RtpFacts};
use crate::config::host_text;

/// Digits are dialled so long after the answer.
const DIAL_AFTER: Duration = Duration::from_millis(500);
/// The caller is held so long after the answer, and for so long.
const HOLD_AFTER: Duration = Duration::from_secs(1);
const HOLD_FOR: Duration = Duration::from_secs(2);
/// Seconds granted to a REGISTER that asks for nothing.
const DEFAULT_EXPIRES_S: u32 = 3_600;

impl Driver {
    /// The platform calls.
    pub(super) fn on_invite(&mut self, now: Instant, leg: LegId, facts: RequestFacts) {
        let number = facts.request_uri.view().user().unwrap_or_default().to_owned();
        if self.config.reception.is_some() {
            let sim = sim_call(&facts, number, true);
            return self.receive(now, leg, facts, sim);
        }
        let phone = self.phones.get(&number).map(|phone| phone.plan());
        let is_phone = phone.is_some();
        let plan = phone.unwrap_or_else(|| plan_for(&number));
        let admission = self.judge_invite(&plan, &facts);
        if let Admission::Challenge(challenges) = &admission {
            let kind = challenge_kind(plan.demands_digest);
            let outcome = self.endpoint.challenge(now, leg, kind, challenges);
            tracing::debug!(?outcome, "simulator demanded digest");
            return;
        }
        let voice = if matches!(plan.verdict, Verdict::Answer) || plan.opening == Opening::EarlyMedia {
            plan.voice
        } else {
            Voice::Absent
        };
        let media = self.open_media(now, voice);
        let sim = sim_call(&facts, number, is_phone);
        let key = self.serial();
        let Ok(mut media) = media else {
            let outcome = self.endpoint.reject(now, leg, 503, None, &[]);
            tracing::warn!(?outcome, "simulator refused a call: no RTP port is free");
            return;
        };
        if plan.alaw_only {
            media.restrict_to(Law::Alaw);
        }
        media.set_ptime(plan.ptime_ms);
        let callee = Callee { plan: plan.clone(), offer: facts.sdp, outcome: None };
        self.calls.insert(key, Call::new(leg, sim, now, media, Part::Callee(Box::new(callee))));
        self.legs.insert(leg, key);
        self.log_invite(key);
        if matches!(admission, Admission::Refused) {
            return self.refuse(now, key, 403, 21);
        }
        self.open(now, key, &plan);
    }

    fn judge_invite(&mut self, plan: &Plan, facts: &RequestFacts) -> Admission {
        let demand = match (&self.config.demand, plan.demands_digest) {
            (Some(demand), _) => demand.clone(),
            (None, true) => Demand::default(),
            (None, false) => return Admission::Admitted,
        };
        let shown = if plan.demands_digest { &facts.proxy_authorization } else { &facts.authorization };
        let now_s = clock::wall().as_second().unsigned_abs();
        self.gatekeeper.judge(now_s, &demand, facts.flow.remote.ip(), "INVITE", shown)
    }

    /// What comes before the verdict.
    fn open(&mut self, now: Instant, key: CallKey, plan: &Plan) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let leg = call.leg;
        if plan.verdict == Verdict::Ignore {
            let outcome = self.endpoint.ignore(now, leg);
            self.check(now, key, "ignore", outcome);
            return self.end(now, key, EndedBy::Us, Some(status(0, "ignored")));
        }
        let outcome = self.endpoint.trying(now, leg);
        self.check(now, key, "100", outcome);
        match plan.opening {
            Opening::Trying => {}
            Opening::Ringing => {
                let outcome = self.endpoint.ringing(now, leg);
                self.check(now, key, "180", outcome);
            }
            Opening::EarlyMedia => {
                let Some(sdp) = self.describe_ourselves(now, key, Voice::Speak) else { return };
                let outcome = self.endpoint.progress(now, leg, &sdp);
                self.check(now, key, "183", outcome);
            }
        }
        if plan.verdict == Verdict::Wait {
            return;
        }
        if plan.opening_for.is_zero() {
            self.decide(now, key);
        } else {
            self.set_alarm(now + plan.opening_for, Alarm::OpeningOver(key));
        }
    }

    /// The opening is over.
    pub(super) fn decide(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| !call.has_ended()) else { return };
        let Some(callee) = call.callee() else { return };
        match callee.plan.verdict {
            Verdict::Answer => self.answer(now, key),
            Verdict::Refuse { status, cause } => self.refuse(now, key, status, cause),
            Verdict::Wait | Verdict::Ignore => {}
        }
    }

    pub(super) fn answer(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let leg = call.leg;
        let sdp = match call.media.described() {
            Some(early) => early,
            None => match self.describe_ourselves(now, key, Voice::Mute) {
                Some(sdp) => sdp,
                None => return,
            },
        };
        let outcome = self.endpoint.answer(now, leg, &sdp);
        if outcome != Outcome::Sent {
            // The caller's CANCEL was quicker; its event ends the call.
            return self.check(now, key, "200", outcome);
        }
        self.note_answer(now, key);
        let Some(callee) = self.calls.get_mut(&key).and_then(Call::callee) else { return };
        let (hang_up_after, holds_caller, dials) =
            (callee.plan.hang_up_after, callee.plan.holds_caller, callee.plan.digits.is_some());
        if let Some(after) = hang_up_after {
            self.set_alarm(now + after, Alarm::HangUp(key));
        }
        if holds_caller {
            self.set_alarm(now + HOLD_AFTER, Alarm::Hold(key));
        }
        if dials {
            self.set_alarm(now + DIAL_AFTER, Alarm::Dial(key));
        }
    }

    /// Our answer to the INVITE's offer (and the line with it), or our offer where it had none.
    /// `None` after a 488.
    fn describe_ourselves(&mut self, now: Instant, key: CallKey, voice: Voice) -> Option<Vec<u8>> {
        let call = self.calls.get_mut(&key)?;
        let Some(offer) = call.callee()?.offer.clone() else {
            return Some(call.media.offer(Direction::SendRecv));
        };
        match call.media.answer(&offer) {
            Ok((sdp, terms)) => {
                self.agree(now, key, terms, voice);
                Some(sdp)
            }
            Err(why) => {
                call.note(now, format!("no common media: {why}"));
                self.refuse(now, key, 488, 88);
                None
            }
        }
    }

    pub(super) fn refuse(&mut self, now: Instant, key: CallKey, code: u16, cause: u16) {
        let Some(call) = self.calls.get(&key) else { return };
        let leg = call.leg;
        let reason = format!("Q.850;cause={cause}");
        let mut fields = vec![HeaderField::new(FieldName::Reason, reason.clone())];
        if (300..400).contains(&code) {
            let elsewhere = redirected(&call.sim.to);
            let host = host_text(self.advertised);
            let contact = format!("<sip:{elsewhere}@{host}:{}>", self.local.port());
            fields.push(HeaderField::new(FieldName::Contact, contact));
        }
        let fields: Vec<HeaderField> = fields.into_iter().flatten().collect();
        let outcome = self.endpoint.reject(now, leg, code, None, &fields);
        if outcome == Outcome::AlreadyCancelled {
            return;
        }
        self.check(now, key, "refuse", outcome);
        let phrase = reason_phrase(code).to_owned();
        self.end(now, key, EndedBy::Us, Some(FinalStatus { code, phrase, reason: Some(reason) }));
    }

    /// The ACK came: speak.
    pub(super) fn on_acked(&mut self, now: Instant, leg: LegId, sdp: Option<&[u8]>) {
        let Some((key, call)) = self.call_of(leg) else { return };
        call.note(now, "acknowledged");
        let voice = call.voice();
        if let Some(answer) = sdp {
            match call.media.accept(answer) {
                Ok(terms) => self.agree(now, key, terms, Voice::Mute),
                Err(why) => {
                    call.note(now, format!("the ACK's answer is unusable: {why}"));
                    return self.hang_up(now, key);
                }
            }
        }
        // A re-INVITE's ACK changes nothing in what is being said.
        // Nor does any ACK in what somebody else decides.
        let is_first =
            self.calls.get_mut(&key).is_some_and(|call| call.live.is_none() && call.begins_talking());
        if is_first {
            self.speak(now, key, voice);
        }
    }

    pub(super) fn callee_dials(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let Some(digits) = call.callee().and_then(|callee| callee.plan.digits) else { return };
        call.tell_line(now, LineCommand::Dial { id: u32::MAX, digits: digits.to_owned() });
    }

    pub(super) fn callee_holds(&mut self, now: Instant, key: CallKey) {
        self.reoffer(now, key, Direction::SendOnly);
        self.set_alarm(now + HOLD_FOR, Alarm::Resume(key));
    }

    pub(super) fn callee_resumes(&mut self, now: Instant, key: CallKey) {
        self.reoffer(now, key, Direction::SendRecv);
    }

    /// Offers the same media in another direction; false if that could not be sent.
    pub(super) fn reoffer(&mut self, now: Instant, key: CallKey, direction: Direction) -> bool {
        let Some(call) = self.calls.get_mut(&key).filter(|call| !call.has_ended()) else { return false };
        let sdp = call.media.offer(direction);
        let leg = call.leg;
        call.note(now, format!("re-INVITE {}", direction.as_str()));
        let outcome = self.endpoint.reinvite(now, leg, Some(&sdp));
        self.check(now, key, "re-INVITE", outcome);
        outcome == Outcome::Sent
    }

    /// The platform offers anew.
    pub(super) fn on_reinvited(&mut self, now: Instant, leg: LegId, sdp: Option<&[u8]>) {
        let Some((key, call)) = self.call_of(leg) else { return };
        let Some(offer) = sdp else {
            call.note(now, "re-INVITE without offer");
            let sdp = call.media.offer(Direction::SendRecv);
            let outcome = self.endpoint.accept_reinvite(now, leg, &sdp);
            return self.check(now, key, "200 to re-INVITE", outcome);
        };
        match call.media.answer(offer) {
            Ok((sdp, terms)) => {
                let direction = match (terms.sends, terms.receives) {
                    (true, true) => "both ways",
                    (true, false) => "we only send",
                    (false, true) => "we only listen",
                    (false, false) => "silent",
                };
                call.note(now, format!("re-INVITE: {direction}"));
                let outcome = self.endpoint.accept_reinvite(now, leg, &sdp);
                self.check(now, key, "200 to re-INVITE", outcome);
                let voice = self.calls.get(&key).map_or(Voice::Mute, Call::voice);
                self.agree(now, key, terms, voice);
            }
            Err(why) => {
                call.note(now, format!("re-INVITE refused: {why}"));
                let outcome = self.endpoint.reject_reinvite(now, leg, 488);
                self.check(now, key, "488 to re-INVITE", outcome);
            }
        }
    }

    /// OPTIONS and REGISTER are welcome; the rest is not.
    pub(super) fn on_request(&mut self, now: Instant, transaction: TransactionId, facts: &RequestFacts) {
        let (status, fields) = match facts.method {
            Method::Options => (200, Vec::new()),
            Method::Register => self.judge_register(facts),
            _ => (501, Vec::new()),
        };
        let fields: Vec<HeaderField> = fields.into_iter().flatten().collect();
        let outcome = self.endpoint.respond(now, transaction, status, None, &fields, None);
        tracing::debug!(?outcome, status, method = facts.method.as_str(), "simulator answered a request");
    }

    fn judge_register(
        &mut self,
        facts: &RequestFacts,
    ) -> (u16, Vec<Result<HeaderField, tandem_sip::message::IllegalField>>) {
        let now_s = clock::wall().as_second().unsigned_abs();
        let source = facts.flow.remote.ip();
        let admission = match &self.config.demand {
            Some(demand) => self.gatekeeper.judge(now_s, demand, source, "REGISTER", &facts.authorization),
            None => Admission::Admitted,
        };
        match admission {
            Admission::Admitted => {
                let expires = facts.expires.unwrap_or(DEFAULT_EXPIRES_S).to_string();
                let contacts = facts.contacts.iter().filter(|contact| *contact != "*");
                let mut fields: Vec<_> =
                    contacts.map(|contact| HeaderField::new(FieldName::Contact, contact.as_str())).collect();
                fields.push(HeaderField::new(FieldName::Expires, expires));
                (200, fields)
            }
            Admission::Challenge(challenges) => {
                let fields = challenges.into_iter();
                (401, fields.map(|value| HeaderField::new(FieldName::WwwAuthenticate, value)).collect())
            }
            Admission::Refused => (403, Vec::new()),
        }
    }
}

fn sim_call(facts: &RequestFacts, number: String, is_phone: bool) -> SimCall {
    SimCall {
        call_id: facts.call_id.clone(),
        direction: SimDirection::Incoming,
        from: facts.from.uri.view().user().unwrap_or_default().to_owned(),
        behaviour: (!is_phone).then(|| behaviour_of(&number).pattern),
        to: number,
        headers: facts.custom.clone(),
        p_asserted_identity: facts.p_asserted_identity.first().cloned(),
        diversion: facts.diversion.first().cloned(),
        invited_at_ms: wall_ms(),
        answered_at_ms: None,
        ended_at_ms: None,
        ended_by: None,
        talk_ms: 0,
        status: FinalStatus::default(),
        info_digits: String::new(),
        rtp: RtpFacts::default(),
    }
}

/// The number that answers in place of one that redirects.
fn redirected(number: &str) -> String {
    let kept = number.len().saturating_sub(4);
    format!("{}0001", number.get(..kept).unwrap_or_default())
}
