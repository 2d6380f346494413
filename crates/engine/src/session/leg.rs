//! A leg of a session: its SIP branches, its audio, its place on the media plane.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::Instant;

use smallvec::SmallVec;
use tandem_callflow::{End, Leg as Name};
use tandem_model::ports::{CarrierChannel, Failover, NextHop, Route, RouteCredentials, RouteDestination};
use tandem_sip::LegId;

use super::negotiate::{Audio, PeerPlace};
use super::record::Record;
use crate::rtp::RtpLeg;

/// How far a leg has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// An INVITE came in and waits.
    Waiting,
    /// It is being made durable that it will be answered.
    Answering,
    /// Admission is being asked.
    Admitting,
    /// INVITEs are out.
    Dialling,
    /// Both directions talk.
    Talking,
    /// CANCEL is out and its outcome open.
    Cancelling,
    /// Nothing left to do.
    Over,
}

/// One INVITE of a leg: several when a phone has several contacts.
#[derive(Debug)]
pub(crate) struct Branch {
    pub(crate) sip: LegId,
    pub(crate) target: String,
    pub(crate) remote: SocketAddr,
    /// Challenges answered: realm and nonce.
    pub(crate) answered: Vec<(String, String)>,
}

/// A leg.
pub(crate) struct Leg {
    pub(crate) name: Name,
    pub(crate) stage: Stage,
    /// Its own admitted call; the B leg of a trunk call has none, its record is A's.
    pub(crate) record: Option<Box<Record>>,
    pub(crate) branches: SmallVec<[Branch; 1]>,
    /// Routes not tried yet.
    pub(crate) routes: VecDeque<Route>,
    /// The route being tried, and its addresses not tried yet (RFC 3263 §4.3).
    pub(crate) route: Option<Route>,
    pub(crate) hops: VecDeque<NextHop>,
    /// What the document brought to answer the callee's server with.
    pub(crate) own_credentials: Option<RouteCredentials>,
    /// What answers a challenge on the route being tried.
    pub(crate) credentials: Option<RouteCredentials>,
    /// The route being tried leads to a configured carrier.
    pub(crate) to_carrier: bool,
    /// The carrier's channel it takes.
    pub(crate) channel: Option<CarrierChannel>,
    /// After which failures of the route being tried the next one is.
    pub(crate) failover: Failover,
    /// Best reason so far why branches failed: status and phrase.
    pub(crate) failure: Option<(u16, End)>,
    /// It was hung up while admission was asked.
    pub(crate) unwanted: Option<End>,
    /// Give up on the present route if nobody has spoken by then.
    pub(crate) no_response_at: Option<Instant>,
    /// Stop waiting for the outcome of a CANCEL.
    pub(crate) cancel_deadline: Option<Instant>,
    pub(crate) audio: Audio,
    /// The SDP its ACK has to carry: our answer, when the 2xx made the offer.
    pub(crate) ack_body: Vec<u8>,
    /// Its own call's answer is durable, and it has got its ACK.
    pub(crate) acknowledged: bool,
    pub(crate) media: Option<RtpLeg>,
    pub(crate) place: PeerPlace,
    /// Digits being sent, for the fall back to INFO.
    pub(crate) dialling_digits: String,
    /// Digits that wait for the answer to the INFO before them.
    pub(crate) info_digits: VecDeque<char>,
}

impl Leg {
    /// A leg to which nothing has happened.
    pub(crate) fn new(name: Name, stage: Stage, audio_id: u64) -> Self {
        Self {
            name,
            stage,
            record: None,
            branches: SmallVec::new(),
            routes: VecDeque::new(),
            route: None,
            hops: VecDeque::new(),
            own_credentials: None,
            credentials: None,
            to_carrier: false,
            channel: None,
            failover: Failover::of_origination(),
            failure: None,
            unwanted: None,
            no_response_at: None,
            cancel_deadline: None,
            audio: Audio::new(audio_id),
            ack_body: Vec::new(),
            acknowledged: false,
            media: None,
            place: PeerPlace::Public,
            dialling_digits: String::new(),
            info_digits: VecDeque::new(),
        }
    }

    /// The SIP leg that counts: the answered one, or the first.
    pub(crate) fn sip(&self) -> Option<LegId> {
        self.branches.first().map(|branch| branch.sip)
    }

    /// Takes the next route; its addresses but the first wait for their turn.
    pub(crate) fn next_route(&mut self) -> Option<Route> {
        self.hops.clear();
        let mut route = self.routes.pop_front()?;
        if let RouteDestination::Hosts(hops) = &mut route.destination {
            self.hops = hops.drain(..).collect();
            hops.extend(self.hops.pop_front());
        }
        Some(route)
    }

    /// Whether there is somewhere else to try.
    pub(crate) fn has_elsewhere(&self) -> bool {
        !self.hops.is_empty() || !self.routes.is_empty()
    }

    /// The branch a SIP event is about.
    pub(crate) fn branch(&mut self, sip: LegId) -> Option<&mut Branch> {
        self.branches.iter_mut().find(|branch| branch.sip == sip)
    }

    /// Takes a branch out.
    pub(crate) fn drop_branch(&mut self, sip: LegId) -> Option<Branch> {
        let position = self.branches.iter().position(|branch| branch.sip == sip)?;
        Some(self.branches.remove(position))
    }

    /// Whether signalling is still going on.
    pub(crate) fn is_alive(&self) -> bool {
        self.stage != Stage::Over
    }

    /// When something is due on this leg.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let record = self.record.as_deref();
        let talking = record.filter(|_| self.stage == Stage::Talking);
        let money = talking.and_then(|record| record.meter.deadline(record.answered?.instant));
        // The call flow watches A's limit itself.
        let limit = talking
            .filter(|_| self.name != Name::A)
            .and_then(|record| Some(record.answered?.instant + record.max_duration));
        let silence = self.no_response_at.filter(|_| self.stage == Stage::Dialling);
        let cancelling = self.cancel_deadline.filter(|_| self.stage == Stage::Cancelling);
        [money, limit, silence, cancelling].into_iter().flatten().min()
    }
}
