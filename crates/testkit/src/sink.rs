//! A customer's web server: remembers every request with its exact bytes, answers as a test wants.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::response::{IntoResponse as _, Response};
use http::{HeaderMap, Method, StatusCode, Uri};
use tandem_model::clock;
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Path and query.
    pub target: String,
    /// Its headers.
    pub headers: HeaderMap,
    /// The exact bytes.
    pub body: Bytes,
    /// Milliseconds since the epoch.
    pub at_ms: i64,
}

impl Request {
    /// The path without the query.
    pub fn path(&self) -> &str {
        self.target.split('?').next().unwrap_or_default()
    }

    /// A parameter of the form body, or of the query.
    pub fn param(&self, name: &str) -> Option<String> {
        let query = self.target.split_once('?').map_or("", |(_, query)| query);
        form_urlencoded::parse(&self.body)
            .chain(form_urlencoded::parse(query.as_bytes()))
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }

    /// The JSON body; `Null` when it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// `Event`, from JSON or form.
    pub fn event(&self) -> String {
        self.json()["Event"].as_str().map(str::to_owned).or_else(|| self.param("Event")).unwrap_or_default()
    }

    /// `CallUUID`, from JSON or form.
    pub fn call(&self) -> String {
        self.json()["CallUUID"]
            .as_str()
            .map(str::to_owned)
            .or_else(|| self.param("CallUUID"))
            .unwrap_or_default()
    }
}

/// What to answer.
#[derive(Clone, Debug)]
pub struct Answer {
    /// Status.
    pub status: u16,
    /// Body.
    pub body: String,
    /// `Location`, for redirects.
    pub location: Option<String>,
    /// Wait so long first.
    pub after: Duration,
}

impl Answer {
    /// 200 with XML.
    pub fn xml(body: impl Into<String>) -> Self {
        Self { status: 200, body: body.into(), location: None, after: Duration::ZERO }
    }

    /// A status without body.
    pub fn status(status: u16) -> Self {
        Self { status, body: String::new(), location: None, after: Duration::ZERO }
    }

    /// The same, later.
    pub fn after(self, after: Duration) -> Self {
        Self { after, ..self }
    }
}

type Behaviour = Box<dyn Fn(&Request) -> Answer + Send + Sync>;

struct Shared {
    requests: Mutex<Vec<Request>>,
    behaviour: Behaviour,
    news: Notify,
}

/// The running server; it stops when dropped.
pub struct Sink {
    shared: Arc<Shared>,
    address: SocketAddr,
    task: AbortHandle,
}

impl Sink {
    /// Listens on loopback and answers by `behaviour`.
    ///
    /// # Panics
    /// When no port is free.
    #[expect(clippy::disallowed_methods, reason = "the task is aborted when the sink is dropped")]
    pub async fn start(behaviour: impl Fn(&Request) -> Answer + Send + Sync + 'static) -> Self {
        let shared = Arc::new(Shared {
            requests: Mutex::default(),
            behaviour: Box::new(behaviour),
            news: Notify::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(take).with_state(shared.clone());
        let task = tokio::spawn(async move { drop(axum::serve(listener, router).await) }).abort_handle();
        Self { shared, address, task }
    }

    /// A URL on this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}/{}", self.address, path.trim_start_matches('/'))
    }

    /// Everything that came so far.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the requests so far satisfy `enough`.
    ///
    /// # Panics
    /// After `patience`, listing what came.
    pub async fn wait(&self, patience: Duration, enough: impl Fn(&[Request]) -> bool) -> Vec<Request> {
        let all = async {
            loop {
                let news = self.shared.news.notified();
                let requests = self.requests();
                if enough(&requests) {
                    return requests;
                }
                news.await;
            }
        };
        match tokio::time::timeout(patience, all).await {
            Ok(requests) => requests,
            Err(_) => {
                let came: Vec<_> = self
                    .requests()
                    .iter()
                    .map(|request| format!("{} {} {}", request.method, request.target, request.event()))
                    .collect();
                panic!("not enough after {patience:?}; came: {came:#?}");
            }
        }
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn take(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let request = Request { method, target, headers, body, at_ms: clock::wall().as_millisecond() };
    let answer = (shared.behaviour)(&request);
    shared.requests.lock().unwrap_or_else(PoisonError::into_inner).push(request);
    shared.news.notify_waiters();
    tokio::time::sleep(answer.after).await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_TYPE, http::HeaderValue::from_static("application/xml"));
    if let Some(location) = answer.location.and_then(|location| location.parse().ok()) {
        headers.insert(http::header::LOCATION, location);
    }
    response
}
