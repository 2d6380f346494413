//! One party on the stage: it goes through its steps, by what it sees, hears and is told.
//!
//! [`Actor::handle`] takes one input; [`Actor::poll`] gives what to do, [`Actor::outcome`] what became of steps, until
//! both are empty; [`Actor::deadline`] says when to come again with [`Input::Timeout`]. `check` judges steps,
//! `ending` the whole call.

mod check;
mod ending;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use self::check::State;
use crate::hearing::Hearing;
use crate::outcome::{Outcome, Verdict};
use crate::script::{Ask, Awaited, Deed, EndedBy, KeyBy, Party, Pitch, Role, Sound};
use crate::webhooks::Received;

/// After the last step the platform has so long to acknowledge the end.
const FAREWELL: Duration = Duration::from_secs(5);

/// What an actor is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// The platform calls it.
    Called,
    /// It rings at the far side.
    Ringing,
    /// A provisional answer with media came.
    EarlyMedia,
    /// The call was answered, by either side.
    Answered,
    /// A packet's audio.
    Heard(&'a [i16]),
    /// A key by telephone-event or INFO.
    Key(char),
    /// What a command with this id asked for has been done.
    Done(u32),
    /// It cannot be done.
    Failed(u32, String),
    /// A request came to the script's web server.
    Webhook(Arc<Received>),
    /// The call is over.
    Ended(CallEnd),
    /// Time passes.
    Timeout,
    /// The script ends now, and why.
    Abort(String),
}

/// How a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallEnd {
    /// Final SIP status; 200 for an answered call, 0 where none came.
    pub status: u16,
    /// Its phrase.
    pub phrase: String,
    /// The Reason header, as `Q.850;cause=16`.
    pub reason: Option<String>,
    /// Who ended it.
    pub by: EndedBy,
}

/// What an actor wants done.
#[derive(Clone, Debug)]
pub enum Command {
    /// Place the call.
    Dial,
    /// Say 180.
    Ring,
    /// Say 200.
    Answer,
    /// Refuse with this status.
    Refuse(u16),
    /// Say something, then tell [`Input::Done`].
    Sound(u32, Sound),
    /// Press keys, then tell.
    Press(u32, String, KeyBy),
    /// Keep what is heard from here on.
    Record(PathBuf),
    /// Send a request, then tell.
    Request(u32, Ask),
    /// Say BYE, or CANCEL.
    HangUp,
}

/// One party.
pub struct Actor {
    party: Arc<Party>,
    started: Instant,
    stage: Stage,
    /// The step being done.
    index: usize,
    step: Doing,
    hearing: Hearing,
    call: CallFacts,
    /// Requests to the web server that no step has taken.
    requests: Vec<Arc<Received>>,
    commands: VecDeque<Command>,
    outcomes: VecDeque<Outcome>,
    has_missed: bool,
    wake: Option<Instant>,
}

/// How far a party has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It dials at this time.
    Waiting(Instant),
    /// It goes through its steps.
    Acting,
    /// It is done; its call must end by this time.
    Leaving(Instant),
    /// All is said.
    Over,
}

/// The step being done.
#[derive(Clone, Debug)]
struct Doing {
    began: Instant,
    /// What it does has begun.
    acted: Option<Instant>,
    /// What it does has been done.
    result: Option<Result<(), String>>,
}

/// What is known of the call.
#[derive(Clone, Debug, Default)]
struct CallFacts {
    dialled: Option<Instant>,
    called: Option<Instant>,
    rang: Option<Instant>,
    early_media: Option<Instant>,
    /// Audio before the answer.
    early_audio: bool,
    answered: Option<Instant>,
    /// The first loud audio after the answer.
    first_audio: Option<Instant>,
    ended: Option<(Instant, CallEnd)>,
    hung_up: bool,
}

impl Actor {
    /// A party whose script starts now.
    pub fn new(party: Arc<Party>, now: Instant) -> Self {
        let stage = match &party.role {
            Role::Dials(dialling) => Stage::Waiting(now + dialling.after),
            Role::Answers(_) => Stage::Acting,
        };
        let hearing = Hearing::new(pitches(&party));
        Self {
            party,
            started: now,
            stage,
            index: 0,
            step: Doing { began: now, acted: None, result: None },
            hearing,
            call: CallFacts::default(),
            requests: Vec::new(),
            commands: VecDeque::new(),
            outcomes: VecDeque::new(),
            has_missed: false,
            wake: None,
        }
    }

    /// Takes one input.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Called => {
                self.call.called.get_or_insert(now);
                if self.party.steps.iter().any(|step| matches!(step.deed, Deed::Answer(_))) {
                    self.commands.push_back(Command::Ring);
                }
            }
            Input::Ringing => _ = self.call.rang.get_or_insert(now),
            Input::EarlyMedia => _ = self.call.early_media.get_or_insert(now),
            Input::Answered => _ = self.call.answered.get_or_insert(now),
            Input::Heard(samples) => self.hear(now, samples),
            Input::Key(key) => self.hearing.on_key(now, key),
            Input::Done(id) if id == self.index as u32 => self.step.result = Some(Ok(())),
            Input::Failed(id, why) if id == self.index as u32 => self.step.result = Some(Err(why)),
            Input::Done(_) | Input::Failed(..) | Input::Timeout => {}
            Input::Webhook(request) => self.requests.push(request),
            Input::Ended(end) => _ = self.call.ended.get_or_insert((now, end)),
            Input::Abort(why) => self.abort(now, &why),
        }
        self.advance(now);
    }

    /// What to do next.
    pub fn poll(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// What became of a step.
    pub fn outcome(&mut self) -> Option<Outcome> {
        self.outcomes.pop_front()
    }

    /// When time itself changes something.
    pub fn deadline(&self) -> Option<Instant> {
        match self.stage {
            Stage::Waiting(at) | Stage::Leaving(at) => Some(at),
            Stage::Over => None,
            Stage::Acting => self.wake,
        }
    }

    /// Nothing more will come of it.
    pub fn is_over(&self) -> bool {
        self.stage == Stage::Over
    }

    /// When its call was over, or it gave up.
    pub fn ended_at(&self) -> Option<Instant> {
        self.call.ended.as_ref().map(|(at, _)| *at)
    }

    fn hear(&mut self, now: Instant, samples: &[i16]) {
        self.hearing.on_audio(now, samples);
        match (self.call.answered, self.hearing.last_loud()) {
            (None, Some(_)) => self.call.early_audio = true,
            (Some(answered), Some(last)) if last > answered => {
                let began = self.hearing.sounding(now).map_or(last, |sound| sound.began);
                _ = self.call.first_audio.get_or_insert(began.max(answered));
            }
            _ => {}
        }
    }

    /// Goes on as far as it can.
    fn advance(&mut self, now: Instant) {
        loop {
            match self.stage {
                Stage::Waiting(at) if at <= now => {
                    self.commands.push_back(Command::Dial);
                    self.call.dialled = Some(now);
                    self.step.began = now;
                    self.stage = Stage::Acting;
                }
                Stage::Waiting(_) | Stage::Over => return,
                Stage::Acting if self.index >= self.party.steps.len() => self.leave(now),
                Stage::Acting => match self.check(now) {
                    State::Pending(wake) => {
                        self.wake = wake;
                        return;
                    }
                    State::Act(command) => {
                        self.step.acted = Some(now);
                        self.commands.push_back(command);
                    }
                    State::Over(verdict) => self.step_is_over(now, verdict),
                },
                Stage::Leaving(by) => {
                    let has_call = self.call.dialled.is_some() || self.call.called.is_some();
                    if has_call && self.call.ended.is_none() && now < by {
                        return;
                    }
                    self.stage = Stage::Over;
                    if !self.has_missed {
                        let at_ms = self.ms(now);
                        let judged =
                            ending::judge(&self.party.expect, &self.call, self.hearing.all_keys(), at_ms);
                        self.outcomes.extend(judged);
                    }
                }
            }
        }
    }

    fn step_is_over(&mut self, now: Instant, verdict: Verdict) {
        let missed = matches!(verdict, Verdict::Missed { .. });
        let deed = self.party.steps.get(self.index).map(|step| &step.deed);
        if matches!(deed, Some(Deed::Expect(_))) {
            self.hearing.judge(now);
        }
        self.note(now, verdict);
        self.index += 1;
        self.step = Doing { began: now, acted: None, result: None };
        if missed {
            self.skip_the_rest(now);
            self.leave(now);
        }
    }

    fn skip_the_rest(&mut self, now: Instant) {
        self.has_missed = true;
        while self.index < self.party.steps.len() {
            self.note(now, Verdict::Skipped);
            self.index += 1;
        }
    }

    fn leave(&mut self, now: Instant) {
        if self.call.ended.is_none() && !self.call.hung_up {
            self.call.hung_up = true;
            self.commands.push_back(Command::HangUp);
        }
        self.stage = Stage::Leaving(now + FAREWELL);
    }

    fn abort(&mut self, now: Instant, why: &str) {
        if matches!(self.stage, Stage::Waiting(_) | Stage::Acting) && self.index < self.party.steps.len() {
            let title = self.party.steps.get(self.index).map(|step| step.title.clone()).unwrap_or_default();
            self.note(now, Verdict::missed(title, why));
            self.index += 1;
        }
        self.skip_the_rest(now);
        self.leave(now);
        self.stage = Stage::Over;
    }

    fn note(&mut self, now: Instant, verdict: Verdict) {
        let Some(step) = self.party.steps.get(self.index) else { return };
        let outcome = Outcome {
            step: Some(self.index + 1),
            title: step.title.clone(),
            line: step.place.line,
            at_ms: self.ms(now),
            took_ms: now.saturating_duration_since(self.step.began).as_millis() as u64,
            verdict,
        };
        self.outcomes.push_back(outcome);
    }

    fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_millis() as u64
    }
}

/// The tones that a party's steps ask for.
fn pitches(party: &Party) -> Vec<Pitch> {
    let mut found = Vec::new();
    for step in &party.steps {
        let pitch = match &step.deed {
            Deed::Wait(wait) => match wait.what {
                Awaited::Tone(pitch) => Some(pitch),
                _ => None,
            },
            Deed::Expect(heard) => heard.tone.map(|(pitch, _)| pitch),
            _ => None,
        };
        found.extend(pitch.filter(|pitch| !found.contains(pitch)));
    }
    found
}
