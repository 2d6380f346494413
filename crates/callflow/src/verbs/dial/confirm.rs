//! The question put to a callee who answered: a sound, then a key, before anybody is joined.

use std::time::{Duration, Instant};

use std::sync::Arc;

use tandem_model::HttpMethod;
use tandem_model::ports::FetchKind;

use crate::address::Target;
use crate::document;
use crate::input::Input;
use crate::leg::{FetchId, Leg};
use crate::session::{Load, Session};
use crate::verbs::Prompter;

/// What `confirmSound`, `confirmKey` and `confirmTimeout` ask for.
#[derive(Clone, Debug)]
pub(super) struct Question {
    /// URL of a document that is only heard.
    pub(super) sound: Option<String>,
    /// The key that accepts the call.
    pub(super) key: Option<char>,
    /// How long the callee has, from its answer.
    pub(super) timeout: Duration,
}

/// A callee being asked.
#[derive(Debug)]
pub(super) struct Confirming {
    leg: Leg,
    key: Option<char>,
    until: Instant,
    fetch: Option<FetchId>,
    prompter: Option<Prompter>,
}

/// How it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Open,
    Accepted,
    Failed,
}

impl Confirming {
    /// Asks.
    pub(super) fn start(now: Instant, session: &mut Session, leg: Leg, question: &Question) -> Self {
        let fetch = question.sound.as_ref().and_then(|url| {
            let target = Target { url: url.clone(), method: Some(HttpMethod::Post) };
            let parameters = Arc::new(session.parameters("ConfirmSound"));
            let load = Load { kind: FetchKind::Sound, target, parameters };
            let fetch = session.fetch(&load);
            if fetch.is_err() {
                session.trace("confirmSound is no http or https URL: nothing is said");
            }
            fetch.ok()
        });
        Self { leg, key: question.key, until: now + question.timeout, fetch, prompter: None }
    }

    /// Takes in what happened.
    pub(super) fn hear(&mut self, now: Instant, session: &mut Session, input: &Input) -> Verdict {
        match input {
            Input::Digit { leg, digit } if *leg == self.leg && self.key == Some(*digit) => {
                self.stop(session);
                return Verdict::Accepted;
            }
            Input::Fetched { fetch, result } if self.fetch == Some(*fetch) => {
                self.fetch = None;
                let read = result.as_ref().map_err(ToString::to_string).and_then(|fetched| {
                    let cues = document::parse_sounds(&fetched.body).map_err(|error| error.to_string())?;
                    Ok(cues.into_iter().map(|cue| cue.based_on(&fetched.url)).collect::<Vec<_>>())
                });
                match read {
                    Ok(cues) => self.prompter = Some(Prompter::start(now, session, self.leg, cues)),
                    Err(why) => session.trace(format!("confirmSound is not heard: {why}")),
                }
            }
            input => {
                if let Some(prompter) = &mut self.prompter {
                    prompter.hear(now, session, input);
                }
                if matches!(input, Input::Deadline) && now >= self.until {
                    self.stop(session);
                    return Verdict::Failed;
                }
            }
        }
        self.verdict()
    }

    /// Without a key, to have heard it all is enough.
    pub(super) fn verdict(&self) -> Verdict {
        let all_heard = self.fetch.is_none() && self.prompter.as_ref().is_none_or(Prompter::is_over);
        if self.key.is_none() && all_heard { Verdict::Accepted } else { Verdict::Open }
    }

    /// When it wants [`Input::Deadline`].
    pub(super) fn due(&self) -> Option<Instant> {
        [Some(self.until), self.prompter.as_ref().and_then(Prompter::due)].into_iter().flatten().min()
    }

    /// Falls silent. Not for a leg that is gone.
    pub(super) fn stop(&mut self, session: &mut Session) {
        if let Some(mut prompter) = self.prompter.take() {
            prompter.fall_silent(session);
        }
    }
}
