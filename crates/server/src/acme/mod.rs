//! A certificate for the API from an authority that speaks ACME (RFC 8555), such as Let's Encrypt, proven on the API's
//! own port by TLS-ALPN-01 (RFC 8737): nothing but that port has to be reachable, and no other program is needed.
//! Until the first one is there the API shows a self-made certificate that no client trusts. It is renewed when two
//! thirds of its life are over; when that fails it is tried again, ever more seldom, and the old one stays.

mod challenge;
mod files;
mod order;
mod web;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::server::ResolvesServerCert;
use tandem_model::clock;
use tokio_util::sync::CancellationToken;

pub(crate) use self::challenge::PROTOCOL;
use self::challenge::{Challenges, Shown};
use self::files::Folder;
use self::order::Authority;
use crate::api_listener;
use crate::certificate::Certificate;
use crate::config::ApiConfig;
use crate::transports::TlsError;

/// Names in one certificate at most: as many as Let's Encrypt takes.
const DOMAINS_MAX: usize = 100;
/// After the first failure; doubled with each further one. Authorities count failures by the hour: Let's Encrypt takes five.
const FIRST_PAUSE: Duration = Duration::from_mins(12);
const LAST_PAUSE: Duration = Duration::from_hours(12);
/// How often is looked whether it is time.
const LOOK: Duration = Duration::from_mins(10);

/// What the configuration says, and why it cannot be so.
pub(crate) fn check(api: &ApiConfig) -> Result<bool, String> {
    if api.acme_domains.is_empty() {
        return Ok(false);
    }
    if !api.tls_certificate.is_empty() || !api.tls_key.is_empty() {
        return Err("api.acme_domains and api.tls_certificate: give one of them, not both".to_owned());
    }
    if api.acme_domains.len() > DOMAINS_MAX {
        return Err(format!("api.acme_domains: at most {DOMAINS_MAX} names"));
    }
    let is_name = |name: &String| {
        let is_label = |label: &str| {
            (1..=63).contains(&label.len())
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        name.len() <= 253 && name.split('.').all(is_label) && name.parse::<std::net::Ipv4Addr>().is_err()
    };
    if let Some(other) = api.acme_domains.iter().find(|name| !is_name(name)) {
        return Err(format!(
            "api.acme_domains: {other:?} is not a host name; wildcards and addresses cannot be proven on this port"
        ));
    }
    if !api.acme_directory.starts_with("https://") {
        return Err("api.acme_directory: is the https:// URL of the authority's directory".to_owned());
    }
    if !api.acme_terms_agreed {
        return Err(format!(
            "api.acme_terms_agreed: read the terms of {} and set it to true, or the authority gives no certificate",
            api.acme_directory
        ));
    }
    Ok(true)
}

/// Keeps the certificate of one node.
pub(crate) struct Acme {
    authority: Authority,
    folder: Folder,
    certificate: Arc<Certificate>,
    challenges: Arc<Challenges>,
}

impl Acme {
    /// What was obtained before, or a certificate for the meantime. `None` when none is to be obtained.
    pub(crate) fn of(api: &ApiConfig, data: &Path) -> Result<Option<Self>, TlsError> {
        if !check(api).map_err(TlsError::Configuration)? {
            return Ok(None);
        }
        let folder = Folder::new(data.join("acme"));
        let (chain, key) = (folder.certificate(), folder.key());
        let files = api_listener::files(&chain, &key);
        let certificate = Certificate::awaited(&files, api.acme_domains.clone())?;
        let authority = Authority::of(api)?;
        Ok(Some(Self { authority, folder, certificate, challenges: Arc::new(Challenges::default()) }))
    }

    /// The certificate in use.
    pub(crate) fn certificate(&self) -> Arc<Certificate> {
        Arc::clone(&self.certificate)
    }

    /// What is shown to those who connect: the certificate, or to the authority its proof.
    pub(crate) fn server(&self) -> Result<ServerConfig, TlsError> {
        let shown = Shown { certificate: self.certificate(), challenges: self.challenges.clone() };
        let mut config = ServerConfig::clone(&*self.certificate.server()?);
        config.cert_resolver = Arc::new(shown) as Arc<dyn ResolvesServerCert>;
        config.alpn_protocols.push(PROTOCOL.to_vec());
        Ok(config)
    }

    /// Obtains and renews until cancelled.
    pub(crate) async fn keep(self, cancel: CancellationToken) {
        let mut failures = 0;
        loop {
            let wait = if self.folder.is_due(self.authority.domains(), clock::wall()) {
                match self.obtain().await {
                    Ok(until) => {
                        failures = 0;
                        tracing::info!(domains = ?self.authority.domains(), %until, "the API has a certificate from its authority");
                        LOOK
                    }
                    Err(problem) => {
                        let wait = pause(failures);
                        failures += 1;
                        tracing::error!(
                            problem,
                            again_in_s = wait.as_secs(),
                            directory = self.authority.directory(),
                            "no certificate for the API from its authority; what is shown stays as it is"
                        );
                        self.certificate.tell(problem);
                        wait
                    }
                }
            } else {
                LOOK
            };
            tokio::select! {
                () = cancel.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    async fn obtain(&self) -> Result<Timestamp, String> {
        let obtained = self.authority.obtain(&self.folder, &self.challenges).await;
        self.challenges.forget();
        let obtained = obtained.map_err(|error| error.to_string())?;
        self.folder.keep(&obtained).map_err(|error| error.to_string())?;
        self.certificate.renew().map_err(|error| error.to_string())?;
        self.folder.expiry().ok_or_else(|| "the authority's certificate cannot be read".to_owned())
    }
}

/// Before the next try, after `failures` that came before this one.
fn pause(failures: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LAST_PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Overrides, load};

    fn api(pairs: &[(&str, &str)]) -> ApiConfig {
        let with =
            pairs.iter().fold(Overrides::default(), |all, (key, value)| all.set(key, (*value).to_owned()));
        let with = with.set("api.acme_domains", vec!["api.shop.example".to_owned()]);
        load(None, &with.set("api.acme_terms_agreed", true)).unwrap().config.api
    }

    #[test]
    fn what_cannot_be_proven_or_contradicts_itself_is_refused_with_its_key() {
        assert_eq!(check(&load(None, &Overrides::default()).unwrap().config.api), Ok(false));
        assert_eq!(check(&api(&[])), Ok(true));
        for (pairs, key) in [
            (&[("api.tls_certificate", "x")][..], "api.tls_certificate"),
            (&[("api.acme_directory", "http://authority.example/")], "api.acme_directory"),
        ] {
            assert!(check(&api(pairs)).unwrap_err().contains(key), "{pairs:?}");
        }
        for name in ["", "*.shop.example", "192.0.2.1", "[::1]", "a..b", "-a.example", "shop.example:443"] {
            let wrong = ApiConfig { acme_domains: vec![name.to_owned()], ..api(&[]) };
            assert!(check(&wrong).unwrap_err().contains("api.acme_domains"), "{name}");
        }
        let hundred = |count| ApiConfig { acme_domains: vec!["a.example".to_owned(); count], ..api(&[]) };
        assert_eq!(check(&hundred(DOMAINS_MAX)), Ok(true));
        assert!(check(&hundred(DOMAINS_MAX + 1)).is_err());
        let without = ApiConfig { acme_terms_agreed: false, ..api(&[]) };
        assert!(check(&without).unwrap_err().contains("api.acme_terms_agreed"));
    }

    #[test]
    fn failures_are_tried_again_ever_more_seldom_and_below_what_authorities_count() {
        let first_hour: Duration = (0..3).map(pause).sum();
        assert!(first_hour > Duration::from_hours(1), "at most four tries in an hour: {first_hour:?}");
        assert_eq!(pause(u32::MAX), LAST_PAUSE);
    }

    #[test]
    fn before_the_first_certificate_one_for_the_meantime_is_shown() {
        let data = tempfile::tempdir().unwrap();
        let acme = Acme::of(&api(&[]), data.path()).unwrap().unwrap();
        assert!(acme.certificate().report().problem.unwrap().contains("not yet"));
        assert!(acme.server().unwrap().alpn_protocols.contains(&PROTOCOL.to_vec()));
    }
}
