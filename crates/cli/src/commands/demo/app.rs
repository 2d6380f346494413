//! The example application: a real HTTP server that steers the demo's calls with XML and checks the signature
//! of everything it is sent, as a customer's program would.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Serialize;
use tandem_server::webhooks::{verify_body, verify_callback, verify_trunk};
use tandem_server::{Secret, wall_seconds};
use tokio::net::TcpListener;
use tokio::sync::Notify;

/// Most requests remembered.
const MOST_REQUESTS: usize = 10_000;

/// One request the application got.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Received {
    /// `CallInitiated`, `StartApp`, `Hangup`, …
    pub(crate) event: String,
    /// The status it was answered with.
    pub(crate) status: u16,
    /// Its signatures hold.
    pub(crate) signature_valid: bool,
    /// The call it tells of.
    #[serde(skip)]
    pub(crate) call: String,
    /// `xml` asked for a document, `webhook` told of something.
    #[serde(skip)]
    pub(crate) is_webhook: bool,
}

#[derive(Default)]
struct Shared {
    token: Mutex<Option<Secret>>,
    trunk_secrets: Mutex<Vec<Secret>>,
    received: Mutex<Vec<Received>>,
    news: Notify,
    base: Mutex<String>,
    caller_id: Mutex<String>,
}

/// The running application.
#[derive(Clone)]
pub(crate) struct ExampleApp {
    shared: Arc<Shared>,
    base: String,
}

impl ExampleApp {
    /// Listens on this machine.
    pub(crate) async fn start(
        listen: SocketAddr,
        tasks: &mut tokio::task::JoinSet<()>,
    ) -> anyhow::Result<Self> {
        let shared = Arc::new(Shared::default());
        let listener = TcpListener::bind(listen).await?;
        let base = format!("http://{}", listener.local_addr()?);
        base.clone_into(&mut lock(&shared.base));
        let router = Router::new()
            .route("/{page}", post(request))
            .route("/trunk-events", post(trunk_event))
            .with_state(shared.clone());
        tasks.spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the example application stopped");
            }
        });
        Ok(Self { shared, base })
    }

    /// A URL of the application.
    pub(crate) fn url(&self, page: &str) -> String {
        format!("{}/{page}", self.base)
    }

    /// The keys it checks signatures with: the account's token, the trunks' signing secrets; and the
    /// number it calls out with.
    pub(crate) fn trust(&self, token: &str, trunk_secrets: &[String], caller_id: &str) {
        *lock(&self.shared.token) = Some(Secret::from(token));
        *lock(&self.shared.trunk_secrets) =
            trunk_secrets.iter().map(|secret| Secret::from(secret.as_str())).collect();
        caller_id.clone_into(&mut lock(&self.shared.caller_id));
    }

    /// What it got about a call so far.
    pub(crate) fn about(&self, call: &str) -> Vec<Received> {
        lock(&self.shared.received).iter().filter(|received| received.call == call).cloned().collect()
    }

    /// Waits until it has got all of `events` about a call, at most `patience`.
    pub(crate) async fn wait_for(&self, call: &str, events: &[&str], patience: Duration) -> bool {
        let all = async {
            loop {
                let news = self.shared.news.notified();
                let got = self.about(call);
                if events.iter().all(|event| got.iter().any(|received| received.event == *event)) {
                    return;
                }
                news.await;
            }
        };
        tokio::time::timeout(patience, all).await.is_ok()
    }
}

/// Form-encoded: documents and callbacks.
async fn request(
    State(shared): State<Arc<Shared>>,
    Path(page): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let form: HashMap<String, String> = form_urlencoded::parse(&body).into_owned().collect();
    let field = |name: &str| form.get(name).cloned().unwrap_or_default();
    let url = format!("{}/{page}", lock(&shared.base));
    let valid = lock(&shared.token).as_ref().is_some_and(|token| verify_callback(token, &url, &headers));
    let event = field("Event");
    let document = match page.as_str() {
        "answer" => Some(welcome(&url)),
        "menu" => Some(menu(&field("Digits"))),
        "hello" => Some(say("Hello from Tandem. Your phone rings, and you can hear me. Goodbye.")),
        "phone" => Some(dial(&field("To"), &lock(&shared.caller_id))),
        _ => None,
    };
    let is_webhook = document.is_none() || event == "Hangup";
    let status = if !valid {
        StatusCode::FORBIDDEN
    } else if is_webhook {
        StatusCode::NO_CONTENT
    } else {
        StatusCode::OK
    };
    remember(&shared, &event, status, valid, field("CallUUID"), is_webhook);
    match (status, document) {
        (StatusCode::OK, Some(document)) => {
            ([(header::CONTENT_TYPE, "application/xml")], document).into_response()
        }
        (status, _) => status.into_response(),
    }
}

/// JSON: trunk webhooks, signed over the body twice.
async fn trunk_event(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> StatusCode {
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    let now = wall_seconds();
    let valid = lock(&shared.trunk_secrets)
        .iter()
        .any(|secret| verify_trunk(secret, &headers, &body) && verify_body(secret, &headers, &body, now));
    let status = if valid { StatusCode::NO_CONTENT } else { StatusCode::FORBIDDEN };
    let text = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
    remember(&shared, &text("Event"), status, valid, text("CallUUID"), true);
    status
}

fn remember(shared: &Shared, event: &str, status: StatusCode, valid: bool, call: String, is_webhook: bool) {
    let mut received = lock(&shared.received);
    if received.len() < MOST_REQUESTS {
        received.push(Received {
            event: event.to_owned(),
            status: status.as_u16(),
            signature_valid: valid,
            call,
            is_webhook,
        });
    }
    drop(received);
    shared.news.notify_waiters();
}

fn welcome(own_url: &str) -> String {
    let menu = own_url.replace("/answer", "/menu");
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Response>\n  <Speak>Welcome to Tandem.</Speak>\n  \
         <Gather action=\"{menu}\" method=\"POST\" inputType=\"dtmf\" numDigits=\"1\" executionTimeout=\"10\">\n    \
         <Speak>Press one to hear that it works.</Speak>\n  </Gather>\n  \
         <Speak>We did not hear anything. Goodbye.</Speak>\n</Response>\n"
    )
}

fn menu(digits: &str) -> String {
    let digits: String = digits.chars().filter(char::is_ascii_digit).take(8).collect();
    if digits == "1" {
        say("It works: you pressed one, and your own program answered. Goodbye.")
    } else {
        say("You pressed another key. Goodbye.")
    }
}

fn say(text: &str) -> String {
    format!("<Response><Speak>{text}</Speak><Hangup/></Response>")
}

/// A phone of the account dialled something: a number goes out with the demo number as caller ID.
fn dial(to: &str, caller_id: &str) -> String {
    let digits: String = to.chars().filter(char::is_ascii_digit).take(15).collect();
    if digits.len() < 7 {
        return say("Dial a telephone number.");
    }
    format!("<Response><Dial callerId=\"{caller_id}\"><Number>+{digits}</Number></Dial></Response>")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
