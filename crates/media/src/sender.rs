//! One leg's outgoing RTP identity: one SSRC, continuous sequence, timestamps that never go back.
//!
//! Whatever speaks on the leg (a file, a mixer, another leg, digits) takes its headers from here,
//! so the peer sees one stream for the life of the call. Restarted SSRCs silence some session
//! border controllers and make others drop the call. A switch of source, or a silence, advances
//! the timestamp by the time that passed and sets the marker bit.

use std::time::{Duration, Instant};

use crate::rtp::{Header, sequence_delta, timestamp_delta};

/// Where the audio of an outgoing packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Files, speech, tones and silence from the leg's own queue.
    Playout,
    /// Another leg's packets, rewritten one to one.
    Relay,
    /// Another leg's audio, cut into packets of another length.
    Repacketised,
    /// A conference mixer or an audio stream.
    Frames,
    /// DTMF events.
    Digits,
}

/// Later than expected by more than this, a source starts a new talk spurt.
const SPURT_GAP: Duration = Duration::from_millis(60);

#[derive(Clone, Copy, Debug)]
struct Last {
    at: Instant,
    timestamp: u32,
    samples: u32,
}

/// One SSRC, continuous sequence and monotonic timestamps for the life of the leg.
#[derive(Clone, Debug)]
pub struct RtpSender {
    ssrc: u32,
    next_sequence: u16,
    first_timestamp: u32,
    clock_rate: u32,
    last: Option<Last>,
    source: Option<SourceKind>,
    /// Counts source switches, so that a relay mapping made before one is known to be stale.
    epoch: u32,
    packets: u64,
    octets: u64,
}

impl RtpSender {
    /// Starts an identity; the first two numbers should be random (RFC 3550 5.1).
    pub fn new(ssrc: u32, first_sequence: u16, first_timestamp: u32, clock_rate: u32) -> Self {
        Self {
            ssrc,
            next_sequence: first_sequence,
            first_timestamp,
            clock_rate,
            last: None,
            source: None,
            epoch: 0,
            packets: 0,
            octets: 0,
        }
    }

    /// The header of the next packet of `samples` clock ticks from `source`, due at `at`.
    pub fn next(&mut self, at: Instant, source: SourceKind, payload_type: u8, samples: u32) -> Header {
        let switched = self.switch_to(source);
        let fresh = switched || self.is_late(at);
        let timestamp = match self.last {
            Some(last) if !fresh => last.timestamp.wrapping_add(last.samples),
            _ => self.timestamp_at(at),
        };
        let at = match self.last {
            // Stay on the source's own grid: a late call must not stretch time.
            Some(last) if !fresh => last.at + self.time_of(last.samples),
            _ => at,
        };
        let sequence = self.take_sequence();
        self.last = Some(Last { at, timestamp, samples });
        Header { marker: fresh, payload_type, sequence, timestamp, ssrc: self.ssrc }
    }

    /// The timestamp under which a DTMF event starts at `at`.
    pub fn begin_event(&mut self, at: Instant) -> u32 {
        self.switch_to(SourceKind::Digits);
        let timestamp = self.timestamp_at(at);
        self.last = Some(Last { at, timestamp, samples: 0 });
        timestamp
    }

    /// The next packet of the event that began at `timestamp` and has lasted `duration` ticks.
    pub fn event_packet(&mut self, timestamp: u32, marker: bool, payload_type: u8, duration: u32) -> Header {
        let sequence = self.take_sequence();
        if let Some(last) = &mut self.last
            && last.timestamp == timestamp
        {
            last.samples = last.samples.max(duration);
        }
        Header { marker, payload_type, sequence, timestamp, ssrc: self.ssrc }
    }

    /// Makes `source` the speaker; true if another spoke before.
    pub(crate) fn switch_to(&mut self, source: SourceKind) -> bool {
        let switched = self.source != Some(source);
        if switched {
            self.source = Some(source);
            self.epoch = self.epoch.wrapping_add(1);
        }
        switched
    }

    /// Takes note of a relayed packet whose numbers the rewriter chose.
    pub(crate) fn relayed(&mut self, at: Instant, sequence: u16, timestamp: u32, samples: u32) {
        if sequence_delta(sequence, self.next_sequence) >= 0 {
            self.next_sequence = sequence.wrapping_add(1);
        }
        // Packets of one event share a timestamp: time counts from the first of them.
        let newer = self.last.is_none_or(|last| timestamp_delta(timestamp, last.timestamp) > 0);
        if newer {
            self.last = Some(Last { at, timestamp, samples });
        }
    }

    /// Counts a packet that leaves.
    pub fn count(&mut self, payload_len: usize) {
        self.packets += 1;
        self.octets += payload_len as u64;
    }

    /// A re-INVITE settled a codec with another clock: timestamps go on from where they are.
    pub fn set_clock_rate(&mut self, at: Instant, clock_rate: u32) {
        if clock_rate != self.clock_rate {
            self.first_timestamp = self.timestamp_at(at);
            self.last = self.last.map(|_| Last { at, timestamp: self.first_timestamp, samples: 0 });
            self.clock_rate = clock_rate;
            self.source = None;
        }
    }

    /// The timestamp of this instant in our stream; never before what was already sent.
    pub fn timestamp_at(&self, at: Instant) -> u32 {
        let Some(last) = self.last else { return self.first_timestamp };
        let elapsed = self.ticks_in(at.saturating_duration_since(last.at));
        last.timestamp.wrapping_add(elapsed.max(last.samples))
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }

    /// RTP clock.
    pub fn clock_rate(&self) -> u32 {
        self.clock_rate
    }

    /// Packets sent.
    pub fn packets(&self) -> u64 {
        self.packets
    }

    /// Payload bytes sent.
    pub fn octets(&self) -> u64 {
        self.octets
    }

    /// When the last packet was sent, if any was.
    pub fn last_sent(&self) -> Option<Instant> {
        self.last.map(|last| last.at)
    }

    pub(crate) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(crate) fn next_sequence(&self) -> u16 {
        self.next_sequence
    }

    fn take_sequence(&mut self) -> u16 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        sequence
    }

    fn is_late(&self, at: Instant) -> bool {
        self.last
            .is_none_or(|last| at.saturating_duration_since(last.at) > self.time_of(last.samples) + SPURT_GAP)
    }

    fn ticks_in(&self, time: Duration) -> u32 {
        (time.as_nanos() * u128::from(self.clock_rate) / 1_000_000_000) as u32
    }

    fn time_of(&self, samples: u32) -> Duration {
        Duration::from_nanos(u64::from(samples) * 1_000_000_000 / u64::from(self.clock_rate.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};

    #[test]
    fn one_source_counts_on_and_marks_only_its_start() {
        let start = origin();
        let mut sender = RtpSender::new(9, 65_534, u32::MAX - 100, 8_000);
        let headers: Vec<Header> =
            (0..4).map(|n| sender.next(after(start, n * 20), SourceKind::Playout, 0, 160)).collect();
        assert_eq!(headers.iter().map(|h| h.sequence).collect::<Vec<_>>(), [65_534, 65_535, 0, 1]);
        assert_eq!(headers.iter().map(|h| h.marker).collect::<Vec<_>>(), [true, false, false, false]);
        for pair in headers.windows(2) {
            assert_eq!(timestamp_delta(pair[1].timestamp, pair[0].timestamp), 160);
        }
    }

    #[test]
    fn silence_advances_time_and_sets_the_marker() {
        let start = origin();
        let mut sender = RtpSender::new(9, 1, 1_000, 8_000);
        sender.next(start, SourceKind::Playout, 0, 160);
        let header = sender.next(after(start, 1_000), SourceKind::Playout, 0, 160);
        assert_eq!((header.sequence, header.timestamp, header.marker), (2, 9_000, true));
    }

    #[test]
    fn a_late_tick_does_not_stretch_time() {
        let start = origin();
        let mut sender = RtpSender::new(9, 1, 1_000, 8_000);
        for (tick, late_ms) in [(0, 0), (20, 15), (40, 0), (60, 30)] {
            let header = sender.next(after(start, tick + late_ms), SourceKind::Frames, 0, 160);
            assert_eq!(header.timestamp, 1_000 + tick as u32 * 8);
        }
        let relay = sender.next(after(start, 80), SourceKind::Playout, 0, 160);
        assert_eq!((relay.timestamp, relay.marker), (1_640, true));
    }

    #[test]
    fn audio_after_an_event_starts_after_its_duration() {
        let start = origin();
        let mut sender = RtpSender::new(9, 1, 1_000, 8_000);
        sender.next(start, SourceKind::Playout, 0, 160);
        let event = sender.begin_event(after(start, 20));
        assert_eq!(event, 1_160);
        assert_eq!(sender.event_packet(event, true, 101, 160).sequence, 2);
        assert_eq!(sender.event_packet(event, false, 101, 800).timestamp, 1_160);
        let audio = sender.next(after(start, 40), SourceKind::Playout, 0, 160);
        assert_eq!((audio.sequence, audio.timestamp, audio.marker), (4, 1_960, true));
    }
}
