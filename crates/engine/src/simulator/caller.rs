//! The driver's part as a caller: placing a call and following its script.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use tandem_media::energy::SAMPLE_RATE;
use tandem_sip::digest::Attempt;
use tandem_sip::message::{Address, FieldName, HeaderField, OwnedUri};
use tandem_sip::sdp::Direction;
use tandem_sip::{CommandError, LegId, OutgoingInvite};
use tokio::sync::{oneshot, watch};

use super::address::uri_user;
use super::behaviour::Voice;
use super::call::{Call, Caller, Part};
use super::call_log::{SimCall, SimDirection};
use super::call_spec::{CallSpec, LineUse, Step};
use super::carrier::{CallHandle, CarrierError};
use super::driver::{Alarm, CallKey, Driver, wall_ms};
use super::gatekeeper::answer_challenge;
use super::line::{LineCommand, LineReport, LineResult};
use super::live::{LiveEvent, LiveSender};
use super::mouth::tone_clip;
use super::outcome::{EndedBy, FinalStatus, Progress, RtpFacts};
use crate::config::host_text;

/// Our own ring limit comes first; the endpoint's is so much later.
const RING_BACKSTOP: Duration = Duration::from_secs(30);
/// Longest tone of one step.
const MAX_TONE: Duration = Duration::from_mins(10);

impl Driver {
    pub(super) fn place(
        &mut self,
        now: Instant,
        spec: CallSpec,
        live: Option<LiveSender>,
    ) -> Result<(CallHandle, SimCall), CarrierError> {
        let remote = spec.via.unwrap_or(self.config.platform);
        let host =
            spec.host.clone().unwrap_or_else(|| format!("{}:{}", host_text(remote.ip()), remote.port()));
        let to = parse_uri(&if spec.to.starts_with("sip:") {
            spec.to.clone()
        } else {
            format!("sip:{}@{host}", uri_user(&spec.to))
        })?;
        let from_host = match spec.credentials {
            Some(_) => host,
            None => format!("{}:{}", host_text(self.advertised), self.local.port()),
        };
        let from = parse_uri(&format!("sip:{}@{from_host}", uri_user(&spec.from)))?;
        let headers = spec.headers.iter().map(header_field).collect::<Result<Vec<_>, _>>()?;

        let voice = if spec.line == LineUse::SignallingOnly { Voice::Absent } else { Voice::Silence };
        let mut media = self.open_media(now, voice)?;
        if let Some(law) = spec.law {
            media.restrict_to(law);
        }
        let body = media.offer(Direction::SendRecv);
        let call_id = format!("sim-{:016x}@{}", self.random.next_u64(), host_text(self.advertised));
        let invite = OutgoingInvite {
            contact_user: Some(uri_user(&spec.from)),
            headers,
            call_id: Some(call_id.clone()),
            sdp: Some(body.clone()),
            ring_timeout: spec.ring_limit + RING_BACKSTOP,
            ..OutgoingInvite::new(self.flow(remote), to.clone(), Address::new(from), Address::new(to.clone()))
        };
        let leg = self.endpoint.invite(now, invite).map_err(|error| match error {
            CommandError::Full => CarrierError::Full,
            CommandError::Unprintable => CarrierError::Unprintable(spec.from.clone()),
        })?;

        let key = self.serial();
        let (progress, watched) = watch::channel(Progress::Inviting);
        let (outcome_sender, outcome) = oneshot::channel();
        let sim = sim_call(&call_id, &spec);
        let placed = sim.clone();
        self.set_alarm(now + spec.ring_limit, Alarm::RingLimit(key));
        let caller = Caller {
            spec,
            request_uri: to.to_string(),
            body,
            has_authenticated: false,
            is_cancelled: false,
            step: 0,
            failed_step: None,
            rang: false,
            early_media: false,
            progress,
            outcome: Some(outcome_sender),
        };
        let mut call = Call::new(leg, sim, now, media, Part::Caller(Box::new(caller)));
        call.live = live;
        call.note(now, format!("INVITE {to}"));
        self.calls.insert(key, call);
        self.legs.insert(leg, key);
        self.log_invite(key);
        let commands = self.commands.clone();
        Ok((CallHandle { call_id, key, commands, progress: watched, outcome }, placed))
    }

    pub(super) fn on_ringing(&mut self, now: Instant, leg: LegId, status: u16) {
        let Some((_, call)) = self.call_of(leg) else { return };
        call.note(now, status.to_string());
        if let Some(caller) = call.caller() {
            caller.rang = true;
            caller.reach(Progress::Ringing);
        }
        call.tell(now, LiveEvent::Ringing);
    }

    pub(super) fn on_progress(&mut self, now: Instant, leg: LegId, status: u16, sdp: &[u8]) {
        let Some((key, call)) = self.call_of(leg) else { return };
        call.note(now, format!("{status} with SDP"));
        if let Some(caller) = call.caller() {
            caller.early_media = true;
            caller.reach(Progress::Ringing);
        }
        call.tell(now, LiveEvent::EarlyMedia);
        match call.media.accept(sdp) {
            Ok(terms) => self.agree(now, key, terms, Voice::Silence),
            Err(why) => call.note(now, format!("its SDP is unusable: {why}")),
        }
    }

    pub(super) fn on_answered(&mut self, now: Instant, leg: LegId, sdp: Option<&[u8]>) {
        let Some((key, call)) = self.call_of(leg) else { return };
        let accepted = match (sdp, call.terms()) {
            (Some(sdp), _) => call.media.accept(sdp),
            // The answer came with a reliable 183.
            (None, Some(terms)) => Ok(terms.as_ref().clone()),
            (None, None) => Err("the 200 has no SDP".to_owned()),
        };
        match accepted {
            Ok(terms) => self.agree(now, key, terms, Voice::Silence),
            Err(why) => call.note(now, format!("no common media: {why}")),
        }
        self.note_answer(now, key);
        if let Some(caller) = self.calls.get_mut(&key).and_then(Call::caller) {
            caller.reach(Progress::Answered);
        }
        if self.calls.get(&key).is_some_and(|call| call.live.is_none()) {
            self.do_step(now, key);
        }
    }

    pub(super) fn on_challenged(&mut self, now: Instant, leg: LegId, status: u16, challenges: &[String]) {
        let cnonce = format!("{:016x}", self.random.next_u64());
        let Some((key, call)) = self.call_of(leg) else { return };
        call.note(now, format!("{status}: digest demanded"));
        let Some(caller) = call.caller() else { return };
        let attempt = if caller.has_authenticated { Attempt::Repeated } else { Attempt::First };
        let field = match &caller.spec.credentials {
            Some((username, password)) => answer_challenge(
                status,
                challenges,
                (username, password),
                attempt,
                ("INVITE", &caller.request_uri, &caller.body),
                &cnonce,
            )
            .map_err(|error| error.to_string()),
            None => Err("no credentials".to_owned()),
        };
        match field {
            Ok(field) if !caller.is_cancelled => {
                caller.has_authenticated = true;
                let outcome = self.endpoint.retry_with_auth(now, leg, field);
                self.check(now, key, "authenticated INVITE", outcome);
            }
            unanswered => {
                let phrase = unanswered.err().unwrap_or_else(|| "cancelled".to_owned());
                let by = if caller.is_cancelled { EndedBy::Us } else { EndedBy::Peer };
                let outcome = self.endpoint.abandon(now, leg);
                self.check(now, key, "abandon", outcome);
                self.end(now, key, by, Some(FinalStatus { code: status, phrase, reason: None }));
            }
        }
    }

    pub(super) fn on_refused(&mut self, now: Instant, leg: LegId, status: FinalStatus) {
        let Some((key, call)) = self.call_of(leg) else { return };
        call.note(now, format!("{} {}", status.code, status.phrase));
        let is_cancelled = call.caller().is_some_and(|caller| caller.is_cancelled);
        let by = if is_cancelled { EndedBy::Us } else { EndedBy::Peer };
        self.end(now, key, by, Some(status));
    }

    pub(super) fn ring_limit_reached(&mut self, now: Instant, key: CallKey) {
        if self.calls.get(&key).is_some_and(|call| call.answered_at.is_none()) {
            self.hang_up(now, key);
        }
    }

    /// Begins the current step, or hangs up after the last.
    fn do_step(&mut self, now: Instant, key: CallKey) {
        let clip = Arc::clone(&self.clip);
        let Some(call) = self.calls.get_mut(&key).filter(|call| !call.has_ended()) else { return };
        let Some(caller) = call.caller() else { return };
        let (index, step) = (caller.step, caller.current().cloned());
        let id = index as u32;
        if let Some(step) = &step {
            call.note(now, format!("step {index}: {step:?}"));
        }
        let has_line = call.media.line.is_some();
        match step {
            None | Some(Step::Hangup) => self.hang_up(now, key),
            Some(Step::Wait(ms)) => self.set_alarm(now + Duration::from_millis(ms), Alarm::Step(key, index)),
            Some(Step::ExpectHangup { within_ms }) => {
                self.set_alarm(now + Duration::from_millis(within_ms), Alarm::Step(key, index));
            }
            Some(Step::SendDigits(digits)) => {
                if has_line {
                    call.tell_line(now, LineCommand::Dial { id, digits });
                } else {
                    self.fail_step(now, key, "there is no line to dial on");
                }
            }
            Some(Step::PlayTone { hz, ms }) => {
                let length = Duration::from_millis(ms).min(MAX_TONE);
                self.play(now, key, index, tone_clip(hz, length));
            }
            Some(Step::PlayClip) => self.play(now, key, index, clip),
            Some(Step::HoldOn) => self.change_hold(now, key, Direction::SendOnly),
            Some(Step::HoldOff) => self.change_hold(now, key, Direction::SendRecv),
        }
    }

    /// Plays on the line; without one, lets the same time pass.
    fn play(&mut self, now: Instant, key: CallKey, index: usize, samples: Arc<[i16]>) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        if call.media.line.is_some() {
            call.tell_line(now, LineCommand::Play { id: index as u32, samples });
        } else {
            let length = Duration::from_secs(1) * samples.len() as u32 / SAMPLE_RATE;
            self.set_alarm(now + length, Alarm::Step(key, index));
        }
    }

    fn change_hold(&mut self, now: Instant, key: CallKey, direction: Direction) {
        if !self.reoffer(now, key, direction) {
            self.fail_step(now, key, "the re-INVITE could not be sent");
        }
    }

    pub(super) fn on_reinvite_answered(&mut self, now: Instant, leg: LegId, sdp: Option<&[u8]>) {
        let Some((key, call)) = self.call_of(leg) else { return };
        let accepted = sdp.ok_or_else(|| "the answer has no SDP".to_owned());
        match accepted.and_then(|sdp| call.media.accept(sdp)) {
            Ok(terms) => {
                let voice = call.voice();
                self.agree(now, key, terms, voice);
                self.hold_step_is_over(now, key, None);
            }
            Err(why) => self.hold_step_is_over(now, key, Some(why)),
        }
    }

    pub(super) fn on_reinvite_failed(&mut self, now: Instant, leg: LegId, status: u16) {
        let Some((key, call)) = self.call_of(leg) else { return };
        call.note(now, format!("re-INVITE failed: {status}"));
        self.hold_step_is_over(now, key, Some(format!("the re-INVITE was answered {status}")));
    }

    fn hold_step_is_over(&mut self, now: Instant, key: CallKey, failure: Option<String>) {
        let Some(caller) = self.calls.get_mut(&key).and_then(Call::caller) else { return };
        if matches!(caller.current(), Some(Step::HoldOn | Step::HoldOff)) {
            match failure {
                Some(why) => self.fail_step(now, key, &why),
                None => self.next_step(now, key),
            }
        }
    }

    /// The line has said something, or cannot.
    pub(super) fn on_report(&mut self, now: Instant, report: &LineReport) {
        let Some(call) = self.calls.get_mut(&report.key) else { return };
        if call.live.is_some() {
            let event = match report.result {
                LineResult::Done => LiveEvent::Done(report.id),
                LineResult::Impossible => LiveEvent::Failed(report.id, "no telephone-event was agreed on"),
            };
            return call.tell(now, event);
        }
        let Some(caller) = call.caller() else { return };
        if caller.step as u32 != report.id {
            return;
        }
        match report.result {
            LineResult::Done => self.next_step(now, report.key),
            LineResult::Impossible => {
                self.fail_step(
                    now,
                    report.key,
                    "the digits cannot be sent: no telephone-event, or no digits",
                );
            }
        }
    }

    pub(super) fn step_time_is_over(&mut self, now: Instant, key: CallKey, step: usize) {
        let Some(caller) = self.calls.get_mut(&key).and_then(Call::caller) else { return };
        if caller.step != step {
            return;
        }
        if matches!(caller.current(), Some(Step::ExpectHangup { .. })) {
            self.fail_step(now, key, "the far side did not hang up in time");
        } else {
            self.next_step(now, key);
        }
    }

    fn next_step(&mut self, now: Instant, key: CallKey) {
        if let Some(caller) = self.calls.get_mut(&key).and_then(Call::caller) {
            caller.step += 1;
            self.do_step(now, key);
        }
    }

    /// A step did not go as demanded: say so and hang up.
    fn fail_step(&mut self, now: Instant, key: CallKey, why: &str) {
        let Some(call) = self.calls.get_mut(&key).filter(|call| !call.has_ended()) else { return };
        if let Some(caller) = call.caller() {
            let step = caller.current().map(|step| format!("{step:?}")).unwrap_or_default();
            caller.failed_step = Some(format!("step {} ({step}): {why}", caller.step));
        }
        call.note(now, why);
        self.hang_up(now, key);
    }
}

impl Call {
    /// What its line listens for: losses to make, tones by name, whether to keep it.
    pub(super) fn ear_settings(&self) -> (u8, Vec<u16>, bool) {
        match &self.part {
            Part::Callee(callee) => (callee.plan.loss_percent, Vec::new(), false),
            Part::Caller(caller) => (0, caller.spec.listen_for.clone(), caller.spec.line == LineUse::Record),
        }
    }
}

fn sim_call(call_id: &str, spec: &CallSpec) -> SimCall {
    SimCall {
        call_id: call_id.to_owned(),
        direction: SimDirection::Outgoing,
        from: spec.from.clone(),
        to: spec.to.clone(),
        behaviour: None,
        headers: Vec::new(),
        p_asserted_identity: None,
        diversion: None,
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

fn parse_uri(text: &str) -> Result<OwnedUri, CarrierError> {
    OwnedUri::parse(text).map_err(|_| CarrierError::Unprintable(text.to_owned()))
}

fn header_field((name, value): &(String, String)) -> Result<HeaderField, CarrierError> {
    let known = [FieldName::PAssertedIdentity, FieldName::Diversion, FieldName::Privacy];
    let field = known
        .into_iter()
        .find(|known| known.as_str().eq_ignore_ascii_case(name))
        .unwrap_or_else(|| FieldName::Custom(name.clone()));
    HeaderField::new(field, value.clone()).map_err(|_| CarrierError::Unprintable(format!("{name}: {value}")))
}
