//! IPv6: calls over ::1, and between a caller on IPv4 and a callee on IPv6 through one engine on `[::]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tandem_model::HangupCause;

use crate::support::{Peer, Voice, World, engine_with, route_to};

const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);
const SOON: Duration = Duration::from_secs(5);

/// A call of two peers through one engine: both hear each other, the caller hangs up.
async fn talk(a: &Peer, b: &Peer, voices: (&Voice, &Voice), engine: SocketAddr) -> (String, String) {
    let (a_voice, b_voice) = voices;
    let a_leg = a.invite(engine, "+918012345678", "trunk.test", &a_voice.sdp());
    let (leg, facts) = b.invited().await;
    let offer = String::from_utf8(facts.sdp.clone().unwrap()).unwrap();
    let _ = b.command(|endpoint, now| endpoint.answer(now, leg, b_voice.sdp().as_bytes()));
    b_voice.speak_to(&offer);
    let answer = a.answered().await;
    a_voice.speak_to(&answer);
    a_voice.hears("the callee", |heard| heard.loud > 3).await;
    b_voice.hears("the caller", |heard| heard.loud > 3).await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    b.bye().await;
    (offer, answer)
}

#[tokio::test]
async fn a_call_over_ipv6_loopback_has_audio_both_ways_and_every_address_in_brackets() {
    let world = World::new();
    let (a, b) = (Peer::start_at(V6).await, Peer::start_at(V6).await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine_with(&world, |config| {
        config.sip_bind = SocketAddr::new(V6, 0);
        config.advertised_ip = V6;
    })
    .await;
    let voices = (Voice::start_at(V6, 0).await, Voice::start_at(V6, 0).await);
    let (offer, answer) = talk(&a, &b, (&voices.0, &voices.1), engine.sip_addr()).await;
    assert!(offer.contains("c=IN IP6 ::1") && answer.contains("c=IN IP6 ::1"), "{offer}{answer}");
    let port = engine.sip_addr().port();
    let invite = b.received().into_iter().find(|message| message.starts_with("INVITE ")).unwrap();
    assert!(invite.contains(&format!("Via: SIP/2.0/UDP [::1]:{port};")), "{invite}");
    assert!(invite.contains(&format!("Contact: <sip:[::1]:{port};tdm=")), "{invite}");
    let ok = a.received().into_iter().find(|message| message.starts_with("SIP/2.0 200")).unwrap();
    assert!(ok.contains(&format!("[::1]:{port}")), "the Contact of the answer: {ok}");
    let end = world.ends(1).await.remove(0);
    assert_eq!(end.cause, HangupCause::NormalHangup);
    tokio::time::timeout(SOON, engine.shutdown()).await.expect("a quick end");
}

#[tokio::test]
async fn on_every_address_a_caller_on_ipv4_talks_to_a_callee_on_ipv6_and_each_sees_its_own_family() {
    let world = World::new();
    let (a, b) = (Peer::start_at(V4).await, Peer::start_at(V6).await);
    // Listed by its IPv4 address, though the socket it comes through is an IPv6 one.
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine_with(&world, |config| {
        config.sip_bind = SocketAddr::new(Ipv6Addr::UNSPECIFIED.into(), 0);
        config.advertised_ip = V4;
        config.advertised_v6 = Some(Ipv6Addr::LOCALHOST);
    })
    .await;
    let voices = (Voice::start_at(V4, 0).await, Voice::start_at(V6, 0).await);
    let port = engine.sip_addr().port();
    // The caller dials the IPv4 address; the route to the callee leaves by IPv6.
    let near = SocketAddr::new(V4, port);
    let (offer, answer) = talk(&a, &b, (&voices.0, &voices.1), near).await;
    assert!(offer.contains("c=IN IP6 ::1"), "{offer}");
    assert!(answer.contains("c=IN IP4 127.0.0.1"), "{answer}");
    let invite = b.received().into_iter().find(|message| message.starts_with("INVITE ")).unwrap();
    assert!(invite.contains(&format!("Via: SIP/2.0/UDP [::1]:{port};")), "{invite}");
    let ok = a.received().into_iter().find(|message| message.starts_with("SIP/2.0 200")).unwrap();
    assert!(ok.contains(&format!("127.0.0.1:{port}")), "{ok}");
    assert_eq!(world.ends(1).await.remove(0).cause, HangupCause::NormalHangup);
    engine.shutdown().await;
}
