//! One change of one account's balance against a system account, exactly once per natural key.

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money};
use uuid::Uuid;

use super::low_balance::{Fall, tell};
use super::{ADJUSTMENTS, CLEARING, REVENUE};
use crate::command::BoxFuture;
use crate::{Command, StoreError, Tx};

/// Why money moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PostKind {
    /// Paid in by or for the customer.
    TopUp,
    /// Corrected by the operator, either way.
    Adjustment,
    /// Given back.
    Refund,
    /// A fee of ours: number purchase, rental, release, channel.
    Fee,
}

impl PostKind {
    /// The column's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TopUp => "topup",
            Self::Adjustment => "adjustment",
            Self::Refund => "refund",
            Self::Fee => "fee",
        }
    }

    const fn counter(self) -> &'static str {
        match self {
            Self::TopUp => CLEARING,
            Self::Adjustment => ADJUSTMENTS,
            Self::Refund | Self::Fee => REVENUE,
        }
    }
}

/// A change of an account's balance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Posting {
    /// Id of the ledger transaction, minted by the maker.
    pub id: Uuid,
    /// Whose balance.
    pub account: AccountId,
    /// Why.
    pub kind: PostKind,
    /// Added to the balance; negative takes.
    pub amount: Money,
    /// `payment`, `refund`, `manual_adjustment`, `did_purchase`, `did_rental`, …
    pub ref_kind: String,
    /// With account, kind and ref_kind the natural key: the same reference posts once.
    pub ref_id: String,
    /// For people.
    pub description: String,
    /// When.
    pub at: Timestamp,
}

/// What became of a posting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostOutcome {
    /// Posted now.
    Done {
        /// After it.
        balance: Money,
    },
    /// The same reference with the same amount was posted before; nothing changed.
    AlreadyDone {
        /// As it is now.
        balance: Money,
    },
    /// The reference was posted before with another amount; nothing changed.
    ReferenceConflict {
        /// That amount.
        posted: Money,
    },
    /// Taking it would leave less than is held and allowed as credit; nothing changed.
    Insufficient {
        /// Balance − held + credit limit.
        available: Money,
        /// Its currency.
        currency: Currency,
    },
    /// No such account.
    NoAccount,
}

/// [`Posting`] as a command of its own: top-up, adjustment, refund, fee.
pub struct Post(pub Posting);

impl Command for Post {
    type Output = PostOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<PostOutcome, StoreError>> {
        Box::pin(post(tx, &self.0))
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.0.account]
    }
}

const APPLY: &str = "update account set balance = balance + $2, updated_at = $3
  where auth_id = $1 and (balance + $2 - held + credit_limit >= 0 or cast($2 as bigint) >= 0)
    and not exists (select 1 from ledger_tx
                    where account_id = $1 and kind = $4 and ref_kind = $5 and ref_id = $6)
  returning balance, currency, low_balance_threshold";
const WHY_NOT: &str = "select account.balance, account.currency, account.balance - account.held + account.credit_limit as available,
    (select ledger_entry.amount from ledger_tx join ledger_entry on ledger_entry.tx_id = ledger_tx.id
       and ledger_entry.account = $1
     where ledger_tx.account_id = $1 and ledger_tx.kind = $2 and ledger_tx.ref_kind = $3 and ledger_tx.ref_id = $4) as posted
  from account where auth_id = $1";

/// Posts inside any command, so that (say) a number and its price change hands together. The command must
/// name the account in [`Command::accounts`].
pub async fn post(tx: &mut Tx<'_>, posting: &Posting) -> Result<PostOutcome, StoreError> {
    let kind = posting.kind.as_str();
    let params = [
        (&posting.account).into(),
        posting.amount.into(),
        posting.at.into(),
        kind.into(),
        (&posting.ref_kind).into(),
        (&posting.ref_id).into(),
    ];
    let Some(row) = tx.query_one(APPLY, &params).await? else { return why_not(tx, posting).await };
    let balance = row.money("balance")?;
    let posted = Posted {
        id: posting.id,
        account: &posting.account,
        kind,
        ref_kind: &posting.ref_kind,
        ref_id: &posting.ref_id,
        description: &posting.description,
        currency: row.parsed("currency")?,
        at: posting.at,
        amount: posting.amount,
        balance_after: balance,
        counter: posting.kind.counter(),
        counter_balance_after: None,
    };
    write_posting(tx, &posted).await?;
    if posting.amount < Money::ZERO {
        let threshold = row.money("low_balance_threshold")?;
        let (account, transaction, taken) = (&posting.account, posting.id, -posting.amount);
        tell(tx, &Fall { account, transaction, taken, balance, threshold, at: posting.at }).await?;
    }
    Ok(PostOutcome::Done { balance })
}

async fn why_not(tx: &mut Tx<'_>, posting: &Posting) -> Result<PostOutcome, StoreError> {
    let params = [
        (&posting.account).into(),
        posting.kind.as_str().into(),
        (&posting.ref_kind).into(),
        (&posting.ref_id).into(),
    ];
    let Some(row) = tx.query_one(WHY_NOT, &params).await? else { return Ok(PostOutcome::NoAccount) };
    match row.opt_int("posted")?.map(Money::from_micros) {
        Some(posted) if posted == posting.amount => {
            Ok(PostOutcome::AlreadyDone { balance: row.money("balance")? })
        }
        Some(posted) => Ok(PostOutcome::ReferenceConflict { posted }),
        None => Ok(PostOutcome::Insufficient {
            available: row.money("available")?,
            currency: row.parsed("currency")?,
        }),
    }
}

/// A ledger transaction of two entries, already applied to the stored balances.
pub(crate) struct Posted<'p> {
    pub(crate) id: Uuid,
    pub(crate) account: &'p AccountId,
    pub(crate) kind: &'p str,
    pub(crate) ref_kind: &'p str,
    pub(crate) ref_id: &'p str,
    pub(crate) description: &'p str,
    pub(crate) currency: Currency,
    pub(crate) at: Timestamp,
    pub(crate) amount: Money,
    pub(crate) balance_after: Money,
    pub(crate) counter: &'p str,
    pub(crate) counter_balance_after: Option<Money>,
}

const TX: &str =
    "insert into ledger_tx (id, account_id, kind, ref_kind, ref_id, description, currency, created_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8)";
const ENTRIES: &str = "insert into ledger_entry (tx_id, account, amount, balance_after, created_at)
  values ($1, $2, $3, $4, $7), ($1, $5, 0 - cast($3 as bigint), $6, $7)";

/// Writes the transaction and its two entries, which sum to zero by construction.
pub(crate) async fn write_posting(tx: &mut Tx<'_>, posted: &Posted<'_>) -> Result<(), StoreError> {
    let id = posted.id.hyphenated().to_string();
    let transaction = [
        (&id).into(),
        posted.account.into(),
        posted.kind.into(),
        posted.ref_kind.into(),
        posted.ref_id.into(),
        posted.description.into(),
        (&posted.currency).into(),
        posted.at.into(),
    ];
    tx.execute(TX, &transaction).await?;
    let entries = [
        (&id).into(),
        posted.account.into(),
        posted.amount.into(),
        posted.balance_after.into(),
        posted.counter.into(),
        posted.counter_balance_after.into(),
        posted.at.into(),
    ];
    tx.execute(ENTRIES, &entries).await?;
    Ok(())
}
