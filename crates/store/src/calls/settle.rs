//! A call's end: hold released, channel given back, price debited and posted, record and recording written, events
//! queued, in one command keyed by the call. A second settlement finds no live call and changes nothing.

use tandem_model::{AccountId, Currency, Money};

use super::record::{self, CallRecord};
use crate::command::{BoxFuture, Interleaving};
use crate::dialect::Dialect;
use crate::money::{self, REVENUE};
use crate::outbox::OutboxEvent;
use crate::recordings::{self, Recording};
use crate::{Command, StoreError, Tx};

/// Settles a live call at `record.total_cost()`.
pub struct SettleCall {
    /// The record of the call; its account and uuid name the live call.
    pub record: CallRecord,
    /// Words of the ledger transaction.
    pub description: String,
    /// What was recorded of it; the row is written with everything else.
    pub recording: Option<Recording>,
    /// Events of its end.
    pub events: Vec<OutboxEvent>,
}

/// What became of a settlement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    /// Settled now; the account has this balance.
    Settled {
        /// After the debit.
        balance: Money,
    },
    /// It was settled before; nothing changed.
    AlreadySettled,
    /// The price is more than the hold and everything else the account has: nothing changed. Charge at
    /// most `chargeable` instead.
    CostExceedsFunds {
        /// The hold and what else is available.
        chargeable: Money,
        /// Its currency.
        currency: Currency,
    },
    /// Neither live nor on record: it was never reserved.
    NotLive,
}

/// PostgreSQL: one conditional statement, because commands of a batch interleave there.
const RELEASE: &str = "update account set balance = balance - $2, live_calls = live_calls - 1,
    held = held - (select hold from live_call where call_id = $3)
  where auth_id = $1
    and exists (select 1 from live_call where call_id = $3 and account_id = $1)
    and balance - $2 - held + (select hold from live_call where call_id = $3) + credit_limit >= 0
  returning balance, low_balance_threshold";
/// SQLite: nothing comes between this and [`PAY`], and without a subquery and `returning` neither builds a table of its own.
const HELD: &str = "select live_call.hold, account.balance, account.currency, account.low_balance_threshold,
    account.balance - account.held + account.credit_limit + live_call.hold as chargeable
  from live_call join account on account.auth_id = live_call.account_id
  where live_call.call_id = $1 and live_call.account_id = $2";
const PAY: &str = "update account set balance = balance - $2, live_calls = live_calls - 1, held = held - $3
  where auth_id = $1";
const DELETE: &str = "delete from live_call where call_id = $1";
const ON_RECORD: &str = "select 1 as one from call_record where uuid = $1";

impl Command for SettleCall {
    type Output = SettleOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<SettleOutcome, StoreError>> {
        Box::pin(async move {
            let record = &self.record;
            let cost = record.total_cost();
            let released = match tx.dialect() {
                Dialect::Sqlite => release_alone(tx, record, cost).await?,
                Dialect::Postgres => release_among_others(tx, record, cost).await?,
            };
            let Some(Released { balance, threshold }) = released else { return why_not(tx, record).await };
            tx.execute_each(&[(DELETE, &[record.uuid.into()])]).await?;
            if cost != Money::ZERO {
                let posted = money::Posted {
                    id: record.uuid.0,
                    account: &record.account,
                    kind: "call",
                    ref_kind: "cdr",
                    ref_id: &record.uuid.to_string(),
                    description: &self.description,
                    currency: record.currency,
                    at: record.end_time,
                    amount: -cost,
                    balance_after: balance,
                    counter: REVENUE,
                    counter_balance_after: None,
                };
                money::write_posting(tx, &posted).await?;
                let fall = money::Fall {
                    account: &record.account,
                    transaction: record.uuid.0,
                    taken: cost,
                    balance,
                    threshold,
                    at: record.end_time,
                };
                money::tell(tx, &fall).await?;
            }
            #[cfg(feature = "planted-faults")]
            if tx.faults.record_later() {
                tx.faults.postponed_records.push(record.clone());
                tx.emit(&self.events).await?;
                return Ok(SettleOutcome::Settled { balance });
            }
            if !record::insert(tx, record).await? {
                return Err(StoreError::Data(format!("call {} is live and on record", record.uuid)));
            }
            if let Some(recording) = &self.recording {
                recordings::insert(tx, recording).await?;
            }
            tx.emit(&self.events).await?;
            Ok(SettleOutcome::Settled { balance })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.record.account]
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

/// What a settlement left: the balance after it, and below what the account wants to be told.
struct Released {
    balance: Money,
    threshold: Money,
}

/// Gives the hold and the channel back and takes the price. `None`: nothing changed.
async fn release_alone(
    tx: &mut Tx<'_>,
    record: &CallRecord,
    cost: Money,
) -> Result<Option<Released>, StoreError> {
    let Some(row) = tx.query_one(HELD, &[record.uuid.into(), (&record.account).into()]).await? else {
        return Ok(None);
    };
    if row.money("chargeable")? < cost {
        return Ok(None);
    }
    let pay = [(&record.account).into(), cost.into(), row.money("hold")?.into()];
    tx.execute_each(&[(PAY, &pay)]).await?;
    let threshold = row.money("low_balance_threshold")?;
    Ok(Some(Released { balance: row.money("balance")? - cost, threshold }))
}

/// The same in one statement.
async fn release_among_others(
    tx: &mut Tx<'_>,
    record: &CallRecord,
    cost: Money,
) -> Result<Option<Released>, StoreError> {
    let params = [(&record.account).into(), cost.into(), record.uuid.into()];
    let row = tx.query_one(RELEASE, &params).await?;
    row.map(|row| {
        let threshold = row.money("low_balance_threshold")?;
        Ok(Released { balance: row.money("balance")?, threshold })
    })
    .transpose()
}

async fn why_not(tx: &mut Tx<'_>, record: &CallRecord) -> Result<SettleOutcome, StoreError> {
    if let Some(row) = tx.query_one(HELD, &[record.uuid.into(), (&record.account).into()]).await? {
        let (chargeable, currency) = (row.money("chargeable")?, row.parsed("currency")?);
        return Ok(SettleOutcome::CostExceedsFunds { chargeable, currency });
    }
    match tx.query_one(ON_RECORD, &[record.uuid.into()]).await? {
        Some(_) => Ok(SettleOutcome::AlreadySettled),
        None => Ok(SettleOutcome::NotLive),
    }
}
