//! What is in the database, and what a request changed in it.

use std::collections::BTreeSet;
use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

/// Tables whose rows tell of requests, not of what they are about.
const BOOKKEEPING: [&str; 4] = ["audit", "idempotency", "node", "directory_change"];

/// A second connection that only looks.
pub(super) struct Witness {
    connection: Connection,
    version: i64,
    rows: BTreeSet<String>,
}

impl Witness {
    pub(super) fn of(path: &Path) -> Self {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(path, flags).unwrap();
        let mut witness = Self { connection, version: -1, rows: BTreeSet::new() };
        witness.changes();
        witness
    }

    /// Rows that came or went since the last look, bookkeeping left out.
    pub(super) fn changes(&mut self) -> Vec<String> {
        let version = self.connection.query_row("pragma data_version", [], |row| row.get(0)).unwrap();
        if version == self.version {
            return Vec::new();
        }
        self.version = version;
        let rows = self.dump();
        let changed = rows.symmetric_difference(&self.rows).cloned().collect();
        self.rows = rows;
        changed
    }

    fn dump(&self) -> BTreeSet<String> {
        let mut tables = self
            .connection
            .prepare("select name from sqlite_master where type = 'table' and name not like 'sqlite_%'")
            .unwrap();
        let names: Vec<String> =
            tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let mut all = BTreeSet::new();
        for name in names.iter().filter(|name| !BOOKKEEPING.contains(&name.as_str())) {
            let mut statement = self.connection.prepare(&format!("select * from {name}")).unwrap();
            let columns = statement.column_count();
            let mut rows = statement.query([]).unwrap();
            while let Some(row) = rows.next().unwrap() {
                let mut text = format!("{name}:");
                for column in 0..columns {
                    match row.get_ref(column).unwrap() {
                        ValueRef::Null => text.push_str(" null"),
                        ValueRef::Integer(number) => text.push_str(&format!(" {number}")),
                        ValueRef::Real(number) => text.push_str(&format!(" {number}")),
                        ValueRef::Text(words) => {
                            text.push_str(&format!(" {}", String::from_utf8_lossy(words)))
                        }
                        ValueRef::Blob(bytes) => text.push_str(&format!(" {}", hex::encode(bytes))),
                    }
                }
                all.insert(text);
            }
        }
        all
    }
}
