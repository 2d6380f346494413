//! A small HTTP client for what runs on this machine: the admin socket and a node's own API.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};
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

/// A status and the JSON that came with it (`Null` for none).
pub(crate) type Reply = (u16, Value);

/// Sends a request to `http://host:port/path` with extra headers.
pub(crate) async fn to_url(
    method: Method,
    url: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> anyhow::Result<Reply> {
    let rest = url.strip_prefix("http://").with_context(|| format!("{url} is not an http:// URL"))?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let stream = TcpStream::connect(host).await.with_context(|| format!("cannot reach {host}"))?;
    exchange(stream, method, host, &format!("/{path}"), headers, body).await
}

/// Sends a request over a unix socket.
pub(crate) async fn to_socket(
    socket: &Path,
    method: Method,
    path: &str,
    body: Option<&Value>,
) -> anyhow::Result<Reply> {
    let stream =
        UnixStream::connect(socket).await.with_context(|| format!("cannot reach {}", socket.display()))?;
    exchange(stream, method, "localhost", path, &[], body).await
}

async fn exchange<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    stream: S,
    method: Method,
    host: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<&Value>,
) -> anyhow::Result<Reply> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let mut request =
        Request::builder().method(method).uri(path).header("host", host).header("connection", "close");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let payload = body.map(Value::to_string).unwrap_or_default();
    if body.is_some() {
        request = request.header("content-type", "application/json");
    }
    let request = request.body(Full::new(Bytes::from(payload)))?;
    let talk = async {
        let response = sender.send_request(request).await?;
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await?.to_bytes();
        anyhow::Ok((status, bytes))
    };
    let exchange = async {
        tokio::pin!(talk);
        tokio::pin!(connection);
        tokio::select! {
            reply = &mut talk => reply,
            ended = &mut connection => {
                ended?;
                talk.await
            }
        }
    };
    let (status, bytes) =
        tokio::time::timeout(PATIENCE, exchange).await.context("no answer within 30 s")??;
    let value = if bytes.is_empty() {
        Value::Null
    } else {
        serde_json::from_slice(&bytes)
            .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&bytes).into_owned()))
    };
    Ok((status, value))
}

/// The JSON of a 2xx; anything else is an error in the node's own words.
pub(crate) fn accepted((status, value): Reply) -> anyhow::Result<Value> {
    if (200..300).contains(&status) {
        return Ok(value);
    }
    let words = ["message", "error"]
        .iter()
        .find_map(|key| value[*key].as_str())
        .map_or_else(|| value.to_string(), str::to_owned);
    let details = &value["details"];
    if details.is_null() {
        bail!("{words} (HTTP {status})");
    }
    bail!("{words}: {details} (HTTP {status})")
}
