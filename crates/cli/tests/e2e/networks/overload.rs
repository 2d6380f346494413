//! A node that has as much as it can carry: new calls are turned away at the door, those that exist go on.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::json;

use super::{NOWHERE, Network, PBX, Sdp, TAG, Wire};
use crate::stage::wire::Calling;

/// Calls the node may have.
pub(super) const SESSIONS: &str = "1";
/// An office whose address says nothing: its trunk asks for a password.
const OFFICE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 8));
/// The seat of an ended call is given back once its end is stored.
const SEATS: usize = 50;
const A_MOMENT: Duration = Duration::from_millis(50);

/// Makes two calls.
pub(super) async fn a_full_node_turns_calls_away_before_it_asks_for_a_password(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let office = network.world.trunk(&network.customer, "office").await;
    network.world.credential(&network.customer, &office, "office", "A-secret-word-1").await;
    let mut talk = network.talk(&pbx, &callee, "", "").await;

    let second = Wire::open(PBX).await;
    let mut refused = network.calling(&second, &callee);
    refused.invite("", &Sdp::talk(NOWHERE).text()).await;
    let refusal = refused.refused(503).await;
    assert_eq!(refusal.header("Retry-After"), "10");
    let distant = Wire::open(OFFICE).await;
    let mut unproven =
        Calling::new(&distant, network.world.sip(), &network.number, &callee.to, &office.domain);
    unproven.invite("", &Sdp::talk(NOWHERE).text()).await;
    unproven.refused(503).await;
    distant.listen(A_MOMENT).await;
    assert_eq!((distant.responses(503), distant.responses(401)), (1, 0), "said once, and nothing is asked");

    let hold = Sdp { direction: "sendonly", version: 2, ..Sdp::talk(NOWHERE) };
    talk.caller.invite("", &hold.text()).await;
    let ok = pbx.told(200, "INVITE").await;
    assert!(ok.body().contains("a=recvonly"), "a call that exists goes on: {}", ok.body());
    talk.caller.ack("").await;
    talk.end(&callee.wire).await;
    network.ended(&callee).await.came_to(4_000, "Caller");
    assert_eq!(callee.wire.requests("INVITE"), 1, "nobody was called for those turned away");

    for attempt in 1..=SEATS {
        let third = Wire::open(PBX).await;
        let mut caller = network.calling(&third, &callee);
        caller.invite("", &Sdp::talk(NOWHERE).text()).await;
        tokio::select! {
            invite = callee.wire.asked("INVITE") => {
                callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
                caller.answered("").await;
                caller.hang_up().await;
                let bye = callee.wire.asked("BYE").await;
                return callee.wire.reply(&bye, 200, "", "", "").await;
            }
            _ = third.told(503, "INVITE") => assert!(attempt < SEATS, "the seat is never given back"),
        }
        third.listen(A_MOMENT).await;
    }
}
