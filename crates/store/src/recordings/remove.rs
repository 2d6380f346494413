//! Deleting: the row is marked and its audit entry written; from then on nobody reads it. Its node removes the file,
//! then the row. A crash anywhere leaves a marked row, which the next round works off.

use jiff::Timestamp;
use tandem_model::{AccountId, RecordingId};

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::{Command, StoreError, Tx};

const MARK: &str = "update recording set state = 'deleting' where recording_id = $1 and state = 'kept'
  and (account_id = $2 or sub_account = $2)";

/// Marks recordings as deleted.
pub struct DeleteRecordings {
    /// Which ones.
    pub ids: Vec<RecordingId>,
    /// Whose; `None` for the program's own reasons.
    pub account: Option<AccountId>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for DeleteRecordings {
    /// How many there were.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const OWNER: &str = "select account_id from recording where recording_id = $1 and state = 'kept'";
        Box::pin(async move {
            let mut marked = 0;
            for id in &self.ids {
                let owner = match &self.account {
                    Some(account) => account.clone(),
                    None => match tx.query_one(OWNER, &[(*id).into()]).await? {
                        Some(row) => row.account("account_id")?,
                        None => continue,
                    },
                };
                if tx.execute(MARK, &[(*id).into(), (&owner).into()]).await? == 0 {
                    continue;
                }
                marked += 1;
                note(tx, &self.actor, &owner, *id, self.at).await?;
            }
            Ok(marked)
        })
    }
}

async fn note(
    tx: &mut Tx<'_>,
    actor: &Actor,
    owner: &AccountId,
    id: RecordingId,
    at: Timestamp,
) -> Result<(), StoreError> {
    let change = Change {
        at,
        account: Some(owner),
        action: "delete",
        resource_kind: "recording",
        resource_id: &id.to_string(),
        fields: &[],
    };
    audit::append(tx, actor, change).await
}

/// Everything a sub-account recorded goes with it.
pub(crate) async fn delete_of_sub_account(
    tx: &mut Tx<'_>,
    actor: &Actor,
    parent: &AccountId,
    sub_account: &AccountId,
    at: Timestamp,
) -> Result<(), StoreError> {
    const ALL: &str = "update recording set state = 'deleting' where sub_account = $1 and state = 'kept'
      returning recording_id";
    for row in tx.query(ALL, &[sub_account.into()]).await? {
        note(tx, actor, parent, row.parsed("recording_id")?, at).await?;
    }
    Ok(())
}

/// Removes the rows of marked recordings whose files are gone.
pub struct PurgeRecordings(pub Vec<RecordingId>);

impl Command for PurgeRecordings {
    /// How many rows.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const PURGE: &str = "delete from recording where recording_id = $1 and state = 'deleting'";
        Box::pin(async move {
            let mut purged = 0;
            for id in &self.0 {
                purged += tx.execute(PURGE, &[(*id).into()]).await?;
            }
            Ok(purged)
        })
    }
}
