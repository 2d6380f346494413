//! A process dies and another ends the calls it left.

use std::time::Duration;

use tandem_sip::digest::Credentials;
use tandem_sip::{DialogSnapshot, Event, Outcome, SnapshotRole, SnapshotState};

use crate::bench::*;

fn restarted() -> Bench {
    Bench::with(|config| config.generation = 2)
}

#[test]
fn an_answered_call_gets_a_bye_far_ahead_in_cseq() {
    let mut before = Bench::new();
    let (leg, tag) = before.answered();
    let snapshot = before.endpoint.dialog_snapshot(leg).expect("a leg");
    assert_eq!((snapshot.role, snapshot.state), (SnapshotRole::Uas, SnapshotState::Answered));
    let mut after = restarted();
    assert_eq!(after.endpoint.orphan_bye(after.now, &snapshot, None), Outcome::Sent);
    let bye = after.only_sent();
    assert_eq!(header(&bye, "CSeq"), "1000 BYE");
    assert_eq!(header(&bye, "From"), format!("<sip:+918000000000@192.0.2.1>;tag={tag}"));
    assert_eq!(header(&bye, "To"), "\"Peer\" <sip:+911111111111@198.51.100.7>;tag=peer");
    assert_eq!(header(&bye, "Call-ID"), "call-1");
    after.receive(&response_to(&bye, 200, "", "", ""));
    assert!(after.events().is_empty());
    after.assert_empty();
}

#[test]
fn a_challenge_to_an_orphans_bye_is_answered_once_per_nonce() {
    let mut before = Bench::new();
    let (leg, invite) = before.call(|_| ());
    before.receive(&answer_to(&invite, "b", ""));
    let snapshot = before.endpoint.dialog_snapshot(leg).expect("a leg");
    let challenge = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n\"\r\n";
    let credentials = Credentials {
        username: "tandem".to_owned(),
        password: "between-us".to_owned(),
        expected_realm: Some("carrier".to_owned()),
    };
    let mut after = restarted();
    assert_eq!(after.endpoint.orphan_bye(after.now, &snapshot, Some(credentials)), Outcome::Sent);
    let bye = after.only_sent();
    after.receive(&response_to(&bye, 407, "b", challenge, ""));
    let again = after.only_sent();
    assert_eq!((summary(&again), header(&again, "CSeq")), ("BYE".to_owned(), "1002 BYE".to_owned()));
    assert!(header(&again, "Proxy-Authorization").contains("nonce=\"n\""), "{again}");
    after.receive(&response_to(&again, 407, "b", challenge, ""));
    assert!(after.sent().is_empty(), "the same nonce again is no news");
    after.assert_empty();
    // Who has no credentials leaves it at that.
    let mut after = restarted();
    assert_eq!(after.endpoint.orphan_bye(after.now, &snapshot, None), Outcome::Sent);
    let bye = after.only_sent();
    after.receive(&response_to(&bye, 407, "b", challenge, ""));
    assert!(after.sent().is_empty());
    after.assert_empty();
}

#[test]
fn a_ringing_call_gets_a_cancel_with_the_old_branch_and_a_stray_answer_ack_and_bye() {
    let mut before = Bench::new();
    let (leg, invite) = before.call(|_| ());
    before.receive(&response_to(&invite, 180, "b", "", ""));
    let snapshot = before.endpoint.dialog_snapshot(leg).expect("a leg");
    assert_eq!((snapshot.role, snapshot.state), (SnapshotRole::Uac, SnapshotState::Pending));
    let mut after = restarted();
    assert_eq!(after.endpoint.orphan_cancel(after.now, &snapshot), Outcome::Sent);
    let cancel = after.only_sent();
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    assert_eq!(
        (request_uri(&cancel), header(&cancel, "From")),
        (request_uri(&invite), header(&invite, "From"))
    );
    after.receive(&answer_to(&invite, "b", ""));
    let sent = after.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(after.events().is_empty());
    after.assert_empty();
}

#[test]
fn an_answer_to_an_invite_that_nobody_wrote_down_gets_ack_and_bye_as_long_as_peers_repeat_it() {
    let mut before = Bench::new();
    let (_, invite) = before.call(|_| ());
    let answer = answer_to(&invite, "b", "");
    let mut after = restarted();
    after.receive(&answer);
    let sent = after.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert_eq!(header(&sent[0], "CSeq"), "1 ACK");
    assert_eq!(header(&sent[1], "CSeq"), "1001 BYE");
    assert_eq!(header(&sent[1], "From"), header(&invite, "From"));
    assert!(header(&sent[1], "To").ends_with(";tag=b"));
    after.assert_empty();
    // 64 × T1 after the first datagram nobody repeats a 2xx of an earlier process any more.
    after.advance(Duration::from_secs(32));
    after.receive(&answer);
    assert!(after.sent().is_empty());
    // The process that sent the INVITE, and knows that it is over, says nothing.
    let mut same = Bench::new();
    same.receive(&answer);
    assert!(same.sent().is_empty());
}

#[test]
fn the_487_to_an_orphans_cancel_is_acknowledged() {
    let mut before = Bench::new();
    let (leg, invite) = before.call(|_| ());
    let snapshot = before.endpoint.dialog_snapshot(leg).expect("a leg");
    let mut after = restarted();
    let _ = after.endpoint.orphan_cancel(after.now, &snapshot);
    after.sent();
    after.receive(&response_to(&invite, 487, "b", "", ""));
    let ack = after.only_sent();
    assert_eq!((summary(&ack).as_str(), header(&ack, "Via")), ("ACK", header(&invite, "Via")));
    after.assert_empty();
}

#[test]
fn an_unanswered_caller_gets_500_until_its_ack() {
    let mut before = Bench::new();
    let leg = before.invited(&invite("z9hG4bKa", SDP));
    let _ = before.endpoint.ringing(before.now, leg);
    let tag = to_tag(&before.only_sent());
    let snapshot = before.endpoint.dialog_snapshot(leg).expect("a leg");
    let mut after = restarted();
    assert_eq!(after.endpoint.orphan_reject(after.now, &snapshot, 500), Outcome::Sent);
    let reply = after.only_sent();
    assert_eq!((summary(&reply).as_str(), to_tag(&reply)), ("500", tag.clone()));
    assert!(header(&reply, "Via").contains("branch=z9hG4bKa"));
    assert_eq!(header(&reply, "CSeq"), "1 INVITE");
    after.seconds(1);
    assert_eq!(after.summaries(), ["500"]);
    let ack = request("ACK", 1, "z9hG4bKa", &tag, "", "");
    after.receive(&ack);
    after.seconds(10);
    assert!(after.sent().is_empty());
    after.assert_empty();
}

#[test]
fn a_caller_written_down_as_answered_gets_its_500_once() {
    let mut before = Bench::new();
    let leg = before.invited(&invite("z9hG4bKa", SDP));
    let mut snapshot = before.endpoint.dialog_snapshot(leg).expect("a leg");
    snapshot.state = SnapshotState::Answered;
    let mut after = restarted();
    assert_eq!(after.endpoint.orphan_reject(after.now, &snapshot, 500), Outcome::Sent);
    assert_eq!(after.summaries(), ["500"]);
    after.seconds(10);
    assert!(after.sent().is_empty(), "a caller that got the 200 would never acknowledge it");
    after.receive(&invite("z9hG4bKa", SDP));
    assert_eq!(after.summaries(), ["500"]);
    after.assert_empty();
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut before = Bench::new();
    let (leg, _) = before.answered();
    let snapshot = before.endpoint.dialog_snapshot(leg).expect("a leg");
    let mut after = restarted();
    for damaged in [
        DialogSnapshot { remote_target: "x".into(), ..snapshot.clone() },
        DialogSnapshot { local_tag: "x".into(), ..snapshot.clone() },
        DialogSnapshot { remote: "\r\nEvil: 1".into(), ..snapshot.clone() },
        DialogSnapshot { route_set: vec!["<".into()], ..snapshot.clone() },
    ] {
        assert_eq!(after.endpoint.orphan_bye(after.now, &damaged, None), Outcome::Refused);
    }
    assert_eq!(after.endpoint.orphan_cancel(after.now, &snapshot), Outcome::Refused, "nothing pending");
    assert!(after.sent().is_empty());
}

#[test]
fn a_gone_leg_has_no_snapshot_and_answers_every_command_gone() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("BYE", 2, "z9hG4bKb", &tag, "", ""));
    assert!(matches!(bench.only_event(), Event::Bye { .. }));
    bench.sent();
    let now = bench.now;
    let endpoint = &mut bench.endpoint;
    assert_eq!(endpoint.dialog_snapshot(leg), None);
    let outcomes = [
        endpoint.bye(now, leg, None),
        endpoint.hang_up(now, leg, 480, None),
        endpoint.cancel(now, leg, None),
        endpoint.trying(now, leg),
        endpoint.ringing(now, leg),
        endpoint.progress(now, leg, b""),
        endpoint.answer(now, leg, b""),
        endpoint.reject(now, leg, 486, None, &[]),
        endpoint.ignore(now, leg),
        endpoint.challenge(now, leg, tandem_sip::ChallengeKind::Unauthorized, &[]),
        endpoint.abandon(now, leg),
        endpoint.acknowledge(now, leg, b""),
        endpoint.reinvite(now, leg, None),
        endpoint.accept_reinvite(now, leg, b""),
        endpoint.reject_reinvite(now, leg, 488),
        endpoint.info(now, leg, "a/b", b""),
        endpoint.set_nat_policy(leg, tandem_sip::NatPolicy::Contact),
        endpoint.set_ring_timeout(now, leg, Duration::ZERO),
    ];
    assert_eq!(outcomes, [Outcome::Gone; 18]);
    assert!(bench.sent().is_empty());
    // The slot's next tenant is not the old leg.
    let other = bench.invited(&request("INVITE", 9, "z9hG4bKn", "", "", SDP));
    assert_ne!(other, leg);
    assert_eq!(bench.endpoint.ringing(bench.now, leg), Outcome::Gone);
}
