//! Which sub-account a number is for. A number that has had calls stays where it is for a while: who called it yesterday
//! must not reach somebody else today.

use jiff::{SignedDuration, Timestamp};
use tandem_model::{AccountId, E164};

use super::noted;
use super::traffic::last_call;
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::{Command, StoreError, Tx};

/// Gives a number to a sub-account, or takes it back.
pub struct AssignSubAccount {
    /// Which.
    pub e164: E164,
    /// The main account it stands with.
    pub owner: AccountId,
    /// The sub-account; `None` takes the number back.
    pub sub_account: Option<AccountId>,
    /// How long it stays after a call; nothing when the operator insists.
    pub cool_off: Option<SignedDuration>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AssignSubOutcome {
    /// As asked.
    Done,
    /// The account has no such number in service.
    NoNumber,
    /// The account has no such sub-account.
    NoSubAccount,
    /// It is with no sub-account.
    NotAssigned,
    /// It has had a call: it stays until then.
    CoolOff {
        /// That instant.
        until: Timestamp,
    },
}

const OWNED: &str = "select sub_account, last_call_at from number
  where e164 = $1 and account_id = $2 and status = 'active'";
const SUB: &str = "select auth_id from account where auth_id = $1 and parent_id = $2 and kind = 'sub'";
const ASSIGN: &str =
    "update number set sub_account = cast($3 as text), updated_at = $4 where e164 = $1 and account_id = $2";

impl Command for AssignSubAccount {
    type Output = AssignSubOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<AssignSubOutcome, StoreError>> {
        Box::pin(async move {
            let (e164, owner) = (self.e164, &self.owner);
            let Some(row) = tx.query_one(OWNED, &[e164.into(), owner.into()]).await? else {
                return Ok(AssignSubOutcome::NoNumber);
            };
            let has = row.opt_text("sub_account")?.map(AccountId::new);
            if let Some(wanted) = &self.sub_account
                && tx.query_one(SUB, &[wanted.into(), owner.into()]).await?.is_none()
            {
                return Ok(AssignSubOutcome::NoSubAccount);
            }
            if has.is_none() && self.sub_account.is_none() {
                return Ok(AssignSubOutcome::NotAssigned);
            }
            if has == self.sub_account {
                return Ok(AssignSubOutcome::Done);
            }
            // Only a number that somebody else has had calls on must wait.
            if let (Some(_), Some(cool_off)) = (&has, self.cool_off)
                && let Some(last) =
                    last_call(tx, e164, owner, row.opt_instant("last_call_at")?, self.at).await?
            {
                let until = last.saturating_add(cool_off).unwrap_or(last);
                if until > self.at {
                    return Ok(AssignSubOutcome::CoolOff { until });
                }
            }
            let params = [e164.into(), owner.into(), self.sub_account.as_ref().into(), self.at.into()];
            tx.execute(ASSIGN, &params).await?;
            let action = match (&self.sub_account, self.cool_off) {
                (Some(_), _) => "assign_sub_account",
                (None, Some(_)) => "unassign_sub_account",
                (None, None) => "force_unassign_sub_account",
            };
            noted(tx, &self.actor, e164, Some(owner), action, &["sub_account"], self.at).await?;
            Ok(AssignSubOutcome::Done)
        })
    }
}
