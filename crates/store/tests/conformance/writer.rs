//! The Writer's promises: batches survive poison, races run again, old processes are fenced, queues are
//! bounded, nothing is answered that is not committed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use futures_util::future::join_all;
use tandem_store::{BoxFuture, Command, Dialect, Interleaving, StoreError, Tx, WriterConfig};

use crate::support::*;

/// Puts a setting; poisoned ones violate NOT NULL.
struct Put {
    key: String,
    poison: bool,
    interleaving: Interleaving,
}

impl Put {
    fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), poison: false, interleaving: Interleaving::Alone }
    }
}

const PUT: &str = "insert into setting (key, value) values ($1, $2)";

impl Command for Put {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let value = (!self.poison).then_some("x");
            tx.execute(PUT, &[(&self.key).into(), value.into()]).await?;
            Ok(())
        })
    }

    fn interleaving(&self) -> Interleaving {
        self.interleaving
    }
}

async fn settings(house: &House) -> u64 {
    let row = house.store.reader().query_one("select count(*) as n from setting", &[]).await.unwrap();
    row.unwrap().count("n").unwrap()
}

async fn poison_one_of_256(house: &House, interleaving: Interleaving) {
    let batch =
        (0..256).map(|n| house.writer.submit(Put { key: format!("k{n}"), poison: n == 77, interleaving }));
    let outcomes = join_all(batch).await;
    for (n, outcome) in outcomes.iter().enumerate() {
        match n {
            77 => assert!(matches!(outcome, Err(StoreError::Statement { .. })), "{outcome:?}"),
            _ => assert!(outcome.is_ok(), "{n}: {outcome:?}"),
        }
    }
    assert_eq!(settings(house).await, 255);
}

/// Loses a race the first times it runs.
struct Unlucky {
    left: Arc<AtomicU32>,
}

impl Command for Unlucky {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            tx.execute(PUT, &["unlucky".into(), "x".into()]).await?;
            if self.left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok() {
                return Err(StoreError::Retry("lost a race".to_owned()));
            }
            Ok(())
        })
    }
}

/// Holds the Writer inside a transaction until told to go on.
struct Hold {
    entered: Arc<tokio::sync::Semaphore>,
    leave: Arc<tokio::sync::Semaphore>,
}

impl Command for Hold {
    type Output = ();

    fn run<'a>(&'a self, _: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            self.entered.add_permits(1);
            self.leave.acquire().await.unwrap().forget();
            Ok(())
        })
    }
}

on_both! {
    async fn one_poisoned_command_among_256_fails_alone(house: House) {
        poison_one_of_256(&house, Interleaving::Alone).await;
    }

    async fn one_poisoned_command_among_256_interleaved_fails_alone(house: House) {
        poison_one_of_256(&house, Interleaving::Free).await;
    }

    async fn a_lost_race_runs_again_and_commits_once(house: House) {
        let left = Arc::new(AtomicU32::new(2));
        house.writer.submit(Unlucky { left: left.clone() }).await.unwrap();
        assert_eq!(left.load(Ordering::SeqCst), 0);
        assert_eq!(settings(&house).await, 1, "earlier runs were rolled back");
    }

    async fn a_race_lost_for_ever_is_unavailable_in_the_end(house: House) {
        let left = Arc::new(AtomicU32::new(1000));
        let error = house.writer.submit(Unlucky { left }).await.unwrap_err();
        assert!(error.is_unavailable(), "{error:?}");
        house.writer.submit(Put::new("after")).await.unwrap();
        assert_eq!(settings(&house).await, 1);
    }

    async fn a_process_whose_name_was_claimed_writes_nothing_more(house: House) {
        house.writer.submit(Put::new("before")).await.unwrap();
        let (successor, _feed) = house.store.start_writer(WriterConfig::for_node("node-1", at(9))).await.unwrap();
        assert_eq!(successor.node().unwrap().epoch, house.writer.node().unwrap().epoch + 1);
        let error = house.writer.submit(Put::new("late")).await.unwrap_err();
        assert!(matches!(error, StoreError::Fenced { .. }), "{error:?}");
        successor.submit(Put::new("successor")).await.unwrap();
        assert_eq!(settings(&house).await, 2);
    }

    async fn a_full_queue_refuses_at_once(house: House) {
        let dialect = house.store.reader().dialect();
        let house = House::open_with(dialect, WriterConfig { queue: 4, ..WriterConfig::for_node("node-1", at(0)) }).await;
        let (entered, leave) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(tokio::sync::Semaphore::new(0)));
        house.writer.submit_detached(Hold { entered: entered.clone(), leave: leave.clone() }).unwrap();
        entered.acquire().await.unwrap().forget();
        for n in 0..4 {
            house.writer.submit_detached(Put::new(format!("q{n}"))).unwrap();
        }
        assert_eq!(house.writer.headroom(), 0);
        assert_eq!(house.writer.submit_detached(Put::new("one too many")), Err(StoreError::Overloaded));
        assert_eq!(house.writer.submit(Put::new("one too many")).await, Err(StoreError::Overloaded));
        leave.add_permits(1);
        house.writer.shutdown().await;
        assert_eq!(settings(&house).await, 4, "what was queued before the stop ran");
        assert_eq!(house.writer.submit(Put::new("too late")).await, Err(StoreError::Closed));
    }

    async fn events_of_a_failed_command_are_not_handed_to_delivery(house: House) {
        struct EmitAndFail;
        impl Command for EmitAndFail {
            type Output = ();
            fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
                Box::pin(async move {
                    tx.emit(&[event(&tandem_model::AccountId::new("MA_A"), None, "Hangup", 1)]).await?;
                    Err(StoreError::Data("no".to_owned()))
                })
            }
        }
        let mut house = house;
        house.writer.submit(EmitAndFail).await.unwrap_err();
        assert!(house.feed.try_next().is_none());
        assert_eq!(house.store.reader().outbox_counts().await.unwrap().pending, 0);
    }

    async fn a_full_feed_leaves_events_to_the_scan(house: House) {
        let dialect = house.store.reader().dialect();
        let mut house = House::open_with(dialect, WriterConfig { feed: 1, ..WriterConfig::for_node("node-1", at(0)) }).await;
        let account = tandem_model::AccountId::new("MA_A");
        let events: Vec<_> = (0..3).map(|n| event(&account, None, "Hangup", n)).collect();
        house.writer.submit(tandem_store::outbox::EnqueueEvents(events)).await.unwrap();
        assert!(house.feed.try_next().is_some());
        assert!(house.feed.try_next().is_none());
        assert_eq!(house.store.reader().outbox_counts().await.unwrap().pending, 3);
    }

    async fn readers_cannot_write(house: House) {
        let error = house.store.reader().query("delete from setting returning key", &[]).await.unwrap_err();
        assert!(!matches!(error, StoreError::Retry(_)), "{error:?}");
        house.writer.submit(Put::new("k")).await.unwrap();
        assert_eq!(settings(&house).await, 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_locked_by_another_process_is_waited_for() {
    let house = House::open(Dialect::Sqlite).await;
    let path = house.directory.path().join("tandem.db");
    let other = rusqlite::Connection::open(path).unwrap();
    other.execute_batch("begin immediate").unwrap();
    let waiting = house.writer.submit(Put::new("k"));
    let release = tokio::task::spawn_blocking(move || {
        // The other process works for a while.
        let until = tandem_model::clock::monotonic() + std::time::Duration::from_millis(300);
        while tandem_model::clock::monotonic() < until {
            std::thread::yield_now();
        }
        other.execute_batch("rollback").unwrap();
    });
    waiting.await.unwrap();
    release.await.unwrap();
    assert_eq!(settings(&house).await, 1);
}

/// Updates two rows in an order of its own, waiting for the other in between: a certain deadlock.
struct Cross {
    first: &'static str,
    second: &'static str,
    meet: Arc<tokio::sync::Barrier>,
    met: Arc<AtomicU32>,
}

impl Command for Cross {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const TOUCH: &str = "update setting set value = value || 'x' where key = $1";
        Box::pin(async move {
            tx.execute(TOUCH, &[self.first.into()]).await?;
            // Only the first runs meet; the loser runs again alone.
            if self.met.fetch_add(1, Ordering::SeqCst) < 2 {
                self.meet.wait().await;
            }
            tx.execute(TOUCH, &[self.second.into()]).await?;
            Ok(())
        })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_deadlock_on_postgres_is_run_again() {
    let house = House::open(Dialect::Postgres).await;
    let (second, _feed) = house.store.start_writer(WriterConfig::for_node("node-2", at(0))).await.unwrap();
    house.writer.submit(Put::new("a")).await.unwrap();
    house.writer.submit(Put::new("b")).await.unwrap();
    let (meet, met) = (Arc::new(tokio::sync::Barrier::new(2)), Arc::new(AtomicU32::new(0)));
    let cross = |first, second| Cross { first, second, meet: meet.clone(), met: met.clone() };
    let (one, two) = tokio::join!(house.writer.submit(cross("a", "b")), second.submit(cross("b", "a")));
    one.unwrap();
    two.unwrap();
    assert_eq!(met.load(Ordering::SeqCst), 3, "one of them ran twice");
    let rows = house.store.reader().query("select value from setting", &[]).await.unwrap();
    assert!(rows.iter().all(|row| row.text("value").unwrap() == "xxx"), "each committed once: {rows:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_postgres_connection_is_replaced() {
    let house = House::open(Dialect::Postgres).await;
    house.writer.submit(Put::new("before")).await.unwrap();
    let (tool, _feed) = house.store.start_writer(WriterConfig::unfenced(at(0))).await.unwrap();
    tool.submit(RunSql(
        "select count(pg_terminate_backend(pid)) as n from pg_stat_activity
         where datname = current_database() and pid <> pg_backend_pid()",
    ))
    .await
    .unwrap();
    for n in 0..3 {
        house.writer.submit(Put::new(format!("after {n}"))).await.unwrap();
    }
    assert_eq!(settings(&house).await, 4, "readers reconnect too");
}
