//! The connector: resolve, judge, connect to the judged address, look at the peer once more.
//!
//! The policy is applied here and not in a resolver, because an HTTP client asks no resolver about
//! a literal address. What is judged is what is connected to: no second look-up lies between.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tower::Service;

use super::resolve::{Resolve, addresses};
use super::{EgressError, EgressPolicy};

/// How long connecting may take unless a request says otherwise, over all addresses of a name.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// Addresses of one name that are tried.
const ADDRESSES_TRIED_MAX: usize = 4;

/// Opens TCP connections to permitted addresses only.
#[derive(Clone)]
pub(super) struct GuardedConnector {
    policy: Arc<EgressPolicy>,
    resolver: Arc<dyn Resolve>,
    timeout: Duration,
}

impl GuardedConnector {
    pub(super) fn new(policy: Arc<EgressPolicy>, resolver: Arc<dyn Resolve>) -> Self {
        Self { policy, resolver, timeout: CONNECT_TIMEOUT }
    }

    pub(super) fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    pub(super) fn policy(&self) -> &EgressPolicy {
        &self.policy
    }

    async fn connect(self, uri: Uri) -> Result<TokioIo<TcpStream>, EgressError> {
        let host = uri.host().unwrap_or_default().to_owned();
        let default_port = if uri.scheme_str() == Some("https") { 443 } else { 80 };
        let port = uri.port_u16().unwrap_or(default_port);
        let found = addresses(&*self.resolver, &host)
            .await
            .map_err(|words| EgressError::Dns { host: host.clone(), words })?;
        let vetted = self.vet(&host, found)?;
        let attempt = self.connect_to_any(&host, port, &vetted);
        match tokio::time::timeout(self.timeout, attempt).await {
            Ok(connected) => connected,
            Err(_) => Err(EgressError::ConnectTimeout { host }),
        }
    }

    /// The addresses that may be connected to, IPv4 first: far more hosts have a broken IPv6 route
    /// than a broken IPv4 one.
    fn vet(&self, host: &str, found: Vec<IpAddr>) -> Result<Vec<IpAddr>, EgressError> {
        let (mut vetted, refused): (Vec<_>, Vec<_>) =
            found.into_iter().map(|address| address.to_canonical()).partition(|a| self.policy.permits(*a));
        vetted.sort_by_key(|address| address.is_ipv6());
        vetted.dedup();
        vetted.truncate(ADDRESSES_TRIED_MAX);
        match (vetted.is_empty(), refused.first()) {
            (false, _) => Ok(vetted),
            (true, Some(address)) => Err(EgressError::Refused { host: host.to_owned(), address: *address }),
            (true, None) => {
                Err(EgressError::Dns { host: host.to_owned(), words: "it has no address".to_owned() })
            }
        }
    }

    async fn connect_to_any(
        &self,
        host: &str,
        port: u16,
        vetted: &[IpAddr],
    ) -> Result<TokioIo<TcpStream>, EgressError> {
        let mut failure = EgressError::ConnectTimeout { host: host.to_owned() };
        for (index, address) in vetted.iter().enumerate() {
            // Each address gets an equal share of what the slowest could eat.
            let share = self.timeout / (vetted.len() - index) as u32;
            let connecting = TcpStream::connect(SocketAddr::new(*address, port));
            match tokio::time::timeout(share, connecting).await {
                Ok(Ok(stream)) => return self.inspect(host, stream),
                Ok(Err(error)) => {
                    failure = EgressError::Connect { host: host.to_owned(), words: error.kind().to_string() };
                }
                Err(_) => failure = EgressError::ConnectTimeout { host: host.to_owned() },
            }
        }
        Err(failure)
    }

    fn inspect(&self, host: &str, stream: TcpStream) -> Result<TokioIo<TcpStream>, EgressError> {
        let words = |error: std::io::Error| EgressError::Connect {
            host: host.to_owned(),
            words: error.kind().to_string(),
        };
        let peer = stream.peer_addr().map_err(words)?.ip();
        if !self.policy.permits(peer) {
            return Err(EgressError::Refused { host: host.to_owned(), address: peer });
        }
        stream.set_nodelay(true).map_err(words)?;
        Ok(TokioIo::new(stream))
    }
}

impl Service<Uri> for GuardedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = EgressError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        Box::pin(self.clone().connect(uri))
    }
}
