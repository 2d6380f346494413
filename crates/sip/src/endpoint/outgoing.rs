//! Commands on an outgoing INVITE: invite, retry with credentials, abandon, cancel, acknowledge.

use std::time::{Duration, Instant};

use super::receive::is_plain_user;
use super::send::{ALLOW, ContactLine, EMPTY, SDP, SUPPORTED_AS_CLIENT};
use super::tables::ClientUser;
use super::{Answerer, CommandError, Endpoint, LegId, Outcome, OutgoingInvite, Packet, Reason};
use crate::arena::Key;
use crate::dialog::{Dialog, MAX_ROUTES};
use crate::flow::Flow;
use crate::identity::Mark;
use crate::leg::{CallProgress, Calling, Leg, Phase, Role};
use crate::message::{FieldName, HeaderField, HeaderName, MAX_EXTRA_FIELDS, Method};

/// A request longer than this goes over a connection where it may: its datagram would be cut into pieces on the way, of
/// which middleboxes lose some (RFC 3261 §18.1.1).
pub const LARGE_REQUEST_BYTES: usize = 1_300;
/// Longest Call-ID that a caller may set.
const MAX_CALL_ID_BYTES: usize = 128;

impl Endpoint {
    /// Send an INVITE.
    pub fn invite(&mut self, now: Instant, invite: OutgoingInvite) -> Result<LegId, CommandError> {
        if self.legs.is_full() || self.clients.is_full() {
            return Err(CommandError::Full);
        }
        let is_printable = invite.headers.len() <= MAX_EXTRA_FIELDS
            && invite.route.len() <= MAX_ROUTES
            && invite.call_id.as_deref().is_none_or(is_call_id)
            && invite.contact_user.as_deref().is_none_or(is_plain_user);
        if !is_printable {
            return Err(CommandError::Unprintable);
        }
        let local_tag = self.new_mark();
        let call_id = match &invite.call_id {
            Some(call_id) => call_id.as_str().into(),
            None => self.new_call_id(),
        };
        let dialog = Dialog {
            call_id,
            local: invite.from.to_string().into(),
            local_tag,
            remote: invite.to.to_string().into(),
            remote_tag: "".into(),
            local_cseq: 0,
            remote_cseq: None,
            remote_target: invite.request_uri.clone(),
            route_set: invite.route.iter().map(|uri| format!("<{uri}>").into()).collect(),
        };
        let ring_until = now + invite.ring_timeout;
        let leg = Leg {
            role: Role::Uac,
            dialog,
            flow: invite.flow,
            nat_policy: invite.nat_policy,
            contact_user: invite.contact_user.as_deref().map(Into::into),
            // Named for real just below; this key finds nothing.
            phase: Phase::Cancelled,
            unacked: None,
            peer_offer: None,
            own_offer: None,
            session: None,
            peer_takes_update: false,
            may_use_tcp: invite.large_flow.is_some(),
            local_sdp: None,
            answerer: invite
                .credentials
                .clone()
                .map(|credentials| Box::new(Answerer { credentials, met: 0 })),
            armed: None,
        };
        let key = self.add_leg(leg).ok_or(CommandError::Full)?;
        let Some(client) = self.send_invite(now, key, &invite) else {
            self.drop_leg(key);
            return Err(CommandError::Full);
        };
        if let Some(leg) = self.legs.get_mut(key) {
            let progress = CallProgress::Waiting;
            let calling = Calling { client, invite, progress, ring_until, challenges_met: 0 };
            leg.phase = Phase::Calling(Box::new(calling));
        }
        self.arm_leg(now, key);
        Ok(LegId(key))
    }

    /// Print and send a leg's INVITE with the next CSeq number: over a connection if it is too long for a datagram and
    /// the peer may have one.
    fn send_invite(&mut self, now: Instant, key: Key, invite: &OutgoingInvite) -> Option<Key> {
        let branch = self.new_mark();
        self.legs.get_mut(key)?.dialog.local_cseq += 1;
        let mut flow = invite.flow;
        let mut packet = self.print_invite(key, invite, flow, branch)?;
        if let Some(large) = invite.large_flow.filter(|_| !flow.transport.is_reliable())
            && packet.len() > LARGE_REQUEST_BYTES
        {
            flow = large;
            packet = self.print_invite(key, invite, flow, branch)?;
        }
        self.legs.get_mut(key)?.flow = flow;
        self.open_client(now, flow, packet, branch, Method::Invite, ClientUser::Invite(key))
    }

    fn print_invite(
        &mut self,
        key: Key,
        invite: &OutgoingInvite,
        flow: Flow,
        branch: Mark,
    ) -> Option<Packet> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let leg = self.legs.get(key)?;
        let via = self.via_line(flow, branch);
        let cseq = leg.dialog.local_cseq;
        let mut writer = leg.dialog.print_request(&mut buffer, "INVITE", cseq, via, invite.max_forwards);
        let contact = ContactLine::new(&self.config, leg.contact_user.as_deref(), flow);
        writer.field(HeaderName::Contact, contact.as_str());
        writer.field(HeaderName::Allow, ALLOW);
        writer.field(HeaderName::Supported, SUPPORTED_AS_CLIENT);
        writer.field(HeaderName::UserAgent, &self.config.product);
        if let Some(identity) = &invite.p_asserted_identity {
            writer.formatted(HeaderName::PAssertedIdentity, format_args!("{identity}"));
        }
        for field in &invite.headers {
            writer.extra(field);
        }
        let body = invite.sdp.as_deref().map_or(EMPTY, |sdp| (SDP, sdp));
        writer.finish(body.0, body.1);
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        Some(packet)
    }

    /// The connection taken for a large INVITE could not be had: the peer may have UDP only, so it goes that way (§18.1.1).
    /// `false` if the INVITE went the only way it has.
    pub(super) fn fall_back_to_datagrams(&mut self, now: Instant, key: Key) -> bool {
        let Some(leg) = self.legs.get_mut(key) else { return false };
        let Phase::Calling(calling) = &mut leg.phase else { return false };
        let is_elsewhere = leg.flow != calling.invite.flow && calling.progress == CallProgress::Waiting;
        if !is_elsewhere || calling.invite.large_flow.take().is_none() {
            return false;
        }
        let invite = calling.invite.clone();
        let Some(client) = self.send_invite(now, key, &invite) else { return false };
        if let Some(Phase::Calling(calling)) = self.legs.get_mut(key).map(|leg| &mut leg.phase) {
            calling.client = client;
        }
        true
    }

    /// After `Event::Challenged`: send the INVITE again in the same leg and Call-ID, CSeq + 1, with
    /// this Authorization or Proxy-Authorization field. It replaces an earlier one of that name.
    pub fn retry_with_auth(&mut self, now: Instant, leg: LegId, field: HeaderField) -> Outcome {
        let key = leg.0;
        if !matches!(field.name(), FieldName::Authorization | FieldName::ProxyAuthorization) {
            return Outcome::Refused;
        }
        let calling = match self.calling(leg) {
            Ok(calling) if calling.progress == CallProgress::Challenged => calling,
            Ok(_) => return Outcome::WrongState,
            Err(outcome) => return outcome,
        };
        calling.invite.headers.retain(|known| known.name() != field.name());
        calling.invite.headers.push(field);
        let invite = calling.invite.clone();
        let Some(client) = self.send_invite(now, key, &invite) else { return Outcome::Refused };
        if let Ok(calling) = self.calling(leg) {
            calling.client = client;
            calling.progress = CallProgress::Waiting;
        }
        self.arm_leg(now, key);
        Outcome::Sent
    }

    /// After `Event::Challenged`: give up and forget the leg; nothing is sent.
    pub fn abandon(&mut self, now: Instant, leg: LegId) -> Outcome {
        let _ = now;
        match self.calling(leg) {
            Ok(calling) if calling.progress == CallProgress::Challenged => {
                self.drop_leg(leg.0);
                Outcome::Sent
            }
            Ok(_) => Outcome::WrongState,
            Err(outcome) => outcome,
        }
    }

    /// Cancel an outgoing INVITE. The CANCEL waits for a provisional response (RFC 3261 §9.1).
    ///
    /// The leg ends with `Rejected` (usually 487), `LateAnswerAfterCancel`, or `Terminated` with
    /// `Timeout`.
    pub fn cancel(&mut self, now: Instant, leg: LegId, reason: Option<&Reason>) -> Outcome {
        let calling = match self.calling(leg) {
            Ok(calling) => calling,
            Err(outcome) => return outcome,
        };
        let client = calling.client;
        match calling.progress {
            CallProgress::Cancelling => return Outcome::AlreadyCancelled,
            CallProgress::Challenged => return Outcome::WrongState,
            CallProgress::Waiting => calling.progress = CallProgress::Cancelling,
        }
        self.cancel_invite(now, client, reason);
        Outcome::Sent
    }

    /// Whether an outgoing INVITE has had no response at all, not even 100: the peer may be dead, and
    /// another route better.
    pub fn is_unheard(&self, leg: LegId) -> bool {
        let Some(Phase::Calling(calling)) = self.legs.get(leg.0).map(|leg| &leg.phase) else { return false };
        self.clients.get(calling.client).is_some_and(|entry| entry.machine.is_unanswered())
    }

    /// Send the ACK that `Event::Answered` left to us: with our answer if it said `needs_answer`, else with an
    /// empty body. `WrongState` if it has left already.
    pub fn acknowledge(&mut self, now: Instant, leg: LegId, sdp: &[u8]) -> Outcome {
        let Some(entry) = self.legs.get_mut(leg.0).filter(|leg| !leg.is_over()) else { return Outcome::Gone };
        let Phase::Answering { client } = entry.phase else { return Outcome::WrongState };
        entry.phase = Phase::Confirmed;
        let cseq = entry.dialog.local_cseq;
        self.send_leg_ack(client, leg.0, cseq, sdp);
        self.arm_leg(now, leg.0);
        Outcome::Sent
    }

    /// Change the ring timeout of an outgoing leg, counted from now.
    pub fn set_ring_timeout(&mut self, now: Instant, leg: LegId, timeout: Duration) -> Outcome {
        match self.calling(leg) {
            Ok(calling) => {
                calling.ring_until = now + timeout;
                self.arm_leg(now, leg.0);
                Outcome::Sent
            }
            Err(outcome) => outcome,
        }
    }

    pub(super) fn new_call_id(&mut self) -> Box<str> {
        let (one, two): (Mark, Mark) = (self.new_mark(), self.new_mark());
        format!("{:016x}{:016x}", one.unique, two.unique).into()
    }

    /// The INVITE state of a leg, or why a command about it comes too late.
    fn calling(&mut self, leg: LegId) -> Result<&mut Calling, Outcome> {
        match self.legs.get_mut(leg.0).map(|leg| &mut leg.phase) {
            None | Some(Phase::Closing { .. } | Phase::Cancelled) => Err(Outcome::Gone),
            Some(Phase::Calling(calling)) => Ok(calling),
            Some(_) => Err(Outcome::WrongState),
        }
    }
}

pub(super) fn is_call_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_CALL_ID_BYTES && text.bytes().all(|byte| byte.is_ascii_graphic())
}
