//! RTP from somebody who is in no call, to every port of a range, with a payload that is known again wherever it turns up.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::time::Duration;

use tandem_model::{clock, entropy};

/// Between two bursts.
const TICK: Duration = Duration::from_millis(1);
/// What a sprayed payload begins with.
pub(crate) const MARK: &[u8] = b"sprayed by nobody";
/// Bytes of 20 ms of G.711.
const FRAME: usize = 160;

/// A spray to come.
#[derive(Clone, Debug)]
pub struct Spray {
    /// Where it comes from.
    pub from: IpAddr,
    /// Whose ports.
    pub target: IpAddr,
    /// Which ports, in turn.
    pub ports: RangeInclusive<u16>,
    /// Packets a second.
    pub rate: u32,
    /// For how long.
    pub time: Duration,
}

/// What came of it.
#[derive(Clone, Copy, Debug, Default)]
pub struct SprayReport {
    /// Packets that left.
    pub sent: u64,
    /// Packets that came back to the sprayer.
    pub answers: u64,
    /// How long it took.
    pub took: Duration,
}

impl Spray {
    /// Sprays.
    ///
    /// # Errors
    /// When the socket cannot be had.
    pub async fn run(&self) -> io::Result<SprayReport> {
        let socket = UdpSocket::bind((self.from, 0))?;
        socket.set_nonblocking(true)?;
        let ssrc = entropy::number() as u32;
        let mut report = SprayReport::default();
        let mut port = *self.ports.start();
        let mut buffer = [0; 2_048];
        let began = clock::monotonic();
        let mut tick = tokio::time::interval(TICK);
        loop {
            tick.tick().await;
            let passed = clock::monotonic().saturating_duration_since(began).min(self.time);
            let due = (passed.as_secs_f64() * f64::from(self.rate)) as u64;
            while report.sent < due {
                let round = report.sent / self.ports.len() as u64;
                let packet = packet(ssrc, round as u16, round as u32 * FRAME as u32, MARK);
                // A port nobody listens on answers by ICMP, which makes a later call fail once.
                let _ = socket.send_to(&packet, SocketAddr::new(self.target, port));
                report.sent += 1;
                port = if port == *self.ports.end() { *self.ports.start() } else { port + 1 };
            }
            loop {
                match socket.recv_from(&mut buffer) {
                    Ok(_) => report.answers += 1,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                    Err(_) => {}
                }
            }
            if passed >= self.time {
                report.took = clock::monotonic().saturating_duration_since(began);
                return Ok(report);
            }
        }
    }
}

/// A packet of µ-law whose payload begins with `mark`.
pub(crate) fn packet(ssrc: u32, sequence: u16, timestamp: u32, mark: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x80, 0];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(ssrc.to_be_bytes());
    packet.extend(mark);
    packet.resize(12 + FRAME, 0xff);
    packet
}
