//! Postings, transfers, statements, and that nobody overdraws.

use std::sync::Arc;

use futures_util::future::join_all;
use tandem_model::{AccountId, Ids, Money};
use tandem_store::calls::ReserveOutcome;
use tandem_store::money::*;
use tandem_store::{Dialect, WriterConfig};

use crate::support::*;

fn posting(account: &AccountId, kind: PostKind, units: i64, reference: &str) -> Posting {
    Posting {
        id: Ids::random(),
        account: account.clone(),
        kind,
        amount: Money::from_units(units),
        ref_kind: "manual_adjustment".to_owned(),
        ref_id: reference.to_owned(),
        description: format!("Because of {reference}"),
        at: at(3),
    }
}

fn transfer(from: &AccountId, to: &AccountId, units: i64, reference: &str) -> Transfer {
    Transfer {
        id: Ids::random(),
        from: from.clone(),
        to: to.clone(),
        amount: Money::from_units(units),
        ref_kind: "ptc".to_owned(),
        ref_id: reference.to_owned(),
        description: "Monthly".to_owned(),
        at: at(4),
    }
}

on_both! {
    async fn a_reference_posts_once_and_never_with_another_amount(house: House) {
        let account = house.account("MA_A", 0).await;
        let post = |kind, units, reference: &str| house.writer.submit(Post(posting(&account, kind, units, reference)));
        let units = Money::from_units;
        assert_eq!(post(PostKind::TopUp, 10, "r1").await.unwrap(), PostOutcome::Done { balance: units(10) });
        assert_eq!(post(PostKind::TopUp, 10, "r1").await.unwrap(), PostOutcome::AlreadyDone { balance: units(10) });
        assert_eq!(post(PostKind::TopUp, 11, "r1").await.unwrap(), PostOutcome::ReferenceConflict { posted: units(10) });
        assert_eq!(post(PostKind::Fee, -4, "r1").await.unwrap(), PostOutcome::Done { balance: units(6) }, "another kind");
        let refused = post(PostKind::Fee, -7, "r2").await.unwrap();
        assert!(matches!(refused, PostOutcome::Insufficient { available, .. } if available == units(6)));
        assert_eq!(post(PostKind::Refund, 1, "r3").await.unwrap(), PostOutcome::Done { balance: units(7) });
        assert_eq!(post(PostKind::Adjustment, -7, "r4").await.unwrap(), PostOutcome::Done { balance: units(0) });
        let nobody = posting(&AccountId::new("MA_NOBODY"), PostKind::TopUp, 1, "r5");
        assert_eq!(house.writer.submit(Post(nobody)).await.unwrap(), PostOutcome::NoAccount);
        house.assert_clean().await;
    }

    async fn held_money_cannot_be_taken_by_a_fee(house: House) {
        let account = house.account("MA_A", 10).await;
        house.writer.submit(reserve(&account, Money::from_units(8))).await.unwrap();
        let outcome = house.writer.submit(Post(posting(&account, PostKind::Fee, -3, "f"))).await.unwrap();
        assert!(matches!(outcome, PostOutcome::Insufficient { available, .. } if available == Money::from_units(2)));
    }

    async fn a_transfer_moves_both_balances_or_neither(house: House) {
        let (a, b) = (house.account("PA_A", 10).await, house.account("MA_B", 0).await);
        let units = Money::from_units;
        let done = house.writer.submit(transfer(&a, &b, 4, "t1")).await.unwrap();
        assert_eq!(done, TransferOutcome::Done { from_balance: units(6), to_balance: units(4) });
        assert_eq!(house.writer.submit(transfer(&a, &b, 4, "t1")).await.unwrap(), TransferOutcome::AlreadyDone);
        let poor = house.writer.submit(transfer(&a, &b, 7, "t2")).await.unwrap();
        assert!(matches!(poor, TransferOutcome::Insufficient { available, .. } if available == units(6)));
        for impossible in [
            transfer(&a, &b, 0, "t3"),
            transfer(&a, &b, -1, "t3"),
            transfer(&a, &a, 1, "t3"),
            transfer(&a, &AccountId::new("MA_NOBODY"), 1, "t3"),
            transfer(&AccountId::new("MA_NOBODY"), &a, 1, "t3"),
        ] {
            assert_eq!(house.writer.submit(impossible).await.unwrap(), TransferOutcome::Impossible);
        }
        house.run("update account set currency = 'USD' where auth_id = 'MA_B'").await;
        assert_eq!(house.writer.submit(transfer(&a, &b, 1, "t4")).await.unwrap(), TransferOutcome::Impossible);
        house.assert_clean().await;
        let lines = house.store.reader().transactions(&b, &TransactionFilter::default(), 0, 10).await.unwrap().lines;
        assert_eq!((lines[0].amount, lines[0].counterparty.as_str()), (units(4), "PA_A"), "seen from the receiver");
    }

    async fn statements_filter_page_and_add_up(house: House) {
        let account = house.account("MA_A", 10).await;
        for n in 0..3 {
            let mut fee = posting(&account, PostKind::Fee, -1, &format!("n{n}"));
            (fee.ref_kind, fee.at) = ("did_rental".to_owned(), at(10 + n));
            house.writer.submit(Post(fee)).await.unwrap();
        }
        let reader = house.store.reader();
        let all = reader.transactions(&account, &TransactionFilter::default(), 0, 2).await.unwrap();
        assert_eq!((all.total, all.lines.len()), (4, 2));
        assert_eq!(all.lines[0].created_at, at(12), "newest first");
        assert_eq!(all.lines[0].balance_after, Money::from_units(7));
        let count = async |filter: TransactionFilter| reader.transactions(&account, &filter, 0, 10).await.unwrap().total;
        let none = TransactionFilter::default;
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(count(TransactionFilter { credits: Some(true), ..none() }).await, 1);
        assert_eq!(count(TransactionFilter { credits: Some(false), ..none() }).await, 3);
        assert_eq!(count(TransactionFilter { from: Some(at(11)), before: Some(at(12)), ..none() }).await, 1);
        assert_eq!(count(TransactionFilter { kind: text("fee"), ..none() }).await, 3);
        assert_eq!(count(TransactionFilter { ref_kind: text("payment"), ..none() }).await, 1);
        assert_eq!(count(TransactionFilter { description: text("BECAUSE of n1"), ..none() }).await, 1);
        assert_eq!(count(TransactionFilter { reference: text("did_rental:n2"), ..none() }).await, 1);
        assert_eq!(count(TransactionFilter { id: Some(all.lines[0].id), ..none() }).await, 1);
        assert_eq!(count(TransactionFilter { currency: "USD".parse().ok(), ..none() }).await, 0);
        let summary = reader.transaction_summary(&account, &none()).await.unwrap();
        assert_eq!((summary.count(), summary.debit(), summary.credit()), (4, Money::from_units(3), Money::from_units(10)));
        assert_eq!(summary.by_reference.iter().map(|t| t.ref_kind.as_str()).collect::<Vec<_>>(), ["did_rental", "payment"]);
    }

    async fn verification_finds_each_kind_of_damage(house: House) {
        let account = house.account("MA_A", 10).await;
        let reserve = reserve(&account, Money::from_units(2));
        let call = reserve.call.call;
        house.writer.submit(reserve).await.unwrap();
        house.writer.submit(settle(&account, call, Money::from_units(1))).await.unwrap();
        house.assert_clean().await;
        let report = async |damage: &'static str, repair: &'static str| {
            house.run(damage).await;
            let report = house.store.reader().verify_ledger().await.unwrap();
            house.run(repair).await;
            house.assert_clean().await;
            report
        };
        let found = report("update account set balance = balance + 1", "update account set balance = balance - 1").await;
        assert_eq!((found.balances.len(), found.balances[0].expected, found.balances[0].found), (1, 9_000_000, 9_000_001));
        let found = report("update account set held = 5", "update account set held = 0").await;
        assert_eq!(found.held[0].found, 5);
        let found = report("update account set live_calls = 2", "update account set live_calls = 0").await;
        assert_eq!(found.live_calls[0].found, 2);
        let found = report("update call_record set cost = cost + 1", "update call_record set cost = cost - 1").await;
        assert_eq!((found.records[0].expected, found.records[0].found), (1_000_000, 1_000_001));
        let found = report(
            "update ledger_entry set amount = amount + 1 where account = 'sys:revenue'",
            "update ledger_entry set amount = amount - 1 where account = 'sys:revenue'",
        ).await;
        assert_eq!((found.currencies[0].found, found.transactions.len()), (1, 1));
        let found = report("update ledger_tx set ref_id = ref_id || 'x' where kind = 'call'",
            "update ledger_tx set ref_id = replace(ref_id, 'x', '') where kind = 'call'").await;
        assert_eq!(found.unrecorded.len(), 1);
    }

    async fn sixty_four_concurrent_debits_never_overdraw(house: House) {
        let account = house.account("MA_A", 10).await;
        let outcomes = join_all((0..64).map(|n| {
            house.writer.submit(Post(posting(&account, PostKind::Fee, -1, &format!("fee {n}"))))
        })).await;
        let done = outcomes.iter().filter(|outcome| matches!(outcome, Ok(PostOutcome::Done { .. }))).count();
        assert_eq!(done, 10, "the model's maximum");
        let outcomes = join_all((0..64).map(|_| house.writer.submit(reserve(&account, Money::from_micros(1))))).await;
        assert!(outcomes.iter().all(|outcome| matches!(outcome, Ok(ReserveOutcome::InsufficientBalance { .. }))));
        house.assert_clean().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_on_one_postgres_spend_every_unit_at_most_once() {
    let house = House::open(Dialect::Postgres).await;
    let (second, _feed) = house.store.start_writer(WriterConfig::for_node("node-2", at(0))).await.unwrap();
    let (a, b) = (house.account("MA_A", 100).await, house.account("MA_B", 100).await);
    let (a, b) = (Arc::new(a), Arc::new(b));
    let mut rounds = Vec::new();
    for n in 0..128 {
        let writer = if n % 2 == 0 { house.writer.clone() } else { second.clone() };
        let (a, b) = if n % 4 < 2 { (a.clone(), b.clone()) } else { (b.clone(), a.clone()) };
        rounds.push(async move {
            let mut taken = 0;
            for turn in 0..4 {
                let call = reserve(&a, Money::from_units(1));
                let id = call.call.call;
                if writer.submit(call).await.unwrap() == ReserveOutcome::Reserved {
                    taken += 1;
                    writer.submit(settle(&a, id, Money::from_units(1))).await.unwrap();
                }
                // Both ways at once: without locks in id order these deadlock.
                writer.submit(transfer(&a, &b, 1, &format!("{n}/{turn}"))).await.unwrap();
            }
            taken
        });
    }
    let taken: i64 = join_all(rounds).await.into_iter().sum();
    let reader = house.store.reader();
    let left = reader.balance(&a).await.unwrap().unwrap().balance
        + reader.balance(&b).await.unwrap().unwrap().balance;
    assert_eq!(
        left + Money::from_units(taken),
        Money::from_units(200),
        "every unit is spent once or still there"
    );
    assert!(left >= Money::ZERO);
    house.assert_clean().await;
}
