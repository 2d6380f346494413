//! Sixty-four at once want money that is there for fewer: as many succeed as the balance pays for, and no account is
//! ever overdrawn. On SQLite, and from two server processes on one PostgreSQL database.

use serde_json::{Value, json};
use tandem_testkit::databases::PostgresCluster;
use tandem_testkit::{Answer, Platform};

use crate::stage::world::second_node;
use crate::stage::{CarrierPeer, World, WorldOptions, carrier_side, until};

const AT_ONCE: usize = 64;
/// A number costs this much, and the buyer has money for so many.
const NUMBER_PRICE: u32 = 10;
const NUMBERS_PAID_FOR: usize = 23;
/// One transfer: the partner's 100,000, less what it gave away before, pay for fewer than 25.
const TRANSFER_MICROS: i64 = 4_000_000_000;
/// A minute is held before an INVITE leaves: 0.60.
const CALL_HOLD_MICROS: i64 = 600_000;
const CALLS_PAID_FOR: usize = 17;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_overdraws_on_sqlite() {
    let world = world(None).await;
    race(&world, &[&world.platform]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_overdraws_through_two_nodes_on_postgresql() {
    let database = PostgresCluster::shared().create_database();
    let world = world(Some(database.clone())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let second = second_node(&world, &database, folder.path().to_owned());
    race(&world, &[&world.platform, &second]).await;
}

async fn world(database: Option<String>) -> World {
    let options = WorldOptions { database, ..WorldOptions::default() };
    World::open(options, |request| match request.path() {
        "/answer" => Answer::xml("<Response><Wait length=\"120\"/></Response>"),
        _ => Answer::status(204),
    })
    .await
}

async fn race(world: &World, nodes: &[&Platform]) {
    let carrier = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("echo", carrier.address, &[], 1).await;
    tokio::join!(purchases(world, nodes), calls(world, nodes));
    transfers(world, nodes).await;
    storm(world, nodes).await;
    world.verify_ledger();
}

/// The statuses of requests sent to the nodes in turn, all at once.
async fn at_once(
    nodes: &[&Platform],
    path: &str,
    who: &tandem_testkit::Credentials,
    bodies: Vec<Value>,
) -> Vec<(u16, Value)> {
    let requests = bodies.into_iter().zip(nodes.iter().cycle()).map(|(body, node)| async move {
        let reply = node.rest("POST", path, who, Some(&body)).await;
        (reply.status, reply.body)
    });
    futures_util::future::join_all(requests).await
}

fn count(replies: &[(u16, Value)], paid: usize, refusals: &[u16]) {
    let good = replies.iter().filter(|(status, _)| (200..300).contains(status)).count();
    let strange: Vec<_> = replies
        .iter()
        .filter(|(status, _)| !(200..300).contains(status) && !refusals.contains(status))
        .collect();
    assert!(strange.is_empty(), "{strange:#?}");
    assert_eq!(good, paid, "of {} requests", replies.len());
}

async fn purchases(world: &World, nodes: &[&Platform]) {
    let balance = NUMBER_PRICE * NUMBERS_PAID_FOR as u32 + NUMBER_PRICE - 1;
    let customer = world.customer("buyer", f64::from(balance), (10, 10)).await;
    let numbers = world.stock(AT_ONCE as u32, NUMBER_PRICE).await;
    let path = format!("/Account/{}/numbers/purchase-from-inventory", customer.who.id);
    let bodies = numbers.iter().map(|number| json!({ "e164": number })).collect();
    let replies = at_once(nodes, &path, &customer.who, bodies).await;
    count(&replies, NUMBERS_PAID_FOR, &[402]);
    assert_eq!(world.balance(&customer.who.id).await, i64::from(NUMBER_PRICE - 1) * 1_000_000);
    let owned = world.api(&customer, "GET", "/numbers?per_page=100", None).await.ok();
    assert_eq!(owned["total"], NUMBERS_PAID_FOR, "{owned}");
}

async fn transfers(world: &World, nodes: &[&Platform]) {
    let customer = world.customer("heir", 0.0, (10, 10)).await;
    let before = world.balance(&world.partner.id).await;
    let paid = before / TRANSFER_MICROS;
    assert!(
        paid > 10 && paid < AT_ONCE as i64,
        "the partner's money lasts for {paid} of {AT_ONCE} transfers"
    );
    let path = format!("/partner/accounts/{}/transfer-balance", customer.who.id);
    let body = json!({"amount": TRANSFER_MICROS / 1_000_000, "currency": "INR", "description": "race"});
    let replies = at_once(nodes, &path, &world.partner, vec![body; AT_ONCE]).await;
    count(&replies, paid as usize, &[400, 402]);
    assert_eq!(world.balance(&customer.who.id).await, TRANSFER_MICROS * paid);
    assert_eq!(world.balance(&world.partner.id).await, before - TRANSFER_MICROS * paid);
}

/// One partner, a hundred customers, two hundred transfers at once, and money for as many as divide what is left.
async fn storm(world: &World, nodes: &[&Platform]) {
    const CUSTOMERS: usize = 100;
    const TRANSFERS: usize = 200;
    const PAID_FOR: i64 = 150;
    let mut customers = Vec::with_capacity(CUSTOMERS);
    for n in 0..CUSTOMERS {
        let body = json!({"name": format!("Storm {n}"), "email": format!("storm-{n}@storm.example"),
            "phone": "+919800000001", "password": "Change-me-1", "country": "IN"});
        let made =
            nodes[n % nodes.len()].rest("POST", "/partner/accounts", &world.partner, Some(&body)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        customers.push(crate::stage::world::text(&made.body, "auth_id"));
    }
    let before = world.balance(&world.partner.id).await;
    let amount = before / PAID_FOR;
    let paid = before / amount;
    let body =
        json!({"amount": format!("{}.{:06}", amount / 1_000_000, amount % 1_000_000), "currency": "INR"});
    let requests = (0..TRANSFERS).map(|n| {
        let path = format!("/partner/accounts/{}/transfer-balance", customers[n % CUSTOMERS]);
        let (node, body) = (nodes[n % nodes.len()], &body);
        async move {
            let reply = node.rest("POST", &path, &world.partner, Some(body)).await;
            (reply.status, reply.body)
        }
    });
    let replies = futures_util::future::join_all(requests).await;
    count(&replies, paid as usize, &[400, 402]);
    let mut held = 0;
    for customer in &customers {
        held += world.balance(customer).await;
    }
    assert_eq!(held, amount * paid);
    assert_eq!(world.balance(&world.partner.id).await, before - held);
}

async fn calls(world: &World, nodes: &[&Platform]) {
    let balance = CALL_HOLD_MICROS * CALLS_PAID_FOR as i64 + CALL_HOLD_MICROS / 2;
    let customer = world.customer("talker", balance as f64 / 1e6, (1_000, 1_000)).await;
    let number = world.number(&customer).await;
    // Account and number are new to the other node: it looks again before it says no.
    let body = json!({"from": number, "to": "919000000041", "answer_url": world.sink.url("answer"),
        "answer_method": "POST", "hangup_url": world.sink.url("hangup")});
    let path = format!("/Account/{}/Call/", customer.who.id);
    let replies = at_once(nodes, &path, &customer.who, vec![body; AT_ONCE]).await;
    count(&replies, CALLS_PAID_FOR, &[402]);
    let fired: Vec<_> = replies
        .iter()
        .filter(|(status, _)| *status == 200)
        .map(|(_, body)| crate::stage::world::text(body, "request_uuid"))
        .collect();
    until("end of every call", || async {
        for (call, node) in fired.iter().flat_map(|call| nodes.iter().map(move |node| (call, node))) {
            node.rest("DELETE", &format!("/Account/{}/Call/{call}/", customer.who.id), &customer.who, None)
                .await;
        }
        let mut ended = 0;
        for call in &fired {
            ended +=
                usize::from(world.api(&customer, "GET", &format!("/cdr/{call}"), None).await.status == 200);
        }
        (ended == fired.len()).then_some(())
    })
    .await;
    let mut spent = 0;
    for call in &fired {
        let record = world.record(&customer, call).await;
        spent += (record["total_cost"].as_f64().unwrap_or_default() * 1e6).round() as i64;
    }
    assert_eq!(world.balance(&customer.who.id).await, balance - spent);
}
