//! Where signing keys come from. The directory implements it; nothing here keeps a secret.

use futures_util::future::BoxFuture;
use secrecy::SecretString;
use tandem_model::{AccountId, TrunkId};
use tandem_store::OutboxEvent;

/// The tokens that sign an account's callbacks.
#[derive(Clone, Debug)]
pub struct AccountSecrets {
    /// The account's own token.
    pub token: SecretString,
    /// The main account's token; `None` when the account is a main account itself.
    pub main_token: Option<SecretString>,
}

/// The secrets that sign a trunk's webhooks.
#[derive(Clone, Debug)]
pub struct TrunkSecrets {
    /// The one in force.
    pub current: SecretString,
    /// The one before, while a rotation runs.
    pub previous: Option<SecretString>,
}

/// Signing keys from memory. Answers at once.
pub trait SigningSecrets: Send + Sync + 'static {
    /// The tokens of an account; `None` when it is gone.
    fn account(&self, account: &AccountId) -> Option<AccountSecrets>;

    /// The secrets of a trunk; `None` when it is gone.
    fn trunk(&self, trunk: TrunkId) -> Option<TrunkSecrets>;

    /// The secret agreed for complaints about an account's numbers.
    fn ndnc(&self, account: &AccountId) -> Option<SecretString>;
}

/// Why a sealed body is not at hand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unopened {
    /// The store does not answer: later.
    NotNow,
    /// What it told of was erased: never.
    Erased,
}

/// Opens the bodies of events that are sealed at rest.
pub trait SealedBodies: Send + Sync + 'static {
    /// The body of an event as it is sent.
    fn open<'a>(&'a self, event: &'a OutboxEvent) -> BoxFuture<'a, Result<String, Unopened>>;
}
