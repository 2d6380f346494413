//! A live call's progress: dialogs noted before they are needed, the answer, more money, ticks.

use std::sync::OnceLock;

use jiff::Timestamp;
use tandem_model::{AccountId, CallId, CarrierId, DialogRecord, Money};

use super::live::{LiveState, json};
use crate::command::{BoxFuture, Interleaving};
use crate::value::Value;
use crate::{Command, StoreError, Tx};

/// Notes the dialogs of legs being dialled, for a crash. Says nothing about a call that has ended.
pub struct NoteDialogs {
    /// The call.
    pub call: CallId,
    /// The carrier being tried, if it is one.
    pub carrier: Option<CarrierId>,
    /// All its dialogs.
    pub dialogs: Vec<DialogRecord>,
}

impl Command for NoteDialogs {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        // Only before the answer: a note that was overtaken must not replace the answer's dialogs.
        const NOTE: &str =
            "update live_call set dialogs = $2, carrier_id = $3 where call_id = $1 and answered_at is null";
        Box::pin(async move {
            let params = [self.call.into(), json(&self.dialogs)?.into(), self.carrier.into()];
            tx.execute(NOTE, &params).await?;
            Ok(())
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

/// Moves an unanswered call from queued to ringing.
pub struct SetCallState {
    /// The call.
    pub call: CallId,
    /// How far it is.
    pub state: LiveState,
}

impl Command for SetCallState {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const SET: &str = "update live_call set state = $2 where call_id = $1 and answered_at is null";
        Box::pin(async move {
            tx.execute(SET, &[self.call.into(), self.state.as_str().into()]).await?;
            Ok(())
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

/// Makes the answer durable. False when the call is not live (any more).
pub struct AnswerCall {
    /// The call.
    pub call: CallId,
    /// When billing begins.
    pub at: Timestamp,
    /// Every dialog of the call.
    pub dialogs: Vec<DialogRecord>,
}

impl Command for AnswerCall {
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const ANSWER: &str =
            "update live_call set state = 'in-progress', answered_at = coalesce(answered_at, $2),
            dialogs = $3
          where call_id = $1";
        Box::pin(async move {
            let params = [self.call.into(), self.at.into(), json(&self.dialogs)?.into()];
            Ok(tx.execute(ANSWER, &params).await? == 1)
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

/// Sets more money aside for a live call, if the account has it. Repeating it with the same `covered_s`
/// takes nothing more.
pub struct ExtendCall {
    /// The call.
    pub call: CallId,
    /// Who pays.
    pub account: AccountId,
    /// How much more.
    pub extra_hold: Money,
    /// Talk time covered in all, once granted.
    pub covered_s: u64,
}

/// What became of an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExtendOutcome {
    /// Granted; the call holds this much in all.
    Extended {
        /// The whole hold.
        hold: Money,
    },
    /// Not that much money: nothing was taken. Ask for what is left, or hang up when what is covered ends.
    Exhausted {
        /// What the account still has.
        available: Money,
    },
    /// No such live call.
    Gone,
}

impl Command for ExtendCall {
    type Output = ExtendOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<ExtendOutcome, StoreError>> {
        const TAKE: &str = "update account set held = held + $2
          where auth_id = $1 and enabled = 1 and balance - held + credit_limit >= $2
            and exists (select 1 from live_call
                        where call_id = $3 and account_id = $1 and covered_s < cast($4 as bigint))";
        const GROW: &str =
            "update live_call set hold = hold + $2, covered_s = $3 where call_id = $1 returning hold";
        const STANDING: &str = "select live_call.hold, live_call.covered_s,
            case when account.enabled = 1 then account.balance - account.held + account.credit_limit else 0 end as available
          from live_call join account on account.auth_id = live_call.account_id where live_call.call_id = $1";
        Box::pin(async move {
            let params =
                [(&self.account).into(), self.extra_hold.into(), self.call.into(), self.covered_s.into()];
            if tx.execute(TAKE, &params).await? == 1 {
                let params = [self.call.into(), self.extra_hold.into(), self.covered_s.into()];
                let row = tx.query_one(GROW, &params).await?;
                let row = row.ok_or_else(|| StoreError::Data("a live call vanished".to_owned()))?;
                return Ok(ExtendOutcome::Extended { hold: row.money("hold")? });
            }
            let Some(row) = tx.query_one(STANDING, &[self.call.into()]).await? else {
                return Ok(ExtendOutcome::Gone);
            };
            let covered = row.opt_int("covered_s")?.and_then(|seconds| u64::try_from(seconds).ok());
            // A free call is covered for ever; a repeated request has been granted already.
            if covered.is_none_or(|covered| covered >= self.covered_s) {
                return Ok(ExtendOutcome::Extended { hold: row.money("hold")? });
            }
            Ok(ExtendOutcome::Exhausted { available: row.money("available")? })
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// Notes how long live calls have talked, for the reaper: it settles no later than the last tick. Never
/// goes backwards; calls that have ended are passed over.
pub struct TickCalls(pub Vec<(CallId, u64)>);

/// Rows of one statement; shorter lists are padded with nulls, which match nothing.
const TICK_ROWS: usize = 64;

/// `update … from (values …)`, one text for both databases: the first row's casts give PostgreSQL the types.
fn tick_sql() -> &'static str {
    static SQL: OnceLock<&'static str> = OnceLock::new();
    SQL.get_or_init(|| {
        let rows: Vec<String> = (0..TICK_ROWS)
            .map(|row| format!("(cast(${} as text), cast(${} as bigint))", row * 2 + 1, row * 2 + 2))
            .collect();
        let sql = format!(
            "update live_call set elapsed_s = v.column2 from (values {}) as v
             where live_call.call_id = v.column1 and live_call.elapsed_s < v.column2",
            rows.join(", ")
        );
        Box::leak(sql.into_boxed_str())
    })
}

impl Command for TickCalls {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            for chunk in self.0.chunks(TICK_ROWS) {
                let mut params = Vec::with_capacity(TICK_ROWS * 2);
                for (call, elapsed_s) in chunk {
                    params.push((*call).into());
                    params.push((*elapsed_s).into());
                }
                params.resize(TICK_ROWS * 2, Value::Null);
                tx.execute(tick_sql(), &params).await?;
            }
            Ok(())
        })
    }
}
