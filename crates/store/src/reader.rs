//! Reads outside commands: a small pool of read-only connections. They see what is committed, never what
//! a batch is doing. On SQLite a read runs on a blocking thread, but one row by its key where it is asked for: that takes
//! less than going to another thread and back. On PostgreSQL connections are shared and replaced when they break.

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

    /// The one row that a key names (a primary key or a unique index), if there is one. On SQLite it is read on this very
    /// thread when a connection is idle and nobody holds the database; else it waits its turn as any other read. Debug
    /// builds refuse a statement that would look through a table.
    pub async fn point(
        &self,
        sql: impl Into<Cow<'static, str>>,
        params: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        let sql = sql.into();
        if let Pool::Sqlite { idle, turns, .. } = &*self.pool
            && let Some(rows) = at_once(idle, turns, &sql, params)?
        {
            return Ok(rows.into_iter().next());
        }
        self.query_one(sql, params).await
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

/// Reads on this thread; `None` when that would mean to wait.
fn at_once(
    idle: &Mutex<Vec<SqliteConnection>>,
    turns: &Semaphore,
    sql: &str,
    params: &[Value<'_>],
) -> Result<Option<Vec<Row>>, StoreError> {
    let Ok(_turn) = turns.try_acquire() else { return Ok(None) };
    let pooled = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let Some(mut connection) = pooled else { return Ok(None) };
    let rows = match connection.query_at_once(sql, params) {
        Ok(rows) => Some(rows),
        Err(StoreError::Retry(_)) => None,
        // As after any failed read, the next one opens another connection.
        Err(error) => return Err(error),
    };
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    Ok(rows)
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    const ONE: &str = "select word from thing where id = $1";
    /// Long enough to be sure that something is not coming.
    const PATIENCE: Duration = Duration::from_millis(200);

    struct House {
        reader: Reader,
        path: PathBuf,
        writer: SqliteConnection,
        _folder: tempfile::TempDir,
    }

    impl House {
        fn open() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("t.db");
            let mut writer = SqliteConnection::open_writer(&path).unwrap();
            writer.batch("create table thing (id integer primary key, word text, other text)").unwrap();
            writer.batch("insert into thing values (1, 'one', 'x'), (2, 'two', 'x')").unwrap();
            Self { reader: Reader::sqlite(path.clone()), path, writer, _folder: folder }
        }

        async fn word(&self, id: i64) -> Option<String> {
            let row = self.reader.point(ONE, &[id.into()]).await.unwrap();
            row.map(|row| row.string("word").unwrap())
        }

        async fn waits(&self) -> bool {
            tokio::time::timeout(PATIENCE, self.word(1)).await.is_err()
        }

        fn idle(&self) -> usize {
            let Pool::Sqlite { idle, .. } = &*self.reader.pool else { return 0 };
            idle.lock().unwrap().len()
        }
    }

    /// Runs on a runtime whose only blocking thread is occupied until the sender is dropped; the house has so many
    /// idle connections.
    fn with_no_thread_to_spare<T>(
        idle: usize,
        test: impl AsyncFnOnce(&mut House, mpsc::SyncSender<()>) -> T,
    ) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(1).build();
        runtime.unwrap().block_on(async {
            let mut house = House::open();
            if idle > 0 {
                house.reader.query_one(ONE, &[1_i64.into()]).await.unwrap();
            }
            assert_eq!(house.idle(), idle);
            let (release, occupied) = mpsc::sync_channel(1);
            let _occupied = tokio::task::spawn_blocking(move || occupied.recv());
            test(&mut house, release).await
        })
    }

    #[test]
    fn a_row_by_its_key_needs_no_other_thread_and_sees_what_is_committed() {
        with_no_thread_to_spare(1, async |house, release| {
            assert_eq!(house.word(1).await.as_deref(), Some("one"));
            assert_eq!(house.word(3).await, None);
            house.writer.batch("begin; insert into thing values (3, 'three', 'x')").unwrap();
            assert_eq!(house.word(3).await, None, "not what is under way");
            house.writer.batch("commit").unwrap();
            assert_eq!(house.word(3).await.as_deref(), Some("three"));
            assert_eq!(house.idle(), 1, "the connection went back");
            let list = house.reader.query("select id from thing", &[]);
            assert!(tokio::time::timeout(PATIENCE, list).await.is_err(), "any other read does need one");
            drop(release);
        });
    }

    #[test]
    fn without_an_idle_connection_it_waits_its_turn_and_then_reads() {
        with_no_thread_to_spare(0, async |house, release| {
            assert!(house.waits().await, "it does not open one on this thread");
            drop(release);
            assert_eq!(house.word(1).await.as_deref(), Some("one"));
            assert_eq!(house.word(2).await.as_deref(), Some("two"));
            assert_eq!(house.idle(), 1);
        });
    }

    #[tokio::test]
    async fn it_counts_among_the_reads_that_run_at_once() {
        let house = House::open();
        house.word(1).await;
        let Pool::Sqlite { turns, .. } = &*house.reader.pool else { panic!("not SQLite") };
        let all = turns.acquire_many(u32::try_from(CONNECTIONS).unwrap()).await.unwrap();
        assert!(house.waits().await, "with every turn taken");
        drop(all);
        let most = turns.acquire_many(u32::try_from(CONNECTIONS - 1).unwrap()).await.unwrap();
        assert_eq!(house.word(1).await.as_deref(), Some("one"));
        assert_eq!(turns.available_permits(), 1, "and gives its own back");
        drop(most);
    }

    #[test]
    fn a_database_that_somebody_holds_is_not_waited_for_on_this_thread() {
        with_no_thread_to_spare(1, async |house, release| {
            // Without the write-ahead log one that writes keeps readers out; with it, one that recovers does.
            house.reader = Reader::sqlite(house.path.clone());
            house.writer.batch("pragma journal_mode = delete").unwrap();
            let Pool::Sqlite { idle, .. } = &*house.reader.pool else { panic!("not SQLite") };
            idle.lock().unwrap().push(SqliteConnection::open_reader(&house.path).unwrap());
            assert_eq!(house.word(1).await.as_deref(), Some("one"));
            house.writer.batch("begin exclusive; insert into thing values (9, 'nine', 'x')").unwrap();
            assert!(house.waits().await, "it went to the thread that may wait");
            assert_eq!(house.idle(), 1, "the connection is as good as before");
            house.writer.batch("commit").unwrap();
            drop(release);
            assert_eq!(house.word(9).await.as_deref(), Some("nine"));
        });
    }

    #[tokio::test]
    async fn a_wrong_statement_is_an_error_and_the_next_read_goes_well() {
        let house = House::open();
        house.word(1).await;
        assert!(house.reader.point("select nothing from nowhere", &[]).await.is_err());
        assert_eq!(house.word(1).await.as_deref(), Some("one"));
    }

    #[cfg(debug_assertions)]
    #[tokio::test]
    #[should_panic(expected = "looks through a table")]
    async fn a_statement_that_looks_through_a_table_is_refused_while_it_is_written() {
        let house = House::open();
        house.word(1).await;
        let _ = house.reader.point("select id from thing where other = $1", &["x".into()]).await;
    }
}
