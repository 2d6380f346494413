//! Strangers by the thousand: SIP from many addresses of the loopback network at a steady rate, and a count of what
//! comes back to each of them.
//!
//! Half of the sources ask for hosts that are not the platform's and should hear nothing; the others ask for hosts that
//! are, and should never hear more bytes than they sent. Nobody answers a challenge.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_model::{clock, entropy};

/// Between two bursts: a thousand a second, each of a thousandth of the rate.
const TICK: Duration = Duration::from_millis(1);
/// How long answers are waited for at the end.
const ECHO: Duration = Duration::from_secs(2);
/// Sources in one block of addresses.
const BLOCK: u32 = 250;

/// A flood to come.
#[derive(Clone, Debug)]
pub struct Flood {
    /// Where SIP is served.
    pub target: SocketAddr,
    /// Messages a second, all sources together.
    pub rate: u32,
    /// For how long.
    pub time: Duration,
    /// Source addresses, from 127.77.0.1 on; at most 64,000.
    pub sources: u32,
    /// Hosts of the platform: a trunk's domain, the registrar, its address.
    pub hosts: Vec<String>,
}

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct FloodReport {
    /// Messages that left.
    pub sent: u64,
    /// Their bytes.
    pub sent_bytes: u64,
    /// Messages that did not leave, because the kernel did not take them.
    pub unsent: u64,
    /// Messages that came back.
    pub answers: u64,
    /// Their bytes.
    pub answer_bytes: u64,
    /// Bytes that came back to sources that asked for hosts that are not the platform's.
    pub foreign_bytes: u64,
    /// Sources that got more bytes than they had sent.
    pub amplified: u64,
    /// How long the sending took.
    pub took: Duration,
}

impl FloodReport {
    /// As the tools print it.
    pub fn json(&self) -> Value {
        let seconds = self.took.as_secs_f64();
        json!({"sent": self.sent, "sent_bytes": self.sent_bytes, "unsent": self.unsent, "answers": self.answers,
            "answer_bytes": self.answer_bytes, "foreign_bytes": self.foreign_bytes, "amplified_sources": self.amplified,
            "seconds": seconds, "rate": (self.sent as f64 / seconds).round()})
    }
}

struct Source {
    socket: UdpSocket,
    address: SocketAddr,
    foreign: bool,
    sent: u64,
    heard: u64,
}

impl Flood {
    /// Floods, and listens for echoes.
    ///
    /// # Errors
    /// When the sockets cannot be had.
    pub async fn run(&self) -> io::Result<FloodReport> {
        let mut sources = (0..self.sources).map(open).collect::<io::Result<Vec<_>>>()?;
        let mut report = FloodReport::default();
        let mut buffer = vec![0; 65_536];
        let mut writer = Writer { random: entropy::number() | 1, number: 0, hosts: self.hosts.clone() };
        let began = clock::monotonic();
        let mut tick = tokio::time::interval(TICK);
        let mut at = 0;
        loop {
            tick.tick().await;
            let passed = clock::monotonic().saturating_duration_since(began).min(self.time);
            let due = (passed.as_secs_f64() * f64::from(self.rate)) as u64;
            while report.sent + report.unsent < due {
                at = (at + 1) % sources.len();
                let source = &mut sources[at];
                let message = writer.message(source.address, source.foreign);
                match source.socket.send_to(&message, self.target) {
                    Ok(bytes) => {
                        report.sent += 1;
                        source.sent += bytes as u64;
                    }
                    Err(_) => report.unsent += 1,
                }
                report.answers += source.listen(&mut buffer);
            }
            if passed >= self.time {
                break;
            }
        }
        report.took = clock::monotonic().saturating_duration_since(began);
        tokio::time::sleep(ECHO).await;
        for source in &mut sources {
            report.answers += source.listen(&mut buffer);
            report.sent_bytes += source.sent;
            report.answer_bytes += source.heard;
            report.foreign_bytes += if source.foreign { source.heard } else { 0 };
            report.amplified += u64::from(source.heard > source.sent);
        }
        Ok(report)
    }
}

fn open(number: u32) -> io::Result<Source> {
    let ip = IpAddr::from([127, 77, (number / BLOCK) as u8, (number % BLOCK) as u8 + 1]);
    let socket = UdpSocket::bind((ip, 0))?;
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    Ok(Source { socket, address, foreign: number % 2 == 1, sent: 0, heard: 0 })
}

impl Source {
    fn listen(&mut self, buffer: &mut [u8]) -> u64 {
        let mut answers = 0;
        while let Ok((bytes, _)) = self.socket.recv_from(buffer) {
            self.heard += bytes as u64;
            answers += 1;
        }
        answers
    }
}

/// Writes messages, no two alike.
struct Writer {
    random: u64,
    number: u64,
    hosts: Vec<String>,
}

impl Writer {
    fn message(&mut self, own: SocketAddr, foreign: bool) -> Vec<u8> {
        let dice = self.draw();
        let host = if foreign {
            ["sip.elsewhere.example", "203.0.113.77", "gateway.invalid"][(dice >> 8) as usize % 3].to_owned()
        } else {
            self.hosts[(dice >> 8) as usize % self.hosts.len()].clone()
        };
        match dice % 16 {
            0..=4 => self.request("REGISTER", &host, own, foreign, "Expires: 3600\r\n"),
            5..=8 => self.request("INVITE", &host, own, foreign, "Content-Type: application/sdp\r\n"),
            9..=11 => self.request("OPTIONS", &host, own, foreign, "Accept: application/sdp\r\n"),
            // A dialog that never was; a header that cannot be; a request that stops in the middle; noise.
            12 => self.request("BYE", &host, own, foreign, "Route: <sip:127.0.0.1;lr>\r\n"),
            13 => self.request("INVITE", &host, own, foreign, "CSeq: 2 INVITE\r\nContent-Length: -1\r\n"),
            14 => {
                let mut whole = self.request("INVITE", &host, own, foreign, "");
                whole.truncate(whole.len() / 2);
                whole
            }
            _ => (0..=dice as usize % 600).map(|_| self.draw() as u8).collect(),
        }
    }

    fn request(&mut self, method: &str, host: &str, own: SocketAddr, foreign: bool, lines: &str) -> Vec<u8> {
        self.number += 1;
        let (number, user) = (self.number, self.draw() % 10_000);
        let from = if foreign { own.ip().to_string() } else { host.to_owned() };
        format!(
            "{method} sip:{user}@{host} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{number:x};rport\r\n\
             From: <sip:{user}@{from}>;tag={number:x}\r\nTo: <sip:{user}@{host}>\r\nCall-ID: {number:x}@{ip}\r\n\
             CSeq: 1 {method}\r\nContact: <sip:{user}@{own}>\r\nMax-Forwards: 70\r\nUser-Agent: friendly-scanner\r\n{lines}\r\n",
            ip = own.ip()
        )
        .into_bytes()
    }

    /// xorshift64.
    fn draw(&mut self) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        self.random
    }
}
