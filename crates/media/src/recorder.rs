//! The recording tap: two directions of RTP on one time line.
//!
//! A frame lies where its RTP timestamp says, mapped onto our clock when its stream began; what
//! never came is silence. A peer's clock that drifts is followed by single samples, so an hour's
//! call ends with both sides still in step. Pure: the driver drains chunks and writes them.

use std::time::{Duration, Instant};

use crate::codec::Codec;
use crate::g711::Law;
use crate::rtp::timestamp_delta;
use crate::wav::{Channels, Encoding, RecordFormat};

/// How long a frame may be late and still be recorded.
const LATENESS: Duration = Duration::from_millis(240);

/// Samples held per side: 512 ms.
const RING: usize = 4_096;
const RATE: u64 = 8_000;
/// Start to follow drift at 20 ms, stop at 5 ms.
const DRIFT_START: i64 = 160;
const DRIFT_STOP: i64 = 40;
/// The mean of the skew moves by 1/64 per packet: about a second and a half.
const SKEW_SHIFT: u32 = 6;
/// Frames in a row outside the window mean that the peer's timestamps jumped.
const REMAP_AFTER: u8 = 4;

/// Which channel of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Left.
    Caller,
    /// Right.
    Callee,
}

/// Places frames of two directions on one time line and yields interleaved chunks.
#[derive(Debug)]
pub struct Tap {
    started: Instant,
    format: RecordFormat,
    /// The next sample to yield.
    cursor: u64,
    caller: Track,
    callee: Track,
}

#[derive(Clone, Copy, Debug)]
struct Mapping {
    ssrc: u32,
    timestamp: u32,
    position: i64,
    /// Mean of (arrival − place), in 1/64 samples.
    skew: i64,
    following: bool,
    outside: u8,
}

#[derive(Debug)]
struct Track {
    ring: Box<[i16; RING]>,
    mapping: Option<Mapping>,
    /// Where the last frame ended, and its last sample: a one-sample hole repeats it.
    end: i64,
    last: i16,
    undecodable: u64,
    missed: u64,
}

impl Tap {
    /// Starts a recording at `now`.
    pub fn new(now: Instant, format: RecordFormat) -> Self {
        Self { started: now, format, cursor: 0, caller: Track::new(), callee: Track::new() }
    }

    /// What it yields.
    pub fn format(&self) -> RecordFormat {
        self.format
    }

    /// Places one RTP packet's audio. Codecs other than G.711 are counted and left silent.
    pub fn place(
        &mut self,
        now: Instant,
        side: Side,
        ssrc: u32,
        timestamp: u32,
        codec: Codec,
        payload: &[u8],
    ) {
        let arrival = self.position(now) as i64;
        let cursor = self.cursor as i64;
        let track = match side {
            Side::Caller => &mut self.caller,
            Side::Callee => &mut self.callee,
        };
        let Some(law) = codec.law() else {
            track.undecodable += 1;
            return;
        };
        let position = track.locate(arrival, cursor, ssrc, timestamp, payload.len());
        track.write(position, cursor, law, payload);
    }

    /// Appends what is old enough to be final to `out` (file bytes after the header).
    pub fn drain(&mut self, now: Instant, out: &mut Vec<u8>) {
        let final_at = self.position(now).saturating_sub(LATENESS.as_millis() as u64 * RATE / 1_000);
        self.emit(final_at, out);
    }

    /// Appends everything up to `now`: the recording ends.
    pub fn finish(&mut self, now: Instant, out: &mut Vec<u8>) {
        self.emit(self.position(now), out);
    }

    /// When [`drain`](Self::drain) is next worth calling: half the ring at most.
    pub fn deadline(&self) -> Instant {
        self.started
            + Duration::from_millis(self.cursor * 1_000 / RATE)
            + LATENESS
            + Duration::from_millis(100)
    }

    /// Frames that could not be recorded: more than 240 ms late, or in a codec not decoded.
    pub fn missed(&self) -> u64 {
        let of = |track: &Track| track.missed + track.undecodable;
        of(&self.caller) + of(&self.callee)
    }

    fn position(&self, now: Instant) -> u64 {
        (now.saturating_duration_since(self.started).as_nanos() * u128::from(RATE) / 1_000_000_000) as u64
    }

    /// Whole 20 ms pieces, so that a chunk is never an odd number of bytes.
    fn emit(&mut self, until: u64, out: &mut Vec<u8>) {
        let until = until - until % 160;
        while self.cursor < until {
            let slot = self.cursor as usize % RING;
            let (left, right) = (self.caller.take(slot), self.callee.take(slot));
            match self.format.channels {
                Channels::Mono => self.encode(left.saturating_add(right), out),
                Channels::Stereo => {
                    self.encode(left, out);
                    self.encode(right, out);
                }
            }
            self.cursor += 1;
        }
    }

    fn encode(&self, sample: i16, out: &mut Vec<u8>) {
        match self.format.encoding {
            Encoding::Pcm16 => out.extend(sample.to_le_bytes()),
            Encoding::Ulaw => out.push(Law::Ulaw.encode(sample)),
            Encoding::Alaw => out.push(Law::Alaw.encode(sample)),
        }
    }
}

impl Track {
    fn new() -> Self {
        Self { ring: Box::new([0; RING]), mapping: None, end: 0, last: 0, undecodable: 0, missed: 0 }
    }

    fn take(&mut self, slot: usize) -> i16 {
        self.ring.get_mut(slot).map(std::mem::take).unwrap_or_default()
    }

    /// Where a frame belongs on the time line.
    fn locate(&mut self, arrival: i64, cursor: i64, ssrc: u32, timestamp: u32, len: usize) -> i64 {
        let fresh = Mapping { ssrc, timestamp, position: arrival, skew: 0, following: false, outside: 0 };
        let mapping = match &mut self.mapping {
            Some(mapping) if mapping.ssrc == ssrc => mapping,
            other => {
                *other = Some(fresh);
                return arrival;
            }
        };
        let position = mapping.position + i64::from(timestamp_delta(timestamp, mapping.timestamp));
        let outside = position < cursor || position + len as i64 > cursor + RING as i64;
        mapping.outside = if outside { mapping.outside + 1 } else { 0 };
        if mapping.outside >= REMAP_AFTER {
            *mapping = fresh;
            return arrival;
        }
        if outside {
            return position;
        }
        mapping.follow(arrival - position);
        // Keep the origin near, so that the 32-bit difference never wraps in a long call.
        mapping.position += i64::from(timestamp_delta(timestamp, mapping.timestamp));
        mapping.timestamp = timestamp;
        mapping.position
    }

    fn write(&mut self, position: i64, cursor: i64, law: Law, payload: &[u8]) {
        let end = position + payload.len() as i64;
        if position < cursor || end > cursor + RING as i64 {
            self.missed += 1;
            return;
        }
        if position == self.end + 1 && self.end >= cursor {
            self.put(self.end, self.last);
        }
        for (byte, at) in payload.iter().zip(position..) {
            self.put(at, law.decode(*byte));
        }
        if let Some(byte) = payload.last()
            && end > self.end
        {
            self.end = end;
            self.last = law.decode(*byte);
        }
    }

    fn put(&mut self, at: i64, sample: i16) {
        if let Some(slot) = self.ring.get_mut(at as usize % RING) {
            *slot = sample;
        }
    }
}

impl Mapping {
    /// Moves the mapping by one sample at a time towards where frames really arrive.
    fn follow(&mut self, skew: i64) {
        self.skew += skew - (self.skew >> SKEW_SHIFT);
        let mean = self.skew >> SKEW_SHIFT;
        self.following = if self.following { mean.abs() > DRIFT_STOP } else { mean.abs() > DRIFT_START };
        if self.following {
            let step = mean.signum();
            self.position += step;
            self.skew -= step << SKEW_SHIFT;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::origin;

    const STEREO: RecordFormat = RecordFormat { encoding: Encoding::Pcm16, channels: Channels::Stereo };

    fn at(start: Instant, micros: u64) -> Instant {
        start + Duration::from_micros(micros)
    }

    fn channels(bytes: &[u8]) -> (Vec<i16>, Vec<i16>) {
        let frames = bytes.as_chunks::<4>().0;
        frames.iter().map(|[a, b, c, d]| (i16::from_le_bytes([*a, *b]), i16::from_le_bytes([*c, *d]))).unzip()
    }

    fn loud(samples: &[i16]) -> usize {
        samples.iter().filter(|sample| **sample != 0).count()
    }

    #[test]
    fn both_sides_lie_where_they_were_spoken_and_holes_are_silent() {
        let start = origin();
        let mut tap = Tap::new(start, STEREO);
        let tone = [Law::Ulaw.encode(1_000); 160];
        let mut bytes = Vec::new();
        for n in 0..50u64 {
            let now = at(start, n * 20_000);
            if n != 10 {
                tap.place(now, Side::Caller, 1, n as u32 * 160, Codec::Pcmu, &tone);
            }
            if n >= 25 {
                tap.place(now, Side::Callee, 2, 77 + n as u32 * 160, Codec::Pcmu, &tone);
            }
            tap.drain(now, &mut bytes);
        }
        tap.finish(at(start, 1_000_000), &mut bytes);
        let (left, right) = channels(&bytes);
        assert_eq!((left.len(), right.len()), (8_000, 8_000));
        assert_eq!(loud(&left), 49 * 160);
        assert_eq!(loud(&left[1_600..1_760]), 0);
        assert_eq!(loud(&right[..4_000]), 0);
        assert_eq!(loud(&right[4_000..]), 4_000);
        assert_eq!(tap.missed(), 0);
    }

    #[test]
    fn jitter_and_reordering_move_nothing() {
        let start = origin();
        let mut tap = Tap::new(start, STEREO);
        let mut order: Vec<(u64, u32)> = (0..200u32)
            .map(|n| (u64::from(n) * 20_000 + u64::from(n * 7 % 11) * 9_000 * u64::from(n > 0), n))
            .collect();
        order.sort_unstable();
        let mut bytes = Vec::new();
        for (micros, n) in order {
            let payload = [Law::Alaw.encode((n % 100) as i16 * 256); 160];
            tap.place(at(start, micros), Side::Callee, 9, n * 160, Codec::Pcma, &payload);
            tap.drain(at(start, micros), &mut bytes);
        }
        tap.finish(at(start, 4_200_000), &mut bytes);
        let (_, right) = channels(&bytes);
        assert_eq!(tap.missed(), 0);
        // Mean lateness is 45 ms, so the mapping follows; every frame is still there in order.
        let mut heard: Vec<i16> = right.iter().copied().filter(|s| s.abs() > 200).collect();
        heard.dedup();
        let mut spoken: Vec<i16> = (0..200)
            .map(|n| Law::Alaw.decode(Law::Alaw.encode((n % 100) * 256)))
            .filter(|s| s.abs() > 200)
            .collect();
        spoken.dedup();
        assert_eq!(heard, spoken);
    }

    /// One hour with a peer whose clock is 200 ppm off drifts by 720 ms if nobody follows it.
    fn drift(ppm: i64) -> (f64, u64) {
        let start = origin();
        let mut tap = Tap::new(start, STEREO);
        let mut bytes = Vec::new();
        let mut marks = Vec::new();
        let frames = 3_600 * 50u64;
        for n in 0..frames {
            let micros = (n as i64 * 20_000 * (1_000_000 - ppm) / 1_000_000) as u64;
            let now = at(start, micros);
            let click = n % 500 == 0;
            let payload = [if click { Law::Ulaw.encode(20_000) } else { 0xff }; 160];
            if click {
                marks.push(micros * 8 / 1_000);
            }
            tap.place(
                now,
                Side::Caller,
                1,
                (n as u32).wrapping_mul(160).wrapping_add(u32::MAX - 1_000),
                Codec::Pcmu,
                &payload,
            );
            tap.drain(now, &mut bytes);
        }
        tap.finish(at(start, 3_601_000_000), &mut bytes);
        let (left, _) = channels(&bytes);
        let mut worst = 0f64;
        let mut search = 0usize;
        for mark in marks {
            let found = left[search..].iter().position(|s| *s > 10_000).map(|n| n + search).unwrap();
            worst = worst.max((found as f64 - mark as f64).abs() / 8.0);
            search = found + 400;
        }
        (worst, tap.missed())
    }

    #[test]
    fn an_hour_with_a_drifting_clock_ends_in_step() {
        for ppm in [200, -200] {
            let (worst_ms, missed) = drift(ppm);
            assert!(worst_ms < 40.0, "{ppm} ppm: {worst_ms} ms off");
            assert_eq!(missed, 0);
        }
    }

    #[test]
    fn lateness_counts_to_the_limit_and_one_past_is_missed() {
        let start = origin();
        let limit = LATENESS.as_micros() as u64;
        for (late, missed) in [(limit, 0), (limit + 20_000, 1)] {
            let mut tap = Tap::new(start, STEREO);
            let mut bytes = Vec::new();
            tap.place(start, Side::Caller, 1, 0, Codec::Pcmu, &[0; 160]);
            let now = at(start, 1_000_000 + late);
            tap.drain(now, &mut bytes);
            tap.place(now, Side::Caller, 1, 8_000, Codec::Pcmu, &[0; 160]);
            assert_eq!(tap.missed(), missed, "late by {late} µs");
        }
    }

    #[test]
    fn a_timestamp_jump_is_recorded_where_it_arrives() {
        let start = origin();
        let mut tap = Tap::new(start, STEREO);
        let mut bytes = Vec::new();
        for n in 0..100u64 {
            let jump = if n >= 50 { 5_000_000 } else { 0 };
            let now = at(start, n * 20_000);
            tap.place(now, Side::Caller, 1, n as u32 * 160 + jump, Codec::Pcmu, &[0; 160]);
            tap.drain(now, &mut bytes);
        }
        tap.finish(at(start, 2_000_000), &mut bytes);
        let (left, _) = channels(&bytes);
        assert_eq!(loud(&left[9_000..]), 7_000);
        assert_eq!(tap.missed(), 3);
    }

    #[test]
    fn mono_mixes_and_g711_halves_the_size() {
        let start = origin();
        let format = RecordFormat { encoding: Encoding::Ulaw, channels: Channels::Mono };
        let mut tap = Tap::new(start, format);
        tap.place(start, Side::Caller, 1, 0, Codec::Pcmu, &[Law::Ulaw.encode(1_000); 160]);
        tap.place(start, Side::Callee, 2, 0, Codec::Pcmu, &[Law::Ulaw.encode(2_000); 160]);
        let mut bytes = Vec::new();
        tap.finish(at(start, 20_000), &mut bytes);
        assert_eq!(bytes.len(), 160);
        assert!((Law::Ulaw.decode(bytes[80]) - 3_000).abs() < 130);
    }

    #[test]
    fn codecs_that_are_not_decoded_are_counted() {
        let start = origin();
        let mut tap = Tap::new(start, STEREO);
        tap.place(start, Side::Caller, 1, 0, Codec::G729, &[0; 20]);
        assert_eq!(tap.missed(), 1);
    }
}
