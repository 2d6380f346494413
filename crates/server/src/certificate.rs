//! A certificate of ours, for SIP over TLS or for the API, read again when its files change: a renewed one is shown to who connects next, and
//! connections that are open stay open. Files that cannot be used change nothing but what an operator is told.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use serde::Serialize;
use tandem_model::clock;
use tokio_util::sync::CancellationToken;

use crate::transports::{Pair, TlsError, certificates, self_signed, unusable};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(5);

/// Which files a certificate is read from, and how they are spoken of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CertificateFiles<'c> {
    /// The chain; empty for none.
    pub(crate) certificate: &'c str,
    /// Its private key.
    pub(crate) key: &'c str,
    /// The keys of the configuration that name them.
    pub(crate) names: [&'static str; 2],
    /// What it is for.
    pub(crate) what: &'static str,
}

/// The certificate in use, and the files it is read from.
#[derive(Debug)]
pub(crate) struct Certificate {
    files: Option<Files>,
    current: ArcSwap<CertifiedKey>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct Files {
    certificate: String,
    key: String,
    names: [&'static str; 2],
    what: &'static str,
}

/// What tells one content of a file from another without reading it.
type Stamp = [Option<(SystemTime, u64)>; 2];

#[derive(Debug)]
struct State {
    stamp: Stamp,
    read_at: Timestamp,
    /// Why what is in the files now is not in use.
    problem: Option<String>,
}

/// What an operator is told.
#[derive(Debug, Serialize)]
pub(crate) struct CertificateReport {
    /// Where it is read from; nothing for one made for development.
    pub(crate) file: Option<String>,
    /// When the certificate in use was read.
    pub(crate) read_at: String,
    /// Why the files as they are now are not in use.
    pub(crate) problem: Option<String>,
}

impl Certificate {
    /// Reads the configured files; `names` are what a certificate for development is made out to, when there is to be one.
    /// `None` when there is no certificate and none is to be made.
    pub(crate) fn of(
        configured: &CertificateFiles<'_>,
        names: Option<Vec<String>>,
    ) -> Result<Option<Arc<Self>>, TlsError> {
        let (files, pair, stamp) = match (configured.certificate, configured.key) {
            ("", "") => match names {
                Some(names) => (None, self_signed(names)?, Stamp::default()),
                None => return Ok(None),
            },
            ("", _) | (_, "") => return Err(TlsError::Alone(configured.names)),
            (certificate, key) => {
                let CertificateFiles { names, what, .. } = *configured;
                let files = Files { certificate: certificate.to_owned(), key: key.to_owned(), names, what };
                // Before it is read: a change meanwhile is seen at the next look.
                let stamp = files.stamp();
                let pair = files.read()?;
                (Some(files), pair, stamp)
            }
        };
        let state = State { stamp, read_at: clock::wall(), problem: None };
        let fitting = certified(pair).map_err(|error| misfit(configured, error))?;
        let current = ArcSwap::from(fitting);
        Ok(Some(Arc::new(Self { files, current, state: Mutex::new(state) })))
    }

    /// Reads the files, or shows one that nobody trusts, made out to `names`, until they are there and read by [`Self::renew`].
    pub(crate) fn awaited(
        configured: &CertificateFiles<'_>,
        names: Vec<String>,
    ) -> Result<Arc<Self>, TlsError> {
        if let Ok(Some(found)) = Self::of(configured, None) {
            return Ok(found);
        }
        let CertificateFiles { certificate, key, names: keys, what } = *configured;
        let files = Files { certificate: certificate.to_owned(), key: key.to_owned(), names: keys, what };
        let current = ArcSwap::from(certified(self_signed(names)?)?);
        let problem = Some("there is not yet a certificate that clients trust".to_owned());
        let state = State { stamp: files.stamp(), read_at: clock::wall(), problem };
        Ok(Arc::new(Self { files: Some(files), current, state: Mutex::new(state) }))
    }

    /// What is wrong with getting a new one, for the operator.
    pub(crate) fn tell(&self, problem: String) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).problem = Some(problem);
    }

    /// What we show to those who connect, now and after each renewal.
    pub(crate) fn server(self: &Arc<Self>) -> Result<Arc<ServerConfig>, TlsError> {
        let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_cert_resolver(Arc::clone(self) as Arc<dyn ResolvesServerCert>);
        Ok(Arc::new(server))
    }

    /// Reads the files and uses what is in them. On an error everything stays as it was.
    pub(crate) fn renew(&self) -> Result<(), TlsError> {
        let Some(files) = &self.files else { return Ok(()) };
        let stamp = files.stamp();
        let read =
            files.read().and_then(|pair| certified(pair).map_err(|error| misfit(&files.configured(), error)));
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.stamp = stamp;
        match read {
            Ok(pair) => {
                self.current.store(pair);
                state.read_at = clock::wall();
                state.problem = None;
                tracing::info!(file = files.certificate, "the certificate of {} is read again", files.what);
                Ok(())
            }
            Err(error) => {
                tracing::error!(%error, "a new certificate of {} cannot be used; the old one stays", files.what);
                state.problem = Some(error.to_string());
                Err(error)
            }
        }
    }

    /// Looks at the files every few seconds until cancelled.
    pub(crate) async fn follow(self: Arc<Self>, cancel: CancellationToken) {
        loop {
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
            if self.has_changed() {
                // What is wrong is said and kept; the next change is another chance.
                let _ = self.renew();
            }
        }
    }

    fn has_changed(&self) -> bool {
        let Some(files) = &self.files else { return false };
        files.stamp() != self.state.lock().unwrap_or_else(PoisonError::into_inner).stamp
    }

    /// What an operator is told.
    pub(crate) fn report(&self) -> CertificateReport {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        CertificateReport {
            file: self.files.as_ref().map(|files| files.certificate.clone()),
            read_at: state.read_at.to_string(),
            problem: state.problem.clone(),
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

impl Files {
    fn read(&self) -> Result<Pair, TlsError> {
        let chain = certificates(self.names[0], &self.certificate)?;
        let key = PrivateKeyDer::from_pem_file(Path::new(&self.key))
            .map_err(|error| unusable(self.names[1], &self.key, error))?;
        Ok((chain, key))
    }

    fn configured(&self) -> CertificateFiles<'_> {
        let Self { certificate, key, names, what } = self;
        CertificateFiles { certificate, key, names: *names, what }
    }

    /// A link that is turned to another file is a change too: the file's own data counts.
    fn stamp(&self) -> Stamp {
        [&self.certificate, &self.key].map(|path| {
            let found = fs::metadata(path).ok()?;
            Some((found.modified().ok()?, found.len()))
        })
    }
}

fn certified((chain, key): Pair) -> Result<Arc<CertifiedKey>, rustls::Error> {
    // A key whose public half cannot be known is taken at its word, as rustls does.
    Ok(Arc::new(CertifiedKey::from_der(chain, key, &default_provider())?))
}

/// The key is not the certificate's, or of a kind that TLS does not know.
fn misfit(configured: &CertificateFiles<'_>, error: rustls::Error) -> TlsError {
    let [certificate, key] = configured.names;
    unusable(key, configured.key, format!("does not fit {certificate}: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn written(folder: &Path, name: &str) -> (String, String) {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        let path = |part: &str| folder.join(part).display().to_string();
        fs::write(path("certificate"), made.cert.pem()).unwrap();
        fs::write(path("key"), made.signing_key.serialize_pem()).unwrap();
        (path("certificate"), path("key"))
    }

    fn shown(certificate: &Certificate) -> Vec<u8> {
        certificate.current.load().cert.first().unwrap().to_vec()
    }

    #[test]
    fn a_renewed_pair_is_shown_and_one_that_does_not_fit_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (chain, key) = written(folder.path(), "one.example");
        let overrides =
            Overrides::default().set("sip.tls_certificate", chain.clone()).set("sip.tls_key", key.clone());
        let config = load(None, &overrides).unwrap().config.sip;
        let certificate = Certificate::of(&config.certificate_files(), None).unwrap().unwrap();
        let first = shown(&certificate);
        assert!(!certificate.has_changed() && certificate.report().problem.is_none());

        let old_key = fs::read(&key).unwrap();
        written(folder.path(), "two.example.longer");
        let new_key = fs::read(&key).unwrap();
        fs::write(&key, old_key).unwrap();
        assert!(certificate.has_changed());
        assert!(certificate.renew().unwrap_err().to_string().contains("does not fit"));
        assert_eq!(shown(&certificate), first, "half of a pair is not used");
        assert!(certificate.report().problem.unwrap().contains("does not fit"));
        assert!(!certificate.has_changed(), "it is said once");

        fs::write(&key, [new_key.as_slice(), b"\n"].concat()).unwrap();
        assert!(certificate.has_changed());
        certificate.renew().unwrap();
        assert_ne!(shown(&certificate), first);
        assert_eq!(certificate.report().problem, None);

        fs::remove_file(&chain).unwrap();
        assert!(certificate.has_changed());
        assert!(certificate.renew().is_err());
        assert_ne!(shown(&certificate), first);
    }
}
