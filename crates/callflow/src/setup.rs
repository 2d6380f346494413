//! What a call is made of before anything happens to it.

use std::time::Duration;

use tandem_model::{ApplicationPlan, CallFacts, UrlCall};

use crate::document::Reading;

/// Everything a [`Call`](crate::Call) needs to begin.
#[derive(Clone, Debug)]
pub struct CallSetup {
    /// Identity of the A leg, fixed at admission.
    pub facts: CallFacts,
    /// What the call runs.
    pub program: Program,
    /// Whether the A leg is answered already.
    pub a_leg: ALegState,
    /// Whether A can hear something before it is answered.
    pub early_media: bool,
    /// What becomes of unknown elements.
    pub reading: Reading,
    /// Hard limit on talk time, from A's answer; before the answer, the limit on waiting for one.
    pub max_duration: Duration,
    /// Spoken before hanging up when no document could be had (`en-US`). Empty: hang up in silence.
    pub apology: String,
    /// Bounds of the interpreter.
    pub limits: Limits,
}

impl CallSetup {
    /// The sentence spoken when no document could be had, unless the operator words it otherwise.
    pub const APOLOGY: &'static str = "We are sorry, an application error has occurred. Goodbye.";
}

/// What a call runs.
#[derive(Clone, Debug)]
pub enum Program {
    /// XML steers it.
    Document(ApplicationPlan),
    /// XML steers it from here on: a leg that was dialled from another call and moved by the API. It is answered.
    Transferred(UrlCall),
    /// A trunk call: one B leg over the routes admitted with the call, rung through, refusals passed on to
    /// A, both hung up together.
    Bridge {
        /// Ringing before 6010.
        ring_timeout: Duration,
    },
}

/// Where the A leg stands when the call begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ALegState {
    /// An INVITE from outside, not answered yet.
    Unanswered,
    /// The far side of an API call, answered before the document is fetched.
    Answered,
}

/// Bounds of the interpreter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Documents a call may run within any minute: a redirect loop ends here.
    pub documents_per_minute: usize,
    /// Ringing of `<Dial>` without `timeout`.
    pub ring_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { documents_per_minute: 100, ring_timeout: Duration::from_mins(2) }
    }
}
