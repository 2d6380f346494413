use tandem_media::PortError;

use super::*;

fn open(plane: &MediaPlane) -> Result<RtpLeg, OpenError> {
    let (events, _) = event_channel();
    plane.open(OpenLeg { beside: None, toward: Ipv4Addr::LOCALHOST.into(), events })
}

#[test]
fn rtp_is_on_an_even_port_and_rtcp_on_the_odd_one_above() {
    let plane = plane();
    let leg = open(&plane).unwrap();
    let port = leg.local_rtp().port();
    assert_eq!(port % 2, 0);
    for taken in [port, port + 1] {
        assert!(UdpSocket::bind((Ipv4Addr::LOCALHOST, taken)).is_err());
    }
}

#[test]
fn ports_run_out_rest_and_come_back() {
    let quarantine = Duration::from_millis(300);
    let plane = MediaPlane::start(MediaPlaneConfig { quarantine, ..config(2) }).unwrap();
    let mut legs = vec![open(&plane).unwrap(), open(&plane).unwrap()];
    assert!(matches!(open(&plane), Err(OpenError::Ports(PortError::Exhausted { in_use: 2, .. }))));
    assert_eq!(plane.live_legs(), 2);
    let leg = legs.pop().unwrap();
    let port = leg.local_rtp().port();
    let closed = clock::monotonic();
    assert!(block_on(leg.close()).is_some());
    assert_eq!(plane.live_legs(), 1);
    assert!(matches!(
        open(&plane),
        Err(OpenError::Ports(PortError::Exhausted { in_use: 1, quarantined: 1 }))
    ));
    let again = std::iter::repeat_with(|| {
        std::thread::park_timeout(Duration::from_millis(5));
        open(&plane)
    })
    .take(1_000)
    .find_map(Result::ok)
    .expect("a rested port is used again");
    assert_eq!(again.local_rtp().port(), port);
    assert!(clock::monotonic() - closed >= quarantine);
}

#[test]
fn one_leg_past_the_limit_is_refused() {
    let plane = MediaPlane::start(MediaPlaneConfig { max_legs: 2, ..config(8) }).unwrap();
    let first = open(&plane).unwrap();
    let _second = open(&plane).unwrap();
    assert!(matches!(open(&plane), Err(OpenError::TooManyLegs(2))));
    assert!(block_on(first.close()).is_some());
    assert!(open(&plane).is_ok());
}

#[test]
fn a_port_that_another_program_holds_is_passed_over() {
    let config = config(2);
    let held = UdpSocket::bind((Ipv4Addr::LOCALHOST, *config.ports.start())).unwrap();
    let plane = MediaPlane::start(MediaPlaneConfig { quarantine: Duration::ZERO, ..config }).unwrap();
    for _ in 0..8 {
        let leg = open(&plane).unwrap();
        assert_ne!(leg.local_rtp().port(), held.local_addr().unwrap().port());
        assert!(block_on(leg.close()).is_some());
    }
}

#[test]
fn a_session_that_vanishes_leaves_nothing_behind() {
    let plane = plane();
    for _ in 0..8 {
        let line = Line::with(&plane, None, PayloadMap::PCMU_101);
        drop(line.leg);
    }
    let deadline = clock::monotonic() + PATIENCE;
    while plane.live_legs() > 0 {
        assert!(clock::monotonic() < deadline, "{} legs are left", plane.live_legs());
        std::thread::park_timeout(Duration::from_millis(1));
    }
}
