//! Finds records by what an entry knows: number substrings, direction, ending, length. Reads an account's slices, whose
//! texts the database has looked through for the needle already, and the tail behind the watermark.
//!
//! Why not an index of trigrams: numbers have ten letters, so that each trigram stands in every fiftieth record of *all*
//! accounts, prefixes in nearly all, and needles of two digits in no index. Slices hold one account's numbers in some
//! twenty bytes each; looking through all of them is exact for every needle and costs a call's own write nothing.

use std::cmp::Reverse;

use super::entry::{ENTRY_COLUMNS, Entry, EntryFilter, EntryTexts};
use super::record::{CallRecord, record_of};
use super::records::{RecordPage, RecordSummary, RecordsOf, contains};
use crate::value::{Row, Value};
use crate::{Reader, StoreError};

/// Slices read at once.
const CHUNK: u32 = 512;
/// Matches kept beyond twice the page's end, so that they are thinned out rarely.
const SPARE: usize = 4_096;

/// What has been found so far.
struct Found<'f> {
    filter: &'f EntryFilter,
    /// Beginning and id of those that may be on the page.
    matches: Vec<(i64, u64)>,
    /// How many those are at most, sooner or later.
    kept: usize,
    summary: RecordSummary,
}

impl Found<'_> {
    fn offer(&mut self, entry: &Entry<'_>) -> Result<(), StoreError> {
        if self.filter.keeps(entry) {
            self.matches.push((entry.start_micros, entry.id));
            self.summary.add(entry)?;
            if self.matches.len() >= self.kept.saturating_mul(2).saturating_add(SPARE) {
                self.matches.select_nth_unstable_by(self.kept, newest_first);
                self.matches.truncate(self.kept);
            }
        }
        Ok(())
    }

    /// The records of a slice, but those that the tail has given already.
    fn offer_slice(&mut self, row: &Row, watermark: u64) -> Result<(), StoreError> {
        let facts = row.text("facts")?.lines();
        let numbers = row.text("callers")?.split('\n').zip(row.text("callees")?.split('\n'));
        for (facts, (caller, callee)) in facts.zip(numbers) {
            // Most lines of a slice hold no needle: their facts are not read.
            if !self.filter.keeps_numbers(caller, callee) {
                continue;
            }
            let entry = Entry::unpack(facts, caller, callee)?;
            if entry.id <= watermark {
                self.offer(&entry)?;
            }
        }
        Ok(())
    }
}

impl Reader {
    /// A page of what matches, newest first, and what all of it adds up to.
    pub(super) async fn search_entries(
        &self,
        whose: RecordsOf<'_>,
        filter: &EntryFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(RecordPage, RecordSummary), StoreError> {
        let kept = usize::try_from(offset.saturating_add(limit.into())).unwrap_or(usize::MAX);
        let mut found = Found { filter, matches: Vec::new(), kept, summary: RecordSummary::default() };
        // The tail first: what is folded while we read is in both, and known by its id.
        let watermark = self.watermark().await?;
        self.search_tail(whose, watermark, &mut found).await?;
        let folded = u64::try_from(watermark).unwrap_or_default();
        match whose {
            RecordsOf::Account(id) => {
                self.search_slices(Of::Account, id.as_str(), folded, &mut found).await?
            }
            RecordsOf::SubAccount(id) => {
                self.search_slices(Of::SubAccount, id.as_str(), folded, &mut found).await?;
            }
            RecordsOf::CustomersOf(partner) => {
                const CUSTOMERS: &str =
                    "select auth_id from account where partner_id = $1 and kind = 'master' order by auth_id";
                for row in self.query(CUSTOMERS, &[partner.into()]).await? {
                    self.search_slices(Of::Account, row.text("auth_id")?, folded, &mut found).await?;
                }
            }
        }
        let Found { mut matches, summary, .. } = found;
        let total = summary.total;
        let page = page_of(&mut matches, offset, limit);
        Ok((RecordPage { records: self.records_by_id(&page).await?, total }, summary))
    }

    async fn search_tail(
        &self,
        whose: RecordsOf<'_>,
        watermark: i64,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let (clause, id) = match whose {
            RecordsOf::Account(id) => ("account_id || '' = $1", id),
            RecordsOf::SubAccount(id) => ("sub_account || '' = $1", id),
            RecordsOf::CustomersOf(id) => (
                "account_id || '' in (select auth_id from account where partner_id = $1 and kind = 'master')",
                id,
            ),
        };
        let sql = format!(
            "select {ENTRY_COLUMNS} from call_record where {clause} and id > $2 order by id limit {CHUNK}"
        );
        let mut after = watermark;
        loop {
            let rows = self.query(sql.clone(), &[id.into(), after.into()]).await?;
            for row in &rows {
                let texts = EntryTexts::of(row)?;
                found.offer(&Entry::of(row, &texts)?)?;
                after = row.int("id")?;
            }
            if rows.len() < CHUNK as usize {
                return Ok(());
            }
        }
    }

    async fn search_slices(
        &self,
        of: Of,
        owner: &str,
        watermark: u64,
        found: &mut Found<'_>,
    ) -> Result<(), StoreError> {
        let filter = found.filter;
        let mut params: Vec<Value<'_>> =
            vec![owner.into(), "".into(), 0.into(), filter.from_micros.into(), filter.before_micros.into()];
        let mut sql = format!(
            "select sub_account, first_id, callers, callees, facts from call_slice
             where {} and latest_start >= $4 and earliest_start < $5",
            of.clause()
        );
        let mut look = |columns: &[&str], needle: &Option<String>| {
            let Some(needle) = needle else { return };
            params.push(contains(needle).into());
            let tests: Vec<String> =
                columns.iter().map(|column| format!("{column} like ${} escape '\\'", params.len())).collect();
            sql.push_str(&format!(" and ({})", tests.join(" or ")));
        };
        look(&["callers"], &filter.caller);
        look(&["callees"], &filter.callee);
        look(&["callers", "callees"], &filter.either);
        sql.push_str(&format!(" order by {} limit {CHUNK}", of.order()));
        loop {
            let rows = self.query(sql.clone(), &params).await?;
            for row in &rows {
                found.offer_slice(row, watermark)?;
            }
            let Some(last) = rows.last().filter(|_| rows.len() == CHUNK as usize) else { return Ok(()) };
            let place = [last.string("sub_account")?.into(), last.int("first_id")?.into()];
            for (param, value) in params.iter_mut().skip(1).zip(place) {
                *param = value;
            }
        }
    }

    /// Records in the order of their ids as given.
    async fn records_by_id(&self, ids: &[u64]) -> Result<Vec<CallRecord>, StoreError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let places: Vec<String> = (1..=ids.len()).map(|n| format!("${n}")).collect();
        let sql = format!("select * from call_record where id in ({})", places.join(", "));
        let params: Vec<Value<'_>> = ids.iter().map(|id| (*id).into()).collect();
        let rows = self.query(sql, &params).await?;
        let mut records = rows.iter().map(record_of).collect::<Result<Vec<_>, _>>()?;
        records.sort_unstable_by_key(|record| Reverse((record.start_time, record.id)));
        Ok(records)
    }
}

/// The ids of a page, newest first; only as much is sorted as the page needs.
fn page_of(matches: &mut [(i64, u64)], offset: u64, limit: u32) -> Vec<u64> {
    let Ok(offset) = usize::try_from(offset) else { return Vec::new() };
    if offset >= matches.len() {
        return Vec::new();
    }
    let (_, _, _) = matches.select_nth_unstable_by(offset, newest_first);
    let (_, rest) = matches.split_at_mut(offset);
    let limit = (limit as usize).min(rest.len());
    if limit < rest.len() {
        let (_, _, _) = rest.select_nth_unstable_by(limit, newest_first);
    }
    let (page, _) = rest.split_at_mut(limit);
    page.sort_unstable_by(newest_first);
    page.iter().map(|(_, id)| *id).collect()
}

fn newest_first(a: &(i64, u64), b: &(i64, u64)) -> std::cmp::Ordering {
    b.cmp(a)
}

/// Whose slices.
#[derive(Clone, Copy)]
enum Of {
    Account,
    SubAccount,
}

impl Of {
    const fn clause(self) -> &'static str {
        match self {
            Self::Account => "account_id = $1 and (sub_account, first_id) > ($2, $3)",
            Self::SubAccount => {
                "sub_account = $1 and sub_account <> '' and sub_account >= $2 and first_id > $3"
            }
        }
    }

    const fn order(self) -> &'static str {
        match self {
            Self::Account => "account_id, sub_account, first_id",
            Self::SubAccount => "sub_account, first_id",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_newest_after_those_passed_over() {
        let of = |offset, limit| page_of(&mut [(5, 1), (9, 2), (7, 3), (9, 4)], offset, limit);
        assert_eq!(of(0, 2), [4, 2]);
        assert_eq!(of(1, 2), [2, 3]);
        assert_eq!(of(3, 2), [1]);
        assert!(of(4, 2).is_empty() && of(u64::MAX, 2).is_empty());
        assert_eq!(of(0, 100), [4, 2, 3, 1]);
    }
}
