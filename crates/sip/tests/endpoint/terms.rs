//! Terms that peers and the proxies before them set: session timers by proxy, reliable provisionals and early offers,
//! challenges inside the dialog.

use tandem_sip::digest::Credentials;
use tandem_sip::message::{FieldName, HeaderField};
use tandem_sip::{Event, Outcome, Termination};

use crate::bench::*;

const CHALLENGE: &str = "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"one\", qop=\"auth\"\r\n";
const STALE: &str =
    "Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"two\", stale=true, qop=\"auth\"\r\n";

fn credentials() -> Credentials {
    Credentials { username: "us".into(), password: "secret".into(), expected_realm: Some("carrier".into()) }
}

/// A call to a carrier that knows us, answered.
fn connected() -> (Bench, tandem_sip::LegId, String) {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|invite| invite.credentials = Some(credentials()));
    bench.receive(&answer_to(&invite, "b", ""));
    bench.sent();
    bench.events();
    (bench, leg, invite)
}

#[test]
fn the_ack_shows_the_credentials_of_its_invite() {
    let mut bench = Bench::new();
    let (leg, invite) = bench.call(|_| ());
    bench.receive(&response_to(&invite, 407, "x", CHALLENGE, ""));
    bench.events();
    let field = HeaderField::new(FieldName::ProxyAuthorization, "Digest username=\"us\"").expect("legal");
    let _ = bench.endpoint.retry_with_auth(bench.now, leg, field);
    let again = bench.sent().pop().expect("an INVITE");
    bench.receive(&answer_to(&again, "b", ""));
    let ack = bench.only_sent();
    assert_eq!((summary(&ack), header(&ack, "CSeq")), ("ACK".into(), "2 ACK".into()));
    assert_eq!(header(&ack, "Proxy-Authorization"), "Digest username=\"us\"");
    // So does the ACK to another fork.
    bench.receive(&answer_to(&again, "c", ""));
    assert_eq!(header(&bench.sent()[0], "Proxy-Authorization"), "Digest username=\"us\"");
}

#[test]
fn a_challenged_bye_is_sent_again_with_the_answer() {
    let (mut bench, leg, _) = connected();
    let _ = bench.endpoint.bye(bench.now, leg, None);
    let bye = bench.only_sent();
    bench.receive(&response_to(&bye, 407, "", CHALLENGE, ""));
    let again = bench.only_sent();
    assert_eq!((summary(&again), header(&again, "CSeq")), ("BYE".into(), "3 BYE".into()));
    assert_ne!(header(&again, "Via"), header(&bye, "Via"));
    let answer = header(&again, "Proxy-Authorization");
    assert!(answer.contains("nonce=\"one\"") && answer.contains("realm=\"carrier\""), "{answer}");
    for name in ["From", "To", "Call-ID"] {
        assert_eq!(header(&again, name), header(&bye, name));
    }
    bench.receive(&response_to(&again, 200, "", "", ""));
    bench.assert_empty();
}

#[test]
fn a_stale_nonce_earns_one_more_try_and_the_same_nonce_none() {
    let (mut bench, leg, _) = connected();
    let _ = bench.endpoint.bye(bench.now, leg, None);
    let bye = bench.only_sent();
    bench.receive(&response_to(&bye, 407, "", CHALLENGE, ""));
    let second = bench.only_sent();
    bench.receive(&response_to(&second, 407, "", STALE, ""));
    let third = bench.only_sent();
    assert!(header(&third, "Proxy-Authorization").contains("nonce=\"two\""));
    assert_eq!(headers(&third, "Proxy-Authorization").len(), 1, "the old answer is gone");
    bench.receive(&response_to(&third, 407, "", STALE, ""));
    assert!(bench.sent().is_empty(), "a nonce is answered once");
    bench.assert_empty();
}

#[test]
fn stale_for_ever_is_given_up() {
    let (mut bench, leg, _) = connected();
    assert_eq!(bench.endpoint.info(bench.now, leg, "application/dtmf-relay", b"Signal=5"), Outcome::Sent);
    let mut tries = 0;
    while let Some(info) = bench.sent().pop() {
        tries += 1;
        let stale =
            format!("Proxy-Authenticate: Digest realm=\"carrier\", nonce=\"n{tries}\", stale=true\r\n");
        bench.receive(&response_to(&info, 407, "", &stale, ""));
    }
    assert_eq!(tries, 5);
    assert!(matches!(bench.only_event(), Event::InfoAnswered { status: 407, .. }));
}

#[test]
fn a_foreign_realm_gets_no_answer() {
    let (mut bench, leg, _) = connected();
    let _ = bench.endpoint.bye(bench.now, leg, None);
    let bye = bench.only_sent();
    let foreign = "WWW-Authenticate: Digest realm=\"elsewhere\", nonce=\"n\"\r\n";
    bench.receive(&response_to(&bye, 401, "", foreign, ""));
    assert!(bench.sent().is_empty());
    bench.assert_empty();
}

#[test]
fn a_challenged_refresh_by_reinvite_is_answered_with_its_offer() {
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|invite| invite.credentials = Some(credentials()));
    bench.receive(&answer_to(&invite, "b", "Session-Expires: 100;refresher=uac\r\n"));
    bench.sent();
    bench.events();
    bench.seconds(50);
    let reinvite = bench.only_sent();
    bench.receive(&response_to(
        &reinvite,
        401,
        "b",
        "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n\"\r\n",
        "",
    ));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    assert!(sent[1].ends_with(SDP) && header(&sent[1], "Authorization").contains("nonce=\"n\""));
    assert_eq!(header(&sent[1], "Session-Expires"), "100;refresher=uac");
    bench.receive(&answer_to(&sent[1], "b", "Session-Expires: 100;refresher=uac\r\n"));
    assert_eq!(bench.summaries(), ["ACK"]);
    assert!(bench.events().is_empty());
}

#[test]
fn a_caller_that_knows_no_session_timers_is_refreshed_by_us() {
    let mut bench = Bench::new();
    // A proxy on the way asked.
    let extra = "Allow: INVITE, UPDATE\r\nSession-Expires: 120\r\n";
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", extra, SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let ok = bench.only_sent();
    assert_eq!(header(&ok, "Session-Expires"), "120;refresher=uas");
    assert!(headers(&ok, "Require").is_empty(), "it would not understand");
    bench.receive(&request("ACK", 1, "z9hG4bKb", &to_tag(&ok), "", ""));
    bench.events();
    for _ in 0..3 {
        bench.seconds(60);
        let update = bench.only_sent();
        assert_eq!(summary(&update), "UPDATE");
        bench.receive(&response_to(&update, 200, "", "", ""));
    }
    assert!(bench.events().is_empty());
}

#[test]
fn require_timer_is_understood_and_an_answer_without_refresher_is_refreshed_by_us() {
    let mut bench = Bench::new();
    let extra = "Require: timer\r\nSession-Expires: 90\r\n";
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", extra, SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    assert_eq!(header(&bench.only_sent(), "Session-Expires"), "90;refresher=uac");
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    bench.receive(&answer_to(&invite, "b", "Allow: UPDATE\r\nSession-Expires: 100\r\n"));
    bench.sent();
    bench.seconds(50);
    assert_eq!(bench.summaries(), ["UPDATE"]);
}

#[test]
fn any_offer_of_the_peer_renews_the_session_also_without_session_expires() {
    let mut bench = Bench::new();
    let extra = "Supported: timer\r\nSession-Expires: 120;refresher=uac\r\n";
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", extra, SDP));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let tag = to_tag(&bench.only_sent());
    bench.receive(&request("ACK", 1, "z9hG4bKb", &tag, "", ""));
    bench.seconds(80);
    bench.receive(&request("INVITE", 2, "z9hG4bKr", &tag, "", SDP));
    let _ = bench.endpoint.accept_reinvite(bench.now, leg, SDP.as_bytes());
    let ok = bench.only_sent();
    assert_eq!(header(&ok, "Session-Expires"), "120;refresher=uac");
    bench.receive(&request("ACK", 2, "z9hG4bKs", &tag, "", ""));
    bench.events();
    bench.seconds(87);
    assert!(bench.events().is_empty(), "renewed at 80 s");
    bench.seconds(1);
    assert!(matches!(bench.only_event(), Event::Terminated { why: Termination::SessionExpired, .. }));
}

#[test]
fn an_early_update_with_an_offer_waits_until_the_first_is_answered_for_good() {
    let mut bench = Bench::new();
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", "Require: 100rel\r\n", SDP));
    let _ = bench.endpoint.progress(bench.now, leg, SDP.as_bytes());
    let progress = bench.only_sent();
    let tag = to_tag(&progress);
    bench.receive(&request("UPDATE", 2, "z9hG4bKu", &tag, "", SDP));
    let refusal = bench.only_sent();
    assert_eq!(summary(&refusal), "500");
    assert!(header(&refusal, "Retry-After").parse::<u32>().is_ok());
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&progress, "RSeq"));
    bench.receive(&request("PRACK", 3, "z9hG4bKp", &tag, &rack, ""));
    assert_eq!(bench.summaries(), ["200"]);
    bench.receive(&request("UPDATE", 4, "z9hG4bKv", &tag, "", SDP));
    assert!(matches!(bench.only_event(), Event::Reinvited { sdp: Some(_), .. }));
    assert_eq!(bench.endpoint.accept_reinvite(bench.now, leg, SDP.as_bytes()), Outcome::Sent);
    assert_eq!(header(&bench.only_sent(), "CSeq"), "4 UPDATE");
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    assert_eq!(header(&bench.only_sent(), "CSeq"), "1 INVITE");
}

#[test]
fn a_cancel_also_answers_the_early_update_that_waits() {
    let mut bench = Bench::new();
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", "Require: 100rel\r\n", SDP));
    let _ = bench.endpoint.progress(bench.now, leg, SDP.as_bytes());
    let progress = bench.only_sent();
    let tag = to_tag(&progress);
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&progress, "RSeq"));
    bench.receive(&request("PRACK", 2, "z9hG4bKp", &tag, &rack, ""));
    bench.receive(&request("UPDATE", 3, "z9hG4bKv", &tag, "", SDP));
    bench.sent();
    bench.events();
    bench.receive(&request("CANCEL", 1, "z9hG4bKa", "", "", ""));
    let mut answers: Vec<String> = bench.sent().iter().map(|text| header(text, "CSeq")).collect();
    answers.sort();
    assert_eq!(answers, ["1 CANCEL", "1 INVITE", "3 UPDATE"]);
    bench.assert_empty();
}

#[test]
fn a_further_offer_in_a_prack_is_refused_and_the_prack_counts() {
    let mut bench = Bench::new();
    let leg = bench.invited(&request("INVITE", 1, "z9hG4bKa", "", "Require: 100rel\r\n", SDP));
    let _ = bench.endpoint.progress(bench.now, leg, SDP.as_bytes());
    let progress = bench.only_sent();
    let rack = format!("RAck: {} 1 INVITE\r\n", header(&progress, "RSeq"));
    bench.receive(&request("PRACK", 2, "z9hG4bKp", &to_tag(&progress), &rack, SDP));
    assert_eq!(bench.summaries(), ["488"]);
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    assert_eq!(bench.summaries(), ["200"]);
}

#[test]
fn a_refresh_refused_422_comes_again_with_the_interval_that_is_wanted() {
    let refused =
        |request: &str, least: u32| response_to(request, 422, "b", &format!("Min-SE: {least}\r\n"), "");
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    bench.receive(&answer_to(&invite, "b", "Allow: UPDATE\r\nSession-Expires: 100;refresher=uac\r\n"));
    bench.sent();
    bench.events();
    bench.seconds(50);
    let update = bench.only_sent();
    assert_eq!(
        (summary(&update), header(&update, "Session-Expires")),
        ("UPDATE".into(), "100;refresher=uac".into())
    );
    bench.receive(&refused(&update, 300));
    let again = bench.only_sent();
    assert_eq!(header(&again, "Session-Expires"), "300;refresher=uac");
    assert_eq!(header(&again, "Min-SE"), "300", "RFC 4028 §7.4");
    bench.receive(&refused(&again, 300));
    assert!(bench.sent().is_empty(), "one that wants no more than it gets is not asked for ever");
    bench.seconds(150);
    let update = bench.only_sent();
    bench.receive(&refused(&update, 90_000));
    assert!(bench.sent().is_empty(), "longer than a day is nobody's session");
    assert!(bench.events().is_empty());

    // The same by re-INVITE, with its ACK and its offer.
    let mut bench = Bench::new();
    let (_, invite) = bench.call(|_| ());
    bench.receive(&answer_to(&invite, "b", "Session-Expires: 100;refresher=uac\r\n"));
    bench.sent();
    bench.events();
    bench.seconds(50);
    let reinvite = bench.only_sent();
    bench.receive(&refused(&reinvite, 300));
    let sent = bench.sent();
    assert_eq!(sent.iter().map(|text| summary(text)).collect::<Vec<_>>(), ["ACK", "INVITE"]);
    assert_eq!(header(&sent[1], "Session-Expires"), "300;refresher=uac");
    assert!(header(&sent[1], "Min-SE") == "300" && sent[1].ends_with(SDP));
    bench.receive(&answer_to(&sent[1], "b", "Session-Expires: 300;refresher=uac\r\n"));
    assert_eq!(bench.summaries(), ["ACK"]);
    assert!(bench.events().is_empty());
}
