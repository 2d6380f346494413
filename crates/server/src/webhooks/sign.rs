//! Signatures of outgoing requests, and their verification for the demo and the test sinks.
//!
//! Two families share the header name `X-Vobiz-Signature` (Vobiz XML reference, "Signatures"):
//! - Form-encoded callbacks: base64 HMACs over the URL as the customer wrote it. V1 (SHA-1) covers
//!   URL and parameters; V2 and V3 (SHA-256) cover URL and nonce, never the parameters.
//! - JSON webhooks: hex HMAC-SHA256 over the exact body bytes. A recorded one could be replayed, so
//!   Standard Webhooks headers travel beside it, covering id and time as well.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::{HeaderMap, HeaderName, HeaderValue};
use secrecy::{ExposeSecret as _, SecretString};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq as _;
use tandem_model::{HttpMethod, entropy};

use super::{AccountSecrets, TrunkSecrets};

/// Decimal digits of a nonce.
pub(super) const NONCE_DIGITS: usize = 20;
/// How far a Standard Webhooks timestamp may be from the verifier's clock.
pub(super) const TIMESTAMP_TOLERANCE_S: u64 = 300;
/// Prefix of a secret in Standard Webhooks spelling; the rest is the base64 of the key.
const SECRET_PREFIX: &str = "whsec_";

const V1: HeaderName = HeaderName::from_static("x-vobiz-signature");
const V2: HeaderName = HeaderName::from_static("x-vobiz-signature-v2");
const V2_NONCE: HeaderName = HeaderName::from_static("x-vobiz-signature-v2-nonce");
const V3: HeaderName = HeaderName::from_static("x-vobiz-signature-v3");
const V3_NONCE: HeaderName = HeaderName::from_static("x-vobiz-signature-v3-nonce");
const MA_V2: HeaderName = HeaderName::from_static("x-vobiz-signature-ma-v2");
const MA_V3: HeaderName = HeaderName::from_static("x-vobiz-signature-ma-v3");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// The signatures of one callback request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallbackSignature {
    /// Over URL and sorted body parameters.
    pub v1: String,
    /// Nonce of V2.
    pub v2_nonce: String,
    /// Over base and nonce.
    pub v2: String,
    /// Nonce of V3; never the one of V2.
    pub v3_nonce: String,
    /// Over base, a dot and nonce.
    pub v3: String,
    /// V2 keyed with the main account's token.
    pub main_v2: String,
    /// V3 keyed with the main account's token.
    pub main_v3: String,
}

impl CallbackSignature {
    /// Writes the seven header fields.
    pub fn apply(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            (V1, &self.v1),
            (V2, &self.v2),
            (V2_NONCE, &self.v2_nonce),
            (V3, &self.v3),
            (V3_NONCE, &self.v3_nonce),
            (MA_V2, &self.main_v2),
            (MA_V3, &self.main_v3),
        ] {
            insert(headers, name, value);
        }
    }
}

/// The signatures of one JSON webhook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySignature {
    /// Lower-case hex HMAC-SHA256 of the body with the secret in force.
    pub hex: String,
    /// `webhook-id`.
    pub id: String,
    /// `webhook-timestamp`, seconds since the epoch.
    pub timestamp_s: i64,
    /// `webhook-signature`: `v1,…` for the secret in force, then for the one before.
    pub standard: String,
}

impl BodySignature {
    /// Writes the same with `sha256=` before the hex, as the vendor documents KYC webhooks.
    pub fn apply_prefixed(&self, headers: &mut HeaderMap) {
        self.apply(headers);
        insert(headers, V1, &format!("sha256={}", self.hex));
    }

    /// Writes the four header fields.
    pub fn apply(&self, headers: &mut HeaderMap) {
        insert(headers, V1, &self.hex);
        insert(headers, WEBHOOK_ID, &self.id);
        insert(headers, WEBHOOK_TIMESTAMP, &self.timestamp_s.to_string());
        insert(headers, WEBHOOK_SIGNATURE, &self.standard);
    }
}

/// Signs a form-encoded callback with fresh nonces.
///
/// `url` is the URL as the customer wrote it; on GET the parameters travel in its query.
pub fn sign_callback<Name: AsRef<str> + Ord>(
    secrets: &AccountSecrets,
    url: &str,
    method: HttpMethod,
    params: &[(Name, String)],
) -> CallbackSignature {
    let v2_nonce = entropy::decimal(NONCE_DIGITS);
    let v3_nonce = loop {
        let nonce = entropy::decimal(NONCE_DIGITS);
        if nonce != v2_nonce {
            break nonce;
        }
    };
    sign_callback_with(secrets, url, method, params, v2_nonce, v3_nonce)
}

fn sign_callback_with<Name: AsRef<str> + Ord>(
    secrets: &AccountSecrets,
    url: &str,
    method: HttpMethod,
    params: &[(Name, String)],
    v2_nonce: String,
    v3_nonce: String,
) -> CallbackSignature {
    let base = signing_base(url);
    let v1 = signature_v1(&secrets.token, url, method, params);
    let signed = |token| (signature_v2(token, &base, &v2_nonce), signature_v3(token, &base, &v3_nonce));
    let (v2, v3) = signed(&secrets.token);
    // Most accounts are their own main account.
    let (main_v2, main_v3) = secrets.main_token.as_ref().map_or_else(|| (v2.clone(), v3.clone()), signed);
    CallbackSignature { v1, v2_nonce, v2, v3_nonce, v3, main_v2, main_v3 }
}

/// Signs a JSON webhook: the hex form with the secret in force, the standard form with both.
///
/// The hex form is keyed with the secret's text as the customer sees it. The standard form is keyed
/// with the bytes that the text encodes when it begins with `whsec_`, else with the text too.
pub fn sign_body(secrets: &TrunkSecrets, id: &str, timestamp_s: i64, body: &[u8]) -> BodySignature {
    let mut standard = standard_signature(&secrets.current, id, timestamp_s, body);
    if let Some(previous) = &secrets.previous {
        standard.push(' ');
        standard.push_str(&standard_signature(previous, id, timestamp_s, body));
    }
    BodySignature {
        hex: hex::encode(hmac_sha256(secrets.current.expose_secret().as_bytes(), &[body])),
        id: id.to_owned(),
        timestamp_s,
        standard,
    }
}

/// Whether a callback's V2 and V3 headers are what `token` makes of `url`.
///
/// Checks the plain headers; a sub-account's main account passes its own token and gets the answer
/// from the `-MA-` headers.
pub fn verify_callback(token: &SecretString, url: &str, headers: &HeaderMap) -> bool {
    let base = signing_base(url);
    let (Some(v2_nonce), Some(v3_nonce)) = (text(headers, &V2_NONCE), text(headers, &V3_NONCE)) else {
        return false;
    };
    let v2 = signature_v2(token, &base, v2_nonce);
    let v3 = signature_v3(token, &base, v3_nonce);
    let holds =
        |name: &HeaderName, expected: &str| text(headers, name).is_some_and(|got| same(got, expected));
    (holds(&V2, &v2) && holds(&V3, &v3)) || (holds(&MA_V2, &v2) && holds(&MA_V3, &v3))
}

/// Whether `X-Vobiz-Signature` is the hex HMAC of `body`, as the vendor documents trunk webhooks.
pub fn verify_trunk(secret: &SecretString, headers: &HeaderMap, body: &[u8]) -> bool {
    let expected = hex::encode(hmac_sha256(secret.expose_secret().as_bytes(), &[body]));
    text(headers, &V1).is_some_and(|got| same(got, &expected))
}

/// Whether the Standard Webhooks headers hold for `body` at `now_s`: one of the signatures is ours
/// and the timestamp is within five minutes.
pub fn verify_body(secret: &SecretString, headers: &HeaderMap, body: &[u8], now_s: i64) -> bool {
    let (Some(id), Some(timestamp), Some(signatures)) =
        (text(headers, &WEBHOOK_ID), text(headers, &WEBHOOK_TIMESTAMP), text(headers, &WEBHOOK_SIGNATURE))
    else {
        return false;
    };
    let Ok(timestamp_s) = timestamp.parse::<i64>() else { return false };
    if timestamp_s.abs_diff(now_s) > TIMESTAMP_TOLERANCE_S {
        return false;
    }
    let expected = standard_signature(secret, id, timestamp_s, body);
    signatures.split(' ').any(|got| same(got, &expected))
}

/// What V2 and V3 sign: scheme, host, port if written, path; all as the customer wrote them.
/// Query, fragment and user info are cut off.
pub fn signing_base(url: &str) -> String {
    let url = url.trim();
    let end = url.find(['?', '#']).unwrap_or(url.len());
    without_user_info(&url[..end])
}

/// What V1 signs in front of the body's parameters: the requested URL with its query, into which
/// GET merges the parameters.
fn signing_url<Name: AsRef<str>>(url: &str, method: HttpMethod, params: &[(Name, String)]) -> String {
    let url = url.trim();
    let end = url.find('#').unwrap_or(url.len());
    let mut signed = without_user_info(&url[..end]);
    if method == HttpMethod::Get && !params.is_empty() {
        match signed.split_once('?') {
            None => signed.push('?'),
            Some((_, "")) => {}
            Some(_) => signed.push('&'),
        }
        signed.push_str(&form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish());
    }
    signed
}

fn without_user_info(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    // `\` ends the authority too: URL parsers of browsers, and ours, read it as `/`.
    let authority_end = rest.find(['/', '\\', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(authority_end);
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

fn signature_v1<Name: AsRef<str> + Ord>(
    token: &SecretString,
    url: &str,
    method: HttpMethod,
    params: &[(Name, String)],
) -> String {
    let mut sorted: Vec<_> = if method == HttpMethod::Post { params.iter().collect() } else { Vec::new() };
    sorted.sort();
    let mut mac = Hmac::<Sha1>::new_from_slice(token.expose_secret().as_bytes())
        .expect("HMAC takes a key of any length");
    mac.update(signing_url(url, method, params).as_bytes());
    for (key, value) in sorted {
        mac.update(key.as_ref().as_bytes());
        mac.update(value.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

fn signature_v2(token: &SecretString, base: &str, nonce: &str) -> String {
    let key = token.expose_secret().as_bytes();
    STANDARD.encode(hmac_sha256(key, &[base.as_bytes(), nonce.as_bytes()]))
}

fn signature_v3(token: &SecretString, base: &str, nonce: &str) -> String {
    let key = token.expose_secret().as_bytes();
    STANDARD.encode(hmac_sha256(key, &[base.as_bytes(), b".", nonce.as_bytes()]))
}

fn standard_signature(secret: &SecretString, id: &str, timestamp_s: i64, body: &[u8]) -> String {
    let secret = secret.expose_secret();
    let decoded = secret.strip_prefix(SECRET_PREFIX).and_then(|rest| STANDARD.decode(rest).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    let timestamp = timestamp_s.to_string();
    let mac = hmac_sha256(key, &[id.as_bytes(), b".", timestamp.as_bytes(), b".", body]);
    format!("v1,{}", STANDARD.encode(mac))
}

fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // Base64, hex, digits and ids: never a byte a header cannot carry.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

fn same(got: &str, expected: &str) -> bool {
    got.as_bytes().ct_eq(expected.as_bytes()).into()
}

#[cfg(test)]
mod tests;
