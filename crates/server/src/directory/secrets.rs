//! The keys that sign webhooks, from memory.

use secrecy::SecretString;
use tandem_model::{AccountId, TrunkId, clock};

use super::Directory;
use crate::webhooks::{AccountSecrets, SigningSecrets, TrunkSecrets};

impl SigningSecrets for Directory {
    fn account(&self, account: &AccountId) -> Option<AccountSecrets> {
        let entry = Self::account(self, account)?;
        let parent = entry.parent.as_ref().and_then(|parent| Self::account(self, parent));
        Some(AccountSecrets {
            token: entry.token.clone()?,
            main_token: parent.and_then(|parent| parent.token.clone()),
        })
    }

    fn trunk(&self, trunk: TrunkId) -> Option<TrunkSecrets> {
        let entry = Self::trunk(self, &trunk)?;
        let previous = entry.previous_secret.as_ref().filter(|(_, until)| *until > clock::wall());
        Some(TrunkSecrets {
            current: entry.secret.clone()?,
            previous: previous.map(|(secret, _)| secret.clone()),
        })
    }

    fn ndnc(&self, account: &AccountId) -> Option<SecretString> {
        Self::account(self, account)?.ndnc_secret.clone()
    }
}
