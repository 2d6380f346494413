//! A vendor behind HTTP: JSON, signed, through the guarded client. The contract is docs/reference/kyc-verifier.md.

use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};
use sha2::Sha256;
use tandem_model::clock;

use super::{Company, DigiLocker, Finding, KycVerifier, Showing, VerifierError, cleaned};
use crate::egress::{Egress, EgressLimits, EgressRequest, EgressTarget, Overflow, Redirects};

/// Over one request, its body included.
const PATIENCE: Duration = Duration::from_secs(15);
/// Longest answer.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// When a pending document is asked for first, unless the vendor says.
const ASK_AFTER: Duration = Duration::from_secs(15);
/// Companies shown of a search.
const MATCHES_MAX: usize = 50;
/// Longest reference kept.
const REFERENCE_MAX: usize = 200;
const TIMESTAMP: HeaderName = HeaderName::from_static("x-tandem-timestamp");
const SIGNATURE: HeaderName = HeaderName::from_static("x-tandem-signature");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A vendor.
pub(crate) struct HttpVerifier {
    base: String,
    secret: SecretString,
    egress: Egress,
}

#[derive(Deserialize)]
struct Answer {
    status: String,
    #[serde(default)]
    reference: Option<String>,
    #[serde(default)]
    retry_after_s: Option<u64>,
    #[serde(default)]
    reason: Option<String>,
    #[serde(default)]
    evidence: Map<String, Value>,
}

#[derive(Deserialize)]
struct Matches {
    matches: Vec<Company>,
}

impl HttpVerifier {
    /// The vendor at `base`; requests are signed with `secret`.
    pub(crate) fn new(base: &str, secret: SecretString, egress: Egress) -> Result<Self, String> {
        EgressTarget::parse(base).map_err(|error| error.to_string())?;
        Ok(Self { base: base.trim_end_matches('/').to_owned(), secret, egress })
    }

    async fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<T, VerifierError> {
        let unavailable = |words: String| VerifierError::Unavailable(words);
        let target = EgressTarget::parse(&format!("{}{path}", self.base))
            .map_err(|error| unavailable(error.to_string()))?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let timestamp = clock::wall().as_second();
        let signature = self.signature(timestamp, &method, target.url().path(), &body);
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(TIMESTAMP, HeaderValue::from(timestamp));
        for (name, text) in [(SIGNATURE, Some(signature.as_str())), (IDEMPOTENCY_KEY, key)] {
            if let Some(value) = text.and_then(|text| HeaderValue::from_str(text).ok()) {
                headers.insert(name, value);
            }
        }
        let limits = EgressLimits::new(PATIENCE, ANSWER_BYTES_MAX, Overflow::Fail, Redirects::Return);
        let request = EgressRequest { method, target, headers, body: Bytes::from(body), limits };
        let response = self.egress.send(request).await.map_err(|error| unavailable(error.to_string()))?;
        if !response.status.is_success() {
            return Err(unavailable(format!("it answered {}", response.status.as_u16())));
        }
        // Not the parser's words: they would quote what somebody showed.
        serde_json::from_slice(&response.body)
            .map_err(|_| unavailable("its answer is not the contract's".to_owned()))
    }

    /// `sha256=` and the hex HMAC of `timestamp.METHOD.path.body`.
    fn signature(&self, timestamp: i64, method: &Method, path: &str, body: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.secret.expose_secret().as_bytes())
            .expect("HMAC takes a key of any length");
        mac.update(format!("{timestamp}.{method}.{path}.{body}").as_bytes());
        format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
    }
}

fn finding(answer: Answer) -> Result<Finding, VerifierError> {
    match answer.status.as_str() {
        "verified" => Ok(Finding::Verified(cleaned(answer.evidence))),
        "failed" => {
            let reason = answer.reason.unwrap_or_else(|| "The document was not accepted.".to_owned());
            Ok(Finding::Failed(reason.chars().filter(|c| !c.is_control()).take(300).collect()))
        }
        "pending" => {
            match answer.reference.filter(|reference| (1..=REFERENCE_MAX).contains(&reference.len())) {
                Some(reference) => {
                    let after =
                        answer.retry_after_s.map_or(ASK_AFTER, |s| Duration::from_secs(s.clamp(1, 86_400)));
                    Ok(Finding::Pending { reference: Some(reference), after })
                }
                None => Err(VerifierError::Unavailable("it is pending without a reference".to_owned())),
            }
        }
        _ => Err(VerifierError::Unavailable("its status is not the contract's".to_owned())),
    }
}

impl KycVerifier for HttpVerifier {
    fn name(&self) -> &'static str {
        "http"
    }

    fn visits_digilocker(&self) -> bool {
        true
    }

    fn show<'a>(&'a self, showing: &'a Showing) -> BoxFuture<'a, Result<Finding, VerifierError>> {
        Box::pin(async move {
            let body =
                json!({"check_id": showing.check, "document": showing.document, "fields": showing.fields});
            let key = Some(showing.check.as_str());
            finding(self.exchange(Method::POST, "/v1/checks", key, Some(&body)).await?)
        })
    }

    fn ask<'a>(&'a self, reference: &'a str) -> BoxFuture<'a, Result<Finding, VerifierError>> {
        Box::pin(async move {
            let segment: String = form_urlencoded::byte_serialize(reference.as_bytes()).collect();
            let path = format!("/v1/checks/{}", segment.replace('+', "%20"));
            let mut answer: Answer = self.exchange(Method::GET, &path, None, None).await?;
            answer.reference.get_or_insert_with(|| reference.to_owned());
            finding(answer)
        })
    }

    fn companies<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Vec<Company>, VerifierError>> {
        Box::pin(async move {
            let body = json!({ "company_name": name });
            let mut found: Matches =
                self.exchange(Method::POST, "/v1/companies/search", None, Some(&body)).await?;
            found.matches.truncate(MATCHES_MAX);
            Ok(found.matches)
        })
    }

    fn digilocker<'a>(
        &'a self,
        return_url: &'a str,
        state: &'a str,
    ) -> BoxFuture<'a, Result<DigiLocker, VerifierError>> {
        Box::pin(async move {
            let body = json!({ "redirect_url": return_url, "state": state });
            let visit: DigiLocker = self.exchange(Method::POST, "/v1/digilocker", None, Some(&body)).await?;
            let secure = EgressTarget::parse(&visit.auth_url).is_ok();
            let short = (1..=REFERENCE_MAX).contains(&visit.access_request_id.len());
            if secure && short {
                Ok(visit)
            } else {
                Err(VerifierError::Unavailable("its visit to DigiLocker is not the contract's".to_owned()))
            }
        })
    }
}

#[cfg(test)]
mod tests;
