//! The three deliberate faults do what they say, and nothing of the kind happens without them. PostgreSQL
//! tells which transaction wrote a row (`xmin`), and can be made to fail at commit.

#![expect(clippy::unwrap_used, reason = "test code: a panic is the failure report")]

#[path = "conformance/support.rs"]
#[expect(dead_code, unused_imports, unused_macros, reason = "shared with the conformance suite")]
mod support;

use support::*;
use tandem_model::{CallId, Money};
use tandem_store::calls::SettleOutcome;
use tandem_store::{Dialect, Fault, WriterConfig};

async fn house(fault: Option<Fault>) -> House {
    let config = WriterConfig { fault, ..WriterConfig::for_node("node-1", at(0)) };
    House::open_with(Dialect::Postgres, config).await
}

/// Transactions that wrote the record, the ledger and the event of one settled call.
async fn writers_of_a_settlement(fault: Option<Fault>) -> (String, String, String) {
    let house = house(fault).await;
    let account = house.account("MA_A", 10).await;
    let reserve = reserve(&account, Money::from_units(1));
    let call = reserve.call.call;
    house.writer.submit(reserve).await.unwrap();
    let mut settle = settle(&account, call, Money::from_units(1));
    settle.events = vec![event(&account, Some(call), "Hangup", 2)];
    assert!(matches!(house.writer.submit(settle).await.unwrap(), SettleOutcome::Settled { .. }));
    house.writer.shutdown().await;
    let xmin = async |sql: &'static str, call: CallId| {
        let row = house.store.reader().query_one(sql, &[call.into()]).await.unwrap();
        row.expect("without a crash, faults lose nothing").string("x").unwrap()
    };
    (
        xmin("select cast(xmin as text) as x from call_record where uuid = $1", call).await,
        xmin("select cast(xmin as text) as x from ledger_tx where id = $1", call).await,
        xmin("select cast(xmin as text) as x from outbox where call_id = $1", call).await,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn record_money_and_event_share_a_transaction_unless_a_fault_parts_them() {
    let (record, money, event) = writers_of_a_settlement(None).await;
    assert!(record == money && money == event);
    let (record, money, event) = writers_of_a_settlement(Some(Fault::OutboxInSecondTransaction)).await;
    assert!(record == money && money != event);
    let (record, money, event) = writers_of_a_settlement(Some(Fault::RecordOutsideTransaction)).await;
    assert!(record != money && money == event);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_fails_is_reported_unless_a_fault_acknowledges_before_it() {
    for (fault, acknowledged) in [(None, false), (Some(Fault::AcknowledgeBeforeCommit), true)] {
        let house = house(fault).await;
        house
            .run("create function refuse() returns trigger language plpgsql as 'begin raise exception ''no''; end'")
            .await;
        house
            .run(
                "create constraint trigger refuse after insert on setting deferrable initially deferred
                  for each row execute function refuse()",
            )
            .await;
        let outcome = house.writer.submit(RunSql("insert into setting (key, value) values ('k', 'v')")).await;
        assert_eq!(outcome.is_ok(), acknowledged, "{outcome:?}");
        house.writer.shutdown().await;
        let rows = house.store.reader().query("select key from setting", &[]).await.unwrap();
        assert!(rows.is_empty(), "either way it was not written");
    }
}
