//! Two legs and a bridge, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::codec::{Codec, Direction, PayloadMap};
use crate::dtmf::{DigitEvent, TelephoneEvent};
use crate::latch::LatchPolicy;
use crate::leg::{LegConfig, Negotiated, Received};
use crate::playout::{Material, PlayId, PlayItem, Repeat};
use crate::rtp::{Header, MAX_DATAGRAM, Packet, timestamp_delta};
use crate::start_gate::Start;
use crate::test_clock::{after, origin};

const PEER: &str = "198.51.100.7:4000";

fn peer() -> SocketAddr {
    PEER.parse().unwrap()
}

fn leg(now: Instant, map: PayloadMap, ptime_ms: u8) -> MediaLeg {
    MediaLeg::new(
        now,
        LegConfig {
            ssrc: 0xaaaa,
            first_sequence: 65_530,
            first_timestamp: u32::MAX - 500,
            unix_time: Duration::from_secs(1_700_000_000),
            negotiated: Negotiated {
                receive: map,
                send: map,
                ptime_ms,
                remote: Some(peer()),
                remote_rtcp: None,
                direction: Direction::SendRecv,
            },
            latch: LatchPolicy::Strict,
            signalling_ip: None,
            media_timeout: None,
            start: Start::AtOnce,
            unproven_packets: None,
        },
    )
}

fn datagram(header: Header, payload: &[u8]) -> ([u8; MAX_DATAGRAM], usize) {
    let mut buffer = [0; MAX_DATAGRAM];
    let len = header.write(payload, &mut buffer).unwrap();
    (buffer, len)
}

fn audio(sequence: u16, timestamp: u32) -> Header {
    Header { marker: false, payload_type: 0, sequence, timestamp, ssrc: 7 }
}

/// Receives on `from` and relays to `to`; what leaves, header and payload.
fn pass(
    bridge: &mut Bridge,
    now: Instant,
    (mut buffer, len): ([u8; MAX_DATAGRAM], usize),
    from: &mut MediaLeg,
    to: &mut MediaLeg,
) -> Vec<(Header, Vec<u8>)> {
    let incoming = match from.on_datagram(now, peer(), &buffer[..len]) {
        Received::Audio(incoming) | Received::Digit(incoming, _) | Received::ComfortNoise(incoming) => {
            incoming
        }
        Received::Rtcp(_) | Received::Rejected(_) => return Vec::new(),
    };
    let read = |buffer: &[u8], len: usize| {
        let packet = Packet::parse(&buffer[..len]).unwrap();
        (packet.header, packet.payload(&buffer[..len]).to_vec())
    };
    let mut sent = Vec::new();
    if let Ok(len) = bridge.relay(now, &mut buffer, &incoming, to) {
        sent.push(read(&buffer, len));
    }
    while let Some(len) = bridge.poll(now, to, &mut buffer) {
        sent.push(read(&buffer, len));
    }
    sent
}

#[test]
fn law_and_payload_types_follow_the_other_leg() {
    let start = origin();
    let b_map = PayloadMap { telephone_event: Some(96), ..PayloadMap::PCMA_101 };
    let (mut a, mut b) = (leg(start, PayloadMap::PCMU_101, 20), leg(start, b_map, 20));
    let mut bridge = Bridge::new();
    let quiet = datagram(audio(1, 160), &[0xff; 160]);
    let sent = pass(&mut bridge, start, quiet, &mut a, &mut b);
    assert_eq!((sent[0].0.payload_type, sent[0].0.ssrc), (8, 0xaaaa));
    assert_eq!(sent[0].1, [0xd5; 160]);

    let event = TelephoneEvent { event: 5, end: false, volume: 10, duration: 160 };
    let header = Header { payload_type: 101, marker: true, ..audio(2, 320) };
    let sent = pass(&mut bridge, after(start, 20), datagram(header, &event.to_bytes()), &mut a, &mut b);
    assert_eq!((sent[0].0.payload_type, sent[0].0.sequence), (96, 65_531));
    assert_eq!(sent[0].1, event.to_bytes());
    assert_eq!(bridge.counters().relayed, 2);
}

#[test]
fn csrc_extension_and_padding_do_not_pass() {
    let start = origin();
    let (mut a, mut b) = (leg(start, PayloadMap::PCMU_101, 20), leg(start, PayloadMap::PCMU_101, 20));
    let mut raw = audio(1, 0).to_bytes().to_vec();
    raw[0] |= 0x20 | 0x10 | 1;
    raw.extend([0, 0, 0, 9, 0xbe, 0xde, 0, 1, 1, 2, 3, 4]);
    raw.extend((0..160).map(|n| n as u8));
    raw.extend([0, 0, 0, 4]);
    let mut buffer = [0; MAX_DATAGRAM];
    buffer[..raw.len()].copy_from_slice(&raw);
    let sent = pass(&mut Bridge::new(), start, (buffer, raw.len()), &mut a, &mut b);
    assert_eq!(sent[0].1, (0..160).map(|n| n as u8).collect::<Vec<u8>>());
}

#[test]
fn comfort_noise_nobody_wants_leaves_no_hole() {
    let start = origin();
    let (mut a, mut b) = (leg(start, PayloadMap::PCMU_101, 20), leg(start, PayloadMap::PCMU_101, 20));
    let mut bridge = Bridge::new();
    let mut sent = Vec::new();
    for (n, payload_type) in [(0u16, 0u8), (1, 13), (2, 0)] {
        let header = Header { payload_type, ..audio(n, u32::from(n) * 160) };
        let payload: &[u8] = if payload_type == 13 { &[60] } else { &[1; 160] };
        sent.extend(pass(
            &mut bridge,
            after(start, u64::from(n) * 20),
            datagram(header, payload),
            &mut a,
            &mut b,
        ));
    }
    assert_eq!(sent.iter().map(|(h, _)| h.sequence).collect::<Vec<_>>(), [65_530, 65_531]);
    assert_eq!(timestamp_delta(sent[1].0.timestamp, sent[0].0.timestamp), 320);
    assert_eq!(bridge.counters().dropped, 1);
}

#[test]
fn any_packet_time_meets_any_other() {
    for input_ms in [10u8, 20, 30, 40, 60] {
        for output_ms in [10u8, 20, 30, 40, 60] {
            let start = origin();
            let (mut a, mut b) =
                (leg(start, PayloadMap::PCMU_101, 20), leg(start, PayloadMap::PCMU_101, output_ms));
            let mut bridge = Bridge::new();
            let samples = usize::from(input_ms) * 8;
            let (mut spoken, mut heard, mut headers) = (Vec::new(), Vec::new(), Vec::new());
            for n in 0..60u16 {
                let payload: Vec<u8> = (0..samples).map(|i| (usize::from(n) * 31 + i) as u8).collect();
                spoken.extend(&payload);
                let now = after(start, u64::from(n) * u64::from(input_ms));
                let header = audio(n, u32::from(n) * samples as u32);
                for (header, payload) in pass(&mut bridge, now, datagram(header, &payload), &mut a, &mut b) {
                    assert_eq!(payload.len(), usize::from(output_ms) * 8);
                    heard.extend(payload);
                    headers.push(header);
                }
            }
            assert_eq!(heard, spoken[..heard.len()], "{input_ms} to {output_ms}");
            assert!(spoken.len() - heard.len() < usize::from(output_ms) * 8);
            for pair in headers.windows(2) {
                assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
                assert_eq!(timestamp_delta(pair[1].timestamp, pair[0].timestamp), i32::from(output_ms) * 8);
            }
        }
    }
}

#[test]
fn a_digit_between_repacketised_audio_is_one_digit_at_the_far_end() {
    let start = origin();
    let (mut a, mut b) = (leg(start, PayloadMap::PCMU_101, 20), leg(start, PayloadMap::PCMU_101, 30));
    let mut far = leg(start, PayloadMap::PCMU_101, 30);
    let mut bridge = Bridge::new();
    let mut began = 0;
    let mut sequence = 0;
    for n in 0..50u32 {
        let now = after(start, u64::from(n) * 20);
        let mut wire = vec![datagram(audio(sequence, n * 160), &[3; 160])];
        sequence += 1;
        if (10..16).contains(&n) {
            let event = TelephoneEvent { event: 9, end: n == 15, volume: 10, duration: (n as u16 - 9) * 160 };
            let header = Header { payload_type: 101, marker: n == 10, ..audio(sequence, 1_600) };
            wire.push(datagram(header, &event.to_bytes()));
            sequence += 1;
        }
        for one in wire {
            for (header, payload) in pass(&mut bridge, now, one, &mut a, &mut b) {
                let (out, len) = datagram(header, &payload);
                if let Received::Digit(_, Some(DigitEvent::Began(_))) =
                    far.on_datagram(now, peer(), &out[..len])
                {
                    began += 1;
                }
            }
        }
    }
    assert_eq!(began, 1);
}

#[test]
fn g729_passes_through_and_does_not_meet_g711() {
    let start = origin();
    let map = PayloadMap { codec: Codec::G729, audio: 18, telephone_event: Some(101), comfort_noise: None };
    let (mut a, mut b) = (leg(start, map, 20), leg(start, map, 20));
    let mut g711 = leg(start, PayloadMap::PCMU_101, 20);
    let packet = datagram(Header { payload_type: 18, ..audio(1, 0) }, &[9; 20]);
    let sent = pass(&mut Bridge::new(), start, packet, &mut a, &mut b);
    assert_eq!(sent[0].1, [9; 20]);
    let packet = datagram(Header { payload_type: 18, ..audio(2, 160) }, &[9; 20]);
    let mut bridge = Bridge::new();
    assert!(pass(&mut bridge, start, packet, &mut a, &mut g711).is_empty());
    assert_eq!(bridge.counters().dropped, 1);
}

#[test]
fn relay_waits_while_the_leg_plays_and_goes_on_as_one_stream() {
    let start = origin();
    let (mut a, mut b) = (leg(start, PayloadMap::PCMU_101, 20), leg(start, PayloadMap::PCMU_101, 20));
    let mut bridge = Bridge::new();
    let mut headers = Vec::new();
    for n in 0..30u16 {
        let now = after(start, u64::from(n) * 20);
        if n == 10 {
            let material = Material::Ulaw(vec![1; 1_600].into());
            b.play(now, PlayItem { id: PlayId(1), material, repeat: Repeat::ONCE }).unwrap();
        }
        let mut out = [0; MAX_DATAGRAM];
        while let Some(len) = b.tick(now, &mut out) {
            headers.push(Packet::parse(&out[..len]).unwrap().header);
        }
        let packet = datagram(audio(n, u32::from(n) * 160), &[2; 160]);
        headers.extend(pass(&mut bridge, now, packet, &mut a, &mut b).into_iter().map(|(header, _)| header));
    }
    let markers: Vec<usize> = headers.iter().enumerate().filter(|(_, h)| h.marker).map(|(n, _)| n).collect();
    assert_eq!(markers.len(), 3, "start, playout, back to relay: {markers:?}");
    for pair in headers.windows(2) {
        assert_eq!(pair[1].sequence, pair[0].sequence.wrapping_add(1));
        assert!(timestamp_delta(pair[1].timestamp, pair[0].timestamp) >= 0);
        assert_eq!(pair[1].ssrc, pair[0].ssrc);
    }
}

#[test]
fn a_leg_on_hold_hears_nothing() {
    let start = origin();
    let (mut a, mut b) = (leg(start, PayloadMap::PCMU_101, 20), leg(start, PayloadMap::PCMU_101, 20));
    let held = Negotiated { direction: Direction::RecvOnly, ..*b.negotiated() };
    b.renegotiate(start, held);
    let mut bridge = Bridge::new();
    assert!(pass(&mut bridge, start, datagram(audio(1, 0), &[2; 160]), &mut a, &mut b).is_empty());
    b.renegotiate(start, Negotiated { direction: Direction::SendRecv, ..held });
    assert_eq!(pass(&mut bridge, start, datagram(audio(2, 160), &[2; 160]), &mut a, &mut b).len(), 1);
}

#[test]
fn a_sound_over_a_conversation_is_mixed_with_it_or_takes_its_place() {
    use crate::energy::{Tone, level_dbfs, tone_dbfs};
    use crate::overlay::Beneath;

    let ulaw = PayloadMap::PCMU_101;
    for beneath in [Beneath::Mixed, Beneath::Silenced] {
        let began = origin();
        let (mut from, mut to) = (leg(began, ulaw, 20), leg(began, ulaw, 20));
        let mut bridge = Bridge::new();
        let speech = Tone::Sine { hz: 400, level_dbfs: -20 }.samples(Duration::from_secs(1));
        let item = PlayItem {
            id: PlayId(1),
            material: Material::Tone(Tone::Sine { hz: 1_000, level_dbfs: -20 }, Duration::from_millis(400)),
            repeat: Repeat::ONCE,
        };
        let (mut beneath_heard, mut after_heard) = (Vec::new(), Vec::new());
        for packet in 0..50_u64 {
            let now = after(began, packet * 20);
            if packet == 10 {
                to.overlay(now, item.clone(), beneath).unwrap();
            }
            let payload: Vec<u8> = speech
                .chunks(160)
                .nth(packet as usize)
                .unwrap()
                .iter()
                .map(|it| Law::Ulaw.encode(*it))
                .collect();
            let header = audio(packet as u16, packet as u32 * 160);
            let mut sent = pass(&mut bridge, now, datagram(header, &payload), &mut from, &mut to);
            let mut buffer = [0; MAX_DATAGRAM];
            while let Some(len) = to.tick(now, &mut buffer) {
                let packet = Packet::parse(&buffer[..len]).unwrap();
                sent.push((packet.header, packet.payload(&buffer[..len]).to_vec()));
            }
            let heard = sent.iter().flat_map(|(_, payload)| payload.iter().map(|it| Law::Ulaw.decode(*it)));
            match packet {
                14..=28 => beneath_heard.extend(heard),
                35.. => after_heard.extend(heard),
                _ => {}
            }
        }
        let of = |hz| tone_dbfs(&beneath_heard, hz);
        assert!((of(1_000.0) + 20.0).abs() < 1.5, "{beneath:?}: the sound at {} dBFS", of(1_000.0));
        match beneath {
            Beneath::Mixed => {
                assert!((of(400.0) + 20.0).abs() < 1.5, "the conversation at {} dBFS", of(400.0))
            }
            Beneath::Silenced => assert!(of(400.0) < -45.0, "the conversation at {} dBFS", of(400.0)),
        }
        assert!((level_dbfs(&after_heard) + 20.0).abs() < 1.0, "relaying goes on afterwards");
        assert!(after_heard.len() >= 160 * 14, "{} samples", after_heard.len());
    }
}
