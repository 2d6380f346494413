//! Balances and transactions as the REST API asks for them (REST reference §2).

use jiff::Timestamp;
use tandem_model::{AccountId, Currency, Money};
use uuid::Uuid;

use crate::calls::contains;
use crate::conditions::Conditions;
use crate::value::Row;
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

/// Whose ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerOf<'a> {
    /// One account's.
    Account(&'a AccountId),
    /// All customers' of a partner, not its own.
    CustomersOf(&'a AccountId),
}

impl<'a> From<&'a AccountId> for LedgerOf<'a> {
    fn from(account: &'a AccountId) -> Self {
        Self::Account(account)
    }
}

/// One ledger transaction, from one account's side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// Id of the transaction.
    pub id: Uuid,
    /// This side.
    pub account: AccountId,
    /// The stable UUID of this side's account.
    pub balance_id: Uuid,
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
    /// Substring of description, reference, or the account's id or name, in any case.
    pub search: Option<String>,
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

const FROM: &str = " from ledger_entry as mine
  join ledger_tx as t on t.id = mine.tx_id
  join ledger_entry as theirs on theirs.tx_id = mine.tx_id and theirs.account <> mine.account";

impl TransactionFilter {
    fn conditions<'v>(&'v self, whose: LedgerOf<'v>) -> Conditions<'v> {
        // `balance_after is not null` is what makes the partial index usable.
        let (clause, account) = match whose {
            LedgerOf::Account(id) => ("mine.balance_after is not null and mine.account = ?", id),
            LedgerOf::CustomersOf(id) => (
                "mine.balance_after is not null and mine.account in
                   (select auth_id from account where partner_id = ? and kind = 'master')",
                id,
            ),
        };
        let (above, below) = match self.credits {
            Some(true) => (Some(0), None),
            Some(false) => (None, Some(0)),
            None => (None, None),
        };
        Conditions::new(clause, account)
            .and("mine.created_at >= ?", self.from)
            .and("mine.created_at < ?", self.before)
            .and("mine.amount > ?", above)
            .and("mine.amount < ?", below)
            .and("t.kind = ?", self.kind.as_ref())
            .and("t.ref_kind = ?", self.ref_kind.as_ref())
            .and("lower(t.description) like lower(?) escape '\\'", self.description.as_deref().map(contains))
            .and(
                "lower(t.ref_kind || ':' || t.ref_id) like lower(?) escape '\\'",
                self.reference.as_deref().map(contains),
            )
            .and("t.id = ?", self.id.map(|id| id.hyphenated().to_string()))
            .and("t.currency = ?", self.currency.as_ref())
            .and(
                "(lower(t.description) like lower(?) escape '\\' or lower(t.ref_kind || ':' || t.ref_id) like lower(?) escape '\\'
                  or mine.account in (select auth_id from account
                    where lower(auth_id) like lower(?) escape '\\' or lower(name) like lower(?) escape '\\'))",
                self.search.as_deref().map(contains),
            )
    }
}

pub(super) fn line_of(row: &Row) -> Result<LedgerLine, StoreError> {
    Ok(LedgerLine {
        id: row.parsed("id")?,
        account: row.account("account")?,
        balance_id: row.parsed("balance_id")?,
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
        let row = self.point(BALANCE, &[account.into()]).await?;
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

    /// A page of somebody's transactions, newest first.
    pub async fn transactions<'r>(
        &self,
        whose: impl Into<LedgerOf<'r>>,
        filter: &TransactionFilter,
        offset: u64,
        limit: u32,
    ) -> Result<TransactionPage, StoreError> {
        let matching = filter.conditions(whose.into());
        let count = format!("select count(*) as n{FROM}{}", matching.sql());
        let total = self.query_one(count, matching.params()).await?.map_or(Ok(0), |row| row.count("n"))?;
        let mut sql = format!(
            "select t.id, mine.account, (select api_id from account where auth_id = mine.account) as balance_id, t.kind, t.ref_kind, t.ref_id, t.description, t.currency, mine.amount,
               mine.balance_after, theirs.account as counterparty, mine.created_at{FROM}{}
             order by mine.created_at desc, t.id desc",
            matching.sql()
        );
        let (tail, params) = matching.page(limit, offset);
        sql.push_str(&tail);
        let rows = self.query(sql, &params).await?;
        Ok(TransactionPage { lines: rows.iter().map(line_of).collect::<Result<_, _>>()?, total })
    }

    /// What the matching transactions add up to.
    pub async fn transaction_summary<'r>(
        &self,
        whose: impl Into<LedgerOf<'r>>,
        filter: &TransactionFilter,
    ) -> Result<TransactionSummary, StoreError> {
        let matching = filter.conditions(whose.into());
        let sql = format!(
            "select t.ref_kind, count(*) as n,
               cast(coalesce(sum(case when mine.amount < 0 then 0 - mine.amount else 0 end), 0) as bigint) as debit,
               cast(coalesce(sum(case when mine.amount > 0 then mine.amount else 0 end), 0) as bigint) as credit
             {FROM}{} group by t.ref_kind order by t.ref_kind",
            matching.sql()
        );
        let rows = self.query(sql, matching.params()).await?;
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
