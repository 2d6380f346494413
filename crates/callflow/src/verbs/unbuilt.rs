//! What the language has and this server has not: accepted where it is written, the end of the call where it is reached.

use std::time::Instant;

use super::{Started, Step, Verb};
use crate::session::Session;

/// Stands for something that is not built.
#[derive(Debug)]
pub(super) struct Unbuilt {
    /// For the author: `<Conference>`.
    pub(super) what: String,
}

impl Verb for Unbuilt {
    fn start(self: Box<Self>, _now: Instant, _session: &mut Session) -> Started {
        Started::Done(Step::Broken(format!("{} is not built", self.what)))
    }
}
