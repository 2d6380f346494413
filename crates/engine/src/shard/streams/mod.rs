//! SIP over connections (RFC 3261 §18): which there are, who may open more, what is queued on each.
//!
//! The cast: [`Streams`] is the table a shard sends through; `listen` lets peers in, `connect` opens connections to
//! carriers and PBXes, `connection` is the life of one, each a task on the shard's thread. A connection is known by its
//! flow: what came over it is answered over it, and a request to a registered phone goes over the connection it
//! registered on.
//!
//! What is bounded: connections in all and per source; on each, [`MAX_QUEUED`] messages and [`MAX_QUEUED_BYTES`] that
//! wait to be written. A peer that does not read its messages loses the connection, not the oldest message: SIP over a
//! stream does not retransmit, so a gap would be a lost call. How long a handshake, an unfinished message, a connection
//! attempt and silence may last stands in [`crate::Timing`].

mod connect;
mod connection;
mod listen;
mod tls;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use tandem_model::clock;
use tandem_sip::{Flow, Input, PING, Packet, Transport};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::Shard;

pub(super) use listen::accept;
pub(crate) use listen::bind;
pub(crate) use tls::TlsPlace;

/// Messages that wait to be written on one connection; one more closes it.
pub(crate) const MAX_QUEUED: usize = 512;
/// Bytes that wait to be written on one connection; one more closes it.
pub(crate) const MAX_QUEUED_BYTES: usize = 512 * 1024;
/// How long an address that refused a connection is not asked again for a request that may go by UDP.
const REFUSAL_REMEMBERED: Duration = Duration::from_mins(5);
/// Refusals remembered at once.
const MAX_REFUSALS: usize = 4_096;

/// Something to write.
pub(super) enum Outgoing {
    Message(Packet),
    LineBreaks(&'static [u8]),
}

impl Outgoing {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Message(packet) => packet,
            Self::LineBreaks(bytes) => bytes,
        }
    }
}

/// A connection as the table sees it; its task holds the socket.
struct Connection {
    id: u64,
    queue: mpsc::Sender<Outgoing>,
    queued_bytes: Rc<Cell<usize>>,
    close: CancellationToken,
    /// The names its certificate was, and can be, checked against: TLS connections that we opened.
    certificate: Option<tls::PeerCertificate>,
}

/// What happened so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct StreamStats {
    /// Turned away: too many in all or from one source.
    pub(crate) turned_away: u64,
    /// Closed because the peer did not read.
    pub(crate) overflowed: u64,
    /// Closed because what came was no SIP, or did not come in time.
    pub(crate) unreadable: u64,
}

/// How much is kept of connections.
pub(crate) struct StreamSizes {
    pub(crate) open: usize,
    pub(crate) known: usize,
    pub(crate) sources: usize,
    pub(crate) queued_bytes: usize,
    pub(crate) longest_queue: usize,
    pub(crate) names: usize,
    pub(crate) refusals: usize,
}

/// The connections of one shard.
#[derive(Default)]
pub(crate) struct Streams {
    /// Where connections come in, as bound; `None` where a transport is off.
    pub(super) tcp: Option<SocketAddr>,
    pub(super) tls: Option<TlsPlace>,
    connections: RefCell<HashMap<Flow, Connection>>,
    /// Sockets that peers opened, by source, those in their handshake included.
    sources: RefCell<HashMap<IpAddr, usize>>,
    /// Sockets in all, whoever opened them.
    open: Cell<usize>,
    next: Cell<u64>,
    /// Names that TLS peers must prove, by address, as far as one was asked for.
    names: RefCell<HashMap<SocketAddr, Rc<str>>>,
    refused: RefCell<HashMap<SocketAddr, Instant>>,
    stats: Cell<StreamStats>,
}

impl Streams {
    /// A table for listeners bound at `tcp` and `tls`.
    pub(super) fn new(tcp: Option<SocketAddr>, tls: Option<TlsPlace>) -> Self {
        Self { tcp, tls, ..Self::default() }
    }

    /// Our end of flows over a transport; `None` where it is off.
    pub(super) fn local(&self, transport: Transport) -> Option<SocketAddr> {
        match transport {
            Transport::Tcp => self.tcp,
            Transport::Tls => self.tls.as_ref().map(|tls| tls.local),
            Transport::Udp | Transport::Ws | Transport::Wss => None,
        }
    }

    /// The number of an open connection.
    pub(super) fn id_of(&self, flow: Flow) -> Option<u64> {
        self.connections.borrow().get(&flow).map(|connection| connection.id)
    }

    /// What happened so far.
    pub(crate) fn stats(&self) -> StreamStats {
        self.stats.get()
    }

    /// How much is kept now.
    pub(crate) fn sizes(&self) -> StreamSizes {
        let connections = self.connections.borrow();
        let queued = |connection: &Connection| connection.queue.max_capacity() - connection.queue.capacity();
        StreamSizes {
            open: self.open.get(),
            known: connections.len(),
            sources: self.sources.borrow().len(),
            queued_bytes: connections.values().map(|connection| connection.queued_bytes.get()).sum(),
            longest_queue: connections.values().map(queued).max().unwrap_or_default(),
            names: self.names.borrow().len(),
            refusals: self.refused.borrow().len(),
        }
    }

    fn count(&self, what: impl FnOnce(&mut StreamStats)) {
        let mut stats = self.stats.get();
        what(&mut stats);
        self.stats.set(stats);
    }

    fn new_id(&self) -> u64 {
        let id = self.next.get() + 1;
        self.next.set(id);
        id
    }

    fn remember_refusal(&self, remote: SocketAddr, now: Instant) {
        let mut refused = self.refused.borrow_mut();
        if refused.len() >= MAX_REFUSALS {
            refused.retain(|_, at| now.saturating_duration_since(*at) < REFUSAL_REMEMBERED);
        }
        if refused.len() < MAX_REFUSALS {
            refused.insert(remote, now);
        }
    }
}

/// One socket among those that may be open; given back when dropped.
struct Place {
    shard: Rc<Shard>,
    source: Option<IpAddr>,
}

impl Place {
    /// A place for a socket that `source` opened, or for one of ours.
    fn take(shard: &Rc<Shard>, source: Option<IpAddr>) -> Option<Self> {
        let (streams, limits) = (&shard.streams, &shard.config.limits);
        if streams.open.get() >= limits.connections {
            return None;
        }
        if let Some(source) = source {
            let mut sources = streams.sources.borrow_mut();
            let open = sources.entry(source).or_insert(0);
            if *open >= limits.connections_per_source {
                return None;
            }
            *open += 1;
        }
        streams.open.set(streams.open.get() + 1);
        Some(Self { shard: Rc::clone(shard), source })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let streams = &self.shard.streams;
        streams.open.set(streams.open.get().saturating_sub(1));
        let Some(source) = self.source else { return };
        let mut sources = streams.sources.borrow_mut();
        if let Some(open) = sources.get_mut(&source) {
            *open -= 1;
            if *open == 0 {
                sources.remove(&source);
            }
        }
    }
}

impl Shard {
    /// Sends one message over a connection. A request to where none is opens one; a response does not: who asked and
    /// went cannot be called back (§18.2.2 would have us try the port in Via, which a NAT or a client never opened).
    pub(super) fn send_on_stream(self: &Rc<Self>, flow: Flow, packet: Packet) {
        let known = self.streams.connections.borrow().contains_key(&flow);
        if known {
            return self.queue_on_stream(flow, Outgoing::Message(packet));
        }
        if packet.starts_with(b"SIP/2.0") {
            tracing::debug!(remote = %flow.remote, "a response is dropped: its connection has closed");
            return;
        }
        match self.open_stream(flow) {
            Ok(()) => self.queue_on_stream(flow, Outgoing::Message(packet)),
            Err(why) => {
                tracing::warn!(remote = %flow.remote, transport = ?flow.transport, why, "no connection can be opened");
                self.fail_stream_later(flow);
            }
        }
    }

    /// Puts the two line breaks of a keep-alive on an open connection.
    pub(super) fn ping_stream(self: &Rc<Self>, flow: Flow) {
        self.queue_on_stream(flow, Outgoing::LineBreaks(PING));
    }

    fn queue_on_stream(self: &Rc<Self>, flow: Flow, outgoing: Outgoing) {
        let streams = &self.streams;
        let full = {
            let connections = streams.connections.borrow();
            let Some(connection) = connections.get(&flow) else { return };
            let bytes = connection.queued_bytes.get() + outgoing.bytes().len();
            let fits = bytes <= MAX_QUEUED_BYTES && connection.queue.try_send(outgoing).is_ok();
            if fits {
                connection.queued_bytes.set(bytes);
            }
            !fits
        };
        if full {
            streams.count(|stats| stats.overflowed += 1);
            tracing::warn!(remote = %flow.remote, "a peer does not read its connection, which is closed");
            if let Some(connection) = streams.connections.borrow().get(&flow) {
                connection.close.cancel();
            }
        }
    }

    /// The endpoint learns later that a flow cannot be: whoever sends now has not noted yet what for.
    fn fail_stream_later(self: &Rc<Self>, flow: Flow) {
        let shard = Rc::clone(self);
        self.tasks.spawn_local(async move {
            tokio::task::yield_now().await;
            shard.fail_stream(flow);
        });
    }

    fn fail_stream(self: &Rc<Self>, flow: Flow) {
        self.endpoint.borrow_mut().handle(clock::monotonic(), Input::TransportFailed { flow });
        self.flush();
    }

    /// One whole message came over a connection.
    fn receive_from_stream(self: &Rc<Self>, flow: Flow, bytes: &[u8]) {
        if self.may_connect(flow) {
            self.take_in(flow, bytes);
        }
    }

    /// Whether the source of a connection is listened to.
    fn may_connect(&self, flow: Flow) -> bool {
        let (now, address) = (clock::monotonic(), flow.remote.ip());
        let mut gate = self.gate.borrow_mut();
        gate.admits_connection(now, super::now_s(), address, &|| self.is_known(flow))
    }

    /// A connection is gone: what was sent over it and not answered has failed, and phones that only it could reach are
    /// no longer registered.
    fn stream_closed(self: &Rc<Self>, flow: Flow, id: u64) {
        {
            let mut connections = self.streams.connections.borrow_mut();
            if connections.get(&flow).is_none_or(|connection| connection.id != id) {
                return;
            }
            connections.remove(&flow);
        }
        let lost = self.registrar.borrow_mut().connection_closed(id);
        if !lost.is_empty() {
            let shard = Rc::clone(self);
            self.tasks.spawn_local(async move { shard.save(lost).await });
        }
        self.fail_stream(flow);
    }

    /// Whether a large request may be tried over TCP to an address.
    pub(crate) fn takes_tcp(&self, remote: SocketAddr) -> bool {
        let refused = self.streams.refused.borrow().get(&remote).copied();
        let forgotten = |at: Instant| clock::monotonic().saturating_duration_since(at) >= REFUSAL_REMEMBERED;
        self.streams.tcp.is_some() && refused.is_none_or(forgotten)
    }

    /// A flow to a peer over a transport; `None` where the transport is off.
    pub(crate) fn flow_over(&self, transport: Transport, remote: SocketAddr) -> Option<Flow> {
        match transport {
            Transport::Udp => Some(self.flow_to(remote)),
            other => Some(Flow { transport: other, local: self.streams.local(other)?, remote }),
        }
    }
}
