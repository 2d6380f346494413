//! What the passing of time does: transactions repeat or give up, legs repeat their 2xx, ring out,
//! refresh or lose their session.

use std::time::Instant;

use super::send::{EMPTY, Reply};
use super::tables::{ClientUser, Target};
use super::{Endpoint, Event, LegId, RequestId, Termination};
use crate::arena::Key;
use crate::leg::{CallProgress, OfferPurpose, OwnOffer, Phase, Repeat};
use crate::message::{HeaderName, Method};
use crate::transaction::{ClientTimeout, ServerTimeout};

/// Deadlines of entries that are gone, which may wait in the queue beside as many as there are entries.
pub(super) const STALE_TIMERS: usize = 1024;

impl Endpoint {
    /// A deadline stays in the queue when its entry goes, and some lie far ahead (a session of a day): drop those
    /// once they outnumber the rest.
    pub(super) fn forget_stale_timers(&mut self) {
        let entries = self.legs.len() + self.servers.len() + self.clients.len();
        if self.timers.len() <= 2 * entries + STALE_TIMERS {
            return;
        }
        let (legs, servers, clients) = (&self.legs, &self.servers, &self.clients);
        self.timers.retain(|at, target| {
            let armed = match target {
                Target::Leg(key) => legs.get(key).and_then(|leg| leg.armed),
                Target::Server(key) => servers.get(key).and_then(|entry| entry.armed),
                Target::Client(key) => clients.get(key).and_then(|entry| entry.armed),
            };
            armed == Some(at)
        });
    }

    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((at, target)) = self.timers.pop_due(now) {
            // An entry that re-armed earlier has left this look behind.
            let armed = match target {
                Target::Leg(key) => self.legs.get_mut(key).map(|leg| &mut leg.armed),
                Target::Server(key) => self.servers.get_mut(key).map(|entry| &mut entry.armed),
                Target::Client(key) => self.clients.get_mut(key).map(|entry| &mut entry.armed),
            };
            let Some(armed) = armed.filter(|armed| **armed == Some(at)) else { continue };
            *armed = None;
            match target {
                Target::Leg(key) => {
                    self.leg_due(now, key);
                    self.arm_leg(now, key);
                }
                Target::Server(key) => {
                    self.server_due(now, key);
                    self.arm_server(now, key);
                }
                Target::Client(key) => {
                    self.client_due(now, key);
                    self.arm_client(now, key);
                }
            }
        }
    }

    fn server_due(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.servers.get_mut(key) else { return };
        match entry.machine.on_timer(now, &self.config.timers) {
            Some(ServerTimeout::Ended) => self.close_server(key),
            Some(ServerTimeout::Trying) => drop(self.reply(now, key, Reply::status(100), |_| ())),
            Some(ServerTimeout::Retransmit) => {
                let Some(packet) = entry.machine.last().cloned() else { return };
                let flow = entry.flow;
                self.counters.retransmissions += 1;
                self.send(flow, packet);
            }
            None => {}
        }
    }

    fn client_due(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.clients.get_mut(key) else { return };
        match entry.machine.on_timer(now, &self.config.timers) {
            Some(ClientTimeout::Ended) => {
                self.close_client(key);
            }
            Some(ClientTimeout::NoAnswer) => self.client_failed(now, key, Termination::Timeout),
            Some(ClientTimeout::Retransmit) => {
                let (flow, packet) = (entry.flow, entry.packet.clone());
                self.counters.retransmissions += 1;
                self.send(flow, packet);
            }
            None => {}
        }
    }

    /// A request of ours ended without a final response.
    pub(super) fn client_failed(&mut self, now: Instant, key: Key, why: Termination) {
        let Some(entry) = self.close_client(key) else { return };
        match entry.user {
            ClientUser::Nobody => {}
            ClientUser::Invite(leg) => {
                let is_current = self.legs.get(leg).is_some_and(
                    |leg| matches!(&leg.phase, Phase::Calling(calling) if calling.client == key),
                );
                if is_current && why == Termination::TransportFailed && self.fall_back_to_datagrams(now, leg)
                {
                    return;
                }
                if is_current {
                    self.drop_leg(leg);
                    self.event(Event::Terminated { leg: LegId(leg), why });
                }
            }
            ClientUser::Offer(leg)
            | ClientUser::Refresh(leg)
            | ClientUser::Info(leg)
            | ClientUser::Bye(leg)
                if why == Termination::TransportFailed && self.say_by_datagram(now, leg, &entry) => {}
            ClientUser::Offer(leg) | ClientUser::Refresh(leg) => self.dialog_lost(now, leg, why),
            ClientUser::Info(leg) => {
                if self.legs.get(leg).is_some_and(|leg| !leg.is_over()) {
                    self.event(Event::InfoAnswered { leg: LegId(leg), status: 408 });
                }
                self.dialog_lost(now, leg, why);
            }
            ClientUser::Bye(leg) => {
                self.drop_leg(leg);
            }
            ClientUser::Request => self.event(Event::RequestFailed { request: RequestId(key), why }),
        }
    }

    fn dialog_lost(&mut self, now: Instant, key: Key, why: Termination) {
        let Some(leg) = self.legs.get_mut(key).filter(|leg| !leg.is_over()) else { return };
        leg.phase = Phase::Closing { bye_after_ack: None };
        leg.unacked = None;
        self.refuse_peer_offer(now, key);
        self.finish_closing(now, key, None);
        self.event(Event::Terminated { leg: LegId(key), why });
    }

    fn leg_due(&mut self, now: Instant, key: Key) {
        self.repeat_answer(now, key);
        self.repeat_provisional(now, key);
        self.ring_out(now, key);
        self.retry_offer(now, key);
        self.keep_session(now, key);
    }

    fn repeat_answer(&mut self, now: Instant, key: Key) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let Some(unacked) = leg.unacked.as_mut() else { return };
        match unacked.repetition.on_timer(now) {
            None => {}
            Some(Repeat::Again) => {
                let (flow, packet) = (unacked.flow, unacked.packet.clone());
                self.counters.retransmissions += 1;
                self.send(flow, packet);
            }
            Some(Repeat::GiveUp) => {
                leg.unacked = None;
                let asked = match &mut leg.phase {
                    Phase::Closing { bye_after_ack } => bye_after_ack.take(),
                    _ => None,
                };
                let was_over = leg.is_over();
                leg.phase = Phase::Closing { bye_after_ack: None };
                self.finish_closing(now, key, asked.flatten().as_ref());
                if !was_over {
                    self.event(Event::AckTimeout { leg: LegId(key) });
                }
            }
        }
    }

    fn repeat_provisional(&mut self, now: Instant, key: Key) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let Phase::Incoming(incoming) = &mut leg.phase else { return };
        let server = incoming.server;
        if let Some(reliable) = incoming.reliable.as_mut() {
            match reliable.repetition.on_timer(now) {
                None => {}
                Some(Repeat::Again) => {
                    let packet = reliable.packet.clone();
                    self.repeat_packet(server, packet);
                }
                Some(Repeat::GiveUp) => {
                    self.reply(now, server, Reply::status(504), |_| ());
                    self.drop_leg(key);
                    self.event(Event::Terminated { leg: LegId(key), why: Termination::NoPrack });
                }
            }
            return;
        }
        if incoming.repeat_at.is_some_and(|at| at <= now) {
            incoming.repeat_at = Some(now + super::receive::PROVISIONAL_REPEAT);
            let packet = self.servers.get(server).and_then(|entry| entry.machine.last().cloned());
            if let Some(packet) = packet {
                self.repeat_packet(server, packet);
            }
        }
    }

    fn repeat_packet(&mut self, server: Key, packet: super::Packet) {
        let Some(flow) = self.servers.get(server).map(|entry| entry.flow) else { return };
        self.counters.retransmissions += 1;
        self.send(flow, packet);
    }

    /// Timer C: nobody picked up.
    fn ring_out(&mut self, now: Instant, key: Key) {
        let Some(leg) = self.legs.get(key) else { return };
        let Phase::Calling(calling) = &leg.phase else { return };
        if calling.progress != CallProgress::Waiting || calling.ring_until > now {
            return;
        }
        let client = calling.client;
        self.cancel_invite(now, client, None);
        self.drop_leg(key);
        self.event(Event::Terminated { leg: LegId(key), why: Termination::RingTimeout });
    }

    fn retry_offer(&mut self, now: Instant, key: Key) {
        let Some(leg) = self.legs.get_mut(key).filter(|leg| leg.is_confirmed()) else { return };
        let Some(own) = leg.own_offer.as_ref() else { return };
        if own.retry_at.is_none_or(|at| at > now) {
            return;
        }
        if leg.peer_offer.is_some() || leg.unacked.is_some() {
            // Their offer came in between and is not settled: wait again.
            if let Some(own) = leg.own_offer.as_mut() {
                own.retry_at = Some(now + self.config.timers.t1);
            }
            return;
        }
        let _ = self.send_offer(now, key);
    }

    /// RFC 4028 §10: refresh, or end a session that the peer did not refresh.
    pub(super) fn keep_session(&mut self, now: Instant, key: Key) {
        let Some(leg) = self.legs.get_mut(key).filter(|leg| leg.is_confirmed()) else { return };
        let Some(session) = leg.session.as_mut().filter(|session| session.at <= now) else { return };
        if !session.we_refresh {
            leg.phase = Phase::Closing { bye_after_ack: None };
            leg.unacked = None;
            self.refuse_peer_offer(now, key);
            self.finish_closing(now, key, None);
            self.event(Event::Terminated { leg: LegId(key), why: Termination::SessionExpired });
            return;
        }
        session.at = now + session.interval / 2;
        let (seconds, least) = (session.interval.as_secs(), session.least);
        if leg.peer_takes_update {
            let user = ClientUser::Refresh(key);
            self.send_in_dialog(now, key, Method::Update, user, EMPTY, |writer| {
                writer.formatted(HeaderName::SessionExpires, format_args!("{seconds};refresher=uac"));
                if let Some(least) = least {
                    writer.formatted(HeaderName::MinSe, format_args!("{}", least.as_secs()));
                }
            });
        } else if leg.own_offer.is_none() && leg.peer_offer.is_none() && leg.local_sdp.is_some() {
            let sdp = leg.local_sdp.as_ref().map(|sdp| sdp.to_vec());
            let own = OwnOffer { sdp, purpose: OfferPurpose::Refresh, attempts: 0, retry_at: None };
            leg.own_offer = Some(Box::new(own));
            let _ = self.send_offer(now, key);
        }
    }
}
