//! A call from its reservation to its settlement.

use tandem_model::{AccountId, CallId, CarrierId, ErrorCode, Ids, LegRole, Money};
use tandem_store::NodeIdentity;
use tandem_store::calls::*;

use crate::support::*;

async fn balances(house: &House, account: &AccountId) -> (Money, Money, u64) {
    let reader = house.store.reader();
    let balance = reader.balance(account).await.unwrap().unwrap();
    let (live, _) = reader.concurrency(account).await.unwrap().unwrap();
    (balance.balance, balance.held, live)
}

fn units(units: i64) -> Money {
    Money::from_units(units)
}

on_both! {
    async fn a_call_holds_money_and_a_channel_and_pays_its_price_at_the_end(house: House) {
        let account = house.account("MA_A", 10).await;
        let reserve = reserve(&account, units(3));
        let call = reserve.call.clone();
        assert_eq!(house.writer.submit(reserve).await.unwrap(), ReserveOutcome::Reserved);
        assert_eq!(balances(&house, &account).await, (units(10), units(3), 1));

        let live = house.store.reader().live_call(call.call).await.unwrap().unwrap();
        assert_eq!(live.call, call);
        assert_eq!(&live.node, house.writer.node().unwrap());
        assert_eq!((live.answered_at, live.elapsed_s), (None, 0));

        let dialogs = vec![dialog(LegRole::A, "{}"), dialog(LegRole::B, "{}")];
        assert!(house.writer.submit(AnswerCall { call: call.call, at: at(5), dialogs: dialogs.clone() }).await.unwrap());
        house.writer.submit(NoteDialogs { call: call.call, carrier: None, dialogs: Vec::new() }).await.unwrap();
        let live = house.store.reader().live_call(call.call).await.unwrap().unwrap();
        assert_eq!(live.call.dialogs, dialogs, "a note that was overtaken does not replace the answer's dialogs");
        assert_eq!(live.call.state, LiveState::InProgress);
        assert!(live.orphan().answered);

        let outcome = house.writer.submit(settle(&account, call.call, units(1))).await.unwrap();
        assert_eq!(outcome, SettleOutcome::Settled { balance: units(9) });
        assert_eq!(balances(&house, &account).await, (units(9), Money::ZERO, 0));
        assert_eq!(house.store.reader().posted_cost(call.call).await.unwrap(), Some(units(1)));
        assert!(house.store.reader().live_call(call.call).await.unwrap().is_none());
        house.assert_clean().await;
    }

    async fn reserving_the_same_call_twice_takes_once(house: House) {
        let account = house.account("MA_A", 10).await;
        let call = new_call(&account, units(3));
        for _ in 0..2 {
            let again = ReserveCall { call: call.clone(), events: vec![event(&account, Some(call.call), "CallInitiated", 1)] };
            assert_eq!(house.writer.submit(again).await.unwrap(), ReserveOutcome::Reserved);
        }
        assert_eq!(balances(&house, &account).await, (units(10), units(3), 1));
        assert_eq!(house.store.reader().outbox_by_call(call.call).await.unwrap().len(), 1);
    }

    async fn a_reservation_is_refused_for_money_channels_or_a_disabled_account(house: House) {
        let account = house.account("MA_A", 10).await;
        let take = |hold| house.writer.submit(reserve(&account, hold));
        assert_eq!(take(units(10)).await.unwrap(), ReserveOutcome::Reserved, "all there is");
        let outcome = take(Money::from_micros(1)).await.unwrap();
        let ReserveOutcome::InsufficientBalance { available, currency } = outcome else { panic!("{outcome:?}") };
        assert_eq!((available, currency.as_str()), (Money::ZERO, "INR"));
        house.run("update account set concurrent_limit = 1").await;
        assert_eq!(take(Money::ZERO).await.unwrap(), ReserveOutcome::ConcurrencyExceeded { limit: 1 });
        house.run("update account set enabled = 0").await;
        assert_eq!(take(Money::ZERO).await.unwrap(), ReserveOutcome::AccountDisabled);
        let nobody = reserve(&AccountId::new("MA_NOBODY"), Money::ZERO);
        assert_eq!(house.writer.submit(nobody).await.unwrap(), ReserveOutcome::AccountDisabled);
        assert_eq!(balances(&house, &account).await, (units(10), units(10), 1), "refusals take nothing");
    }

    async fn a_credit_limit_can_be_reserved_to_the_last_micro(house: House) {
        let account = AccountId::new("MA_CREDIT");
        let open = OpenAccount { account: account.clone(), credit_limit: units(5), concurrent_limit: 9 };
        house.writer.submit(open).await.unwrap();
        let first = reserve(&account, units(5));
        let call = first.call.call;
        assert_eq!(house.writer.submit(first).await.unwrap(), ReserveOutcome::Reserved);
        let second = house.writer.submit(reserve(&account, Money::from_micros(1))).await.unwrap();
        assert!(matches!(second, ReserveOutcome::InsufficientBalance { .. }));
        let outcome = house.writer.submit(settle(&account, call, units(5))).await.unwrap();
        assert_eq!(outcome, SettleOutcome::Settled { balance: -units(5) });
        house.assert_clean().await;
    }

    async fn settling_twice_charges_once(house: House) {
        let account = house.account("MA_A", 10).await;
        let reserve = reserve(&account, units(3));
        let call = reserve.call.call;
        house.writer.submit(reserve).await.unwrap();
        let again = || async {
            let mut settle = settle(&account, call, units(2));
            settle.events = vec![event(&account, Some(call), "Hangup", 2)];
            house.writer.submit(settle).await.unwrap()
        };
        let outcomes = futures_util::future::join_all((0..20).map(|_| again())).await;
        let settled = outcomes.iter().filter(|outcome| matches!(outcome, SettleOutcome::Settled { .. })).count();
        assert_eq!(settled, 1);
        assert!(outcomes.iter().filter(|outcome| **outcome == SettleOutcome::AlreadySettled).count() == 19);
        assert_eq!(balances(&house, &account).await, (units(8), Money::ZERO, 0));
        assert_eq!(house.store.reader().outbox_by_call(call).await.unwrap().len(), 1);
        house.assert_clean().await;
    }

    async fn a_price_beyond_all_funds_is_refused_with_what_can_be_charged(house: House) {
        let account = house.account("MA_A", 10).await;
        let reserve = reserve(&account, units(3));
        let call = reserve.call.call;
        house.writer.submit(reserve).await.unwrap();
        let outcome = house.writer.submit(settle(&account, call, units(11))).await.unwrap();
        let SettleOutcome::CostExceedsFunds { chargeable, .. } = outcome else { panic!("{outcome:?}") };
        assert_eq!(chargeable, units(10));
        assert_eq!(balances(&house, &account).await, (units(10), units(3), 1), "nothing changed");
        let outcome = house.writer.submit(settle(&account, call, chargeable)).await.unwrap();
        assert_eq!(outcome, SettleOutcome::Settled { balance: Money::ZERO });
        house.assert_clean().await;
    }

    async fn a_call_that_was_never_reserved_cannot_be_settled(house: House) {
        let account = house.account("MA_A", 10).await;
        let outcome = house.writer.submit(settle(&account, CallId::random(), units(1))).await.unwrap();
        assert_eq!(outcome, SettleOutcome::NotLive);
        let other = house.account("MA_B", 10).await;
        let reserve = reserve(&account, units(1));
        let call = reserve.call.call;
        house.writer.submit(reserve).await.unwrap();
        let outcome = house.writer.submit(settle(&other, call, units(1))).await.unwrap();
        assert_eq!(outcome, SettleOutcome::NotLive, "nor by another account");
        house.assert_clean().await;
    }

    async fn a_free_call_leaves_a_record_and_no_posting(house: House) {
        let account = house.account("MA_A", 0).await;
        let reserve = reserve(&account, Money::ZERO);
        let call = reserve.call.call;
        assert_eq!(house.writer.submit(reserve).await.unwrap(), ReserveOutcome::Reserved);
        house.writer.submit(settle(&account, call, Money::ZERO)).await.unwrap();
        assert_eq!(house.store.reader().posted_cost(call).await.unwrap(), None);
        assert!(house.store.reader().call_record(&account, call).await.unwrap().is_some());
        house.assert_clean().await;
    }

    async fn calls_to_carriers_are_counted_for_other_processes(house: House) {
        let account = house.account("MA_A", 10).await;
        let (first, second) = (CarrierId(Ids::random()), CarrierId(Ids::random()));
        let reader = house.store.reader();
        let mut calls = Vec::new();
        for carrier in [Some(first), Some(first), None] {
            let mut command = reserve(&account, units(1));
            command.call.carrier = carrier;
            calls.push(command.call.call);
            house.writer.submit(command).await.unwrap();
        }
        assert_eq!(reader.live_calls_to_carriers(house.writer.node()).await.unwrap(), [], "its own it counts itself");
        let other = NodeIdentity { name: "another".to_owned(), epoch: 1 };
        assert_eq!(reader.live_calls_to_carriers(Some(&other)).await.unwrap(), [(first, 2)]);
        let note = |carrier| NoteDialogs { call: calls[0], carrier, dialogs: Vec::new() };
        house.writer.submit(note(Some(second))).await.unwrap();
        let mut counts = reader.live_calls_to_carriers(Some(&other)).await.unwrap();
        counts.sort_by_key(|(carrier, _)| *carrier != first);
        assert_eq!(counts, [(first, 1), (second, 1)], "the next carrier was tried");
        house.writer.submit(settle(&account, calls[0], Money::ZERO)).await.unwrap();
        assert_eq!(reader.live_calls_to_carriers(Some(&other)).await.unwrap(), [(first, 1)]);
    }

    async fn an_extension_takes_money_once_until_there_is_none(house: House) {
        let account = house.account("MA_A", 10).await;
        let reserve = reserve(&account, units(4));
        let call = reserve.call.call;
        house.writer.submit(reserve).await.unwrap();
        let extend = |covered_s, extra: i64| {
            house.writer.submit(ExtendCall { call, account: account.clone(), extra_hold: units(extra), covered_s })
        };
        assert_eq!(extend(120, 5).await.unwrap(), ExtendOutcome::Extended { hold: units(9) });
        assert_eq!(extend(120, 5).await.unwrap(), ExtendOutcome::Extended { hold: units(9) }, "asked twice, taken once");
        assert_eq!(extend(180, 2).await.unwrap(), ExtendOutcome::Exhausted { available: units(1) });
        assert_eq!(extend(180, 1).await.unwrap(), ExtendOutcome::Extended { hold: units(10) });
        let live = house.store.reader().live_call(call).await.unwrap().unwrap();
        assert_eq!((live.call.hold, live.call.covered_s), (units(10), Some(180)));
        let gone = ExtendCall { call: CallId::random(), account: account.clone(), extra_hold: units(1), covered_s: 9 };
        assert_eq!(house.writer.submit(gone).await.unwrap(), ExtendOutcome::Gone);
        house.assert_clean().await;
    }

    async fn ticks_move_forward_only_and_pass_over_ended_calls(house: House) {
        let account = house.account("MA_A", 1000).await;
        let mut calls = Vec::new();
        for _ in 0..65 {
            let reserve = reserve(&account, units(1));
            calls.push(reserve.call.call);
            house.writer.submit(reserve).await.unwrap();
        }
        let mut ticks: Vec<(CallId, u64)> = calls.iter().map(|call| (*call, 30)).collect();
        ticks.push((CallId::random(), 30));
        house.writer.submit(TickCalls(ticks)).await.unwrap();
        house.writer.submit(TickCalls(vec![(calls[0], 20), (calls[64], 31)])).await.unwrap();
        let live = house.store.reader().live_calls(&account, None).await.unwrap();
        let elapsed = |call| live.iter().find(|live| live.call.call == call).unwrap().elapsed_s;
        assert_eq!((elapsed(calls[0]), elapsed(calls[1]), elapsed(calls[64])), (30, 30, 31));
    }

    async fn lists_of_live_calls_filter_by_account_and_state(house: House) {
        let (a, b) = (house.account("MA_A", 10).await, house.account("MA_B", 10).await);
        let first = reserve(&a, units(1));
        let (call, trunk) = (first.call.call, first.call.trunk.unwrap());
        house.writer.submit(first).await.unwrap();
        house.writer.submit(reserve(&b, units(1))).await.unwrap();
        let reader = house.store.reader();
        assert_eq!(reader.live_calls(&a, None).await.unwrap().len(), 1);
        assert_eq!(reader.live_calls_of_trunk(trunk).await.unwrap(), 1);
        assert_eq!(reader.live_calls(&a, Some(LiveState::Queued)).await.unwrap().len(), 0);
        house.writer.submit(SetCallState { call, state: LiveState::Queued }).await.unwrap();
        assert_eq!(reader.live_calls(&a, Some(LiveState::Queued)).await.unwrap().len(), 1);
    }

    async fn calls_of_a_dead_or_replaced_process_are_orphans(house: House) {
        let account = house.account("MA_A", 10).await;
        let reserve = reserve(&account, units(1));
        let call = reserve.call.clone();
        house.writer.submit(reserve).await.unwrap();
        let reader = house.store.reader();
        assert!(reader.orphans(at(0), 10).await.unwrap().is_empty(), "its process lives");
        let silent = reader.orphans(at(1), 10).await.unwrap();
        assert_eq!(silent.len(), 1, "no heartbeat since then");
        assert_eq!(silent[0].call, call, "with every column");
        house.writer.submit(tandem_store::nodes::Heartbeat { at: at(5) }).await.unwrap();
        assert!(reader.orphans(at(1), 10).await.unwrap().is_empty());
        assert_eq!(reader.expired_nodes(at(6)).await.unwrap()[0].name, "node-1");
        house.run("update node set epoch = epoch + 1").await;
        assert_eq!(reader.orphans(at(1), 10).await.unwrap().len(), 1, "its epoch is not current");
    }

    async fn a_refusal_leaves_one_record_and_its_event(house: House) {
        let account = house.account("MA_A", 10).await;
        let call = CallId::random();
        let mut refused = record(&account, call);
        (refused.refused, refused.code) = (true, Some(ErrorCode::InsufficientBalance));
        for _ in 0..2 {
            let events = vec![event(&account, Some(call), "CallInitiated", 1)];
            house.writer.submit(RefuseCall { record: refused.clone(), events }).await.unwrap();
        }
        house.writer.submit(CountRefusals { record: call, more: 7, at: at(60) }).await.unwrap();
        let stored = house.store.reader().call_record(&account, call).await.unwrap().unwrap();
        assert_eq!((stored.refused, stored.code, stored.occurrences), (true, Some(ErrorCode::InsufficientBalance), 8));
        assert_eq!(house.store.reader().outbox_by_call(call).await.unwrap().len(), 1);
    }
}
