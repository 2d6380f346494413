//! What lists of call records cost at size: p50 and p95 of pages, searches and sums, the speed of the fold and of an export.
//!
//! `cargo run --release -p tandem-store --example cdr -- [rows] [postgres-url]`
//! Without a URL: SQLite in a temporary directory under the current one. One account owns a tenth of the records.

use std::time::Duration;

use jiff::Timestamp;
use tandem_model::{AccountId, CallDirection, clock};
use tandem_store::calls::{ExportCursor, RecordFilter, RecordsOf};
use tandem_store::{
    BoxFuture, Command, Dialect, EventFeed, Reader, Store, StoreError, Tx, Writer, WriterConfig,
};
use tokio::task::JoinSet;

/// Midnight, when the records begin; they are spread over so many days.
const BEGINNING: i64 = 1_790_035_200_000_000;
const DAYS: i64 = 30;
const DAY_MICROS: i64 = 86_400_000_000;
/// Rows of one inserting statement.
const FILL: i64 = 20_000;
const STEP: u32 = 2_000;
/// Times each question is asked.
const TIMES: u32 = 60;
const PAGE: u32 = 20;
const PIECE: u32 = 500;

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    runtime.block_on(measure());
}

#[expect(clippy::print_stdout, reason = "the table is the product")]
async fn measure() {
    let mut arguments = std::env::args().skip(1);
    let rows: i64 = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(1_000_000);
    let url = arguments.next();
    let directory = tempfile::tempdir_in(".").expect("the current directory is writable");
    let store = match &url {
        Some(url) => Store::open_postgres(url).await,
        None => Store::open_sqlite(directory.path()).await,
    };
    let store = store.expect("the database opens");
    let (writer, feed) =
        store.start_writer(WriterConfig::for_node("bench", clock::wall())).await.expect("the writer starts");
    let mut drains = JoinSet::new();
    drains.spawn(drain(feed));
    let reader = store.reader();

    let began = clock::monotonic();
    for first in (1..=rows).step_by(FILL as usize) {
        let fill = Fill { first, last: (first + FILL - 1).min(rows), rows };
        writer.submit(fill).await.expect("records are written");
    }
    println!("{rows} records written in {:.0} s", began.elapsed().as_secs_f64());
    let began = clock::monotonic();
    let folded = fold(&reader, &writer).await.expect("records fold");
    let seconds = began.elapsed().as_secs_f64();
    println!("{folded} folded in {seconds:.0} s: {:.0} records/s, {STEP} at a time", folded as f64 / seconds);
    if url.is_some() {
        writer.submit(Analyze).await.expect("statistics are taken");
    }

    let big = AccountId::new("MA_BIG");
    let total = reader.call_list(&big, &RecordFilter::default(), 0, 0).await.expect("the sum reads").0.total;
    println!("the account asked about has {total} of them\n");
    println!("{:<34} {:>8} {:>8} {:>10}", "question", "p50 ms", "p95 ms", "matches");
    let none = RecordFilter::default;
    let days = |n: u32| {
        let from = BEGINNING + i64::from(n % 25) * DAY_MICROS;
        let at = |micros| Timestamp::from_microsecond(micros).ok();
        RecordFilter {
            started_from: at(from),
            started_before: at(from + 3 * DAY_MICROS),
            ..RecordFilter::default()
        }
    };
    let needle = |n: u32| Some(format!("{:05}", u64::from(n) * 7_919 % 100_000));
    ask(&reader, &big, "default page", |_| (none(), 0)).await;
    ask(&reader, &big, "three days", |n| (days(n), 0)).await;
    ask(&reader, &big, "five digits of a callee", |n| (RecordFilter { to_number: needle(n), ..none() }, 0))
        .await;
    ask(&reader, &big, "two digits of either", |n| {
        (RecordFilter { search: Some(format!("{:02}", n % 100)), ..none() }, 0)
    })
    .await;
    ask(&reader, &big, "prefix of all, its last page", |_| {
        (RecordFilter { to_number: Some("9198".to_owned()), ..none() }, total - 1)
    })
    .await;
    ask(&reader, &big, "inbound, a minute or more", |_| {
        let direction = Some(CallDirection::Inbound);
        (RecordFilter { direction, min_duration: Some(60), ..none() }, 0)
    })
    .await;
    ask(&reader, &big, "last page", |_| (none(), total - 1)).await;
    ask(&reader, &big, "a page in the middle", |n| (none(), total / 2 + u64::from(n) * 17)).await;
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let began = clock::monotonic();
        reader.call_record_summary(&big, &none()).await.expect("it reads");
        times.push(began.elapsed());
    }
    row("summary alone", times, total);

    let before = resident_kib();
    let began = clock::monotonic();
    let (mut cursor, mut exported) = (ExportCursor::default(), 0);
    let mut most = before;
    loop {
        let whose = RecordsOf::Account(&big);
        let (slice, next) = reader.export_records(whose, &none(), cursor, PIECE).await.expect("it reads");
        if slice.is_empty() {
            break;
        }
        (cursor, exported) = (next, exported + slice.len());
        most = most.max(resident_kib());
    }
    let seconds = began.elapsed().as_secs_f64();
    println!(
        "\nexport, read: {exported} records in {seconds:.2} s: {:.0} records/s; resident {} MiB before, {} MiB at most",
        exported as f64 / seconds,
        before >> 10,
        most >> 10
    );
    writer.shutdown().await;
}

async fn drain(mut feed: EventFeed) {
    while feed.next().await.is_some() {}
}

async fn fold(reader: &Reader, writer: &Writer) -> Result<usize, StoreError> {
    let mut folded = 0;
    while reader.unfolded().await? > 0 {
        while let Some(fold) = reader.next_fold(STEP).await? {
            folded += fold.records;
            writer.submit(fold).await?;
        }
    }
    Ok(folded)
}

async fn ask(
    reader: &Reader,
    account: &AccountId,
    name: &str,
    question: impl Fn(u32) -> (RecordFilter, u64),
) {
    let (mut times, mut matches) = (Vec::new(), 0);
    for n in 0..TIMES {
        let (filter, offset) = question(n);
        let began = clock::monotonic();
        let (page, _) = reader.call_list(account, &filter, offset, PAGE).await.expect("it reads");
        times.push(began.elapsed());
        matches = page.total;
    }
    row(name, times, matches);
}

#[expect(clippy::print_stdout, reason = "the table is the product")]
fn row(name: &str, mut times: Vec<Duration>, matches: u64) {
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() - 1) * percent / 100].as_secs_f64() * 1000.0;
    println!("{name:<34} {:>8.1} {:>8.1} {matches:>10}", at(50), at(95));
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or_default()
}

struct Analyze;

impl Command for Analyze {
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(tx.execute("analyze", &[]))
    }
}

/// Records `first..=last` of `rows`.
struct Fill {
    first: i64,
    last: i64,
    rows: i64,
}

macro_rules! fill {
    ($with:literal, $uuid:literal, $caller:literal, $callee:literal, $from:literal) => {
        concat!(
            $with,
            " insert into call_record (uuid, account_id, answer_time, billsec, call_direction, caller_id_name,
               caller_id_number, carrier_ip, codec, context, cost, created_at, currency, destination_number, duration,
               end_time, hangup_cause, hangup_cause_code, hangup_cause_name, hangup_disposition, hangup_source,
               jitter_micros, mos_milli, network_addr, origination_region, packet_loss_milli, progress_time, region,
               ring_time, sip_call_id, sip_user_agent, start_time, terminated_to, updated_at, rate)
             select ",
            $uuid,
            ", case when i % 10 = 0 then 'MA_BIG' else 'MA_' || cast(i % 97 as text) end,
               case when i % 4 = 0 then null else $3 + i * $4 + 5000000 end, case when i % 4 = 0 then 0 else i % 300 end,
               case when i % 3 = 0 then 'inbound' else 'outbound' end, '', ",
            $caller,
            ", '198.51.100.7', 'PCMA', 'sip-trunking', (i % 300) * 7500, $3 + i * $4, 'INR', ",
            $callee,
            ", i % 300 + 5, $3 + i * $4, case when i % 4 = 0 then 'NO_ANSWER' else 'NORMAL_CLEARING' end, 4000,
               'Normal Hangup', 'recv_bye', 'Caller', 1800, 4380, '192.0.2.4:5060', 'IN', 0, $3 + i * $4, 'IN', 5,
               'a84b4c76e66710@pc33.example', 'Asterisk PBX 20', $3 + i * $4, 'sip:919876543210@198.51.100.7',
               $3 + i * $4, '{\"per_minute\":450000,\"pulse_s\":60,\"minimum_s\":0,\"connection_fee\":0}' ",
            $from
        )
    };
}

const SQLITE: &str = fill!(
    "with recursive n(i) as (select cast($1 as integer) union all select i + 1 from n where i < $2)",
    "printf('%08x-0000-4000-8000-%012x', i, i)",
    "printf('+9180%08d', i * 7919 % 100000000)",
    "printf('+9198%08d', i * 2654435761 % 100000000)",
    "from n"
);
const POSTGRES: &str = fill!(
    "",
    "lpad(to_hex(i), 8, '0') || '-0000-4000-8000-' || lpad(to_hex(i), 12, '0')",
    "'+9180' || lpad(cast(i * 7919 % 100000000 as text), 8, '0')",
    "'+9198' || lpad(cast(i * 2654435761 % 100000000 as text), 8, '0')",
    "from generate_series(cast($1 as bigint), cast($2 as bigint)) as n(i)"
);

impl Command for Fill {
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(async move {
            let apart = DAYS * DAY_MICROS / self.rows;
            let params = [self.first.into(), self.last.into(), BEGINNING.into(), apart.into()];
            let sql = match tx.dialect() {
                Dialect::Sqlite => SQLITE,
                Dialect::Postgres => POSTGRES,
            };
            tx.execute(sql, &params).await
        })
    }
}
