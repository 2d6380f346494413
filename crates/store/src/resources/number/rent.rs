//! The month of a number: paid once, whoever asks for it and how often; owed for a while when the account has not got it;
//! then the number goes.
//!
//! One command is one number's next step. What it decides by (is it due, was it paid, since when is it owed) stands in the
//! number's row and in the ledger, so that a clerk who dies at any instant has either done the step or not begun it.

use jiff::{SignedDuration, Timestamp};
use tandem_model::{AccountId, E164, EventKind, Money};
use uuid::Uuid;

use super::notice::{Notice, tell};
use super::release::let_go;
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::money::{PostKind, PostOutcome, Posting, post};
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// A number whose month is due, as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueNumber {
    /// Which.
    pub e164: E164,
    /// Who pays.
    pub account: AccountId,
    /// When the month to be paid begins.
    pub due: Timestamp,
    /// When it was bought: the day of the month.
    pub bought: Timestamp,
}

/// What becomes of a number whose month cannot be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grace {
    /// How long it stays in service, from the first time it could not be paid.
    pub lasts: SignedDuration,
    /// Between two tries meanwhile.
    pub retry: SignedDuration,
    /// So long before its end it is told again.
    pub warns: SignedDuration,
    /// How long nobody may buy it after it.
    pub quarantine: SignedDuration,
}

/// Pays the next month of a number that is due, or owes it, or ends the number.
pub struct RentNumber {
    /// As it was read.
    pub number: DueNumber,
    /// Id of the ledger transaction and of what is told, minted by the maker.
    pub transaction: Uuid,
    /// When the month ends.
    pub next: Timestamp,
    /// What happens without money.
    pub grace: Grace,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RentOutcome {
    /// Paid.
    Paid,
    /// Owed; it is tried again then.
    Unpaid {
        /// That instant.
        again: Timestamp,
    },
    /// The grace is over: the number is released.
    Released,
    /// Done by somebody else, or no longer to be done.
    NotDue,
}

const DUE: &str = "select number.*, account.currency as account_currency
  from number join account on account.auth_id = number.account_id
  where e164 = $1 and account_id = $2 and status = 'active' and next_billing_at = $3 and rent_try_at <= $4";
const PAID: &str =
    "update number set last_billing_at = next_billing_at, next_billing_at = $3, rent_try_at = $3,
    unpaid_since = null, unpaid_told = 0
  where e164 = $1 and account_id = $2";
const OWED: &str = "update number set unpaid_since = $3, unpaid_told = $4, rent_try_at = $5
  where e164 = $1 and account_id = $2";

impl Command for RentNumber {
    type Output = RentOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<RentOutcome, StoreError>> {
        Box::pin(async move {
            let number = &self.number;
            let (e164, account) = (number.e164, &number.account);
            let asked = [e164.into(), account.into(), number.due.into(), self.at.into()];
            let Some(row) = tx.query_one(DUE, &asked).await? else { return Ok(RentOutcome::NotDue) };
            let fee = row.money("monthly_fee")?;
            // Sold in the account's currency; an account that was given another since is asked for nothing.
            let is_free = fee <= Money::ZERO || row.text("currency")? != row.text("account_currency")?;
            if !is_free && !self.take(tx, fee).await? {
                return self.owe(tx, &row, fee).await;
            }
            tx.execute(PAID, &[e164.into(), account.into(), self.next.into()]).await?;
            Ok(RentOutcome::Paid)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.number.account]
    }
}

impl RentNumber {
    /// Whether the month is paid, now or before.
    async fn take(&self, tx: &mut Tx<'_>, fee: Money) -> Result<bool, StoreError> {
        let (e164, due) = (self.number.e164.plus(), self.number.due.strftime("%Y-%m-%d"));
        let posting = Posting {
            id: self.transaction,
            account: self.number.account.clone(),
            kind: PostKind::Fee,
            amount: -fee,
            ref_kind: "did_rental".to_owned(),
            // One debit for account, number and month. Months of one account's number begin on different days, even if
            // it gave the number back and bought it again.
            ref_id: format!("{e164}:{due}"),
            description: format!("Number {e164}: month from {due}"),
            at: self.at,
        };
        match post(tx, &posting).await? {
            PostOutcome::Done { .. }
            | PostOutcome::AlreadyDone { .. }
            | PostOutcome::ReferenceConflict { .. } => Ok(true),
            PostOutcome::Insufficient { .. } => Ok(false),
            PostOutcome::NoAccount => Err(StoreError::Data("a number's account is gone".to_owned())),
        }
    }

    async fn owe(&self, tx: &mut Tx<'_>, row: &Row, fee: Money) -> Result<RentOutcome, StoreError> {
        let (e164, account) = (self.number.e164, &self.number.account);
        let since = row.opt_instant("unpaid_since")?.unwrap_or(self.at);
        let ends = since.saturating_add(self.grace.lasts).unwrap_or(since);
        let notice = |kind, letter, ends| Notice {
            id: self.transaction,
            kind,
            letter,
            e164,
            account,
            fee,
            due: self.number.due,
            ends,
            at: self.at,
        };
        if self.at >= ends {
            let until = self.at.saturating_add(self.grace.quarantine).unwrap_or(self.at);
            tell(tx, &notice(EventKind::NumberReleased, EventKind::NumberReleasedLetter, self.at)).await?;
            let_go(tx, &Actor::system(), (e164, account), until, self.at).await?;
            return Ok(RentOutcome::Released);
        }
        let warned = ends.saturating_sub(self.grace.warns).unwrap_or(ends);
        let told = row.count("unpaid_told")?;
        let is_late = self.at >= warned;
        // Told when it begins, and once more before it ends.
        if told == 0 || (told == 1 && is_late) {
            tell(tx, &notice(EventKind::NumberUnpaid, EventKind::NumberUnpaidLetter, ends)).await?;
        }
        let told = if is_late { 2 } else { 1 };
        let next = self.at.saturating_add(self.grace.retry).unwrap_or(ends);
        let again = if is_late { next.min(ends) } else { next.min(warned) };
        let params = [e164.into(), account.into(), since.into(), told.into(), again.into()];
        tx.execute(OWED, &params).await?;
        Ok(RentOutcome::Unpaid { again })
    }
}

impl Reader {
    /// Numbers whose next month is due, the longest waiting first.
    pub async fn rentals_due(&self, now: Timestamp, limit: u32) -> Result<Vec<DueNumber>, StoreError> {
        const DUE: &str = "select e164, account_id, next_billing_at, purchased_at from number
          where rent_try_at <= $1 and status = 'active' and account_id is not null and next_billing_at <= $1
          order by rent_try_at, e164 limit $2";
        let rows = self.query(DUE, &[now.into(), limit.into()]).await?;
        rows.iter()
            .map(|row| {
                let due = row.instant("next_billing_at")?;
                Ok(DueNumber {
                    e164: row.parsed("e164")?,
                    account: row.account("account_id")?,
                    due,
                    bought: row.opt_instant("purchased_at")?.unwrap_or(due),
                })
            })
            .collect()
    }
}
