//! Folds SQLite's write-ahead log into the database beside the Writer, so that no call waits for sixteen megabytes to reach
//! the disk. A thread copies what the log holds while the Writer goes on appending; the Writer itself then copies only what came
//! meanwhile, between two batches, after which the log begins again. If the thread cannot do its part, the Writer does all.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use crate::StoreError;
use crate::sqlite::SqliteConnection;

/// Pages of log after which it is folded in: 16 MiB, so that the copies and the fsync of the main file are spread over
/// thousands of commands.
const FOLD_PAGES: u32 = 4_096;
/// Pages of log after which the Writer waits for nobody: 256 MiB.
const FOLD_AT_ONCE_PAGES: u32 = 16 * FOLD_PAGES;

const IDLE: u8 = 0;
/// The thread copies.
const COPYING: u8 = 1;
/// The thread is done, or failed; the rest is the Writer's.
const COPIED: u8 = 2;

/// What the Writer and the thread both see.
#[derive(Default)]
struct Progress {
    stage: AtomicU8,
    /// Pages in the log at the last commit.
    pages: AtomicU32,
}

/// The Writer's side.
pub(crate) struct Checkpointer {
    progress: Arc<Progress>,
    /// The thread ends when this is dropped.
    copy: SyncSender<()>,
}

impl Checkpointer {
    /// Starts the thread and has `connection` count the pages of its log instead of folding it at a commit.
    pub(crate) fn start(path: PathBuf, connection: &mut SqliteConnection) -> Result<Self, StoreError> {
        let progress = Arc::new(Progress::default());
        let (copy, wanted) = sync_channel(1);
        let seen = Arc::clone(&progress);
        connection.on_commit(move |pages| seen.pages.store(pages, Ordering::Relaxed))?;
        let shared = Arc::clone(&progress);
        std::thread::Builder::new()
            .name("tandem-wal".to_owned())
            .spawn(move || serve(&path, &shared, &wanted))
            .map_err(|error| {
                StoreError::Unavailable(format!("no thread for the write-ahead log: {error}"))
            })?;
        Ok(Self { progress, copy })
    }

    /// Called between batches, when nobody waits for the last one.
    pub(crate) fn tend(&self, connection: &mut SqliteConnection) {
        let pages = self.progress.pages.load(Ordering::Relaxed);
        match self.progress.stage.load(Ordering::Acquire) {
            IDLE if pages >= FOLD_PAGES => {
                self.progress.stage.store(COPYING, Ordering::Release);
                if let Err(TrySendError::Disconnected(())) = self.copy.try_send(()) {
                    self.progress.stage.store(COPIED, Ordering::Release);
                }
            }
            COPIED => self.finish(connection),
            COPYING if pages >= FOLD_AT_ONCE_PAGES => checkpoint(connection),
            _ => {}
        }
    }

    fn finish(&self, connection: &mut SqliteConnection) {
        checkpoint(connection);
        self.progress.stage.store(IDLE, Ordering::Release);
        // Counted anew by the next commit, which begins the log again if all of it was copied.
        self.progress.pages.store(0, Ordering::Relaxed);
    }
}

fn serve(path: &Path, progress: &Progress, wanted: &Receiver<()>) {
    let mut connection = None;
    while wanted.recv().is_ok() {
        if connection.is_none() {
            connection = SqliteConnection::open_checkpointer(path)
                .inspect_err(|error| tracing::warn!(%error, "the write-ahead log is left to the writer"))
                .ok();
        }
        if let Some(connection) = &mut connection {
            checkpoint(connection);
        }
        progress.stage.store(COPIED, Ordering::Release);
    }
}

/// What cannot be copied now, because somebody reads an older page, is copied the next time.
fn checkpoint(connection: &mut SqliteConnection) {
    if let Err(error) = connection.checkpoint() {
        tracing::warn!(%error, "the write-ahead log was not folded into the database; trying again");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::Value;

    /// Commits of about 256 KiB each.
    fn commit(connection: &mut SqliteConnection, n: i64) {
        let body = Value::from("x".repeat(256 * 1024));
        connection.execute("insert into t (id, body) values ($1, $2)", &[n.into(), body]).unwrap();
    }

    #[test]
    fn the_log_stays_bounded_and_every_row_reaches_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tandem.db");
        let mut connection = SqliteConnection::open_writer(&path).unwrap();
        connection.batch("create table t (id integer primary key, body text not null) strict").unwrap();
        let checkpointer = Checkpointer::start(path.clone(), &mut connection).unwrap();
        let log = folder.path().join("tandem.db-wal");
        let mut largest = 0;
        for n in 0..400 {
            commit(&mut connection, n);
            checkpointer.tend(&mut connection);
            while checkpointer.progress.stage.load(Ordering::Acquire) == COPYING {
                std::thread::yield_now();
            }
            largest = largest.max(log.metadata().unwrap().len());
        }
        assert!(largest < 2 * u64::from(FOLD_PAGES) * 4096, "{largest} bytes of log for 100 MiB of rows");
        assert!(path.metadata().unwrap().len() > 64 << 20, "the log was folded in");
        drop(checkpointer);
        drop(connection);
        let mut reader = SqliteConnection::open_reader(&path).unwrap();
        let rows = reader.query("select count(*) from t", &[]).unwrap();
        assert_eq!(rows[0].int_at(0).unwrap(), 400);
    }

    #[test]
    fn without_its_thread_the_writer_folds_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tandem.db");
        let mut connection = SqliteConnection::open_writer(&path).unwrap();
        connection.batch("create table t (id integer primary key, body text not null) strict").unwrap();
        let Checkpointer { progress, copy } = Checkpointer::start(path.clone(), &mut connection).unwrap();
        drop(copy);
        let (copy, _) = sync_channel(1);
        let checkpointer = Checkpointer { progress, copy };
        for n in 0..200 {
            commit(&mut connection, n);
            checkpointer.tend(&mut connection);
        }
        assert!(path.metadata().unwrap().len() > 16 << 20, "the log was folded in");
    }
}
