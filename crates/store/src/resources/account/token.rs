//! Another auth token; the one before it may work for a while yet.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::resources::change::{Noted, note};
use crate::{Command, StoreError, Tx};

/// Gives an account a new token.
pub struct RotateToken {
    /// Whose.
    pub account: AccountId,
    /// Keyed hash of the new one.
    pub token_hash: String,
    /// The new one, encrypted.
    pub token_sealed: Vec<u8>,
    /// Until when the old one is good beside it; nothing when it dies at once. The one before that dies in any case.
    pub previous_until: Option<Timestamp>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for RotateToken {
    /// False when there is no such account.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const ROTATE: &str = "update account set
            token_previous_hash = case when cast($4 as bigint) is null then null else token_hash end,
            token_previous_until = cast($4 as bigint), token_hash = $2, token_sealed = $3, updated_at = $5
          where auth_id = $1";
        Box::pin(async move {
            let params = [
                (&self.account).into(),
                (&self.token_hash).into(),
                (&self.token_sealed).into(),
                self.previous_until.into(),
                self.at.into(),
            ];
            if tx.execute(ROTATE, &params).await? == 0 {
                return Ok(false);
            }
            let noted = Noted {
                kind: DirectoryKind::Account,
                id: self.account.as_str(),
                account: &self.account,
                action: "rotate_token",
                fields: &["auth_token"],
                at: self.at,
            };
            note(tx, &self.actor, noted).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}
