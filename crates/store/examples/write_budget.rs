//! What a call costs the store: CPU µs and rows per reserve + answer + settle, at several concurrencies.
//!
//! `cargo run --release -p tandem-store --example write_budget -- [calls] [postgres-url]`
//! Without a URL: SQLite with synchronous=FULL in a temporary directory under the current one.

use jiff::Timestamp;
use tandem_model::{
    AccountId, CallDirection, CallId, Currency, DeliveryChannel, DialogRecord, EventId, HttpMethod, LegRole,
    Money, Rate, clock,
};
use tandem_store::calls::{
    AnswerCall, CallContext, CallRecord, LiveState, NewCall, ReserveCall, ReserveOutcome, SettleCall,
    SettleOutcome,
};
use tandem_store::{BoxFuture, Command, EventFeed, OutboxEvent, Store, StoreError, Tx, Writer, WriterConfig};
use tokio::task::JoinSet;

const CONCURRENCIES: [usize; 5] = [1, 8, 64, 256, 1024];

fn main() {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime starts");
    runtime.block_on(measure());
}

#[expect(clippy::print_stdout, reason = "the table is the product")]
async fn measure() {
    let mut arguments = std::env::args().skip(1);
    let calls: usize = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(20_000);
    let url = arguments.next();
    let directory = tempfile::tempdir_in(".").expect("the current directory is writable");
    let store = match &url {
        Some(url) => Store::open_postgres(url).await,
        None => Store::open_sqlite(directory.path()).await,
    };
    let store = store.expect("the database opens");
    let now = clock::wall();
    let (writer, feed) =
        store.start_writer(WriterConfig::for_node("bench", now)).await.expect("the writer starts");
    let mut drains = JoinSet::new();
    drains.spawn(drain(feed));
    let account = AccountId::new(&format!("MA_{}", now.as_microsecond()));
    writer.submit(OpenAccount(account.clone())).await.expect("the account opens");

    println!(
        "{:>11} {:>8} {:>9} {:>12} {:>14} {:>14} {:>14} {:>8}",
        "concurrency",
        "calls",
        "calls/s",
        "CPU µs/call",
        "reserve p50 ms",
        "reserve p99 ms",
        "max ms",
        "file MiB"
    );
    for concurrency in CONCURRENCIES {
        let calls = if concurrency == 1 { calls / 10 } else { calls };
        let (began, cpu) = (clock::monotonic(), cpu_micros());
        let mut workers = JoinSet::new();
        for worker in 0..concurrency {
            let share = calls / concurrency + usize::from(worker < calls % concurrency);
            workers.spawn(run(writer.clone(), account.clone(), share));
        }
        let mut waited = Vec::with_capacity(calls);
        while let Some(outcome) = workers.join_next().await {
            waited.extend(outcome.expect("a worker ends").expect("its calls succeed"));
        }
        waited.sort_unstable();
        let wait = |percent: usize| waited[(waited.len() - 1) * percent / 100] as f64 / 1000.0;
        let seconds = began.elapsed().as_secs_f64();
        let spent = (cpu_micros() - cpu) as f64 / calls as f64;
        let size = std::fs::metadata(directory.path().join("tandem.db")).map_or(0, |meta| meta.len() >> 20);
        println!(
            "{concurrency:>11} {calls:>8} {:>9.0} {spent:>12.1} {:>14.2} {:>14.2} {:>14.2} {size:>8}",
            calls as f64 / seconds,
            wait(50),
            wait(99),
            wait(100)
        );
    }
    let report = store.reader().verify_ledger().await.expect("the ledger reads");
    assert!(report.is_clean(), "{report:?}");
    writer.shutdown().await;
}

async fn drain(mut feed: EventFeed) {
    while feed.next().await.is_some() {}
}

/// Micro-seconds each reservation took.
async fn run(writer: Writer, account: AccountId, calls: usize) -> Result<Vec<u64>, StoreError> {
    let mut waited = Vec::with_capacity(calls);
    for _ in 0..calls {
        let (reserve, answer, settle) = triple(&account);
        let began = clock::monotonic();
        assert_eq!(writer.submit(reserve).await?, ReserveOutcome::Reserved);
        waited.push(began.elapsed().as_micros() as u64);
        assert!(writer.submit(answer).await?);
        assert!(matches!(writer.submit(settle).await?, SettleOutcome::Settled { .. }));
    }
    Ok(waited)
}

/// CPU time of the whole process.
fn cpu_micros() -> i64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
    (ticks(11) + ticks(12)) * 10_000
}

struct OpenAccount(AccountId);

impl Command for OpenAccount {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const OPEN: &str = "insert into account (auth_id, numeric_id, api_id, kind, name, country, currency,
            balance, concurrent_limit, created_at, updated_at)
          values ($1, $2, $1, 'master', 'bench', 'IN', 'INR', $3, 1000000, $2, $2)";
        const OPENING: &str = "insert into ledger_entry (tx_id, account, amount, balance_after, created_at)
          values ($1, $1, $2, $2, 0), ($1, 'sys:clearing', 0 - cast($2 as bigint), null, 0)";
        const TX: &str = "insert into ledger_tx (id, account_id, kind, ref_kind, ref_id, description, currency, created_at)
          values ($1, $1, 'topup', 'payment', $1, '', 'INR', 0)";
        const MILLION_MILLION: i64 = 1_000_000_000_000_000_000;
        Box::pin(async move {
            let id = clock::wall().as_microsecond();
            tx.execute(OPEN, &[(&self.0).into(), id.into(), MILLION_MILLION.into()]).await?;
            tx.execute(TX, &[(&self.0).into()]).await?;
            tx.execute(OPENING, &[(&self.0).into(), MILLION_MILLION.into()]).await?;
            Ok(())
        })
    }
}

fn triple(account: &AccountId) -> (ReserveCall, AnswerCall, SettleCall) {
    let now = clock::wall();
    let call = CallId::random();
    let rate = Rate {
        per_minute: Money::from_micros(450_000),
        pulse_s: 60,
        minimum_s: 0,
        connection_fee: Money::ZERO,
    };
    let dialogs = vec![dialog(LegRole::A), dialog(LegRole::B)];
    let reserve = ReserveCall {
        call: NewCall {
            call,
            account: account.clone(),
            parent_call: None,
            state: LiveState::Ringing,
            direction: CallDirection::Outbound,
            from: "918065551234".to_owned(),
            to: "919876543210".to_owned(),
            trunk: None,
            carrier: None,
            application: None,
            currency: Currency::INR,
            facts: "{\"caller_name\":\"918065551234\",\"bill_rate\":\"0.45\",\"sip_call_id\":\"a84b4c76e66710@pc33.example\"}".to_owned(),
            plan: "{\"webhook_url\":\"https://customer.example/hooks/trunk\",\"method\":\"POST\"}".to_owned(),
            rate,
            hold: rate.cost(120),
            covered_s: Some(120),
            started_at: now,
            dialogs: dialogs.clone(),
        },
        events: vec![event(account, call, "CallInitiated", 1, now)],
    };
    let answer = AnswerCall { call, at: now, dialogs };
    let settle = SettleCall {
        record: record(account, call, rate, now),
        description: "Call to 919876543210".to_owned(),
        recording: None,
        events: vec![event(account, call, "Hangup", 2, now)],
    };
    (reserve, answer, settle)
}

fn dialog(role: LegRole) -> DialogRecord {
    let snapshot = "{\"call_id\":\"a84b4c76e66710@pc33.example\",\"local_tag\":\"t1-9fxced76sl\",\"remote_tag\":\"1928301774\",\"cseq\":314159,\"target\":\"sip:192.0.2.4:5060\",\"routes\":[],\"flow\":\"udp:192.0.2.4:5060\"}";
    DialogRecord { role, snapshot: snapshot.to_owned() }
}

fn event(account: &AccountId, call: CallId, kind: &str, sequence: u64, at: Timestamp) -> OutboxEvent {
    OutboxEvent {
        event: EventId::random(),
        account: account.clone(),
        call: Some(call),
        endpoint_key: "https://customer.example".to_owned(),
        kind: kind.to_owned(),
        channel: DeliveryChannel::DurableTrunk,
        url: "https://customer.example/hooks/trunk".to_owned(),
        method: HttpMethod::Post,
        content_type: "application/json".to_owned(),
        body: format!(
            "{{\"Event\":\"{kind}\",\"CallUUID\":\"{call}\",\"From\":\"+918065551234\",\"To\":\"+919876543210\",\"Direction\":\"outbound\",\"Status\":\"initiated\",\"TrunkID\":\"3f0e8f0e-7c0e-4c56-9a3f-1d2b3c4d5e6f\",\"Domain\":\"3f0e8f0e.sip.example\",\"SourceIP\":\"192.0.2.4\",\"SIPCallID\":\"a84b4c76e66710@pc33.example\",\"Allowed\":true,\"Reason\":\"\"}}"
        ),
        secret_kind: "trunk".to_owned(),
        secret_ref: "3f0e8f0e-7c0e-4c56-9a3f-1d2b3c4d5e6f".to_owned(),
        sequence,
        created_at: at,
    }
}

fn record(account: &AccountId, call: CallId, rate: Rate, now: Timestamp) -> CallRecord {
    CallRecord {
        id: 0,
        uuid: call,
        account: account.clone(),
        answer_time: Some(now),
        billsec: 42,
        bridge_uuid: None,
        call_direction: CallDirection::Outbound,
        caller_id_name: "918065551234".to_owned(),
        caller_id_number: "918065551234".to_owned(),
        campaign_id: None,
        carrier_ip: Some("198.51.100.7".to_owned()),
        codec: Some("PCMA".to_owned()),
        context: CallContext::SipTrunking,
        cost: rate.cost(42),
        created_at: now,
        currency: Currency::INR,
        customer_endpoint: None,
        destination_number: "919876543210".to_owned(),
        duration: 47,
        end_time: now,
        failure_code: None,
        failure_reason: None,
        hangup_cause: Some("NORMAL_CLEARING".to_owned()),
        hangup_cause_code: Some(4000),
        hangup_cause_name: Some("Normal Hangup".to_owned()),
        hangup_disposition: Some("recv_bye".to_owned()),
        hangup_source: Some("Caller".to_owned()),
        jitter_micros: Some(1800),
        mos_milli: Some(4380),
        network_addr: Some("192.0.2.4:5060".to_owned()),
        origination_region: "IN".to_owned(),
        packet_loss_milli: Some(0),
        progress_time: Some(now),
        region: "IN".to_owned(),
        ring_time: 5,
        sip_call_id: "a84b4c76e66710@pc33.example".to_owned(),
        sip_user_agent: Some("Asterisk PBX 20".to_owned()),
        start_time: now,
        streaming_cost: Money::ZERO,
        terminated_to: Some("sip:919876543210@198.51.100.7".to_owned()),
        trunk: None,
        updated_at: now,
        parent_call: None,
        application: None,
        carrier: None,
        refused: false,
        code: None,
        occurrences: 1,
        rate,
        recording: None,
        answered_while_cancelling: false,
        sub_account: None,
    }
}
