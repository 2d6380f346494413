//! The endpoint of one signalling shard: it owns every transaction, dialog and leg, so that every
//! race (CANCEL against 200, two forks, a lost ACK) is settled in one place.
//!
//! Used by the engine's driver, which feeds datagrams and time and drains outputs, and by call
//! tasks, whose commands reach it through the driver. The cast:
//!
//! * [`Input`], [`Output`], [`Event`] — the border.
//! * [`LegId`], [`TransactionId`], [`RequestId`] — handles; a stale one is answered `Gone`.
//! * [`Outcome`] — what a command came to.
//! * [`DialogSnapshot`] — what survives the process.
//! * `receive`, `in_dialog`, `responses`, `expiry` — what a message or a timer does.
//! * `incoming`, `outgoing`, `established`, `requests`, `orphans` — the commands.
//! * `doorstep` — whom nothing is kept of.
//! * `credentials` — challenges inside a dialog.
//! * `tables`, `send`, `facts` — entries and indexes; printing and queueing; owned copies for events.
//!
//! Promises: no clock, no randomness but the seed, no I/O; bounded tables; nothing is sent to an
//! acceptable INVITE before a command says so. Refuses to know: SDP's meaning, digest, DNS, accounts.

mod command;
mod config;
mod credentials;
mod doorstep;
mod established;
mod event;
mod expiry;
mod facts;
mod handle;
mod in_dialog;
mod incoming;
mod io;
mod orphans;
mod outgoing;
mod receive;
mod requests;
mod responses;
mod send;
mod snapshot;
mod tables;

use std::collections::VecDeque;
use std::time::Instant;

use rand::SeedableRng as _;
use rand::rngs::StdRng;

pub use command::{AckTiming, ChallengeKind, CommandError, Outcome, OutgoingInvite, OutgoingRequest};
pub use config::{
    AddressGuard, Advertised, CourtesyGuard, Door, EndpointConfig, Knock, Limits, NatPolicy, Timers,
};
pub(crate) use credentials::Answerer;
pub use event::{Body, Event, Party, Reason, ReasonProtocol, RequestFacts, ResponseFacts, Termination};
pub use handle::{LegId, RequestId, TransactionId};
pub use io::{Input, Output, Packet};
pub use outgoing::LARGE_REQUEST_BYTES;
pub use snapshot::{DialogSnapshot, PendingInvite, SnapshotRole, SnapshotState};

use crate::arena::{Arena, Key};
use crate::leg::Leg;
use crate::timer_queue::TimerQueue;
use crate::transaction::{KeyMap, TransactionHasher};
use tables::{ClientEntry, ServerEntry, Target};

/// Counters and table sizes, for metrics and leak tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Legs in the table.
    pub legs: usize,
    /// Server transactions in the table.
    pub server_transactions: usize,
    /// Client transactions in the table.
    pub client_transactions: usize,
    /// Entries of the indexes into those tables: none may outlive what it points to.
    pub index_entries: usize,
    /// Deadlines in the timer queue.
    pub timers: usize,
    /// Messages dropped or answered 4xx because they could not be parsed.
    pub malformed: u64,
    /// Requests refused because a table was full.
    pub refused_full: u64,
    /// INVITEs turned away by [`Endpoint::turn_invites_away`].
    pub turned_away: u64,
    /// Requests the door did not open to.
    pub unopened: u64,
    /// Responses and ACKs that matched nothing.
    pub strays: u64,
    /// Messages retransmitted, by our timers or because the peer repeated itself.
    pub retransmissions: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    malformed: u64,
    refused_full: u64,
    turned_away: u64,
    unopened: u64,
    strays: u64,
    retransmissions: u64,
}

/// SIP for one shard. See the module documentation.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
    random: StdRng,
    hasher: TransactionHasher,
    outputs: VecDeque<Output>,
    timers: TimerQueue<Target>,
    legs: Arena<Leg>,
    servers: Arena<ServerEntry>,
    clients: Arena<ClientEntry>,
    /// Server transactions by branch.
    server_index: KeyMap<Key>,
    /// Server transactions without final response by Call-ID, From-tag and CSeq.
    merge_index: KeyMap<Key>,
    /// Client transactions by the random part of our branch.
    client_index: KeyMap<Key>,
    /// Legs by the random part of our tag.
    dialog_index: KeyMap<Key>,
    /// Reused for printing.
    buffer: Vec<u8>,
    /// Reused for folded headers.
    scratch: Vec<u8>,
    counters: Counters,
    /// Retry-After of the 503 to new calls, while they are turned away.
    turns_away: Option<u32>,
    /// When the first input came.
    born: Option<Instant>,
}

impl Endpoint {
    /// Make an endpoint; all its randomness comes from the seed.
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        let mut random = StdRng::from_seed(seed);
        let secret = [rand::Rng::next_u64(&mut random), rand::Rng::next_u64(&mut random)];
        let limits = config.limits;
        Self {
            hasher: TransactionHasher::new(secret),
            timers: TimerQueue::new(config.timers.timeout()),
            legs: Arena::new(limits.legs),
            servers: Arena::new(limits.server_transactions),
            clients: Arena::new(limits.client_transactions),
            config,
            random,
            outputs: VecDeque::new(),
            server_index: KeyMap::default(),
            merge_index: KeyMap::default(),
            client_index: KeyMap::default(),
            dialog_index: KeyMap::default(),
            buffer: Vec::new(),
            scratch: Vec::new(),
            counters: Counters::default(),
            turns_away: None,
            born: None,
        }
    }

    /// Take in one thing that happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        self.born.get_or_insert(now);
        match input {
            Input::Datagram { flow, bytes } => self.receive(now, flow, bytes),
            Input::TransportFailed { flow } => self.transport_failed(now, flow),
            Input::Timeout => self.expire(now),
        }
        self.forget_stale_timers();
    }

    /// From now on answer INVITEs that would begin a call with 503 and this Retry-After (seconds), keeping nothing; `None`
    /// takes them again. Whatever belongs to a call that exists goes on as before.
    pub fn turn_invites_away(&mut self, retry_after_s: Option<u32>) {
        self.turns_away = retry_after_s;
    }

    /// The next thing to do, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call `handle(now, Input::Timeout)` at the latest; may be early, never late.
    pub fn deadline(&self) -> Option<Instant> {
        self.timers.next_at()
    }

    /// Table sizes and counters.
    pub fn stats(&self) -> EndpointStats {
        EndpointStats {
            legs: self.legs.len(),
            server_transactions: self.servers.len(),
            client_transactions: self.clients.len(),
            index_entries: self.server_index.len()
                + self.merge_index.len()
                + self.client_index.len()
                + self.dialog_index.len(),
            timers: self.timers.len(),
            malformed: self.counters.malformed,
            refused_full: self.counters.refused_full,
            turned_away: self.counters.turned_away,
            unopened: self.counters.unopened,
            strays: self.counters.strays,
            retransmissions: self.counters.retransmissions,
        }
    }
}
