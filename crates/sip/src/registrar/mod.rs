//! Registration of endpoints (RFC 3261 §10), with Path (RFC 3327) and the flow ideas of RFC 5626.
//!
//! Pure: [`Registrar::handle`] takes the facts of an authenticated REGISTER and the time, and says
//! what to store, what to answer, and from then on where a user can be reached. The host stores the
//! [`BindingChange`]s before it sends the 200 and gives all stored bindings to [`Registrar::load`]
//! at start, so that phones stay reachable across restarts.
//!
//! Refuses to know: messages, sockets, passwords, and which users exist.

mod binding;
mod facts;
mod keepalive;
mod service;

#[cfg(test)]
mod tests;

pub use binding::{Binding, BindingChange, Flow, FlowTransport, Nat};
pub use facts::{ContactFacts, Contacts, RegisterFacts, RegisterOutcome, RegisterRefusal, RegisteredContact};
pub use keepalive::{KEEPALIVE_BATCH, KEEPALIVE_INTERVAL_SECONDS, KeepAlive};
pub use service::{
    DEFAULT_EXPIRES_SECONDS, MAX_BINDINGS_PER_AOR, MAX_BINDINGS_TOTAL, MAX_EXPIRES_SECONDS,
    MIN_EXPIRES_SECONDS, Registrar,
};
