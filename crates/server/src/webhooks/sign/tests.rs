//! Golden signatures, computed by an independent implementation.

use super::*;

const V2_TEST_NONCE: &str = "12345678901234567890";
const V3_TEST_NONCE: &str = "09876543210987654321";

/// URL as written, base, V2, V3.
const GOLDEN: &[(&str, &str, &str, &str)] = &[
    (
        "https://app.example:8443/v/answer?x=1#rc=2",
        "https://app.example:8443/v/answer",
        "BwMfo6QtkN7TKW6ot2ik1aXhYSWTtVIV9UafdgzbOJ4=",
        "KvTD//u+nuJR070k7ahZXfZhwfoW/KedSEXI9+t7e54=",
    ),
    (
        "https://app.example/hook/",
        "https://app.example/hook/",
        "Ngu6LMF5pzLpM+tDDiDubTXqIUV4CMe+nNoJ+L6egIM=",
        "Gedx0Tsbue880w6wCQJaw0tSEbcmlY1M5bzD/VcemoY=",
    ),
    (
        "https://app.example",
        "https://app.example",
        "vDO67JE1XCixw6oTUIBmCXaaMP4STbfH7B7lQJr7IWI=",
        "Rpj2KkCGqAE31W0gIVIux122F1vq9h1P8Nn5XsYaaNo=",
    ),
    (
        "https://App.Example.COM/Hook",
        "https://App.Example.COM/Hook",
        "j7/3ZBbjvLZiV4jpkYwwD0EMm9mhkKoDM6jKyCP1698=",
        "F6q4Nox8rpDQSghYM4T/BNM1PgcxY850blsKBexDyQo=",
    ),
    (
        "https://user:pa%40ss@app.example/hook",
        "https://app.example/hook",
        "U0CMuI7rfcFzrtbI73M/jI/r6rorsKOh8UpZaSrUotc=",
        "FUn6RWankKMCnZApACGn2xvmt/9MbD3KqXyWiHh/q2o=",
    ),
    (
        "http://app.example:80/a//b/../c",
        "http://app.example:80/a//b/../c",
        "Kh5toIRsX4eM4/z8drQDVO5D/QysjnVAkXaJbguTjoc=",
        "2hNHTYsaDYUBxWcZJJIn9k2qU5zQIYodNRu8zLTcdyk=",
    ),
    (
        "https://app.example/a@b?mail=c@d",
        "https://app.example/a@b",
        "pf/AAq/EN/Wo9fH6jPnUwDpL4BMYB6/bW5Vqp1nDJr0=",
        "ort0EnAqaWcAfsiajYcOvLgqP8tEW7+LQ5FVbU72a9k=",
    ),
    (
        "https://app.example/h#frag?x=1",
        "https://app.example/h",
        "3aTaHFKDC2YocgGdOjnx93b4pHIgcp4GOlai/UddK2s=",
        "jJPR2zdBZUFs78JE5uI3yAWYedob76Kb/3A7X720x84=",
    ),
    (
        "https://app.example?x=1",
        "https://app.example",
        "vDO67JE1XCixw6oTUIBmCXaaMP4STbfH7B7lQJr7IWI=",
        "Rpj2KkCGqAE31W0gIVIux122F1vq9h1P8Nn5XsYaaNo=",
    ),
    (
        "https://[2001:db8::1]:8443/x",
        "https://[2001:db8::1]:8443/x",
        "SxDWI2v74aKVK0aAH9DevnTNUY9ABuYBFfYVXGlylKE=",
        "c5QrNSqP/fkZMmxoLn+SZ0rDMmvofEgmQhllQnDe33g=",
    ),
    (
        "https://app.example/%E0%A4%95?q",
        "https://app.example/%E0%A4%95",
        "AIEriWKDcOqkVO1xNKFfmIq9z7MTJJe7And2hxk6Yd8=",
        "yGx2F+pYB64TKG2v2zRy0+cUJeDpSF9avVga4QXTjR8=",
    ),
];

fn secrets() -> AccountSecrets {
    AccountSecrets {
        token: SecretString::from("token-of-the-account"),
        main_token: Some(SecretString::from("token-of-the-main-account")),
    }
}

fn signed(
    secrets: &AccountSecrets,
    url: &str,
    method: HttpMethod,
    params: &[(String, String)],
) -> CallbackSignature {
    sign_callback_with(secrets, url, method, params, V2_TEST_NONCE.to_owned(), V3_TEST_NONCE.to_owned())
}

fn params() -> Vec<(String, String)> {
    [("To", "15551234"), ("From", "+91 98"), ("CallUUID", "abc"), ("Event", "Hangup"), ("Empty", "")]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .to_vec()
}

#[test]
fn v2_and_v3_sign_the_url_as_written_without_query_fragment_and_user_info() {
    for (url, base, v2, v3) in GOLDEN {
        assert_eq!(&signing_base(url), base);
        let signature = signed(&secrets(), url, HttpMethod::Post, &params());
        assert_eq!((signature.v2.as_str(), signature.v3.as_str()), (*v2, *v3), "{url}");
    }
}

#[test]
fn main_account_signatures_use_the_main_token_and_equal_the_plain_ones_without_one() {
    let url = "https://app.example/hook/";
    let signature = signed(&secrets(), url, HttpMethod::Post, &params()[..0]);
    assert_eq!(signature.main_v2, "nJuyPKaEzsoVtpsELjMD0Z9pNSl4BcZWL6LBEilikbw=");
    assert_eq!(signature.main_v3, "6rONMIDZXgqss7TeGUgzToVfQpnJyq3WVMwJOmJm6xc=");
    let alone = AccountSecrets { main_token: None, ..secrets() };
    let signature = signed(&alone, url, HttpMethod::Post, &params()[..0]);
    assert_eq!((signature.main_v2, signature.main_v3), (signature.v2, signature.v3));
}

#[test]
fn v1_covers_the_query_and_the_sorted_body_parameters() {
    let url = "https://user:pw@app.example:8443/v/answer?x=1#rc=2";
    let signature = signed(&secrets(), url, HttpMethod::Post, &params());
    assert_eq!(signature.v1, "99xRdtY9nF7RTbgFnWgJjGurdCo=");
}

#[test]
fn v1_of_a_get_covers_the_merged_query() {
    let params = params();
    let merged = "https://app.example/a?x=1&To=15551234&From=%2B91+98&CallUUID=abc&Event=Hangup&Empty=";
    assert_eq!(signing_url("https://app.example/a?x=1#rc=2", HttpMethod::Get, &params), merged);
    assert_eq!(
        signing_url("https://app.example/a", HttpMethod::Get, &params[..1]),
        "https://app.example/a?To=15551234"
    );
    assert_eq!(
        signing_url("https://app.example/a?", HttpMethod::Get, &params[..1]),
        "https://app.example/a?To=15551234"
    );
    let get = signed(&secrets(), "https://app.example/a?x=1", HttpMethod::Get, &params);
    let spelled_out = signed(&secrets(), merged, HttpMethod::Get, &[]);
    assert_eq!(get.v1, spelled_out.v1);
}

#[test]
fn nonces_are_twenty_digits_and_differ() {
    for _ in 0..200 {
        let signature = sign_callback(&secrets(), "https://app.example/", HttpMethod::Post, &params()[..0]);
        for nonce in [&signature.v2_nonce, &signature.v3_nonce] {
            assert!(nonce.len() == 20 && nonce.bytes().all(|byte| byte.is_ascii_digit()), "{nonce}");
        }
        assert_ne!(signature.v2_nonce, signature.v3_nonce);
    }
}

#[test]
fn a_callback_verifies_with_either_token_and_not_for_another_url() {
    let url = "https://App.example:8443/hook?x=1";
    let mut headers = HeaderMap::new();
    sign_callback(&secrets(), url, HttpMethod::Post, &params()).apply(&mut headers);
    assert_eq!(headers.len(), 7);
    assert!(verify_callback(&secrets().token, url, &headers));
    assert!(verify_callback(secrets().main_token.as_ref().unwrap(), url, &headers));
    assert!(!verify_callback(&SecretString::from("another"), url, &headers));
    assert!(!verify_callback(&secrets().token, "https://app.example:8443/hook", &headers));
    headers.insert(V3_NONCE, HeaderValue::from_static("00000000000000000000"));
    assert!(!verify_callback(&secrets().token, url, &headers));
    headers.remove(V3_NONCE);
    assert!(!verify_callback(&secrets().token, url, &headers));
}

#[test]
fn a_webhook_body_is_signed_in_hex_and_in_standard_form() {
    let secrets = TrunkSecrets { current: SecretString::from("trunk-secret"), previous: None };
    let signature = sign_body(&secrets, "evt_1", 1_700_000_000, br#"{"Event":"Hangup"}"#);
    assert_eq!(signature.hex, "e2207ac008c472674165a0aa118e9972494cae3d50da38ab36a2914cac2076a2");
    assert_eq!(signature.standard, "v1,davbcVUPDemk/kRjjoXdeBqVg48oH/04k9Pld9S7gwk=");
}

#[test]
fn a_secret_in_standard_spelling_gives_the_published_vector() {
    let secrets = TrunkSecrets {
        current: SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"),
        previous: None,
    };
    let signature =
        sign_body(&secrets, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
    assert_eq!(signature.standard, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
}

#[test]
fn a_rotation_signs_with_both_secrets_and_the_hex_form_with_the_new_one() {
    let (new, old) = (SecretString::from("new"), SecretString::from("old"));
    let secrets = TrunkSecrets { current: new.clone(), previous: Some(old.clone()) };
    let body = b"{}";
    let mut headers = HeaderMap::new();
    sign_body(&secrets, "evt", 1_000, body).apply(&mut headers);
    for secret in [&new, &old] {
        assert!(verify_body(secret, &headers, body, 1_000));
    }
    assert!(verify_trunk(&new, &headers, body));
    assert!(!verify_trunk(&old, &headers, body));
    assert!(!verify_body(&SecretString::from("third"), &headers, body, 1_000));
    assert!(!verify_body(&new, &headers, b"{ }", 1_000));
}

#[test]
fn a_replayed_webhook_is_refused_five_minutes_later() {
    let secret = SecretString::from("s");
    let secrets = TrunkSecrets { current: secret.clone(), previous: None };
    let mut headers = HeaderMap::new();
    sign_body(&secrets, "evt", 10_000, b"{}").apply(&mut headers);
    for (now_s, holds) in [(10_000, true), (10_300, true), (9_700, true), (10_301, false), (9_699, false)] {
        assert_eq!(verify_body(&secret, &headers, b"{}", now_s), holds, "{now_s}");
    }
}
