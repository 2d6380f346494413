//! Trunk calls: a customer's PBX on an IP ACL, bridged to a callee, with audio both ways.

use tandem_model::{HangupCause, HangupSource};
use tandem_sip::{Event, Outcome};

use crate::support::{Peer, Voice, World, engine, route_to};

/// A call from A to B, both peers of our own, answered and talking.
pub(crate) struct Talking {
    pub(crate) world: std::sync::Arc<World>,
    pub(crate) engine: tandem_engine::EngineHandle,
    pub(crate) a: Peer,
    pub(crate) b: Peer,
    pub(crate) a_voice: Voice,
    pub(crate) b_voice: Voice,
    pub(crate) a_leg: tandem_sip::LegId,
    pub(crate) b_leg: tandem_sip::LegId,
}

/// Sets up a trunk call with audio both ways.
pub(crate) async fn talking(adjust: impl FnOnce(&World)) -> Talking {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    adjust(&world);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    let a_leg = a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (b_leg, facts) = b.invited().await;
    let offer = String::from_utf8(facts.sdp.clone().unwrap()).unwrap();
    assert_eq!(b.command(|endpoint, now| endpoint.ringing(now, b_leg)), Outcome::Sent);
    a.expect("180", |event| matches!(event, Event::Ringing { .. }).then_some(())).await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    let answer = a.answered().await;
    b.acked().await;
    a_voice.speak_to(&answer);
    b_voice.speak_to(&offer);
    a_voice.hears("B's voice", |heard| heard.loud > 5).await;
    b_voice.hears("A's voice", |heard| heard.loud > 5).await;
    Talking { world, engine, a, b, a_voice, b_voice, a_leg, b_leg }
}

#[tokio::test]
async fn a_trunk_call_is_bridged_with_audio_both_ways_and_settled_once() {
    let call = talking(|_| {}).await;
    let invite = call.b.received().remove(0);
    assert!(invite.contains("X-VH-Order: 42"), "{invite}");
    assert!(invite.contains("Max-Forwards: 69"), "{invite}");

    let answered = call.world.seen(|seen| seen.answered.clone());
    assert_eq!(answered.len(), 1, "one record, one answer");
    assert_eq!(answered[0].dialogs.len(), 2, "both dialogs are kept for a crash");

    let leg = call.a_leg;
    let _ = call.a.command(|endpoint, now| endpoint.bye(now, leg, None));
    call.b.bye().await;
    let ends = call.world.ends(1).await;
    let end = &ends[0];
    assert_eq!((end.cause, end.source), (HangupCause::NormalHangup, HangupSource::Caller));
    assert_eq!(end.disposition, "recv_bye");
    assert_eq!(end.codec.as_deref(), Some("PCMU"));
    assert!(end.answered_at.is_some() && end.progress_at.is_some());
    assert!(end.quality.is_some_and(|quality| quality.mos > 3.0), "{:?}", end.quality);
    assert_eq!(end.network_addr, Some(call.a.addr()));
    assert_eq!(end.call, call.world.seen(|seen| seen.admits[0].call));
    assert_eq!(end.terminated_to, Some(format!("sip:+918012345678@{}", call.b.addr())));

    call.engine.shutdown().await;
    assert_eq!(call.world.seen(|seen| seen.ends.len()), 1);
    assert_eq!(call.engine.live_count(), 0);
}

#[tokio::test]
async fn the_callee_hanging_up_ends_the_caller_too() {
    let call = talking(|_| {}).await;
    let leg = call.b_leg;
    let _ = call.b.command(|endpoint, now| endpoint.bye(now, leg, None));
    call.a.bye().await;
    let ends = call.world.ends(1).await;
    assert_eq!((ends[0].cause, ends[0].source), (HangupCause::NormalHangup, HangupSource::Callee));
    assert_eq!(ends[0].disposition, "send_bye");
}

#[tokio::test]
async fn a_busy_callee_is_passed_on_to_the_caller() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    let (leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.reject(now, leg, 486, None, &[]));
    assert_eq!(a.rejected().await, 486);
    let ends = world.ends(1).await;
    assert_eq!((ends[0].cause, ends[0].billsec), (HangupCause::BusyLine, 0));
    assert_eq!(ends[0].answered_at, None);
}

#[tokio::test]
async fn a_caller_who_gives_up_cancels_the_callee() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    let leg = a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.ringing(now, b_leg));
    a.expect("180", |event| matches!(event, Event::Ringing { .. }).then_some(())).await;
    let _ = a.command(|endpoint, now| endpoint.cancel(now, leg, None));
    b.cancelled().await;
    assert_eq!(a.rejected().await, 487);
    let ends = world.ends(1).await;
    assert_eq!(ends[0].source, HangupSource::Caller);
    assert_eq!(ends[0].cause_text.as_deref(), Some("ORIGINATOR_CANCEL"));
    assert_eq!((ends[0].billsec, ends[0].disposition.as_str()), (0, "recv_cancel"));
}

#[tokio::test]
async fn a_callee_that_rings_too_long_is_cancelled_with_6010() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    let route = route_to(b.addr());
    world.on_admit(move |facts| {
        let plan = tandem_model::ports::Plan::Bridge { routes: vec![route.clone()], ring_timeout_s: 1 };
        tandem_model::ports::Decision::Admit(Box::new(crate::support::world::admitted(&facts, plan)))
    });
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.ringing(now, b_leg));
    b.cancelled().await;
    assert_eq!(a.rejected().await, 480);
    let ends = world.ends(1).await;
    assert_eq!((ends[0].cause, ends[0].source), (HangupCause::RingTimeout, HangupSource::Vobiz));
    assert_eq!(ends[0].ring_s, 1);
}

#[tokio::test]
async fn congestion_tries_the_next_route_and_a_refusal_does_not() {
    let world = World::new();
    let (a, full, b) = (Peer::start().await, Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(full.addr()), route_to(b.addr())]);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    let (leg, _) = full.invited().await;
    let _ = full.command(|endpoint, now| endpoint.reject(now, leg, 503, None, &[]));
    let (leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.reject(now, leg, 404, None, &[]));
    assert_eq!(a.rejected().await, 404);
    assert_eq!(world.ends(1).await[0].cause, HangupCause::Unallocated);
}

#[tokio::test]
async fn a_callers_late_offer_is_answered_in_the_ack() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", "");
    let (b_leg, facts) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    let (a_leg, offer) = a
        .expect("a 200 with an offer", |event| match event {
            Event::Answered { leg, sdp, needs_answer: true } => {
                Some((*leg, String::from_utf8(sdp.clone().unwrap()).unwrap()))
            }
            _ => None,
        })
        .await;
    let _ = a.command(|endpoint, now| endpoint.acknowledge(now, a_leg, a_voice.sdp().as_bytes()));
    a_voice.speak_to(&offer);
    b_voice.speak_to(std::str::from_utf8(facts.sdp.as_deref().unwrap()).unwrap());
    a_voice.hears("B's voice", |heard| heard.loud > 5).await;
    b_voice.hears("A's voice", |heard| heard.loud > 5).await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    assert_eq!(world.ends(1).await[0].codec.as_deref(), Some("PCMU"));
}

#[tokio::test]
async fn hold_stops_audio_towards_the_holder_and_resume_brings_it_back() {
    let call = talking(|_| {}).await;
    let (leg, voice) = (call.a_leg, &call.a_voice);
    let reinvite = |direction: &str| {
        let sdp = voice.sdp_with("0 8 101", direction);
        let outcome = call.a.command(|endpoint, now| endpoint.reinvite(now, leg, Some(sdp.as_bytes())));
        assert_eq!(outcome, Outcome::Sent);
    };
    let renewed = || {
        call.a.expect("a 200 to re-INVITE", |event| match event {
            Event::ReinviteAnswered { sdp, .. } => Some(String::from_utf8(sdp.clone().unwrap()).unwrap()),
            _ => None,
        })
    };
    reinvite("inactive");
    assert!(renewed().await.contains("a=inactive"));
    // B goes on talking; what reaches A stops: B's heard count is our clock.
    let quiet_from = call.a_voice.heard().packets;
    reinvite("sendrecv");
    assert!(renewed().await.contains("a=sendrecv"));
    call.a_voice.hears("B again", |heard| heard.packets > quiet_from + 5).await;
    call.b_voice.hears("A again", |heard| heard.loud > 5).await;
    let received = call.b.received();
    let invites = received.iter().filter(|message| message.starts_with("INVITE ")).count();
    assert_eq!(invites, 1, "hold is answered locally and never forwarded");
}

#[tokio::test]
async fn digits_and_laws_pass_through_the_bridge() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    // A speaks µ-law only, B A-law only: the relay converts.
    let (a_voice, b_voice) = (Voice::start().await, Voice::with_payload(8).await);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp_with("0 101", "sendrecv"));
    let (b_leg, facts) = b.invited().await;
    let offer = String::from_utf8(facts.sdp.clone().unwrap()).unwrap();
    assert!(offer.contains("m=audio") && offer.contains("RTP/AVP 0 8 101"), "{offer}");
    let sdp = b_voice.sdp_with("8 101", "sendrecv");
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, sdp.as_bytes()));
    let answer = a.answered().await;
    a_voice.speak_to(&answer);
    b_voice.speak_to(&offer);
    let heard = a_voice.hears("B's voice", |heard| heard.loud > 5).await;
    assert_eq!(heard.payload_type, 0);
    let heard = b_voice.hears("A's voice", |heard| heard.loud > 5).await;
    assert_eq!(heard.payload_type, 8);
    a_voice.press(5);
    assert_eq!(b_voice.hears("the key", |heard| !heard.digits.is_empty()).await.digits, [5]);
}

#[tokio::test]
async fn early_media_is_heard_before_the_answer() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (b_leg, facts) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.progress(now, b_leg, b_voice.sdp().as_bytes()));
    let early = a
        .expect("183 with SDP", |event| match event {
            Event::Progress { sdp, .. } => Some(String::from_utf8(sdp.clone()).unwrap()),
            _ => None,
        })
        .await;
    b_voice.speak_to(std::str::from_utf8(facts.sdp.as_deref().unwrap()).unwrap());
    a_voice.hears("the announcement", |heard| heard.loud > 5).await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    assert_eq!(a.answered().await, early, "the 200 repeats the description of the 183");
}

#[tokio::test]
async fn a_dead_route_gives_way_and_a_slow_one_does_not() {
    let world = World::new();
    let (a, slow, last) = (Peer::start().await, Peer::start().await, Peer::start().await);
    let dead = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
    world.acl_trunk(a.addr());
    let routes = [dead.local_addr().unwrap(), slow.addr(), last.addr()];
    world.bridge_to(routes.map(route_to).to_vec());
    let engine = crate::support::engine_with(&world, |config| {
        config.timing.no_response = std::time::Duration::from_millis(300);
    })
    .await;
    let (a_voice, voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &a_voice.sdp());
    let (leg, _) = slow.invited().await;
    // It has heard us and takes its time: 100 now, 200 long after the limit.
    let _ = slow.command(|endpoint, now| endpoint.trying(now, leg));
    tokio::time::timeout(std::time::Duration::from_millis(700), slow.cancelled()).await.unwrap_err();
    let _ = slow.command(|endpoint, now| endpoint.answer(now, leg, voice.sdp().as_bytes()));
    a.answered().await;
    assert!(last.received().is_empty(), "the third route was never needed");
}
