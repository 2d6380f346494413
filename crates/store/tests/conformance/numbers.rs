//! Numbers after they are bought: their months, their end, whose they are, what calls they had.

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tandem_model::{AccountId, CallDirection, CallId, E164, EventKind, Ids, Money, month_end_after};
use tandem_store::audit::Actor;
use tandem_store::calls::{RefuseCall, ReserveCall};
use tandem_store::money::TransactionFilter;
use tandem_store::resources::number::*;

use crate::support::*;

const DAY: i64 = 24 * 3600;
const ONE: &str = "+918000000001";
const GRACE: Grace = Grace {
    lasts: SignedDuration::from_hours(7 * 24),
    retry: SignedDuration::from_hours(6),
    warns: SignedDuration::from_hours(24),
    quarantine: SignedDuration::from_hours(45 * 24),
};

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

/// Adds numbers that cost a unit to buy and ten a month.
async fn stock(house: &House, numbers: &[&str]) {
    let numbers =
        numbers.iter().map(|text| InventoryNumber { e164: number(text), id: Ids::random() }).collect();
    let add = AddInventory {
        numbers,
        country: "IN".to_owned(),
        region: String::new(),
        setup_fee: Money::from_units(1),
        monthly_fee: Money::from_units(10),
        currency: tandem_model::Currency::INR,
        minimum_commitment_months: 0,
        actor: Actor::system(),
        at: at(0),
    };
    house.writer.submit(add).await.unwrap();
}

async fn buy_from(house: &House, owner: &AccountId, text: &str, seller: Seller) -> BuyOutcome {
    let command = BuyNumber {
        e164: number(text),
        owner: owner.clone(),
        sub_account: None,
        purchase: Ids::random(),
        next_billing_at: month_end_after(at(0), at(0)),
        seller,
        actor: Actor::system(),
        at: at(0),
    };
    house.writer.submit(command).await.unwrap()
}

async fn buy(house: &House, owner: &AccountId, text: &str) {
    let bought = buy_from(house, owner, text, Seller::Inventory).await;
    assert!(matches!(bought, BuyOutcome::Bought(_)), "{bought:?}");
}

/// Days after the purchase.
fn day(days: i64) -> Timestamp {
    at(days * DAY)
}

fn rent(due: &DueNumber, now: Timestamp) -> RentNumber {
    RentNumber {
        number: due.clone(),
        transaction: Ids::random(),
        next: month_end_after(due.bought, due.due),
        grace: GRACE,
        at: now,
    }
}

/// Everything that is due, as the clerk does it.
async fn collect(house: &House, now: Timestamp) -> Vec<RentOutcome> {
    let mut outcomes = Vec::new();
    loop {
        let due = house.store.reader().rentals_due(now, 3).await.unwrap();
        if due.is_empty() {
            return outcomes;
        }
        for due in due {
            outcomes.push(house.writer.submit(rent(&due, now)).await.unwrap());
        }
    }
}

async fn rents(house: &House, account: &AccountId) -> u64 {
    let filter =
        TransactionFilter { ref_kind: Some("did_rental".to_owned()), ..TransactionFilter::default() };
    house.store.reader().transactions(account, &filter, 0, 9).await.unwrap().total
}

async fn balance(house: &House, account: &AccountId) -> i64 {
    house.store.reader().balance(account).await.unwrap().unwrap().balance.micros / 1_000_000
}

async fn read(house: &House, text: &str) -> Number {
    house.store.reader().number(number(text)).await.unwrap().unwrap()
}

fn release(owner: &AccountId, fee: i64, when: ReleaseWhen, now: Timestamp) -> ReleaseNumber {
    ReleaseNumber {
        e164: number(ONE),
        owner: owner.clone(),
        fee: Money::from_units(fee),
        transaction: Ids::random(),
        when,
        quarantine_until: now + GRACE.quarantine,
        actor: Actor::system(),
        at: now,
    }
}

fn cancel(owner: &AccountId, now: Timestamp) -> CancelRelease {
    CancelRelease {
        e164: number(ONE),
        owner: owner.clone(),
        transaction: Ids::random(),
        actor: Actor::system(),
        at: now,
    }
}

async fn tell(house: &House) {
    house.run("update account set alert_url = 'https://shop.example/a', alert_endpoint = 'shop.example', alert_email = 'a@shop.example'").await;
}

fn told(house: &mut House) -> Vec<(String, String)> {
    std::iter::from_fn(|| house.feed.try_next()).map(|event| (event.kind, event.url)).collect()
}

on_both! {
    async fn each_month_is_paid_once_and_months_that_were_missed_are_caught_up(house: House) {
        let account = house.account("MA_A", 1000).await;
        stock(&house, &[ONE, "+918000000002"]).await;
        buy(&house, &account, ONE).await;
        buy(&house, &account, "+918000000002").await;
        assert!(house.store.reader().rentals_due(day(27), 9).await.unwrap().is_empty());
        assert_eq!(collect(&house, day(31)).await, [RentOutcome::Paid; 2]);
        assert_eq!(collect(&house, day(31)).await, [], "paid is paid");
        assert_eq!((rents(&house, &account).await, balance(&house, &account).await), (2, 1000 - 22 - 20));
        assert_eq!(collect(&house, day(31 + 95)).await, [RentOutcome::Paid; 6], "three months of nobody's looking");
        assert_eq!(rents(&house, &account).await, 8);
        let one = read(&house, ONE).await;
        assert_eq!(one.next_billing_at, Some(month_end_after(at(0), day(31 + 95))));
        assert!(one.last_billing_at.unwrap() <= day(31 + 95));
        house.assert_clean().await;
    }

    async fn sixteen_clerks_at_once_take_one_month(house: House) {
        let account = house.account("MA_A", 1000).await;
        stock(&house, &[ONE]).await;
        buy(&house, &account, ONE).await;
        let due = house.store.reader().rentals_due(day(31), 9).await.unwrap().remove(0);
        let outcomes = join_all((0..16).map(|_| house.writer.submit(rent(&due, day(31))))).await;
        let paid = outcomes.into_iter().filter(|outcome| matches!(outcome, Ok(RentOutcome::Paid))).count();
        assert_eq!((paid, rents(&house, &account).await, balance(&house, &account).await), (1, 1, 1000 - 11 - 10));
        house.run("update number set next_billing_at = last_billing_at, rent_try_at = last_billing_at").await;
        assert_eq!(collect(&house, day(31)).await, [RentOutcome::Paid], "a row that forgot finds the month in the ledger");
        assert_eq!((rents(&house, &account).await, balance(&house, &account).await), (1, 1000 - 11 - 10));
        house.assert_clean().await;
    }

    async fn a_month_without_money_is_owed_told_and_paid_when_there_is_some(house: House) {
        let mut house = house;
        let account = house.account("MA_A", 15).await;
        tell(&house).await;
        stock(&house, &[ONE]).await;
        buy(&house, &account, ONE).await;
        told(&mut house);
        assert_eq!(collect(&house, day(40)).await, [RentOutcome::Unpaid { again: day(40) + GRACE.retry }]);
        let letter = EventKind::NumberUnpaidLetter.name().to_owned();
        assert_eq!(told(&mut house), [
            (EventKind::NumberUnpaid.name().to_owned(), "https://shop.example/a".to_owned()),
            (letter, "mailto:a@shop.example".to_owned()),
        ]);
        assert_eq!(collect(&house, day(41)).await.len(), 1);
        assert!(told(&mut house).is_empty(), "once when it begins");
        assert_eq!((read(&house, ONE).await.status.as_str(), read(&house, ONE).await.unpaid_since), ("active", Some(day(40))));
        house.top_up(&account, 10).await;
        assert_eq!(collect(&house, day(42)).await, [RentOutcome::Paid]);
        let number = read(&house, ONE).await;
        assert_eq!((number.unpaid_since, number.next_billing_at), (None, Some(month_end_after(at(0), month_end_after(at(0), at(0))))));
        assert_eq!(rents(&house, &account).await, 1);
        house.assert_clean().await;
    }

    async fn a_month_that_stays_unpaid_ends_the_number_after_its_grace_and_not_before(house: House) {
        let mut house = house;
        let account = house.account("MA_A", 11).await;
        tell(&house).await;
        stock(&house, &[ONE]).await;
        buy(&house, &account, ONE).await;
        collect(&house, day(100)).await;
        told(&mut house);
        collect(&house, day(106)).await;
        assert_eq!(told(&mut house).len(), 2, "told again a day before the end");
        collect(&house, day(107) - SignedDuration::from_micros(1)).await;
        assert_eq!((read(&house, ONE).await.status.as_str(), told(&mut house).len()), ("active", 0));
        assert_eq!(collect(&house, day(107)).await, [RentOutcome::Released]);
        assert_eq!(told(&mut house)[0].0, "number.released");
        let number = read(&house, ONE).await;
        assert_eq!((number.account, number.status.as_str(), number.released_at), (None, "released", Some(day(107))));
        assert_eq!(number.quarantine_until, Some(day(107 + 45)));
        assert_eq!(collect(&house, day(400)).await, []);
        assert_eq!((rents(&house, &account).await, balance(&house, &account).await), (0, 0));
        house.assert_clean().await;
    }

    async fn a_release_waits_a_day_can_be_taken_back_and_gives_its_fee_back_once(house: House) {
        let (a, b) = (house.account("MA_A", 1000).await, house.account("MA_B", 1000).await);
        stock(&house, &[ONE]).await;
        buy(&house, &a, ONE).await;
        let submit = async |command| house.writer.submit(command).await.unwrap();
        let later = ReleaseWhen::At(day(2));
        assert_eq!(submit(release(&b, 7, later, day(1))).await, ReleaseOutcome::NotOwned);
        let rich = release(&a, 5000, later, day(1));
        assert!(matches!(submit(rich).await, ReleaseOutcome::Insufficient { .. }));
        assert_eq!(read(&house, ONE).await.status, "active", "nothing happened");
        let accepted = ReleaseOutcome::Accepted { fee: Money::from_units(700) };
        assert_eq!(submit(release(&a, 700, later, day(1))).await, accepted);
        assert_eq!((read(&house, ONE).await.status.as_str(), balance(&house, &a).await), ("pending_release", 1000 - 11 - 700));
        assert_eq!(submit(release(&a, 700, later, day(1))).await, ReleaseOutcome::Pending { until: day(2) });
        assert_eq!(house.writer.submit(cancel(&b, day(1))).await.unwrap(), CancelOutcome::NotOwned);
        let cancelled = CancelOutcome::Cancelled { refund: Money::from_units(700), currency: tandem_model::Currency::INR };
        assert_eq!(house.writer.submit(cancel(&a, day(1))).await.unwrap(), cancelled);
        assert_eq!(house.writer.submit(cancel(&a, day(1))).await.unwrap(), CancelOutcome::NotPending);
        assert_eq!((read(&house, ONE).await.status.as_str(), balance(&house, &a).await), ("active", 1000 - 11));

        assert_eq!(submit(release(&a, 700, later, day(1))).await, accepted);
        let reader = house.store.reader();
        assert!(reader.releases_due(day(2) - SignedDuration::from_micros(1), 9).await.unwrap().is_empty());
        assert_eq!(house.writer.submit(cancel(&a, day(2))).await.unwrap(), CancelOutcome::NotPending, "the window is over");
        assert_eq!(collect(&house, day(60)).await, [], "what is given back is not rented");
        let (e164, owner) = reader.releases_due(day(2), 9).await.unwrap().remove(0);
        let finish = || FinishRelease { e164, owner: owner.clone(), quarantine_until: day(47), at: day(2) };
        assert!(house.writer.submit(finish()).await.unwrap());
        assert!(!house.writer.submit(finish()).await.unwrap());
        assert!(matches!(buy_from(&house, &b, ONE, Seller::Inventory).await, BuyOutcome::NotInInventory), "it rests");
        let end = |days| house.writer.submit(EndQuarantines { at: day(days), limit: 9 });
        assert_eq!((end(46).await.unwrap(), end(47).await.unwrap(), end(48).await.unwrap()), (0, 1, 0));
        buy(&house, &b, ONE).await;
        assert_eq!(read(&house, ONE).await.released_at, None);
        house.assert_clean().await;
    }

    async fn a_release_at_once_needs_no_window_and_ends_one_that_runs(house: House) {
        let account = house.account("MA_A", 2000).await;
        stock(&house, &[ONE]).await;
        buy(&house, &account, ONE).await;
        house.run("update number set minimum_commitment_months = 2").await;
        let submit = async |command| house.writer.submit(command).await.unwrap();
        let committed = submit(release(&account, 7, ReleaseWhen::Now, day(30))).await;
        assert!(matches!(committed, ReleaseOutcome::Committed { until } if until > day(55) && until < day(63)), "{committed:?}");
        let now = day(63);
        assert!(matches!(submit(release(&account, 7, ReleaseWhen::At(day(64)), now)).await, ReleaseOutcome::Accepted { .. }));
        let paid = balance(&house, &account).await;
        let accepted = ReleaseOutcome::Accepted { fee: Money::from_units(7) };
        assert_eq!(submit(release(&account, 99, ReleaseWhen::Now, now)).await, accepted, "the fee it cost already");
        assert_eq!((balance(&house, &account).await, read(&house, ONE).await.account), (paid, None));
        house.assert_clean().await;
    }

    async fn a_number_that_had_a_call_stays_with_its_sub_account_for_a_while(house: House) {
        let a = house.account("MA_A", 1000).await;
        house.account("SA_1", 0).await;
        house.account("SA_2", 0).await;
        house.account("SA_X", 0).await;
        house.run("update account set kind = 'sub', parent_id = 'MA_A' where auth_id in ('SA_1', 'SA_2')").await;
        stock(&house, &[ONE]).await;
        buy(&house, &a, ONE).await;
        let assign = async |sub: Option<&str>, cool_off: Option<SignedDuration>, now| {
            let command = AssignSubAccount { e164: number(ONE), owner: a.clone(), sub_account: sub.map(AccountId::new), cool_off, actor: Actor::system(), at: now };
            house.writer.submit(command).await.unwrap()
        };
        let cool_off = Some(SignedDuration::from_hours(15 * 24));
        assert_eq!(assign(Some("SA_X"), cool_off, day(1)).await, AssignSubOutcome::NoSubAccount);
        assert_eq!(assign(None, cool_off, day(1)).await, AssignSubOutcome::NotAssigned);
        assert_eq!(assign(Some("SA_1"), cool_off, day(1)).await, AssignSubOutcome::Done);
        assert_eq!(assign(Some("SA_2"), cool_off, day(1)).await, AssignSubOutcome::Done, "never called, moved at once");
        let mut called = record(&a, CallId::random());
        called.call_direction = CallDirection::Inbound;
        called.destination_number = ONE.to_owned();
        called.start_time = day(3);
        house.writer.submit(RefuseCall { record: called, events: Vec::new() }).await.unwrap();
        let until = AssignSubOutcome::CoolOff { until: day(18) };
        assert_eq!(assign(None, cool_off, day(4)).await, until, "before anybody added it up");
        let newest = house.store.reader().newest_record().await.unwrap();
        assert_eq!(house.writer.submit(AddTraffic { upto: newest, limit: 100 }).await.unwrap(), newest);
        assert_eq!(assign(None, cool_off, day(18) - SignedDuration::from_micros(1)).await, until);
        assert_eq!(assign(None, None, day(4)).await, AssignSubOutcome::Done, "the operator insists");
        assert_eq!(assign(Some("SA_1"), cool_off, day(4)).await, AssignSubOutcome::Done);
        let mut live = new_call(&a, Money::ZERO);
        live.to = "918000000001".to_owned();
        house.writer.submit(ReserveCall { call: live, events: Vec::new() }).await.unwrap();
        assert_eq!(assign(None, cool_off, day(30)).await, AssignSubOutcome::CoolOff { until: day(45) }, "somebody talks");
    }

    async fn calls_of_a_number_add_up_once_and_only_its_owners(house: House) {
        let (a, b) = (house.account("MA_A", 1000).await, house.account("MA_B", 1000).await);
        stock(&house, &[ONE]).await;
        buy(&house, &a, ONE).await;
        let call = async |account: &AccountId, inbound: bool, hour: i64, answered: bool| {
            let mut call = record(account, CallId::random());
            if inbound {
                call.call_direction = CallDirection::Inbound;
                call.destination_number = ONE.to_owned();
            } else {
                call.caller_id_number = ONE.to_owned();
            }
            call.start_time = at(hour * 3600);
            call.answer_time = answered.then(|| at(hour * 3600 + 1));
            call.billsec = if answered { 60 } else { 0 };
            house.writer.submit(RefuseCall { record: call, events: Vec::new() }).await.unwrap();
        };
        call(&a, true, 0, true).await;
        call(&a, false, 0, false).await;
        call(&a, true, 30, true).await;
        call(&b, true, 0, true).await;
        let reader = house.store.reader();
        let steps = async |hours| {
            let steps = reader.number_traffic(&a, number(ONE), at(0) - SignedDuration::from_hours(48), hours).await.unwrap();
            steps.into_iter().map(|step| (step.calls, step.answered, step.billsec)).collect::<Vec<_>>()
        };
        let expected = vec![(1, 1, 60), (2, 1, 60)];
        assert_eq!(steps(1).await, expected, "before anybody added them up");
        let newest = reader.newest_record().await.unwrap();
        let first = house.writer.submit(AddTraffic { upto: newest, limit: 1 }).await.unwrap();
        assert!(first < newest);
        assert_eq!(steps(1).await, expected, "half added up");
        for _ in 0..3 {
            house.writer.submit(AddTraffic { upto: newest, limit: 100 }).await.unwrap();
        }
        assert_eq!(steps(1).await, expected);
        assert_eq!(steps(24).await.iter().map(|step| step.0).sum::<u64>(), 3);
        assert_eq!(read(&house, ONE).await.last_call_at, Some(at(30 * 3600)));
        assert_eq!(reader.number_traffic(&b, number(ONE), at(0), 1).await.unwrap(), [], "a stranger's number");
        house.writer.submit(PurgeTraffic { before: at(10 * 3600) }).await.unwrap();
        assert_eq!(steps(1).await.len(), 1);
    }

    async fn series_of_their_own_are_given_by_the_operator_only(house: House) {
        let a = house.account("MA_A", 1000).await;
        let mobile: Vec<String> = (0..6).map(|n| format!("+91921234567{n}")).collect();
        let mut all: Vec<&str> = mobile.iter().map(String::as_str).collect();
        all.push("+911400123456");
        stock(&house, &all).await;
        let filter = InventoryFilter::default();
        assert_eq!(house.store.reader().inventory(&filter, 0, 9).await.unwrap().1, 0);
        assert_eq!(buy_from(&house, &a, "+911400123456", Seller::Inventory).await, BuyOutcome::NotInInventory);
        let BuyOutcome::Bought(bought) = buy_from(&house, &a, "+911400123456", Seller::Operator).await else { panic!() };
        assert_eq!((bought.tags.as_str(), bought.aadhaar_required), ("[\"promotional\"]", false));
        for (n, text) in mobile.iter().enumerate() {
            let outcome = buy_from(&house, &a, text, Seller::Operator).await;
            assert_eq!(matches!(outcome, BuyOutcome::Bought(_)), n < 5, "{outcome:?}");
        }
        assert_eq!(read(&house, &mobile[5]).await.account, None);
        assert!(read(&house, &mobile[0]).await.aadhaar_required);
        let update = UpdateNumber {
            e164: number(&mobile[0]), is_blocked: None, aadhaar_verified: Some(true), minimum_commitment_months: Some(3),
            monthly_fee: None, tags: None, fields: vec!["aadhaar_verified"], actor: Actor::system(), at: at(5),
        };
        assert!(house.writer.submit(update).await.unwrap());
        let number = read(&house, &mobile[0]).await;
        assert_eq!((number.aadhaar_verified, number.minimum_commitment_months, number.is_blocked), (true, 3, false));
        house.assert_clean().await;
    }

    async fn urls_of_a_number_are_kept_and_go_with_it(house: House) {
        let a = house.account("MA_A", 1000).await;
        stock(&house, &[ONE]).await;
        buy(&house, &a, ONE).await;
        let urls = NumberUrls {
            answer: Some(tandem_model::UrlCall { url: "https://a.example/answer".to_owned(), method: tandem_model::HttpMethod::Get }),
            input: None,
            hangup: Some(tandem_model::UrlCall { url: "https://a.example/bye".to_owned(), method: tandem_model::HttpMethod::Post }),
        };
        let put = |owner: &str| PutNumberUrls { e164: number(ONE), owner: AccountId::new(owner), urls: urls.clone(), fields: vec!["answer_url"], actor: Actor::system(), at: at(5) };
        assert!(!house.writer.submit(put("MA_B")).await.unwrap());
        assert!(house.writer.submit(put("MA_A")).await.unwrap());
        assert_eq!(read(&house, ONE).await.urls, urls);
        house.writer.submit(release(&a, 0, ReleaseWhen::Now, day(1))).await.unwrap();
        assert_eq!(read(&house, ONE).await.urls, NumberUrls::default());
    }
}
