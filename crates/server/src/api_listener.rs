//! How the API is reached: plainly, or over TLS with the operator's own certificate; and where plain HTTP is not
//! taken. Handshakes are made beside each other and within a time, so that a silent client holds up nobody.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse as _, Redirect, Response};
use axum::serve::{Listener, ListenerExt as _};
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::acme::{self, Acme};
use crate::certificate::{Certificate, CertificateFiles};
use crate::config::{ApiConfig, Config};
use crate::node::{StartError, address};
use crate::transports::TlsError;

/// A handshake takes so long at most.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Handshakes at once; further connections wait.
const HANDSHAKES: usize = 256;
/// Connections that are ready and not yet served.
const READY: usize = 64;
/// A client that takes nothing of its answer for so long is gone: the kernel closes the connection.
const UNTAKEN: Duration = Duration::from_mins(1);
/// A pause after a connection could not be taken: mostly descriptors ran out.
const PAUSE: Duration = Duration::from_millis(200);

/// What the API shows to those who connect.
pub(crate) struct ApiDoor {
    /// To follow.
    pub(crate) certificate: Option<Arc<Certificate>>,
    /// For [`serve`].
    pub(crate) server: Option<Arc<ServerConfig>>,
    /// To keep: obtains the certificate.
    pub(crate) acme: Option<Acme>,
}

impl ApiDoor {
    /// As configured; says what is wrong before anything is opened.
    pub(crate) fn of(config: &Config, is_dev: bool) -> Result<Self, StartError> {
        let refused = |error: TlsError| StartError::Configuration(error.to_string());
        let api = &config.api;
        let acme = Acme::of(api, &config.node.data).map_err(refused)?;
        let certificate = match &acme {
            Some(acme) => Some(acme.certificate()),
            None => certificate(api).map_err(refused)?,
        };
        let listen = address("api.listen", &api.listen)?;
        if let Some(problem) = plain_http_problem(api, listen, is_dev) {
            return Err(StartError::Configuration(problem));
        }
        if !api.redirect_listen.is_empty() && certificate.is_none() {
            return Err(StartError::Configuration(
                "api.redirect_listen: there is no HTTPS to redirect to; set api.acme_domains, or api.tls_certificate and api.tls_key".to_owned(),
            ));
        }
        let server = match &acme {
            Some(acme) => Some(Arc::new(speaking_http(acme.server().map_err(refused)?))),
            None => certificate.as_ref().map(server_config).transpose().map_err(refused)?,
        };
        Ok(Self { certificate, server, acme })
    }
}

/// The certificate of the API, if one is configured.
pub(crate) fn certificate(api: &ApiConfig) -> Result<Option<Arc<Certificate>>, TlsError> {
    Certificate::of(&files(&api.tls_certificate, &api.tls_key), None)
}

/// Where the API's certificate is read from.
pub(crate) fn files<'c>(certificate: &'c str, key: &'c str) -> CertificateFiles<'c> {
    CertificateFiles { certificate, key, names: ["api.tls_certificate", "api.tls_key"], what: "the API" }
}

/// What is shown to those who connect, now and after each renewal: HTTP/1.1 over TLS 1.2 or 1.3.
pub(crate) fn server_config(certificate: &Arc<Certificate>) -> Result<Arc<ServerConfig>, TlsError> {
    Ok(Arc::new(speaking_http(ServerConfig::clone(&*certificate.server()?))))
}

fn speaking_http(mut config: ServerConfig) -> ServerConfig {
    config.alpn_protocols.insert(0, b"http/1.1".to_vec());
    config
}

/// Whether the API ends TLS itself.
pub(crate) fn speaks_tls(api: &ApiConfig) -> bool {
    !api.tls_certificate.is_empty() || !api.acme_domains.is_empty()
}

/// Why plain HTTP is not served as configured; nothing when it may be. Credentials travel in every request, so they
/// leave this machine encrypted: by us, or by a proxy that the operator vouches for.
pub(crate) fn plain_http_problem(api: &ApiConfig, listen: SocketAddr, is_dev: bool) -> Option<String> {
    if speaks_tls(api) || is_dev || api.behind_proxy || listen.ip().to_canonical().is_loopback() {
        return None;
    }
    Some(format!(
        "api.listen is {listen}, where others can reach it, and there is no certificate: tokens would travel in the clear. \
         Set api.acme_domains, or api.tls_certificate and api.tls_key, listen on 127.0.0.1, or set api.behind_proxy when a proxy of yours ends TLS"
    ))
}

/// Serves a router until cancelled: over TLS where there is a certificate.
pub(crate) fn serve(
    tasks: &TaskTracker,
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    router: Router,
    cancel: CancellationToken,
) {
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let over = cancel.clone();
    let Some(tls) = tls else {
        let listener = listener.tap_io(|stream| limit(stream));
        tasks.spawn(async move {
            let serving =
                axum::serve(listener, service).with_graceful_shutdown(async move { over.cancelled().await });
            report(serving.await);
        });
        return;
    };
    let Ok(secured) = Secured::start(tasks, listener, tls, cancel) else {
        tracing::error!("the API stopped: its listener is gone");
        return;
    };
    tasks.spawn(async move {
        let secured = secured.tap_io(|stream| limit(stream.get_ref().0));
        let serving =
            axum::serve(secured, service).with_graceful_shutdown(async move { over.cancelled().await });
        report(serving.await);
    });
}

/// Sets how long an answer may lie untaken (TCP_USER_TIMEOUT).
fn limit(stream: &TcpStream) {
    let millis = u32::try_from(UNTAKEN.as_millis()).unwrap_or(u32::MAX);
    if let Err(error) = rustix::net::sockopt::set_tcp_user_timeout(stream, millis) {
        tracing::debug!(%error, "a connection has no limit on how long its answer lies untaken");
    }
}

fn report(served: std::io::Result<()>) {
    if let Err(error) = served {
        tracing::error!(%error, "the API stopped");
    }
}

/// Sends readers of plain HTTP to the encrypted address. Only those that read: who sent credentials and a body in the
/// clear is told so, and is not to do it again unawares.
pub(crate) fn redirecting(public_url: String) -> Router {
    Router::new().fallback(move |request: Request| {
        let public_url = public_url.clone();
        async move { redirect(&public_url, &request) }
    })
}

fn redirect(public_url: &str, request: &Request) -> Response {
    let target = request.uri().path_and_query().map_or("/", |path| path.as_str());
    let carries = ["x-auth-token", header::AUTHORIZATION.as_str()];
    let in_the_clear = carries.iter().any(|name| request.headers().contains_key(*name));
    if matches!(*request.method(), Method::GET | Method::HEAD) && !in_the_clear {
        return Redirect::permanent(&format!("{}{target}", public_url.trim_end_matches('/'))).into_response();
    }
    let words = format!(
        "This is plain HTTP, where credentials can be read by others. Use {public_url}, and change them."
    );
    let body =
        serde_json::json!({ "status": "error", "error": "HTTPS_REQUIRED", "message": words, "code": 403 });
    (StatusCode::FORBIDDEN, axum::Json(body)).into_response()
}

/// A listener whose connections have done their handshake.
struct Secured {
    ready: mpsc::Receiver<(TlsStream<TcpStream>, SocketAddr)>,
    local: SocketAddr,
}

impl Secured {
    fn start(
        tasks: &TaskTracker,
        listener: TcpListener,
        tls: Arc<ServerConfig>,
        cancel: CancellationToken,
    ) -> std::io::Result<Self> {
        let local = listener.local_addr()?;
        let (send, ready) = mpsc::channel(READY);
        let (acceptor, turns) = (TlsAcceptor::from(tls), Arc::new(Semaphore::new(HANDSHAKES)));
        let handshakes = tasks.clone();
        tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    () = cancel.cancelled() => return,
                    accepted = listener.accept() => accepted,
                };
                let (stream, peer) = match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::debug!(%error, "a connection to the API could not be taken");
                        tokio::time::sleep(PAUSE).await;
                        continue;
                    }
                };
                let Ok(turn) = turns.clone().acquire_owned().await else { return };
                let (acceptor, send) = (acceptor.clone(), send.clone());
                handshakes.spawn(async move {
                    let _turn = turn;
                    // Who fails or dawdles is gone without a word.
                    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE, acceptor.accept(stream)).await
                    else {
                        return;
                    };
                    // An authority has seen its proof: there is nothing more to say (RFC 8737 §4).
                    if stream.get_ref().1.alpn_protocol() != Some(acme::PROTOCOL) {
                        let _ = send.send((stream, peer)).await;
                    }
                });
            }
        });
        Ok(Self { ready, local })
    }
}

impl Listener for Secured {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        match self.ready.recv().await {
            Some(accepted) => accepted,
            // Cancelled: axum has been told, too.
            None => std::future::pending().await,
        }
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        Ok(self.local)
    }
}

#[cfg(test)]
mod tests {
    use axum::extract::ConnectInfo;

    use super::*;
    use crate::config::{Overrides, load};

    #[tokio::test]
    async fn an_answer_lies_untaken_for_so_long_and_no_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        limit(&stream);
        let millis = rustix::net::sockopt::tcp_user_timeout(&stream).unwrap();
        assert_eq!(Duration::from_millis(millis.into()), UNTAKEN);
    }

    #[test]
    fn plain_http_stays_on_this_machine_unless_a_proxy_or_development_is_meant() {
        let api = |overrides: Overrides| load(None, &overrides).unwrap().config.api;
        let plain = api(Overrides::default());
        let (open, here) = ("0.0.0.0:80".parse().unwrap(), "127.0.0.1:80".parse().unwrap());
        assert!(plain_http_problem(&plain, open, false).unwrap().contains("api.behind_proxy"));
        assert!(plain_http_problem(&plain, "[::]:80".parse().unwrap(), false).is_some());
        assert_eq!(plain_http_problem(&plain, here, false), None);
        assert_eq!(plain_http_problem(&plain, "[::1]:80".parse().unwrap(), false), None);
        assert_eq!(plain_http_problem(&plain, open, true), None);
        assert_eq!(
            plain_http_problem(&api(Overrides::default().set("api.behind_proxy", true)), open, false),
            None
        );
        let tls = Overrides::default().set("api.tls_certificate", "x").set("api.tls_key", "y");
        assert_eq!(plain_http_problem(&api(tls), open, false), None);
    }

    /// One GET over TLS; the status line.
    async fn ask(address: SocketAddr, trusted: rustls::RootCertStore) -> std::io::Result<String> {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(trusted)
            .with_no_client_auth();
        let name = "api.example".try_into().unwrap();
        let stream = TcpStream::connect(address).await?;
        let mut stream = tokio_rustls::TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
        stream.write_all(b"GET /who HTTP/1.1\r\nHost: api.example\r\nConnection: close\r\n\r\n").await?;
        let mut text = String::new();
        // Some peers close without a word of TLS.
        let _ = stream.read_to_string(&mut text).await;
        Ok(text)
    }

    #[tokio::test]
    async fn the_api_speaks_tls_while_others_dawdle_and_shows_a_renewed_certificate_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let write = || {
            let made = rcgen::generate_simple_self_signed(["api.example".to_owned()]).unwrap();
            std::fs::write(path("certificate"), made.cert.pem()).unwrap();
            std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
            let mut trusted = rustls::RootCertStore::empty();
            trusted.add(made.cert.der().clone()).unwrap();
            trusted
        };
        let first = write();
        let overrides = Overrides::default()
            .set("api.tls_certificate", path("certificate"))
            .set("api.tls_key", path("key"));
        let held = certificate(&load(None, &overrides).unwrap().config.api).unwrap().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (tasks, cancel) = (TaskTracker::new(), CancellationToken::new());
        let who = async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.ip().to_string();
        let router = Router::new().route("/who", axum::routing::get(who));
        serve(&tasks, listener, Some(server_config(&held).unwrap()), router, cancel.clone());

        let mut silent = Vec::new();
        for _ in 0..100 {
            silent.push(TcpStream::connect(address).await.unwrap());
        }
        let answer = ask(address, first.clone()).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("127.0.0.1"), "{answer}");
        let second = write();
        assert!(ask(address, second.clone()).await.is_err(), "not read yet");
        held.renew().unwrap();
        assert!(ask(address, second).await.unwrap().starts_with("HTTP/1.1 200"));
        assert!(ask(address, first).await.is_err(), "the old one is not shown any more");
        cancel.cancel();
        tasks.close();
        tokio::time::timeout(Duration::from_secs(15), tasks.wait()).await.expect("all of it ends");
        drop(silent);
    }

    #[test]
    fn only_reading_without_credentials_is_redirected() {
        let ask = |method: &str, credentials: bool| {
            let mut request = Request::builder().method(method).uri("/api/v1/x?y=1");
            if credentials {
                request = request.header("X-Auth-Token", "t");
            }
            redirect("https://api.example/", &request.body(axum::body::Body::empty()).unwrap())
        };
        let moved = ask("GET", false);
        assert_eq!(moved.status(), StatusCode::PERMANENT_REDIRECT);
        assert_eq!(moved.headers()["location"], "https://api.example/api/v1/x?y=1");
        for (method, credentials) in [("POST", false), ("DELETE", false), ("GET", true)] {
            assert_eq!(ask(method, credentials).status(), StatusCode::FORBIDDEN, "{method}");
        }
    }
}
