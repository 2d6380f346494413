//! What SIP gives up when it has waited long enough: lost ACKs, lost PRACKs, silent carriers, sessions nobody refreshes.
//! On a node whose T1 is 50 ms: 64 of them take 3.2 s.

use std::time::{Duration, Instant};

use serde_json::json;
use tandem_model::clock;

use super::{NOWHERE, Network, PBX, Scenario, Sdp, TAG, Wire};

/// 64 × T1.
const GIVEN_UP: Duration = Duration::from_millis(3_200);
/// The same, seen from a peer that looked a little late.
const NEARLY_GIVEN_UP: Duration = Duration::from_secs(3);

/// Each with the number of calls it makes.
pub(super) fn scenarios(network: &Network) -> Vec<(usize, Scenario<'_>)> {
    vec![
        (1, Box::pin(a_200_that_nobody_acknowledges_is_repeated_and_ends_in_bye(network))),
        (1, Box::pin(a_provisional_that_nobody_pracks_ends_in_504(network))),
        (1, Box::pin(a_silent_carrier_is_given_up(network))),
        (1, Box::pin(a_callee_that_rings_for_ever_is_cancelled(network))),
        (1, Box::pin(a_session_nobody_refreshes_ends_with_bye(network))),
        (1, Box::pin(a_refreshed_session_lives_on(network))),
        (1, Box::pin(a_refresh_of_ours_met_by_491_comes_again_after_the_callers_pause(network))),
        (1, Box::pin(a_refresh_of_ours_met_by_491_comes_again_after_the_owners_pause(network))),
        (1, Box::pin(a_refresh_answered_481_ends_both_legs(network))),
        (1, Box::pin(a_refresh_nobody_answers_ends_both_legs(network))),
        (1, Box::pin(a_bye_nobody_answers_is_repeated_and_given_up(network))),
    ]
}

fn since(start: Instant) -> Duration {
    clock::monotonic().duration_since(start)
}

async fn a_200_that_nobody_acknowledges_is_repeated_and_ends_in_bye(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    callee.wire.asked("ACK").await;
    let ok = pbx.told(200, "INVITE").await;
    let answered = clock::monotonic();
    let bye = pbx.asked("BYE").await;
    assert!(since(answered) >= NEARLY_GIVEN_UP, "{:?}", since(answered));
    pbx.reply(&bye, 200, "", "", "").await;
    let answers: Vec<_> = pbx.seen().into_iter().filter(|message| message.status() == Some(200)).collect();
    assert!((5..=10).contains(&answers.len()), "{} times", answers.len());
    assert!(answers.iter().all(|again| again.body() == ok.body()));
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    let ended = network.ended(&callee).await;
    ended.came_to(5_000, "Vobiz");
    assert_eq!(ended.record["billsec"], 3, "{}", ended.record);
}

/// RFC 3262 §3.
async fn a_provisional_that_nobody_pracks_ends_in_504(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("Require: 100rel\r\n", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    callee.wire.reply(&invite, 180, TAG, "", "").await;
    caller.refused(504).await;
    assert!(pbx.responses(180) >= 4, "{} times", pbx.responses(180));
    let cancel = callee.wire.asked("CANCEL").await;
    callee.wire.reply(&cancel, 200, TAG, "", "").await;
    callee.wire.reply(&invite, 487, TAG, "", "").await;
    network.ended(&callee).await.came_to(5_000, "Vobiz").is_free();
}

async fn a_silent_carrier_is_given_up(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    caller.refused(408).await;
    callee.wire.listen(Duration::from_millis(100)).await;
    // Timer A: after 50, 150, 350, 750, 1,550 and 3,150 ms.
    assert_eq!(callee.wire.requests("INVITE"), 7);
    network.ended(&callee).await.came_to(3_070, "Carrier").is_free();
}

/// Timer C, as the one who called: whatever provisionals come.
async fn a_callee_that_rings_for_ever_is_cancelled(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    let rings = async {
        loop {
            callee.wire.reply(&invite, 180, TAG, "", "").await;
            callee.wire.listen(Duration::from_millis(500)).await;
            if callee.wire.requests("CANCEL") > 0 {
                return;
            }
        }
    };
    rings.await;
    callee.wire.reply(&invite, 487, TAG, "", "").await;
    callee.wire.asked("ACK").await;
    caller.refused(480).await;
    network.ended(&callee).await.came_to(6_010, "Vobiz").is_free();
}

/// RFC 4028 §10.
async fn a_session_nobody_refreshes_ends_with_bye(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let talk = network.talk(&pbx, &callee, "Require: timer\r\nSession-Expires: 4\r\n", "").await;
    assert_eq!(talk.ok.header("Session-Expires"), "4;refresher=uac");
    let bye = pbx.asked("BYE").await;
    pbx.reply(&bye, 200, "", "", "").await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    let ended = network.ended(&callee).await;
    ended.came_to(5_000, "Vobiz");
    assert_eq!(ended.record["billsec"], 3, "a third before it expires: {}", ended.record);
}

async fn a_refreshed_session_lives_on(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk =
        network.talk(&pbx, &callee, "Supported: timer\r\nSession-Expires: 4;refresher=uac\r\n", "").await;
    for way in ["UPDATE", "INVITE", "UPDATE"] {
        pbx.listen(Duration::from_millis(1_800)).await;
        let sdp = if way == "INVITE" { Sdp::talk(NOWHERE).text() } else { String::new() };
        talk.caller.ask(way, "Supported: timer\r\nSession-Expires: 4;refresher=uac\r\n", &sdp).await;
        let ok = pbx.told(200, way).await;
        assert_eq!(ok.header("Session-Expires"), "4;refresher=uac");
        if way == "INVITE" {
            assert_eq!(ok.body(), talk.ok.body());
            talk.caller.ack("").await;
        }
    }
    talk.end(&callee.wire).await;
    assert_eq!(pbx.requests("BYE"), 0);
    let ended = network.ended(&callee).await;
    ended.came_to(4_000, "Caller");
    assert!(ended.record["billsec"].as_i64() >= Some(5), "{}", ended.record);
}

/// RFC 3261 §14.1: who did not make the Call-ID waits up to 2 s.
async fn a_refresh_of_ours_met_by_491_comes_again_after_the_callers_pause(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    // No UPDATE in Allow, and the refreshing is ours: it comes as a re-INVITE.
    let mut talk =
        network.talk(&pbx, &callee, "Supported: timer\r\nSession-Expires: 4;refresher=uas\r\n", "").await;
    let first = pbx.asked("INVITE").await;
    assert_eq!(first.body(), talk.ok.body(), "the same description, the same version");
    // Ours is open: theirs has to wait.
    talk.caller.invite("", &Sdp { version: 2, ..Sdp::talk(NOWHERE) }.text()).await;
    talk.caller.refused(491).await;
    pbx.reply(&first, 491, "", "", "").await;
    let refused = clock::monotonic();
    let second = pbx.hear("a new INVITE", |message| {
        message.status().is_none()
            && message.method() == "INVITE"
            && message.header("CSeq") != first.header("CSeq")
    });
    let second = second.await;
    assert!(since(refused) < Duration::from_millis(2_500), "{:?}", since(refused));
    pbx.reply(&second, 200, "", "Session-Expires: 4;refresher=uac\r\n", &Sdp::talk(NOWHERE).text()).await;
    pbx.hear("its ACK", |message| {
        message.method() == "ACK" && message.header("CSeq").starts_with(&number(&second))
    })
    .await;
    talk.end(&callee.wire).await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

fn number(message: &crate::stage::wire::Message) -> String {
    message.header("CSeq").split(' ').next().unwrap_or_default().to_owned()
}

/// RFC 3261 §14.1: who made the Call-ID waits 2.1 to 4 s.
async fn a_refresh_of_ours_met_by_491_comes_again_after_the_owners_pause(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let terms = "Require: timer\r\nSession-Expires: 4;refresher=uac\r\n";
    let mut talk = network.talk(&pbx, &callee, "", terms).await;
    let first = callee.wire.asked("INVITE").await;
    assert_eq!(first.body(), talk.invite.body());
    callee.wire.reply(&first, 491, "", "", "").await;
    let refused = clock::monotonic();
    let second = callee.wire.hear("a new INVITE", |message| {
        message.status().is_none()
            && message.method() == "INVITE"
            && message.header("CSeq") != first.header("CSeq")
    });
    let second = second.await;
    let pause = since(refused);
    assert!((2_000..4_500).contains(&pause.as_millis()), "{pause:?}");
    callee.wire.reply(&second, 200, "", terms, &Sdp::talk(NOWHERE).text()).await;
    callee
        .wire
        .hear("its ACK", |message| {
            message.method() == "ACK" && message.header("CSeq").starts_with(&number(&second))
        })
        .await;
    talk.end(&callee.wire).await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_refresh_answered_481_ends_both_legs(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let terms = "Allow: INVITE, UPDATE\r\nRequire: timer\r\nSession-Expires: 4;refresher=uac\r\n";
    let _talk = network.talk(&pbx, &callee, "", terms).await;
    let update = callee.wire.asked("UPDATE").await;
    assert_eq!(update.header("Session-Expires"), "4;refresher=uac");
    callee.wire.reply(&update, 481, "", "", "").await;
    let bye = pbx.asked("BYE").await;
    pbx.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Callee");
    assert_eq!(callee.wire.requests("BYE"), 0, "it knows no call to end");
}

async fn a_refresh_nobody_answers_ends_both_legs(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let terms = "Allow: INVITE, UPDATE\r\nRequire: timer\r\nSession-Expires: 4;refresher=uac\r\n";
    let _talk = network.talk(&pbx, &callee, "", terms).await;
    callee.wire.asked("UPDATE").await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    let bye = pbx.asked("BYE").await;
    pbx.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(5_000, "Vobiz");
}

async fn a_bye_nobody_answers_is_repeated_and_given_up(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    talk.caller.hang_up().await;
    network.ended(&callee).await.came_to(4_000, "Caller");
    callee.wire.listen(GIVEN_UP + Duration::from_millis(1_500)).await;
    // Timer E: after 50, 150, 350, 750, 1,550 and 3,150 ms.
    assert!((6..=7).contains(&callee.wire.requests("BYE")), "{} times", callee.wire.requests("BYE"));
}
