//! Printing what the endpoint sends: responses from a transaction's template, requests from a dialog.

use std::fmt;
use std::time::Instant;

use rand::Rng as _;

use super::outgoing::LARGE_REQUEST_BYTES;
use super::tables::ClientUser;
use super::{Endpoint, EndpointConfig, Event, NatPolicy, Output, Packet, Reason, ReasonProtocol};
use crate::arena::Key;
use crate::dialog::{MAX_FORWARDS, ViaLine};
use crate::flow::{Flow, Transport};
use crate::identity::Mark;
use crate::leg::Leg;
use crate::message::{HeaderName, MessageWriter, Method, Request};
use crate::transaction::{Repetition, ReplyTemplate, Routes, reply_flow};

/// Methods we understand.
pub(super) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";
/// Extensions we support when somebody calls us.
pub(super) const SUPPORTED_AS_SERVER: &str = "timer, 100rel";
/// Extensions we ask others to use: without 100rel, nobody expects a PRACK from us.
pub(super) const SUPPORTED_AS_CLIENT: &str = "timer";
/// Content type of session descriptions.
pub(super) const SDP: &str = "application/sdp";
/// No body.
pub(super) const EMPTY: (&str, &[u8]) = ("", b"");

/// A Contact value of ours.
#[derive(Clone, Debug)]
pub(super) struct ContactLine {
    text: String,
}

impl ContactLine {
    pub(super) fn new(config: &EndpointConfig, user: Option<&str>, flow: Flow) -> Self {
        let (advertised, transport) = (&config.advertised, flow.transport);
        let mut text = String::with_capacity(72);
        text.push_str("<sip:");
        if let Some(user) = user {
            text.push_str(user);
            text.push('@');
        }
        let _ = fmt::write(
            &mut text,
            format_args!("{}:{}", advertised.host_for(flow), advertised.port_for(transport)),
        );
        if let Some(value) = transport.uri_parameter() {
            text.push_str(";transport=");
            text.push_str(value);
        }
        let _ = fmt::write(&mut text, format_args!(";tdm={:04x}{:04x}>", config.shard, config.generation));
        Self { text }
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }
}

/// A Reason value (RFC 3326).
pub(super) struct ReasonLine<'a>(pub(super) &'a Reason);

impl fmt::Display for ReasonLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocol = match self.0.protocol {
            ReasonProtocol::Q850 => "Q.850",
            ReasonProtocol::Sip => "SIP",
        };
        write!(f, "{protocol};cause={}", self.0.cause)?;
        if let Some(text) = &self.0.text {
            let text: String = text.chars().filter(|character| !matches!(character, '"' | '\\')).collect();
            write!(f, ";text=\"{text}\"")?;
        }
        Ok(())
    }
}

/// One response, as far as it is not the template's.
#[derive(Clone, Copy)]
pub(super) struct Reply<'a> {
    pub(super) status: u16,
    pub(super) phrase: Option<&'a str>,
    pub(super) routes: Routes,
    pub(super) repetition: Repetition,
    pub(super) body: (&'a str, &'a [u8]),
}

impl Reply<'_> {
    /// A response that makes no dialog and has no body.
    pub(super) fn status(status: u16) -> Self {
        Self { status, phrase: None, routes: Routes::Omitted, repetition: Repetition::UntilAck, body: EMPTY }
    }
}

impl Endpoint {
    pub(super) fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    pub(super) fn new_mark(&mut self) -> Mark {
        let unique = self.random.next_u64();
        Mark { shard: self.config.shard, generation: self.config.generation, unique }
    }

    pub(super) fn via_line(&self, flow: Flow, branch: Mark) -> ViaLine<'_> {
        let advertised = &self.config.advertised;
        let port = advertised.port_for(flow.transport);
        ViaLine { transport: flow.transport.via_token(), host: advertised.host_for(flow), port, branch }
    }

    /// Send a response in a server transaction.
    pub(super) fn reply(
        &mut self,
        now: Instant,
        server: Key,
        reply: Reply<'_>,
        fill: impl FnOnce(&mut MessageWriter<'_>),
    ) -> Option<Packet> {
        let mut buffer = std::mem::take(&mut self.buffer);
        let packet = self.servers.get(server).map(|entry| {
            let mut writer = MessageWriter::response(&mut buffer, reply.status, reply.phrase);
            let tag: Option<&dyn fmt::Display> = (reply.status > 100).then_some(&entry.tag);
            entry.template.print(&mut writer, tag, reply.routes);
            fill(&mut writer);
            writer.finish(reply.body.0, reply.body.1);
            Packet::new(&buffer)
        });
        self.buffer = buffer;
        let packet = packet?;
        let entry = self.servers.get_mut(server)?;
        let timers = &self.config.timers;
        entry.machine.on_sent(now, timers, reply.status, packet.clone(), reply.repetition);
        let flow = entry.flow;
        self.send(flow, packet.clone());
        if reply.status >= 200 {
            self.end_merging(server);
        }
        self.arm_server(now, server);
        Some(packet)
    }

    /// Refuse a request without keeping anything, if the sender is one we answer.
    pub(super) fn refuse(
        &mut self,
        flow: Flow,
        request: &Request<'_>,
        status: u16,
        line: Option<(HeaderName, &str)>,
    ) {
        if !self.config.courtesy.answers(flow, request.uri.host()) {
            return;
        }
        let template = ReplyTemplate::new(&mut self.buffer, &request.common, flow);
        let flow = reply_flow(&request.common.via, flow);
        self.refuse_from(flow, &template, status, None, line);
    }

    pub(super) fn refuse_from(
        &mut self,
        flow: Flow,
        template: &ReplyTemplate,
        status: u16,
        phrase: Option<&str>,
        line: Option<(HeaderName, &str)>,
    ) {
        let tag = self.new_mark();
        let mut writer = MessageWriter::response(&mut self.buffer, status, phrase);
        template.print(&mut writer, Some(&tag), Routes::Omitted);
        if let Some((name, value)) = line {
            writer.field(name, value);
        }
        writer.finish("", b"");
        let packet = Packet::new(&self.buffer);
        self.send(flow, packet);
    }

    /// Where a leg's requests go.
    pub(super) fn destination(&self, leg: &Leg) -> Flow {
        if leg.flow.transport.is_reliable() || leg.nat_policy == NatPolicy::ReceivedFlow {
            return leg.flow;
        }
        let permitted = leg.dialog.next_hop().filter(|address| self.config.guard.allows(*address));
        permitted.map_or(leg.flow, |address| leg.flow.to(address))
    }

    /// Send a request inside a leg's dialog.
    pub(super) fn send_in_dialog(
        &mut self,
        now: Instant,
        key: Key,
        method: Method,
        user: ClientUser,
        body: (&str, &[u8]),
        fill: impl Fn(&mut MessageWriter<'_>),
    ) -> Option<Key> {
        if self.clients.is_full() {
            return None;
        }
        let branch = self.new_mark();
        let mut buffer = std::mem::take(&mut self.buffer);
        let leg = self.legs.get_mut(key)?;
        leg.dialog.local_cseq += 1;
        let cseq = leg.dialog.local_cseq;
        let leg = self.legs.get(key)?;
        let mut flow = self.destination(leg);
        let print = |buffer: &mut Vec<u8>, over: Flow| {
            let via = self.via_line(over, branch);
            let mut writer = leg.dialog.print_request(buffer, method.as_str(), cseq, via, MAX_FORWARDS);
            if matches!(method, Method::Invite | Method::Update) {
                // The Contact stays what it was: where this one request goes does not move the dialog.
                let contact = ContactLine::new(&self.config, leg.contact_user.as_deref(), flow);
                writer.field(HeaderName::Contact, contact.as_str());
                writer.field(HeaderName::Allow, ALLOW);
                writer.field(HeaderName::Supported, SUPPORTED_AS_CLIENT);
            }
            fill(&mut writer);
            writer.finish(body.0, body.1);
        };
        print(&mut buffer, flow);
        if buffer.len() > LARGE_REQUEST_BYTES
            && let Some(large) = self.large_flow(leg, flow)
        {
            buffer.clear();
            print(&mut buffer, large);
            flow = large;
        }
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        self.open_client(now, flow, packet, branch, method, user)
    }

    /// The connection for a request within a dialog that is too long for a datagram; `None` where the peer is behind a NAT,
    /// has named UDP, or has refused one.
    pub(super) fn large_flow(&self, leg: &Leg, flow: Flow) -> Option<Flow> {
        let may = leg.may_use_tcp && flow.transport == Transport::Udp && leg.nat_policy == NatPolicy::Contact;
        let local = self.config.tcp.filter(|_| may)?;
        Some(Flow { transport: Transport::Tcp, local, remote: flow.remote })
    }

    /// Print the ACK to a 2xx (§13.2.2.4): a request of the dialog, with the INVITE's CSeq number and credentials.
    pub(super) fn print_ack(
        &mut self,
        dialog: &crate::dialog::Dialog,
        flow: Flow,
        cseq: u32,
        credentials: &[(HeaderName, String)],
        sdp: &[u8],
    ) -> Packet {
        let branch = self.new_mark();
        let mut buffer = std::mem::take(&mut self.buffer);
        let via = self.via_line(flow, branch);
        let mut writer = dialog.print_request(&mut buffer, "ACK", cseq, via, MAX_FORWARDS);
        for (name, value) in credentials {
            writer.field(*name, value);
        }
        writer.finish(SDP, sdp);
        let packet = Packet::new(&buffer);
        self.buffer = buffer;
        packet
    }

    pub(super) fn send_bye(
        &mut self,
        now: Instant,
        key: Key,
        user: ClientUser,
        reason: Option<&Reason>,
    ) -> Option<Key> {
        self.send_in_dialog(now, key, Method::Bye, user, EMPTY, |writer| {
            if let Some(reason) = reason {
                writer.formatted(HeaderName::Reason, format_args!("{}", ReasonLine(reason)));
            }
        })
    }
}
