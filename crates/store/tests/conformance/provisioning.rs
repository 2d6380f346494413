//! Accounts, numbers, carriers, decks and country rules.

use futures_util::future::join_all;
use tandem_model::{AccountId, ApplicationId, CarrierId, Currency, E164, Ids, Money, Rate, TrunkId};
use tandem_store::audit::Actor;
use tandem_store::directory::CarrierRow;
use tandem_store::money::TransactionFilter;
use tandem_store::resources::account::*;
use tandem_store::resources::carrier::*;
use tandem_store::resources::country_rule::*;
use tandem_store::resources::deck::*;
use tandem_store::resources::number::*;

use crate::support::*;

fn new_account(ids: &[&str], kind: &'static str, partner: Option<&AccountId>, email: &str) -> CreateAccount {
    CreateAccount {
        account: NewAccount {
            candidates: ids.iter().map(|id| AccountId::new(id)).collect(),
            api_id: Ids::random(),
            kind,
            partner: partner.cloned(),
            name: format!("Name of {email}"),
            email: email.to_owned(),
            phone: "+919800000001".to_owned(),
            description: "D".to_owned(),
            company: "C".to_owned(),
            country: "IN".to_owned(),
            timezone: "Asia/Kolkata".to_owned(),
            currency: Currency::INR,
            profile: r#"{"city":"Pune"}"#.to_owned(),
            kyc_status: "pending",
            token_hash: format!("hash of {email}"),
            token_sealed: vec![1, 2, 3],
            password_hash: Some("$argon2id$".to_owned()),
            cps_limit: 1,
            concurrent_limit: 3,
            capabilities: Capabilities::ALL,
            max_accounts: 2,
        },
        opening: None,
        actor: Actor::system(),
        at: at(1),
    }
}

async fn partner(house: &House, id: &str) -> AccountId {
    let opening = Some(Opening { id: Ids::random(), amount: Money::from_units(100) });
    let create = CreateAccount { opening, ..new_account(&[id], "partner", None, &format!("{id}@p.example")) };
    let CreateAccountOutcome::Created(id) = house.writer.submit(create).await.unwrap() else { panic!() };
    id
}

fn number(text: &str) -> E164 {
    text.parse().unwrap()
}

async fn stock(house: &House, numbers: &[&str], fee: i64, currency: &str) -> u64 {
    let numbers =
        numbers.iter().map(|text| InventoryNumber { e164: number(text), id: Ids::random() }).collect();
    let add = AddInventory {
        numbers,
        country: "IN".to_owned(),
        region: "Pune".to_owned(),
        setup_fee: Money::from_units(fee),
        monthly_fee: Money::from_units(fee),
        currency: currency.parse().unwrap(),
        minimum_commitment_months: 0,
        actor: Actor::system(),
        at: at(2),
    };
    house.writer.submit(add).await.unwrap()
}

fn buy(owner: &AccountId, text: &str) -> BuyNumber {
    BuyNumber {
        e164: number(text),
        owner: owner.clone(),
        sub_account: None,
        purchase: Ids::random(),
        next_billing_at: at(100),
        seller: Seller::Inventory,
        actor: Actor::system(),
        at: at(3),
    }
}

fn rate(micros: i64) -> Rate {
    Rate {
        per_minute: Money::from_micros(micros),
        pulse_s: 60,
        minimum_s: 1,
        connection_fee: Money::from_micros(7),
    }
}

fn deck(id: &str, currency: &str, make_default: bool, rates: &[(&str, i64)]) -> PutDeck {
    let rates = rates
        .iter()
        .map(|(prefix, micros)| PrefixRate {
            prefix: (*prefix).to_owned(),
            description: String::new(),
            rate: rate(*micros),
        })
        .collect();
    PutDeck {
        id: id.to_owned(),
        name: format!("Name of {id}"),
        currency: currency.parse().unwrap(),
        make_default,
        rates,
        expected: Expected::Anything,
        actor: Actor::system(),
        at: at(4),
    }
}

fn carrier(name: &str) -> CarrierRow {
    CarrierRow {
        id: CarrierId(Ids::random()),
        name: name.to_owned(),
        host: "203.0.113.5".to_owned(),
        port: 5060,
        transport: "udp".to_owned(),
        priority: 1,
        weight: 10,
        cps_limit: 0,
        concurrent_limit: 0,
        prefixes: vec!["91".to_owned()],
        number_format: "e164".to_owned(),
        auth_username: Some("u".to_owned()),
        auth_password_sealed: Some(vec![9]),
        auth_realm: None,
        source_addresses: vec!["203.0.113.5:5070".to_owned()],
        options: "{}".to_owned(),
        deck_id: None,
        enabled: true,
    }
}

on_both! {
    async fn an_account_is_made_with_its_opening_balance_and_found_again(house: House) {
        let id = partner(&house, "PA_A").await;
        let account = house.store.reader().account_in_full(&id).await.unwrap().unwrap();
        assert_eq!((account.kind.as_str(), account.balance, account.profile.as_str()),
            ("partner", Money::from_units(100), r#"{"city":"Pune"}"#));
        assert_eq!((account.capabilities, account.max_accounts, account.token_sealed), (Capabilities::ALL, 2, Some(vec![1, 2, 3])));
        let changes = house.store.reader().changes_since(0).await.unwrap();
        assert!(changes.iter().any(|change| change.id == "PA_A"), "the directories are told");
        assert_eq!(house.store.reader().audit(&id, 9).await.unwrap()[0].action, "create");
        assert_eq!(house.store.reader().partners().await.unwrap()[0].1, 0);
        house.assert_clean().await;
    }

    async fn a_taken_id_is_drawn_again_and_a_taken_address_is_refused(house: House) {
        let pa = partner(&house, "PA_A").await;
        let second = new_account(&["PA_A", "MA_B"], "master", Some(&pa), "b@x.example");
        assert_eq!(house.writer.submit(second).await.unwrap(), CreateAccountOutcome::Created(AccountId::new("MA_B")));
        let same = new_account(&["MA_C"], "master", Some(&pa), "b@x.example");
        assert_eq!(house.writer.submit(same).await.unwrap(), CreateAccountOutcome::EmailTaken);
        let none = new_account(&["PA_A"], "master", Some(&pa), "c@x.example");
        assert_eq!(house.writer.submit(none).await.unwrap(), CreateAccountOutcome::NoFreeId);
    }

    async fn a_partner_never_has_more_customers_than_it_may(house: House) {
        let pa = partner(&house, "PA_A").await;
        let create = |n: i32| {
            let (id, email) = (format!("MA_{n}"), format!("{n}@x.example"));
            house.writer.submit(new_account(&[&id], "master", Some(&pa), &email))
        };
        let outcomes = join_all((0..6).map(create)).await;
        let made = outcomes.iter().filter(|outcome| matches!(outcome, Ok(CreateAccountOutcome::Created(_)))).count();
        let full = outcomes.iter().filter(|outcome| matches!(outcome, Ok(CreateAccountOutcome::LimitReached { max: 2 }))).count();
        assert_eq!((made, full), (2, 4));
        let reader = house.store.reader();
        assert_eq!(reader.customer_count(&pa).await.unwrap(), 2);
        let (page, total) = reader.customers(&pa, Some("NAME OF"), 0, 1).await.unwrap();
        assert_eq!((page.len(), total), (1, 2));
        assert_eq!(reader.customers(&pa, Some("%"), 0, 9).await.unwrap().1, 0, "a percent sign is a percent sign");
        assert!(reader.customer(&pa, &page[0].id).await.unwrap().is_some());
        assert!(reader.customer(&AccountId::new("PA_B"), &page[0].id).await.unwrap().is_none());
        assert!(reader.customer(&pa, &pa).await.unwrap().is_none(), "a partner is not its own customer");
    }

    async fn an_operator_changes_only_what_is_given(house: House) {
        let id = house.account("MA_A", 5).await;
        house.writer.submit(deck("d1", "INR", false, &[])).await.unwrap();
        house.writer.submit(deck("d2", "USD", false, &[])).await.unwrap();
        let update = |deck_id: Option<Option<&str>>, enabled: Option<bool>| UpdateAccount {
            id: id.clone(), enabled, cps_limit: Some(7), concurrent_limit: None, kyc_status: None,
            deck_id: deck_id.map(|deck| deck.map(str::to_owned)), granted: Granted::default(), fields: vec!["cps_limit"], actor: Actor::system(), at: at(9),
        };
        let read = async || house.store.reader().account_in_full(&id).await.unwrap().unwrap();
        let submit = async |update| house.writer.submit(update).await.unwrap();
        house.run("update account set api_id = '00000000-0000-4000-8000-000000000000'").await;
        assert_eq!(submit(update(Some(Some("d1")), Some(false))).await, UpdateAccountOutcome::Updated);
        let account = read().await;
        assert_eq!((account.deck_id.as_deref(), account.enabled, account.cps_limit, account.concurrent_limit), (Some("d1"), false, 7, 1000));
        assert_eq!(submit(update(None, None)).await, UpdateAccountOutcome::Updated);
        assert_eq!((read().await.deck_id.as_deref(), read().await.enabled), (Some("d1"), false));
        assert_eq!(submit(update(Some(Some("d2")), None)).await, UpdateAccountOutcome::NoSuchDeck, "another currency");
        assert_eq!(submit(update(Some(None), None)).await, UpdateAccountOutcome::Updated);
        assert_eq!(read().await.deck_id, None);
        let nobody = UpdateAccount { id: AccountId::new("MA_X"), ..update(None, None) };
        assert_eq!(submit(nobody).await, UpdateAccountOutcome::NotFound);
    }

    async fn a_number_and_its_price_change_hands_together(house: House) {
        let (a, b) = (house.account("MA_A", 25).await, house.account("MA_B", 100).await);
        assert_eq!(stock(&house, &["+918000000001", "+918000000002"], 10, "INR").await, 2);
        assert_eq!(stock(&house, &["+918000000001"], 99, "INR").await, 0, "what is there stays");
        stock(&house, &["+18000000003"], 1, "USD").await;
        let submit = async |buy| house.writer.submit(buy).await.unwrap();
        let BuyOutcome::Bought(bought) = submit(buy(&a, "+918000000001")).await else { panic!() };
        assert_eq!((bought.account.as_ref(), bought.purchased_at), (Some(&a), Some(at(3))));
        assert_eq!(submit(buy(&b, "+918000000001")).await, BuyOutcome::NotInInventory);
        let poor = submit(buy(&a, "+918000000002")).await;
        assert_eq!(poor, BuyOutcome::Insufficient { required: Money::from_units(20), available: Money::from_units(5), currency: Currency::INR });
        assert_eq!(submit(buy(&a, "+18000000003")).await, BuyOutcome::OtherCurrency { price: "USD".parse().unwrap() });
        assert!(matches!(submit(buy(&b, "+918000000002")).await, BuyOutcome::Bought(_)), "it went back into the inventory");
        let filter = TransactionFilter { ref_kind: Some("did_purchase".to_owned()), ..TransactionFilter::default() };
        assert_eq!(house.store.reader().transactions(&a, &filter, 0, 9).await.unwrap().total, 1);
        house.assert_clean().await;
    }

    async fn of_many_buyers_one_gets_the_number_and_pays(house: House) {
        stock(&house, &["+918000000001"], 10, "INR").await;
        let mut buyers = Vec::new();
        for n in 0..10 {
            buyers.push(house.account(&format!("MA_{n}"), 100).await);
        }
        let outcomes = join_all(buyers.iter().map(|buyer| house.writer.submit(buy(buyer, "+918000000001")))).await;
        assert_eq!(outcomes.iter().filter(|outcome| matches!(outcome, Ok(BuyOutcome::Bought(_)))).count(), 1);
        let mut left = Money::ZERO;
        for buyer in &buyers {
            left += house.store.reader().balance(buyer).await.unwrap().unwrap().balance;
        }
        assert_eq!(left, Money::from_units(980));
        house.assert_clean().await;
    }

    async fn numbers_are_found_by_every_filter(house: House) {
        let a = house.account("MA_A", 100).await;
        stock(&house, &["+918000000001", "+912200000002", "+918000000003"], 0, "INR").await;
        let reader = house.store.reader();
        let found = async |filter: InventoryFilter| reader.inventory(&filter, 0, 10).await.unwrap().1;
        let none = InventoryFilter::default;
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(found(none()).await, 3);
        assert_eq!(found(InventoryFilter { country: text("US"), ..none() }).await, 0);
        assert_eq!(found(InventoryFilter { region: text("pun"), ..none() }).await, 3);
        assert_eq!(found(InventoryFilter { search: text("9122"), ..none() }).await, 1);
        assert_eq!(found(InventoryFilter { search: text("%"), ..none() }).await, 0);
        assert_eq!(found(InventoryFilter { exclude: vec!["9180".to_owned()], ..none() }).await, 1);
        assert_eq!(found(InventoryFilter { exclude: vec!["91".to_owned(), "9".to_owned()], ..none() }).await, 0);
        house.writer.submit(buy(&a, "+918000000001")).await.unwrap();
        let sub = BuyNumber { sub_account: Some(AccountId::new("SA_A")), ..buy(&a, "+918000000003") };
        house.writer.submit(sub).await.unwrap();
        let owned = async |sub: Option<&str>, with: bool, search: Option<&str>| {
            let filter = OwnedFilter { owner: a.clone(), sub_account: sub.map(AccountId::new), with_sub_accounts: with, search: search.map(str::to_owned) };
            reader.owned_numbers(&filter, 0, 10).await.unwrap().1
        };
        assert_eq!((owned(None, true, None).await, owned(None, false, None).await), (2, 1));
        assert_eq!((owned(Some("SA_A"), false, None).await, owned(None, true, Some("0003")).await), (1, 1));
        assert_eq!(reader.all_numbers(1, 10).await.unwrap().0.len(), 2);
        assert!(reader.owned_number(&a, number("+912200000002")).await.unwrap().is_none());
        assert!(reader.owned_number(&a, number("+918000000001")).await.unwrap().is_some());
    }

    async fn a_number_leads_only_to_what_its_owner_has(house: House) {
        let (a, b) = (house.account("MA_A", 100).await, house.account("MA_B", 100).await);
        stock(&house, &["+918000000001"], 0, "INR").await;
        house.writer.submit(buy(&a, "+918000000001")).await.unwrap();
        house.run("insert into application (app_id, account_id, name, answer_url, created_at, updated_at)
            values ('1', 'MA_A', 'a', 'https://a.example', 0, 0), ('2', 'MA_B', 'b', 'https://b.example', 0, 0)").await;
        house.run("insert into trunk (trunk_id, account_id, domain_label, name, direction, created_at, updated_at)
            values ('00000000-0000-4000-8000-000000000001', 'MA_A', 'aaaaaaaa', 't', 'inbound', 0, 0),
                   ('00000000-0000-4000-8000-000000000002', 'MA_B', 'bbbbbbbb', 't', 'inbound', 0, 0)").await;
        let e164 = number("+918000000001");
        let attach = async |owner: &AccountId, application: Option<&str>| {
            let application = application.map(ApplicationId::new);
            let attach = AttachApplication { e164, owner: owner.clone(), application, actor: Actor::system(), at: at(5) };
            house.writer.submit(attach).await.unwrap()
        };
        assert_eq!(attach(&a, Some("1")).await, AttachOutcome::Done);
        assert_eq!(attach(&a, Some("2")).await, AttachOutcome::NoApplication);
        assert_eq!(attach(&b, Some("2")).await, AttachOutcome::NoNumber);
        let read = async || house.store.reader().owned_number(&a, e164).await.unwrap().unwrap();
        assert_eq!(read().await.application, Some(ApplicationId::new("1")));
        assert_eq!(attach(&a, None).await, AttachOutcome::Done);
        assert_eq!(read().await.application, None);
        let trunk = |n: u8| format!("00000000-0000-4000-8000-00000000000{n}").parse::<TrunkId>().unwrap();
        let assign = async |owner: &AccountId, trunk: Option<TrunkId>| {
            let assign = AssignTrunk { e164, owner: owner.clone(), trunk, actor: Actor::system(), at: at(6) };
            house.writer.submit(assign).await.unwrap()
        };
        assert_eq!(assign(&a, None).await, AssignOutcome::NotAssigned);
        assert_eq!(assign(&a, Some(trunk(2))).await, AssignOutcome::NoTrunk);
        assert_eq!(assign(&a, Some(trunk(1))).await, AssignOutcome::Done);
        assert_eq!(assign(&a, Some(trunk(1))).await, AssignOutcome::Assigned);
        assert_eq!(assign(&b, None).await, AssignOutcome::NoNumber);
        assert_eq!(read().await.trunk, Some(trunk(1)));
        assert_eq!(assign(&a, None).await, AssignOutcome::Done);
        assert_eq!(read().await.trunk, None);
    }

    async fn a_deck_that_changed_since_it_was_looked_at_is_left_alone(house: House) {
        let submit = async |deck| house.writer.submit(deck).await.unwrap();
        let reader = house.store.reader();
        let expecting = |revision, seconds| PutDeck {
            expected: Expected::Revision(revision),
            at: at(seconds),
            ..deck("d7", "INR", false, &[("91", 7)])
        };
        assert_eq!(reader.deck_revision("d7").await.unwrap(), None);
        assert_eq!(submit(expecting(None, 5)).await, PutDeckOutcome::Stored);
        assert_eq!(submit(expecting(None, 6)).await, PutDeckOutcome::Changed, "there is one now");
        let revision = reader.deck_revision("d7").await.unwrap();
        assert_eq!(revision, Some(at(5)));
        let other = PutDeck { rates: Vec::new(), ..expecting(revision, 7) };
        assert_eq!(submit(other).await, PutDeckOutcome::Stored);
        assert_eq!(submit(expecting(revision, 8)).await, PutDeckOutcome::Changed, "it is another one now");
        assert_eq!(reader.directory_rates_of("d7").await.unwrap(), []);
    }

    async fn a_deck_is_replaced_whole_and_one_is_the_default(house: House) {
        let digits: Vec<String> = (0..250).map(|n| format!("91{n:03}")).collect();
        let many: Vec<(&str, i64)> = digits.iter().map(|prefix| (prefix.as_str(), 5)).collect();
        let submit = async |deck| house.writer.submit(deck).await.unwrap();
        assert_eq!(submit(deck("d1", "INR", true, &many)).await, PutDeckOutcome::Stored);
        let reader = house.store.reader();
        assert_eq!(reader.decks().await.unwrap()[0].prefixes, 250);
        submit(deck("d1", "INR", false, &[("91", 3), ("919", 4), ("in91", 9), ("", 1)])).await;
        let decks = reader.decks().await.unwrap();
        assert_eq!((decks[0].prefixes, decks[0].is_default), (4, true), "still the default");
        assert_eq!(submit(deck("d1", "USD", true, &[])).await, PutDeckOutcome::OtherCurrency(Currency::INR));
        assert_eq!(reader.decks().await.unwrap()[0].prefixes, 4);
        let tier = async |deck: Option<&str>, digits: &str| {
            let tier = reader.pricing_tier(deck, Currency::INR, digits).await.unwrap();
            tier.and_then(|tier| tier.rate).map(|rate| rate.per_minute.micros)
        };
        assert_eq!((tier(None, "91").await, tier(None, "9198").await, tier(None, "44").await), (Some(3), Some(4), Some(1)));
        assert_eq!(tier(Some("none"), "91").await, None);
        assert_eq!(reader.pricing_tier(Some("d1"), Currency::INR, "91").await.unwrap().unwrap().rate, Some(rate(3)));
        submit(deck("d2", "INR", true, &[])).await;
        let defaults: Vec<bool> = reader.decks().await.unwrap().iter().map(|deck| deck.is_default).collect();
        assert_eq!(defaults, [false, true]);
    }

    async fn a_carrier_comes_back_as_it_was_put(house: House) {
        let put = async |carrier: CarrierRow, mode| {
            house.writer.submit(PutCarrier { carrier, mode, actor: Actor::system(), at: at(1) }).await.unwrap()
        };
        let acme = carrier("acme");
        assert!(put(acme.clone(), PutMode::Create).await);
        let reader = house.store.reader();
        assert_eq!(reader.carrier_named("acme").await.unwrap(), Some(acme.clone()));
        assert!(!put(carrier("acme"), PutMode::Create).await, "the name is taken");
        let changed = CarrierRow { priority: 5, prefixes: Vec::new(), auth_username: None, ..acme };
        assert!(put(changed.clone(), PutMode::Replace).await);
        assert_eq!(reader.carrier_named("acme").await.unwrap(), Some(changed));
        assert!(!put(carrier("other"), PutMode::Replace).await, "it was never there");
        let remove = || RemoveCarrier { name: "acme".to_owned(), actor: Actor::system(), at: at(2) };
        assert!(house.writer.submit(remove()).await.unwrap());
        assert!(!house.writer.submit(remove()).await.unwrap());
    }

    async fn a_country_rule_is_set_changed_and_forgotten(house: House) {
        let put = async |country: &str, action| {
            let rule = PutCountryRule { scope: "*".to_owned(), country: country.to_owned(), action, actor: Actor::system(), at: at(1) };
            house.writer.submit(rule).await.unwrap();
        };
        let rules = async || {
            let rules = house.store.reader().directory_country_rules().await.unwrap();
            rules.into_iter().map(|rule| (rule.country, rule.allowed)).collect::<Vec<_>>()
        };
        put("US", CountryAction::Allow).await;
        assert_eq!(rules().await, [("US".to_owned(), true)]);
        put("US", CountryAction::Bar).await;
        assert_eq!(rules().await, [("US".to_owned(), false)]);
        put("US", CountryAction::Forget).await;
        put("US", CountryAction::Forget).await;
        assert!(rules().await.is_empty());
    }
}
