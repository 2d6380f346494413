//! Plain HTTP to a server on this machine, for tests that speak REST.

use std::path::Path;
use std::time::Duration;

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};

/// Longest a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// An account's id and token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// `auth_id`.
    pub id: String,
    /// `auth_token`.
    pub token: String,
}

/// Status, headers, JSON body (`Null` for none).
#[derive(Clone, Debug)]
pub struct Reply {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: http::HeaderMap,
    /// Body.
    pub body: Value,
}

impl Reply {
    /// The body of a 2xx.
    ///
    /// # Panics
    /// For any other status, with the body in the message.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "HTTP {}: {}", self.status, self.body);
        self.body
    }
}

/// Sends a request to `http://host:port/path`.
///
/// # Panics
/// When the server cannot be reached or does not answer within 30 s.
pub async fn rest(method: &str, url: &str, credentials: Option<&Credentials>, body: Option<&Value>) -> Reply {
    rest_with(method, url, credentials, &[], body).await
}

/// The same with further headers.
///
/// # Panics
/// As [`rest`].
pub(crate) async fn rest_with(
    method: &str,
    url: &str,
    credentials: Option<&Credentials>,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Reply {
    let (host, path) =
        url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).expect("an http:// URL");
    let stream = TcpStream::connect(host).await.expect("the server listens");
    exchange(stream, method, host, &format!("/{path}"), credentials, headers, body).await
}

/// Sends a request over a unix socket.
///
/// # Panics
/// When nobody listens there or answers within 30 s.
pub async fn over_socket(socket: &Path, method: &str, path: &str, body: Option<&Value>) -> Reply {
    let stream = UnixStream::connect(socket).await.expect("the server listens");
    exchange(stream, method, "localhost", path, None, &[], body).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    method: &str,
    host: &str,
    path: &str,
    credentials: Option<&Credentials>,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> Reply {
    let method: Method = method.parse().expect("a method");
    let exchange = async {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP");
        let mut request =
            Request::builder().method(method).uri(path).header("host", host).header("connection", "close");
        if let Some(credentials) = credentials {
            request = request.header("x-auth-id", &credentials.id).header("x-auth-token", &credentials.token);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if body.is_some() {
            request = request.header("content-type", "application/json");
        }
        let payload = body.map(Value::to_string).unwrap_or_default();
        let request = request.body(Full::new(Bytes::from(payload))).expect("a request");
        let (response, _) = tokio::join!(
            async {
                let response = sender.send_request(request).await.expect("an answer");
                drop(sender);
                let (parts, body) = response.into_parts();
                (parts, body.collect().await.expect("a body").to_bytes())
            },
            connection
        );
        response
    };
    let (parts, bytes) = tokio::time::timeout(PATIENCE, exchange).await.expect("an answer within 30 s");
    let body = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
    };
    Reply { status: parts.status.as_u16(), headers: parts.headers, body }
}
