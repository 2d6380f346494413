//! Responses: to an INVITE (provisional, failure, forks), to requests inside a dialog, to others.

use std::time::{Duration, Instant};

use rand::Rng as _;

use super::facts::{
    MAX_SESSION_EXPIRES, challenges, lists, reason, redirect_targets, response_facts, sdp, session_answer,
};
use super::send::{EMPTY, ReasonLine};
use super::tables::{Acknowledged, Cancel, ClientUser, client_index};
use super::{AckTiming, Endpoint, Event, LegId, Packet, Reason, RequestId, Termination};
use crate::arena::Key;
use crate::dialog::{Dialog, MAX_FORWARDS, address_text, reversed_routes};
use crate::flow::Flow;
use crate::identity::Mark;
use crate::leg::{CallProgress, OfferPurpose, Phase, Role, SessionTimer};
use crate::message::{
    HeaderName, MAX_STREAM_MESSAGE_BYTES, Message, MessageWriter, Method, Request, Response, leading_decimal,
};
use crate::transaction::{ClientStep, Kind};

/// Challenges answered for one INVITE before the last is reported as a rejection.
pub(super) const MAX_CHALLENGES: u8 = 4;
/// How long a re-INVITE may stay without final response once the peer has said that it is at it; the first INVITE has
/// its leg's ring timeout. As long as timer C (§16.6).
const MAX_OFFER_WAIT: Duration = Duration::from_mins(3);
/// Times a re-INVITE is tried again after 491.
const MAX_GLARE_RETRIES: u8 = 4;

impl Endpoint {
    pub(super) fn receive_response(&mut self, now: Instant, flow: Flow, response: &Response<'_>) {
        let common = &response.common;
        let method = common.cseq.method();
        let client = common
            .via
            .branch()
            .and_then(Mark::parse_branch)
            .and_then(|branch| self.client_index.get(&client_index(branch, method)).copied());
        let Some(entry) =
            client.and_then(|key| self.clients.get_mut(key)).filter(|entry| entry.method == method)
        else {
            self.counters.strays += 1;
            self.end_orphaned_answer(now, flow, response);
            return;
        };
        let Some(client) = client else { return };
        let step = entry.machine.on_response(now, &self.config.timers, response.status);
        let user = entry.user;
        let kind = entry.machine.kind();
        self.arm_client(now, client);
        match (kind, step) {
            (_, ClientStep::Absorbed) => {}
            (Kind::Invite, ClientStep::Provisional) => self.invite_progresses(now, client, user, response),
            (Kind::Invite, ClientStep::Success) => self.invite_accepted(now, client, user, flow, response),
            (Kind::Invite, ClientStep::Failure) => {
                self.acknowledge_failure(client, response);
                if !self.answer_challenge(now, client, user, response) {
                    self.invite_failed(now, user, response);
                }
            }
            (Kind::Invite, ClientStep::RepeatedFailure) => {
                let ack =
                    self.clients.get(client).and_then(|entry| Some((entry.flow, entry.failure_ack.clone()?)));
                if let Some((flow, packet)) = ack {
                    self.send(flow, packet);
                }
            }
            (Kind::NonInvite, ClientStep::Provisional | ClientStep::RepeatedFailure) => {}
            (Kind::NonInvite, ClientStep::Success | ClientStep::Failure) => {
                if !self.answer_challenge(now, client, user, response) {
                    self.request_answered(now, client, user, flow, response);
                }
            }
        }
    }

    fn invite_progresses(&mut self, now: Instant, client: Key, user: ClientUser, response: &Response<'_>) {
        if let Some(entry) = self.clients.get_mut(client)
            && let Cancel::Waiting(reason) = &mut entry.cancel
        {
            let reason = reason.take();
            self.send_cancel(now, client, reason.as_ref());
        }
        if matches!(user, ClientUser::Offer(_))
            && let Some(entry) = self.clients.get_mut(client)
            && entry.machine.is_endless()
        {
            entry.machine.give_up_at(now + MAX_OFFER_WAIT);
            self.arm_client(now, client);
        }
        let ClientUser::Invite(key) = user else { return };
        let is_waiting = self.legs.get(key).is_some_and(|leg| {
            matches!(&leg.phase, Phase::Calling(calling)
                if calling.client == client && calling.progress == CallProgress::Waiting)
        });
        if !is_waiting || response.status == 100 {
            return;
        }
        let early_tag = response.common.to.tag().unwrap_or("").to_owned();
        let (leg, status) = (LegId(key), response.status);
        self.event(match sdp(&response.common) {
            Some(sdp) => Event::Progress { leg, early_tag, status, sdp },
            None => Event::Ringing { leg, early_tag, status },
        });
    }

    fn invite_accepted(
        &mut self,
        now: Instant,
        client: Key,
        user: ClientUser,
        flow: Flow,
        response: &Response<'_>,
    ) {
        let tag = response.common.to.tag().unwrap_or("");
        let Some(entry) = self.clients.get(client) else { return };
        if let Some(known) = entry.acknowledged.iter().find(|known| *known.tag == *tag) {
            // A repetition: the ACK was lost, or the peer could not wait.
            if let Some(packet) = known.packet.clone() {
                let flow = known.flow;
                self.counters.retransmissions += 1;
                self.send(flow, packet);
            }
            return;
        }
        let is_first = entry.acknowledged.is_empty();
        match user {
            ClientUser::Invite(key) if is_first => self.leg_answered(now, client, key, flow, response),
            ClientUser::Offer(key) if is_first => self.offer_accepted(now, client, key, flow, response),
            _ => self.refuse_answer(now, client, flow, response),
        }
    }

    /// The first 2xx to a leg's INVITE.
    fn leg_answered(&mut self, now: Instant, client: Key, key: Key, flow: Flow, response: &Response<'_>) {
        let Some(leg) = self.legs.get_mut(key) else {
            return self.refuse_answer(now, client, flow, response);
        };
        let Phase::Calling(calling) = &leg.phase else {
            return self.refuse_answer(now, client, flow, response);
        };
        if calling.progress != CallProgress::Waiting || calling.client != client {
            self.refuse_answer(now, client, flow, response);
            self.drop_leg(key);
            self.event(Event::LateAnswerAfterCancel { leg: LegId(key) });
            return;
        }
        let common = &response.common;
        let answer = sdp(common);
        let needs_answer = calling.invite.sdp.is_none();
        if needs_answer && answer.is_none() {
            self.refuse_answer(now, client, flow, response);
            self.drop_leg(key);
            self.event(Event::Terminated { leg: LegId(key), why: Termination::ProtocolError });
            return;
        }
        let is_held = needs_answer || calling.invite.ack == AckTiming::ByCommand;
        let local_sdp = calling.invite.sdp.as_deref().map(Into::into);
        let dialog = &mut leg.dialog;
        dialog.remote = address_text(&common.to);
        dialog.remote_tag = common.to.tag().unwrap_or("").into();
        dialog.route_set = reversed_routes(&common.headers);
        dialog.refresh_target(common);
        leg.phase = if is_held { Phase::Answering { client } } else { Phase::Confirmed };
        leg.peer_takes_update = lists(&common.headers, HeaderName::Allow, "UPDATE");
        leg.session = session_answer(&common.headers)
            .filter(|session| !session.interval.is_zero())
            .map(|session| SessionTimer::starting(now, session));
        leg.local_sdp = leg.session.filter(|session| session.we_refresh).and(local_sdp);
        if flow.transport == leg.flow.transport {
            leg.flow = flow;
        }
        self.arm_leg(now, key);
        if is_held {
            let acknowledged = Acknowledged { tag: leg_tag(response), flow, packet: None };
            self.remember_ack(client, acknowledged);
        } else {
            self.send_leg_ack(client, key, common.cseq.number, b"");
        }
        self.event(Event::Answered { leg: LegId(key), sdp: answer, needs_answer });
    }

    /// Send a leg's ACK and keep it for repetitions of the 2xx.
    pub(super) fn send_leg_ack(&mut self, client: Key, key: Key, cseq: u32, sdp: &[u8]) {
        let Some(leg) = self.legs.get(key) else { return };
        let (dialog, flow) = (leg.dialog.clone(), self.destination(leg));
        let shown = self.shown_credentials(client);
        let packet = self.print_ack(&dialog, flow, cseq, &shown, sdp);
        self.remember_ack(
            client,
            Acknowledged { tag: dialog.remote_tag, flow, packet: Some(packet.clone()) },
        );
        self.send(flow, packet);
    }

    fn remember_ack(&mut self, client: Key, acknowledged: Acknowledged) {
        let limit = self.config.limits.forks_per_leg;
        let Some(entry) = self.clients.get_mut(client) else { return };
        entry.acknowledged.retain(|known| known.tag != acknowledged.tag);
        if entry.acknowledged.len() < limit {
            entry.acknowledged.push(acknowledged);
        }
    }

    /// A 2xx nobody wants (another fork, after CANCEL, of an orphan): ACK it, then BYE (§13.2.2.4).
    /// Both go where the 2xx came from: a Contact in an unasked answer aims nothing.
    fn refuse_answer(&mut self, now: Instant, client: Key, flow: Flow, response: &Response<'_>) {
        let is_full = self
            .clients
            .get(client)
            .is_none_or(|entry| entry.acknowledged.len() >= self.config.limits.forks_per_leg);
        let target = self.sent_request_uri(client);
        let dialog = target.and_then(|target| Dialog::from_answer(response, &target));
        let Some(mut dialog) = dialog.filter(|_| !is_full) else { return };
        let shown = self.shown_credentials(client);
        let packet = self.print_ack(&dialog, flow, response.common.cseq.number, &shown, b"");
        let tag = dialog.remote_tag.clone();
        self.remember_ack(client, Acknowledged { tag, flow, packet: Some(packet.clone()) });
        self.send(flow, packet);
        dialog.local_cseq += 1;
        let branch = self.new_mark();
        let mut buffer = std::mem::take(&mut self.buffer);
        let via = self.via_line(flow, branch);
        dialog.print_request(&mut buffer, "BYE", dialog.local_cseq, via, MAX_FORWARDS).finish("", b"");
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        self.open_client(now, flow, packet, branch, Method::Bye, ClientUser::Nobody);
    }

    fn invite_failed(&mut self, now: Instant, user: ClientUser, response: &Response<'_>) {
        match user {
            ClientUser::Invite(key) => self.call_failed(key, response),
            ClientUser::Offer(key) if self.lengthen_session(now, key, response) => {}
            ClientUser::Offer(key) => self.offer_failed(now, key, response.status),
            _ => {}
        }
    }

    fn call_failed(&mut self, key: Key, response: &Response<'_>) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let Phase::Calling(calling) = &mut leg.phase else { return };
        let headers = &response.common.headers;
        let status = response.status;
        let is_challenge = matches!(status, 401 | 407)
            && calling.progress == CallProgress::Waiting
            && calling.challenges_met < MAX_CHALLENGES;
        if is_challenge {
            calling.challenges_met += 1;
            calling.progress = CallProgress::Challenged;
            self.event(Event::Challenged { leg: LegId(key), status, challenges: challenges(headers) });
            return;
        }
        self.drop_leg(key);
        let leg = LegId(key);
        self.event(if status < 400 {
            Event::Redirected { leg, status, contacts: redirect_targets(headers) }
        } else {
            Event::Rejected {
                leg,
                status,
                phrase: response.phrase.to_owned(),
                reason: reason(headers),
                retry_after: headers.first(HeaderName::RetryAfter).and_then(leading_decimal),
            }
        });
    }

    fn offer_accepted(&mut self, now: Instant, client: Key, key: Key, flow: Flow, response: &Response<'_>) {
        let common = &response.common;
        let Some(leg) =
            self.legs.get_mut(key).filter(|leg| *leg.dialog.remote_tag == *common.to.tag().unwrap_or(""))
        else {
            return self.refuse_answer(now, client, flow, response);
        };
        if leg.is_over() {
            // Nobody waits for the answer any more, but it is acknowledged.
            self.send_leg_ack(client, key, common.cseq.number, b"");
            return;
        }
        leg.dialog.refresh_target(common);
        if let Some(session) = session_answer(&common.headers) {
            leg.session = Some(SessionTimer::starting(now, session));
        }
        let own = leg.own_offer.take();
        let asked_for_offer = own.as_ref().is_some_and(|own| own.sdp.is_none());
        self.arm_leg(now, key);
        let sdp = sdp(common);
        if asked_for_offer && sdp.is_some() {
            // The ACK has to carry our answer.
            self.remember_ack(client, Acknowledged { tag: leg_tag(response), flow, packet: None });
            if let Some(leg) = self.legs.get_mut(key).filter(|leg| leg.is_confirmed()) {
                leg.phase = Phase::Answering { client };
            }
            self.event(Event::Answered { leg: LegId(key), sdp, needs_answer: true });
            return;
        }
        self.send_leg_ack(client, key, common.cseq.number, b"");
        if own.is_some_and(|own| own.purpose == OfferPurpose::Command) {
            self.event(Event::ReinviteAnswered { leg: LegId(key), sdp });
        }
    }

    pub(super) fn offer_failed(&mut self, now: Instant, key: Key, status: u16) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        if matches!(status, 408 | 481) {
            return self.peer_is_gone(now, key, status);
        }
        let Some(own) = leg.own_offer.as_mut() else { return };
        if status == 491 && own.attempts < MAX_GLARE_RETRIES && leg.is_confirmed() {
            // §14.1: the side that made the Call-ID waits 2.1–4 s, the other 0–2 s, by 10 ms.
            let steps = self.random.next_u64();
            let Some(leg) = self.legs.get_mut(key) else { return };
            let milliseconds = match leg.role {
                Role::Uac => 2100 + steps % 191 * 10,
                Role::Uas => steps % 201 * 10,
            };
            if let Some(own) = leg.own_offer.as_mut() {
                own.attempts += 1;
                own.retry_at = Some(now + Duration::from_millis(milliseconds));
            }
            self.arm_leg(now, key);
            return;
        }
        let purpose = leg.own_offer.take().map(|own| own.purpose);
        if purpose == Some(OfferPurpose::Command) && !leg.is_over() {
            self.event(Event::ReinviteFailed { leg: LegId(key), status });
        }
    }

    /// 408 or 481 inside a dialog ends it (§12.2.1.2). To a peer that may only have been slow, BYE.
    pub(super) fn peer_is_gone(&mut self, now: Instant, key: Key, status: u16) {
        let Some(leg) = self.legs.get_mut(key).filter(|leg| !leg.is_over()) else { return };
        let why = if status == 481 { Termination::Gone481 } else { Termination::Timeout };
        leg.phase = Phase::Closing { bye_after_ack: None };
        leg.unacked = None;
        self.refuse_peer_offer(now, key);
        if status == 481 {
            self.drop_leg(key);
        } else {
            self.finish_closing(now, key, None);
        }
        self.event(Event::Terminated { leg: LegId(key), why });
    }

    fn request_answered(
        &mut self,
        now: Instant,
        client: Key,
        user: ClientUser,
        flow: Flow,
        response: &Response<'_>,
    ) {
        let status = response.status;
        match user {
            ClientUser::Nobody => {}
            ClientUser::Bye(key) => {
                self.drop_leg(key);
            }
            ClientUser::Info(key) => {
                let is_live = self.legs.get(key).is_some_and(|leg| !leg.is_over());
                if is_live {
                    self.event(Event::InfoAnswered { leg: LegId(key), status });
                }
                if matches!(status, 408 | 481) {
                    self.peer_is_gone(now, key, status);
                }
            }
            ClientUser::Refresh(key) => self.refresh_answered(now, key, response),
            ClientUser::Request => {
                let facts = Box::new(response_facts(flow, response));
                self.event(Event::Response { request: RequestId(client), facts });
            }
            ClientUser::Invite(_) | ClientUser::Offer(_) => {}
        }
    }

    fn refresh_answered(&mut self, now: Instant, key: Key, response: &Response<'_>) {
        if matches!(response.status, 408 | 481) {
            return self.peer_is_gone(now, key, response.status);
        }
        if self.lengthen_session(now, key, response) {
            return;
        }
        let Some(leg) = self.legs.get_mut(key) else { return };
        if (200..300).contains(&response.status) {
            leg.dialog.refresh_target(&response.common);
            if let Some(session) = session_answer(&response.common.headers) {
                leg.session = Some(SessionTimer::starting(now, session));
            }
        } else if matches!(response.status, 405 | 501) {
            // It said so too late in Allow: the next refresh is a re-INVITE.
            leg.peer_takes_update = false;
        }
        self.arm_leg(now, key);
    }

    /// 422 to a refresh of ours: somebody on the way wants a longer interval, and gets it at once (RFC 4028 §7.4). `false` if
    /// it names none that is longer, or the refresh was not only one.
    fn lengthen_session(&mut self, now: Instant, key: Key, response: &Response<'_>) -> bool {
        if response.status != 422 {
            return false;
        }
        let least = response.common.headers.first(HeaderName::MinSe).and_then(leading_decimal);
        let least = least.map(|seconds| Duration::from_secs(u64::from(seconds)));
        let Some(leg) = self.legs.get_mut(key).filter(|leg| leg.is_confirmed()) else { return false };
        let is_command = leg.own_offer.as_ref().is_some_and(|own| own.purpose == OfferPurpose::Command);
        let Some(session) = leg.session.as_mut().filter(|_| !is_command) else { return false };
        let Some(least) = least.filter(|least| *least > session.interval && *least <= MAX_SESSION_EXPIRES)
        else {
            return false;
        };
        session.interval = least;
        session.least = Some(least);
        session.at = now;
        leg.own_offer = None;
        self.keep_session(now, key);
        self.arm_leg(now, key);
        true
    }

    /// The ACK to an INVITE's failure: same branch, Request-URI and Route as the INVITE (§17.1.1.3).
    fn acknowledge_failure(&mut self, client: Key, response: &Response<'_>) {
        let to = response.common.to.text;
        let Some(packet) = self.print_like_invite(client, "ACK", to, |_| ()) else { return };
        let Some(entry) = self.clients.get_mut(client) else { return };
        entry.failure_ack = Some(packet.clone());
        let flow = entry.flow;
        self.send(flow, packet);
    }

    /// CANCEL an INVITE now, or as soon as a provisional response comes (§9.1).
    pub(super) fn cancel_invite(&mut self, now: Instant, client: Key, reason: Option<&Reason>) {
        let Some(entry) = self.clients.get_mut(client) else { return };
        if entry.cancel != Cancel::Unwanted || !entry.machine.is_pending() {
            return;
        }
        if entry.machine.is_unanswered() {
            entry.cancel = Cancel::Waiting(reason.cloned());
        } else {
            self.send_cancel(now, client, reason);
        }
    }

    pub(super) fn send_cancel(&mut self, now: Instant, client: Key, reason: Option<&Reason>) {
        let packet = self.print_like_invite(client, "CANCEL", "", |writer| {
            if let Some(reason) = reason {
                writer.formatted(HeaderName::Reason, format_args!("{}", ReasonLine(reason)));
            }
        });
        let Some((packet, branch)) = packet.zip(self.sent_branch(client)) else { return };
        let give_up_at = now + self.config.timers.timeout();
        let Some(entry) = self.clients.get_mut(client) else { return };
        entry.cancel = Cancel::Sent;
        entry.machine.give_up_at(give_up_at);
        let flow = entry.flow;
        self.arm_client(now, client);
        self.open_client(now, flow, packet, branch, Method::Cancel, ClientUser::Nobody);
    }

    /// Print a request that repeats the Via, Request-URI, Route, From, Call-ID and CSeq number of an
    /// INVITE we sent. `to` of "" repeats its To as well.
    fn print_like_invite(
        &mut self,
        client: Key,
        method: &str,
        to: &str,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Option<Packet> {
        let packet = self.clients.get(client)?.packet.clone();
        let mut scratch = Vec::new();
        let invite = parse_own(&packet, &mut scratch)?;
        let common = &invite.common;
        let mut writer = MessageWriter::request(&mut self.buffer, method, invite.uri.as_str());
        writer.field(HeaderName::Via, common.via.text);
        for route in common.headers.values(HeaderName::Route) {
            writer.field(HeaderName::Route, route);
        }
        writer.field(HeaderName::From, common.from.text);
        writer.field(HeaderName::To, if to.is_empty() { common.to.text } else { to });
        writer.field(HeaderName::CallId, common.call_id);
        writer.formatted(HeaderName::CSeq, format_args!("{} {method}", common.cseq.number));
        writer.formatted(HeaderName::MaxForwards, format_args!("{MAX_FORWARDS}"));
        fill(&mut writer);
        writer.finish(EMPTY.0, EMPTY.1);
        Some(Packet::new(&self.buffer))
    }

    pub(super) fn sent_branch(&self, client: Key) -> Option<Mark> {
        let packet = &self.clients.get(client)?.packet;
        let mut scratch = Vec::new();
        Mark::parse_branch(parse_own(packet, &mut scratch)?.common.via.branch()?)
    }

    fn sent_request_uri(&self, client: Key) -> Option<crate::message::OwnedUri> {
        let packet = &self.clients.get(client)?.packet;
        let mut scratch = Vec::new();
        Some(parse_own(packet, &mut scratch)?.uri.to_owned())
    }
}

/// Read back a request that we printed.
pub(super) fn parse_own<'a>(packet: &'a [u8], scratch: &'a mut Vec<u8>) -> Option<Request<'a>> {
    match Message::parse(packet, scratch, MAX_STREAM_MESSAGE_BYTES) {
        Ok(Message::Request(request)) => Some(request),
        _ => None,
    }
}

fn leg_tag(response: &Response<'_>) -> Box<str> {
    response.common.to.tag().unwrap_or("").into()
}
