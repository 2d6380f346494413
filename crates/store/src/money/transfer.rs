//! Money from one account to another: both balances or neither.

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money};
use uuid::Uuid;

use super::low_balance::{Fall, tell};
use super::posting::{Posted, write_posting};
use crate::command::BoxFuture;
use crate::{Command, StoreError, Tx};

/// Moves a positive amount; keyed by (from, `transfer`, ref_kind, ref_id).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    /// Id of the ledger transaction, minted by the maker.
    pub id: Uuid,
    /// Who pays.
    pub from: AccountId,
    /// Who receives.
    pub to: AccountId,
    /// How much; must be positive.
    pub amount: Money,
    /// Kind of reference, such as `ptc`.
    pub ref_kind: String,
    /// The reference.
    pub ref_id: String,
    /// For people.
    pub description: String,
    /// When.
    pub at: Timestamp,
}

/// What became of a transfer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferOutcome {
    /// Moved now.
    Done {
        /// The payer's balance after it.
        from_balance: Money,
        /// The receiver's.
        to_balance: Money,
    },
    /// The same reference was moved before; nothing changed.
    AlreadyDone,
    /// The payer has not got it.
    Insufficient {
        /// Balance − held + credit limit.
        available: Money,
        /// Its currency.
        currency: Currency,
    },
    /// The accounts have different currencies, one of them is missing, they are the same, or the amount
    /// is not positive.
    Impossible,
}

const DEBIT: &str = "update account set balance = balance - $2, updated_at = $4
  where auth_id = $1 and balance - $2 - held + credit_limit >= 0
    and exists (select 1 from account as other where other.auth_id = $3 and other.currency = account.currency)
    and not exists (select 1 from ledger_tx
                    where account_id = $1 and kind = 'transfer' and ref_kind = $5 and ref_id = $6)
  returning balance, currency, low_balance_threshold";
const CREDIT: &str =
    "update account set balance = balance + $2, updated_at = $3 where auth_id = $1 returning balance";
const WHY_NOT: &str = "select payer.currency, payer.balance - payer.held + payer.credit_limit as available,
    (select count(*) from account where auth_id = $2 and currency = payer.currency) as receivers,
    (select count(*) from ledger_tx
      where account_id = $1 and kind = 'transfer' and ref_kind = $3 and ref_id = $4) as done
  from account as payer where payer.auth_id = $1";

impl Command for Transfer {
    type Output = TransferOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<TransferOutcome, StoreError>> {
        Box::pin(async move {
            if self.amount <= Money::ZERO || self.from == self.to {
                return Ok(TransferOutcome::Impossible);
            }
            let params = [
                (&self.from).into(),
                self.amount.into(),
                (&self.to).into(),
                self.at.into(),
                (&self.ref_kind).into(),
                (&self.ref_id).into(),
            ];
            let Some(debited) = tx.query_one(DEBIT, &params).await? else { return self.why_not(tx).await };
            let params = [(&self.to).into(), self.amount.into(), self.at.into()];
            let credited = tx.query_one(CREDIT, &params).await?;
            let credited = credited.ok_or_else(|| StoreError::Data("the receiver vanished".to_owned()))?;
            let (from_balance, to_balance) = (debited.money("balance")?, credited.money("balance")?);
            let posted = Posted {
                id: self.id,
                account: &self.from,
                kind: "transfer",
                ref_kind: &self.ref_kind,
                ref_id: &self.ref_id,
                description: &self.description,
                currency: debited.parsed("currency")?,
                at: self.at,
                amount: -self.amount,
                balance_after: from_balance,
                counter: self.to.as_str(),
                counter_balance_after: Some(to_balance),
            };
            write_posting(tx, &posted).await?;
            let fall = Fall {
                account: &self.from,
                transaction: self.id,
                taken: self.amount,
                balance: from_balance,
                threshold: debited.money("low_balance_threshold")?,
                at: self.at,
            };
            tell(tx, &fall).await?;
            Ok(TransferOutcome::Done { from_balance, to_balance })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.from, &self.to]
    }
}

impl Transfer {
    async fn why_not(&self, tx: &mut Tx<'_>) -> Result<TransferOutcome, StoreError> {
        let params = [(&self.from).into(), (&self.to).into(), (&self.ref_kind).into(), (&self.ref_id).into()];
        let Some(row) = tx.query_one(WHY_NOT, &params).await? else { return Ok(TransferOutcome::Impossible) };
        if row.int("done")? > 0 {
            return Ok(TransferOutcome::AlreadyDone);
        }
        if row.int("receivers")? == 0 {
            return Ok(TransferOutcome::Impossible);
        }
        Ok(TransferOutcome::Insufficient {
            available: row.money("available")?,
            currency: row.parsed("currency")?,
        })
    }
}
