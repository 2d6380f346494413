//! What stands around every request: an id, a trace, a time limit, the canonical path, and the one place
//! where a refusal becomes an answer. A panic is answered 500 and ends nothing else.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, HttpBody as _, to_bytes};
use axum::extract::{DefaultBodyLimit, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::uri::PathAndQuery;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse as _, Response};
use futures_util::FutureExt as _;
use tandem_model::{ErrorCode, Ids, clock};
use tower::ServiceExt as _;
use tracing::Instrument as _;
use uuid::Uuid;

use super::ApiError;
use super::canonical::Canonical;
use crate::auth::Noted;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longer ids of clients are replaced.
const REQUEST_ID_MAX: usize = 128;
/// Bodies of up to so many bytes are read before a request is looked at.
const READ_AHEAD: u64 = 64 * 1024;

/// The id of one request: echoed in `X-Request-ID`, and `api_id` in bodies.
#[derive(Clone, Debug)]
pub(crate) struct RequestId {
    /// As the client gave it, or ours.
    pub(crate) text: String,
    /// The same when it is a UUID; fresh otherwise.
    pub(crate) api_id: Uuid,
}

impl RequestId {
    fn of(headers: &HeaderMap) -> Self {
        let given = headers
            .get(REQUEST_ID)
            .and_then(|value| value.to_str().ok())
            .filter(|text| (1..=REQUEST_ID_MAX).contains(&text.len()));
        let parsed = given.and_then(|text| Uuid::parse_str(text).ok());
        let api_id = parsed.unwrap_or_else(Ids::random);
        Self { text: given.map_or_else(|| api_id.to_string(), str::to_owned), api_id }
    }

    fn minted() -> Self {
        Self::of(&HeaderMap::new())
    }
}

impl<S: Sync> FromRequestParts<S> for RequestId {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(parts.extensions.get().cloned().unwrap_or_else(Self::minted))
    }
}

/// The path as the client wrote it, for the one route where casing tells clients apart.
#[derive(Clone, Debug)]
pub(crate) struct WrittenPath(pub(crate) String);

/// How long and how large a request may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RequestLimits {
    pub(crate) timeout: Duration,
    pub(crate) body_bytes: usize,
}

/// The router with everything that stands around it.
pub(crate) fn enclosed(inner: Router, canonical: Canonical, limits: RequestLimits) -> Router {
    let inner = inner.fallback(nowhere).layer(DefaultBodyLimit::max(limits.body_bytes));
    let canonical = Arc::new(canonical);
    Router::new().fallback(move |request: Request| {
        let (inner, canonical) = (inner.clone(), canonical.clone());
        async move { answer(inner, &canonical, limits, request).await }
    })
}

async fn nowhere(uri: Uri) -> ApiError {
    ApiError::not_found(format!("There is nothing at {}", uri.path()))
        .hint("Check the path against the reference.")
}

async fn answer(
    inner: Router,
    canonical: &Canonical,
    limits: RequestLimits,
    mut request: Request,
) -> Response {
    let id = RequestId::of(request.headers());
    let method = request.method().clone();
    let written = request.uri().path().to_owned();
    let lacks_account = canonical.lacks_account(&written);
    if let Some(uri) = canonical.path(&written).and_then(|path| with_path(request.uri(), &path)) {
        *request.uri_mut() = uri;
    }
    request.extensions_mut().insert(id.clone());
    request.extensions_mut().insert(WrittenPath(written));
    let standing = Noted::default();
    request.extensions_mut().insert(standing.clone());

    let started = clock::monotonic();
    let span = tracing::info_span!("request", request_id = %id.text, %method);
    let has_nul = holds_nul(request.uri());
    let handled = AssertUnwindSafe(async move {
        // No id and no filter has one, and one of the databases cannot compare with it.
        if has_nul {
            Ok(ApiError::field("path", "must not have a NUL character").into_response())
        } else if lacks_account {
            let remedy = "has no account id: write it as /Account/{auth_id}/…, such as MA_…";
            Ok(ApiError::field("auth_id", remedy).into_response())
        } else {
            match read_ahead(request).await {
                Ok(request) => inner.oneshot(request).await,
                Err(error) => Ok(error.into_response()),
            }
        }
    })
    .catch_unwind();
    let mut response = match tokio::time::timeout(limits.timeout, handled).instrument(span).await {
        Ok(Ok(Ok(response))) => response,
        Ok(Ok(Err(never))) => match never {},
        Ok(Err(_)) => ApiError::internal("a handler panicked").render_with(&id),
        Err(_) => ApiError::because(ErrorCode::Overloaded, "The request took longer than this node allows")
            .retry_after(1)
            .render_with(&id),
    };
    if let Some(error) = refusal_of(&mut response) {
        let headers = std::mem::take(response.headers_mut());
        response = error.render_with(&id);
        // What the router added, such as Allow, stays.
        for (name, value) in headers.iter().filter(|(name, _)| **name == header::ALLOW) {
            response.headers_mut().insert(name, value.clone());
        }
    }
    tracing::debug!(
        request_id = %id.text, %method, status = response.status().as_u16(),
        duration_ms = started.elapsed().as_millis() as u64, "request answered"
    );
    standing.tell(response.headers_mut());
    if let Ok(value) = HeaderValue::from_str(&id.text) {
        response.headers_mut().insert(REQUEST_ID, value);
    }
    response
}

/// Takes a small body off the connection before anybody answers: one that no handler reads (a DELETE's, a stranger's)
/// would otherwise end the connection under the client's next request.
async fn read_ahead(request: Request) -> Result<Request, ApiError> {
    let (parts, body) = request.into_parts();
    let size = body.size_hint().exact().filter(|size| (1..=READ_AHEAD).contains(size));
    if size.is_none() {
        return Ok(Request::from_parts(parts, body));
    }
    let unread = |_| ApiError::field("", "could not be read");
    let bytes = to_bytes(body, READ_AHEAD as usize).await.map_err(unread)?;
    Ok(Request::from_parts(parts, Body::from(bytes)))
}

fn holds_nul(uri: &Uri) -> bool {
    let text = uri.path_and_query().map(PathAndQuery::as_str).unwrap_or_default();
    text.contains("%00") || text.contains("%2500")
}

fn with_path(uri: &Uri, path: &str) -> Option<Uri> {
    let path_and_query = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// The refusal a response carries, or stands for when it came from the router itself in plain text.
fn refusal_of(response: &mut Response) -> Option<ApiError> {
    if let Some(error) = response.extensions_mut().remove::<ApiError>() {
        return Some(error);
    }
    let status = response.status();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if is_json || !(status.is_client_error() || status.is_server_error()) {
        return None;
    }
    Some(match status {
        StatusCode::METHOD_NOT_ALLOWED => {
            ApiError::because(ErrorCode::NotFound, "This path does not take that method; see Allow")
                .word("METHOD_NOT_ALLOWED")
                .hint("Use a method that the Allow header names.")
                .status(status)
        }
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::field("", "larger than this node takes").status(status),
        _ if status.is_client_error() => ApiError::new(ErrorCode::ValidationError).status(status),
        _ => ApiError::internal(format!("an answer of {status} without words")),
    })
}

impl ApiError {
    /// Rendered and, when it is our fault, logged: here and nowhere else.
    fn render_with(&self, id: &RequestId) -> Response {
        if let Some(cause) = self.cause() {
            tracing::error!(request_id = %id.text, code = self.code().slug(), cause, "a request failed");
        }
        self.render(id.api_id)
    }
}
