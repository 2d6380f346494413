//! Another password: every session of the account ends with it.

use jiff::Timestamp;
use tandem_model::AccountId;

use super::{end_all, note};
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::{Command, StoreError, Tx};

/// Links of one account that are good at once; an older one is void when another is asked for beyond them.
const LINKS_MAX: u32 = 3;

const SET: &str = "update account set password_hash = $2 where auth_id = $1";

/// Sets another password, by somebody who knows the old one.
pub struct ChangePassword {
    /// Whose.
    pub account: AccountId,
    /// The epoch in which the old one was read.
    pub epoch: i64,
    /// Hash of the new one.
    pub password_hash: String,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for ChangePassword {
    /// False when another password was set, or the account disabled, meanwhile.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const GUARDED: &str =
            "update account set password_hash = $2 where auth_id = $1 and epoch = $3 and enabled = 1";
        Box::pin(async move {
            let params = [(&self.account).into(), (&self.password_hash).into(), self.epoch.into()];
            if tx.execute(GUARDED, &params).await? == 0 {
                return Ok(false);
            }
            end_all(tx, &self.account, self.at).await?;
            note(tx, &self.actor, &self.account, "password_change", &["password"], self.at).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// Keeps a link that sets a new password.
pub struct OpenPasswordLink {
    /// Hash of its secret.
    pub hash: String,
    /// Whose.
    pub account: AccountId,
    /// Until when it is good.
    pub expires_at: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for OpenPasswordLink {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const INSERT: &str = "insert into password_link (hash, account_id, expires_at, created_at)
          values ($1, $2, $3, $4)";
        const CROWDED: &str =
            "update password_link set used_at = $2 where account_id = $1 and used_at is null and hash not in
          (select hash from password_link where account_id = $1 order by created_at desc, hash limit $3)";
        Box::pin(async move {
            let params =
                [(&self.hash).into(), (&self.account).into(), self.expires_at.into(), self.at.into()];
            tx.execute(INSERT, &params).await?;
            tx.execute(CROWDED, &[(&self.account).into(), self.at.into(), LINKS_MAX.into()]).await?;
            note(tx, &self.actor, &self.account, "password_forgotten", &[], self.at).await
        })
    }
}

/// Somebody forgot a password: keeps a link if there is an account to keep it for. One command either way, so that an
/// address that nobody has takes as long and keeps its idempotency key as well.
pub struct AskPasswordLink {
    /// For whom, if anybody has the address.
    pub link: Option<OpenPasswordLink>,
}

impl Command for AskPasswordLink {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        match &self.link {
            Some(link) => link.run(tx),
            None => Box::pin(async { Ok(()) }),
        }
    }
}

/// Sets the password of the account a link was sent to.
pub struct ResetPassword {
    /// Hash of the link's secret.
    pub hash: String,
    /// Hash of the new password.
    pub password_hash: String,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PasswordLinkOutcome {
    /// Set.
    Done(AccountId),
    /// Unknown, used, or too old.
    Void,
}

impl Command for ResetPassword {
    type Output = PasswordLinkOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<PasswordLinkOutcome, StoreError>> {
        const USE: &str = "update password_link set used_at = $2
          where hash = $1 and used_at is null and expires_at > $2 returning account_id";
        const OTHERS: &str =
            "update password_link set used_at = $2 where account_id = $1 and used_at is null";
        Box::pin(async move {
            let Some(row) = tx.query_one(USE, &[(&self.hash).into(), self.at.into()]).await? else {
                return Ok(PasswordLinkOutcome::Void);
            };
            let account = row.account("account_id")?;
            tx.execute(OTHERS, &[(&account).into(), self.at.into()]).await?;
            tx.execute(SET, &[(&account).into(), (&self.password_hash).into()]).await?;
            end_all(tx, &account, self.at).await?;
            note(tx, &self.actor, &account, "password_reset", &["password"], self.at).await?;
            Ok(PasswordLinkOutcome::Done(account))
        })
    }
}
