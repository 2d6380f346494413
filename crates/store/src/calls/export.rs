//! Records for an export: the 43 keys of a record in their order, newest first, a slice at a time. Each slice begins where
//! the last one ended, so that the whole is nowhere at once and no read lasts long.

use std::cmp::Reverse;

use super::records::{RecordFilter, RecordsOf};
use crate::value::{Row, Value};
use crate::{Reader, StoreError};

/// What each column of an export is, beside its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExportKind {
    /// Text or a whole number, as it is.
    Plain,
    /// Microseconds since the epoch.
    Instant,
    /// Micro-units.
    Money,
    /// Thousandths.
    Milli,
}

use ExportKind::{Instant, Milli, Money, Plain};

/// The keys in their order (REST reference §13), and what stands in their columns.
pub const EXPORT_COLUMNS: [(&str, ExportKind); 43] = [
    ("account_id", Plain),
    ("answer_time", Instant),
    ("billsec", Plain),
    ("bridge_uuid", Plain),
    ("call_direction", Plain),
    ("caller_id_name", Plain),
    ("caller_id_number", Plain),
    ("campaign_id", Plain),
    ("carrier_ip", Plain),
    ("codec", Plain),
    ("context", Plain),
    ("cost", Money),
    ("created_at", Instant),
    ("currency", Plain),
    ("customer_endpoint", Plain),
    ("destination_number", Plain),
    ("duration", Plain),
    ("end_time", Instant),
    ("failure_code", Plain),
    ("failure_reason", Plain),
    ("hangup_cause", Plain),
    ("hangup_cause_code", Plain),
    ("hangup_cause_name", Plain),
    ("hangup_disposition", Plain),
    ("hangup_source", Plain),
    ("id", Plain),
    ("jitter", Milli),
    ("mos", Milli),
    ("network_addr", Plain),
    ("origination_region", Plain),
    ("packet_loss", Milli),
    ("progress_time", Instant),
    ("region", Plain),
    ("ring_time", Plain),
    ("sip_call_id", Plain),
    ("sip_user_agent", Plain),
    ("start_time", Instant),
    ("streaming_cost", Money),
    ("terminated_to", Plain),
    ("total_cost", Money),
    ("trunk_id", Plain),
    ("updated_at", Instant),
    ("uuid", Plain),
];

/// The same as columns of the table.
const SELECT: &str = "select account_id, answer_time, billsec, bridge_uuid, call_direction, caller_id_name, caller_id_number,
    campaign_id, carrier_ip, codec, context, cost, created_at, currency, customer_endpoint, destination_number, duration,
    end_time, failure_code, failure_reason, hangup_cause, hangup_cause_code, hangup_cause_name, hangup_disposition,
    hangup_source, id, jitter_micros, mos_milli, network_addr, origination_region, packet_loss_milli, progress_time, region,
    ring_time, sip_call_id, sip_user_agent, start_time, streaming_cost, terminated_to, cost + streaming_cost as total_cost,
    trunk_id, updated_at, uuid from call_record";
/// Positions of `id` and `start_time` among them.
const ID: usize = 25;
const START_TIME: usize = 36;

/// Where an export stands: beginning and id of the last record written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExportCursor {
    start_micros: i64,
    id: i64,
}

impl Default for ExportCursor {
    /// Before the newest.
    fn default() -> Self {
        Self { start_micros: i64::MAX, id: i64::MAX }
    }
}

/// One record, its values in the order of [`EXPORT_COLUMNS`].
pub struct ExportRow(Row);

impl ExportRow {
    /// The values.
    pub fn values(&self) -> &[Value<'static>] {
        self.0.values()
    }
}

impl Reader {
    /// The records after the cursor, at most `limit`, and where the next slice begins.
    pub async fn export_records<'r>(
        &self,
        whose: impl Into<RecordsOf<'r>>,
        filter: &RecordFilter,
        cursor: ExportCursor,
        limit: u32,
    ) -> Result<(Vec<ExportRow>, ExportCursor), StoreError> {
        let matching = filter.conditions(whose.into());
        let clauses = matching.sql().to_owned();
        let (_, mut params) = matching.page(limit, 0);
        params.pop();
        let limit_at = params.len();
        params.push(cursor.start_micros.into());
        params.push(cursor.id.into());
        let (start_at, id_at) = (limit_at + 1, limit_at + 2);
        // The database puts ids in order, not rows of 43 columns.
        let sql = format!(
            "{SELECT} where id in (select id from call_record{clauses}
               and start_time <= ${start_at} and (start_time < ${start_at} or id < ${id_at})
             order by start_time desc, id desc limit ${limit_at})"
        );
        let mut rows = Vec::with_capacity(limit as usize);
        for row in self.query(sql, &params).await? {
            rows.push((ExportCursor { start_micros: row.int_at(START_TIME)?, id: row.int_at(ID)? }, row));
        }
        rows.sort_unstable_by_key(|(place, _)| Reverse((place.start_micros, place.id)));
        let cursor = rows.last().map_or(cursor, |(place, _)| *place);
        Ok((rows.into_iter().map(|(_, row)| ExportRow(row)).collect(), cursor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_columns_stand_in_the_same_order() {
        let list = SELECT.strip_prefix("select ").unwrap().split(" from ").next().unwrap();
        let columns: Vec<&str> =
            list.split(',').map(|column| column.split_whitespace().last().unwrap()).collect();
        assert_eq!(columns.len(), EXPORT_COLUMNS.len());
        for (column, (key, _)) in columns.iter().zip(EXPORT_COLUMNS) {
            let bare = column.trim_end_matches("_micros").trim_end_matches("_milli");
            assert_eq!(bare, key);
        }
        assert_eq!((columns[ID], columns[START_TIME]), ("id", "start_time"));
    }
}
