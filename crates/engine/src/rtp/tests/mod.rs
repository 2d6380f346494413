//! The media plane over real sockets on loopback. Every wait has a deadline; none is a guess.

mod playout;
mod ports;
mod recording;
mod relay;
mod safety;

use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use tandem_media::rtp::{Header, MAX_DATAGRAM, Packet, is_rtcp};
use tandem_media::{Direction, LatchPolicy, Negotiated, PayloadMap, Start};
use tandem_model::clock;
use tokio::sync::mpsc;

use super::*;

/// What must happen, happens within this.
const PATIENCE: Duration = Duration::from_secs(5);
/// What must not happen is watched for this long.
const WATCH: Duration = Duration::from_millis(200);

/// A range of our own per test, below the ephemeral ports.
fn port_range(pairs: u16) -> RangeInclusive<u16> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let offset = NEXT.fetch_add(pairs * 2, Ordering::Relaxed);
    // Two test processes at once rarely meet, and binding passes over taken ports.
    let base = 20_000 + (std::process::id() % 8) as u16 * 1_400 + offset;
    base..=base + pairs * 2 - 1
}

fn config(pairs: u16) -> MediaPlaneConfig {
    MediaPlaneConfig {
        bind_ip: Ipv4Addr::LOCALHOST.into(),
        advertised_ip: Ipv4Addr::LOCALHOST.into(),
        advertised_v6: None,
        ports: port_range(pairs),
        quarantine: Duration::from_secs(30),
        threads: 1,
        seed: 7,
        max_legs: 1_000,
        wake: Wake::AtOnce,
    }
}

fn plane() -> MediaPlane {
    MediaPlane::start(config(16)).unwrap()
}

fn media(remote: SocketAddr, map: PayloadMap) -> LegMedia {
    LegMedia {
        negotiated: Negotiated {
            receive: map,
            send: map,
            ptime_ms: 20,
            remote: Some(remote),
            remote_rtcp: None,
            direction: Direction::SendRecv,
        },
        latch: LatchPolicy::Strict,
        signalling_ip: Some(remote.ip()),
        guard: ReflectionGuard::Prove,
        media_timeout: None,
        start: Start::AtOnce,
    }
}

/// A session with one leg and the telephone at its far end.
struct Line {
    leg: RtpLeg,
    events: mpsc::Receiver<MediaEvent>,
    phone: Phone,
}

impl Line {
    fn open(plane: &MediaPlane, beside: Option<&Line>) -> Self {
        let (sender, events) = event_channel();
        let leg = plane
            .open(OpenLeg {
                beside: beside.map(|line| line.leg.key()),
                toward: Ipv4Addr::LOCALHOST.into(),
                events: sender,
            })
            .unwrap();
        let phone = Phone::new(leg.local_rtp());
        Self { leg, events, phone }
    }

    fn with(plane: &MediaPlane, beside: Option<&Line>, map: PayloadMap) -> Self {
        let line = Self::open(plane, beside);
        line.leg.configure(media(line.phone.address(), map)).unwrap();
        line
    }

    /// Waits for the first event that `wanted` accepts; others are passed over.
    fn expect(&mut self, wanted: impl Fn(&MediaEvent) -> bool) -> MediaEvent {
        let deadline = clock::monotonic() + PATIENCE;
        let mut passed = Vec::new();
        while clock::monotonic() < deadline {
            match self.events.try_recv() {
                Ok(event) if wanted(&event) => return event,
                Ok(event) => passed.push(event),
                Err(_) => std::thread::park_timeout(Duration::from_millis(1)),
            }
        }
        panic!("the event never came; instead: {passed:?}");
    }

    /// The plane has carried out every command given so far.
    fn settle(&self) -> LegReport {
        block_on(self.leg.report()).unwrap()
    }
}

/// A telephone: one RTP socket, one stream.
struct Phone {
    socket: UdpSocket,
    to: SocketAddr,
    next: Header,
}

impl Phone {
    fn new(to: SocketAddr) -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let next = Header { marker: false, payload_type: 0, sequence: 100, timestamp: 8_000, ssrc: 0xbeef };
        Self { socket, to, next }
    }

    fn address(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn say(&mut self, payload_type: u8, payload: &[u8]) {
        self.send(Header { payload_type, ..self.next }, payload);
        self.next.timestamp = self.next.timestamp.wrapping_add(payload.len() as u32);
    }

    fn send(&mut self, header: Header, payload: &[u8]) {
        let mut datagram = header.to_bytes().to_vec();
        datagram.extend(payload);
        self.socket.send_to(&datagram, self.to).unwrap();
        self.next.sequence = self.next.sequence.wrapping_add(1);
    }

    /// The next RTP packet.
    fn hear(&self) -> Heard {
        self.hear_within(PATIENCE).expect("no RTP came")
    }

    fn hear_within(&self, patience: Duration) -> Option<Heard> {
        let deadline = clock::monotonic() + patience;
        loop {
            let left = deadline.saturating_duration_since(clock::monotonic());
            if left.is_zero() {
                return None;
            }
            self.socket.set_read_timeout(Some(left)).unwrap();
            let mut buffer = [0; MAX_DATAGRAM];
            let Ok((len, source)) = self.socket.recv_from(&mut buffer) else { continue };
            let datagram = &buffer[..len];
            if is_rtcp(datagram) {
                continue;
            }
            let packet = Packet::parse(datagram).unwrap();
            return Some(Heard {
                header: packet.header,
                payload: packet.payload(datagram).to_vec(),
                source,
                at: clock::monotonic(),
            });
        }
    }
}

struct Heard {
    header: Header,
    payload: Vec<u8>,
    source: SocketAddr,
    at: Instant,
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, future).await }).expect("no answer in time")
}

/// Blocks until `at`.
fn wait_until(at: Instant) {
    while let Some(left) = at.checked_duration_since(clock::monotonic()).filter(|left| !left.is_zero()) {
        std::thread::park_timeout(left);
    }
}
