//! Outgoing calls: forks, CANCEL races, challenges, failures.

use std::time::Duration;

use tandem_sip::message::{FieldName, HeaderField, OwnedUri};
use tandem_sip::{AckTiming, Event, NatPolicy, Outcome, Reason, ReasonProtocol, SnapshotState, Termination};

use crate::bench::*;

#[test]
fn a_call_rings_is_answered_and_hung_up() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| {
        invite.headers.push(HeaderField::custom("X-VH-Order", "7").expect("legal"));
        invite.max_forwards = 12;
    });
    assert_eq!(header(&invite, "X-VH-Order"), "7");
    assert_eq!(header(&invite, "Max-Forwards"), "12");
    assert_eq!(header(&invite, "CSeq"), "1 INVITE");
    assert!(bench.endpoint.is_unheard(leg));
    assert!(header(&invite, "Contact").starts_with("<sip:+918000000000@192.0.2.1:5060;tdm="));
    bench.receive(&response_to(&invite, 100, "", "", ""));
    assert!(bench.events().is_empty() && !bench.endpoint.is_unheard(leg));
    bench.receive(&response_to(&invite, 180, "b", "", ""));
    assert!(matches!(bench.only_event(), Event::Ringing { status: 180, .. }));
    bench.receive(&response_to(&invite, 183, "b", "", SDP));
    assert!(matches!(bench.only_event(), Event::Progress { status: 183, .. }));
    bench.receive(&answer_to(&invite, "b", ""));
    let ack = bench.only_sent();
    assert_eq!((summary(&ack).as_str(), request_uri(&ack)), ("ACK", "sip:b@198.51.100.7:5070"));
    assert_ne!(header(&ack, "Via"), header(&invite, "Via"));
    assert!(matches!(bench.only_event(), Event::Answered { needs_answer: false, sdp: Some(_), .. }));
    let reason = Reason { protocol: ReasonProtocol::Q850, cause: 16, text: Some("Normal \"x\"\r\n".into()) };
    assert_eq!(bench.endpoint.bye(bench.now, leg, Some(&reason)), Outcome::Sent);
    let bye = bench.only_sent();
    assert_eq!(header(&bye, "Reason"), "Q.850;cause=16;text=\"Normal x  \"");
    assert_eq!(header(&bye, "CSeq"), "2 BYE");
    bench.receive(&response_to(&bye, 200, "", "", ""));
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn early_forks_ring_and_the_answering_one_wins() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    bench.receive(&response_to(&invite, 180, "one", "", ""));
    bench.receive(&response_to(&invite, 180, "two", "", ""));
    let tags: Vec<String> = bench
        .events()
        .into_iter()
        .map(|event| match event {
            Event::Ringing { early_tag, .. } => early_tag,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(tags, ["one", "two"]);
    bench.receive(&answer_to(&invite, "two", ""));
    assert_eq!(to_tag(&bench.only_sent()), "two");
}

#[test]
fn a_second_2xx_from_another_fork_gets_ack_and_bye() {
    let mut bench = Bench::new();
    let (leg, invite, _) = bench.connected("one");
    bench.receive(&answer_to(&invite, "two", ""));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["ACK", "BYE"]);
    assert!(sent.iter().all(|text| to_tag(text) == "two"));
    assert_eq!((header(&sent[0], "CSeq"), header(&sent[1], "CSeq")), ("1 ACK".into(), "2 BYE".into()));
    assert!(bench.events().is_empty());
    // Its repetition gets the ACK again, not another BYE.
    bench.receive(&answer_to(&invite, "two", ""));
    assert_eq!(bench.only_sent(), sent[0]);
    bench.receive(&response_to(&sent[1], 200, "", "", ""));
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent, "the first fork's call lives");
}

#[test]
fn forks_past_the_limit_are_left_alone() {
    let mut bench = Bench::with(|config| config.limits.forks_per_leg = 2);
    let (_, invite, _) = bench.connected("one");
    bench.receive(&answer_to(&invite, "two", ""));
    assert_eq!(bench.summaries(), ["ACK", "BYE"]);
    bench.receive(&answer_to(&invite, "three", ""));
    assert!(bench.sent().is_empty());
}

#[test]
fn cancel_waits_for_a_provisional() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|_| ());
    assert_eq!(bench.endpoint.cancel(bench.now, leg, None), Outcome::Sent);
    assert_eq!(bench.endpoint.cancel(bench.now, leg, None), Outcome::AlreadyCancelled);
    assert!(bench.sent().is_empty());
    bench.receive(&response_to(&invite, 100, "", "", ""));
    let cancel = bench.only_sent();
    assert_eq!(summary(&cancel), "CANCEL");
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    assert_eq!(header(&cancel, "CSeq"), "1 CANCEL");
    assert_eq!(request_uri(&cancel), request_uri(&invite));
    bench.receive(&response_to(&cancel, 200, "b", "", ""));
    bench.receive(&response_to(&invite, 487, "b", "", ""));
    assert_eq!(bench.summaries(), ["ACK"]);
    assert!(matches!(bench.only_event(), Event::Rejected { status: 487, .. }));
    bench.assert_empty();
}

#[test]
fn an_answer_that_crosses_the_cancel_gets_ack_and_bye() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|_| ());
    bench.receive(&response_to(&invite, 180, "b", "", ""));
    bench.events();
    let _ = bench.endpoint.cancel(bench.now, leg, None);
    assert_eq!(bench.summaries(), ["CANCEL"]);
    bench.receive(&answer_to(&invite, "b", ""));
    assert_eq!(bench.summaries(), ["ACK", "BYE"]);
    assert!(matches!(bench.only_event(), Event::LateAnswerAfterCancel { .. }));
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Gone);
    bench.assert_empty();
}

#[test]
fn a_cancelled_call_that_never_ends_is_given_up_64_t1_after_the_cancel() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|_| ());
    bench.receive(&response_to(&invite, 180, "b", "", ""));
    bench.seconds(20);
    let _ = bench.endpoint.cancel(bench.now, leg, None);
    bench.events();
    bench.advance(Duration::from_millis(31_999));
    assert!(bench.events().is_empty());
    bench.advance(Duration::from_millis(1));
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::Timeout, .. }));
    bench.assert_empty();
}

#[test]
fn an_answer_after_the_ring_timeout_is_refused() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|invite| invite.ring_timeout = Duration::from_secs(5));
    bench.receive(&response_to(&invite, 180, "b", "", ""));
    bench.seconds(6);
    bench.sent();
    assert_eq!(bench.events().len(), 2);
    bench.receive(&answer_to(&invite, "b", ""));
    assert_eq!(bench.summaries(), ["ACK", "BYE"]);
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn a_challenged_call_is_sent_again_with_credentials() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|_| ());
    let challenges = "Proxy-Authenticate: Digest realm=\"a, b\", nonce=\"1\"\r\nProxy-Authenticate: Digest realm=\"c\"\r\n";
    bench.receive(&response_to(&invite, 407, "b", challenges, ""));
    assert_eq!(bench.summaries(), ["ACK"]);
    let Event::Challenged { status: 407, challenges, .. } = bench.only_event() else { panic!("challenged") };
    assert_eq!(challenges, ["Digest realm=\"a, b\", nonce=\"1\"", "Digest realm=\"c\""]);
    let field = HeaderField::new(FieldName::ProxyAuthorization, "Digest response=\"1\"").expect("legal");
    assert_eq!(bench.endpoint.retry_with_auth(bench.now, leg, field.clone()), Outcome::Sent);
    let again = bench.only_sent();
    assert_eq!(header(&again, "Proxy-Authorization"), "Digest response=\"1\"");
    assert_eq!(header(&again, "CSeq"), "2 INVITE");
    assert_eq!(header(&again, "Call-ID"), header(&invite, "Call-ID"));
    assert_eq!(header(&again, "From"), header(&invite, "From"));
    assert_ne!(header(&again, "Via"), header(&invite, "Via"));
    assert_eq!(bench.endpoint.retry_with_auth(bench.now, leg, field), Outcome::WrongState);
    bench.receive(&answer_to(&again, "b", ""));
    assert_eq!(header(&bench.only_sent(), "CSeq"), "2 ACK");
    assert!(matches!(bench.only_event(), Event::Answered { .. }));
}

#[test]
fn endless_challenges_end_as_a_rejection() {
    let mut bench = Bench::new();
    let (leg, mut invite) = bench.call(|_| ());
    let field = HeaderField::new(FieldName::Authorization, "Digest x").expect("legal");
    for _ in 0..4 {
        bench.receive(&response_to(&invite, 401, "b", "", ""));
        assert!(matches!(bench.only_event(), Event::Challenged { .. }));
        bench.sent();
        let _ = bench.endpoint.retry_with_auth(bench.now, leg, field.clone());
        invite = bench.only_sent();
        assert_eq!(headers(&invite, "Authorization").len(), 1, "the newest credentials replace the old");
    }
    bench.receive(&response_to(&invite, 401, "b", "", ""));
    assert!(matches!(bench.only_event(), Event::Rejected { status: 401, .. }));
}

#[test]
fn an_abandoned_challenge_leaves_nothing() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|_| ());
    bench.receive(&response_to(&invite, 401, "b", "", ""));
    assert_eq!(bench.endpoint.hang_up(bench.now, leg, 480, None), Outcome::Sent);
    assert_eq!(bench.endpoint.abandon(bench.now, leg), Outcome::Gone);
    bench.assert_empty();
}

#[test]
fn a_redirect_is_reported_and_not_followed() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    let contacts = "Contact: <sip:premium@203.0.113.9>;q=0.7, \"x\" <sip:other@h>\r\n";
    bench.receive(&response_to(&invite, 302, "b", contacts, ""));
    assert_eq!(bench.summaries(), ["ACK"]);
    let Event::Redirected { status: 302, contacts, .. } = bench.only_event() else { panic!("redirected") };
    let uris: Vec<&str> = contacts.iter().map(OwnedUri::as_str).collect();
    assert_eq!(uris, ["sip:premium@203.0.113.9", "sip:other@h"]);
    bench.assert_empty();
}

#[test]
fn a_rejection_reports_reason_and_retry_after() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    let extra = "Reason: SIP;cause=503, Q.850 ;cause=34 ;text=\"No circuit\"\r\nRetry-After: 30 (busy)\r\n";
    bench.receive(&response_to(&invite, 503, "b", extra, ""));
    let Event::Rejected { status: 503, reason: Some(reason), retry_after, .. } = bench.only_event() else {
        panic!("rejected")
    };
    assert_eq!((reason.protocol, reason.cause), (ReasonProtocol::Q850, 34));
    assert_eq!(retry_after, Some(30));
}

#[test]
fn a_call_without_offer_answers_in_the_ack() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| invite.sdp = None);
    bench.receive(&answer_to(&invite, "b", ""));
    assert!(bench.sent().is_empty());
    let Event::Answered { needs_answer: true, sdp: Some(_), .. } = bench.only_event() else {
        panic!("an offer")
    };
    bench.receive(&answer_to(&invite, "b", ""));
    assert!(bench.sent().is_empty(), "no answer to repeat yet");
    assert_eq!(bench.endpoint.acknowledge(bench.now, leg, SDP.as_bytes()), Outcome::Sent);
    let ack = bench.only_sent();
    assert!(ack.ends_with(SDP));
    bench.receive(&answer_to(&invite, "b", ""));
    assert_eq!(bench.only_sent(), ack);
    assert_eq!(bench.endpoint.acknowledge(bench.now, leg, SDP.as_bytes()), Outcome::WrongState);
}

#[test]
fn hanging_up_before_answering_a_late_offer_still_acknowledges_it() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| invite.sdp = None);
    bench.receive(&answer_to(&invite, "b", ""));
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent);
    assert_eq!(bench.summaries(), ["ACK", "BYE"]);
}

#[test]
fn a_2xx_without_the_offer_it_owes_ends_the_call() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|invite| invite.sdp = None);
    bench.receive(&response_to(&invite, 200, "b", "", ""));
    assert_eq!(bench.summaries(), ["ACK", "BYE"]);
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::ProtocolError, .. }));
    bench.assert_empty();
}

#[test]
fn the_answers_record_route_is_reversed_and_a_strict_router_takes_the_request_uri() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| invite.nat_policy = NatPolicy::Contact);
    let routes = "Record-Route: <sip:p2@203.0.113.2;lr>\r\nRecord-Route: <sip:p1@203.0.113.1:5080>\r\n";
    bench.receive(&answer_to(&invite, "b", routes));
    let (destination, ack) = bench.sent_to().pop().expect("an ACK");
    assert_eq!(request_uri(&ack), "sip:p1@203.0.113.1:5080");
    assert_eq!(headers(&ack, "Route"), ["<sip:p2@203.0.113.2;lr>", "<sip:b@198.51.100.7:5070>"]);
    assert_eq!(destination.to_string(), "203.0.113.1:5080");
    let _ = bench.endpoint.bye(bench.now, leg, None);
    let (destination, bye) = bench.sent_to().pop().expect("a BYE");
    assert_eq!(
        (request_uri(&bye), destination.to_string().as_str()),
        ("sip:p1@203.0.113.1:5080", "203.0.113.1:5080")
    );
}

#[test]
fn a_preloaded_route_is_repeated_in_cancel_and_in_the_ack_to_a_failure() {
    let mut bench = Bench::new();
    let route = OwnedUri::parse("sip:edge@203.0.113.5;lr").expect("uri");
    let (leg, invite) = bench.call(|invite| invite.route.push(route));
    assert_eq!(header(&invite, "Route"), "<sip:edge@203.0.113.5;lr>");
    bench.receive(&response_to(&invite, 180, "b", "", ""));
    let _ = bench.endpoint.cancel(bench.now, leg, None);
    assert_eq!(header(&bench.only_sent(), "Route"), "<sip:edge@203.0.113.5;lr>");
    bench.receive(&response_to(&invite, 487, "b", "", ""));
    assert_eq!(header(&bench.only_sent(), "Route"), "<sip:edge@203.0.113.5;lr>");
}

#[test]
fn a_failed_path_ends_an_unheard_call() {
    let mut bench = Bench::new();
    bench.call(|_| ());
    bench.endpoint.handle(bench.now, tandem_sip::Input::TransportFailed { flow: bench.flow });
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::TransportFailed, .. }));
    bench.assert_empty();
}

#[test]
fn texts_that_cannot_be_printed_are_refused() {
    let mut bench = Bench::new();
    for (call_id, user) in
        [(Some("a b"), None), (Some("a\r\nb"), None), (None, Some("a@b")), (None, Some("a\r\n"))]
    {
        let mut invite = outgoing(bench.flow);
        invite.call_id = call_id.map(str::to_owned);
        invite.contact_user = user.map(str::to_owned);
        let outcome = bench.endpoint.invite(bench.now, invite);
        assert_eq!(outcome, Err(tandem_sip::CommandError::Unprintable), "{call_id:?} {user:?}");
    }
    assert_eq!(bench.endpoint.stats().legs, 0);
}

#[test]
fn an_ack_by_command_waits_for_it_while_the_answer_is_repeated() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| invite.ack = AckTiming::ByCommand);
    let answer = answer_to(&invite, "b", "");
    bench.receive(&answer);
    assert!(matches!(bench.only_event(), Event::Answered { needs_answer: false, sdp: Some(_), .. }));
    bench.receive(&answer);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    let snapshot = bench.endpoint.dialog_snapshot(leg).expect("a leg");
    assert_eq!(snapshot.state, SnapshotState::Answered, "it can be written down before");
    assert_eq!((snapshot.remote_tag.as_str(), snapshot.local_cseq), ("b", 1));
    assert_eq!(bench.endpoint.acknowledge(bench.now, leg, b""), Outcome::Sent);
    let ack = bench.only_sent();
    assert_eq!((summary(&ack), header(&ack, "CSeq")), ("ACK".into(), "1 ACK".into()));
    assert_eq!(bench.endpoint.acknowledge(bench.now, leg, b""), Outcome::WrongState);
    bench.receive(&answer);
    assert_eq!(bench.only_sent(), ack, "a lost ACK is sent again");
}

#[test]
fn hanging_up_before_the_ack_sends_both() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| invite.ack = AckTiming::ByCommand);
    bench.receive(&answer_to(&invite, "b", ""));
    bench.events();
    assert_eq!(bench.endpoint.hang_up(bench.now, leg, 487, None), Outcome::Sent);
    assert_eq!(bench.endpoint.acknowledge(bench.now, leg, b""), Outcome::Gone);
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["ACK", "BYE"]);
    bench.receive(&response_to(&sent[1], 200, "", "", ""));
    bench.assert_empty();
}

#[test]
fn a_callee_that_hangs_up_before_the_ack_is_heard() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| invite.ack = AckTiming::ByCommand);
    bench.receive(&answer_to(&invite, "b", ""));
    bench.events();
    bench.receive(&callee_request(&invite, "BYE", 1, "z9hG4bKbye", "b", ""));
    assert_eq!(bench.summaries(), ["200"]);
    assert!(matches!(bench.only_event(), Event::Bye { .. }));
    assert_eq!(bench.endpoint.acknowledge(bench.now, leg, b""), Outcome::Gone);
    bench.assert_empty();
}
