//! Incoming calls: what each command sends, and the races with CANCEL.

use std::time::Duration;

use tandem_sip::message::{HeaderField, Method};
use tandem_sip::{ChallengeKind, Event, Outcome, Reason, ReasonProtocol, Termination};

use crate::bench::*;

#[test]
fn nothing_is_sent_to_an_invite_before_a_command() {
    let mut bench = Bench::new();
    let extra = "X-VH-Order: 7\r\nDiversion: <sip:+913@h>;reason=unconditional\r\n\
                 P-Asserted-Identity: <sip:+914@h>\r\nAuthorization: Digest username=\"u\"\r\nUser-Agent: PBX/1\r\n";
    bench.receive(&request("INVITE", 1, "z9hG4bKa", "", extra, SDP));
    bench.seconds(10);
    assert!(bench.sent().is_empty());
    let Event::Invite { facts, .. } = bench.only_event() else { panic!("an invite") };
    assert_eq!((facts.method, facts.call_id.as_str(), facts.cseq), (Method::Invite, "call-1", 1));
    assert_eq!(facts.from.uri.view().user(), Some("+911111111111"));
    assert_eq!(facts.from.display_name.as_deref(), Some("Peer"));
    assert_eq!(facts.custom, [("X-VH-Order".to_owned(), "7".to_owned())]);
    assert_eq!(facts.diversion, ["<sip:+913@h>;reason=unconditional"]);
    assert_eq!(facts.p_asserted_identity, ["<sip:+914@h>"]);
    assert_eq!(facts.authorization, ["Digest username=\"u\""]);
    assert_eq!(facts.user_agent.as_deref(), Some("PBX/1"));
    assert_eq!(facts.sdp.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn a_repeated_invite_is_one_call() {
    let mut bench = Bench::new();
    let text = invite("z9hG4bKa", SDP);
    let leg = bench.invited(&text);
    bench.receive(&text);
    assert!(bench.events().is_empty() && bench.sent().is_empty());
    let _ = bench.endpoint.trying(bench.now, leg);
    assert_eq!(bench.summaries(), ["100"]);
    bench.receive(&text);
    assert_eq!(bench.summaries(), ["100"]);
}

#[test]
fn a_caller_hears_100_only_when_nothing_better_comes_in_time() {
    const WITHIN: Duration = Duration::from_millis(200);
    let mut slow = Bench::new();
    let leg = slow.invited(&invite("z9hG4bKa", SDP));
    assert_eq!(slow.endpoint.trying_within(slow.now, leg, WITHIN), Outcome::Sent);
    slow.advance(Duration::from_millis(199));
    assert!(slow.sent().is_empty());
    slow.advance(Duration::from_millis(1));
    assert_eq!(slow.summaries(), ["100"]);
    slow.receive(&invite("z9hG4bKa", SDP));
    assert_eq!(slow.summaries(), ["100"], "and again when the INVITE comes again");
    slow.seconds(1);
    assert!(slow.sent().is_empty(), "once");

    let mut quick = Bench::new();
    let leg = quick.invited(&invite("z9hG4bKb", SDP));
    let _ = quick.endpoint.trying_within(quick.now, leg, WITHIN);
    assert_eq!(quick.endpoint.ringing(quick.now, leg), Outcome::Sent);
    assert_eq!(quick.endpoint.trying_within(quick.now, leg, WITHIN), Outcome::Sent);
    quick.seconds(1);
    assert_eq!(quick.summaries(), ["180"]);
}

#[test]
fn a_call_is_answered_and_hung_up_by_the_caller() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let now = bench.now;
    assert_eq!(bench.endpoint.trying(now, leg), Outcome::Sent);
    assert_eq!(bench.endpoint.ringing(now, leg), Outcome::Sent);
    assert_eq!(bench.endpoint.progress(now, leg, SDP.as_bytes()), Outcome::Sent);
    assert_eq!(bench.endpoint.answer(now, leg, SDP.as_bytes()), Outcome::Sent);
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["100", "180", "183", "200"]);
    assert!(!header(&sent[0], "To").contains("tag="), "100 needs no tag");
    let tag = to_tag(&sent[1]);
    assert_eq!((to_tag(&sent[2]), to_tag(&sent[3])), (tag.clone(), tag.clone()));
    assert!(header(&sent[3], "Contact").contains("@192.0.2.1:5060"));
    assert_eq!(
        header(&sent[3], "Via"),
        "SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bKa;received=198.51.100.7;rport=5060"
    );
    assert_eq!(bench.endpoint.answer(now, leg, SDP.as_bytes()), Outcome::WrongState);
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", ""));
    assert!(matches!(bench.only_event(), Event::Acked { sdp: None, .. }));
    bench.receive(&request("BYE", 2, "z9hG4bKc", &tag, "Reason: Q.850;cause=16;text=\"bye\"\r\n", ""));
    assert_eq!(bench.summaries(), ["200"]);
    let Event::Bye { reason, .. } = bench.only_event() else { panic!("a bye") };
    let expected = Reason { protocol: ReasonProtocol::Q850, cause: 16, text: Some("bye".to_owned()) };
    assert_eq!(reason, Some(expected));
    // The 200 was lost: the BYE comes again.
    bench.receive(&request("BYE", 2, "z9hG4bKc", &tag, "", ""));
    assert_eq!(bench.summaries(), ["200"]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Gone);
    bench.assert_empty();
}

#[test]
fn record_route_is_repeated_and_used_in_order() {
    let mut bench = Bench::new();
    let routes = "Record-Route: <sip:p2@203.0.113.2;lr>, <sip:p1@203.0.113.1;lr>\r\n";
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", routes, SDP));
    let _ = bench.endpoint.set_nat_policy(leg, tandem_sip::NatPolicy::Contact);
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let ok = bench.only_sent();
    assert_eq!(headers(&ok, "Record-Route"), ["<sip:p2@203.0.113.2;lr>", "<sip:p1@203.0.113.1;lr>"]);
    bench.receive(&request("ACK", 1, "z9hG4bKb", &to_tag(&ok), "", ""));
    let _ = bench.endpoint.bye(bench.now, leg, None);
    let (destination, bye) = bench.sent_to().pop().expect("a BYE");
    assert_eq!(request_uri(&bye), "sip:peer@198.51.100.7:5060");
    assert_eq!(headers(&bye, "Route"), ["<sip:p2@203.0.113.2;lr>", "<sip:p1@203.0.113.1;lr>"]);
    assert_eq!(destination.to_string(), "203.0.113.2:5060");
}

#[test]
fn a_refused_address_falls_back_to_the_received_flow() {
    let mut bench = Bench::with(|config| {
        config.guard = tandem_sip::AddressGuard::new(|address| address.ip().to_string() != "198.51.100.7");
        config.nat_policy = tandem_sip::NatPolicy::Contact;
    });
    bench.flow = udp(40_000);
    let (leg, _) = bench.answered();
    let _ = bench.endpoint.bye(bench.now, leg, None);
    assert_eq!(bench.sent_to()[0].0.to_string(), "198.51.100.7:40000");
}

#[test]
fn a_late_offer_gets_our_offer_and_its_answer_comes_in_the_ack() {
    let mut bench = Bench::new();
    bench.receive(&invite("z9hG4bKa", ""));
    let Event::Invite { leg, facts } = bench.only_event() else { panic!("an invite") };
    assert_eq!(facts.sdp, None);
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let tag = to_tag(&bench.only_sent());
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", SDP));
    let Event::Acked { sdp, .. } = bench.only_event() else { panic!("acked") };
    assert_eq!(sdp.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn sdp_is_found_inside_multipart() {
    let mut bench = Bench::new();
    let content = format!(
        "--b1\r\nContent-Type: application/isup\r\n\r\n\u{1}\u{2}\r\n--b1\r\nContent-Type: application/sdp;x=y\r\n\r\n{SDP}\r\n--b1--\r\n"
    );
    let text = request("INVITE", 1, "z9hG4bKa", "", "", &content).replace(
        "Content-Type: application/sdp\r\nContent-L",
        "Content-Type: multipart/mixed;boundary=b1\r\nContent-L",
    );
    bench.receive(&text);
    let Event::Invite { facts, .. } = bench.only_event() else { panic!("an invite") };
    assert_eq!(facts.sdp.as_deref(), Some(SDP.as_bytes()));
}

#[test]
fn cancel_before_the_answer_ends_the_call_with_487() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.ringing(bench.now, leg);
    bench.sent();
    bench.receive(&request(
        "CANCEL",
        1,
        "z9hG4bKa",
        "",
        "Reason: SIP;cause=200;text=\"Call completed elsewhere\"\r\n",
        "",
    ));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["200", "487"]);
    assert_eq!(header(&sent[0], "CSeq"), "1 CANCEL");
    assert_eq!(to_tag(&sent[0]), to_tag(&sent[1]));
    assert!(matches!(bench.only_event(), Event::Cancelled { reason: Some(_), .. }));
    assert_eq!(bench.endpoint.answer(bench.now, leg, SDP.as_bytes()), Outcome::AlreadyCancelled);
    assert!(bench.sent().is_empty());
    bench.receive(&request("ACK", 1, "z9hG4bKa", &to_tag(&sent[1]), "", ""));
    bench.assert_empty();
    assert_eq!(bench.endpoint.answer(bench.now, leg, SDP.as_bytes()), Outcome::Gone);
}

#[test]
fn cancel_after_the_answer_changes_nothing() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let tag = to_tag(&bench.only_sent());
    bench.receive(&request("CANCEL", 1, "z9hG4bKa", "", "", ""));
    assert_eq!(bench.summaries(), ["200"]);
    assert!(bench.events().is_empty());
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", ""));
    assert!(matches!(bench.only_event(), Event::Acked { .. }));
}

#[test]
fn cancel_of_nothing_is_481() {
    let mut bench = Bench::new();
    bench.receive(&request("CANCEL", 1, "z9hG4bKa", "", "", ""));
    assert_eq!(bench.summaries(), ["481"]);
}

#[test]
fn a_challenge_is_not_repeated_by_a_timer_and_its_ack_is_absorbed() {
    let mut bench = Bench::new();
    let text = invite("z9hG4bKa", SDP);
    let leg = bench.invited(&text);
    let challenge = "Digest realm=\"r\", nonce=\"n\"".to_owned();
    let kind = ChallengeKind::ProxyAuthenticationRequired;
    assert_eq!(
        bench.endpoint.challenge(bench.now, leg, kind, std::slice::from_ref(&challenge)),
        Outcome::Sent
    );
    let reply = bench.only_sent();
    assert_eq!((summary(&reply).as_str(), header(&reply, "Proxy-Authenticate")), ("407", challenge));
    assert_eq!(bench.endpoint.stats().legs, 0);
    bench.seconds(10);
    assert!(bench.sent().is_empty());
    bench.receive(&text);
    assert_eq!(bench.only_sent(), reply);
    bench.receive(&request("ACK", 1, "z9hG4bKa", &to_tag(&reply), "", ""));
    // The same Call-ID and tag with the next CSeq is a call of its own, no merged request.
    bench.invited(&request("INVITE", 2, "z9hG4bKb", "", "Proxy-Authorization: Digest x\r\n", SDP));
}

#[test]
fn an_ignored_invite_stays_ignored_for_64_t1() {
    let mut bench = Bench::new();
    let text = invite("z9hG4bKa", SDP);
    let leg = bench.invited(&text);
    assert_eq!(bench.endpoint.ignore(bench.now, leg), Outcome::Sent);
    for _ in 0..6 {
        bench.seconds(5);
        bench.receive(&text);
        bench.receive(&request("CANCEL", 1, "z9hG4bKa", "", "", ""));
    }
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    assert_eq!(bench.endpoint.reject(bench.now, leg, 403, None, &[]), Outcome::Gone);
    bench.assert_empty();
}

#[test]
fn a_rejection_carries_its_headers_and_phrase() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let field = HeaderField::new(tandem_sip::message::FieldName::RetryAfter, "7").expect("legal");
    assert_eq!(bench.endpoint.reject(bench.now, leg, 200, None, &[]), Outcome::Refused);
    assert_eq!(bench.endpoint.reject(bench.now, leg, 503, Some("Draining\r\nX: y"), &[field]), Outcome::Sent);
    let reply = bench.only_sent();
    assert!(reply.starts_with("SIP/2.0 503 Draining  X: y\r\n"), "{reply}");
    assert_eq!(header(&reply, "Retry-After"), "7");
}

#[test]
fn bye_before_the_ack_waits_for_it() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let tag = to_tag(&bench.only_sent());
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent);
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Gone);
    assert!(bench.sent().is_empty());
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", ""));
    let bye = bench.only_sent();
    assert_eq!(summary(&bye), "BYE");
    assert!(bench.events().is_empty());
    bench.receive(&response_to(&bye, 200, "", "", ""));
    assert_eq!(bench.endpoint.stats().legs, 0);
    bench.assert_empty();
}

#[test]
fn bye_on_an_unanswered_call_answers_the_invite_too() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.ringing(bench.now, leg);
    let tag = to_tag(&bench.only_sent());
    bench.receive(&request("BYE", 2, "z9hG4bKb", &tag, "", ""));
    assert_eq!(bench.summaries(), ["200", "487"]);
    assert!(matches!(bench.only_event(), Event::Bye { .. }));
    bench.assert_empty();
}

#[test]
fn a_peer_that_requires_100rel_gets_reliable_provisionals() {
    let mut bench = Bench::new();
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", "Require: 100rel\r\n", SDP));
    assert_eq!(bench.endpoint.progress(bench.now, leg, SDP.as_bytes()), Outcome::Sent);
    let progress = bench.only_sent();
    assert_eq!((header(&progress, "Require"), header(&progress, "RSeq")), ("100rel".into(), "1".into()));
    let tag = to_tag(&progress);
    // The 180 and the answer wait for the PRACK; the progress is repeated.
    assert_eq!(bench.endpoint.answer(bench.now, leg, SDP.as_bytes()), Outcome::Sent);
    bench.seconds(1);
    assert_eq!(bench.summaries(), ["183"]);
    bench.receive(&request("PRACK", 2, "z9hG4bKb", &tag, "RAck: 9 1 INVITE\r\n", ""));
    assert_eq!(bench.summaries(), ["481"]);
    bench.receive(&request("PRACK", 3, "z9hG4bKc", &tag, "RAck: 1 1 INVITE\r\n", ""));
    assert_eq!(bench.summaries(), ["200", "200"]);
    bench.receive(&request("ACK", 1, "z9hG4bKd", &tag, "", ""));
    assert!(matches!(bench.only_event(), Event::Acked { .. }));
}

#[test]
fn a_prack_that_never_comes_ends_the_call() {
    let mut bench = Bench::new();
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", "Require: 100rel\r\n", SDP));
    let _ = bench.endpoint.ringing(bench.now, leg);
    bench.seconds(33);
    let last = bench.summaries();
    assert!(last.contains(&"504".to_owned()), "{last:?}");
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::NoPrack, .. }));
    bench.assert_empty();
}

#[test]
fn a_ringing_call_is_kept_alive_with_a_provisional_each_minute() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.ringing(bench.now, leg);
    bench.seconds(125);
    assert_eq!(bench.summaries(), ["180", "180", "180"]);
}

#[test]
fn responses_go_to_rport_if_asked_else_to_the_via_port() {
    let mut bench = Bench::new();
    bench.flow = udp(40_123);
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.trying(bench.now, leg);
    assert_eq!(bench.sent_to()[0].0.port(), 40_123);
    let old = request("INVITE", 5, "z9hG4bKb", "", "", SDP).replace(";rport", "").replace("call-1", "call-2");
    let leg = bench.invited(&old);
    let _ = bench.endpoint.trying(bench.now, leg);
    assert_eq!(bench.sent_to()[0].0.port(), 5060);
}

#[test]
fn an_rfc_2543_caller_is_served() {
    let mut bench = Bench::new();
    let old = |text: String| text.replace(";branch=z9hG4bKx;rport", "");
    let text = old(invite("z9hG4bKx", SDP));
    let leg = bench.invited(&text);
    bench.receive(&text);
    assert!(bench.events().is_empty());
    let _ = bench.endpoint.reject(bench.now, leg, 486, None, &[]);
    let tag = to_tag(&bench.only_sent());
    bench.receive(&old(request("ACK", 1, "z9hG4bKx", &tag, "", "")));
    bench.seconds(20);
    assert!(bench.sent().is_empty(), "the ACK found its INVITE");
}
