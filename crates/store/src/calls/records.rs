//! Call records as the REST API asks for them: filtered, paged, summed up (REST reference §13).

use jiff::Timestamp;
use tandem_model::{AccountId, CallDirection, CallId, HangupText, Money};

use super::days::{Days, Stretch};
use super::entry::EntryFilter;
use super::record::{CallContext, CallRecord, record_of};
use crate::conditions::Conditions;
use crate::value::Row;
use crate::{Reader, StoreError};

/// Whose records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordsOf<'a> {
    /// An account's, its sub-accounts' included: it pays for them.
    Account(&'a AccountId),
    /// One sub-account's.
    SubAccount(&'a AccountId),
    /// All customers' of a partner.
    CustomersOf(&'a AccountId),
}

impl<'a> From<&'a AccountId> for RecordsOf<'a> {
    fn from(account: &'a AccountId) -> Self {
        Self::Account(account)
    }
}

/// How a call ended, in a partner's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordStatus {
    /// Somebody answered.
    Answered,
    /// Nobody did, because the callee was on the phone.
    Busy,
    /// Nobody did in time.
    NoAnswer,
    /// Nobody did for another reason.
    Failed,
}

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
    /// Substring of caller or callee, or a call's whole id.
    pub search: Option<String>,
    /// How it ended.
    pub status: Option<RecordStatus>,
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

impl RecordSummary {
    /// A row with its columns.
    pub(super) fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            total: row.count("total")?,
            answered: row.count("answered")?,
            duration_s: row.count("duration_s")?,
            billsec: row.count("billsec")?,
            cost: row.money("cost")?,
            last_call_at: row.opt_instant("last_call_at")?,
        })
    }
}

impl RecordFilter {
    pub(super) fn conditions<'v>(&'v self, whose: RecordsOf<'v>) -> Conditions<'v> {
        let (clause, id) = match whose {
            RecordsOf::Account(id) => ("account_id = ?", id),
            RecordsOf::SubAccount(id) => ("sub_account = ?", id),
            RecordsOf::CustomersOf(id) => {
                ("account_id in (select auth_id from account where partner_id = ? and kind = 'master')", id)
            }
        };
        let (answered, is, is_not) = match self.status {
            None => (None, None, false),
            Some(RecordStatus::Answered) => (Some(1), None, false),
            Some(RecordStatus::Busy) => (Some(0), Some(HangupText::UserBusy), false),
            Some(RecordStatus::NoAnswer) => (Some(0), Some(HangupText::NoAnswer), false),
            Some(RecordStatus::Failed) => (Some(0), None, true),
        };
        let search_uuid = self.search_uuid();
        let other_than = |text: HangupText| is_not.then(|| text.as_str());
        // Numbers and uuids have one case, so that `like` means the same on both databases.
        Conditions::new(clause, id)
            .and("(case when answer_time is null then 0 else 1 end) = ?", answered)
            .and("hangup_cause = ?", is.map(HangupText::as_str))
            .and("coalesce(hangup_cause, '') <> ?", other_than(HangupText::UserBusy))
            .and("coalesce(hangup_cause, '') <> ?", other_than(HangupText::NoAnswer))
            .and("start_time >= ?", self.started_from)
            .and("start_time < ?", self.started_before)
            .and("caller_id_number like ? escape '\\'", self.from_number.as_deref().map(contains))
            .and("destination_number like ? escape '\\'", self.to_number.as_deref().map(contains))
            .and("call_direction = ?", self.direction.map(CallDirection::as_str))
            .and("duration >= ?", self.min_duration)
            .and("sip_call_id = ?", self.sip_call_id.as_ref())
            .and("bridge_uuid = ?", self.bridge_uuid)
            .and("hangup_cause = ?", self.hangup_cause.as_ref())
            .and("hangup_disposition = ?", self.hangup_disposition.as_ref())
            .and("context = ?", self.context.map(CallContext::as_str))
            .and("campaign_id = ?", self.campaign_id.as_ref())
            .and("uuid = ?", search_uuid)
            .and(
                "(caller_id_number like ? escape '\\' or destination_number like ? escape '\\')",
                self.search.as_deref().filter(|_| search_uuid.is_none()).map(contains),
            )
    }

    /// The call that `search` names, if it is a call's whole id.
    pub(super) fn search_uuid(&self) -> Option<CallId> {
        self.search.as_deref().and_then(|text| text.parse().ok())
    }
}

/// A `like` pattern for a literal substring, to be used with `escape '\'`.
pub(crate) fn contains(needle: &str) -> String {
    let literal = needle.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_");
    format!("%{literal}%")
}

/// Passing over so many records costs less than asking the days about them.
const SHALLOW: u64 = 1_000;

impl Reader {
    /// A page of somebody's records, newest first, and what all that match add up to.
    ///
    /// Sums without filters, or of whole days, come from the daily roll-up, as does the place of a deep page; numbers,
    /// direction, length and ending are looked for in slices; the rest reads the records themselves.
    pub async fn call_list<'r>(
        &self,
        whose: impl Into<RecordsOf<'r>>,
        filter: &RecordFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(RecordPage, RecordSummary), StoreError> {
        let whose = whose.into();
        if let Some(days) = Days::of(filter) {
            let Some(summary) = self.summary_of_days(whose, days).await? else {
                return self.read_through(whose, filter, offset, limit).await;
            };
            let is_shallow = offset < SHALLOW && !matches!(whose, RecordsOf::CustomersOf(_));
            let stretch = match offset {
                _ if limit == 0 || offset >= summary.total => None,
                _ if is_shallow => Some(Stretch { from_micros: i64::MIN, before_micros: i64::MAX, offset }),
                _ => Some(self.stretch(whose, days, offset, limit).await?),
            };
            let records = match stretch {
                Some(stretch) => self.page(whose, filter, stretch, limit).await?,
                None => Vec::new(),
            };
            return Ok((RecordPage { records, total: summary.total }, summary));
        }
        match EntryFilter::of(filter) {
            Some(entries) => self.search_entries(whose, &entries, offset, limit).await,
            None => self.read_through(whose, filter, offset, limit).await,
        }
    }

    /// Any filter, by the records themselves.
    async fn read_through(
        &self,
        whose: RecordsOf<'_>,
        filter: &RecordFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(RecordPage, RecordSummary), StoreError> {
        let matching = filter.conditions(whose);
        let sql = format!(
            "select count(*) as total, count(answer_time) as answered,
               cast(coalesce(sum(duration), 0) as bigint) as duration_s,
               cast(coalesce(sum(billsec), 0) as bigint) as billsec,
               cast(coalesce(sum(cost + streaming_cost), 0) as bigint) as cost,
               max(start_time) as last_call_at
             from call_record{}",
            matching.sql()
        );
        let row = self.query_one(sql, matching.params()).await?;
        let summary = row.as_ref().map(RecordSummary::of).transpose()?.unwrap_or_default();
        let stretch = Stretch { from_micros: i64::MIN, before_micros: i64::MAX, offset };
        let records = if summary.total > offset && limit > 0 {
            self.page(whose, filter, stretch, limit).await?
        } else {
            Vec::new()
        };
        Ok((RecordPage { records, total: summary.total }, summary))
    }

    /// The page itself. Ids are found in the index alone; only the page's rows are read in full.
    async fn page(
        &self,
        whose: RecordsOf<'_>,
        filter: &RecordFilter,
        stretch: Stretch,
        limit: u32,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let bound = |micros: i64, open: i64| (micros != open).then_some(micros);
        let matching = filter
            .conditions(whose)
            .and("start_time >= ?", bound(stretch.from_micros, i64::MIN))
            .and("start_time < ?", bound(stretch.before_micros, i64::MAX));
        let found = format!("select id from call_record{} order by start_time desc, id desc", matching.sql());
        let (tail, params) = matching.page(limit, stretch.offset);
        let sql = format!(
            "select * from call_record where id in ({found}{tail}) order by start_time desc, id desc"
        );
        self.query(sql, &params).await?.iter().map(record_of).collect()
    }

    /// A page of somebody's records, newest first.
    pub async fn call_records<'r>(
        &self,
        whose: impl Into<RecordsOf<'r>>,
        filter: &RecordFilter,
        offset: u64,
        limit: u32,
    ) -> Result<RecordPage, StoreError> {
        Ok(self.call_list(whose, filter, offset, limit).await?.0)
    }

    /// What the matching records add up to.
    pub async fn call_record_summary<'r>(
        &self,
        whose: impl Into<RecordsOf<'r>>,
        filter: &RecordFilter,
    ) -> Result<RecordSummary, StoreError> {
        Ok(self.call_list(whose, filter, 0, 0).await?.1)
    }

    /// Somebody's newest records, without counting the others.
    pub async fn newest_call_records<'r>(
        &self,
        whose: impl Into<RecordsOf<'r>>,
        limit: u32,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let stretch = Stretch { from_micros: i64::MIN, before_micros: i64::MAX, offset: 0 };
        self.page(whose.into(), &RecordFilter::default(), stretch, limit).await
    }

    /// One record, if it is the account's.
    pub async fn call_record<'r>(
        &self,
        whose: impl Into<RecordsOf<'r>>,
        call: CallId,
    ) -> Result<Option<CallRecord>, StoreError> {
        let none = RecordFilter::default();
        let matching = none.conditions(whose.into()).and("uuid = ?", Some(call));
        let sql = format!("select * from call_record{}", matching.sql());
        let row = self.point(sql, matching.params()).await?;
        row.as_ref().map(record_of).transpose()
    }

    /// One record, whoever's it is: for the operator's eyes, never behind an account's request.
    pub async fn operator_call_record(&self, call: CallId) -> Result<Option<CallRecord>, StoreError> {
        const ONE: &str = "select * from call_record where uuid = $1";
        let row = self.point(ONE, &[call.into()]).await?;
        row.as_ref().map(record_of).transpose()
    }

    /// Whether a call has its record, whosever it is.
    pub async fn has_call_record(&self, call: CallId) -> Result<bool, StoreError> {
        const HAS: &str = "select id from call_record where uuid = $1";
        Ok(self.point(HAS, &[call.into()]).await?.is_some())
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
