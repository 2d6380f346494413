//! Where an owned number's calls go: an application, a trunk.

use jiff::Timestamp;
use tandem_model::{AccountId, ApplicationId, E164, TrunkId};

use super::noted;
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::{Command, StoreError, Tx};

/// Attaches an application to a number, or detaches the one it has.
pub struct AttachApplication {
    /// The number.
    pub e164: E164,
    /// Its owner.
    pub owner: AccountId,
    /// The application; `None` detaches.
    pub application: Option<ApplicationId>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttachOutcome {
    /// As asked.
    Done,
    /// The account has no such number in service.
    NoNumber,
    /// The account has no such application.
    NoApplication,
}

const ATTACH: &str = "update number set application_id = cast($3 as text), updated_at = $4
  where e164 = $1 and account_id = $2 and status = 'active'
    and (cast($3 as text) is null
         or exists (select 1 from application where app_id = cast($3 as text)
           and (application.account_id = $2 or application.account_id = number.sub_account)))";
const OWNED: &str = "select trunk_id from number where e164 = $1 and account_id = $2 and status = 'active'";

impl Command for AttachApplication {
    type Output = AttachOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<AttachOutcome, StoreError>> {
        Box::pin(async move {
            let application = self.application.as_ref();
            let params = [self.e164.into(), (&self.owner).into(), application.into(), self.at.into()];
            if tx.execute(ATTACH, &params).await? == 0 {
                let owned = tx.query_one(OWNED, &[self.e164.into(), (&self.owner).into()]).await?;
                return Ok(if owned.is_some() {
                    AttachOutcome::NoApplication
                } else {
                    AttachOutcome::NoNumber
                });
            }
            let fields = ["application_id"];
            noted(tx, &self.actor, self.e164, Some(&self.owner), "update", &fields, self.at).await?;
            Ok(AttachOutcome::Done)
        })
    }
}

/// Assigns a number to a trunk, or takes it off the one it has.
pub struct AssignTrunk {
    /// The number.
    pub e164: E164,
    /// Its owner.
    pub owner: AccountId,
    /// The trunk; `None` unassigns.
    pub trunk: Option<TrunkId>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignOutcome {
    /// As asked.
    Done,
    /// The account has no such number in service.
    NoNumber,
    /// The account has no such trunk.
    NoTrunk,
    /// It has a trunk already: unassign it first.
    Assigned,
    /// It has no trunk to be taken off.
    NotAssigned,
}

const ASSIGN: &str = "update number set trunk_id = $3, updated_at = $4
  where e164 = $1 and account_id = $2 and status = 'active' and trunk_id is null
    and exists (select 1 from trunk where trunk_id = $3 and trunk.account_id = $2)";
const UNASSIGN: &str = "update number set trunk_id = null, updated_at = $3
  where e164 = $1 and account_id = $2 and trunk_id is not null";

impl Command for AssignTrunk {
    type Output = AssignOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<AssignOutcome, StoreError>> {
        Box::pin(async move {
            let (e164, owner) = (self.e164, &self.owner);
            let changed = match self.trunk {
                Some(trunk) => {
                    tx.execute(ASSIGN, &[e164.into(), owner.into(), trunk.into(), self.at.into()]).await?
                }
                None => tx.execute(UNASSIGN, &[e164.into(), owner.into(), self.at.into()]).await?,
            };
            if changed == 0 {
                let Some(row) = tx.query_one(OWNED, &[e164.into(), owner.into()]).await? else {
                    return Ok(AssignOutcome::NoNumber);
                };
                let has_trunk = row.opt_text("trunk_id")?.is_some();
                return Ok(match (self.trunk, has_trunk) {
                    (None, _) => AssignOutcome::NotAssigned,
                    (Some(_), true) => AssignOutcome::Assigned,
                    (Some(_), false) => AssignOutcome::NoTrunk,
                });
            }
            noted(tx, &self.actor, e164, Some(owner), "update", &["trunk_id"], self.at).await?;
            Ok(AssignOutcome::Done)
        })
    }
}
