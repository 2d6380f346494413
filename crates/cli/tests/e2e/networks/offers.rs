//! Offers late, early, repeated, refused; hold in all its spellings; extensions asked for. All of it is answered by the
//! platform itself, never passed to the other leg.

use serde_json::json;

use super::{NOWHERE, Network, PBX, Scenario, Sdp, TAG, Wire};
use crate::stage::wire::Message;

/// Each with the number of calls it makes.
pub(super) fn scenarios(network: &Network) -> Vec<(usize, Scenario<'_>)> {
    vec![
        (1, Box::pin(a_late_offer_is_made_in_the_200_and_answered_in_the_ack(network))),
        (1, Box::pin(a_late_offer_in_a_reinvite_is_made_in_the_200(network))),
        (1, Box::pin(hold_is_answered_here_however_it_is_spelt(network))),
        (1, Box::pin(a_callee_holds_too(network))),
        (1, Box::pin(an_identical_description_keeps_its_version(network))),
        (1, Box::pin(video_and_fax_lines_are_answered_with_port_0(network))),
        (1, Box::pin(an_unacceptable_reinvite_gets_488_and_the_call_goes_on(network))),
        (1, Box::pin(update_is_taken_early_and_in_the_call(network))),
        (1, Box::pin(reliable_provisionals_are_given_to_whom_requires_them(network))),
        (0, Box::pin(an_unknown_extension_is_420_and_nobodys_call(network))),
        (1, Box::pin(required_session_timers_are_kept(network))),
        (1, Box::pin(reinvites_of_both_sides_do_not_meet(network))),
    ]
}

/// `o=` of a description: id and version.
fn origin(message: &Message) -> (String, String) {
    let line = message.body().lines().find_map(|line| line.strip_prefix("o=")).expect("an origin");
    let mut words = line.split(' ').skip(1).map(str::to_owned);
    (words.next().expect("an id"), words.next().expect("a version"))
}

fn says(message: &Message, line: &str) -> bool {
    message.body().lines().any(|found| found == line)
}

async fn a_late_offer_is_made_in_the_200_and_answered_in_the_ack(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", "").await;
    let invite = callee.wire.asked("INVITE").await;
    assert!(invite.body().contains("m=audio"), "the callee is always offered something");
    callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    let ok = caller.answered(&Sdp::talk(NOWHERE).text()).await;
    assert!(ok.body().contains("m=audio"), "an offer");
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    let ended = network.ended(&callee).await;
    ended.came_to(4_000, "Caller");
    assert_eq!(ended.record["codec"], "PCMU", "{}", ended.record);
}

async fn a_late_offer_in_a_reinvite_is_made_in_the_200(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    talk.caller.invite("", "").await;
    let ok = pbx.told(200, "INVITE").await;
    assert!(ok.body().contains("m=audio"), "an offer");
    assert_eq!(origin(&ok).0, origin(&talk.ok).0, "of the same session");
    talk.caller.ack(&Sdp::talk(NOWHERE).text()).await;
    talk.end(&callee.wire).await;
    assert_eq!(callee.wire.requests("INVITE"), 1);
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn hold_is_answered_here_however_it_is_spelt(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    let zero = "0.0.0.0:40000".parse().expect("an address");
    let spellings = [
        (Sdp { direction: "sendonly", version: 2, ..Sdp::talk(NOWHERE) }, "recvonly"),
        (Sdp { version: 3, ..Sdp::talk(NOWHERE) }, "sendrecv"),
        (Sdp { direction: "inactive", version: 4, ..Sdp::talk(NOWHERE) }, "inactive"),
        (Sdp { version: 5, ..Sdp::talk(NOWHERE) }, "sendrecv"),
        // RFC 2543's way.
        (Sdp { version: 6, ..Sdp::talk(zero) }, "recvonly"),
        (Sdp { version: 7, ..Sdp::talk(NOWHERE) }, "sendrecv"),
    ];
    for (offer, expected) in spellings {
        talk.caller.invite("", &offer.text()).await;
        let ok = pbx.told(200, "INVITE").await;
        talk.caller.ack("").await;
        let answered = says(&ok, &format!("a={expected}"))
            || (expected == "recvonly" && offer.media.ip().is_unspecified() && says(&ok, "a=inactive"));
        assert!(answered, "{} to {}", ok.body(), offer.text());
        assert!(!ok.body().contains("0.0.0.0"), "{}", ok.body());
    }
    talk.end(&callee.wire).await;
    assert_eq!(
        (callee.wire.requests("INVITE"), callee.wire.requests("UPDATE")),
        (1, 0),
        "hold stays on its leg"
    );
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn a_callee_holds_too(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    let hold = Sdp { direction: "sendonly", version: 2, ..Sdp::talk(NOWHERE) };
    callee.wire.callee_asks(&talk.invite, "INVITE", 1, TAG, "", &hold.text()).await;
    let ok = callee.wire.told(200, "INVITE").await;
    assert!(says(&ok, "a=recvonly"), "{}", ok.body());
    callee.wire.callee_asks(&talk.invite, "ACK", 1, TAG, "", "").await;
    talk.end(&callee.wire).await;
    assert_eq!(pbx.requests("INVITE"), 0);
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn an_identical_description_keeps_its_version(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    for _ in 0..2 {
        talk.caller.invite("", &Sdp::talk(NOWHERE).text()).await;
        let ok = pbx.told(200, "INVITE").await;
        talk.caller.ack("").await;
        assert_eq!(ok.body(), talk.ok.body(), "nothing changed, so nothing says that it did");
    }
    // A change of theirs that changes ours raises the version by one.
    let hold = Sdp { direction: "sendonly", version: 2, ..Sdp::talk(NOWHERE) };
    talk.caller.invite("", &hold.text()).await;
    let ok = pbx.told(200, "INVITE").await;
    talk.caller.ack("").await;
    let ((id, before), (same, after)) = (origin(&talk.ok), origin(&ok));
    assert_eq!((id, before.parse::<u64>().expect("digits") + 1), (same, after.parse().expect("digits")));
    talk.end(&callee.wire).await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn video_and_fax_lines_are_answered_with_port_0(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let further = "m=video 50000 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\nm=image 50002 udptl t38\r\n";
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp { further, ..Sdp::talk(NOWHERE) }.text()).await;
    let invite = callee.wire.asked("INVITE").await;
    assert!(!invite.body().contains("m=video") && !invite.body().contains("m=image"), "{}", invite.body());
    callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    let ok = caller.answered("").await;
    let lines: Vec<&str> = ok.body().lines().filter(|line| line.starts_with("m=")).collect();
    assert!(
        matches!(lines[..], [audio, video, image] if !audio.starts_with("m=audio 0 ")
        && video.starts_with("m=video 0 ") && image.starts_with("m=image 0 ")),
        "{lines:?}"
    );
    // The callee's fax machine wants T.38 alone: no, and the voice goes on.
    let fax = "v=0\r\no=wire 7 2 IN IP4 127.0.0.7\r\ns=-\r\nc=IN IP4 127.0.0.7\r\nt=0 0\r\nm=image 50002 udptl t38\r\n";
    callee.wire.callee_asks(&invite, "INVITE", 1, TAG, "", fax).await;
    callee.wire.told(488, "INVITE").await;
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn an_unacceptable_reinvite_gets_488_and_the_call_goes_on(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    let foreign = Sdp::talk(NOWHERE)
        .text()
        .replace("RTP/AVP 0 101", "RTP/AVP 98")
        .replace("a=rtpmap:0 PCMU", "a=rtpmap:98 AMR");
    for offer in [foreign.as_str(), "v=0\r\nthis is no session description\r\n"] {
        talk.caller.invite("", offer).await;
        talk.caller.refused(488).await;
    }
    talk.caller.invite("", &Sdp { version: 4, ..Sdp::talk(NOWHERE) }.text()).await;
    pbx.told(200, "INVITE").await;
    talk.caller.ack("").await;
    talk.end(&callee.wire).await;
    assert_eq!(pbx.requests("BYE"), 0);
    network.ended(&callee).await.came_to(4_000, "Caller");
}

/// RFC 3311.
async fn update_is_taken_early_and_in_the_call(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    callee.wire.reply(&invite, 180, TAG, "", "").await;
    caller.take_dialog(&pbx.told(180, "INVITE").await);
    // Early: a new target is taken, a new offer has to wait for the answer to the first.
    caller.ask("UPDATE", "", "").await;
    pbx.told(200, "UPDATE").await;
    caller.ask("UPDATE", "", &Sdp { version: 2, ..Sdp::talk(NOWHERE) }.text()).await;
    let refusal = pbx.told(500, "UPDATE").await;
    assert!(refusal.header("Retry-After").parse::<u8>().is_ok_and(|seconds| seconds <= 10));
    callee.wire.callee_asks(&invite, "UPDATE", 1, TAG, "", "").await;
    callee.wire.told(200, "UPDATE").await;
    callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    let ok = pbx.told(200, "INVITE").await;
    assert_eq!(ok.header("CSeq"), "1 INVITE");
    caller.ack_of(1, "").await;
    callee.wire.asked("ACK").await;
    caller.ask("UPDATE", "", &Sdp { direction: "sendonly", version: 2, ..Sdp::talk(NOWHERE) }.text()).await;
    let held = pbx.told(200, "UPDATE").await;
    assert!(says(&held, "a=recvonly"), "{}", held.body());
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

/// RFC 3262, as the one that is called.
async fn reliable_provisionals_are_given_to_whom_requires_them(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("Require: 100rel\r\n", &Sdp::talk(NOWHERE).text()).await;
    let invite = callee.wire.asked("INVITE").await;
    assert!(invite.headers("Require").is_empty() && !invite.header("Supported").contains("100rel"));
    callee.wire.reply(&invite, 180, TAG, "", "").await;
    let ringing = pbx.told(180, "INVITE").await;
    assert_eq!(ringing.header("Require"), "100rel");
    // No PRACK yet: it comes again.
    let again = pbx.told(180, "INVITE").await;
    assert_eq!(again.header("RSeq"), ringing.header("RSeq"));
    caller.take_dialog(&ringing);
    caller.ask("PRACK", &format!("RAck: {} 1 INVITE\r\n", ringing.header("RSeq")), "").await;
    pbx.told(200, "PRACK").await;
    callee.wire.reply(&invite, 200, TAG, "", &Sdp::talk(NOWHERE).text()).await;
    pbx.told(200, "INVITE").await;
    caller.ack_of(1, "").await;
    callee.wire.asked("ACK").await;
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

async fn an_unknown_extension_is_420_and_nobodys_call(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    caller.invite("Require: 100rel, precondition\r\n", &Sdp::talk(NOWHERE).text()).await;
    let refusal = caller.refused(420).await;
    assert_eq!(refusal.header("Unsupported"), "precondition");
    assert_eq!(callee.wire.requests("INVITE"), 0);
}

/// RFC 4028, as the one that is called.
async fn required_session_timers_are_kept(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut caller = network.calling(&pbx, &callee);
    let sdp = Sdp::talk(NOWHERE).text();
    caller.invite("Require: timer\r\nSession-Expires: 60\r\n", &sdp).await;
    let refusal = caller.refused(422).await;
    assert_eq!(refusal.header("Min-SE"), "90");
    caller.invite("Require: timer\r\nSession-Expires: 90\r\nMin-SE: 90\r\n", &sdp).await;
    let invite = callee.wire.asked("INVITE").await;
    callee.wire.reply(&invite, 200, TAG, "", &sdp).await;
    let ok = caller.answered("").await;
    assert_eq!((ok.header("Session-Expires"), ok.header("Require")), ("90;refresher=uac", "timer"));
    caller.ask("UPDATE", "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n", "").await;
    assert_eq!(pbx.told(200, "UPDATE").await.header("Session-Expires"), "90;refresher=uac");
    caller.hang_up().await;
    let bye = callee.wire.asked("BYE").await;
    callee.wire.reply(&bye, 200, "", "", "").await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}

/// RFC 3261 §14.2: one offer at a time.
async fn reinvites_of_both_sides_do_not_meet(network: &Network) {
    let (pbx, callee) = (Wire::open(PBX).await, network.callee(json!({})).await);
    let mut talk = network.talk(&pbx, &callee, "", "").await;
    // The 200 to the first waits for its ACK: a second one must not pass it.
    talk.caller.invite("", &Sdp { version: 2, ..Sdp::talk(NOWHERE) }.text()).await;
    pbx.told(200, "INVITE").await;
    talk.caller.invite("", &Sdp { version: 3, ..Sdp::talk(NOWHERE) }.text()).await;
    talk.caller.refused(491).await;
    talk.caller.ack_of(2, "").await;
    talk.caller.invite("", &Sdp { version: 3, ..Sdp::talk(NOWHERE) }.text()).await;
    pbx.hear("200 to the fourth INVITE", |message| {
        message.status() == Some(200) && message.header("CSeq") == "4 INVITE"
    })
    .await;
    talk.caller.ack("").await;
    talk.end(&callee.wire).await;
    network.ended(&callee).await.came_to(4_000, "Caller");
}
