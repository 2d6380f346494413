//! A provider behind HTTP: JSON, signed both ways, through the guarded client. The contract is
//! docs/reference/payment-provider.md.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;
use sha2::Sha256;
use tandem_model::clock;

use super::{Checkout, PaymentProvider, ProviderError, Wish};
use crate::egress::{Egress, EgressLimits, EgressRequest, EgressTarget, Overflow, Redirects};

/// Over one request, its body included.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// Longest reference and reason kept.
const TEXT_MAX: usize = 200;
/// How far a notice's clock may be from ours.
const TOLERANCE_S: u64 = 300;
const TIMESTAMP: HeaderName = HeaderName::from_static("x-tandem-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-tandem-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A provider.
pub(crate) struct HttpProvider {
    base: String,
    secret: SecretString,
    webhook_url: String,
    egress: Egress,
}

#[derive(Deserialize)]
struct Answer {
    reference: String,
    checkout_url: String,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    reason: String,
}

impl HttpProvider {
    /// The provider at `base`; requests and notices are signed with `secret`.
    pub(crate) fn new(
        base: &str,
        secret: SecretString,
        api_url: &str,
        egress: Egress,
    ) -> Result<Self, String> {
        EgressTarget::parse(base).map_err(|error| error.to_string())?;
        let webhook_url = format!("{api_url}/api/v1/payments/http/webhook");
        Ok(Self { base: base.trim_end_matches('/').to_owned(), secret, webhook_url, egress })
    }

    /// `sha256=` and the hex HMAC of the parts joined by dots.
    fn signature(&self, parts: &[&[u8]]) -> String {
        let mac = self.mac(parts);
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn mac(&self, parts: &[&[u8]]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(&parts.join(&b'.'));
        mac
    }

    async fn told(&self, wish: &Wish) -> Result<Checkout, ProviderError> {
        let unavailable = |words: String| ProviderError::Unavailable(words);
        let target = EgressTarget::parse(&format!("{}/v1/intents", self.base))
            .map_err(|error| unavailable(error.to_string()))?;
        let intent = wish.intent.hyphenated().to_string();
        let body = json!({
            "intent_id": intent, "account_auth_id": wish.account, "amount": wish.amount.to_fixed(2),
            "currency": wish.currency, "return_url": wish.return_url, "webhook_url": self.webhook_url,
        })
        .to_string();
        let timestamp = clock::wall().as_second();
        let path = target.url().path().to_owned();
        let stamp = timestamp.to_string();
        let signature = self.signature(&[stamp.as_bytes(), b"POST", path.as_bytes(), body.as_bytes()]);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        for (name, text) in [(SIGNATURE, &signature), (IDEMPOTENCY_KEY, &intent)] {
            if let Ok(value) = HeaderValue::from_str(text) {
                headers.insert(name, value);
            }
        }
        let limits = EgressLimits::new(PATIENCE, ANSWER_BYTES_MAX, Overflow::Fail, Redirects::Return);
        let request =
            EgressRequest { method: Method::POST, target, headers, body: Bytes::from(body), limits };
        let response = self.egress.send(request).await.map_err(|error| unavailable(error.to_string()))?;
        let status = response.status;
        if status.is_client_error() && !matches!(status.as_u16(), 401 | 403 | 408 | 429) {
            let refusal = serde_json::from_slice(&response.body).unwrap_or(Refusal { reason: String::new() });
            return Err(ProviderError::Refused(shown(&refusal.reason)));
        }
        if !status.is_success() {
            return Err(unavailable(format!("it answered {}", status.as_u16())));
        }
        let answer: Answer = serde_json::from_slice(&response.body)
            .map_err(|_| unavailable("its answer is not the contract's".to_owned()))?;
        let good = (1..=TEXT_MAX).contains(&answer.reference.len())
            && EgressTarget::parse(&answer.checkout_url).is_ok();
        if good {
            Ok(Checkout { reference: answer.reference, url: answer.checkout_url })
        } else {
            Err(unavailable("its checkout is not the contract's".to_owned()))
        }
    }
}

/// Words of others, cut to what may be shown.
pub(crate) fn shown(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(TEXT_MAX).collect()
}

impl PaymentProvider for HttpProvider {
    fn name(&self) -> &'static str {
        "http"
    }

    fn open<'a>(&'a self, wish: &'a Wish) -> BoxFuture<'a, Result<Checkout, ProviderError>> {
        Box::pin(self.told(wish))
    }

    /// `X-Tandem-Signature: sha256=` and the hex HMAC of `timestamp.body`, no older than five minutes.
    fn is_genuine(&self, headers: &HeaderMap, body: &[u8]) -> bool {
        let text =
            |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let stamp = text(&TIMESTAMP);
        let fresh =
            stamp.parse::<i64>().is_ok_and(|at| at.abs_diff(clock::wall().as_second()) <= TOLERANCE_S);
        let shown = text(&SIGNATURE).strip_prefix("sha256=").and_then(|hex| hex::decode(hex).ok());
        let Some(shown) = shown.filter(|_| fresh) else { return false };
        self.mac(&[stamp.as_bytes(), body]).verify_slice(&shown).is_ok()
    }
}

#[cfg(test)]
mod tests;
