//! How many calls one media worker carries: CPU per call, loss, delay, memory.
//!
//! `relay_load [relay|play] [calls] [seconds]`: opens the calls on one worker pinned to the first
//! core; a generator on the second core speaks 20 ms G.711 packets on every leg, evenly spread,
//! and hears what comes back. Each payload carries the time it was sent, so the delay is that of
//! the whole way, generator to generator. In `play` the worker speaks and the generator counts.
#![expect(clippy::print_stdout, reason = "a measurement prints its figures")]

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, Pid, sched_setaffinity};
use tandem_engine::rtp::{
    Flow, LegMedia, MediaPlane, MediaPlaneConfig, OpenLeg, ReflectionGuard, RtpLeg, Wake, event_channel,
};
use tandem_media::rtp::{HEADER_LEN, Header, is_rtcp};
use tandem_media::{Direction, LatchPolicy, Negotiated, PayloadMap, PlayId, PlayItem};
use tandem_media::{Material, Repeat, Start};
use tandem_model::clock;

const PACKET: Duration = Duration::from_millis(20);
const SAMPLES: usize = 160;
/// Sockets the far ends share; more than one so that no receive buffer is the limit.
const SOCKETS: usize = 16;
/// Before measuring: every leg has sent and been heard.
const WARM_UP: Duration = Duration::from_secs(1);
const WORKER_CORE: usize = 0;
const GENERATOR_CORE: usize = 1;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Relay,
    Play,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mode = match arguments.next().as_deref() {
        None | Some("relay") => Mode::Relay,
        Some("play") => Mode::Play,
        Some(other) => return Err(format!("unknown mode {other}: relay or play").into()),
    };
    let calls: usize = arguments.next().map_or(Ok(500), |text| text.parse())?;
    let seconds: u64 = arguments.next().map_or(Ok(10), |text| text.parse())?;

    raise_descriptor_limit()?;
    let sockets = (0..SOCKETS).map(|_| far_end()).collect::<std::io::Result<Vec<_>>>()?;
    let plane = MediaPlane::start(MediaPlaneConfig {
        bind_ip: Ipv4Addr::LOCALHOST.into(),
        advertised_ip: Ipv4Addr::LOCALHOST.into(),
        advertised_v6: None,
        ports: 10_000..=31_999,
        quarantine: Duration::from_secs(30),
        threads: 1,
        seed: 1,
        max_legs: 20_000,
        wake: Wake::AtOnce,
    })?;
    // A thread takes its name once it runs.
    let worker = loop {
        match thread_id("tandem-rtp-0") {
            Ok(worker) => break worker,
            Err(_) => std::thread::park_timeout(Duration::from_millis(1)),
        }
    };
    pin(Some(worker), WORKER_CORE)?;
    pin(None, GENERATOR_CORE)?;
    // As urgent as the worker, and both before other programs on the machine (whose sessions the
    // kernel weighs as groups): what is measured is the worker. Refused to ordinary users.
    let _ = rustix::process::setpriority_process(None, -11);
    let _ = std::fs::write("/proc/self/autogroup", "-20");

    let before_kib = resident_kib()?;
    let own = rustix::thread::gettid();
    let opening = cpu_time(own)?;
    let legs = open(&plane, mode, calls, &sockets)?;
    let opened = cpu_time(own)?.saturating_sub(opening);

    let mut generator = Generator::new(mode, &legs, sockets);
    generator.run(WARM_UP);
    generator.forget();
    let (cpu_before, start) = (cpu_time(worker)?, clock::monotonic());
    generator.run(Duration::from_secs(seconds));
    let wall = clock::monotonic().saturating_duration_since(start);
    let cpu = cpu_time(worker)?.saturating_sub(cpu_before);
    let (after_kib, heard) = (resident_kib()?, generator.heard);
    generator.drain(Duration::from_millis(500));

    let percent = cpu.as_secs_f64() * 100.0 / wall.as_secs_f64();
    let per_leg = opened / legs.len() as u32;
    println!("calls {calls}  legs {}  opened at {per_leg:?} of the caller's CPU per leg", legs.len());
    match mode {
        Mode::Relay => println!(
            "packets heard {}  lost {}",
            generator.heard,
            generator.sent.saturating_sub(generator.heard)
        ),
        Mode::Play => println!("packets heard {heard} of {}", calls as u64 * seconds * 50),
    }
    println!("worker CPU {percent:.1} % of a core  {:.4} % per call", percent / calls as f64);
    println!("           {:.2} µs per packet", cpu.as_secs_f64() * 1e6 / heard.max(1) as f64);
    if mode == Mode::Relay {
        let [p50, p99, p999, max] = generator.delays();
        println!("delay p50 {p50:?}  p99 {p99:?}  p99.9 {p999:?}  max {max:?}");
        println!("generator late by at most {:?}", generator.lag_max);
    }
    println!("memory {:.1} KiB per call", after_kib.saturating_sub(before_kib) as f64 / calls as f64);
    Ok(())
}

fn open(
    plane: &MediaPlane,
    mode: Mode,
    calls: usize,
    sockets: &[UdpSocket],
) -> Result<Vec<RtpLeg>, Box<dyn std::error::Error>> {
    let prompt: std::sync::Arc<[u8]> = vec![0x55; SAMPLES * 500].into();
    let mut legs: Vec<RtpLeg> = Vec::new();
    let each = if mode == Mode::Relay { 2 } else { 1 };
    for index in 0..calls * each {
        let (events, _) = event_channel();
        let leg = plane.open(OpenLeg { beside: None, toward: Ipv4Addr::LOCALHOST.into(), events })?;
        let far_end = sockets.get(index % SOCKETS).ok_or("no far end")?.local_addr()?;
        leg.configure(media(far_end))?;
        if mode == Mode::Play {
            let material = Material::Ulaw(std::sync::Arc::clone(&prompt));
            leg.play(PlayItem { id: PlayId(0), material, repeat: Repeat::Forever })?;
        } else if index % 2 == 1
            && let Some(first) = legs.last()
        {
            first.bridge(leg.key(), Flow::Both)?;
        }
        legs.push(leg);
    }
    Ok(legs)
}

fn media(far_end: SocketAddr) -> LegMedia {
    LegMedia {
        negotiated: Negotiated {
            receive: PayloadMap::PCMU_101,
            send: PayloadMap::PCMU_101,
            ptime_ms: 20,
            remote: Some(far_end),
            remote_rtcp: Some(far_end),
            direction: Direction::SendRecv,
        },
        latch: LatchPolicy::Strict,
        signalling_ip: None,
        guard: ReflectionGuard::Trusted,
        media_timeout: Some(Duration::from_mins(1)),
        start: Start::AtOnce,
    }
}

/// One leg's far end as the generator sees it.
struct Speaker {
    socket: usize,
    to: SocketAddr,
    header: Header,
}

struct Generator {
    speakers: Vec<Speaker>,
    sockets: Vec<UdpSocket>,
    origin: Instant,
    next: usize,
    due: Instant,
    /// Between the packets of two legs.
    step: Duration,
    sent: u64,
    heard: u64,
    delays_us: Vec<u32>,
    lag_max: Duration,
}

impl Generator {
    fn new(mode: Mode, legs: &[RtpLeg], sockets: Vec<UdpSocket>) -> Self {
        let speakers: Vec<Speaker> = legs
            .iter()
            .enumerate()
            .filter(|_| mode == Mode::Relay)
            .map(|(index, leg)| Speaker {
                socket: index % SOCKETS,
                to: leg.local_rtp(),
                header: Header {
                    marker: false,
                    payload_type: 0,
                    sequence: 0,
                    timestamp: 0,
                    ssrc: index as u32,
                },
            })
            .collect();
        let origin = clock::monotonic();
        let step = PACKET / speakers.len().max(1) as u32;
        Self {
            speakers,
            sockets,
            origin,
            next: 0,
            due: origin,
            step,
            sent: 0,
            heard: 0,
            delays_us: Vec::new(),
            lag_max: Duration::ZERO,
        }
    }

    /// Speaks and listens for `length`, without ever sleeping: the core is its own.
    fn run(&mut self, length: Duration) {
        let end = clock::monotonic() + length;
        loop {
            let now = clock::monotonic();
            if now >= end {
                return;
            }
            self.speak(now);
            self.listen();
        }
    }

    fn drain(&mut self, length: Duration) {
        let end = clock::monotonic() + length;
        while clock::monotonic() < end {
            self.listen();
        }
    }

    fn forget(&mut self) {
        (self.sent, self.heard) = (0, 0);
        self.delays_us.clear();
        self.lag_max = Duration::ZERO;
    }

    fn speak(&mut self, now: Instant) {
        // A few at a time, so that listening is never late.
        for _ in 0..4 {
            if self.due > now {
                return;
            }
            self.lag_max = self.lag_max.max(now - self.due);
            let Some(speaker) = self.speakers.get_mut(self.next) else { return };
            let mut datagram = [0x55; HEADER_LEN + SAMPLES];
            datagram[..HEADER_LEN].copy_from_slice(&speaker.header.to_bytes());
            let stamp = clock::monotonic().saturating_duration_since(self.origin).as_nanos() as u64;
            datagram[HEADER_LEN..HEADER_LEN + 8].copy_from_slice(&stamp.to_be_bytes());
            if self.sockets[speaker.socket].send_to(&datagram, speaker.to).is_ok() {
                self.sent += 1;
            }
            speaker.header.sequence = speaker.header.sequence.wrapping_add(1);
            speaker.header.timestamp = speaker.header.timestamp.wrapping_add(SAMPLES as u32);
            self.next = (self.next + 1) % self.speakers.len();
            self.due += self.step;
        }
    }

    fn listen(&mut self) {
        let mut buffer = [0; 256];
        for socket in &self.sockets {
            while let Ok(len) = socket.recv(&mut buffer) {
                if is_rtcp(&buffer[..len]) {
                    continue;
                }
                self.heard += 1;
                if let Some(stamp) = buffer.get(HEADER_LEN..).and_then(|payload| payload.first_chunk::<8>()) {
                    let now = clock::monotonic().saturating_duration_since(self.origin).as_nanos() as u64;
                    let delay_us = now.saturating_sub(u64::from_be_bytes(*stamp)) / 1_000;
                    self.delays_us.push(delay_us as u32);
                }
            }
        }
    }

    fn delays(&mut self) -> [Duration; 4] {
        self.delays_us.sort_unstable();
        let last = self.delays_us.len().saturating_sub(1);
        [0.5, 0.99, 0.999, 1.0].map(|share| {
            let delay = self.delays_us.get((last as f64 * share) as usize).copied().unwrap_or_default();
            Duration::from_micros(delay.into())
        })
    }
}

fn far_end() -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    socket.set_nonblocking(true)?;
    // The kernel grants what it may; the losses printed tell whether that was enough.
    socket2::SockRef::from(&socket).set_recv_buffer_size(8 << 20)?;
    Ok(socket)
}

fn raise_descriptor_limit() -> std::io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    Ok(setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })?)
}

fn pin(thread: Option<Pid>, core: usize) -> std::io::Result<()> {
    let mut cores = CpuSet::new();
    cores.set(core);
    Ok(sched_setaffinity(thread, &cores)?)
}

fn thread_id(name: &str) -> Result<Pid, Box<dyn std::error::Error>> {
    for entry in std::fs::read_dir("/proc/self/task")? {
        let path = entry?.path();
        if std::fs::read_to_string(path.join("comm"))?.trim() == name {
            let id = path.file_name().and_then(|name| name.to_str()).ok_or("no thread id")?.parse()?;
            return Pid::from_raw(id).ok_or_else(|| "no thread id".into());
        }
    }
    Err(format!("no thread {name}").into())
}

/// Time on a core, kernel included.
fn cpu_time(thread: Pid) -> Result<Duration, Box<dyn std::error::Error>> {
    let path = format!("/proc/self/task/{}/schedstat", thread.as_raw_nonzero());
    let text = std::fs::read_to_string(path)?;
    let nanos = text.split(' ').next().ok_or("empty schedstat")?.parse()?;
    Ok(Duration::from_nanos(nanos))
}

fn resident_kib() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse()?)
}
