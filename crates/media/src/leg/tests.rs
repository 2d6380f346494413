//! One leg, in virtual time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::*;
use crate::codec::{Direction, PayloadMap};
use crate::dtmf::{Digit, DigitEvent, DigitsError, TelephoneEvent};
use crate::energy::{Tone, has_tone};
use crate::latch::LatchPolicy;
use crate::playout::{Material, PlayId, PlayItem, PlayoutError, Repeat};
use crate::rtcp::{RtcpPacket, packets};
use crate::rtp::{Header, MAX_DATAGRAM, Packet};
use crate::start_gate::Start;
use crate::test_clock::{after, origin};
use proptest::prelude::*;

fn peer() -> SocketAddr {
    "198.51.100.7:4000".parse().unwrap()
}

fn config() -> LegConfig {
    LegConfig {
        ssrc: 0xaaaa,
        first_sequence: 10,
        first_timestamp: 1_000,
        unix_time: Duration::from_secs(1_700_000_000),
        negotiated: Negotiated {
            receive: PayloadMap::PCMU_101,
            send: PayloadMap::PCMU_101,
            ptime_ms: 20,
            remote: Some(peer()),
            remote_rtcp: None,
            direction: Direction::SendRecv,
        },
        latch: LatchPolicy::Strict,
        signalling_ip: None,
        media_timeout: Some(Duration::from_mins(1)),
        start: Start::AtAck,
        unproven_packets: None,
    }
}

fn item(id: u64, ms: u64) -> PlayItem {
    let material = Material::Tone(Tone::Sine { hz: 1_000, level_dbfs: -10 }, Duration::from_millis(ms));
    PlayItem { id: PlayId(id), material, repeat: Repeat::ONCE }
}

fn packet(payload_type: u8, sequence: u16, timestamp: u32, payload: &[u8]) -> Vec<u8> {
    let header = Header { marker: false, payload_type, sequence, timestamp, ssrc: 7 };
    let mut out = [0; MAX_DATAGRAM];
    let len = header.write(payload, &mut out).unwrap();
    out[..len].to_vec()
}

/// Drives the leg by its own deadlines; what it sent, with the millisecond.
fn run(leg: &mut MediaLeg, start: Instant, from_ms: u64, until_ms: u64) -> Vec<(u64, Packet, Vec<u8>)> {
    let mut sent = Vec::new();
    let mut out = [0; MAX_DATAGRAM];
    for ms in from_ms..until_ms {
        let now = after(start, ms);
        while let Some(len) = leg.tick(now, &mut out) {
            let packet = Packet::parse(&out[..len]).unwrap();
            sent.push((ms, packet, packet.payload(&out[..len]).to_vec()));
        }
    }
    sent
}

fn events(leg: &mut MediaLeg, now: Instant) -> Vec<LegEvent> {
    std::iter::from_fn(|| leg.poll(now)).collect()
}

#[test]
fn a_leg_is_small() {
    let size = size_of::<MediaLeg>();
    assert!(size <= 2_048, "{size} bytes");
}

#[test]
fn playout_starts_at_ack_and_keeps_its_grid() {
    let start = origin();
    let mut leg = MediaLeg::new(start, config());
    leg.play(start, item(1, 100)).unwrap();
    assert!(run(&mut leg, start, 0, 50).is_empty());
    assert_eq!(leg.playout_deadline(), None);
    leg.on_ack(after(start, 50));
    let sent = run(&mut leg, start, 50, 400);
    assert_eq!(sent.iter().map(|(ms, ..)| *ms).collect::<Vec<_>>(), [50, 70, 90, 110, 130]);
    assert!(sent.iter().all(|(_, packet, _)| packet.header.payload_type == 0 && packet.payload_len == 160));
    let heard: Vec<i16> =
        sent.iter().flat_map(|(.., payload)| payload.iter().map(|byte| Law::Ulaw.decode(*byte))).collect();
    assert!(has_tone(&heard, 1_000.0, -11.0));
    assert_eq!(events(&mut leg, after(start, 400)), [LegEvent::PlayoutDone(PlayId(1))]);
    assert_eq!(leg.stats().packets_sent, 5);
}

#[test]
fn done_is_told_with_the_last_frame_and_a_clear_is_silent_at_once() {
    let start = origin();
    let mut leg = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    leg.play(start, item(1, 40)).unwrap();
    leg.play(start, item(2, 1_000)).unwrap();
    assert_eq!(run(&mut leg, start, 0, 20).len(), 1);
    assert!(events(&mut leg, start).is_empty());
    assert_eq!(run(&mut leg, start, 20, 21).len(), 1);
    assert_eq!(events(&mut leg, start), [LegEvent::PlayoutDone(PlayId(1))]);
    leg.clear_playout();
    assert_eq!(events(&mut leg, start), [LegEvent::PlayoutCleared(PlayId(2))]);
    assert!(run(&mut leg, start, 21, 200).is_empty());
    assert!(!leg.is_playing());
}

#[test]
fn a_natted_peer_is_waited_for() {
    let start = origin();
    let nat = LegConfig {
        latch: LatchPolicy::Nat,
        signalling_ip: Some("203.0.113.9".parse().unwrap()),
        start: Start::AtFirstPacket,
        ..config()
    };
    let mut leg = MediaLeg::new(start, nat);
    leg.on_ack(start);
    leg.play(start, item(1, 40)).unwrap();
    assert_eq!(leg.playout_deadline(), Some(after(start, 300)));
    assert!(run(&mut leg, start, 0, 100).is_empty());
    let source = "203.0.113.9:31000".parse().unwrap();
    leg.on_datagram(after(start, 100), source, &packet(0, 1, 0, &[0xff; 160]));
    assert_eq!(leg.destination(), Some(source));
    assert_eq!(run(&mut leg, start, 100, 200).first().map(|(ms, ..)| *ms), Some(100));
}

#[test]
fn digits_go_before_playout_which_waits() {
    let start = origin();
    let mut leg = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    leg.play(start, item(1, 200)).unwrap();
    let mut sent = run(&mut leg, start, 0, 50);
    leg.send_digits(after(start, 50), "7").unwrap();
    assert!(leg.is_dialling());
    sent.extend(run(&mut leg, start, 50, 1_000));
    let types: Vec<u8> = sent.iter().map(|(_, packet, _)| packet.header.payload_type).collect();
    assert_eq!(types, [vec![0; 3], vec![101; 7], vec![0; 7]].concat());
    for pair in sent.windows(2) {
        assert_eq!(pair[1].1.header.sequence, pair[0].1.header.sequence + 1);
        assert!(pair[1].1.header.timestamp >= pair[0].1.header.timestamp);
    }
    assert_eq!(
        events(&mut leg, after(start, 1_000)),
        [LegEvent::PlayoutDone(PlayId(1)), LegEvent::DigitsSent]
    );
}

#[test]
fn what_cannot_be_said_is_refused() {
    let start = origin();
    let mut silent = config();
    silent.negotiated.send.telephone_event = None;
    let mut leg = MediaLeg::new(start, silent);
    assert_eq!(leg.send_digits(start, "1"), Err(DigitsError::NotNegotiated));
    let mut g729 = config();
    g729.negotiated.send =
        PayloadMap { codec: Codec::G729, audio: 18, telephone_event: None, comfort_noise: None };
    assert_eq!(MediaLeg::new(start, g729).play(start, item(1, 20)), Err(PlayoutError::Codec));
}

#[test]
fn a_codec_that_cannot_be_generated_ends_the_playout_instead_of_spinning() {
    let start = origin();
    let mut leg = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    leg.play(start, item(1, 1_000)).unwrap();
    let g729 = PayloadMap { codec: Codec::G729, audio: 18, telephone_event: None, comfort_noise: None };
    leg.renegotiate(start, Negotiated { send: g729, receive: g729, ..*leg.negotiated() });
    assert!(leg.deadline().is_some_and(|at| at <= start), "the event is due at once");
    assert_eq!(events(&mut leg, start), [LegEvent::PlayoutCleared(PlayId(1))]);
    assert!(run(&mut leg, start, 0, 50).is_empty());
    assert!(leg.deadline().is_none_or(|at| at > after(start, 50)));
}

/// After every call the deadline lies ahead, or the driver would spin.
#[test]
fn a_driver_that_follows_deadlines_sends_everything_and_never_spins() {
    let start = origin();
    let mut leg = MediaLeg::new(start, config());
    leg.play(start, item(1, 500)).unwrap();
    leg.on_ack(start);
    leg.send_digits(start, "1w2").unwrap();
    let mut out = [0; MAX_DATAGRAM];
    let (mut now, mut packets, mut done) = (start, 0, Vec::new());
    for _ in 0..200 {
        while leg.tick(now, &mut out).is_some() {
            packets += 1;
        }
        while leg.rtcp(now, &mut out).is_some() {}
        done.extend(events(&mut leg, now));
        let Some(deadline) = leg.deadline() else { break };
        assert!(deadline > now, "the driver spins");
        now = deadline;
        if now > after(start, 70_000) {
            break;
        }
    }
    assert_eq!(packets, 7 + 7 + 25);
    assert_eq!(done, [LegEvent::DigitsSent, LegEvent::PlayoutDone(PlayId(1)), LegEvent::MediaTimeout]);
}

#[test]
fn on_hold_playout_runs_on_unheard() {
    let start = origin();
    let mut leg = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    let held = Negotiated { direction: Direction::Inactive, ..*leg.negotiated() };
    leg.renegotiate(start, held);
    leg.play(start, item(1, 100)).unwrap();
    assert!(run(&mut leg, start, 0, 200).is_empty());
    assert_eq!(events(&mut leg, after(start, 200)), [LegEvent::PlayoutDone(PlayId(1))]);
}

#[test]
fn an_address_that_never_answers_gets_fifty_packets() {
    let start = origin();
    let stranger = LegConfig { start: Start::AtOnce, unproven_packets: Some(UNPROVEN_PACKETS), ..config() };
    let mut leg = MediaLeg::new(start, stranger);
    leg.play(start, item(1, 4_000)).unwrap();
    assert_eq!(run(&mut leg, start, 0, 2_000).len(), 50);
    assert_eq!(leg.destination(), None);
    leg.on_datagram(after(start, 2_000), peer(), &packet(0, 1, 0, &[0xff; 160]));
    assert_eq!(run(&mut leg, start, 2_000, 3_000).len(), 50);
}

#[test]
fn strangers_duplicates_and_noise_are_refused_and_counted() {
    let start = origin();
    let mut leg = MediaLeg::new(start, config());
    let good = packet(0, 1, 0, &[0xff; 160]);
    let stranger = "192.0.2.1:4000".parse().unwrap();
    let refuse = |leg: &mut MediaLeg, source, bytes: &[u8]| leg.on_datagram(start, source, bytes);
    assert_eq!(refuse(&mut leg, stranger, &good), Received::Rejected(Reject::Source));
    assert!(matches!(refuse(&mut leg, peer(), &good), Received::Audio(_)));
    assert_eq!(refuse(&mut leg, peer(), &good), Received::Rejected(Reject::Duplicate));
    assert_eq!(refuse(&mut leg, peer(), &packet(77, 2, 0, &[])), Received::Rejected(Reject::PayloadType));
    assert_eq!(refuse(&mut leg, peer(), &packet(0, 30_000, 0, &[])), Received::Rejected(Reject::Stray));
    assert_eq!(refuse(&mut leg, peer(), b"GET / HTTP/1.1"), Received::Rejected(Reject::Malformed));
    assert_eq!(refuse(&mut leg, peer(), &packet(101, 3, 0, &[5])), Received::Rejected(Reject::Malformed));
    assert_eq!(leg.stats().rejected, 6);
}

#[test]
fn a_lost_end_of_a_digit_comes_from_poll() {
    let start = origin();
    let mut leg = MediaLeg::new(start, config());
    let event = TelephoneEvent { event: 3, end: false, volume: 10, duration: 160 };
    let three = Digit::from_char('3').unwrap();
    let received = leg.on_datagram(start, peer(), &packet(101, 1, 0, &event.to_bytes()));
    assert!(matches!(received, Received::Digit(_, Some(DigitEvent::Began(digit))) if digit == three));
    assert!(leg.deadline().is_some_and(|at| at <= after(start, 200)));
    assert_eq!(
        events(&mut leg, after(start, 200)),
        [LegEvent::Digit(DigitEvent::Ended { digit: three, duration_ms: 20 })]
    );
}

#[test]
fn tones_in_the_audio_are_digits_where_asked_for() {
    let start = origin();
    let mut leg = MediaLeg::new(start, config());
    leg.detect_inband(true);
    let eight = Digit::from_char('8').unwrap();
    let mut samples = Tone::Digit(eight).samples(Duration::from_millis(120));
    samples.resize(2_400, 0);
    let mut heard = Vec::new();
    for (n, frame) in samples.chunks(160).enumerate() {
        let payload: Vec<u8> = frame.iter().map(|s| Law::Ulaw.encode(*s)).collect();
        let now = after(start, n as u64 * 20);
        leg.on_datagram(now, peer(), &packet(0, n as u16, n as u32 * 160, &payload));
        heard.extend(events(&mut leg, now));
    }
    assert_eq!(heard.first(), Some(&LegEvent::Digit(DigitEvent::Began(eight))));
    assert!(matches!(heard.get(1), Some(LegEvent::Digit(DigitEvent::Ended { .. }))));
    assert_eq!(heard.len(), 2);
}

#[test]
fn listening_yields_frames_and_stops_when_told() {
    let start = origin();
    let mut leg = MediaLeg::new(start, config());
    assert!(leg.next_frame().is_none());
    leg.listen(true);
    for n in 0..5u16 {
        let now = after(start, u64::from(n) * 20);
        leg.on_datagram(now, peer(), &packet(0, n, u32::from(n) * 160, &[0x80; 160]));
    }
    let frames: Vec<_> = (0..4).map_while(|_| leg.next_frame()).collect();
    assert_eq!(frames.len(), 4);
    assert!(frames[3].iter().all(|sample| *sample == 32_124));
    leg.listen(false);
    assert!(leg.next_frame().is_none());
}

#[test]
fn mixer_frames_share_the_leg_s_stream() {
    let start = origin();
    let mut leg = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    let mut out = [0; MAX_DATAGRAM];
    let len = leg.send_frame(start, &[0; 160], &mut out).unwrap();
    let first = Packet::parse(&out[..len]).unwrap().header;
    leg.play(after(start, 20), item(1, 20)).unwrap();
    let second = run(&mut leg, start, 20, 21)[0].1.header;
    assert_eq!((first.sequence, second.sequence), (10, 11));
    assert_eq!(second.timestamp, first.timestamp + 160);
    assert!(leg.send_frame(start, &[0; 481], &mut out).is_none());
    assert!(leg.send_frame(start, &[0; 480], &mut out).is_some());
}

#[test]
fn rtcp_reports_what_was_sent_and_heard_and_measures_the_round_trip() {
    let start = origin();
    let (mut us, mut them) = (
        MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() }),
        MediaLeg::new(start, LegConfig { ssrc: 0xbbbb, start: Start::AtOnce, ..config() }),
    );
    us.play(start, item(1, 30_000)).unwrap();
    let mut out = [0; MAX_DATAGRAM];
    let mut reports = 0;
    for ms in 0..30_000 {
        let now = after(start, ms);
        while let Some(len) = us.tick(now, &mut out) {
            // Every tenth packet is lost.
            let sequence = Packet::parse(&out[..len]).unwrap().header.sequence;
            if sequence % 10 != 3 {
                them.on_datagram(now, peer(), &out[..len]);
            }
        }
        // Reports take 40 ms each way: they are applied late.
        if let Some(len) = us.rtcp(now, &mut out) {
            assert!(matches!(packets(&out[..len]).next(), Some(RtcpPacket::SenderReport { .. })));
            them.on_datagram(after(now, 40), peer(), &out[..len]);
            reports += 1;
        }
        if let Some(len) = them.rtcp(now, &mut out) {
            assert!(matches!(packets(&out[..len]).next(), Some(RtcpPacket::ReceiverReport { .. })));
            us.on_datagram(after(now, 40), peer(), &out[..len]);
        }
    }
    assert!((4..=9).contains(&reports), "{reports}");
    let theirs = them.quality();
    assert!((theirs.loss_percent - 10.0).abs() < 0.5, "{theirs:?}");
    let ours = us.remote_quality().unwrap();
    assert!((ours.loss_percent - 10.0).abs() < 3.0, "{ours:?}");
    let round_trip = us.round_trip().unwrap().as_millis();
    assert!((75..=85).contains(&round_trip), "{round_trip} ms");
    assert!(theirs.mos < 3.5 && theirs.mos > 1.5, "{theirs:?}");

    let len = us.rtcp_bye(after(start, 30_000), &mut out).unwrap();
    let received = them.on_datagram(after(start, 30_000), peer(), &out[..len]);
    assert!(matches!(received, Received::Rtcp(RtcpFacts { bye: true, .. })));
}

#[test]
fn rtcp_alone_keeps_a_call_alive() {
    let start = origin();
    let mut leg = MediaLeg::new(start, config());
    let mut them = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    let mut out = [0; MAX_DATAGRAM];
    them.send_frame(start, &[0; 160], &mut out);
    let len = them.rtcp_bye(start, &mut out).unwrap();
    assert!(events(&mut leg, after(start, 59_999)).is_empty());
    leg.on_datagram(after(start, 59_999), peer(), &out[..len]);
    assert!(events(&mut leg, after(start, 119_998)).is_empty());
    assert_eq!(events(&mut leg, after(start, 119_999)), [LegEvent::MediaTimeout]);
    assert!(events(&mut leg, after(start, 300_000)).is_empty(), "once per silence");
}

#[test]
fn a_re_invite_that_moves_the_peer_is_followed_and_identity_goes_on() {
    let start = origin();
    let mut leg = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    leg.play(start, item(1, 10_000)).unwrap();
    let before = run(&mut leg, start, 0, 100).pop().unwrap().1.header;
    let moved: SocketAddr = "198.51.100.8:5000".parse().unwrap();
    let next = Negotiated {
        send: PayloadMap::PCMA_101,
        receive: PayloadMap::PCMA_101,
        remote: Some(moved),
        ..*leg.negotiated()
    };
    leg.renegotiate(after(start, 100), next);
    let after_it = run(&mut leg, start, 100, 101)[0].1.header;
    assert_eq!(leg.destination(), Some(moved));
    assert_eq!(leg.rtcp_destination(), Some("198.51.100.8:5001".parse().unwrap()));
    assert_eq!((after_it.ssrc, after_it.payload_type), (before.ssrc, 8));
    assert_eq!(after_it.sequence, before.sequence + 1);
}

#[test]
fn rtcp_goes_where_it_was_announced_or_multiplexed() {
    let start = origin();
    let rtcp = |remote_rtcp: Option<&str>| {
        let mut config = config();
        config.negotiated.remote_rtcp = remote_rtcp.map(|text| text.parse().unwrap());
        MediaLeg::new(start, config).rtcp_destination().unwrap().to_string()
    };
    assert_eq!(rtcp(None), "198.51.100.7:4001");
    assert_eq!(rtcp(Some("198.51.100.7:4000")), "198.51.100.7:4000");
    assert_eq!(rtcp(Some("198.51.100.7:9999")), "198.51.100.7:9999");
}

#[test]
fn packet_time_is_kept_within_bounds() {
    let start = origin();
    for (asked, got) in [(0, 80), (9, 80), (10, 80), (30, 240), (60, 480), (61, 480), (255, 480)] {
        let mut bounded = LegConfig { start: Start::AtOnce, ..config() };
        bounded.negotiated.ptime_ms = asked;
        let mut leg = MediaLeg::new(start, bounded);
        leg.play(start, item(1, 100)).unwrap();
        assert_eq!(run(&mut leg, start, 0, 1)[0].2.len(), got, "asked {asked}");
    }
}

#[test]
fn a_stalled_worker_does_not_burst() {
    let start = origin();
    let mut leg = MediaLeg::new(start, LegConfig { start: Start::AtOnce, ..config() });
    leg.play(start, item(1, 10_000)).unwrap();
    run(&mut leg, start, 0, 100);
    assert_eq!(run(&mut leg, start, 150, 151).len(), 3, "a short stall is caught up");
    assert_eq!(run(&mut leg, start, 2_000, 2_001).len(), 1, "a long one is not");
}

proptest! {
    #[test]
    fn arbitrary_datagrams_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300), first in 0x80u8..0xc0, kind: u8,
    ) {
        if let [b0, b1, ..] = bytes.as_mut_slice() {
            (*b0, *b1) = (first, kind);
        }
        let start = origin();
        let mut leg = MediaLeg::new(start, config());
        leg.listen(true);
        leg.detect_inband(true);
        leg.on_datagram(start, peer(), &bytes);
        leg.poll(after(start, 1_000));
        prop_assert!(leg.stats().rejected <= 1);
    }
}
