//! What is kept of an authority: our account there, the key and the certificate; each readable by this user alone, and
//! replaced whole.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use instant_acme::AccountCredentials;
use jiff::Timestamp;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use serde::{Deserialize, Serialize};
use x509_parser::prelude::{FromDer as _, GeneralName, X509Certificate};

/// A key and the chain for it, both PEM.
pub(super) struct Obtained {
    pub(super) key: String,
    pub(super) chain: String,
}

/// Our account at one authority.
#[derive(Serialize, Deserialize)]
pub(super) struct KeptAccount {
    /// The authority it is at.
    pub(super) directory: String,
    pub(super) credentials: AccountCredentials,
}

/// The folder `acme` of the data folder.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// The chain's file.
    pub(super) fn certificate(&self) -> String {
        self.0.join("certificate.pem").display().to_string()
    }

    /// The private key's file.
    pub(super) fn key(&self) -> String {
        self.0.join("key.pem").display().to_string()
    }

    /// The account at the authority of `directory`, if we have one.
    pub(super) fn account(&self, directory: &str) -> Option<AccountCredentials> {
        let text = fs::read_to_string(self.0.join("account.json")).ok()?;
        let kept: KeptAccount = serde_json::from_str(&text).ok()?;
        (kept.directory == directory).then_some(kept.credentials)
    }

    pub(super) fn keep_account(&self, account: &KeptAccount) -> io::Result<()> {
        self.write("account.json", &serde_json::to_string_pretty(account)?)
    }

    /// The key first: with the old chain it does not fit and is not used, until the new chain is there too.
    pub(super) fn keep(&self, obtained: &Obtained) -> io::Result<()> {
        self.write("key.pem", &obtained.key)?;
        self.write("certificate.pem", &obtained.chain)
    }

    /// When the certificate ends.
    pub(super) fn expiry(&self) -> Option<Timestamp> {
        Some(self.leaf()?.until)
    }

    /// Whether a certificate for `domains` is to be obtained now: there is none, it is for other names, or two thirds of
    /// its life are over.
    pub(super) fn is_due(&self, domains: &[String], now: Timestamp) -> bool {
        let Some(leaf) = self.leaf() else { return true };
        let lacks = |domain: &String| !leaf.names.contains(&domain.to_ascii_lowercase());
        domains.iter().any(lacks) || now >= leaf.renew_at()
    }

    fn leaf(&self) -> Option<Leaf> {
        let chain = fs::read(self.certificate()).ok()?;
        Leaf::of(&CertificateDer::from_pem_slice(&chain).ok()?)
    }

    fn write(&self, name: &str, text: &str) -> io::Result<()> {
        fs::create_dir_all(&self.0)?;
        let (path, next) = (self.0.join(name), self.0.join(format!("{name}.new")));
        let mut file =
            fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(next, path)
    }
}

/// What a certificate says of itself.
struct Leaf {
    since: Timestamp,
    until: Timestamp,
    names: Vec<String>,
}

impl Leaf {
    fn of(der: &[u8]) -> Option<Self> {
        let (_, parsed) = X509Certificate::from_der(der).ok()?;
        let validity = parsed.validity();
        let instant = |seconds| Timestamp::from_second(seconds).ok();
        let name = |name: &GeneralName<'_>| match name {
            GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
            _ => None,
        };
        let names = parsed.subject_alternative_name().ok()??.value.general_names.iter();
        Some(Self {
            since: instant(validity.not_before.timestamp())?,
            until: instant(validity.not_after.timestamp())?,
            names: names.filter_map(name).collect(),
        })
    }

    fn renew_at(&self) -> Timestamp {
        self.until - self.until.duration_since(self.since) / 3
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn kept(folder: &Folder, days: i64) -> Timestamp {
        let since = Timestamp::from_second(1_800_000_000).unwrap();
        let mut params = rcgen::CertificateParams::new(vec!["API.shop.example".to_owned()]).unwrap();
        params.not_before = rcgen::date_time_ymd(2027, 1, 15);
        params.not_after =
            rcgen::date_time_ymd(2027, 1, 15) + std::time::Duration::from_secs(days as u64 * 86_400);
        let key = rcgen::KeyPair::generate().unwrap();
        let chain = params.self_signed(&key).unwrap().pem();
        folder.keep(&Obtained { key: key.serialize_pem(), chain }).unwrap();
        let leaf = folder.leaf().unwrap();
        assert!(leaf.since <= since);
        leaf.since
    }

    #[test]
    fn a_certificate_is_due_when_two_thirds_of_its_life_are_over_or_its_names_are_others() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::new(place.path().join("acme"));
        let mine = ["api.shop.example".to_owned()];
        assert!(folder.is_due(&mine, Timestamp::UNIX_EPOCH), "there is none");
        for days in [90, 6] {
            let since = kept(&folder, days);
            let after = |hours: i64| since + jiff::SignedDuration::from_hours(hours);
            assert!(!folder.is_due(&mine, after(days * 16 - 1)), "{days}");
            assert!(folder.is_due(&mine, after(days * 16)), "{days}");
            assert_eq!(folder.expiry(), Some(after(days * 24)));
        }
        assert!(folder.is_due(&["b.example".to_owned()], Timestamp::from_second(1_800_000_000).unwrap()));
        let mode = fs::metadata(folder.key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
