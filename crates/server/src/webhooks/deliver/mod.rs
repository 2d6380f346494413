//! Delivery of committed events: at least once, fairly, within time, with every attempt on record.
//!
//! The cast:
//! - `schedule`: when an attempt is given up and when the next one is due, per channel.
//! - `breaker`: an endpoint that only fails is spared, and spares us, for a while.
//! - `rotation`: whose turn it is, round robin over accounts, then over their endpoints.
//! - `scheduler`: decides all of that; pure, in virtual time. `words`: what it is told and says.
//! - `attempt`: signs and sends one delivery; `mail`: one that is a letter.
//! - [`DeliveryEngine`]: feeds the scheduler from the Writer's feed and from leases, runs what it
//!   starts, records what became of it.
//!
//! The outbox row is the truth; what is in memory is a faster copy of some of it. Forgetting a
//! delivery is always safe: its lease runs out and the scan of due rows finds it again.

mod attempt;
mod breaker;
mod engine;
mod mail;
mod rotation;
mod schedule;
mod scheduler;
mod words;

pub use engine::DeliveryEngine;
