//! Which node delivers what: leases, never a lock held across HTTP.

use jiff::Timestamp;

use super::reads::{OutboxRow, row_of};
use crate::command::BoxFuture;
use crate::dialect::LEASE_DUE;
use crate::{Command, StoreError, Tx};

/// Takes due rows nobody holds, oldest first.
pub struct LeaseDue {
    /// Who: [`crate::NodeIdentity::lease_owner`].
    pub owner: String,
    /// Now.
    pub now: Timestamp,
    /// Until when they are his.
    pub until: Timestamp,
    /// How many at most.
    pub limit: u32,
}

impl Command for LeaseDue {
    type Output = Vec<OutboxRow>;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let params = [(&self.owner).into(), self.until.into(), self.now.into(), self.limit.into()];
            let rows = tx.query(LEASE_DUE.on(tx.dialect()), &params).await?;
            let mut leased = rows.iter().map(row_of).collect::<Result<Vec<_>, _>>()?;
            leased.sort_by_key(|row| (row.due_at, row.event.sequence));
            Ok(leased)
        })
    }
}

/// Frees what an earlier epoch of the same node held, so that after a crash its events go on at once, not when its leases
/// run out. That process is fenced out and takes no more: once fewer than `limit` were freed, there are none left.
pub struct ReleaseFormer {
    /// Who asks: [`crate::NodeIdentity::lease_owner`].
    pub owner: String,
    /// Rows at most: keeps the transaction short.
    pub limit: u32,
}

impl Command for ReleaseFormer {
    /// How many were freed.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        // `$2` is the owner's name with its slash, compared whole, so that node `a` never takes from a node named `a/1`.
        const RELEASE: &str = "update outbox set lease_owner = null, lease_until = null where event_id in (
          select event_id from outbox where state = 'pending' and lease_owner <> $1
            and rtrim(lease_owner, '0123456789') = $2 limit $3)";
        Box::pin(async move {
            let name = self.owner.trim_end_matches(|digit: char| digit.is_ascii_digit());
            tx.execute(RELEASE, &[(&self.owner).into(), name.into(), self.limit.into()]).await
        })
    }
}

/// Makes dead letters due again: the same event id, a new timestamp at delivery.
pub struct ReplayDead {
    /// Whose.
    pub account: tandem_model::AccountId,
    /// One event, or all of the account's.
    pub event: Option<tandem_model::EventId>,
    /// Only those that happened since.
    pub since: Option<Timestamp>,
    /// Now.
    pub at: Timestamp,
}

impl Command for ReplayDead {
    /// How many were revived.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const REVIVE: &str =
            "update outbox set state = 'pending', due_at = $1, lease_owner = null, lease_until = null
          where account_id = $2 and state = 'dead'
            and event_id = coalesce(cast($3 as text), event_id)
            and created_at >= coalesce(cast($4 as bigint), created_at)";
        Box::pin(async move {
            let params = [self.at.into(), (&self.account).into(), self.event.into(), self.since.into()];
            tx.execute(REVIVE, &params).await
        })
    }
}

/// Forgets events that were delivered or died before `before`, a slice at a time.
pub struct PurgeOutbox {
    /// Events made before this.
    pub before: Timestamp,
    /// Rows at most: keeps the transaction short.
    pub limit: u32,
}

impl Command for PurgeOutbox {
    /// How many rows went.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const OLD: &str = "delete from outbox where event_id in (
          select event_id from outbox where state <> 'pending' and created_at < $1 order by created_at limit $2)
          returning event_id";
        const ATTEMPTS: &str = "delete from delivery_attempt where event_id = $1";
        Box::pin(async move {
            let gone = tx.query(OLD, &[self.before.into(), self.limit.into()]).await?;
            for row in &gone {
                tx.execute(ATTEMPTS, &[row.text("event_id")?.into()]).await?;
            }
            Ok(gone.len() as u64)
        })
    }
}
