//! Call records as the REST API asks for them: filtered, paged, summed up (REST reference §13).

use jiff::Timestamp;
use tandem_model::{AccountId, CallDirection, CallId, Money};

use super::record::{CallContext, CallRecord, record_of};
use crate::value::Value;
use crate::{Reader, StoreError};

/// Which records. An absent field does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordFilter {
    /// Substring of the caller.
    pub from_number: Option<String>,
    /// Substring of the callee.
    pub to_number: Option<String>,
    /// Started at or after.
    pub started_from: Option<Timestamp>,
    /// Started before.
    pub started_before: Option<Timestamp>,
    /// Direction.
    pub direction: Option<CallDirection>,
    /// Least `duration`, seconds.
    pub min_duration: Option<u64>,
    /// Call-ID of the caller's leg.
    pub sip_call_id: Option<String>,
    /// The other call of the bridge.
    pub bridge_uuid: Option<CallId>,
    /// `hangup_cause`, exact.
    pub hangup_cause: Option<String>,
    /// `hangup_disposition`, exact.
    pub hangup_disposition: Option<String>,
    /// What it belongs to.
    pub context: Option<CallContext>,
    /// Campaign.
    pub campaign_id: Option<String>,
    /// Substring of caller, callee or uuid.
    pub search: Option<String>,
}

/// A page of records, newest first, and how many match in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordPage {
    /// The page.
    pub records: Vec<CallRecord>,
    /// All that match.
    pub total: u64,
}

/// What the matching records add up to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordSummary {
    /// How many.
    pub total: u64,
    /// How many were answered.
    pub answered: u64,
    /// Σ `duration`.
    pub duration_s: u64,
    /// Σ `billsec`.
    pub billsec: u64,
    /// Σ `cost` + `streaming_cost`.
    pub cost: Money,
    /// When the newest began.
    pub last_call_at: Option<Timestamp>,
}

/// `like` is case-insensitive for ASCII on SQLite only; numbers and uuids have one case.
const WHERE: &str = " from call_record where account_id = $1
  and start_time >= coalesce(cast($2 as bigint), start_time) and start_time < coalesce(cast($3 as bigint), start_time + 1)
  and (cast($4 as text) is null or caller_id_number like cast($4 as text) escape '\\')
  and (cast($5 as text) is null or destination_number like cast($5 as text) escape '\\')
  and (cast($6 as text) is null or call_direction = cast($6 as text))
  and (cast($7 as bigint) is null or duration >= cast($7 as bigint))
  and (cast($8 as text) is null or sip_call_id = cast($8 as text))
  and (cast($9 as text) is null or bridge_uuid = cast($9 as text))
  and (cast($10 as text) is null or hangup_cause = cast($10 as text))
  and (cast($11 as text) is null or hangup_disposition = cast($11 as text))
  and (cast($12 as text) is null or context = cast($12 as text))
  and (cast($13 as text) is null or campaign_id = cast($13 as text))
  and (cast($14 as text) is null or caller_id_number like cast($14 as text) escape '\\'
       or destination_number like cast($14 as text) escape '\\' or uuid like cast($14 as text) escape '\\')";

impl RecordFilter {
    fn params<'v>(&'v self, account: &'v AccountId) -> Vec<Value<'v>> {
        vec![
            account.into(),
            self.started_from.unwrap_or(Timestamp::MIN).into(),
            self.started_before.unwrap_or(Timestamp::MAX).into(),
            self.from_number.as_deref().map(contains).into(),
            self.to_number.as_deref().map(contains).into(),
            self.direction.map(CallDirection::as_str).into(),
            self.min_duration.into(),
            self.sip_call_id.as_ref().into(),
            self.bridge_uuid.into(),
            self.hangup_cause.as_ref().into(),
            self.hangup_disposition.as_ref().into(),
            self.context.map(CallContext::as_str).into(),
            self.campaign_id.as_ref().into(),
            self.search.as_deref().map(contains).into(),
        ]
    }
}

/// A `like` pattern for a literal substring, to be used with `escape '\'`.
pub(crate) fn contains(needle: &str) -> String {
    let literal = needle.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

impl Reader {
    /// A page of an account's records, newest first.
    pub async fn call_records(
        &self,
        account: &AccountId,
        filter: &RecordFilter,
        offset: u64,
        limit: u32,
    ) -> Result<RecordPage, StoreError> {
        let mut params = filter.params(account);
        let count = self.query_one(format!("select count(*) as n{WHERE}"), &params).await?;
        let total = count.map_or(Ok(0), |row| row.count("n"))?;
        params.push(limit.into());
        params.push(offset.into());
        let page = format!("select *{WHERE} order by start_time desc, id desc limit $15 offset $16");
        let rows = self.query(page, &params).await?;
        Ok(RecordPage { records: rows.iter().map(record_of).collect::<Result<_, _>>()?, total })
    }

    /// What the matching records add up to.
    pub async fn call_record_summary(
        &self,
        account: &AccountId,
        filter: &RecordFilter,
    ) -> Result<RecordSummary, StoreError> {
        let sql = format!(
            "select count(*) as total, count(answer_time) as answered,
               cast(coalesce(sum(duration), 0) as bigint) as duration_s,
               cast(coalesce(sum(billsec), 0) as bigint) as billsec,
               cast(coalesce(sum(cost + streaming_cost), 0) as bigint) as cost,
               max(start_time) as last_call_at{WHERE}"
        );
        let Some(row) = self.query_one(sql, &filter.params(account)).await? else {
            return Ok(RecordSummary::default());
        };
        Ok(RecordSummary {
            total: row.count("total")?,
            answered: row.count("answered")?,
            duration_s: row.count("duration_s")?,
            billsec: row.count("billsec")?,
            cost: row.money("cost")?,
            last_call_at: row.opt_instant("last_call_at")?,
        })
    }

    /// One record, if it is the account's.
    pub async fn call_record(
        &self,
        account: &AccountId,
        call: CallId,
    ) -> Result<Option<CallRecord>, StoreError> {
        const ONE: &str = "select * from call_record where uuid = $1 and account_id = $2";
        let row = self.query_one(ONE, &[call.into(), account.into()]).await?;
        row.as_ref().map(record_of).transpose()
    }

    /// One record, whoever's it is: for the operator's eyes, never behind an account's request.
    pub async fn operator_call_record(&self, call: CallId) -> Result<Option<CallRecord>, StoreError> {
        const ONE: &str = "select * from call_record where uuid = $1";
        let row = self.query_one(ONE, &[call.into()]).await?;
        row.as_ref().map(record_of).transpose()
    }

    /// Whether a call has its record, whosever it is.
    pub async fn has_call_record(&self, call: CallId) -> Result<bool, StoreError> {
        const HAS: &str = "select id from call_record where uuid = $1";
        Ok(self.query_one(HAS, &[call.into()]).await?.is_some())
    }

    /// The next slice of an export, oldest first, after the given integer id (0 to begin).
    pub async fn call_records_after(
        &self,
        account: &AccountId,
        filter: &RecordFilter,
        after_id: u64,
        limit: u32,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let mut params = filter.params(account);
        params.push(after_id.into());
        params.push(limit.into());
        let sql = format!("select *{WHERE} and id > $15 order by id limit $16");
        self.query(sql, &params).await?.iter().map(record_of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_in_a_needle_are_literal() {
        assert_eq!(contains("50%_\\"), "%50\\%\\_\\\\%");
    }
}
