//! Recordings on this node's disk: files in `DATA/recordings`, rows in the store.
//!
//! The cast: [`Recordings`] knows where files are and makes the row of a recorded call; [`keeper`] works off what rows
//! say (files to remove, to measure, too old to keep) and finds what a crash left behind.

mod keeper;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tandem_engine::RecordingFile;
use tandem_model::{CallId, RecordingId};
use tandem_store::calls::{CallContext, CallRecord};
use tandem_store::recordings::{Recording, RecordingKind};
use tokio::sync::Notify;

use crate::config::Config;

pub(crate) use keeper::Keeper;

/// The only container that is written.
pub(crate) const FORMAT: &str = "wav";
/// The folder of recordings inside the data folder.
const FOLDER: &str = "recordings";

/// Where recordings are. Clones are handles.
#[derive(Clone, Debug)]
pub(crate) struct Recordings(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    folder: PathBuf,
    node: String,
    wake: Notify,
}

impl Recordings {
    /// Of the node that the configuration names.
    pub(crate) fn of(config: &Config) -> Self {
        let (folder, node) = (config.node.data.join(FOLDER), config.node.name.clone());
        Self(Arc::new(Inner { folder, node, wake: Notify::new() }))
    }

    /// Where the recording of a call is written.
    pub(crate) fn path_of_call(&self, call: CallId) -> PathBuf {
        self.0.folder.join(file_of(call))
    }

    /// Where a recording's file is, if this node has it.
    pub(crate) fn path(&self, recording: &Recording) -> PathBuf {
        self.0.folder.join(&recording.file)
    }

    /// Something was marked as deleted: its file need not wait.
    pub(crate) fn wake(&self) {
        self.0.wake.notify_one();
    }

    /// The row of a call that was recorded on `node`, its file measured when it is here. `None`: there is no file.
    pub(crate) async fn of_call(
        &self,
        record: &CallRecord,
        id: RecordingId,
        node: Option<&str>,
        now: Timestamp,
    ) -> Option<Recording> {
        let row = row_of(record, id, node.unwrap_or(&self.0.node), now);
        if row.node != self.0.node {
            return Some(row);
        }
        match self.measured(&row).await {
            Ok(file) => Some(with_figures(row, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                tracing::warn!(call_id = %record.uuid, %error, "a recording cannot be measured yet");
                Some(row)
            }
        }
    }

    async fn measured(&self, recording: &Recording) -> io::Result<RecordingFile> {
        let path = self.path(recording);
        let measure = tokio::task::spawn_blocking(move || RecordingFile::closed(&path));
        measure.await.map_err(io::Error::other)?
    }
}

fn file_of(call: CallId) -> String {
    format!("{call}.{FORMAT}")
}

/// A call's recording as its record tells of it; how large it is stands in the file.
fn row_of(record: &CallRecord, id: RecordingId, node: &str, now: Timestamp) -> Recording {
    Recording {
        id,
        account: record.account.clone(),
        sub_account: record.sub_account.clone(),
        call: record.uuid,
        conference: None,
        kind: match record.context {
            CallContext::SipTrunking => RecordingKind::Trunk,
            CallContext::VoiceApi => RecordingKind::Call,
        },
        format: FORMAT.to_owned(),
        from_number: record.caller_id_number.clone(),
        to_number: record.destination_number.clone(),
        node: node.to_owned(),
        file: file_of(record.uuid),
        bytes: None,
        duration_ms: None,
        started_at: record.answer_time.unwrap_or(record.start_time),
        created_at: now,
    }
}

fn with_figures(row: Recording, file: RecordingFile) -> Recording {
    Recording { bytes: Some(file.bytes), duration_ms: Some(file.duration_ms), ..row }
}

/// When a recording's audio ends.
pub(crate) fn end_of(recording: &Recording) -> Timestamp {
    let length = i64::try_from(recording.duration_ms.unwrap_or_default()).unwrap_or(i64::MAX);
    recording.started_at.saturating_add(SignedDuration::from_millis(length)).unwrap_or(recording.started_at)
}
