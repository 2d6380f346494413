//! `<Record>`: messages and sessions, from the document to the file.

use tandem_media::energy::tone_dbfs;
use tandem_media::wav;
use tandem_model::ports::RecordingOutcome;
use tandem_model::{CallStatus, RecordingEndReason, RecordingFormat};

use crate::support::{Peer, Voice, World, engine, route_to};

/// A message of half a second is ended by a key; its action gets the next document.
#[tokio::test]
async fn a_message_is_recorded_after_the_beep_until_a_key() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(
        r#"<Response><Record action="http://app.test/message" finishOnKey="1" fileFormat="wav"/></Response>"#,
    );
    world.document("http://app.test/message", "<Response><Hangup/></Response>");
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    voice.speak_to(&a.answered().await);
    voice.hears("the beep", |heard| heard.loud > 3).await;
    world.eventually("the recording begins", |seen| (!seen.recordings.is_empty()).then_some(())).await;
    let loud = voice.heard().loud;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    voice.press(1);
    a.bye().await;
    assert_eq!(voice.heard().loud, loud, "the beep is over before the recording begins");

    let (begin, place) = world.seen(|seen| seen.recordings[0].clone());
    let action = world.seen(|seen| seen.fetches[1].clone());
    let value = |name: &str| action.params.iter().find(|(it, _)| it == name).map(|(_, value)| value.clone());
    assert_eq!(value("RecordingID"), Some(place.recording.to_string()));
    assert_eq!(value("RecordUrl"), Some(place.url.clone()));
    assert_eq!(value("RecordingEndReason").as_deref(), Some("FinishedOnKey"));
    assert_eq!(value("Digits").as_deref(), Some("1"));
    assert_eq!((begin.order.format, begin.facts.call), (RecordingFormat::Wav, action.call));

    let outcome = world.seen(|seen| seen.recorded[0].clone());
    assert!(outcome.action_requested);
    assert_eq!(outcome.status, CallStatus::InProgress);
    assert_eq!(
        (outcome.result.reason, outcome.result.error.as_ref()),
        (RecordingEndReason::FinishedOnKey, None)
    );
    let samples = wav::parse(&std::fs::read(&place.path).unwrap()).unwrap().to_8k();
    let length_ms = samples.len() as u64 / 8;
    assert_eq!(outcome.result.duration_ms, length_ms);
    assert!((400..1_500).contains(&length_ms), "{length_ms} ms");
    assert!(tone_dbfs(&samples, 1_000.0) < -30.0, "the beep is not in the message");
    std::fs::remove_file(&place.path).unwrap();
}

#[tokio::test]
async fn a_caller_who_hangs_up_leaves_a_message_whose_action_is_the_services() {
    let world = World::new();
    let a = Peer::start().await;
    world.carrier(a.addr());
    world.run_document(r#"<Response><Record action="http://app.test/message" playBeep="false"/></Response>"#);
    let engine = engine(&world).await;
    let voice = Voice::start().await;
    let leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &voice.sdp());
    voice.speak_to(&a.answered().await);
    world.eventually("the recording begins", |seen| (!seen.recordings.is_empty()).then_some(())).await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, leg, None));
    world.eventually("the recording is over", |seen| (!seen.recorded.is_empty()).then_some(())).await;
    world.ends(1).await;
    let outcome: RecordingOutcome = world.seen(|seen| seen.recorded[0].clone());
    assert_eq!(outcome.result.reason, RecordingEndReason::HungUp);
    assert!(!outcome.action_requested);
    assert_eq!(world.seen(|seen| (seen.fetches.len(), seen.lost.len())), (1, 0));
    std::fs::remove_file(world.seen(|seen| seen.recordings[0].1.path.clone())).unwrap();
}

/// Three elements are three files, each over what follows it; both talk, and both are on every one.
#[tokio::test]
async fn session_recordings_run_over_a_dial_to_the_end_of_the_call() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.carrier(a.addr());
    world.run_document(
        r#"<Response>
          <Record recordSession="true" callbackUrl="http://app.test/stop"/>
          <Record recordSession="true" recordChannelType="mono" action="http://app.test/begun"/>
          <Record startOnDialAnswer="true"/>
          <Dial><Number>+918012345678</Number></Dial>
        </Response>"#,
    );
    world.dial_to(vec![route_to(b.addr())]);
    let engine = engine(&world).await;
    let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
    let a_leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
    a_voice.speak_to(&a.answered().await);
    let (b_leg, facts) = b.invited().await;
    assert_eq!(world.seen(|seen| seen.recordings.len()), 2, "the third waits for the answer");
    let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
    b.acked().await;
    b_voice.speak_to(std::str::from_utf8(facts.sdp.as_deref().unwrap()).unwrap());
    b_voice.hears("A's voice", |heard| heard.loud > 20).await;
    let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
    b.bye().await;
    world.eventually("all are over", |seen| (seen.recorded.len() == 3).then_some(())).await;
    world.ends(2).await;

    assert_eq!(world.seen(|seen| seen.recordings.len()), 3);
    let begun =
        world.seen(|seen| seen.notices.iter().find(|it| it.url.ends_with("/begun")).cloned()).unwrap();
    assert!(begun.params.contains(&("Event".into(), "Record".to_owned())));
    for (begin, place) in world.seen(|seen| seen.recordings.clone()) {
        let outcome = world
            .seen(|seen| seen.recorded.iter().find(|it| it.recording == place.recording).cloned())
            .unwrap();
        assert_eq!(outcome.result.reason, RecordingEndReason::HungUp, "{:?}", outcome.result.error);
        assert_eq!(outcome.status, CallStatus::Completed);
        let bytes = std::fs::read(&place.path).unwrap();
        let expected = if begin.order.channels == tandem_model::RecordingChannels::Mono { 1 } else { 2 };
        assert_eq!(u16::from_le_bytes([bytes[22], bytes[23]]), expected);
        assert!(outcome.result.duration_ms >= 300, "{} ms", outcome.result.duration_ms);
        std::fs::remove_file(&place.path).unwrap();
    }
}
