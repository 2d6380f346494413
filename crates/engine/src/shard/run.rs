//! The thread of a shard: receive, hand in, drain, send, wait for the earlier of a datagram, the
//! endpoint's deadline, a command and a tick.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tandem_model::ports::{Directory, EdgeFacts, Located, Ports, RouteCredentials};
use tandem_model::{CallId, OrphanCall, clock, entropy};
use tandem_sip::{
    AddressGuard, Advertised, CourtesyGuard, Door, Endpoint, EndpointConfig, Timers, Transport,
};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::LocalSet;
use tokio::time::{Instant as TokioInstant, MissedTickBehavior};
use tokio_util::task::TaskTracker;

use super::facts::{bare_host, model_transport};
use super::gateways::Gateways;
use super::pulse::Pulse;
use super::socket::{MAX_DATAGRAM_BYTES, adopt, canonical};
use super::streams::{Streams, TlsPlace, accept};
use super::{Shard, digest, register};
use crate::config::{EngineConfig, host_text};
use crate::gate::{Bans, EdgeCounters, Gate};
use crate::gateway::{GatewayAccount, RegistrationBoard};
use crate::handle::{EngineError, Origination};
use crate::limiter::Limiter;
use crate::live::LiveCalls;
use crate::overload::Overload;
use crate::rtp::MediaPlane;
use crate::session::{Prompts, run_originated};
use crate::status::Reading;

/// Datagrams looked at before the sessions get their turn.
const RECEIVE_BATCH: usize = 64;
/// Datagrams taken from the socket for that: what the gate drops costs little and makes room in the socket's buffer.
const DRAIN_BATCH: usize = 512;
/// Between two looks at expiring registrations and keep-alives.
const TEND_INTERVAL: Duration = Duration::from_secs(1);
/// How long to sleep when the endpoint waits for nothing.
const IDLE: Duration = Duration::from_hours(1);

/// Port of SIP over TLS where nothing else says so (RFC 3261 §19.1.2).
const DEFAULT_TLS_PORT: u16 = 5061;

/// What a shard begins with.
pub(crate) struct Start {
    pub(crate) config: EngineConfig,
    pub(crate) ports: Ports,
    pub(crate) media: MediaPlane,
    pub(crate) live: Arc<LiveCalls>,
    pub(crate) socket: std::net::UdpSocket,
    pub(crate) local: SocketAddr,
    /// The listening sockets of connections; `None` where a transport is off.
    pub(crate) tcp: Option<std::net::TcpListener>,
    pub(crate) tls: Option<(std::net::TcpListener, TlsPlace)>,
    pub(crate) board: RegistrationBoard,
    pub(crate) bans: Arc<Bans>,
    pub(crate) counters: Arc<EdgeCounters>,
    pub(crate) commands: mpsc::Receiver<Command>,
    pub(crate) ready: oneshot::Sender<Result<(), EngineError>>,
}

/// What the handle asks of a shard.
pub(crate) enum Command {
    /// Dial an admitted API call; the session is counted in already.
    Originate(Box<Origination>),
    /// End the dialogs of a process that is gone.
    EndOrphans(Vec<OrphanCall>, HashMap<CallId, RouteCredentials>, oneshot::Sender<usize>),
    /// Keep exactly these accounts registered.
    Register(Vec<GatewayAccount>),
    /// Say how full everything is.
    Read(oneshot::Sender<Vec<Reading>>),
    /// Leave, whatever still lives.
    Stop,
}

/// Runs a shard until it is stopped.
pub(crate) fn run(start: Start) {
    // Everything the sessions told their media legs in one turn wakes each media worker once.
    let media = start.media.clone();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .on_thread_park(move || media.wake_workers())
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = start.ready.send(Err(EngineError::Thread(error)));
            return;
        }
    };
    let sessions = LocalSet::new();
    sessions.block_on(&runtime, serve(start));
    // Dropping the set drops what still lives, without a word to anybody.
    drop(sessions);
}

async fn serve(start: Start) {
    let Start {
        config,
        ports,
        media,
        live,
        socket,
        local,
        tcp,
        tls,
        board,
        bans,
        counters,
        mut commands,
        ready,
    } = start;
    let bound_tcp = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
    let streams = Streams::new(bound_tcp, tls.as_ref().map(|(_, place)| place.clone()));
    let shard =
        match build(config, ports, media, live, (socket, local), (streams, board), (bans, counters)).await {
            Ok(shard) => shard,
            Err(error) => {
                let _ = ready.send(Err(error));
                return;
            }
        };
    let listeners =
        [tcp.map(|tcp| (tcp, Transport::Tcp)), tls.map(|(listener, _)| (listener, Transport::Tls))];
    for (listener, transport) in listeners.into_iter().flatten() {
        if let Err(source) = listen(&shard, listener, transport) {
            let _ = ready.send(Err(EngineError::Bind { address: local, source }));
            return;
        }
    }
    if ready.send(Ok(())).is_err() {
        return;
    }
    tokio::task::spawn_local(Rc::clone(&shard).beat());
    let mut buffer = vec![0; MAX_DATAGRAM_BYTES];
    let mut tick = tokio::time::interval(shard.config.timing.tick);
    let mut tend = tokio::time::interval(TEND_INTERVAL);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    tend.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // A thread that has no rest never parks.
        shard.media.wake_workers();
        shard.weigh();
        let wake = shard
            .endpoint(Endpoint::deadline)
            .map_or_else(|| TokioInstant::now() + IDLE, TokioInstant::from_std);
        tokio::select! {
            readable = shard.socket.readable() => {
                if let Err(error) = readable {
                    tracing::error!(%error, "the SIP socket failed");
                    return;
                }
                shard.drain_socket(&mut buffer);
                // Sessions run between batches, or a flood would starve them.
                tokio::task::yield_now().await;
            }
            () = tokio::time::sleep_until(wake) => shard.on_deadline(),
            () = shard.rearm.notified() => {}
            _ = tick.tick() => shard.tick(),
            _ = tend.tick() => {
                shard.tend_phones();
                shard.tend_gateways();
            }
            command = commands.recv() => match command {
                Some(Command::Originate(origination)) => {
                    shard.tasks.spawn_local(Box::pin(run_originated(Rc::clone(&shard), *origination)));
                }
                Some(Command::EndOrphans(orphans, credentials, answer)) => {
                    let _ = answer.send(shard.end_orphans(&orphans, &credentials));
                }
                Some(Command::Register(accounts)) => shard.hold_registrations(accounts),
                Some(Command::Read(answer)) => {
                    // One who no longer waits needs no answer.
                    let _ = answer.send(shard.readings());
                }
                Some(Command::Stop) | None => return,
            },
        }
    }
}

async fn build(
    config: EngineConfig,
    ports: Ports,
    media: MediaPlane,
    live: Arc<LiveCalls>,
    (socket, local): (std::net::UdpSocket, SocketAddr),
    (streams, board): (Streams, RegistrationBoard),
    (bans, counters): (Arc<Bans>, Arc<EdgeCounters>),
) -> Result<Rc<Shard>, EngineError> {
    let failed = |source| EngineError::Bind { address: local, source };
    let socket = adopt(socket).map_err(failed)?;
    // Until the runtime has seen that it can be written to, `try_send_to` drops: the first goodbyes to orphans were lost.
    socket.writable().await.map_err(failed)?;
    let stored = ports.registrations.load().await.map_err(EngineError::Registrations)?;
    let mut gate = Gate::new(clock::monotonic(), config.edge, bans, Arc::clone(&counters));
    for (source, time) in register::registered_sources(&stored) {
        gate.registered(clock::monotonic(), source, time);
    }
    let (registrar, expired) = register::registrar_of(stored, local);
    if !expired.is_empty()
        && let Err(error) = ports.registrations.save(expired).await
    {
        tracing::warn!(%error, "expired registrations stay in the store until the next start");
    }
    let directory = Arc::clone(&ports.directory);
    let courtesy = courtesy(Arc::clone(&ports.directory), config.edge.answers_per_s);
    let door = door(Arc::clone(&ports.directory), config.hosts.clone());
    let base = EndpointConfig::new(host_text(config.advertised_ip), local.port());
    let advertised = Advertised {
        host_v6: config.advertised_v6.map(|ip| host_text(ip.into())),
        tcp_port: streams.tcp.map_or(local.port(), |tcp| tcp.port()),
        tls_port: streams.tls.as_ref().map_or(DEFAULT_TLS_PORT, |tls| tls.local.port()),
        ..base.advertised.clone()
    };
    let endpoint = EndpointConfig {
        advertised,
        generation: config.generation as u16,
        product: config.user_agent.clone(),
        tcp: streams.tcp,
        timers: Timers { t1: config.timing.t1, ..Timers::default() },
        min_session_expires: config.timing.min_session_expires,
        guard: AddressGuard::new(move |address| directory.may_send_to(address)),
        courtesy,
        door,
        ..base
    };
    Ok(Rc::new(Shard {
        guard: RefCell::new(digest::Guard::new(config.nonce_key)),
        pulse: Pulse::new(clock::monotonic()),
        overload: RefCell::new(Overload::new(config.limits.wait)),
        gate: RefCell::new(gate),
        counters,
        endpoint: RefCell::new(Endpoint::new(endpoint, entropy::bytes())),
        registrar: RefCell::new(registrar),
        config,
        ports,
        media,
        live,
        tasks: TaskTracker::new(),
        prompts: Prompts::default(),
        socket,
        streams,
        gateways: Gateways::new(board),
        local,
        owners: RefCell::new(HashMap::new()),
        talking: RefCell::new(HashMap::new()),
        traced: RefCell::new(HashMap::new()),
        rearm: Notify::new(),
        unsent: Cell::new(0),
    }))
}

/// Whom the endpoint's own refusals (400, 420, 481 and the like) are sent to: carriers and trunks by their
/// address always, others only for a host of ours and only so many a second. A stranger's flood of malformed
/// messages draws no byte.
fn courtesy(directory: Arc<dyn Directory>, answers_per_s: u32) -> CourtesyGuard {
    let limiter = Mutex::new(Limiter::new(clock::monotonic(), answers_per_s));
    CourtesyGuard::new(move |flow, host| {
        let host = bare_host(host);
        let facts = EdgeFacts {
            source: flow.remote,
            transport: model_transport(flow.transport),
            method: "",
            request_host: &host,
            request_user: "",
            from_host: "",
            from_user: "",
            to_host: "",
        };
        match directory.locate(&facts) {
            Located::Stranger => false,
            Located::Carrier(_) => true,
            Located::Trunk(access) if access.acl_match => true,
            _ => limiter.lock().unwrap_or_else(PoisonError::into_inner).allow(clock::monotonic()),
        }
    })
}

/// Which requests outside any dialog are looked at: those that name a host of ours, and what carriers send. OPTIONS asks
/// for a name of ours that is nobody's in particular.
fn door(directory: Arc<dyn Directory>, names: Vec<String>) -> Door {
    Door::new(move |knock| {
        let [request, from, to] = [knock.request_host, knock.from_host, knock.to_host].map(bare_host);
        let facts = EdgeFacts {
            source: knock.flow.remote,
            transport: model_transport(knock.flow.transport),
            method: knock.method,
            request_host: &request,
            request_user: knock.request_user,
            from_host: &from,
            from_user: knock.from_user,
            to_host: &to,
        };
        !matches!(directory.locate(&facts), Located::Stranger)
            || (knock.method == "OPTIONS" && names.contains(&request))
    })
}

fn listen(shard: &Rc<Shard>, listener: std::net::TcpListener, transport: Transport) -> io::Result<()> {
    let listener = TcpListener::from_std(listener)?;
    shard.tasks.spawn_local(accept(Rc::clone(shard), listener, transport));
    Ok(())
}

impl Shard {
    fn drain_socket(self: &Rc<Self>, buffer: &mut [u8]) {
        let mut looked_at = 0;
        for _ in 0..DRAIN_BATCH {
            match self.socket.try_recv_from(buffer) {
                Ok((length, source)) => {
                    let Some(datagram) = buffer.get(..length) else { return };
                    looked_at += usize::from(self.receive(canonical(source), datagram));
                    if looked_at == RECEIVE_BATCH {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return self.pulse.emptied(),
                // An ICMP error of an earlier datagram: nothing to read, nothing lost.
                Err(error) => tracing::debug!(%error, "the SIP socket reports an error"),
            }
        }
        self.pulse.left_some(clock::monotonic());
    }
}
