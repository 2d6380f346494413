//! Live calls steered from outside: other documents, sounds, keys.

use tandem_engine::{EngineHandle, LiveCommand, LiveLegs, LiveSound, SoundKind, SteerError};
use tandem_model::ports::SpeechRequest;
use tandem_model::{CallId, HangupCause, HangupSource, HttpMethod, UrlCall};
use tandem_sip::LegId;

use crate::support::audio::Heard;
use crate::support::{Peer, Voice, World, engine, route_to};

/// What a voice says in every sample.
const VOICE: u8 = 0x10;

/// A caller whose document has dialled a callee: both talk.
struct Talk {
    world: std::sync::Arc<World>,
    engine: EngineHandle,
    a: Peer,
    b: Peer,
    a_voice: Voice,
    b_voice: Voice,
    a_leg: LegId,
    b_leg: LegId,
    a_call: CallId,
    b_call: CallId,
}

impl Talk {
    async fn of(document: &str) -> Self {
        let world = World::new();
        let (a, b) = (Peer::start().await, Peer::start().await);
        world.carrier(a.addr());
        world.run_document(document);
        world.dial_to(vec![route_to(b.addr())]);
        let engine = engine(&world).await;
        let (a_voice, b_voice) = (Voice::start().await, Voice::start().await);
        let a_leg = a.invite(engine.sip_addr(), "+911140001234", "carrier.test", &a_voice.sdp());
        let (b_leg, invite) = b.invited().await;
        let _ = b.command(|endpoint, now| endpoint.answer(now, b_leg, b_voice.sdp().as_bytes()));
        b.acked().await;
        b_voice.speak_to(std::str::from_utf8(invite.sdp.as_deref().unwrap()).unwrap());
        let answer = a.answered().await;
        a_voice.speak_to(&answer);
        a_voice.hears("B's voice", |heard| heard.loud > 5).await;
        b_voice.hears("A's voice", |heard| heard.loud > 5).await;
        let (a_call, b_call) = world.seen(|seen| (seen.admits[0].call, seen.legs[0].call));
        Self { world, engine, a, b, a_voice, b_voice, a_leg, b_leg, a_call, b_call }
    }

    async fn transfer(&self, a: Option<&str>, b: Option<&str>) -> Result<Vec<CallId>, SteerError> {
        let to = |url: &str| UrlCall { url: url.to_owned(), method: HttpMethod::Post };
        let command = LiveCommand::Transfer { a: a.map(to), b: b.map(to) };
        self.engine.steer(self.a_call, command).await.map(|steered| steered.calls)
    }

    fn event_of(&self, url: &str) -> Option<String> {
        self.world.seen(|seen| {
            let fetch = seen.fetches.iter().find(|fetch| fetch.url == url)?;
            fetch.params.iter().find(|(name, _)| name == "Event").map(|(_, event)| event.clone())
        })
    }
}

const DIAL: &str = "<Response><Dial><Number>+918012345678</Number></Dial></Response>";
const DIAL_AND_STAY: &str = r#"<Response><Dial redirect="false"><Number>+918012345678</Number></Dial>
    <Wait length="60"/></Response>"#;
const MOVED: &str = "http://app.test/moved";
const MOVED_B: &str = "http://app.test/moved-b";

fn says_bye(voice: &Voice) -> bool {
    voice.heard().last.iter().any(|sample| *sample != VOICE)
}

#[tokio::test]
async fn a_caller_is_moved_and_the_callee_hung_up() {
    let talk = Talk::of(DIAL).await;
    talk.world.document(MOVED, "<Response><Speak>Moved.</Speak></Response>");
    assert_eq!(talk.transfer(Some(MOVED), None).await, Ok(vec![talk.a_call]));
    talk.b.bye().await;
    talk.a.bye().await;
    assert_eq!(talk.event_of(MOVED).as_deref(), Some("Transfer"));
    assert!(talk.world.seen(|seen| seen.spoken.contains(&"Moved.".to_owned())));
    let ends = talk.world.ends(2).await;
    let of = |call| ends.iter().find(|end| end.call == call).unwrap();
    assert_eq!(of(talk.b_call).source, HangupSource::ApiRequest);
    assert_eq!(
        (of(talk.a_call).cause, of(talk.a_call).source),
        (HangupCause::EndOfXml, HangupSource::AnswerXml)
    );
}

#[tokio::test]
async fn a_callee_is_moved_to_a_session_of_its_own_and_the_caller_stays() {
    let talk = Talk::of(DIAL_AND_STAY).await;
    talk.world.document(
        MOVED_B,
        r#"<Response><Gather action="http://app.test/pressed" numDigits="1"><Speak>Press.</Speak></Gather></Response>"#,
    );
    talk.world.document("http://app.test/pressed", "<Response><Hangup/></Response>");
    assert_eq!(talk.engine.live_count(), 1);
    assert_eq!(talk.transfer(None, Some(MOVED_B)).await, Ok(vec![talk.b_call]));
    assert_eq!(talk.engine.live_count(), 2);
    talk.b_voice.hears("the prompt", |heard| heard.last.iter().any(|sample| *sample != VOICE)).await;
    // What the moved leg's worker notices reaches its own session.
    talk.b_voice.press(7);
    talk.b.bye().await;
    assert_eq!(talk.event_of(MOVED_B).as_deref(), Some("Transfer"));
    let ends = talk.world.ends(1).await;
    assert_eq!((ends[0].call, ends[0].source), (talk.b_call, HangupSource::AnswerXml));
    assert!(ends[0].answered_at.is_some());
    // The caller waits, and is hung up by its own id.
    assert!(talk.engine.hangup(talk.a_call, HangupSource::ApiRequest));
    talk.a.bye().await;
    assert_eq!(talk.world.ends(2).await.len(), 2);
}

#[tokio::test]
async fn both_are_moved_and_go_on_apart() {
    let talk = Talk::of(DIAL).await;
    let forever = r#"<Response><Speak loop="0">Hold.</Speak></Response>"#;
    talk.world.document(MOVED, forever);
    talk.world.document(MOVED_B, forever);
    let moved = talk.transfer(Some(MOVED), Some(MOVED_B)).await.unwrap();
    assert_eq!(moved, [talk.a_call, talk.b_call]);
    let prompt = |heard: &Heard| heard.last.iter().any(|sample| *sample != VOICE);
    talk.a_voice.hears("a prompt", prompt).await;
    talk.b_voice.hears("a prompt", prompt).await;
    // Each hangs up; each leaves its own record.
    let _ = talk.b.command(|endpoint, now| endpoint.bye(now, talk.b_leg, None));
    let ends = talk.world.ends(1).await;
    assert_eq!((ends[0].call, ends[0].source), (talk.b_call, HangupSource::Callee));
    let _ = talk.a.command(|endpoint, now| endpoint.bye(now, talk.a_leg, None));
    let ends = talk.world.ends(2).await;
    assert_eq!((ends[1].call, ends[1].source), (talk.a_call, HangupSource::Caller));
}

#[tokio::test]
async fn a_moved_callee_whose_document_cannot_be_had_ends_alone() {
    let talk = Talk::of(DIAL_AND_STAY).await;
    assert_eq!(talk.transfer(None, Some(MOVED_B)).await, Ok(vec![talk.b_call]));
    talk.b.bye().await;
    let ends = talk.world.ends(1).await;
    assert_eq!((ends[0].call, ends[0].cause), (talk.b_call, HangupCause::TransferUrlError));
    assert!(talk.engine.hangup(talk.a_call, HangupSource::ApiRequest), "the caller is still there");
}

#[tokio::test]
async fn speech_is_mixed_into_a_conversation_or_silences_it_until_it_is_stopped() {
    let talk = Talk::of(DIAL).await;
    let play = |mixes, legs| LiveCommand::Play {
        legs,
        sound: LiveSound::Speech(SpeechRequest {
            text: "One minute left.".to_owned(),
            language: "en-US".to_owned(),
            voice: "WOMAN".to_owned(),
        }),
        repeats: true,
        length: None,
        mixes,
    };
    let other = |heard: &Heard| heard.last.iter().any(|sample| *sample != VOICE);
    let plain = |heard: &Heard| heard.last.iter().all(|sample| *sample == VOICE);
    for mixes in [true, false] {
        let steered = talk.engine.steer(talk.a_call, play(mixes, None)).await.unwrap();
        assert_eq!(steered.calls, [talk.a_call], "the leg that is named");
        talk.a_voice.hears("speech", other).await;
        assert!(!says_bye(&talk.b_voice), "the other leg hears its party alone");
        talk.engine.steer(talk.a_call, LiveCommand::StopPlaying(SoundKind::Files)).await.unwrap();
        talk.a_voice.hears("speech still", other).await;
        talk.engine.steer(talk.a_call, LiveCommand::StopPlaying(SoundKind::Speech)).await.unwrap();
        let before = talk.a_voice.heard().packets;
        talk.a_voice.hears("B alone again", |heard| heard.packets > before + 2 && plain(heard)).await;
    }
    talk.engine.steer(talk.a_call, play(true, Some(LiveLegs::Both))).await.unwrap();
    talk.a_voice.hears("speech", other).await;
    talk.b_voice.hears("speech", other).await;
    // A sound whose time is over ends by itself.
    let LiveCommand::Play { legs, sound, repeats, mixes, .. } = play(true, Some(LiveLegs::Both)) else {
        unreachable!()
    };
    let length = Some(std::time::Duration::from_millis(300));
    talk.engine.steer(talk.a_call, LiveCommand::Play { legs, sound, repeats, length, mixes }).await.unwrap();
    let before = talk.a_voice.heard().packets;
    talk.a_voice.hears("B alone again", |heard| heard.packets > before + 20 && plain(heard)).await;
}

#[tokio::test]
async fn keys_are_sent_to_the_legs_that_are_meant() {
    let talk = Talk::of(DIAL).await;
    let digits = |legs, digits: &str| LiveCommand::SendDigits { legs, digits: digits.to_owned() };
    talk.engine.steer(talk.a_call, digits(Some(LiveLegs::B), "1#")).await.unwrap();
    talk.b_voice.hears("two keys", |heard| heard.digits == [1, 11]).await;
    talk.engine.steer(talk.b_call, digits(None, "5")).await.unwrap();
    talk.b_voice.hears("a third key", |heard| heard.digits == [1, 11, 5]).await;
    assert!(talk.a_voice.heard().digits.is_empty());
}

#[tokio::test]
async fn what_cannot_be_done_is_said_and_does_nothing() {
    let talk = Talk::of(DIAL_AND_STAY).await;
    let stranger = CallId::random();
    let stop = LiveCommand::StopPlaying(SoundKind::Files);
    assert_eq!(talk.engine.steer(stranger, stop.clone()).await, Err(SteerError::NotInProgress));
    assert!(talk.engine.hangup(talk.b_call, HangupSource::ApiRequest));
    talk.b.bye().await;
    assert_eq!(talk.transfer(None, Some(MOVED_B)).await, Err(SteerError::NoOtherLeg));
    assert_eq!(talk.transfer(Some(MOVED), Some(MOVED_B)).await, Err(SteerError::NoOtherLeg));
    assert!(talk.event_of(MOVED).is_none(), "half of an order is not carried out");
    assert!(talk.engine.hangup(talk.a_call, HangupSource::ApiRequest));
    talk.a.bye().await;
    talk.world.ends(2).await;
    assert_eq!(talk.engine.steer(talk.a_call, stop).await, Err(SteerError::NotInProgress));
}
