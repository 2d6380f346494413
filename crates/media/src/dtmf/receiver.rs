//! One digit out of a burst of telephone-events.
//!
//! A key press arrives as a dozen packets with one timestamp, the last of them three times; any
//! may be lost, doubled or late. Presses are told apart by (SSRC, timestamp). A lost end is closed
//! by timeout, so a digit never hangs and is never reported twice.

use std::time::{Duration, Instant};

use super::{Digit, DigitEvent, TelephoneEvent};

/// Without a packet for this long the key is taken as released: several packets' worth even at
/// the 50 ms that some gateways use between updates.
const LOST_END: Duration = Duration::from_millis(200);

#[derive(Clone, Copy, Debug)]
struct Press {
    ssrc: u32,
    timestamp: u32,
    digit: Digit,
    /// Ticks of segments before this one: an event longer than 65,535 ticks continues under a new
    /// timestamp (RFC 4733 2.5.1.3).
    earlier: u32,
    duration: u16,
    last_seen: Instant,
    ended: bool,
}

/// Receives telephone-events of one leg.
#[derive(Clone, Debug)]
pub struct EventReceiver {
    clock_rate: u32,
    press: Option<Press>,
}

impl EventReceiver {
    /// For events with this RTP clock (8 kHz, or 48 kHz beside Opus).
    pub fn new(clock_rate: u32) -> Self {
        Self { clock_rate: clock_rate.max(1), press: None }
    }

    /// Takes one packet; says when a press begins and when it ends.
    pub fn on_event(
        &mut self,
        now: Instant,
        ssrc: u32,
        timestamp: u32,
        marker: bool,
        event: TelephoneEvent,
    ) -> Option<DigitEvent> {
        let digit = Digit::from_event(event.event)?;
        let rate = self.clock_rate;
        if let Some(press) = self.press.as_mut().filter(|press| press.ssrc == ssrc) {
            let delta = crate::rtp::timestamp_delta(timestamp, press.timestamp);
            if delta < 0 && delta > -(rate as i32 * 10) {
                return None;
            }
            if delta > 0 && press.continues(marker, digit, delta, event) {
                press.earlier += delta as u32;
                press.duration = event.duration;
                press.timestamp = timestamp;
            }
            if press.timestamp == timestamp {
                return press.update(now, rate, event);
            }
        }
        self.press = Some(Press {
            ssrc,
            timestamp,
            digit,
            earlier: 0,
            duration: event.duration,
            last_seen: now,
            ended: false,
        });
        Some(DigitEvent::Began(digit))
    }

    /// Closes a press whose end never came.
    pub fn poll(&mut self, now: Instant) -> Option<DigitEvent> {
        if self.deadline()? > now {
            return None;
        }
        let rate = self.clock_rate;
        self.press.as_mut().map(|press| press.close(rate))
    }

    /// When [`poll`](Self::poll) may close a press.
    pub fn deadline(&self) -> Option<Instant> {
        self.press.filter(|press| !press.ended).map(|press| press.last_seen + LOST_END)
    }
}

impl Press {
    /// Whether a packet with a later timestamp belongs to this press all the same: the next
    /// segment of a long event, or a gateway that advances the timestamp with every update.
    fn continues(&self, marker: bool, digit: Digit, delta: i32, event: TelephoneEvent) -> bool {
        let next_segment = delta as u32 == u32::from(self.duration) || delta == 0xffff;
        let drifting = event.duration > self.duration && delta as u32 <= u32::from(event.duration);
        !self.ended && !marker && digit == self.digit && (next_segment || drifting)
    }

    fn update(&mut self, now: Instant, rate: u32, event: TelephoneEvent) -> Option<DigitEvent> {
        if self.ended {
            return None;
        }
        self.last_seen = now;
        self.duration = self.duration.max(event.duration);
        event.end.then(|| self.close(rate))
    }

    fn close(&mut self, rate: u32) -> DigitEvent {
        self.ended = true;
        let ticks = u64::from(self.earlier) + u64::from(self.duration);
        let duration_ms = u16::try_from(ticks * 1_000 / u64::from(rate)).unwrap_or(u16::MAX);
        DigitEvent::Ended { digit: self.digit, duration_ms }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};
    use proptest::prelude::*;

    fn event(code: u8, duration: u16, end: bool) -> TelephoneEvent {
        TelephoneEvent { event: code, end, volume: 10, duration }
    }

    #[test]
    fn a_press_is_reported_once_with_its_length() {
        let start = origin();
        let mut receiver = EventReceiver::new(8_000);
        let mut heard = Vec::new();
        for step in 1..=5u16 {
            heard.extend(receiver.on_event(
                after(start, u64::from(step) * 20),
                7,
                1_000,
                step == 1,
                event(5, step * 160, false),
            ));
        }
        for _ in 0..3 {
            heard.extend(receiver.on_event(after(start, 120), 7, 1_000, false, event(5, 960, true)));
        }
        let five = Digit::from_char('5').unwrap();
        assert_eq!(heard, [DigitEvent::Began(five), DigitEvent::Ended { digit: five, duration_ms: 120 }]);
        assert_eq!(receiver.deadline(), None);
    }

    #[test]
    fn a_lost_end_is_closed_by_timeout() {
        let start = origin();
        let mut receiver = EventReceiver::new(8_000);
        assert!(receiver.on_event(start, 7, 1_000, true, event(11, 160, false)).is_some());
        assert_eq!(receiver.poll(after(start, 199)), None);
        let hash = Digit::from_char('#').unwrap();
        assert_eq!(
            receiver.poll(after(start, 200)),
            Some(DigitEvent::Ended { digit: hash, duration_ms: 20 })
        );
        assert_eq!(receiver.poll(after(start, 400)), None);
        assert_eq!(receiver.on_event(after(start, 401), 7, 1_000, false, event(11, 800, true)), None);
    }

    #[test]
    fn the_same_key_twice_is_two_presses() {
        let start = origin();
        let mut receiver = EventReceiver::new(8_000);
        assert!(receiver.on_event(start, 7, 1_000, true, event(1, 160, false)).is_some());
        assert!(receiver.on_event(start, 7, 1_000, false, event(1, 320, true)).is_some());
        assert_eq!(
            receiver.on_event(after(start, 80), 7, 1_800, true, event(1, 160, false)),
            Some(DigitEvent::Began(Digit(1)))
        );
    }

    #[test]
    fn a_gateway_that_moves_the_timestamp_presses_once() {
        let start = origin();
        let mut receiver = EventReceiver::new(8_000);
        let mut began = 0;
        for step in 1..=10u16 {
            let heard = receiver.on_event(
                after(start, u64::from(step) * 20),
                7,
                1_000 + u32::from(step) * 160,
                step == 1,
                event(3, step * 160, false),
            );
            began += usize::from(matches!(heard, Some(DigitEvent::Began(_))));
        }
        assert_eq!(began, 1);
    }

    #[test]
    fn events_that_are_no_digits_are_ignored() {
        let mut receiver = EventReceiver::new(8_000);
        assert_eq!(receiver.on_event(origin(), 7, 1_000, true, event(16, 160, false)), None);
        assert_eq!(receiver.deadline(), None);
    }

    proptest! {
        /// Loss, doubling and reordering inside a burst never invent or double a digit.
        #[test]
        fn each_press_is_heard_once_whatever_the_network_does(
            keys in proptest::collection::vec(0u8..16, 1..8),
            fates in proptest::collection::vec(0u8..10, 128),
            swaps in proptest::collection::vec(any::<bool>(), 128),
        ) {
            let start = origin();
            let mut receiver = EventReceiver::new(8_000);
            let mut fate = fates.iter().cycle();
            let mut swap = swaps.iter().cycle();
            let (mut heard, mut expected, mut ended) = (Vec::new(), Vec::new(), 0);
            for (index, key) in keys.iter().enumerate() {
                let timestamp = 1_000 + index as u32 * 2_400;
                let mut burst: Vec<TelephoneEvent> =
                    (1..=5u16).map(|step| event(*key, step * 160, false)).collect();
                burst.extend([event(*key, 960, true); 3]);
                let mut wire = Vec::new();
                for packet in burst {
                    match fate.next().copied().unwrap_or(0) {
                        0..3 => {}
                        3 => wire.extend([packet, packet]),
                        _ => wire.push(packet),
                    }
                }
                for at in 1..wire.len() {
                    if swap.next().copied().unwrap_or(false) {
                        wire.swap(at - 1, at);
                    }
                }
                if !wire.is_empty() {
                    expected.push(*key);
                }
                for (step, packet) in wire.iter().enumerate() {
                    let now = after(start, index as u64 * 300 + step as u64 * 10);
                    if let Some(event) = receiver.on_event(now, 7, timestamp, false, *packet) {
                        match event {
                            DigitEvent::Began(digit) => heard.push(digit.event()),
                            DigitEvent::Ended { .. } => ended += 1,
                        }
                    }
                }
                ended += usize::from(receiver.poll(after(start, index as u64 * 300 + 299)).is_some());
            }
            prop_assert_eq!(heard, expected.clone());
            prop_assert_eq!(ended, expected.len());
        }
    }
}
