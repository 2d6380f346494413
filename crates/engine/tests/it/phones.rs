//! Phones: they register, are called over the flow they registered from, and stay reachable when
//! the process starts anew.

use std::time::Duration;

use tandem_sip::message::{Address, FieldName, HeaderField, Method, OwnedUri};
use tandem_sip::{Event, OutgoingRequest};

use crate::edge::authorization;
use crate::support::{Peer, Voice, World, engine, engine_with, route_to_phone};

const REGISTRAR: &str = "sip:registrar.test";

async fn response(phone: &Peer) -> (u16, Vec<String>, Vec<String>) {
    phone
        .expect("an answer to REGISTER", |event| match event {
            Event::Response { facts, .. } => {
                Some((facts.status, facts.challenges.clone(), facts.contacts.clone()))
            }
            _ => None,
        })
        .await
}

fn register(phone: &Peer, engine: std::net::SocketAddr, cseq: u32, expires: u32, extra: Option<HeaderField>) {
    let aor = Address::parse("sip:alice@registrar.test").unwrap();
    let uri = OwnedUri::parse(REGISTRAR).unwrap();
    let mut request = OutgoingRequest::new(phone.flow(engine), Method::Register, uri, aor.clone(), aor);
    // An address nobody can route to: only the flow reaches the phone.
    let contact = format!("<sip:alice@192.0.2.1:5062>;expires={expires}");
    request.headers = vec![HeaderField::new(FieldName::Contact, contact).unwrap()];
    request.headers.extend(extra);
    request.call_id = Some(format!("register-{}", phone.addr()));
    request.cseq = cseq;
    phone.command(|endpoint, now| endpoint.request(now, request)).unwrap();
}

async fn registered(world: &World, phone: &Peer, engine: std::net::SocketAddr) {
    register(phone, engine, 1, 120, None);
    let (status, challenges, _) = response(phone).await;
    assert_eq!(status, 401);
    assert!(world.bindings().is_empty());
    let proof = authorization(&challenges, "REGISTER", REGISTRAR, "alice", "secret");
    register(phone, engine, 2, 120, Some(proof));
    let (status, _, contacts) = response(phone).await;
    assert_eq!(status, 200);
    assert!(
        contacts[0].contains("sip:alice@192.0.2.1:5062") && contacts[0].contains("expires=1"),
        "{contacts:?}"
    );
}

fn world_of_phones() -> std::sync::Arc<World> {
    let world = World::new();
    world.registrar("registrar.test");
    world.user("alice", "secret");
    world.bridge_to(vec![route_to_phone("alice")]);
    world
}

#[tokio::test]
async fn a_registered_phone_is_called_over_its_flow_and_after_a_restart_too() {
    let world = world_of_phones();
    let (a, phone) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    let first = engine(&world).await;
    registered(&world, &phone, first.sip_addr()).await;
    let stored = world.bindings();
    assert_eq!(stored[0].flow, format!("udp:{}", phone.addr()));

    let (a_voice, phone_voice) = (Voice::start().await, Voice::start().await);
    a.invite(first.sip_addr(), "alice", "trunk.test", &a_voice.sdp());
    let (leg, facts) = phone.invited().await;
    assert_eq!(facts.request_uri.as_str(), "sip:alice@192.0.2.1:5062");
    let _ = phone.command(|endpoint, now| endpoint.answer(now, leg, phone_voice.sdp().as_bytes()));
    a_voice.speak_to(&a.answered().await);
    phone_voice.hears("the caller", |heard| heard.loud > 3).await;
    let _ = phone.command(|endpoint, now| endpoint.bye(now, leg, None));
    a.bye().await;
    first.shutdown().await;

    let second = engine(&world).await;
    a.invite(second.sip_addr(), "alice", "trunk.test", &a_voice.sdp());
    phone.invited().await;
}

#[tokio::test]
async fn an_unregistered_phone_is_2020() {
    let world = world_of_phones();
    let a = Peer::start().await;
    world.acl_trunk(a.addr());
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "alice", "trunk.test", &voice.sdp());
    assert_eq!(a.rejected().await, 480);
    let end = world.ends(1).await.remove(0);
    assert_eq!(end.cause, tandem_model::HangupCause::EndpointNotRegistered);
}

/// A phone on two devices, both ringing for a caller.
struct TwoDevices {
    a: Peer,
    a_voice: Voice,
    desk: (Peer, tandem_sip::LegId),
    mobile: (Peer, tandem_sip::LegId),
    _engine: tandem_engine::EngineHandle,
}

async fn two_devices() -> TwoDevices {
    let world = world_of_phones();
    let (a, desk, mobile) = (Peer::start().await, Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    let engine = engine_with(&world, |config| config.timing.settle_grace = Duration::from_millis(500)).await;
    registered(&world, &desk, engine.sip_addr()).await;
    // The second device has another contact: its port.
    let aor = Address::parse("sip:alice@registrar.test").unwrap();
    let uri = OwnedUri::parse(REGISTRAR).unwrap();
    let request = |extra: Option<HeaderField>, cseq| {
        let flow = mobile.flow(engine.sip_addr());
        let mut request = OutgoingRequest::new(flow, Method::Register, uri.clone(), aor.clone(), aor.clone());
        let contact = format!("<sip:alice@{}>", mobile.addr());
        request.headers = vec![HeaderField::new(FieldName::Contact, contact).unwrap()];
        request.headers.extend(extra);
        request.call_id = Some("mobile".to_owned());
        request.cseq = cseq;
        mobile.command(|endpoint, now| endpoint.request(now, request)).unwrap();
    };
    request(None, 1);
    let (_, challenges, _) = response(&mobile).await;
    request(Some(authorization(&challenges, "REGISTER", REGISTRAR, "alice", "secret")), 2);
    assert_eq!(response(&mobile).await.0, 200);

    let a_voice = Voice::start().await;
    a.invite(engine.sip_addr(), "alice", "trunk.test", &a_voice.sdp());
    let (desk_leg, _) = desk.invited().await;
    let (mobile_leg, _) = mobile.invited().await;
    TwoDevices { a, a_voice, desk: (desk, desk_leg), mobile: (mobile, mobile_leg), _engine: engine }
}

#[tokio::test]
async fn every_contact_of_a_phone_rings_and_one_wins() {
    let TwoDevices { a, a_voice, desk: (desk, desk_leg), mobile: (mobile, mobile_leg), _engine } =
        two_devices().await;
    let voice = Voice::start().await;
    let _ = desk.command(|endpoint, now| endpoint.ringing(now, desk_leg));
    let _ = mobile.command(|endpoint, now| endpoint.answer(now, mobile_leg, voice.sdp().as_bytes()));
    a.answered().await;
    desk.cancelled().await;
    drop(a_voice);
}

#[tokio::test]
async fn of_two_devices_that_answer_in_the_same_moment_one_is_hung_up() {
    let TwoDevices { a, a_voice, desk: (desk, desk_leg), mobile: (mobile, mobile_leg), _engine } =
        two_devices().await;
    let voice = Voice::start().await;
    let _ = desk.command(|endpoint, now| endpoint.answer(now, desk_leg, voice.sdp().as_bytes()));
    let _ = mobile.command(|endpoint, now| endpoint.answer(now, mobile_leg, voice.sdp().as_bytes()));
    a.answered().await;
    let winner = tokio::select! {
        () = desk.bye() => &mobile,
        () = mobile.bye() => &desk,
    };
    let heard = |start| winner.received().iter().any(|message| message.starts_with(start));
    assert!(heard("ACK ") && !heard("BYE "));
    drop(a_voice);
}

#[tokio::test]
async fn a_phone_registers_nobody_but_itself() {
    let world = world_of_phones();
    world.user("mallory", "hers");
    let phone = Peer::start().await;
    let engine = engine(&world).await;
    register(&phone, engine.sip_addr(), 1, 120, None);
    let (_, challenges, _) = response(&phone).await;
    let proof = authorization(&challenges, "REGISTER", REGISTRAR, "mallory", "hers");
    register(&phone, engine.sip_addr(), 2, 120, Some(proof));
    assert_eq!(response(&phone).await.0, 403);
    assert!(world.bindings().is_empty());
}
