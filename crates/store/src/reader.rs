//! Reads outside commands: a small pool of read-only connections. They see what is committed, never what
//! a batch is doing. On SQLite each read runs on a blocking thread; on PostgreSQL connections are shared
//! and replaced when they break.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Semaphore;

use crate::StoreError;
use crate::dialect::Dialect;
use crate::postgres::{PgConnection, Purpose};
use crate::sqlite::SqliteConnection;
use crate::value::{Row, Value};

/// Reads that run at once; the rest wait their turn.
const CONNECTIONS: usize = 4;

/// A handle to the pool; clones share it.
#[derive(Clone)]
pub struct Reader {
    pool: Arc<Pool>,
}

enum Pool {
    Sqlite { path: PathBuf, idle: Arc<Mutex<Vec<SqliteConnection>>>, turns: Arc<Semaphore> },
    Postgres { url: String, slots: Vec<tokio::sync::Mutex<Option<Arc<PgConnection>>>>, next: AtomicUsize },
}

impl Reader {
    pub(crate) fn sqlite(path: PathBuf) -> Self {
        let idle = Arc::new(Mutex::new(Vec::with_capacity(CONNECTIONS)));
        let turns = Arc::new(Semaphore::new(CONNECTIONS));
        Self { pool: Arc::new(Pool::Sqlite { path, idle, turns }) }
    }

    pub(crate) fn postgres(url: String) -> Self {
        let slots = (0..CONNECTIONS).map(|_| tokio::sync::Mutex::new(None)).collect();
        Self { pool: Arc::new(Pool::Postgres { url, slots, next: AtomicUsize::new(0) }) }
    }

    /// Runs a `select` and returns its rows. `sql` may be built at run time, from constants only: values
    /// always travel as parameters.
    pub async fn query(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Value<'_>],
    ) -> Result<Vec<Row>, StoreError> {
        let sql = sql.into();
        match &*self.pool {
            Pool::Sqlite { path, idle, turns } => {
                let turn = Arc::clone(turns).acquire_owned().await.map_err(|_| StoreError::Closed)?;
                let params: Vec<Value<'static>> =
                    params.iter().map(|value| value.clone().into_owned()).collect();
                let (path, idle) = (path.clone(), Arc::clone(idle));
                let read = tokio::task::spawn_blocking(move || {
                    let _turn = turn;
                    let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
                    let mut connection = match pooled {
                        Some(connection) => connection,
                        None => SqliteConnection::open_reader(&path)?,
                    };
                    let rows = connection.query(&sql, &params)?;
                    idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
                    Ok(rows)
                });
                read.await.map_err(|_| StoreError::Closed)?
            }
            Pool::Postgres { url, slots, next } => {
                let index = next.fetch_add(1, Ordering::Relaxed) % slots.len();
                let connection = match slots.get(index) {
                    Some(slot) => live(slot, url).await?,
                    None => return Err(StoreError::Closed),
                };
                connection.query(&sql, params).await
            }
        }
    }

    /// The first row of an answer, if there is one.
    pub async fn query_one(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Which database this is.
    pub fn dialect(&self) -> Dialect {
        match *self.pool {
            Pool::Sqlite { .. } => Dialect::Sqlite,
            Pool::Postgres { .. } => Dialect::Postgres,
        }
    }
}

/// The slot's connection, made anew if it never was or broke.
async fn live(
    slot: &tokio::sync::Mutex<Option<Arc<PgConnection>>>,
    url: &str,
) -> Result<Arc<PgConnection>, StoreError> {
    let mut held = slot.lock().await;
    if let Some(connection) = held.as_ref()
        && !connection.is_closed()
    {
        return Ok(Arc::clone(connection));
    }
    let connection = Arc::new(PgConnection::connect(url, Purpose::Reading).await?);
    *held = Some(Arc::clone(&connection));
    Ok(connection)
}
