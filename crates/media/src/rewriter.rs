//! Re-bases an incoming stream onto a leg's own continuity.
//!
//! SSRC, sequence and timestamp change by offset, so loss and order stay visible to the far side's
//! jitter buffer; relay has none of its own. The offsets are made anew when the incoming SSRC
//! changes, when its numbers jump, and when another source spoke on the leg in between.

use std::time::{Duration, Instant};

use crate::bridge::RelayDrop;
use crate::rtp::{Header, sequence_delta, timestamp_delta};
use crate::sender::{RtpSender, SourceKind};

/// A sequence step beyond this is a restart, not loss (RFC 3550 A.1 MAX_DROPOUT).
const MAX_DROPOUT: i16 = 3_000;
/// Older than this is a restart, not reordering (RFC 3550 A.1 MAX_MISORDER).
const MAX_MISORDER: i16 = 100;
/// A timestamp that disagrees with our clock by more is a restart: the sender lost its place.
const MAX_TIMESTAMP_STEP: Duration = Duration::from_secs(2);

#[derive(Clone, Copy, Debug)]
struct Mapping {
    ssrc: u32,
    epoch: u32,
    sequence_offset: u16,
    timestamp_offset: u32,
    /// Packets before this incoming sequence belong to an older mapping.
    floor: u16,
    highest: u16,
    highest_timestamp: u32,
    highest_at: Instant,
}

/// The numbers a relayed packet leaves with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewritten {
    /// Header to write.
    pub header: Header,
    /// Whether the offsets were made anew for it.
    pub rebased: bool,
}

/// Maps one incoming stream onto one [`RtpSender`].
#[derive(Clone, Debug, Default)]
pub struct RelayRewriter {
    mapping: Option<Mapping>,
}

impl RelayRewriter {
    /// No mapping yet; the first packet makes one.
    pub fn new() -> Self {
        Self::default()
    }

    /// The outgoing header for `incoming`, which carries `samples` ticks of audio.
    pub fn rewrite(
        &mut self,
        at: Instant,
        incoming: Header,
        payload_type: u8,
        samples: u32,
        sender: &mut RtpSender,
    ) -> Result<Rewritten, RelayDrop> {
        sender.switch_to(SourceKind::Relay);
        let current = self
            .mapping
            .as_mut()
            .filter(|mapping| mapping.ssrc == incoming.ssrc && mapping.epoch == sender.epoch());
        let mut rebased = false;
        let mapping = match current.map(|mapping| (mapping.place(at, incoming, sender.clock_rate()), mapping))
        {
            Some((Place::Follows, mapping)) => {
                mapping.advance(at, incoming);
                mapping
            }
            Some((Place::Reordered, mapping)) => mapping,
            Some((Place::Late, _)) => return Err(RelayDrop::Late),
            Some((Place::Restarted, _)) | None => {
                rebased = true;
                self.mapping.insert(Mapping::new(at, incoming, sender))
            }
        };
        let header = Header {
            marker: incoming.marker || rebased,
            payload_type,
            sequence: incoming.sequence.wrapping_add(mapping.sequence_offset),
            timestamp: incoming.timestamp.wrapping_add(mapping.timestamp_offset),
            ssrc: sender.ssrc(),
        };
        sender.relayed(at, header.sequence, header.timestamp, samples);
        Ok(Rewritten { header, rebased })
    }

    /// A packet of this stream is not sent on: closes its place, so that it does not look lost.
    pub fn suppress(&mut self, at: Instant, incoming: Header) {
        let Some(mapping) = self.mapping.as_mut().filter(|mapping| mapping.ssrc == incoming.ssrc) else {
            return;
        };
        let step = sequence_delta(incoming.sequence, mapping.highest);
        if (1..=MAX_DROPOUT).contains(&step) {
            mapping.advance(at, incoming);
            mapping.sequence_offset = mapping.sequence_offset.wrapping_sub(1);
            mapping.floor = incoming.sequence.wrapping_add(1);
        }
    }
}

enum Place {
    Follows,
    Reordered,
    Late,
    Restarted,
}

impl Mapping {
    fn new(at: Instant, incoming: Header, sender: &RtpSender) -> Self {
        Self {
            ssrc: incoming.ssrc,
            epoch: sender.epoch(),
            sequence_offset: sender.next_sequence().wrapping_sub(incoming.sequence),
            timestamp_offset: sender.timestamp_at(at).wrapping_sub(incoming.timestamp),
            floor: incoming.sequence,
            highest: incoming.sequence,
            highest_timestamp: incoming.timestamp,
            highest_at: at,
        }
    }

    fn place(&self, at: Instant, incoming: Header, clock_rate: u32) -> Place {
        let step = sequence_delta(incoming.sequence, self.highest);
        if !(-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            return Place::Restarted;
        }
        if step <= 0 {
            let before_mapping = sequence_delta(incoming.sequence, self.floor) < 0;
            return if step == 0 || before_mapping { Place::Late } else { Place::Reordered };
        }
        // Events keep their start's timestamp while audio goes on beside them: a small step back
        // is theirs. A large one, or time running away from ours, is a restart.
        let moved = i64::from(timestamp_delta(incoming.timestamp, self.highest_timestamp));
        let elapsed_ms = at.saturating_duration_since(self.highest_at).as_millis() as i64;
        let expected = elapsed_ms * i64::from(clock_rate) / 1_000;
        let tolerance = MAX_TIMESTAMP_STEP.as_secs() as i64 * i64::from(clock_rate);
        if (moved - expected).abs() > tolerance { Place::Restarted } else { Place::Follows }
    }

    fn advance(&mut self, at: Instant, incoming: Header) {
        self.highest = incoming.sequence;
        self.highest_at = at;
        if timestamp_delta(incoming.timestamp, self.highest_timestamp) > 0 {
            self.highest_timestamp = incoming.timestamp;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};
    use proptest::prelude::*;

    fn packet(ssrc: u32, sequence: u16, timestamp: u32) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp, ssrc }
    }

    #[test]
    fn loss_and_order_stay_visible() {
        let start = origin();
        let mut sender = RtpSender::new(1, 100, 5_000, 8_000);
        let mut rewriter = RelayRewriter::new();
        let mut out = Vec::new();
        for (ms, n) in [(0u64, 0u16), (20, 1), (60, 3), (61, 2), (100, 5)] {
            let incoming = packet(7, 65_534u16.wrapping_add(n), 90_000 + u32::from(n) * 160);
            out.push(rewriter.rewrite(after(start, ms), incoming, 8, 160, &mut sender).unwrap().header);
        }
        assert_eq!(out.iter().map(|h| h.sequence).collect::<Vec<_>>(), [100, 101, 103, 102, 105]);
        assert_eq!(out.iter().map(|h| h.timestamp).collect::<Vec<_>>(), [5_000, 5_160, 5_480, 5_320, 5_800]);
        assert!(out.iter().all(|h| h.ssrc == 1 && h.payload_type == 8));
        assert_eq!(sender.next_sequence(), 106);
    }

    #[test]
    fn a_new_ssrc_goes_on_where_the_old_one_stopped() {
        let start = origin();
        let mut sender = RtpSender::new(1, 100, 5_000, 8_000);
        let mut rewriter = RelayRewriter::new();
        rewriter.rewrite(start, packet(7, 10, 1_000), 0, 160, &mut sender).unwrap();
        let next = rewriter.rewrite(after(start, 40), packet(8, 9_000, 77), 0, 160, &mut sender).unwrap();
        assert!(next.rebased && next.header.marker);
        assert_eq!((next.header.sequence, next.header.timestamp), (101, 5_320));
    }

    #[test]
    fn a_packet_from_before_a_source_switch_is_late() {
        let start = origin();
        let mut sender = RtpSender::new(1, 100, 5_000, 8_000);
        let mut rewriter = RelayRewriter::new();
        rewriter.rewrite(start, packet(7, 10, 1_000), 0, 160, &mut sender).unwrap();
        sender.next(after(start, 20), SourceKind::Playout, 0, 160);
        let back = rewriter.rewrite(after(start, 40), packet(7, 12, 1_320), 0, 160, &mut sender).unwrap();
        assert_eq!((back.header.sequence, back.header.marker), (102, true));
        assert_eq!(
            rewriter.rewrite(after(start, 41), packet(7, 11, 1_160), 0, 160, &mut sender),
            Err(RelayDrop::Late)
        );
    }

    #[test]
    fn a_suppressed_packet_leaves_no_hole() {
        let start = origin();
        let mut sender = RtpSender::new(1, 100, 5_000, 8_000);
        let mut rewriter = RelayRewriter::new();
        rewriter.rewrite(start, packet(7, 10, 1_000), 0, 160, &mut sender).unwrap();
        rewriter.suppress(after(start, 20), packet(7, 11, 1_160));
        let next = rewriter.rewrite(after(start, 40), packet(7, 12, 1_320), 0, 160, &mut sender).unwrap();
        assert_eq!((next.header.sequence, next.header.timestamp), (101, 5_320));
        assert!(!next.rebased);
    }

    #[test]
    fn a_timestamp_that_jumps_is_rebased_and_one_that_drifts_is_not() {
        let start = origin();
        let mut sender = RtpSender::new(1, 100, 5_000, 8_000);
        let mut rewriter = RelayRewriter::new();
        rewriter.rewrite(start, packet(7, 10, 1_000), 0, 160, &mut sender).unwrap();
        let drifted = packet(7, 11, 1_000 + 160 + 16_000);
        assert!(!rewriter.rewrite(after(start, 20), drifted, 0, 160, &mut sender).unwrap().rebased);
        let jumped = packet(7, 12, 1_000 + 160 + 16_000 + 160 + 16_001);
        assert!(rewriter.rewrite(after(start, 40), jumped, 0, 160, &mut sender).unwrap().rebased);
    }

    #[test]
    fn audio_after_a_relayed_event_starts_after_the_time_it_took() {
        let start = origin();
        let mut sender = RtpSender::new(1, 100, 5_000, 8_000);
        let mut rewriter = RelayRewriter::new();
        for n in 0..10u16 {
            let now = after(start, u64::from(n) * 20);
            let event = packet(7, 10 + n, 1_000);
            assert_eq!(rewriter.rewrite(now, event, 101, 0, &mut sender).unwrap().header.timestamp, 5_000);
        }
        let speech = sender.next(after(start, 200), SourceKind::Playout, 0, 160);
        assert_eq!(speech.timestamp, 5_000 + 1_600);
    }

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Play,
        Mix,
        Dial,
        Relay { stream: u32 },
        Pause { ms: u64 },
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            Just(Step::Play),
            Just(Step::Mix),
            Just(Step::Dial),
            (0u32..3).prop_map(|stream| Step::Relay { stream }),
            (1u64..5_000).prop_map(|ms| Step::Pause { ms }),
        ]
    }

    proptest! {
        /// Whatever speaks, the peer sees one SSRC, sequence + 1 and timestamps that never go back.
        #[test]
        fn the_peer_sees_one_stream_across_any_source_switches(
            steps in proptest::collection::vec((step(), 1usize..6), 1..60),
            first_sequence: u16,
            first_timestamp: u32,
            incoming_sequence: u16,
            incoming_timestamp: u32,
        ) {
            let mut now = origin();
            let mut sender = RtpSender::new(42, first_sequence, first_timestamp, 8_000);
            let mut rewriter = RelayRewriter::new();
            let mut streams = [(incoming_sequence, incoming_timestamp); 3];
            let mut sent: Vec<Header> = Vec::new();
            let mut switches = Vec::new();
            let mut speaker = None;
            for (step, count) in steps {
                if let Step::Pause { ms } = step {
                    now += Duration::from_millis(ms);
                    for stream in &mut streams {
                        stream.1 = stream.1.wrapping_add(ms as u32 * 8);
                    }
                    continue;
                }
                for _ in 0..count {
                    now += Duration::from_millis(20);
                    for stream in &mut streams {
                        stream.0 = stream.0.wrapping_add(1);
                        stream.1 = stream.1.wrapping_add(160);
                    }
                    let before = sent.len();
                    let name = match step {
                        Step::Play => {
                            sent.push(sender.next(now, SourceKind::Playout, 0, 160));
                            10
                        }
                        Step::Mix => {
                            sent.push(sender.next(now, SourceKind::Frames, 0, 160));
                            11
                        }
                        Step::Dial => {
                            let event = sender.begin_event(now);
                            sent.push(sender.event_packet(event, true, 101, 160));
                            sent.push(sender.event_packet(event, false, 101, 320));
                            now += Duration::from_millis(20);
                            12
                        }
                        Step::Relay { stream } => {
                            let (sequence, timestamp) = streams[stream as usize];
                            let incoming = packet(1_000 + stream, sequence, timestamp);
                            sent.push(rewriter.rewrite(now, incoming, 0, 160, &mut sender).unwrap().header);
                            stream
                        }
                        Step::Pause { .. } => unreachable!("handled above"),
                    };
                    if speaker != Some(name) {
                        speaker = Some(name);
                        switches.push(before);
                    }
                }
            }
            for pair in sent.windows(2) {
                prop_assert_eq!(pair[1].ssrc, 42);
                prop_assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
                prop_assert!(timestamp_delta(pair[1].timestamp, pair[0].timestamp) >= 0);
            }
            for index in switches {
                prop_assert!(sent[index].marker, "no marker at the switch to packet {}", index);
            }
        }
    }
}
