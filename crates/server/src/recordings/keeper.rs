//! Keeps files and rows together on one node. Takes no input, is idempotent, works at start, every few seconds and
//! when woken; whatever a crash interrupts, the next round does again.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tandem_model::{CallId, Ids, RecordingId, clock};
use tandem_store::audit::Actor;
use tandem_store::calls::CallRecord;
use tandem_store::recordings::{
    AdoptRecording, DeleteRecordings, DropRecording, MeasureRecording, PurgeRecordings, Recording,
    RecordingKind,
};
use tandem_store::{Reader, StoreError, Writer};
use tokio_util::sync::CancellationToken;

use super::{FORMAT, Recordings, row_of, with_figures};

/// Between two rounds.
const EVERY: Duration = Duration::from_secs(15);
/// Between two looks through the whole folder: only a crash leaves something there, and a start looks at once.
const LOOK_EVERY: Duration = Duration::from_hours(1);
/// Recordings worked off at once.
const AT_ONCE: u32 = 500;

/// The keeper of one node's recordings.
pub(crate) struct Keeper {
    pub(crate) recordings: Recordings,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// Recordings older than so many days go; 0: none do.
    pub(crate) retention_days: u32,
}

impl Keeper {
    /// Works until cancelled.
    pub(crate) async fn run(self, cancel: CancellationToken) {
        let mut looked: Option<Instant> = None;
        loop {
            let now = clock::monotonic();
            let look = looked.is_none_or(|looked| now.saturating_duration_since(looked) >= LOOK_EVERY);
            match self.round(clock::wall(), look).await {
                Ok(()) if look => looked = Some(now),
                Ok(()) => {}
                Err(error) => tracing::warn!(%error, "recordings could not be looked after; trying again"),
            }
            tokio::select! {
                () = cancel.cancelled() => return,
                () = self.recordings.0.wake.notified() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }

    /// One round; `look`: through the folder too.
    pub(crate) async fn round(&self, now: Timestamp, look: bool) -> Result<(), StoreError> {
        self.expire(now).await?;
        self.remove().await?;
        self.measure().await?;
        if look {
            self.look(now).await?;
        }
        Ok(())
    }

    /// Marks what is older than recordings are kept.
    async fn expire(&self, now: Timestamp) -> Result<(), StoreError> {
        if self.retention_days == 0 {
            return Ok(());
        }
        let before = now - SignedDuration::from_hours(24 * i64::from(self.retention_days));
        loop {
            let ids = self.reader.recordings_added_before(before, AT_ONCE).await?;
            let all = ids.len() < AT_ONCE as usize;
            if !ids.is_empty() {
                let count = ids.len();
                let actor = Actor::system();
                self.writer.submit(DeleteRecordings { ids, account: None, actor, at: now }).await?;
                tracing::info!(count, "recordings are past their time and deleted");
            }
            if all {
                return Ok(());
            }
        }
    }

    /// Removes the files of marked recordings, makes sure the disk knows, then removes the rows.
    async fn remove(&self) -> Result<(), StoreError> {
        loop {
            let marked = self.reader.recordings_to_remove(&self.recordings.0.node, AT_ONCE).await?;
            if marked.is_empty() {
                return Ok(());
            }
            let paths: Vec<_> = marked.iter().map(|row| (row.id, self.recordings.path(row))).collect();
            let folder = self.recordings.0.folder.clone();
            let work = tokio::task::spawn_blocking(move || unlinked(&folder, paths));
            let gone = work.await.map_err(|_| StoreError::Closed)?;
            let stuck = gone.len() < marked.len();
            if !gone.is_empty() {
                self.writer.submit(PurgeRecordings(gone)).await?;
            }
            if stuck {
                // Told by `unlinked`; the next round tries again.
                return Ok(());
            }
        }
    }

    /// Gives rows the figures of their files: written by a process that died before it measured them.
    async fn measure(&self) -> Result<(), StoreError> {
        for row in self.reader.recordings_to_measure(&self.recordings.0.node, AT_ONCE).await? {
            match self.recordings.measured(&row).await {
                Ok(file) => {
                    let webhook = row.webhook.as_deref().and_then(|told| serde_json::from_str(told).ok());
                    let measured = with_figures(row.clone(), file);
                    let told =
                        webhook.map(|webhook| self.recordings.completed(&measured, &webhook, clock::wall()));
                    let figures = MeasureRecording {
                        id: row.id,
                        bytes: file.bytes,
                        duration_ms: file.duration_ms,
                        events: told.into_iter().collect(),
                    };
                    self.writer.submit(figures).await?;
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    tracing::warn!(call_id = %row.call, recording_id = %row.id, "a recording has no file: nothing was written before its process ended");
                    self.writer.submit(DropRecording(row.id)).await?;
                }
                Err(error) => {
                    tracing::warn!(call_id = %row.call, recording_id = %row.id, %error, "a recording cannot be measured");
                }
            }
        }
        Ok(())
    }

    /// Finds files without a row: gives them one when their call is on record, and tells of the others.
    async fn look(&self, now: Timestamp) -> Result<(), StoreError> {
        let folder = self.recordings.0.folder.clone();
        let listing = tokio::task::spawn_blocking(move || files(&folder));
        let listed = listing.await.map_err(|_| StoreError::Closed)?;
        let listed = listed.map_err(|error| StoreError::Unavailable(format!("recordings: {error}")))?;
        let (mut adopted, mut unclaimed) = (0_u64, 0_u64);
        for names in listed.chunks(AT_ONCE as usize) {
            let known = self.reader.recorded_files(&self.recordings.0.node, names).await?;
            for name in names.iter().filter(|name| !known.contains(name)) {
                match self.claim(name, now).await? {
                    Claim::Adopted => adopted += 1,
                    Claim::Unclaimed => unclaimed += 1,
                    Claim::Live => {}
                }
            }
        }
        if adopted > 0 {
            tracing::info!(adopted, "recordings that a process left behind are found again");
        }
        if unclaimed > 0 {
            tracing::warn!(
                unclaimed,
                "files in the folder of recordings belong to no call on record; they stay"
            );
        }
        Ok(())
    }

    /// A file beside the one its recording's row names, or of a recording whose beginning was not noted.
    async fn claim_asked(
        &self,
        name: &str,
        call: CallId,
        id: RecordingId,
        now: Timestamp,
    ) -> Result<Claim, StoreError> {
        let open = self.reader.open_recordings(&self.recordings.0.node).await?;
        if self.recordings.begun(id).is_some() || open.iter().any(|open| open.id == id) {
            return Ok(Claim::Live);
        }
        if self.reader.is_recording_kept(id).await? {
            // The WAV behind an MP3, or half an MP3: the process was killed before it could remove it.
            let path = self.recordings.0.folder.join(name);
            if let Err(error) = tokio::fs::remove_file(&path).await {
                tracing::warn!(recording_id = %id, %error, "a file left beside a recording cannot be removed");
            }
            return Ok(Claim::Live);
        }
        let Some(record) = self.reader.operator_call_record(call).await? else {
            let live = self.reader.live_call(call).await?.is_some();
            return Ok(if live { Claim::Live } else { Claim::Unclaimed });
        };
        let row = Recording {
            kind: RecordingKind::Call,
            file: name.to_owned(),
            ..row_of(&record, id, &self.recordings.0.node, now)
        };
        self.adopt(row, &record).await
    }

    async fn claim(&self, name: &str, now: Timestamp) -> Result<Claim, StoreError> {
        if let Some((call, id)) = asked_file(name) {
            return self.claim_asked(name, call, id, now).await;
        }
        let call = name.strip_suffix(FORMAT).and_then(|stem| stem.strip_suffix('.')?.parse::<CallId>().ok());
        let Some(call) = call else { return Ok(Claim::Unclaimed) };
        let Some(record) = self.reader.operator_call_record(call).await? else {
            let live = self.reader.live_call(call).await?.is_some();
            return Ok(if live { Claim::Live } else { Claim::Unclaimed });
        };
        let id = record.recording.unwrap_or_else(|| RecordingId(Ids::random()));
        let row = row_of(&record, id, &self.recordings.0.node, now);
        self.adopt(row, &record).await
    }

    async fn adopt(&self, row: Recording, record: &CallRecord) -> Result<Claim, StoreError> {
        let call = row.call;
        let row = match self.recordings.measured(&row).await {
            Ok(file) => with_figures(row, file),
            // Deleted since the folder was listed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Claim::Live),
            Err(error) => {
                tracing::warn!(call_id = %call, %error, "a file in the folder of recordings is none");
                return Ok(Claim::Unclaimed);
            }
        };
        // It was recorded when the call was, not when it was found.
        let row = Recording { created_at: record.end_time, ..row };
        Ok(if self.writer.submit(AdoptRecording(row)).await? { Claim::Adopted } else { Claim::Live })
    }
}

/// The call and the recording that a file's name tells of, when a document or the API asked for it.
fn asked_file(name: &str) -> Option<(CallId, RecordingId)> {
    let (call, rest) = name.split_once('.')?;
    let (id, _) = rest.split_once('.')?;
    Some((call.parse().ok()?, id.parse().ok()?))
}

/// What became of a file without a row.
enum Claim {
    /// It has one now.
    Adopted,
    /// It needs none yet, or has one by now.
    Live,
    /// Nobody knows it.
    Unclaimed,
}

/// Names of files in a folder.
fn files(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_file()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    Ok(names)
}

/// Removes files; those that are gone for good afterwards, power cut or not.
fn unlinked(folder: &Path, paths: Vec<(RecordingId, PathBuf)>) -> Vec<RecordingId> {
    let mut gone = Vec::new();
    for (id, path) in paths {
        match std::fs::remove_file(&path) {
            Ok(()) => gone.push(id),
            Err(error) if error.kind() == io::ErrorKind::NotFound => gone.push(id),
            Err(error) => {
                tracing::error!(recording_id = %id, %error, "a deleted recording's file cannot be removed; trying again")
            }
        }
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        Ok(()) => gone,
        Err(error) => {
            tracing::error!(%error, "removed recordings are not known to be off the disk; trying again");
            Vec::new()
        }
    }
}
