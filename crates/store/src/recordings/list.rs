//! Recordings as the REST API asks for them (REST reference §12), and as their node does.

use jiff::Timestamp;
use tandem_model::{CallId, RecordingId};

use super::row::{Recording, RecordingKind, recording_of};
use crate::calls::RecordsOf;
use crate::conditions::Conditions;
use crate::value::Value;
use crate::{Reader, StoreError};

/// Which recordings. An absent field does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordingFilter {
    /// Of this call.
    pub call: Option<CallId>,
    /// Of this kind.
    pub kind: Option<RecordingKind>,
    /// This one.
    pub id: Option<RecordingId>,
    /// The caller, digits.
    pub from_number: Option<String>,
    /// The callee, digits.
    pub to_number: Option<String>,
    /// Of this conference.
    pub conference: Option<String>,
    /// In this format.
    pub format: Option<String>,
    /// Added at or after.
    pub added_from: Option<Timestamp>,
    /// Added before.
    pub added_before: Option<Timestamp>,
}

/// A page, newest first, and how many match in all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingPage {
    /// The page.
    pub recordings: Vec<Recording>,
    /// All that match.
    pub total: u64,
}

/// Whose recordings that are not being deleted.
fn of(whose: RecordsOf<'_>) -> Conditions<'_> {
    let (clause, id) = match whose {
        RecordsOf::Account(id) => ("account_id = ?", id),
        RecordsOf::SubAccount(id) => ("sub_account = ?", id),
        RecordsOf::CustomersOf(id) => {
            ("account_id in (select auth_id from account where partner_id = ? and kind = 'master')", id)
        }
    };
    Conditions::new(clause, id).and("state = ?", Some("kept"))
}

impl RecordingFilter {
    /// Whether it keeps everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn conditions<'v>(&'v self, whose: RecordsOf<'v>) -> Conditions<'v> {
        of(whose)
            .and("call_uuid = ?", self.call)
            .and("kind = ?", self.kind.map(RecordingKind::as_str))
            .and("recording_id = ?", self.id)
            .and("ltrim(from_number, '+') = ?", self.from_number.as_ref())
            .and("ltrim(to_number, '+') = ?", self.to_number.as_ref())
            .and("conference_name = ?", self.conference.as_ref())
            .and("format = ?", self.format.as_ref())
            .and("created_at >= ?", self.added_from)
            .and("created_at < ?", self.added_before)
    }
}

impl Reader {
    /// A page of somebody's recordings, newest first.
    pub async fn recordings(
        &self,
        whose: RecordsOf<'_>,
        filter: &RecordingFilter,
        offset: u64,
        limit: u32,
    ) -> Result<RecordingPage, StoreError> {
        let matching = filter.conditions(whose);
        let count = format!("select count(*) as n from recording{}", matching.sql());
        let total = self.query_one(count, matching.params()).await?.map_or(Ok(0), |row| row.count("n"))?;
        let sql =
            format!("select * from recording{} order by created_at desc, recording_id desc", matching.sql());
        let (tail, params) = matching.page(limit, offset);
        let rows = self.query(sql + &tail, &params).await?;
        Ok(RecordingPage { recordings: rows.iter().map(recording_of).collect::<Result<_, _>>()?, total })
    }

    /// One recording, if it is theirs and not being deleted.
    pub async fn recording(
        &self,
        whose: RecordsOf<'_>,
        id: RecordingId,
    ) -> Result<Option<Recording>, StoreError> {
        let matching = of(whose).and("recording_id = ?", Some(id));
        let sql = format!("select * from recording{}", matching.sql());
        let row = self.point(sql, matching.params()).await?;
        row.as_ref().map(recording_of).transpose()
    }

    /// What a node's own disk still has to do: recordings whose files are to be removed.
    pub async fn recordings_to_remove(&self, node: &str, limit: u32) -> Result<Vec<Recording>, StoreError> {
        const DELETING: &str = "select * from recording where node = $1 and state = 'deleting' limit $2";
        let rows = self.query(DELETING, &[node.into(), limit.into()]).await?;
        rows.iter().map(recording_of).collect()
    }

    /// The same: recordings whose files nobody measured yet.
    pub async fn recordings_to_measure(&self, node: &str, limit: u32) -> Result<Vec<Recording>, StoreError> {
        const UNMEASURED: &str =
            "select * from recording where node = $1 and bytes is null and state = 'kept' limit $2";
        let rows = self.query(UNMEASURED, &[node.into(), limit.into()]).await?;
        rows.iter().map(recording_of).collect()
    }

    /// Recordings added before an instant, oldest first, whosever they are.
    pub async fn recordings_added_before(
        &self,
        before: Timestamp,
        limit: u32,
    ) -> Result<Vec<RecordingId>, StoreError> {
        const OLD: &str = "select recording_id from recording where created_at < $1 and state = 'kept'
          order by created_at limit $2";
        let rows = self.query(OLD, &[before.into(), limit.into()]).await?;
        rows.iter().map(|row| row.parsed("recording_id")).collect()
    }

    /// Which of a node's files have a row, a deleted one included.
    pub async fn recorded_files(&self, node: &str, files: &[String]) -> Result<Vec<String>, StoreError> {
        if files.is_empty() {
            return Ok(Vec::new());
        }
        let mut params: Vec<Value<'_>> = vec![node.into()];
        params.extend(files.iter().map(Value::from));
        let places: Vec<String> = (2..=params.len()).map(|n| format!("${n}")).collect();
        let sql = format!("select file from recording where node = $1 and file in ({})", places.join(", "));
        let rows = self.query(sql, &params).await?;
        rows.iter().map(|row| row.string("file")).collect()
    }
}
