//! What all of KYC works with, and why it may fail.

use std::ops::Deref;
use std::sync::Arc;

use secrecy::SecretString;
use tandem_model::AccountId;
use tandem_store::kyc::Subject;
use tandem_store::{Reader, Scrubber, StoreError, Writer};
use thiserror::Error;
use tokio::sync::Notify;

use super::subject::SubjectKey;
use super::verifier::{HttpVerifier, KycVerifier, Manual, Sandbox, VerifierError};
use crate::auth::{Vault, VaultError};
use crate::config::{Config, MailConfig};
use crate::egress::Egress;
use crate::post::{Post, PostError};

/// See the module; clones are handles.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Parts>);

/// See [`Desk`].
pub(crate) struct Parts {
    pub(crate) vault: Arc<Vault>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(super) scrubber: Scrubber,
    pub(crate) config: Arc<Config>,
    /// Who verifies documents.
    pub(crate) verifier: Arc<dyn KycVerifier>,
    /// Who verifies them in test mode, and whose pretended DigiLocker the page shows.
    pub(crate) sandbox: Arc<Sandbox>,
    /// Absent: no letters can be sent.
    pub(crate) post: Option<Post>,
    /// Where the hosted page is reached, without a slash at its end.
    pub(crate) public_url: String,
    /// Wakes the clerk.
    pub(super) nudge: Notify,
}

/// What a desk is made of.
pub(crate) struct DeskParts {
    pub(crate) config: Arc<Config>,
    pub(crate) vault: Arc<Vault>,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    pub(crate) scrubber: Scrubber,
    /// How the API is reached; the hosted page too unless `kyc.public_url` says otherwise.
    pub(crate) api_url: String,
    /// For the vendor; none where nothing is ever asked.
    pub(crate) egress: Option<Egress>,
}

/// Why something of KYC did not happen.
#[derive(Debug, Error)]
pub(crate) enum KycError {
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is sealed cannot be opened.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// Whoever verifies documents.
    #[error(transparent)]
    Verifier(#[from] VerifierError),
    /// The data was erased.
    #[error("the data of this KYC was erased")]
    Erased,
    /// Others changed it each time.
    #[error("it is being changed by others")]
    Busy,
}

/// The way to the mail server, if there is one; says which key is wrong.
pub(crate) fn post_of(mail: &MailConfig) -> Result<Option<Post>, String> {
    let post = match mail.smtp_url.as_str() {
        "" => return Ok(None),
        url => Post::new(url, &mail.from),
    };
    post.map(Some).map_err(|error| match error {
        PostError::Url => "mail.smtp_url: is smtp://host:port or smtps://user:password@host".to_owned(),
        _ => "mail.from: is an address, such as Acme <kyc@acme.example>".to_owned(),
    })
}

impl Desk {
    /// From the configuration; says which key is wrong.
    pub(crate) fn new(parts: DeskParts) -> Result<Self, String> {
        let DeskParts { config, vault, reader, writer, scrubber, api_url, egress } = parts;
        let kyc = &config.kyc;
        let public_url = if kyc.public_url.is_empty() { &api_url } else { &kyc.public_url };
        let public_url = public_url.trim_end_matches('/').to_owned();
        let sandbox = Arc::new(Sandbox::new(&public_url));
        let verifier: Arc<dyn KycVerifier> = match (kyc.verifier.as_str(), egress) {
            ("sandbox", _) => sandbox.clone(),
            ("manual", _) | ("http", None) => Arc::new(Manual),
            ("http", Some(egress)) => {
                if kyc.verifier_secret.len() < 16 {
                    return Err("kyc.verifier_secret: has at least 16 characters".to_owned());
                }
                let secret = SecretString::from(kyc.verifier_secret.as_str());
                let vendor = HttpVerifier::new(&kyc.verifier_url, secret, egress);
                Arc::new(vendor.map_err(|error| format!("kyc.verifier_url: {error}"))?)
            }
            (other, _) => return Err(format!("kyc.verifier: is sandbox, manual or http, not {other:?}")),
        };
        let post = post_of(&config.mail)?;
        Ok(Self(Arc::new(Parts {
            vault,
            reader,
            writer,
            scrubber,
            verifier,
            sandbox,
            post,
            public_url,
            nudge: Notify::new(),
            config,
        })))
    }

    /// The subject of an account, made unless it is there.
    pub(super) async fn subject(&self, account: &AccountId) -> Result<(Subject, SubjectKey), KycError> {
        let subject = match self.reader.kyc_subject(account).await? {
            Some(subject) => subject,
            None => {
                let subject = SubjectKey::mint(&self.vault, account);
                let ensure = tandem_store::kyc::EnsureSubject { subject, at: tandem_model::clock::wall() };
                self.writer.submit(ensure).await?
            }
        };
        let key = SubjectKey::open(&self.vault, &subject)?;
        Ok((subject, key))
    }

    /// The key of a subject, unless it was erased.
    pub(super) async fn key(&self, subject: &str) -> Result<Option<SubjectKey>, KycError> {
        match self.reader.kyc_subject_by_id(subject).await? {
            Some(subject) => Ok(Some(SubjectKey::open(&self.vault, &subject)?)),
            None => Ok(None),
        }
    }

    /// The sandbox in test mode, the verifier that was chosen otherwise.
    pub(super) fn verifier_for(&self, mock: bool) -> &dyn KycVerifier {
        if mock { &*self.sandbox } else { &*self.verifier }
    }

    /// Makes the clerk look now.
    pub(crate) fn wake(&self) {
        self.nudge.notify_one();
    }
}

impl Deref for Desk {
    type Target = Parts;

    fn deref(&self) -> &Parts {
        &self.0
    }
}
