//! The client transaction: INVITE (RFC 3261 §17.1.1 as amended by RFC 6026) and the others
//! (§17.1.2), with timers A, B, D, E, F, K and M.

use std::time::{Duration, Instant};

use super::Kind;
use crate::endpoint::Timers;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// `Calling` of INVITE, `Trying` of the others.
    Calling,
    Proceeding,
    /// A failure (INVITE) or any final response (others) has come; repetitions are absorbed.
    Completed,
    /// INVITE only: a 2xx has come; more of them may.
    Accepted,
}

/// What a response means to the transaction's user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientStep {
    /// 1xx.
    Provisional,
    /// 2xx, the first or a further one to an INVITE.
    Success,
    /// 3xx–6xx; an INVITE's has to be acknowledged.
    Failure,
    /// A repetition of an INVITE's failure: acknowledge it again.
    RepeatedFailure,
    /// Nothing new.
    Absorbed,
}

/// What a timer brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientTimeout {
    /// Timers A and E: send the request again.
    Retransmit,
    /// Timers B and F: nobody answered.
    NoAnswer,
    /// Timers D, K and M: done.
    Ended,
}

/// The state machine of one client transaction.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ClientTransaction {
    kind: Kind,
    reliable: bool,
    state: State,
    interval: Duration,
    retransmit_at: Option<Instant>,
    expires_at: Option<Instant>,
}

impl ClientTransaction {
    /// The request has just been sent.
    pub(crate) fn started(kind: Kind, now: Instant, timers: &Timers, reliable: bool) -> Self {
        Self {
            kind,
            reliable,
            state: State::Calling,
            interval: timers.t1,
            retransmit_at: (!reliable).then(|| now + timers.t1),
            expires_at: Some(now + timers.timeout()),
        }
    }

    /// A request sent by an earlier process that already had a provisional response.
    pub(crate) fn resumed_invite(now: Instant, timers: &Timers, reliable: bool) -> Self {
        let mut resumed = Self::started(Kind::Invite, now, timers, reliable);
        resumed.state = State::Proceeding;
        resumed.retransmit_at = None;
        resumed.expires_at = Some(now + timers.timeout());
        resumed
    }

    pub(crate) fn on_response(&mut self, now: Instant, timers: &Timers, status: u16) -> ClientStep {
        match (self.state, status) {
            (State::Calling, 100..=199) => {
                self.state = State::Proceeding;
                match self.kind {
                    Kind::Invite => (self.retransmit_at, self.expires_at) = (None, None),
                    Kind::NonInvite => {
                        self.interval = timers.t2;
                        self.retransmit_at = self.retransmit_at.map(|_| now + timers.t2);
                    }
                }
                ClientStep::Provisional
            }
            (State::Proceeding, 100..=199) => ClientStep::Provisional,
            (State::Calling | State::Proceeding, 200..=299) => {
                match self.kind {
                    Kind::Invite => self.finish(State::Accepted, now + timers.timeout()),
                    Kind::NonInvite => self.complete(now, timers.t4),
                }
                ClientStep::Success
            }
            (State::Calling | State::Proceeding, _) => {
                match self.kind {
                    Kind::Invite => self.complete(now, timers.timer_d()),
                    Kind::NonInvite => self.complete(now, timers.t4),
                }
                ClientStep::Failure
            }
            (State::Accepted, 200..=299) => ClientStep::Success,
            (State::Completed, 300..) if self.kind == Kind::Invite => ClientStep::RepeatedFailure,
            (State::Completed | State::Accepted, _) => ClientStep::Absorbed,
        }
    }

    /// What is due, if anything; called again after each answer.
    pub(crate) fn on_timer(&mut self, now: Instant, timers: &Timers) -> Option<ClientTimeout> {
        if self.expires_at.is_some_and(|at| at <= now) {
            return Some(match self.state {
                State::Calling | State::Proceeding => ClientTimeout::NoAnswer,
                State::Completed | State::Accepted => ClientTimeout::Ended,
            });
        }
        self.retransmit_at.filter(|at| *at <= now)?;
        self.interval = match self.kind {
            Kind::Invite => self.interval * 2,
            Kind::NonInvite => (self.interval * 2).min(timers.t2),
        };
        self.retransmit_at = Some(now + self.interval);
        Some(ClientTimeout::Retransmit)
    }

    /// Stop waiting for the final response at this time (§9.1: 64×T1 after a CANCEL).
    pub(crate) fn give_up_at(&mut self, at: Instant) {
        if self.is_pending() {
            self.expires_at = Some(at);
        }
    }

    /// Waits for a final response, and no timer ends the wait.
    pub(crate) fn is_endless(&self) -> bool {
        self.is_pending() && self.expires_at.is_none()
    }

    pub(crate) fn due(&self) -> Option<Instant> {
        [self.retransmit_at, self.expires_at].into_iter().flatten().min()
    }

    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    /// No final response yet.
    pub(crate) fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// No response at all yet.
    pub(crate) fn is_unanswered(&self) -> bool {
        self.state == State::Calling
    }

    fn complete(&mut self, now: Instant, linger: Duration) {
        let linger = if self.reliable { Duration::ZERO } else { linger };
        self.finish(State::Completed, now + linger);
    }

    fn finish(&mut self, state: State, until: Instant) {
        self.state = state;
        self.retransmit_at = None;
        self.expires_at = Some(until);
    }
}
