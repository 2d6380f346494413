//! The guard against reflection: SDP must not aim our media at a stranger.
//!
//! An SDP address that is not where signalling comes from gets a few packets until RTP or RTCP
//! proves that somebody there wants them. It is judged here and not in the media state because
//! each offer is judged anew against the signalling address: a call that began at home may be
//! re-INVITEd abroad.

use std::net::SocketAddr;

use tandem_media::UNPROVEN_PACKETS;

use super::super::leg::{LegMedia, ReflectionGuard};

#[derive(Debug, Default)]
pub(super) struct Guard {
    announced: Option<SocketAddr>,
    /// Packets that may still leave; `None` without limit.
    left: Option<u16>,
}

impl Guard {
    /// SDP settled: a new address starts anew, the same one keeps what it proved.
    pub(super) fn settle(&mut self, settled: &LegMedia) {
        let remote = settled.negotiated.remote;
        if remote.is_none() || remote == self.announced {
            return;
        }
        self.announced = remote;
        let home = remote.map(|remote| remote.ip()) == settled.signalling_ip;
        let prove = settled.guard == ReflectionGuard::Prove && !home;
        self.left = prove.then_some(UNPROVEN_PACKETS);
    }

    /// RTP or RTCP came from the peer.
    pub(super) fn prove(&mut self) {
        self.left = None;
    }

    /// Whether one more packet may leave; counts it.
    pub(super) fn permit(&mut self) -> bool {
        match &mut self.left {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::IpAddr;
    use tandem_media::{Direction, LatchPolicy, Negotiated, PayloadMap, Start};

    fn settled(remote: &str, guard: ReflectionGuard) -> LegMedia {
        LegMedia {
            negotiated: Negotiated {
                receive: PayloadMap::PCMU_101,
                send: PayloadMap::PCMU_101,
                ptime_ms: 20,
                remote: Some(remote.parse().unwrap()),
                remote_rtcp: None,
                direction: Direction::SendRecv,
            },
            latch: LatchPolicy::Strict,
            signalling_ip: Some(IpAddr::from([198, 51, 100, 1])),
            guard,
            media_timeout: None,
            start: Start::AtAck,
        }
    }

    fn permitted(guard: &mut Guard) -> usize {
        (0..1_000).filter(|_| guard.permit()).count()
    }

    #[test]
    fn a_foreign_address_gets_its_few_packets_and_no_more_until_it_answers() {
        let mut guard = Guard::default();
        guard.settle(&settled("203.0.113.7:4000", ReflectionGuard::Prove));
        assert_eq!(permitted(&mut guard), usize::from(UNPROVEN_PACKETS));
        guard.settle(&settled("203.0.113.7:4000", ReflectionGuard::Prove));
        assert_eq!(permitted(&mut guard), 0, "the same SDP again buys nothing");
        guard.prove();
        assert_eq!(permitted(&mut guard), 1_000);
    }

    #[test]
    fn a_call_that_began_at_home_is_guarded_when_it_is_sent_abroad() {
        let mut guard = Guard::default();
        guard.settle(&settled("198.51.100.1:4000", ReflectionGuard::Prove));
        assert_eq!(permitted(&mut guard), 1_000);
        guard.prove();
        guard.settle(&settled("203.0.113.7:4000", ReflectionGuard::Prove));
        assert_eq!(permitted(&mut guard), usize::from(UNPROVEN_PACKETS));
    }

    #[test]
    fn a_configured_carrier_proves_nothing() {
        let mut guard = Guard::default();
        guard.settle(&settled("203.0.113.7:4000", ReflectionGuard::Trusted));
        assert_eq!(permitted(&mut guard), 1_000);
    }
}
