//! Calls of a number by the hour. A clerk adds new records up, in the order of their ids, into one row an hour; what he has
//! not come to yet is read from the records themselves, of which there are few. No call writes a row more for it. Records
//! write numbers with a plus, live calls without.

use jiff::{SignedDuration, Timestamp};
use tandem_model::{AccountId, E164};

use crate::command::BoxFuture;
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

const HOUR_MICROS: i64 = 3_600_000_000;

/// Adds the records after the last that was added, up to `upto`, to the hours of their numbers: all or nothing.
pub struct AddTraffic {
    /// Id of the last record to add. Every record up to it must be there: on PostgreSQL ids are drawn before they commit.
    pub upto: i64,
    /// Records added at most.
    pub limit: u32,
}

impl Command for AddTraffic {
    /// Id of the last record that is added now.
    type Output = i64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<i64, StoreError>> {
        // An update, so that of two nodes' clerks the second waits and reads what the first has left.
        const MARK: &str = "update counter set value = value where name = 'number_traffic' returning value";
        const ADD: &str = "insert into number_traffic (account_id, e164, hour, calls, answered, billsec)
          select number.account_id, number.e164, start_time / 3600000000, cast(sum(occurrences) as bigint),
            count(answer_time), cast(coalesce(sum(billsec), 0) as bigint)
          from call_record join number on number.e164 = '+' || ltrim(case when call_direction = 'inbound'
              then destination_number else caller_id_number end, '+') and number.account_id = call_record.account_id
          where call_record.id > $1 and call_record.id <= $2
          group by number.account_id, number.e164, start_time / 3600000000
          on conflict (account_id, e164, hour) do update set calls = number_traffic.calls + excluded.calls,
            answered = number_traffic.answered + excluded.answered, billsec = number_traffic.billsec + excluded.billsec";
        const LAST: &str = "select number.e164 as e164, max(start_time) as last
          from call_record join number on number.e164 = '+' || ltrim(case when call_direction = 'inbound'
              then destination_number else caller_id_number end, '+') and number.account_id = call_record.account_id
          where call_record.id > $1 and call_record.id <= $2
          group by number.e164";
        const TOUCH: &str = "update number set last_call_at = $2
          where e164 = $1 and (last_call_at is null or last_call_at < $2)";
        const ADVANCE: &str = "update counter set value = $1 where name = 'number_traffic'";
        Box::pin(async move {
            let row = tx.query_one(MARK, &[]).await?;
            let mark = row.map_or(Ok(0), |row| row.int("value"))?;
            let upto = self.upto.min(mark.saturating_add(i64::from(self.limit)));
            if upto <= mark {
                return Ok(mark);
            }
            let range = [Value::from(mark), Value::from(upto)];
            tx.execute(ADD, &range).await?;
            for row in tx.query(LAST, &range).await? {
                tx.execute(TOUCH, &[row.text("e164")?.into(), row.int("last")?.into()]).await?;
            }
            tx.execute(ADVANCE, &[upto.into()]).await?;
            Ok(upto)
        })
    }
}

/// Forgets hours before an instant.
pub struct PurgeTraffic {
    /// That instant.
    pub before: Timestamp,
}

impl Command for PurgeTraffic {
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const PURGE: &str = "delete from number_traffic where hour < $1";
        Box::pin(async move { tx.execute(PURGE, &[hour_of(self.before).into()]).await })
    }
}

/// When a number last had a call, the live ones and those not yet added included.
pub(super) async fn last_call(
    tx: &mut Tx<'_>,
    e164: E164,
    account: &AccountId,
    known: Option<Timestamp>,
    now: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    const LIVE: &str = "select count(*) as n from live_call where account_id = $1
      and (from_number in ($2, $3) or to_number in ($2, $3))";
    const TAIL: &str = "select max(start_time) as last from call_record
      where id > (select value from counter where name = 'number_traffic') and account_id = $1
        and ((call_direction = 'inbound' and destination_number in ($2, $3))
          or (call_direction = 'outbound' and caller_id_number in ($2, $3)))";
    let params = [account.into(), e164.digits().into(), e164.into()];
    let live = tx.query_one(LIVE, &params).await?.map_or(Ok(0), |row| row.count("n"))?;
    if live > 0 {
        return Ok(Some(now));
    }
    let tail = match tx.query_one(TAIL, &params).await? {
        Some(row) => row.opt_instant("last")?,
        None => None,
    };
    Ok(known.max(tail))
}

/// Calls of a number in one stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrafficStep {
    /// Its beginning.
    pub begins: Timestamp,
    /// Calls, refused ones too.
    pub calls: u64,
    /// Of these, answered.
    pub answered: u64,
    /// Σ `billsec`.
    pub billsec: u64,
}

fn hour_of(at: Timestamp) -> i64 {
    at.as_microsecond().div_euclid(HOUR_MICROS)
}

impl Reader {
    /// A number's calls since `from`, in steps of so many hours that begin at multiples of them, the newest first; steps
    /// without a call are left out.
    pub async fn number_traffic(
        &self,
        account: &AccountId,
        e164: E164,
        from: Timestamp,
        step_hours: u32,
    ) -> Result<Vec<TrafficStep>, StoreError> {
        const STEPS: &str =
            "select step, cast(sum(calls) as bigint) as calls, cast(sum(answered) as bigint) as answered,
            cast(sum(billsec) as bigint) as billsec
          from (
            select hour / $5 as step, calls, answered, billsec from number_traffic
              where account_id = $1 and e164 = $2 and hour >= $4
            union all
            select (start_time / 3600000000) / $5 as step, occurrences as calls,
                case when answer_time is null then 0 else 1 end as answered, billsec from call_record
              where id > (select value from counter where name = 'number_traffic') and account_id = $1
                and start_time / 3600000000 >= $4
                and ((call_direction = 'inbound' and destination_number in ($2, $3))
                  or (call_direction = 'outbound' and caller_id_number in ($2, $3)))
          ) as steps
          group by step order by step desc";
        let step = i64::from(step_hours.max(1));
        let params = [account.into(), e164.into(), e164.digits().into(), hour_of(from).into(), step.into()];
        let rows = self.query(STEPS, &params).await?;
        rows.iter().map(|row| step_of(row, step)).collect()
    }

    /// Id of the newest record; 0 without any.
    pub async fn newest_record(&self) -> Result<i64, StoreError> {
        const NEWEST: &str = "select coalesce(max(id), 0) as newest from call_record";
        self.query_one(NEWEST, &[]).await?.map_or(Ok(0), |row| row.int("newest"))
    }
}

fn step_of(row: &Row, step: i64) -> Result<TrafficStep, StoreError> {
    let begins = Timestamp::from_microsecond(row.int("step")? * step * HOUR_MICROS);
    Ok(TrafficStep {
        begins: begins.map_err(|error| StoreError::Data(format!("column step: {error}")))?,
        calls: row.count("calls")?,
        answered: row.count("answered")?,
        billsec: row.count("billsec")?,
    })
}

/// Hours are kept so long.
pub const TRAFFIC_KEPT: SignedDuration = SignedDuration::from_hours(24 * 400);
