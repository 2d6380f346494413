//! Every place where the two databases are asked in different words. All other SQL is one text.

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Embedded.
    Sqlite,
    /// A server shared by several nodes.
    Postgres,
}

/// One statement in two dialects.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fragment {
    sqlite: &'static str,
    postgres: &'static str,
}

impl Fragment {
    /// The text for a database.
    pub(crate) const fn on(self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
        }
    }
}

/// Starts a writing transaction. SQLite must take its write lock at once: a deferred begin fails with
/// BUSY_SNAPSHOT, which no busy timeout retries.
pub(crate) const BEGIN: Fragment = Fragment { sqlite: "begin immediate", postgres: "begin" };

/// Verifies that this node's epoch is current and, where several writers exist, keeps it so until commit.
pub(crate) const FENCE: Fragment = Fragment {
    sqlite: "select epoch from node where name = $1",
    postgres: "select epoch from node where name = $1 for share",
};

/// Due outbox rows nobody holds, by when they became free; a row being leased by another node is passed over. The
/// expression is that of the index `outbox_ready`: what is leased is not looked at until its lease ends.
pub(crate) const LEASE_DUE: Fragment = Fragment {
    sqlite: "update outbox set lease_owner = $1, lease_until = $2 where event_id in (
        select event_id from outbox where state = 'pending' and max(due_at, coalesce(lease_until, 0)) <= $3
          order by max(due_at, coalesce(lease_until, 0)) limit $4)
      returning *",
    postgres: "update outbox set lease_owner = $1, lease_until = $2 where event_id in (
        select event_id from outbox where state = 'pending' and greatest(due_at, coalesce(lease_until, 0)) <= $3
          order by greatest(due_at, coalesce(lease_until, 0)) limit $4
          for update skip locked)
      returning *",
};

/// Locks the accounts of a batch in id order, so that two Writers never wait for each other in a circle.
/// SQLite has one writer and nothing to lock.
pub(crate) const LOCK_ACCOUNTS: &str =
    "select auth_id from account where auth_id = any($1) order by auth_id for update";

/// The newest call record, and for PostgreSQL which transactions are under way: the oldest, and the one to come.
pub(crate) const RECORD_BOUNDS: Fragment = Fragment {
    sqlite: "select coalesce(max(id), 0) as newest, 0 as oldest_xid, 0 as next_xid from call_record",
    postgres: "select coalesce(max(id), 0) as newest,
        cast(cast(pg_snapshot_xmin(pg_current_snapshot()) as text) as bigint) as oldest_xid,
        cast(cast(pg_snapshot_xmax(pg_current_snapshot()) as text) as bigint) as next_xid from call_record",
};
