//! What arrives: sequence, loss, jitter, duplicates (RFC 3550 A.1, A.3, A.8).
//!
//! Judges one leg's incoming stream packet by packet and keeps the numbers that reports, call
//! records and the quality score are made of. Survives SSRC changes: totals go on.

use std::time::{Duration, Instant};

use crate::rtcp::ReportBlock;
use crate::rtp::{Header, sequence_delta};

/// A step ahead beyond this is a restart, not loss.
const MAX_DROPOUT: i16 = 3_000;
/// Older than this is not reordering; the duplicate window covers it all.
const MAX_MISORDER: i16 = 100;
/// A transit step above this is a sender that lost its place, not jitter.
const MAX_TRANSIT_STEP_MS: u64 = 1_000;

/// How a packet fits into its stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// First of a stream: of the leg, of a new SSRC, or after a restart.
    Started,
    /// The next one.
    InOrder,
    /// Ahead: this many are missing before it (they may still come).
    Ahead(u16),
    /// Behind the newest, and not seen before.
    Reordered,
    /// Seen before.
    Duplicate,
    /// Far from the stream; a second one in a row restarts it.
    Stray,
}

impl Arrival {
    /// Whether the packet is to be used.
    pub fn is_accepted(self) -> bool {
        !matches!(self, Self::Duplicate | Self::Stray)
    }
}

/// Totals over the life of the leg.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ReceiverStats {
    /// Packets accepted.
    pub received: u64,
    /// Packets that should have come.
    pub expected: u64,
    /// Packets that did not come.
    pub lost: u64,
    /// Packets seen before.
    pub duplicates: u64,
    /// Packets behind a newer one.
    pub reordered: u64,
    /// Times the SSRC changed or its sequence restarted.
    pub restarts: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stream {
    ssrc: u32,
    base: u16,
    highest: u16,
    cycles: u32,
    /// Bit n: sequence `highest - n` was seen.
    seen: u128,
    received: u64,
    stray: Option<u16>,
    transit: Option<i64>,
    expected_prior: u64,
    received_prior: u64,
}

/// Tracks one leg's incoming stream.
#[derive(Clone, Debug)]
pub struct RtpReceiver {
    clock_rate: u32,
    origin: Instant,
    stream: Option<Stream>,
    /// Totals of streams before this one.
    earlier: ReceiverStats,
    duplicates: u64,
    reordered: u64,
    restarts: u32,
    /// Jitter in sixteenths of a tick (RFC 3550 A.8).
    jitter_16: u32,
    jitter_max_16: u32,
}

impl RtpReceiver {
    /// Nothing received yet.
    pub fn new(now: Instant, clock_rate: u32) -> Self {
        Self {
            clock_rate: clock_rate.max(1),
            origin: now,
            stream: None,
            earlier: ReceiverStats::default(),
            duplicates: 0,
            reordered: 0,
            restarts: 0,
            jitter_16: 0,
            jitter_max_16: 0,
        }
    }

    /// Places a packet in its stream.
    pub fn on_packet(&mut self, header: Header) -> Arrival {
        let arrival = match &mut self.stream {
            Some(stream) if stream.ssrc == header.ssrc => stream.place(header.sequence),
            _ => Arrival::Started,
        };
        match arrival {
            Arrival::Started => self.start(header),
            Arrival::Duplicate => self.duplicates += 1,
            Arrival::Reordered => self.reordered += 1,
            Arrival::InOrder | Arrival::Ahead(_) | Arrival::Stray => {}
        }
        arrival
    }

    /// Takes an accepted audio packet's timing into the jitter (events are not timed by their
    /// timestamps).
    pub fn on_audio_time(&mut self, now: Instant, timestamp: u32) {
        let elapsed = now.saturating_duration_since(self.origin);
        // In 64 bits by parts: dividing 128 bits costs as much as the rest of a packet's judgement.
        let rate = u64::from(self.clock_rate);
        let arrived = elapsed.as_secs() * rate + u64::from(elapsed.subsec_nanos()) * rate / 1_000_000_000;
        let Some(stream) = &mut self.stream else { return };
        // Wrapping in 32 bits: the timestamp's origin is arbitrary and wraps.
        let transit = i64::from((arrived as u32).wrapping_sub(timestamp) as i32);
        let Some(previous) = stream.transit.replace(transit) else { return };
        let step = u64::from(((transit as i32).wrapping_sub(previous as i32)).unsigned_abs());
        if step > MAX_TRANSIT_STEP_MS * u64::from(self.clock_rate) / 1_000 {
            return;
        }
        let step = step as u32;
        self.jitter_16 = self.jitter_16 + step - ((self.jitter_16 + 8) >> 4);
        self.jitter_max_16 = self.jitter_max_16.max(self.jitter_16);
    }

    /// The codec's clock changed with a re-INVITE.
    pub fn set_clock_rate(&mut self, clock_rate: u32) {
        let clock_rate = clock_rate.max(1);
        if clock_rate != self.clock_rate {
            self.clock_rate = clock_rate;
            self.jitter_16 = 0;
            self.jitter_max_16 = 0;
            if let Some(stream) = &mut self.stream {
                stream.transit = None;
            }
        }
    }

    /// The report block about this stream, and the start of the next interval.
    pub fn report(&mut self, last_sr: u32, delay_since_last_sr: u32) -> Option<ReportBlock> {
        let jitter = self.jitter_16 >> 4;
        let stream = self.stream.as_mut()?;
        let expected = stream.expected();
        let interval_expected = expected - stream.expected_prior;
        let interval_received = stream.received - stream.received_prior;
        stream.expected_prior = expected;
        stream.received_prior = stream.received;
        let interval_lost = interval_expected.saturating_sub(interval_received);
        let fraction_lost = (interval_lost << 8).checked_div(interval_expected).unwrap_or(0).min(255) as u8;
        Some(ReportBlock {
            ssrc: stream.ssrc,
            fraction_lost,
            cumulative_lost: expected.saturating_sub(stream.received).min(0x7f_ffff) as i32,
            highest_sequence: (stream.cycles << 16) | u32::from(stream.highest),
            jitter,
            last_sr,
            delay_since_last_sr,
        })
    }

    /// Totals.
    pub fn stats(&self) -> ReceiverStats {
        let (received, expected) = self.stream.map_or((0, 0), |stream| (stream.received, stream.expected()));
        ReceiverStats {
            received: self.earlier.received + received,
            expected: self.earlier.expected + expected,
            lost: self.earlier.lost + expected.saturating_sub(received),
            duplicates: self.duplicates,
            reordered: self.reordered,
            restarts: self.restarts,
        }
    }

    /// The current SSRC.
    pub fn ssrc(&self) -> Option<u32> {
        self.stream.map(|stream| stream.ssrc)
    }

    /// Smoothed jitter.
    pub fn jitter(&self) -> Duration {
        self.ticks(self.jitter_16)
    }

    /// The largest smoothed jitter so far.
    pub fn jitter_max(&self) -> Duration {
        self.ticks(self.jitter_max_16)
    }

    fn ticks(&self, sixteenths: u32) -> Duration {
        Duration::from_nanos(u64::from(sixteenths) * 62_500_000 / u64::from(self.clock_rate))
    }

    fn start(&mut self, header: Header) {
        if let Some(old) = self.stream {
            let (received, expected) = (old.received, old.expected());
            self.earlier.received += received;
            self.earlier.expected += expected;
            self.earlier.lost += expected.saturating_sub(received);
            self.restarts = self.restarts.saturating_add(1);
        }
        self.stream = Some(Stream {
            ssrc: header.ssrc,
            base: header.sequence,
            highest: header.sequence,
            cycles: 0,
            seen: 1,
            received: 1,
            stray: None,
            transit: None,
            expected_prior: 0,
            received_prior: 0,
        });
    }
}

impl Stream {
    fn place(&mut self, sequence: u16) -> Arrival {
        let step = sequence_delta(sequence, self.highest);
        if !(-MAX_MISORDER..=MAX_DROPOUT).contains(&step) {
            // Two in a row: the peer restarted without telling (RFC 3550 A.1).
            if self.stray == Some(sequence) {
                return Arrival::Started;
            }
            self.stray = Some(sequence.wrapping_add(1));
            return Arrival::Stray;
        }
        self.stray = None;
        if step > 0 {
            return self.advance(sequence, step as u16);
        }
        let bit = 1u128 << u32::from(step.unsigned_abs());
        if self.seen & bit != 0 {
            return Arrival::Duplicate;
        }
        self.seen |= bit;
        // A packet from before the stream's first is used, but was never expected.
        if self.cycles > 0 || sequence_delta(sequence, self.base) >= 0 {
            self.received += 1;
        }
        Arrival::Reordered
    }

    fn advance(&mut self, sequence: u16, step: u16) -> Arrival {
        if sequence < self.highest {
            self.cycles = self.cycles.wrapping_add(1);
        }
        self.highest = sequence;
        self.seen = self.seen.checked_shl(u32::from(step)).unwrap_or(0) | 1;
        self.received += 1;
        if step == 1 { Arrival::InOrder } else { Arrival::Ahead(step - 1) }
    }

    fn expected(&self) -> u64 {
        (u64::from(self.cycles) << 16) + u64::from(self.highest) + 1 - u64::from(self.base)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};
    use proptest::prelude::*;

    fn header(sequence: u16) -> Header {
        Header { marker: false, payload_type: 0, sequence, timestamp: 0, ssrc: 5 }
    }

    fn receiver() -> RtpReceiver {
        RtpReceiver::new(origin(), 8_000)
    }

    #[test]
    fn loss_reordering_and_duplicates_are_told_apart_across_the_wrap() {
        let mut receiver = receiver();
        let arrivals: Vec<Arrival> =
            [65_534, 65_535, 2, 1, 1, 0, 3].map(|n| receiver.on_packet(header(n))).to_vec();
        assert_eq!(
            arrivals,
            [
                Arrival::Started,
                Arrival::InOrder,
                Arrival::Ahead(2),
                Arrival::Reordered,
                Arrival::Duplicate,
                Arrival::Reordered,
                Arrival::InOrder
            ]
        );
        let stats = receiver.stats();
        assert_eq!((stats.expected, stats.received, stats.lost), (6, 6, 0));
        assert_eq!((stats.duplicates, stats.reordered), (1, 2));
    }

    #[test]
    fn dropout_and_misorder_limits_hold_at_and_one_past() {
        let mut at = receiver();
        at.on_packet(header(1_000));
        assert_eq!(at.on_packet(header(1_000 + 3_000)), Arrival::Ahead(2_999));
        assert_eq!(at.on_packet(header(4_000 - 100)), Arrival::Reordered);
        assert_eq!(at.on_packet(header(4_000 - 101)), Arrival::Stray);
        assert_eq!(at.on_packet(header(4_000 + 3_001)), Arrival::Stray);
    }

    #[test]
    fn two_strays_in_a_row_restart_the_stream() {
        let mut receiver = receiver();
        receiver.on_packet(header(10));
        assert_eq!(receiver.on_packet(header(40_000)), Arrival::Stray);
        assert_eq!(receiver.on_packet(header(40_001)), Arrival::Started);
        assert_eq!(receiver.stats().restarts, 1);
        assert_eq!(receiver.stats().lost, 0);
    }

    #[test]
    fn totals_survive_an_ssrc_change() {
        let mut receiver = receiver();
        for n in [1, 2, 4] {
            receiver.on_packet(header(n));
        }
        receiver.on_packet(Header { ssrc: 6, ..header(9_000) });
        let stats = receiver.stats();
        assert_eq!((stats.received, stats.expected, stats.lost, stats.restarts), (4, 5, 1, 1));
    }

    #[test]
    fn jitter_follows_rfc_3550() {
        let start = origin();
        let mut receiver = RtpReceiver::new(start, 8_000);
        receiver.on_packet(header(0));
        // Transit alternates by 8 ms (64 ticks): J converges to 64 ticks = 8 ms.
        for n in 0..400u64 {
            let late = if n % 2 == 0 { 0 } else { 8 };
            receiver.on_audio_time(after(start, n * 20 + late), 777u32.wrapping_add(n as u32 * 160));
            if n == 1 {
                // After one step of 64: J = 64/16 = 4 ticks.
                assert_eq!(receiver.jitter(), Duration::from_micros(500));
            }
        }
        let jitter = receiver.jitter().as_secs_f64() * 1_000.0;
        assert!((jitter - 8.0).abs() < 0.2, "{jitter}");
    }

    #[test]
    fn a_report_says_the_loss_of_its_own_interval() {
        let mut receiver = receiver();
        for n in 0..100 {
            receiver.on_packet(header(n));
        }
        assert_eq!(receiver.report(0, 0).unwrap().fraction_lost, 0);
        for n in (100..200).step_by(2) {
            receiver.on_packet(header(n));
        }
        let block = receiver.report(0, 0).unwrap();
        assert_eq!(block.highest_sequence, 198);
        assert_eq!(block.cumulative_lost, 49);
        assert_eq!(block.fraction_lost, (49 * 256 / 99) as u8);
    }

    proptest! {
        /// Each sequence number of a shuffled, doubled stretch is accepted exactly once.
        #[test]
        fn every_packet_is_accepted_once(
            base: u16,
            offsets in proptest::collection::vec(0u16..90, 1..300),
        ) {
            let mut receiver = receiver();
            let mut accepted = std::collections::HashSet::new();
            for offset in offsets {
                let sequence = base.wrapping_add(offset);
                let fresh = !accepted.contains(&sequence);
                let taken = receiver.on_packet(header(sequence)).is_accepted();
                prop_assert_eq!(fresh, taken);
                accepted.insert(sequence);
            }
            let stats = receiver.stats();
            prop_assert!(stats.received <= stats.expected + 90);
        }
    }
}
