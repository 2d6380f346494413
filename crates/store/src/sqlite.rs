//! One SQLite connection: prepared statements, parameters bound by number, rows out. Synchronous: the
//! Writer calls it on its own thread, readers on blocking threads, and for a row by its key wherever they are.

use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, ErrorCode, OpenFlags};

use crate::StoreError;
use crate::value::{Row, Value};

/// Distinct statements kept prepared, far above what the program has.
const PREPARED_MAX: usize = 512;
/// How long a lock held by another process (a backup, an operator's shell) is waited for.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pages of write-ahead log after which a connection of its own, a tool's, folds it into the database: 16 MiB.
const CHECKPOINT_PAGES: i64 = 4096;
/// Page cache of the writing connection, KiB. Not larger: a commit after a page was split walks all of it, and what is not
/// here the kernel has.
const WRITER_CACHE_KIB: i64 = 4_096;

/// What is known of one statement text.
#[derive(Clone)]
struct Shape {
    /// For `$1`, `$2`, …: SQLite's own index. SQLite treats `$n` as a *name* and numbers names by first
    /// appearance, so `$2 … $1` must be looked up.
    binding: Arc<[usize]>,
    columns: Arc<[String]>,
}

/// A connection with its statement cache.
pub(crate) struct SqliteConnection {
    raw: Connection,
    shapes: Shapes,
}

/// By where a text stands, so that long texts are not hashed for each use; the text itself is compared.
type Shapes = HashMap<(usize, usize), (Box<str>, Shape)>;

impl SqliteConnection {
    /// Opens for writing: WAL, fsync at every commit, foreign keys on.
    pub(crate) fn open_writer(path: &Path) -> Result<Self, StoreError> {
        let raw = Connection::open(path).map_err(|error| classify(&error, "open"))?;
        raw.busy_timeout(BUSY_TIMEOUT).map_err(|error| classify(&error, "busy_timeout"))?;
        let mut connection = Self::wrap(raw);
        connection.batch("pragma journal_mode = wal")?;
        connection.batch("pragma synchronous = full")?;
        connection.batch("pragma foreign_keys = on")?;
        connection.batch("pragma temp_store = memory")?;
        connection.batch(&format!("pragma wal_autocheckpoint = {CHECKPOINT_PAGES}"))?;
        // Deleted cells are overwritten where that costs no further page.
        connection.batch("pragma secure_delete = fast")?;
        connection.batch(&format!("pragma cache_size = -{WRITER_CACHE_KIB}"))?;
        connection.assert_durable()?;
        Ok(connection)
    }

    /// Opens for folding the log into the database. As durable as the Writer: the log is synced before its pages are
    /// copied, the database before the log may begin again.
    pub(crate) fn open_checkpointer(path: &Path) -> Result<Self, StoreError> {
        let raw = Connection::open(path).map_err(|error| classify(&error, "open"))?;
        let mut connection = Self::wrap(raw);
        connection.batch("pragma synchronous = full")?;
        connection.assert_durable()?;
        Ok(connection)
    }

    /// Tells `pages` of the write-ahead log's pages at every commit; from now on no commit folds it.
    pub(crate) fn on_commit(
        &mut self,
        mut pages: impl FnMut(u32) + Send + 'static,
    ) -> Result<(), StoreError> {
        let hook = move |_: &mut rusqlite::hooks::Wal, count: std::ffi::c_int| {
            pages(u32::try_from(count).unwrap_or_default());
            Ok(())
        };
        self.raw.wal_hook(Some(hook)).map_err(|error| classify(&error, "wal_hook"))
    }

    /// Copies as much of the write-ahead log into the database as nobody is in the way of; waits for nobody.
    pub(crate) fn checkpoint(&mut self) -> Result<(), StoreError> {
        self.query("pragma wal_checkpoint(passive)", &[]).map(drop)
    }

    /// Opens for reading only.
    pub(crate) fn open_reader(path: &Path) -> Result<Self, StoreError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let raw =
            Connection::open_with_flags(path, flags).map_err(|error| classify(&error, "open for reading"))?;
        raw.busy_timeout(BUSY_TIMEOUT).map_err(|error| classify(&error, "busy_timeout"))?;
        let mut connection = Self::wrap(raw);
        connection.batch("pragma query_only = on")?;
        Ok(connection)
    }

    fn wrap(raw: Connection) -> Self {
        raw.set_prepared_statement_cache_capacity(PREPARED_MAX);
        Self { raw, shapes: HashMap::new() }
    }

    /// The promise of the Writer rests on these two settings: read them back rather than trust them.
    fn assert_durable(&mut self) -> Result<(), StoreError> {
        let mode = self.query("pragma journal_mode", &[])?;
        let synchronous = self.query("pragma synchronous", &[])?;
        let wal =
            matches!(mode.first().map(|row| row.value_at(0)), Some(Ok(Value::Text(text))) if text == "wal");
        let full = matches!(synchronous.first().map(|row| row.int_at(0)), Some(Ok(2)));
        if wal && full {
            Ok(())
        } else {
            Err(StoreError::Schema("SQLite refused WAL with synchronous=FULL".to_owned()))
        }
    }

    /// Folds the whole write-ahead log into the database and empties it.
    pub(crate) fn truncate_log(&mut self) -> Result<(), StoreError> {
        let rows = self.query("pragma wal_checkpoint(truncate)", &[])?;
        match rows.first().map(|row| row.int_at(0)) {
            Some(Ok(0)) => Ok(()),
            _ => Err(StoreError::Unavailable("a reader holds the write-ahead log".to_owned())),
        }
    }

    /// Runs statements without parameters or results.
    pub(crate) fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        self.raw.execute_batch(sql).map_err(|error| classify(&error, sql))
    }

    /// Begins, commits or rolls back: a statement that is run too often to be parsed each time.
    pub(crate) fn control(&mut self, sql: &str) -> Result<(), StoreError> {
        let mut statement = self.raw.prepare_cached(sql).map_err(|error| classify(&error, sql))?;
        statement.raw_execute().map(drop).map_err(|error| classify(&error, sql))
    }

    /// Runs one statement, returning the number of rows it changed.
    pub(crate) fn execute(&mut self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        let Self { raw, shapes } = self;
        let mut statement = raw.prepare_cached(sql).map_err(|error| classify(&error, sql))?;
        let shape = shape_of(shapes, &statement, sql)?;
        bind(&mut statement, &shape.binding, params, sql)?;
        let changed = statement.raw_execute().map_err(|error| classify(&error, sql))?;
        Ok(changed as u64)
    }

    /// Runs one statement, returning its rows.
    pub(crate) fn query(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let Self { raw, shapes } = self;
        let mut statement = raw.prepare_cached(sql).map_err(|error| classify(&error, sql))?;
        let shape = shape_of(shapes, &statement, sql)?;
        bind(&mut statement, &shape.binding, params, sql)?;
        let mut cursor = statement.raw_query();
        let mut rows = Vec::new();
        while let Some(row) = cursor.next().map_err(|error| classify(&error, sql))? {
            let mut values = Vec::with_capacity(shape.columns.len());
            for index in 0..shape.columns.len() {
                let value = row.get_ref(index).map_err(|error| classify(&error, sql))?;
                values.push(owned(value, sql)?);
            }
            rows.push(Row::new(Arc::clone(&shape.columns), values));
        }
        Ok(rows)
    }

    /// The same without waiting for a lock that somebody else holds: then it is [`StoreError::Retry`]. For statements that
    /// find their rows by a key.
    pub(crate) fn query_at_once(&mut self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let patience =
            |raw: &Connection, time| raw.busy_timeout(time).map_err(|error| classify(&error, "busy_timeout"));
        patience(&self.raw, Duration::ZERO)?;
        let rows = self.query(sql, params);
        patience(&self.raw, BUSY_TIMEOUT)?;
        #[cfg(debug_assertions)]
        if rows.is_ok() {
            self.assert_by_key(sql, params);
        }
        rows
    }

    /// Whoever asks for a row by its key on a thread that serves others means a key.
    #[cfg(debug_assertions)]
    fn assert_by_key(&mut self, sql: &str, params: &[Value<'_>]) {
        let plan = self.query(&format!("explain query plan {sql}"), params).unwrap_or_default();
        let steps: Vec<_> = plan.iter().filter_map(|step| step.text("detail").ok()).collect();
        assert!(
            steps.iter().all(|step| step.starts_with("SEARCH")),
            "{sql} looks through a table: {steps:?}"
        );
    }

    /// Whether a transaction is open.
    pub(crate) fn in_transaction(&self) -> bool {
        !self.raw.is_autocommit()
    }
}

fn shape_of(shapes: &mut Shapes, statement: &CachedStatement<'_>, sql: &str) -> Result<Shape, StoreError> {
    let place = (sql.as_ptr().addr(), sql.len());
    if let Some((_, shape)) = shapes.get(&place).filter(|(text, _)| **text == *sql) {
        return Ok(shape.clone());
    }
    let count = statement.parameter_count();
    let mut binding = vec![0; count];
    for index in 1..=count {
        let number = statement
            .parameter_name(index)
            .and_then(|name| name.strip_prefix('$'))
            .and_then(|digits| digits.parse::<usize>().ok())
            .and_then(|number| number.checked_sub(1));
        let slot = number.and_then(|number| binding.get_mut(number));
        let Some(slot) = slot else {
            return Err(StoreError::statement("parameters must be $1 to $n without gaps", sql));
        };
        *slot = index;
    }
    let columns = statement.column_names().map(str::to_owned).collect();
    let shape = Shape { binding: binding.into(), columns };
    if shapes.len() >= PREPARED_MAX {
        shapes.clear();
    }
    shapes.insert(place, (sql.into(), shape.clone()));
    Ok(shape)
}

fn bind(
    statement: &mut CachedStatement<'_>,
    binding: &[usize],
    params: &[Value<'_>],
    sql: &str,
) -> Result<(), StoreError> {
    if binding.len() != params.len() {
        let message = format!("{} parameters wanted, {} given", binding.len(), params.len());
        return Err(StoreError::statement(message, sql));
    }
    for (index, value) in binding.iter().zip(params) {
        let bound = match value {
            Value::Null => statement.raw_bind_parameter(*index, rusqlite::types::Null),
            Value::Int(n) => statement.raw_bind_parameter(*index, n),
            Value::Text(text) => statement.raw_bind_parameter(*index, text.as_ref()),
            Value::Bytes(bytes) => statement.raw_bind_parameter(*index, bytes.as_ref()),
        };
        bound.map_err(|error| classify(&error, sql))?;
    }
    Ok(())
}

fn owned(value: ValueRef<'_>, sql: &str) -> Result<Value<'static>, StoreError> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(n) => Value::Int(n),
        ValueRef::Real(_) => return Err(StoreError::statement("floating-point column", sql)),
        ValueRef::Text(text) => Value::Text(Cow::Owned(
            String::from_utf8(text.to_vec()).map_err(|_| StoreError::statement("text is not UTF-8", sql))?,
        )),
        ValueRef::Blob(bytes) => Value::Bytes(Cow::Owned(bytes.to_vec())),
    })
}

fn classify(error: &rusqlite::Error, sql: &str) -> StoreError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Retry(error.to_string()),
        Some(
            ErrorCode::DiskFull
            | ErrorCode::SystemIoFailure
            | ErrorCode::CannotOpen
            | ErrorCode::ReadOnly
            | ErrorCode::DatabaseCorrupt
            | ErrorCode::NotADatabase
            | ErrorCode::PermissionDenied,
        ) => StoreError::Unavailable(error.to_string()),
        _ => StoreError::statement(error.to_string(), sql),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn memory() -> SqliteConnection {
        SqliteConnection::wrap(Connection::open_in_memory().unwrap())
    }

    #[test]
    fn numbered_parameters_bind_by_number_in_any_order_and_more_than_once() {
        let mut connection = memory();
        let rows = connection
            .query("select $2 as second, $1 as first, $2 || $1 || $2 as both", &["a".into(), "b".into()])
            .unwrap();
        assert_eq!(rows[0].text("first").unwrap(), "a");
        assert_eq!(rows[0].text("second").unwrap(), "b");
        assert_eq!(rows[0].text("both").unwrap(), "bab");
    }

    /// `pragma synchronous`: 2 is FULL, an fsync at every commit.
    #[test]
    fn the_writers_connection_is_wal_with_full_sync() {
        let folder = tempfile::tempdir().unwrap();
        let mut connection = SqliteConnection::open_writer(&folder.path().join("t.db")).unwrap();
        let synchronous = connection.query("pragma synchronous", &[]).unwrap();
        assert_eq!(synchronous[0].int_at(0).unwrap(), 2);
        let mode = connection.query("pragma journal_mode", &[]).unwrap();
        assert!(matches!(mode[0].value_at(0).unwrap(), Value::Text(text) if text == "wal"));
        connection.batch("pragma synchronous = normal").unwrap();
        assert!(connection.assert_durable().is_err(), "a weaker setting is noticed");
    }

    #[test]
    fn a_wrong_number_of_parameters_is_an_error_not_a_null() {
        let mut connection = memory();
        assert!(connection.query("select $1 as a", &[]).is_err());
        assert!(connection.query("select $1 as a", &[1_i64.into(), 2_i64.into()]).is_err());
        assert!(connection.query("select $3 as a, $1 as b", &[1_i64.into(), 2_i64.into()]).is_err(), "a gap");
    }
}
