//! Capacity: moved between a partner and its customers, bought by the month; never below zero, never more than was given.

use futures_util::future::join_all;
use jiff::SignedDuration;
use tandem_model::{AccountId, Currency, Ids, Money};
use tandem_store::audit::Actor;
use tandem_store::capacity::*;

use crate::support::*;

async fn family(house: &House) -> (AccountId, AccountId) {
    let partner = house.account("PA_P", 0).await;
    let customer = house.account("MA_A", 0).await;
    house.run("update account set kind = 'partner', concurrent_limit = 100, cps_limit = 5 where auth_id = 'PA_P'").await;
    house.run("update account set partner_id = 'PA_P', concurrent_limit = 3, cps_limit = 1 where auth_id = 'MA_A'").await;
    (partner, customer)
}

fn shift(partner: &AccountId, customer: &AccountId, way: CapacityMove, slots: u32) -> MoveCapacity {
    MoveCapacity {
        reference: Ids::random().to_string(),
        partner: partner.clone(),
        customer: customer.clone(),
        resource: Resource::ConcurrentCalls,
        slots,
        way,
        description: "June".to_owned(),
        actor: Actor::system(),
        at: at(5),
    }
}

fn buy(account: &AccountId, quantity: u32, cost: i64) -> BuyChannels {
    BuyChannels {
        id: Ids::random(),
        transaction: Ids::random(),
        account: account.clone(),
        resource: Resource::Cps,
        quantity,
        monthly_cost: Money::from_units(cost),
        currency: Currency::INR,
        next_billing_at: at(100),
        actor: Actor::system(),
        at: at(10),
    }
}

on_both! {
    async fn a_move_changes_both_limits_and_is_logged(house: House) {
        let (partner, customer) = family(&house).await;
        let submit = async |way, slots| house.writer.submit(shift(&partner, &customer, way, slots)).await.unwrap();
        assert_eq!(submit(CapacityMove::Give, 101).await, MoveCapacityOutcome::PartnerShort { available: 100 });
        assert_eq!(submit(CapacityMove::TakeBack, 1).await, MoveCapacityOutcome::MoreThanGiven { given: 0 });
        assert_eq!(submit(CapacityMove::Give, 100).await, MoveCapacityOutcome::Moved { partner: 0, customer: 103 });
        assert_eq!(submit(CapacityMove::TakeBack, 40).await, MoveCapacityOutcome::Moved { partner: 40, customer: 63 });
        assert_eq!(submit(CapacityMove::TakeBack, 61).await, MoveCapacityOutcome::MoreThanGiven { given: 60 });
        house.run("update account set concurrent_limit = 10 where auth_id = 'MA_A'").await;
        assert_eq!(submit(CapacityMove::TakeBack, 11).await, MoveCapacityOutcome::CustomerShort { available: 10 });
        assert_eq!(submit(CapacityMove::TakeBack, 10).await, MoveCapacityOutcome::Moved { partner: 50, customer: 0 });
        let stranger = shift(&AccountId::new("PA_Q"), &customer, CapacityMove::Give, 1);
        assert_eq!(house.writer.submit(stranger).await.unwrap(), MoveCapacityOutcome::NoCustomer);
        let itself = shift(&partner, &partner, CapacityMove::Give, 1);
        assert_eq!(house.writer.submit(itself).await.unwrap(), MoveCapacityOutcome::NoCustomer);
        let reader = house.store.reader();
        let state = reader.capacity(&partner, &customer).await.unwrap().unwrap();
        assert_eq!((state.partner_concurrent, state.customer_concurrent, state.net_concurrent), (50, 0, 50));
        assert_eq!((state.partner_cps, state.customer_cps, state.net_cps), (5, 1, 0));
        let (moves, total) = reader.capacity_moves(&partner, 0, 2).await.unwrap();
        assert_eq!((moves.len(), total), (2, 3));
        assert_eq!(reader.capacity_moves(&AccountId::new("PA_Q"), 0, 9).await.unwrap().1, 0);
    }

    async fn sixty_four_moves_at_once_give_no_more_than_there_is(house: House) {
        let (partner, customer) = family(&house).await;
        let moves = (0..64).map(|_| house.writer.submit(shift(&partner, &customer, CapacityMove::Give, 3)));
        let done = join_all(moves).await.into_iter()
            .filter(|outcome| matches!(outcome, Ok(MoveCapacityOutcome::Moved { .. }))).count();
        assert_eq!(done, 33, "the model's maximum");
        let state = house.store.reader().capacity(&partner, &customer).await.unwrap().unwrap();
        assert_eq!((state.partner_concurrent, state.customer_concurrent, state.net_concurrent), (1, 102, 99));
    }

    async fn a_month_and_its_slots_change_hands_together(house: House) {
        let account = house.account("MA_A", 10).await;
        house.run("update account set cps_limit = 1").await;
        let reader = house.store.reader();
        let limits = async || {
            let row = reader.account_in_full(&account).await.unwrap().unwrap();
            (row.cps_limit, row.purchased_cps, row.balance.micros / 1_000_000)
        };
        let poor = house.writer.submit(buy(&account, 3, 11)).await.unwrap();
        assert_eq!(poor, BuyChannelsOutcome::Insufficient { available: Money::from_units(10) });
        assert_eq!(limits().await, (1, 0, 10), "nothing happened");
        let dollars = BuyChannels { currency: "USD".parse().unwrap(), ..buy(&account, 3, 4) };
        assert_eq!(house.writer.submit(dollars).await.unwrap(), BuyChannelsOutcome::NoAccount);
        assert!(matches!(house.writer.submit(buy(&account, 3, 4)).await.unwrap(), BuyChannelsOutcome::Bought { .. }));
        assert_eq!(limits().await, (4, 3, 6));

        assert!(reader.channel_subscriptions_due(at(99), 9).await.unwrap().is_empty());
        let renew = async |now: i64| {
            let due = reader.channel_subscriptions_due(at(now), 9).await.unwrap().remove(0);
            let next_billing_at = due.next_billing_at + SignedDuration::from_secs(100);
            let command = || RenewChannels { subscription: due.clone(), transaction: Ids::random(), next_billing_at, at: at(now) };
            let first = house.writer.submit(command()).await.unwrap();
            assert_eq!(house.writer.submit(command()).await.unwrap(), RenewOutcome::NotDue, "a month is paid once");
            first
        };
        assert_eq!(renew(100).await, RenewOutcome::Renewed);
        assert_eq!(limits().await, (4, 3, 2));
        assert_eq!(renew(200).await, RenewOutcome::Cancelled);
        assert_eq!(limits().await, (1, 0, 2), "a month that is not paid takes its slots");
        assert!(reader.channel_subscriptions_due(at(999), 9).await.unwrap().is_empty());
        let ended = reader.channel_subscriptions(&account, 9).await.unwrap().remove(0);
        assert_eq!((ended.status.as_str(), ended.cancelled_at), ("cancelled", Some(at(200))));
        house.assert_clean().await;
    }

    async fn a_subscription_ends_once_and_its_month_stays_paid(house: House) {
        let (_, customer) = family(&house).await;
        house.top_up(&customer, 100).await;
        let bought = buy(&customer, 3, 30);
        let id = bought.id;
        house.writer.submit(bought).await.unwrap();
        let end = |account: &AccountId, seconds| CancelChannels {
            id, account: account.clone(), reason: Some("too many".to_owned()), actor: Actor::system(), at: at(seconds),
        };
        let other = house.account("MA_B", 0).await;
        assert_eq!(house.writer.submit(end(&other, 20)).await.unwrap(), CancelChannelsOutcome::NotFound);
        let ended = join_all((0..8).map(|n| house.writer.submit(end(&customer, 20 + n)))).await;
        for outcome in ended {
            let CancelChannelsOutcome::Cancelled { subscription, .. } = outcome.unwrap() else { panic!("not found") };
            assert_eq!((subscription.status.as_str(), subscription.cancellation_reason.as_deref()), ("cancelled", Some("too many")));
        }
        let limits = house.store.reader().account_in_full(&customer).await.unwrap().unwrap();
        assert_eq!((limits.purchased_cps, limits.cps_limit), (0, 1), "the slots went once");
        assert!(house.store.reader().channel_subscriptions_due(at(1_000), 9).await.unwrap().is_empty(), "nothing more is due");
        house.assert_clean().await;
    }
}
