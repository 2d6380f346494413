//! One PostgreSQL connection: its driver task, prepared statements, rows out. Shared by reference, so
//! that statements of several commands can be under way on it at once.

use std::borrow::Cow;
use std::collections::HashMap;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, NoTls, Statement};

use crate::StoreError;
use crate::value::{Row, Value};

/// Distinct statements kept prepared on a connection.
const PREPARED_MAX: usize = 512;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A statement with the names of its columns.
#[derive(Clone)]
struct Prepared {
    statement: Statement,
    columns: Arc<[String]>,
}

/// A connection with its statement cache; dropping it closes the connection.
pub(crate) struct PgConnection {
    client: Client,
    prepared: Mutex<HashMap<Box<str>, Prepared>>,
    _driver: JoinSet<()>,
}

/// What a connection is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The Writer: commits must be durable before they are answered.
    Writing,
    /// Readers: writing is refused by the server.
    Reading,
}

impl PgConnection {
    /// Connects, and asserts or sets what the purpose needs.
    pub(crate) async fn connect(url: &str, purpose: Purpose) -> Result<Self, StoreError> {
        let mut config: Config =
            url.parse().map_err(|_| StoreError::Schema("the PostgreSQL URL does not parse".to_owned()))?;
        config.connect_timeout(CONNECT_TIMEOUT).application_name("tandem");
        let (client, connection) =
            config.connect(NoTls).await.map_err(|error| classify(&error, "connect"))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            if let Err(error) = connection.await {
                tracing::warn!(%error, "a database connection broke");
            }
        });
        let connection = Self { client, prepared: Mutex::new(HashMap::new()), _driver: driver };
        match purpose {
            Purpose::Reading => connection.batch("set default_transaction_read_only = on").await?,
            Purpose::Writing => connection.assert_durable().await?,
        }
        Ok(connection)
    }

    /// Commits answer only once flushed to disk: set it, and refuse a server that runs without fsync in
    /// earnest. (`fsync = off` is only reported: throwaway test clusters run so.)
    async fn assert_durable(&self) -> Result<(), StoreError> {
        self.batch("set synchronous_commit = on; set lock_timeout = '10s'").await?;
        let rows = self
            .query(
                "select current_setting('synchronous_commit') as level, current_setting('fsync') as fsync",
                &[],
            )
            .await?;
        let row = rows.first().ok_or_else(|| StoreError::Data("no settings".to_owned()))?;
        if row.text("level")? != "on" {
            return Err(StoreError::Schema("PostgreSQL refused synchronous_commit = on".to_owned()));
        }
        if row.text("fsync")? != "on" {
            tracing::warn!("this PostgreSQL server runs with fsync = off: a power cut loses money");
        }
        Ok(())
    }

    /// The connection broke.
    pub(crate) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// Runs statements without parameters or results.
    pub(crate) async fn batch(&self, sql: &str) -> Result<(), StoreError> {
        self.client.batch_execute(sql).await.map_err(|error| classify(&error, sql))
    }

    /// Runs one statement, returning the number of rows it changed.
    pub(crate) async fn execute(&self, sql: &str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        let prepared = self.prepare(sql).await?;
        let params = references(&prepared, params, sql)?;
        self.client.execute(&prepared.statement, &params).await.map_err(|error| classify(&error, sql))
    }

    /// Runs one statement, returning its rows.
    pub(crate) async fn query(&self, sql: &str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        let prepared = self.prepare(sql).await?;
        let params = references(&prepared, params, sql)?;
        let rows =
            self.client.query(&prepared.statement, &params).await.map_err(|error| classify(&error, sql))?;
        rows.iter().map(|row| decode(row, &prepared.columns, sql)).collect()
    }

    /// Locks rows named by an array: the one parameter that is not a [`Value`].
    pub(crate) async fn lock(&self, sql: &str, ids: &[&str]) -> Result<(), StoreError> {
        let prepared = self.prepare(sql).await?;
        self.client.query(&prepared.statement, &[&ids]).await.map_err(|error| classify(&error, sql))?;
        Ok(())
    }

    async fn prepare(&self, sql: &str) -> Result<Prepared, StoreError> {
        if let Some(prepared) = self.prepared.lock().unwrap_or_else(PoisonError::into_inner).get(sql) {
            return Ok(prepared.clone());
        }
        let statement = self.client.prepare(sql).await.map_err(|error| classify(&error, sql))?;
        let columns = statement.columns().iter().map(|column| column.name().to_owned()).collect();
        let prepared = Prepared { statement, columns };
        let mut kept = self.prepared.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() >= PREPARED_MAX {
            kept.clear();
        }
        kept.insert(sql.into(), prepared.clone());
        drop(kept);
        Ok(prepared)
    }
}

fn references<'p>(
    prepared: &Prepared,
    params: &'p [Value<'_>],
    sql: &str,
) -> Result<Vec<&'p (dyn ToSql + Sync)>, StoreError> {
    let wanted = prepared.statement.params().len();
    if wanted != params.len() {
        return Err(StoreError::statement(
            format!("{wanted} parameters wanted, {} given", params.len()),
            sql,
        ));
    }
    Ok(params.iter().map(|value| value as &(dyn ToSql + Sync)).collect())
}

impl ToSql for Value<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(n) if *ty == Type::INT8 => n.to_sql(ty, out),
            Self::Int(n) if *ty == Type::INT4 => i32::try_from(*n)?.to_sql(ty, out),
            Self::Int(n) if *ty == Type::BOOL => (*n != 0).to_sql(ty, out),
            Self::Text(text) if <&str as ToSql>::accepts(ty) => text.as_ref().to_sql(ty, out),
            Self::Bytes(bytes) if *ty == Type::BYTEA => bytes.as_ref().to_sql(ty, out),
            other => {
                let kind = match other {
                    Self::Int(_) => "a number",
                    Self::Text(_) => "text",
                    _ => "bytes",
                };
                Err(format!("{kind} given where {ty} is wanted").into())
            }
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn decode(row: &tokio_postgres::Row, columns: &Arc<[String]>, sql: &str) -> Result<Row, StoreError> {
    let mut values = Vec::with_capacity(columns.len());
    for (index, column) in row.columns().iter().enumerate() {
        let failed = |error: tokio_postgres::Error| StoreError::statement(error.to_string(), sql);
        let value = match *column.type_() {
            Type::INT8 => row.try_get::<_, Option<i64>>(index).map_err(failed)?.map(Value::Int),
            Type::INT4 => row.try_get::<_, Option<i32>>(index).map_err(failed)?.map(|n| Value::Int(n.into())),
            Type::BOOL => {
                row.try_get::<_, Option<bool>>(index).map_err(failed)?.map(|b| Value::Int(b.into()))
            }
            Type::TEXT | Type::VARCHAR | Type::NAME => {
                row.try_get::<_, Option<String>>(index).map_err(failed)?.map(|t| Value::Text(Cow::Owned(t)))
            }
            Type::BYTEA => {
                row.try_get::<_, Option<Vec<u8>>>(index).map_err(failed)?.map(|b| Value::Bytes(Cow::Owned(b)))
            }
            ref other => {
                let message = format!("column {} has type {other}: cast it to bigint or text", column.name());
                return Err(StoreError::statement(message, sql));
            }
        };
        values.push(value.unwrap_or(Value::Null));
    }
    Ok(Row::new(Arc::clone(columns), values))
}

fn classify(error: &tokio_postgres::Error, sql: &str) -> StoreError {
    let Some(answer) = error.as_db_error() else {
        return if error.is_closed() || error.source().is_some_and(|cause| cause.is::<std::io::Error>()) {
            StoreError::Unavailable(words(error))
        } else {
            StoreError::statement(words(error), sql)
        };
    };
    let code = answer.code();
    if *code == SqlState::T_R_SERIALIZATION_FAILURE
        || *code == SqlState::T_R_DEADLOCK_DETECTED
        || *code == SqlState::LOCK_NOT_AVAILABLE
    {
        return StoreError::Retry(answer.message().to_owned());
    }
    // Classes 08 (connection), 53 (disk full, too many connections, out of memory), 57P (shutdown), 58 (system error).
    if ["08", "53", "57P", "58"].iter().any(|class| code.code().starts_with(class)) {
        return StoreError::Unavailable(answer.message().to_owned());
    }
    StoreError::statement(format!("{}: {}", code.code(), answer.message()), sql)
}

fn words(error: &tokio_postgres::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
