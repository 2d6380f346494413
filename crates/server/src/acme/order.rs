//! One certificate from the authority: account, order, proofs, key and chain (RFC 8555 §7.4).

use std::time::Duration;

use instant_acme::{
    Account, AuthorizationStatus, ChallengeType, Identifier, NewAccount, NewOrder, Order, OrderStatus,
    RetryPolicy,
};

use super::challenge::Challenges;
use super::files::{Folder, KeptAccount, Obtained};
use super::web::Web;
use crate::config::ApiConfig;
use crate::transports::TlsError;

/// How long the authority may take to look, and then to sign.
const PATIENCE: Duration = Duration::from_mins(2);

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum OrderError {
    /// It refused something, or could not be asked.
    #[error("{0}")]
    Authority(#[from] instant_acme::Error),
    /// It has other ways of proof only.
    #[error("the authority does not offer TLS-ALPN-01 for {0}")]
    NoWay(String),
    /// It looked, and did not see the proof.
    #[error("the authority did not see the proof for {name}: {why}; {name} port 443 must lead to api.listen")]
    Unproven { name: String, why: String },
    /// The order ended otherwise than with a certificate.
    #[error("the authority's order ended as {0:?}")]
    Ended(OrderStatus),
    /// A proof cannot be made.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The account cannot be kept.
    #[error("the account at the authority cannot be kept: {0}")]
    Keep(#[from] std::io::Error),
}

/// Who signs, and for what.
pub(super) struct Authority {
    directory: String,
    contact: Vec<String>,
    domains: Vec<String>,
    web: Web,
}

impl Authority {
    pub(super) fn of(api: &ApiConfig) -> Result<Self, TlsError> {
        let contact = Some(api.acme_contact.as_str()).filter(|mail| !mail.is_empty());
        Ok(Self {
            directory: api.acme_directory.clone(),
            contact: contact.map(|mail| format!("mailto:{mail}")).into_iter().collect(),
            domains: api.acme_domains.clone(),
            web: Web::trusting(&api.acme_ca)?,
        })
    }

    pub(super) fn domains(&self) -> &[String] {
        &self.domains
    }

    pub(super) fn directory(&self) -> &str {
        &self.directory
    }

    /// Goes the whole way once.
    pub(super) async fn obtain(
        &self,
        folder: &Folder,
        challenges: &Challenges,
    ) -> Result<Obtained, OrderError> {
        let account = self.account(folder).await?;
        let names: Vec<_> = self.domains.iter().map(|name| Identifier::Dns(name.clone())).collect();
        let mut order = account.new_order(&NewOrder::new(&names)).await?;
        prove(&mut order, challenges).await?;
        let patience = RetryPolicy::new().timeout(PATIENCE);
        match order.poll_ready(&patience).await? {
            OrderStatus::Ready => {}
            OrderStatus::Invalid => return Err(refusal(&mut order).await),
            other => return Err(OrderError::Ended(other)),
        }
        let key = order.finalize().await?;
        let chain = order.poll_certificate(&patience).await?;
        Ok(Obtained { key, chain })
    }

    async fn account(&self, folder: &Folder) -> Result<Account, OrderError> {
        let builder = || Account::builder_with_http(Box::new(self.web.clone()));
        if let Some(credentials) = folder.account(&self.directory) {
            return Ok(builder().from_credentials(credentials).await?);
        }
        let contact: Vec<&str> = self.contact.iter().map(String::as_str).collect();
        let wanted =
            NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
        let (account, credentials) = builder().create(&wanted, self.directory.clone(), None).await?;
        folder.keep_account(&KeptAccount { directory: self.directory.clone(), credentials })?;
        Ok(account)
    }
}

/// Shows the proof for each name that is not proven already, and says so.
async fn prove(order: &mut Order, challenges: &Challenges) -> Result<(), OrderError> {
    let mut authorizations = order.authorizations();
    while let Some(found) = authorizations.next().await {
        let mut found = found?;
        if found.status == AuthorizationStatus::Valid {
            continue;
        }
        let name = found.identifier().to_string();
        let Some(mut challenge) = found.challenge(ChallengeType::TlsAlpn01) else {
            return Err(OrderError::NoWay(name));
        };
        challenges.show(&name, challenge.key_authorization().digest().as_ref())?;
        challenge.set_ready().await?;
    }
    Ok(())
}

/// What the authority says of a proof it did not see.
async fn refusal(order: &mut Order) -> OrderError {
    let mut authorizations = order.authorizations();
    while let Some(Ok(found)) = authorizations.next().await {
        let said = found.challenges.iter().find_map(|challenge| challenge.error.as_ref());
        if let Some(problem) = said {
            return OrderError::Unproven { name: found.identifier().to_string(), why: problem.to_string() };
        }
    }
    OrderError::Ended(OrderStatus::Invalid)
}
