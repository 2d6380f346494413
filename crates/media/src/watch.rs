//! The media timeout: silence where the negotiated direction says the peer speaks.
//!
//! RTP and RTCP both count as life; on hold the watch is off.

use std::time::{Duration, Instant};

/// Says when a leg has been silent for too long.
#[derive(Clone, Copy, Debug)]
pub struct MediaWatch {
    timeout: Option<Duration>,
    expects_media: bool,
    last_life: Instant,
    fired: bool,
}

impl MediaWatch {
    /// Counting from `now`.
    pub fn new(now: Instant, timeout: Option<Duration>, expects_media: bool) -> Self {
        Self { timeout, expects_media, last_life: now, fired: false }
    }

    /// RTP or RTCP was accepted.
    pub fn on_life(&mut self, now: Instant) {
        self.last_life = now;
        self.fired = false;
    }

    /// The negotiated direction changed: counting starts anew when media is expected again.
    pub fn expect(&mut self, now: Instant, expects_media: bool) {
        if expects_media && !self.expects_media {
            self.last_life = now;
            self.fired = false;
        }
        self.expects_media = expects_media;
    }

    /// True once per silence.
    pub fn poll(&mut self, now: Instant) -> bool {
        let due = self.deadline().is_some_and(|deadline| now >= deadline);
        self.fired |= due;
        due
    }

    /// When the silence becomes a timeout.
    pub fn deadline(&self) -> Option<Instant> {
        let armed = self.expects_media && !self.fired;
        self.timeout.filter(|_| armed).map(|timeout| self.last_life + timeout)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};

    #[test]
    fn silence_is_a_fault_only_where_the_peer_should_speak() {
        let start = origin();
        let minute = Some(Duration::from_mins(1));
        let mut watch = MediaWatch::new(start, minute, true);
        assert!(!watch.poll(after(start, 59_999)));
        watch.on_life(after(start, 59_999));
        assert!(!watch.poll(after(start, 119_998)));
        assert!(watch.poll(after(start, 119_999)));
        assert!(!watch.poll(after(start, 200_000)), "once per silence");

        let mut held = MediaWatch::new(start, minute, false);
        assert!(!held.poll(after(start, 900_000)));
        held.expect(after(start, 900_000), true);
        assert!(!held.poll(after(start, 959_999)));
        assert!(held.poll(after(start, 960_000)));
        assert!(!MediaWatch::new(start, None, true).poll(after(start, 900_000)));
    }
}
