//! When a leg may say its first word.
//!
//! Words said before the peer can hear them are clipped: before ACK, or before a NAT has let our
//! packets in.

use std::time::{Duration, Instant};

/// How long a NATed peer is waited for after ACK.
const NAT_WAIT: Duration = Duration::from_millis(300);

/// When the first word may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Start {
    /// At ACK.
    #[default]
    AtAck,
    /// At the first inbound packet after ACK, or 300 ms after it: the peer is behind a NAT
    /// and words sent earlier are lost.
    AtFirstPacket,
    /// At once (early media).
    AtOnce,
}

/// Holds playout back until the peer can hear it.
#[derive(Clone, Copy, Debug)]
pub struct StartGate {
    start: Start,
    acked: Option<Instant>,
    heard: Option<Instant>,
}

impl StartGate {
    /// Closed, unless `start` is [`Start::AtOnce`].
    pub fn new(start: Start) -> Self {
        Self { start, acked: None, heard: None }
    }

    /// ACK arrived (or was sent).
    pub fn on_ack(&mut self, now: Instant) {
        self.acked.get_or_insert(now);
    }

    /// An inbound packet was accepted.
    pub fn on_packet(&mut self, now: Instant) {
        self.heard.get_or_insert(now);
    }

    /// Whether playout may go.
    pub fn is_open(&self, now: Instant) -> bool {
        self.start == Start::AtOnce || self.opens_at().is_some_and(|at| at <= now)
    }

    /// When it opens, if that is known; `None` also for one that was never closed.
    pub fn opens_at(&self) -> Option<Instant> {
        match self.start {
            Start::AtOnce => None,
            Start::AtAck => self.acked,
            Start::AtFirstPacket => self.acked.map(|acked| match self.heard {
                Some(heard) => (acked + NAT_WAIT).min(heard.max(acked)),
                None => acked + NAT_WAIT,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};

    #[test]
    fn the_gate_opens_at_ack_or_when_a_natted_peer_is_heard() {
        let start = origin();
        let mut plain = StartGate::new(Start::AtAck);
        assert!(!plain.is_open(start));
        plain.on_ack(start);
        assert!(plain.is_open(start));

        let mut silent = StartGate::new(Start::AtFirstPacket);
        silent.on_ack(start);
        assert!(!silent.is_open(after(start, 299)));
        assert!(silent.is_open(after(start, 300)));

        let mut speaking = StartGate::new(Start::AtFirstPacket);
        speaking.on_packet(start);
        assert!(!speaking.is_open(after(start, 900)), "never before ACK");
        speaking.on_ack(after(start, 1_000));
        assert!(speaking.is_open(after(start, 1_000)));

        assert!(StartGate::new(Start::AtOnce).is_open(start));
    }
}
