//! The one task that owns the SIP endpoint, its socket and every call's state.
//!
//! It receives, hands in, drains, sends and sleeps; what calls do is decided in `callee`, `caller`
//! and `phone`, which are parts of the same value.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket as StdUdpSocket};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use socket2::SockRef;
use tandem_media::PortAllocator;
use tandem_media::dtmf::info::{self, InfoKind};
use tandem_model::clock;
use tandem_sip::{
    Endpoint, EndpointConfig, Event, Flow, Input, LegId, Outcome, Output, RequestId, Transport,
};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};
use tokio::task::{self, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::address::address_towards;
use super::call::Call;
use super::call_log::{CallLog, CallTable, SimCall, SimEvent};
use super::call_spec::CallSpec;
use super::carrier::{CallHandle, CarrierError};
use super::config::CarrierConfig;
use super::ending::reason_text;
use super::gatekeeper::Gatekeeper;
use super::line::{LineCommand, LineEnd, LineReport};
use super::live::{LiveEvent, LiveOrder, LiveSender};
use super::media::melody;
use super::outcome::{EndedBy, FinalStatus};
use super::phone::{Phone, RegisterError, Registration};
use crate::config::host_text;

/// Names a call inside the driver; never used again.
pub(super) type CallKey = u64;

/// What lines have to say waits here; who says more waits.
const REPORT_QUEUE: usize = 1_024;
/// Datagrams taken in a row before anything else gets a turn.
const RECEIVE_BURST: usize = 64;
/// Largest datagram there is.
const MAX_DATAGRAM_BYTES: usize = 65_536;
/// Room for a burst of INVITEs while the driver is busy.
const SOCKET_BUFFER_BYTES: usize = 4 * 1024 * 1024;
/// Ports rest so long, so that late packets of one call do not reach the next.
const PORT_REST: Duration = Duration::from_secs(2);
/// How long the platform has to acknowledge our last BYEs at shutdown.
const FAREWELL: Duration = Duration::from_millis(200);
/// Digits by INFO remembered of one call.
const MAX_INFO_DIGITS: usize = 256;
/// Nothing to wait for.
const IDLE: Duration = Duration::from_mins(1);

/// What the handle asks for.
pub(super) enum Command {
    Place {
        spec: Box<CallSpec>,
        live: Option<LiveSender>,
        reply: oneshot::Sender<Result<(CallHandle, SimCall), CarrierError>>,
    },
    Register {
        registration: Box<Registration>,
        reply: oneshot::Sender<Result<(), RegisterError>>,
    },
    HangUp {
        key: CallKey,
    },
    Live {
        key: CallKey,
        order: LiveOrder,
    },
}

/// Something that is due.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Alarm {
    /// A called number's opening is over.
    OpeningOver(CallKey),
    /// A called number dials.
    Dial(CallKey),
    /// A called number hangs up.
    HangUp(CallKey),
    /// A called number holds its caller.
    Hold(CallKey),
    /// It ends the hold.
    Resume(CallKey),
    /// A placed call has rung long enough.
    RingLimit(CallKey),
    /// The time of a script's step is over.
    Step(CallKey, usize),
    /// A registration wants to be refreshed.
    Refresh(String),
}

pub(super) struct Driver {
    pub(super) config: CarrierConfig,
    pub(super) endpoint: Endpoint,
    pub(super) random: StdRng,
    pub(super) gatekeeper: Gatekeeper,
    pub(super) calls: HashMap<CallKey, Call>,
    pub(super) legs: HashMap<LegId, CallKey>,
    pub(super) phones: HashMap<String, Phone>,
    pub(super) requests: HashMap<RequestId, String>,
    pub(super) clip: Arc<[i16]>,
    pub(super) local: SocketAddr,
    pub(super) advertised: IpAddr,
    socket: UdpSocket,
    /// Where calls without media receive: open, never read.
    pub(super) sink: StdUdpSocket,
    pub(super) ports: PortAllocator,
    pub(super) lines: JoinSet<LineEnd>,
    pub(super) line_keys: HashMap<task::Id, CallKey>,
    reports: mpsc::Receiver<LineReport>,
    pub(super) report_sender: mpsc::Sender<LineReport>,
    alarms: BinaryHeap<Reverse<(Instant, u64, Alarm)>>,
    next_serial: u64,
    pub(super) log: CallLog,
    inbox: mpsc::Receiver<Command>,
    /// For the handles of calls.
    pub(super) commands: mpsc::Sender<Command>,
    stop: CancellationToken,
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Place { .. } => "Place",
            Self::Register { .. } => "Register",
            Self::HangUp { .. } => "HangUp",
            Self::Live { .. } => "Live",
        })
    }
}

impl Driver {
    /// Binds the sockets. Returns the SIP address, too.
    pub(super) async fn bind(
        config: CarrierConfig,
        table: CallTable,
        (commands, inbox): (mpsc::Sender<Command>, mpsc::Receiver<Command>),
        stop: CancellationToken,
    ) -> io::Result<(Self, SocketAddr)> {
        let socket = UdpSocket::bind(config.listen).await?;
        SockRef::from(&socket).set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
        let local = socket.local_addr()?;
        let advertised = match config.advertise {
            Some(address) => address,
            None => address_towards(local, config.platform)?,
        };
        let mut random = StdRng::seed_from_u64(config.seed);
        let ports = PortAllocator::new(config.rtp_ports.clone(), PORT_REST, random.next_u64())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let log = CallLog::open(table, config.log_path.as_deref(), config.observer.clone())?;
        let mut endpoint = EndpointConfig::new(host_text(advertised), local.port());
        config.user_agent.clone_into(&mut endpoint.product);
        let (report_sender, reports) = mpsc::channel(REPORT_QUEUE);
        let driver = Self {
            endpoint: Endpoint::new(endpoint, random.random()),
            gatekeeper: Gatekeeper::new(random.random(), random.next_u64()),
            calls: HashMap::new(),
            legs: HashMap::new(),
            phones: HashMap::new(),
            requests: HashMap::new(),
            clip: config.clip.clone().unwrap_or_else(melody).into(),
            sink: StdUdpSocket::bind(SocketAddr::new(config.listen.ip(), 0))?,
            local,
            advertised,
            socket,
            ports,
            lines: JoinSet::new(),
            line_keys: HashMap::new(),
            reports,
            report_sender,
            alarms: BinaryHeap::new(),
            next_serial: 0,
            log,
            inbox,
            commands,
            stop,
            random,
            config,
        };
        Ok((driver, local))
    }

    /// Runs until told to stop, then hangs up what is left.
    pub(super) async fn run(mut self) {
        let mut buffer = vec![0_u8; MAX_DATAGRAM_BYTES];
        let stop = self.stop.clone();
        while !stop.is_cancelled() {
            self.turn(&mut buffer).await;
        }
        self.close(&mut buffer).await;
    }

    /// One round: send what is due, then wait for one thing to happen.
    async fn turn(&mut self, buffer: &mut [u8]) {
        self.on_time(clock::monotonic());
        self.drain().await;
        let wake = tokio::time::Instant::from_std(self.wake());
        tokio::select! {
            biased;
            () = self.stop.cancelled() => {}
            Some(ended) = self.lines.join_next_with_id(), if !self.lines.is_empty() => {
                self.on_line_end(ended);
            }
            Some(report) = self.reports.recv() => self.on_report(clock::monotonic(), &report),
            received = self.socket.recv_from(buffer) => self.on_received(received, buffer),
            Some(command) = self.inbox.recv() => self.on_command(clock::monotonic(), command),
            () = tokio::time::sleep_until(wake) => {}
        }
    }

    fn on_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Place { spec, live, reply } => {
                let placed = self.place(now, *spec, live);
                // Whoever gave up waiting for the handle has no use for it.
                let _ = reply.send(placed);
            }
            Command::Register { registration, reply } => self.register(now, *registration, reply),
            Command::HangUp { key } => self.hang_up(now, key),
            Command::Live { key, order } => self.on_order(now, key, order),
        }
    }

    fn on_received(&mut self, received: io::Result<(usize, SocketAddr)>, buffer: &mut [u8]) {
        let mut received = received;
        for _ in 0..RECEIVE_BURST {
            match received {
                Ok((len, remote)) => {
                    let flow = self.flow(remote);
                    let bytes = buffer.get(..len).unwrap_or_default();
                    self.endpoint.handle(clock::monotonic(), Input::Datagram { flow, bytes });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // An ICMP refusal of something sent before; timers deal with it.
                    tracing::debug!(%error, "simulator SIP socket reported an error");
                    return;
                }
            }
            received = self.socket.try_recv_from(buffer);
        }
    }

    fn on_time(&mut self, now: Instant) {
        if self.endpoint.deadline().is_some_and(|at| at <= now) {
            self.endpoint.handle(now, Input::Timeout);
        }
        while self.alarms.peek().is_some_and(|Reverse((at, ..))| *at <= now) {
            let Some(Reverse((_, _, alarm))) = self.alarms.pop() else { return };
            self.on_alarm(now, alarm);
        }
    }

    fn on_alarm(&mut self, now: Instant, alarm: Alarm) {
        match alarm {
            Alarm::OpeningOver(key) => self.decide(now, key),
            Alarm::Dial(key) => self.callee_dials(now, key),
            Alarm::HangUp(key) => self.hang_up(now, key),
            Alarm::Hold(key) => self.callee_holds(now, key),
            Alarm::Resume(key) => self.callee_resumes(now, key),
            Alarm::RingLimit(key) => self.ring_limit_reached(now, key),
            Alarm::Step(key, step) => self.step_time_is_over(now, key, step),
            Alarm::Refresh(username) => self.refresh(now, &username),
        }
    }

    /// Performs what the endpoint wants done; what that leads to, too.
    async fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll() {
            match output {
                Output::Transmit { flow, bytes } => {
                    if let Err(error) = self.socket.send_to(&bytes, flow.remote).await {
                        tracing::debug!(%error, "simulator could not send a SIP message");
                    }
                }
                Output::Event(event) => self.on_event(clock::monotonic(), event),
            }
        }
    }

    fn on_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Invite { leg, facts } => self.on_invite(now, leg, *facts),
            Event::Request { transaction, facts } => self.on_request(now, transaction, &facts),
            Event::Response { request, facts } => self.on_response(now, request, &facts),
            Event::RequestFailed { request, .. } => self.on_no_response(now, request),
            Event::Ringing { leg, status, .. } => self.on_ringing(now, leg, status),
            Event::Progress { leg, status, sdp, .. } => self.on_progress(now, leg, status, &sdp),
            Event::Answered { leg, sdp, .. } => self.on_answered(now, leg, sdp.as_deref()),
            Event::Challenged { leg, status, challenges } => {
                self.on_challenged(now, leg, status, &challenges)
            }
            Event::Rejected { leg, status, phrase, reason, .. } => {
                let reason = reason.as_ref().map(reason_text);
                self.on_refused(now, leg, FinalStatus { code: status, phrase, reason });
            }
            Event::Redirected { leg, status, contacts } => {
                let reason = contacts.first().map(ToString::to_string);
                self.on_refused(
                    now,
                    leg,
                    FinalStatus { code: status, phrase: "Redirected".to_owned(), reason },
                );
            }
            Event::Cancelled { leg, reason } => {
                let phrase = "Request Terminated".to_owned();
                let reason = reason.as_ref().map(reason_text);
                self.end_leg(now, leg, EndedBy::Peer, FinalStatus { code: 487, phrase, reason });
            }
            Event::Bye { leg, reason } => {
                let reason = reason.as_ref().map(reason_text);
                self.end_leg(now, leg, EndedBy::Peer, FinalStatus { reason, ..FinalStatus::default() });
            }
            Event::AckTimeout { leg } => self.fail_leg(now, leg, "no ACK came to our 200"),
            Event::Terminated { leg, why } => self.fail_leg(now, leg, &format!("{why:?}")),
            Event::LateAnswerAfterCancel { leg } => {
                let phrase = "Answered after CANCEL".to_owned();
                self.end_leg(now, leg, EndedBy::Us, FinalStatus { code: 487, phrase, reason: None });
            }
            Event::Acked { leg, sdp } => self.on_acked(now, leg, sdp.as_deref()),
            Event::Reinvited { leg, sdp } => self.on_reinvited(now, leg, sdp.as_deref()),
            Event::ReinviteAnswered { leg, sdp } => self.on_reinvite_answered(now, leg, sdp.as_deref()),
            Event::ReinviteFailed { leg, status } => self.on_reinvite_failed(now, leg, status),
            Event::Info { leg, content_type, body } => self.on_info(now, leg, &content_type, &body),
            Event::InfoAnswered { leg, status } => self.on_info_answered(now, leg, status),
        }
    }

    fn on_info(&mut self, now: Instant, leg: LegId, content_type: &str, body: &[u8]) {
        let Some((_, call)) = self.call_of(leg) else { return };
        call.note(now, format!("INFO {content_type}"));
        let digit = InfoKind::from_content_type(content_type).and_then(|_| info::parse(body));
        if let Some(heard) = digit.filter(|_| call.sim.info_digits.len() < MAX_INFO_DIGITS) {
            call.sim.info_digits.push(heard.digit.as_char());
            call.tell(now, LiveEvent::Key(heard.digit.as_char()));
        }
    }

    fn on_line_end(&mut self, ended: Result<(task::Id, LineEnd), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let call = self.line_keys.remove(&id).and_then(|key| self.calls.remove(&key));
        if let Some(call) = call {
            self.close_call(call, ended.ok().map(|(_, ended)| ended));
        }
    }

    async fn close(mut self, buffer: &mut [u8]) {
        let now = clock::monotonic();
        let keys: Vec<CallKey> = self.calls.keys().copied().collect();
        for key in &keys {
            self.hang_up(now, *key);
        }
        self.unregister_all(now);
        let has_peers = !keys.is_empty() || !self.phones.is_empty();
        self.drain().await;
        if has_peers {
            let farewell = async {
                loop {
                    self.on_time(clock::monotonic());
                    self.drain().await;
                    let received = self.socket.recv_from(buffer).await;
                    self.on_received(received, buffer);
                }
            };
            // Until the time is over: whether the last answer has come cannot be known.
            let _: Result<(), _> = tokio::time::timeout(FAREWELL, farewell).await;
        }
        let left: Vec<CallKey> = self.calls.keys().copied().collect();
        for key in left {
            self.end(clock::monotonic(), key, EndedBy::Us, None);
        }
        self.reports.close();
        while let Some(ended) = self.lines.join_next_with_id().await {
            self.on_line_end(ended);
        }
    }

    fn wake(&self) -> Instant {
        let alarm = self.alarms.peek().map(|Reverse((at, ..))| *at);
        let endpoint = self.endpoint.deadline();
        alarm.into_iter().chain(endpoint).min().unwrap_or_else(|| clock::monotonic() + IDLE)
    }
}

/// What the parts share.
impl Driver {
    pub(super) fn flow(&self, remote: SocketAddr) -> Flow {
        Flow { transport: Transport::Udp, local: self.local, remote }
    }

    pub(super) fn serial(&mut self) -> u64 {
        self.next_serial += 1;
        self.next_serial
    }

    pub(super) fn set_alarm(&mut self, at: Instant, alarm: Alarm) {
        let serial = self.serial();
        self.alarms.push(Reverse((at, serial, alarm)));
    }

    /// Forgets alarms that are no longer wanted.
    pub(super) fn drop_alarms(&mut self, unwanted: impl Fn(&Alarm) -> bool) {
        self.alarms.retain(|Reverse((_, _, alarm))| !unwanted(alarm));
    }

    pub(super) fn call_of(&mut self, leg: LegId) -> Option<(CallKey, &mut Call)> {
        let key = *self.legs.get(&leg)?;
        Some((key, self.calls.get_mut(&key)?))
    }

    pub(super) fn note_leg(&mut self, now: Instant, leg: LegId, line: impl Into<String>) {
        if let Some((_, call)) = self.call_of(leg) {
            call.note(now, line);
        }
    }

    /// Writes down a command that came too late.
    pub(super) fn check(&mut self, now: Instant, key: CallKey, what: &str, outcome: Outcome) {
        if outcome != Outcome::Sent
            && let Some(call) = self.calls.get_mut(&key)
        {
            call.note(now, format!("{what}: {outcome:?}"));
        }
    }

    pub(super) fn log_invite(&mut self, key: CallKey) {
        if let Some(call) = self.calls.get(&key) {
            self.log.note(call.sim.invited_at_ms, SimEvent::Invited(call.sim.clone()));
        }
    }

    /// The 200 went or came.
    pub(super) fn note_answer(&mut self, now: Instant, key: CallKey) {
        let Some(call) = self.calls.get_mut(&key) else { return };
        let at_ms = wall_ms();
        call.answered_at = Some(now);
        call.sim.answered_at_ms = Some(at_ms);
        call.sim.status = FinalStatus { code: 200, phrase: "OK".to_owned(), reason: None };
        call.note(now, "answered");
        call.tell(now, LiveEvent::Answered);
        call.tell_line(now, LineCommand::Answered);
        self.log.note(at_ms, SimEvent::Answered(call.sim.clone()));
    }
}

/// Milliseconds since the Unix epoch.
pub(super) fn wall_ms() -> i64 {
    clock::wall().as_millisecond()
}
