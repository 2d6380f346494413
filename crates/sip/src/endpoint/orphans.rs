//! Dialogs as plain data, and ending those of an earlier process.

use std::time::Instant;

use super::send::Reply;
use super::tables::ClientUser;
use super::{
    Answerer, DialogSnapshot, Endpoint, LegId, Outcome, Packet, PendingInvite, SnapshotRole, SnapshotState,
};
use crate::dialog::{Dialog, MAX_FORWARDS, MAX_ROUTES, ViaLine};
use crate::digest::Credentials;
use crate::flow::Flow;
use crate::identity::Mark;
use crate::leg::{Leg, Phase, Role};
use crate::message::{HeaderName, MessageWriter, Method, NameAddr, OwnedUri, Response, Via};
use crate::transaction::{ClientTransaction, Repetition, ReplyTemplate};

/// How far a restarted process jumps in CSeq: past anything its predecessor may have sent after the
/// snapshot was taken.
const ORPHAN_CSEQ_STEP: u32 = 1000;

impl Endpoint {
    /// A leg's dialog as plain data, or `None` if the leg is gone.
    pub fn dialog_snapshot(&self, leg: LegId) -> Option<DialogSnapshot> {
        let leg = self.leg(leg).filter(|leg| !leg.is_over())?;
        let dialog = &leg.dialog;
        let pending_invite = self.pending_invite(leg);
        Some(DialogSnapshot {
            role: match leg.role {
                Role::Uas => SnapshotRole::Uas,
                Role::Uac => SnapshotRole::Uac,
            },
            state: match leg.phase {
                Phase::Incoming(_) | Phase::Calling(_) => SnapshotState::Pending,
                _ => SnapshotState::Answered,
            },
            flow: leg.flow,
            nat_policy: leg.nat_policy,
            call_id: dialog.call_id.to_string(),
            local: dialog.local.to_string(),
            local_tag: dialog.local_tag.to_string(),
            remote: dialog.remote.to_string(),
            remote_tag: dialog.remote_tag.to_string(),
            local_cseq: dialog.local_cseq,
            remote_cseq: dialog.remote_cseq,
            remote_target: dialog.remote_target.to_string(),
            route_set: dialog.route_set.iter().map(ToString::to_string).collect(),
            pending_invite,
        })
    }

    fn pending_invite(&self, leg: &Leg) -> Option<PendingInvite> {
        match &leg.phase {
            Phase::Incoming(incoming) => {
                let entry = self.servers.get(incoming.server)?;
                let vias: Vec<String> = entry.template.vias().map(str::to_owned).collect();
                let branch = Via::parse(vias.first()?)?.branch().unwrap_or("").to_owned();
                let request_uri = String::new();
                Some(PendingInvite { branch, vias, cseq: entry.cseq, request_uri, route: Vec::new() })
            }
            Phase::Calling(calling) => {
                let invite = &calling.invite;
                let branch = self.sent_branch(calling.client)?;
                Some(PendingInvite {
                    branch: format!("{}{branch}", crate::message::BRANCH_COOKIE),
                    vias: Vec::new(),
                    cseq: leg.dialog.local_cseq,
                    request_uri: invite.request_uri.to_string(),
                    route: leg.dialog.route_set.iter().map(ToString::to_string).collect(),
                })
            }
            _ => None,
        }
    }

    /// End an answered dialog of an earlier process: BYE with CSeq + 1000.
    /// `Refused` if the snapshot does not parse or a table is full. No event follows. A challenge to the BYE is answered with
    /// the credentials, if there are any.
    pub fn orphan_bye(
        &mut self,
        now: Instant,
        snapshot: &DialogSnapshot,
        credentials: Option<Credentials>,
    ) -> Outcome {
        let Some(mut dialog) = revive(snapshot) else { return Outcome::Refused };
        if self.clients.is_full() {
            return Outcome::Refused;
        }
        dialog.local_cseq = dialog.local_cseq.saturating_add(ORPHAN_CSEQ_STEP).min((1 << 31) - 1);
        let leg = Leg {
            role: Role::Uac,
            dialog,
            flow: snapshot.flow,
            nat_policy: snapshot.nat_policy,
            contact_user: None,
            phase: Phase::Closing { bye_after_ack: None },
            unacked: None,
            peer_offer: None,
            own_offer: None,
            session: None,
            peer_takes_update: false,
            may_use_tcp: false,
            local_sdp: None,
            answerer: credentials.map(|credentials| Box::new(Answerer { credentials, met: 0 })),
            armed: None,
        };
        let Some(key) = self.add_leg(leg) else { return Outcome::Refused };
        // `send_in_dialog` counts one further.
        if let Some(leg) = self.legs.get_mut(key) {
            leg.dialog.local_cseq -= 1;
        }
        if self.send_bye(now, key, ClientUser::Bye(key), None).is_some() {
            Outcome::Sent
        } else {
            self.drop_leg(key);
            Outcome::Refused
        }
    }

    /// Cancel a ringing INVITE of an earlier process: CANCEL with its Via branch. A 2xx that comes
    /// all the same gets ACK and BYE. No event follows.
    pub fn orphan_cancel(&mut self, now: Instant, snapshot: &DialogSnapshot) -> Outcome {
        let Some(client) = self.revive_invite(now, snapshot) else { return Outcome::Refused };
        self.send_cancel(now, client, None);
        Outcome::Sent
    }

    /// A 2xx to an INVITE of an earlier process that nobody wrote down before it died: ACK, then BYE, or the callee talks
    /// to nobody (RFC 3261 §13.2.2.4). Only as long after the start as a peer repeats its 2xx (64 × T1), and without
    /// state: for one datagram at most two go back, to where it came from and no other place.
    pub(super) fn end_orphaned_answer(&mut self, now: Instant, flow: Flow, response: &Response<'_>) {
        let common = &response.common;
        let is_young = self.born.is_some_and(|born| now < born + self.config.timers.timeout());
        let branch = common.via.branch().and_then(Mark::parse_branch);
        let is_predecessors = branch
            .is_some_and(|mark| mark.shard == self.config.shard && mark.generation != self.config.generation);
        let is_answer = common.cseq.method() == Method::Invite && (200..300).contains(&response.status);
        if !(is_young && is_predecessors && is_answer) {
            return;
        }
        let Ok(source) = OwnedUri::parse(&format!("sip:{}", flow.remote)) else { return };
        let Some(mut dialog) = Dialog::from_answer(response, &source) else { return };
        let ack = self.print_ack(&dialog, flow, common.cseq.number, &[], b"");
        self.send(flow, ack);
        dialog.local_cseq = dialog.local_cseq.saturating_add(ORPHAN_CSEQ_STEP).min((1 << 31) - 1);
        let branch = self.new_mark();
        let mut buffer = std::mem::take(&mut self.buffer);
        let via = self.via_line(flow, branch);
        dialog.print_request(&mut buffer, "BYE", dialog.local_cseq, via, MAX_FORWARDS).finish("", b"");
        let bye = Packet::new(&buffer);
        self.buffer = buffer;
        self.send(flow, bye);
    }

    /// Print the INVITE again as far as its CANCEL and ACK repeat it, and stand its transaction up
    /// where a provisional response has come.
    fn revive_invite(&mut self, now: Instant, snapshot: &DialogSnapshot) -> Option<crate::arena::Key> {
        let pending = snapshot.pending_invite.as_ref()?;
        let mut dialog = revive(snapshot)?;
        let branch = Mark::parse_branch(&pending.branch)?;
        dialog.remote_target = OwnedUri::parse(&pending.request_uri).ok()?;
        dialog.route_set = routes(&pending.route)?;
        let flow = snapshot.flow;
        let mut buffer = std::mem::take(&mut self.buffer);
        let via: ViaLine<'_> = self.via_line(flow, branch);
        let mut writer: MessageWriter<'_> =
            dialog.print_request(&mut buffer, "INVITE", pending.cseq, via, MAX_FORWARDS);
        writer.finish("", b"");
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        let reliable = flow.transport.is_reliable();
        let machine = ClientTransaction::resumed_invite(now, &self.config.timers, reliable);
        self.insert_client(now, machine, flow, packet, branch, Method::Invite, ClientUser::Nobody)
    }

    /// Answer an unanswered caller of an earlier process with a failure. No event follows.
    ///
    /// A snapshot that says answered is of a caller whose 200 may not have left: it gets the failure once, which a caller
    /// that did get the 200 drops.
    pub fn orphan_reject(&mut self, now: Instant, snapshot: &DialogSnapshot, status: u16) -> Outcome {
        let (Some(pending), Some(dialog)) = (snapshot.pending_invite.as_ref(), revive(snapshot)) else {
            return Outcome::Refused;
        };
        let via = pending.vias.first().and_then(|via| Via::parse(via));
        let Some((via, branch)) = via.and_then(|via| Some((via, via.branch()?))) else {
            return Outcome::Refused;
        };
        if !(300..=699).contains(&status) || self.servers.is_full() {
            return Outcome::Refused;
        }
        let index = self.hasher.branch_key(branch, &via, "INVITE", &dialog.call_id);
        let from = if dialog.remote_tag.is_empty() {
            dialog.remote.to_string()
        } else {
            format!("{};tag={}", dialog.remote, dialog.remote_tag)
        };
        let vias = pending.vias.iter().map(String::as_str).take(MAX_ROUTES);
        let cseq = format!("{} INVITE", pending.cseq);
        let template =
            ReplyTemplate::from_parts(&mut self.buffer, vias, &from, &dialog.local, &dialog.call_id, &cseq);
        let server = self.reopen_server(now, snapshot.flow, template, dialog.local_tag, index);
        let Some(server) = server else { return Outcome::Refused };
        let repetition = match snapshot.state {
            SnapshotState::Pending => Repetition::UntilAck,
            SnapshotState::Answered => Repetition::OnRequest,
        };
        self.reply(now, server, Reply { repetition, ..Reply::status(status) }, |writer| {
            writer.field(HeaderName::Reason, "SIP;cause=500;text=\"Server restarted\"");
        });
        Outcome::Sent
    }
}

fn revive(snapshot: &DialogSnapshot) -> Option<Dialog> {
    NameAddr::parse(&snapshot.local)?;
    NameAddr::parse(&snapshot.remote)?;
    Some(Dialog {
        call_id: snapshot.call_id.as_str().into(),
        local: snapshot.local.as_str().into(),
        local_tag: Mark::parse(&snapshot.local_tag)?,
        remote: snapshot.remote.as_str().into(),
        remote_tag: snapshot.remote_tag.as_str().into(),
        local_cseq: snapshot.local_cseq,
        remote_cseq: snapshot.remote_cseq,
        remote_target: OwnedUri::parse(&snapshot.remote_target).ok()?,
        route_set: routes(&snapshot.route_set)?,
    })
}

fn routes(values: &[String]) -> Option<Vec<Box<str>>> {
    values
        .iter()
        .take(MAX_ROUTES)
        .map(|value| NameAddr::parse(value).map(|_| value.as_str().into()))
        .collect()
}
