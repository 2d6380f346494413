//! Starting, steering and stopping an engine: all that the service sees of it.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tandem_model::ports::{AdmittedLeg, Ports, RouteCredentials};
use tandem_model::{ApplicationPlan, CallId, CarrierId, HangupSource, OrphanCall, clock, entropy};
use thiserror::Error;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::config::EngineConfig;
use crate::gate::{Ban, Bans, EdgeCounters, EdgeCounts, Source};
use crate::gateway::{GatewayAccount, RegistrationBoard, RegistrationState};
use crate::live::LiveCalls;
use crate::rtp::{MediaPlane, MediaPlaneConfig, Wake};
use crate::shard::{Command, Sockets, Start, run};
use crate::status::Reading;
use crate::steer::{LiveCommand, LiveOrder, SteerError, Steered};

/// Originations and orphan lists that may wait for the shard; one more is `Overloaded`.
const COMMAND_CAPACITY: usize = 1_024;
/// How long a shutdown waits for ends to be stored.
const SETTLE_LIMIT: Duration = Duration::from_secs(5);

/// The engine: the only SIP and RTP sockets of a node.
pub struct Engine;

/// A running engine. Clones steer the same one.
#[derive(Clone)]
pub struct EngineHandle {
    inner: Arc<Inner>,
}

struct Inner {
    locals: Locals,
    board: RegistrationBoard,
    bans: Arc<Bans>,
    counters: Arc<EdgeCounters>,
    live: Arc<LiveCalls>,
    commands: mpsc::Sender<Command>,
    media: MediaPlane,
    limit: usize,
    thread: Mutex<Option<JoinHandle<()>>>,
}

/// Where SIP is served.
#[derive(Clone, Copy)]
struct Locals {
    udp: SocketAddr,
    tcp: Option<SocketAddr>,
    tls: Option<SocketAddr>,
}

/// An API call whose admission is done.
#[derive(Clone, Debug)]
pub struct Origination {
    /// Identity, routes, money, limits and recording of the call.
    pub leg: AdmittedLeg,
    /// What runs once it is answered.
    pub application: ApplicationPlan,
    /// Seconds of ringing before 6010; [`crate::Timing::ring_timeout`] when absent.
    pub ring_timeout_s: Option<u32>,
}

/// Why an engine did not start.
#[derive(Debug, Error)]
pub enum EngineError {
    /// A socket could not be had.
    #[error("cannot listen for SIP on {address}")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The media plane could not start.
    #[error("cannot start the media plane: {0}")]
    Media(String),
    /// The configuration cannot be.
    #[error("configuration: {0}")]
    Configuration(&'static str),
    /// Stored registrations could not be read.
    #[error("cannot load registrations")]
    Registrations(#[source] tandem_model::ports::StoreUnavailable),
    /// A thread could not be started, or ended at once.
    #[error("cannot run the signalling thread")]
    Thread(#[source] io::Error),
}

/// Why an API call was not taken. Nothing was recorded: the caller settles it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum OriginateError {
    /// As many sessions as the configuration allows, or a full command queue.
    #[error("the node has as many live calls as it may, or more work than it can do")]
    Overloaded,
    /// The engine drains or has stopped.
    #[error("the node is draining")]
    Draining,
}

impl Engine {
    /// Binds the sockets, loads the registrations and starts the threads. Returns once calls are
    /// served.
    pub async fn start(config: EngineConfig, ports: Ports) -> Result<EngineHandle, EngineError> {
        if config.shards != 1 {
            return Err(EngineError::Configuration("exactly one signalling shard is built"));
        }
        let Sockets { socket, local, tcp, tls } = Sockets::bind(&config)?;
        let tcp_local = tcp.as_ref().and_then(|listener| listener.local_addr().ok());
        let tls_local = tls.as_ref().map(|(_, place)| place.local);
        let media = MediaPlane::start(MediaPlaneConfig {
            bind_ip: config.sip_bind.ip(),
            advertised_ip: config.advertised_ip,
            advertised_v6: config.advertised_v6,
            ports: config.rtp_ports.clone(),
            quarantine: config.timing.port_quarantine,
            threads: config.rtp_threads,
            seed: entropy::number(),
            max_legs: config.limits.sessions.saturating_mul(1 + config.limits.forks),
            wake: Wake::WhenAsked,
        })
        .map_err(|error| EngineError::Media(error.to_string()))?;
        let live = Arc::new(LiveCalls::default());
        let board = RegistrationBoard::default();
        let bans = Arc::new(Bans::new(config.edge.bans()));
        let counters = Arc::new(EdgeCounters::default());
        let (commands, inbox) = mpsc::channel(COMMAND_CAPACITY);
        let (ready, started) = oneshot::channel();
        let limit = config.limits.sessions;
        let start = Start {
            config,
            ports,
            media: media.clone(),
            live: Arc::clone(&live),
            socket,
            local,
            tcp,
            tls,
            board: board.clone(),
            bans: Arc::clone(&bans),
            counters: Arc::clone(&counters),
            commands: inbox,
            ready,
        };
        let thread = thread::Builder::new()
            .name("sip-0".to_owned())
            .spawn(move || run(start))
            .map_err(EngineError::Thread)?;
        match started.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(error),
            Err(_) => return Err(EngineError::Thread(io::ErrorKind::UnexpectedEof.into())),
        }
        let locals = Locals { udp: local, tcp: tcp_local, tls: tls_local };
        let thread = Mutex::new(Some(thread));
        let inner = Inner { locals, board, bans, counters, live, commands, media, limit, thread };
        Ok(EngineHandle { inner: Arc::new(inner) })
    }
}

impl EngineHandle {
    /// The SIP address actually bound.
    pub fn sip_addr(&self) -> SocketAddr {
        self.inner.locals.udp
    }

    /// Where SIP over TCP is served, if it is.
    pub fn tcp_addr(&self) -> Option<SocketAddr> {
        self.inner.locals.tcp
    }

    /// Where SIP over TLS is served, if it is.
    pub fn tls_addr(&self) -> Option<SocketAddr> {
        self.inner.locals.tls
    }

    /// Dials an admitted API call; its end arrives through `Admission::ended`.
    pub fn originate(&self, origination: Origination) -> Result<(), OriginateError> {
        let inner = &self.inner;
        if inner.live.is_draining() {
            return Err(OriginateError::Draining);
        }
        if inner.live.is_overloaded() || !inner.live.enter(inner.limit) {
            return Err(OriginateError::Overloaded);
        }
        inner.commands.try_send(Command::Originate(Box::new(origination))).map_err(|error| {
            inner.live.leave();
            match error {
                TrySendError::Full(_) => OriginateError::Overloaded,
                TrySendError::Closed(_) => OriginateError::Draining,
            }
        })
    }

    /// Ends a live call, whichever leg it names; `false` when it is not live here. The request is
    /// latched: it cannot be lost to a full queue.
    pub fn hangup(&self, call: CallId, source: HangupSource) -> bool {
        self.inner.live.hang_up(call, source)
    }

    /// Carries out an order on a live call, whichever of its legs is named; returns once the session has taken it up.
    pub async fn steer(&self, call: CallId, command: LiveCommand) -> Result<Steered, SteerError> {
        let (answer, told) = oneshot::channel();
        self.inner.live.order(LiveOrder { call, command, answer })?;
        // A session that ends drops what it has not taken up.
        told.await.unwrap_or(Err(SteerError::NotInProgress))
    }

    /// Ends, at the peers, calls whose process is gone: BYE for answered ones; CANCEL towards B and
    /// 500 towards A for the others. A carrier's challenge is answered with the credentials of its call. Returns how many
    /// dialogs got a message.
    pub async fn end_orphans(
        &self,
        orphans: Vec<OrphanCall>,
        credentials: HashMap<CallId, RouteCredentials>,
    ) -> usize {
        let (answer, ended) = oneshot::channel();
        if self.inner.commands.send(Command::EndOrphans(orphans, credentials, answer)).await.is_err() {
            return 0;
        }
        ended.await.unwrap_or(0)
    }

    /// Keeps exactly these accounts registered at their gateways from now on.
    pub async fn hold_registrations(&self, accounts: Vec<GatewayAccount>) {
        // A closed channel means the engine has stopped: nothing is held any more.
        let _ = self.inner.commands.send(Command::Register(accounts)).await;
    }

    /// What the registrations at gateways have come to.
    pub fn registrations(&self) -> HashMap<CarrierId, RegistrationState> {
        self.inner.board.all()
    }

    /// How full every table and queue is; empty when the engine has stopped.
    pub async fn readings(&self) -> Vec<Reading> {
        let (answer, told) = oneshot::channel();
        let waiting = self.inner.commands.max_capacity() - self.inner.commands.capacity();
        if self.inner.commands.send(Command::Read(answer)).await.is_err() {
            return Vec::new();
        }
        let mut readings = told.await.unwrap_or_default();
        readings.push(Reading::drains(
            "engine_commands",
            "commands waiting for the signalling thread",
            waiting,
        ));
        readings
    }

    /// The sources that are not listened to, the latest banned first.
    pub fn bans(&self) -> Vec<Ban> {
        self.inner.bans.list(clock::wall().as_second().unsigned_abs())
    }

    /// Lifts the ban of a source, as it is listed or by any address of it; `None` if the text is no address, else whether
    /// there was a ban.
    pub fn lift_ban(&self, source: &str) -> Option<bool> {
        let source = source.parse::<Source>().ok()?;
        Some(self.inner.bans.lift(clock::wall().as_second().unsigned_abs(), source))
    }

    /// What the edge has dropped since the start.
    pub fn edge_counts(&self) -> EdgeCounts {
        self.inner.counters.read()
    }

    /// Sessions alive, those that only wait for their end to be stored included.
    pub fn live_count(&self) -> usize {
        self.inner.live.count()
    }

    /// Refuses new calls (503 with Retry-After) and waits until none is left or `limit` has
    /// passed; then ends the rest. Returns how many calls it had to end.
    pub async fn drain(&self, limit: Duration) -> usize {
        let live = &self.inner.live;
        live.start_draining();
        if tokio::time::timeout(limit, live.emptied()).await.is_ok() {
            return 0;
        }
        live.hang_up_all(HangupSource::Vobiz)
    }

    /// Ends every call, waits until the ends are stored (at most a few seconds) and stops the
    /// threads.
    pub async fn shutdown(&self) {
        self.drain(Duration::ZERO).await;
        if tokio::time::timeout(SETTLE_LIMIT, self.inner.live.emptied()).await.is_err() {
            tracing::warn!(
                live = self.live_count(),
                "calls are left behind at shutdown; the reaper settles them"
            );
        }
        // A closed channel means the thread has ended already.
        let _ = self.inner.commands.send(Command::Stop).await;
        self.join().await;
        let media = self.inner.media.clone();
        if tokio::task::spawn_blocking(move || media.shutdown()).await.is_err() {
            tracing::error!("the media plane did not stop cleanly");
        }
    }

    /// Stops at once, saying goodbye to nobody, as a crash would: for tests of what follows one.
    pub async fn abandon(&self) {
        self.inner.live.start_draining();
        let _ = self.inner.commands.send(Command::Stop).await;
        self.join().await;
    }

    async fn join(&self) {
        let thread = self.inner.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && !matches!(tokio::task::spawn_blocking(move || thread.join()).await, Ok(Ok(())))
        {
            tracing::error!("the signalling thread panicked");
        }
    }
}
