//! Fetching call-control XML: signed, guarded, 10 s a try, three tries, a minute over all.
//!
//! The engine waits for this while a caller hears nothing, so pauses between tries are short. Which
//! URL comes next when all tries failed (fallback, apology) is the call flow's business.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use tandem_model::HttpMethod;
use tandem_model::ports::{FetchError, FetchFailure, FetchRequest, Fetched};

use super::{SigningSecrets, Tuning, sign_callback};
use crate::egress::{
    Egress, EgressError, EgressLimits, EgressRequest, EgressResponse, EgressTarget, Overflow, Redirects,
};

/// Longest document.
pub(super) const DOCUMENT_BYTES_MAX: usize = 100 * 1024;
/// Over all tries of one fetch.
pub(super) const FETCH_TOTAL: Duration = Duration::from_mins(1);
/// Pause before the second try; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The product token customers look for.
pub(super) const CALLBACK_USER_AGENT: HeaderValue = HeaderValue::from_static("Vobiz");

/// Fetches call-control documents.
#[derive(Clone)]
pub struct DocumentFetcher {
    egress: Egress,
    secrets: Arc<dyn SigningSecrets>,
}

impl DocumentFetcher {
    /// A fetcher that signs with `secrets`.
    pub fn new(egress: Egress, secrets: Arc<dyn SigningSecrets>) -> Self {
        Self { egress, secrets }
    }

    /// Fetches a document: the fetch half of `ports::Documents`.
    pub async fn fetch(&self, request: FetchRequest) -> Result<Fetched, FetchError> {
        match tokio::time::timeout(FETCH_TOTAL, self.fetch_with_retries(&request)).await {
            Ok(fetched) => fetched,
            Err(_) => Err(FetchError {
                failure: FetchFailure::TimedOut,
                words: format!("no document within {} s over all tries", FETCH_TOTAL.as_secs()),
            }),
        }
    }

    async fn fetch_with_retries(&self, request: &FetchRequest) -> Result<Fetched, FetchError> {
        let tuning = Tuning::of(&request.url);
        let mut pause = FIRST_PAUSE;
        let mut tries_left = tuning.retries;
        loop {
            let outcome = self.attempt(request, &tuning).await;
            let again = match &outcome {
                Ok(response) => tuning.retry_on.covers_status(response.status.as_u16()),
                Err(error) => tuning.retry_on.covers(error),
            };
            if !again || tries_left == 0 {
                return conclude(&request.url, outcome);
            }
            tries_left -= 1;
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn attempt(&self, request: &FetchRequest, tuning: &Tuning) -> Result<EgressResponse, EgressError> {
        let limits = EgressLimits {
            connect: tuning.connect,
            ..EgressLimits::new(tuning.attempt, DOCUMENT_BYTES_MAX, Overflow::Fail, Redirects::Follow)
        };
        let mut egress = callback_request(&request.url, request.method, &request.params, limits)?;
        // An account that vanished mid-call still gets its document; it cannot verify it anyway.
        if let Some(secrets) = self.secrets.account(&request.account) {
            sign_callback(&secrets, &request.url, request.method, &request.params).apply(&mut egress.headers);
        }
        self.egress.send(egress).await
    }
}

/// The unsigned request of a form-encoded callback or document fetch.
pub(super) fn callback_request(
    url: &str,
    method: HttpMethod,
    params: &[(impl AsRef<str>, String)],
    limits: EgressLimits,
) -> Result<EgressRequest, EgressError> {
    let target = EgressTarget::parse(url)?;
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, CALLBACK_USER_AGENT);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    Ok(match method {
        HttpMethod::Get => EgressRequest {
            method: Method::GET,
            target: target.with_query(params),
            headers,
            body: Bytes::new(),
            limits,
        },
        HttpMethod::Post => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(params).finish();
            EgressRequest { method: Method::POST, target, headers, body: body.into(), limits }
        }
    })
}

fn conclude(url: &str, outcome: Result<EgressResponse, EgressError>) -> Result<Fetched, FetchError> {
    let response =
        outcome.map_err(|error| FetchError { failure: class(&error), words: error.to_string() })?;
    if !response.status.is_success() {
        let status = response.status.as_u16();
        let words = format!("the server answered {status}");
        return Err(FetchError { failure: FetchFailure::Status(status), words });
    }
    // Relative URLs resolve against where the document came from. Without a redirect that is the
    // customer's own URL: not the one into which GET merged parameters, and with its user info.
    let url = if response.redirects == 0 { without_fragment(url) } else { response.url.to_string() };
    Ok(Fetched { body: response.body.into(), url })
}

fn without_fragment(url: &str) -> String {
    url.split_once('#').map_or(url, |(url, _)| url).trim().to_owned()
}

fn class(error: &EgressError) -> FetchFailure {
    match error {
        EgressError::Url(_) => FetchFailure::InvalidUrl,
        EgressError::Refused { .. } => FetchFailure::Refused,
        EgressError::Timeout | EgressError::ConnectTimeout { .. } => FetchFailure::TimedOut,
        EgressError::TooLarge { .. } => FetchFailure::TooLarge,
        EgressError::Dns { .. }
        | EgressError::Connect { .. }
        | EgressError::Tls(_)
        | EgressError::Redirect(_)
        | EgressError::Protocol(_) => FetchFailure::Unreachable,
    }
}

#[cfg(test)]
mod tests;
