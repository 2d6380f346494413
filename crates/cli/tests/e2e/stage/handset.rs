//! A handset: sends a tone and digits, keeps what it hears. RTP, G.711 and tone detection of its own, so that
//! sipp's peers and the platform's media are judged by a third party.

use std::collections::{HashSet, VecDeque};
use std::f64::consts::TAU;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::task::AbortHandle;

/// Samples of one packet: 20 ms at 8 kHz.
const FRAME: usize = 160;
/// Samples looked at together for a tone: 50 ms.
const WINDOW: usize = 400;
/// Payload type of µ-law.
const PCMU: u8 = 0;
/// Payload type of comfort noise.
const COMFORT_NOISE: u8 = 13;
/// Payload type of telephone-event in our scripts' SDP.
pub(crate) const TELEPHONE_EVENT: u8 = 101;
/// A digit lasts so many packets, and its end is said three times.
const DIGIT_FRAMES: u16 = 5;
/// The frames of silence between two digits.
const GAP_FRAMES: u16 = 3;

/// What a handset has heard.
#[derive(Clone, Debug, Default)]
pub(crate) struct Heard {
    /// RTP packets.
    pub(crate) packets: u64,
    /// Bytes of payload.
    pub(crate) bytes: u64,
    /// Different synchronisation sources.
    pub(crate) sources: HashSet<u32>,
    /// Packets whose number was not the last one's plus one.
    pub(crate) jumps: u64,
    /// Different payload types.
    pub(crate) kinds: HashSet<u8>,
    last: Option<u16>,
    samples: Vec<i16>,
}

impl Heard {
    /// Milliseconds in which a frequency was most of what was heard.
    pub(crate) fn tone_ms(&self, hz: u16) -> usize {
        let windows = self.samples.chunks_exact(WINDOW);
        50 * windows.filter(|window| is_tone(window, f64::from(hz))).count()
    }

    /// Milliseconds louder than −45 dBFS.
    pub(crate) fn loud_ms(&self) -> usize {
        let loud = |window: &&[i16]| (power(window) / WINDOW as f64).sqrt() > 32_768.0 * 0.005_6;
        50 * self.samples.chunks_exact(WINDOW).filter(loud).count()
    }
}

#[derive(Default)]
struct State {
    far: Option<SocketAddr>,
    tone: Option<u16>,
    digits: VecDeque<char>,
    /// Start over with another synchronisation source, number and time.
    restart: bool,
    /// Packets of comfort noise to send instead of the tone.
    comfort: u16,
    heard: Heard,
}

/// A telephone's audio: no signalling.
pub(crate) struct Handset {
    /// Where it listens; this goes into the SDP.
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: AbortHandle,
}

impl Handset {
    /// A handset on a free port that speaks a tone, or nothing but silence.
    #[expect(clippy::disallowed_methods, reason = "the task is aborted when the handset is dropped")]
    pub(crate) async fn open(ip: IpAddr, tone: Option<u16>) -> Self {
        let socket = UdpSocket::bind((ip, 0)).await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        let state = Arc::new(Mutex::new(State { tone, ..State::default() }));
        let task = tokio::spawn(live(socket, state.clone())).abort_handle();
        Self { address, state, task }
    }

    /// Where to speak to.
    pub(crate) fn speak_to(&self, far: SocketAddr) {
        lock(&self.state).far = Some(far);
    }

    /// Presses keys.
    pub(crate) fn press(&self, digits: &str) {
        lock(&self.state).digits.extend(digits.chars());
    }

    /// Goes on as another source: SSRC, sequence number and timestamp all jump (RFC 3550 §8).
    pub(crate) fn change_source(&self) {
        lock(&self.state).restart = true;
    }

    /// Falls silent for so many packets' time, as an endpoint with voice activity detection does: each second packet is
    /// comfort noise (RFC 3389).
    pub(crate) fn fall_silent(&self, packets: u16) {
        lock(&self.state).comfort = packets;
    }

    /// What was heard so far.
    pub(crate) fn heard(&self) -> Heard {
        lock(&self.state).heard.clone()
    }
}

impl Drop for Handset {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn live(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut mouth =
        Mouth { ssrc: u32::from(socket.local_addr().map_or(1, |own| own.port())) << 8, ..Mouth::default() };
    let mut clock = tokio::time::interval(Duration::from_millis(20));
    let mut buffer = [0_u8; 2_048];
    loop {
        tokio::select! {
            _ = clock.tick() => {
                let (far, tone, comfort) = {
                    let mut state = lock(&state);
                    mouth.next_digit(&mut state.digits);
                    if std::mem::take(&mut state.restart) {
                        mouth.start_over();
                    }
                    let comfort = state.comfort;
                    state.comfort = comfort.saturating_sub(1);
                    (state.far, state.tone, comfort)
                };
                let Some(far) = far else { continue };
                let packets = if comfort > 0 { mouth.rustle(comfort) } else { mouth.speak(tone) };
                for packet in packets {
                    drop(socket.send_to(&packet, far).await);
                }
            }
            received = socket.recv_from(&mut buffer) => {
                let Ok((length, _)) = received else { continue };
                hear(&mut lock(&state).heard, buffer.get(..length).unwrap_or_default());
            }
        }
    }
}

fn hear(heard: &mut Heard, packet: &[u8]) {
    let [first, kind, high, low, _, _, _, _, a, b, c, d, ..] = *packet else { return };
    let payload = packet.get(12 + 4 * usize::from(first & 0x0f)..).unwrap_or_default();
    // RTCP (RFC 5761 §4) shares no port with us, but a stray one is no audio.
    if first >> 6 != 2 || (192..=223).contains(&kind) {
        return;
    }
    heard.packets += 1;
    heard.bytes += payload.len() as u64;
    let number = u16::from_be_bytes([high, low]);
    heard.jumps += u64::from(heard.last.is_some_and(|last| last.wrapping_add(1) != number));
    heard.last = Some(number);
    heard.kinds.insert(kind & 0x7f);
    heard.sources.insert(u32::from_be_bytes([a, b, c, d]));
    if kind & 0x7f == PCMU {
        heard.samples.extend(payload.iter().map(|byte| from_mu_law(*byte)));
    }
}

#[derive(Default)]
struct Mouth {
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    phase: f64,
    digit: Option<(u8, u16, u32)>,
    rest: u16,
}

impl Mouth {
    fn next_digit(&mut self, waiting: &mut VecDeque<char>) {
        if self.digit.is_some() || self.rest > 0 {
            return;
        }
        let code = |key: char| match key {
            '0'..='9' => key as u8 - b'0',
            '*' => 10,
            _ => 11,
        };
        self.digit = waiting.pop_front().map(|key| (code(key), 0, self.timestamp));
    }

    fn start_over(&mut self) {
        self.ssrc ^= 0x5a5a_5a5a;
        self.sequence = self.sequence.wrapping_add(30_000);
        self.timestamp = self.timestamp.wrapping_add(3_000_000_000);
    }

    fn rustle(&mut self, left: u16) -> Vec<Vec<u8>> {
        let packets = if left.is_multiple_of(2) {
            vec![self.packet(COMFORT_NOISE, false, self.timestamp, &[70])]
        } else {
            Vec::new()
        };
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        packets
    }

    fn speak(&mut self, tone: Option<u16>) -> Vec<Vec<u8>> {
        let packets = match self.digit {
            Some((code, frames, began)) => {
                let frames = frames + 1;
                let last = frames == DIGIT_FRAMES;
                let duration = frames * FRAME as u16;
                let [high, low] = duration.to_be_bytes();
                let payload = [code, if last { 0x8a } else { 0x0a }, high, low];
                self.digit = (!last).then_some((code, frames, began));
                self.rest = if last { GAP_FRAMES } else { 0 };
                let times = if last { 3 } else { 1 };
                (0..times).map(|_| self.packet(TELEPHONE_EVENT, frames == 1, began, &payload)).collect()
            }
            None => {
                self.rest = self.rest.saturating_sub(1);
                let step = TAU * f64::from(tone.unwrap_or(0)) / 8_000.0;
                let level = if tone.is_some() { 8_000.0 } else { 0.0 };
                let frame: Vec<u8> = (0..FRAME)
                    .map(|_| {
                        self.phase = (self.phase + step) % TAU;
                        to_mu_law((level * self.phase.sin()) as i16)
                    })
                    .collect();
                vec![self.packet(PCMU, self.sequence == 0, self.timestamp, &frame)]
            }
        };
        self.timestamp = self.timestamp.wrapping_add(FRAME as u32);
        packets
    }

    fn packet(&mut self, kind: u8, marker: bool, timestamp: u32, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x80, kind | if marker { 0x80 } else { 0 }];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(timestamp.to_be_bytes());
        packet.extend(self.ssrc.to_be_bytes());
        packet.extend(payload);
        self.sequence = self.sequence.wrapping_add(1);
        packet
    }
}

fn power(window: &[i16]) -> f64 {
    window.iter().map(|sample| f64::from(*sample).powi(2)).sum()
}

/// Goertzel: more than half of the window's power is at this frequency, and it is audible.
fn is_tone(window: &[i16], hz: f64) -> bool {
    let coefficient = 2.0 * (TAU * hz / 8_000.0).cos();
    let (mut before, mut last) = (0.0, 0.0);
    for sample in window {
        let now = f64::from(*sample) + coefficient * last - before;
        before = last;
        last = now;
    }
    let at = last.mul_add(last, before * before) - coefficient * last * before;
    let total = power(window);
    total > 1e6 * WINDOW as f64 / 100.0 && at * 2.0 / WINDOW as f64 > total * 0.5
}

/// ITU-T G.711 µ-law.
fn to_mu_law(sample: i16) -> u8 {
    let sign = if sample < 0 { 0x80 } else { 0 };
    let magnitude = (i32::from(sample).abs()).min(32_635) + 132;
    let exponent = (magnitude >> 7).ilog2();
    let mantissa = (magnitude >> (exponent + 3)) & 0x0f;
    !(sign | (exponent as u8) << 4 | mantissa as u8)
}

fn from_mu_law(byte: u8) -> i16 {
    let byte = !byte;
    let magnitude = (((i32::from(byte & 0x0f) << 3) + 132) << ((byte >> 4) & 7)) - 132;
    (if byte & 0x80 == 0 { magnitude } else { -magnitude }) as i16
}

#[test]
fn a_handset_recognises_its_own_tone_and_no_other() {
    let mut mouth = Mouth::default();
    let mut heard = Heard::default();
    for _ in 0..50 {
        for packet in mouth.speak(Some(600)) {
            hear(&mut heard, &packet);
        }
    }
    assert_eq!((heard.packets, heard.bytes), (50, 8_000));
    assert!(
        heard.tone_ms(600) >= 950 && heard.tone_ms(900) == 0 && heard.loud_ms() >= 950,
        "{}",
        heard.tone_ms(600)
    );
    for sample in [0, 5, -5, 1_000, -1_000, 32_000, -32_000] {
        let back = i32::from(from_mu_law(to_mu_law(sample)));
        assert!(
            (back - i32::from(sample)).abs() <= 8 + i32::from(sample).abs() / 16,
            "{sample} became {back}"
        );
    }
}
