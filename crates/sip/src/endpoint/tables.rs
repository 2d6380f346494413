//! The entries of the endpoint's tables and how they enter, leave and get looked at again.

use std::time::Instant;

use smallvec::SmallVec;

use super::{Endpoint, LegId, Output, Packet, Reason};
use crate::arena::Key;
use crate::flow::Flow;
use crate::identity::Mark;
use crate::leg::{Leg, Phase};
use crate::message::{Method, Request};
use crate::transaction::{ClientTransaction, Kind, ReplyTemplate, ServerTransaction, reply_flow};

/// What a queued deadline concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Target {
    Leg(Key),
    Server(Key),
    Client(Key),
}

/// Who waits for the answer to a server transaction's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ServerUser {
    /// Answered on the spot, or its leg is over.
    Nobody,
    /// The INVITE of this leg.
    Leg(Key),
    /// `respond`.
    Request,
}

#[derive(Debug)]
pub(super) struct ServerEntry {
    pub(super) machine: ServerTransaction,
    /// Where responses go.
    pub(super) flow: Flow,
    pub(super) template: ReplyTemplate,
    /// Our To-tag.
    pub(super) tag: Mark,
    /// The request's CSeq number, which the ACK to an INVITE's 2xx repeats.
    pub(super) cseq: u32,
    pub(super) user: ServerUser,
    index: u64,
    merge: Option<u64>,
    pub(super) armed: Option<Instant>,
}

/// Who waits for the response to a client transaction's request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClientUser {
    Nobody,
    /// The first INVITE of this leg.
    Invite(Key),
    /// A re-INVITE of this leg.
    Offer(Key),
    /// A session refresh by UPDATE of this leg.
    Refresh(Key),
    Info(Key),
    Bye(Key),
    /// `request`.
    Request,
}

/// Whether an INVITE is to be cancelled (RFC 3261 §9.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cancel {
    Unwanted,
    /// As soon as a provisional response comes.
    Waiting(Option<Reason>),
    Sent,
}

/// An ACK to a 2xx, sent again for each repetition of that 2xx.
#[derive(Debug)]
pub(super) struct Acknowledged {
    pub(super) tag: Box<str>,
    pub(super) flow: Flow,
    /// `None` while the answer that the ACK carries is outstanding.
    pub(super) packet: Option<Packet>,
}

#[derive(Debug)]
pub(super) struct ClientEntry {
    pub(super) machine: ClientTransaction,
    pub(super) flow: Flow,
    /// The request, for retransmission and to build its CANCEL and ACK from.
    pub(super) packet: Packet,
    pub(super) method: Method,
    pub(super) user: ClientUser,
    pub(super) cancel: Cancel,
    /// INVITE: the ACK to its failure.
    pub(super) failure_ack: Option<Packet>,
    /// INVITE: the ACKs to its 2xx, one per fork.
    pub(super) acknowledged: SmallVec<[Acknowledged; 1]>,
    index: u64,
    pub(super) armed: Option<Instant>,
}

/// A CANCEL shares its INVITE's branch (§9.1) but is a transaction of its own.
pub(super) fn client_index(branch: Mark, method: Method) -> u64 {
    if method == Method::Cancel { branch.unique.rotate_left(29) ^ 0x5a } else { branch.unique }
}

impl Endpoint {
    pub(super) fn add_leg(&mut self, leg: Leg) -> Option<Key> {
        let tag = leg.dialog.local_tag.unique;
        let key = self.legs.insert(leg).ok()?;
        self.dialog_index.insert(tag, key);
        Some(key)
    }

    /// Forget a leg; its transactions run out by themselves.
    pub(super) fn drop_leg(&mut self, key: Key) -> Option<Leg> {
        let leg = self.legs.remove(key)?;
        let tag = leg.dialog.local_tag.unique;
        if self.dialog_index.get(&tag) == Some(&key) {
            self.dialog_index.remove(&tag);
        }
        Some(leg)
    }

    /// Open the server transaction of a request that has just arrived.
    pub(super) fn open_server(
        &mut self,
        now: Instant,
        flow: Flow,
        request: &Request<'_>,
        tag: Mark,
        user: ServerUser,
    ) -> Option<Key> {
        let kind = if request.method == Method::Invite { Kind::Invite } else { Kind::NonInvite };
        let index = self.hasher.server_key(request, request.method);
        let merge = request.common.to.tag().is_none().then(|| self.hasher.merge_key(request));
        let template = ReplyTemplate::new(&mut self.buffer, &request.common, flow);
        let machine =
            ServerTransaction::started(kind, now, &self.config.timers, flow.transport.is_reliable());
        let flow = reply_flow(&request.common.via, flow);
        let cseq = request.common.cseq.number;
        let entry = ServerEntry { machine, flow, template, tag, cseq, user, index, merge, armed: None };
        self.insert_server(now, entry)
    }

    /// Open a server transaction from parts kept elsewhere.
    pub(super) fn reopen_server(
        &mut self,
        now: Instant,
        flow: Flow,
        template: ReplyTemplate,
        tag: Mark,
        index: u64,
    ) -> Option<Key> {
        let reliable = flow.transport.is_reliable();
        let machine = ServerTransaction::started(Kind::Invite, now, &self.config.timers, reliable);
        let user = ServerUser::Nobody;
        let entry =
            ServerEntry { machine, flow, template, tag, cseq: 0, user, index, merge: None, armed: None };
        self.insert_server(now, entry)
    }

    fn insert_server(&mut self, now: Instant, entry: ServerEntry) -> Option<Key> {
        let (index, merge) = (entry.index, entry.merge);
        let key = self.servers.insert(entry).ok()?;
        self.server_index.insert(index, key);
        if let Some(merge) = merge {
            self.merge_index.insert(merge, key);
        }
        self.arm_server(now, key);
        Some(key)
    }

    pub(super) fn close_server(&mut self, key: Key) {
        let Some(entry) = self.servers.remove(key) else { return };
        if self.server_index.get(&entry.index) == Some(&key) {
            self.server_index.remove(&entry.index);
        }
        self.forget_merge(entry.merge, key);
        // A cancelled leg lasts as long as its transaction, to tell late commands what happened.
        if let ServerUser::Leg(leg) = entry.user
            && self.legs.get(leg).is_some_and(|leg| matches!(leg.phase, Phase::Cancelled))
        {
            self.drop_leg(leg);
        }
    }

    /// A request with a final response can no longer be "the same request by another path".
    pub(super) fn end_merging(&mut self, key: Key) {
        let merge = self.servers.get_mut(key).and_then(|entry| entry.merge.take());
        self.forget_merge(merge, key);
    }

    fn forget_merge(&mut self, merge: Option<u64>, key: Key) {
        if let Some(merge) = merge
            && self.merge_index.get(&merge) == Some(&key)
        {
            self.merge_index.remove(&merge);
        }
    }

    /// Send a request and open its client transaction.
    pub(super) fn open_client(
        &mut self,
        now: Instant,
        flow: Flow,
        packet: Packet,
        branch: Mark,
        method: Method,
        user: ClientUser,
    ) -> Option<Key> {
        let kind = if method == Method::Invite { Kind::Invite } else { Kind::NonInvite };
        let machine =
            ClientTransaction::started(kind, now, &self.config.timers, flow.transport.is_reliable());
        let key = self.insert_client(now, machine, flow, packet.clone(), branch, method, user)?;
        self.send(flow, packet);
        Some(key)
    }

    pub(super) fn insert_client(
        &mut self,
        now: Instant,
        machine: ClientTransaction,
        flow: Flow,
        packet: Packet,
        branch: Mark,
        method: Method,
        user: ClientUser,
    ) -> Option<Key> {
        let index = client_index(branch, method);
        let entry = ClientEntry {
            machine,
            flow,
            packet,
            method,
            user,
            cancel: Cancel::Unwanted,
            failure_ack: None,
            acknowledged: SmallVec::new(),
            index,
            armed: None,
        };
        let key = self.clients.insert(entry).ok()?;
        self.client_index.insert(index, key);
        self.arm_client(now, key);
        Some(key)
    }

    pub(super) fn close_client(&mut self, key: Key) -> Option<ClientEntry> {
        let entry = self.clients.remove(key)?;
        if self.client_index.get(&entry.index) == Some(&key) {
            self.client_index.remove(&entry.index);
        }
        Some(entry)
    }

    pub(super) fn arm_leg(&mut self, now: Instant, key: Key) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let due = leg.due();
        if let Some(at) = earlier(due, &mut leg.armed) {
            self.timers.push(now, at, Target::Leg(key));
        }
    }

    pub(super) fn arm_server(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.servers.get_mut(key) else { return };
        if let Some(at) = earlier(entry.machine.due(), &mut entry.armed) {
            self.timers.push(now, at, Target::Server(key));
        }
    }

    pub(super) fn arm_client(&mut self, now: Instant, key: Key) {
        let Some(entry) = self.clients.get_mut(key) else { return };
        if let Some(at) = earlier(entry.machine.due(), &mut entry.armed) {
            self.timers.push(now, at, Target::Client(key));
        }
    }

    pub(super) fn send(&mut self, flow: Flow, bytes: Packet) {
        self.outputs.push_back(Output::Transmit { flow, bytes });
    }

    pub(super) fn leg(&self, id: LegId) -> Option<&Leg> {
        self.legs.get(id.0)
    }
}

/// A deadline that nothing in the queue covers yet.
fn earlier(due: Option<Instant>, armed: &mut Option<Instant>) -> Option<Instant> {
    let at = due?;
    if armed.is_some_and(|armed| armed <= at) {
        return None;
    }
    *armed = Some(at);
    Some(at)
}
