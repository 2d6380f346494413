use tandem_media::{Material, PlayId, PlayItem, Repeat, UNPROVEN_PACKETS};

use super::*;

#[test]
fn silence_where_the_peer_should_speak_is_reported_and_hold_is_not() {
    let plane = plane();
    let timeout = Some(Duration::from_millis(150));
    let mut speaking = Line::open(&plane, None);
    let settled = media(speaking.phone.address(), PayloadMap::PCMU_101);
    speaking.leg.configure(LegMedia { media_timeout: timeout, ..settled }).unwrap();
    let mut held = Line::open(&plane, None);
    let mut settled = media(held.phone.address(), PayloadMap::PCMU_101);
    settled.negotiated.direction = Direction::SendOnly;
    held.leg.configure(LegMedia { media_timeout: timeout, ..settled }).unwrap();
    let start = clock::monotonic();
    for n in 0..5 {
        wait_until(start + Duration::from_millis(50) * n);
        speaking.phone.say(0, &[0xff; 160]);
    }
    speaking.expect(|event| matches!(event, MediaEvent::MediaTimeout { .. }));
    assert!(clock::monotonic() - start >= Duration::from_millis(350));
    assert!(held.events.try_recv().is_err());
}

#[test]
fn packets_from_another_source_change_nothing() {
    let plane = plane();
    let mut a = Line::open(&plane, None);
    let settled = media(a.phone.address(), PayloadMap::PCMU_101);
    a.leg.configure(LegMedia { latch: LatchPolicy::Nat, ..settled }).unwrap();
    let b = Line::with(&plane, Some(&a), PayloadMap::PCMU_101);
    a.leg.bridge(b.leg.key(), Flow::Both).unwrap();
    a.settle();
    a.phone.say(0, &[1; 160]);
    assert_eq!(b.phone.hear().payload, [1; 160]);

    // From the peer's own address, as a neighbour behind the same NAT would.
    let mut stranger = Phone::new(a.leg.local_rtp());
    stranger.next.ssrc = 0xbad;
    for _ in 0..20 {
        stranger.say(0, &[66; 160]);
    }
    // Garbage is not RTP, and ends nothing.
    for garbage in [&[][..], &[0x80; 5], &[0xff; 1_900], &[0x80, 200, 0xff, 0xff, 0, 0, 0, 0]] {
        stranger.socket.send_to(garbage, stranger.to).unwrap();
    }
    a.phone.say(0, &[2; 160]);
    assert_eq!(b.phone.hear().payload, [2; 160]);
    assert_eq!(a.settle().stats.rejected, 24);
    assert_eq!(a.settle().destination, Some(a.phone.address()));
}

#[test]
fn an_address_that_never_answers_gets_a_bounded_number_of_packets() {
    let plane = plane();
    let mut line = Line::open(&plane, None);
    let settled = media(line.phone.address(), PayloadMap::PCMU_101);
    let elsewhere = Some("192.0.2.1".parse().unwrap());
    line.leg.configure(LegMedia { signalling_ip: elsewhere, ..settled }).unwrap();
    let material = Material::Ulaw(vec![7; 160 * 60].into());
    line.leg.play(PlayItem { id: PlayId(1), material, repeat: Repeat::ONCE }).unwrap();
    line.expect(|event| matches!(event, MediaEvent::PlaybackDone { .. }));
    let mut heard = 0;
    while line.phone.hear_within(WATCH).is_some() {
        heard += 1;
    }
    assert!((1..=UNPROVEN_PACKETS).contains(&heard), "{heard}");
    line.phone.say(0, &[0xff; 160]);
    let material = Material::Ulaw(vec![7; 160].into());
    line.leg.play(PlayItem { id: PlayId(2), material, repeat: Repeat::ONCE }).unwrap();
    line.phone.hear();
}

#[test]
fn a_flooded_port_does_not_starve_its_neighbours() {
    let plane = plane();
    let flooded = Line::with(&plane, None, PayloadMap::PCMU_101);
    let mut a = Line::with(&plane, None, PayloadMap::PCMU_101);
    let b = Line::with(&plane, Some(&a), PayloadMap::PCMU_101);
    a.leg.bridge(b.leg.key(), Flow::Both).unwrap();
    a.settle();
    let flood = Phone::new(flooded.leg.local_rtp());
    for n in 0..20 {
        for _ in 0..200 {
            // The socket's buffer may be full: that is the flood's point.
            let _ = flood.socket.send_to(&[0; 200], flood.to);
        }
        a.phone.say(0, &[n; 160]);
        assert_eq!(b.phone.hear().payload, [n; 160]);
    }
}

#[test]
fn both_sides_get_rtcp_of_ours_with_a_farewell() {
    let plane = plane();
    let line = Line::open(&plane, None);
    let rtcp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut settled = media(line.phone.address(), PayloadMap::PCMU_101);
    settled.negotiated.remote_rtcp = Some(rtcp.local_addr().unwrap());
    line.leg.configure(settled).unwrap();
    let material = Material::Ulaw(vec![7; 320].into());
    line.leg.play(PlayItem { id: PlayId(1), material, repeat: Repeat::ONCE }).unwrap();
    line.phone.hear();
    let local = line.leg.local_rtp();
    drop(line.leg);
    rtcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; MAX_DATAGRAM];
    let (len, source) = rtcp.recv_from(&mut buffer).unwrap();
    assert_eq!(source.port(), local.port() + 1);
    let farewell = tandem_media::rtcp::packets(&buffer[..len])
        .any(|packet| matches!(packet, tandem_media::rtcp::RtcpPacket::Goodbye { .. }));
    assert!(farewell);
}

/// The first report is due within four seconds of the leg's birth.
#[test]
fn a_leg_that_is_only_spoken_to_reports_what_it_sends() {
    let plane = plane();
    let mut a = Line::with(&plane, None, PayloadMap::PCMU_101);
    let b = Line::open(&plane, Some(&a));
    let rtcp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let mut settled = media(b.phone.address(), PayloadMap::PCMU_101);
    settled.negotiated.remote_rtcp = Some(rtcp.local_addr().unwrap());
    b.leg.configure(settled).unwrap();
    a.leg.bridge(b.leg.key(), Flow::Onward).unwrap();
    a.settle();
    a.phone.say(0, &[1; 160]);
    b.phone.hear();
    rtcp.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut buffer = [0; MAX_DATAGRAM];
    let (len, _) = rtcp.recv_from(&mut buffer).unwrap();
    let sent = tandem_media::rtcp::packets(&buffer[..len]).find_map(|packet| match packet {
        tandem_media::rtcp::RtcpPacket::SenderReport { info, .. } => Some(info.packets),
        _ => None,
    });
    assert_eq!(sent, Some(1));
}
