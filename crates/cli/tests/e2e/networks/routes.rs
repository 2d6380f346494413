//! Proxies in between, and callees that are several.

use std::time::Duration;

use serde_json::json;

use super::{NOWHERE, Network, PBX, Scenario, Sdp, TAG, Wire};

/// Each with the number of calls it makes.
pub(super) fn scenarios(network: &Network) -> Vec<(usize, Scenario<'_>)> {
    vec![
        (1, Box::pin(a_callers_proxies_are_followed_in_the_order_they_recorded(network))),
        (1, Box::pin(a_callees_proxies_are_followed_in_reverse(network))),
        (1, Box::pin(a_strict_router_gets_the_request_uri(network))),
        (1, Box::pin(a_moved_contact_gets_the_bye(network))),
        (1, Box::pin(several_early_tags_ring_and_a_180_may_follow_a_183(network))),
        (1, Box::pin(a_second_answer_of_a_fork_gets_ack_and_bye(network))),
        (1, Box::pin(a_repeated_answer_gets_the_ack_again(network))),
    ]
}

async fn a_callers_proxies_are_followed_in_the_order_they_recorded(network: &Network) {
    let (pbx, proxy, callee) =
        (Wire::open(PBX).await, Wire::open(PBX).await, network.callee(json!({})).await);
    let (near, far) = (format!("<sip:{};lr>", proxy.address), "<sip:far.proxy.example;lr>");
    let recorded = format!("Record-Route: {near}\r\nRecord-Route: {far}\r\n");
    let talk = network.talk(&pbx, &callee, &recorded, "").await;
    assert_eq!(talk.ok.headers("Record-Route"), [near.as_str(), far], "as they were");
    callee.wire.callee_asks(&talk.invite, "BYE", 1, TAG, "", "").await;
    let bye = proxy.asked("BYE").await;
    assert_eq!(bye.headers("Route"), [near.as_str(), far]);
    assert_eq!(
        bye.uri(),
        format!("sip:wire@{}", pbx.address),
        "loose routers leave the target in the Request-URI"
    );
    proxy.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Callee");
}

async fn a_callees_proxies_are_followed_in_reverse(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    let near = format!("<sip:{};lr>", callee.wire.address);
    let recorded = format!("Record-Route: <sip:far.proxy.example;lr>\r\nRecord-Route: {near}\r\n");
    callee.wire.reply(&invite, 200, TAG, &recorded, &Sdp::talk(NOWHERE).text()).await;
    let ack = callee.wire.asked("ACK").await;
    assert_eq!(ack.headers("Route"), [near.as_str(), "<sip:far.proxy.example;lr>"]);
    caller.answered("").await;
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    assert_eq!(bye.headers("Route"), ack.headers("Route"));
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_strict_router_gets_the_request_uri(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let router = format!("sip:router@{}", callee.wire.address);
    let mut talk = network.talk(&pbx, &callee, "", &format!("Record-Route: <{router}>\r\n")).await;
    talk.caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    assert_eq!(bye.uri(), router);
    assert_eq!(bye.headers("Route"), [format!("<sip:wire@{}>", callee.wire.address)], "the target goes last");
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

/// A target refresh (RFC 3261 §12.2): the Contact of a re-INVITE is where the dialog lives from then on.
async fn a_moved_contact_gets_the_bye(network: &Network) {
    let (pbx, moved, callee) =
        (Wire::open(PBX).await, Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    talk.caller.contact = moved.address;
    talk.caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    pbx.told(200, "INVITE").await;
    talk.caller.ack("").await;
    callee.wire.callee_asks(&talk.invite, "BYE", 1, TAG, "", "").await;
    let bye = moved.asked("BYE").await;
    assert_eq!(bye.uri(), format!("sip:wire@{}", moved.address));
    moved.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Callee");
}

async fn several_early_tags_ring_and_a_180_may_follow_a_183(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    let sdp = Sdp::talk(NOWHERE).text();
    callee.wire.reply(&invite, 183, "one", "", &sdp).await;
    let early = pbx.told(183, "INVITE").await;
    assert!(early.body().contains("m=audio"), "the first early stream is heard");
    assert_eq!(pbx.responses(180), 1, "it rings");
    callee.wire.reply(&invite, 180, "two", "", "").await;
    callee.wire.reply(&invite, 183, "three", "", &sdp).await;
    callee.wire.reply(&invite, 200, "two", "", &sdp).await;
    let ok = caller.answered("").await;
    assert_eq!(ok.to_tag(), early.to_tag(), "towards the caller there is one dialog");
    assert_eq!(callee.wire.asked("ACK").await.to_tag(), "two");
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    assert_eq!(bye.to_tag(), "two");
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_second_answer_of_a_fork_gets_ack_and_bye(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    callee.wire.reply(&talk.invite, 200, "late", "", &Sdp::talk(NOWHERE).text()).await;
    let ack = callee.wire.asked("ACK").await;
    let bye = callee.wire.asked("BYE").await;
    assert_eq!((ack.to_tag(), bye.to_tag()), ("late", "late"));
    callee.wire.reply(&bye, 200, "", "", "").await;
    // The first one talks on: its INFO is taken.
    talk.caller.ask("INFO", "", "").await;
    pbx.told(200, "INFO").await;
    talk.end(&callee.wire).await;
    assert_eq!(callee.wire.requests("BYE"), 2);
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_repeated_answer_gets_the_ack_again(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    for _ in 0..20 {
        callee.wire.reply(&talk.invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    }
    callee.wire.listen(Duration::from_millis(300)).await;
    assert_eq!((callee.wire.requests("ACK"), callee.wire.requests("BYE")), (21, 0));
    talk.end(&callee.wire).await;
    assert_eq!(pbx.responses(200), 2, "one answer and one goodbye for the caller");
    network.ended(&callee).await.came_to(4_000, "Caller");
}
