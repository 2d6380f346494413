//! What a crash left behind is found again: a file without a row gets one, a row without figures gets them, and a row
//! whose file never came to be goes.

use tandem_model::RecordingId;

use super::row::{Recording, insert};
use crate::command::BoxFuture;
use crate::outbox::OutboxEvent;
use crate::{Command, StoreError, Tx};

/// Writes the row of a file that has none, if its call is over and on record. Of an account that is gone, the row is
/// made as deleted: the file goes too.
pub struct AdoptRecording(pub Recording);

impl Command for AdoptRecording {
    /// Whether it did.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const OVER: &str = "select 1 as one from call_record where uuid = $1
          and not exists (select 1 from live_call where call_id = $1)";
        Box::pin(async move {
            let recording = &self.0;
            if tx.query_one(OVER, &[recording.call.into()]).await?.is_none() || !insert(tx, recording).await?
            {
                return Ok(false);
            }
            of_nobody(tx, recording).await?;
            Ok(true)
        })
    }
}

/// Marks a recording as deleted when its account is gone; says whether it did.
pub(super) async fn of_nobody(tx: &mut Tx<'_>, recording: &Recording) -> Result<bool, StoreError> {
    const GONE: &str = "update recording set state = 'deleting' where recording_id = $1 and exists (
        select 1 from account where auth_id = $2 and removed_at is not null)";
    let owner = recording.sub_account.as_ref().unwrap_or(&recording.account);
    Ok(tx.execute(GONE, &[recording.id.into(), owner.into()]).await? == 1)
}

/// Notes how large a file is.
pub struct MeasureRecording {
    /// Which recording.
    pub id: RecordingId,
    /// Size of its file.
    pub bytes: u64,
    /// Length of its audio.
    pub duration_ms: u64,
    /// Who is told that it can be fetched, if nobody knew its size before.
    pub events: Vec<OutboxEvent>,
}

impl Command for MeasureRecording {
    /// Whether there was such a recording, not measured yet.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const NOTE: &str = "update recording set bytes = $2, duration_ms = $3, webhook = null
          where recording_id = $1 and bytes is null";
        Box::pin(async move {
            let params = [self.id.into(), self.bytes.into(), self.duration_ms.into()];
            if tx.execute(NOTE, &params).await? == 0 {
                return Ok(false);
            }
            tx.emit(&self.events).await?;
            Ok(true)
        })
    }
}

/// Removes the row of a recording that never had a file: the process died before its first byte.
pub struct DropRecording(pub RecordingId);

impl Command for DropRecording {
    /// Whether there was such a row.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const DROP: &str = "delete from recording where recording_id = $1 and bytes is null";
        Box::pin(async move { Ok(tx.execute(DROP, &[self.0.into()]).await? == 1) })
    }
}
