//! Recordings under way: noted at their beginning, so that a process that is killed leaves nothing undone; completed once.

use jiff::Timestamp;
use tandem_model::RecordingId;

use super::row::{Recording, insert};
use crate::command::{BoxFuture, Interleaving};
use crate::outbox::OutboxEvent;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// A recording under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenRecording {
    /// Its id.
    pub id: RecordingId,
    /// The node on whose disk it is.
    pub node: String,
    /// Its file's name.
    pub file: String,
    /// The service's own words: whose it is, how it is made, who is told.
    pub facts: String,
    /// When it began.
    pub started_at: Timestamp,
}

/// Notes a recording that begins.
pub struct NoteRecording(pub OpenRecording);

impl Command for NoteRecording {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const NOTE: &str = "insert into open_recording (recording_id, node, file, facts, started_at)
          values ($1, $2, $3, $4, $5) on conflict do nothing";
        Box::pin(async move {
            let open = &self.0;
            let params = [
                open.id.into(),
                (&open.node).into(),
                (&open.file).into(),
                (&open.facts).into(),
                open.started_at.into(),
            ];
            tx.execute(NOTE, &params).await?;
            Ok(())
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

/// Ends a recording: its row and its events, once. Of an account that is gone, the row is made as deleted and nobody is
/// told: the file goes too.
pub struct CompleteRecording {
    /// Which.
    pub id: RecordingId,
    /// What there is; `None`: nothing was recorded.
    pub recording: Option<Recording>,
    /// Who is told what.
    pub events: Vec<OutboxEvent>,
}

impl Command for CompleteRecording {
    /// Whether it was done now.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const FORGET: &str = "delete from open_recording where recording_id = $1";
        Box::pin(async move {
            let was_open = tx.execute(FORGET, &[self.id.into()]).await? == 1;
            match &self.recording {
                // The row says whether this is the first time, even when its beginning could not be noted.
                Some(recording) => {
                    if !insert(tx, recording).await? {
                        return Ok(false);
                    }
                    if super::adopt::of_nobody(tx, recording).await? {
                        return Ok(true);
                    }
                }
                None if !was_open => return Ok(false),
                None => {}
            }
            tx.emit(&self.events).await?;
            Ok(true)
        })
    }

    fn interleaving(&self) -> Interleaving {
        Interleaving::Free
    }
}

impl Reader {
    /// Recordings that are noted as under way on a node.
    pub async fn open_recordings(&self, node: &str) -> Result<Vec<OpenRecording>, StoreError> {
        const OPEN: &str = "select * from open_recording where node = $1 order by started_at";
        self.query(OPEN, &[node.into()]).await?.iter().map(open_of).collect()
    }

    /// Whether a recording has a row, a deleted one included.
    pub async fn is_recording_kept(&self, id: RecordingId) -> Result<bool, StoreError> {
        const KEPT: &str = "select 1 as one from recording where recording_id = $1";
        Ok(self.query_one(KEPT, &[id.into()]).await?.is_some())
    }
}

fn open_of(row: &Row) -> Result<OpenRecording, StoreError> {
    Ok(OpenRecording {
        id: row.parsed("recording_id")?,
        node: row.string("node")?,
        file: row.string("file")?,
        facts: row.string("facts")?,
        started_at: row.instant("started_at")?,
    })
}
