//! Starting the media plane and opening legs on it.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tandem_media::PortError;
use thiserror::Error;
use tokio::sync::mpsc;

use super::command::{Closing, Command, CommandSender, Opening, Wake};
use super::event::MediaEvent;
use super::leg::{CommandError, RtpLeg};
use super::ports::PortPool;
use super::recorder::RecorderThread;
use super::worker::{self, WorkerConfig};

/// More workers than this no machine of ours feeds, and a key could not name them.
pub const MAX_THREADS: usize = 64;

/// Names a leg; unique for the life of the process. Knows which worker the leg lives on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MediaKey(u64);

/// Bits of a key below the worker's number.
const SERIAL_BITS: u32 = 56;

impl MediaKey {
    pub(super) fn new(worker: usize, serial: u64) -> Self {
        Self(((worker as u64) << SERIAL_BITS) | (serial & ((1 << SERIAL_BITS) - 1)))
    }

    pub(super) fn worker(self) -> usize {
        (self.0 >> SERIAL_BITS) as usize
    }
}

/// Where and how the media plane runs.
#[derive(Clone, Debug)]
pub struct MediaPlaneConfig {
    /// The address sockets are bound to; `[::]` serves both address families.
    pub bind_ip: IpAddr,
    /// The address written into SDP.
    pub advertised_ip: IpAddr,
    /// The same towards peers on IPv6, when [`Self::advertised_ip`] is an IPv4 address.
    pub advertised_v6: Option<Ipv6Addr>,
    /// Ports legs are opened on: RTP on even ones, RTCP on the odd one above.
    pub ports: RangeInclusive<u16>,
    /// How long a port rests after its leg.
    pub quarantine: Duration,
    /// Worker threads, 1 to [`MAX_THREADS`]; anything else is taken as the nearer bound.
    pub threads: usize,
    /// Seed of port order, SSRCs, sequence numbers and timestamps: from the operating system.
    pub seed: u64,
    /// Legs open at once; one more is refused before any port or descriptor is taken.
    pub max_legs: usize,
    /// When workers hear of what their legs are told.
    pub wake: Wake,
}

/// The media plane of a node. Clones name the same one; it stops when the last clone and the last
/// leg are gone, or at [`MediaPlane::shutdown`].
#[derive(Clone, Debug)]
pub struct MediaPlane {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    advertised_ip: IpAddr,
    advertised_v6: Option<Ipv6Addr>,
    max_legs: usize,
    ports: Arc<PortPool>,
    live: Arc<AtomicUsize>,
    next_serial: AtomicU64,
    workers: Vec<CommandSender>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    recorder: RecorderThread,
}

/// A leg to open.
#[derive(Debug)]
pub struct OpenLeg {
    /// Place it on the worker of this leg, so that the two can be bridged. Without one, workers
    /// take turns.
    pub beside: Option<MediaKey>,
    /// Somebody of the address family that its packets will have: the peer, as far as it is known.
    pub toward: IpAddr,
    /// Where its events go.
    pub events: mpsc::Sender<MediaEvent>,
}

/// Why the media plane did not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// The port range holds no pair.
    #[error("cannot use the RTP port range")]
    Ports(#[source] PortError),
    /// A thread or its poll could not be had.
    #[error("cannot start a media worker")]
    Thread(#[source] std::io::Error),
}

/// Why a leg was not opened: answer 503.
#[derive(Debug, Error)]
pub enum OpenError {
    /// Every port is in use or resting.
    #[error(transparent)]
    Ports(#[from] PortError),
    /// As many legs as [`MediaPlaneConfig::max_legs`].
    #[error("{0} media legs are open, as many as may be")]
    TooManyLegs(usize),
    /// The operating system refused socket after socket (descriptors exhausted, range taken).
    #[error("cannot bind an RTP port")]
    Bind(#[source] std::io::Error),
    /// The worker's command queue is full, or the plane has stopped.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl MediaPlane {
    /// Starts the worker threads.
    pub fn start(config: MediaPlaneConfig) -> Result<Self, StartError> {
        let ports = PortPool::new(config.bind_ip, config.ports, config.quarantine, config.seed)
            .map_err(StartError::Ports)?;
        let mut inner = Inner {
            advertised_ip: config.advertised_ip,
            advertised_v6: config.advertised_v6,
            max_legs: config.max_legs,
            ports: Arc::new(ports),
            live: Arc::new(AtomicUsize::new(0)),
            next_serial: AtomicU64::new(0),
            workers: Vec::new(),
            threads: Mutex::new(Vec::new()),
            recorder: RecorderThread::start().map_err(StartError::Thread)?,
        };
        for index in 0..config.threads.clamp(1, MAX_THREADS) {
            let worker = WorkerConfig {
                index,
                seed: config.seed.wrapping_add(1 + index as u64),
                ports: Arc::clone(&inner.ports),
                live: Arc::clone(&inner.live),
                recorder: inner.recorder.queue(),
                wake: config.wake,
            };
            // An early return drops `inner`, which stops the workers already running.
            let (sender, thread) = worker::start(worker).map_err(StartError::Thread)?;
            inner.workers.push(sender);
            inner.threads.get_mut().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Binds a port pair and hands it to a worker. Synchronous and cheap (two sockets, no wait).
    pub fn open(&self, open: OpenLeg) -> Result<RtpLeg, OpenError> {
        let inner = &*self.inner;
        let place = Place::take(inner)?;
        let pair = inner.ports.bind(open.toward)?;
        let serial = inner.next_serial.fetch_add(1, Ordering::Relaxed);
        let worker = match open.beside {
            Some(beside) => beside.worker(),
            None => serial as usize % inner.workers.len(),
        };
        let key = MediaKey::new(worker, serial);
        let advertised = match inner.advertised_v6 {
            Some(ip) if open.toward.to_canonical().is_ipv6() => ip.into(),
            _ => inner.advertised_ip,
        };
        let local = SocketAddr::new(advertised, pair.port);
        let port = pair.port;
        let opening = Opening { key, port, rtp: pair.rtp, rtcp: pair.rtcp, events: open.events };
        if let Err(error) = self.command(key, Command::Open(Box::new(opening))) {
            inner.ports.release(port);
            return Err(error.into());
        }
        place.keep();
        Ok(RtpLeg::new(self.clone(), key, local))
    }

    /// Wakes the workers that have something to do and do not know yet ([`Wake::WhenAsked`]).
    pub fn wake_workers(&self) {
        for worker in &self.inner.workers {
            worker.wake();
        }
    }

    /// Legs open now.
    pub fn live_legs(&self) -> usize {
        self.inner.live.load(Ordering::Relaxed)
    }

    /// Closes every leg, completes recordings and joins the threads. Blocks until the files are
    /// written; call it from a blocking context.
    pub fn shutdown(&self) {
        self.inner.stop();
    }

    pub(super) fn command(&self, key: MediaKey, command: Command) -> Result<(), CommandError> {
        self.inner.workers.get(key.worker()).ok_or(CommandError::Gone)?.send(command)
    }

    pub(super) fn close(&self, closing: Closing) {
        if let Some(worker) = self.inner.workers.get(closing.key.worker()) {
            worker.close(closing);
        }
    }
}

impl Inner {
    fn stop(&self) {
        for worker in &self.workers {
            worker.stop();
        }
        let threads = std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            // A worker that panicked has said so already.
            let _ = thread.join();
        }
        self.recorder.stop();
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.stop();
    }
}

/// One of the legs that may be open, given back unless kept.
struct Place<'a> {
    live: &'a AtomicUsize,
}

impl<'a> Place<'a> {
    fn take(inner: &'a Inner) -> Result<Self, OpenError> {
        let place = Self { live: &inner.live };
        if inner.live.fetch_add(1, Ordering::Relaxed) >= inner.max_legs {
            return Err(OpenError::TooManyLegs(inner.max_legs));
        }
        Ok(place)
    }

    /// The worker gives it back when it closes the leg.
    fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.live.fetch_sub(1, Ordering::Relaxed);
    }
}
