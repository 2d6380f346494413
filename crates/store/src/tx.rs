//! The open transaction a command runs in: one SQL text with `$1`…`$n` for both databases. On SQLite a
//! statement runs to its end inside the `async fn`, which therefore never pends; on PostgreSQL it is one
//! round trip. The Writer begins, commits and rolls back; a command only asks.

use jiff::Timestamp;

use crate::StoreError;
use crate::dialect::Dialect;
use crate::outbox::OutboxEvent;
use crate::postgres::PgConnection;
use crate::sqlite::SqliteConnection;
use crate::value::{Row, Value};
use crate::writer::NodeIdentity;

/// The connection beneath.
pub(crate) enum Link<'c> {
    /// On the Writer's own thread.
    Sqlite(&'c mut SqliteConnection),
    /// Shared with other commands of the same batch.
    Postgres(&'c PgConnection),
}

/// The open transaction of the batch, as one command sees it.
pub struct Tx<'c> {
    link: Link<'c>,
    pub(crate) node: Option<&'c NodeIdentity>,
    /// Events inserted by the command, handed to delivery after the commit.
    pub(crate) emitted: Vec<OutboxEvent>,
    #[cfg(feature = "planted-faults")]
    pub(crate) faults: crate::fault::FaultState,
}

impl<'c> Tx<'c> {
    pub(crate) fn new(link: Link<'c>, node: Option<&'c NodeIdentity>) -> Self {
        Self {
            link,
            node,
            emitted: Vec::new(),
            #[cfg(feature = "planted-faults")]
            faults: crate::fault::FaultState::default(),
        }
    }

    /// Runs a statement and returns the number of rows it changed.
    pub async fn execute(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<u64, StoreError> {
        match &mut self.link {
            Link::Sqlite(connection) => connection.execute(sql, params),
            Link::Postgres(connection) => connection.execute(sql, params).await,
        }
    }

    /// Runs a statement and returns its rows (`select`, or any statement with `returning`).
    pub async fn query(&mut self, sql: &'static str, params: &[Value<'_>]) -> Result<Vec<Row>, StoreError> {
        match &mut self.link {
            Link::Sqlite(connection) => connection.query(sql, params),
            Link::Postgres(connection) => connection.query(sql, params).await,
        }
    }

    /// The first row of an answer, if there is one.
    pub async fn query_one(
        &mut self,
        sql: &'static str,
        params: &[Value<'_>],
    ) -> Result<Option<Row>, StoreError> {
        Ok(self.query(sql, params).await?.into_iter().next())
    }

    /// Runs several statements that do not depend on each other's results: on PostgreSQL they share one
    /// round trip. Each must change exactly one row, or the whole is an error (a bug, not a refusal).
    pub async fn execute_each(
        &mut self,
        statements: &[(&'static str, &[Value<'_>])],
    ) -> Result<(), StoreError> {
        match &mut self.link {
            Link::Sqlite(connection) => {
                for (sql, params) in statements {
                    one(connection.execute(sql, params)?, sql)?;
                }
            }
            Link::Postgres(connection) => {
                let connection: &PgConnection = connection;
                let pending = statements.iter().map(|(sql, params)| connection.execute(sql, params));
                let changed = futures_util::future::try_join_all(pending).await?;
                for (changed, (sql, _)) in changed.into_iter().zip(statements) {
                    one(changed, sql)?;
                }
            }
        }
        Ok(())
    }

    /// Which database this is, for the fragments in `dialect.rs`.
    pub fn dialect(&self) -> Dialect {
        match self.link {
            Link::Sqlite(_) => Dialect::Sqlite,
            Link::Postgres(_) => Dialect::Postgres,
        }
    }

    /// Draws the next number of a named counter. Its row stays locked until the commit, so numbers appear
    /// in commit order: a reader that has seen `n` will never miss a smaller one.
    pub async fn next_number(&mut self, counter: &'static str) -> Result<i64, StoreError> {
        const NEXT: &str = "update counter set value = value + 1 where name = $1 returning value";
        match self.query_one(NEXT, &[counter.into()]).await? {
            Some(row) => row.int("value"),
            None => Err(StoreError::Data(format!("no counter {counter}"))),
        }
    }

    /// Tells the directories of all nodes that a configuration row changed.
    pub async fn directory_changed(
        &mut self,
        kind: crate::directory::DirectoryKind,
        id: &str,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        const APPEND: &str = "insert into directory_change (seq, kind, id, at) values ($1, $2, $3, $4)";
        let seq = self.next_number("directory").await?;
        self.execute(APPEND, &[seq.into(), kind.as_str().into(), id.into(), at.into()]).await?;
        Ok(())
    }

    /// Inserts events, leased to this node, in the transaction of the fact they tell of. After the commit
    /// the Writer hands them to delivery.
    pub async fn emit(&mut self, events: &[OutboxEvent]) -> Result<(), StoreError> {
        #[cfg(feature = "planted-faults")]
        if self.faults.outbox_later() {
            self.faults.postponed_events.extend_from_slice(events);
            return Ok(());
        }
        for event in events {
            crate::outbox::insert(self, event).await?;
            self.emitted.push(event.clone());
        }
        Ok(())
    }
}

fn one(changed: u64, sql: &str) -> Result<(), StoreError> {
    if changed == 1 {
        Ok(())
    } else {
        Err(StoreError::statement(format!("changed {changed} rows instead of one"), sql))
    }
}
