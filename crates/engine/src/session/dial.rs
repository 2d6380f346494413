//! Dialling a leg: routes in order, every contact of a phone at once, challenges answered, silence
//! and congestion tried elsewhere.

use std::net::SocketAddr;
use std::time::Duration;

use secrecy::ExposeSecret as _;
use tandem_callflow::{DialOrder, DialTarget, End, Input, Leg as Name, SipCredentials};
use tandem_model::ports::{LegRequest, NextHop, Route, RouteCredentials, RouteDestination, Transport};
use tandem_model::{CallId, HangupCause, HangupSource, clock, entropy};
use tandem_sip::digest::{Attempt, ChallengeKind, Credentials, authorize, parse_challenge};
use tandem_sip::message::{Address, FieldName, HeaderField, OwnedUri};
use tandem_sip::{AckTiming, Flow, LegId, NatPolicy, Outcome, OutgoingInvite, SnapshotState, Termination};

use super::leg::{Branch, Leg, Stage};
use super::negotiate::{PeerPlace, codecs_like, codecs_through};
use super::record::{Disposition, Moment};
use super::{Done, Session, audio_id};

/// The SIP core's own ring limit lies this far beyond the call flow's, which is the one that counts.
const RING_MARGIN: Duration = Duration::from_mins(1);

/// Where one INVITE goes.
struct Target {
    flow: Flow,
    large_flow: Option<Flow>,
    uri: OwnedUri,
    path: Vec<OwnedUri>,
}

impl Session {
    /// `Effect::Dial`.
    pub(super) fn dial(&mut self, name: Name, order: DialOrder) {
        let in_use = self.legs.iter().skip(1).filter(|leg| leg.is_alive()).count();
        let mut leg = Leg::new(name, Stage::Dialling, audio_id());
        match order.target {
            DialTarget::AdmittedRoutes => {
                leg.routes = std::mem::take(&mut self.admitted_routes).into();
                self.legs.push(leg);
                self.start_route(self.legs.len() - 1);
            }
            DialTarget::Leg(_) if in_use >= self.shard.config.limits.forks => {
                let end = End::new(HangupCause::SimultaneousDialLimit, HangupSource::Vobiz);
                self.tell(Input::LegEnded { leg: name, end, sip_status: Some(503) });
            }
            DialTarget::Leg(target) => {
                let Some(parent) = self.a_facts().cloned() else { return };
                leg.stage = Stage::Admitting;
                leg.own_credentials = order.credentials.map(own_credentials);
                self.legs.push(leg);
                let request = LegRequest {
                    call: CallId::random(),
                    parent,
                    target,
                    caller_id: order.caller_id,
                    caller_name: order.caller_name,
                    custom_headers: order.custom_headers,
                    requested_at: clock::wall(),
                };
                let admission = self.shard.ports.admission.clone();
                self.spawn(async move {
                    let decision = Box::new(admission.admit_leg(request).await);
                    Done::LegDecided { leg: name, decision }
                });
            }
        }
    }

    /// Sends the INVITEs of a leg's next usable route, or ends the leg. The further addresses of the route being tried come
    /// before other routes: they are the same attempt, and keep its channel.
    pub(super) fn start_route(&mut self, position: usize) {
        loop {
            let Some(leg) = self.legs.get_mut(position) else { return };
            let (route, is_same) = match (leg.hops.pop_front(), leg.route.take()) {
                (Some(hop), Some(route)) => {
                    (Route { destination: RouteDestination::Hosts(vec![hop]), ..route }, true)
                }
                _ => match leg.next_route() {
                    Some(route) => (route, false),
                    None => {
                        let no_route = (503, End::new(HangupCause::RoutingError, HangupSource::Vobiz));
                        let (status, end) = leg.failure.take().unwrap_or(no_route);
                        return self.leg_over(position, end, Disposition::RecvRefuse, Some(status));
                    }
                },
            };
            if !leg.hops.is_empty() {
                leg.route = Some(route.clone());
            }
            let targets = match self.targets(&route) {
                Ok(targets) => targets,
                Err(failure) => {
                    self.legs[position].failure = Some(failure);
                    continue;
                }
            };
            if !is_same && !self.seize(position, &route) {
                let full = (503, End::new(HangupCause::CarrierCongestion, HangupSource::Vobiz));
                self.legs[position].failure = Some(full);
                self.legs[position].hops.clear();
                continue;
            }
            if self.invite(position, &route, targets) {
                return;
            }
        }
    }

    /// Takes the carrier's channel for a route; `false` when it has none left. The channel of the route before is given back.
    fn seize(&mut self, position: usize, route: &Route) -> bool {
        let call = self.record_of(position).map(|record| record.facts.call);
        let leg = &mut self.legs[position];
        leg.channel = None;
        let Some((carrier, call)) = route.carrier.zip(call) else { return true };
        leg.channel = self.shard.ports.admission.seize(call, carrier);
        if self.legs[position].channel.is_none() {
            tracing::info!(call_id = %call, carrier_id = %carrier, "a carrier is at its limit; the next one is tried");
            return false;
        }
        true
    }

    fn targets(&self, route: &Route) -> Result<Vec<Target>, (u16, End)> {
        match &route.destination {
            RouteDestination::Endpoint(username) => {
                let contacts =
                    self.shard.phone_contacts(username).into_iter().take(self.shard.config.limits.forks);
                let targets: Vec<_> = contacts
                    .map(|contact| Target {
                        flow: contact.flow,
                        large_flow: None,
                        uri: contact.uri,
                        path: contact.path,
                    })
                    .collect();
                if targets.is_empty() {
                    return Err((480, End::new(HangupCause::EndpointNotRegistered, HangupSource::Vobiz)));
                }
                Ok(targets)
            }
            RouteDestination::Address(remote, transport) => {
                self.target(route, *remote, *transport, None).map(|target| vec![target])
            }
            RouteDestination::Hosts(hops) => {
                let hop =
                    hops.first().ok_or((502, End::new(HangupCause::NetworkError, HangupSource::Vobiz)))?;
                self.target(route, hop.address, hop.transport, Some(hop)).map(|target| vec![target])
            }
        }
    }

    fn target(
        &self,
        route: &Route,
        remote: SocketAddr,
        transport: Transport,
        host: Option<&NextHop>,
    ) -> Result<Target, (u16, End)> {
        let failure = |cause| (502, End::new(cause, HangupSource::Vobiz));
        let uri = OwnedUri::parse(&route.request_uri).map_err(|error| {
            tracing::warn!(call_id = %self.call_id(), %error, "a route has an unusable Request-URI");
            failure(HangupCause::InvalidDestination)
        })?;
        let shard = &self.shard;
        if !shard.ports.directory.may_send_to(remote) {
            tracing::warn!(call_id = %self.call_id(), "a route leads to an address that may not be sent to");
            return Err(failure(HangupCause::NetworkError));
        }
        let Some(flow) = shard.flow_over(sip_transport(transport), remote) else {
            tracing::warn!(call_id = %self.call_id(), ?transport, "a route needs a transport that is switched off");
            return Err(failure(HangupCause::NetworkError));
        };
        if let Some(host) = host.filter(|_| transport == Transport::Tls)
            && !shard.expect_name(remote, &host.name)
        {
            tracing::warn!(call_id = %self.call_id(), name = %host.name, "an open connection's certificate is not good for a route's name");
            return Err(failure(HangupCause::NetworkError));
        }
        let may_use_tcp = host.is_some_and(|host| host.may_use_tcp) && shard.takes_tcp(remote);
        let large_flow = if may_use_tcp { shard.flow_over(tandem_sip::Transport::Tcp, remote) } else { None };
        Ok(Target { flow, large_flow, uri, path: Vec::new() })
    }

    /// Sends the INVITEs of one route; `false` when none left.
    fn invite(&mut self, position: usize, route: &Route, mut targets: Vec<Target>) -> bool {
        let internal = (500, End::new(HangupCause::InternalError, HangupSource::Vobiz));
        // One offer goes to all: devices of another address family than the newest one's could not use it.
        let toward =
            targets.first().map_or(self.shard.config.advertised_ip, |target| target.flow.remote.ip());
        targets.retain(|target| target.flow.remote.is_ipv4() == toward.is_ipv4());
        let Some(local) = self.open_media(position, toward) else {
            self.legs[position].failure = Some(internal);
            return false;
        };
        let to_phone = matches!(route.destination, RouteDestination::Endpoint(_));
        let codecs = self.codecs_for_b();
        let leg = &mut self.legs[position];
        leg.place = match (route.nat || to_phone, route.carrier.is_some()) {
            (true, _) => PeerPlace::Nat,
            (false, true) => PeerPlace::Carrier,
            (false, false) => PeerPlace::Public,
        };
        leg.to_carrier = route.carrier.is_some();
        // A document's own are for the callee's server; a carrier's are not replaced by them.
        let own = leg.own_credentials.as_ref().filter(|_| route.carrier.is_none());
        leg.credentials = own.cloned().or_else(|| route.credentials.clone());
        let credentials = leg.credentials.as_ref().map(credentials_of);
        leg.failover.clone_from(&route.failover);
        leg.stage = Stage::Dialling;
        let body = leg.audio.offer(local, &codecs);
        for target in targets {
            let sip_call_id = format!("{:016x}{:016x}", entropy::number(), entropy::number());
            let Some(mut invite) = self.compose(route, &target, body.clone(), to_phone) else {
                tracing::warn!(call_id = %self.call_id(), "a route holds addresses that cannot be printed");
                continue;
            };
            invite.credentials.clone_from(&credentials);
            invite.call_id = Some(sip_call_id.clone());
            let call = self.call_id();
            self.seat.add_trace(&sip_call_id, call);
            let sent = self.shard.command(|endpoint, now| endpoint.invite(now, invite));
            match sent {
                Ok(sip) => self.add_branch(position, sip, &target, sip_call_id),
                Err(error) => {
                    tracing::error!(call_id = %self.call_id(), %error, "an INVITE could not be made");
                }
            }
        }
        let now = clock::monotonic();
        let leg = &mut self.legs[position];
        if leg.branches.is_empty() {
            leg.failure = Some(internal);
            return false;
        }
        leg.no_response_at = leg.has_elsewhere().then(|| now + self.shard.config.timing.no_response);
        self.note_dialling(position);
        true
    }

    /// Notes the dialogs of a call being dialled, for a crash. The note replaces what was there, so a caller whose record
    /// this leg shares is in it, first: it waits too, and its Call-ID names the call.
    fn note_dialling(&mut self, position: usize) {
        let Some(call) = self.record_of(position).map(|record| record.facts.call) else { return };
        let mut dialogs = Vec::new();
        if position != 0 && self.legs[position].record.is_none() {
            dialogs.extend(self.dialog(0, SnapshotState::Pending));
        }
        let branches = self.legs[position].branches.iter();
        dialogs.extend(
            branches.filter_map(|branch| self.dialog_of(position, branch.sip, SnapshotState::Pending)),
        );
        if !dialogs.is_empty() {
            self.shard.ports.admission.dialling(call, dialogs);
        }
    }

    fn add_branch(&mut self, position: usize, sip: LegId, target: &Target, sip_call_id: String) {
        self.seat.add_sip(sip, &self.mailbox);
        let remote = target.flow.remote;
        let to_carrier = self.legs[position].to_carrier;
        if let Some(record) = self.record_of(position) {
            if record.sip_call_id.is_empty() {
                record.sip_call_id = sip_call_id;
                record.network_addr = Some(remote);
            }
            if to_carrier {
                record.carrier_addr = Some(remote);
            }
        }
        let target = target.uri.to_string();
        let branch = Branch { sip, target, remote, answered: Vec::new() };
        self.legs[position].branches.push(branch);
    }

    fn compose(
        &self,
        route: &Route,
        target: &Target,
        body: Vec<u8>,
        to_phone: bool,
    ) -> Option<OutgoingInvite> {
        let from = Address::parse(&route.from_uri).ok()?.with_display_name(&route.display_name).ok()?;
        let to = Address::parse(&route.to_uri).ok()?;
        let mut invite = OutgoingInvite::new(target.flow, target.uri.clone(), from, to);
        invite.large_flow = target.large_flow;
        invite.p_asserted_identity =
            route.asserted_identity.as_deref().and_then(|uri| Address::parse(uri).ok());
        invite.headers =
            route.headers.iter().filter_map(|(name, value)| allowed_header(name, value)).collect();
        invite.route.clone_from(&target.path);
        invite.sdp = Some(body);
        invite.ring_timeout = self.ring_timeout.max(self.shard.config.timing.ring_timeout) + RING_MARGIN;
        invite.max_forwards = self.max_forwards;
        invite.ack = AckTiming::ByCommand;
        let keep_to_flow = route.nat || to_phone;
        invite.nat_policy = if keep_to_flow { NatPolicy::ReceivedFlow } else { NatPolicy::Contact };
        Some(invite)
    }

    fn codecs_for_b(&self) -> tandem_sip::sdp::AudioCapabilities {
        let Some(a) = self.legs.first() else { return codecs_through(Vec::new()) };
        let codecs = match a.audio.codec() {
            Some(codec) => codecs_like(codec),
            None if self.is_bridge => codecs_through(a.audio.offered_codecs()),
            None => codecs_through(Vec::new()),
        };
        // Comfort noise is passed on, never made: it is for a callee whose caller has it too.
        codecs.with_comfort_noise(a.audio.has_comfort_noise())
    }

    /// 401 or 407: answered once per realm, again only to a new nonce of a peer that says the old one was stale.
    pub(super) fn on_challenge(&mut self, position: usize, sip: LegId, status: u16, challenges: &[String]) {
        let kind = if status == 401 { ChallengeKind::Www } else { ChallengeKind::Proxy };
        let mut parsed: Vec<_> =
            challenges.iter().filter_map(|value| parse_challenge(kind, value).ok()).collect();
        let leg = &mut self.legs[position];
        let credentials = leg.credentials.as_ref().map(credentials_of);
        let body = leg.audio.local_body().unwrap_or_default();
        let answer = leg.branch(sip).zip(credentials).and_then(|(branch, credentials)| {
            parsed.retain(|challenge| branch.answered.iter().all(|(_, nonce)| *nonce != challenge.nonce));
            let is_known = |realm: &String| branch.answered.iter().any(|(known, _)| known == realm);
            let repeated = parsed.iter().any(|challenge| is_known(&challenge.realm));
            let attempt = if repeated { Attempt::Repeated } else { Attempt::First };
            let cnonce = format!("{:016x}", entropy::number());
            authorize(&parsed, &credentials, attempt, "INVITE", &branch.target, &body, &cnonce, 1)
                .inspect_err(|error| tracing::warn!(%error, "a carrier's challenge is not answered"))
                .inspect(|answer| branch.answered.push((answer.realm.clone(), answer.nonce.clone())))
                .ok()
        });
        let field = answer.and_then(|answer| {
            let name = match kind {
                ChallengeKind::Www => FieldName::Authorization,
                ChallengeKind::Proxy => FieldName::ProxyAuthorization,
            };
            HeaderField::new(name, answer.value).ok()
        });
        let sent =
            field.map(|field| self.shard.command(|endpoint, now| endpoint.retry_with_auth(now, sip, field)));
        if sent == Some(Outcome::Sent) {
            // The CANCEL of a crash must name the INVITE that is out now.
            self.note_dialling(position);
        } else {
            let _ = self.shard.command(|endpoint, now| endpoint.abandon(now, sip));
            let end = self.refusal_of(position, status);
            self.branch_failed(position, sip, status, end, Reached::Spoke);
        }
    }

    /// One INVITE of a leg failed.
    fn branch_failed(&mut self, position: usize, sip: LegId, status: u16, end: End, reached: Reached) {
        self.seat.drop_sip(sip);
        let leg = &mut self.legs[position];
        leg.drop_branch(sip);
        // A callee who said no outweighs a device that did not answer.
        if leg.failure.is_none_or(|(earlier, _)| !is_decisive(earlier)) {
            leg.failure = Some((status, end));
        }
        if !leg.branches.is_empty() {
            return;
        }
        if leg.stage == Stage::Cancelling {
            return self.leg_over(position, end, Disposition::SendCancel, Some(status));
        }
        let (status, end) = leg.failure.take().unwrap_or((status, end));
        let unreached = end.cause == HangupCause::NetworkError;
        if reached == Reached::NotServed && !leg.hops.is_empty() {
            tracing::info!(call_id = %self.call_id(), status, "an address does not serve; the next one of its host is tried");
            self.legs[position].failure = Some((status, end));
            return self.start_route(position);
        }
        leg.hops.clear();
        if (unreached || leg.failover.tries_next(status)) && !leg.routes.is_empty() {
            tracing::info!(call_id = %self.call_id(), status, "a route failed; the next one is tried");
            self.legs[position].failure = Some((status, end));
            return self.start_route(position);
        }
        self.leg_over(position, end, Disposition::RecvRefuse, Some(status));
    }

    /// Nobody spoke on this route in time, and there is another.
    pub(super) fn on_no_response(&mut self, position: usize) {
        let leg = &mut self.legs[position];
        leg.no_response_at = None;
        let unheard = |branch: &Branch| self.shard.endpoint(|endpoint| endpoint.is_unheard(branch.sip));
        if !leg.has_elsewhere() || !leg.branches.iter().all(unheard) {
            return;
        }
        tracing::info!(call_id = %self.call_id(), "an address is silent; the next one is tried");
        // The old INVITEs end by themselves: a late answer gets ACK and BYE from the SIP core.
        let silent: Vec<_> = self.legs[position].branches.drain(..).collect();
        for branch in silent {
            self.seat.drop_sip(branch.sip);
            let _ = self.shard.command(|endpoint, now| endpoint.cancel(now, branch.sip, None));
        }
        self.legs[position].failure = Some((408, self.refusal_of(position, 408)));
        self.start_route(position);
    }

    /// A dialled leg answered: the others of its fork lose, its audio starts, its record counts.
    pub(super) fn on_answered(
        &mut self,
        position: usize,
        sip: LegId,
        sdp: Option<&[u8]>,
        needs_answer: bool,
    ) {
        if self.legs[position].stage != Stage::Dialling {
            // It answered while CANCEL was on its way; the SIP core ends it.
            if let Some(record) = self.record_of(position) {
                record.answered_while_cancelling = true;
            }
            let lost = End::new(HangupCause::Canceled, HangupSource::Vobiz);
            return self.leg_over(position, lost, Disposition::SendCancel, None);
        }
        let losers: Vec<_> =
            self.legs[position].branches.iter().map(|branch| branch.sip).filter(|b| *b != sip).collect();
        for loser in losers {
            self.seat.drop_sip(loser);
            self.legs[position].drop_branch(loser);
            let reason = super::ending::elsewhere();
            // One that answered in the same moment gets ACK and BYE; its event has nobody to go to.
            let _ = self.shard.command(|endpoint, now| endpoint.hang_up(now, loser, 487, Some(&reason)));
        }
        if let Err(error) = self.take_answer(position, sdp, needs_answer) {
            tracing::info!(call_id = %self.call_id(), %error, "a callee's audio does not fit");
            return self.fail_leg(position, End::new(HangupCause::Rejected, HangupSource::Vobiz), Some(488));
        }
        let target = self.legs[position].branches.first().map(|branch| branch.target.clone());
        let codec = self.legs[position].audio.codec().map(tandem_sip::sdp::AudioCodec::encoding);
        if let Some(record) = self.record_of(position) {
            record.terminated_to = target;
            record.codec = codec;
        }
        self.talk(position);
        if let Some(media) = &self.legs[position].media
            && let Err(error) = media.start_playout()
        {
            tracing::error!(call_id = %self.call_id(), %error, "a media worker did not start");
        }
        if position == 0 {
            return self.store_answer_of_a();
        }
        self.store_answer_of_b(position);
        let leg = self.legs[position].name;
        self.tell(Input::LegAnswered { leg });
    }

    /// The answer of a leg with its own record is made durable beside the call; only its ACK waits. A leg that shares A's
    /// record waits for A's.
    fn store_answer_of_b(&mut self, position: usize) {
        let dialogs: Vec<_> = self.dialog(position, SnapshotState::Answered).into_iter().collect();
        let Some(record) = self.legs[position].record.as_ref() else { return };
        let call = record.facts.call;
        let at = record.answered.map_or_else(|| Moment::now().wall, |answered| answered.wall);
        let answered = tandem_model::ports::Answered { call, at, dialogs };
        let admission = self.shard.ports.admission.clone();
        self.spawn(async move { Done::LegAnswerStored { call, result: admission.answered(answered).await } });
    }

    fn refusal_of(&self, position: usize, status: u16) -> End {
        let to_carrier = self.legs.get(position).is_some_and(|leg| leg.to_carrier);
        let source = if to_carrier { HangupSource::Carrier } else { HangupSource::Callee };
        End::new(HangupCause::from_sip_status(status), source)
    }

    /// A final failure response to one INVITE.
    pub(super) fn on_rejected(&mut self, position: usize, sip: LegId, status: u16) {
        let end = self.refusal_of(position, status);
        let reached = if status == 503 { Reached::NotServed } else { Reached::Spoke };
        self.branch_failed(position, sip, status, end, reached);
    }

    /// One INVITE ended without an answer.
    pub(super) fn on_unanswered(&mut self, position: usize, sip: LegId, why: Termination) {
        let (status, end) = match why {
            Termination::Timeout | Termination::Gone481 | Termination::NoPrack => {
                (408, self.refusal_of(position, 408))
            }
            Termination::RingTimeout => (408, End::new(HangupCause::RingTimeout, HangupSource::Vobiz)),
            Termination::TransportFailed | Termination::SessionExpired => {
                (503, End::new(HangupCause::NetworkError, HangupSource::Carrier))
            }
            Termination::ProtocolError => (500, super::ending::protocol_error()),
        };
        let silent = matches!(why, Termination::Timeout | Termination::TransportFailed);
        let reached = if silent { Reached::NotServed } else { Reached::Spoke };
        self.branch_failed(position, sip, status, end, reached);
    }
}

/// What a failure says of the address that was tried (RFC 3263 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// Silence, no connection, or 503: the next address of the host may serve.
    NotServed,
    /// It answered for its host.
    Spoke,
}

fn own_credentials(written: SipCredentials) -> RouteCredentials {
    RouteCredentials { username: written.username, password: written.password.into(), realm: None }
}

pub(crate) fn credentials_of(route: &RouteCredentials) -> Credentials {
    Credentials {
        username: route.username.clone(),
        password: route.password.expose_secret().to_owned(),
        expected_realm: route.realm.clone(),
    }
}

fn sip_transport(transport: Transport) -> tandem_sip::Transport {
    match transport {
        Transport::Udp => tandem_sip::Transport::Udp,
        Transport::Tcp => tandem_sip::Transport::Tcp,
        Transport::Tls => tandem_sip::Transport::Tls,
    }
}

/// A person said no, or there is no such person.
fn is_decisive(status: u16) -> bool {
    matches!(status, 486 | 600..=699 | 404 | 484)
}

/// The headers a route may add; anything else is left out.
fn allowed_header(name: &str, value: &str) -> Option<HeaderField> {
    let field = match name.to_ascii_lowercase().as_str() {
        "diversion" => HeaderField::new(FieldName::Diversion, value),
        "privacy" => HeaderField::new(FieldName::Privacy, value),
        _ => HeaderField::custom(name, value),
    };
    field.ok()
}
