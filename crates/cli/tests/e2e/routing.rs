//! Which way a call goes: on to the next carrier or origination URI or not, by SIP status; around a carrier that is full; with numbers
//! written as each side wants them; and how long it talks when the money is short. All on one node.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::{Value, json};
use tandem_testkit::Answer;

use crate::stage::peer::{Called, free_port};
use crate::stage::world::text;
use crate::stage::{Caller, CarrierPeer, Customer, Dialog, Trunk, World, WorldOptions, carrier_side, until};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const USER: &str = "pbx";
const PASSWORD: &str = "correct-horse-7";
/// A second of talk at 0.60 a minute, in micro-units.
const SECOND: i64 = 10_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn routes_are_walked_as_configured_and_calls_end_with_the_money() {
    let options =
        WorldOptions { environment: vec![("TANDEM_BILLING__RESERVE_S", "3")], ..WorldOptions::default() };
    let world = World::open(options, |_| Answer::status(204)).await;
    let spare = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("spare", spare.address, &["910", "911", "912", "913", "914", "916"], 9).await;
    let (world, spare) = (&world, &spare);
    let caller = Shop::open(world, "caller", 100.0).await;
    tokio::join!(
        congestion_and_silence_go_on_to_the_next_carrier(&caller, spare),
        a_person_who_said_no_ends_the_search(&caller, spare),
        the_statuses_that_go_on_are_the_operators(&caller, spare),
        a_full_carrier_is_passed_over(&caller, spare),
        a_call_that_finds_every_carrier_full_is_refused(&caller),
        numbers_are_written_as_each_carrier_wants_them(&caller),
        an_extension_goes_out_as_the_trunks_own_number(&caller, spare),
        origination_uris_are_tried_by_priority(world),
        a_call_is_extended_while_there_is_money(world),
        a_call_ends_with_the_money(world),
    );
    world.verify_ledger();
}

/// A customer with an outbound trunk.
struct Shop<'w> {
    world: &'w World,
    customer: Customer,
    trunk: Trunk,
    number: String,
}

impl<'w> Shop<'w> {
    async fn open(world: &'w World, name: &str, balance: f64) -> Self {
        let customer = world.customer(name, balance, (1_000, 1_000)).await;
        let number = world.number(&customer).await;
        let trunk = world.trunk(&customer, name).await;
        world.credential(&customer, &trunk, USER, PASSWORD).await;
        Self { world, customer, trunk, number }
    }

    async fn call(&self, to: &str, scenario: impl FnOnce(Dialog) -> Dialog) -> Called {
        let call = Caller::call(PBX, self.world.sip(), None, |media| {
            let dialog = Dialog::new(&self.number, to, &self.trunk.domain, media);
            scenario(dialog.credentials(USER, PASSWORD))
        });
        let called = call.await.finish().await;
        called.went_as_written();
        called
    }

    /// The record of the one call to this number.
    async fn record(&self, to: &str) -> Value {
        until(format!("record of {to}"), || async {
            let mut records = self.world.records(&self.customer).await;
            records.retain(|record| record["destination_number"] == format!("+{to}"));
            assert!(records.len() <= 1, "{records:#?}");
            records.pop()
        })
        .await
    }

    async fn talks(&self, to: &str) -> Value {
        self.call(to, |dialog| dialog.invite().answered().ack().pause(100).bye()).await;
        self.record(to).await
    }
}

/// A carrier with further fields.
async fn carrier(world: &World, name: &str, address: SocketAddr, prefix: &str, further: Value) {
    let mut body = json!({"name": name, "host": address.ip().to_string(), "port": address.port(),
        "sources": [address.to_string()], "prefixes": [prefix], "priority": 1});
    if let (Some(body), Value::Object(further)) = (body.as_object_mut(), further) {
        body.extend(further);
    }
    world.platform.operator("POST", "/admin/carriers", Some(&body)).await.ok();
}

async fn refusing(world: &World, status: &str, prefix: &str, further: Value) -> CarrierPeer {
    let peer = CarrierPeer::start(&carrier_side::refuse(status)).await;
    carrier(world, &format!("{prefix} {status}"), peer.address, prefix, further).await;
    peer
}

async fn congestion_and_silence_go_on_to_the_next_carrier(shop: &Shop<'_>, spare: &CarrierPeer) {
    let go_on = async |status: &'static str, prefix: &'static str| {
        let peer = refusing(shop.world, status, prefix, json!({})).await;
        let to = format!("{prefix}00000");
        let record = shop.talks(&to).await;
        assert_eq!((peer.invited(&format!("+{to}")), spare.invited(&format!("+{to}"))), (1, 1), "{status}");
        assert_eq!(record["hangup_cause_code"], 4000, "{record}");
    };
    let silence = async {
        let ip = IpAddr::V4(Ipv4Addr::LOCALHOST);
        carrier(shop.world, "dead", SocketAddr::new(ip, free_port(ip)), "9100009", json!({})).await;
        shop.talks("910000900000").await;
        assert_eq!(spare.invited("+910000900000"), 1);
    };
    tokio::join!(
        go_on("408 Request Timeout", "9100001"),
        go_on("480 Temporarily Unavailable", "9100002"),
        go_on("503 Service Unavailable", "9100003"),
        go_on("504 Server Time-out", "9100004"),
        silence,
    );
}

async fn a_person_who_said_no_ends_the_search(shop: &Shop<'_>, spare: &CarrierPeer) {
    let stop = async |status: &'static str, prefix: &'static str, code: u16, cause: i64| {
        let peer = refusing(shop.world, status, prefix, json!({})).await;
        let to = format!("{prefix}00000");
        shop.call(&to, |dialog| dialog.invite().refused(code)).await;
        let record = shop.record(&to).await;
        assert_eq!((peer.invited(&format!("+{to}")), spare.invited(&format!("+{to}"))), (1, 0), "{status}");
        assert_eq!(
            (&record["hangup_cause_code"], &record["hangup_source"]),
            (&json!(cause), &json!("Carrier"))
        );
    };
    tokio::join!(
        stop("404 Not Found", "9110001", 404, 3050),
        stop("486 Busy Here", "9110002", 486, 3010),
        stop("603 Decline", "9110003", 603, 3110),
    );
}

async fn the_statuses_that_go_on_are_the_operators(shop: &Shop<'_>, spare: &CarrierPeer) {
    let quirky = refusing(shop.world, "404 Not Found", "9120001", json!({"failover": [404, 503]})).await;
    let strict = refusing(shop.world, "503 Service Unavailable", "9120002", json!({"failover": [408]})).await;
    shop.talks("912000100000").await;
    assert_eq!((quirky.invited("+912000100000"), spare.invited("+912000100000")), (1, 1));
    shop.call("912000200000", |dialog| dialog.invite().refused(503)).await;
    assert_eq!((strict.invited("+912000200000"), spare.invited("+912000200000")), (1, 0));
    let shown = shop.world.platform.admin(&[
        "carrier",
        "update",
        "--name",
        "9120002 503 Service Unavailable",
        "--failover",
        "503,504",
    ]);
    assert_eq!(shown["failover"], json!([503, 504]), "{shown}");
    until("fail-over as changed", || async {
        let to = format!("9120002{:05}", 1 + strict.invited_at_all());
        let call = Caller::call(PBX, shop.world.sip(), None, |media| {
            let dialog =
                Dialog::new(&shop.number, &to, &shop.trunk.domain, media).credentials(USER, PASSWORD);
            dialog.invite().answered().ack().bye()
        });
        call.await.finish().await.outcome.success.then_some(())
    })
    .await;
}

async fn a_full_carrier_is_passed_over(shop: &Shop<'_>, spare: &CarrierPeer) {
    let small = CarrierPeer::start(&carrier_side::echo(0)).await;
    carrier(shop.world, "small", small.address, "913", json!({"concurrent_limit": 1})).await;
    let first = Caller::call(PBX, shop.world.sip(), None, |media| {
        let dialog = Dialog::new(&shop.number, "913000000001", &shop.trunk.domain, media);
        dialog.credentials(USER, PASSWORD).invite().answered().ack().pause(2_000).bye()
    })
    .await;
    first.connected().await;
    shop.talks("913000000002").await;
    assert_eq!((small.invited("+913000000002"), spare.invited("+913000000002")), (0, 1));
    first.finish().await.went_as_written();
    assert_eq!(small.invited("+913000000001"), 1);
    until("the channel back", || async {
        let to = format!("9130001{:05}", spare.invited_at_all());
        shop.talks(&to).await;
        (small.invited(&format!("+{to}")) == 1).then_some(())
    })
    .await;
}

async fn a_call_that_finds_every_carrier_full_is_refused(shop: &Shop<'_>) {
    let only = CarrierPeer::start(&carrier_side::echo(0)).await;
    carrier(shop.world, "only", only.address, "915", json!({"concurrent_limit": 1})).await;
    let first = Caller::call(PBX, shop.world.sip(), None, |media| {
        let dialog = Dialog::new(&shop.number, "915000000001", &shop.trunk.domain, media);
        dialog.credentials(USER, PASSWORD).invite().answered().ack().pause(1_500).bye()
    })
    .await;
    first.connected().await;
    shop.call("915000000002", |dialog| dialog.invite().refused_because(503, "CARRIERS_FULL")).await;
    let record = shop.record("915000000002").await;
    assert_eq!(record["hangup_cause_code"], 3090, "{record}");
    first.finish().await.went_as_written();
}

async fn numbers_are_written_as_each_carrier_wants_them(shop: &Shop<'_>) {
    let formats = [
        ("917", json!({"number_format": "national"}), "0", "0"),
        ("918", json!({"number_format": "e164"}), "91", "91"),
        ("919", json!({"number_format": "national", "caller_format": "e164-plus"}), "0", "+91"),
    ];
    let calls = formats.map(|(prefix, format, to_head, from_head)| async move {
        let peer = CarrierPeer::start(&carrier_side::echo(0)).await;
        carrier(shop.world, &format!("written {prefix}"), peer.address, prefix, format).await;
        let to = format!("{prefix}000000001");
        shop.talks(&to).await;
        let written = format!("{to_head}{}", to.trim_start_matches("91"));
        let from = format!("{from_head}{}", shop.number.trim_start_matches("91"));
        assert_eq!(peer.caller_of(&written), Some(from), "{prefix}");
    });
    futures_util::future::join_all(calls).await;
}

async fn an_extension_goes_out_as_the_trunks_own_number(shop: &Shop<'_>, spare: &CarrierPeer) {
    let trunk = shop.world.trunk(&shop.customer, "with a number").await;
    shop.world.credential(&shop.customer, &trunk, USER, PASSWORD).await;
    let own = shop.world.number(&shop.customer).await;
    let path = format!("/trunks/{}", trunk.id);
    let body = json!({"caller_id": format!("+{own}")});
    shop.world.api(&shop.customer, "PUT", &path, Some(&body)).await.ok();
    let call = async |from: &'static str, to: &'static str, scenario: fn(Dialog) -> Dialog| {
        let call = Caller::call(PBX, shop.world.sip(), None, |media| {
            scenario(Dialog::new(from, to, &trunk.domain, media).credentials(USER, PASSWORD))
        });
        call.await.finish().await.went_as_written();
    };
    let talks = |dialog: Dialog| dialog.invite().answered().ack().pause(100).bye();
    call("101", "914000000001", talks).await;
    call("reception", "914000000002", talks).await;
    for to in ["+914000000001", "+914000000002"] {
        assert_eq!(spare.caller_of(to), Some(format!("+{own}")));
    }
    // Somebody else's number stays refused.
    call("+918099999999", "914000000003", |dialog| {
        dialog.invite().refused_because(403, "CALLER_ID_NOT_OWNED")
    })
    .await;
}

/// The first URI is congested, the second takes the call, with numbers as the PBX wants them; a PBX that is busy is not called twice.
async fn origination_uris_are_tried_by_priority(world: &World) {
    let customer = world.customer("callee", 10.0, (100, 100)).await;
    let (full, pbx, busy) = tokio::join!(
        peer("503 Service Unavailable"),
        async { CarrierPeer::start(&carrier_side::echo(0)).await },
        peer("486 Busy Here"),
    );
    let network = SocketAddr::new(PBX, free_port(PBX));
    world.carrier("network in", network, &["000"], 9).await;
    let inbound = async |name: &str, uris: [(&CarrierPeer, u32); 2]| {
        let number = world.number(&customer).await;
        let body = json!({"name": name, "trunk_direction": "inbound", "number_format": "national"});
        let trunk = text(&world.api(&customer, "POST", "/trunks", Some(&body)).await.ok(), "trunk_id");
        for (peer, priority) in uris {
            let body = json!({"uri": format!("sip:{}", peer.address), "priority": priority, "weight": 10,
                "trunk_id": trunk});
            world.api(&customer, "POST", "/origination-uris", Some(&body)).await.ok();
        }
        let body = json!({ "trunk_group_id": trunk });
        world.api(&customer, "POST", &format!("/numbers/%2B{number}/assign"), Some(&body)).await.ok();
        number
    };
    let open = inbound("open", [(&full, 1), (&pbx, 2)]).await;
    let engaged = inbound("engaged", [(&busy, 1), (&pbx, 2)]).await;
    let host = world.sip().ip().to_string();
    let call = async |number: &str, scenario: fn(Dialog) -> Dialog| {
        let call = Caller::call_from(network, world.sip(), None, |media| {
            scenario(Dialog::new("+919812345678", &format!("+{number}"), &host, media))
        });
        call.await.finish().await.went_as_written();
        format!("0{}", number.trim_start_matches("91"))
    };
    let called = call(&open, |dialog| dialog.invite().answered().ack().pause(100).bye()).await;
    assert_eq!((full.invited(&called), pbx.invited(&called)), (1, 1));
    assert_eq!(pbx.caller_of(&called).as_deref(), Some("09812345678"));
    let called = call(&engaged, |dialog| dialog.invite().refused(486)).await;
    assert_eq!((busy.invited(&called), pbx.invited(&called)), (1, 0));
}

async fn peer(status: &str) -> CarrierPeer {
    CarrierPeer::start(&carrier_side::refuse(status)).await
}

/// Three seconds are held at first; seven are talked and paid, to the micro-unit.
async fn a_call_is_extended_while_there_is_money(world: &World) {
    let shop = Shop::open(world, "talker", 1.0).await;
    let call = Caller::call(PBX, world.sip(), None, |media| {
        let dialog = Dialog::new(&shop.number, "916000000001", &shop.trunk.domain, media);
        dialog.credentials(USER, PASSWORD).invite().answered().ack().pause(7_000).bye()
    })
    .await;
    call.connected().await;
    let path = format!("/admin/accounts/{}", shop.customer.who.id);
    until("a second stretch held", || async {
        let account = world.platform.operator("GET", &path, None).await.ok();
        (account["held"] == "0.060000").then_some(())
    })
    .await;
    call.finish().await.went_as_written();
    let record = shop.record("916000000001").await;
    assert_eq!(
        (record["billsec"].as_i64(), &record["hangup_cause_code"]),
        (Some(7), &json!(4000)),
        "{record}"
    );
    assert_eq!(world.balance(&shop.customer.who.id).await, 1_000_000 - 7 * SECOND);
}

/// Money for five seconds: three are held, then the two that are left, and then it ends, at both ends.
async fn a_call_ends_with_the_money(world: &World) {
    let shop = Shop::open(world, "last-coins", 0.055).await;
    shop.call("916000000002", |dialog| dialog.invite().answered().ack().hears_bye()).await;
    let record = shop.record("916000000002").await;
    assert_eq!(record["billsec"], 5, "{record}");
    assert_eq!(record["total_cost"].as_f64(), Some(0.05), "{record}");
    assert_eq!(record["hangup_cause_code"], 1010, "{record}");
    assert_eq!(record["hangup_cause_name"], "Canceled (Out Of Credits)", "{record}");
    assert_eq!(record["hangup_source"], "Vobiz", "{record}");
    assert_eq!(record["hangup_disposition"], "send_bye", "{record}");
    assert_eq!(world.balance(&shop.customer.who.id).await, 55_000 - 5 * SECOND, "what buys no second stays");
    let events = world.trunk_events(&shop.trunk, "916000000002", 2).await;
    let hangup = events.iter().find(|event| event["Event"] == "Hangup").expect("a Hangup");
    assert_eq!(
        (&hangup["HangupCauseCode"], &hangup["CostMicros"]),
        (&json!(1010), &json!(50_000)),
        "{hangup}"
    );
}
