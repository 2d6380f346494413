//! The server transaction: INVITE (RFC 3261 §17.2.1 as amended by RFC 6026) and the others
//! (§17.2.2), with timers G, H, I, J and L.

use std::time::{Duration, Instant};

use super::Kind;
use crate::endpoint::{Packet, Timers};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// No final response yet; `Trying` and `Proceeding` differ only in what there is to repeat.
    Proceeding,
    /// A failure (INVITE) or any final response (others) was sent.
    Completed,
    /// INVITE only: the failure was acknowledged.
    Confirmed,
    /// INVITE only: a 2xx was sent; its repetition is the leg's business.
    Accepted,
    /// Nothing is or was sent; the request's repetitions are absorbed.
    Swallowing,
}

/// What a timer brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerTimeout {
    /// Nothing was said in time: send 100.
    Trying,
    /// Timer G: send the last response again.
    Retransmit,
    /// Timers H, I, J and L, or nobody ever answered: done.
    Ended,
}

/// Whether a failure response to an INVITE is repeated until its ACK.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repetition {
    /// Timer G runs.
    UntilAck,
    /// Only a repeated INVITE brings it again: a challenge must not be a way to make us send ten
    /// messages to a forged address.
    OnRequest,
}

/// The state machine of one server transaction.
#[derive(Clone, Debug)]
pub(crate) struct ServerTransaction {
    kind: Kind,
    reliable: bool,
    state: State,
    last: Option<Packet>,
    interval: Duration,
    trying_at: Option<Instant>,
    retransmit_at: Option<Instant>,
    expires_at: Option<Instant>,
}

impl ServerTransaction {
    /// The request has just arrived.
    pub(crate) fn started(kind: Kind, now: Instant, timers: &Timers, reliable: bool) -> Self {
        // The client of a non-INVITE gives up after 64×T1, so waiting longer is pointless.
        let expires_at = match kind {
            Kind::Invite => None,
            Kind::NonInvite => Some(now + timers.timeout()),
        };
        Self {
            kind,
            reliable,
            state: State::Proceeding,
            last: None,
            interval: timers.t1,
            trying_at: None,
            retransmit_at: None,
            expires_at,
        }
    }

    /// Send 100 at `at` unless another response goes before (RFC 3261 §17.2.1). `false` if one went.
    pub(crate) fn try_by(&mut self, at: Instant) -> bool {
        let is_silent = self.state == State::Proceeding && self.last.is_none();
        if is_silent {
            self.trying_at = Some(at);
        }
        is_silent
    }

    /// A response has just been sent.
    pub(crate) fn on_sent(
        &mut self,
        now: Instant,
        timers: &Timers,
        status: u16,
        packet: Packet,
        repetition: Repetition,
    ) {
        self.trying_at = None;
        match (self.kind, status) {
            (_, 100..=199) => self.last = Some(packet),
            (Kind::Invite, 200..=299) => {
                self.last = None;
                self.state = State::Accepted;
                self.expires_at = Some(now + timers.timeout());
            }
            (Kind::Invite, _) => {
                self.last = Some(packet);
                self.state = State::Completed;
                self.expires_at = Some(now + timers.timeout());
                if !self.reliable && repetition == Repetition::UntilAck {
                    self.interval = timers.t1;
                    self.retransmit_at = Some(now + timers.t1);
                }
            }
            (Kind::NonInvite, _) => {
                self.last = Some(packet);
                self.state = State::Completed;
                self.expires_at = Some(now + if self.reliable { Duration::ZERO } else { timers.timeout() });
            }
        }
    }

    /// The request came again: what to send again.
    pub(crate) fn on_repeated_request(&self) -> Option<&Packet> {
        match self.state {
            State::Proceeding | State::Completed => self.last.as_ref(),
            State::Confirmed | State::Accepted | State::Swallowing => None,
        }
    }

    /// An ACK came that belongs to this transaction.
    pub(crate) fn on_ack(&mut self, now: Instant, timers: &Timers) {
        if self.state == State::Completed && self.kind == Kind::Invite {
            self.state = State::Confirmed;
            self.retransmit_at = None;
            self.last = None;
            self.expires_at = Some(now + if self.reliable { Duration::ZERO } else { timers.t4 });
        }
    }

    /// Say nothing and absorb repetitions.
    pub(crate) fn swallow(&mut self, now: Instant, timers: &Timers) {
        self.state = State::Swallowing;
        self.last = None;
        self.trying_at = None;
        self.expires_at = Some(now + timers.timeout());
    }

    /// What is due, if anything; called again after each answer.
    pub(crate) fn on_timer(&mut self, now: Instant, timers: &Timers) -> Option<ServerTimeout> {
        if self.expires_at.is_some_and(|at| at <= now) {
            return Some(ServerTimeout::Ended);
        }
        if self.trying_at.is_some_and(|at| at <= now) {
            self.trying_at = None;
            return Some(ServerTimeout::Trying);
        }
        self.retransmit_at.filter(|at| *at <= now)?;
        self.interval = (self.interval * 2).min(timers.t2);
        self.retransmit_at = Some(now + self.interval);
        Some(ServerTimeout::Retransmit)
    }

    pub(crate) fn last(&self) -> Option<&Packet> {
        self.last.as_ref()
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        [self.trying_at, self.retransmit_at, self.expires_at].into_iter().flatten().min()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// Nothing is to be said.
    pub(crate) fn is_swallowing(&self) -> bool {
        self.state == State::Swallowing
    }

    /// No final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }
}
