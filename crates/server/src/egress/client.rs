//! The client itself: one deadline over everything, a capped body, redirects that are judged anew.

use std::io::Read as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper_rustls::{ConfigBuilderExt as _, HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::ClientConfig;
use url::Url;

use super::connect::{CONNECT_TIMEOUT, GuardedConnector};
use super::resolve::Resolve;
use super::{EgressError, EgressPolicy, EgressTarget, SystemResolver};

/// Redirects followed at most.
pub(super) const REDIRECTS_MAX: usize = 3;
/// Idle connections kept per scheme, host and port: above the concurrency of a busy customer, or every burst
/// of calls closes connections that the next one opens again, handshakes included.
const IDLE_PER_HOST_MAX: usize = 32;
/// How long an idle connection is kept: longer than the gap between two requests of one call flow.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of response head accepted.
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Header fields accepted in a response.
const HEADERS_MAX: usize = 128;

type HttpClient = Client<HttpsConnector<GuardedConnector>, Full<Bytes>>;

/// What happens when a response body is longer than the cap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// [`EgressError::TooLarge`]: the body is what was wanted.
    Fail,
    /// What fits is kept and the connection dropped: only the status was wanted.
    Truncate,
}

/// Whether redirects are followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Redirects {
    /// The 3xx is the answer: webhooks.
    Return,
    /// Up to [`REDIRECTS_MAX`] hops, each judged anew; POST becomes GET on 301–303: documents, media.
    Follow,
}

/// The bounds of one request.
#[derive(Clone, Copy, Debug)]
pub struct EgressLimits {
    /// From the call of [`Egress::send`] to the last byte of the body, redirects included.
    pub total: Duration,
    /// TCP connect, per hop.
    pub connect: Duration,
    /// Body bytes, after decompression.
    pub body_bytes_max: usize,
    /// What happens past that.
    pub overflow: Overflow,
    /// Whether redirects are followed.
    pub redirects: Redirects,
}

impl EgressLimits {
    /// Bounds with the default connect time.
    pub fn new(total: Duration, body_bytes_max: usize, overflow: Overflow, redirects: Redirects) -> Self {
        Self { total, connect: CONNECT_TIMEOUT, body_bytes_max, overflow, redirects }
    }
}

/// A request to a tenant's URL.
#[derive(Clone, Debug)]
pub struct EgressRequest {
    /// Method.
    pub method: Method,
    /// Where.
    pub target: EgressTarget,
    /// Header fields; `Authorization` from the URL is added unless present.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
    /// Bounds.
    pub limits: EgressLimits,
}

/// A complete answer.
#[derive(Clone, Debug)]
pub struct EgressResponse {
    /// Status.
    pub status: StatusCode,
    /// Header fields.
    pub headers: HeaderMap,
    /// The body, decompressed, within the cap.
    pub body: Bytes,
    /// The URL that answered, after redirects; no fragment, no user info.
    pub url: Url,
    /// Hops followed.
    pub redirects: usize,
}

/// The guarded client. Cheap to clone.
#[derive(Clone)]
pub struct Egress {
    pooled: HttpClient,
    connector: GuardedConnector,
    tls: ClientConfig,
}

impl Egress {
    /// A client that asks the system's name servers.
    pub fn new(policy: EgressPolicy) -> Result<Self, EgressError> {
        Self::with_resolver(policy, Arc::new(SystemResolver::from_system()))
    }

    /// A client that asks `resolver`.
    pub fn with_resolver(policy: EgressPolicy, resolver: Arc<dyn Resolve>) -> Result<Self, EgressError> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| EgressError::Tls(error.to_string()))?
            .with_webpki_roots()
            .with_no_client_auth();
        let connector = GuardedConnector::new(Arc::new(policy), resolver);
        let pooled = client(&connector, &tls, IDLE_PER_HOST_MAX);
        Ok(Self { pooled, connector, tls })
    }

    /// Whether the policy lets anything connect to `address`.
    pub fn permits(&self, address: IpAddr) -> bool {
        self.connector.policy().permits(address)
    }

    /// Sends a request and reads the answer whole.
    pub async fn send(&self, request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let total = request.limits.total;
        // Boxed: the state of a TLS handshake and three hops is large, and callers keep many in flight.
        match tokio::time::timeout(total, Box::pin(self.follow(request))).await {
            Ok(answered) => answered,
            Err(_) => Err(EgressError::Timeout),
        }
    }

    async fn follow(&self, mut request: EgressRequest) -> Result<EgressResponse, EgressError> {
        let client = self.client_for(request.limits);
        let mut hops = 0;
        loop {
            let response = exchange(&client, &request).await?;
            let follow = request.limits.redirects == Redirects::Follow && is_redirect(response.status());
            if !follow {
                return read(response, &request, hops).await;
            }
            if hops == REDIRECTS_MAX {
                return Err(EgressError::Redirect(format!("more than {REDIRECTS_MAX} in a row")));
            }
            hops += 1;
            redirect(&mut request, &response)?;
        }
    }

    /// The connect time is a property of the connector: requests that ask for another one get a
    /// client of their own, without a pool.
    fn client_for(&self, limits: EgressLimits) -> HttpClient {
        if limits.connect == CONNECT_TIMEOUT {
            return self.pooled.clone();
        }
        client(&self.connector.clone().with_timeout(limits.connect), &self.tls, 0)
    }
}

fn client(connector: &GuardedConnector, tls: &ClientConfig, idle_per_host: usize) -> HttpClient {
    let https = HttpsConnectorBuilder::new()
        .with_tls_config(tls.clone())
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector.clone());
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE_TIMEOUT)
        .pool_max_idle_per_host(idle_per_host)
        .http1_max_buf_size(HEAD_BYTES_MAX)
        .http1_max_headers(HEADERS_MAX)
        .build(https)
}

async fn exchange(
    client: &HttpClient,
    request: &EgressRequest,
) -> Result<http::Response<Incoming>, EgressError> {
    let uri =
        Uri::try_from(request.target.url().as_str()).map_err(|error| EgressError::Url(error.to_string()))?;
    let mut wire = Request::new(Full::new(request.body.clone()));
    *wire.method_mut() = request.method.clone();
    *wire.uri_mut() = uri;
    *wire.headers_mut() = request.headers.clone();
    if let Some(basic) = request.target.authorization()
        && !wire.headers().contains_key(AUTHORIZATION)
    {
        wire.headers_mut().insert(AUTHORIZATION, basic.clone());
    }
    client.request(wire).await.map_err(|error| classify(&error))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Turns `request` into the next hop (RFC 9110 §15.4).
fn redirect(request: &mut EgressRequest, response: &http::Response<Incoming>) -> Result<(), EgressError> {
    let location = response
        .headers()
        .get(LOCATION)
        .and_then(|value| value.to_str().ok())
        .ok_or_else(|| EgressError::Redirect("no usable Location".to_owned()))?;
    request.target = request.target.join(location)?;
    let keeps_method = matches!(response.status().as_u16(), 307 | 308);
    if !keeps_method && !matches!(request.method, Method::GET | Method::HEAD) {
        request.method = Method::GET;
        request.body = Bytes::new();
        request.headers.remove(CONTENT_TYPE);
        request.headers.remove(CONTENT_LENGTH);
    }
    Ok(())
}

async fn read(
    response: http::Response<Incoming>,
    request: &EgressRequest,
    redirects: usize,
) -> Result<EgressResponse, EgressError> {
    let (head, mut body) = response.into_parts();
    let limit = request.limits.body_bytes_max;
    let too_large = || EgressError::TooLarge { limit };
    let fails = request.limits.overflow == Overflow::Fail;
    let announced = hyper::body::Body::size_hint(&body).lower();
    if fails && announced > limit as u64 {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(announced.min(limit as u64) as usize);
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| EgressError::Protocol(error.to_string()))?;
        let Ok(data) = frame.into_data() else { continue };
        let room = limit - bytes.len();
        if data.len() > room {
            if fails {
                return Err(too_large());
            }
            bytes.extend_from_slice(&data[..room]);
            break;
        }
        bytes.extend_from_slice(&data);
    }
    if is_gzip(&head.headers) {
        bytes = gunzip(&bytes, request.limits)?;
    }
    Ok(EgressResponse {
        status: head.status,
        headers: head.headers,
        body: bytes.into(),
        url: request.target.url().clone(),
        redirects,
    })
}

fn is_gzip(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_ENCODING)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|coding| matches!(coding.trim().to_ascii_lowercase().as_str(), "gzip" | "x-gzip"))
}

/// Decompresses within the cap, so a small bomb stays small.
fn gunzip(compressed: &[u8], limits: EgressLimits) -> Result<Vec<u8>, EgressError> {
    let limit = limits.body_bytes_max;
    let mut plain = Vec::new();
    let read = MultiGzDecoder::new(compressed).take(limit as u64 + 1).read_to_end(&mut plain);
    match (read, limits.overflow) {
        (Err(error), Overflow::Fail) => Err(EgressError::Protocol(format!("bad gzip: {error}"))),
        (Ok(_), Overflow::Fail) if plain.len() > limit => Err(EgressError::TooLarge { limit }),
        (_, _) => {
            plain.truncate(limit);
            Ok(plain)
        }
    }
}

/// Finds our own word in the client's chain of causes.
fn classify(error: &hyper_util::client::legacy::Error) -> EgressError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = cause {
        if let Some(ours) = current.downcast_ref::<EgressError>() {
            return ours.clone();
        }
        if let Some(tls) = current.downcast_ref::<rustls::Error>() {
            return EgressError::Tls(tls.to_string());
        }
        // `io::Error::source` skips the error it wraps.
        if let Some(io) = current.downcast_ref::<std::io::Error>()
            && let Some(inner) = io.get_ref()
        {
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return EgressError::Tls(tls.to_string());
            }
            if let Some(ours) = inner.downcast_ref::<EgressError>() {
                return ours.clone();
            }
        }
        cause = current.source();
    }
    if error.is_connect() {
        // TCP stood (its failures carry our own word), so the handshake broke.
        return EgressError::Tls("the peer broke off the handshake".to_owned());
    }
    let words = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    EgressError::Protocol(words)
}
