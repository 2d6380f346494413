//! The end of a sub-account: its credentials, its recordings and everything it configured go, its numbers return to the main account.
//! Its row stays without a parent, so that records, audit and webhooks still under way stay explained and signed.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::recordings::delete_of_sub_account;
use crate::resources::change::{Noted, note};
use crate::{Command, StoreError, Tx};

/// Removes a sub-account that has no live call.
pub struct RemoveSubAccount {
    /// Which one.
    pub id: AccountId,
    /// Its main account.
    pub parent: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveSubAccountOutcome {
    /// Gone.
    Removed,
    /// No such sub-account of this account.
    NotFound,
    /// So many live calls are its own.
    InUse(u64),
}

/// A live call's account stands in its facts; the row's own is the payer.
const LIVE: &str = "select count(*) as n from live_call
  where account_id = $1 and facts like $2 escape '\\'";
const END: &str = "update account set removed_at = $3, updated_at = $3, enabled = 0, parent_id = null, email = null,
    token_hash = null, token_previous_hash = null, token_previous_until = null, password_hash = null, epoch = epoch + 1
  where auth_id = $1 and parent_id = $2 and kind = 'sub'";
/// What hung on it, each with its kind and the id it is known by. The order matters: a row goes before what it names.
const REST: &[(DirectoryKind, &str)] = &[
    (
        DirectoryKind::Number,
        "update number set sub_account = null, updated_at = $2,
           application_id = case when application_id in (select app_id from application where account_id = $1)
             then null else application_id end,
           trunk_id = case when trunk_id in (select trunk_id from trunk where account_id = $1) then null else trunk_id end
         where sub_account = $1 or application_id in (select app_id from application where account_id = $1)
           or trunk_id in (select trunk_id from trunk where account_id = $1) returning e164 as id",
    ),
    (
        DirectoryKind::Endpoint,
        "update endpoint set app_id = null, updated_at = $2
         where account_id <> $1 and app_id in (select app_id from application where account_id = $1)
         returning endpoint_id as id",
    ),
    (
        DirectoryKind::Endpoint,
        "update endpoint set sub_account = null, updated_at = $2 where sub_account = $1 returning endpoint_id as id",
    ),
    (
        DirectoryKind::Application,
        "update application set sub_account = null, updated_at = $2 where sub_account = $1 returning app_id as id",
    ),
    (
        DirectoryKind::Endpoint,
        "delete from endpoint where account_id = $1 and cast($2 as bigint) is not null returning endpoint_id as id",
    ),
    (
        DirectoryKind::Credential,
        "delete from trunk_credential where account_id = $1 and cast($2 as bigint) is not null returning id",
    ),
    (DirectoryKind::Acl, "delete from trunk_acl where account_id = $1 and cast($2 as bigint) is not null returning id"),
    (
        DirectoryKind::OriginationUri,
        "delete from origination_uri where account_id = $1 and cast($2 as bigint) is not null returning id",
    ),
    (
        DirectoryKind::Trunk,
        "delete from trunk where account_id = $1 and cast($2 as bigint) is not null returning trunk_id as id",
    ),
    (
        DirectoryKind::Application,
        "delete from application where account_id = $1 and cast($2 as bigint) is not null returning app_id as id",
    ),
];
const REGISTRATIONS: &str = "delete from registration
  where username in (select username from endpoint where account_id = $1)";

impl Command for RemoveSubAccount {
    type Output = RemoveSubAccountOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let needle = format!("%\"account\":\"{}\"%", self.id.as_str().replace('_', "\\_"));
            let live = tx.query_one(LIVE, &[(&self.parent).into(), needle.into()]).await?;
            let live = live.map_or(Ok(0), |row| row.count("n"))?;
            if live > 0 {
                return Ok(RemoveSubAccountOutcome::InUse(live));
            }
            if tx.execute(END, &[(&self.id).into(), (&self.parent).into(), self.at.into()]).await? == 0 {
                return Ok(RemoveSubAccountOutcome::NotFound);
            }
            tx.execute(REGISTRATIONS, &[(&self.id).into()]).await?;
            for (kind, sql) in REST {
                for row in tx.query(sql, &[(&self.id).into(), self.at.into()]).await? {
                    tx.directory_changed(*kind, row.text("id")?, self.at).await?;
                }
            }
            delete_of_sub_account(tx, &self.actor, &self.parent, &self.id, self.at).await?;
            let noted = Noted {
                kind: DirectoryKind::Account,
                id: self.id.as_str(),
                account: &self.parent,
                action: "delete",
                fields: &[],
                at: self.at,
            };
            note(tx, &self.actor, noted).await?;
            Ok(RemoveSubAccountOutcome::Removed)
        })
    }

    /// A call of the sub-account is reserved under its main account's row.
    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.parent, &self.id]
    }
}
