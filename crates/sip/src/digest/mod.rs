//! Digest authentication (RFC 2617, RFC 7616, in SIP by RFC 3261 §22 and RFC 8760), both sides.
//!
//! As server: [`NonceMint`] makes nonces that need no memory and survive restarts, and
//! [`DigestServer`] challenges and verifies; [`FailureLedger`] turns repeated wrong passwords into
//! bans. As client: [`authorize`] answers a 401 or 407.
//!
//! Promises: a nonce that is old, reused, minted for another source or not ours is
//! [`Verdict::Stale`], never a failure, so a restarted phone or a moved NAT binding costs one round
//! trip and nobody's ban; an unknown user costs the same work and gets the same answer as a wrong
//! password. The memory of used nonces does not survive a restart: for the rest of a nonce's life a
//! captured request could then be replayed once, the price of phones not noticing.
//! Refuses to know: the clock (seconds since the epoch are passed in), where passwords
//! are kept, and how requests look beyond method, URI and body.

mod algorithm;
mod authorization;
mod client;
mod ledger;
mod nonce;
mod parameters;
mod server;

#[cfg(test)]
mod client_tests;
#[cfg(test)]
mod server_tests;

pub use algorithm::{Algorithm, Ha1, ha1};
pub use authorization::{Authorization, MAX_HEADER_BYTES, ParseError, Qop, parse_authorization};
pub use client::{
    Answer, Attempt, AuthorizeError, Challenge, ChallengeKind, Credentials, authorize, parse_challenge,
};
pub use ledger::{BAN_SECONDS, FAILURE_LIMIT, FAILURE_WINDOW_SECONDS, FailureLedger, MAX_TRACKED_SOURCES};
pub use nonce::{MAX_TRACKED_NONCES, NONCE_LIFE_SECONDS, NonceMint};
pub use server::{ChallengePolicy, DigestServer, Freshness, RequestFacts, Verdict};
