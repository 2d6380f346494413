//! Carriers that ask who we are, again and again, or send us elsewhere.

use std::time::Duration;

use serde_json::json;

use super::{Callee, NOWHERE, Network, PBX, Scenario, Sdp, TAG, Wire};
use crate::stage::wire::Message;

/// Each with the number of calls it makes.
pub(super) fn scenarios(network: &Network) -> Vec<(usize, Scenario<'_>)> {
    vec![
        (1, Box::pin(a_stale_nonce_is_answered_anew_and_the_call_goes_through(network))),
        (1, Box::pin(a_carrier_that_calls_every_nonce_stale_is_given_up(network))),
        (1, Box::pin(the_same_nonce_is_answered_once(network))),
        (1, Box::pin(a_refused_password_is_not_tried_again(network))),
        (1, Box::pin(a_foreign_realm_learns_nothing(network))),
        (1, Box::pin(two_realms_on_the_way_are_both_answered(network))),
        (1, Box::pin(a_challenged_bye_is_said_again_with_credentials(network))),
        (1, Box::pin(a_redirection_is_never_followed(network))),
    ]
}

/// A callee whose carrier knows us by password, in its realm if one is pinned.
async fn digest_callee(network: &Network, realm: Option<&str>) -> Callee {
    network.callee(json!({"username": "tandem", "password": "between-us-9", "realm": realm})).await
}

fn challenge(realm: &str, nonce: &str, stale: bool) -> String {
    let stale = if stale { ", stale=true" } else { "" };
    format!(
        "Proxy-Authenticate: Digest realm=\"{realm}\", nonce=\"{nonce}\"{stale}, algorithm=MD5, qop=\"auth\"\r\n"
    )
}

/// The next INVITE; the ACK of a refused one before it is heard too.
async fn invited(callee: &Callee) -> Message {
    callee.wire.asked("INVITE").await
}

/// Begins a call and answers its first INVITE with a challenge.
async fn challenged<'a>(
    network: &Network,
    pbx: &'a Wire,
    callee: &Callee,
    lines: &str,
) -> (crate::stage::wire::Calling<'a>, Message) {
    let mut caller = network.calling(pbx, callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let first = invited(callee).await;
    assert!(first.headers("Proxy-Authorization").is_empty() && first.headers("Authorization").is_empty());
    callee.wire.reply(&first, 407, TAG, lines, "").await;
    (caller, first)
}

async fn a_stale_nonce_is_answered_anew_and_the_call_goes_through(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, digest_callee(network, Some("carrier")).await);
    let (mut caller, first) = challenged(network, &pbx, &callee, &challenge("carrier", "one", false)).await;
    let second = invited(&callee).await;
    let answer = second.header("Proxy-Authorization").to_owned();
    for part in ["username=\"tandem\"", "realm=\"carrier\"", "nonce=\"one\"", "qop=auth", "nc=00000001"] {
        assert!(answer.contains(part), "no {part} in {answer}");
    }
    assert!(answer.contains(&format!("uri=\"{}\"", second.uri())), "{answer} for {}", second.uri());
    callee.wire.reply(&second, 407, TAG, &challenge("carrier", "two", true), "").await;
    let third = invited(&callee).await;
    assert!(third.header("Proxy-Authorization").contains("nonce=\"two\""));
    assert_eq!(third.headers("Proxy-Authorization").len(), 1);
    let numbers = [&first, &second, &third].map(|invite| invite.header("CSeq").to_owned());
    assert_eq!(numbers, ["1 INVITE", "2 INVITE", "3 INVITE"]);
    assert_eq!(first.header("Call-ID"), third.header("Call-ID"));
    callee.wire.reply(&third, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    caller.answered("").await;
    let ack = callee.wire.hear("the ACK to the 200", |message| message.header("CSeq") == "3 ACK").await;
    assert_eq!(ack.header("Proxy-Authorization"), third.header("Proxy-Authorization"), "RFC 3261 §22.1");
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_carrier_that_calls_every_nonce_stale_is_given_up(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, digest_callee(network, None).await);
    let (mut caller, _) = challenged(network, &pbx, &callee, &challenge("carrier", "n0", false)).await;
    let stales = async {
        for number in 1.. {
            let invite = invited(&callee).await;
            callee
                .wire
                .reply(&invite, 407, TAG, &challenge("carrier", &format!("n{number}"), true), "")
                .await;
        }
    };
    tokio::select! {
        refusal = caller.refused(403) => drop(refusal),
        () = stales => unreachable!("it goes on for ever"),
    }
    assert!((2..=5).contains(&callee.wire.requests("INVITE")), "{} tries", callee.wire.requests("INVITE"));
    network.ended(&callee).await.came_to(3_040, "Carrier").is_free();
}

async fn the_same_nonce_is_answered_once(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, digest_callee(network, None).await);
    let (mut caller, _) = challenged(network, &pbx, &callee, &challenge("carrier", "one", false)).await;
    let second = invited(&callee).await;
    callee.wire.reply(&second, 407, TAG, &challenge("carrier", "one", true), "").await;
    caller.refused(403).await;
    callee.wire.listen(Duration::from_millis(200)).await;
    assert_eq!(callee.wire.requests("INVITE"), 2);
    network.ended(&callee).await.came_to(3_040, "Carrier").is_free();
}

async fn a_refused_password_is_not_tried_again(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, digest_callee(network, None).await);
    let (mut caller, _) = challenged(network, &pbx, &callee, &challenge("carrier", "one", false)).await;
    let second = invited(&callee).await;
    callee.wire.reply(&second, 407, TAG, &challenge("carrier", "two", false), "").await;
    caller.refused(403).await;
    callee.wire.listen(Duration::from_millis(200)).await;
    assert_eq!(callee.wire.requests("INVITE"), 2);
    network.ended(&callee).await.came_to(3_040, "Carrier").is_free();
}

async fn a_foreign_realm_learns_nothing(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, digest_callee(network, Some("carrier")).await);
    let (mut caller, _) = challenged(network, &pbx, &callee, &challenge("elsewhere", "one", false)).await;
    caller.refused(403).await;
    callee.wire.listen(Duration::from_millis(200)).await;
    assert_eq!(callee.wire.requests("INVITE"), 1);
    assert!(callee.wire.seen().iter().all(|message| message.headers("Proxy-Authorization").is_empty()));
    network.ended(&callee).await.came_to(3_040, "Carrier").is_free();
}

async fn two_realms_on_the_way_are_both_answered(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, digest_callee(network, None).await);
    let (mut caller, _) = challenged(network, &pbx, &callee, &challenge("proxy", "one", false)).await;
    let second = invited(&callee).await;
    let own = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"own\", qop=\"auth\"\r\n";
    callee.wire.reply(&second, 401, TAG, own, "").await;
    let third = invited(&callee).await;
    assert!(third.header("Proxy-Authorization").contains("realm=\"proxy\""));
    assert!(third.header("Authorization").contains("realm=\"carrier\""));
    callee.wire.reply(&third, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    caller.answered("").await;
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_challenged_bye_is_said_again_with_credentials(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, digest_callee(network, Some("carrier")).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    talk.caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 407, "", &challenge("carrier", "bye", false), "").await;
    let again = callee.wire.asked("BYE").await;
    assert!(again.header("Proxy-Authorization").contains("nonce=\"bye\""));
    assert_ne!(again.header("CSeq"), bye.header("CSeq"));
    callee.wire.reply(&again, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

/// Whoever answers the number would choose where the money goes.
async fn a_redirection_is_never_followed(network: &Network) {
    let (pbx, elsewhere, callee) =
        (Wire::open(PBX).await, Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    let lines = format!("Contact: <sip:premium@{}>\r\n", elsewhere.address);
    callee.wire.reply(&invite, 302, TAG, &lines, "").await;
    callee.wire.asked("ACK").await;
    let refusal = caller.refused(503).await;
    assert!(refusal.headers("Contact").is_empty(), "nor is the caller told where to go");
    elsewhere.listen(Duration::from_millis(300)).await;
    assert!(elsewhere.seen().is_empty());
    network.ended(&callee).await.came_to(5_020, "Carrier").is_free();
}
