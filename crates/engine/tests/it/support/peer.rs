//! A SIP peer on a real socket: a customer's PBX, a carrier or a phone, built on our own SIP core
//! and steered by the test step by step.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tandem_model::{clock, entropy};
use tandem_sip::message::{Address, OwnedUri};
use tandem_sip::{
    Endpoint, EndpointConfig, Event, Flow, Input, LegId, OutgoingInvite, Output, RequestFacts, Transport,
};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::PATIENCE;

/// A peer.
pub(crate) struct Peer {
    shared: Arc<Shared>,
    /// Aborted with the peer.
    _task: JoinSet<()>,
}

struct Shared {
    socket: UdpSocket,
    local: SocketAddr,
    core: Mutex<Core>,
    changed: Notify,
    rearm: Notify,
}

struct Core {
    endpoint: Endpoint,
    events: VecDeque<Event>,
    /// Every message received, as text.
    received: Vec<String>,
}

impl Peer {
    /// A peer on a free port.
    pub(crate) async fn start() -> Self {
        Self::start_at(std::net::Ipv4Addr::LOCALHOST.into()).await
    }

    /// A peer on a free port of an address of this machine.
    pub(crate) async fn start_at(ip: std::net::IpAddr) -> Self {
        let socket = UdpSocket::bind((ip, 0)).await.unwrap();
        let local = socket.local_addr().unwrap();
        let host = if ip.is_ipv4() { ip.to_string() } else { format!("[{ip}]") };
        let config = EndpointConfig::new(host, local.port());
        let endpoint = Endpoint::new(config, entropy::bytes());
        let core = Mutex::new(Core { endpoint, events: VecDeque::new(), received: Vec::new() });
        let shared = Arc::new(Shared { socket, local, core, changed: Notify::new(), rearm: Notify::new() });
        let mut task = JoinSet::new();
        task.spawn(Arc::clone(&shared).run());
        Self { shared, _task: task }
    }

    /// Where it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.shared.local
    }

    /// Runs a command of the SIP core.
    pub(crate) fn command<T>(&self, command: impl FnOnce(&mut Endpoint, Instant) -> T) -> T {
        let outcome = command(&mut self.shared.core.lock().unwrap().endpoint, clock::monotonic());
        self.shared.flush();
        self.shared.rearm.notify_one();
        outcome
    }

    /// Calls `user` at `engine`, with an offer unless it is empty.
    pub(crate) fn invite(&self, engine: SocketAddr, user: &str, host: &str, offer: &str) -> LegId {
        let invite = self.new_invite(engine, user, host, offer);
        self.command(|endpoint, now| endpoint.invite(now, invite)).unwrap()
    }

    /// An INVITE to adjust before it is sent.
    pub(crate) fn new_invite(
        &self,
        engine: SocketAddr,
        user: &str,
        host: &str,
        offer: &str,
    ) -> OutgoingInvite {
        let uri = format!("sip:{user}@{host}");
        let flow = Flow { transport: Transport::Udp, local: self.addr(), remote: engine };
        let from = Address::parse(&format!("sip:+919876543210@{}", self.addr())).unwrap();
        let to = Address::parse(&uri).unwrap();
        let mut invite = OutgoingInvite::new(flow, OwnedUri::parse(&uri).unwrap(), from, to);
        invite.sdp = (!offer.is_empty()).then(|| offer.as_bytes().to_vec());
        invite
    }

    /// A flow to the engine.
    pub(crate) fn flow(&self, engine: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local: self.addr(), remote: engine }
    }

    /// Waits for an event; those before it are dropped.
    pub(crate) async fn expect<T>(&self, what: &str, find: impl Fn(&Event) -> Option<T>) -> T {
        let found = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                {
                    let mut core = self.shared.core.lock().unwrap();
                    while let Some(event) = core.events.pop_front() {
                        if let Some(found) = find(&event) {
                            return found;
                        }
                    }
                }
                changed.await;
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| {
            panic!("the peer never saw: {what}; it received\n{}", self.received().join("\n---\n"))
        })
    }

    /// The next INVITE.
    pub(crate) async fn invited(&self) -> (LegId, Box<RequestFacts>) {
        self.expect("an INVITE", |event| match event {
            Event::Invite { leg, facts } => Some((*leg, facts.clone())),
            _ => None,
        })
        .await
    }

    /// The answer to our INVITE: its SDP.
    pub(crate) async fn answered(&self) -> String {
        self.expect("a 200 to INVITE", |event| match event {
            Event::Answered { sdp, .. } => Some(String::from_utf8(sdp.clone().unwrap_or_default()).unwrap()),
            _ => None,
        })
        .await
    }

    /// The failure of our INVITE.
    pub(crate) async fn rejected(&self) -> u16 {
        self.expect("a failure response", |event| match event {
            Event::Rejected { status, .. } => Some(*status),
            _ => None,
        })
        .await
    }

    /// The other side hangs up.
    pub(crate) async fn bye(&self) {
        self.expect("a BYE", |event| matches!(event, Event::Bye { .. }).then_some(())).await;
    }

    /// The caller gives up.
    pub(crate) async fn cancelled(&self) {
        self.expect("a CANCEL", |event| matches!(event, Event::Cancelled { .. }).then_some(())).await;
    }

    /// Our 200 is acknowledged: the SDP in the ACK, if any.
    pub(crate) async fn acked(&self) -> Option<String> {
        self.expect("an ACK", |event| match event {
            Event::Acked { sdp, .. } => Some(sdp.clone().map(|sdp| String::from_utf8(sdp).unwrap())),
            _ => None,
        })
        .await
    }

    /// Every message received so far.
    pub(crate) fn received(&self) -> Vec<String> {
        self.shared.core.lock().unwrap().received.clone()
    }
}

impl Shared {
    async fn run(self: Arc<Self>) {
        let mut buffer = vec![0; 65_536];
        loop {
            let deadline = self.core.lock().unwrap().endpoint.deadline();
            let sleep = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                received = self.socket.recv_from(&mut buffer) => {
                    let Ok((length, source)) = received else { continue };
                    let bytes = &buffer[..length];
                    let flow = Flow { transport: Transport::Udp, local: self.local, remote: source };
                    let mut core = self.core.lock().unwrap();
                    core.received.push(String::from_utf8_lossy(bytes).into_owned());
                    core.endpoint.handle(clock::monotonic(), Input::Datagram { flow, bytes });
                }
                () = sleep => self.core.lock().unwrap().endpoint.handle(clock::monotonic(), Input::Timeout),
                () = self.rearm.notified() => {}
            }
            self.flush();
        }
    }

    fn flush(&self) {
        loop {
            let mut core = self.core.lock().unwrap();
            match core.endpoint.poll() {
                Some(Output::Transmit { flow, bytes }) => {
                    drop(core);
                    let _ = self.socket.try_send_to(&bytes, flow.remote);
                }
                Some(Output::Event(event)) => core.events.push_back(event),
                None => break,
            }
        }
        self.changed.notify_waiters();
    }
}
