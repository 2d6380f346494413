//! What every change of a resource carries with it: its audit entry and the directories' notice.

use jiff::Timestamp;
use tandem_model::{AccountId, TrunkId};

use crate::audit::{self, Actor, Change};
use crate::directory::DirectoryKind;
use crate::{StoreError, Tx};

/// A change of one row, for [`note`].
pub(super) struct Noted<'c> {
    pub(super) kind: DirectoryKind,
    pub(super) id: &'c str,
    pub(super) account: &'c AccountId,
    pub(super) action: &'c str,
    pub(super) fields: &'c [&'c str],
    pub(super) at: Timestamp,
}

/// Appends the audit entry and tells the directories.
pub(super) async fn note(tx: &mut Tx<'_>, actor: &Actor, noted: Noted<'_>) -> Result<(), StoreError> {
    let Noted { kind, id, account, action, fields, at } = noted;
    let change =
        Change { at, account: Some(account), action, resource_kind: kind.as_str(), resource_id: id, fields };
    audit::append(tx, actor, change).await?;
    tx.directory_changed(kind, id, at).await
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Updated {
    /// Changed.
    Updated,
    /// It is gone, or has changed since it was read: read it again.
    Stale,
    /// It names something that is not there, or is another account's: the field's name.
    Unknown(&'static str),
}

/// What became of a removal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// Gone.
    Removed,
    /// No such row of this account.
    NotFound,
    /// So many live calls use it.
    InUse(u64),
}

/// Whether a trunk, if one is named, is the account's.
pub(super) async fn owns_trunk(
    tx: &mut Tx<'_>,
    account: &AccountId,
    trunk: Option<TrunkId>,
) -> Result<bool, StoreError> {
    const OWN: &str = "select trunk_id from trunk where trunk_id = $1 and account_id = $2";
    let Some(trunk) = trunk else { return Ok(true) };
    Ok(tx.query_one(OWN, &[trunk.into(), account.into()]).await?.is_some())
}

/// Runs `sql`, which makes trunks forget a part of theirs and returns their ids, and tells the directories.
pub(super) async fn unname(
    tx: &mut Tx<'_>,
    sql: &'static str,
    part: &str,
    account: &AccountId,
    at: Timestamp,
) -> Result<(), StoreError> {
    for row in tx.query(sql, &[part.into(), account.into(), at.into()]).await? {
        tx.directory_changed(DirectoryKind::Trunk, row.text("id")?, at).await?;
    }
    Ok(())
}
