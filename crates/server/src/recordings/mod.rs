//! Recordings on this node's disk: files in `DATA/recordings`, rows in the store.
//!
//! The cast: [`Recordings`] knows where files are and makes the row of a call recorded as a whole; [`AskedRecordings`] names
//! what documents and the API ask for, [`Completer`] turns that into files and rows; [`told`] is who hears of it; [`keeper`]
//! works off what rows say (files to remove, to measure, too old to keep) and finds what a crash left behind.

mod asked;
mod completer;
mod keeper;
mod mp3;
mod told;

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use jiff::{SignedDuration, Timestamp};
use tandem_engine::RecordingFile;
use tandem_model::{AccountId, CallFacts, CallId, CallStatus, RecordingId, RecordingResult};
use tandem_store::OutboxEvent;
use tandem_store::calls::{CallContext, CallRecord};
use tandem_store::recordings::{Recording, RecordingKind};
use tokio::sync::Notify;

use crate::config::Config;

pub(crate) use asked::AskedRecordings;
pub(crate) use completer::Completer;
pub(crate) use keeper::Keeper;

pub(crate) use told::{Begun, RecordingWebhook};

/// What a call recorded as a whole is written in.
const FORMAT: &str = "wav";
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
    /// What the REST API is reached at; known once it listens.
    api_url: OnceLock<String>,
    /// Recordings that documents and the API asked for, from their beginning until they are complete: as many as legs
    /// have.
    begun: Mutex<HashMap<RecordingId, Arc<Begun>>>,
    /// Those of them that are over.
    over: Mutex<VecDeque<Ended>>,
    over_wake: Notify,
}

/// A recording that is over and not complete yet.
#[derive(Clone, Debug)]
struct Ended {
    begun: Arc<Begun>,
    /// `None`: only its file tells.
    result: Option<RecordingResult>,
    status: CallStatus,
    action_requested: bool,
}

impl Ended {
    /// Of which nobody but its file tells.
    fn found(begun: Arc<Begun>) -> Self {
        Self { begun, result: None, status: CallStatus::Completed, action_requested: false }
    }
}

impl Recordings {
    /// Of the node that the configuration names.
    pub(crate) fn of(config: &Config) -> Self {
        let (folder, node) = (config.node.data.join(FOLDER), config.node.name.clone());
        let api_url = OnceLock::new();
        if !config.api.public_url.is_empty() {
            api_url.get_or_init(|| config.api.public_url.clone());
        }
        Self(Arc::new(Inner {
            folder,
            node,
            wake: Notify::new(),
            api_url,
            begun: Mutex::default(),
            over: Mutex::default(),
            over_wake: Notify::new(),
        }))
    }

    /// This node's name.
    #[cfg(test)]
    pub(crate) fn node(&self) -> &str {
        &self.0.node
    }

    /// The REST API is reached here.
    pub(crate) fn served_at(&self, api_url: &str) {
        // Told once, at the start.
        let _ = self.0.api_url.set(api_url.to_owned());
    }

    /// Where a recording's file is fetched.
    pub(crate) fn url(&self, account: &AccountId, id: RecordingId, format: &str) -> String {
        let api_url = self.0.api_url.get().map_or("", String::as_str);
        format!("{api_url}/api/v1/Account/{account}/Recording/{id}.{format}")
    }

    fn hold(&self, begun: &Arc<Begun>) {
        lock(&self.0.begun).insert(begun.id, Arc::clone(begun));
    }

    fn begun(&self, id: RecordingId) -> Option<Arc<Begun>> {
        lock(&self.0.begun).get(&id).cloned()
    }

    fn release(&self, id: RecordingId) {
        lock(&self.0.begun).remove(&id);
    }

    fn over(&self, ended: Ended) {
        lock(&self.0.over).push_back(ended);
        self.0.over_wake.notify_one();
    }

    fn next_over(&self) -> Option<Ended> {
        lock(&self.0.over).pop_front()
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

    /// The row of a call that was recorded on `node`, its file measured when it is here. `None`: there is no file. Whoever
    /// `webhook` names is told once the file is measured: by the events here, or by its node.
    pub(crate) async fn of_call(
        &self,
        record: &CallRecord,
        id: RecordingId,
        node: Option<&str>,
        webhook: Option<&RecordingWebhook>,
        now: Timestamp,
    ) -> Option<Recording> {
        let row = row_of(record, id, node.unwrap_or(&self.0.node), now);
        let row = Recording { webhook: webhook.and_then(|told| serde_json::to_string(told).ok()), ..row };
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

    /// Tells of a recording of a call as a whole whose file is measured.
    pub(crate) fn completed(
        &self,
        recording: &Recording,
        webhook: &RecordingWebhook,
        at: Timestamp,
    ) -> OutboxEvent {
        let owner = recording.sub_account.as_ref().unwrap_or(&recording.account);
        told::completed(webhook, recording, &self.url(owner, recording.id, &recording.format), at)
    }

    /// Tells that a call was to be recorded and was not.
    pub(crate) fn failed(
        id: RecordingId,
        facts: &CallFacts,
        webhook: &RecordingWebhook,
        at: Timestamp,
    ) -> OutboxEvent {
        told::failed(webhook, id, facts, "The file could not be written", at)
    }

    async fn measured(&self, recording: &Recording) -> io::Result<RecordingFile> {
        let path = self.path(recording);
        let measure = tokio::task::spawn_blocking(move || RecordingFile::closed(&path));
        measure.await.map_err(io::Error::other)?
    }
}

/// What is behind these locks stays whole at every step, so a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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
        webhook: None,
    }
}

fn with_figures(row: Recording, file: RecordingFile) -> Recording {
    Recording { bytes: Some(file.bytes), duration_ms: Some(file.duration_ms), webhook: None, ..row }
}

/// When a recording's audio ends.
pub(crate) fn end_of(recording: &Recording) -> Timestamp {
    let length = i64::try_from(recording.duration_ms.unwrap_or_default()).unwrap_or(i64::MAX);
    recording.started_at.saturating_add(SignedDuration::from_millis(length)).unwrap_or(recording.started_at)
}
