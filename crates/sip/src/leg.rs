//! A leg: one call of ours with one peer, from its INVITE to its end.
//!
//! Used by the endpoint only. A leg holds the dialog, what the INVITE still needs, and its own
//! deadlines (2xx and reliable-provisional repetition, ring and session timers). Which message does
//! what to it is in `endpoint::*`.

use std::time::{Duration, Instant};

use crate::arena::Key;
use crate::dialog::Dialog;
use crate::endpoint::{Answerer, NatPolicy, OutgoingInvite, Packet, Reason, Timers};
use crate::flow::Flow;

/// Which side of the INVITE we were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Uas,
    Uac,
}

#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) role: Role,
    pub(crate) dialog: Dialog,
    pub(crate) flow: Flow,
    pub(crate) nat_policy: NatPolicy,
    pub(crate) contact_user: Option<Box<str>>,
    pub(crate) phase: Phase,
    /// Our 2xx to INVITE or re-INVITE that awaits its ACK.
    pub(crate) unacked: Option<Unacked>,
    /// Server transaction of the peer's offer that awaits our answer.
    pub(crate) peer_offer: Option<Key>,
    /// Our own offer in flight or waiting for its retry.
    pub(crate) own_offer: Option<Box<OwnOffer>>,
    pub(crate) session: Option<SessionTimer>,
    /// The peer lists UPDATE in Allow.
    pub(crate) peer_takes_update: bool,
    /// It named no transport: what is too long for a datagram is tried over TCP (RFC 3261 §18.1.1).
    pub(crate) may_use_tcp: bool,
    /// Our last SDP, kept only while we refresh the session by re-INVITE.
    pub(crate) local_sdp: Option<Box<[u8]>>,
    /// Answers challenges inside the dialog.
    pub(crate) answerer: Option<Box<Answerer>>,
    /// The earliest queued look at this leg.
    pub(crate) armed: Option<Instant>,
}

#[derive(Debug)]
pub(crate) enum Phase {
    /// INVITE received, no final response yet.
    Incoming(Box<Incoming>),
    /// The caller cancelled; nothing is left to do.
    Cancelled,
    /// INVITE sent, no 2xx yet.
    Calling(Box<Calling>),
    /// 2xx received, the ACK is ours to send: our answer to its offer, or our leave, is outstanding.
    Answering { client: Key },
    /// Answered.
    Confirmed,
    /// Over for the caller, waiting for the ACK (then BYE) or for the response to BYE.
    Closing { bye_after_ack: Option<Option<Reason>> },
}

#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) server: Key,
    /// The peer wants provisional responses reliable (RFC 3262).
    pub(crate) requires_100rel: bool,
    pub(crate) next_rseq: u32,
    /// The reliable provisional response that awaits its PRACK.
    pub(crate) reliable: Option<Reliable>,
    /// A reliable provisional response with our answer was acknowledged.
    pub(crate) is_offer_answered: bool,
    /// What to send after that PRACK.
    pub(crate) queued: Option<Queued>,
    pub(crate) session: Option<SessionRequest>,
    /// A proxy on the way may drop the call without a provisional every minute (§13.3.1.1).
    pub(crate) repeat_at: Option<Instant>,
}

/// A response that waits for a PRACK.
#[derive(Debug)]
pub(crate) enum Queued {
    Provisional { status: u16, sdp: Vec<u8> },
    Answer { sdp: Vec<u8> },
}

/// A reliable provisional response (RFC 3262 §3).
#[derive(Debug)]
pub(crate) struct Reliable {
    pub(crate) rseq: u32,
    pub(crate) packet: Packet,
    pub(crate) has_sdp: bool,
    pub(crate) repetition: Repeated,
}

/// A 2xx to INVITE, repeated by the UAS core until its ACK (RFC 3261 §13.3.1.4).
#[derive(Debug)]
pub(crate) struct Unacked {
    pub(crate) cseq: u32,
    pub(crate) packet: Packet,
    pub(crate) flow: Flow,
    pub(crate) repetition: Repeated,
}

/// Doubling intervals with an end.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Repeated {
    interval: Duration,
    next_at: Instant,
    give_up_at: Instant,
    longest: Duration,
}

/// What a [`Repeated`] asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeat {
    Again,
    GiveUp,
}

impl Repeated {
    /// From T1, doubling up to `longest`, until 64×T1. Also over streams: a hop behind the first may
    /// be UDP.
    pub(crate) fn starting(now: Instant, timers: &Timers, longest: Duration) -> Self {
        Self { interval: timers.t1, next_at: now + timers.t1, give_up_at: now + timers.timeout(), longest }
    }

    pub(crate) fn due(&self) -> Instant {
        self.next_at.min(self.give_up_at)
    }

    pub(crate) fn on_timer(&mut self, now: Instant) -> Option<Repeat> {
        if self.give_up_at <= now {
            return Some(Repeat::GiveUp);
        }
        if self.next_at > now {
            return None;
        }
        self.interval = (self.interval * 2).min(self.longest);
        self.next_at = now + self.interval;
        Some(Repeat::Again)
    }
}

#[derive(Debug)]
pub(crate) struct Calling {
    pub(crate) client: Key,
    pub(crate) invite: OutgoingInvite,
    pub(crate) progress: CallProgress,
    pub(crate) ring_until: Instant,
    pub(crate) challenges_met: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CallProgress {
    /// Waiting for a response.
    Waiting,
    /// 401 or 407 was reported; `retry_with_auth` or `abandon` comes next.
    Challenged,
    /// `cancel` was called.
    Cancelling,
}

/// A re-INVITE (or session refresh) of ours.
#[derive(Debug)]
pub(crate) struct OwnOffer {
    pub(crate) sdp: Option<Vec<u8>>,
    pub(crate) purpose: OfferPurpose,
    pub(crate) attempts: u8,
    /// Set while it waits for its §14.1 back-off.
    pub(crate) retry_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum OfferPurpose {
    /// `reinvite` asked; report the outcome.
    Command,
    /// RFC 4028 refresh; report nothing.
    Refresh,
}

/// What an INVITE or UPDATE asked for in Session-Expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SessionRequest {
    pub(crate) interval: Duration,
    pub(crate) we_refresh: bool,
    /// The peer itself knows session timers; else a proxy on the way asked, and the refreshing is ours.
    pub(crate) peer_knows: bool,
}

/// RFC 4028 timer of an answered leg.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SessionTimer {
    pub(crate) interval: Duration,
    pub(crate) we_refresh: bool,
    peer_knows: bool,
    /// The least interval that somebody on the way wants (RFC 4028 §5), once it has said so.
    pub(crate) least: Option<Duration>,
    /// When to refresh, or to end the session because the peer did not.
    pub(crate) at: Instant,
}

/// The RFC's "slightly before expiration" (RFC 4028 §10).
const EXPIRY_MARGIN: Duration = Duration::from_secs(32);

impl SessionTimer {
    pub(crate) fn starting(now: Instant, request: SessionRequest) -> Self {
        let SessionRequest { interval, we_refresh, peer_knows } = request;
        let wait =
            if we_refresh { interval / 2 } else { interval.saturating_sub(EXPIRY_MARGIN.min(interval / 3)) };
        Self { interval, we_refresh, peer_knows, least: None, at: now + wait }
    }

    /// What was agreed, to be agreed again.
    pub(crate) fn request(self) -> SessionRequest {
        SessionRequest { interval: self.interval, we_refresh: self.we_refresh, peer_knows: self.peer_knows }
    }
}

impl Leg {
    /// An INVITE or UPDATE of the peer begins the session's time anew, on the terms it names or on those agreed before.
    /// Returns the terms. Before the answer there is no session to renew.
    pub(crate) fn renew_session(
        &mut self,
        now: Instant,
        asked: Option<SessionRequest>,
    ) -> Option<SessionRequest> {
        if !self.is_confirmed() {
            return None;
        }
        let terms = asked.or_else(|| self.session.map(SessionTimer::request));
        self.session = terms.map(|terms| SessionTimer::starting(now, terms));
        terms
    }

    /// The next time this leg wants to be looked at.
    pub(crate) fn due(&self) -> Option<Instant> {
        let phase = match &self.phase {
            Phase::Incoming(incoming) => {
                [incoming.repeat_at, incoming.reliable.as_ref().map(|reliable| reliable.repetition.due())]
                    .into_iter()
                    .flatten()
                    .min()
            }
            Phase::Calling(calling) if calling.progress == CallProgress::Waiting => Some(calling.ring_until),
            Phase::Calling(_)
            | Phase::Cancelled
            | Phase::Answering { .. }
            | Phase::Confirmed
            | Phase::Closing { .. } => None,
        };
        let unacked = self.unacked.as_ref().map(|unacked| unacked.repetition.due());
        let own_offer = self.own_offer.as_ref().filter(|_| self.is_confirmed());
        let retry = own_offer.and_then(|offer| offer.retry_at);
        let session = self.session.filter(|_| self.is_confirmed()).map(|session| session.at);
        [phase, unacked, retry, session].into_iter().flatten().min()
    }

    /// The peer has spoken over `flow`: what we send goes the same way, if that is how its flow is kept. A connection always
    /// is: the one before it is gone.
    pub(crate) fn follow(&mut self, flow: Flow) {
        let kept = flow.transport.is_reliable() || self.nat_policy == NatPolicy::ReceivedFlow;
        if kept && self.flow.transport == flow.transport {
            self.flow = flow;
        }
    }

    /// Nothing more is reported about it, and commands come too late.
    pub(crate) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. } | Phase::Cancelled)
    }

    pub(crate) fn is_confirmed(&self) -> bool {
        matches!(self.phase, Phase::Confirmed)
    }
}
