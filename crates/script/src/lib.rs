//! The scripted caller's language and judgement. Sans-IO: text and observations in, commands and verdicts out.
//!
//! Used by `tandem sim caller`, which has the sockets. The cast:
//!
//! * [`read`] — a script's text to a [`Script`](script::Script), or to a [`Problem`] with its place.
//! * [`table`] — every key, once; [`reference`] prints the page of them.
//! * [`Actor`] — one party: what it hears and sees goes in, what it does comes out, and an [`Outcome`] for each step.
//! * [`webhooks`] — what was requested, judged.
//! * [`report`] — outcomes as lines, JSON and JUnit.
//!
//! Promises: no clock, no random, no I/O; everything that is kept is bounded.

mod actor;
pub mod audio;
mod hearing;
mod outcome;
mod problem;
pub mod read;
mod reference;
pub mod report;
pub mod script;
pub mod table;
pub mod values;
mod variables;
pub mod webhooks;
mod yaml;

pub use actor::{Actor, CallEnd, Command, Input};
pub use outcome::{Outcome, Verdict};
pub use problem::{Place, Problem};
pub use reference::reference;
pub use variables::Variables;
pub use yaml::MAX_SCRIPT_BYTES;
