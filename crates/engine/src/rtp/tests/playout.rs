use tandem_media::energy::{Tone, has_tone};
use tandem_media::g711::Law;
use tandem_media::{Material, PlayId, PlayItem, PlayoutError, Repeat};

use super::*;

fn clip(id: u64, samples: &[u8]) -> PlayItem {
    PlayItem { id: PlayId(id), material: Material::Ulaw(samples.into()), repeat: Repeat::ONCE }
}

fn done(id: u64, end: PlayEnd) -> impl Fn(&MediaEvent) -> bool {
    move |event| matches!(event, MediaEvent::PlaybackDone { play, end: e, .. } if *play == PlayId(id) && *e == end)
}

#[test]
fn a_clip_arrives_exactly_in_one_unbroken_stream_at_its_own_pace() {
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    let samples: Vec<u8> = (0..160 * 25u32).map(|n| (n * n % 255) as u8).collect();
    line.leg.play(clip(1, &samples)).unwrap();
    let heard: Vec<Heard> = (0..25).map(|_| line.phone.hear()).collect();
    let audio: Vec<u8> = heard.iter().flat_map(|packet| packet.payload.clone()).collect();
    assert_eq!(audio, samples);
    for pair in heard.windows(2) {
        assert_eq!(pair[1].header.ssrc, pair[0].header.ssrc);
        assert_eq!(pair[1].header.sequence, pair[0].header.sequence.wrapping_add(1));
        assert_eq!(pair[1].header.timestamp, pair[0].header.timestamp.wrapping_add(160));
    }
    assert!(heard[0].header.marker && heard[1..].iter().all(|packet| !packet.header.marker));
    let took = heard[24].at - heard[0].at;
    assert!(took >= Duration::from_millis(460), "24 packets apart in {took:?}");
    line.expect(done(1, PlayEnd::Finished));
}

#[test]
fn nothing_is_said_before_the_ack_and_everything_after_it() {
    let plane = plane();
    let mut line = Line::open(&plane, None);
    let settled = LegMedia { start: Start::AtAck, ..media(line.phone.address(), PayloadMap::PCMU_101) };
    // Before SDP is settled, commands wait.
    line.leg.play(clip(1, &[7; 320])).unwrap();
    line.leg.configure(settled).unwrap();
    assert!(line.phone.hear_within(WATCH).is_none());
    line.leg.start_playout().unwrap();
    assert_eq!(line.phone.hear().payload, [7; 160]);
    assert_eq!(line.phone.hear().payload, [7; 160]);
    line.expect(done(1, PlayEnd::Finished));
}

#[test]
fn a_natted_peer_is_spoken_to_once_it_speaks() {
    let plane = plane();
    let mut line = Line::open(&plane, None);
    // SDP names an address behind the NAT; packets come from another.
    let announced = "127.0.0.2:9".parse().unwrap();
    let settled = LegMedia {
        start: Start::AtFirstPacket,
        latch: LatchPolicy::Nat,
        signalling_ip: Some(Ipv4Addr::LOCALHOST.into()),
        ..media(announced, PayloadMap::PCMU_101)
    };
    line.leg.configure(settled).unwrap();
    line.leg.start_playout().unwrap();
    line.leg.play(clip(1, &[7; 160])).unwrap();
    line.settle();
    line.phone.say(0, &[0xff; 160]);
    assert_eq!(line.phone.hear().payload, [7; 160]);
    let address = line.phone.address();
    line.expect(|event| matches!(event, MediaEvent::FirstPacket { source, .. } if *source == address));
    line.expect(
        |event| matches!(event, MediaEvent::RemoteLatched { destination, .. } if *destination == address),
    );
}

#[test]
fn stopping_ends_every_item_and_the_sound() {
    let plane = plane();
    let mut line = Line::with(&plane, None, PayloadMap::PCMU_101);
    line.leg.tone(PlayId(1), Tone::Ring).unwrap();
    line.leg.play(clip(2, &[7; 160])).unwrap();
    let mut ringback = Vec::new();
    for _ in 0..10 {
        ringback.extend(line.phone.hear().payload.iter().map(|byte| Law::Ulaw.decode(*byte)));
    }
    assert!(has_tone(&ringback, 425.0, -20.0));
    line.leg.stop_playback().unwrap();
    line.expect(done(1, PlayEnd::Cleared));
    line.expect(done(2, PlayEnd::Cleared));
    while line.phone.hear_within(Duration::from_millis(1)).is_some() {}
    assert!(line.phone.hear_within(WATCH).is_none());
    line.leg.silence(PlayId(3), Duration::from_millis(60)).unwrap();
    line.expect(done(3, PlayEnd::Finished));
}

#[test]
fn what_a_leg_cannot_play_is_refused_and_what_it_plays_at_its_close_is_cleared() {
    let plane = plane();
    let opaque = PayloadMap { codec: tandem_media::Codec::G729, audio: 18, ..PayloadMap::PCMU_101 };
    let mut line = Line::with(&plane, None, opaque);
    line.leg.play(clip(1, &[7; 160])).unwrap();
    line.expect(done(1, PlayEnd::Refused(PlayoutError::Codec)));

    let playing = Line::with(&plane, None, PayloadMap::PCMU_101);
    let Line { leg, events, phone } = playing;
    leg.tone(PlayId(9), Tone::Busy).unwrap();
    assert!(block_on(leg.close()).is_some());
    let mut rest = Line { leg: line.leg, events, phone };
    rest.expect(done(9, PlayEnd::Cleared));
}
