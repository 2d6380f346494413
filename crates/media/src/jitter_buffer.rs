//! A small adaptive jitter buffer, only where audio is decoded: mixers, streams, in-band digits.
//!
//! Samples lie in a ring at their RTP time; reading takes 20 ms at a time and leaves silence
//! behind, so loss and DTX are silence by themselves. Late packets make the delay grow, long spells
//! of early ones make it shrink; both are bounded. Clock drift shows as one or the other.

use crate::rtp::timestamp_delta;

/// Samples per frame read: 20 ms at 8 kHz.
pub(crate) const FRAME: usize = 160;

/// Samples held at most: 512 ms.
const RING: usize = 4_096;
const MIN_DELAY: u32 = 160;
const MAX_DELAY: u32 = 1_600;
const DELAY_STEP: u32 = 80;
/// Frames without lateness before the delay may shrink by a step: 2 s.
const CALM_FRAMES: u32 = 100;
/// Late packets in a row that mean the peer's clock jumped.
const RESYNC_LATE: u8 = 4;

/// Holds one direction's decoded audio.
#[derive(Debug)]
pub struct JitterBuffer {
    ring: [i16; RING],
    stream: Option<u32>,
    /// RTP time of the next sample to read.
    read_at: u32,
    /// RTP time after the newest sample written.
    written_to: u32,
    delay: u32,
    /// Smallest reserve seen at a push since the last adaptation.
    reserve: u32,
    calm: u32,
    late_in_row: u8,
    late: u64,
}

impl Default for JitterBuffer {
    fn default() -> Self {
        Self {
            ring: [0; RING],
            stream: None,
            read_at: 0,
            written_to: 0,
            delay: MIN_DELAY * 2,
            reserve: u32::MAX,
            calm: 0,
            late_in_row: 0,
            late: 0,
        }
    }
}

impl JitterBuffer {
    /// Empty, with 40 ms of delay to start from.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts decoded samples at their RTP time.
    pub fn push(&mut self, ssrc: u32, timestamp: u32, samples: &[i16]) {
        let samples = samples.get(..samples.len().min(RING / 2)).unwrap_or_default();
        if self.stream != Some(ssrc) {
            self.resync(ssrc, timestamp);
        }
        let mut ahead = timestamp_delta(timestamp, self.read_at);
        if ahead < 0 {
            self.late += 1;
            self.late_in_row += 1;
            self.calm = 0;
            if self.late_in_row < RESYNC_LATE && ahead > -(RING as i32) {
                self.grow();
                return;
            }
            self.resync(ssrc, timestamp);
            ahead = self.delay as i32;
        }
        self.late_in_row = 0;
        if ahead as usize + samples.len() > RING {
            self.resync(ssrc, timestamp);
            ahead = self.delay as i32;
        }
        self.reserve = self.reserve.min(ahead as u32);
        for (offset, sample) in samples.iter().enumerate() {
            let at = timestamp.wrapping_add(offset as u32) as usize % RING;
            if let Some(slot) = self.ring.get_mut(at) {
                *slot = *sample;
            }
        }
        let end = timestamp.wrapping_add(samples.len() as u32);
        if ahead as usize + samples.len() > self.buffered() {
            self.written_to = end;
        }
    }

    /// The next 20 ms; silence where nothing came. `None` before the first packet.
    pub fn pull(&mut self) -> Option<[i16; FRAME]> {
        self.stream?;
        self.adapt();
        let mut frame = [0; FRAME];
        for (offset, sample) in frame.iter_mut().enumerate() {
            let at = self.read_at.wrapping_add(offset as u32) as usize % RING;
            if let Some(slot) = self.ring.get_mut(at) {
                *sample = std::mem::take(slot);
            }
        }
        self.read_at = self.read_at.wrapping_add(FRAME as u32);
        Some(frame)
    }

    /// Samples between what was read and what was written.
    pub fn buffered(&self) -> usize {
        usize::try_from(timestamp_delta(self.written_to, self.read_at)).unwrap_or(0)
    }

    /// Packets that came after their time.
    pub fn late(&self) -> u64 {
        self.late
    }

    fn resync(&mut self, ssrc: u32, timestamp: u32) {
        self.ring.fill(0);
        self.stream = Some(ssrc);
        self.read_at = timestamp.wrapping_sub(self.delay);
        self.written_to = timestamp;
        self.reserve = u32::MAX;
        self.late_in_row = 0;
        self.calm = 0;
    }

    fn grow(&mut self) {
        if self.delay < MAX_DELAY {
            self.delay += DELAY_STEP;
            self.clear_slots(self.read_at.wrapping_sub(DELAY_STEP), DELAY_STEP);
            self.read_at = self.read_at.wrapping_sub(DELAY_STEP);
        }
    }

    fn adapt(&mut self) {
        self.calm += 1;
        if self.calm < CALM_FRAMES {
            return;
        }
        let reserve = std::mem::replace(&mut self.reserve, u32::MAX);
        self.calm = 0;
        // More reserve than wanted all this time: drift, or a delay no longer needed.
        if reserve != u32::MAX && reserve > MIN_DELAY + DELAY_STEP {
            self.clear_slots(self.read_at, DELAY_STEP);
            self.read_at = self.read_at.wrapping_add(DELAY_STEP);
            self.delay = self.delay.saturating_sub(DELAY_STEP).max(MIN_DELAY);
        }
    }

    fn clear_slots(&mut self, from: u32, count: u32) {
        for offset in 0..count {
            if let Some(slot) = self.ring.get_mut(from.wrapping_add(offset) as usize % RING) {
                *slot = 0;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(buffer: &mut JitterBuffer, frames: usize) -> Vec<i16> {
        (0..frames).filter_map(|_| buffer.pull()).flatten().collect()
    }

    #[test]
    fn nothing_is_heard_before_the_first_packet() {
        assert!(JitterBuffer::new().pull().is_none());
    }

    #[test]
    fn reordered_packets_are_heard_in_order_and_lost_ones_as_silence() {
        let mut buffer = JitterBuffer::new();
        buffer.push(1, 0, &[1; 160]);
        buffer.push(1, 320, &[3; 160]);
        buffer.push(1, 160, &[2; 160]);
        buffer.push(1, 640, &[5; 160]);
        let mut samples = heard(&mut buffer, 7);
        samples.drain(..320);
        for (index, value) in [1, 2, 3, 0, 5].into_iter().enumerate() {
            assert!(samples[index * 160..(index + 1) * 160].iter().all(|s| *s == value), "frame {index}");
        }
    }

    #[test]
    fn late_packets_grow_the_delay_to_its_bound_only() {
        let mut buffer = JitterBuffer::new();
        let mut timestamp = 0u32;
        for _ in 0..200 {
            buffer.push(1, timestamp, &[7; 160]);
            timestamp += 160;
            while buffer.buffered() > 0 {
                buffer.pull();
            }
            buffer.pull();
            buffer.pull();
            timestamp += 160;
        }
        assert!(buffer.late() > 0);
        assert!(buffer.delay <= MAX_DELAY);
    }

    #[test]
    fn a_steady_stream_settles_at_the_smallest_delay_and_loses_nothing() {
        let mut buffer = JitterBuffer::new();
        let mut audible = 0;
        for n in 0..2_000u32 {
            buffer.push(1, n * 160, &[9; 160]);
            audible += buffer.pull().unwrap().iter().filter(|sample| **sample == 9).count();
        }
        assert_eq!(buffer.late(), 0);
        assert!(buffer.buffered() <= (MIN_DELAY + 2 * DELAY_STEP) as usize + 160, "{}", buffer.buffered());
        assert!(audible > 2_000 * 160 - 2_000);
    }

    #[test]
    fn a_fast_clock_never_overflows() {
        let mut buffer = JitterBuffer::new();
        for n in 0..20_000u32 {
            buffer.push(1, n * 160, &[9; 160]);
            // The peer's clock is 500 ppm fast: every 2,000th frame an extra packet.
            if n % 2_000 != 0 {
                buffer.pull();
            }
            assert!(buffer.buffered() < 1_600);
        }
    }

    #[test]
    fn a_timestamp_jump_or_new_ssrc_resyncs() {
        let mut buffer = JitterBuffer::new();
        buffer.push(1, 0, &[1; 160]);
        buffer.push(1, 1 << 30, &[2; 160]);
        assert!(heard(&mut buffer, 5).contains(&2));
        buffer.push(2, 5, &[3; 160]);
        assert!(heard(&mut buffer, 5).contains(&3));
        for n in 0..6u32 {
            buffer.push(2, (1u32 << 31).wrapping_add(n * 160), &[4; 160]);
        }
        assert!(heard(&mut buffer, 10).contains(&4));
    }
}
