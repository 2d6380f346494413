//! What the statements behind two requests cost by SQL alone, without a server: CPU µs of one trunk read, and of one
//! transfer with its idempotency key and its two audit rows, committed one at a time and 64 at a time.
//!
//! `cargo run --release -p tandem-store --example bare_statements -- FOLDER PARTNER CUSTOMER TRUNK`
//! FOLDER is the data folder of a server that has stopped; the accounts and the trunk (its UUID) are in it.
//! Prints one line of JSON. Fails if the ledger does not add up afterwards: then these are not the statements.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, params};
use tandem_store::Store;

/// `select * from trunk` as the reader of trunks has it.
const READ: &str = "select * from trunk where trunk_id = ?1 and account_id = ?2";
const CLAIM: &str =
    "insert into idempotency (account_id, key, fingerprint, state, node_name, node_epoch, created_at)
  values (?1, ?2, ?3, 'started', 'bench', 1, ?4) on conflict (account_id, key) do nothing";
const DEBIT: &str = "update account set balance = balance - ?2, updated_at = ?4
  where auth_id = ?1 and balance - ?2 - held + credit_limit >= 0
    and exists (select 1 from account as other where other.auth_id = ?3 and other.currency = account.currency)
    and not exists (select 1 from ledger_tx
                    where account_id = ?1 and kind = 'transfer' and ref_kind = 'ptc' and ref_id = ?5)
  returning balance";
const CREDIT: &str =
    "update account set balance = balance + ?2, updated_at = ?3 where auth_id = ?1 returning balance";
const TX: &str =
    "insert into ledger_tx (id, account_id, kind, ref_kind, ref_id, description, currency, created_at)
  values (?1, ?2, 'transfer', 'ptc', ?1, 'Transfer from partner Bench: Bench', 'INR', ?3)";
const ENTRIES: &str = "insert into ledger_entry (tx_id, account, amount, balance_after, created_at)
  values (?1, ?2, 0 - ?3, ?4, ?7), (?1, ?5, ?3, ?6, ?7)";
const AUDIT: &str =
    "insert into audit (at, actor, account_id, action, resource_kind, resource_id, fields, request_id,
    source_ip, before_hash, after_hash)
  values (?1, ?2, ?3, 'create', 'transfer', ?4, '[]', ?4, '127.0.0.1',
    (select after_hash from audit where resource_kind = 'transfer' and resource_id = ?4 order by id desc limit 1), null)";
const FINISH: &str = "update idempotency set state = 'finished', response_status = 200, response_sealed = ?3
  where account_id = ?1 and key = ?2 and state = 'started'";
/// Bytes of a transfer's sealed answer, about.
const ANSWER: [u8; 420] = [0x5a; 420];
const AMOUNT: i64 = 1_000_000;
const READS: u32 = 20_000;
const TRANSFERS: u32 = 6_400;
const BATCH: u32 = 64;

#[expect(clippy::print_stdout, reason = "the line is the product")]
fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [folder, partner, customer, trunk] = arguments.as_slice() else {
        panic!("FOLDER PARTNER CUSTOMER TRUNK")
    };
    let mut bench = Bench::open(Path::new(folder), partner, customer);
    let read = cpu_each(READS, || bench.read(trunk));
    let mut number = 0;
    let single = cpu_each(TRANSFERS / 8, || bench.transfers(&mut number, 1));
    let batched = cpu_each(TRANSFERS / BATCH, || bench.transfers(&mut number, BATCH)) / f64::from(BATCH);
    drop(bench);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime starts").block_on(async {
        let store = Store::open_sqlite(Path::new(folder)).await.expect("the database opens");
        let report = store.reader().verify_ledger().await.expect("the ledger reads");
        assert!(report.is_clean(), "{report:?}");
    });
    println!(
        "{{\"read_us\": {read:.2}, \"transfer_alone_us\": {single:.2}, \"transfer_of_64_us\": {batched:.2}}}"
    );
}

struct Bench<'a> {
    connection: Connection,
    partner: &'a str,
    customer: &'a str,
}

impl<'a> Bench<'a> {
    fn open(folder: &Path, partner: &'a str, customer: &'a str) -> Self {
        let connection = Connection::open(folder.join("tandem.db")).expect("the database opens");
        connection.set_prepared_statement_cache_capacity(32);
        for pragma in ["synchronous = full", "foreign_keys = on", "secure_delete = fast"] {
            connection.execute_batch(&format!("pragma {pragma}")).expect("the pragma holds");
        }
        Self { connection, partner, customer }
    }

    fn read(&self, trunk: &str) {
        let mut read = self.connection.prepare_cached(READ).expect("the statement compiles");
        let mut rows = read.query(params![trunk, self.customer]).expect("it runs");
        let row = rows.next().expect("it reads").expect("the trunk is there");
        let mut column = 0;
        while let Ok(value) = row.get::<_, rusqlite::types::Value>(column) {
            std::hint::black_box(value);
            column += 1;
        }
    }

    fn transfers(&mut self, number: &mut u32, many: u32) {
        self.connection.execute_batch("begin immediate").expect("it begins");
        for _ in 0..many {
            *number += 1;
            self.transfer(&format!("00000000-0000-4000-8000-{number:012}"));
        }
        self.connection.execute_batch("commit").expect("it commits");
    }

    fn transfer(&self, id: &str) {
        let (partner, customer, now) = (self.partner, self.customer, 1_800_000_000_000_000_i64);
        let run = |sql, params: &[&dyn rusqlite::ToSql]| {
            let mut statement = self.connection.prepare_cached(sql).expect("the statement compiles");
            assert!(statement.execute(params).expect("it runs") > 0, "{sql} changed nothing");
        };
        let balance = |sql, params: &[&dyn rusqlite::ToSql]| -> i64 {
            let mut statement = self.connection.prepare_cached(sql).expect("the statement compiles");
            statement.query_row(params, |row| row.get(0)).expect("it changes a row")
        };
        run(CLAIM, params![partner, id, id, now]);
        let from = balance(DEBIT, params![partner, AMOUNT, customer, now, id]);
        let to = balance(CREDIT, params![customer, AMOUNT, now]);
        run(TX, params![id, partner, now]);
        run(ENTRIES, params![id, partner, AMOUNT, from, customer, to, now]);
        run(AUDIT, params![now, partner, partner, id]);
        run(AUDIT, params![now, partner, customer, id]);
        run(FINISH, params![partner, id, &ANSWER[..]]);
    }
}

/// CPU µs of this process each time.
fn cpu_each(times: u32, mut work: impl FnMut()) -> f64 {
    let before = cpu();
    for _ in 0..times {
        work();
    }
    cpu().saturating_sub(before).as_secs_f64() * 1e6 / f64::from(times)
}

/// CPU time of the whole process.
fn cpu() -> Duration {
    let text = std::fs::read_to_string("/proc/self/schedstat").expect("Linux tells it");
    let nanos = text.split_whitespace().next().and_then(|n| n.parse().ok()).expect("it is a number");
    Duration::from_nanos(nanos)
}
