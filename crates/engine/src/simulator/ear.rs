//! What one telephone hears: counting of its own, straight from the packets' headers.

use std::collections::HashSet;
use std::time::Instant;

use tandem_media::dtmf::{DigitEvent, EventReceiver, TelephoneEvent};
use tandem_media::energy::{self, SAMPLE_RATE, SILENCE_DBFS};
use tandem_media::g711::Law;
use tandem_media::rtp::{Header, sequence_delta, timestamp_delta};

use super::outcome::{HeardTone, RtpFacts};

/// Samples looked at together: 50 ms, so Goertzel tells 20 Hz apart.
const WINDOW: usize = 400;
const WINDOW_MS: u32 = 50;
/// Quieter windows are not loud.
const LOUD_DBFS: f64 = -45.0;
/// A tone of this level or more counts where it is looked for by name.
const TONE_FLOOR_DBFS: f64 = -40.0;
/// Estimates this far apart are one tone.
const SAME_TONE_HZ: u16 = 15;
/// Windows in a row that make a tone: 100 ms.
const TONE_WINDOWS: u32 = 2;
/// Tones listed at most.
const MAX_TONES: usize = 64;
/// Digits listed at most.
const MAX_DIGITS: usize = 1_024;
/// SSRCs told apart.
const MAX_SSRCS: usize = 256;
/// Ten minutes of recording.
const MAX_RECORDED_SAMPLES: usize = SAMPLE_RATE as usize * 600;

/// Listens to one call.
pub(super) struct Ear {
    facts: RtpFacts,
    ssrcs: HashSet<u32>,
    stream: Option<Stream>,
    last_packet_at: Option<Instant>,
    events: EventReceiver,
    window: Vec<i16>,
    squares: f64,
    samples: u64,
    loudest: Run,
    wanted: Vec<(u16, u32)>,
    recording: Option<Vec<i16>>,
}

/// One SSRC's sequence so far.
struct Stream {
    ssrc: u32,
    highest: u16,
    timestamp: u32,
    /// Sequence numbers from the first to the highest.
    expected: u64,
    arrived: u64,
    /// Bit n: `highest - n` has come.
    seen: u64,
}

/// Windows in a row with the same loudest tone.
#[derive(Default)]
struct Run {
    hz: u16,
    windows: u32,
}

/// When a packet came.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// Before the answer.
    Early,
    /// After it.
    Talking,
    /// While we had said that we do not listen.
    Held,
}

impl Ear {
    pub(super) fn new(listen_for: &[u16], records: bool) -> Self {
        Self {
            facts: RtpFacts::default(),
            ssrcs: HashSet::new(),
            stream: None,
            last_packet_at: None,
            events: EventReceiver::new(SAMPLE_RATE),
            window: Vec::with_capacity(WINDOW),
            squares: 0.0,
            samples: 0,
            loudest: Run::default(),
            wanted: listen_for.iter().map(|hz| (*hz, 0)).collect(),
            recording: records.then(Vec::new),
        }
    }

    /// Takes note of any RTP packet.
    pub(super) fn on_packet(&mut self, now: Instant, header: Header, payload_len: usize, phase: Phase) {
        self.facts.packets_received += 1;
        self.facts.bytes_received += payload_len as u64;
        match phase {
            Phase::Early => self.facts.packets_early += 1,
            Phase::Held => self.facts.packets_on_hold += 1,
            Phase::Talking => {}
        }
        if let Some(last) = self.last_packet_at.replace(now) {
            let gap_ms = now.saturating_duration_since(last).as_millis() as u64;
            self.facts.longest_gap_ms = self.facts.longest_gap_ms.max(gap_ms);
        }
        if self.ssrcs.len() < MAX_SSRCS {
            self.ssrcs.insert(header.ssrc);
        }
        match self.stream.as_mut().filter(|stream| stream.ssrc == header.ssrc) {
            Some(stream) => stream.advance(header, &mut self.facts),
            None => {
                let before = self.stream.replace(Stream::starting_with(header));
                self.facts.lost += before.map_or(0, |stream| stream.lost());
            }
        }
    }

    /// Hears the payload of an audio packet.
    pub(super) fn on_audio(&mut self, law: Law, payload: &[u8]) {
        self.facts.ptime_ms = Some((payload.len() * 1_000 / SAMPLE_RATE as usize) as u16);
        for byte in payload {
            let sample = law.decode(*byte);
            self.squares += f64::from(sample).powi(2);
            self.window.push(sample);
            if self.window.len() == WINDOW {
                self.on_window();
                self.window.clear();
            }
            if let Some(recording) = self.recording.as_mut().filter(|kept| kept.len() < MAX_RECORDED_SAMPLES)
            {
                recording.push(sample);
            }
        }
        self.samples += payload.len() as u64;
    }

    /// Hears a telephone-event; says which key has begun.
    pub(super) fn on_event(&mut self, now: Instant, header: Header, payload: &[u8]) -> Option<char> {
        let Some(event) = TelephoneEvent::parse(payload) else {
            self.facts.unexpected += 1;
            return None;
        };
        let heard = self.events.on_event(now, header.ssrc, header.timestamp, header.marker, event);
        let Some(DigitEvent::Began(digit)) = heard else { return None };
        if self.facts.dtmf.len() < MAX_DIGITS {
            self.facts.dtmf.push(digit.as_char());
        }
        Some(digit.as_char())
    }

    /// A datagram that was not agreed upon.
    pub(super) fn on_unexpected(&mut self) {
        self.facts.unexpected += 1;
    }

    /// RTCP on the RTP port.
    pub(super) fn on_rtcp(&mut self) {
        self.facts.rtcp_received += 1;
    }

    /// The sum of it all.
    pub(super) fn finish(mut self) -> (RtpFacts, Vec<i16>) {
        self.facts.lost += self.stream.map_or(0, |stream| stream.lost());
        self.facts.ssrc_count = self.ssrcs.len();
        if self.samples > 0 {
            let rms = (self.squares / self.samples as f64).sqrt();
            let level = 20.0 * (rms * 2f64.sqrt() / 32_768.0).log10();
            self.facts.heard_rms_dbfs = level.max(SILENCE_DBFS);
        }
        (self.facts, self.recording.unwrap_or_default())
    }

    fn on_window(&mut self) {
        let window = &self.window;
        let is_loud = energy::level_dbfs(window) >= LOUD_DBFS;
        for (hz, windows) in &mut self.wanted {
            let heard = is_loud && energy::tone_dbfs(window, f64::from(*hz)) >= TONE_FLOOR_DBFS;
            *windows = if heard { *windows + 1 } else { 0 };
            note_tone(&mut self.facts.tones, *hz, *windows, 0);
        }
        if !is_loud {
            self.loudest = Run::default();
            return;
        }
        self.facts.loud_ms += u64::from(WINDOW_MS);
        let tone = estimate_hz(window)
            .filter(|hz| energy::has_tone(window, *hz, TONE_FLOOR_DBFS))
            .map(|hz| hz.round() as u16)
            // One asked for by name is counted above.
            .filter(|hz| self.wanted.iter().all(|(wanted, _)| wanted.abs_diff(*hz) > SAME_TONE_HZ));
        let Some(hz) = tone else {
            self.loudest = Run::default();
            return;
        };
        let windows = if self.loudest.hz.abs_diff(hz) <= SAME_TONE_HZ { self.loudest.windows + 1 } else { 1 };
        self.loudest = Run { hz, windows };
        note_tone(&mut self.facts.tones, hz, windows, SAME_TONE_HZ);
    }
}

impl Stream {
    fn starting_with(header: Header) -> Self {
        Self {
            ssrc: header.ssrc,
            highest: header.sequence,
            timestamp: header.timestamp,
            expected: 1,
            arrived: 1,
            seen: 1,
        }
    }

    fn advance(&mut self, header: Header, facts: &mut RtpFacts) {
        let ahead = sequence_delta(header.sequence, self.highest);
        if ahead <= 0 {
            facts.out_of_order += 1;
            let bit = 1_u64.checked_shl(u32::from(ahead.unsigned_abs())).unwrap_or(0);
            let is_new = bit != 0 && self.seen & bit == 0;
            self.arrived += u64::from(is_new);
            self.seen |= bit;
            return;
        }
        if ahead > 1 {
            facts.sequence_gaps += 1;
        }
        // Packets of one telephone-event share a timestamp; only a step back is wrong for all.
        if timestamp_delta(header.timestamp, self.timestamp) < 0 {
            facts.timestamp_steps_back += 1;
        }
        self.highest = header.sequence;
        self.timestamp = header.timestamp;
        self.expected += ahead as u64;
        self.arrived += 1;
        self.seen = self.seen.checked_shl(u32::from(ahead.unsigned_abs())).unwrap_or(0) | 1;
    }

    fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.arrived)
    }
}

/// Lists a tone once it lasts, and lengthens it.
fn note_tone(tones: &mut Vec<HeardTone>, hz: u16, windows: u32, tolerance_hz: u16) {
    if windows < TONE_WINDOWS {
        return;
    }
    let ms = if windows == TONE_WINDOWS { TONE_WINDOWS * WINDOW_MS } else { WINDOW_MS };
    let has_room = tones.len() < MAX_TONES;
    match tones.iter_mut().find(|tone| tone.hz.abs_diff(hz) <= tolerance_hz) {
        Some(tone) => tone.ms += ms,
        None if has_room => tones.push(HeardTone { hz, ms }),
        None => {}
    }
}

/// The frequency of a pure tone, by its zero crossings; the caller checks that it is one.
fn estimate_hz(window: &[i16]) -> Option<f64> {
    let crossings = window.windows(2).enumerate().filter_map(|(index, pair)| {
        let &[before, after] = pair else { return None };
        let (before, after) = (f64::from(before), f64::from(after));
        (before < 0.0 && after >= 0.0).then(|| index as f64 + before / (before - after))
    });
    let (mut first, mut last, mut periods) = (None, 0.0, 0_u32);
    for place in crossings {
        match first {
            None => first = Some(place),
            Some(_) => periods += 1,
        }
        last = place;
    }
    let length = last - first?;
    (periods >= 4 && length > 0.0).then(|| f64::from(periods) * f64::from(SAMPLE_RATE) / length)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tandem_media::energy::Tone;
    use tandem_model::clock;

    use super::*;

    fn header(sequence: u16) -> Header {
        let timestamp = u32::from(sequence) * 160;
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 7 }
    }

    fn hear(ear: &mut Ear, samples: &[i16]) {
        for frame in samples.chunks(160) {
            let payload: Vec<u8> = frame.iter().map(|sample| Law::Ulaw.encode(*sample)).collect();
            ear.on_audio(Law::Ulaw, &payload);
        }
    }

    fn tone(hz: u16, ms: u64) -> Vec<i16> {
        Tone::Sine { hz, level_dbfs: -12 }.samples(Duration::from_millis(ms))
    }

    #[test]
    fn tones_are_named_in_order_and_silence_is_none() {
        let mut ear = Ear::new(&[], true);
        hear(&mut ear, &[tone(440, 300), vec![0; 1_600], tone(1_000, 300)].concat());
        let (facts, recording) = ear.finish();
        assert!(facts.heard_tone(440) && facts.heard_tone(1_000));
        assert_eq!(facts.tones.len(), 2, "{:?}", facts.tones);
        assert!((-20.0..-12.0).contains(&facts.heard_rms_dbfs));
        assert!((500..=650).contains(&facts.loud_ms));
        assert_eq!(recording.len(), 6_400);
    }

    #[test]
    fn two_tones_at_once_are_found_only_by_name() {
        let both: Vec<i16> =
            tone(440, 500).iter().zip(tone(1_000, 500)).map(|(one, other)| one / 2 + other / 2).collect();
        let mut ear = Ear::new(&[440, 1_000, 1_500], false);
        hear(&mut ear, &both);
        let (facts, _) = ear.finish();
        let heard: Vec<u16> = facts.tones.iter().map(|tone| tone.hz).collect();
        assert_eq!(heard, [440, 1_000]);
    }

    #[test]
    fn loss_gaps_and_disorder_are_told_apart() {
        let mut ear = Ear::new(&[], false);
        let now = clock::monotonic();
        for sequence in [65_534, 65_535, 1, 0, 0, 5] {
            ear.on_packet(now, header(sequence), 160, Phase::Talking);
        }
        let (facts, _) = ear.finish();
        assert_eq!((facts.packets_received, facts.lost, facts.sequence_gaps), (6, 3, 2));
        assert_eq!(facts.out_of_order, 2);
        assert_eq!(facts.ssrc_count, 1);
    }

    #[test]
    fn a_second_ssrc_is_seen() {
        let mut ear = Ear::new(&[], false);
        let now = clock::monotonic();
        ear.on_packet(now, header(1), 160, Phase::Early);
        ear.on_packet(now, Header { ssrc: 8, ..header(2) }, 160, Phase::Talking);
        let (facts, _) = ear.finish();
        assert_eq!((facts.ssrc_count, facts.packets_early), (2, 1));
    }
}
