//! Which source address a leg listens to and speaks to.
//!
//! Pure decisions: an address, an SSRC and a sequence number in, a verdict out. A peer behind NAT
//! announces an address that is not the one its packets come from; a stranger who guesses our port
//! must not take the call over. So the destination moves only within bounds.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::rtp::sequence_delta;

/// How far a leg trusts the source address over SDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum LatchPolicy {
    /// Send to the SDP address always; accept any port of its IP address, one at a time (carriers
    /// and ACL trunks; sending from another port than announced is legal).
    #[default]
    Strict,
    /// As `Strict`, but the first packet's port becomes the destination (carriers that rewrite
    /// ports).
    PortLearn,
    /// Symmetric RTP: the source that speaks first, from the signalling or the SDP IP address,
    /// becomes the destination.
    Nat,
}

/// What to do with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LatchVerdict {
    /// Accept.
    Accept,
    /// Accept, and send to its source from now on.
    Move,
    /// Refuse.
    Refuse,
}

/// After its first packet a leg lets another source of the right address take over only this long.
const LATCH_WINDOW: Duration = Duration::from_secs(5);
/// The latched source must be silent this long before another takes over.
const TAKEOVER_SILENCE: Duration = Duration::from_millis(500);
/// Packets in a row with one SSRC and rising sequence before another source takes over.
const TAKEOVER_PACKETS: u8 = 3;
/// A rebound NAT mapping is the same stream: same SSRC, sequence at most this far ahead.
const REBIND_MAX_STEP: i16 = 500;

#[derive(Clone, Copy, Debug)]
struct Stream {
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
    at: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    stream: Stream,
    packets: u8,
}

/// The latch of one leg.
#[derive(Clone, Debug)]
pub struct Latch {
    policy: LatchPolicy,
    announced: Option<SocketAddr>,
    signalling: Option<IpAddr>,
    current: Option<Stream>,
    first_at: Option<Instant>,
    candidate: Option<Candidate>,
    moved: Option<SocketAddr>,
}

impl Latch {
    /// For a peer that announced `announced` and signals from `signalling`.
    pub fn new(policy: LatchPolicy, announced: Option<SocketAddr>, signalling: Option<IpAddr>) -> Self {
        Self { policy, announced, signalling, current: None, first_at: None, candidate: None, moved: None }
    }

    /// SDP announced an address again: a new one unlocks the latch, the same one does not.
    pub fn announce(&mut self, announced: Option<SocketAddr>) {
        if announced.is_some() && announced != self.announced {
            self.announced = announced;
            self.current = None;
            self.first_at = None;
            self.candidate = None;
            self.moved = None;
        }
    }

    /// Judges an RTP packet.
    pub fn judge(&mut self, now: Instant, source: SocketAddr, ssrc: u32, sequence: u16) -> LatchVerdict {
        let arrived = Stream { source, ssrc, sequence, at: now };
        if let Some(current) = &mut self.current
            && current.source == source
        {
            *current = arrived;
            self.candidate = None;
            return LatchVerdict::Accept;
        }
        if !self.permits(source.ip()) {
            return LatchVerdict::Refuse;
        }
        let Some(current) = self.current else {
            self.first_at = Some(now);
            return self.take(arrived);
        };
        if self.may_take_over(now, current, arrived) { self.take(arrived) } else { LatchVerdict::Refuse }
    }

    /// Judges an RTCP packet: only its address.
    pub fn permits_rtcp(&self, source: IpAddr) -> bool {
        self.permits(source) || self.current.is_some_and(|current| current.source.ip() == source)
    }

    /// Where to send.
    pub fn destination(&self) -> Option<SocketAddr> {
        self.moved.or(self.announced)
    }

    /// Whether the destination was learned from the peer's own packets.
    pub fn is_latched(&self) -> bool {
        self.moved.is_some()
    }

    /// The policy.
    pub fn policy(&self) -> LatchPolicy {
        self.policy
    }

    fn permits(&self, source: IpAddr) -> bool {
        // A dual-stack socket shows IPv4 peers as mapped IPv6 addresses.
        let source = source.to_canonical();
        let announced = self.announced.map(|address| address.ip().to_canonical()) == Some(source);
        match self.policy {
            LatchPolicy::Strict | LatchPolicy::PortLearn => announced,
            LatchPolicy::Nat => announced || self.signalling.map(|ip| ip.to_canonical()) == Some(source),
        }
    }

    fn may_take_over(&mut self, now: Instant, current: Stream, arrived: Stream) -> bool {
        let step = sequence_delta(arrived.sequence, current.sequence);
        if arrived.ssrc == current.ssrc && (1..=REBIND_MAX_STEP).contains(&step) {
            return true;
        }
        let in_window =
            self.first_at.is_some_and(|first| now.saturating_duration_since(first) <= LATCH_WINDOW);
        let silent = now.saturating_duration_since(current.at) >= TAKEOVER_SILENCE;
        // Strict never moves its destination, so listening to a new port risks nothing.
        let bounded = in_window || self.policy == LatchPolicy::Strict;
        if !(bounded && silent) {
            self.candidate = None;
            return false;
        }
        let packets = match self.candidate {
            Some(candidate)
                if candidate.stream.source == arrived.source
                    && candidate.stream.ssrc == arrived.ssrc
                    && sequence_delta(arrived.sequence, candidate.stream.sequence) > 0 =>
            {
                candidate.packets + 1
            }
            _ => 1,
        };
        self.candidate = Some(Candidate { stream: arrived, packets });
        packets >= TAKEOVER_PACKETS
    }

    fn take(&mut self, arrived: Stream) -> LatchVerdict {
        self.current = Some(arrived);
        self.candidate = None;
        let moves = match self.policy {
            LatchPolicy::Strict => false,
            LatchPolicy::PortLearn | LatchPolicy::Nat => self.destination() != Some(arrived.source),
        };
        if !moves {
            return LatchVerdict::Accept;
        }
        self.moved = Some(arrived.source);
        LatchVerdict::Move
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn nat() -> Latch {
        Latch::new(
            LatchPolicy::Nat,
            Some(address("192.168.1.5:4000")),
            Some(address("203.0.113.9:5060").ip()),
        )
    }

    #[test]
    fn strict_keeps_the_announced_destination_and_refuses_strangers() {
        let now = origin();
        let mut latch = Latch::new(LatchPolicy::Strict, Some(address("198.51.100.1:4000")), None);
        assert_eq!(latch.judge(now, address("198.51.100.1:9000"), 1, 1), LatchVerdict::Accept);
        assert_eq!(latch.destination(), Some(address("198.51.100.1:4000")));
        assert_eq!(latch.judge(now, address("198.51.100.2:4000"), 1, 2), LatchVerdict::Refuse);
        assert_eq!(latch.judge(now, address("198.51.100.1:9002"), 2, 2), LatchVerdict::Refuse);
    }

    #[test]
    fn a_dual_stack_socket_s_mapped_addresses_are_the_same_peer() {
        let mut latch = Latch::new(LatchPolicy::Strict, Some(address("198.51.100.1:4000")), None);
        let mapped = address("[::ffff:198.51.100.1]:4000");
        assert_eq!(latch.judge(origin(), mapped, 1, 1), LatchVerdict::Accept);
    }

    #[test]
    fn port_learn_moves_the_port_and_never_the_address() {
        let now = origin();
        let mut latch = Latch::new(LatchPolicy::PortLearn, Some(address("198.51.100.1:4000")), None);
        assert_eq!(latch.judge(now, address("198.51.100.2:4000"), 1, 1), LatchVerdict::Refuse);
        assert_eq!(latch.judge(now, address("198.51.100.1:9000"), 1, 1), LatchVerdict::Move);
        assert_eq!(latch.destination(), Some(address("198.51.100.1:9000")));
    }

    #[test]
    fn a_phone_behind_nat_is_answered_where_it_speaks_from() {
        let now = origin();
        let mut latch = nat();
        assert_eq!(latch.destination(), Some(address("192.168.1.5:4000")));
        assert_eq!(latch.judge(now, address("203.0.113.9:31000"), 1, 1), LatchVerdict::Move);
        assert_eq!(latch.destination(), Some(address("203.0.113.9:31000")));
        assert!(latch.is_latched());
    }

    #[test]
    fn a_stranger_who_guesses_the_port_gets_nothing() {
        let now = origin();
        let mut latch = nat();
        assert_eq!(latch.judge(now, address("192.0.2.66:5000"), 1, 1), LatchVerdict::Refuse);
        latch.judge(now, address("203.0.113.9:31000"), 1, 1);
        assert_eq!(latch.judge(now, address("192.0.2.66:5000"), 1, 2), LatchVerdict::Refuse);
        // A neighbour behind the same NAT, while the phone speaks.
        assert_eq!(latch.judge(after(now, 20), address("203.0.113.9:31001"), 99, 5), LatchVerdict::Refuse);
        assert_eq!(latch.destination(), Some(address("203.0.113.9:31000")));
    }

    #[test]
    fn a_rebound_mapping_is_followed_by_ssrc_and_sequence() {
        let start = origin();
        let mut latch = nat();
        latch.judge(start, address("203.0.113.9:31000"), 7, 100);
        let late = after(start, 60_000);
        assert_eq!(
            latch.judge(late, address("203.0.113.9:40000"), 7, 100 + REBIND_MAX_STEP as u16 + 1),
            LatchVerdict::Refuse
        );
        assert_eq!(latch.judge(late, address("203.0.113.9:40000"), 8, 101), LatchVerdict::Refuse);
        assert_eq!(
            latch.judge(late, address("203.0.113.9:40000"), 7, 100 + REBIND_MAX_STEP as u16),
            LatchVerdict::Move
        );
        assert_eq!(latch.destination(), Some(address("203.0.113.9:40000")));
    }

    #[test]
    fn another_stream_takes_over_only_early_and_only_when_steady() {
        let start = origin();
        let mut latch = nat();
        latch.judge(start, address("203.0.113.9:31000"), 7, 100);
        let other = address("203.0.113.9:32000");
        let at = after(start, 600);
        assert_eq!(latch.judge(at, other, 9, 1), LatchVerdict::Refuse);
        assert_eq!(latch.judge(at, other, 9, 1), LatchVerdict::Refuse);
        assert_eq!(latch.judge(at, other, 9, 2), LatchVerdict::Refuse);
        assert_eq!(latch.judge(at, other, 9, 3), LatchVerdict::Move);

        let mut latch = nat();
        latch.judge(start, address("203.0.113.9:31000"), 7, 100);
        for sequence in 1..10 {
            assert_eq!(latch.judge(after(start, 5_001), other, 9, sequence), LatchVerdict::Refuse);
        }
    }

    #[test]
    fn the_same_sdp_again_keeps_the_latch_and_a_new_one_opens_it() {
        let now = origin();
        let mut latch = nat();
        latch.judge(now, address("203.0.113.9:31000"), 7, 100);
        latch.announce(Some(address("192.168.1.5:4000")));
        assert_eq!(latch.destination(), Some(address("203.0.113.9:31000")));
        latch.announce(Some(address("192.168.1.5:4002")));
        assert_eq!(latch.destination(), Some(address("192.168.1.5:4002")));
        assert_eq!(latch.judge(now, address("203.0.113.9:33000"), 8, 1), LatchVerdict::Move);
    }
}
