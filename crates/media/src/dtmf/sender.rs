//! Digits out as telephone-events (RFC 4733 2.5.1).
//!
//! One packet per packet time with a growing duration under one timestamp, the end three times,
//! then a pause. Sequence numbers come from the leg's own sender, so the peer sees one stream.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Digit, DigitsError, TelephoneEvent};
use crate::sender::RtpSender;

/// Digits and pauses queued at most.
pub const MAX_QUEUED_DIGITS: usize = 128;

/// How long a digit sounds: twice what Q.24 demands of receivers.
const TONE: Duration = Duration::from_millis(100);
/// Between two digits, after the last end packet.
const GAP: Duration = Duration::from_millis(60);
/// The end is sent this often (RFC 4733 2.5.1.4).
const END_PACKETS: u8 = 3;
/// −10 dBm0, what phones send.
const VOLUME: u8 = 10;
/// Called later than this, the schedule starts again from now instead of bursting.
const MAX_LAG: Duration = Duration::from_millis(100);

#[derive(Clone, Copy, Debug)]
enum Token {
    Digit(Digit),
    Pause(Duration),
}

#[derive(Clone, Copy, Debug)]
struct Sounding {
    digit: Digit,
    timestamp: u32,
    packets: u32,
    ends: u8,
}

/// Dials on one leg.
#[derive(Debug)]
pub struct DtmfSender {
    queue: VecDeque<Token>,
    sounding: Option<Sounding>,
    next_at: Instant,
}

impl DtmfSender {
    /// Nothing to dial.
    pub fn new(now: Instant) -> Self {
        Self { queue: VecDeque::new(), sounding: None, next_at: now }
    }

    /// Queues `digits`: `0-9*#A-D`, `w` for half a second, `W` for a second. All or nothing.
    pub fn dial(&mut self, now: Instant, digits: &str) -> Result<(), DigitsError> {
        let mut tokens = VecDeque::new();
        for character in digits.chars() {
            tokens.push_back(match character {
                'w' => Token::Pause(Duration::from_millis(500)),
                'W' => Token::Pause(Duration::from_secs(1)),
                other => Token::Digit(Digit::from_char(other).ok_or(DigitsError::Character(other))?),
            });
            if self.queue.len() + tokens.len() > MAX_QUEUED_DIGITS {
                return Err(DigitsError::TooMany);
            }
        }
        if !self.is_busy() {
            self.next_at = self.next_at.max(now);
        }
        self.queue.append(&mut tokens);
        Ok(())
    }

    /// Whether anything is left to send.
    pub fn is_busy(&self) -> bool {
        self.sounding.is_some() || !self.queue.is_empty()
    }

    /// Forgets the rest; a sounding digit is left to the peer's timeout.
    pub fn clear(&mut self) {
        self.queue.clear();
        self.sounding = None;
    }

    /// When the next packet is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.is_busy().then_some(self.next_at)
    }

    /// The next packet, if one is due.
    pub fn poll(
        &mut self,
        now: Instant,
        ptime: Duration,
        payload_type: u8,
        sender: &mut RtpSender,
        out: &mut [u8],
    ) -> Option<usize> {
        while self.is_busy() && self.next_at <= now {
            if now - self.next_at > MAX_LAG {
                self.next_at = now;
            }
            if let Some(sounding) = self.sounding.take() {
                return self.sound(sounding, ptime, payload_type, sender, out);
            }
            match self.queue.pop_front()? {
                Token::Pause(pause) => self.next_at += pause,
                Token::Digit(digit) => {
                    let timestamp = sender.begin_event(self.next_at);
                    self.sounding = Some(Sounding { digit, timestamp, packets: 0, ends: 0 });
                }
            }
        }
        None
    }

    fn sound(
        &mut self,
        mut sounding: Sounding,
        ptime: Duration,
        payload_type: u8,
        sender: &mut RtpSender,
        out: &mut [u8],
    ) -> Option<usize> {
        let step = (ptime.as_millis() as u64 * u64::from(sender.clock_rate()) / 1_000) as u32;
        let whole = (TONE.as_millis() as u64 * u64::from(sender.clock_rate()) / 1_000) as u32;
        let first = sounding.packets == 0;
        sounding.packets += 1;
        let duration = (sounding.packets * step).min(whole);
        let end = !first && duration >= whole;
        sounding.ends += u8::from(end);
        let event = TelephoneEvent {
            event: sounding.digit.event(),
            end,
            volume: VOLUME,
            duration: u16::try_from(duration).unwrap_or(u16::MAX),
        };
        let header = sender.event_packet(sounding.timestamp, first, payload_type, duration);
        self.next_at += ptime;
        if sounding.ends < END_PACKETS {
            self.sounding = Some(sounding);
        } else {
            self.next_at += GAP;
        }
        let payload = event.to_bytes();
        header.write(&payload, out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtmf::{DigitEvent, EventReceiver};
    use crate::rtp::Packet;
    use crate::test_clock::{after, origin};

    const PTIME: Duration = Duration::from_millis(20);

    fn drain(dial: &mut DtmfSender, start: Instant, until_ms: u64) -> Vec<(u64, Packet, TelephoneEvent)> {
        let mut sender = RtpSender::new(3, 500, 0, 8_000);
        let mut out = [0; 64];
        let mut sent = Vec::new();
        for ms in (0..until_ms).step_by(5) {
            while let Some(len) = dial.poll(after(start, ms), PTIME, 101, &mut sender, &mut out) {
                let packet = Packet::parse(&out[..len]).unwrap();
                let event = TelephoneEvent::parse(packet.payload(&out[..len])).unwrap();
                sent.push((ms, packet, event));
            }
        }
        sent
    }

    #[test]
    fn a_digit_grows_ends_three_times_and_keeps_its_timestamp() {
        let start = origin();
        let mut dial = DtmfSender::new(start);
        dial.dial(start, "5").unwrap();
        let sent = drain(&mut dial, start, 1_000);
        let durations: Vec<u16> = sent.iter().map(|(_, _, event)| event.duration).collect();
        assert_eq!(durations, [160, 320, 480, 640, 800, 800, 800]);
        assert_eq!(sent.iter().filter(|(_, _, event)| event.end).count(), 3);
        assert!(sent.iter().all(|(_, packet, _)| packet.header.timestamp == 0));
        assert_eq!(sent.iter().filter(|(_, packet, _)| packet.header.marker).count(), 1);
        for pair in sent.windows(2) {
            assert_eq!(pair[1].1.header.sequence, pair[0].1.header.sequence + 1);
            assert_eq!(pair[1].0 - pair[0].0, 20);
        }
        assert!(!dial.is_busy());
    }

    #[test]
    fn pauses_take_their_time() {
        let start = origin();
        let mut dial = DtmfSender::new(start);
        dial.dial(start, "W1w2").unwrap();
        let sent = drain(&mut dial, start, 3_000);
        let begins: Vec<u64> =
            sent.iter().filter(|(_, packet, _)| packet.header.marker).map(|(ms, _, _)| *ms).collect();
        // 1 s; then seven packets, the gap and half a second.
        assert_eq!(begins, [1_000, 1_000 + 140 + 60 + 500]);
        let stamps: Vec<u32> = sent
            .iter()
            .filter(|(_, packet, _)| packet.header.marker)
            .map(|(_, packet, _)| packet.header.timestamp)
            .collect();
        assert_eq!(stamps[1] - stamps[0], 700 * 8);
    }

    #[test]
    fn what_is_dialled_is_heard() {
        let start = origin();
        let mut dial = DtmfSender::new(start);
        dial.dial(start, "1123#*AD").unwrap();
        let mut receiver = EventReceiver::new(8_000);
        let heard: String = drain(&mut dial, start, 5_000)
            .into_iter()
            .filter_map(|(ms, packet, event)| {
                let header = packet.header;
                receiver.on_event(after(start, ms), header.ssrc, header.timestamp, header.marker, event)
            })
            .filter_map(|event| match event {
                DigitEvent::Began(digit) => Some(digit.as_char()),
                DigitEvent::Ended { .. } => None,
            })
            .collect();
        assert_eq!(heard, "1123#*AD");
    }

    #[test]
    fn a_bad_string_queues_nothing_and_the_limit_is_exact() {
        let start = origin();
        let mut dial = DtmfSender::new(start);
        assert_eq!(dial.dial(start, "12x"), Err(DigitsError::Character('x')));
        assert!(!dial.is_busy());
        assert_eq!(dial.dial(start, &"1".repeat(MAX_QUEUED_DIGITS + 1)), Err(DigitsError::TooMany));
        assert!(dial.dial(start, &"1".repeat(MAX_QUEUED_DIGITS)).is_ok());
        assert_eq!(dial.dial(start, "1"), Err(DigitsError::TooMany));
    }
}
