//! SIP over TCP and TLS as configured: where they listen, our certificate, and whose certificates we accept from carriers.

use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore};
use tandem_engine::TlsConfig;
use thiserror::Error;

use crate::certificate::{Certificate, CertificateFiles};
use crate::config::SipConfig;
use crate::node::StartError;

/// The word that switches a transport off.
const OFF: &str = "off";

/// TCP and TLS of one node.
pub(crate) struct Transports {
    pub(crate) tcp: Option<SocketAddr>,
    pub(crate) tls: Option<TlsConfig>,
    /// What TLS shows; read again when its files change.
    pub(crate) certificate: Option<Arc<Certificate>>,
}

/// Why a certificate or key cannot be used.
#[derive(Debug, Error)]
pub(crate) enum TlsError {
    /// A file cannot be read, or holds nothing of the kind.
    #[error("{key}: {path}: {reason}")]
    File {
        /// Which key of the configuration.
        key: &'static str,
        /// Which file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The configuration contradicts itself.
    #[error("{0}")]
    Configuration(String),
    /// One of a pair is missing.
    #[error("{} and {} belong together: give both or neither", .0[0], .0[1])]
    Alone([&'static str; 2]),
    /// TLS itself does not take what it is given.
    #[error("TLS: {0}")]
    Refused(#[from] rustls::Error),
    /// A certificate for development could not be made.
    #[error("a certificate for development: {0}")]
    SelfSigned(#[from] rcgen::Error),
}

impl Transports {
    /// Reads the configuration; `names` are what a certificate for development is made out to, when there is to be one.
    pub(crate) fn of(
        config: &SipConfig,
        sip: SocketAddr,
        names: Option<Vec<String>>,
    ) -> Result<Self, StartError> {
        let tcp = match config.tcp_listen.as_str() {
            OFF => None,
            "" => Some(SocketAddr::new(sip.ip(), sip.port())),
            value => Some(address("sip.tcp_listen", value)?),
        };
        if config.tls_listen == OFF {
            return Ok(Self { tcp, tls: None, certificate: None });
        }
        let refused = |error: TlsError| StartError::Configuration(error.to_string());
        let Some(certificate) = Certificate::of(&config.certificate_files(), names).map_err(refused)? else {
            return Ok(Self { tcp, tls: None, certificate: None });
        };
        let server = certificate.server().map_err(refused)?;
        let bind = match config.tls_listen.as_str() {
            // 5061 beside 5060; a free port beside a free port.
            "" => SocketAddr::new(sip.ip(), if sip.port() == 0 { 0 } else { sip.port().saturating_add(1) }),
            value => address("sip.tls_listen", value)?,
        };
        let client = Arc::new(trusting("sip.tls_ca", &config.tls_ca).map_err(refused)?);
        Ok(Self { tcp, tls: Some(TlsConfig { bind, server, client }), certificate: Some(certificate) })
    }
}

impl SipConfig {
    /// Where the certificate of SIP over TLS is read from.
    pub(crate) fn certificate_files(&self) -> CertificateFiles<'_> {
        CertificateFiles {
            certificate: &self.tls_certificate,
            key: &self.tls_key,
            names: ["sip.tls_certificate", "sip.tls_key"],
            what: "SIP over TLS",
        }
    }
}

fn address(key: &'static str, value: &str) -> Result<SocketAddr, StartError> {
    let refused = || StartError::Address { key, value: value.to_owned() };
    value.to_socket_addrs().map_err(|_| refused())?.next().ok_or_else(refused)
}

/// A client that trusts the system's authorities and those the operator adds: the PEM file `ca`, named by `key` of the
/// configuration, unless it is empty.
pub(crate) fn trusting(key: &'static str, ca: &str) -> Result<ClientConfig, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    for error in &system.errors {
        tracing::warn!(%error, "some of the system's certificate authorities cannot be read");
    }
    let (_, unusable) = roots.add_parsable_certificates(system.certs);
    tracing::debug!(unusable, known = roots.len(), "certificate authorities");
    if !ca.is_empty() {
        for authority in certificates(key, ca)? {
            roots.add(authority)?;
        }
    }
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(client)
}

pub(crate) fn certificates(key: &'static str, path: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let chain = CertificateDer::pem_file_iter(Path::new(path))
        .and_then(|found| found.collect::<Result<Vec<_>, _>>())
        .map_err(|error| unusable(key, path, error))?;
    if chain.is_empty() {
        return Err(unusable(key, path, "there is no certificate in it"));
    }
    Ok(chain)
}

pub(crate) fn unusable(key: &'static str, path: &str, reason: impl ToString) -> TlsError {
    TlsError::File { key, path: path.to_owned(), reason: reason.to_string() }
}

/// A chain and its key.
pub(crate) type Pair = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

/// A certificate nobody vouches for, new with each start: enough to try phones with.
pub(crate) fn self_signed(names: Vec<String>) -> Result<Pair, TlsError> {
    let made = rcgen::generate_simple_self_signed(names)?;
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der());
    Ok((vec![made.cert.der().clone()], key.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn config(pairs: &[(&str, &str)]) -> SipConfig {
        let overrides =
            pairs.iter().fold(Overrides::default(), |all, (key, value)| all.set(key, (*value).to_owned()));
        load(None, &overrides).unwrap().config.sip
    }

    fn of(pairs: &[(&str, &str)], sip: &str, dev: bool) -> Result<(Option<String>, Option<String>), String> {
        let names = dev.then(|| vec!["localhost".to_owned()]);
        Transports::of(&config(pairs), sip.parse().unwrap(), names)
            .map(|found| (found.tcp.map(|tcp| tcp.to_string()), found.tls.map(|tls| tls.bind.to_string())))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tcp_listens_beside_udp_and_tls_where_there_is_a_certificate() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(of(&[], "0.0.0.0:5060", false), Ok((text("0.0.0.0:5060"), None)));
        assert_eq!(of(&[], "[::]:5060", true), Ok((text("[::]:5060"), text("[::]:5061"))));
        assert_eq!(
            of(&[("sip.tcp_listen", "off"), ("sip.tls_listen", "off")], "0.0.0.0:5060", true),
            Ok((None, None))
        );
        let elsewhere = [("sip.tcp_listen", "127.0.0.1:5070"), ("sip.tls_listen", "127.0.0.1:5071")];
        assert_eq!(
            of(&elsewhere, "0.0.0.0:5060", true),
            Ok((text("127.0.0.1:5070"), text("127.0.0.1:5071")))
        );
        assert_eq!(of(&[], "127.0.0.1:0", true), Ok((text("127.0.0.1:0"), text("127.0.0.1:0"))));
    }

    #[test]
    fn files_that_cannot_be_used_are_named_with_their_key() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let made = rcgen::generate_simple_self_signed(["sip.example".to_owned()]).unwrap();
        let other = rcgen::generate_simple_self_signed(["sip.example".to_owned()]).unwrap();
        std::fs::write(path("certificate"), made.cert.pem()).unwrap();
        std::fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
        std::fs::write(path("other"), other.signing_key.serialize_pem()).unwrap();
        std::fs::write(path("empty"), "").unwrap();
        let with = |certificate: &str, key: &str| {
            let config = config(&[("sip.tls_certificate", &path(certificate)), ("sip.tls_key", &path(key))]);
            Certificate::of(&config.certificate_files(), None)
                .map(|found| found.is_some())
                .map_err(|error| error.to_string())
        };
        assert_eq!(with("certificate", "key"), Ok(true));
        for (certificate, key, says) in [
            ("missing", "key", "sip.tls_certificate"),
            ("empty", "key", "no certificate"),
            ("certificate", "missing", "sip.tls_key"),
            ("certificate", "certificate", "sip.tls_key"),
            ("certificate", "other", "does not fit"),
        ] {
            let error = with(certificate, key).unwrap_err();
            assert!(error.contains(says), "{certificate} {key}: {error}");
        }
        let config = config(&[("sip.tls_key", &path("key"))]);
        let alone = Certificate::of(&config.certificate_files(), None);
        assert!(matches!(alone, Err(TlsError::Alone(_))));
    }
}
