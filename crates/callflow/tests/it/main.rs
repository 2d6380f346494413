//! The call flow driven in virtual time: named rules, golden documents, and properties of random calls.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails where it stands")]

mod answering;
mod bridge;
mod dial;
mod driver;
mod failures;
mod gather;
mod golden;
mod hangup;
mod laws;
mod parameters;
mod properties;
mod record;
mod trace;
mod transfer;
