//! Inside an answered call: re-INVITE both ways, glare, UPDATE, INFO, session timers, lost peers.

use std::time::Duration;

use tandem_sip::{Event, Input, Outcome, Termination, Transport};

use crate::bench::*;

#[test]
fn the_peers_reinvite_is_reported_answered_and_acknowledged() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("INVITE", 2, "z9hG4bKre", &tag, "", SDP));
    assert!(bench.sent().is_empty());
    let Event::Reinvited { sdp: Some(_), .. } = bench.only_event() else { panic!("an offer") };
    assert_eq!(bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes())), Outcome::WrongState);
    assert_eq!(bench.endpoint.accept_reinvite(bench.now, leg, SDP.as_bytes()), Outcome::Sent);
    assert_eq!(bench.endpoint.accept_reinvite(bench.now, leg, SDP.as_bytes()), Outcome::WrongState);
    bench.seconds(1);
    assert_eq!(bench.summaries(), ["200", "200"], "repeated until the ACK");
    bench.receive(&request("ACK", 2, "z9hG4bKre2", &tag, "", ""));
    assert!(matches!(bench.only_event(), Event::Acked { .. }));
    bench.seconds(40);
    assert!(bench.sent().is_empty());
}

#[test]
fn a_reinvite_without_offer_gets_ours_and_answers_in_the_ack() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("INVITE", 2, "z9hG4bKre", &tag, "", ""));
    assert!(matches!(bench.only_event(), Event::Reinvited { sdp: None, .. }));
    let _ = bench.endpoint.accept_reinvite(bench.now, leg, SDP.as_bytes());
    bench.receive(&request("ACK", 2, "z9hG4bKre2", &tag, "", SDP));
    assert!(matches!(bench.only_event(), Event::Acked { sdp: Some(_), .. }));
}

#[test]
fn a_refused_reinvite_leaves_the_call_as_it_was() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("INVITE", 2, "z9hG4bKre", &tag, "", SDP));
    assert_eq!(bench.endpoint.reject_reinvite(bench.now, leg, 488), Outcome::Sent);
    bench.receive(&request("ACK", 2, "z9hG4bKre", &tag, "", ""));
    bench.sent();
    bench.events();
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent);
}

#[test]
fn a_cancelled_reinvite_withdraws_the_offer_only() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("INVITE", 2, "z9hG4bKre", &tag, "", SDP));
    bench.events();
    bench.receive(&request("CANCEL", 2, "z9hG4bKre", &tag, "", ""));
    assert_eq!(bench.summaries(), ["200", "487"]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.accept_reinvite(bench.now, leg, SDP.as_bytes()), Outcome::WrongState);
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent);
}

#[test]
fn our_reinvite_is_acknowledged_and_reported() {
    let mut bench = Bench::new();
    let (leg, _, _) = bench.connected("b");
    assert_eq!(bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes())), Outcome::Sent);
    let reinvite = bench.only_sent();
    assert_eq!(header(&reinvite, "CSeq"), "2 INVITE");
    assert_eq!(bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes())), Outcome::WrongState);
    bench.receive(&answer_to(&reinvite, "", ""));
    assert_eq!(header(&bench.only_sent(), "CSeq"), "2 ACK");
    assert!(matches!(bench.only_event(), Event::ReinviteAnswered { sdp: Some(_), .. }));
    assert_eq!(bench.endpoint.reinvite(bench.now, leg, None), Outcome::Sent);
}

#[test]
fn glare_is_answered_491_and_retried_after_the_rfcs_pause() {
    let mut bench = Bench::new();
    let (leg, invite, _) = bench.connected("b");
    let _ = bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes()));
    let reinvite = bench.only_sent();
    bench.receive(&callee_request(&invite, "INVITE", 1, "z9hG4bKg", "b", SDP));
    assert_eq!(bench.summaries(), ["491"]);
    assert!(bench.events().is_empty());
    bench.receive(&response_to(&reinvite, 491, "b", "", ""));
    assert_eq!(bench.summaries(), ["ACK"]);
    // We made the Call-ID: 2.1 to 4 s.
    bench.advance(Duration::from_millis(2099));
    assert!(!bench.summaries().contains(&"INVITE".to_owned()));
    bench.advance(Duration::from_millis(1901));
    let again: Vec<String> = bench.sent().into_iter().filter(|text| summary(text) == "INVITE").collect();
    assert_eq!(header(&again[0], "CSeq"), "3 INVITE");
    bench.receive(&answer_to(&again[0], "b", ""));
    assert!(matches!(bench.only_event(), Event::ReinviteAnswered { .. }));
}

#[test]
fn glare_without_end_is_reported() {
    let mut bench = Bench::new();
    let (leg, _, _) = bench.connected("b");
    let _ = bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes()));
    let mut attempts = 0;
    loop {
        let sent = bench.sent();
        let Some(reinvite) = sent.iter().find(|text| summary(text) == "INVITE") else { break };
        attempts += 1;
        bench.receive(&response_to(reinvite, 491, "b", "", ""));
        bench.sent();
        bench.advance(Duration::from_millis(4_001));
    }
    assert_eq!(attempts, 5);
    assert!(matches!(bench.only_event(), Event::ReinviteFailed { status: 491, .. }));
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent);
}

#[test]
fn a_second_offer_before_the_first_is_answered_gets_500_with_retry_after() {
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    bench.receive(&request("INVITE", 2, "z9hG4bKx", &tag, "", SDP));
    bench.events();
    bench.receive(&request("INVITE", 3, "z9hG4bKy", &tag, "", SDP));
    let reply = bench.only_sent();
    assert_eq!(summary(&reply), "500");
    assert!(header(&reply, "Retry-After").parse::<u32>().expect("seconds") <= 10);
    assert!(bench.events().is_empty());
}

#[test]
fn a_refused_reinvite_of_ours_is_reported_and_481_ends_the_call() {
    let mut bench = Bench::new();
    let (leg, _, _) = bench.connected("b");
    let _ = bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes()));
    let reinvite = bench.only_sent();
    bench.receive(&response_to(&reinvite, 488, "b", "", ""));
    assert!(matches!(bench.only_event(), Event::ReinviteFailed { status: 488, .. }));
    bench.sent();
    let _ = bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes()));
    let reinvite = bench.only_sent();
    bench.receive(&response_to(&reinvite, 481, "b", "", ""));
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::Gone481, .. }));
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Gone);
    bench.assert_empty();
}

#[test]
fn update_without_sdp_is_answered_and_with_sdp_is_an_offer() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("UPDATE", 2, "z9hG4bKu", &tag, "", ""));
    assert_eq!(bench.summaries(), ["200"]);
    assert!(bench.events().is_empty());
    bench.receive(&request("UPDATE", 3, "z9hG4bKv", &tag, "", SDP));
    assert!(matches!(bench.only_event(), Event::Reinvited { sdp: Some(_), .. }));
    let _ = bench.endpoint.accept_reinvite(bench.now, leg, SDP.as_bytes());
    bench.seconds(5);
    assert_eq!(bench.summaries(), ["200"], "no ACK follows an UPDATE");
}

#[test]
fn info_is_answered_and_delivered_once() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let info = request("INFO", 2, "z9hG4bKi", &tag, "", "Signal=5\r\nDuration=160\r\n");
    bench.receive(&info);
    bench.receive(&info);
    assert_eq!(bench.summaries(), ["200", "200"]);
    let Event::Info { content_type, body, .. } = bench.only_event() else { panic!("an info") };
    assert_eq!(content_type, "application/dtmf-relay");
    assert_eq!(body, b"Signal=5\r\nDuration=160\r\n");
    assert_eq!(bench.endpoint.info(bench.now, leg, "application/dtmf", b"5"), Outcome::Sent);
    let ours = bench.only_sent();
    bench.receive(&response_to(&ours, 415, "", "", ""));
    assert!(matches!(bench.only_event(), Event::InfoAnswered { status: 415, .. }));
    assert_eq!(bench.endpoint.info(bench.now, leg, "a/b\r\nX: y", b"5"), Outcome::Refused);
}

#[test]
fn options_and_unknown_methods_in_a_dialog_are_answered() {
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    bench.receive(&request("OPTIONS", 2, "z9hG4bK1", &tag, "", ""));
    assert!(header(&bench.only_sent(), "Allow").contains("INVITE"));
    bench.receive(&request("FROBNICATE", 3, "z9hG4bK2", &tag, "", ""));
    assert_eq!(bench.summaries(), ["501"]);
    bench.receive(&request("REFER", 4, "z9hG4bK3", &tag, "", ""));
    let reply = bench.only_sent();
    assert_eq!(summary(&reply), "405");
    assert!(header(&reply, "Allow").contains("BYE"));
    assert!(bench.events().is_empty());
}

#[test]
fn gaps_in_cseq_are_fine_and_a_lower_one_is_500() {
    let mut bench = Bench::new();
    let (_, tag) = bench.answered();
    bench.receive(&request("INFO", 50, "z9hG4bK1", &tag, "", "x"));
    assert_eq!(bench.summaries(), ["200"]);
    bench.receive(&request("INFO", 49, "z9hG4bK2", &tag, "", "x"));
    assert_eq!(bench.summaries(), ["500"]);
    assert_eq!(bench.events().len(), 1);
}

#[test]
fn a_foreign_tag_or_call_id_does_not_touch_the_call() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("BYE", 2, "z9hG4bK1", &tag, "", "").replace("tag=peer", "tag=evil"));
    bench.receive(&request("BYE", 2, "z9hG4bK2", &tag, "", "").replace("call-1", "call-2"));
    bench.receive(&request("BYE", 2, "z9hG4bK3", "tdm0000000000000000000000ff", "", ""));
    assert_eq!(bench.summaries(), ["481", "481", "481"]);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent);
}

#[test]
fn crossing_byes_are_both_answered() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    let _ = bench.endpoint.bye(bench.now, leg, None);
    let ours = bench.only_sent();
    bench.receive(&request("BYE", 2, "z9hG4bK1", &tag, "", ""));
    assert_eq!(bench.summaries(), ["200"]);
    assert!(bench.events().is_empty());
    bench.receive(&response_to(&ours, 481, "", "", ""));
    bench.assert_empty();
}

#[test]
fn a_lost_bye_is_repeated_and_given_up() {
    let mut bench = Bench::new();
    let (leg, _) = bench.answered();
    let _ = bench.endpoint.bye(bench.now, leg, None);
    bench.seconds(40);
    assert_eq!(bench.summaries().len(), 11);
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn an_unanswered_reinvite_ends_the_call_with_bye() {
    let mut bench = Bench::new();
    let (leg, _, _) = bench.connected("b");
    let _ = bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes()));
    bench.seconds(33);
    assert!(bench.summaries().contains(&"BYE".to_owned()));
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::Timeout, .. }));
    bench.assert_empty();
}

#[test]
fn a_session_the_peer_does_not_refresh_ends_with_bye() {
    let mut bench = Bench::new();
    let extra = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", extra, SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let ok = bench.only_sent();
    assert_eq!(header(&ok, "Session-Expires"), "120;refresher=uac");
    assert_eq!(header(&ok, "Require"), "timer");
    let tag = to_tag(&ok);
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", ""));
    bench.events();
    bench.seconds(60);
    bench.receive(&request("UPDATE", 2, "z9hG4bKu", &tag, "Session-Expires: 120;refresher=uac\r\n", ""));
    assert_eq!(header(&bench.only_sent(), "Session-Expires"), "120;refresher=uac");
    bench.seconds(87);
    assert!(bench.sent().is_empty() && bench.events().is_empty(), "refreshed");
    bench.seconds(1);
    assert_eq!(bench.summaries(), ["BYE"]);
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::SessionExpired, .. }));
    bench.assert_empty();
}

#[test]
fn a_session_that_we_refresh_is_updated_at_half_time() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    bench.receive(&answer_to(
        &invite,
        "b",
        "Allow: INVITE, UPDATE\r\nSession-Expires: 100;refresher=uac\r\n",
    ));
    bench.sent();
    bench.events();
    bench.seconds(50);
    let update = bench.only_sent();
    assert_eq!(
        (summary(&update).as_str(), header(&update, "Session-Expires")),
        ("UPDATE", "100;refresher=uac".into())
    );
    bench.receive(&response_to(&update, 200, "", "Session-Expires: 100;refresher=uac\r\n", ""));
    bench.seconds(50);
    assert_eq!(bench.summaries(), ["UPDATE"]);
    assert!(bench.events().is_empty());
}

#[test]
fn a_peer_without_update_is_refreshed_by_reinvite_with_the_same_sdp() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    bench.receive(&answer_to(&invite, "b", "Session-Expires: 100;refresher=uac\r\n"));
    bench.sent();
    bench.events();
    bench.seconds(50);
    let reinvite = bench.only_sent();
    assert_eq!(summary(&reinvite), "INVITE");
    assert!(reinvite.ends_with(SDP));
    bench.receive(&answer_to(&reinvite, "b", "Session-Expires: 100;refresher=uac\r\n"));
    assert_eq!(bench.summaries(), ["ACK"]);
    assert!(bench.events().is_empty(), "nobody asked");
}

#[test]
fn a_session_interval_too_small_is_422_with_min_se() {
    let mut bench = Bench::new();
    bench.receive(&request("INVITE", 1, "z9hG4bKa", "", "Supported: timer\r\nSession-Expires: 89\r\n", SDP));
    assert_eq!(header(&bench.only_sent(), "Min-SE"), "90");
    assert!(bench.events().is_empty());
    bench.invited(&request("INVITE", 2, "z9hG4bKb", "", "Supported: timer\r\nSession-Expires: 90\r\n", SDP));
}

#[test]
fn requests_follow_a_peer_whose_nat_binding_moved() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive_over(udp(61_000), &request("INFO", 2, "z9hG4bKi", &tag, "", "x"));
    bench.sent();
    let _ = bench.endpoint.bye(bench.now, leg, None);
    assert_eq!(bench.sent_to()[0].0.port(), 61_000);
}

#[test]
fn an_offer_left_open_when_the_call_is_lost_gets_its_answer() {
    let mut bench = Bench::new();
    let (leg, tag) = bench.answered();
    bench.receive(&request("INVITE", 2, "z9hG4bKre", &tag, "", SDP));
    assert_eq!(bench.endpoint.info(bench.now, leg, "application/dtmf", b"5"), Outcome::Sent);
    bench.events();
    let info = bench.only_sent();
    bench.receive(&response_to(&info, 481, "", "", ""));
    assert_eq!(bench.summaries(), ["487"]);
    let last = bench.events().pop();
    assert!(matches!(last, Some(Event::Terminated { why: Termination::Gone481, .. })), "{last:?}");
    bench.assert_empty();
}

#[test]
fn an_answer_to_our_reinvite_after_our_bye_is_acknowledged_and_not_reported() {
    let mut bench = Bench::new();
    let (leg, _, _) = bench.connected("b");
    let _ = bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes()));
    let reinvite = bench.only_sent();
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Sent);
    let bye = bench.only_sent();
    bench.receive(&answer_to(&reinvite, "b", ""));
    assert_eq!(bench.summaries(), ["ACK"]);
    bench.receive(&response_to(&bye, 200, "", "", ""));
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn headers_in_a_contact_never_reach_a_request_uri() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|_| ());
    let contact = "<sip:b@198.51.100.7:5070;x=1?Route=%3Csip:203.0.113.9%3E>";
    bench.receive(&response_to(&invite, 200, "far", &format!("Contact: {contact}\r\n"), SDP));
    let ack = bench.only_sent();
    assert_eq!(request_uri(&ack), "sip:b@198.51.100.7:5070;x=1");
    let _ = bench.endpoint.bye(bench.now, leg, None);
    assert_eq!(request_uri(&bench.only_sent()), "sip:b@198.51.100.7:5070;x=1");
}

#[test]
fn a_reinvite_that_is_only_ever_being_tried_ends_the_call_and_leaves_nothing() {
    for hung_up in [false, true] {
        let mut bench = Bench::new();
        let (leg, _, _) = bench.connected("far");
        let _ = bench.endpoint.reinvite(bench.now, leg, Some(SDP.as_bytes()));
        let reinvite = bench.only_sent();
        bench.receive(&response_to(&reinvite, 100, "", "", ""));
        bench.seconds(100);
        // A second provisional does not begin the wait anew.
        bench.receive(&response_to(&reinvite, 183, "", "", ""));
        if hung_up {
            let _ = bench.endpoint.bye(bench.now, leg, None);
            bench.seconds(79);
            assert_eq!(bench.endpoint.stats().client_transactions, 1);
        } else {
            bench.seconds(79);
            assert!(bench.events().is_empty());
            bench.seconds(2);
            assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::Timeout, .. }));
        }
        bench.assert_empty();
    }
}

#[test]
fn a_long_request_within_a_dialog_goes_by_tcp_and_as_a_datagram_where_that_is_refused() {
    let (tcp, long) = (flow(Transport::Tcp, 5060), "1".repeat(1_200));
    let bench = |contact: &str| {
        let mut bench = Bench::with(|config| {
            config.tcp = Some(tcp.local);
            config.nat_policy = tandem_sip::NatPolicy::Contact;
        });
        let text = invite("z9hG4bKinv", SDP).replace("sip:peer@198.51.100.7:5060", contact);
        let leg = bench.invited(&text);
        let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
        let tag = to_tag(&bench.only_sent());
        bench.receive(&request("ACK", 1, "z9hG4bKack", &tag, "", ""));
        bench.events();
        (bench, leg)
    };
    let info = |bench: &mut Bench, leg, body: &str| {
        assert_eq!(bench.endpoint.info(bench.now, leg, "text/plain", body.as_bytes()), Outcome::Sent);
        let (over, text) = bench.sent_over().pop().expect("an INFO");
        (over.transport, text)
    };
    let (mut free, leg) = bench("sip:peer@198.51.100.7:5060");
    assert_eq!(info(&mut free, leg, "short").0, Transport::Udp);
    let (over, text) = info(&mut free, leg, &long);
    assert_eq!(over, Transport::Tcp);
    assert!(header(&text, "Via").starts_with("SIP/2.0/TCP "), "{text}");
    free.endpoint.handle(free.now, Input::TransportFailed { flow: tcp });
    let (again, repeated) = free.sent_over().pop().expect("the INFO again");
    assert_eq!((again.transport, repeated.ends_with(&long)), (Transport::Udp, true), "RFC 3261 §18.1.1");
    assert!(header(&repeated, "Via").starts_with("SIP/2.0/UDP "), "{repeated}");
    assert_eq!(info(&mut free, leg, &long).0, Transport::Udp, "it is not asked again");
    assert!(free.events().is_empty(), "nothing has failed");

    let (mut named, leg) = bench("sip:peer@198.51.100.7:5060;transport=udp");
    assert_eq!(info(&mut named, leg, &long).0, Transport::Udp);
    let (mut behind, leg) = bench("sip:peer@198.51.100.7:5060");
    let _ = behind.endpoint.set_nat_policy(leg, tandem_sip::NatPolicy::ReceivedFlow);
    assert_eq!(info(&mut behind, leg, &long).0, Transport::Udp, "nobody behind a NAT can be connected to");
}
