//! Any text as credentials and as a challenge; what we answer to a challenge reads back.

use std::net::{IpAddr, Ipv4Addr};

use tandem_sip::digest::{
    Attempt, ChallengeKind, ChallengePolicy, Credentials, DigestServer, NonceMint, RequestFacts, Verdict,
    authorize, ha1, parse_authorization, parse_challenge,
};
use tandem_sip::message::{FieldName, HeaderField};

/// Reads the text both ways; no guess is ever let in.
///
/// # Panics
/// When something promised does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(authorization) = parse_authorization(text) {
        let mut server = DigestServer::new(NonceMint::new([7; 32], 7));
        let realm = authorization.realm.clone();
        let request = RequestFacts {
            method: "REGISTER",
            source: IpAddr::V4(Ipv4Addr::LOCALHOST),
            realm: &realm,
            policy: ChallengePolicy::Both,
            body: b"",
        };
        let verdict = server.verify(1, &request, &authorization, |user, algorithm| {
            Some(ha1(user, &realm, "secret", algorithm))
        });
        assert!(!matches!(verdict, Verdict::Ok { .. }), "nobody has seen a nonce of this server");
    }
    let Ok(challenge) = parse_challenge(ChallengeKind::Www, text) else { return };
    let credentials =
        Credentials { username: "user".to_owned(), password: "secret".to_owned(), expected_realm: None };
    let answer = authorize(
        std::slice::from_ref(&challenge),
        &credentials,
        Attempt::First,
        "INVITE",
        "sip:x@h",
        b"",
        "0a4f113b",
        1,
    );
    if let Ok(answer) = answer {
        let reread = parse_authorization(&answer.value);
        // What a stranger's header may hold need not fit into one of ours; then nothing is sent.
        if HeaderField::new(FieldName::Authorization, answer.value.clone()).is_ok()
            && !challenge.realm.chars().any(|character| character.is_ascii_control())
            && !challenge.nonce.chars().any(|character| character.is_ascii_control())
        {
            let reread = reread.unwrap_or_else(|error| panic!("{error}: {}", answer.value));
            assert_eq!((reread.realm, reread.nonce), (answer.realm, answer.nonce));
        }
    }
}
