//! Brings the schema up to date. Migrations come in pairs, one file per database under the same name, are
//! embedded in the program and are recorded in `schema_migration`. To add one: two files and one line here.

use std::path::Path;

use crate::StoreError;
use crate::postgres::{PgConnection, Purpose};
use crate::sqlite::SqliteConnection;
use crate::value::Row;

struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $name, ".sql")),
            postgres: include_str!(concat!("../migrations/postgres/", $name, ".sql")),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "0001_first_schema"),
    migration!(2, "0002_trunk_secret_shown"),
    migration!(3, "0003_routing"),
    migration!(4, "0004_kyc"),
    migration!(5, "0005_sessions"),
    migration!(6, "0006_sub_accounts"),
    migration!(7, "0007_leaner_calls"),
    migration!(8, "0008_audit_and_settings"),
    migration!(9, "0009_capacity"),
    migration!(10, "0010_money"),
    migration!(11, "0011_folded_records"),
    migration!(12, "0012_numbers"),
    migration!(13, "0013_recordings"),
    migration!(14, "0014_callback_events"),
    migration!(15, "0015_ready_events"),
    migration!(16, "0016_open_recordings"),
];

const CREATE_TABLE: &str =
    "create table if not exists schema_migration (number bigint primary key, name text not null)";
const APPLIED: &str = "select number, name from schema_migration order by number";
const RECORD: &str = "insert into schema_migration (number, name) values ($1, $2)";
/// Any number, the same in every version: two nodes starting at once migrate one after the other.
const ADVISORY_LOCK: &str = "select pg_advisory_xact_lock(7268332018)";

/// Migrates a SQLite file; all in one transaction.
pub(crate) fn sqlite(path: &Path) -> Result<Vec<String>, StoreError> {
    let mut connection = SqliteConnection::open_writer(path)?;
    connection.batch("begin immediate")?;
    connection.batch(CREATE_TABLE)?;
    let applied = connection.query(APPLIED, &[])?;
    let outstanding = outstanding(&applied)?;
    for migration in outstanding {
        connection.batch(migration.sqlite)?;
        connection.execute(RECORD, &[migration.number.into(), migration.name.into()])?;
    }
    connection.batch("commit")?;
    Ok(outstanding.iter().map(|migration| migration.name.to_owned()).collect())
}

/// Migrates a PostgreSQL database; all in one transaction, under a lock.
pub(crate) async fn postgres(url: &str) -> Result<Vec<String>, StoreError> {
    let connection = PgConnection::connect(url, Purpose::Writing).await?;
    connection.batch("begin").await?;
    connection.batch(ADVISORY_LOCK).await?;
    connection.batch(CREATE_TABLE).await?;
    let applied = connection.query(APPLIED, &[]).await?;
    let outstanding = outstanding(&applied)?;
    for migration in outstanding {
        connection.batch(migration.postgres).await?;
        connection.execute(RECORD, &[migration.number.into(), migration.name.into()]).await?;
    }
    connection.batch("commit").await?;
    Ok(outstanding.iter().map(|migration| migration.name.to_owned()).collect())
}

/// What is still to run, after checking that what ran is what this program knows.
fn outstanding(applied: &[Row]) -> Result<&'static [Migration], StoreError> {
    for (index, row) in applied.iter().enumerate() {
        let (number, name) = (row.int("number")?, row.text("name")?);
        match MIGRATIONS.get(index) {
            Some(known) if known.number == number && known.name == name => {}
            Some(known) => {
                let words = format!("migration {number} is {name} here, {} in this program", known.name);
                return Err(StoreError::Schema(words));
            }
            None => {
                let words = format!("the database has {name}, which this older program does not know");
                return Err(StoreError::Schema(words));
            }
        }
    }
    Ok(MIGRATIONS.get(applied.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Migrations that change how SQLite keeps rows, and no column.
    const STORAGE_ALONE: &[i64] = &[7];

    fn files(dialect: &str) -> BTreeSet<String> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(dialect);
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    }

    #[test]
    fn migrations_come_in_pairs_and_all_are_embedded_in_order() {
        let embedded: BTreeSet<String> =
            MIGRATIONS.iter().map(|migration| format!("{}.sql", migration.name)).collect();
        assert_eq!(files("sqlite"), embedded);
        assert_eq!(files("postgres"), embedded);
        for (index, migration) in MIGRATIONS.iter().enumerate() {
            assert_eq!(migration.number, index as i64 + 1);
            assert!(migration.name.starts_with(&format!("{:04}_", migration.number)), "{}", migration.name);
        }
    }

    #[test]
    fn the_pair_declares_the_same_tables_and_columns() {
        // Triggers and their functions have each database's own words.
        let words = |text: &str| -> Vec<String> {
            let mut in_trigger = false;
            text.lines()
                .filter(|line| !line.trim_start().starts_with("--"))
                .filter(|line| {
                    let began = line.starts_with("create trigger") || line.starts_with("create function");
                    let is_of_trigger = in_trigger || began;
                    in_trigger =
                        is_of_trigger && !matches!(*line, "end;" | "end $$;") && !line.ends_with("();");
                    !is_of_trigger
                })
                .map(|line| {
                    line.replace("integer primary key autoincrement", "IDENTITY")
                        .replace("bigint generated always as identity primary key", "IDENTITY")
                        .replace("bigint", "integer")
                        .replace("bytea", "blob")
                        .replace("greatest(", "max(")
                        .replace(") strict, without rowid;", ");")
                        .replace(") strict;", ");")
                })
                .collect()
        };
        for migration in MIGRATIONS.iter().filter(|migration| !STORAGE_ALONE.contains(&migration.number)) {
            assert_eq!(words(migration.sqlite), words(migration.postgres), "{}", migration.name);
        }
    }

    #[test]
    fn a_migration_of_storage_alone_keeps_every_column_and_row() {
        const COLUMNS: &str = "select m.name || '.' || c.name || ' ' || c.type || ' ' || c.\"notnull\" || ' '
            || coalesce(c.dflt_value, '') as line
          from sqlite_schema as m join pragma_table_info(m.name) as c
          where m.type = 'table' and m.name not like 'sqlite_%' order by m.name, c.cid";
        let folder = tempfile::tempdir().unwrap();
        let mut connection = SqliteConnection::open_writer(&folder.path().join("t.db")).unwrap();
        let lines = |connection: &mut SqliteConnection, sql: &str| -> Vec<String> {
            let rows = connection.query(sql, &[]).unwrap();
            rows.iter().map(|row| row.string("line").unwrap()).collect()
        };
        for migration in MIGRATIONS {
            let before = lines(&mut connection, COLUMNS);
            if migration.number == 7 {
                connection
                    .batch(
                        "insert into ledger_tx values ('t', 'MA_1', 'call', 'cdr', 'r', 'words', 'INR', 7);
                         insert into call_record (uuid, account_id, billsec, call_direction, caller_id_name,
                           caller_id_number, context, cost, created_at, currency, destination_number, duration, end_time,
                           origination_region, region, ring_time, sip_call_id, start_time, updated_at, rate, occurrences)
                         values ('u', 'MA_1', 3, 'inbound', 'n', '1', 'voice-api', 9, 1, 'INR', '2', 4, 5, 'IN', 'IN',
                           6, 'c', 8, 10, '{}', 11)",
                    )
                    .unwrap();
            }
            connection.batch(migration.sqlite).unwrap();
            if STORAGE_ALONE.contains(&migration.number) {
                assert_eq!(lines(&mut connection, COLUMNS), before, "{}", migration.name);
            }
        }
        let kept = lines(
            &mut connection,
            "select id || uuid || billsec || cost || end_time || ring_time || updated_at || occurrences as line
               from call_record union all select id || ref_id || created_at from ledger_tx",
        );
        assert_eq!(kept, ["1u395610 11".replace(' ', ""), "tr7".to_owned()]);
    }

    #[test]
    fn a_database_from_a_newer_program_is_refused() {
        let columns: std::sync::Arc<[String]> = ["number".to_owned(), "name".to_owned()].into();
        let row =
            |number: i64, name: &'static str| Row::new(columns.clone(), vec![number.into(), name.into()]);
        let mut applied: Vec<Row> = MIGRATIONS.iter().map(|known| row(known.number, known.name)).collect();
        assert!(outstanding(&applied).unwrap().is_empty());
        applied.push(row(9999, "9999_future"));
        assert!(matches!(outstanding(&applied), Err(StoreError::Schema(_))));
    }
}
