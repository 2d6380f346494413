//! What became of one step or one demand.

use serde::Serialize;

use crate::problem::Place;

/// What became of a step, or of something that must be so at the end.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Outcome {
    /// Place in the list of steps, from 1; `None` for what is judged at the end.
    pub step: Option<usize>,
    /// As the script has it: `press: 1234#`.
    pub title: String,
    /// Line in the script.
    pub line: usize,
    /// Milliseconds from the script's start to its end.
    pub at_ms: u64,
    /// How long it took.
    pub took_ms: u64,
    /// What became of it.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "lowercase")]
pub enum Verdict {
    /// It is so.
    Held {
        /// What was seen or heard.
        heard: String,
    },
    /// It is not so.
    Missed {
        /// What should have been.
        expected: String,
        /// What was.
        heard: String,
    },
    /// A step before it missed.
    Skipped,
}

impl Verdict {
    pub(crate) fn held(heard: impl Into<String>) -> Self {
        Self::Held { heard: heard.into() }
    }

    pub(crate) fn missed(expected: impl Into<String>, heard: impl Into<String>) -> Self {
        Self::Missed { expected: expected.into(), heard: heard.into() }
    }
}

impl Outcome {
    pub(crate) fn at_end(place: Place, title: impl Into<String>, at_ms: u64, verdict: Verdict) -> Self {
        Self { step: None, title: title.into(), line: place.line, at_ms, took_ms: 0, verdict }
    }

    /// Whether it is as demanded; what was skipped says nothing.
    pub fn is_miss(&self) -> bool {
        matches!(self.verdict, Verdict::Missed { .. })
    }
}
