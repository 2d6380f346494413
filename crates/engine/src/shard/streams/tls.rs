//! TLS around connections (RFC 3261 §26.2.1, RFC 5922): our certificate for those who come, the peer's name for those we
//! call.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::server::ParsedCertificate;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// TLS as it runs: where it listens and what it shows and asks for.
#[derive(Clone)]
pub(crate) struct TlsPlace {
    pub(crate) local: SocketAddr,
    pub(crate) server: Arc<rustls::ServerConfig>,
    pub(crate) client: Arc<rustls::ClientConfig>,
}

impl TlsPlace {
    pub(super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.server))
    }

    /// Shakes hands; the peer's certificate must be good for `name`, which is also sent as SNI unless it is an address.
    pub(super) async fn connect(&self, name: &str, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = server_name(name).ok_or(io::ErrorKind::InvalidInput)?;
        TlsConnector::from(Arc::clone(&self.client)).connect(name, stream).await
    }
}

/// The certificate a peer showed on a connection that we opened; empty until the handshake is done.
#[derive(Clone, Debug, Default)]
pub(super) struct PeerCertificate(Rc<RefCell<Option<CertificateDer<'static>>>>);

impl PeerCertificate {
    /// Keeps what the peer showed.
    pub(super) fn keep(&self, stream: &TlsStream<TcpStream>) {
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(|chain| chain.first());
        *self.0.borrow_mut() = shown.map(|certificate| certificate.clone().into_owned());
    }

    /// Whether the certificate, whose chain was verified, names this peer as well. One not shown yet is checked for the
    /// name of its own handshake only.
    pub(super) fn is_good_for(&self, name: &str) -> bool {
        let shown = self.0.borrow();
        let Some(certificate) = shown.as_ref() else { return false };
        let Some(name) = server_name(name) else { return false };
        ParsedCertificate::try_from(certificate)
            .is_ok_and(|parsed| rustls::client::verify_server_name(&parsed, &name).is_ok())
    }
}

fn server_name(name: &str) -> Option<ServerName<'static>> {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    ServerName::try_from(bare.trim_end_matches('.').to_owned()).ok()
}
