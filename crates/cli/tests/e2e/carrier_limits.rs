//! A carrier's limits on two nodes with one database, and over the death of one of them.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use serde_json::json;
use tandem_model::clock;
use tandem_testkit::Answer;
use tandem_testkit::databases::PostgresCluster;

use crate::stage::world::second_node;
use crate::stage::{Caller, CarrierPeer, Customer, Dialog, Trunk, World, WorldOptions, carrier_side, until};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const PASSWORD: &str = "correct-horse-7";
/// Nodes count each other's calls every second.
const COUNTED: Duration = Duration::from_millis(2_500);
const CPS: u32 = 4;

struct Shop {
    customer: Customer,
    trunk: Trunk,
    number: String,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_carriers_limits_hold_on_two_nodes_and_over_the_death_of_one() {
    let database = PostgresCluster::shared().create_database();
    let options = WorldOptions { database: Some(database.clone()), ..WorldOptions::default() };
    let mut world = World::open(options, |request| match request.path() {
        "/answer" => Answer::xml("<Response><Hangup/></Response>"),
        _ => Answer::status(204),
    })
    .await;
    let folder = tempfile::tempdir().expect("a folder");
    let second = second_node(&world, &database, folder.path().to_owned());
    let customer = world.customer("pbx", 100.0, (1_000, 1_000)).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, "pbx").await;
    world.credential(&customer, &trunk, "pbx", PASSWORD).await;
    let shop = Shop { customer, trunk, number };

    let lines = CarrierPeer::start(&carrier_side::echo(0)).await;
    limited(&world, "two lines", &lines, "911", json!({"concurrent_limit": 2})).await;
    let talking =
        call(&shop, world.sip(), "911000000001", |dialog| dialog.invite().answered().ack().hears_bye());
    let also =
        call(&shop, world.sip(), "911000000002", |dialog| dialog.invite().answered().ack().hears_bye());
    let (talking, also) = (talking.await, also.await);
    talking.connected().await;
    also.connected().await;
    tokio::time::sleep(COUNTED).await;
    full(&shop, second.sip, "911000000003").await;

    // One node dies with both calls: they take their lines until they are settled, and then no more.
    world.platform.kill();
    full(&shop, second.sip, "911000000004").await;
    world.platform.restart();
    drop((talking, also));
    until("a free line", || async {
        let tried = call(&shop, second.sip, "911000000005", |dialog| {
            dialog.invite().answered().ack().pause(50).bye()
        });
        tried.await.finish().await.outcome.success.then_some(())
    })
    .await;

    calls_of_a_second_are_shared(&world, &second, &shop).await;
    world.verify_ledger();
}

async fn limited(world: &World, name: &str, carrier: &CarrierPeer, prefix: &str, further: serde_json::Value) {
    let mut body = json!({"name": name, "host": "127.0.0.1", "port": carrier.address.port(),
        "sources": [carrier.address.to_string()], "prefixes": [prefix], "priority": 1});
    if let (Some(body), serde_json::Value::Object(further)) = (body.as_object_mut(), further) {
        body.extend(further);
    }
    world.platform.operator("POST", "/admin/carriers", Some(&body)).await.ok();
}

async fn call(shop: &Shop, node: SocketAddr, to: &str, scenario: impl FnOnce(Dialog) -> Dialog) -> Caller {
    Caller::call(PBX, node, None, |media| {
        scenario(Dialog::new(&shop.number, to, &shop.trunk.domain, media).credentials("pbx", PASSWORD))
    })
    .await
}

async fn full(shop: &Shop, node: SocketAddr, to: &str) {
    let refused = call(shop, node, to, |dialog| dialog.invite().refused_because(503, "CARRIERS_FULL"));
    refused.await.finish().await.went_as_written();
}

/// Sixteen calls at once through both nodes: what reaches the carrier is what it takes in that time, and no more.
async fn calls_of_a_second_are_shared(world: &World, second: &tandem_testkit::Platform, shop: &Shop) {
    let carrier = CarrierPeer::start(&carrier_side::refuse("486 Busy Here")).await;
    limited(world, "slow", &carrier, "912", json!({ "cps_limit": CPS })).await;
    tokio::time::sleep(COUNTED).await;
    let path = format!("/Account/{}/Call/", shop.customer.who.id);
    let began: Instant = clock::monotonic();
    let calls = (0..16).map(|number| {
        let node = if number % 2 == 0 { &world.platform } else { second };
        let body = json!({"from": shop.number, "to": format!("9120000000{number:02}"),
            "answer_url": world.sink.url("answer"), "answer_method": "POST"});
        let path = &path;
        async move { node.rest("POST", path, &shop.customer.who, Some(&body)).await.status }
    });
    let statuses = futures_util::future::join_all(calls).await;
    let took = clock::monotonic().duration_since(began).as_secs_f64();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let reached = carrier.invited_at_all();
    let most = f64::from(CPS) * (1.0 + took);
    assert!(
        reached >= 2 && reached as f64 <= most + 1.0,
        "{reached} reached it in {took:.2} s: {statuses:?}"
    );
    assert!(reached < statuses.len(), "sixteen at once are too many: {statuses:?}");
}
