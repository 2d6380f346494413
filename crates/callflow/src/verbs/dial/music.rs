//! What the caller hears instead of ringing: `dialMusic`, a sound file or a document of Play, Speak and Wait, over and
//! over. Before the caller is answered it is early media.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tandem_model::HttpMethod;
use tandem_model::ports::{FetchFailure, FetchKind};

use crate::address::Target;
use crate::document;
use crate::effect::Loops;
use crate::input::Input;
use crate::leg::{FetchId, Leg};
use crate::session::{Load, Session};
use crate::verbs::{Cue, Prompter};

/// Ends of paths that name sound files; anything else is asked for a document first.
const FILES: [&str; 7] = [".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".ulaw"];
/// A round of music shorter than this is no music: repeating it would only keep the server busy.
const SHORTEST_ROUND: Duration = Duration::from_millis(100);

/// Music for the caller.
#[derive(Debug)]
pub(super) struct Music {
    url: String,
    fetch: Option<FetchId>,
    cues: Vec<Cue>,
    prompter: Option<Prompter>,
    round_began: Instant,
}

/// Whether it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tune {
    Plays,
    /// It cannot be had: the caller hears ringing.
    Failed,
}

impl Music {
    /// Begins, or asks for what to play; `None` when the URL is none.
    pub(super) fn start(now: Instant, session: &mut Session, url: &str) -> Option<Self> {
        let mut music =
            Self { url: url.to_owned(), fetch: None, cues: Vec::new(), prompter: None, round_began: now };
        let path = url.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
        if FILES.iter().any(|end| path.ends_with(end)) {
            let url = session.resolve(url)?;
            music.play(now, session, vec![Cue::File { url, loops: Loops::Forever }]);
            return Some(music);
        }
        let target = Target { url: url.to_owned(), method: Some(HttpMethod::Post) };
        let parameters = Arc::new(session.parameters("DialMusic"));
        let fetch = session.fetch(&Load { kind: FetchKind::Sound, target, parameters }).ok()?;
        music.fetch = Some(fetch);
        Some(music)
    }

    /// Takes in what happened.
    pub(super) fn hear(&mut self, now: Instant, session: &mut Session, input: &Input) -> Tune {
        if let Input::Fetched { fetch, result } = input
            && self.fetch == Some(*fetch)
        {
            self.fetch = None;
            let cues = match result {
                Ok(fetched) => document::parse_sounds(&fetched.body).map_or_else(
                    // It was the file itself.
                    |_| vec![Cue::File { url: fetched.url.clone(), loops: Loops::Forever }],
                    |cues| cues.into_iter().map(|cue| cue.based_on(&fetched.url)).collect(),
                ),
                Err(error) if error.failure == FetchFailure::TooLarge => {
                    vec![Cue::File { url: self.url.clone(), loops: Loops::Forever }]
                }
                Err(error) => {
                    session.trace(format!("dialMusic is not heard: {error}"));
                    return Tune::Failed;
                }
            };
            self.play(now, session, cues);
        } else if let Some(prompter) = &mut self.prompter {
            prompter.hear(now, session, input);
        }
        self.go_round(now, session)
    }

    fn go_round(&mut self, now: Instant, session: &mut Session) -> Tune {
        let over = self.prompter.as_ref().is_some_and(Prompter::is_over);
        if !over {
            return Tune::Plays;
        }
        let heard = self.prompter.as_ref().is_some_and(Prompter::has_played);
        if !heard || now.saturating_duration_since(self.round_began) < SHORTEST_ROUND {
            return Tune::Failed;
        }
        let cues = self.cues.clone();
        self.play(now, session, cues);
        if self.prompter.as_ref().is_some_and(Prompter::is_over) { Tune::Failed } else { Tune::Plays }
    }

    fn play(&mut self, now: Instant, session: &mut Session, cues: Vec<Cue>) {
        self.round_began = now;
        self.cues.clone_from(&cues);
        self.prompter = Some(Prompter::start(now, session, Leg::A, cues));
    }

    /// When it wants [`Input::Deadline`].
    pub(super) fn due(&self) -> Option<Instant> {
        self.prompter.as_ref().and_then(Prompter::due)
    }

    /// Ends.
    pub(super) fn stop(&mut self, session: &mut Session) {
        self.fetch = None;
        if let Some(mut prompter) = self.prompter.take() {
            prompter.fall_silent(session);
        }
    }
}
