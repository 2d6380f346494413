//! How sessions begin: an authenticated INVITE asks for admission; an API call, admitted already,
//! dials.

use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::FuturesUnordered;
use smallvec::smallvec;
use tandem_callflow::document::Reading;
use tandem_callflow::{ALegState, Call, CallSetup, Input, Leg as Name, Limits, Program};
use tandem_model::ports::{Admitted, CallerIdentity, Decision, InviteFacts, Plan, Route};
use tandem_model::{CallId, clock};
use tandem_sip::message::{FieldName, HeaderField};
use tandem_sip::{LegId, NatPolicy, RequestFacts};

use super::leg::{Branch, Leg, Stage};
use super::meter::Meter;
use super::negotiate::{Audio, AudioError, PeerPlace, codecs_relayed};
use super::record::Record;
use super::steer::LiveSounds;
use super::{Mailbox, Session, Unstarted, audio_id};
use crate::config::host_text;
use crate::handle::Origination;
use crate::live::Doorbell;
use crate::rtp::event_channel;
use crate::shard::Shard;

/// Max-Forwards of calls that begin here (RFC 3261 §8.1.1.6).
const MAX_FORWARDS: u8 = 70;

/// An INVITE that has proven who it is.
pub(crate) struct Incoming {
    pub(crate) leg: LegId,
    pub(crate) request: Box<RequestFacts>,
    pub(crate) facts: InviteFacts,
    pub(crate) received: Instant,
    pub(crate) nat: NatGuess,
}

/// What the edge saw of the path to a caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NatGuess {
    /// The address itself identifies the caller.
    Known,
    /// A phone, or a Via that names another address than the packet's source.
    Behind,
    /// Nothing speaks for NAT so far; its SDP may.
    Unknown,
}

/// A session's place among the live ones, given back however the session ends.
pub(super) struct Seat {
    shard: Rc<Shard>,
    calls: Vec<CallId>,
    sip_call_ids: Vec<String>,
    sips: Vec<LegId>,
}

impl Seat {
    pub(super) fn new(shard: &Rc<Shard>) -> Self {
        Self { shard: Rc::clone(shard), calls: Vec::new(), sip_call_ids: Vec::new(), sips: Vec::new() }
    }

    /// Makes a call of this session reachable by its id.
    pub(super) fn add_call(&mut self, call: CallId, mailbox: &Mailbox) {
        self.shard.live.insert(call, Arc::clone(mailbox.door()));
        self.calls.push(call);
    }

    /// Takes over the events of a SIP leg.
    pub(super) fn add_sip(&mut self, sip: LegId, mailbox: &Rc<Mailbox>) {
        self.shard.own(sip, mailbox);
        self.sips.push(sip);
    }

    /// Shows messages with this Call-ID on the call's timeline, if anybody watches.
    pub(super) fn add_trace(&mut self, sip_call_id: &str, call: CallId) {
        if self.shard.trace_call_id(sip_call_id, call) {
            self.sip_call_ids.push(sip_call_id.to_owned());
        }
    }

    /// Takes over a call and its SIP leg from another session's seat.
    pub(super) fn take_over(&mut self, from: &mut Self, call: CallId, sip: &[LegId], mailbox: &Rc<Mailbox>) {
        from.calls.retain(|kept| *kept != call);
        self.add_call(call, mailbox);
        for sip in sip {
            from.sips.retain(|kept| kept != sip);
            self.add_sip(*sip, mailbox);
        }
    }

    /// Lets go of a SIP leg that is over.
    pub(super) fn drop_sip(&mut self, sip: LegId) {
        self.shard.disown(sip);
        self.sips.retain(|kept| *kept != sip);
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        for sip in &self.sips {
            self.shard.disown(*sip);
            // A bug of ours must not leave two people connected that nobody bills or ends; the record
            // is the reaper's.
            if std::thread::panicking() {
                tracing::error!("a session panicked; its calls are hung up");
                let _ = self.shard.command(|endpoint, now| endpoint.hang_up(now, *sip, 500, None));
            }
        }
        for sip_call_id in &self.sip_call_ids {
            self.shard.untrace_call_id(sip_call_id);
        }
        for call in &self.calls {
            self.shard.live.remove(*call);
            self.shard.falls_silent(*call);
        }
        self.shard.live.leave();
    }
}

/// An inbound call, from admission to the stored end.
pub(crate) async fn run_inbound(shard: Rc<Shard>, mailbox: Rc<Mailbox>, incoming: Incoming) {
    let Incoming { leg: sip, request, facts, received, nat } = incoming;
    let mut seat = Seat::new(&shard);
    seat.add_call(facts.call, &mailbox);
    seat.add_sip(sip, &mailbox);
    seat.add_trace(&request.call_id, facts.call);
    let mut audio = Audio::new(audio_id());
    if let Some(body) = &request.sdp
        && let Err(error) = audio.take_offer(
            body,
            request.flow.remote.ip(),
            |peer| shard.config.advertised_to(peer),
            &codecs_relayed(),
        )
    {
        return refuse_audio(&shard, sip, request.flow.remote.ip(), &error);
    }
    let from_carrier = matches!(facts.identity, CallerIdentity::Carrier(_));
    let remote = request.flow.remote;
    // A caller known by its password may sit behind NAT; one known by its address does not.
    let speaks_from_elsewhere = || audio.offered_ip().is_some_and(|ip| ip != remote.ip());
    let behind_nat = match nat {
        NatGuess::Known => false,
        NatGuess::Behind => true,
        NatGuess::Unknown => speaks_from_elsewhere(),
    };
    let admitted = match shard.ports.admission.admit(facts).await {
        Decision::Admit(admitted) => *admitted,
        Decision::Refuse(refusal) => return shard.refuse_now(sip, &refusal),
    };
    let behind_nat = behind_nat || admitted.nat;
    if behind_nat {
        let _ = shard.command(|endpoint, _| endpoint.set_nat_policy(sip, NatPolicy::ReceivedFlow));
    }
    let Admitted { facts, plan, reservation, max_duration_s, recording, nat: _ } = admitted;
    let mut record = Record::new(facts.clone(), Meter::new(reservation), max_duration_s, recording, received);
    record.sip_call_id.clone_from(&request.call_id);
    record.user_agent.clone_from(&request.user_agent);
    record.network_addr = Some(remote);
    if from_carrier {
        record.carrier_addr = Some(remote);
    }
    let mut a = Leg::new(Name::A, Stage::Waiting, 0);
    a.audio = audio;
    a.record = Some(Box::new(record));
    a.place = match (behind_nat, from_carrier) {
        (true, _) => PeerPlace::Nat,
        (false, true) => PeerPlace::Carrier,
        (false, false) => PeerPlace::Public,
    };
    a.branches =
        smallvec![Branch { sip, target: request.request_uri.to_string(), remote, answered: Vec::new() }];

    let default_ring = shard.config.timing.ring_timeout;
    let (program, admitted_routes, ring_timeout, is_bridge) = match plan {
        Plan::Bridge { routes, ring_timeout_s } => {
            let ring_timeout = Duration::from_secs(u64::from(ring_timeout_s));
            (Program::Bridge { ring_timeout }, routes, ring_timeout, true)
        }
        Plan::Application(application) => (Program::Document(application), Vec::new(), default_ring, false),
    };
    let max_forwards = request.max_forwards.saturating_sub(1);
    // The request is read; what a session keeps of it is in the leg.
    drop(request);
    let (events, media) = event_channel();
    let mut session = Session {
        call: None,
        unstarted: None,
        legs: vec![a],
        admitted_routes,
        ring_timeout,
        max_forwards,
        is_bridge,
        ..Session::empty(shard, mailbox, seat, events)
    };
    // A caller who gave up meanwhile starts nothing.
    session.on_door();
    if session.finished.is_none() {
        session.start_flow(facts, program, ALegState::Unanswered, max_duration_s);
    }
    session.live(media).await;
}

/// An API call, from the first INVITE to the stored end. Its admission and its seat are taken.
pub(crate) async fn run_originated(shard: Rc<Shard>, origination: Origination) {
    let Origination { leg, application, ring_timeout_s } = origination;
    let mut seat = Seat::new(&shard);
    let mailbox = Rc::new(Mailbox::new(Arc::new(Doorbell::default())));
    seat.add_call(leg.facts.call, &mailbox);
    let now = clock::monotonic();
    let ring_timeout = ring_timeout_s
        .map_or(shard.config.timing.ring_timeout, |seconds| Duration::from_secs(u64::from(seconds)));
    let record = Record::new(leg.facts, Meter::new(leg.reservation), leg.max_duration_s, leg.recording, now);
    let mut a = Leg::new(Name::A, Stage::Dialling, audio_id());
    a.record = Some(Box::new(record));
    a.routes = leg.routes.into();
    let (events, media) = event_channel();
    let mut session = Session {
        unstarted: Some(Unstarted { application, ring_deadline: now + ring_timeout, rang: false }),
        legs: vec![a],
        ring_timeout,
        ..Session::empty(shard, mailbox, seat, events)
    };
    session.start_route(0);
    session.live(media).await;
}

impl Session {
    pub(super) fn empty(
        shard: Rc<Shard>,
        mailbox: Rc<Mailbox>,
        seat: Seat,
        media_events: tokio::sync::mpsc::Sender<crate::rtp::MediaEvent>,
    ) -> Self {
        Self {
            ring_timeout: shard.config.timing.ring_timeout,
            shard,
            mailbox,
            seat,
            media_events,
            call: None,
            unstarted: None,
            legs: Vec::new(),
            admitted_routes: Vec::<Route>::new(),
            max_forwards: MAX_FORWARDS,
            sounds: Vec::new(),
            live_sounds: LiveSounds::default(),
            moved: Vec::new(),
            work: FuturesUnordered::new(),
            finished: None,
            settling: false,
            settle_deadline: None,
            is_bridge: false,
            last_recording: 0,
            recordings: Vec::new(),
        }
    }

    /// Sets the call flow going.
    pub(super) fn start_flow(
        &mut self,
        facts: tandem_model::CallFacts,
        program: Program,
        a_leg: ALegState,
        max_duration_s: u64,
    ) {
        let limits = Limits { ring_timeout: self.shard.config.timing.ring_timeout, ..Limits::default() };
        let setup = CallSetup {
            facts,
            program,
            a_leg,
            // A late offer leaves nothing to answer before the 200.
            early_media: self.legs.first().is_some_and(|a| a.audio.has_offer()),
            reading: Reading::Tolerant,
            max_duration: Duration::from_secs(max_duration_s),
            apology: self.shard.config.apology.clone(),
            limits,
        };
        self.call = Some(Call::new(clock::monotonic(), setup));
        self.tell(Input::Start);
    }

    /// The far side of an API call talks: its document begins.
    pub(super) fn start_unstarted(&mut self) {
        let Some(unstarted) = self.unstarted.take() else { return };
        let Some(record) = self.legs.first().and_then(|a| a.record.as_ref()) else { return };
        let (facts, max_duration_s) = (record.facts.clone(), record.max_duration.as_secs());
        self.start_flow(facts, Program::Document(unstarted.application), ALegState::Answered, max_duration_s);
    }
}

/// 488 (or 400) before admission: no decision was made, so there is no record.
fn refuse_audio(shard: &Rc<Shard>, sip: LegId, source: IpAddr, error: &AudioError) {
    let (status, warning) = match error {
        AudioError::Unreadable(_) | AudioError::Missing => (400, (399, "Unreadable session description")),
        AudioError::Unfitting(error) => (488, error.warning()),
    };
    tracing::info!(%error, status, "an INVITE has no audio we can carry");
    let host = host_text(shard.config.advertised_to(source));
    let value = format!("{} {host} \"{}\"", warning.0, warning.1);
    let field = HeaderField::new(FieldName::Warning, value).ok();
    let _ = shard.command(|endpoint, now| endpoint.reject(now, sip, status, None, field.as_slice()));
}
