//! Does the money add up? Each question is one statement, so that its answer is consistent even while
//! calls settle. An empty report is the only good one.

use tandem_model::{CallId, Money};

use crate::value::Row;
use crate::{Reader, StoreError};

/// Something that should be `expected` and is `found`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The account, currency, ledger transaction or call.
    pub subject: String,
    /// What the ledger or the rows say.
    pub expected: i64,
    /// What is stored.
    pub found: i64,
}

/// What does not add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LedgerReport {
    /// Currencies whose entries do not sum to zero.
    pub currencies: Vec<Mismatch>,
    /// Ledger transactions whose entries do not sum to zero.
    pub transactions: Vec<Mismatch>,
    /// Accounts whose balance is not the sum of their entries.
    pub balances: Vec<Mismatch>,
    /// Accounts whose held amount is not the sum of their live calls' holds.
    pub held: Vec<Mismatch>,
    /// Accounts whose count of live calls is not the number of their rows.
    pub live_calls: Vec<Mismatch>,
    /// Records whose cost was not posted, or posted otherwise.
    pub records: Vec<Mismatch>,
    /// Calls posted without a record.
    pub unrecorded: Vec<Mismatch>,
}

impl LedgerReport {
    /// Everything adds up.
    pub fn is_clean(&self) -> bool {
        *self == Self::default()
    }
}

const CURRENCIES: &str =
    "select t.currency as subject, cast(0 as bigint) as expected, cast(sum(e.amount) as bigint) as found
  from ledger_entry as e join ledger_tx as t on t.id = e.tx_id group by t.currency having sum(e.amount) <> 0";
const TRANSACTIONS: &str =
    "select tx_id as subject, cast(0 as bigint) as expected, cast(sum(amount) as bigint) as found
  from ledger_entry group by tx_id having sum(amount) <> 0";
const BALANCES: &str =
    "select a.auth_id as subject, cast(coalesce(e.total, 0) as bigint) as expected, a.balance as found
  from account as a left join (select account, sum(amount) as total from ledger_entry
    where balance_after is not null group by account) as e on e.account = a.auth_id
  where a.balance <> coalesce(e.total, 0)";
const HELD: &str =
    "select a.auth_id as subject, cast(coalesce(l.total, 0) as bigint) as expected, a.held as found
  from account as a left join (select account_id, sum(hold) as total from live_call group by account_id) as l
    on l.account_id = a.auth_id
  where a.held <> coalesce(l.total, 0)";
const LIVE: &str =
    "select a.auth_id as subject, cast(coalesce(l.total, 0) as bigint) as expected, a.live_calls as found
  from account as a left join (select account_id, count(*) as total from live_call group by account_id) as l
    on l.account_id = a.auth_id
  where a.live_calls <> coalesce(l.total, 0)";
const RECORDS: &str = "select r.uuid as subject, cast(coalesce(0 - e.amount, 0) as bigint) as expected,
    r.cost + r.streaming_cost as found
  from call_record as r left join ledger_entry as e on e.tx_id = r.uuid and e.account = r.account_id
  where r.cost + r.streaming_cost <> coalesce(0 - e.amount, 0)";
const UNRECORDED: &str = "select t.id as subject, cast(1 as bigint) as expected, cast(0 as bigint) as found
  from ledger_tx as t left join call_record as r on r.uuid = t.ref_id
  where t.kind = 'call' and r.uuid is null";

fn mismatch(row: &Row) -> Result<Mismatch, StoreError> {
    Ok(Mismatch { subject: row.string("subject")?, expected: row.int("expected")?, found: row.int("found")? })
}

impl Reader {
    /// Compares every stored sum with what it sums up.
    pub async fn verify_ledger(&self) -> Result<LedgerReport, StoreError> {
        Ok(LedgerReport {
            currencies: self.mismatches(CURRENCIES).await?,
            transactions: self.mismatches(TRANSACTIONS).await?,
            balances: self.mismatches(BALANCES).await?,
            held: self.mismatches(HELD).await?,
            live_calls: self.mismatches(LIVE).await?,
            records: self.mismatches(RECORDS).await?,
            unrecorded: self.mismatches(UNRECORDED).await?,
        })
    }

    async fn mismatches(&self, sql: &'static str) -> Result<Vec<Mismatch>, StoreError> {
        self.query(sql, &[]).await?.iter().map(mismatch).collect()
    }

    /// What was posted for a call, if anything.
    pub async fn posted_cost(&self, call: CallId) -> Result<Option<Money>, StoreError> {
        const POSTED: &str = "select 0 - e.amount as cost from ledger_tx as t
          join ledger_entry as e on e.tx_id = t.id and e.account = t.account_id
          where t.id = $1 and t.kind = 'call'";
        self.query_one(POSTED, &[call.into()]).await?.map(|row| row.money("cost")).transpose()
    }
}
