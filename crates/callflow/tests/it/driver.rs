//! A driver in virtual time: performs orders the way an engine would, after a delay, and writes down what
//! happens. Scripts add what people do.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tandem_callflow::document::Reading;
use tandem_callflow::{
    ALegState, Call, CallSetup, DialTarget, Effect, End, Input, Leg, Limits, Loops, PlaybackOutcome, Program,
    RecordingName, Sound,
};
use tandem_model::ports::{FetchError, FetchFailure, FetchRequest, Fetched, Notice};
use tandem_model::{
    AccountId, ApplicationPlan, CallDirection, CallFacts, CallId, ErrorCode, HangupCause, HangupSource,
    HttpMethod, RecordingEndReason, RecordingId, RecordingResult, Refusal, UrlCall,
};

use crate::laws::Laws;
use crate::trace::{callee, heard, told};

pub(crate) const ANSWER_URL: &str = "https://app.example/answer";
pub(crate) const FALLBACK_URL: &str = "https://app.example/fallback";

/// Rounds of deadline and report after which a call counts as stuck.
const MAX_ROUNDS: usize = 20_000;

pub(crate) fn call_id(n: u128) -> CallId {
    CallId(uuid::Uuid::from_u128(n))
}

pub(crate) fn facts() -> CallFacts {
    CallFacts {
        call: call_id(0xA),
        account: AccountId::new("MA_TESTTEST"),
        direction: CallDirection::Inbound,
        from: "919812345678".to_owned(),
        to: "918012345678".to_owned(),
        caller_name: "Asha".to_owned(),
        started_at: "2026-11-21T07:00:00.123456Z".parse().unwrap(),
        bill_rate: "0.45000".to_owned(),
        parent_account: AccountId::new("MA_TESTTEST"),
        a_leg: call_id(0xA),
        forwarded_from: None,
        custom_headers: Vec::new(),
    }
}

pub(crate) fn setup() -> CallSetup {
    let url = |url: &str| UrlCall { url: url.to_owned(), method: HttpMethod::Post };
    CallSetup {
        facts: facts(),
        program: Program::Document(ApplicationPlan {
            answer: url(ANSWER_URL),
            fallback: None,
            hangup: None,
            ring: None,
            status: None,
            input: None,
        }),
        a_leg: ALegState::Unanswered,
        early_media: true,
        reading: Reading::Tolerant,
        max_duration: Duration::from_hours(4),
        apology: CallSetup::APOLOGY.to_owned(),
        limits: Limits::default(),
    }
}

pub(crate) fn with_fallback(mut setup: CallSetup) -> CallSetup {
    if let Program::Document(plan) = &mut setup.program {
        plan.fallback = Some(UrlCall { url: FALLBACK_URL.to_owned(), method: HttpMethod::Post });
    }
    setup
}

pub(crate) fn bridge_setup() -> CallSetup {
    CallSetup { program: Program::Bridge { ring_timeout: Duration::from_mins(1) }, ..setup() }
}

pub(crate) fn end(cause: HangupCause, source: HangupSource) -> End {
    End::new(cause, source)
}

pub(crate) fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub(crate) struct Driver {
    pub(crate) call: Call,
    pub(crate) laws: Laws,
    origin: Instant,
    now: Duration,
    pages: BTreeMap<String, Result<String, FetchFailure>>,
    due: BTreeMap<(Duration, usize), Input>,
    scheduled: usize,
    sounds_are_ready: bool,
    /// Every order, with its time.
    pub(crate) effects: Vec<(Duration, Effect)>,
    lines: Vec<String>,
    /// Recordings under way: when they began, and how they were told to end.
    recordings: BTreeMap<RecordingName, (Duration, Option<(RecordingEndReason, String)>)>,
}

impl Driver {
    pub(crate) fn new(setup: CallSetup) -> Self {
        let origin = tandem_model::clock::monotonic();
        let laws = match setup.a_leg {
            ALegState::Answered => Laws::of_answered_call(),
            ALegState::Unanswered => Laws::of_unanswered_call(setup.early_media),
        };
        let mut driver = Self {
            call: Call::new(origin, setup),
            laws,
            origin,
            now: Duration::ZERO,
            pages: BTreeMap::new(),
            due: BTreeMap::new(),
            scheduled: 0,
            sounds_are_ready: true,
            effects: Vec::new(),
            lines: Vec::new(),
            recordings: BTreeMap::new(),
        };
        driver.at(Duration::ZERO, Input::Start);
        driver
    }

    /// An inbound call whose answer URL returns this.
    pub(crate) fn inbound(xml: &str) -> Self {
        Self::new(setup()).page(ANSWER_URL, xml)
    }

    /// An inbound call whose sounds are never ready.
    pub(crate) fn slow_sounds(xml: &str) -> Self {
        Self { sounds_are_ready: false, ..Self::inbound(xml) }
    }

    /// An API call, answered already.
    pub(crate) fn outbound(xml: &str) -> Self {
        Self::new(CallSetup { a_leg: ALegState::Answered, ..setup() }).page(ANSWER_URL, xml)
    }

    pub(crate) fn page(mut self, url: &str, xml: &str) -> Self {
        self.pages.insert(url.to_owned(), Ok(xml.to_owned()));
        self
    }

    pub(crate) fn broken_page(mut self, url: &str, failure: FetchFailure) -> Self {
        self.pages.insert(url.to_owned(), Err(failure));
        self
    }

    /// Schedules something.
    pub(crate) fn at(&mut self, at: Duration, input: Input) {
        self.scheduled += 1;
        self.due.insert((at, self.scheduled), input);
    }

    pub(crate) fn digit(mut self, at_ms: u64, leg: Leg, digit: char) -> Self {
        self.at(ms(at_ms), Input::Digit { leg, digit });
        self
    }

    pub(crate) fn rings(mut self, at_ms: u64, leg: u32) -> Self {
        self.at(ms(at_ms), Input::LegRinging { leg: Leg(leg) });
        self
    }

    pub(crate) fn early(mut self, at_ms: u64, leg: u32) -> Self {
        self.at(ms(at_ms), Input::LegEarlyMedia { leg: Leg(leg) });
        self
    }

    pub(crate) fn answers(mut self, at_ms: u64, leg: u32) -> Self {
        self.at(ms(at_ms), Input::LegAnswered { leg: Leg(leg) });
        self
    }

    pub(crate) fn ends(mut self, at_ms: u64, leg: u32, cause: HangupCause, source: HangupSource) -> Self {
        self.at(ms(at_ms), Input::LegEnded { leg: Leg(leg), end: end(cause, source), sip_status: None });
        self
    }

    pub(crate) fn noticed(mut self, at_ms: u64, leg: Leg) -> Self {
        self.at(ms(at_ms), Input::Noticed { leg });
        self
    }

    pub(crate) fn refused(mut self, at_ms: u64, leg: u32, code: ErrorCode) -> Self {
        self.at(ms(at_ms), Input::LegRefused { leg: Leg(leg), refusal: Refusal::new(code) });
        self
    }

    pub(crate) fn caller_hangs_up(self, at_ms: u64) -> Self {
        self.ends(at_ms, 0, HangupCause::NormalHangup, HangupSource::Caller)
    }

    pub(crate) fn caller_cancels(self, at_ms: u64) -> Self {
        self.ends(at_ms, 0, HangupCause::Canceled, HangupSource::Caller)
    }

    pub(crate) fn requested(mut self, at_ms: u64, cause: HangupCause, source: HangupSource) -> Self {
        self.at(ms(at_ms), Input::HangupRequested { end: end(cause, source) });
        self
    }

    /// Runs until the call is over.
    pub(crate) fn run(mut self) -> Self {
        for _ in 0..MAX_ROUNDS {
            if !self.round() {
                assert!(self.call.is_finished(), "stuck without a deadline:\n{}", self.lines.join("\n"));
                assert_eq!(self.laws.finished, 1);
                self.nothing_follows();
                return self;
            }
        }
        panic!("no end after {MAX_ROUNDS} rounds");
    }

    /// A finished call hears nothing more.
    fn nothing_follows(&mut self) {
        let over = end(HangupCause::NormalHangup, HangupSource::Caller);
        for input in [
            Input::Start,
            Input::LegEnded { leg: Leg::A, end: over, sip_status: None },
            Input::LegAnswered { leg: Leg::A },
            Input::HangupRequested { end: over },
            Input::Deadline,
        ] {
            self.call.handle(self.origin + self.now, input);
            assert!(self.call.poll().is_none() && self.call.deadline().is_none());
        }
    }

    /// Runs up to a time.
    pub(crate) fn run_until(mut self, until_ms: u64) -> Self {
        while self.next_at().is_some_and(|at| at <= ms(until_ms)) && self.round() {}
        self
    }

    /// Does what is due next; `false` when nothing is.
    pub(crate) fn round(&mut self) -> bool {
        let Some(at) = self.next_at() else { return false };
        self.now = self.now.max(at);
        let now = self.origin + self.now;
        match self.due.first_entry().filter(|entry| entry.key().0 <= at) {
            Some(entry) => {
                let input = entry.remove();
                self.hand_in(now, input);
            }
            None => {
                self.call.handle(now, Input::Deadline);
                assert!(self.call.deadline().is_none_or(|deadline| deadline > now), "a deadline that stays");
            }
        }
        while let Some(effect) = self.call.poll() {
            self.laws.ordered(&effect);
            self.note(&effect);
            self.perform(&effect);
            self.effects.push((self.now, effect));
        }
        true
    }

    fn next_at(&self) -> Option<Duration> {
        if self.call.is_finished() {
            return None;
        }
        let due = self.due.first_key_value().map(|((at, _), _)| *at);
        let deadline = self.call.deadline().map(|at| at.saturating_duration_since(self.origin));
        [due, deadline].into_iter().flatten().min()
    }

    /// The caller of every recording falls silent.
    pub(crate) fn silence(mut self, at_ms: u64) -> Self {
        for n in 1..=9 {
            self.recording_ends(ms(at_ms), RecordingName(n), RecordingEndReason::RecordingTimeout);
        }
        self
    }

    fn recording_ends(&mut self, at: Duration, recording: RecordingName, reason: RecordingEndReason) {
        let result = RecordingResult {
            reason,
            digits: String::new(),
            started_at: facts().started_at,
            ended_at: facts().started_at,
            duration_ms: 0,
            error: None,
        };
        self.at(at, Input::RecordingDone { recording, result: Box::new(result) });
    }

    /// Fills in what became of a recording; `None`: it is over already.
    fn recorded(&mut self, recording: RecordingName, mut result: RecordingResult) -> Option<RecordingResult> {
        let (began, told) = self.recordings.remove(&recording)?;
        if let Some((reason, digits)) = told {
            (result.reason, result.digits) = (reason, digits);
        }
        let at = |time: Duration| facts().started_at + time;
        (result.started_at, result.ended_at) = (at(began), at(self.now));
        result.duration_ms = self.now.saturating_sub(began).as_millis() as u64;
        Some(result)
    }

    pub(crate) fn hand_in(&mut self, now: Instant, input: Input) {
        let input = match input {
            Input::RecordingDone { recording, result } => match self.recorded(recording, *result) {
                Some(result) => Input::RecordingDone { recording, result: Box::new(result) },
                None => return,
            },
            other => other,
        };
        match &input {
            Input::LegAnswered { leg } => self.laws.leg_answered(*leg),
            Input::LegEnded { leg, .. }
            | Input::LegRefused { leg, .. }
            | Input::Released { leg }
            | Input::Transfer { releasing: Some(leg), .. } => self.laws.leg_ended(*leg),
            Input::PlaybackDone { playback, .. } => self.laws.playback_done(*playback),
            _ => {}
        }
        self.lines.push(format!("{} <- {}", self.stamp(), heard(&input)));
        self.call.handle(now, input);
    }

    /// What an engine would report of an order carried out.
    fn perform(&mut self, effect: &Effect) {
        let soon = self.now + ms(10);
        match effect {
            Effect::Answer => self.at(soon, Input::LegAnswered { leg: Leg::A }),
            Effect::Reject { end, .. } | Effect::Hangup { end } => {
                self.at(soon, Input::LegEnded { leg: Leg::A, end: *end, sip_status: None });
            }
            Effect::Fetch { fetch, request } => {
                let result = self.serve(request);
                self.at(self.now + ms(100), Input::Fetched { fetch: *fetch, result });
            }
            Effect::Prepare { preparation, .. } if self.sounds_are_ready => {
                self.at(self.now, Input::Prepared { preparation: *preparation });
            }
            Effect::Play { playback, loops: Loops::Times(times), .. } => {
                let done = Input::PlaybackDone { playback: *playback, outcome: PlaybackOutcome::Completed };
                self.at(self.now + Duration::from_secs(1) * *times, done);
            }
            Effect::SendDigits { leg, digits } => {
                let time = digits.chars().map(|key| match key {
                    'w' => ms(500),
                    'W' => ms(1000),
                    _ => ms(160),
                });
                self.at(self.now + time.sum::<Duration>(), Input::DigitsSent { leg: *leg });
            }
            Effect::StartRecording { recording, order, .. } => {
                self.recordings.insert(*recording, (self.now, None));
                let id = RecordingId(uuid::Uuid::from_u128(u128::from(recording.0)));
                let url = format!("https://media.example/Recording/{id}.{}", order.format.as_str());
                self.at(self.now, Input::RecordingStarted { recording: *recording, id, url });
                self.recording_ends(self.now + order.max_length, *recording, RecordingEndReason::MaxLength);
            }
            Effect::StopRecording { recording, reason, digits, .. } => {
                if let Some((_, told)) = self.recordings.get_mut(recording) {
                    told.get_or_insert((*reason, digits.clone()));
                    self.recording_ends(soon, *recording, *reason);
                }
            }
            Effect::Dial { leg, order } if order.target != DialTarget::AdmittedRoutes => {
                let (from, to) = (order.caller_id.clone().unwrap_or(facts().from), callee(&order.target));
                let facts = CallFacts {
                    call: call_id(0xB0 + u128::from(leg.0)),
                    direction: CallDirection::Outbound,
                    from: from.trim_start_matches('+').to_owned(),
                    to: to.trim_start_matches('+').to_owned(),
                    ..facts()
                };
                self.at(self.now, Input::LegAdmitted { leg: *leg, facts: Box::new(facts) });
            }
            _ => {}
        }
    }

    fn serve(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let failure = match self.pages.get(&request.url) {
            Some(Ok(xml)) => return Ok(Fetched { body: xml.clone().into_bytes(), url: request.url.clone() }),
            Some(Err(failure)) => *failure,
            None => FetchFailure::Status(404),
        };
        Err(FetchError { failure, words: format!("{failure:?}") })
    }

    fn stamp(&self) -> String {
        format!("{:>9.3}", self.now.as_secs_f64())
    }

    fn note(&mut self, effect: &Effect) {
        self.lines.push(format!("{} -> {}", self.stamp(), told(effect)));
    }
}

/// What tests ask afterwards.
impl Driver {
    pub(crate) fn trace(&self) -> String {
        self.lines.join("\n")
    }

    pub(crate) fn finished(&self) -> End {
        let finished = self.effects.iter().find_map(|(_, effect)| match effect {
            Effect::Finished(end) => Some(*end),
            _ => None,
        });
        finished.expect("the call is over")
    }

    /// The names of orders of interest, in order.
    pub(crate) fn story(&self) -> Vec<String> {
        let telling = |effect: &Effect| match effect {
            Effect::Trace(_) | Effect::Prepare { .. } => None,
            Effect::Notify(notice) => Some(parameter(&notice.params, "Event")),
            Effect::Fetch { request, .. } => {
                Some(format!("Fetch {}", request.url.rsplit('/').next().unwrap()))
            }
            effect => Some(told(effect).split([' ', '(']).next().unwrap().to_owned()),
        };
        self.effects.iter().filter_map(|(_, effect)| telling(effect)).collect()
    }

    /// When an order of this name came first, in milliseconds.
    pub(crate) fn time_of(&self, name: &str) -> Option<u128> {
        let is = |effect: &Effect| told(effect).split([' ', '(']).next() == Some(name);
        self.effects.iter().find(|(_, effect)| is(effect)).map(|(at, _)| at.as_millis())
    }

    pub(crate) fn fetches(&self) -> Vec<&FetchRequest> {
        let fetch = |effect| match effect {
            &(_, Effect::Fetch { ref request, .. }) => Some(&**request),
            _ => None,
        };
        self.effects.iter().filter_map(fetch).collect()
    }

    pub(crate) fn notices(&self) -> Vec<&Notice> {
        let notice = |effect| match effect {
            &(_, Effect::Notify(ref notice)) => Some(&**notice),
            _ => None,
        };
        self.effects.iter().filter_map(notice).collect()
    }

    pub(crate) fn spoken(&self) -> Vec<&str> {
        let text = |effect| match effect {
            &(_, Effect::Play { sound: Sound::Speech { ref text, .. }, .. }) => Some(text.as_str()),
            _ => None,
        };
        self.effects.iter().filter_map(text).collect()
    }
}

pub(crate) fn parameter(params: &[(std::borrow::Cow<'static, str>, String)], name: &str) -> String {
    let mut values = params.iter().filter(|(it, _)| it == name).map(|(_, value)| value.clone());
    values.next().unwrap_or_else(|| panic!("no parameter {name} in {params:?}"))
}
