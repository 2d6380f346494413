//! What records add up to by day: folded days and the tail behind the watermark, read in one statement. Answers totals and
//! summaries without filters or by whole days, and finds the day on which a page begins.

use tandem_model::AccountId;

use super::fold::DAY_MICROS;
use super::records::{RecordFilter, RecordSummary, RecordsOf};
use crate::value::Value;
use crate::{Reader, StoreError};

/// Times the sums are asked for again because the watermark moved between the two questions.
const ATTEMPTS: usize = 5;

/// Days `from..before`, since the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Days {
    from: i64,
    before: i64,
}

/// Whose days: as `call_day` and `call_record` are asked.
struct Owners<'a> {
    id: &'a AccountId,
    folded: &'static str,
    /// Written so that no index of accounts is taken for it: the tail is short and found by its ids.
    tail: &'static str,
}

impl<'a> Owners<'a> {
    fn of(whose: RecordsOf<'a>) -> Self {
        match whose {
            RecordsOf::Account(id) => Self { id, folded: "account_id = $1", tail: "account_id || '' = $1" },
            RecordsOf::SubAccount(id) => {
                Self { id, folded: "sub_account = $1 and sub_account <> ''", tail: "sub_account || '' = $1" }
            }
            RecordsOf::CustomersOf(id) => Self {
                id,
                folded: "account_id in (select auth_id from account where partner_id = $1 and kind = 'master')",
                tail: "account_id || '' in (select auth_id from account where partner_id = $1 and kind = 'master')",
            },
        }
    }
}

impl Days {
    /// `None` when the filter asks for more than whole days.
    pub(super) fn of(filter: &RecordFilter) -> Option<Self> {
        let RecordFilter { started_from, started_before, .. } = filter;
        let days_alone = RecordFilter {
            started_from: *started_from,
            started_before: *started_before,
            ..RecordFilter::default()
        };
        if *filter != days_alone {
            return None;
        }
        let day = |at: Option<jiff::Timestamp>, open: i64| match at.map(jiff::Timestamp::as_microsecond) {
            None => Some(open),
            Some(micros) if micros.rem_euclid(DAY_MICROS) == 0 => Some(micros.div_euclid(DAY_MICROS)),
            Some(_) => None,
        };
        Some(Self { from: day(*started_from, i64::MIN)?, before: day(*started_before, i64::MAX)? })
    }
}

/// Where a page begins: records that began in `from..before` (microseconds), of which so many are passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stretch {
    pub(super) from_micros: i64,
    pub(super) before_micros: i64,
    pub(super) offset: u64,
}

impl Reader {
    /// What the records of some days add up to; `None` when the fold moved on at each attempt.
    pub(super) async fn summary_of_days(
        &self,
        whose: RecordsOf<'_>,
        days: Days,
    ) -> Result<Option<RecordSummary>, StoreError> {
        let owners = Owners::of(whose);
        let sql = format!(
            "select cast(coalesce(sum(calls), 0) as bigint) as total,
               cast(coalesce(sum(answered), 0) as bigint) as answered,
               cast(coalesce(sum(duration_s), 0) as bigint) as duration_s,
               cast(coalesce(sum(billsec), 0) as bigint) as billsec,
               cast(coalesce(sum(cost), 0) as bigint) as cost, max(latest_start) as last_call_at,
               (select watermark from call_fold) as watermark
             from (
               select calls, answered, duration_s, billsec, cost, latest_start from call_day
               where {} and day >= $2 and day < $3
               union all
               select 1, case when answer_time is null then 0 else 1 end, duration, billsec, cost + streaming_cost,
                 start_time
               from call_record where id > $4 and {}
                 and start_time / {DAY_MICROS} >= $2 and start_time / {DAY_MICROS} < $3
             ) as parts",
            owners.folded, owners.tail
        );
        for _ in 0..ATTEMPTS {
            let watermark = self.watermark().await?;
            let params = [owners.id.into(), days.from.into(), days.before.into(), watermark.into()];
            let Some(row) = self.query_one(sql.clone(), &params).await? else { break };
            if row.int("watermark")? == watermark {
                return RecordSummary::of(&row).map(Some);
            }
        }
        Ok(None)
    }

    /// The stretch in which a page lies, by the days before it.
    pub(super) async fn stretch(
        &self,
        whose: RecordsOf<'_>,
        days: Days,
        offset: u64,
        limit: u32,
    ) -> Result<Stretch, StoreError> {
        let owners = Owners::of(whose);
        let sql = format!(
            "select day, cast(sum(calls) as bigint) as calls from (
               select day, calls from call_day where {} and day >= $2 and day < $3
               union all
               select start_time / {DAY_MICROS}, 1 from call_record where id > $4 and {}
                 and start_time / {DAY_MICROS} >= $2 and start_time / {DAY_MICROS} < $3
             ) as parts group by day order by day desc",
            owners.folded, owners.tail
        );
        let watermark = self.watermark().await?;
        let params: [Value<'_>; 4] =
            [owners.id.into(), days.from.into(), days.before.into(), watermark.into()];
        let mut stretch = Stretch { from_micros: i64::MIN, before_micros: i64::MAX, offset };
        let mut wanted = u64::from(limit);
        for row in self.query(sql, &params).await? {
            let (day, calls) = (row.int("day")?, row.count("calls")?);
            if stretch.offset >= calls {
                stretch.offset -= calls;
                stretch.before_micros = day.saturating_mul(DAY_MICROS);
                continue;
            }
            // One day more than seems needed costs little, and forgives what was settled meanwhile.
            if wanted == 0 {
                stretch.from_micros = day.saturating_mul(DAY_MICROS);
                break;
            }
            let left = if wanted == u64::from(limit) { calls - stretch.offset } else { calls };
            wanted = wanted.saturating_sub(left);
        }
        Ok(stretch)
    }

    pub(super) async fn watermark(&self) -> Result<i64, StoreError> {
        const WATERMARK: &str = "select watermark from call_fold";
        self.query_one(WATERMARK, &[]).await?.map_or(Ok(0), |row| row.int("watermark"))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn only_whole_days_without_other_filters_are_answered_from_sums() {
        let midnight = Timestamp::from_second(86_400 * 20_000).unwrap();
        let none = RecordFilter::default;
        assert!(Days::of(&none()).is_some());
        let days = Days::of(&RecordFilter { started_from: Some(midnight), ..none() }).unwrap();
        assert_eq!((days.from, days.before), (20_000, i64::MAX));
        let off = Timestamp::from_microsecond(midnight.as_microsecond() + 1).unwrap();
        assert!(Days::of(&RecordFilter { started_from: Some(off), ..none() }).is_none());
        assert!(Days::of(&RecordFilter { min_duration: Some(1), ..none() }).is_none());
    }
}
