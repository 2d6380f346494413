//! One attempt: the exact bytes of the event, signed for its channel, sent through the guarded client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use jiff::Timestamp;
use tandem_model::ports::{Observer, Trace, TraceKind};
use tandem_model::{AccountId, DeliveryChannel, HttpMethod, TrunkId, clock};
use tandem_store::OutboxEvent;

use super::mail;
use super::words::{Finish, Start};
use crate::egress::{Egress, EgressError, EgressLimits, EgressRequest, EgressTarget, Overflow, Redirects};
use crate::post::Post;
use crate::webhooks::fetch::callback_request;
use crate::webhooks::{SealedBodies, SigningSecrets, TrunkSecrets, Unopened, sign_body, sign_callback};

/// Bytes read of an answer: its body means nothing, its start helps people.
const ANSWER_BYTES_MAX: usize = 16 * 1024;
/// Bytes of it on record.
pub(super) const EXCERPT_BYTES_MAX: usize = 4 * 1024;
/// The product token of JSON webhooks.
const TRUNK_USER_AGENT: HeaderValue = HeaderValue::from_static("Vobiz-Vapor/1.0");
const EVENT_NAME: HeaderName = HeaderName::from_static("x-vobiz-event");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-vobiz-request-id");
const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");

/// Sends deliveries.
#[derive(Clone)]
pub(super) struct Sender {
    pub(super) egress: Egress,
    pub(super) secrets: Arc<dyn SigningSecrets>,
    pub(super) observer: Arc<dyn Observer>,
    /// Absent: sealed events wait.
    pub(super) bodies: Option<Arc<dyn SealedBodies>>,
    /// Absent: letters wait.
    pub(super) post: Option<Post>,
}

/// What became of an attempt, for the record.
#[derive(Clone, Debug)]
pub(super) struct Report {
    pub(super) at: Timestamp,
    pub(super) duration_ms: u64,
    pub(super) status: Option<u16>,
    pub(super) error: Option<String>,
    pub(super) excerpt: Option<String>,
    pub(super) finish: Finish,
}

/// Why no request could be made.
enum Unsendable {
    /// The URL is none, and will not become one.
    Url(EgressError),
    /// The key is gone, perhaps for a moment.
    NoSecret,
    /// What it told of was erased.
    Erased,
}

impl Sender {
    /// Makes one attempt. Never fails: what failed is in the report.
    pub(super) async fn attempt(&self, start: Start) -> Report {
        let at = clock::wall();
        let begun = clock::monotonic();
        if start.event.channel == DeliveryChannel::Mail {
            return mail::attempt(self.post.as_ref(), &start.event, at, begun).await;
        }
        let sent = match self.request(&start, at).await {
            Ok(request) => self.egress.send(request).await.map_err(Failure::Egress),
            Err(unsendable) => Err(Failure::Unsendable(unsendable)),
        };
        let duration_ms = begun.elapsed().as_millis() as u64;
        let mut report =
            Report { at, duration_ms, status: None, error: None, excerpt: None, finish: Finish::Unreachable };
        match sent {
            Ok(response) => {
                let status = response.status.as_u16();
                report.status = Some(status);
                // The answer may quote what was sent.
                let sealed = start.event.channel == DeliveryChannel::DurableSealed;
                report.excerpt = if sealed { None } else { excerpt(&response.body) };
                if !response.status.is_success() {
                    report.error = Some(format!("the server answered {status}"));
                }
                let retry_after = retry_after(&response.headers, at);
                report.finish = Finish::Answered { status, retry_after };
            }
            Err(Failure::Egress(error)) => {
                if let EgressError::Url(_) = error {
                    report.finish = Finish::Impossible;
                }
                report.error = Some(error.to_string());
            }
            Err(Failure::Unsendable(Unsendable::Url(error))) => {
                report.finish = Finish::Impossible;
                report.error = Some(error.to_string());
            }
            Err(Failure::Unsendable(Unsendable::Erased)) => {
                report.finish = Finish::Impossible;
                report.error = Some("what it told of was erased".to_owned());
            }
            Err(Failure::Unsendable(Unsendable::NoSecret)) => {
                report.error = Some("its signing secret is gone".to_owned());
            }
        }
        self.trace(&start, &report);
        report
    }

    async fn request(&self, start: &Start, now: Timestamp) -> Result<EgressRequest, Unsendable> {
        let limits =
            EgressLimits::new(start.timeout, ANSWER_BYTES_MAX, Overflow::Truncate, Redirects::Return);
        let event = &*start.event;
        let mut request = match event.channel {
            DeliveryChannel::Callback | DeliveryChannel::DurableCallback => self.callback(event, limits)?,
            DeliveryChannel::Trunk | DeliveryChannel::DurableTrunk => self.trunk(event, limits, now)?,
            DeliveryChannel::DurableSealed => self.sealed(event, limits, now).await?,
            DeliveryChannel::DurableAccount => self.of_account(event, event.body.clone(), limits, now)?,
            DeliveryChannel::DurableNdnc => self.complaint(event, limits, now)?,
            // Letters go another way, before this is asked.
            DeliveryChannel::Mail => return Err(Unsendable::NoSecret),
        };
        let id = event.event.to_string();
        insert(&mut request.headers, WEBHOOK_ID, &id);
        Ok(request)
    }

    fn callback(&self, event: &OutboxEvent, limits: EgressLimits) -> Result<EgressRequest, Unsendable> {
        let account = AccountId::new(&event.secret_ref);
        let secrets = self.secrets.account(&account).ok_or(Unsendable::NoSecret)?;
        let params: Vec<(String, String)> =
            form_urlencoded::parse(event.body.as_bytes()).into_owned().collect();
        let mut request =
            callback_request(&event.url, event.method, &params, limits).map_err(Unsendable::Url)?;
        sign_callback(&secrets, &event.url, event.method, &params).apply(&mut request.headers);
        Ok(request)
    }

    fn trunk(
        &self,
        event: &OutboxEvent,
        limits: EgressLimits,
        now: Timestamp,
    ) -> Result<EgressRequest, Unsendable> {
        let trunk: TrunkId = event.secret_ref.parse().map_err(|_| Unsendable::NoSecret)?;
        let secrets = self.secrets.trunk(trunk).ok_or(Unsendable::NoSecret)?;
        let target = EgressTarget::parse(&event.url).map_err(Unsendable::Url)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, TRUNK_USER_AGENT);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        insert(&mut headers, EVENT_NAME, &event.kind);
        if let Some(call) = event.call {
            // One id per call, as the vendor ties CallInitiated to Hangup with it.
            insert(&mut headers, REQUEST_ID, &call.to_string());
        }
        let (method, target, body) = match event.method {
            // The members travel in the query; what is signed is the raw body, which is empty.
            HttpMethod::Get => (Method::GET, target.with_query(&members(&event.body)), Bytes::new()),
            HttpMethod::Post => {
                insert(&mut headers, CONTENT_TYPE, &event.content_type);
                (Method::POST, target, Bytes::from(event.body.clone()))
            }
        };
        let id = event.event.to_string();
        sign_body(&secrets, &id, now.as_second(), &body).apply(&mut headers);
        Ok(EgressRequest { method, target, headers, body, limits })
    }

    /// A JSON event whose body is sealed at rest, signed with its account's token.
    async fn sealed(
        &self,
        event: &OutboxEvent,
        limits: EgressLimits,
        now: Timestamp,
    ) -> Result<EgressRequest, Unsendable> {
        let bodies = self.bodies.as_ref().ok_or(Unsendable::NoSecret)?;
        let body = bodies.open(event).await.map_err(|unopened| match unopened {
            Unopened::NotNow => Unsendable::NoSecret,
            Unopened::Erased => Unsendable::Erased,
        })?;
        self.of_account(event, body, limits, now)
    }

    /// A complaint, signed with the secret agreed for complaints.
    fn complaint(
        &self,
        event: &OutboxEvent,
        limits: EgressLimits,
        now: Timestamp,
    ) -> Result<EgressRequest, Unsendable> {
        let current = self.secrets.ndnc(&event.account).ok_or(Unsendable::NoSecret)?;
        let mut request = Self::unsigned(event, event.body.clone(), limits)?;
        let keys = TrunkSecrets { current, previous: None };
        sign_body(&keys, &event.event.to_string(), now.as_second(), &request.body)
            .apply(&mut request.headers);
        Ok(request)
    }

    /// A JSON event, signed with its account's token.
    fn of_account(
        &self,
        event: &OutboxEvent,
        body: String,
        limits: EgressLimits,
        now: Timestamp,
    ) -> Result<EgressRequest, Unsendable> {
        let secrets = self.secrets.account(&event.account).ok_or(Unsendable::NoSecret)?;
        let mut request = Self::unsigned(event, body, limits)?;
        let keys = TrunkSecrets { current: secrets.token, previous: None };
        let signed = sign_body(&keys, &event.event.to_string(), now.as_second(), &request.body);
        signed.apply_prefixed(&mut request.headers);
        Ok(request)
    }

    /// A JSON event about an account, but for its signature.
    fn unsigned(
        event: &OutboxEvent,
        body: String,
        limits: EgressLimits,
    ) -> Result<EgressRequest, Unsendable> {
        let target = EgressTarget::parse(&event.url).map_err(Unsendable::Url)?;
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, TRUNK_USER_AGENT);
        headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        insert(&mut headers, EVENT_NAME, &event.kind);
        insert(&mut headers, CONTENT_TYPE, &event.content_type);
        Ok(EgressRequest { method: Method::POST, target, headers, body: Bytes::from(body), limits })
    }

    fn trace(&self, start: &Start, report: &Report) {
        let Some(call) = start.event.call else { return };
        if !self.observer.watching() {
            return;
        }
        let outcome = match (report.status, &report.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no answer".to_owned(),
        };
        let host = EgressTarget::parse(&start.event.url).map(|target| target.host().to_owned());
        let text = format!(
            "{} -> {}: {} in {} ms{}",
            start.event.kind,
            host.unwrap_or_else(|_| "no URL".to_owned()),
            outcome,
            report.duration_ms,
            if start.attempt > 1 { format!(" (attempt {})", start.attempt) } else { String::new() },
        );
        self.observer.observe(Trace { call, at: report.at, kind: TraceKind::Webhook, text });
    }
}

enum Failure {
    Egress(EgressError),
    Unsendable(Unsendable),
}

/// The members of a JSON object as parameters: strings as they are, the rest as JSON writes them.
fn members(body: &str) -> Vec<(String, String)> {
    let object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(body).unwrap_or_default();
    object
        .into_iter()
        .map(|(key, value)| match value {
            serde_json::Value::String(text) => (key, text),
            other => (key, other.to_string()),
        })
        .collect()
}

/// `Retry-After` in either form (RFC 9110 §10.2.3).
fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(value).ok()?;
    Some(Duration::try_from(at.duration_since(now)).unwrap_or_default())
}

/// The start of an answer as text that any database and terminal takes.
fn excerpt(body: &[u8]) -> Option<String> {
    if body.is_empty() {
        return None;
    }
    let cut = body.get(..EXCERPT_BYTES_MAX).unwrap_or(body);
    let text = String::from_utf8_lossy(cut);
    let printable = |c: char| if c.is_control() && !matches!(c, '\n' | '\r' | '\t') { '\u{fffd}' } else { c };
    let mut text: String = text.chars().map(printable).collect();
    while text.len() > EXCERPT_BYTES_MAX {
        text.pop();
    }
    Some(text)
}

fn insert(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_read_in_seconds_and_as_a_date() {
        let now: Timestamp = "2026-11-21T10:00:00Z".parse().unwrap();
        let read = |value: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
            retry_after(&headers, now)
        };
        assert_eq!(read("120"), Some(Duration::from_mins(2)));
        assert_eq!(read("Sat, 21 Nov 2026 10:00:30 GMT"), Some(Duration::from_secs(30)));
        assert_eq!(read("Sat, 21 Nov 2026 09:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(read("soon"), None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn an_excerpt_is_short_text_whatever_was_answered() {
        assert_eq!(excerpt(b""), None);
        assert_eq!(excerpt(b"ok\0\x1b[31m").as_deref(), Some("ok\u{fffd}\u{fffd}[31m"));
        assert!(excerpt(&[0xff; 10_000]).unwrap().len() <= EXCERPT_BYTES_MAX);
        assert_eq!(excerpt(&[b'a'; EXCERPT_BYTES_MAX + 1]).unwrap().len(), EXCERPT_BYTES_MAX);
    }

    #[test]
    fn json_members_become_parameters() {
        let params = members(r#"{"Event":"Hangup","Duration":12,"Allowed":true,"MOS":null}"#);
        let expected = [("Event", "Hangup"), ("Duration", "12"), ("Allowed", "true"), ("MOS", "null")];
        for (key, value) in expected {
            assert!(params.contains(&(key.to_owned(), value.to_owned())), "{key}");
        }
        assert!(members("[1]").is_empty());
    }
}
