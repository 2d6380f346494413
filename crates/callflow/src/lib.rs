//! Sans-IO call control: what a call does, decided from what happens to it.
//!
//! A [`Call`] is the brain of one session: a caller's leg ([`Leg::A`]) and the legs dialled from it. The
//! driver (`engine`) hands in what happened ([`Input`]) and performs what comes out ([`Effect`]); it knows
//! SIP, RTP and HTTP so that nothing here has to. What a call does is its [`Program`]: an XML document
//! fetched from the customer ([`document`]), element by element, or a plain bridge to the routes of a
//! trunk call.
//!
//! ```text
//! call.handle(now, Input::Start);
//! loop {
//!     while let Some(effect) = call.poll() { perform(effect) }
//!     match next_input_or(call.deadline()) { … => call.handle(now, input) }
//! }
//! ```
//!
//! Promises: no clock, no randomness, no I/O; every call ends in exactly one [`Effect::Finished`], after
//! which no leg that it dialled is left without an order to end.

#![warn(missing_docs)]

mod address;
mod bridge;
mod call;
pub mod document;
mod effect;
mod input;
mod leg;
pub mod parameters;
mod session;
mod setup;
mod verbs;

pub use call::{Call, FAILURE_MAX};
pub use effect::{DialOrder, DialTarget, Effect, Loops, SipCredentials, Sound, Watch};
pub use input::{Input, PlaybackOutcome};
pub use leg::{End, FetchId, Leg, PlaybackId, RecordingName};
pub use setup::{ALegState, CallSetup, Limits, Program};
