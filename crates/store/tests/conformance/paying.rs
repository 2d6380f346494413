//! Low balances told of once, payments credited once, statements that add up, storms that conserve money.

use futures_util::future::join_all;
use tandem_model::{AccountId, CallId, Currency, Ids, Money};
use tandem_store::audit::Actor;
use tandem_store::calls::{CallRecord, RefuseCall};
use tandem_store::money::*;
use tandem_store::payments::*;
use tandem_store::resources::account::{Alerts, PutAlerts};
use tandem_store::{Dialect, Writer, WriterConfig};

use crate::support::*;

fn fee(account: &AccountId, units: i64, reference: &str) -> Post {
    Post(Posting {
        id: Ids::random(),
        account: account.clone(),
        kind: PostKind::Fee,
        amount: Money::from_units(-units),
        ref_kind: "did_rental".to_owned(),
        ref_id: reference.to_owned(),
        description: "Rental".to_owned(),
        at: at(3),
    })
}

async fn watched(house: &House, units: i64, threshold: i64) -> AccountId {
    let account = house.account("MA_A", units).await;
    let alerts = Alerts {
        low_balance_threshold: Money::from_units(threshold),
        url: Some("https://shop.example/low".to_owned()),
        endpoint_key: Some("https://shop.example".to_owned()),
        email: Some("ops@shop.example".to_owned()),
    };
    let put =
        PutAlerts { account: account.clone(), alerts, fields: vec![], actor: Actor::system(), at: at(2) };
    assert!(house.writer.submit(put).await.unwrap());
    account
}

/// The URLs told so far.
async fn told(house: &House) -> Vec<String> {
    let rows = house
        .store
        .reader()
        .query("select url from outbox where kind = 'balance.low' order by url", &[])
        .await;
    rows.unwrap().iter().map(|row| row.string("url").unwrap()).collect()
}

fn intent(account: &AccountId, units: i64) -> PaymentIntent {
    PaymentIntent {
        id: Ids::random(),
        account: account.clone(),
        amount: Money::from_units(units),
        currency: Currency::INR,
        provider: "http".to_owned(),
        provider_reference: "r1".to_owned(),
        checkout_url: "https://gateway.example/1".to_owned(),
        state: "pending".to_owned(),
        reason: None,
        created_at: at(1),
        updated_at: at(1),
        completed_at: None,
    }
}

fn verdict(intent: &PaymentIntent, units: i64, verdict: PaymentVerdict) -> SettlePayment {
    SettlePayment {
        id: intent.id,
        account: intent.account.clone(),
        amount: Money::from_units(units),
        currency: intent.currency,
        verdict,
        transaction: Ids::random(),
        at: at(9),
    }
}

on_both! {
    async fn a_fall_through_the_threshold_is_told_of_once_by_any_debit(house: House) {
        let account = watched(&house, 20, 10).await;
        house.writer.submit(fee(&account, 10, "to it")).await.unwrap();
        assert!(told(&house).await.is_empty(), "at the threshold is not below it");
        house.writer.submit(fee(&account, 1, "below")).await.unwrap();
        assert_eq!(told(&house).await, ["https://shop.example/low", "mailto:ops@shop.example"]);
        house.writer.submit(fee(&account, 1, "below")).await.unwrap();
        house.writer.submit(fee(&account, 1, "further below")).await.unwrap();
        assert_eq!(told(&house).await.len(), 2, "once a crossing, and a repeated debit is none");
        house.top_up(&account, 12).await;
        let call = reserve(&account, Money::from_units(15));
        let id = call.call.call;
        house.writer.submit(call).await.unwrap();
        assert_eq!(told(&house).await.len(), 2, "a hold is no debit");
        house.writer.submit(settle(&account, id, Money::from_units(15))).await.unwrap();
        house.writer.submit(settle(&account, id, Money::from_units(15))).await.unwrap();
        assert_eq!(told(&house).await.len(), 4, "a call that crosses it tells again, once");
        house.top_up(&account, 20).await;
        let other = house.account("MA_B", 0).await;
        let transfer = Transfer { id: Ids::random(), from: account.clone(), to: other, amount: Money::from_units(20),
            ref_kind: "ptc".to_owned(), ref_id: "t".to_owned(), description: String::new(), at: at(8) };
        assert!(matches!(house.writer.submit(transfer).await.unwrap(), TransferOutcome::Done { .. }));
        assert_eq!(told(&house).await.len(), 6);
        house.assert_clean().await;
    }

    async fn sixty_four_debits_at_once_cross_once(house: House) {
        let account = watched(&house, 64, 32).await;
        let (fees, calls): (Vec<_>, Vec<_>) = (0..64).map(|n| (n, reserve(&account, Money::from_micros(1)))).unzip();
        let ids: Vec<CallId> = calls.iter().map(|call| call.call.call).collect();
        join_all(calls.into_iter().take(32).map(|call| house.writer.submit(call))).await;
        let fees = join_all(fees.into_iter().take(32).map(|n| house.writer.submit(fee(&account, 1, &format!("f{n}")))));
        let settled = join_all(ids.iter().take(32).map(|id| house.writer.submit(settle(&account, *id, Money::from_units(1)))));
        tokio::join!(fees, settled);
        assert_eq!(told(&house).await.len(), 2, "one webhook, one letter");
    }

    async fn a_payment_is_credited_once_however_often_it_is_said(house: House) {
        let account = house.account("MA_A", 0).await;
        let wish = intent(&account, 50);
        for _ in 0..2 {
            house.writer.submit(OpenIntent { intent: wish.clone(), actor: Actor::system() }).await.unwrap();
        }
        let say = async |units, word| house.writer.submit(verdict(&wish, units, word)).await.unwrap();
        assert_eq!(say(49, PaymentVerdict::Paid).await, SettlePaymentOutcome::OtherAmount);
        let failed = PaymentVerdict::Failed { reason: "declined".to_owned() };
        assert_eq!(say(50, failed.clone()).await, SettlePaymentOutcome::Failed);
        assert_eq!(say(50, failed.clone()).await, SettlePaymentOutcome::Repeated);
        let twins = join_all((0..16).map(|_| house.writer.submit(verdict(&wish, 50, PaymentVerdict::Paid)))).await;
        let credited = twins.iter().filter(|o| matches!(o, Ok(SettlePaymentOutcome::Credited { .. }))).count();
        assert_eq!(credited, 1, "paid beats failed, once");
        assert_eq!(say(50, failed).await, SettlePaymentOutcome::Repeated, "what is paid stays paid");
        let reader = house.store.reader();
        assert_eq!(reader.balance(&account).await.unwrap().unwrap().balance, Money::from_units(50));
        let (rows, total) = reader.payment_intents(&account, 0, 9).await.unwrap();
        assert_eq!((rows[0].state.as_str(), rows[0].completed_at, total), ("completed", Some(at(9)), 1));
        let other = AccountId::new("MA_B");
        let stranger = verdict(&PaymentIntent { account: other, ..wish.clone() }, 50, PaymentVerdict::Paid);
        assert_eq!(house.writer.submit(stranger).await.unwrap(), SettlePaymentOutcome::NoIntent);
        house.assert_clean().await;
    }

    async fn days_and_lines_of_a_ledger_add_up_to_its_balance(house: House) {
        let account = house.account("MA_A", 100).await;
        for n in 0..25 {
            let mut one = fee(&account, 1, &format!("f{n}"));
            one.0.at = at(n / 3 * 40_000);
            house.writer.submit(one).await.unwrap();
        }
        let reader = house.store.reader();
        let days = reader.ledger_days(&account).await.unwrap();
        let sum = days.iter().fold(Money::ZERO, |sum, day| sum + day.credit - day.debit);
        assert_eq!((sum, days.iter().map(|day| day.count).sum::<u64>()), (Money::from_units(75), 26));
        assert!(days.windows(2).all(|pair| pair[0].day < pair[1].day) && days.len() > 2);
        let (from, before) = (at(40_000), at(200_000));
        let opening = reader.ledger_before(&account, from).await.unwrap();
        let (mut after, mut lines) = (None, Vec::new());
        loop {
            let page = reader.ledger_lines_after(&account, from, before, after, 4).await.unwrap();
            after = page.last().map(|line| LedgerCursor { at: line.created_at, id: line.id });
            let last = page.len() < 4;
            lines.extend(page);
            if last { break; }
        }
        let ids: std::collections::BTreeSet<_> = lines.iter().map(|line| line.id).collect();
        assert_eq!((lines.len(), ids.len()), (12, 12), "each line once, though three share an instant");
        let closing = lines.iter().fold(opening, |sum, line| sum + line.amount);
        assert_eq!(closing, reader.ledger_before(&account, before).await.unwrap());
    }

    async fn a_partners_ledger_traffic_and_numbers_are_its_customers(house: House) {
        let (a, b) = (house.account("MA_A", 10).await, house.account("MA_B", 10).await);
        house.run("update account set partner_id = 'PA_P' where auth_id = 'MA_A'").await;
        house.run("insert into number (e164, id, account_id, country, currency, created_at, updated_at)
            values ('+918045670001', 'd0000000-0000-4000-8000-000000000001', 'MA_A', 'IN', 'INR', 0, 0),
                   ('+918045670002', 'd0000000-0000-4000-8000-000000000002', 'MA_B', 'IN', 'INR', 0, 0)").await;
        for account in [&a, &b] {
            house.writer.submit(fee(account, 1, "x")).await.unwrap();
            let refused = CallRecord { refused: true, ..record(account, CallId::random()) };
            house.writer.submit(RefuseCall { record: refused, events: Vec::new() }).await.unwrap();
        }
        let (reader, partner) = (house.store.reader(), AccountId::new("PA_P"));
        let none = TransactionFilter::default;
        let of = LedgerOf::CustomersOf(&partner);
        let page = reader.transactions(of, &none(), 0, 10).await.unwrap();
        assert!(page.total == 2 && page.lines.iter().all(|line| line.account == a));
        assert_eq!(reader.transaction_summary(of, &none()).await.unwrap().debit(), Money::from_units(1));
        for (search, total) in [("RENTAL", 1), ("did_rental:x", 1), ("ma_a", 2), ("MA_B", 0), ("%", 0)] {
            let filter = TransactionFilter { search: Some(search.to_owned()), ..none() };
            assert_eq!(reader.transactions(of, &filter, 0, 10).await.unwrap().total, total, "{search}");
        }
        let traffic = reader.customers_traffic(&partner, at(0), at(100)).await.unwrap();
        assert_eq!((traffic.len(), traffic[0].calls, traffic[0].answered, traffic[0].billsec), (1, 1, 1, 42));
        assert_eq!(traffic[0].day, at(1).as_second() / 86_400);
        assert!(reader.customers_traffic(&partner, at(2), at(100)).await.unwrap().is_empty());
        let (numbers, total) = reader.customers_numbers(&partner, None, 0, 10).await.unwrap();
        assert_eq!((numbers[0].e164.plus().as_str(), total), ("+918045670001", 1));
        assert_eq!(reader.customer_totals(&partner, Currency::INR).await.unwrap(), (1, 1, Money::from_units(9)));
    }

    async fn a_storm_of_transfers_to_a_hundred_customers_conserves_money(house: House) {
        storm(&house, std::slice::from_ref(&house.writer)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storm_through_two_writers_on_one_postgres_conserves_money() {
    let house = House::open(Dialect::Postgres).await;
    let (second, _feed) = house.store.start_writer(WriterConfig::for_node("node-2", at(0))).await.unwrap();
    storm(&house, &[house.writer.clone(), second]).await;
}

/// A partner with money for 650 of 1,000 transfers, while its customers send half of theirs back.
async fn storm(house: &House, writers: &[Writer]) {
    const CUSTOMERS: i64 = 100;
    let partner = house.account("PA_P", 650).await;
    let mut customers = Vec::new();
    for n in 0..CUSTOMERS {
        customers.push(house.account(&format!("MA_{n:03}"), 1).await);
    }
    let transfer = |from: &AccountId, to: &AccountId, reference: String| Transfer {
        id: Ids::random(),
        from: from.clone(),
        to: to.clone(),
        amount: Money::from_units(1),
        ref_kind: "ptc".to_owned(),
        ref_id: reference,
        description: "Storm".to_owned(),
        at: at(4),
    };
    let send = |n: usize| {
        let (writer, customer) = (&writers[n % writers.len()], &customers[n % customers.len()]);
        writer.submit(transfer(&partner, customer, format!("down {n}")))
    };
    let down = join_all((0..1_000).map(send)).await;
    let done = |outcomes: &[Result<TransferOutcome, _>]| {
        let done = |outcome: &&Result<TransferOutcome, tandem_store::StoreError>| {
            matches!(outcome, Ok(TransferOutcome::Done { .. }))
        };
        assert!(outcomes.iter().all(Result::is_ok));
        outcomes.iter().filter(done).count()
    };
    assert_eq!(done(&down), 650, "the model's maximum");
    // Both ways at once; every transfer that was asked for twice is made once.
    let up = join_all((0..400).map(|n| {
        let (writer, customer) = (&writers[n % writers.len()], &customers[n % customers.len()]);
        writer.submit(transfer(customer, &partner, format!("up {}", n % 200)))
    }));
    let again = join_all((1_000..1_200).map(send));
    let (up, again) = tokio::join!(up, again);
    let (up, again) = (done(&up), done(&again));
    let reader = house.store.reader();
    let mut total = reader.balance(&partner).await.unwrap().unwrap().balance;
    assert_eq!(total, Money::from_units((up - again) as i64));
    for customer in &customers {
        let balance = reader.balance(customer).await.unwrap().unwrap().balance;
        assert!(balance >= Money::ZERO, "{customer}");
        total += balance;
    }
    assert_eq!(total, Money::from_units(650 + CUSTOMERS));
    house.assert_clean().await;
}
