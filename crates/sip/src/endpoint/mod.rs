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
//!
//! Promises: no clock, no randomness but the seed, no I/O; bounded tables; nothing is sent to an
//! INVITE before a command says so. Refuses to know: SDP's meaning, digest, DNS, accounts.

mod command;
mod config;
mod event;
mod handle;
mod io;
mod snapshot;

use std::time::{Duration, Instant};

pub use command::{ChallengeKind, CommandError, Outcome, OutgoingInvite, OutgoingRequest};
pub use config::{AddressGuard, Advertised, EndpointConfig, Limits, NatPolicy, Timers};
pub use event::{Body, Event, Party, Reason, ReasonProtocol, RequestFacts, ResponseFacts, Termination};
pub use handle::{LegId, RequestId, TransactionId};
pub use io::{Input, Output, Packet};
pub use snapshot::{DialogSnapshot, PendingInvite, SnapshotRole, SnapshotState};

use crate::message::HeaderField;

/// Counters and table sizes, for metrics and leak tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointStats {
    /// Legs in the table.
    pub legs: usize,
    /// Server transactions in the table.
    pub server_transactions: usize,
    /// Client transactions in the table.
    pub client_transactions: usize,
    /// Messages dropped because they could not be parsed.
    pub malformed: u64,
    /// Requests refused because a table was full.
    pub refused_full: u64,
    /// Responses and ACKs that matched nothing.
    pub strays: u64,
    /// Messages retransmitted by our timers.
    pub retransmissions: u64,
}

/// SIP for one shard. See the module documentation.
#[derive(Debug)]
pub struct Endpoint {
    config: EndpointConfig,
}

impl Endpoint {
    /// Make an endpoint; all its randomness comes from the seed.
    pub fn new(config: EndpointConfig, seed: [u8; 32]) -> Self {
        let _ = seed;
        Self { config }
    }

    /// Take in one thing that happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        let _ = (now, input);
        todo!()
    }

    /// The next thing to do, until `None`.
    pub fn poll(&mut self) -> Option<Output> {
        todo!()
    }

    /// When to call `handle(now, Input::Timeout)` at the latest; may be early, never late.
    pub fn deadline(&self) -> Option<Instant> {
        todo!()
    }

    /// Table sizes and counters.
    pub fn stats(&self) -> EndpointStats {
        todo!()
    }

    /// Answer an incoming INVITE 401 or 407 and forget the leg. Its ACK is absorbed.
    /// `challenges` are values of WWW-Authenticate or Proxy-Authenticate, printed in order.
    pub fn challenge(
        &mut self,
        now: Instant,
        leg: LegId,
        kind: ChallengeKind,
        challenges: &[String],
    ) -> Outcome {
        let _ = (now, leg, kind, challenges);
        todo!()
    }

    /// Answer an incoming INVITE with a final failure (300–699) and forget the leg.
    /// `phrase` of `None` prints the RFC's phrase.
    pub fn reject(
        &mut self,
        now: Instant,
        leg: LegId,
        status: u16,
        phrase: Option<&str>,
        headers: &[HeaderField],
    ) -> Outcome {
        let _ = (now, leg, status, phrase, headers);
        todo!()
    }

    /// Forget an incoming INVITE and stay silent; its retransmissions are swallowed for 64×T1.
    pub fn ignore(&mut self, now: Instant, leg: LegId) -> Outcome {
        let _ = (now, leg);
        todo!()
    }

    /// Send 100 to an incoming INVITE.
    pub fn trying(&mut self, now: Instant, leg: LegId) -> Outcome {
        let _ = (now, leg);
        todo!()
    }

    /// Send 180 to an incoming INVITE.
    pub fn ringing(&mut self, now: Instant, leg: LegId) -> Outcome {
        let _ = (now, leg);
        todo!()
    }

    /// Send 183 with SDP to an incoming INVITE.
    pub fn progress(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        let _ = (now, leg, sdp);
        todo!()
    }

    /// Send 200 with SDP to an incoming INVITE; it is repeated until the ACK (`Event::Acked`) or
    /// `Event::AckTimeout`. After an INVITE without SDP, `sdp` is our offer.
    pub fn answer(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        let _ = (now, leg, sdp);
        todo!()
    }

    /// Send an INVITE.
    pub fn invite(&mut self, now: Instant, invite: OutgoingInvite) -> Result<LegId, CommandError> {
        let _ = (now, invite);
        todo!()
    }

    /// After `Event::Challenged`: send the INVITE again in the same leg and Call-ID, CSeq + 1, with
    /// this Authorization or Proxy-Authorization field.
    pub fn retry_with_auth(&mut self, now: Instant, leg: LegId, field: HeaderField) -> Outcome {
        let _ = (now, leg, field);
        todo!()
    }

    /// After `Event::Challenged`: give up and forget the leg; nothing is sent.
    pub fn abandon(&mut self, now: Instant, leg: LegId) -> Outcome {
        let _ = (now, leg);
        todo!()
    }

    /// Cancel an outgoing INVITE. The CANCEL waits for a provisional response (RFC 3261 §9.1).
    pub fn cancel(&mut self, now: Instant, leg: LegId, reason: Option<&Reason>) -> Outcome {
        let _ = (now, leg, reason);
        todo!()
    }

    /// After `Event::Answered { needs_answer: true }`: send the ACK with our answer.
    pub fn acknowledge(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        let _ = (now, leg, sdp);
        todo!()
    }

    /// Hang up an answered leg. Before the ACK to our own 2xx came, the BYE waits for it
    /// (RFC 3261 §15) but the leg is over for the caller at once.
    pub fn bye(&mut self, now: Instant, leg: LegId, reason: Option<&Reason>) -> Outcome {
        let _ = (now, leg, reason);
        todo!()
    }

    /// End a leg in whatever state it is: `bye`, `cancel`, `abandon`, or `reject` with `status`.
    pub fn hang_up(&mut self, now: Instant, leg: LegId, status: u16, reason: Option<&Reason>) -> Outcome {
        let _ = (now, leg, status, reason);
        todo!()
    }

    /// Offer anew in an answered leg; `None` asks for the peer's offer.
    /// `WrongState` while another offer is open in either direction.
    pub fn reinvite(&mut self, now: Instant, leg: LegId, sdp: Option<&[u8]>) -> Outcome {
        let _ = (now, leg, sdp);
        todo!()
    }

    /// Answer `Event::Reinvited` with 200 and SDP.
    pub fn accept_reinvite(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        let _ = (now, leg, sdp);
        todo!()
    }

    /// Answer `Event::Reinvited` with a failure (usually 488); the session stays as it was.
    pub fn reject_reinvite(&mut self, now: Instant, leg: LegId, status: u16) -> Outcome {
        let _ = (now, leg, status);
        todo!()
    }

    /// Send INFO in an answered leg.
    pub fn info(&mut self, now: Instant, leg: LegId, content_type: &str, body: &[u8]) -> Outcome {
        let _ = (now, leg, content_type, body);
        todo!()
    }

    /// Choose where this leg's requests go from now on.
    pub fn set_nat_policy(&mut self, leg: LegId, policy: NatPolicy) -> Outcome {
        let _ = (leg, policy);
        todo!()
    }

    /// Change the ring timeout of an outgoing leg, counted from now.
    pub fn set_ring_timeout(&mut self, now: Instant, leg: LegId, timeout: Duration) -> Outcome {
        let _ = (now, leg, timeout);
        todo!()
    }

    /// Answer `Event::Request`. Provisional statuses may precede one final.
    pub fn respond(
        &mut self,
        now: Instant,
        transaction: TransactionId,
        status: u16,
        phrase: Option<&str>,
        headers: &[HeaderField],
        body: Option<(&str, &[u8])>,
    ) -> Outcome {
        let _ = (now, transaction, status, phrase, headers, body);
        todo!()
    }

    /// Leave `Event::Request` unanswered; its retransmissions are swallowed for 64×T1.
    pub fn ignore_request(&mut self, now: Instant, transaction: TransactionId) -> Outcome {
        let _ = (now, transaction);
        todo!()
    }

    /// Send a request outside any dialog.
    pub fn request(&mut self, now: Instant, request: OutgoingRequest) -> Result<RequestId, CommandError> {
        let _ = (now, request);
        todo!()
    }

    /// A leg's dialog as plain data, or `None` if the leg is gone.
    pub fn dialog_snapshot(&self, leg: LegId) -> Option<DialogSnapshot> {
        let _ = leg;
        todo!()
    }

    /// End an answered dialog of an earlier process: BYE with CSeq + 1000.
    /// `Refused` if the snapshot does not parse or a table is full. No event follows.
    pub fn orphan_bye(&mut self, now: Instant, snapshot: &DialogSnapshot) -> Outcome {
        let _ = (now, snapshot);
        todo!()
    }

    /// Cancel a ringing INVITE of an earlier process: CANCEL with its Via branch. A 2xx that comes
    /// all the same gets ACK and BYE. No event follows.
    pub fn orphan_cancel(&mut self, now: Instant, snapshot: &DialogSnapshot) -> Outcome {
        let _ = (now, snapshot);
        todo!()
    }

    /// Answer an unanswered caller of an earlier process with a failure. No event follows.
    pub fn orphan_reject(&mut self, now: Instant, snapshot: &DialogSnapshot, status: u16) -> Outcome {
        let _ = (now, snapshot, status);
        todo!()
    }
}

/// The shard a message belongs to, read from the To-tag (requests) or the topmost Via's branch
/// (responses) where we put it; `None` if the message carries neither, and then the caller takes a
/// hash of [`call_id_of`]. Looks at bytes only; works on malformed messages too.
pub fn shard_of(bytes: &[u8]) -> Option<u16> {
    let _ = bytes;
    todo!()
}

/// The raw Call-ID of a message, to choose a shard for those without one.
pub fn call_id_of(bytes: &[u8]) -> Option<&[u8]> {
    let _ = bytes;
    todo!()
}
