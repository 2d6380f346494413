//! Packets of one length into packets of another (ptime 10–60 ms), G.711 only.
//!
//! One byte is one sample, so frames are cut anywhere. A short hole (loss) is filled with silence
//! to keep both time lines together; a long one (DTX, a restart) drops the remainder and the
//! sender starts a new talk spurt.

use crate::rtp::timestamp_delta;

/// Shortest and longest packet time a leg may ask for.
pub const PTIME_MS: std::ops::RangeInclusive<u8> = 10..=60;

/// Bytes held at most: the largest datagram's payload and one frame less a byte.
const CAPACITY: usize = 2_048;

/// Holes up to this many samples (60 ms) are filled.
const MAX_FILL: i32 = 480;

/// A small byte queue between two packet lengths.
#[derive(Debug)]
pub struct Repacketiser {
    bytes: [u8; CAPACITY],
    len: usize,
    expected: Option<(u32, u32)>,
}

impl Default for Repacketiser {
    fn default() -> Self {
        Self { bytes: [0; CAPACITY], len: 0, expected: None }
    }
}

impl Repacketiser {
    /// Empty.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether nothing waits for a frame to fill.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets what waits: the source changed.
    pub fn clear(&mut self) {
        self.len = 0;
        self.expected = None;
    }

    /// Takes one packet's payload; a late packet is dropped (false).
    pub fn push(&mut self, ssrc: u32, timestamp: u32, payload: &[u8], silence: u8) -> bool {
        let hole = match self.expected {
            Some((known, next)) if known == ssrc => timestamp_delta(timestamp, next),
            _ => i32::MAX,
        };
        // A step back of more than a fill is a restart, a smaller one a late packet.
        if (-MAX_FILL..0).contains(&hole) {
            return false;
        }
        if (0..=MAX_FILL).contains(&hole) {
            self.fill(hole as usize, silence);
        } else {
            self.len = 0;
        }
        self.append(payload);
        self.expected = Some((ssrc, timestamp.wrapping_add(payload.len() as u32)));
        true
    }

    /// Moves one whole frame into `frame`; false if there is not enough.
    pub fn pop(&mut self, frame: &mut [u8]) -> bool {
        let size = frame.len();
        let (true, Some(head)) = (size <= self.len, self.bytes.get(..size)) else { return false };
        frame.copy_from_slice(head);
        self.bytes.copy_within(size..self.len, 0);
        self.len -= size;
        true
    }

    fn append(&mut self, payload: &[u8]) {
        let free = CAPACITY - self.len;
        let take = payload.len().min(free);
        let (Some(room), Some(bytes)) = (self.bytes.get_mut(self.len..self.len + take), payload.get(..take))
        else {
            return;
        };
        room.copy_from_slice(bytes);
        self.len += take;
    }

    fn fill(&mut self, count: usize, silence: u8) {
        let end = (self.len + count).min(CAPACITY);
        if let Some(room) = self.bytes.get_mut(self.len..end) {
            room.fill(silence);
            self.len = end;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_lost_packet_becomes_silence_and_a_late_one_is_dropped() {
        let mut queue = Repacketiser::new();
        assert!(queue.push(1, 0, &[1; 80], 0xff));
        assert!(queue.push(1, 160, &[3; 80], 0xff));
        assert!(!queue.push(1, 80, &[2; 80], 0xff));
        let mut frame = [0; 240];
        assert!(queue.pop(&mut frame));
        assert!(frame[..80].iter().all(|b| *b == 1));
        assert!(frame[80..160].iter().all(|b| *b == 0xff));
        assert!(frame[160..].iter().all(|b| *b == 3));
    }

    #[test]
    fn a_hole_at_the_limit_is_filled_and_one_past_drops_the_remainder() {
        let mut queue = Repacketiser::new();
        queue.push(1, 0, &[1; 80], 0);
        queue.push(1, 80 + MAX_FILL as u32, &[2; 80], 0);
        assert_eq!(queue.len, 160 + MAX_FILL as usize);
        queue.clear();
        queue.push(1, 0, &[1; 80], 0);
        queue.push(1, 81 + MAX_FILL as u32, &[2; 80], 0);
        assert_eq!(queue.len, 80);
    }

    #[test]
    fn another_ssrc_starts_afresh() {
        let mut queue = Repacketiser::new();
        queue.push(1, 0, &[1; 80], 0);
        queue.push(2, 80, &[2; 160], 0);
        let mut frame = [0; 160];
        assert!(queue.pop(&mut frame));
        assert_eq!(frame, [2; 160]);
    }

    proptest! {
        /// Any ptime in, any ptime out: the bytes are the same, in order.
        #[test]
        fn no_byte_is_lost_between_any_two_packet_times(
            input in 1usize..=6, output in 1usize..=6, packets in 1usize..40,
        ) {
            let (input, output) = (input * 80, output * 80);
            let mut queue = Repacketiser::new();
            let mut frame = vec![0; output];
            let (mut sent, mut got) = (Vec::<u8>::new(), Vec::<u8>::new());
            for n in 0..packets {
                let payload: Vec<u8> = (0..input).map(|i| (n * 7 + i) as u8).collect();
                sent.extend(&payload);
                prop_assert!(queue.push(1, (n * input) as u32, &payload, 0));
                while queue.pop(&mut frame) {
                    got.extend(&frame);
                }
            }
            prop_assert_eq!(&got[..], &sent[..got.len()]);
            prop_assert!(sent.len() - got.len() < output);
        }

        #[test]
        fn arbitrary_packets_never_panic(
            packets in proptest::collection::vec((0u32..3, any::<u32>(), 0usize..1_488), 0..50),
        ) {
            let mut queue = Repacketiser::new();
            for (ssrc, timestamp, len) in packets {
                queue.push(ssrc, timestamp, &vec![0; len], 0xff);
            }
        }
    }
}
