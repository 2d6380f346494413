//! Three months of many numbers, with the platform killed again and again while it collects: the real binary, its clock moved
//! on from start to start, SIGKILL at random moments. Afterwards the ledger, as REST shows it, must hold each number's
//! months: each once, none other, and add up. `make rental` runs it with 10,000 numbers.

mod estate;
mod options;

use std::time::Duration;

use jiff::Timestamp;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tandem_model::clock;
use tandem_testkit::databases::{Fsync, PostgresCluster};
use tandem_testkit::{Platform, PlatformOptions};

use self::estate::{Estate, MONTHS};
use self::options::Options;

/// Longest a step may take once nobody kills it.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often progress is looked at, and the latest kill after a start.
const LOOK: Duration = Duration::from_millis(200);
const KILL_WITHIN_MS: u64 = 500;
/// So many numbers take longer than a start.
const LONG: usize = 5_000;

/// The platform of one step: the same data under a later clock.
struct World {
    folder: tempfile::TempDir,
    database: Option<String>,
}

impl World {
    /// Starts it so that its clock shows `instant`.
    fn start(&self, instant: &str) -> Platform {
        let wanted: Timestamp = instant.parse().expect("an instant");
        let ahead = wanted.as_second() - clock::wall().as_second();
        assert!(ahead > 0, "{instant} is past: move the dates of this test");
        let arguments = vec!["--clock-ahead".to_owned(), ahead.to_string()];
        let options = PlatformOptions {
            database: self.database.clone(),
            data: Some(self.folder.path().to_owned()),
            arguments,
            ..PlatformOptions::default()
        };
        Platform::start(env!("CARGO_BIN_EXE_tandem"), options)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_kill_charges_a_number_twice_or_forgets_a_month() {
    let options = Options::from_environment();
    let mut random = StdRng::seed_from_u64(options.seed);
    eprintln!(
        "{} numbers, {} kills a step, SEED={}, {}",
        options.numbers,
        options.kills,
        options.seed,
        if options.postgres { "PostgreSQL" } else { "SQLite" }
    );
    let cluster = options.postgres.then(|| PostgresCluster::start(Fsync::On));
    let database = cluster.as_ref().map(PostgresCluster::create_database);
    let world = World { folder: tempfile::tempdir().expect("a folder"), database };

    let platform = world.start("2061-01-31T12:00:00Z");
    let mut estate = Estate::build(&platform, options.numbers).await;
    estate.buy_first_half(&platform).await;
    drop(platform);
    let platform = world.start("2061-02-10T12:00:00Z");
    estate.buy_second_half(&platform).await;
    drop(platform);

    let (mut kills, mut caught, began) = (0, 0, clock::monotonic());
    // The month of 31 January ends on 28 February; on 11 April two months have been missed.
    for (instant, months) in
        [("2061-03-01T00:00:00Z", 0.5), ("2061-04-11T00:00:00Z", 2.0), ("2061-05-11T00:00:00Z", 3.0)]
    {
        let expected = estate.rents_after(months);
        for _ in 0..options.kills {
            let mut platform = world.start(instant);
            tokio::time::sleep(Duration::from_millis(random.random_range(0..KILL_WITHIN_MS))).await;
            let before = estate.rents(&platform).await;
            platform.kill();
            kills += 1;
            caught += u32::from(before < expected);
        }
        let platform = world.start(instant);
        let since = clock::monotonic();
        while estate.rents(&platform).await < expected {
            assert!(since.elapsed() < PATIENCE, "{}", platform.log());
            tokio::time::sleep(LOOK).await;
        }
        drop(platform);
    }
    let platform = world.start("2061-05-11T00:01:00Z");
    estate.judge(&platform).await;
    eprintln!(
        "{} months of {} numbers, {kills} kills in {} s ({caught} of them at work): each month once, the ledger is clean",
        estate.rents_after(MONTHS),
        options.numbers,
        began.elapsed().as_secs()
    );
    // A few hundred numbers are charged before the API is up: only the long run is sure to be caught at work.
    let is_long = options.numbers >= LONG && options.kills > 0;
    assert!(!is_long || caught > 0, "every kill came too late: nothing was tested");
}
