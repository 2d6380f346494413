//! An account's ledger by the month: what a statement opens with, what it lists, what it closes with.

use jiff::Timestamp;
use tandem_model::{AccountId, Money};
use uuid::Uuid;

use super::LedgerLine;
use super::reads::line_of;
use crate::value::Value;
use crate::{Reader, StoreError};

/// What one day added up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerDay {
    /// Days since the epoch, UTC.
    pub day: i64,
    /// Σ of what was added.
    pub credit: Money,
    /// Σ of what was taken, positive.
    pub debit: Money,
    /// How many transactions.
    pub count: u64,
}

/// Where a reading of a ledger stands: after this line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerCursor {
    /// Its instant.
    pub at: Timestamp,
    /// Its transaction.
    pub id: Uuid,
}

impl Reader {
    /// Each day on which an account's money moved, in order.
    pub async fn ledger_days(&self, account: &AccountId) -> Result<Vec<LedgerDay>, StoreError> {
        const DAYS: &str = "select created_at / 86400000000 as day, count(*) as n,
            cast(sum(case when amount > 0 then amount else 0 end) as bigint) as credit,
            cast(sum(case when amount < 0 then 0 - amount else 0 end) as bigint) as debit
          from ledger_entry where account = $1 and balance_after is not null
          group by created_at / 86400000000 order by day";
        let rows = self.query(DAYS, &[account.into()]).await?;
        rows.iter()
            .map(|row| {
                Ok(LedgerDay {
                    day: row.int("day")?,
                    credit: row.money("credit")?,
                    debit: row.money("debit")?,
                    count: row.count("n")?,
                })
            })
            .collect()
    }

    /// Σ of an account's ledger before an instant.
    pub async fn ledger_before(&self, account: &AccountId, before: Timestamp) -> Result<Money, StoreError> {
        const BEFORE: &str = "select cast(coalesce(sum(amount), 0) as bigint) as total from ledger_entry
          where account = $1 and balance_after is not null and created_at < $2";
        let row = self.query_one(BEFORE, &[account.into(), before.into()]).await?;
        row.map_or(Ok(Money::ZERO), |row| row.money("total"))
    }

    /// The next lines of an account's ledger in `from..before`, oldest first.
    pub async fn ledger_lines_after(
        &self,
        account: &AccountId,
        from: Timestamp,
        before: Timestamp,
        after: Option<LedgerCursor>,
        limit: u32,
    ) -> Result<Vec<LedgerLine>, StoreError> {
        const LINES: &str = "select t.id, mine.account, (select api_id from account where auth_id = mine.account) as balance_id,
            t.kind, t.ref_kind, t.ref_id, t.description, t.currency, mine.amount, mine.balance_after,
            theirs.account as counterparty, mine.created_at
          from ledger_entry as mine
          join ledger_tx as t on t.id = mine.tx_id
          join ledger_entry as theirs on theirs.tx_id = mine.tx_id and theirs.account <> mine.account
          where mine.account = $1 and mine.balance_after is not null and mine.created_at >= $2 and mine.created_at < $3
            and (cast($4 as bigint) is null or mine.created_at > cast($4 as bigint)
              or (mine.created_at = cast($4 as bigint) and mine.tx_id > cast($5 as text)))
          order by mine.created_at, mine.tx_id limit $6";
        // What was read stays before the cursor: the index is entered there.
        let from = after.map_or(from, |cursor| cursor.at.max(from));
        let params: [Value<'_>; 6] = [
            account.into(),
            from.into(),
            before.into(),
            after.map(|cursor| cursor.at).into(),
            after.map(|cursor| cursor.id.hyphenated().to_string()).into(),
            limit.into(),
        ];
        self.query(LINES, &params).await?.iter().map(line_of).collect()
    }
}
