//! One call: the public face of the interpreter.

use std::time::Instant;

use crate::effect::Effect;
use crate::input::Input;
use crate::setup::CallSetup;

/// The brain of one call.
#[derive(Debug)]
pub struct Call {
    setup: CallSetup,
}

impl Call {
    /// A call to which nothing has happened yet. [`Input::Start`] sets it going.
    pub fn new(now: Instant, setup: CallSetup) -> Self {
        let _ = now;
        Self { setup }
    }

    /// Takes in what happened.
    pub fn handle(&mut self, now: Instant, input: Input) {
        let _ = (now, input, &self.setup);
        todo!("interpreter")
    }

    /// The next order; `None` until something more happens.
    pub fn poll(&mut self) -> Option<Effect> {
        todo!("interpreter")
    }

    /// When [`Input::Deadline`] is due.
    pub fn deadline(&self) -> Option<Instant> {
        todo!("interpreter")
    }

    /// Whether [`Effect::Finished`] has been given out or waits to be.
    pub fn is_finished(&self) -> bool {
        todo!("interpreter")
    }
}
