//! RTCP (RFC 3550 6): compound packets read and written.
//!
//! Reports are ours on every leg and never forwarded: SSRCs and sequence numbers of one leg mean
//! nothing on another. Any RTCP counts as life for the media timeout.

mod read;
mod write;

use std::time::Duration;

pub use read::{Blocks, Packets, RtcpPacket, packets};
pub use write::{Compound, Farewell, MAX_COMPOUND};

/// Packet types.
const SENDER_REPORT: u8 = 200;
const RECEIVER_REPORT: u8 = 201;
const SOURCE_DESCRIPTION: u8 = 202;
const GOODBYE: u8 = 203;

/// NTP's era began this many seconds before Unix's.
const NTP_OFFSET_SECS: u64 = 2_208_988_800;

/// A 64-bit NTP timestamp: seconds since 1900 and their fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct NtpTime(pub u64);

impl NtpTime {
    /// From the time since the Unix epoch.
    pub fn from_unix(since_epoch: Duration) -> Self {
        let secs = since_epoch.as_secs().wrapping_add(NTP_OFFSET_SECS);
        let fraction = (u64::from(since_epoch.subsec_nanos()) << 32) / 1_000_000_000;
        Self((secs << 32) | fraction)
    }

    /// The middle 32 bits, which report blocks carry: units of 1/65,536 s.
    pub fn middle(self) -> u32 {
        (self.0 >> 16) as u32
    }
}

/// `time` in units of 1/65,536 s, as DLSR counts it.
pub fn to_short(time: Duration) -> u32 {
    ((time.as_nanos() << 16) / 1_000_000_000) as u32
}

/// A time in units of 1/65,536 s.
pub fn from_short(short: u32) -> Duration {
    Duration::from_nanos((u64::from(short) * 1_000_000_000) >> 16)
}

/// What a sender says of itself (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SenderInfo {
    /// Wall clock of the report.
    pub ntp: NtpTime,
    /// The same instant in RTP time.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// What a receiver says of one stream (RFC 3550 6.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReportBlock {
    /// The stream reported on.
    pub ssrc: u32,
    /// Loss since the last report, in 1/256.
    pub fraction_lost: u8,
    /// Loss since the beginning, 24 bits signed.
    pub cumulative_lost: i32,
    /// Highest sequence with cycles.
    pub highest_sequence: u32,
    /// Jitter in clock ticks.
    pub jitter: u32,
    /// Middle NTP bits of the last sender report received.
    pub last_sr: u32,
    /// Time since then, 1/65,536 s.
    pub delay_since_last_sr: u32,
}

impl ReportBlock {
    /// Round trip at the arrival of this block (RFC 3550 6.4.1), if the peer has heard a sender
    /// report of ours; impossible values (clock steps, broken peers) are none.
    pub fn round_trip(&self, arrived: NtpTime) -> Option<Duration> {
        if self.last_sr == 0 {
            return None;
        }
        let short = arrived.middle().wrapping_sub(self.last_sr).wrapping_sub(self.delay_since_last_sr);
        let round_trip = from_short(short);
        (round_trip < Duration::from_secs(10)).then_some(round_trip)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ntp_time_counts_from_1900() {
        let time = NtpTime::from_unix(Duration::from_millis(1_500));
        assert_eq!(time.0 >> 32, 2_208_988_801);
        assert_eq!(time.0 as u32, 1 << 31);
        assert_eq!(time.middle(), ((2_208_988_801u64 << 16) as u32) | 0x8000);
    }

    #[test]
    fn round_trip_is_arrival_less_departure_less_delay() {
        // The example of RFC 3550 figure 2: 46864.500 − 46853.125 − 5.250 = 6.125 s.
        let block = ReportBlock {
            ssrc: 1,
            fraction_lost: 0,
            cumulative_lost: 0,
            highest_sequence: 0,
            jitter: 0,
            last_sr: 0xb705_2000,
            delay_since_last_sr: 0x0005_4000,
        };
        let arrived = NtpTime(0xb710_8000 << 16);
        assert_eq!(block.round_trip(arrived), Some(Duration::from_millis(6_125)));
        assert_eq!(ReportBlock { last_sr: 0, ..block }.round_trip(arrived), None);
        assert_eq!(ReportBlock { last_sr: 0xb710_9000, ..block }.round_trip(arrived), None);
    }
}
