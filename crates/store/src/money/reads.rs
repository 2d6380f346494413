//! Balances and transactions as the REST API asks for them (REST reference §2).

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money};
use uuid::Uuid;

use crate::calls::contains;
use crate::value::{Row, Value};
use crate::{Reader, StoreError};

/// The money of an account, as its row has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountBalance {
    /// Currency of every amount here.
    pub currency: Currency,
    /// Paid in minus charged.
    pub balance: Money,
    /// Set aside for live calls.
    pub held: Money,
    /// How far below zero it may go.
    pub credit_limit: Money,
}

impl AccountBalance {
    /// What can be spent now.
    pub fn available(&self) -> Money {
        self.balance - self.held + self.credit_limit
    }
}

/// One ledger transaction, from one account's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// Id of the transaction.
    pub id: Uuid,
    /// This side.
    pub account: AccountId,
    /// `call`, `topup`, `adjustment`, `refund`, `fee`, `transfer`.
    pub kind: String,
    /// Kind of its reference.
    pub ref_kind: String,
    /// The reference.
    pub ref_id: String,
    /// For people.
    pub description: String,
    /// Currency.
    pub currency: Currency,
    /// Added to this side's balance; negative was taken.
    pub amount: Money,
    /// This side's balance after it.
    pub balance_after: Money,
    /// The other side: an account or `sys:…`.
    pub counterparty: String,
    /// When.
    pub created_at: Timestamp,
}

/// Which transactions. An absent field does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionFilter {
    /// Made at or after.
    pub from: Option<Timestamp>,
    /// Made before.
    pub before: Option<Timestamp>,
    /// Only credits (`Some(true)`) or only debits.
    pub credits: Option<bool>,
    /// Exact kind.
    pub kind: Option<String>,
    /// Exact kind of reference.
    pub ref_kind: Option<String>,
    /// Substring of the description, in any case.
    pub description: Option<String>,
    /// Substring of `ref_kind:ref_id`, in any case.
    pub reference: Option<String>,
    /// One transaction.
    pub id: Option<Uuid>,
    /// Exact currency.
    pub currency: Option<Currency>,
}

/// A page of transactions, newest first, and how many match in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionPage {
    /// The page.
    pub lines: Vec<LedgerLine>,
    /// All that match.
    pub total: u64,
}

/// Debits and credits of one kind of reference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceTotal {
    /// The kind of reference.
    pub ref_kind: String,
    /// Σ of what was taken, positive.
    pub debit: Money,
    /// Σ of what was added.
    pub credit: Money,
    /// How many.
    pub count: u64,
}

/// What the matching transactions add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TransactionSummary {
    /// By kind of reference, in alphabetical order.
    pub by_reference: Vec<ReferenceTotal>,
}

impl TransactionSummary {
    /// How many in all.
    pub fn count(&self) -> u64 {
        self.by_reference.iter().map(|total| total.count).sum()
    }

    /// Σ of what was taken, positive.
    pub fn debit(&self) -> Money {
        self.by_reference.iter().fold(Money::ZERO, |sum, total| sum + total.debit)
    }

    /// Σ of what was added.
    pub fn credit(&self) -> Money {
        self.by_reference.iter().fold(Money::ZERO, |sum, total| sum + total.credit)
    }
}

/// `mine.balance_after is not null` is what makes the partial index usable.
const WHERE: &str = " from ledger_entry as mine
  join ledger_tx as t on t.id = mine.tx_id
  join ledger_entry as theirs on theirs.tx_id = mine.tx_id and theirs.account <> mine.account
  where mine.account = $1 and mine.balance_after is not null
    and mine.created_at >= $2 and mine.created_at < $3
    and (cast($4 as bigint) is null or (mine.amount > 0 and cast($4 as bigint) = 1) or (mine.amount < 0 and cast($4 as bigint) = 0))
    and (cast($5 as text) is null or t.kind = cast($5 as text))
    and (cast($6 as text) is null or t.ref_kind = cast($6 as text))
    and (cast($7 as text) is null or lower(t.description) like lower(cast($7 as text)) escape '\\')
    and (cast($8 as text) is null or lower(t.ref_kind || ':' || t.ref_id) like lower(cast($8 as text)) escape '\\')
    and (cast($9 as text) is null or t.id = cast($9 as text))
    and (cast($10 as text) is null or t.currency = cast($10 as text))";

impl TransactionFilter {
    fn params<'v>(&'v self, account: &'v AccountId) -> Vec<Value<'v>> {
        vec![
            account.into(),
            self.from.unwrap_or(Timestamp::MIN).into(),
            self.before.unwrap_or(Timestamp::MAX).into(),
            self.credits.into(),
            self.kind.as_ref().into(),
            self.ref_kind.as_ref().into(),
            self.description.as_deref().map(contains).into(),
            self.reference.as_deref().map(contains).into(),
            self.id.map(|id| id.hyphenated().to_string()).into(),
            self.currency.as_ref().into(),
        ]
    }
}

fn line_of(row: &Row) -> Result<LedgerLine, StoreError> {
    Ok(LedgerLine {
        id: row.parsed("id")?,
        account: row.account("account")?,
        kind: row.string("kind")?,
        ref_kind: row.string("ref_kind")?,
        ref_id: row.string("ref_id")?,
        description: row.string("description")?,
        currency: row.parsed("currency")?,
        amount: row.money("amount")?,
        balance_after: row.money("balance_after")?,
        counterparty: row.string("counterparty")?,
        created_at: row.instant("created_at")?,
    })
}

impl Reader {
    /// The money of an account.
    pub async fn balance(&self, account: &AccountId) -> Result<Option<AccountBalance>, StoreError> {
        const BALANCE: &str = "select currency, balance, held, credit_limit from account where auth_id = $1";
        let row = self.query_one(BALANCE, &[account.into()]).await?;
        row.map(|row| {
            Ok(AccountBalance {
                currency: row.parsed("currency")?,
                balance: row.money("balance")?,
                held: row.money("held")?,
                credit_limit: row.money("credit_limit")?,
            })
        })
        .transpose()
    }

    /// A page of an account's transactions, newest first.
    pub async fn transactions(
        &self,
        account: &AccountId,
        filter: &TransactionFilter,
        offset: u64,
        limit: u32,
    ) -> Result<TransactionPage, StoreError> {
        let mut params = filter.params(account);
        let count = self.query_one(format!("select count(*) as n{WHERE}"), &params).await?;
        let total = count.map_or(Ok(0), |row| row.count("n"))?;
        params.push(limit.into());
        params.push(offset.into());
        let sql = format!(
            "select t.id, mine.account, t.kind, t.ref_kind, t.ref_id, t.description, t.currency, mine.amount,
               mine.balance_after, theirs.account as counterparty, mine.created_at{WHERE}
             order by mine.created_at desc, t.id desc limit $11 offset $12"
        );
        let rows = self.query(sql, &params).await?;
        Ok(TransactionPage { lines: rows.iter().map(line_of).collect::<Result<_, _>>()?, total })
    }

    /// What the matching transactions add up to.
    pub async fn transaction_summary(
        &self,
        account: &AccountId,
        filter: &TransactionFilter,
    ) -> Result<TransactionSummary, StoreError> {
        let sql = format!(
            "select t.ref_kind, count(*) as n,
               cast(coalesce(sum(case when mine.amount < 0 then 0 - mine.amount else 0 end), 0) as bigint) as debit,
               cast(coalesce(sum(case when mine.amount > 0 then mine.amount else 0 end), 0) as bigint) as credit
             {WHERE} group by t.ref_kind order by t.ref_kind"
        );
        let rows = self.query(sql, &filter.params(account)).await?;
        let by_reference = rows
            .iter()
            .map(|row| {
                Ok(ReferenceTotal {
                    ref_kind: row.string("ref_kind")?,
                    debit: row.money("debit")?,
                    credit: row.money("credit")?,
                    count: row.count("n")?,
                })
            })
            .collect::<Result<_, StoreError>>()?;
        Ok(TransactionSummary { by_reference })
    }
}
