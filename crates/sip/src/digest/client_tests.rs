//! The client against published vectors, and its choice among challenges.

use super::*;

fn challenge(value: &str) -> Challenge {
    parse_challenge(ChallengeKind::Www, value).unwrap()
}

fn account(username: &str, password: &str) -> Credentials {
    Credentials { username: username.into(), password: password.into(), expected_realm: None }
}

fn response_of(answer: &Answer) -> String {
    parse_authorization(&answer.value).unwrap().response
}

/// `Mufasa` asks for `/dir/index.html`.
fn mufasa(password: &str, header: &str, cnonce: &str) -> Answer {
    let challenges = [challenge(header)];
    let account = account("Mufasa", password);
    authorize(&challenges, &account, Attempt::First, "GET", "/dir/index.html", b"", cnonce, 1).unwrap()
}

#[test]
fn rfc_2617_section_3_5_vector() {
    let header = "Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", \
                  nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"";
    let answer = mufasa("Circle Of Life", header, "0a4f113b");
    assert_eq!(
        answer.value,
        "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", \
         nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", uri=\"/dir/index.html\", \
         response=\"6629fae49393a05397450978507c4ef1\", cnonce=\"0a4f113b\", qop=auth, nc=00000001, \
         opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""
    );
    assert_eq!(answer.name, "Authorization");
}

#[test]
fn rfc_2069_vector_without_qop() {
    let header = "Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"";
    let answer = mufasa("CircleOfLife", header, "unused");
    assert_eq!(response_of(&answer), "1949323746fe6a43ef61f9606e7febea");
    assert!(!answer.value.contains("qop") && !answer.value.contains("cnonce"));
}

#[test]
fn rfc_7616_section_3_9_1_vectors_and_sha_256_is_chosen() {
    let header = |algorithm: &str| {
        format!(
            "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm={algorithm}, \
             nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", \
             opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
        )
    };
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    let md5 = mufasa("Circle of Life", &header("MD5"), cnonce);
    assert_eq!(response_of(&md5), "8ca523f5e9506fed4657c9700eebdbec");
    let sha = mufasa("Circle of Life", &header("SHA-256"), cnonce);
    assert_eq!(response_of(&sha), "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1");

    let both = [challenge(&header("MD5")), challenge(&header("sha-256"))];
    let account = account("Mufasa", "Circle of Life");
    let chosen =
        authorize(&both, &account, Attempt::First, "GET", "/dir/index.html", b"", cnonce, 1).unwrap();
    assert_eq!(chosen, sha);
}

#[test]
fn sip_authentication_examples_cover_sess_and_auth_int() {
    let body = "v=0\r\no=bob 2890844526 2890844526 IN IP4 media.biloxi.com\r\ns=-\r\n\
                c=IN IP4 media.biloxi.com\r\nt=0 0\r\nm=audio 49170 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n\
                m=video 51372 RTP/AVP 31\r\na=rtpmap:31 H261/90000\r\nm=video 53000 RTP/AVP 32\r\n\
                a=rtpmap:32 MPV/90000\r\n";
    let cases = [
        ("", "bf57e4e0d0bffc0fbaedce64d59add5e"),
        (", algorithm=MD5, qop=\"auth\"", "89eb0059246c02b2f6ee02c7961d5ea3"),
        (", algorithm=MD5-sess, qop=\"auth\"", "e4e4ea61d186d07a92c9e1f6919902e9"),
        (", algorithm=MD5, qop=\"auth-int\"", "bdbeebb2da6adb6bca02599c2239e192"),
        (", algorithm=MD5-sess, qop=\"auth-int\"", "91984da2d8663716e91554859c22ca70"),
    ];
    for (extra, expected) in cases {
        let header =
            format!("Digest realm=\"biloxi.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\"{extra}");
        let answer = authorize(
            &[challenge(&header)],
            &account("bob", "zanzibar"),
            Attempt::First,
            "INVITE",
            "sip:bob@biloxi.com",
            body.as_bytes(),
            "0a4f113b",
            1,
        )
        .unwrap();
        assert_eq!(response_of(&answer), expected, "{extra}");
    }
}

fn decide(headers: &[&str], credentials: &Credentials, attempt: Attempt) -> Result<Answer, AuthorizeError> {
    let challenges: Vec<Challenge> =
        headers.iter().map(|header| parse_challenge(ChallengeKind::Proxy, header).unwrap()).collect();
    authorize(&challenges, credentials, attempt, "INVITE", "sip:b@example.com", b"", "c", 1)
}

#[test]
fn unsupported_challenges_are_passed_over() {
    let md5 = "Digest realm=\"a\", nonce=\"n\", algorithm=MD5";
    let answer = decide(
        &["Digest realm=\"a\", nonce=\"n\", algorithm=SHA-512-256", md5],
        &account("u", "p"),
        Attempt::First,
    );
    assert_eq!(answer.unwrap().algorithm, Algorithm::Md5);
    let account = account("u", "p");
    for header in [
        "Digest realm=\"a\", nonce=\"n\", algorithm=AKAv1-MD5",
        "Digest realm=\"a\", nonce=\"n\", qop=\"auth-conf\"",
    ] {
        assert_eq!(decide(&[header], &account, Attempt::First), Err(AuthorizeError::Unsupported));
    }
    assert_eq!(decide(&[], &account, Attempt::First), Err(AuthorizeError::NoChallenge));
}

#[test]
fn pinned_realm_is_the_only_one_that_gets_an_answer() {
    let pinned = Credentials { expected_realm: Some("carrier".into()), ..account("u", "p") };
    let stranger = "Digest realm=\"thief\", nonce=\"n\", algorithm=SHA-256";
    assert_eq!(
        decide(&[stranger], &pinned, Attempt::First),
        Err(AuthorizeError::UnexpectedRealm { realm: "thief".into() })
    );
    let answer =
        decide(&[stranger, "Digest realm=\"carrier\", nonce=\"n\""], &pinned, Attempt::First).unwrap();
    assert_eq!((answer.realm.as_str(), answer.name), ("carrier", "Proxy-Authorization"));
}

#[test]
fn second_refusal_is_final_unless_the_nonce_was_stale() {
    let account = account("u", "p");
    let fresh = "Digest realm=\"a\", nonce=\"n\"";
    assert_eq!(
        decide(&[fresh], &account, Attempt::Repeated),
        Err(AuthorizeError::Rejected { realm: "a".into() })
    );
    assert!(decide(&["Digest realm=\"a\", nonce=\"n\", stale=TRUE"], &account, Attempt::Repeated).is_ok());
}

#[test]
fn user_names_with_quotes_and_line_breaks_stay_inside_their_quotes() {
    let answer =
        decide(&["Digest realm=\"a\\\"b\", nonce=\"n\""], &account("x\"\r\ny", "p"), Attempt::First).unwrap();
    assert!(answer.value.starts_with("Digest username=\"x\\\"y\", realm=\"a\\\"b\", "), "{}", answer.value);
}

#[test]
fn passwords_do_not_show_in_debug_output() {
    assert!(!format!("{:?}", account("u", "hunter2")).contains("hunter2"));
    let hash = ha1("u", "r", "hunter2", Algorithm::Md5);
    assert!(!format!("{hash:?}").contains(hash.as_hex()));
}

#[test]
fn stored_hashes_are_checked_for_length_and_hex() {
    let hash = ha1("u", "r", "p", Algorithm::Sha256);
    assert_eq!(Ha1::from_hex(&hash.as_hex().to_uppercase(), Algorithm::Sha256), Some(hash.clone()));
    assert_eq!(Ha1::from_hex(hash.as_hex(), Algorithm::Md5), None);
    assert_eq!(Ha1::from_hex(&"g".repeat(32), Algorithm::Md5), None);
}
