//! kill -9, again and again: the real binary, real SIP, real webhooks. The platform is killed at random moments while a
//! PBX and a carrier, which live in this process, go on calling; afterwards their logs and the customer's are joined with
//! the records that REST shows, and every difference is a violation of the promise.
//!
//! The cast: `traffic` offers calls, `killer` kills, `customer` takes events, `house` provisions and asks, `evidence` is
//! what they saw, `judge` says what is wrong with it. `make kill-loop` runs it for long; `scripts/kill-loop faults` shows
//! that it fails on three planted faults.

mod customer;
mod evidence;
mod house;
mod judge;
mod killer;
mod options;
mod traffic;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tandem_model::clock;
use tandem_server::simulator::{Carrier, CarrierConfig};
use tandem_testkit::databases::{Fsync, PostgresCluster};
use tandem_testkit::{Platform, PlatformOptions};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use self::customer::Customer;
use self::evidence::{Evidence, legs};
use self::house::House;
use self::judge::Verdict;
use self::options::Options;
use self::traffic::Network;

/// Sights the killer has not looked at yet; more are dropped.
const SIGHTS: usize = 1_024;
/// No event for so long, and no live call: everything that comes has come. Longer than three retries (1, 2, 4 s).
const QUIET: Duration = Duration::from_secs(9);
/// Longer than a planted fault takes to store what it said it had.
const FAULTY_PAUSE: Duration = Duration::from_millis(100);
/// At the latest the evidence is taken so long after the last call's end.
const DRAIN_MAX: Duration = Duration::from_mins(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_loses_doubles_or_overcharges_a_call_or_loses_an_event() {
    let options = Options::from_environment();
    eprintln!(
        "{} kills, {} calls/s, SEED={}, {}{}",
        options.kills,
        options.rate,
        options.seed,
        if options.postgres { "PostgreSQL" } else { "SQLite" },
        options.fault.as_ref().map(|fault| format!(", planted fault {fault}")).unwrap_or_default(),
    );
    let folder = tempfile::tempdir().expect("a folder");
    let cluster = options.postgres.then(|| PostgresCluster::start(Fsync::On));
    let started = PlatformOptions {
        database: cluster.as_ref().map(PostgresCluster::create_database),
        data: Some(folder.path().to_owned()),
        arguments: options.fault.iter().flat_map(|fault| ["--fault".to_owned(), fault.clone()]).collect(),
        ..PlatformOptions::default()
    };
    let began = clock::monotonic();
    let platform = Platform::start(env!("CARGO_BIN_EXE_tandem"), started);
    let evidence = run(platform, folder.path(), &options).await;
    let verdict = Verdict::of(&evidence);
    let seconds = clock::monotonic().duration_since(began).as_secs();
    let words = format!("{} kills in {seconds} s: {verdict}", evidence.deaths.len());
    let kept = (!verdict.is_clean()).then(|| folder.keep());
    assert!(kept.is_none(), "{words}\nthe logs are in {kept:?}");
    eprintln!("{words}");
    assert!(verdict.answered > 0 && verdict.cut_off > 0, "no call was live at a kill: nothing was tested");
}

async fn run(mut platform: Platform, folder: &Path, options: &Options) -> Evidence {
    let customer = Customer::start().await;
    let (see, mut sights) = mpsc::channel(SIGHTS);
    let (carrier_log, pbx_log) = (folder.join("carrier.jsonl"), folder.join("pbx.jsonl"));
    let simulated = |log: &Path, salt: u64| CarrierConfig {
        seed: options.seed ^ salt,
        log_path: Some(log.to_owned()),
        ..CarrierConfig::new(platform.sip)
    };
    let carrier = CarrierConfig { observer: Some(see), ..simulated(&carrier_log, 1) };
    let carrier = Arc::new(Carrier::start(carrier).await.expect("a carrier"));
    let pbx = Arc::new(Carrier::start(simulated(&pbx_log, 2)).await.expect("a PBX"));
    let pause = options.fault.as_ref().map_or(Duration::ZERO, |_| FAULTY_PAUSE);
    let house = House::build(&platform, &customer, carrier.addr(), pause).await;

    let (stop, stopped) = watch::channel(false);
    let network = Network { carrier: carrier.clone(), pbx: pbx.clone(), house: house.clone() };
    // A task of its own: the killer blocks this one while the platform is down.
    let mut traffic = JoinSet::new();
    traffic.spawn(traffic::offer(network, options.rate, options.seed, stopped));
    let deaths = killer::kill(&mut platform, options.kills, options.seed ^ 3, &mut sights).await;
    // The last start must serve calls too.
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.send_replace(true);
    let offers = traffic.join_all().await.concat();
    eprintln!("{} calls were offered and have ended; waiting for what is left", offers.len());
    drain(&platform, &house, &customer).await;
    let books = house.books(&platform).await;
    let records = house.records(&platform).await;
    carrier.shutdown().await;
    pbx.shutdown().await;
    Evidence {
        offers,
        carrier: legs(&carrier_log),
        pbx: legs(&pbx_log),
        events: customer.events(),
        records,
        deaths,
        books,
    }
}

/// Waits until nothing is live and nothing comes any more.
async fn drain(platform: &Platform, house: &House, customer: &Customer) {
    let began = clock::monotonic();
    let (mut count, mut since) = (customer.event_count(), began);
    while clock::monotonic().duration_since(began) < DRAIN_MAX {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = clock::monotonic();
        let more = customer.event_count();
        if more != count || house.live_calls(platform).await > 0 {
            (count, since) = (more, now);
        } else if now.duration_since(since) >= QUIET {
            return;
        }
    }
}
