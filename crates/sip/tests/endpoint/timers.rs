//! Every timer of RFC 3261 §17 and RFC 6026, in virtual time.

use std::time::Duration;

use crate::bench::*;
use tandem_sip::message::{Address, Method, OwnedUri};
use tandem_sip::{Event, Outcome, OutgoingRequest, Termination, Transport};

fn options(bench: &mut Bench) -> String {
    let uri = OwnedUri::parse("sip:carrier.example").expect("uri");
    let from = Address::parse("sip:probe@192.0.2.1").expect("uri");
    let request = OutgoingRequest::new(bench.flow, Method::Options, uri.clone(), from, Address::new(uri));
    bench.endpoint.request(bench.now, request).expect("room");
    bench.only_sent()
}

fn times(sent: Vec<(u128, String)>, what: &str) -> Vec<u128> {
    sent.into_iter().filter(|(_, summary)| summary == what).map(|(at, _)| at).collect()
}

#[test]
fn timer_a_doubles_the_invite_interval_and_timer_b_ends_the_call() {
    let mut bench = Bench::new();
    let (leg, _) = bench.call(|_| ());
    bench.seconds(40);
    assert_eq!(times(bench.sent_at(), "INVITE"), [500, 1500, 3500, 7500, 15500, 31500]);
    match bench.only_event() {
        Event::Terminated { leg: ended, why: Termination::Timeout } => assert_eq!(ended, leg),
        other => panic!("{other:?}"),
    }
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Gone);
    bench.assert_empty();
}

#[test]
fn timer_b_ends_at_64_t1_and_not_before() {
    let mut bench = Bench::new();
    bench.call(|_| ());
    bench.advance(Duration::from_millis(31_999));
    assert!(bench.events().is_empty());
    bench.advance(Duration::from_millis(1));
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::Timeout, .. }));
}

#[test]
fn over_tcp_nothing_is_retransmitted_but_timer_b_still_ends_the_call() {
    let mut bench = Bench::over(Transport::Tcp);
    bench.call(|_| ());
    bench.seconds(40);
    assert!(bench.sent().is_empty());
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::Timeout, .. }));
    bench.assert_empty();
}

#[test]
fn timer_c_cancels_a_call_that_rings_too_long() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|invite| invite.ring_timeout = Duration::from_secs(45));
    bench.receive(&response_to(&invite, 180, "b", "", ""));
    bench.events();
    bench.advance(Duration::from_millis(44_999));
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    bench.advance(Duration::from_millis(1));
    let cancel = bench.only_sent();
    assert_eq!(summary(&cancel), "CANCEL");
    assert_eq!(header(&cancel, "Via"), header(&invite, "Via"));
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::RingTimeout, .. }));
    bench.receive(&response_to(&cancel, 200, "b", "", ""));
    bench.receive(&response_to(&invite, 487, "b", "", ""));
    assert_eq!(bench.summaries(), ["ACK"]);
    assert!(bench.events().is_empty());
    bench.assert_empty();
}

#[test]
fn timer_d_absorbs_repeated_failures_for_32_s_and_acknowledges_each() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    let busy = response_to(&invite, 486, "b", "", "");
    bench.receive(&busy);
    let ack = bench.only_sent();
    assert_eq!((summary(&ack).as_str(), header(&ack, "Via")), ("ACK", header(&invite, "Via")));
    assert_eq!(header(&ack, "CSeq"), "1 ACK");
    assert!(matches!(bench.only_event(), Event::Rejected { status: 486, .. }));
    bench.advance(Duration::from_millis(31_999));
    bench.receive(&busy);
    assert_eq!(bench.only_sent(), ack);
    bench.advance(Duration::from_millis(1));
    bench.receive(&busy);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    assert_eq!(bench.endpoint.stats().strays, 1);
    bench.assert_empty();
}

#[test]
fn over_tcp_timer_d_is_zero() {
    let mut bench = Bench::over(Transport::Tcp);
    let (_, invite) = bench.call(|_| ());
    bench.receive(&response_to(&invite, 486, "b", "", ""));
    bench.advance(Duration::ZERO);
    assert_eq!(bench.endpoint.stats().client_transactions, 0);
}

#[test]
fn timer_e_doubles_up_to_t2_and_timer_f_ends_the_request() {
    let mut bench = Bench::new();
    options(&mut bench);
    bench.seconds(40);
    let expected = [500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(times(bench.sent_at(), "OPTIONS"), expected);
    assert!(matches!(bench.only_event(), Event::RequestFailed { why: Termination::Timeout, .. }));
    bench.assert_empty();
}

#[test]
fn after_a_provisional_timer_e_runs_at_t2() {
    let mut bench = Bench::new();
    let request = options(&mut bench);
    bench.advance(Duration::from_millis(600));
    bench.sent();
    bench.receive(&response_to(&request, 100, "", "", ""));
    bench.seconds(9);
    assert_eq!(times(bench.sent_at(), "OPTIONS"), [4600, 8600]);
}

#[test]
fn timer_g_repeats_a_failure_up_to_t2_and_timer_h_gives_up() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    assert_eq!(bench.endpoint.reject(bench.now, leg, 486, None, &[]), Outcome::Sent);
    bench.seconds(40);
    let expected = [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500];
    assert_eq!(times(bench.sent_at(), "486"), expected);
    bench.assert_empty();
}

#[test]
fn timer_i_absorbs_repeated_acks_for_t4() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.reject(bench.now, leg, 486, None, &[]);
    let tag = to_tag(&bench.only_sent());
    let ack = request("ACK", 1, "z9hG4bKa", &tag, "", "");
    bench.receive(&ack);
    bench.advance(Duration::from_millis(4_999));
    bench.receive(&ack);
    bench.receive(&invite("z9hG4bKa", SDP));
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    assert_eq!(bench.endpoint.stats().server_transactions, 1);
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.endpoint.stats().server_transactions, 0);
}

#[test]
fn timer_j_answers_repeated_requests_for_64_t1() {
    let mut bench = Bench::new();
    let text = request("OPTIONS", 1, "z9hG4bKo", "", "", "");
    bench.receive(&text);
    let Event::Request { transaction, .. } = bench.only_event() else { panic!("a request") };
    assert_eq!(bench.endpoint.respond(bench.now, transaction, 200, None, &[], None), Outcome::Sent);
    let first = bench.only_sent();
    bench.advance(Duration::from_millis(31_999));
    bench.receive(&text);
    assert_eq!(bench.only_sent(), first);
    assert_eq!(bench.endpoint.respond(bench.now, transaction, 200, None, &[], None), Outcome::WrongState);
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.endpoint.respond(bench.now, transaction, 200, None, &[], None), Outcome::Gone);
    bench.receive(&text);
    assert!(matches!(bench.only_event(), Event::Request { .. }), "a new request by now");
}

#[test]
fn timer_k_absorbs_repeated_finals_for_t4() {
    let mut bench = Bench::new();
    let request = options(&mut bench);
    let ok = response_to(&request, 200, "b", "", "");
    bench.receive(&ok);
    assert!(matches!(bench.only_event(), Event::Response { .. }));
    bench.advance(Duration::from_millis(4_999));
    bench.receive(&ok);
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.stats().strays, 0);
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.endpoint.stats().client_transactions, 0);
}

#[test]
fn timer_l_absorbs_repeated_invites_after_a_2xx_for_64_t1() {
    let mut bench = Bench::new();
    let text = invite("z9hG4bKa", SDP);
    let leg = bench.invited(&text);
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let tag = to_tag(&bench.only_sent());
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", ""));
    bench.events();
    bench.advance(Duration::from_millis(31_999));
    bench.receive(&text);
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    bench.advance(Duration::from_millis(1));
    assert_eq!(bench.endpoint.stats().server_transactions, 0);
    assert_eq!(bench.endpoint.stats().legs, 1);
}

#[test]
fn timer_m_keeps_the_ack_for_repeated_2xx_for_64_t1() {
    let mut bench = Bench::new();
    let (_, invite, ack) = bench.connected("b");
    let ok = answer_to(&invite, "b", "");
    bench.advance(Duration::from_millis(31_999));
    bench.receive(&ok);
    assert_eq!(bench.only_sent(), ack);
    bench.advance(Duration::from_millis(1));
    bench.receive(&ok);
    assert!(bench.sent().is_empty());
    assert_eq!(bench.endpoint.stats().client_transactions, 0);
}

#[test]
fn our_2xx_is_repeated_until_its_ack_at_most_t2_apart() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    bench.seconds(8);
    let sent = bench.sent();
    let tag = to_tag(&sent[0]);
    assert_eq!(sent.len(), 5, "at 0, 0.5, 1.5, 3.5 and 7.5 s");
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", ""));
    assert!(matches!(bench.only_event(), Event::Acked { .. }));
    bench.seconds(60);
    assert!(bench.sent().is_empty());
}

#[test]
fn a_2xx_never_acknowledged_ends_in_bye() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    bench.seconds(33);
    let sent = bench.sent_at();
    assert_eq!(
        times(sent.clone(), "200"),
        [0, 500, 1500, 3500, 7500, 11500, 15500, 19500, 23500, 27500, 31500]
    );
    assert_eq!(times(sent, "BYE"), [32000, 32500]);
    assert!(matches!(bench.only_event(), Event::AckTimeout { .. }));
    assert_eq!(bench.endpoint.bye(bench.now, leg, None), Outcome::Gone);
    bench.assert_empty();
}

#[test]
fn deadlines_of_ended_calls_do_not_pile_up_however_long_their_sessions() {
    let mut bench = Bench::new();
    for call in 0..3_000 {
        let extra = "Session-Expires: 4294967295;refresher=uac\r\n";
        let call_id = format!("call-{call}");
        let ours = |text: String| text.replace("call-1", &call_id);
        let leg = bench.invited(&ours(request("INVITE", 1, &format!("z9hG4bKi{call}"), "", extra, SDP)));
        let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
        let answer = bench.only_sent();
        assert_eq!(header(&answer, "Session-Expires"), "86400;refresher=uac", "a day at most");
        let tag = to_tag(&answer);
        bench.receive(&ours(request("ACK", 1, &format!("z9hG4bKa{call}"), &tag, "", "")));
        bench.receive(&ours(request("BYE", 2, &format!("z9hG4bKb{call}"), &tag, "", "")));
        bench.seconds(40);
        let _ = (bench.events(), bench.sent());
    }
    let stats = bench.endpoint.stats();
    assert_eq!((stats.legs, stats.server_transactions), (0, 0));
    assert!(stats.timers <= 1_100, "{stats:?}");
}
