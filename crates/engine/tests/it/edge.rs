//! Answering strangers: silence, 404, challenges, refusals in the catalogue's words.

use tandem_model::ports::{Decision, Located};
use tandem_model::{ErrorCode, Refusal};
use tandem_sip::digest::{Attempt, ChallengeKind, Credentials, authorize, parse_challenge};
use tandem_sip::message::{Address, FieldName, HeaderField, Method, OwnedUri};
use tandem_sip::{Event, LegId, Outcome, OutgoingRequest};

use crate::support::{Peer, Voice, World, engine, engine_with, route_to};

/// Answers the next challenge of a peer's INVITE.
async fn authorize_invite(peer: &Peer, uri: &str, username: &str, password: &str) -> LegId {
    let (leg, challenges) = peer
        .expect("a challenge", |event| match event {
            Event::Challenged { leg, challenges, status: 401 } => Some((*leg, challenges.clone())),
            _ => None,
        })
        .await;
    let field = authorization(&challenges, "INVITE", uri, username, password);
    assert_eq!(peer.command(|endpoint, now| endpoint.retry_with_auth(now, leg, field)), Outcome::Sent);
    leg
}

/// The Authorization that answers `challenges`.
pub(crate) fn authorization(
    challenges: &[String],
    method: &str,
    uri: &str,
    username: &str,
    password: &str,
) -> HeaderField {
    let parsed: Vec<_> =
        challenges.iter().map(|value| parse_challenge(ChallengeKind::Www, value).unwrap()).collect();
    let credentials =
        Credentials { username: username.into(), password: password.into(), expected_realm: None };
    let answer = authorize(&parsed, &credentials, Attempt::First, method, uri, b"", "c0ffee", 1).unwrap();
    HeaderField::new(FieldName::Authorization, answer.value).unwrap()
}

#[tokio::test]
async fn a_digest_trunk_calls_after_one_challenge() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.digest_trunk("trunk.test");
    world.user("pbx", "secret");
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    authorize_invite(&a, "sip:+918012345678@trunk.test", "pbx", "secret").await;
    b.invited().await;
    assert_eq!(world.seen(|seen| seen.admits.len()), 1, "a challenge decides nothing");
}

#[tokio::test]
async fn a_pbx_behind_nat_hears_the_callee_where_its_packets_come_from() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.digest_trunk("trunk.test");
    world.user("pbx", "secret");
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    // Its SDP names an address that only exists behind its NAT.
    let sdp = a_voice.sdp().replace("IN IP4 127.0.0.1", "IN IP4 192.168.1.10");
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &sdp);
    authorize_invite(&a, "sip:+918012345678@trunk.test", "pbx", "secret").await;
    let (leg, facts) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, leg, b_voice.sdp().as_bytes()));
    a_voice.speak_to(&a.answered().await);
    b_voice.speak_to(std::str::from_utf8(facts.sdp.as_deref().unwrap()).unwrap());
    a_voice.hears("the callee", |heard| heard.loud > 5).await;
}

#[tokio::test]
async fn wrong_and_unknown_users_are_challenged_alike_and_banned_alike() {
    for username in ["pbx", "nobody"] {
        let world = World::new();
        let a = Peer::start().await;
        world.digest_trunk("trunk.test");
        world.user("pbx", "secret");
        let engine = engine(&world).await;
        let voice = Voice::start().await;
        let mut challenged = 0;
        loop {
            a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
            let leg = authorize_invite(&a, "sip:+918012345678@trunk.test", username, "wrong").await;
            let refused = a
                .expect("an answer", |event| match event {
                    Event::Challenged { .. } => Some(false),
                    Event::Rejected { status: 403, .. } => Some(true),
                    _ => None,
                })
                .await;
            if refused {
                break;
            }
            challenged += 1;
            let _ = a.command(|endpoint, now| endpoint.abandon(now, leg));
        }
        assert_eq!(challenged, 4, "the fifth wrong answer bans {username}");
        assert!(world.seen(|seen| seen.admits.is_empty()));
    }
}

#[tokio::test]
async fn strangers_hear_nothing_and_known_sources_hear_404() {
    let world = World::new();
    let (stranger, known, b) = (Peer::start().await, Peer::start().await, Peer::start().await);
    world.domain("unknown.test", Located::UnknownDomain);
    world.acl_trunk(b.addr());
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    stranger.invite(engine.sip_addr(), "+918012345678", "elsewhere.test", &voice.sdp());
    known.invite(engine.sip_addr(), "+918012345678", "unknown.test", &voice.sdp());
    assert_eq!(known.rejected().await, 404);
    // The stranger's INVITE came before; everything it caused has been sent by now.
    assert_eq!(stranger.received(), Vec::<String>::new());
    assert!(world.seen(|seen| seen.admits.is_empty()));
}

#[tokio::test]
async fn a_refusal_carries_the_catalogues_name_and_no_retry_after_of_its_own() {
    let world = World::new();
    let a = Peer::start().await;
    world.acl_trunk(a.addr());
    world.on_admit(|_| {
        Decision::Refuse(Refusal::because(ErrorCode::InsufficientBalance, "Insufficient balance: 0.50 INR"))
    });
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    assert_eq!(a.rejected().await, 402);
    let refusal = a.received().pop().unwrap();
    assert!(
        refusal.contains(
            r#"Reason: Q.850;cause=21;text="INSUFFICIENT_BALANCE: Insufficient balance: 0.50 INR""#
        ),
        "{refusal}"
    );
    assert!(!refusal.contains("Retry-After"), "{refusal}");
}

#[tokio::test]
async fn a_full_or_draining_node_says_503_with_retry_after() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![route_to(b.addr())]);
    let engine = engine_with(&world, |config| config.limits.sessions = 1).await;
    let voice = Voice::start().await;
    let first = a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    b.invited().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    assert_eq!(a.rejected().await, 503);
    assert!(a.received().pop().unwrap().contains("Retry-After: 10"));

    let _ = a.command(|endpoint, now| endpoint.cancel(now, first, None));
    assert_eq!(a.rejected().await, 487);
    world.ends(1).await;
    assert_eq!(engine.drain(crate::support::PATIENCE).await, 0);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    assert_eq!(a.rejected().await, 503);
    assert_eq!(world.seen(|seen| seen.admits.len()), 1);
}

#[tokio::test]
async fn an_offer_without_a_codec_of_ours_gets_488_before_admission() {
    let world = World::new();
    let a = Peer::start().await;
    world.acl_trunk(a.addr());
    let engine = engine(&world).await;
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 4000 RTP/AVP 4\r\n";
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", sdp);
    assert_eq!(a.rejected().await, 488);
    assert!(world.seen(|seen| seen.admits.is_empty()));
}

#[tokio::test]
async fn options_are_answered_for_whom_we_know() {
    let world = World::new();
    let (known, stranger) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(known.addr());
    let engine = engine(&world).await;
    let ask = |peer: &Peer| {
        let uri = "sip:trunk.test";
        let address = Address::parse(uri).unwrap();
        let flow = peer.flow(engine.sip_addr());
        let uri = OwnedUri::parse(uri).unwrap();
        let request = OutgoingRequest::new(flow, Method::Options, uri, address.clone(), address);
        peer.command(|endpoint, now| endpoint.request(now, request)).unwrap();
    };
    ask(&stranger);
    ask(&known);
    let status = known
        .expect("an answer to OPTIONS", |event| match event {
            Event::Response { facts, .. } => Some(facts.status),
            _ => None,
        })
        .await;
    assert_eq!(status, 200);
    let answer = known.received().pop().unwrap();
    assert!(answer.contains("Allow: ") && answer.contains("Accept: application/sdp"), "{answer}");
    assert!(stranger.received().is_empty());
}
