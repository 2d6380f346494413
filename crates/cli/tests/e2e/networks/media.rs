//! Streams that change in the middle of a call: towards the other side nothing does.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;

use super::{Network, PBX, Scenario, Sdp, TAG, Wire};
use crate::stage::handset::Handset;
use crate::stage::until;

const TONE: u16 = 700;

/// Each with the number of calls it makes.
pub(super) fn scenarios(network: &Network) -> Vec<(usize, Scenario<'_>)> {
    vec![(1, Box::pin(a_change_of_source_and_comfort_noise_do_not_break_the_stream(network)))]
}

async fn a_change_of_source_and_comfort_noise_do_not_break_the_stream(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let (speaker, listener) =
        (Handset::open(PBX, Some(TONE)).await, Handset::open(callee.wire.address.ip(), None).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(speaker.address).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(listener.address).text()).await;
    let ok = caller.answered("").await;
    callee.wire.asked("ACK").await;
    listener.speak_to(invite.media());
    speaker.speak_to(ok.media());
    let hears = async |more_ms: usize| {
        let before = listener.heard().tone_ms(TONE);
        let enough = || async { (listener.heard().tone_ms(TONE) >= before + more_ms).then_some(()) };
        until(format!("{more_ms} ms of the tone"), enough).await;
    };
    hears(500).await;
    // The PBX hands the call to another of its boxes.
    speaker.change_source();
    hears(500).await;
    // Silence suppression nobody agreed on (RFC 3389): no tone, and no noise either.
    speaker.fall_silent(25);
    tokio::time::sleep(Duration::from_millis(700)).await;
    hears(500).await;
    let heard = listener.heard();
    assert_eq!(heard.sources.len(), 1, "one source outward, whatever comes in");
    assert_eq!(heard.kinds, HashSet::from([0]), "comfort noise was not agreed with the callee");
    assert_eq!(heard.jumps, 0, "numbers go on by one, over both");
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}
