//! The Writer's connection: transactions on either database, reconnecting to PostgreSQL.

use std::path::PathBuf;

use crate::StoreError;
use crate::checkpoint::Checkpointer;
use crate::dialect::{BEGIN, Dialect};
use crate::postgres::{PgConnection, Purpose};
use crate::sqlite::SqliteConnection;
use crate::tx::{Link, Tx};
use crate::writer::NodeIdentity;

/// Where the Writer's database is.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(String),
}

/// An open writing connection.
pub(crate) enum WriteConnection {
    Sqlite(SqliteConnection, Checkpointer),
    Postgres { url: String, connection: PgConnection },
}

impl WriteConnection {
    pub(crate) async fn open(source: Source) -> Result<Self, StoreError> {
        match source {
            Source::Sqlite(path) => {
                let mut connection = SqliteConnection::open_writer(&path)?;
                let checkpointer = Checkpointer::start(path, &mut connection)?;
                Ok(Self::Sqlite(connection, checkpointer))
            }
            Source::Postgres(url) => {
                let connection = PgConnection::connect(&url, Purpose::Writing).await?;
                Ok(Self::Postgres { url, connection })
            }
        }
    }

    /// Begins, on a connection that lives: a broken one is replaced first.
    pub(crate) async fn begin(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection, _) => connection.control(BEGIN.on(Dialect::Sqlite)),
            Self::Postgres { url, connection } => {
                if connection.is_closed() {
                    *connection = PgConnection::connect(url, Purpose::Writing).await?;
                    tracing::info!("the writer reconnected to its database");
                }
                connection.batch(BEGIN.on(Dialect::Postgres)).await
            }
        }
    }

    /// Returns once the commit is on disk.
    pub(crate) async fn commit(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Sqlite(connection, _) => connection.control("commit"),
            Self::Postgres { connection, .. } => connection.batch("commit").await,
        }
    }

    /// Between two batches, when nobody waits for the last: what the database needs from time to time.
    pub(crate) fn tend(&mut self) {
        if let Self::Sqlite(connection, checkpointer) = self {
            checkpointer.tend(connection);
        }
    }

    /// Throws the transaction away, whatever state it is in.
    pub(crate) async fn rollback(&mut self) {
        let outcome = match self {
            Self::Sqlite(connection, _) if connection.in_transaction() => connection.control("rollback"),
            Self::Sqlite(..) => Ok(()),
            Self::Postgres { connection, .. } if connection.is_closed() => Ok(()),
            Self::Postgres { connection, .. } => connection.batch("rollback").await,
        };
        if let Err(error) = outcome {
            tracing::warn!(%error, "rolling back failed");
        }
    }

    /// The transaction, as one command sees it.
    pub(crate) fn tx<'c>(&'c mut self, node: Option<&'c NodeIdentity>) -> Tx<'c> {
        match self {
            Self::Sqlite(connection, _) => Tx::new(Link::Sqlite(connection), node),
            Self::Postgres { connection, .. } => Tx::new(Link::Postgres(connection), node),
        }
    }

    /// The shared connection, where statements of several commands may be under way at once.
    pub(crate) fn shared(&self) -> Option<&PgConnection> {
        match self {
            Self::Sqlite(..) => None,
            Self::Postgres { connection, .. } => Some(connection),
        }
    }
}
