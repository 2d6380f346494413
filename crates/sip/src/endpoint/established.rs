//! Commands on an answered leg: bye, re-INVITE, INFO; and `hang_up`, which fits every state.

use std::time::Instant;

use super::send::{EMPTY, Reply, SDP};
use super::tables::ClientUser;
use super::{Endpoint, LegId, NatPolicy, Outcome, Reason};
use crate::arena::Key;
use crate::leg::{CallProgress, Leg, OfferPurpose, OwnOffer, Phase};
use crate::message::{FieldName, HeaderField, HeaderName, Method};

/// Longest body of an INFO that we send.
const MAX_INFO_BYTES: usize = 4096;

impl Endpoint {
    /// Hang up an answered leg. Before the ACK to our own 2xx came, the BYE waits for it
    /// (RFC 3261 §15) but the leg is over for the caller at once.
    pub fn bye(&mut self, now: Instant, leg: LegId, reason: Option<&Reason>) -> Outcome {
        let key = leg.0;
        let Some(entry) = self.legs.get_mut(key) else { return Outcome::Gone };
        let peer_offer = entry.peer_offer.take();
        match entry.phase {
            Phase::Closing { .. } | Phase::Cancelled => return Outcome::Gone,
            Phase::Incoming(_) | Phase::Calling(_) => return Outcome::WrongState,
            Phase::Answering { client } => {
                // The 2xx needs its ACK even if nobody wants the call any more.
                entry.phase = Phase::Closing { bye_after_ack: None };
                let cseq = entry.dialog.local_cseq;
                self.send_leg_ack(client, key, cseq, b"");
                self.finish_closing(now, key, reason);
            }
            Phase::Confirmed if entry.unacked.is_some() => {
                entry.phase = Phase::Closing { bye_after_ack: Some(reason.cloned()) };
            }
            Phase::Confirmed => {
                entry.phase = Phase::Closing { bye_after_ack: None };
                self.finish_closing(now, key, reason);
            }
        }
        if let Some(server) = peer_offer {
            self.reply(now, server, Reply::status(487), |_| ());
        }
        Outcome::Sent
    }

    /// End a leg in whatever state it is: `bye`, `cancel`, `abandon`, or `reject` with `status`.
    pub fn hang_up(&mut self, now: Instant, leg: LegId, status: u16, reason: Option<&Reason>) -> Outcome {
        match self.leg(leg).map(|leg| &leg.phase) {
            None => Outcome::Gone,
            Some(Phase::Incoming(_)) => {
                let value = reason.map(|reason| super::send::ReasonLine(reason).to_string());
                let field = value.and_then(|value| HeaderField::new(FieldName::Reason, value).ok());
                self.reject(now, leg, status, None, field.as_slice())
            }
            Some(Phase::Calling(calling)) if calling.progress == CallProgress::Challenged => {
                self.abandon(now, leg)
            }
            Some(Phase::Calling(_)) => self.cancel(now, leg, reason),
            Some(Phase::Cancelled) => Outcome::AlreadyCancelled,
            Some(_) => self.bye(now, leg, reason),
        }
    }

    /// Offer anew in an answered leg; `None` asks for the peer's offer.
    /// `WrongState` while another offer is open in either direction.
    ///
    /// With `None`, the peer's offer comes as `Event::Answered { needs_answer: true }`.
    pub fn reinvite(&mut self, now: Instant, leg: LegId, sdp: Option<&[u8]>) -> Outcome {
        let Some(entry) = self.legs.get_mut(leg.0).filter(|leg| !leg.is_over()) else { return Outcome::Gone };
        let is_busy = entry.own_offer.is_some() || entry.peer_offer.is_some() || entry.unacked.is_some();
        if !entry.is_confirmed() || is_busy {
            return Outcome::WrongState;
        }
        let own = OwnOffer {
            sdp: sdp.map(<[u8]>::to_vec),
            purpose: OfferPurpose::Command,
            attempts: 0,
            retry_at: None,
        };
        entry.own_offer = Some(Box::new(own));
        self.send_offer(now, leg.0)
    }

    /// Send the offer that a leg holds.
    pub(super) fn send_offer(&mut self, now: Instant, key: Key) -> Outcome {
        let Some(leg) = self.legs.get_mut(key) else { return Outcome::Gone };
        let session = leg.session;
        let Some(own) = leg.own_offer.as_mut() else { return Outcome::WrongState };
        own.retry_at = None;
        let sdp = own.sdp.clone();
        let body = sdp.as_deref().map_or(EMPTY, |sdp| (SDP, sdp));
        let sent = self.send_in_dialog(now, key, Method::Invite, ClientUser::Offer(key), body, |writer| {
            if let Some(session) = session {
                let refresher = if session.we_refresh { "uac" } else { "uas" };
                let seconds = session.interval.as_secs();
                writer.formatted(HeaderName::SessionExpires, format_args!("{seconds};refresher={refresher}"));
                if let Some(least) = session.least {
                    writer.formatted(HeaderName::MinSe, format_args!("{}", least.as_secs()));
                }
            }
        });
        if sent.is_none() {
            if let Some(leg) = self.legs.get_mut(key) {
                leg.own_offer = None;
            }
            return Outcome::Refused;
        }
        Outcome::Sent
    }

    /// Answer `Event::Reinvited` with 200 and SDP.
    pub fn accept_reinvite(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        let server = match self.take_peer_offer(leg) {
            Ok(server) => server,
            Err(outcome) => return outcome,
        };
        if let Some(entry) = self.legs.get_mut(leg.0)
            && (entry.local_sdp.is_some() || entry.session.is_some_and(|session| session.we_refresh))
        {
            entry.local_sdp = Some(sdp.into());
        }
        if self.accept_offer(now, leg.0, server, sdp) { Outcome::Sent } else { Outcome::WrongState }
    }

    /// Answer `Event::Reinvited` with a failure (usually 488); the session stays as it was.
    pub fn reject_reinvite(&mut self, now: Instant, leg: LegId, status: u16) -> Outcome {
        if !(300..=699).contains(&status) {
            return Outcome::Refused;
        }
        match self.take_peer_offer(leg) {
            Ok(server) => {
                self.reply(now, server, Reply::status(status), |_| ());
                Outcome::Sent
            }
            Err(outcome) => outcome,
        }
    }

    /// Send INFO in an answered leg.
    pub fn info(&mut self, now: Instant, leg: LegId, content_type: &str, body: &[u8]) -> Outcome {
        let Some(entry) = self.leg(leg).filter(|leg| !leg.is_over()) else { return Outcome::Gone };
        if !entry.is_confirmed() {
            return Outcome::WrongState;
        }
        if body.len() > MAX_INFO_BYTES || content_type.bytes().any(|byte| byte < b' ') {
            return Outcome::Refused;
        }
        let user = ClientUser::Info(leg.0);
        match self.send_in_dialog(now, leg.0, Method::Info, user, (content_type, body), |_| ()) {
            Some(_) => Outcome::Sent,
            None => Outcome::Refused,
        }
    }

    /// Choose where this leg's requests go from now on.
    pub fn set_nat_policy(&mut self, leg: LegId, policy: NatPolicy) -> Outcome {
        let Some(entry) = self.legs.get_mut(leg.0).filter(|leg| !leg.is_over()) else { return Outcome::Gone };
        entry.nat_policy = policy;
        Outcome::Sent
    }

    fn take_peer_offer(&mut self, leg: LegId) -> Result<Key, Outcome> {
        let entry: Option<&mut Leg> = self.legs.get_mut(leg.0).filter(|leg| !leg.is_over());
        entry.ok_or(Outcome::Gone)?.peer_offer.take().ok_or(Outcome::WrongState)
    }
}
