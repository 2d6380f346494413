//! The relay path does not allocate: counted, packet by packet.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tandem_media::rtp::{Header, MAX_DATAGRAM};
use tandem_media::{
    Bridge, Direction, LatchPolicy, LegConfig, MediaLeg, Negotiated, PayloadMap, Received, Start,
};
const PACKETS: u16 = 500;
const SAMPLES: u16 = 160;

/// The one look at the clock: where virtual time starts.
#[expect(clippy::disallowed_methods, reason = "an `Instant` has no other constructor; tests only add to it")]
fn origin() -> Instant {
    Instant::now()
}

fn leg(now: Instant, map: PayloadMap, peer: SocketAddr, ssrc: u32) -> MediaLeg {
    MediaLeg::new(
        now,
        LegConfig {
            ssrc,
            first_sequence: 65_530,
            first_timestamp: u32::MAX - 500,
            unix_time: Duration::from_secs(1_700_000_000),
            negotiated: Negotiated {
                receive: map,
                send: map,
                ptime_ms: 20,
                remote: Some(peer),
                remote_rtcp: None,
                direction: Direction::SendRecv,
            },
            latch: LatchPolicy::Nat,
            signalling_ip: Some(peer.ip()),
            media_timeout: Some(Duration::from_mins(1)),
            start: Start::AtOnce,
            unproven_packets: Some(50),
        },
    )
}

/// Ten seconds of one direction, from one leg's socket to the other's, reports included; packets that left.
fn relay(
    from: &mut MediaLeg,
    to: &mut MediaLeg,
    source: SocketAddr,
    begin: Instant,
    payload_type: u8,
) -> usize {
    let (mut bridge, mut buffer, mut left) = (Bridge::new(), [0; MAX_DATAGRAM], 0);
    for sequence in 0..PACKETS {
        let now = begin + Duration::from_millis(20) * u32::from(sequence);
        let header = Header {
            marker: false,
            payload_type,
            sequence,
            timestamp: u32::from(sequence) * u32::from(SAMPLES),
            ssrc: 7,
        };
        let Some(len) = header.write(&[0x55; SAMPLES as usize], &mut buffer) else { continue };
        let Received::Audio(incoming) = from.on_datagram(now, source, &buffer[..len]) else { continue };
        assert!(from.poll(now).is_none() && from.deadline().is_some());
        if bridge.relay(now, &mut buffer, &incoming, to).is_ok() && to.destination().is_some() {
            left += 1;
        }
        assert!(bridge.poll(now, to, &mut buffer).is_none());
        for leg in [&mut *from, &mut *to] {
            while leg.rtcp(now, &mut buffer).is_some() {}
        }
    }
    left
}

fn counted(a: PayloadMap, b: PayloadMap) -> (usize, u64) {
    let near = SocketAddr::from(([198, 51, 100, 7], 4000));
    let far = SocketAddr::from(([203, 0, 113, 9], 4002));
    let now = origin();
    let (mut from, mut to) = (leg(now, a, near, 1), leg(now, b, far, 2));
    // The far side has spoken: nothing is held back from it.
    relay(&mut to, &mut from, far, now, b.audio);
    let mut left = 0;
    let later = now + Duration::from_mins(1);
    let info = allocation_counter::measure(|| left = relay(&mut from, &mut to, near, later, a.audio));
    (left, info.count_total)
}

#[test]
fn relaying_a_packet_allocates_nothing() {
    assert_eq!(counted(PayloadMap::PCMU_101, PayloadMap::PCMU_101), (PACKETS.into(), 0));
}

#[test]
fn changing_the_law_on_the_way_allocates_nothing() {
    assert_eq!(counted(PayloadMap::PCMU_101, PayloadMap::PCMA_101), (PACKETS.into(), 0));
}

#[test]
fn an_allocation_would_be_counted() {
    let info = allocation_counter::measure(|| drop(std::hint::black_box(Box::new(1))));
    assert_eq!(info.count_total, 1);
}
