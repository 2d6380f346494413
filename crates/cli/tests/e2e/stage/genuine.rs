//! Signatures as a customer's program checks them, written from the contract alone: nothing of the product's code
//! is used, so that one mistake cannot hide another.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::Sha256;
use tandem_testkit::Request;

/// Checks a form-encoded callback against the account's token.
///
/// # Panics
/// When a signature is missing or wrong; it says which.
#[track_caller]
pub(crate) fn callback(token: &str, request: &Request) {
    let host = text(request, "host");
    let url = format!("http://{host}{}", request.target);
    let base = url.split(['?', '#']).next().unwrap_or_default();
    let (v2_nonce, v3_nonce) =
        (text(request, "x-vobiz-signature-v2-nonce"), text(request, "x-vobiz-signature-v3-nonce"));
    for nonce in [&v2_nonce, &v3_nonce] {
        assert!(nonce.len() == 20 && nonce.bytes().all(|byte| byte.is_ascii_digit()), "nonce {nonce:?}");
    }
    assert_ne!(v2_nonce, v3_nonce, "the nonces of one request differ");
    let v2 = sha256_base64(token.as_bytes(), format!("{base}{v2_nonce}").as_bytes());
    let v3 = sha256_base64(token.as_bytes(), format!("{base}.{v3_nonce}").as_bytes());
    for (header, expected) in [
        ("x-vobiz-signature-v2", &v2),
        ("x-vobiz-signature-ma-v2", &v2),
        ("x-vobiz-signature-v3", &v3),
        ("x-vobiz-signature-ma-v3", &v3),
    ] {
        assert_eq!(&text(request, header), expected, "{header} of {} {}", request.method, request.target);
    }
    if request.method == http::Method::POST {
        let mut fields: Vec<(String, String)> = form_urlencoded::parse(&request.body).into_owned().collect();
        fields.sort();
        let mut signed = url.clone();
        for (name, value) in fields {
            signed.push_str(&name);
            signed.push_str(&value);
        }
        let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(token.as_bytes()).expect("any key length");
        mac.update(signed.as_bytes());
        let v1 = STANDARD.encode(mac.finalize().into_bytes());
        assert_eq!(text(request, "x-vobiz-signature"), v1, "x-vobiz-signature of {}", request.target);
    }
    assert!(text(request, "user-agent").to_ascii_lowercase().contains("vobiz"));
}

/// Checks a JSON trunk webhook against the trunk's signing secret: the documented hex form, and Standard Webhooks.
///
/// # Panics
/// When a signature is missing or wrong; it says which.
#[track_caller]
pub(crate) fn trunk_event(secret: &str, request: &Request) {
    let hex = hex::encode(sha256(secret.as_bytes(), &request.body));
    assert_eq!(text(request, "x-vobiz-signature"), hex, "x-vobiz-signature of {}", request.event());
    assert_eq!(text(request, "x-vobiz-event"), request.event());
    let (id, timestamp) = (text(request, "webhook-id"), text(request, "webhook-timestamp"));
    let at: i64 = timestamp.parse().expect("seconds since the epoch");
    assert!((at - request.at_ms / 1_000).abs() <= 5, "webhook-timestamp is the time of sending");
    let key = match secret.strip_prefix("whsec_") {
        Some(encoded) => STANDARD.decode(encoded).expect("base64 behind whsec_"),
        None => secret.as_bytes().to_vec(),
    };
    let mut signed = format!("{id}.{timestamp}.").into_bytes();
    signed.extend_from_slice(&request.body);
    let standard = format!("v1,{}", sha256_base64(&key, &signed));
    let sent = text(request, "webhook-signature");
    assert!(sent.split(' ').any(|one| one == standard), "webhook-signature {sent} is not {standard}");
}

fn text(request: &Request, header: &str) -> String {
    let value = request.headers.get(header).and_then(|value| value.to_str().ok());
    value.unwrap_or_else(|| panic!("{} {} has no {header}", request.method, request.target)).to_owned()
}

fn sha256(key: &[u8], bytes: &[u8]) -> Vec<u8> {
    let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).expect("any key length");
    mac.update(bytes);
    mac.finalize().into_bytes().to_vec()
}

fn sha256_base64(key: &[u8], bytes: &[u8]) -> String {
    STANDARD.encode(sha256(key, bytes))
}

/// RFC 4231 test case 2 and RFC 2202 case 2: the oracle itself is right.
#[test]
fn the_oracle_knows_the_published_vectors() {
    let expected = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
    assert_eq!(hex::encode(sha256(b"Jefe", b"what do ya want for nothing?")), expected);
    let mut mac = <Hmac<Sha1> as KeyInit>::new_from_slice(b"Jefe").unwrap();
    mac.update(b"what do ya want for nothing?");
    assert_eq!(hex::encode(mac.finalize().into_bytes()), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
}
