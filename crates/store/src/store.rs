//! Opening a database: take the lock, bring the schema up to date, hand out the Writer and the Reader.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;

use crate::StoreError;
use crate::migrate;
use crate::outbox::EventFeed;
use crate::postgres::{PgConnection, Purpose};
use crate::reader::Reader;
use crate::sqlite::SqliteConnection;
use crate::writer::connection::Source;
use crate::writer::{Writer, WriterConfig};

/// The database file inside a data directory.
const DATABASE_FILE: &str = "tandem.db";
/// Held locked while a process has the directory open.
const LOCK_FILE: &str = "tandem.lock";

/// An open, migrated database.
pub struct Store {
    source: Source,
    reader: Reader,
    applied: Vec<String>,
    /// Released by the operating system even after `kill -9`.
    _lock: Option<File>,
}

impl Store {
    /// Opens the SQLite database in a data directory, creating both if absent. One process at a time:
    /// [`StoreError::Locked`] while another holds it.
    pub async fn open_sqlite(directory: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(directory).map_err(|error| unusable(directory, &error))?;
        let lock = lock(directory)?;
        let path = directory.join(DATABASE_FILE);
        let applied = migrate::sqlite(&path)?;
        Ok(Self {
            source: Source::Sqlite(path.clone()),
            reader: Reader::sqlite(path),
            applied,
            _lock: Some(lock),
        })
    }

    /// Opens a PostgreSQL database by its URL or key-value string. Several nodes may.
    pub async fn open_postgres(url: &str) -> Result<Self, StoreError> {
        let applied = migrate::postgres(url).await?;
        Ok(Self {
            source: Source::Postgres(url.to_owned()),
            reader: Reader::postgres(url.to_owned()),
            applied,
            _lock: None,
        })
    }

    /// Starts the Writer. Once per process, but for tests of several nodes.
    pub async fn start_writer(&self, config: WriterConfig) -> Result<(Writer, EventFeed), StoreError> {
        Writer::start(self.source.clone(), config).await
    }

    /// What removes the remains of deleted rows.
    pub fn scrubber(&self) -> Scrubber {
        Scrubber(self.source.clone())
    }

    /// Names of the migrations that opening it ran; none when the schema was up to date.
    pub fn applied(&self) -> &[String] {
        &self.applied
    }

    /// The pool of read-only connections.
    pub fn reader(&self) -> Reader {
        self.reader.clone()
    }
}

/// Removes the remains of deleted rows: after an erasure only, it waits for readers and may take seconds.
#[derive(Clone)]
pub struct Scrubber(Source);

impl Scrubber {
    /// On SQLite empties the write-ahead log, on PostgreSQL clears dead rows of the tables that erasure touches.
    pub async fn scrub(&self) -> Result<(), StoreError> {
        match &self.0 {
            Source::Sqlite(path) => {
                let path = path.clone();
                let scrub = move || SqliteConnection::open_writer(&path)?.truncate_log();
                tokio::task::spawn_blocking(scrub).await.map_err(|_| StoreError::Closed)?
            }
            Source::Postgres(url) => {
                let connection = PgConnection::connect(url, Purpose::Writing).await?;
                for table in ["kyc_subject", "kyc_session", "kyc_check", "idempotency", "outbox"] {
                    connection.batch(&format!("vacuum {table}")).await?;
                }
                Ok(())
            }
        }
    }
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK_FILE);
    let file = OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(|error| unusable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Locked(directory.display().to_string())),
        Err(TryLockError::Error(error)) => Err(unusable(&path, &error)),
    }
}

fn unusable(path: &Path, error: &std::io::Error) -> StoreError {
    StoreError::Unavailable(format!("{}: {error}", path.display()))
}
