//! A peer's voice: an RTP socket that speaks a steady tone every 20 ms, hears, and presses keys.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tandem_media::g711::Law;
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::PATIENCE;

/// Bytes of RTP header.
const HEADER: usize = 12;
/// Payload type of telephone-event in the tests' SDP.
const EVENT_PAYLOAD: u8 = 101;

/// What has been heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// Packets of audio.
    pub(crate) packets: usize,
    /// Those that were not silence.
    pub(crate) loud: usize,
    /// The last audio payload type.
    pub(crate) payload_type: u8,
    /// The last audio payload.
    pub(crate) last: Vec<u8>,
    /// telephone-event codes, once per event.
    pub(crate) digits: Vec<u8>,
    last_event: Option<u32>,
}

/// A voice.
pub(crate) struct Voice {
    local: SocketAddr,
    shared: Arc<Shared>,
    /// Aborted with the voice.
    _tasks: JoinSet<()>,
}

struct Shared {
    socket: UdpSocket,
    heard: Mutex<Heard>,
    changed: Notify,
    remote: Mutex<Option<SocketAddr>>,
    presses: Mutex<Vec<u8>>,
    /// µ-law frames to say instead of the steady tone.
    words: Mutex<VecDeque<Vec<u8>>>,
    payload: (u8, u8),
}

impl Voice {
    /// A voice of µ-law that speaks to nobody yet.
    pub(crate) async fn start() -> Self {
        Self::with_payload(0).await
    }

    /// A voice of another payload type.
    pub(crate) async fn with_payload(payload_type: u8) -> Self {
        Self::start_at(std::net::Ipv4Addr::LOCALHOST.into(), payload_type).await
    }

    /// A voice at an address of this machine.
    pub(crate) async fn start_at(ip: std::net::IpAddr, payload_type: u8) -> Self {
        // A SIP peer's RTP port must be even, and the port above it must not be somebody's RTP.
        let socket = loop {
            let socket = UdpSocket::bind((ip, 0)).await.unwrap();
            if socket.local_addr().unwrap().port() % 2 == 0 {
                break socket;
            }
        };
        let local = socket.local_addr().unwrap();
        let shared = Arc::new(Shared {
            socket,
            heard: Mutex::default(),
            changed: Notify::new(),
            remote: Mutex::new(None),
            presses: Mutex::default(),
            words: Mutex::default(),
            // Loud in either law.
            payload: (payload_type, 0x10),
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&shared).hear());
        tasks.spawn(Arc::clone(&shared).speak());
        Self { local, shared, _tasks: tasks }
    }

    /// An offer or answer with this voice's address.
    pub(crate) fn sdp(&self) -> String {
        self.sdp_with("0 8 101", "sendrecv")
    }

    /// The same with formats and a direction.
    pub(crate) fn sdp_with(&self, formats: &str, direction: &str) -> String {
        format!(
            "v=0\r\no=peer 1 {version} IN {family} {ip}\r\ns=-\r\nc=IN {family} {ip}\r\nt=0 0\r\n\
             m=audio {port} RTP/AVP {formats}\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n",
            version = direction.len() + formats.len(),
            family = if self.local.is_ipv4() { "IP4" } else { "IP6" },
            ip = self.local.ip(),
            port = self.local.port(),
        )
    }

    /// Speaks to the address in `sdp` from now on.
    pub(crate) fn speak_to(&self, sdp: &str) {
        let address = rtp_address(sdp);
        *self.shared.remote.lock().unwrap() = Some(address);
    }

    /// Presses a key (event code).
    pub(crate) fn press(&self, event: u8) {
        self.shared.presses.lock().unwrap().push(event);
    }

    /// Says samples, in µ-law, instead of the steady tone.
    pub(crate) fn say(&self, samples: &[i16]) {
        let frames = samples.chunks(160).map(|frame| {
            let mut coded = vec![0; frame.len()];
            Law::Ulaw.encode_into(frame, &mut coded);
            coded
        });
        self.shared.words.lock().unwrap().extend(frames);
    }

    /// What has been heard.
    pub(crate) fn heard(&self) -> Heard {
        self.shared.heard.lock().unwrap().clone()
    }

    /// Waits until `enough` says so.
    pub(crate) async fn hears(&self, what: &str, enough: impl Fn(&Heard) -> bool) -> Heard {
        let found = async {
            loop {
                let changed = self.shared.changed.notified();
                tokio::pin!(changed);
                changed.as_mut().enable();
                let heard = self.heard();
                if enough(&heard) {
                    return heard;
                }
                changed.await;
            }
        };
        let heard = tokio::time::timeout(PATIENCE, found).await;
        heard.unwrap_or_else(|_| panic!("never heard: {what}; {:?}", self.heard()))
    }
}

/// Where an SDP wants RTP.
pub(crate) fn rtp_address(sdp: &str) -> SocketAddr {
    let line =
        |prefix: &str| sdp.lines().find_map(|line| line.strip_prefix(prefix)).expect("the line is there");
    let ip = line("c=IN ").trim().split_once(' ').unwrap().1.parse().unwrap();
    let port = line("m=audio ").split(' ').next().unwrap().parse().unwrap();
    SocketAddr::new(ip, port)
}

impl Shared {
    async fn hear(self: Arc<Self>) {
        let mut buffer = [0; 2_048];
        loop {
            let Ok((length, _)) = self.socket.recv_from(&mut buffer).await else { continue };
            if length <= HEADER {
                continue;
            }
            let payload_type = buffer[1] & 0x7f;
            let timestamp = u32::from_be_bytes([buffer[4], buffer[5], buffer[6], buffer[7]]);
            let mut heard = self.heard.lock().unwrap();
            if payload_type == EVENT_PAYLOAD {
                if heard.last_event != Some(timestamp) {
                    heard.last_event = Some(timestamp);
                    heard.digits.push(buffer[HEADER]);
                }
            } else {
                heard.packets += 1;
                heard.payload_type = payload_type;
                heard.last = buffer[HEADER..length].to_vec();
                let silent = |byte: &u8| matches!(byte, 0xff | 0x7f | 0xd5 | 0x55);
                heard.loud += usize::from(!buffer[HEADER..length].iter().all(silent));
            }
            drop(heard);
            self.changed.notify_waiters();
        }
    }

    async fn speak(self: Arc<Self>) {
        let mut beat = tokio::time::interval(Duration::from_millis(20));
        let (mut sequence, mut timestamp) = (100_u16, 1_000_u32);
        loop {
            beat.tick().await;
            timestamp = timestamp.wrapping_add(160);
            let Some(remote) = *self.remote.lock().unwrap() else { continue };
            let press = {
                let mut presses = self.presses.lock().unwrap();
                (!presses.is_empty()).then(|| presses.remove(0))
            };
            if let Some(event) = press {
                // Three updates and three ends, all of one event (RFC 4733 §2.5).
                for n in 0..6_u16 {
                    sequence = sequence.wrapping_add(1);
                    let duration = (160 * (n.min(3) + 1)).to_be_bytes();
                    let end = if n >= 3 { 0x8a } else { 0x0a };
                    let mut packet = header(EVENT_PAYLOAD, n == 0, sequence, timestamp);
                    packet.extend([event, end, duration[0], duration[1]]);
                    let _ = self.socket.send_to(&packet, remote).await;
                }
                timestamp = timestamp.wrapping_add(800);
                continue;
            }
            sequence = sequence.wrapping_add(1);
            let (payload_type, sample) = self.payload;
            let mut packet = header(payload_type, false, sequence, timestamp);
            match self.words.lock().unwrap().pop_front() {
                Some(frame) => packet.extend(frame),
                None => packet.extend([sample; 160]),
            }
            let _ = self.socket.send_to(&packet, remote).await;
        }
    }
}

fn header(payload_type: u8, marker: bool, sequence: u16, timestamp: u32) -> Vec<u8> {
    let mut packet = vec![0x80, payload_type | if marker { 0x80 } else { 0 }];
    packet.extend(sequence.to_be_bytes());
    packet.extend(timestamp.to_be_bytes());
    packet.extend(0x1234_5678_u32.to_be_bytes());
    packet
}
