//! What an arriving message does until a dialog or a client transaction takes over.

use std::time::{Duration, Instant};

use super::facts::{
    is_multipart, reason, request_facts, session_description, session_request, takes_session_description,
    unsupported,
};
use super::send::{Reply, SDP};
use super::tables::{Cancel, ClientUser, ServerUser};
use super::{Endpoint, Event, LegId, NatPolicy, Termination, TransactionId};
use crate::dialog::{Dialog, address_text, contact_uri, routes};
use crate::flow::{Flow, Transport};
use crate::identity::Mark;
use crate::leg::{Incoming, Leg, Phase, Role};
use crate::message::{
    Deserves, Framed, HeaderName, MAX_DATAGRAM_BYTES, MAX_STREAM_MESSAGE_BYTES, Message, Method, NameAddr,
    ParseError, Request, UriError, Via,
};
use crate::transaction::{ReplyTemplate, reply_flow};

/// Retry-After of our 503 while tables are full.
const OVERLOAD_RETRY_AFTER: &str = "5";
/// A proxy's timer C may be as short as three minutes; a provisional each minute keeps it alive
/// (RFC 3261 §13.3.1.1).
pub(super) const PROVISIONAL_REPEAT: Duration = Duration::from_mins(1);

impl Endpoint {
    pub(super) fn receive(&mut self, now: Instant, flow: Flow, bytes: &[u8]) {
        let limit = if flow.transport.is_reliable() { MAX_STREAM_MESSAGE_BYTES } else { MAX_DATAGRAM_BYTES };
        let mut scratch = std::mem::take(&mut self.scratch);
        match Message::parse(bytes, &mut scratch, limit) {
            Ok(Message::Request(request)) => self.receive_request(now, flow, &request),
            Ok(Message::Response(response)) => self.receive_response(now, flow, &response),
            Err(ParseError::KeepAlive) => {}
            Err(error) => self.receive_malformed(flow, bytes, limit, error),
        }
        self.scratch = scratch;
    }

    /// Answer an unacceptable request as well as its remains allow.
    fn receive_malformed(&mut self, flow: Flow, bytes: &[u8], limit: usize, error: ParseError) {
        self.counters.malformed += 1;
        let Deserves::Answer(status) = error.deserves() else { return };
        let mut scratch = Vec::new();
        let Ok(framed) = Framed::parse(bytes, &mut scratch, limit) else { return };
        if framed.is_response() || framed.start_line.starts_with("ACK ") {
            return;
        }
        let headers = &framed.headers;
        let host = framed.start_line.split(' ').nth(1).and_then(|uri| crate::message::Uri::parse(uri).ok());
        if !self.config.courtesy.answers(flow, host.map_or("", |uri| uri.host())) {
            return;
        }
        let value = |name| headers.first(name).filter(|value| !value.is_empty());
        let (Some(from), Some(to), Some(call_id), Some(cseq)) = (
            value(HeaderName::From),
            value(HeaderName::To),
            value(HeaderName::CallId),
            value(HeaderName::CSeq),
        ) else {
            return;
        };
        let Some(via) = headers.elements(HeaderName::Via).next() else { return };
        // A Via that cannot be read is repeated as it came, to where it came from.
        let destination = Via::parse(via).map_or(flow, |via| reply_flow(&via, flow));
        let vias = headers.values(HeaderName::Via);
        let template = ReplyTemplate::from_parts(&mut self.buffer, vias, from, to, call_id, cseq);
        let phrase = (status == 400).then(|| format!("Bad Request: {error}"));
        self.refuse_from(destination, &template, status, phrase.as_deref(), None);
    }

    fn receive_request(&mut self, now: Instant, flow: Flow, request: &Request<'_>) {
        let key = self.hasher.server_key(request, request.method);
        let known = self.server_index.get(&key).copied();
        match (request.method, known) {
            (Method::Ack, known) => {
                if let Some(server) = known
                    && let Some(entry) = self.servers.get_mut(server)
                {
                    entry.machine.on_ack(now, &self.config.timers);
                    self.arm_server(now, server);
                }
                self.receive_ack(now, flow, request);
            }
            (_, Some(server)) => self.repeat_response(server),
            (Method::Cancel, None) => self.receive_cancel(now, flow, request),
            (_, None) if request.common.to.tag().is_some() => self.receive_in_dialog(now, flow, request),
            (_, None) => self.receive_out_of_dialog(now, flow, request),
        }
    }

    fn repeat_response(&mut self, server: crate::arena::Key) {
        let Some(entry) = self.servers.get(server) else { return };
        let Some(packet) = entry.machine.on_repeated_request().cloned() else { return };
        let flow = entry.flow;
        self.counters.retransmissions += 1;
        self.send(flow, packet);
    }

    fn receive_cancel(&mut self, now: Instant, flow: Flow, request: &Request<'_>) {
        let invite = self.server_index.get(&self.hasher.server_key(request, Method::Invite)).copied();
        let Some(invite) = invite else {
            self.refuse(flow, request, 481, None);
            return;
        };
        let Some((tag, user, is_pending, is_silent)) = self.servers.get(invite).map(|entry| {
            let machine = &entry.machine;
            (entry.tag, entry.user, machine.is_pending(), machine.is_swallowing())
        }) else {
            return;
        };
        if is_silent {
            return;
        }
        let Some(server) = self.open_server(now, flow, request, tag, ServerUser::Nobody) else {
            self.refuse(flow, request, 503, None);
            return;
        };
        self.reply(now, server, Reply::status(200), |_| ());
        if !is_pending {
            return;
        }
        self.reply(now, invite, Reply::status(487), |_| ());
        let ServerUser::Leg(key) = user else { return };
        if self.legs.get(key).is_some_and(|leg| matches!(leg.phase, Phase::Incoming(_))) {
            self.refuse_peer_offer(now, key);
        }
        let Some(leg) = self.legs.get_mut(key) else { return };
        match leg.phase {
            // A re-INVITE: the offer is withdrawn, the call goes on.
            Phase::Confirmed => leg.peer_offer = None,
            _ => {
                leg.phase = Phase::Cancelled;
                self.event(Event::Cancelled { leg: LegId(key), reason: reason(&request.common.headers) });
            }
        }
    }

    fn receive_out_of_dialog(&mut self, now: Instant, flow: Flow, request: &Request<'_>) {
        if !self.may_enter(flow, request) {
            self.counters.unopened += 1;
            return;
        }
        if self.merge_index.contains_key(&self.hasher.merge_key(request)) {
            self.refuse(flow, request, 482, None);
            return;
        }
        // Nothing that only lives inside a dialog starts one.
        if matches!(request.method, Method::Bye | Method::Update | Method::Info | Method::Prack) {
            self.refuse(flow, request, 481, None);
            return;
        }
        if self.outputs.len() >= self.config.limits.pending_outputs {
            self.counters.refused_full += 1;
            return;
        }
        if request.method == Method::Invite
            && let Some(seconds) = self.turns_away
        {
            self.counters.turned_away += 1;
            self.refuse(flow, request, 503, Some((HeaderName::RetryAfter, &seconds.to_string())));
            return;
        }
        let legs_full = request.method == Method::Invite && self.legs.is_full();
        if self.servers.is_full() || legs_full {
            self.counters.refused_full += 1;
            self.refuse(flow, request, 503, Some((HeaderName::RetryAfter, OVERLOAD_RETRY_AFTER)));
            return;
        }
        if let Some(tags) = unsupported(&request.common.headers) {
            self.refuse(flow, request, 420, Some((HeaderName::Unsupported, &tags)));
            return;
        }
        if request.method == Method::Invite {
            self.receive_invite(now, flow, request);
        } else {
            self.receive_other(now, flow, request);
        }
    }

    fn receive_other(&mut self, now: Instant, flow: Flow, request: &Request<'_>) {
        let facts = match request_facts(flow, request) {
            Ok(facts) => Box::new(facts),
            Err(error) => return self.refuse_unreadable(flow, request, error),
        };
        let tag = self.new_mark();
        if let Some(server) = self.open_server(now, flow, request, tag, ServerUser::Request) {
            self.event(Event::Request { transaction: TransactionId(server), facts });
        }
    }

    fn refuse_unreadable(&mut self, flow: Flow, request: &Request<'_>, error: ParseError) {
        self.counters.malformed += 1;
        // 416 is about the Request-URI alone (§8.2.2.1).
        let status = match error.deserves() {
            Deserves::Answer(status) if status != 416 => status,
            _ => 400,
        };
        self.refuse(flow, request, status, None);
    }

    fn receive_invite(&mut self, now: Instant, flow: Flow, request: &Request<'_>) {
        let common = &request.common;
        let has_foreign_body = !common.body.is_empty()
            && session_description(common).is_none()
            && !common.media_type().is_some_and(is_multipart);
        if has_foreign_body {
            self.refuse(flow, request, 415, Some((HeaderName::Accept, SDP)));
            return;
        }
        if !takes_session_description(&common.headers) {
            self.refuse(flow, request, 406, None);
            return;
        }
        let session = session_request(&common.headers);
        if session.is_some_and(|session| session.interval < self.config.min_session_expires) {
            let least = self.config.min_session_expires.as_secs().to_string();
            self.refuse(flow, request, 422, Some((HeaderName::MinSe, &least)));
            return;
        }
        let facts = match request_facts(flow, request) {
            Ok(facts) => Box::new(facts),
            Err(error) => return self.refuse_unreadable(flow, request, error),
        };
        let tag = self.new_mark();
        let Some(server) = self.open_server(now, flow, request, tag, ServerUser::Nobody) else { return };
        // A caller without Contact is unreachable but for the flow; From will do as its name.
        let target = contact_uri(&common.headers).unwrap_or_else(|| facts.from.uri.clone());
        let dialog = Dialog {
            call_id: common.call_id.into(),
            local: address_text(&common.to),
            local_tag: tag,
            remote: address_text(&common.from),
            remote_tag: common.from.tag().unwrap_or("").into(),
            local_cseq: 0,
            remote_cseq: Some(common.cseq.number),
            remote_target: target,
            route_set: routes(&common.headers),
        };
        let incoming = Incoming {
            server,
            requires_100rel: super::facts::lists(&common.headers, HeaderName::Require, "100rel"),
            next_rseq: 1,
            reliable: None,
            is_offer_answered: false,
            queued: None,
            session,
            repeat_at: None,
        };
        let may_use_tcp = flow.transport == Transport::Udp && names_no_transport(&dialog.remote_target);
        let leg = Leg {
            role: Role::Uas,
            dialog,
            flow: reply_flow(&common.via, flow),
            nat_policy: self.config.nat_policy,
            contact_user: request.uri.user().filter(|user| is_plain_user(user)).map(Into::into),
            phase: Phase::Incoming(Box::new(incoming)),
            unacked: None,
            peer_offer: None,
            own_offer: None,
            session: None,
            may_use_tcp,
            peer_takes_update: super::facts::lists(&common.headers, HeaderName::Allow, "UPDATE"),
            local_sdp: None,
            answerer: None,
            armed: None,
        };
        let Some(key) = self.add_leg(leg) else {
            self.close_server(server);
            return;
        };
        if let Some(entry) = self.servers.get_mut(server) {
            entry.user = ServerUser::Leg(key);
        }
        self.event(Event::Invite { leg: LegId(key), facts });
    }

    /// A path failed: what was sent over it and is still unheard has failed too. Answered calls
    /// outlive a closed TCP connection (a new one can be made) but not a WebSocket, which only the
    /// peer can open again.
    pub(super) fn transport_failed(&mut self, now: Instant, flow: Flow) {
        let unheard: Vec<_> = self
            .clients
            .iter()
            .filter(|(_, entry)| entry.flow == flow && entry.machine.is_unanswered())
            .map(|(key, _)| key)
            .collect();
        for client in unheard {
            self.client_failed(now, client, Termination::TransportFailed);
        }
        if !matches!(flow.transport, Transport::Ws | Transport::Wss) {
            if flow.transport.is_reliable() {
                self.leave_connection(flow);
            }
            return;
        }
        let cut: Vec<_> = self.legs.iter().filter(|(_, leg)| leg.flow == flow).map(|(key, _)| key).collect();
        for key in cut {
            self.cut_leg(now, key);
        }
    }

    /// Calls whose connection has closed go on by a new one to where the peer says it listens (§12.2.1.1, §18.1.1), unless
    /// it may not be sent to or sits behind a NAT: then only the peer can connect again.
    fn leave_connection(&mut self, flow: Flow) {
        let left: Vec<_> = self.legs.iter().filter(|(_, leg)| leg.flow == flow).map(|(key, _)| key).collect();
        for key in left {
            let Some(leg) = self.legs.get_mut(key) else { continue };
            let listens_at = leg.dialog.next_hop().filter(|address| self.config.guard.allows(*address));
            if let Some(address) = listens_at.filter(|_| leg.nat_policy == NatPolicy::Contact) {
                leg.flow = flow.to(address);
            }
        }
    }

    /// Whether an unfinished transaction or a live leg depends on a connection.
    pub fn uses(&self, flow: Flow) -> bool {
        self.legs.iter().any(|(_, leg)| leg.flow == flow)
            || self.clients.iter().any(|(_, entry)| entry.flow == flow)
            || self.servers.iter().any(|(_, entry)| entry.flow == flow)
    }

    fn cut_leg(&mut self, now: Instant, key: crate::arena::Key) {
        self.refuse_peer_offer(now, key);
        let Some(leg) = self.drop_leg(key) else { return };
        match &leg.phase {
            Phase::Incoming(incoming) => {
                self.reply(now, incoming.server, Reply::status(480), |_| ());
            }
            Phase::Calling(calling) => {
                if let Some(entry) = self.clients.get_mut(calling.client) {
                    entry.user = ClientUser::Nobody;
                    entry.cancel = Cancel::Unwanted;
                }
                self.close_client(calling.client);
            }
            Phase::Closing { .. } | Phase::Cancelled => return,
            Phase::Answering { .. } | Phase::Confirmed => {}
        }
        self.event(Event::Terminated { leg: LegId(key), why: Termination::TransportFailed });
    }

    /// The leg whose tag a request carries, if its Call-ID and tags agree.
    pub(super) fn find_leg(&self, request: &Request<'_>) -> Option<crate::arena::Key> {
        let mark = Mark::parse(request.common.to.tag()?)?;
        let key = *self.dialog_index.get(&mark.unique)?;
        let leg = self.legs.get(key)?;
        (leg.dialog.local_tag == mark && leg.dialog.matches(&request.common)).then_some(key)
    }
}

/// A user part that our Contact can repeat as it is.
pub(super) fn is_plain_user(user: &str) -> bool {
    !user.is_empty()
        && user.len() <= 128
        && user.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/%#".contains(&byte))
        && NameAddr::parse(&format!("<sip:{user}@h>")).is_some_and(|address| {
            !matches!(address.uri(), Err(UriError::IllegalCharacter | UriError::TooLong))
        })
}

/// A URI without `transport` leaves the choice to its reader.
fn names_no_transport(target: &crate::message::OwnedUri) -> bool {
    target.view().parameter("transport").is_none()
}
