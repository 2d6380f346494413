//! The sockets, what they send and what they hear.
//!
//! Each side's calls share a few sockets, read in turn: sockets of their own would have to be waited for together, and the
//! wake-ups of that wait are paid by whoever sends to them, which is the program that is measured.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use rustix::net::sockopt::set_socket_recv_buffer_size;

use crate::tally::Tally;

const PACKET: Duration = Duration::from_millis(20);
const HEADER: usize = 12;
const SAMPLES: usize = 160;
/// Packets sent before listening again, and packets read from one socket: neither is late for long.
const AT_ONCE: usize = 8;
/// Longer than any packet of ours.
const LONGEST: usize = 256;
/// Sockets of each side, and what each may hold.
const SHARED: usize = 16;
const BUFFER_BYTES: usize = 4 << 20;

/// What a packet says of itself, behind the RTP header.
#[derive(Clone, Copy)]
pub(crate) struct Stamp {
    pub(crate) sent: Duration,
    pub(crate) leg: u32,
    pub(crate) number: u32,
}

pub(crate) struct Calls {
    /// A B A B …
    sockets: Vec<UdpSocket>,
    /// Where the legs A0 B0 A1 B1 … send, and so where they hear from.
    to: Vec<SocketAddr>,
    legs: usize,
    origin: Instant,
    talking: usize,
    /// The next to speak, and the round it is in: the number of its packet.
    next: usize,
    round: u32,
    due: Instant,
    step: Duration,
}

impl Calls {
    pub(crate) fn bind(calls: usize, hosts: [IpAddr; 2]) -> io::Result<Self> {
        let bind = |index: usize| {
            let socket = UdpSocket::bind((hosts[index % 2], 0))?;
            socket.set_nonblocking(true)?;
            set_socket_recv_buffer_size(&socket, BUFFER_BYTES)?;
            Ok(socket)
        };
        let sockets = (0..SHARED * 2).map(bind).collect::<io::Result<Vec<_>>>()?;
        let now = Instant::now();
        let legs = calls * 2;
        Ok(Self {
            sockets,
            to: Vec::new(),
            legs,
            origin: now,
            talking: 0,
            next: 0,
            round: 0,
            due: now,
            step: PACKET,
        })
    }

    /// The port of each leg.
    pub(crate) fn ports(&self) -> io::Result<Vec<u16>> {
        let ports = self
            .sockets
            .iter()
            .map(|socket| Ok(socket.local_addr()?.port()))
            .collect::<io::Result<Vec<_>>>()?;
        Ok((0..self.legs).map(|leg| ports[leg % ports.len()]).collect())
    }

    pub(crate) fn aim(&mut self, to: Vec<SocketAddr>) -> io::Result<()> {
        if to.len() != self.legs {
            return Err(io::Error::other(format!("{} addresses for {} legs", to.len(), self.legs)));
        }
        self.to = to;
        Ok(())
    }

    /// The first `talking` calls talk from now on.
    pub(crate) fn begin(&mut self, talking: usize) {
        self.talking = (talking * 2).min(self.to.len());
        self.step = PACKET / self.talking.max(1) as u32;
        self.next = 0;
        self.round += 1;
        self.due = Instant::now();
    }

    /// The number packets have from now on; talking ends with a whole round.
    pub(crate) fn next_round(&self) -> u32 {
        self.round
    }

    pub(crate) fn talk(&mut self, length: Duration, tally: &mut Tally) {
        let end = Instant::now() + length;
        // Whole rounds: every socket sends as many packets.
        while Instant::now() < end || self.next != 0 {
            self.speak(tally);
            self.listen(tally);
        }
    }

    pub(crate) fn listen_on(&mut self, length: Duration, tally: &mut Tally) {
        let end = Instant::now() + length;
        while Instant::now() < end {
            self.listen(tally);
        }
    }

    fn speak(&mut self, tally: &mut Tally) {
        for _ in 0..AT_ONCE {
            let now = Instant::now();
            let Some(late) = now.checked_duration_since(self.due) else { return };
            tally.late(late);
            let mut packet = [0x55; HEADER + SAMPLES];
            packet[..HEADER].copy_from_slice(&header(self.next as u32, self.round));
            packet[HEADER..HEADER + 8].copy_from_slice(&nanos(now - self.origin).to_be_bytes());
            packet[HEADER + 8..HEADER + 12].copy_from_slice(&(self.next as u32).to_be_bytes());
            packet[HEADER + 12..HEADER + 16].copy_from_slice(&self.round.to_be_bytes());
            let (Some(to), Some(socket)) =
                (self.to.get(self.next), self.sockets.get(self.next % self.sockets.len()))
            else {
                return;
            };
            // An error is an ICMP message of an earlier packet, and the packet is then not sent.
            let sent = socket.send_to(&packet, to).or_else(|_| socket.send_to(&packet, to)).is_ok();
            tally.sent(sent);
            self.due += self.step;
            self.next += 1;
            if self.next >= self.talking {
                self.next = 0;
                self.round = self.round.wrapping_add(1);
            }
        }
    }

    fn listen(&self, tally: &mut Tally) {
        let mut buffer = [0; LONGEST];
        for socket in &self.sockets {
            for _ in 0..AT_ONCE {
                let Ok((len, source)) = socket.recv_from(&mut buffer) else { break };
                let Some(stamp) = buffer.get(..len).and_then(read_stamp) else {
                    tally.strange();
                    continue;
                };
                // What a leg says comes to the other leg of its call, from where that one sends.
                let expected = self.to.get(stamp.leg as usize ^ 1) == Some(&source);
                tally.heard(expected, stamp, (Instant::now() - self.origin).saturating_sub(stamp.sent));
            }
        }
    }
}

fn nanos(time: Duration) -> u64 {
    time.as_nanos() as u64
}

/// RTP version 2, PCMU (RFC 3550 §5.1).
fn header(leg: u32, round: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    header[0] = 0x80;
    header[2..4].copy_from_slice(&(round as u16).to_be_bytes());
    header[4..8].copy_from_slice(&round.wrapping_mul(SAMPLES as u32).to_be_bytes());
    header[8..12].copy_from_slice(&(0x5000_0000 | leg).to_be_bytes());
    header
}

fn read_stamp(packet: &[u8]) -> Option<Stamp> {
    let payload = packet.get(HEADER..HEADER + SAMPLES)?;
    let sent = Duration::from_nanos(u64::from_be_bytes(*payload.first_chunk()?));
    let leg = u32::from_be_bytes(*payload.get(8..)?.first_chunk()?);
    let number = u32::from_be_bytes(*payload.get(12..)?.first_chunk()?);
    Some(Stamp { sent, leg, number })
}
