//! The server against well-behaved, odd and hostile clients.

use std::net::IpAddr;

use proptest::prelude::*;

use super::*;

const REALM: &str = "sip.example.com";
const NOW: u64 = 1_800_000_000;

fn server() -> DigestServer {
    DigestServer::new(NonceMint::new([7; 32], 1))
}

fn source() -> IpAddr {
    "192.0.2.10".parse().unwrap()
}

fn request() -> RequestFacts<'static> {
    RequestFacts {
        source: source(),
        realm: REALM,
        policy: ChallengePolicy::Md5,
        method: "REGISTER",
        body: b"",
    }
}

fn lookup(username: &str, algorithm: Algorithm) -> Option<Ha1> {
    (username == "alice").then(|| ha1("alice", REALM, "secret", algorithm))
}

/// Answers challenges as our own client does.
fn reply(challenges: &[String], username: &str, password: &str, nc: u32) -> Authorization {
    let challenges: Vec<Challenge> =
        challenges.iter().map(|value| parse_challenge(ChallengeKind::Www, value).unwrap()).collect();
    let account = Credentials { username: username.into(), password: password.into(), expected_realm: None };
    let answer =
        authorize(&challenges, &account, Attempt::First, "REGISTER", "sip:sip.example.com", b"", "cn", nc);
    parse_authorization(&answer.unwrap().value).unwrap()
}

fn challenge(server: &mut DigestServer) -> Vec<String> {
    server.challenge(NOW, source(), REALM, ChallengePolicy::Md5, Freshness::New)
}

fn alice() -> Verdict {
    Verdict::Ok { username: "alice".into() }
}

#[test]
fn challenge_prints_as_devices_expect() {
    let mut server = server();
    let values = server.challenge(NOW, source(), "a\"b", ChallengePolicy::Both, Freshness::Stale);
    let nonce = parse_challenge(ChallengeKind::Www, &values[0]).unwrap().nonce;
    assert_eq!(nonce.len(), 48);
    let expected = |algorithm: &str| {
        format!("Digest realm=\"a\\\"b\", nonce=\"{nonce}\", algorithm={algorithm}, qop=\"auth\", stale=true")
    };
    // MD5 stands first: several clients fail on SHA-256 first.
    assert_eq!(values, [expected("MD5"), expected("SHA-256")]);
    assert!(!challenge(&mut server)[0].contains("stale"));
}

#[test]
fn right_password_passes_and_counts_up_on_the_same_nonce() {
    let mut server = server();
    let challenges = challenge(&mut server);
    for nc in 1..=70 {
        let reply = reply(&challenges, "alice", "secret", nc);
        assert_eq!(server.verify(NOW, &request(), &reply, lookup), alice(), "{nc}");
    }
}

#[test]
fn every_policy_accepts_its_strongest_answer() {
    for policy in [ChallengePolicy::Md5, ChallengePolicy::Sha256, ChallengePolicy::Both] {
        let mut server = server();
        let challenges = server.challenge(NOW, source(), REALM, policy, Freshness::New);
        let reply = reply(&challenges, "alice", "secret", 1);
        let request = RequestFacts { policy, ..request() };
        assert_eq!(server.verify(NOW, &request, &reply, lookup), alice());
    }
}

#[test]
fn answer_with_another_algorithm_than_asked_is_asked_again() {
    let mut server = server();
    let reply = reply(&challenge(&mut server), "alice", "secret", 1);
    let request = RequestFacts { policy: ChallengePolicy::Sha256, ..request() };
    assert_eq!(server.verify(NOW, &request, &reply, lookup), Verdict::Stale);
}

#[test]
fn reused_count_is_stale_and_never_a_failure() {
    let mut server = server();
    let reply = reply(&challenge(&mut server), "alice", "secret", 1);
    assert_eq!(server.verify(NOW, &request(), &reply, lookup), alice());
    assert_eq!(server.verify(NOW, &request(), &reply, lookup), Verdict::Stale);
    // Even with another password: the count is judged first, the guess learns nothing.
    let mut guess = reply;
    guess.response = "0".repeat(32);
    assert_eq!(server.verify(NOW, &request(), &guess, lookup), Verdict::Stale);
}

#[test]
fn requests_that_overtake_each_other_over_udp_all_pass() {
    let mut server = server();
    let challenges = challenge(&mut server);
    for nc in [1, 4, 3, 2, 68] {
        let reply = reply(&challenges, "alice", "secret", nc);
        assert_eq!(server.verify(NOW, &request(), &reply, lookup), alice(), "{nc}");
    }
    // After 68 the window reaches down to 5; 4 is one past it, and used besides.
    assert_eq!(server.verify(NOW, &request(), &reply(&challenges, "alice", "secret", 5), lookup), alice());
    assert_eq!(
        server.verify(NOW, &request(), &reply(&challenges, "alice", "secret", 4), lookup),
        Verdict::Stale
    );
}

#[test]
fn wrong_response_does_not_use_up_the_count() {
    let mut server = server();
    let challenges = challenge(&mut server);
    let wrong = reply(&challenges, "alice", "guess", 1);
    assert_eq!(
        server.verify(NOW, &request(), &wrong, lookup),
        Verdict::WrongPassword { username: "alice".into() }
    );
    assert_eq!(server.verify(NOW, &request(), &reply(&challenges, "alice", "secret", 1), lookup), alice());
}

#[test]
fn count_zero_is_stale() {
    let mut server = server();
    let reply = reply(&challenge(&mut server), "alice", "secret", 0);
    assert_eq!(server.verify(NOW, &request(), &reply, lookup), Verdict::Stale);
}

#[test]
fn nonce_lives_its_time_and_not_a_second_longer() {
    let mut server = server();
    let reply = reply(&challenge(&mut server), "alice", "secret", 1);
    let late = NOW + NONCE_LIFE_SECONDS + 1;
    assert_eq!(server.verify(late, &request(), &reply, lookup), Verdict::Stale);
    assert_eq!(server.verify(NOW - 1, &request(), &reply, lookup), Verdict::Stale);
    assert_eq!(server.verify(NOW + NONCE_LIFE_SECONDS, &request(), &reply, lookup), alice());
}

#[test]
fn nonce_of_another_source_or_server_is_stale() {
    let mut server = server();
    let reply = reply(&challenge(&mut server), "alice", "secret", 1);
    let elsewhere = RequestFacts { source: "192.0.2.11".parse().unwrap(), ..request() };
    assert_eq!(server.verify(NOW, &elsewhere, &reply, lookup), Verdict::Stale);
    let mut stranger = DigestServer::new(NonceMint::new([8; 32], 1));
    assert_eq!(stranger.verify(NOW, &request(), &reply, lookup), Verdict::Stale);
    for nonce in ["", "zz", "dcd98b7102dd2f0e8b11d0f600bfb0c093", &"0".repeat(48)] {
        let forged = Authorization { nonce: nonce.into(), ..reply.clone() };
        assert_eq!(server.verify(NOW, &request(), &forged, lookup), Verdict::Stale, "{nonce}");
    }
}

#[test]
fn nonce_survives_a_restart_with_the_same_key() {
    let mut before = server();
    let challenges = challenge(&mut before);
    assert_eq!(before.verify(NOW, &request(), &reply(&challenges, "alice", "secret", 1), lookup), alice());
    let mut after = DigestServer::new(NonceMint::new([7; 32], 99));
    assert_eq!(after.verify(NOW + 1, &request(), &reply(&challenges, "alice", "secret", 2), lookup), alice());
}

#[test]
fn ipv4_peer_is_the_same_through_a_dual_stack_socket() {
    let mut server = server();
    let reply = reply(&challenge(&mut server), "alice", "secret", 1);
    let mapped = RequestFacts { source: "::ffff:192.0.2.10".parse().unwrap(), ..request() };
    assert_eq!(server.verify(NOW, &mapped, &reply, lookup), alice());
}

#[test]
fn challenges_of_one_second_have_nonces_of_their_own() {
    let mut server = server();
    let first = challenge(&mut server);
    let second = challenge(&mut server);
    assert_ne!(first, second);
    for challenges in [first, second] {
        assert_eq!(
            server.verify(NOW, &request(), &reply(&challenges, "alice", "secret", 1), lookup),
            alice()
        );
    }
}

#[test]
fn unknown_user_gets_the_answer_of_a_wrong_password() {
    let mut server = server();
    let challenges = challenge(&mut server);
    assert_eq!(
        server.verify(NOW, &request(), &reply(&challenges, "mallory", "secret", 1), lookup),
        Verdict::WrongPassword { username: "mallory".into() }
    );
}

#[test]
fn other_realm_is_unknown_and_counts_nothing() {
    let mut server = server();
    let reply =
        Authorization { realm: "else".into(), ..reply(&challenge(&mut server), "alice", "secret", 1) };
    assert_eq!(server.verify(NOW, &request(), &reply, lookup), Verdict::UnknownRealm);
}

#[test]
fn method_and_body_are_covered_as_qop_says() {
    let mut server = server();
    let challenges = challenge(&mut server);
    let as_invite = RequestFacts { method: "INVITE", ..request() };
    let auth = reply(&challenges, "alice", "secret", 1);
    assert!(matches!(server.verify(NOW, &as_invite, &auth, lookup), Verdict::WrongPassword { .. }));

    // auth-int is not offered but accepted.
    let offered = vec![challenges[0].replace("qop=\"auth\"", "qop=\"auth-int\"")];
    let integrity = reply(&offered, "alice", "secret", 2);
    assert_eq!(integrity.qop, Some(Qop::AuthInt));
    let tampered = RequestFacts { body: b"x", ..request() };
    assert!(matches!(server.verify(NOW, &tampered, &integrity, lookup), Verdict::WrongPassword { .. }));
    assert_eq!(server.verify(NOW, &request(), &integrity, lookup), alice());
}

#[test]
fn client_without_qop_is_accepted_while_the_nonce_lives() {
    let mut server = server();
    let plain = vec![challenge(&mut server)[0].replace(", qop=\"auth\"", "")];
    let reply = reply(&plain, "alice", "secret", 1);
    assert_eq!(reply.qop, None);
    for _ in 0..3 {
        assert_eq!(server.verify(NOW, &request(), &reply, lookup), alice());
    }
}

#[test]
fn sipp_and_other_spellings_of_the_header_are_read() {
    let response = "0123456789ABCDEF0123456789abcdef";
    for value in [
        // sipp 3.6
        format!(
            "Digest username=\"alice\",realm=\"r\",cnonce=\"6b8b4567\",nc=00000001,qop=auth,uri=\"sip:127.0.0.1:5060\",nonce=\"n\",response=\"{response}\",algorithm=MD5"
        ),
        // everything quoted
        format!(
            "Digest username=\"alice\", realm=\"r\", nonce=\"n\", uri=\"sip:x\", response=\"{response}\", algorithm=\"MD5\", qop=\"auth\", nc=\"00000001\", cnonce=\"c\""
        ),
        // hardly anything quoted, upper case, blanks, folded line, empty elements
        format!(
            "DIGEST  USERNAME = alice ,, Realm=r,\r\n NONCE=n, URI=sip:x;transport=udp, Response={response}, Algorithm=md5, QOP=AUTH, NC=1, CNONCE=c,"
        ),
    ] {
        let parsed = parse_authorization(&value).unwrap();
        assert_eq!(
            (parsed.username.as_str(), parsed.algorithm, parsed.qop),
            ("alice", Algorithm::Md5, Some(Qop::Auth))
        );
    }
}

#[test]
fn upper_case_response_and_quoted_user_names_verify() {
    let mut server = server();
    let mut reply = reply(&challenge(&mut server), "alice", "secret", 1);
    reply.response = reply.response.to_uppercase();
    assert_eq!(server.verify(NOW, &request(), &reply, lookup), alice());
    let odd = parse_authorization(&format!(
        "Digest username=\"a\\\"b\\\\c\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"{}\"",
        "0".repeat(32)
    ));
    assert_eq!(odd.unwrap().username, "a\"b\\c");
}

#[test]
fn broken_headers_name_what_is_wrong() {
    let full = |extra: &str| {
        format!(
            "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"{}\"{extra}",
            "0".repeat(32)
        )
    };
    let cases = [
        ("Basic dXNlcjpwYXNz".to_owned(), ParseError::NotDigest),
        ("Digest".to_owned(), ParseError::NotDigest),
        ("Digest username=\"a".to_owned(), ParseError::BadSyntax),
        ("Digest username".to_owned(), ParseError::BadSyntax),
        ("Digest username=\"a\"x".to_owned(), ParseError::BadSyntax),
        ("Digest username=\"a\"".to_owned(), ParseError::Missing("realm")),
        (full(", algorithm=SHA-512-256"), ParseError::BadParameter("algorithm")),
        (full(", qop=auth-conf"), ParseError::BadParameter("qop")),
        (full(", qop=auth"), ParseError::Missing("nc")),
        (full(", qop=auth, nc=xyz"), ParseError::BadParameter("nc")),
        (full(", qop=auth, nc=000000001"), ParseError::BadParameter("nc")),
        (full(", qop=auth, nc=1"), ParseError::Missing("cnonce")),
        (full(", algorithm=MD5-sess"), ParseError::Missing("cnonce")),
        (full(", algorithm=SHA-256"), ParseError::BadParameter("response")),
    ];
    for (value, error) in cases {
        assert_eq!(parse_authorization(&value), Err(error), "{value}");
    }
    assert!(parse_authorization(&full("")).is_ok());
}

#[test]
fn header_length_and_parameter_count_are_bounded() {
    let sized = |bytes: usize| {
        let head = format!(
            "Digest username=\"a\", realm=\"r\", nonce=\"n\", uri=\"u\", response=\"{}\", x=",
            "0".repeat(32)
        );
        let padding = "y".repeat(bytes - head.len());
        head + &padding
    };
    assert!(parse_authorization(&sized(MAX_HEADER_BYTES)).is_ok());
    assert_eq!(
        parse_authorization(&sized(MAX_HEADER_BYTES + 1)),
        Err(ParseError::TooLong { bytes: MAX_HEADER_BYTES + 1 })
    );
    let many = |extra: usize| format!("{}{}", sized(200), ", z=1".repeat(extra));
    // Six stand there already.
    assert!(parse_authorization(&many(26)).is_ok());
    assert_eq!(parse_authorization(&many(27)), Err(ParseError::BadSyntax));
}

proptest! {
    #[test]
    fn arbitrary_headers_never_panic(text in "(Digest )?[ -~\u{e4}\r\n\t]{0,200}") {
        let _ = parse_authorization(&text);
        let _ = parse_challenge(ChallengeKind::Proxy, &text);
    }

    #[test]
    fn arbitrary_replies_never_verify_and_never_panic(
        nonce in "[0-9a-f]{0,60}", nc in "[0-9a-fA-F]{1,8}", response in "[0-9a-f]{32}", own in any::<bool>(),
    ) {
        let mut server = server();
        let challenges = challenge(&mut server);
        let live = parse_challenge(ChallengeKind::Www, &challenges[0]).unwrap().nonce;
        let nonce = if own { live } else { nonce };
        let value = format!("Digest username=\"alice\", realm=\"{REALM}\", nonce=\"{nonce}\", uri=\"u\", \
                             response=\"{response}\", qop=auth, nc={nc}, cnonce=\"c\"");
        let parsed = parse_authorization(&value).unwrap();
        let verdict = server.verify(NOW, &request(), &parsed, lookup);
        prop_assert!(verdict != alice());
        // Only a live nonce of ours can make a failure.
        prop_assert!(own || verdict == Verdict::Stale);
    }

    #[test]
    fn any_account_answers_any_realm(
        username in "[ -~]{1,20}", password in "\\PC{0,20}", realm in "[ -~]{1,20}", nc in 1_u32..,
    ) {
        let mut server = server();
        let challenges = server.challenge(NOW, source(), &realm, ChallengePolicy::Both, Freshness::New);
        let reply = reply(&challenges, &username, &password, nc);
        let request = RequestFacts { realm: &realm, policy: ChallengePolicy::Both, ..request() };
        let verdict = server.verify(NOW, &request, &reply, |user, algorithm| Some(ha1(user, &realm, &password, algorithm)));
        prop_assert_eq!(verdict, Verdict::Ok { username });
    }
}
