//! Commands on an incoming INVITE: challenge, reject, ignore, trying, ringing, progress, answer.

use std::time::{Duration, Instant};

use super::receive::PROVISIONAL_REPEAT;
use super::send::{ALLOW, ContactLine, EMPTY, Reply, SDP, SUPPORTED_AS_SERVER};
use super::{ChallengeKind, Endpoint, LegId, Outcome, Packet};
use crate::arena::Key;
use crate::leg::{Incoming, Phase, Queued, Reliable, Repeated, SessionRequest, SessionTimer, Unacked};
use crate::message::{HeaderField, HeaderName, MAX_EXTRA_FIELDS, MessageWriter};
use crate::transaction::{Kind, Repetition, Routes};

impl Endpoint {
    /// Answer an incoming INVITE 401 or 407 and forget the leg. Its ACK is absorbed.
    /// `challenges` are values of WWW-Authenticate or Proxy-Authenticate, printed in order.
    ///
    /// The challenge is not repeated by a timer, only when the INVITE comes again.
    pub fn challenge(
        &mut self,
        now: Instant,
        leg: LegId,
        kind: ChallengeKind,
        challenges: &[String],
    ) -> Outcome {
        let server = match self.incoming(leg) {
            Ok(incoming) => incoming.server,
            Err(outcome) => return outcome,
        };
        let (status, name) = match kind {
            ChallengeKind::Unauthorized => (401, HeaderName::WwwAuthenticate),
            ChallengeKind::ProxyAuthenticationRequired => (407, HeaderName::ProxyAuthenticate),
        };
        let reply = Reply { repetition: Repetition::OnRequest, ..Reply::status(status) };
        self.reply(now, server, reply, |writer| {
            for challenge in challenges {
                writer.field(name, challenge);
            }
        });
        self.drop_leg(leg.0);
        Outcome::Sent
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
        let server = match self.incoming(leg) {
            Ok(incoming) => incoming.server,
            Err(outcome) => return outcome,
        };
        if !(300..=699).contains(&status) || headers.len() > MAX_EXTRA_FIELDS {
            return Outcome::Refused;
        }
        self.reply(now, server, Reply { phrase, ..Reply::status(status) }, |writer| {
            for field in headers {
                writer.extra(field);
            }
        });
        self.drop_leg(leg.0);
        Outcome::Sent
    }

    /// Forget an incoming INVITE and stay silent; its retransmissions are swallowed for 64×T1.
    pub fn ignore(&mut self, now: Instant, leg: LegId) -> Outcome {
        let server = match self.incoming(leg) {
            Ok(incoming) => incoming.server,
            Err(outcome) => return outcome,
        };
        self.swallow(now, server);
        self.drop_leg(leg.0);
        Outcome::Sent
    }

    /// Send 100 to an incoming INVITE.
    pub fn trying(&mut self, now: Instant, leg: LegId) -> Outcome {
        match self.incoming(leg) {
            Ok(incoming) => {
                let server = incoming.server;
                self.reply(now, server, Reply::status(100), |_| ());
                Outcome::Sent
            }
            Err(outcome) => outcome,
        }
    }

    /// Send 100 to an incoming INVITE after `delay`, unless another response goes before. RFC 3261 §17.2.1 leaves
    /// it out for up to 200 ms; a call that is answered by then costs a message less.
    pub fn trying_within(&mut self, now: Instant, leg: LegId, delay: Duration) -> Outcome {
        match self.incoming(leg) {
            Ok(incoming) => {
                let server = incoming.server;
                let entry = self.servers.get_mut(server);
                if entry.is_some_and(|entry| entry.machine.try_by(now + delay)) {
                    self.arm_server(now, server);
                }
                Outcome::Sent
            }
            Err(outcome) => outcome,
        }
    }

    /// Send 180 to an incoming INVITE.
    pub fn ringing(&mut self, now: Instant, leg: LegId) -> Outcome {
        self.provisional(now, leg, 180, b"")
    }

    /// Send 183 with SDP to an incoming INVITE.
    pub fn progress(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        self.provisional(now, leg, 183, sdp)
    }

    /// Send 200 with SDP to an incoming INVITE; it is repeated until the ACK (`Event::Acked`) or
    /// `Event::AckTimeout`. After an INVITE without SDP, `sdp` is our offer.
    pub fn answer(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        let incoming = match self.incoming(leg) {
            Ok(incoming) => incoming,
            Err(outcome) => return outcome,
        };
        if matches!(incoming.queued, Some(Queued::Answer { .. })) {
            return Outcome::WrongState;
        }
        // RFC 3262 §3: no 2xx while a reliable provisional with SDP is unacknowledged.
        if incoming.reliable.as_ref().is_some_and(|reliable| reliable.has_sdp) {
            incoming.queued = Some(Queued::Answer { sdp: sdp.to_vec() });
            return Outcome::Sent;
        }
        if self.send_answer(now, leg.0, sdp) { Outcome::Sent } else { Outcome::Gone }
    }

    fn provisional(&mut self, now: Instant, leg: LegId, status: u16, sdp: &[u8]) -> Outcome {
        let incoming = match self.incoming(leg) {
            Ok(incoming) => incoming,
            Err(outcome) => return outcome,
        };
        match (&incoming.reliable, &incoming.queued) {
            (_, Some(Queued::Answer { .. })) => return Outcome::WrongState,
            // One at a time (RFC 3262 §3); of those that wait only the last still matters.
            (Some(_), _) => {
                incoming.queued = Some(Queued::Provisional { status, sdp: sdp.to_vec() });
                return Outcome::Sent;
            }
            (None, _) => {}
        }
        self.send_provisional(now, leg.0, status, sdp);
        Outcome::Sent
    }

    pub(super) fn send_provisional(&mut self, now: Instant, key: Key, status: u16, sdp: &[u8]) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let contact = ContactLine::new(&self.config, leg.contact_user.as_deref(), leg.flow);
        let Phase::Incoming(incoming) = &mut leg.phase else { return };
        let server = incoming.server;
        let rseq = incoming.requires_100rel.then_some(incoming.next_rseq);
        incoming.next_rseq += u32::from(rseq.is_some());
        let body = if sdp.is_empty() { EMPTY } else { (SDP, sdp) };
        let reply = Reply { routes: Routes::Repeated, body, ..Reply::status(status) };
        let packet = self.reply(now, server, reply, |writer| {
            writer.field(HeaderName::Contact, contact.as_str());
            writer.field(HeaderName::Allow, ALLOW);
            if let Some(rseq) = rseq {
                writer.field(HeaderName::Require, "100rel");
                writer.formatted(HeaderName::RSeq, format_args!("{rseq}"));
            }
        });
        let timers = self.config.timers;
        if let Some(leg) = self.legs.get_mut(key)
            && let Phase::Incoming(incoming) = &mut leg.phase
            && let Some(packet) = packet
        {
            match rseq {
                // RFC 3262 §3: doubling without the cap of T2.
                Some(rseq) => {
                    let repetition = Repeated::starting(now, &timers, timers.timeout());
                    incoming.repeat_at = None;
                    incoming.reliable = Some(Reliable { rseq, packet, has_sdp: !sdp.is_empty(), repetition });
                }
                None => incoming.repeat_at = Some(now + PROVISIONAL_REPEAT),
            }
        }
        self.arm_leg(now, key);
    }

    pub(super) fn send_answer(&mut self, now: Instant, key: Key, sdp: &[u8]) -> bool {
        let Some(leg) = self.legs.get_mut(key) else { return false };
        let contact = ContactLine::new(&self.config, leg.contact_user.as_deref(), leg.flow);
        let Phase::Incoming(incoming) = &leg.phase else { return false };
        let (server, session) = (incoming.server, incoming.session);
        leg.phase = Phase::Confirmed;
        leg.session = session.map(|request| SessionTimer::starting(now, request));
        leg.local_sdp = session.filter(|request| request.we_refresh).map(|_| sdp.into());
        let reply = Reply { routes: Routes::Repeated, body: (SDP, sdp), ..Reply::status(200) };
        let packet = self.reply(now, server, reply, |writer| {
            writer.field(HeaderName::Contact, contact.as_str());
            writer.field(HeaderName::Allow, ALLOW);
            writer.field(HeaderName::Supported, SUPPORTED_AS_SERVER);
            print_session(writer, session);
        });
        if let Some(packet) = packet {
            self.await_ack(now, key, server, packet);
        }
        true
    }

    /// Repeat a 2xx to INVITE until its ACK. (UPDATE has none: its transaction is no INVITE.)
    pub(super) fn await_ack(&mut self, now: Instant, key: Key, server: Key, packet: Packet) {
        let Some(entry) = self.servers.get(server).filter(|entry| entry.machine.kind() == Kind::Invite)
        else {
            return;
        };
        let (flow, cseq) = (entry.flow, entry.cseq);
        let timers = self.config.timers;
        if let Some(leg) = self.legs.get_mut(key) {
            let repetition = Repeated::starting(now, &timers, timers.t2);
            leg.unacked = Some(Unacked { cseq, packet, flow, repetition });
        }
        self.arm_leg(now, key);
    }

    pub(super) fn swallow(&mut self, now: Instant, server: Key) {
        if let Some(entry) = self.servers.get_mut(server) {
            entry.machine.swallow(now, &self.config.timers);
        }
        self.end_merging(server);
        self.arm_server(now, server);
    }

    /// The INVITE state of a leg, or why a command about it comes too late.
    fn incoming(&mut self, leg: LegId) -> Result<&mut Incoming, Outcome> {
        match self.legs.get_mut(leg.0).map(|leg| &mut leg.phase) {
            None | Some(Phase::Closing { .. }) => Err(Outcome::Gone),
            Some(Phase::Cancelled) => Err(Outcome::AlreadyCancelled),
            Some(Phase::Incoming(incoming)) => Ok(incoming),
            Some(_) => Err(Outcome::WrongState),
        }
    }
}

/// Session-Expires of a 2xx (RFC 4028 §9): the peer refreshes unless it asked us to.
pub(super) fn print_session(writer: &mut MessageWriter<'_>, session: Option<SessionRequest>) {
    let Some(SessionRequest { interval, we_refresh, peer_knows }) = session else { return };
    let refresher = if we_refresh { "uas" } else { "uac" };
    writer
        .formatted(HeaderName::SessionExpires, format_args!("{};refresher={refresher}", interval.as_secs()));
    if peer_knows {
        writer.field(HeaderName::Require, "timer");
    }
}
