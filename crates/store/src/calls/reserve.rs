//! A call's beginning: money and a channel taken by one conditional update, or a refusal on record.

use jiff::Timestamp;
use tandem_model::{AccountId, CallId, Currency, Money};

use super::live::{self, NewCall};
use super::record::{self, CallRecord};
use crate::command::{BoxFuture, Interleaving};
use crate::outbox::OutboxEvent;
use crate::{Command, StoreError, Tx};

/// Takes `call.hold` from the account's available money and one of its channels, and writes the live call
/// with its events. Repeating it for the same call takes nothing more.
pub struct ReserveCall {
    /// The call.
    pub call: NewCall,
    /// Events of its beginning.
    pub events: Vec<OutboxEvent>,
}

/// What became of a reservation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReserveOutcome {
    /// Taken.
    Reserved,
    /// Not enough money.
    InsufficientBalance {
        /// Balance − held + credit limit.
        available: Money,
        /// Its currency.
        currency: Currency,
    },
    /// No channel free.
    ConcurrencyExceeded {
        /// How many there are.
        limit: u64,
    },
    /// Disabled, or no such account.
    AccountDisabled,
}

// No subquery on `live_call` here: SQLite would build a table of its own for it, for every call.
const TAKE: &str = "update account set held = held + $2, live_calls = live_calls + 1
  where auth_id = $1 and enabled = 1 and live_calls < concurrent_limit and balance - held + credit_limit >= $2";
const GIVE_BACK: &str = "update account set held = held - $2, live_calls = live_calls - 1 where auth_id = $1";
const WHY_NOT: &str =
    "select enabled, live_calls, concurrent_limit, balance - held + credit_limit as available, currency,
    (select count(*) from live_call where call_id = $2) as reserved
  from account where auth_id = $1";

impl Command for ReserveCall {
    type Output = ReserveOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<ReserveOutcome, StoreError>> {
        Box::pin(async move {
            let call = &self.call;
            let hold = [(&call.account).into(), call.hold.into()];
            if tx.execute(TAKE, &hold).await? == 0 {
                return why_not(tx, &call.account, call.call, call.hold).await;
            }
            if !live::insert(tx, call).await? {
                // Reserved before: its hold stands, this one is not needed.
                tx.execute_each(&[(GIVE_BACK, &hold)]).await?;
                return Ok(ReserveOutcome::Reserved);
            }
            tx.emit(&self.events).await?;
            Ok(ReserveOutcome::Reserved)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.call.account]
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

async fn why_not(
    tx: &mut Tx<'_>,
    account: &AccountId,
    call: CallId,
    hold: Money,
) -> Result<ReserveOutcome, StoreError> {
    let Some(row) = tx.query_one(WHY_NOT, &[account.into(), call.into()]).await? else {
        return Ok(ReserveOutcome::AccountDisabled);
    };
    if row.int("reserved")? > 0 {
        return Ok(ReserveOutcome::Reserved);
    }
    if !row.flag("enabled")? {
        return Ok(ReserveOutcome::AccountDisabled);
    }
    let available = row.money("available")?;
    if available < hold {
        return Ok(ReserveOutcome::InsufficientBalance { available, currency: row.parsed("currency")? });
    }
    Ok(ReserveOutcome::ConcurrencyExceeded { limit: row.count("concurrent_limit")? })
}

/// Writes the record and the events of a refused call. Repeating it writes nothing.
pub struct RefuseCall {
    /// The record: `refused`, with its code.
    pub record: CallRecord,
    /// Its events.
    pub events: Vec<OutboxEvent>,
}

impl Command for RefuseCall {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            if record::insert(tx, &self.record).await? {
                tx.emit(&self.events).await?;
            }
            Ok(())
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

/// Adds further refusals of the same kind to one record, past the bound of records per second.
pub struct CountRefusals {
    /// The record that stands for them.
    pub record: CallId,
    /// How many more.
    pub more: u64,
    /// The last of them.
    pub at: Timestamp,
}

impl Command for CountRefusals {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const COUNT: &str = "update call_record set occurrences = occurrences + $2, updated_at = $3
          where uuid = $1 and refused = 1";
        Box::pin(async move {
            tx.execute(COUNT, &[self.record.into(), self.more.into(), self.at.into()]).await?;
            Ok(())
        })
    }
}
