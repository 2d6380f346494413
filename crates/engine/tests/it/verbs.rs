//! Elements over real SIP and RTP: early media, keys both ways, music, confirmation, listening.

use std::time::Duration;

use tandem_media::energy::Tone;
use tandem_model::ports::{LegDecision, LegTarget};
use tandem_model::{HangupCause, HangupSource};
use tandem_sip::Event;

use crate::support::world::admitted_leg;
use crate::support::{Peer, Voice, World, engine, route_to};

/// SDP of a 183.
async fn progressed(peer: &Peer) -> String {
    peer.expect("a 183 with SDP", |event| match event {
        Event::Progress { sdp, .. } => Some(String::from_utf8(sdp.clone()).unwrap()),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn a_caller_hears_a_pre_answer_before_the_call_is_answered() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><PreAnswer><Speak>Calls are recorded.</Speak></PreAnswer><Wait length="1"/><Hangup reason="busy"/></Response>"#,
    );
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    progressed(&a).await;
    voice.hears("the announcement", |heard| heard.loud >= 9).await;
    assert_eq!(a.rejected().await, 486);
    let ends = world.ends(1).await;
    assert_eq!((ends[0].answered_at, ends[0].billsec), (None, 0), "not answered, not billed");
    assert!(world.seen(|seen| seen.answered.is_empty()));
}

#[tokio::test]
async fn a_caller_without_early_media_is_answered_and_hears_the_pre_answer_then() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document("<Response><PreAnswer><Speak>Calls are recorded.</Speak></PreAnswer></Response>");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    // A late offer: our SDP is in the 200, theirs in the ACK.
    let leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", "");
    a.answered().await;
    let _ = a.command(|endpoint, now| endpoint.acknowledge(now, leg, voice.sdp().as_bytes()));
    voice.hears("the announcement", |heard| heard.loud >= 9).await;
    a.bye().await;
    assert_eq!(world.ends(1).await[0].cause, HangupCause::EndOfXml);
}

#[tokio::test]
async fn keys_are_pressed_towards_the_caller_before_the_document_goes_on() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(r#"<Response><DTMF async="false">1w2#</DTMF><Speak>Sent.</Speak></Response>"#);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    a.answered().await;
    let heard = voice.hears("three keys", |heard| heard.digits.len() == 3).await;
    assert_eq!(heard.digits, [1, 2, 11]);
    assert_eq!(heard.loud, 0, "the words come after the keys");
    a.bye().await;
    assert!(voice.heard().loud >= 9);
    world.ends(1).await;
}

#[tokio::test]
async fn a_wait_ends_when_the_caller_falls_silent() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Speak>Go on.</Speak><Wait length="60" silence="true" minSilence="700"/><Speak>I see.</Speak></Response>"#,
    );
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    let answer = a.answered().await;
    voice.speak_to(&answer);
    voice.hears("the first words", |heard| heard.loud >= 9).await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    assert!(world.ends_so_far() == 0, "a caller who talks is waited for");
    voice.say(&vec![0; 16_000]);
    a.bye().await;
    assert!(voice.heard().loud >= 18, "both texts were heard");
    assert_eq!(world.ends(1).await[0].cause, HangupCause::EndOfXml);
}

#[tokio::test]
async fn a_wait_ends_after_the_beep_of_an_answering_machine() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Speak>Hello?</Speak><Wait length="60" beep="true"/><Speak>Call us.</Speak></Response>"#,
    );
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    let answer = a.answered().await;
    voice.speak_to(&answer);
    voice.hears("the first words", |heard| heard.loud >= 9).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    voice.say(&Tone::Sine { hz: 1_000, level_dbfs: -12 }.samples(Duration::from_millis(400)));
    a.bye().await;
    assert!(voice.heard().loud >= 18, "both texts were heard");
    world.ends(1).await;
}

#[tokio::test]
async fn an_unanswered_caller_hears_music_until_the_callee_answers() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.carrier(a.addr());
    world.run_document(r#"<Response><Dial dialMusic="hold">+918012345678</Dial></Response>"#);
    world.document("http://app.test/hold", "<Response><Speak>Please hold.</Speak></Response>");
    world.dial_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    let a_leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.ringing(now, b_leg));
    progressed(&a).await;
    a_voice.hears("the music, over and over", |heard| heard.loud >= 25).await;
    assert!(world.seen(|seen| seen.answered.is_empty()), "it is early media");
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    a.answered().await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    b.bye().await;
    world.ends(2).await;
}

#[tokio::test]
async fn of_ten_callees_the_one_who_presses_the_key_takes_the_call() {
    let world = World::new();
    let a = Peer::start().await;
    let mut callees = Vec::new();
    for _ in 0..10 {
        callees.push(Peer::start().await);
    }
    world.carrier(a.addr());
    let users = (0..10).map(|n| format!("<User>sip:{n}@x</User>")).collect::<Vec<_>>().concat();
    world.run_document(&format!(
        r#"<Response><Dial confirmSound="whisper" confirmKey="1" callbackUrl="legs">{users}</Dial></Response>"#
    ));
    world.document("http://app.test/whisper", "<Response><Speak>Press one.</Speak></Response>");
    let routes: Vec<_> = callees.iter().map(|callee| route_to(callee.addr())).collect();
    world.on_leg(move |request| {
        let LegTarget::User(uri) = &request.target else { panic!("users are dialled") };
        let n = usize::from(uri.as_bytes()[4] - b'0');
        LegDecision::Admit(Box::new(admitted_leg(&request, vec![routes[n].clone()])))
    });
    let engine = engine(&world).await;
    let (a_voice, fourth, seventh) = (Voice::start().await, Voice::start().await, Voice::start().await);
    let a_leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
    let mut legs = Vec::new();
    for callee in &callees {
        let (leg, facts) = callee.invited().await;
        let _ = callee.command(|endpoint, now| endpoint.ringing(now, leg));
        legs.push((leg, String::from_utf8(facts.sdp.clone().unwrap()).unwrap()));
    }
    for (n, voice) in [(4, &fourth), (7, &seventh)] {
        let _ = callees[n].command(|endpoint, now| endpoint.answer(now, legs[n].0, voice.sdp().as_bytes()));
        callees[n].acked().await;
        voice.speak_to(&legs[n].1);
        voice.hears("the question", |heard| heard.loud >= 9).await;
    }
    assert!(world.seen(|seen| seen.answered.len() == 2), "two callees, and not the caller yet");
    fourth.press(9);
    seventh.press(1);
    let answer = a.answered().await;
    a_voice.speak_to(&answer);
    callees[4].bye().await;
    for n in (0..10).filter(|n| ![4, 7].contains(n)) {
        callees[n].cancelled().await;
    }
    let before = seventh.heard().loud;
    seventh.hears("the caller", |heard| heard.loud > before + 5).await;
    a_voice.hears("the callee", |heard| heard.loud > 5).await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    callees[7].bye().await;
    let ends = world.ends(11).await;
    let lost = ends.iter().filter(|end| end.cause == HangupCause::LostRace).count();
    assert_eq!(lost, 9, "{ends:?}");
    let events: Vec<String> = world.seen(|seen| {
        let event = |notice: &tandem_model::ports::Notice| {
            notice.params.iter().find(|(name, _)| name == "Event").map(|(_, event)| event.clone())
        };
        seen.notices.iter().filter_map(event).filter(|event| event != "DialHangup").collect()
    });
    assert_eq!(events, ["DialAnswer", "DialAnswer", "DialConnected"]);
}

#[tokio::test]
async fn a_callee_who_does_not_confirm_is_hung_up_with_9110() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Dial confirmKey="1" confirmTimeout="1">+918012345678</Dial><Hangup reason="busy"/></Response>"#,
    );
    world.dial_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    b.bye().await;
    assert_eq!(a.rejected().await, 486, "the document goes on, the caller was never answered");
    let ends = world.ends(2).await;
    let b_end = ends.iter().find(|end| end.answered_at.is_some()).expect("the callee had answered");
    assert_eq!((b_end.cause, b_end.source), (HangupCause::ConfirmKeyFailed, HangupSource::Vobiz));
}

#[tokio::test]
async fn a_callees_server_that_demands_a_password_gets_the_documents() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Dial><User sipAuthUsername="acme" sipAuthPassword="horse">sip:desk@x</User></Dial></Response>"#,
    );
    world.dial_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    let a_leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
    let (b_leg, _) = b.invited().await;
    let challenge = tandem_sip::message::HeaderField::new(
        tandem_sip::message::FieldName::WwwAuthenticate,
        r#"Digest realm="pbx", nonce="abc", algorithm=MD5, qop="auth""#,
    )
    .unwrap();
    let _ = b.command(|endpoint, now| endpoint.reject(now, b_leg, 401, None, &[challenge]));
    let (b_leg, _) = b.invited().await;
    let authorised = b.received().iter().any(|message| {
        message.starts_with("INVITE")
            && message.contains("Authorization: Digest")
            && message.contains("username=\"acme\"")
    });
    assert!(authorised, "{}", b.received().join("\n---\n"));
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    a.answered().await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    b.bye().await;
    world.ends(2).await;
    assert!(!world.timeline().contains("horse"));
}

#[tokio::test]
async fn secret_keys_are_on_no_timeline() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Gather action="http://app.test/card" log="false" numDigits="4" timeout="5"/></Response>"#,
    );
    world.document("http://app.test/card", "<Response><Hangup/></Response>");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    let answer = a.answered().await;
    voice.speak_to(&answer);
    for key in [4, 7, 4, 7] {
        voice.press(key);
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    a.bye().await;
    world.ends(1).await;
    let digits = world.seen(|seen| {
        let card =
            seen.fetches.iter().find(|fetch| fetch.url.ends_with("/card")).expect("the action is asked");
        card.params.iter().find(|(name, _)| name == "Digits").map(|(_, digits)| digits.clone())
    });
    assert_eq!(digits.as_deref(), Some("4747"), "the application gets them");
    let timeline = world.timeline();
    assert!(timeline.contains("pressed a key") && !timeline.contains("pressed 4"), "{timeline}");
}

#[tokio::test]
async fn every_refusal_of_a_callee_has_its_cause() {
    let refusals = [
        (302, 5020),
        (401, 3040),
        (403, 3040),
        (404, 3050),
        (408, 3070),
        (480, 3000),
        (482, 2060),
        (484, 2000),
        (486, 3010),
        (488, 3020),
        (500, 3080),
        (502, 2010),
        (503, 3090),
        (600, 3100),
        (603, 3110),
        (604, 3120),
        (606, 0),
        (607, 3130),
    ];
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.carrier(a.addr());
    let dials = "<Dial callbackUrl='legs'>+918012345678</Dial>".repeat(refusals.len());
    world.run_document(&format!("<Response>{dials}<Hangup/></Response>"));
    world.dial_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    for (status, _) in refusals {
        let (leg, _) = b.invited().await;
        let _ = b.command(|endpoint, now| endpoint.reject(now, leg, status, None, &[]));
    }
    assert_eq!(a.rejected().await, 603);
    let all = world.ends(refusals.len() + 1).await;
    let told: Vec<(u16, u16)> = world.seen(|seen| {
        let code = |notice: &tandem_model::ports::Notice| {
            let mut params = notice.params.iter();
            params.find(|(name, _)| name == "DialBLegHangupCauseCode").and_then(|(_, code)| code.parse().ok())
        };
        refusals.iter().map(|(status, _)| *status).zip(seen.notices.iter().filter_map(code)).collect()
    });
    assert_eq!(told, refusals, "{all:#?}");
}
