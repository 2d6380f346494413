//! One call: the interpreter. Runs documents verb by verb, answers A when the first verb needs it, fetches
//! what comes next, and sees to it that the call ends once.

mod apology;
mod failure;
mod transfer;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_model::ports::{FetchError, FetchKind, Fetched};
use tandem_model::{ApplicationPlan, HangupCause, HangupSource, UrlCall};

use self::apology::Apology;
use self::failure::Failure;
use crate::address::Target;
use crate::bridge::Bridge;
use crate::document::{self, Reading};
use crate::effect::{Effect, Sound};
use crate::input::Input;
use crate::leg::{End, FetchId, Leg, PlaybackId};
use crate::session::{ALeg, BadTarget, Load, Session};
use crate::setup::{CallSetup, Program};
use crate::verbs::{Placed, Running, Started, Step};

/// How long A may take to end once told to: past the last retransmission of BYE (RFC 3261 Timer F, 32 s).
const ENDING_GRACE: Duration = Duration::from_secs(40);

/// How long A rings on while the first sound of a document is made ready: an answer before it bills silence.
const PREPARATION_MAX: Duration = Duration::from_secs(2);

/// Spoken texts of a document that are made ready before their turn.
const PREPARED_AHEAD: usize = 4;

/// The window of [`Limits::documents_per_minute`](crate::Limits::documents_per_minute).
const DOCUMENT_WINDOW: Duration = Duration::from_mins(1);

/// Longest [`Call::failure`], characters; what is beyond is cut.
pub const FAILURE_MAX: usize = 300;

/// The brain of one call. See the crate's page for how to drive it.
#[derive(Debug)]
pub struct Call {
    session: Session,
    program: Program,
    reading: Reading,
    apology: String,
    max_duration: Duration,
    /// When `max_duration` is over.
    limit_at: Instant,
    activity: Activity,
    /// Verbs of the running document that have not begun.
    verbs: VecDeque<Placed>,
    /// The sounds of the running document have been made ready ahead.
    prepared: bool,
    /// When documents were asked for, within the last minute.
    documents: VecDeque<Instant>,
    /// Why no document could be had, while none could.
    failure: Option<String>,
}

/// What the call is about.
#[derive(Debug)]
enum Activity {
    /// Nothing yet.
    New,
    /// A document is on its way.
    Fetching { fetch: FetchId, load: Load, first_failure: Option<HangupCause> },
    /// What this will play is being made ready; A is answered then.
    Preparing { preparation: PlaybackId, placed: Placed, until: Instant },
    /// A is being answered; this comes then.
    Answering(AfterAnswer),
    /// A verb, a bridge or an apology is under way.
    Running(Box<dyn Running>),
    /// A has been told to go.
    Ending { end: End, until: Instant },
    /// `Finished` is given out.
    Finished,
}

#[derive(Debug)]
enum AfterAnswer {
    Verb(Placed),
    Apology(End),
}

impl Call {
    /// A call to which nothing has happened yet. [`Input::Start`] sets it going.
    pub fn new(now: Instant, setup: CallSetup) -> Self {
        let mut session = Session::new(setup.facts, setup.a_leg, setup.early_media, setup.limits);
        if let Program::Document(plan) = &setup.program {
            session.input.clone_from(&plan.input);
        }
        Self {
            session,
            program: setup.program,
            reading: setup.reading,
            apology: setup.apology,
            max_duration: setup.max_duration,
            limit_at: now + setup.max_duration,
            activity: Activity::New,
            verbs: VecDeque::new(),
            prepared: false,
            documents: VecDeque::new(),
            failure: None,
        }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match (&self.activity, input) {
            (Activity::Finished, _) => {}
            (_, Input::LegEnded { leg: Leg::A, end, .. }) => self.a_ended(now, end),
            (Activity::Ending { end, until }, input) => {
                if matches!(input, Input::Deadline) && now >= *until {
                    self.finish(*end);
                }
            }
            (Activity::New, Input::Start) => self.start(now),
            (_, Input::Transfer { to, releasing }) => self.transfer(now, &to, releasing),
            (_, Input::Released { leg }) => self.released(now, leg),
            (_, Input::HangupRequested { end }) => self.end_now(now, end),
            (_, Input::LegAnswered { leg: Leg::A }) => self.a_answered(now),
            (_, Input::Fetched { fetch, result }) => self.fetched(now, fetch, result),
            (_, Input::Prepared { preparation }) => self.prepared(preparation),
            (_, Input::Deadline) => self.timer(now),
            (_, Input::RecordingStarted { recording, id, url }) => {
                self.session.recording_started(recording, id);
                self.step(now, &Input::RecordingStarted { recording, id, url });
            }
            (_, input) => self.step(now, &input),
        }
    }

    /// The next order; `None` until something more happens.
    pub fn poll(&mut self) -> Option<Effect> {
        self.session.take_effect()
    }

    /// When [`Input::Deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.activity {
            Activity::Finished => None,
            Activity::Ending { until, .. } => Some(*until),
            activity => {
                let running = match activity {
                    Activity::Running(running) => running.deadline(),
                    Activity::Preparing { until, .. } => Some(*until),
                    _ => None,
                };
                [Some(self.limit_at), self.session.scheduled_hangup, running].into_iter().flatten().min()
            }
        }
    }

    /// The leg that A talks with: the one the API means by `bleg`.
    pub fn partner(&self) -> Option<Leg> {
        match &self.activity {
            Activity::Running(running) => running.partner(),
            _ => None,
        }
    }

    /// Why the documents of a call that ended for want of one could not be had, for the author; at most
    /// [`FAILURE_MAX`] characters. `None` while the call lives, and when it ended otherwise.
    pub fn failure(&self) -> Option<&str> {
        self.failure.as_deref().filter(|_| self.is_finished())
    }

    /// Whether the keys pressed now may be shown to nobody: the document gathers them with `log="false"`.
    pub fn keeps_keys_secret(&self) -> bool {
        matches!(&self.activity, Activity::Running(running) if running.keeps_keys_secret())
    }

    /// Whether [`Effect::Finished`] has been given out or waits to be.
    pub fn is_finished(&self) -> bool {
        matches!(self.activity, Activity::Finished)
    }
}

/// What happens to the call as a whole.
impl Call {
    fn start(&mut self, now: Instant) {
        match &self.program {
            Program::Bridge { ring_timeout } => {
                let bridge = Bridge::start(now, &mut self.session, *ring_timeout);
                self.activity = Activity::Running(Box::new(bridge));
            }
            Program::Transferred(to) => {
                let to = to.clone();
                self.load_transfer(now, &to);
            }
            Program::Document(plan) => {
                let target = target(&plan.answer);
                if self.session.a() == ALeg::Unanswered {
                    self.session.emit(Effect::Ring);
                }
                let parameters = Arc::new(self.session.parameters("StartApp"));
                self.load(now, Load { kind: FetchKind::Answer, target, parameters }, None);
            }
        }
    }

    fn a_answered(&mut self, now: Instant) {
        if self.session.a() != ALeg::Answering {
            return;
        }
        self.session.answered();
        self.limit_at = now + self.max_duration;
        match std::mem::replace(&mut self.activity, Activity::New) {
            Activity::Answering(AfterAnswer::Verb(placed)) => {
                if let Some(step) = self.run(now, placed) {
                    self.apply(now, step);
                }
            }
            Activity::Answering(AfterAnswer::Apology(end)) => self.apologise(now, end),
            activity => {
                self.activity = activity;
                self.step(now, &Input::LegAnswered { leg: Leg::A });
            }
        }
    }

    /// A is gone: nothing more is run, the verb under way leaves nothing behind.
    fn a_ended(&mut self, now: Instant, end: End) {
        let end = match &self.activity {
            Activity::Ending { end, .. } => *end,
            _ => end,
        };
        self.session.a_ends(end);
        self.abandon(now, end);
        self.finish(end);
    }

    fn timer(&mut self, now: Instant) {
        let scheduled = self.session.scheduled_hangup.is_some_and(|at| now >= at);
        if scheduled || now >= self.limit_at {
            self.end_now(now, End::new(HangupCause::ScheduledHangup, HangupSource::Vobiz));
        } else if let Activity::Preparing { preparation, until, .. } = &self.activity {
            if now >= *until {
                self.session.trace("answered before the first sound is ready");
                self.prepared(*preparation);
            }
        } else {
            self.step(now, &Input::Deadline);
        }
    }

    /// Ends the call whatever is under way.
    fn end_now(&mut self, now: Instant, end: End) {
        let sip_status = end.cause.sip_status();
        self.end(now, end, sip_status);
    }

    /// Tells A to go.
    fn end(&mut self, now: Instant, end: End, sip_status: u16) {
        let answered = self.session.a();
        self.session.a_ends(end);
        self.abandon(now, end);
        self.verbs.clear();
        self.session.emit(match answered {
            ALeg::Unanswered => Effect::Reject { end, sip_status },
            ALeg::Answering | ALeg::Answered | ALeg::Ended(_) => Effect::Hangup { end },
        });
        self.activity = Activity::Ending { end, until: now + ENDING_GRACE };
    }

    fn abandon(&mut self, now: Instant, end: End) {
        if let Activity::Running(running) = &mut self.activity {
            running.abandon(now, &mut self.session, end);
        }
    }

    fn finish(&mut self, end: End) {
        self.verbs.clear();
        // Who hangs up while the apology is spoken ends the call himself.
        self.failure = self.failure.take().filter(|_| end.source == HangupSource::Error);
        self.activity = Activity::Finished;
        self.session.emit(Effect::Finished(end));
    }
}

/// Verbs.
impl Call {
    fn step(&mut self, now: Instant, input: &Input) {
        if let Activity::Running(running) = &mut self.activity {
            let step = running.step(now, &mut self.session, input);
            self.apply(now, step);
        }
    }

    fn apply(&mut self, now: Instant, step: Step) {
        match step {
            Step::Stay => {}
            Step::Next => self.advance(now),
            Step::Load(load) => self.load(now, *load, None),
            Step::End(end) => self.end_now(now, end),
            Step::Refuse(end, sip_status) => self.end(now, end, sip_status),
            Step::Broken(why) => self.broken(now, &why),
        }
    }

    /// Runs verbs until one waits or the document is over.
    fn advance(&mut self, now: Instant) {
        self.activity = Activity::New;
        while let Some(placed) = self.verbs.pop_front() {
            if placed.verb.needs_media(&self.session) {
                let preparation = self.prepare(&placed);
                if self.session.a() != ALeg::Answered {
                    return self.answer_for(now, placed, preparation);
                }
            }
            match self.run(now, placed) {
                None => return,
                Some(Step::Next | Step::Stay) => {}
                Some(step) => return self.apply(now, step),
            }
        }
        self.end_now(now, End::new(HangupCause::EndOfXml, HangupSource::AnswerXml));
    }

    /// Makes ready what a document will play, once: the first sound when A waits for it, and the next texts.
    fn prepare(&mut self, placed: &Placed) -> Option<PlaybackId> {
        if std::mem::replace(&mut self.prepared, true) {
            return None;
        }
        let mut sounds = placed.verb.sounds(&self.session).into_iter();
        let first = sounds.next().filter(|_| self.session.a() == ALeg::Unanswered);
        let ahead: Vec<Sound> = sounds
            .chain(self.verbs.iter().flat_map(|placed| placed.verb.sounds(&self.session)))
            .filter(|sound| matches!(sound, Sound::Speech { .. }))
            .take(PREPARED_AHEAD)
            .collect();
        let first = first.map(|sound| self.session.prepare(sound));
        for sound in ahead {
            self.session.prepare(sound);
        }
        first
    }

    /// Answers A for a verb, when what it begins with is ready.
    fn answer_for(&mut self, now: Instant, placed: Placed, preparation: Option<PlaybackId>) {
        if let Some(preparation) = preparation {
            self.activity = Activity::Preparing { preparation, placed, until: now + PREPARATION_MAX };
            return;
        }
        self.session.answer();
        self.activity = Activity::Answering(AfterAnswer::Verb(placed));
    }

    fn prepared(&mut self, preparation: PlaybackId) {
        if !matches!(&self.activity, Activity::Preparing { preparation: awaited, .. } if *awaited == preparation)
        {
            return;
        }
        if let Activity::Preparing { placed, .. } = std::mem::replace(&mut self.activity, Activity::New) {
            self.session.answer();
            self.activity = Activity::Answering(AfterAnswer::Verb(placed));
        }
    }

    /// Starts a verb; `None` when it goes on running.
    fn run(&mut self, now: Instant, placed: Placed) -> Option<Step> {
        self.session.trace(format!("<{}> (line {})", placed.name, placed.line));
        self.session.at_last_element = self.verbs.is_empty();
        match placed.verb.start(now, &mut self.session) {
            Started::Running(running) => {
                self.activity = Activity::Running(running);
                None
            }
            Started::Done(step) => Some(step),
        }
    }
}

/// Documents.
impl Call {
    fn load(&mut self, now: Instant, load: Load, first_failure: Option<HangupCause>) {
        self.verbs.clear();
        while self.documents.front().is_some_and(|at| now.saturating_duration_since(*at) >= DOCUMENT_WINDOW) {
            self.documents.pop_front();
        }
        let most = self.session.limits.documents_per_minute;
        if self.documents.len() >= most {
            let why = format!("more than {most} documents within a minute");
            return self.failed(now, load, first_failure, Failure::Unreachable, &why);
        }
        self.documents.push_back(now);
        match self.session.fetch(&load) {
            Ok(fetch) => self.activity = Activity::Fetching { fetch, load, first_failure },
            Err(bad) => {
                let why = match bad {
                    BadTarget::Url => format!("no http or https URL: {}", load.target.url),
                    BadTarget::Method => "neither GET nor POST".to_owned(),
                };
                self.failed(now, load, first_failure, Failure::of_target(bad), &why);
            }
        }
    }

    fn fetched(&mut self, now: Instant, fetch: FetchId, result: Result<Fetched, FetchError>) {
        if !matches!(&self.activity, Activity::Fetching { fetch: awaited, .. } if *awaited == fetch) {
            if self.session.is_for_sound(fetch) {
                return self.step(now, &Input::Fetched { fetch, result });
            }
            // An action with redirect="false": only its failure is of interest, and only to people.
            if let Err(error) = result {
                self.session.trace(format!("action failed, the document goes on: {error}"));
            }
            return;
        }
        let Activity::Fetching { load, first_failure, .. } =
            std::mem::replace(&mut self.activity, Activity::New)
        else {
            return;
        };
        let fetched = match result {
            Ok(fetched) => fetched,
            Err(error) => {
                let failure = Failure::of_fetch(error.failure);
                return self.failed(now, load, first_failure, failure, &error.words);
            }
        };
        match document::parse(&fetched.body, self.reading) {
            Ok(document) => {
                for warning in document.warnings() {
                    self.session.trace(warning);
                }
                self.session.document_url = fetched.url;
                self.failure = None;
                self.verbs = document.verbs.into();
                self.prepared = false;
                self.advance(now);
            }
            Err(error) => self.failed(now, load, first_failure, Failure::Xml, &error.to_string()),
        }
    }

    /// A document could not be had: the fallback instead, or the end.
    fn failed(
        &mut self,
        now: Instant,
        load: Load,
        first_failure: Option<HangupCause>,
        failure: Failure,
        why: &str,
    ) {
        let cause = first_failure.unwrap_or(failure.cause(load.kind));
        self.session.trace(format!("no document: {why}"));
        self.failure = Some(bounded(&match self.failure.take() {
            Some(first) => format!("{first}; the fallback: {why}"),
            None => format!("{}: {why}", cause.name()),
        }));
        if load.kind == FetchKind::Answer
            && let Some(fallback) = self.fallback()
        {
            let load = Load { kind: FetchKind::Fallback, target: fallback, parameters: load.parameters };
            return self.load(now, load, Some(cause));
        }
        self.apologise(now, End::new(cause, HangupSource::Error));
    }

    /// The document asks for something that is not there.
    fn broken(&mut self, now: Instant, why: &str) {
        self.verbs.clear();
        self.session.trace(why);
        let end = End::new(HangupCause::InternalError, HangupSource::Error);
        self.failure = Some(bounded(&format!("{}: {why}", end.cause.name())));
        self.activity = Activity::New;
        self.apologise(now, end);
    }

    fn fallback(&self) -> Option<Target> {
        let Program::Document(ApplicationPlan { fallback, .. }) = &self.program else { return None };
        fallback.as_ref().map(target)
    }

    /// Says sorry to A, answering it if need be, then ends.
    fn apologise(&mut self, now: Instant, end: End) {
        if self.apology.trim().is_empty() {
            return self.end_now(now, end);
        }
        if self.session.a() == ALeg::Answered {
            let apology = Apology::start(&mut self.session, self.apology.clone(), end);
            self.activity = Activity::Running(Box::new(apology));
        } else {
            self.session.answer();
            self.activity = Activity::Answering(AfterAnswer::Apology(end));
        }
    }
}

fn target(url: &UrlCall) -> Target {
    Target { url: url.url.clone(), method: Some(url.method) }
}

/// One line, cut where it is longer than anybody reads.
fn bounded(text: &str) -> String {
    let line = text.chars().map(|character| if character.is_control() { ' ' } else { character });
    if text.chars().count() <= FAILURE_MAX {
        return line.collect();
    }
    line.take(FAILURE_MAX - 1).chain(['…']).collect()
}
