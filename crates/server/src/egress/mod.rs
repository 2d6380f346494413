//! The one way out over HTTP: callbacks, call-control XML, audio files, trunk webhooks.
//!
//! Every URL a tenant can name passes here. The cast:
//! - [`EgressTarget`]: a URL parsed once; scheme, length and user info are settled.
//! - [`EgressPolicy`]: which addresses may be connected to, public ones and what the operator allows.
//! - `resolve`: names to addresses within a second, `localhost` never asked of DNS.
//! - `connect`: the connector; the policy is applied there, at connect, to names and literals alike.
//! - [`Egress`]: the client: one total deadline with the body in it, body cap, vetted redirects.
//!
//! Promises: no connection to an address the policy refuses, however the URL spells it and wherever
//! a redirect or a second DNS answer points; no proxy from the environment; nothing unbounded.

mod address;
mod client;
mod connect;
mod error;
mod resolve;
mod target;
#[cfg(test)]
mod tests;

pub use address::EgressPolicy;
pub use client::{Egress, EgressLimits, EgressRequest, EgressResponse, Overflow, Redirects};
pub use error::EgressError;
pub use resolve::{Resolve, SystemResolver};
pub use target::EgressTarget;
