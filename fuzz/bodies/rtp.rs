//! Any datagrams at a media leg: RTP, RTCP, telephone events, in any order, with time passing; and INFO bodies and WAV
//! files, which also come from outside.
//!
//! The input is cut into datagrams: two bytes of length and time, then the datagram.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tandem_media::rtp::{MAX_DATAGRAM, Packet};
use tandem_media::{
    Direction, LatchPolicy, LegConfig, MediaLeg, Negotiated, PayloadMap, Received, Start, dtmf, rtcp, wav,
};

/// Longest run of one input.
const MAX_DATAGRAMS: usize = 200;

/// Feeds a leg.
///
/// # Panics
/// When something promised does not hold.
pub(crate) fn check(start: Instant, bytes: &[u8]) {
    let _ = dtmf::info::parse(bytes);
    let _ = dtmf::TelephoneEvent::parse(bytes);
    if let Ok(wav) = wav::parse(bytes) {
        // Sixteen times at most: 8 kHz from 500 Hz.
        assert!(wav.to_8k().len() <= 16 * bytes.len() + 16);
    }
    alone(bytes);
    let mut now = start;
    let mut leg = leg(now);
    leg.on_ack(now);
    leg.listen(true);
    leg.detect_inband(true);
    let mut rest = bytes;
    for _ in 0..MAX_DATAGRAMS {
        let [length, step, tail @ ..] = rest else { break };
        let (datagram, tail) = tail.split_at(tail.len().min(usize::from(*length)));
        rest = tail;
        now += Duration::from_millis(u64::from(*step));
        let source = SocketAddr::from(([198, 51, 100, 7], 4_000 + u16::from(*step % 3)));
        let before = leg.stats();
        let received = leg.on_datagram(now, source, datagram);
        if let Received::Audio(incoming) | Received::Digit(incoming, _) | Received::ComfortNoise(incoming) =
            received
        {
            assert!(incoming.packet.payload(datagram).len() <= datagram.len());
        }
        assert!(leg.stats().packets_received >= before.packets_received);
        for _ in 0..16 {
            if leg.poll(now).is_none() {
                break;
            }
        }
        if step % 2 == 0 {
            let _ = leg.next_frame();
        }
        let _ = (leg.deadline(), leg.destination());
    }
}

/// One datagram by itself.
fn alone(bytes: &[u8]) {
    let mut packets = 0;
    for packet in rtcp::packets(bytes) {
        packets += 1;
        match packet {
            rtcp::RtcpPacket::SenderReport { blocks, .. }
            | rtcp::RtcpPacket::ReceiverReport { blocks, .. } => {
                for block in blocks {
                    let _ = block.round_trip(rtcp::NtpTime(0));
                }
            }
            _ => {}
        }
    }
    assert!(packets <= bytes.len() / 4, "every packet has a header");
    if let Ok(packet) = Packet::parse(bytes) {
        let payload = packet.payload(bytes);
        assert!(payload.len() + 12 <= bytes.len());
        let mut out = [0; MAX_DATAGRAM];
        if let Some(length) = packet.header.write(payload, &mut out) {
            let reread = Packet::parse(out.get(..length).expect("within")).expect("our own");
            assert_eq!(reread.header.sequence, packet.header.sequence);
        }
    }
}

fn leg(now: Instant) -> MediaLeg {
    let map = PayloadMap::PCMU_101;
    let negotiated = Negotiated {
        receive: map,
        send: map,
        ptime_ms: 20,
        remote: Some(SocketAddr::from(([198, 51, 100, 7], 4_000))),
        remote_rtcp: None,
        direction: Direction::SendRecv,
    };
    MediaLeg::new(
        now,
        LegConfig {
            ssrc: 1,
            first_sequence: 1,
            first_timestamp: 1,
            unix_time: Duration::from_secs(1_700_000_000),
            negotiated,
            latch: LatchPolicy::default(),
            signalling_ip: None,
            media_timeout: Some(Duration::from_mins(1)),
            start: Start::default(),
            unproven_packets: None,
        },
    )
}
