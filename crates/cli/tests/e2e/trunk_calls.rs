//! A customer's PBX calls out through its trunk: audio, seconds, money to the micro-unit, events; and every way
//! to be refused. On both databases.

use std::net::IpAddr;

use serde_json::{Value, json};
use tandem_testkit::Answer;
use tandem_testkit::databases::PostgresCluster;

use crate::stage::tariff::Tariff;
use crate::stage::{Caller, CarrierPeer, Customer, Dialog, Trunk, World, WorldOptions, carrier_side};

const DIGEST_PBX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
const ACL_PBX: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 3));
const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 9));
const USER: &str = "pbx";
const PASSWORD: &str = "correct-horse-7";
/// What every PBX's handset plays; the carrier's echo brings it back.
const TONE: u16 = 620;

/// Prefix by prefix, how time becomes money.
const BY_MINUTE: Tariff = Tariff { per_minute: 450_000, pulse: 60, minimum: 0, connection_fee: 0 };
const BY_SECOND: Tariff = Tariff { per_minute: 333_333, pulse: 1, minimum: 0, connection_fee: 0 };
const THIRTY_SIX: Tariff = Tariff { per_minute: 1_000_001, pulse: 6, minimum: 30, connection_fee: 0 };
const WITH_FEE: Tariff = Tariff { per_minute: 700_001, pulse: 1, minimum: 3, connection_fee: 50_001 };

/// number, tariff, talk, seconds billed
const CALLS: [(&str, Tariff, u64, i64); 4] = [
    ("919000000001", BY_MINUTE, 3_600, 4),
    ("919100000001", BY_SECOND, 2_400, 2),
    ("919200000001", THIRTY_SIX, 3_600, 4),
    ("919300000001", WITH_FEE, 2_400, 2),
];
/// The same through the trunk that knows its PBX by address.
const ACL_CALL: (&str, Tariff, u64, i64) = ("919100000002", BY_SECOND, 3_600, 4);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trunk_calls_on_sqlite() {
    Box::pin(trunk_calls(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trunk_calls_on_postgresql() {
    Box::pin(trunk_calls(Some(PostgresCluster::shared().create_database()))).await;
}

struct Shop {
    world: World,
    customer: Customer,
    number: String,
    digest: Trunk,
    acl: Trunk,
}

async fn trunk_calls(database: Option<String>) {
    let deck = [("9190", BY_MINUTE), ("9191", BY_SECOND), ("9192", THIRTY_SIX), ("9193", WITH_FEE)];
    let rates: String = deck.iter().map(|(prefix, tariff)| tariff.csv(prefix)).collect();
    let options = WorldOptions { database, ..WorldOptions::default() };
    let world = World::open_with_deck(options, &rates, |_| Answer::status(204)).await;
    let carrier = CarrierPeer::start(&carrier_side::echo(200)).await;
    world.carrier("echo", carrier.address, &[], 1).await;
    let customer = world.customer("shop", 500.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let digest = world.trunk(&customer, "digest").await;
    world.credential(&customer, &digest, USER, PASSWORD).await;
    let acl = world.trunk(&customer, "acl").await;
    world.acl(&customer, &acl, &ACL_PBX.to_string()).await;
    let shop = Shop { world, customer, number, digest, acl };
    let opening = shop.world.balance(&shop.customer.who.id).await;
    assert_eq!(opening, 500_000_000);

    let [one, two, three, four] = CALLS;
    let costs = tokio::join!(
        talk(&shop, DIGEST_PBX, one),
        talk(&shop, DIGEST_PBX, two),
        talk(&shop, DIGEST_PBX, three),
        talk(&shop, DIGEST_PBX, four),
        talk(&shop, ACL_PBX, ACL_CALL),
        refusals(&shop),
    );
    let spent = costs.0 + costs.1 + costs.2 + costs.3 + costs.4;
    assert_eq!(shop.world.balance(&shop.customer.who.id).await, opening - spent);
    for (number, ..) in CALLS.iter().chain([&ACL_CALL]) {
        assert_eq!(carrier.invited(&format!("+{number}")) + carrier.invited(number), 1, "{number}");
    }
    disabled_trunk(&shop).await;
    // Five calls, and the refusals of callers who had proved who they are: caller ID, country, trunk.
    let records = shop.world.records_once(&shop.customer, 8).await;
    assert_eq!(records.len(), 8, "{records:#?}");
    shop.world.verify_ledger();
}

/// A whole call; what it cost.
async fn talk(shop: &Shop, pbx: IpAddr, (to, tariff, talk_ms, billed): (&str, Tariff, u64, i64)) -> i64 {
    let Shop { world, customer, number, .. } = shop;
    let trunk = if pbx == ACL_PBX { &shop.acl } else { &shop.digest };
    let call = Caller::call(pbx, world.sip(), Some(TONE), |media| {
        let dialog = Dialog::new(&format!("+{number}"), &format!("+{to}"), &trunk.domain, media);
        let dialog = if pbx == ACL_PBX { dialog } else { dialog.credentials(USER, PASSWORD) };
        dialog.invite().answered().ack().pause(talk_ms).bye()
    })
    .await;
    let called = call.finish().await;
    called.went_as_written();
    let heard = &called.heard;
    assert_eq!(heard.sources.len(), 1, "one SSRC towards the PBX for the whole call");
    assert!(heard.bytes > talk_ms * 8 / 2, "{} bytes of echo in {talk_ms} ms", heard.bytes);
    let tone_ms = heard.tone_ms(TONE);
    assert!(tone_ms as u64 > talk_ms / 2, "the PBX's own tone came back for {tone_ms} of {talk_ms} ms only");

    let events = world.trunk_events(trunk, to, 2).await;
    let named = |name: &str| {
        let mut found = events.iter().filter(|event| event["Event"] == name);
        let event = found.next().unwrap_or_else(|| panic!("no {name}: {events:#?}"));
        assert!(found.next().is_none(), "two {name}");
        event.clone()
    };
    let (initiated, hangup) = (named("CallInitiated"), named("Hangup"));
    assert_eq!(initiated["Allowed"], true);
    assert_eq!(initiated["Status"], "initiated");
    assert_eq!(initiated["SourceIP"], pbx.to_string());
    assert_eq!(initiated["auth_id"], customer.who.id);
    for event in [&initiated, &hangup] {
        assert_eq!(event["From"], number.as_str());
        assert_eq!(event["To"], to);
        assert_eq!(event["Direction"], "outbound");
        assert_eq!(event["Domain"], trunk.domain);
        assert_eq!(event["CallUUID"], initiated["CallUUID"]);
    }
    let cost = tariff.price(billed);
    assert_eq!(hangup["Billsec"], billed, "{talk_ms} ms of talk: {hangup}");
    assert_eq!(hangup["CostMicros"], cost, "{tariff:?}: {hangup}");
    assert_eq!(hangup["HangupCauseCode"], 4000);
    assert_eq!(hangup["HangupSource"], "Caller");

    let call = initiated["CallUUID"].as_str().expect("an id");
    let record = world.record(customer, call).await;
    assert_eq!(record["billsec"], billed, "{record}");
    assert_eq!((micros(&record["cost"]), micros(&record["total_cost"])), (cost, cost), "{record}");
    assert_eq!(record["hangup_cause_code"], 4000);
    assert_eq!(record["hangup_cause"], "NORMAL_CLEARING");
    assert_eq!(record["trunk_id"], trunk.id);
    assert_eq!(record["codec"], "PCMU");
    assert!(record["mos"].as_f64().is_some_and(|mos| mos > 3.0), "{record}");
    cost
}

fn micros(money: &Value) -> i64 {
    (money.as_f64().unwrap_or_else(|| panic!("{money} is not a number")) * 1e6).round() as i64
}

async fn refusals(shop: &Shop) {
    tokio::join!(
        wrong_password(shop),
        foreign_caller_id(shop),
        closed_country(shop),
        no_balance(shop),
        unknown_domain(shop),
    );
}

async fn wrong_password(shop: &Shop) {
    let to = "919000000011";
    let call = Caller::call(DIGEST_PBX, shop.world.sip(), None, |media| {
        Dialog::new(&shop.number, to, &shop.digest.domain, media)
            .credentials(USER, "wrong")
            .invite()
            .refused(401)
    });
    call.await.finish().await.went_as_written();
    let about = shop.world.sink.requests();
    assert!(about.iter().all(|event| event.json()["To"] != to), "a wrong password is nobody's call");
}

/// Sends an INVITE that must be refused; its one event.
async fn refused(shop: &Shop, from: &str, to: &str, status: u16) -> Value {
    let call = Caller::call(DIGEST_PBX, shop.world.sip(), None, |media| {
        let dialog = Dialog::new(from, to, &shop.digest.domain, media);
        dialog.credentials(USER, PASSWORD).invite().refused(status)
    });
    call.await.finish().await.went_as_written();
    let mut events = shop.world.trunk_events(&shop.digest, to.trim_start_matches('+'), 1).await;
    let event = events.remove(0);
    assert_eq!(event["Event"], "CallInitiated");
    assert_eq!(event["Allowed"], false);
    assert!(events.is_empty(), "{events:?}");
    event
}

async fn foreign_caller_id(shop: &Shop) {
    let event = refused(shop, "+918099999999", "+919000000012", 403).await;
    assert!(event["Reason"].as_str().is_some_and(|reason| reason.contains("not owned")), "{event}");
    let record = shop.world.record(&shop.customer, event["CallUUID"].as_str().expect("an id")).await;
    assert_eq!(record["hangup_cause_code"], 3030, "{record}");
    assert_eq!((record["billsec"].as_i64(), micros(&record["cost"])), (Some(0), 0));
}

async fn closed_country(shop: &Shop) {
    let event = refused(shop, &format!("+{}", shop.number), "+14155550100", 403).await;
    let record = shop.world.record(&shop.customer, event["CallUUID"].as_str().expect("an id")).await;
    assert_eq!(record["hangup_cause_code"], 2030, "{record}");
}

async fn no_balance(shop: &Shop) {
    let world = &shop.world;
    let poor = world.customer("poor", 0.0, (10, 10)).await;
    let number = world.number(&poor).await;
    let trunk = world.trunk(&poor, "poor").await;
    world.credential(&poor, &trunk, "poor", PASSWORD).await;
    let to = "919000000013";
    let call = Caller::call(DIGEST_PBX, world.sip(), None, |media| {
        Dialog::new(&number, to, &trunk.domain, media).credentials("poor", PASSWORD).invite().refused(402)
    });
    call.await.finish().await.went_as_written();
    let events = world.trunk_events(&trunk, to, 1).await;
    let event = events.first().expect("one event");
    assert_eq!(event["Allowed"], false);
    let reason = event["Reason"].as_str().unwrap_or_default();
    assert!(reason.contains("Insufficient balance") && reason.contains("INR"), "{event}");
    let records = world.records_once(&poor, 1).await;
    assert_eq!(records.len(), 1);
}

async fn unknown_domain(shop: &Shop) {
    // A stranger hears nothing for a host that is not ours; a known address hears 404 for a trunk that is not there.
    let stranger = Caller::call(STRANGER, shop.world.sip(), None, |media| {
        Dialog::new(&shop.number, "919000000014", "pbx.elsewhere.example", media).invite().silence(1_200)
    });
    let suffix = shop.acl.domain.split_once('.').expect("a label and a suffix").1;
    let known = Caller::call(ACL_PBX, shop.world.sip(), None, |media| {
        Dialog::new(&shop.number, "919000000014", &format!("00000000.{suffix}"), media).invite().refused(404)
    });
    let (stranger, known) =
        tokio::join!(async { stranger.await.finish().await }, async { known.await.finish().await });
    stranger.went_as_written();
    known.went_as_written();
}

/// Told to who has proved to be its PBX, and on record.
async fn disabled_trunk(shop: &Shop) {
    let path = format!("/trunks/{}", shop.acl.id);
    shop.world.api(&shop.customer, "PUT", &path, Some(&json!({"trunk_status": "disabled"}))).await.ok();
    let to = "919100000021";
    let call = Caller::call(ACL_PBX, shop.world.sip(), None, |media| {
        Dialog::new(&shop.number, to, &shop.acl.domain, media).invite().refused(403)
    });
    call.await.finish().await.went_as_written();
}
