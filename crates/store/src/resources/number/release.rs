//! A number's end with its owner: asked for, taken back, done; and the time it rests before anybody can buy it.
//!
//! Whoever ends it (the owner at once, the clerk when the owner's day of grace is over, the clerk when a month stays unpaid)
//! comes through [`let_go`].

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, E164, Money};
use uuid::Uuid;

use super::{Number, noted, number_of};
use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::money::{PostKind, PostOutcome, Posting, post};
use crate::{Command, Reader, StoreError, Tx};

/// Gives a number back: takes the fee, detaches what its calls went to, and ends it now or when the window is over.
pub struct ReleaseNumber {
    /// Which.
    pub e164: E164,
    /// Who pays, and in whose name it stands.
    pub owner: AccountId,
    /// Taken for it; refunded when the release is cancelled.
    pub fee: Money,
    /// Id of the ledger transaction, minted by the maker.
    pub transaction: Uuid,
    /// When.
    pub when: ReleaseWhen,
    /// Until when nobody may buy it, once it is released.
    pub quarantine_until: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// When a release becomes real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseWhen {
    /// At once, a release that waits included.
    Now,
    /// Then, if it is not cancelled.
    At(Timestamp),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    /// As asked; the fee was taken now or before.
    Accepted {
        /// That fee.
        fee: Money,
    },
    /// The account has no such number.
    NotOwned,
    /// It is being released already; the window ends then.
    Pending {
        /// That instant.
        until: Timestamp,
    },
    /// It was rented for longer.
    Committed {
        /// Till then.
        until: Timestamp,
    },
    /// The account has not got the fee.
    Insufficient {
        /// That fee.
        required: Money,
        /// Balance − held + credit limit.
        available: Money,
        /// Its currency.
        currency: Currency,
    },
}

const OWNED: &str = "select * from number where e164 = $1 and account_id = $2";
const PEND: &str = "update number set status = 'pending_release', release_at = $3, release_fee = $4, release_tx = $5,
    application_id = null, trunk_id = null, answer_url = null, input_url = null, hangup_url = null, updated_at = $6
  where e164 = $1 and account_id = $2";
const LET_GO: &str = "update number set account_id = null, sub_account = null, application_id = null, trunk_id = null,
    answer_url = null, input_url = null, hangup_url = null, status = 'released', released_at = $3, quarantine_until = $4,
    release_at = null, release_fee = 0, release_tx = null, purchased_at = null, last_billing_at = null,
    next_billing_at = null, rent_try_at = null, unpaid_since = null, unpaid_told = 0, last_call_at = null,
    updated_at = $3
  where e164 = $1 and account_id = $2";

/// Takes a number from its account and lets it rest until `quarantine_until`.
pub(super) async fn let_go(
    tx: &mut Tx<'_>,
    actor: &Actor,
    (e164, owner): (E164, &AccountId),
    quarantine_until: Timestamp,
    at: Timestamp,
) -> Result<(), StoreError> {
    let params = [e164.into(), owner.into(), at.into(), quarantine_until.into()];
    tx.execute(LET_GO, &params).await?;
    noted(tx, actor, e164, Some(owner), "release", &["account_id", "status"], at).await
}

impl Command for ReleaseNumber {
    type Output = ReleaseOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<ReleaseOutcome, StoreError>> {
        Box::pin(async move {
            let (e164, owner) = (self.e164, &self.owner);
            let Some(row) = tx.query_one(OWNED, &[e164.into(), owner.into()]).await? else {
                return Ok(ReleaseOutcome::NotOwned);
            };
            let number = number_of(&row)?;
            if number.status == "pending_release" {
                let until = number.release_at.unwrap_or(self.at);
                if self.when != ReleaseWhen::Now {
                    return Ok(ReleaseOutcome::Pending { until });
                }
                let_go(tx, &self.actor, (e164, owner), self.quarantine_until, self.at).await?;
                return Ok(ReleaseOutcome::Accepted { fee: row.money("release_fee")? });
            }
            if let Some(until) = number.committed_until().filter(|until| *until > self.at) {
                return Ok(ReleaseOutcome::Committed { until });
            }
            if self.fee > Money::ZERO {
                match post(tx, &self.posting()).await? {
                    PostOutcome::Done { .. } => {}
                    PostOutcome::Insufficient { available, currency } => {
                        return Ok(ReleaseOutcome::Insufficient { required: self.fee, available, currency });
                    }
                    // The transaction was minted for this command, and the owner has just been read.
                    other => return Err(StoreError::Data(format!("a release fee came to {other:?}"))),
                }
            }
            match self.when {
                ReleaseWhen::Now => {
                    let_go(tx, &self.actor, (e164, owner), self.quarantine_until, self.at).await?;
                }
                ReleaseWhen::At(release_at) => {
                    let paid = (self.fee > Money::ZERO).then(|| self.transaction.hyphenated().to_string());
                    let params = [
                        e164.into(),
                        owner.into(),
                        release_at.into(),
                        self.fee.into(),
                        paid.into(),
                        self.at.into(),
                    ];
                    tx.execute(PEND, &params).await?;
                    let fields = ["status", "application_id", "trunk_id"];
                    noted(tx, &self.actor, e164, Some(owner), "release", &fields, self.at).await?;
                }
            }
            Ok(ReleaseOutcome::Accepted { fee: self.fee })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.owner]
    }
}

impl ReleaseNumber {
    fn posting(&self) -> Posting {
        Posting {
            id: self.transaction,
            account: self.owner.clone(),
            kind: PostKind::Fee,
            amount: -self.fee,
            ref_kind: "did_release".to_owned(),
            ref_id: format!("{}:{}", self.e164.plus(), self.transaction.hyphenated()),
            description: format!("Number {}: release", self.e164.plus()),
            at: self.at,
        }
    }
}

/// Takes a release back while its window is open: the number is in service again, its fee is refunded.
pub struct CancelRelease {
    /// Which.
    pub e164: E164,
    /// Its owner.
    pub owner: AccountId,
    /// Id of the refund, minted by the maker.
    pub transaction: Uuid,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    /// In service again; so much was given back.
    Cancelled {
        /// The fee.
        refund: Money,
        /// Its currency.
        currency: Currency,
    },
    /// It is not being released, or no longer just waiting for it.
    NotPending,
    /// The account has no such number.
    NotOwned,
}

const RESTORE: &str =
    "update number set status = 'active', release_at = null, release_fee = 0, release_tx = null,
    updated_at = $3
  where e164 = $1 and account_id = $2";
const PENDING: &str = "select number.*, account.currency as account_currency
  from number join account on account.auth_id = number.account_id where e164 = $1 and account_id = $2";

impl Command for CancelRelease {
    type Output = CancelOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<CancelOutcome, StoreError>> {
        Box::pin(async move {
            let (e164, owner) = (self.e164, &self.owner);
            let Some(row) = tx.query_one(PENDING, &[e164.into(), owner.into()]).await? else {
                return Ok(CancelOutcome::NotOwned);
            };
            let open = row.opt_instant("release_at")?.is_some_and(|until| until > self.at);
            if row.text("status")? != "pending_release" || !open {
                return Ok(CancelOutcome::NotPending);
            }
            let refund = row.money("release_fee")?;
            if let Some(paid) = row.opt_text("release_tx")? {
                let posting = Posting {
                    id: self.transaction,
                    account: owner.clone(),
                    kind: PostKind::Refund,
                    amount: refund,
                    ref_kind: "did_release".to_owned(),
                    // One refund for one fee.
                    ref_id: paid.to_owned(),
                    description: format!("Number {}: release cancelled", e164.plus()),
                    at: self.at,
                };
                match post(tx, &posting).await? {
                    PostOutcome::Done { .. } => {}
                    other => return Err(StoreError::Data(format!("a refund came to {other:?}"))),
                }
            }
            tx.execute(RESTORE, &[e164.into(), owner.into(), self.at.into()]).await?;
            noted(tx, &self.actor, e164, Some(owner), "cancel_release", &["status"], self.at).await?;
            Ok(CancelOutcome::Cancelled { refund, currency: row.parsed("account_currency")? })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.owner]
    }
}

/// Ends a number whose window is over.
pub struct FinishRelease {
    /// Which.
    pub e164: E164,
    /// Its owner until now.
    pub owner: AccountId,
    /// Until when nobody may buy it.
    pub quarantine_until: Timestamp,
    /// Now.
    pub at: Timestamp,
}

impl Command for FinishRelease {
    /// False when somebody else was first, or the release was cancelled.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const DUE: &str = "select e164 from number
          where e164 = $1 and account_id = $2 and status = 'pending_release' and release_at <= $3";
        Box::pin(async move {
            let (e164, owner) = (self.e164, &self.owner);
            if tx.query_one(DUE, &[e164.into(), owner.into(), self.at.into()]).await?.is_none() {
                return Ok(false);
            }
            let_go(tx, &Actor::system(), (e164, owner), self.quarantine_until, self.at).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.owner]
    }
}

/// Puts numbers that have rested long enough back into the inventory, a bounded number at a time.
pub struct EndQuarantines {
    /// Now.
    pub at: Timestamp,
    /// How many at most.
    pub limit: u32,
}

impl Command for EndQuarantines {
    /// How many.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const END: &str = "update number set status = 'active', quarantine_until = null, updated_at = $1
          where e164 in (select e164 from number where status = 'released' and account_id is null
                         and quarantine_until <= $1 order by quarantine_until limit $2)
          returning e164";
        Box::pin(async move {
            let rows = tx.query(END, &[self.at.into(), self.limit.into()]).await?;
            for row in &rows {
                let change = Change {
                    at: self.at,
                    account: None,
                    action: "update",
                    resource_kind: "number",
                    resource_id: row.text("e164")?,
                    fields: &["status"],
                };
                audit::append(tx, &Actor::system(), change).await?;
            }
            Ok(rows.len() as u64)
        })
    }
}

impl Reader {
    /// Numbers whose release window is over, the longest waiting first.
    pub async fn releases_due(
        &self,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<(E164, AccountId)>, StoreError> {
        const DUE: &str = "select e164, account_id from number
          where release_at <= $1 and status = 'pending_release' and account_id is not null
          order by release_at limit $2";
        let rows = self.query(DUE, &[now.into(), limit.into()]).await?;
        rows.iter().map(|row| Ok((row.parsed("e164")?, row.account("account_id")?))).collect()
    }
}

impl Number {
    /// Till when its owner has agreed to rent it.
    pub fn committed_until(&self) -> Option<Timestamp> {
        use jiff::{ToSpan as _, tz::TimeZone};
        let months = i64::try_from(self.minimum_commitment_months).ok().filter(|months| *months > 0)?;
        let begun = self.purchased_at?.to_zoned(TimeZone::UTC);
        begun.checked_add(months.months()).ok().map(|until| until.timestamp())
    }
}
