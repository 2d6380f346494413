//! The customer's web server: steers inbound calls with documents, takes every event, checks every signature with
//! HMACs of its own, and refuses some events at first, so that retries happen across kills too.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tandem_testkit::{Answer, Request, Sink};

use super::evidence::Event;

/// Where the trunk's events go, the application's documents come from, and its hangups go.
pub(crate) const TRUNK_EVENTS: &str = "/trunk-events";
pub(crate) const ANSWER: &str = "/answer";
pub(crate) const HANGUP: &str = "/hangup";
/// One event request in so many is refused with 503.
const REFUSES_ONE_IN: u64 = 50;
/// What inbound calls are told to do; the last digit of the caller chooses.
const DOCUMENTS: [&str; 5] = [
    "<Response><Wait length=\"1\"/></Response>",
    "<Response><Wait length=\"2\"/><Hangup/></Response>",
    "<Response><Wait length=\"4\"/><Hangup/></Response>",
    "<Response><Wait length=\"30\"/></Response>",
    "<Response><Hangup reason=\"busy\"/></Response>",
];

/// What signatures are made with.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    pub(crate) account_token: String,
    pub(crate) trunk_secret: String,
}

#[derive(Default)]
struct Shared {
    keys: OnceLock<Keys>,
    base: OnceLock<String>,
    events: Mutex<Vec<Event>>,
    requests: AtomicU64,
}

/// The running server.
pub(crate) struct Customer {
    sink: Sink,
    shared: Arc<Shared>,
}

impl Customer {
    /// Listens.
    pub(crate) async fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let sink = Sink::start(move |request| theirs.take(request)).await;
        // Nobody has been told the address yet, so no request can have come before.
        let base = sink.url("");
        shared.base.set(base.trim_end_matches('/').to_owned()).expect("set once");
        Self { sink, shared }
    }

    /// What to check signatures with from now on.
    pub(crate) fn trust(&self, keys: Keys) {
        self.shared.keys.set(keys).expect("trusted once");
    }

    /// A URL here.
    pub(crate) fn url(&self, path: &str) -> String {
        self.sink.url(path)
    }

    /// Every event request so far.
    pub(crate) fn events(&self) -> Vec<Event> {
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many so far.
    pub(crate) fn event_count(&self) -> usize {
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Shared {
    fn take(&self, request: &Request) -> Answer {
        if request.path() == ANSWER {
            let caller = request.param("From").unwrap_or_default();
            let last = caller.bytes().last().unwrap_or(b'0');
            return Answer::xml(DOCUMENTS[usize::from(last.wrapping_sub(b'0')) % DOCUMENTS.len()]);
        }
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        let taken = number % REFUSES_ONE_IN != REFUSES_ONE_IN - 1;
        let header =
            |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let signed = self.keys.get().is_some_and(|keys| match request.path() {
            TRUNK_EVENTS => trunk_signature_holds(&keys.trunk_secret, request, header),
            HANGUP => callback_signature_holds(&keys.account_token, &self.url_of(request), header),
            _ => false,
        });
        let event = Event {
            id: header("webhook-id").to_owned(),
            kind: request.event(),
            call: request.call(),
            cost_micros: request.json()["CostMicros"].as_i64(),
            taken,
            signed,
        };
        self.events.lock().unwrap_or_else(PoisonError::into_inner).push(event);
        Answer::status(if taken { 200 } else { 503 })
    }

    fn url_of(&self, request: &Request) -> String {
        format!("{}{}", self.base.get().map(String::as_str).unwrap_or_default(), request.path())
    }
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes any key");
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().to_vec()
}

/// The hex HMAC of the exact bytes, and the Standard Webhooks one over id, time and bytes.
fn trunk_signature_holds<'r>(secret: &str, request: &Request, header: impl Fn(&str) -> &'r str) -> bool {
    let hex = hex::encode(hmac(secret.as_bytes(), &[&request.body]));
    let decoded = secret.strip_prefix("whsec_").and_then(|rest| STANDARD.decode(rest).ok());
    let key = decoded.as_deref().unwrap_or(secret.as_bytes());
    let (id, time) = (header("webhook-id"), header("webhook-timestamp"));
    let standard = hmac(key, &[id.as_bytes(), b".", time.as_bytes(), b".", &request.body]);
    header("x-vobiz-signature") == hex
        && header("webhook-signature")
            .split(' ')
            .any(|one| one == format!("v1,{}", STANDARD.encode(&standard)))
}

/// V3: the URL without query, a dot, the nonce.
fn callback_signature_holds<'r>(token: &str, url: &str, header: impl Fn(&str) -> &'r str) -> bool {
    let nonce = header("x-vobiz-signature-v3-nonce");
    let expected = hmac(token.as_bytes(), &[url.as_bytes(), b".", nonce.as_bytes()]);
    !nonce.is_empty() && header("x-vobiz-signature-v3") == STANDARD.encode(expected)
}
