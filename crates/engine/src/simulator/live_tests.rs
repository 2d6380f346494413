//! Steered calls between two networks over real sockets: what one holder orders, the other hears.

use std::net::SocketAddr;
use std::time::Duration;

use tandem_media::energy::Tone;
use tokio::sync::mpsc;

use super::*;

/// Nobody listens there: for carriers that are only called.
fn nowhere() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 9))
}

/// A network that calls, one that is called, and the reception of the latter.
async fn pair() -> (Carrier, Carrier, mpsc::Receiver<LiveCall>) {
    let (sender, reception) = mpsc::channel(1);
    let config = CarrierConfig { reception: Some(sender), ..CarrierConfig::new(nowhere()) };
    let callee = Carrier::start(config).await.unwrap();
    let caller = Carrier::start(CarrierConfig::new(callee.addr())).await.unwrap();
    (caller, callee, reception)
}

/// A call answered on both sides.
async fn answered(law: Option<Law>) -> (LiveCall, LiveCall, (Carrier, Carrier)) {
    let (caller, callee, mut reception) = pair().await;
    let mut from = caller.place_live(CallSpec::new("+14155550199", "+14155557777")).await.unwrap();
    let mut to = reception.recv().await.unwrap();
    assert_eq!((to.call.from.as_str(), to.call.to.as_str()), ("+14155550199", "+14155557777"));
    to.order(LiveOrder::Ring).await.unwrap();
    until(&mut from, |event| matches!(event, LiveEvent::Ringing)).await;
    to.order(LiveOrder::Answer(law)).await.unwrap();
    until(&mut from, |event| matches!(event, LiveEvent::Answered)).await;
    until(&mut to, |event| matches!(event, LiveEvent::Answered)).await;
    (from, to, (caller, callee))
}

/// Waits for an event and returns the audio before it.
async fn until(call: &mut LiveCall, mut wanted: impl FnMut(&LiveEvent) -> bool) -> Vec<i16> {
    let mut audio = Vec::new();
    let search = async {
        loop {
            match call.next().await {
                Some(LiveNews::Event(_, event)) if wanted(&event) => return,
                Some(LiveNews::Event(_, LiveEvent::Heard(samples))) => audio.extend(samples),
                Some(LiveNews::Event(..)) => {}
                other => panic!("the call ended: {other:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(5), search).await.expect("it comes");
    audio
}

async fn end(call: &mut LiveCall) -> CallOutcome {
    loop {
        match call.next().await.expect("its end comes") {
            LiveNews::Ended(outcome) => return *outcome,
            LiveNews::Event(..) => {}
        }
    }
}

#[tokio::test]
async fn what_is_played_is_heard_and_its_end_is_told() {
    let (from, mut to, _networks) = answered(Some(Law::Alaw)).await;
    let tone: Vec<i16> = Tone::Sine { hz: 700, level_dbfs: -10 }.samples(Duration::from_millis(400));
    from.order(LiveOrder::Play(3, tone.into())).await.unwrap();
    let mut heard = Vec::new();
    let mut from = from;
    until(&mut from, |event| matches!(event, LiveEvent::Done(3))).await;
    from.order(LiveOrder::Dial(4, "5".to_owned())).await.unwrap();
    heard.extend(until(&mut to, |event| matches!(event, LiveEvent::Key('5'))).await);
    let loud = heard
        .as_chunks::<160>()
        .0
        .iter()
        .filter(|block| tandem_media::energy::has_tone(block.as_slice(), 700.0, -20.0));
    assert!((15..=21).contains(&loud.count()), "400 ms of the tone were heard");
    until(&mut from, |event| matches!(event, LiveEvent::Done(4))).await;
    to.order(LiveOrder::HangUp).await.unwrap();
    let (from, to) = (end(&mut from).await, end(&mut to).await);
    assert_eq!((from.ended_by, to.ended_by), (EndedBy::Peer, EndedBy::Us));
    assert_eq!((from.status.code, from.rtp.codec, to.rtp.codec), (200, Some("PCMA"), Some("PCMA")));
    assert_eq!(from.status.reason.as_deref(), Some("Q.850;cause=16"));
}

#[tokio::test]
async fn keys_go_out_by_info_one_after_the_other() {
    let (mut from, mut to, _networks) = answered(None).await;
    from.order(LiveOrder::Info(1, "42#".to_owned())).await.unwrap();
    let mut keys = String::new();
    until(&mut to, |event| {
        if let LiveEvent::Key(key) = event {
            keys.push(*key);
        }
        keys.len() == 3
    })
    .await;
    assert_eq!(keys, "42#");
    until(&mut from, |event| matches!(event, LiveEvent::Done(1))).await;
    from.order(LiveOrder::Info(2, "4w2".to_owned())).await.unwrap();
    until(&mut from, |event| matches!(event, LiveEvent::Failed(2, _))).await;
}

#[tokio::test]
async fn a_call_is_refused_cancelled_or_turned_away_when_the_reception_is_full() {
    let (caller, _callee, mut reception) = pair().await;
    let mut from = caller.place_live(CallSpec::new("1", "2")).await.unwrap();
    let mut to = reception.recv().await.unwrap();
    to.order(LiveOrder::Refuse(486)).await.unwrap();
    let refused = end(&mut from).await;
    assert_eq!((refused.status.code, refused.status.reason.as_deref()), (486, Some("Q.850;cause=17")));
    assert_eq!(end(&mut to).await.ended_by, EndedBy::Us);

    let mut from = caller.place_live(CallSpec::new("1", "2")).await.unwrap();
    let mut to = reception.recv().await.unwrap();
    from.order(LiveOrder::HangUp).await.unwrap();
    assert_eq!((end(&mut from).await.status.code, end(&mut to).await.status.code), (487, 487));

    let _first = caller.place_live(CallSpec::new("1", "2")).await.unwrap();
    let mut one_too_many = caller.place_live(CallSpec::new("1", "2")).await.unwrap();
    assert_eq!(end(&mut one_too_many).await.status.code, 503);
}

#[tokio::test]
async fn a_holder_who_stops_waiting_for_the_end_still_gets_it() {
    let (mut from, to, _networks) = answered(None).await;
    to.order(LiveOrder::HangUp).await.unwrap();
    // Cut short again and again: no news is lost.
    let ended = loop {
        match tokio::time::timeout(Duration::from_millis(1), from.next()).await {
            Ok(Some(LiveNews::Ended(outcome))) => break outcome,
            Ok(Some(LiveNews::Event(..))) | Err(_) => {}
            Ok(None) => panic!("the end was lost"),
        }
    };
    assert_eq!(ended.ended_by, EndedBy::Peer);
    assert!(from.next().await.is_none());
}
