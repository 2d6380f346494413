//! When to send a keep-alive over which flow, so that NAT bindings of 30 s stay open.

use std::collections::{BTreeSet, HashMap};

use super::binding::{Flow, Nat};

/// Time between keep-alives on one flow.
pub const KEEPALIVE_INTERVAL_SECONDS: u64 = 25;
/// Most keep-alives handed out at once; the rest follow at the next poll.
pub const KEEPALIVE_BATCH: usize = 256;

/// A keep-alive to send now: CRLFCRLF on TCP and TLS (RFC 5626 §3.5.1), a Ping on a WebSocket
/// (RFC 7118 §6), OPTIONS to the contact over UDP, where the answer also refreshes the phone's side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeepAlive {
    /// Two CRLFs on TCP or TLS.
    DoubleCrlf {
        /// The connection.
        flow: Flow,
    },
    /// A Ping frame on a WebSocket.
    WebSocketPing {
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

/// The flows that need keep-alives and when each is due. One flow is kept alive once, however many
/// bindings use it.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    flows: HashMap<Flow, Due>,
    queue: BTreeSet<(u64, Flow)>,
}

#[derive(Debug)]
struct Due {
    at: u64,
    bindings: usize,
}

impl Schedule {
    /// Adds a binding's use of a flow, first due at `at` if the flow is new.
    pub(super) fn add(&mut self, flow: Flow, at: u64) {
        if !deserves(&flow) {
            return;
        }
        let due = self.flows.entry(flow).or_insert_with(|| {
            self.queue.insert((at, flow));
            Due { at, bindings: 0 }
        });
        due.bindings += 1;
    }

    /// Takes a binding's use of a flow back; the last one ends its keep-alives.
    pub(super) fn remove(&mut self, flow: &Flow) {
        let Some(due) = self.flows.get_mut(flow) else { return };
        due.bindings = due.bindings.saturating_sub(1);
        if due.bindings == 0 {
            self.queue.remove(&(due.at, *flow));
            self.flows.remove(flow);
        }
    }

    /// Takes the next flow that is due at `now`, and schedules it again.
    pub(super) fn next(&mut self, now: u64) -> Option<Flow> {
        let (at, flow) = self.queue.first().copied().filter(|(at, _)| *at <= now)?;
        self.queue.remove(&(at, flow));
        let due = self.flows.get_mut(&flow)?;
        due.at = now + KEEPALIVE_INTERVAL_SECONDS;
        self.queue.insert((due.at, flow));
        Some(flow)
    }

    pub(super) fn deadline(&self) -> Option<u64> {
        self.queue.first().map(|(at, _)| *at)
    }
}

/// Open connections always: middleboxes drop silent ones. UDP only behind a NAT.
fn deserves(flow: &Flow) -> bool {
    if flow.transport.is_connection() { flow.connection.is_some() } else { flow.nat == Nat::Translated }
}
