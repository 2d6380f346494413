//! A script's web server: answers what the script serves and remembers every request.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, OriginalUri, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse as _, Response};
use tandem_script::audio;
use tandem_script::script::{Answer, Body, Webhooks};
use tandem_script::webhooks::{MAX_RECEIVED, Received, Signature};
use tandem_server::Secret;
use tandem_server::webhooks::verify_callback;
use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::Talk;
use super::sounds::bytes;

/// Requests that a party has not looked at yet; it misses older ones.
const NEWS: usize = 1_024;
/// Longest body of a request.
const MAX_BODY: usize = 1024 * 1024;

/// A socket that listens, so that its URL is known before the script is read for good.
pub(super) struct Door {
    listener: TcpListener,
    /// Base URL.
    pub(super) url: String,
}

/// The running server.
#[derive(Clone)]
pub(super) struct Web {
    shared: Arc<Shared>,
}

struct Shared {
    webhooks: Webhooks,
    /// Files by their name in the script.
    files: HashMap<PathBuf, Bytes>,
    started: Instant,
    state: Mutex<Memory>,
    news: broadcast::Sender<Arc<Received>>,
    token: Option<Secret>,
    talk: Talk,
}

#[derive(Default)]
struct Memory {
    received: Vec<Arc<Received>>,
    /// How often each path was asked for.
    asked: HashMap<String, usize>,
}

impl Door {
    /// Listens; `url` is how the platform reaches it, where that is not the address.
    pub(super) async fn open(listen: SocketAddr, url: Option<&str>) -> Result<Self, String> {
        let listener =
            TcpListener::bind(listen).await.map_err(|error| format!("webhooks: {listen}: {error}"))?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let url = url.map_or_else(|| format!("http://{address}"), str::to_owned);
        Ok(Self { listener, url })
    }

    /// Serves until the tasks are dropped.
    pub(super) fn serve(
        self,
        webhooks: Webhooks,
        folder: &Path,
        started: Instant,
        talk: Talk,
        tasks: &mut JoinSet<()>,
    ) -> Result<Web, String> {
        let mut files = HashMap::new();
        for answer in webhooks.serve.iter().flat_map(|served| &served.answers) {
            if let Body::File(path) = &answer.body {
                let content =
                    bytes(&folder.join(path)).map_err(|error| format!("{}: {error}", answer.place))?;
                files.insert(path.clone(), Bytes::from(content));
            }
        }
        let (news, _) = broadcast::channel(NEWS);
        let token = webhooks.token.as_deref().map(Secret::from);
        let shared =
            Arc::new(Shared { webhooks, files, started, state: Mutex::default(), news, token, talk });
        let router = Router::new()
            .fallback(request)
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .with_state(Arc::clone(&shared));
        tasks.spawn(async move {
            if let Err(error) = axum::serve(self.listener, router).await {
                tracing::error!(%error, "the script's web server stopped");
            }
        });
        Ok(Web { shared })
    }
}

impl Web {
    /// Tells of every request from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Arc<Received>> {
        self.shared.news.subscribe()
    }

    /// All requests so far.
    pub(super) fn received(&self) -> Vec<Received> {
        lock(&self.shared.state).received.iter().map(|request| request.as_ref().clone()).collect()
    }

    /// What the script says of it.
    pub(super) fn webhooks(&self) -> &Webhooks {
        &self.shared.webhooks
    }
}

async fn request(
    State(shared): State<Arc<Shared>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let query = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let form = form_urlencoded::parse(if is_form(&headers) { &body } else { b"" });
    let received = Arc::new(Received {
        at_ms: shared.started.elapsed().as_millis() as u64,
        method: method.as_str().to_owned(),
        parameters: query.into_owned().chain(form.into_owned()).collect(),
        signature: signature(&shared, &headers, uri.path_and_query().map_or("/", |target| target.as_str())),
        path: path.clone(),
    });
    let nth = {
        let mut memory = lock(&shared.state);
        if memory.received.len() < MAX_RECEIVED {
            memory.received.push(Arc::clone(&received));
        }
        let asked = memory.asked.entry(path.clone()).or_default();
        *asked += 1;
        *asked - 1
    };
    // Nobody may wait for requests just now.
    let _ = shared.news.send(received);
    match shared.webhooks.answer(&path, nth) {
        Some(answer) => {
            tokio::time::sleep(answer.delay).await;
            respond(&shared, answer)
        }
        None if shared.webhooks.awaits(&path) => StatusCode::OK.into_response(),
        None => {
            shared
                .talk
                .line(&format!("{method} {path} came, which the script neither serves nor expects: 404"));
            StatusCode::NOT_FOUND.into_response()
        }
    }
}

fn respond(shared: &Shared, answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let (kind, body) = match &answer.body {
        Body::Text(text) => ("application/xml", Bytes::from(text.clone())),
        Body::File(path) => (kind_of(path), shared.files.get(path).cloned().unwrap_or_default()),
        Body::Tone { hz, lasting } => ("audio/wav", Bytes::from(audio::wav(&audio::tone(*hz, *lasting)))),
    };
    let kind = answer.content_type.as_deref().unwrap_or(kind).to_owned();
    (status, [(header::CONTENT_TYPE, kind)], body).into_response()
}

fn kind_of(path: &Path) -> &'static str {
    match path.extension().and_then(|ending| ending.to_str()) {
        Some("wav") => "audio/wav",
        Some("mp3") => "audio/mpeg",
        Some("json") => "application/json",
        Some("txt") => "text/plain",
        _ => "application/xml",
    }
}

fn signature(shared: &Shared, headers: &HeaderMap, target: &str) -> Signature {
    let Some(token) = &shared.token else { return Signature::Unchecked };
    if !headers.contains_key("x-vobiz-signature-v3") && !headers.contains_key("x-vobiz-signature-ma-v3") {
        return Signature::Missing;
    }
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let is_right = verify_callback(token, &format!("http://{host}{target}"), headers);
    if is_right { Signature::Valid } else { Signature::Wrong }
}

fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    kind.starts_with("application/x-www-form-urlencoded")
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
