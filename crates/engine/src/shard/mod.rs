//! One signalling shard: a thread with a current-thread runtime that owns one SIP endpoint, its UDP
//! socket and connections, the registrar and the sessions.
//!
//! The cast: [`Shard`] is what sessions hold: commands go straight to the endpoint and return its
//! outcome, because everything here runs on one thread and no borrow outlives a call. [`run`] is
//! the thread: receive, handle, drain, arm the timer. [`edge`] decides about strangers,
//! [`register`] about phones, [`streams`] keeps the connections, [`options`] about everything else; [`digest`] proves who is who.

mod digest;
mod edge;
mod facts;
mod gateways;
mod options;
mod orphans;
mod pulse;
mod register;
mod run;
mod socket;
mod sockets;
mod status;
mod streams;
mod trace;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tandem_model::ports::Ports;
use tandem_model::{CallId, clock};
use tandem_sip::message::{FieldName, HeaderField};
use tandem_sip::registrar::Registrar;
use tandem_sip::{Endpoint, Event, Flow, Input, LegId, Output, Transport};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::config::EngineConfig;
use crate::gate::{Counted, EdgeCounters, Gate};
use crate::live::LiveCalls;
use crate::overload::Overload;
use crate::rtp::MediaPlane;
use crate::session::{Mailbox, Prompts};

pub(crate) use facts::sip_uri_within;
pub(crate) use run::{Command, Start, run};
pub(crate) use sockets::Sockets;

/// What the sessions of one shard share. Used on the shard's thread only.
pub(crate) struct Shard {
    pub(crate) config: EngineConfig,
    pub(crate) ports: Ports,
    pub(crate) media: MediaPlane,
    pub(crate) live: Arc<LiveCalls>,
    /// Session tasks, and the small tasks of registrations.
    pub(crate) tasks: TaskTracker,
    /// Encoded prompts, shared by calls that play the same one.
    pub(crate) prompts: Prompts,
    socket: UdpSocket,
    streams: streams::Streams,
    gateways: gateways::Gateways,
    local: SocketAddr,
    endpoint: RefCell<Endpoint>,
    /// Sessions by the SIP leg whose events they get.
    owners: RefCell<HashMap<LegId, Rc<Mailbox>>>,
    /// Talking calls and since when, for the reaper's ticks.
    talking: RefCell<HashMap<CallId, Instant>>,
    /// Calls by SIP Call-ID, filled while somebody watches.
    traced: RefCell<HashMap<String, CallId>>,
    guard: RefCell<digest::Guard>,
    registrar: RefCell<Registrar>,
    pulse: pulse::Pulse,
    overload: RefCell<Overload>,
    gate: RefCell<Gate>,
    counters: Arc<EdgeCounters>,
    /// The endpoint's deadline moved.
    rearm: Notify,
    unsent: Cell<u64>,
}

impl Shard {
    /// Runs a command on the endpoint and sends what it wants sent.
    pub(crate) fn command<T>(self: &Rc<Self>, command: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let outcome = command(&mut self.endpoint.borrow_mut(), clock::monotonic());
        self.flush();
        outcome
    }

    /// Looks at the endpoint.
    pub(crate) fn endpoint<T>(&self, look: impl FnOnce(&Endpoint) -> T) -> T {
        look(&self.endpoint.borrow())
    }

    /// A UDP flow from our socket.
    pub(crate) fn flow_to(&self, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local: self.local, remote }
    }

    /// Events of `leg` go to `mailbox` from now on.
    pub(crate) fn own(&self, leg: LegId, mailbox: &Rc<Mailbox>) {
        self.owners.borrow_mut().insert(leg, Rc::clone(mailbox));
    }

    /// Nobody cares about `leg` any more.
    pub(crate) fn disown(&self, leg: LegId) {
        self.owners.borrow_mut().remove(&leg);
    }

    /// `call` talks since `since`.
    pub(crate) fn talks(&self, call: CallId, since: Instant) {
        self.talking.borrow_mut().insert(call, since);
    }

    /// `call` talks no more.
    pub(crate) fn falls_silent(&self, call: CallId) {
        self.talking.borrow_mut().remove(&call);
    }

    /// Tells the reaper's record how long calls have talked.
    fn tick(&self) {
        let now = clock::monotonic();
        let elapsed: Vec<_> = self
            .talking
            .borrow()
            .iter()
            .map(|(call, since)| (*call, now.saturating_duration_since(*since).as_secs()))
            .collect();
        if !elapsed.is_empty() {
            self.ports.admission.ticked(elapsed);
        }
    }

    /// Takes in one datagram; whether it was looked at.
    fn receive(self: &Rc<Self>, source: SocketAddr, bytes: &[u8]) -> bool {
        // RFC 5626 keep-alives and the zero-length datagrams of NAT pingers are no messages.
        if bytes.iter().all(|byte| matches!(byte, b'\r' | b'\n' | 0)) {
            return false;
        }
        let (now, flow) = (clock::monotonic(), self.flow_to(source));
        let is_known = || self.is_known(flow);
        let admitted = self.gate.borrow_mut().admit(now, now_s(), source.ip(), bytes.len(), &is_known);
        if admitted {
            self.take_in(flow, bytes);
        }
        admitted
    }

    /// Hands in a message that came over `flow`.
    fn take_in(self: &Rc<Self>, flow: Flow, bytes: &[u8]) {
        self.trace_message(trace::Way::In, flow.remote, bytes);
        let now = clock::monotonic();
        let foreign = {
            let mut endpoint = self.endpoint.borrow_mut();
            let before = endpoint.stats().unopened;
            endpoint.handle(now, Input::Datagram { flow, bytes });
            endpoint.stats().unopened > before
        };
        if foreign {
            self.counters.count(Counted::Foreign);
            // A connection stands with the address it names; a datagram may be forged and proves nothing.
            if flow.transport.is_reliable() {
                let is_known = || self.is_known(flow);
                self.gate.borrow_mut().probed(now, now_s(), flow.remote.ip(), &is_known);
            }
        }
        self.flush();
    }

    /// Whether the far end of a flow is a carrier or stands on an IP ACL.
    fn is_known(&self, flow: Flow) -> bool {
        self.ports.directory.knows(flow.remote, facts::model_transport(flow.transport))
    }

    /// Whether one more challenge or refusal may be said to somebody who has proven nothing.
    fn may_refuse(&self, now: Instant, flow: Flow) -> bool {
        self.gate.borrow_mut().may_refuse(now, flow.remote.ip(), &|| self.is_known(flow))
    }

    /// The endpoint's deadline has come.
    fn on_deadline(self: &Rc<Self>) {
        self.endpoint.borrow_mut().handle(clock::monotonic(), Input::Timeout);
        self.flush();
    }

    /// Performs everything the endpoint wants done.
    pub(crate) fn flush(self: &Rc<Self>) {
        loop {
            let output = self.endpoint.borrow_mut().poll();
            match output {
                Some(Output::Transmit { flow, bytes }) if flow.transport == Transport::Udp => {
                    self.transmit(flow, &bytes);
                }
                Some(Output::Transmit { flow, bytes }) => {
                    self.trace_message(trace::Way::Out, flow.remote, &bytes);
                    self.send_on_stream(flow, bytes);
                }
                Some(Output::Event(event)) => self.route(event),
                None => break,
            }
        }
        self.rearm.notify_one();
    }

    fn transmit(&self, flow: Flow, bytes: &[u8]) {
        let (now, address) = (clock::monotonic(), flow.remote.ip());
        if bytes.starts_with(b"SIP/2.0 ") {
            let may = self.gate.borrow_mut().may_answer(now, address, bytes.len(), &|| self.is_known(flow));
            if !may {
                return;
            }
        } else {
            self.gate.borrow_mut().asked(now, address);
        }
        self.trace_message(trace::Way::Out, flow.remote, bytes);
        // A full socket buffer drops: SIP over UDP retransmits by itself.
        if let Err(error) = self.socket.try_send_to(bytes, socket::spelled_for(self.local, flow.remote)) {
            let unsent = self.unsent.get() + 1;
            self.unsent.set(unsent);
            if unsent.is_power_of_two() {
                tracing::warn!(%error, unsent, "SIP datagrams could not be sent");
            }
        }
    }

    fn route(self: &Rc<Self>, event: Event) {
        let leg = match event {
            Event::Invite { leg, facts } => return self.on_invite(leg, facts),
            Event::Request { transaction, facts } => return self.on_request(transaction, facts),
            // Nobody waits for the answer to a phone's keep-alive: only its going out matters.
            Event::Response { request, facts } => return self.request_over(request, Some(facts)),
            Event::RequestFailed { request, .. } => return self.request_over(request, None),
            Event::Ringing { leg, .. }
            | Event::Progress { leg, .. }
            | Event::Answered { leg, .. }
            | Event::Challenged { leg, .. }
            | Event::Rejected { leg, .. }
            | Event::Redirected { leg, .. }
            | Event::Cancelled { leg, .. }
            | Event::Acked { leg, .. }
            | Event::AckTimeout { leg }
            | Event::Reinvited { leg, .. }
            | Event::ReinviteAnswered { leg, .. }
            | Event::ReinviteFailed { leg, .. }
            | Event::Info { leg, .. }
            | Event::InfoAnswered { leg, .. }
            | Event::Bye { leg, .. }
            | Event::Terminated { leg, .. }
            | Event::LateAnswerAfterCancel { leg } => leg,
        };
        let owner = self.owners.borrow().get(&leg).cloned();
        let Some(owner) = owner else { return };
        if let Err(turned_away) = owner.post(event)
            && let Event::Reinvited { leg, .. } = *turned_away
        {
            // The session is behind; the peer may offer again.
            let _ = self.endpoint.borrow_mut().reject_reinvite(clock::monotonic(), leg, 500);
        }
    }
}

/// Seconds since the epoch.
fn now_s() -> u64 {
    clock::wall().as_second().unsigned_abs()
}

/// The Reason field of a failure response (RFC 6432); `None` if the words cannot be printed.
pub(crate) fn reason_field(q850: u8, text: &str) -> Option<HeaderField> {
    let quoted: String = text.chars().filter(|c| !c.is_control() && !matches!(c, '"' | '\\')).collect();
    HeaderField::new(FieldName::Reason, format!("Q.850;cause={q850};text=\"{quoted}\"")).ok()
}
