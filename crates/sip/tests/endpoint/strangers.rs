//! Requests that no call asked for: malformed, unknown, unsupported, too many.

use tandem_sip::message::{FieldName, HeaderField, MAX_DATAGRAM_BYTES, MAX_STREAM_MESSAGE_BYTES, Method};
use tandem_sip::{CourtesyGuard, Door, Event, Outcome, Transport};

use crate::bench::*;

#[test]
fn malformed_requests_get_400_with_the_culprit_and_responses_silence() {
    let mut bench = Bench::new();
    let text = invite("z9hG4bKa", SDP).replace("Max-Forwards: 70", "Max-Forwards: 7000");
    bench.receive(&text);
    let reply = bench.only_sent();
    assert!(reply.starts_with("SIP/2.0 400 Bad Request: malformed Max-Forwards\r\n"), "{reply}");
    assert_eq!(header(&reply, "Call-ID"), "call-1");
    bench.receive(&text.replace("INVITE sip:+918000000000@192.0.2.1 SIP/2.0", "SIP/2.0 200 OK"));
    bench.receive(&text.replace("INVITE", "ACK"));
    bench.receive("\r\n\r\n");
    bench.receive("hello\r\n\r\n");
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    assert_eq!(bench.endpoint.stats().malformed, 4);
}

#[test]
fn a_malformed_request_is_answered_with_what_it_said() {
    let mut bench = Bench::new();
    let text = request("BYE", 2, "z9hG4bKa", "ours", "", "")
        .replace("CSeq: 2 BYE", "CSeq: 36893488147419103232 BYE");
    bench.receive(&text);
    let reply = bench.only_sent();
    assert_eq!(header(&reply, "CSeq"), "36893488147419103232 BYE");
    assert_eq!(header(&reply, "To"), "<sip:+918000000000@192.0.2.1>;tag=ours", "one tag, the sender's");
    bench.receive(&text.replace("SIP/2.0/UDP 198.51.100.7:5060;", "SIP/2.0/UDP 203.0.113.9:9;;"));
    let (to, reply) = bench.sent_to().remove(0);
    assert_eq!(to, bench.flow.remote, "a Via that cannot be read aims nothing");
    assert!(header(&reply, "Via").starts_with("SIP/2.0/UDP 203.0.113.9:9;;branch="));
}

#[test]
fn the_size_limit_is_that_of_the_transport() {
    let whole = |length: usize| {
        let text = invite("z9hG4bKsize", "").replace("Content-Length: 0\r\n", "");
        let padding = length - text.len() - "Content-Type: application/sdp\r\n".len();
        text.replace("\r\n\r\n", "\r\nContent-Type: application/sdp\r\n\r\n") + &"b".repeat(padding)
    };
    for (transport, limit) in
        [(Transport::Udp, MAX_DATAGRAM_BYTES), (Transport::Tcp, MAX_STREAM_MESSAGE_BYTES)]
    {
        let mut bench = Bench::over(transport);
        bench.receive(&whole(limit + 1));
        assert!(bench.sent().is_empty() && bench.events().is_empty(), "past the limit: silence");
        assert_eq!(bench.endpoint.stats().malformed, 1);
        bench.receive(&whole(limit));
        assert!(matches!(bench.only_event(), Event::Invite { .. }));
    }
}

#[test]
fn a_caller_who_accepts_no_session_description_is_406() {
    let mut bench = Bench::new();
    bench.receive(&request("INVITE", 1, "z9hG4bKa", "", "Accept: text/plain\r\n", SDP));
    bench.receive(&request("INVITE", 1, "z9hG4bKb", "", "Accept:\r\n", SDP));
    assert_eq!(bench.summaries(), ["406", "406"]);
    for (branch, accept) in
        [("c", "text/plain, application/SDP;level=1"), ("d", "*/*"), ("e", "application/*")]
    {
        let text =
            request("INVITE", 1, &format!("z9hG4bK{branch}"), "", &format!("Accept: {accept}\r\n"), SDP);
        bench.receive(&text.replace("call-1", branch));
        assert!(matches!(bench.only_event(), Event::Invite { .. }), "{accept}");
    }
}

#[test]
fn other_versions_and_schemes_get_their_own_answers() {
    let mut bench = Bench::new();
    bench.receive(&invite("z9hG4bKa", SDP).replace("192.0.2.1 SIP/2.0", "192.0.2.1 SIP/7.0"));
    bench
        .receive(&invite("z9hG4bKb", SDP).replace("INVITE sip:+918000000000@192.0.2.1", "INVITE mailto:a@b"));
    assert_eq!(bench.summaries(), ["505", "416"]);
}

#[test]
fn an_unsupported_extension_is_420() {
    let mut bench = Bench::new();
    bench.receive(&request("INVITE", 1, "z9hG4bKa", "", "Require: timer, foo, 100rel, bar\r\n", SDP));
    let reply = bench.only_sent();
    assert_eq!((summary(&reply).as_str(), header(&reply, "Unsupported")), ("420", "foo, bar".into()));
    assert!(bench.events().is_empty());
    assert_eq!(bench.endpoint.stats().server_transactions, 0);
}

#[test]
fn a_body_that_is_no_session_is_415() {
    let mut bench = Bench::new();
    bench.receive(&invite("z9hG4bKa", "x").replace("application/sdp", "application/unknown"));
    assert_eq!(header(&bench.only_sent(), "Accept"), "application/sdp");
}

#[test]
fn a_request_by_a_second_path_is_482() {
    let mut bench = Bench::new();
    bench.invited(&invite("z9hG4bKa", SDP));
    bench.receive(&invite("z9hG4bKb", SDP));
    assert_eq!(bench.summaries(), ["482"]);
    assert!(bench.events().is_empty());
}

#[test]
fn requests_into_unknown_dialogs_are_481_and_acks_are_nothing() {
    let mut bench = Bench::new();
    for method in ["BYE", "INVITE", "UPDATE", "INFO", "PRACK"] {
        bench.receive(&request(method, 2, &format!("z9hG4bK{method}"), "unknown", "", ""));
    }
    bench.receive(&request("BYE", 2, "z9hG4bKnotag", "", "", ""));
    bench.receive(&request("ACK", 2, "z9hG4bKack", "unknown", "", ""));
    assert_eq!(bench.summaries(), ["481"; 6]);
    assert_eq!(bench.endpoint.stats().server_transactions, 0);
}

#[test]
fn strangers_hear_nothing_where_the_guard_says_so() {
    let mut bench = Bench::with(|config| {
        config.courtesy = CourtesyGuard::new(|_, host| host == "ours.example");
    });
    bench.receive(&request("BYE", 2, "z9hG4bK1", "x", "", ""));
    bench.receive(&request("INVITE", 1, "z9hG4bK2", "", "Require: foo\r\n", SDP));
    bench.receive(&invite("z9hG4bK3", SDP).replace("Max-Forwards: 70", "Max-Forwards: x"));
    bench.receive(&request("CANCEL", 1, "z9hG4bK4", "", "", ""));
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    let ours = request("BYE", 2, "z9hG4bK5", "x", "", "").replace("@192.0.2.1 SIP", "@ours.example SIP");
    bench.receive(&ours);
    assert_eq!(bench.summaries(), ["481"]);
}

#[test]
fn full_tables_answer_503_with_retry_after_and_keep_nothing() {
    let mut bench = Bench::with(|config| config.limits.legs = 1);
    bench.invited(&invite("z9hG4bKa", SDP));
    bench.receive(&invite("z9hG4bKb", SDP).replace("call-1", "call-2"));
    assert_eq!(header(&bench.only_sent(), "Retry-After"), "5");
    let stats = bench.endpoint.stats();
    assert_eq!((stats.legs, stats.server_transactions, stats.refused_full), (1, 1, 1));
    assert!(bench.endpoint.invite(bench.now, outgoing(bench.flow)).is_err());
}

#[test]
fn calls_turned_away_get_503_with_retry_after_and_what_exists_goes_on() {
    let mut bench = Bench::new();
    bench.receive(&invite("z9hG4bKa", SDP));
    assert!(matches!(bench.only_event(), Event::Invite { .. }));
    bench.endpoint.turn_invites_away(Some(7));
    let late = invite("z9hG4bKb", SDP).replace("call-1", "call-2");
    for _ in 0..2 {
        bench.receive(&late);
        let reply = bench.only_sent();
        assert!(reply.starts_with("SIP/2.0 503 ") && header(&reply, "Retry-After") == "7", "{reply}");
    }
    let stats = bench.endpoint.stats();
    assert_eq!((stats.legs, stats.server_transactions, stats.turned_away), (1, 1, 2), "nothing is kept");
    bench.receive(&invite("z9hG4bKa", SDP).replace("INVITE", "CANCEL"));
    assert!(matches!(bench.only_event(), Event::Cancelled { .. }), "the first call is still heard");
    bench.endpoint.turn_invites_away(None);
    bench.receive(&late);
    assert!(matches!(bench.only_event(), Event::Invite { .. }));
}

#[test]
fn a_register_is_reported_and_answered_by_command() {
    let mut bench = Bench::new();
    let extra = "Contact: *\r\nExpires: 0\r\nPath: <sip:p@h;lr>\r\n";
    bench.receive(&request("REGISTER", 1, "z9hG4bKa", "", extra, ""));
    let Event::Request { transaction, facts } = bench.only_event() else { panic!("a request") };
    assert_eq!(facts.method, Method::Register);
    assert_eq!(facts.contacts, ["<sip:peer@198.51.100.7:5060>", "*"]);
    assert_eq!((facts.expires, facts.path.as_slice()), (Some(0), &["<sip:p@h;lr>".to_owned()][..]));
    let binding = HeaderField::new(FieldName::Contact, "<sip:peer@198.51.100.7>;expires=60").expect("legal");
    let outcome = bench.endpoint.respond(bench.now, transaction, 200, None, &[binding], None);
    assert_eq!(outcome, Outcome::Sent);
    assert_eq!(header(&bench.only_sent(), "Contact"), "<sip:peer@198.51.100.7>;expires=60");
    bench.assert_empty();
}

#[test]
fn an_overlooked_request_leaves_nothing_and_is_a_new_one_when_repeated() {
    let mut bench = Bench::new();
    for _ in 0..2 {
        bench.receive(&request("OPTIONS", 1, "z9hG4bKa", "", "", ""));
        let Event::Request { transaction, .. } = bench.only_event() else { panic!("a request") };
        assert_eq!(bench.endpoint.overlook_request(transaction), Outcome::Sent);
        assert_eq!(bench.endpoint.overlook_request(transaction), Outcome::Gone);
        let leg = bench.invited(&invite("z9hG4bKb", SDP));
        assert_eq!(bench.endpoint.overlook(leg), Outcome::Sent);
        assert_eq!(bench.endpoint.overlook(leg), Outcome::Gone);
        assert!(bench.sent().is_empty());
        let stats = bench.endpoint.stats();
        assert_eq!((stats.legs, stats.server_transactions, stats.index_entries), (0, 0, 0));
    }
}

#[test]
fn who_is_turned_away_hears_it_once_for_each_time_it_asks() {
    let mut bench = Bench::new();
    let text = invite("z9hG4bKa", SDP);
    for _ in 0..2 {
        let leg = bench.invited(&text);
        assert_eq!(bench.endpoint.turn_away(bench.now, leg, 200, None, &[]), Outcome::Refused);
        assert_eq!(bench.endpoint.turn_away(bench.now, leg, 403, None, &[]), Outcome::Sent);
        assert_eq!(bench.endpoint.turn_away(bench.now, leg, 403, None, &[]), Outcome::Gone);
        let reply = bench.only_sent();
        assert!(reply.starts_with("SIP/2.0 403 Forbidden\r\n"), "{reply}");
        let tag = header(&reply, "To").split(";tag=").nth(1).expect("a tag").to_owned();
        bench.receive(&request("ACK", 1, "z9hG4bKa", &tag, "", ""));
        let stats = bench.endpoint.stats();
        assert_eq!((stats.legs, stats.server_transactions, stats.index_entries), (0, 0, 0));
    }
    bench.receive(&request("REGISTER", 1, "z9hG4bKr", "", "", ""));
    let Event::Request { transaction, .. } = bench.only_event() else { panic!("a request") };
    assert_eq!(bench.endpoint.respond_once(bench.now, transaction, 401, &[]), Outcome::Sent);
    assert_eq!(bench.summaries(), ["401"]);
    assert_eq!(bench.endpoint.stats().server_transactions, 0);
    bench.seconds(64);
    assert!(bench.sent().is_empty(), "nothing is repeated by a timer");
    bench.assert_empty();
}

#[test]
fn a_door_that_stays_shut_leaves_no_trace_and_dialogs_do_not_pass_it() {
    let mut bench = Bench::with(|config| {
        config.door = Door::new(|knock| knock.to_host == "ours.example" && knock.method == "INVITE");
    });
    for (number, method) in ["INVITE", "REGISTER", "OPTIONS", "FROBNICATE", "BYE"].into_iter().enumerate() {
        bench.receive(&request(method, 1, &format!("z9hG4bK{number}"), "", "", ""));
    }
    assert!(bench.sent().is_empty() && bench.events().is_empty());
    let stats = bench.endpoint.stats();
    assert_eq!((stats.unopened, stats.server_transactions, stats.timers), (5, 0, 0));
    let ours = |text: String| text.replace("To: <sip:+918000000000@192.0.2.1>", "To: <sip:a@ours.example>");
    let leg = bench.invited(&ours(invite("z9hG4bKa", SDP)));
    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
    let answer = bench.only_sent();
    let tag = header(&answer, "To").split(";tag=").nth(1).expect("a tag").to_owned();
    bench.receive(&ours(request("BYE", 2, "z9hG4bKb", &tag, "", "")));
    assert_eq!(bench.summaries(), ["200"]);
}

#[test]
fn an_unknown_method_is_reported_for_the_owner_to_answer() {
    let mut bench = Bench::new();
    bench.receive(&request("FROBNICATE", 1, "z9hG4bKa", "", "", ""));
    let Event::Request { transaction, facts } = bench.only_event() else { panic!("a request") };
    assert_eq!(facts.method, Method::Unknown);
    let _ = bench.endpoint.respond(bench.now, transaction, 501, None, &[], None);
    assert!(header(&bench.only_sent(), "Allow").contains("INVITE"));
}

#[test]
fn the_whole_rfc_4475_corpus_is_survived_and_leaves_nothing() {
    let directory = format!("{}/tests/rfc4475", env!("CARGO_MANIFEST_DIR"));
    let mut bench = Bench::new();
    for entry in std::fs::read_dir(directory).expect("corpus") {
        let bytes = std::fs::read(entry.expect("entry").path()).expect("readable");
        let input = tandem_sip::Input::Datagram { flow: bench.flow, bytes: &bytes };
        bench.endpoint.handle(bench.now, input);
        for event in bench.events() {
            match event {
                Event::Invite { leg, .. } => {
                    let _ = bench.endpoint.answer(bench.now, leg, SDP.as_bytes());
                }
                Event::Request { transaction, .. } => {
                    let _ = bench.endpoint.respond(bench.now, transaction, 200, None, &[], None);
                }
                other => panic!("{other:?}"),
            }
        }
    }
    bench.assert_empty();
}

#[test]
fn a_guessed_branch_is_not_enough_to_enter_a_transaction() {
    let mut bench = Bench::new();
    let leg = bench.invited(&invite("z9hG4bKa", SDP));
    bench.receive(&request("CANCEL", 1, "z9hG4bKa", "", "", "").replace("call-1", "call-2"));
    assert_eq!(bench.summaries(), ["481"]);
    bench.invited(&invite("z9hG4bKa", SDP).replace("call-1", "call-3"));
    assert_eq!(bench.endpoint.ringing(bench.now, leg), Outcome::Sent);
}
