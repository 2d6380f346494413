//! A media worker: one thread, its sockets, its legs.
//!
//! The loop: wait for a datagram, a command or the nearest deadline; read the clock once; hand
//! everything in; send what comes out. It decides nothing that `tandem_media` could decide, and
//! it never waits for anything but its poll: files belong to the recorder thread, sessions are
//! told through bounded channels.

mod commands;
mod datagrams;
mod guard;
mod leg;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use slab::Slab;
use tandem_model::clock;
use tandem_model::rhythm::{Rhythm, Tempo};

use self::leg::Leg;
use super::command::{CommandReceiver, CommandSender, Wake, command_queue};
use super::event::Outbox;
use super::plane::MediaKey;
use super::poller::{Poller, Ready, Token, WAKE};
use super::ports::PortPool;
use super::recorder::RecorderQueue;
use super::timers::{Due, Timers};

/// Room for the largest datagram we accept and for what repacketising makes of it.
const BUFFER_LEN: usize = 2_048;
/// Sockets served per look at the clock: a batch takes about two milliseconds.
const EVENTS_PER_ROUND: usize = 256;
/// Datagrams taken from one socket in a round, so that a flooded port does not starve the others.
const BURST: usize = 16;
/// A socket read so recently is read until it is empty: packets came in a bunch. Others give one packet and spare the
/// read that would find nothing; the shortest packet time is 10 ms.
const BUNCHED: Duration = Duration::from_millis(5);
/// Retry interval of events that found their session's channel full.
const RETRY_EVERY: Duration = Duration::from_millis(20);
/// A leg that is due again at once waits this long, so that no leg can hold the loop.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);
/// Wanted scheduling priority ("nice"); refused to ordinary users, who do without.
const PRIORITY: i32 = -11;
/// Looking at the sockets once a millisecond instead of at each datagram halves the cost of a packet and
/// adds half a millisecond of delay. Commands and playout wait as long at most.
const TEMPO: Tempo = Tempo {
    gather: Duration::from_millis(1),
    window: Duration::from_millis(10),
    // Four per pause: 80 talking legs.
    dense: 40,
    crowded: None,
    worthwhile: 2,
};

/// What a worker is born with.
#[derive(Debug)]
pub(super) struct WorkerConfig {
    pub(super) index: usize,
    pub(super) seed: u64,
    pub(super) ports: Arc<PortPool>,
    pub(super) live: Arc<AtomicUsize>,
    pub(super) recorder: RecorderQueue,
    pub(super) wake: Wake,
}

/// Starts a worker thread.
pub(super) fn start(config: WorkerConfig) -> io::Result<(CommandSender, JoinHandle<()>)> {
    let (poller, waker) = Poller::new()?;
    let (sender, commands) = command_queue(waker, config.wake);
    let name = format!("tandem-rtp-{}", config.index);
    let worker = Worker {
        poller,
        commands,
        ports: config.ports,
        live: config.live,
        recorder: config.recorder,
        random: StdRng::seed_from_u64(config.seed),
        legs: Slab::new(),
        slots: HashMap::new(),
        timers: Timers::default(),
        outbox: Outbox::default(),
        buffer: Box::new([0; BUFFER_LEN]),
    };
    let thread = std::thread::Builder::new().name(name).spawn(move || worker.run())?;
    Ok((sender, thread))
}

struct Worker {
    poller: Poller,
    commands: CommandReceiver,
    ports: Arc<PortPool>,
    live: Arc<AtomicUsize>,
    recorder: RecorderQueue,
    random: StdRng,
    legs: Slab<Box<Leg>>,
    slots: HashMap<MediaKey, usize>,
    timers: Timers,
    outbox: Outbox,
    /// One receive buffer for all legs.
    buffer: Box<[u8; BUFFER_LEN]>,
}

/// Which of a leg's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Socket {
    Rtp,
    Rtcp,
}

fn token(slot: usize, socket: Socket) -> Token {
    slot as Token * 2 + Token::from(socket == Socket::Rtcp)
}

fn socket_of(token: Token) -> (usize, Socket) {
    ((token / 2) as usize, if token.is_multiple_of(2) { Socket::Rtp } else { Socket::Rtcp })
}

impl Worker {
    fn run(mut self) {
        // Without the privilege the worker runs like any other thread.
        let _ = rustix::process::setpriority_process(None, PRIORITY);
        let mut ready = Ready::new(EVENTS_PER_ROUND);
        let mut now = clock::monotonic();
        let mut rhythm = Rhythm::new(TEMPO, now);
        loop {
            if let Some(pause) = rhythm.pause(now, clock::monotonic()) {
                std::thread::park_timeout(pause);
            }
            match self.poller.wait(&mut ready, self.patience(clock::monotonic())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    tracing::error!(%error, "a media worker cannot poll and ends");
                    break;
                }
            }
            now = clock::monotonic();
            let mut served = 0;
            for token in ready.tokens().filter(|token| *token != WAKE) {
                let (slot, socket) = socket_of(token);
                self.receive(now, slot, socket);
                served += 1;
            }
            rhythm.note(now, served);
            self.take_commands(now);
            self.serve_due(now);
            if !self.outbox.is_empty() {
                self.outbox.retry();
            }
            if self.commands.is_stopping() {
                break;
            }
        }
        self.close_all(clock::monotonic());
    }

    /// How long the poll may wait.
    fn patience(&self, now: Instant) -> Option<Duration> {
        let deadline = self.timers.next().map(|at| at.saturating_duration_since(now));
        let retry = (!self.outbox.is_empty()).then_some(RETRY_EVERY);
        deadline.into_iter().chain(retry).min()
    }

    fn serve_due(&mut self, now: Instant) {
        while let Some(due) = self.timers.pop(now) {
            let Some(leg) = self.legs.get_mut(due.slot) else { continue };
            if leg.key == due.key && leg.armed == Some(due.at) {
                leg.armed = None;
                leg.serve(now, &mut *self.buffer, &mut self.outbox, &self.recorder);
                self.arm(due.slot, now + SHORTEST_WAIT);
            }
        }
    }

    /// Arms the leg's next deadline, not before `earliest`.
    fn arm(&mut self, slot: usize, earliest: Instant) {
        let Some(leg) = self.legs.get_mut(slot) else { return };
        if let Some(deadline) = leg.deadline() {
            let due = Due { at: deadline.max(earliest), slot, key: leg.key };
            leg.armed = self.timers.arm(leg.armed, due);
        }
    }
}
