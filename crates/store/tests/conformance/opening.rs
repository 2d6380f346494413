//! Opening, locking, migrating.

use tandem_store::{Dialect, Store, StoreError, WriterConfig};
use tandem_testkit::databases::PostgresCluster;

use crate::support::*;

#[tokio::test]
async fn a_data_directory_belongs_to_one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let first = Store::open_sqlite(directory.path()).await.unwrap();
    assert!(matches!(Store::open_sqlite(directory.path()).await, Err(StoreError::Locked(_))));
    drop(first);
    Store::open_sqlite(directory.path()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_committed_is_there_after_reopening() {
    let directory = tempfile::tempdir().unwrap();
    for expected_epoch in 1..=3 {
        let store = Store::open_sqlite(directory.path()).await.unwrap();
        let (writer, _feed) = store.start_writer(WriterConfig::for_node("n", at(0))).await.unwrap();
        assert_eq!(writer.node().unwrap().epoch, expected_epoch);
        writer.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_starting_at_once_migrate_one_after_the_other() {
    let url = PostgresCluster::shared().create_database();
    let opened = futures_util::future::join_all((0..4).map(|_| Store::open_postgres(&url))).await;
    assert!(opened.iter().all(Result::is_ok));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_of_a_newer_program_is_refused() {
    for dialect in [Dialect::Sqlite, Dialect::Postgres] {
        let house = House::open(dialect).await;
        house.run("insert into schema_migration (number, name) values (9999, '9999_future')").await;
        house.writer.shutdown().await;
        let House { store, url, directory, .. } = house;
        drop(store);
        let again = match url {
            Some(url) => Store::open_postgres(&url).await,
            None => Store::open_sqlite(directory.path()).await,
        };
        assert!(matches!(again, Err(StoreError::Schema(_))), "{dialect:?}");
    }
}

#[tokio::test]
async fn an_unreachable_server_is_unavailable() {
    let error = Store::open_postgres("host=/nonexistent user=x dbname=x").await.err().unwrap();
    assert!(error.is_unavailable(), "{error:?}");
}
