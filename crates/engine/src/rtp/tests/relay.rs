use tandem_media::dtmf::TelephoneEvent;
use tandem_media::g711::Law;
use tandem_media::{Codec, Material, PlayId, PlayItem, Repeat};

use super::*;

fn bridged(plane: &MediaPlane, a: PayloadMap, b: PayloadMap) -> (Line, Line) {
    let a = Line::with(plane, None, a);
    let b = Line::with(plane, Some(&a), b);
    a.leg.bridge(b.leg.key(), Flow::Both).unwrap();
    a.settle();
    (a, b)
}

#[test]
fn audio_crosses_both_ways_with_payload_type_and_law_mapped() {
    let plane = plane();
    let ulaw = PayloadMap::PCMU_101;
    let alaw = PayloadMap { telephone_event: Some(96), ..PayloadMap::PCMA_101 };
    let (mut a, mut b) = bridged(&plane, ulaw, alaw);
    let speech: Vec<u8> = (0..160).map(|n| Law::Ulaw.encode((n * 200 - 16_000) as i16)).collect();
    let mut previous: Option<Header> = None;
    for _ in 0..20 {
        a.phone.say(0, &speech);
        let heard = b.phone.hear();
        assert_eq!(heard.source, b.leg.local_rtp(), "RTP comes from the port in our SDP");
        assert_eq!(heard.header.payload_type, 8);
        let mut expected = speech.clone();
        Law::Ulaw.transcode(Law::Alaw, &mut expected);
        assert_eq!(heard.payload, expected);
        assert_ne!(heard.header.ssrc, 0xbeef, "each leg has an identity of its own");
        if let Some(previous) = previous {
            assert_eq!(heard.header.ssrc, previous.ssrc);
            assert_eq!(heard.header.sequence, previous.sequence.wrapping_add(1));
            assert_eq!(heard.header.timestamp, previous.timestamp.wrapping_add(160));
        }
        previous = Some(heard.header);
    }
    b.phone.say(8, &[Law::Alaw.silence(); 160]);
    let heard = a.phone.hear();
    assert_eq!((heard.header.payload_type, heard.payload.len()), (0, 160));

    let report = block_on(a.leg.close()).unwrap();
    assert_eq!(report.codec, Some(Codec::Pcmu));
    assert_eq!((report.stats.packets_received, report.stats.packets_sent), (20, 1));
    assert_eq!((report.octets_received, report.relay_dropped), (3_200, 0));
    assert!(report.first_packet_after.is_some());
    assert!(report.quality.mos > 4.0, "{:?}", report.quality);
}

#[test]
fn packets_of_another_length_are_cut_anew() {
    let plane = plane();
    let mut a = Line::with(&plane, None, PayloadMap::PCMU_101);
    let b = Line::open(&plane, Some(&a));
    let mut settled = media(b.phone.address(), PayloadMap::PCMU_101);
    settled.negotiated.ptime_ms = 30;
    b.leg.configure(settled).unwrap();
    a.leg.bridge(b.leg.key(), Flow::Both).unwrap();
    a.settle();
    let said: Vec<u8> = (0..960u32).map(|n| (n % 251) as u8).collect();
    for packet in said.chunks(160) {
        a.phone.say(0, packet);
    }
    let heard: Vec<u8> = (0..4)
        .flat_map(|_| {
            let packet = b.phone.hear();
            assert_eq!(packet.payload.len(), 240);
            packet.payload
        })
        .collect();
    assert_eq!(heard, said);
}

#[test]
fn a_digit_crosses_the_bridge_and_is_seen_once() {
    let plane = plane();
    let map = |number| PayloadMap { telephone_event: Some(number), ..PayloadMap::PCMU_101 };
    let (mut a, b) = bridged(&plane, map(101), map(96));
    let header = Header { marker: true, payload_type: 101, ..a.phone.next };
    for (n, end) in [false, false, true, true, true].into_iter().enumerate() {
        let event = TelephoneEvent { event: 11, end, volume: 10, duration: (n as u16 + 1) * 160 };
        let header = Header { sequence: a.phone.next.sequence, marker: n == 0, ..header };
        a.phone.send(header, &event.to_bytes());
        let heard = b.phone.hear();
        assert_eq!(heard.header.payload_type, 96);
        assert_eq!(TelephoneEvent::parse(&heard.payload).unwrap().event, 11);
    }
    a.settle();
    let mut digits = Vec::new();
    while let Ok(event) = a.events.try_recv() {
        if let MediaEvent::Digit { digit, .. } = event {
            digits.push(digit.as_char());
        }
    }
    assert_eq!(digits, ['#']);
}

#[test]
fn early_media_goes_one_way() {
    let plane = plane();
    let mut a = Line::with(&plane, None, PayloadMap::PCMU_101);
    let mut b = Line::with(&plane, Some(&a), PayloadMap::PCMU_101);
    b.leg.bridge(a.leg.key(), Flow::Onward).unwrap();
    b.settle();
    a.phone.say(0, &[1; 160]);
    b.phone.say(0, &[2; 160]);
    assert_eq!(a.phone.hear().payload, [2; 160]);
    assert!(b.phone.hear_within(WATCH).is_none());
}

#[test]
fn hold_and_unbridge_stop_the_relay_and_resume_keeps_the_identity() {
    let plane = plane();
    let (mut a, b) = bridged(&plane, PayloadMap::PCMU_101, PayloadMap::PCMU_101);
    a.phone.say(0, &[1; 160]);
    let first = b.phone.hear().header;
    let mut held = media(b.phone.address(), PayloadMap::PCMU_101);
    held.negotiated.direction = Direction::Inactive;
    b.leg.configure(held).unwrap();
    b.settle();
    a.phone.say(0, &[2; 160]);
    assert!(b.phone.hear_within(WATCH).is_none());
    b.leg.configure(media(b.phone.address(), PayloadMap::PCMU_101)).unwrap();
    b.settle();
    a.phone.say(0, &[3; 160]);
    let resumed = b.phone.hear();
    assert_eq!(resumed.payload, [3; 160]);
    assert_eq!(resumed.header.ssrc, first.ssrc);
    // The packet that hold swallowed may leave its gap, no more.
    let step = resumed.header.sequence.wrapping_sub(first.sequence);
    assert!((1..=2).contains(&step), "{step}");
    b.leg.unbridge().unwrap();
    b.settle();
    a.phone.say(0, &[4; 160]);
    assert!(b.phone.hear_within(WATCH).is_none());
}

#[test]
fn the_peer_hears_one_stream_when_a_prompt_gives_way_to_a_bridge() {
    let plane = plane();
    let (mut a, mut b) = bridged(&plane, PayloadMap::PCMU_101, PayloadMap::PCMU_101);
    let prompt = Material::Ulaw(vec![9; 480].into());
    b.leg.play(PlayItem { id: PlayId(1), material: prompt, repeat: Repeat::ONCE }).unwrap();
    let prompt: Vec<Heard> = (0..3).map(|_| b.phone.hear()).collect();
    assert!(prompt.iter().all(|packet| packet.payload == [9; 160]));
    b.expect(|event| {
        matches!(event, MediaEvent::PlaybackDone { play: PlayId(1), end: PlayEnd::Finished, .. })
    });
    let last = prompt[2].header;
    // Playback may hold the relay for its last frame's time.
    let relayed = std::iter::repeat_with(|| {
        a.phone.say(0, &[5; 160]);
        b.phone.hear_within(Duration::from_millis(20))
    })
    .take(50)
    .flatten()
    .next()
    .expect("the bridge speaks after the prompt");
    assert_eq!(relayed.payload, [5; 160]);
    assert_eq!(relayed.header.ssrc, last.ssrc);
    assert_eq!(relayed.header.sequence, last.sequence.wrapping_add(1));
    assert!(relayed.header.marker);
    assert!(relayed.header.timestamp.wrapping_sub(last.timestamp) >= 160);
}

#[test]
fn legs_on_different_workers_are_not_bridged() {
    let plane = MediaPlane::start(MediaPlaneConfig { threads: 2, ..config(4) }).unwrap();
    let a = Line::open(&plane, None);
    let elsewhere = Line::open(&plane, None);
    assert_eq!(a.leg.bridge(elsewhere.leg.key(), Flow::Both), Err(CommandError::Elsewhere));
    let beside = Line::open(&plane, Some(&a));
    assert_eq!(a.leg.bridge(beside.leg.key(), Flow::Both), Ok(()));
}

#[test]
fn digits_are_dialled_as_events_with_their_pauses() {
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    line.leg.send_digits("1w#").unwrap();
    let mut presses: Vec<(u32, u8, Instant, bool)> = Vec::new();
    while presses.len() < 2 || !presses[1].3 {
        let heard = line.phone.hear();
        assert_eq!(heard.header.payload_type, 101);
        let event = TelephoneEvent::parse(&heard.payload).unwrap();
        match presses.last_mut() {
            Some(press) if press.0 == heard.header.timestamp => press.3 |= event.end,
            _ => presses.push((heard.header.timestamp, event.event, heard.at, event.end)),
        }
    }
    assert_eq!(presses.iter().map(|press| press.1).collect::<Vec<_>>(), [1, 11]);
    assert!(presses[1].2 - presses[0].2 >= Duration::from_millis(500));
    line.expect(|event| matches!(event, MediaEvent::DigitsSent { refused: None, .. }));
    line.leg.send_digits("x").unwrap();
    line.expect(|event| matches!(event, MediaEvent::DigitsSent { refused: Some(_), .. }));
}

/// 100 calls of two legs on one worker, 20 ms packets for two seconds each way.
#[test]
fn two_hundred_legs_are_relayed_without_loss() {
    const CALLS: usize = 100;
    const PACKETS: u16 = 100;
    // Some of the range may be another program's.
    let plane = MediaPlane::start(config(2 * CALLS as u16 + 16)).unwrap();
    let mut calls: Vec<(Line, Line)> =
        (0..CALLS).map(|_| bridged(&plane, PayloadMap::PCMU_101, PayloadMap::PCMU_101)).collect();
    let start = clock::monotonic();
    let mut heard = vec![[0u16; 2]; CALLS];
    let listen = |calls: &[(Line, Line)], heard: &mut Vec<[u16; 2]>| {
        for ((a, b), [at_a, at_b]) in calls.iter().zip(heard) {
            for (phone, count) in [(&a.phone, at_a), (&b.phone, at_b)] {
                let mut buffer = [0; MAX_DATAGRAM];
                phone.socket.set_nonblocking(true).unwrap();
                while let Ok((len, _)) = phone.socket.recv_from(&mut buffer) {
                    *count += u16::from(!is_rtcp(&buffer[..len]));
                }
            }
        }
    };
    for n in 0..PACKETS {
        wait_until(start + Duration::from_millis(20) * u32::from(n));
        for (a, b) in &mut calls {
            a.phone.say(0, &[n as u8; 160]);
            b.phone.say(0, &[n as u8; 160]);
        }
        listen(&calls, &mut heard);
    }
    let deadline = clock::monotonic() + PATIENCE;
    while heard.iter().flatten().any(|count| *count < PACKETS) && clock::monotonic() < deadline {
        std::thread::park_timeout(Duration::from_millis(5));
        listen(&calls, &mut heard);
    }
    assert!(heard.iter().flatten().all(|count| *count == PACKETS), "{heard:?}");
}
