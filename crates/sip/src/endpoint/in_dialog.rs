//! Requests inside a dialog: ACK, BYE, re-INVITE, UPDATE, INFO, PRACK, OPTIONS.

use std::time::Instant;

use rand::Rng as _;

use super::facts::{reason, sdp, session_request, unsupported};
use super::incoming::print_session;
use super::send::{ALLOW, ContactLine, Reply, SDP, SUPPORTED_AS_SERVER};
use super::tables::{ClientUser, ServerUser};
use super::{Endpoint, Event, LegId};
use crate::arena::Key;
use crate::flow::Flow;
use crate::leg::{Phase, Queued, SessionTimer};
use crate::message::{HeaderName, Method, Request, decimal};
use crate::transaction::Routes;

/// Longest Retry-After of the 500 to an offer that meets an unanswered one (§14.2: 0 to 10 s).
const MAX_OFFER_RETRY_SECONDS: u64 = 10;

impl Endpoint {
    pub(super) fn receive_ack(&mut self, now: Instant, flow: Flow, request: &Request<'_>) {
        let Some(key) = self.find_leg(request) else {
            self.counters.strays += 1;
            return;
        };
        let Some(leg) = self.legs.get_mut(key) else { return };
        let number = request.common.cseq.number;
        if leg.unacked.as_ref().is_none_or(|unacked| unacked.cseq != number) {
            return;
        }
        leg.unacked = None;
        leg.follow(flow);
        if let Phase::Closing { bye_after_ack } = &mut leg.phase {
            if let Some(reason) = bye_after_ack.take() {
                self.finish_closing(now, key, reason.as_ref());
            }
            return;
        }
        self.event(Event::Acked { leg: LegId(key), sdp: sdp(&request.common) });
    }

    /// A leg ends while the peer's offer waits for our answer: it gets one.
    pub(super) fn refuse_peer_offer(&mut self, now: Instant, key: Key) {
        let offer = self.legs.get_mut(key).and_then(|leg| leg.peer_offer.take());
        if let Some(server) = offer {
            self.reply(now, server, Reply::status(487), |_| ());
        }
    }

    /// Send the BYE of a leg that is over; without room for its transaction the leg just goes.
    pub(super) fn finish_closing(&mut self, now: Instant, key: Key, reason: Option<&super::Reason>) {
        if self.send_bye(now, key, ClientUser::Bye(key), reason).is_none() {
            self.drop_leg(key);
        }
    }

    pub(super) fn receive_in_dialog(&mut self, now: Instant, flow: Flow, request: &Request<'_>) {
        let Some(key) = self.find_leg(request) else {
            self.refuse(flow, request, 481, None);
            return;
        };
        let Some(leg) = self.legs.get_mut(key) else { return };
        let number = request.common.cseq.number;
        let is_late = leg.dialog.remote_cseq.is_some_and(|last| number < last);
        let (tag, is_closing) = (leg.dialog.local_tag, leg.is_over());
        if !is_late {
            leg.dialog.remote_cseq = Some(number);
            leg.follow(flow);
        }
        let Some(server) = self.open_server(now, flow, request, tag, ServerUser::Nobody) else {
            self.counters.refused_full += 1;
            self.refuse(flow, request, 503, None);
            return;
        };
        let status = |endpoint: &mut Self, status: u16| {
            endpoint.reply(now, server, Reply::status(status), |_| ());
        };
        if is_late {
            return status(self, 500);
        }
        if is_closing {
            return status(self, if request.method == Method::Bye { 200 } else { 481 });
        }
        if let Some(tags) = unsupported(&request.common.headers) {
            self.reply(now, server, Reply::status(420), |writer| {
                writer.field(HeaderName::Unsupported, &tags);
            });
            return;
        }
        match request.method {
            Method::Bye => self.receive_bye(now, key, server, request),
            Method::Invite | Method::Update => self.receive_offer(now, key, server, request),
            Method::Info => {
                status(self, 200);
                let content_type = request.common.media_type().unwrap_or("").to_ascii_lowercase();
                let body = request.common.body.to_vec();
                self.event(Event::Info { leg: LegId(key), content_type, body });
            }
            Method::Prack => self.receive_prack(now, key, server, request),
            Method::Options => {
                self.reply(now, server, Reply::status(200), |writer| {
                    writer.field(HeaderName::Allow, ALLOW);
                    writer.field(HeaderName::Accept, SDP);
                    writer.field(HeaderName::Supported, SUPPORTED_AS_SERVER);
                });
            }
            method => {
                let code = if method == Method::Unknown { 501 } else { 405 };
                self.reply(now, server, Reply::status(code), |writer| {
                    writer.field(HeaderName::Allow, ALLOW);
                });
            }
        }
    }

    fn receive_bye(&mut self, now: Instant, key: Key, server: Key, request: &Request<'_>) {
        let Some(leg) = self.legs.get(key) else { return };
        if matches!(leg.phase, Phase::Calling(_)) {
            // A callee may not end an early dialog this way (§15).
            self.reply(now, server, Reply::status(481), |_| ());
            return;
        }
        let unanswered = match &leg.phase {
            Phase::Incoming(incoming) => Some(incoming.server),
            _ => leg.peer_offer,
        };
        self.reply(now, server, Reply::status(200), |_| ());
        if let Some(invite) = unanswered {
            self.reply(now, invite, Reply::status(487), |_| ());
        }
        self.drop_leg(key);
        self.event(Event::Bye { leg: LegId(key), reason: reason(&request.common.headers) });
    }

    fn receive_offer(&mut self, now: Instant, key: Key, server: Key, request: &Request<'_>) {
        let offer = sdp(&request.common);
        let session = session_request(&request.common.headers);
        let Some(leg) = self.legs.get_mut(key) else { return };
        let is_update = request.method == Method::Update;
        let is_bare_update = is_update && offer.is_none();
        let status = match &leg.phase {
            Phase::Confirmed if is_bare_update => 200,
            Phase::Confirmed if leg.peer_offer.is_some() => 500,
            Phase::Confirmed if leg.own_offer.as_ref().is_some_and(|own| own.retry_at.is_none()) => 491,
            Phase::Confirmed if leg.unacked.is_some() => 491,
            Phase::Confirmed => 0,
            _ if is_bare_update => 200,
            // RFC 3311 §5.2: an offer may follow when the INVITE's is answered for good, by a reliable 183.
            Phase::Incoming(incoming)
                if is_update && incoming.is_offer_answered && leg.peer_offer.is_none() =>
            {
                0
            }
            Phase::Incoming(_) => 500,
            _ => 491,
        };
        let is_too_short = session.is_some_and(|session| session.interval < self.config.min_session_expires);
        if is_too_short && matches!(status, 0 | 200) {
            let least = self.config.min_session_expires.as_secs();
            self.reply(now, server, Reply::status(422), |writer| {
                writer.formatted(HeaderName::MinSe, format_args!("{least}"));
            });
            return;
        }
        match status {
            200 => {
                leg.dialog.refresh_target(&request.common);
                let session = leg.renew_session(now, session);
                let contact = ContactLine::new(&self.config, leg.contact_user.as_deref(), leg.flow);
                self.reply(now, server, Reply::status(200), |writer| {
                    writer.field(HeaderName::Contact, contact.as_str());
                    print_session(writer, session);
                });
                self.arm_leg(now, key);
            }
            0 => {
                leg.peer_offer = Some(server);
                leg.dialog.refresh_target(&request.common);
                leg.renew_session(now, session);
                if let Some(entry) = self.servers.get_mut(server) {
                    entry.user = ServerUser::Leg(key);
                }
                self.event(Event::Reinvited { leg: LegId(key), sdp: offer });
                self.arm_leg(now, key);
            }
            500 => {
                let seconds = self.random.next_u64() % (MAX_OFFER_RETRY_SECONDS + 1);
                self.reply(now, server, Reply::status(500), |writer| {
                    writer.formatted(HeaderName::RetryAfter, format_args!("{seconds}"));
                });
            }
            _ => {
                self.reply(now, server, Reply::status(status), |_| ());
            }
        }
    }

    /// PRACK (RFC 3262 §3): RAck names the response it acknowledges.
    fn receive_prack(&mut self, now: Instant, key: Key, server: Key, request: &Request<'_>) {
        let acknowledged = request.common.headers.first(HeaderName::RAck).and_then(|value| {
            let mut words = value.split_ascii_whitespace();
            let numbers = (decimal(words.next()?)?, decimal(words.next()?)?);
            (words.next()? == "INVITE").then_some(numbers)
        });
        let Some(leg) = self.legs.get_mut(key) else { return };
        let Phase::Incoming(incoming) = &mut leg.phase else {
            self.reply(now, server, Reply::status(481), |_| ());
            return;
        };
        let awaited = incoming.reliable.as_ref().map(|reliable| reliable.rseq);
        if acknowledged.is_none_or(|(rseq, _)| Some(rseq) != awaited) {
            self.reply(now, server, Reply::status(481), |_| ());
            return;
        }
        incoming.is_offer_answered |= incoming.reliable.take().is_some_and(|reliable| reliable.has_sdp);
        let queued = incoming.queued.take();
        // A further offer in a PRACK is refused (RFC 3262 §5): UPDATE can carry it.
        let status = if sdp(&request.common).is_some() { 488 } else { 200 };
        self.reply(now, server, Reply::status(status), |_| ());
        match queued {
            Some(Queued::Provisional { status, sdp }) => {
                self.send_provisional(now, key, status, &sdp);
            }
            Some(Queued::Answer { sdp }) => {
                self.send_answer(now, key, &sdp);
            }
            None => {}
        }
    }

    /// Answer the peer's offer with 200.
    pub(super) fn accept_offer(&mut self, now: Instant, key: Key, server: Key, sdp: &[u8]) -> bool {
        let Some(leg) = self.legs.get(key) else { return false };
        let contact = ContactLine::new(&self.config, leg.contact_user.as_deref(), leg.flow);
        let session = leg.session.map(SessionTimer::request);
        let reply = Reply { routes: Routes::Repeated, body: (SDP, sdp), ..Reply::status(200) };
        let packet = self.reply(now, server, reply, |writer| {
            writer.field(HeaderName::Contact, contact.as_str());
            writer.field(HeaderName::Allow, ALLOW);
            writer.field(HeaderName::Supported, SUPPORTED_AS_SERVER);
            print_session(writer, session);
        });
        let Some(packet) = packet else { return false };
        self.await_ack(now, key, server, packet);
        true
    }
}
