//! API calls: dial, ring_url, then the document once the far side answers.

use tandem_engine::Origination;
use tandem_model::ports::{AdmittedLeg, Reservation, RouteCredentials};
use tandem_model::{CallDirection, CallId, EventKind, HangupCause, HangupSource};
use tandem_sip::ChallengeKind;

use crate::support::world::{application, call_facts};
use crate::support::{Peer, Voice, World, engine, route_to};

fn origination(to: &Peer) -> Origination {
    Origination {
        leg: AdmittedLeg {
            facts: call_facts(CallId::random(), CallDirection::Outbound, "911140001234", "918012345678"),
            routes: vec![route_to(to.addr())],
            reservation: Reservation { covered_s: Some(60) },
            max_duration_s: 14_400,
            recording: None,
        },
        application: application(),
        ring_timeout_s: Some(20),
    }
}

#[tokio::test]
async fn an_api_call_rings_answers_and_runs_its_document() {
    let world = World::new();
    let b = Peer::start().await;
    world.document("http://app.test/answer", "<Response><Speak>Hello.</Speak></Response>");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    let call = origination(&b);
    let id = call.leg.facts.call;
    engine.originate(call).unwrap();
    let (leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.ringing(now, leg));
    let ring = world.eventually("ring_url is told", |seen| seen.notices.first().cloned()).await;
    assert_eq!((ring.event, ring.url.as_str()), (EventKind::Ring, "http://app.test/ring"));
    assert!(ring.params.contains(&("CallStatus".into(), "ringing".to_owned())), "{:?}", ring.params);
    assert!(world.seen(|seen| seen.fetches.is_empty()), "no document before the answer");

    let _ = b.command(|endpoint, now| endpoint.answer(now, leg, voice.sdp().as_bytes()));
    b.acked().await;
    voice.hears("the greeting", |heard| heard.loud >= 9).await;
    b.bye().await;
    let end = world.ends(1).await.remove(0);
    assert_eq!((end.call, end.cause), (id, HangupCause::EndOfXml));
    assert!(end.answered_at.is_some() && end.progress_at.is_some());
    assert_eq!(world.seen(|seen| seen.answered[0].call), id);
}

#[tokio::test]
async fn an_api_call_that_is_refused_has_its_end_and_no_document() {
    let world = World::new();
    let b = Peer::start().await;
    let engine = engine(&world).await;
    engine.originate(origination(&b)).unwrap();
    let (leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.reject(now, leg, 486, None, &[]));
    let end = world.ends(1).await.remove(0);
    assert_eq!((end.cause, end.disposition.as_str()), (HangupCause::BusyLine, "recv_refuse"));
    assert!(world.seen(|seen| seen.fetches.is_empty()));
}

#[tokio::test]
async fn the_callee_of_an_api_call_hanging_up_is_the_callee() {
    let world = World::new();
    let b = Peer::start().await;
    world.document("http://app.test/answer", r#"<Response><Wait length="30"/></Response>"#);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    engine.originate(origination(&b)).unwrap();
    let (leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, leg, voice.sdp().as_bytes()));
    world.eventually("the document is fetched", |seen| (!seen.fetches.is_empty()).then_some(())).await;
    let _ = b.command(|endpoint, now| endpoint.bye(now, leg, None));
    assert_eq!(world.ends(1).await[0].source, HangupSource::Callee);
}

#[tokio::test]
async fn an_api_call_that_rings_too_long_is_cancelled_with_6010() {
    let world = World::new();
    let b = Peer::start().await;
    let engine = engine(&world).await;
    engine.originate(Origination { ring_timeout_s: Some(1), ..origination(&b) }).unwrap();
    let (leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.ringing(now, leg));
    b.cancelled().await;
    let end = world.ends(1).await.remove(0);
    assert_eq!((end.cause, end.source), (HangupCause::RingTimeout, HangupSource::Vobiz));
    assert_eq!(end.disposition, "send_cancel");
}

#[tokio::test]
async fn a_carriers_challenge_is_answered_once() {
    let world = World::new();
    let b = Peer::start().await;
    let engine = engine(&world).await;
    let mut call = origination(&b);
    for route in &mut call.leg.routes {
        route.credentials = Some(RouteCredentials {
            username: "tandem".to_owned(),
            password: "secret".to_owned().into(),
            realm: Some("carrier.test".to_owned()),
        });
    }
    engine.originate(call).unwrap();
    let challenge = r#"Digest realm="carrier.test", nonce="n1", algorithm=MD5, qop="auth""#.to_owned();
    let (leg, facts) = b.invited().await;
    assert!(facts.proxy_authorization.is_empty());
    let kind = ChallengeKind::ProxyAuthenticationRequired;
    let _ = b.command(|endpoint, now| endpoint.challenge(now, leg, kind, std::slice::from_ref(&challenge)));
    let (leg, facts) = b.invited().await;
    let given = facts.proxy_authorization.first().expect("the challenge is answered").clone();
    assert!(given.contains(r#"username="tandem""#) && given.contains(r#"nonce="n1""#), "{given}");
    let _ = b.command(|endpoint, now| endpoint.challenge(now, leg, kind, std::slice::from_ref(&challenge)));
    assert_eq!(world.ends(1).await[0].cause, HangupCause::Forbidden);
    let invites = b.received().into_iter().filter(|message| message.starts_with("INVITE ")).count();
    assert_eq!(invites, 2, "a rejected password is not tried for ever");
}
