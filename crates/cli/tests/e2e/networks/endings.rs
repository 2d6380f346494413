//! Races and storms around the end of a call, and ends that are lost.

use std::time::Duration;

use serde_json::json;

use super::{NOWHERE, Network, PBX, Scenario, Sdp, TAG, Wire};

/// How often a network may say the same.
const STORM: usize = 20;

/// Each with the number of calls it makes.
pub(super) fn scenarios(network: &Network) -> Vec<(usize, Scenario<'_>)> {
    vec![
        (1, Box::pin(an_answer_that_meets_the_cancel_gets_ack_and_bye_and_is_free(network))),
        (1, Box::pin(a_cancel_after_the_answer_changes_nothing(network))),
        (1, Box::pin(byes_that_cross_are_both_answered(network))),
        (1, Box::pin(a_bye_answered_481_ends_the_leg(network))),
        (1, Box::pin(a_bye_that_is_lost_leaves_a_right_record(network))),
        (1, Box::pin(a_storm_of_repetitions_has_one_effect(network))),
        (1, Box::pin(a_bye_before_the_answer_ends_the_call(network))),
    ]
}

async fn an_answer_that_meets_the_cancel_gets_ack_and_bye_and_is_free(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    callee.wire.reply(&invite, 180, TAG, "", "").await;
    pbx.told(180, "INVITE").await;
    caller.cancel().await;
    pbx.told(200, "CANCEL").await;
    caller.refused(487).await;
    let cancel = callee.wire.asked("CANCEL").await;
    // Too late: it has been picked up.
    callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    callee.wire.reply(&cancel, 200, TAG, "", "").await;
    let ack = callee.wire.asked("ACK").await;
    let bye = callee.wire.asked("BYE").await;
    assert_eq!((ack.header("CSeq"), bye.to_tag()), ("1 ACK", TAG));
    callee.wire.reply(&bye, 200, "", "", "").await;
    pbx.listen(Duration::from_millis(200)).await;
    assert!(!pbx.seen().iter().any(|message| message.status() == Some(200) && message.method() == "INVITE"));
    network.ended(&callee).await.came_to(4_000, "Caller").is_free();
}

async fn a_cancel_after_the_answer_changes_nothing(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    talk.caller.cancel().await;
    pbx.told(200, "CANCEL").await;
    talk.caller.ask("INFO", "", "").await;
    pbx.told(200, "INFO").await;
    talk.end(&callee.wire).await;
    assert_eq!((callee.wire.requests("CANCEL"), pbx.responses(487)), (0, 0));
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn byes_that_cross_are_both_answered(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    talk.caller.ask("BYE", "", "").await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.callee_asks(&talk.invite, "BYE", 1, TAG, "", "").await;
    callee.wire.told(200, "BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    pbx.told(200, "BYE").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_bye_answered_481_ends_the_leg(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    talk.caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 481, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
    callee.wire.listen(Duration::from_millis(1_200)).await;
    assert_eq!(callee.wire.requests("BYE"), 1, "481 is an answer");
}

async fn a_bye_that_is_lost_leaves_a_right_record(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    talk.caller.hang_up().await;
    // Nobody answers at the callee's; the record waits for nobody.
    let ended = network.ended(&callee).await;
    ended.came_to(4_000, "Caller");
    assert_eq!(ended.record["billsec"], 1, "{}", ended.record);
    let bye = callee.wire.asked("BYE").await;
    let again = callee.wire.asked("BYE").await;
    assert_eq!((bye.header("CSeq"), bye.header("Via")), (again.header("CSeq"), again.header("Via")));
    callee.wire.reply(&again, 200, "", "", "").await;
}

async fn a_storm_of_repetitions_has_one_effect(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let sdp = Sdp::talk(NOWHERE).text();
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &sdp).await;
    for _ in 0..STORM {
        caller.repeat("INVITE", "", &sdp).await;
    }
    let invite = callee.wire.asked("INVITE").await;
    for _ in 0..STORM {
        callee.wire.reply(&invite, 180, TAG, "", "").await;
    }
    callee.wire.reply(&invite, 200, TAG, "", &sdp).await;
    let ok = caller.answered("").await;
    for _ in 0..STORM {
        caller.ack("").await;
    }
    let hold = Sdp { direction: "sendonly", version: 2, ..Sdp::talk(NOWHERE) }.text();
    caller.invite("", &hold).await;
    for _ in 0..STORM {
        caller.repeat("INVITE", "", &hold).await;
    }
    let held = pbx.hear("200 to the re-INVITE", |message| {
        message.header("CSeq") == "2 INVITE" && message.status() == Some(200)
    });
    let held = held.await;
    caller.ack("").await;
    caller.ask("BYE", "", "").await;
    for _ in 0..STORM {
        caller.repeat("BYE", "", "").await;
    }
    pbx.told(200, "BYE").await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    callee.wire.listen(Duration::from_millis(300)).await;
    pbx.listen(Duration::from_millis(300)).await;
    assert_eq!((callee.wire.requests("INVITE"), callee.wire.requests("BYE")), (1, 1));
    for answer in pbx.seen().iter().filter(|message| message.status() == Some(200)) {
        let known = if answer.header("CSeq") == "2 INVITE" { held.body() } else { ok.body() };
        assert!(answer.method() == "BYE" || answer.body() == known, "an answer changed: {answer:?}");
        assert_eq!(answer.to_tag(), ok.to_tag());
    }
    assert!(pbx.seen().iter().all(|message| message.status().is_none_or(|status| status < 300)));
    network.ended(&callee).await.came_to(4_000, "Caller");
}

/// RFC 3261 §15: a caller may end an early dialog with BYE, though CANCEL is the way.
async fn a_bye_before_the_answer_ends_the_call(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    callee.wire.reply(&invite, 180, TAG, "", "").await;
    caller.take_dialog(&pbx.told(180, "INVITE").await);
    caller.ask("BYE", "", "").await;
    let cancel = callee.wire.asked("CANCEL").await;
    callee.wire.reply(&cancel, 200, TAG, "", "").await;
    callee.wire.reply(&invite, 487, TAG, "", "").await;
    callee.wire.asked("ACK").await;
    pbx.listen(Duration::from_millis(300)).await;
    assert!(pbx.responses(200) >= 1 && pbx.responses(487) >= 1);
    network.ended(&callee).await.came_to(4_000, "Caller").is_free();
}
