//! RTCP and quality: our reports out, the peer's in.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::MediaLeg;
use super::facts::{Received, Reject, RtcpFacts};
use crate::latch::LatchPolicy;
use crate::quality::{Quality, mos, one_way_delay};
use crate::rtcp::{Compound, Farewell, NtpTime, ReportBlock, RtcpPacket, SenderInfo, packets, to_short};

/// Mean time between reports (RFC 3550 6.2).
const INTERVAL_MS: u64 = 5_000;

/// A leg's RTCP state.
#[derive(Debug)]
pub(super) struct Reports {
    born: Instant,
    unix_time: Duration,
    next_at: Instant,
    random: u32,
    packets_at_last: u64,
    /// The peer's last sender report: middle NTP bits and when it came.
    last_sr: Option<(u32, Instant)>,
    /// The peer's last word on our stream.
    remote: Option<ReportBlock>,
    round_trip: Option<Duration>,
    /// A NATed peer's RTCP comes from a port nobody announced.
    learned: Option<SocketAddr>,
}

impl Reports {
    pub(super) fn new(now: Instant, unix_time: Duration, seed: u32) -> Self {
        let mut reports = Self {
            born: now,
            unix_time,
            next_at: now,
            random: seed | 1,
            packets_at_last: 0,
            last_sr: None,
            remote: None,
            round_trip: None,
            learned: None,
        };
        // The first comes after half the time (RFC 3550 6.2).
        reports.next_at = now + reports.interval() / 2;
        reports
    }

    pub(super) fn forget_address(&mut self) {
        self.learned = None;
    }

    /// When the leg was made.
    pub(super) fn born(&self) -> Instant {
        self.born
    }

    fn ntp(&self, now: Instant) -> NtpTime {
        NtpTime::from_unix(self.unix_time + now.saturating_duration_since(self.born))
    }

    /// 0.5 to 1.5 times the mean, so that legs do not report in step.
    fn interval(&mut self) -> Duration {
        self.random = self.random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Duration::from_millis(INTERVAL_MS / 2 + INTERVAL_MS * u64::from(self.random >> 16) / 65_536)
    }
}

impl MediaLeg {
    /// Our RTCP compound if one is due, for `rtcp_destination()`.
    pub fn rtcp(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        if self.report_deadline()? > now {
            return None;
        }
        let interval = self.reports.interval();
        self.reports.next_at = now + interval;
        self.compound(now, Farewell::None, out)
    }

    /// The farewell RTCP (report, SDES, BYE) when the leg ends; `None` if nothing was ever sent.
    pub fn rtcp_bye(&mut self, now: Instant, out: &mut [u8]) -> Option<usize> {
        self.rtcp_destination()?;
        if self.sender.packets() == 0 {
            return None;
        }
        self.compound(now, Farewell::Bye, out)
    }

    /// Where RTCP goes: where it came from, else as announced, else one port above RTP.
    pub fn rtcp_destination(&self) -> Option<SocketAddr> {
        let rtp = self.destination()?;
        if let Some(learned) = self.reports.learned {
            return Some(learned);
        }
        match self.negotiated.remote_rtcp {
            announced if announced.is_some() && announced == self.negotiated.remote => Some(rtp),
            Some(announced) if !self.latch.is_latched() => Some(announced),
            _ => Some(SocketAddr::new(rtp.ip(), rtp.port().checked_add(1)?)),
        }
    }

    /// Quality of what we receive.
    pub fn quality(&self) -> Quality {
        let stats = self.receiver.stats();
        let jitter = self.receiver.jitter();
        let loss_percent = percent(stats.lost, stats.expected);
        self.score(self.negotiated.receive.codec, loss_percent, jitter, self.receiver.jitter_max())
    }

    /// Quality of what the peer receives, as its RTCP says.
    pub fn remote_quality(&self) -> Option<Quality> {
        let block = self.reports.remote?;
        let lost = u64::try_from(block.cumulative_lost).unwrap_or(0);
        let loss_percent = percent(lost, self.sender.packets().max(lost));
        let clock_rate = u64::from(self.sender.clock_rate().max(1));
        let jitter = Duration::from_micros(u64::from(block.jitter) * 1_000_000 / clock_rate);
        Some(self.score(self.negotiated.send.codec, loss_percent, jitter, jitter))
    }

    /// Round trip by RTCP, if both sides report.
    pub fn round_trip(&self) -> Option<Duration> {
        self.reports.round_trip
    }

    pub(super) fn report_deadline(&self) -> Option<Instant> {
        let alive = self.sender.packets() > 0 || self.receiver.ssrc().is_some();
        (alive && self.rtcp_destination().is_some()).then_some(self.reports.next_at)
    }

    pub(super) fn on_rtcp(
        &mut self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
    ) -> Result<Received, Reject> {
        if !self.latch.permits_rtcp(source.ip()) {
            return Err(Reject::Source);
        }
        let mut facts = RtcpFacts::default();
        let mut read = 0;
        for packet in packets(datagram) {
            read += 1;
            match packet {
                RtcpPacket::SenderReport { info, blocks, .. } => {
                    self.reports.last_sr = Some((info.ntp.middle(), now));
                    facts.report |= self.take_blocks(now, blocks);
                }
                RtcpPacket::ReceiverReport { blocks, .. } => facts.report |= self.take_blocks(now, blocks),
                RtcpPacket::Goodbye { .. } => facts.bye = true,
                RtcpPacket::SourceDescription | RtcpPacket::Other(_) => {}
            }
        }
        if read == 0 {
            return Err(Reject::Malformed);
        }
        if self.latch.policy() == LatchPolicy::Nat {
            self.reports.learned = Some(source);
        }
        Ok(Received::Rtcp(facts))
    }

    fn take_blocks(&mut self, now: Instant, blocks: crate::rtcp::Blocks<'_>) -> bool {
        let ours = self.sender.ssrc();
        let Some(block) = blocks.into_iter().find(|block| block.ssrc == ours) else { return false };
        if let Some(round_trip) = block.round_trip(self.reports.ntp(now)) {
            self.reports.round_trip = Some(round_trip);
        }
        self.reports.remote = Some(block);
        true
    }

    fn compound(&mut self, now: Instant, farewell: Farewell, out: &mut [u8]) -> Option<usize> {
        let sent = self.sender.packets();
        let sends = sent > self.reports.packets_at_last;
        self.reports.packets_at_last = sent;
        let sender = sends.then(|| SenderInfo {
            ntp: self.reports.ntp(now),
            rtp_timestamp: self.sender.timestamp_at(now),
            packets: sent as u32,
            octets: self.sender.octets() as u32,
        });
        let (last_sr, delay) = self
            .reports
            .last_sr
            .map_or((0, 0), |(middle, came)| (middle, to_short(now.saturating_duration_since(came))));
        let block = self.receiver.report(last_sr, delay);
        self.unproven = self.unproven.map(|left| left.saturating_sub(1));
        Compound { ssrc: self.sender.ssrc(), sender, block, farewell }.write(out)
    }

    fn score(
        &self,
        codec: crate::codec::Codec,
        loss_percent: f64,
        jitter: Duration,
        jitter_max: Duration,
    ) -> Quality {
        let round_trip = self.reports.round_trip;
        let delay = one_way_delay(round_trip, jitter, self.ptime());
        let ms = |time: Duration| (time.as_secs_f64() * 1_000.0) as f32;
        Quality {
            mos: mos(codec, loss_percent, delay) as f32,
            jitter_ms: ms(jitter),
            jitter_ms_max: ms(jitter_max),
            loss_percent: loss_percent as f32,
            round_trip_ms: round_trip.map(ms),
        }
    }
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 * 100.0 / whole as f64 }
}
