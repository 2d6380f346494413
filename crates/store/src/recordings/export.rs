//! An export: its letters, and an audit entry. One at a time for each account.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::outbox::OutboxEvent;
use crate::{Command, StoreError, Tx};

/// Queues the letters of an export, unless one of an earlier export of the account is still to leave.
pub struct ExportRecordings {
    /// Whose recordings.
    pub account: AccountId,
    /// The letters, all of one kind.
    pub letters: Vec<OutboxEvent>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for ExportRecordings {
    /// Whether it was taken.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const UNDER_WAY: &str =
            "select 1 as one from outbox where account_id = $1 and kind = $2 and state = 'pending' limit 1";
        Box::pin(async move {
            let Some(first) = self.letters.first() else { return Ok(true) };
            let under_way = [(&self.account).into(), (&first.kind).into()];
            if tx.query_one(UNDER_WAY, &under_way).await?.is_some() {
                return Ok(false);
            }
            tx.emit(&self.letters).await?;
            let change = Change {
                at: self.at,
                account: Some(&self.account),
                action: "export",
                resource_kind: "recording",
                resource_id: self.account.as_str(),
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await?;
            Ok(true)
        })
    }
}
