//! Where signing keys come from. The directory implements it; nothing here keeps a secret.

use secrecy::SecretString;
use tandem_model::{AccountId, TrunkId};

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
}
