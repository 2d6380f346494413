//! The fold: takes records past the watermark, in the order of their ids, into daily sums (`call_day`) and slices for
//! searching (`call_slice`). Sums, slices and watermark change in one transaction, which only the expected watermark lets
//! through: each record counts exactly once, whoever dies when, and however late a call was settled. Calls pay nothing for it.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::try_join_all;
use tandem_model::Money;

use super::entry::{ENTRY_COLUMNS, Entry, EntryTexts};
use crate::command::BoxFuture;
use crate::dialect::{Dialect, RECORD_BOUNDS};
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

/// Microseconds of a day.
pub(super) const DAY_MICROS: i64 = 86_400_000_000;
/// Records of one slice at most: what is written anew when one more joins it.
const SLICE_RECORDS: u64 = 64;
/// Accounts of one step at most: two or three rows are written for each.
const OWNERS_MAX: usize = 100;

/// A step of the fold, worked out; submit it. False: somebody else took it meanwhile.
pub struct Fold {
    expected: i64,
    watermark: i64,
    horizon: i64,
    horizon_xid: i64,
    days: BTreeMap<(Owner, i64), Day>,
    slices: Vec<Slice>,
    /// Records in it.
    pub records: usize,
}

/// Account, and sub-account or nothing.
type Owner = (String, String);

#[derive(Default)]
struct Day {
    calls: u64,
    answered: u64,
    duration_s: u64,
    billsec: u64,
    cost: Money,
    latest_start: i64,
}

/// Lines for a slice, which begins with them or exists.
struct Slice {
    owner: Owner,
    first_id: u64,
    is_new: bool,
    records: u64,
    earliest_start: i64,
    latest_start: i64,
    callers: String,
    callees: String,
    facts: String,
}

impl Slice {
    fn begin(owner: &Owner, first_id: u64, is_new: bool) -> Self {
        Self {
            owner: owner.clone(),
            first_id,
            is_new,
            records: 0,
            earliest_start: i64::MAX,
            latest_start: i64::MIN,
            callers: String::new(),
            callees: String::new(),
            facts: String::new(),
        }
    }

    fn add(&mut self, entry: &Entry<'_>) {
        self.records += 1;
        self.earliest_start = self.earliest_start.min(entry.start_micros);
        self.latest_start = self.latest_start.max(entry.start_micros);
        for (text, number) in [(&mut self.callers, entry.caller), (&mut self.callees, entry.callee)] {
            text.push_str(number);
            text.push('\n');
        }
        entry.pack(&mut self.facts);
    }
}

const STATE: &str = "select watermark, horizon, horizon_xid from call_fold";

impl Reader {
    /// The next step, of at most `limit` records; `None` when there is nothing to do now.
    pub async fn next_fold(&self, limit: u32) -> Result<Option<Fold>, StoreError> {
        let Some(state) = self.query_one(STATE, &[]).await? else {
            return Err(StoreError::Data("the fold has lost its place".to_owned()));
        };
        let (expected, horizon) = (state.int("watermark")?, state.int("horizon")?);
        let horizon_xid = state.int("horizon_xid")?;
        let Some(bounds) = self.query_one(RECORD_BOUNDS.on(self.dialect()), &[]).await? else {
            return Ok(None);
        };
        let (newest, next_xid) = (bounds.int("newest")?, bounds.int("next_xid")?);
        // PostgreSQL gives ids before commits: a smaller id may appear later, until everybody who was writing when the
        // horizon was set has finished. SQLite has one writer.
        let safe = match self.dialect() {
            Dialect::Sqlite => newest,
            Dialect::Postgres if horizon_xid <= bounds.int("oldest_xid")? => horizon,
            Dialect::Postgres => expected,
        };
        let mut fold = Fold {
            expected,
            watermark: safe.max(expected),
            horizon,
            horizon_xid,
            days: BTreeMap::new(),
            slices: Vec::new(),
            records: 0,
        };
        if safe > expected {
            self.gather(&mut fold, limit).await?;
        }
        // A horizon of transactions that are still to come is another server's: the database was restored here.
        let is_foreign = horizon_xid > next_xid;
        if is_foreign || (fold.watermark >= fold.horizon && newest > fold.horizon) {
            (fold.horizon, fold.horizon_xid) = (newest, next_xid);
        }
        let idle = fold.watermark == expected && fold.horizon == horizon && !is_foreign;
        Ok((!idle).then_some(fold))
    }

    async fn gather(&self, fold: &mut Fold, limit: u32) -> Result<(), StoreError> {
        let sql = format!(
            "select account_id, coalesce(sub_account, '') as sub_account, {ENTRY_COLUMNS} from call_record
             where id > $1 and id <= $2 order by id limit $3"
        );
        let rows = self.query(sql, &[fold.expected.into(), fold.watermark.into(), limit.into()]).await?;
        let found = rows.len();
        let rows = of_few_owners(&rows)?;
        fold.records = rows.len();
        let begun = self.last_slices(rows).await?;
        if let Some(last) = rows.last().filter(|_| rows.len() < found || found == limit as usize) {
            fold.watermark = last.int("id")?;
        }
        let mut open: BTreeMap<Owner, Slice> = BTreeMap::new();
        let mut room: BTreeMap<Owner, u64> = BTreeMap::new();
        for row in rows {
            let texts = EntryTexts::of(row)?;
            let entry = Entry::of(row, &texts)?;
            let owner = (row.string("account_id")?, row.string("sub_account")?);
            let day =
                fold.days.entry((owner.clone(), entry.start_micros.div_euclid(DAY_MICROS))).or_default();
            day.calls += 1;
            day.answered += u64::from(entry.is_answered());
            day.duration_s += entry.duration_s;
            day.billsec += entry.billsec;
            day.cost += entry.cost;
            day.latest_start = day.latest_start.max(entry.start_micros);

            if !room.contains_key(&owner) {
                let (first_id, is_new, left) = match begun.get(&owner) {
                    Some(&(first_id, records)) if records < SLICE_RECORDS => {
                        (first_id, false, SLICE_RECORDS - records)
                    }
                    _ => (entry.id, true, SLICE_RECORDS),
                };
                open.insert(owner.clone(), Slice::begin(&owner, first_id, is_new));
                room.insert(owner.clone(), left);
            }
            if let (Some(slice), Some(left)) = (open.get_mut(&owner), room.get_mut(&owner)) {
                if *left == 0 {
                    *left = SLICE_RECORDS;
                    let full = std::mem::replace(slice, Slice::begin(&owner, entry.id, true));
                    fold.slices.push(full);
                }
                slice.add(&entry);
                *left -= 1;
            }
        }
        fold.slices.extend(open.into_values());
        Ok(())
    }

    /// The last slices of those whose records these are, asked for together.
    async fn last_slices(&self, rows: &[Row]) -> Result<BTreeMap<Owner, (u64, u64)>, StoreError> {
        let owners = rows.iter().map(|row| Ok((row.string("account_id")?, row.string("sub_account")?)));
        let owners: BTreeSet<Owner> = owners.collect::<Result<_, StoreError>>()?;
        let slices = try_join_all(owners.iter().map(|owner| self.last_slice(owner))).await?;
        Ok(owners.into_iter().zip(slices).filter_map(|(owner, slice)| Some((owner, slice?))).collect())
    }

    async fn last_slice(&self, owner: &Owner) -> Result<Option<(u64, u64)>, StoreError> {
        const LAST: &str =
            "select first_id, records from call_slice where account_id = $1 and sub_account = $2
          order by first_id desc limit 1";
        let row = self.query_one(LAST, &[(&owner.0).into(), (&owner.1).into()]).await?;
        row.map(|row| Ok((row.count("first_id")?, row.count("records")?))).transpose()
    }

    /// How far the fold is behind, in ids.
    pub async fn fold_backlog(&self) -> Result<u64, StoreError> {
        const BEHIND: &str =
            "select (select coalesce(max(id), 0) from call_record) - watermark as n from call_fold";
        self.query_one(BEHIND, &[]).await?.map_or(Ok(0), |row| row.count("n"))
    }

    /// Records that the fold has still to take.
    pub async fn unfolded(&self) -> Result<u64, StoreError> {
        const COUNT: &str =
            "select count(*) as n from call_record where id > (select watermark from call_fold)";
        self.query_one(COUNT, &[]).await?.map_or(Ok(0), |row| row.count("n"))
    }
}

/// The first of them, as far as they are of few enough accounts.
fn of_few_owners(rows: &[Row]) -> Result<&[Row], StoreError> {
    let mut owners = BTreeSet::new();
    for (index, row) in rows.iter().enumerate() {
        owners.insert((row.text("account_id")?, row.text("sub_account")?));
        if owners.len() > OWNERS_MAX {
            return Ok(rows.get(..index).unwrap_or_default());
        }
    }
    Ok(rows)
}

const MOVE: &str = "update call_fold set watermark = $2, horizon = $3, horizon_xid = $4 where watermark = $1";
const ADD_DAY: &str =
    "insert into call_day (account_id, sub_account, day, calls, answered, duration_s, billsec, cost,
    latest_start) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
  on conflict (account_id, sub_account, day) do update set calls = call_day.calls + excluded.calls,
    answered = call_day.answered + excluded.answered, duration_s = call_day.duration_s + excluded.duration_s,
    billsec = call_day.billsec + excluded.billsec, cost = call_day.cost + excluded.cost,
    latest_start = case when excluded.latest_start > call_day.latest_start
      then excluded.latest_start else call_day.latest_start end";
const NEW_SLICE: &str =
    "insert into call_slice (first_id, account_id, sub_account, records, earliest_start, latest_start,
    callers, callees, facts) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const ADD_TO_SLICE: &str = "update call_slice set records = records + $4,
    earliest_start = case when $5 < earliest_start then $5 else earliest_start end,
    latest_start = case when $6 > latest_start then $6 else latest_start end,
    callers = callers || $7, callees = callees || $8, facts = facts || $9
  where first_id = $1 and account_id = $2 and sub_account = $3";

impl Command for Fold {
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let place =
                [self.expected.into(), self.watermark.into(), self.horizon.into(), self.horizon_xid.into()];
            if tx.execute(MOVE, &place).await? == 0 {
                return Ok(false);
            }
            let days: Vec<[Value<'_>; 9]> = self.days.iter().map(|(key, day)| day.params(key)).collect();
            let slices: Vec<[Value<'_>; 9]> = self.slices.iter().map(Slice::params).collect();
            let texts = self.slices.iter().map(|slice| if slice.is_new { NEW_SLICE } else { ADD_TO_SLICE });
            let statements: Vec<(&'static str, &[Value<'_>])> = days
                .iter()
                .map(|params| (ADD_DAY, params.as_slice()))
                .chain(texts.zip(slices.iter().map(<[_; 9]>::as_slice)))
                .collect();
            tx.execute_each(&statements).await?;
            Ok(true)
        })
    }
}

impl Day {
    fn params<'v>(&self, ((account, sub_account), day): &'v (Owner, i64)) -> [Value<'v>; 9] {
        [
            account.into(),
            sub_account.into(),
            (*day).into(),
            self.calls.into(),
            self.answered.into(),
            self.duration_s.into(),
            self.billsec.into(),
            self.cost.into(),
            self.latest_start.into(),
        ]
    }
}

impl Slice {
    fn params(&self) -> [Value<'_>; 9] {
        [
            self.first_id.into(),
            (&self.owner.0).into(),
            (&self.owner.1).into(),
            self.records.into(),
            self.earliest_start.into(),
            self.latest_start.into(),
            (&self.callers).into(),
            (&self.callees).into(),
            (&self.facts).into(),
        ]
    }
}
