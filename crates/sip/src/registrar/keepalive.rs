//! When to send a keep-alive over which flow, so that NAT bindings of 30 s stay open.

use super::binding::Flow;

/// Time between keep-alives on one flow.
pub const KEEPALIVE_INTERVAL_SECONDS: u64 = 25;
/// Most keep-alives handed out at once; the rest follow at the next poll.
pub const KEEPALIVE_BATCH: usize = 256;

/// A keep-alive to send now: CRLFCRLF on a connection (RFC 5626 §3.5.1), OPTIONS to the contact
/// over UDP, where only an answered request also refreshes the phone's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepAlive {
    /// Two CRLFs on a connection.
    DoubleCrlf {
        /// The connection.
        flow: Flow,
    },
    /// An OPTIONS request over UDP.
    Options {
        /// The flow.
        flow: Flow,
        /// Request-URI.
        contact_uri: String,
    },
}
