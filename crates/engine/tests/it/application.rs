//! Calls steered by XML: speaking, collecting, dialling on.

use tandem_model::{EventKind, HangupCause, HangupSource};
use tandem_sip::{Event, Outcome};

use crate::support::{Peer, Voice, World, engine, route_to};

#[tokio::test]
async fn a_document_speaks_collects_a_digit_and_dials_on() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Gather action="http://app.test/pressed" numDigits="1" timeout="5"><Speak>Press one.</Speak></Gather></Response>"#,
    );
    world.document(
        "http://app.test/pressed",
        r#"<Response><Dial callbackUrl="http://app.test/leg"><Number>+918012345678</Number></Dial></Response>"#,
    );
    world.dial_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    let a_leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
    let answer = a.answered().await;
    a_voice.speak_to(&answer);
    a_voice.hears("the prompt", |heard| heard.loud > 3).await;
    a_voice.press(1);

    let (b_leg, facts) = b.invited().await;
    let pressed =
        world.seen(|seen| seen.fetches.iter().find(|f| f.url.ends_with("/pressed")).cloned()).unwrap();
    assert!(pressed.params.contains(&("Digits".into(), "1".to_owned())), "{:?}", pressed.params);
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    b.acked().await;
    b_voice.speak_to(std::str::from_utf8(facts.sdp.as_deref().unwrap()).unwrap());
    b_voice.hears("A's voice", |heard| heard.loud > 5).await;
    let loud_before = a_voice.heard().loud;
    a_voice.hears("B's voice", |heard| heard.loud > loud_before + 5).await;

    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    b.bye().await;
    let ends = world.ends(2).await;
    let a_call = world.seen(|seen| seen.admits[0].call);
    let b_call = world.seen(|seen| seen.legs[0].call);
    let end_of = |call| ends.iter().find(|end| end.call == call).expect("each admitted call ends");
    assert_eq!(end_of(a_call).bridge, Some(b_call));
    assert_eq!(end_of(b_call).bridge, Some(a_call));
    assert_eq!(end_of(a_call).source, HangupSource::Caller);
    assert!(end_of(b_call).answered_at.is_some());
    assert_eq!(world.seen(|seen| seen.answered.len()), 2, "both calls' answers are durable");
    assert!(world.seen(|seen| seen.notices.iter().any(|notice| notice.event == EventKind::DialEvent)));
    let asked = world.seen(|seen| seen.spoken.clone());
    assert_eq!(asked, ["Press one.", "Press one."], "made ready before the answer, then played");
}

#[tokio::test]
async fn a_document_that_only_hangs_up_refuses_without_answering() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(r#"<Response><Hangup reason="busy"/></Response>"#);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    assert_eq!(a.rejected().await, 486);
    let ends = world.ends(1).await;
    assert_eq!((ends[0].answered_at, ends[0].billsec), (None, 0));
    assert_eq!(ends[0].disposition, "send_refuse");
}

#[tokio::test]
async fn the_end_of_the_document_hangs_up_with_4010() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document("<Response><Speak>Goodbye.</Speak></Response>");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    a.answered().await;
    a.bye().await;
    let heard = voice.heard();
    assert!(heard.loud >= 9, "all 200 ms of the prompt were heard: {heard:?}");
    let ends = world.ends(1).await;
    assert_eq!((ends[0].cause, ends[0].source), (HangupCause::EndOfXml, HangupSource::AnswerXml));
}

#[tokio::test]
async fn a_document_that_cannot_be_run_is_told_in_the_end_of_the_call() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document("<Response><Dial/></Response>");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    a.answered().await;
    a.bye().await;
    let ends = world.ends(1).await;
    assert_eq!((ends[0].cause, ends[0].source), (HangupCause::InvalidAnswerXml, HangupSource::Error));
    assert_eq!(ends[0].reason, "Invalid Answer XML: <Dial> needs a <Number> or a <User> (line 1, column 11)");
}

#[tokio::test]
async fn a_caller_who_hangs_up_while_the_document_is_fetched_is_heard() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document("<Response/>");
    world.hang("http://app.test/answer");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    let leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    world.eventually("the document is asked for", |seen| (!seen.fetches.is_empty()).then_some(())).await;
    a.expect("180", |event| matches!(event, Event::Ringing { .. }).then_some(())).await;
    let _ = a.command(|endpoint, now| endpoint.cancel(now, leg, None));
    assert_eq!(a.rejected().await, 487);
    assert_eq!(world.ends(1).await[0].source, HangupSource::Caller);
}

#[tokio::test]
async fn a_digit_by_info_counts_like_one_in_the_audio() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Gather action="http://app.test/pressed" numDigits="1" timeout="5"/></Response>"#,
    );
    world.document("http://app.test/pressed", "<Response><Hangup/></Response>");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    let leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp_with("0", "sendrecv"));
    a.answered().await;
    let body = b"Signal=7\r\nDuration=160\r\n";
    let outcome = a.command(|endpoint, now| endpoint.info(now, leg, "application/dtmf-relay", body));
    assert_eq!(outcome, Outcome::Sent);
    let digits = world
        .eventually("the action is fetched", |seen| {
            let pressed = seen.fetches.iter().find(|fetch| fetch.url.ends_with("/pressed"))?;
            pressed.params.iter().find(|(name, _)| name == "Digits").map(|(_, digits)| digits.clone())
        })
        .await;
    assert_eq!(digits, "7");
    world.ends(1).await;
}

#[tokio::test]
async fn a_fork_answers_once_and_the_losers_are_cancelled() {
    let world = World::new();
    let (a, slow, quick) = (Peer::start().await, Peer::start().await, Peer::start().await);
    world.carrier(a.addr());
    world.run_document("<Response><Dial><User>sip:slow@x</User><User>sip:quick@x</User></Dial></Response>");
    let (to_slow, to_quick) = (route_to(slow.addr()), route_to(quick.addr()));
    world.on_leg(move |request| {
        let is_slow =
            matches!(&request.target, tandem_model::ports::LegTarget::User(uri) if uri.contains("slow"));
        let route = if is_slow { to_slow.clone() } else { to_quick.clone() };
        let leg = crate::support::world::admitted_leg(&request, vec![route]);
        tandem_model::ports::LegDecision::Admit(Box::new(leg))
    });
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    let a_leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
    let (slow_leg, _) = slow.invited().await;
    let _ = slow.command(|endpoint, now| endpoint.ringing(now, slow_leg));
    let (quick_leg, _) = quick.invited().await;
    let _ = quick.command(|endpoint, now| endpoint.answer(now, quick_leg, b_voice.sdp().as_bytes()));
    a.answered().await;
    slow.cancelled().await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    quick.bye().await;
    let ends = world.ends(3).await;
    let lost = ends.iter().find(|end| end.cause == HangupCause::LostRace).expect("the slow leg lost");
    assert_eq!((lost.billsec, lost.disposition.as_str()), (0, "send_cancel"));
}
