//! Carriers and PBXes that are named: NAPTR, SRV and addresses of a name server of our own (RFC 3263), several addresses of
//! one carrier within one attempt, names that move and name servers that fall silent. One node with many carriers.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_testkit::{Answer, NameServer, Sipp};

use crate::stage::peer::{Called, free_port};
use crate::stage::world::text;
use crate::stage::{Caller, CarrierPeer, Customer, Dialog, Trunk, World, WorldOptions, carrier_side, until};

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const USER: &str = "pbx";
const PASSWORD: &str = "correct-horse-7";
/// Where TCP is listened to: on 127.0.0.1 the ports of these tests are claimed by listening.
const STREAMS: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 5));
/// Seconds that answers are good where a test does not say: longer than any.
const LONG: u32 = 600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn named_carriers_and_pbxes_are_found_and_their_addresses_tried_in_turn() {
    let dns = NameServer::start();
    let servers: &'static str = format!("[\"{}\"]", dns.address).leak();
    let options =
        WorldOptions { environment: vec![("TANDEM_DNS__SERVERS", servers)], ..WorldOptions::default() };
    let world = World::open(options, |_| Answer::status(204)).await;
    let echo = CarrierPeer::start(&carrier_side::echo(0)).await;
    let (world, dns, echo) = (&world, &dns, &echo);
    dns.address("sbc.test", LONG, LOCALHOST).address("streams.test", LONG, STREAMS);
    let customer = world.customer("caller", 100.0, (1_000, 1_000)).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, "caller").await;
    world.credential(&customer, &trunk, USER, PASSWORD).await;
    let shop = &Shop { world, dns, customer, trunk, number };
    tokio::join!(
        naptr_and_srv_decide_where_a_carriers_calls_go(shop, echo),
        an_explicit_port_leaves_only_the_address_to_look_up(shop, echo),
        a_target_that_answers_503_gives_way_to_the_next_of_its_carrier(shop, echo),
        a_silent_target_gives_way_to_the_next_of_its_carrier(shop, echo),
        a_target_that_refuses_connections_gives_way_to_the_next(shop, echo),
        a_persons_no_ends_the_search_at_the_first_target(shop, echo),
        the_next_carrier_comes_after_the_last_target(shop, echo),
        a_name_that_moves_is_followed_and_one_nobody_answers_for_is_kept(shop),
        a_pbx_is_found_by_the_transport_its_uri_names(shop),
        a_name_that_leads_to_a_private_address_is_not_called(shop),
    );
    world.verify_ledger();
}

struct Shop<'w> {
    world: &'w World,
    dns: &'w NameServer,
    customer: Customer,
    trunk: Trunk,
    number: String,
}

impl Shop<'_> {
    async fn carrier(&self, host: &str, prefix: &str, further: Value) {
        let mut body =
            json!({"name": format!("{host} {prefix}"), "host": host, "prefixes": [prefix], "priority": 1});
        if let (Some(body), Value::Object(further)) = (body.as_object_mut(), further) {
            body.extend(further);
        }
        self.world.platform.operator("POST", "/admin/carriers", Some(&body)).await.ok();
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

    async fn talks(&self, to: &str) {
        self.call(to, |dialog| dialog.invite().answered().ack().pause(100).bye()).await;
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
}

async fn refusing(status: &str) -> CarrierPeer {
    CarrierPeer::start(&carrier_side::refuse(status)).await
}

/// Waits until somebody listens for connections there, without making one: sipp would take it for its only call.
async fn listening(port: u16) {
    until("a listener", || async { TcpListener::bind((STREAMS, port)).is_err().then_some(()) }).await;
}

async fn echoing() -> CarrierPeer {
    CarrierPeer::start(&carrier_side::echo(0)).await
}

async fn naptr_and_srv_decide_where_a_carriers_calls_go(shop: &Shop<'_>, echo: &CarrierPeer) {
    let unused = refusing("404 Not Found").await;
    shop.dns
        .service("naptr.test", LONG, 20, "SIP+D2T", "_sip._tcp.naptr.test")
        .service("naptr.test", LONG, 10, "SIP+D2U", "_sip._udp.elsewhere.test")
        .service("naptr.test", LONG, 5, "SIP+D2S", "_sip._sctp.naptr.test")
        .server("_sip._udp.elsewhere.test", LONG, 20, 9, unused.address.port(), "sbc.test")
        .server("_sip._udp.elsewhere.test", LONG, 10, 1, echo.address.port(), "sbc.test");
    shop.carrier("naptr.test", "911", json!({"transport": "any"})).await;
    shop.talks("911000000001").await;
    assert_eq!((echo.invited("+911000000001"), unused.invited_at_all()), (1, 0));
    let shown = shop.world.platform.operator("GET", "/admin/carriers/naptr.test%20911", None).await.ok();
    assert_eq!(shown["addresses"][0]["address"], json!(echo.address.to_string()), "{shown}");
    // Its calls come from what it resolves to: no sources are listed.
    assert_eq!(shop.record("911000000001").await["hangup_cause_code"], 4000);
}

async fn an_explicit_port_leaves_only_the_address_to_look_up(shop: &Shop<'_>, echo: &CarrierPeer) {
    shop.dns.address("port.test", LONG, LOCALHOST).server("_sip._udp.port.test", LONG, 1, 1, 9, "sbc.test");
    shop.carrier("port.test", "912", json!({"port": echo.address.port()})).await;
    shop.talks("912000000001").await;
    assert_eq!((echo.invited("+912000000001"), shop.dns.asked("_sip._udp.port.test")), (1, 0));
}

async fn a_target_that_answers_503_gives_way_to_the_next_of_its_carrier(shop: &Shop<'_>, echo: &CarrierPeer) {
    let full = refusing("503 Service Unavailable").await;
    shop.dns.server("_sip._udp.full.test", LONG, 1, 0, full.address.port(), "sbc.test").server(
        "_sip._udp.full.test",
        LONG,
        2,
        0,
        echo.address.port(),
        "sbc.test",
    );
    // The operator's list says that 503 ends the search; another address of the same carrier is no search.
    shop.carrier("full.test", "913", json!({"concurrent_limit": 1, "failover": [408]})).await;
    shop.talks("913000000001").await;
    assert_eq!((full.invited("+913000000001"), echo.invited("+913000000001")), (1, 1));
    let record = shop.record("913000000001").await;
    assert_eq!(record["hangup_cause_code"], 4000, "{record}");
}

async fn a_silent_target_gives_way_to_the_next_of_its_carrier(shop: &Shop<'_>, echo: &CarrierPeer) {
    let dead = free_port(LOCALHOST);
    shop.dns.server("_sip._udp.silent.test", LONG, 1, 0, dead, "sbc.test").server(
        "_sip._udp.silent.test",
        LONG,
        2,
        0,
        echo.address.port(),
        "sbc.test",
    );
    shop.carrier("silent.test", "914", json!({})).await;
    shop.talks("914000000001").await;
    assert_eq!(echo.invited("+914000000001"), 1);
}

async fn a_target_that_refuses_connections_gives_way_to_the_next(shop: &Shop<'_>, echo: &CarrierPeer) {
    let (closed, open) = (free_port(STREAMS), free_port(STREAMS));
    let sbc = Sipp::start(
        &carrier_side::echo(0),
        SocketAddr::new(STREAMS, open),
        None,
        &["-t", "t1", "-rtp_echo", "-mi", "127.0.0.1", "-mp", &free_port(LOCALHOST).to_string()],
    );
    listening(open).await;
    shop.dns.server("_sip._tcp.tcp.test", LONG, 1, 0, closed, "streams.test").server(
        "_sip._tcp.tcp.test",
        LONG,
        2,
        0,
        open,
        "streams.test",
    );
    shop.carrier("tcp.test", "915", json!({"transport": "tcp"})).await;
    shop.talks("915000000001").await;
    assert!(sbc.logged().contains("INVITE +915000000001"), "{}", sbc.logged());
    // A carrier on TCP that cannot be reached at all gives way to the next carrier, on UDP.
    shop.dns.server("_sip._tcp.gone.test", LONG, 1, 0, closed, "streams.test");
    shop.carrier("gone.test", "9199", json!({"transport": "tcp"})).await;
    shop.carrier("127.0.0.1", "9199", json!({"port": echo.address.port(), "priority": 2})).await;
    shop.talks("919900000001").await;
    assert_eq!(echo.invited("+919900000001"), 1);
}

async fn a_persons_no_ends_the_search_at_the_first_target(shop: &Shop<'_>, echo: &CarrierPeer) {
    let busy = refusing("486 Busy Here").await;
    shop.dns.server("_sip._udp.busy.test", LONG, 1, 0, busy.address.port(), "sbc.test").server(
        "_sip._udp.busy.test",
        LONG,
        2,
        0,
        echo.address.port(),
        "sbc.test",
    );
    shop.carrier("busy.test", "916", json!({})).await;
    shop.call("916000000001", |dialog| dialog.invite().refused(486)).await;
    assert_eq!((busy.invited("+916000000001"), echo.invited("+916000000001")), (1, 0));
}

async fn the_next_carrier_comes_after_the_last_target(shop: &Shop<'_>, echo: &CarrierPeer) {
    let (one, two) = tokio::join!(refusing("503 Service Unavailable"), refusing("503 Service Unavailable"));
    shop.dns.server("_sip._udp.both.test", LONG, 1, 0, one.address.port(), "sbc.test").server(
        "_sip._udp.both.test",
        LONG,
        2,
        0,
        two.address.port(),
        "sbc.test",
    );
    shop.carrier("both.test", "917", json!({})).await;
    shop.carrier("127.0.0.1", "917", json!({"port": echo.address.port(), "priority": 2})).await;
    shop.talks("917000000001").await;
    let tried = [&one, &two, echo].map(|peer| peer.invited("+917000000001"));
    assert_eq!(tried, [1, 1, 1]);
}

async fn a_name_that_moves_is_followed_and_one_nobody_answers_for_is_kept(shop: &Shop<'_>) {
    let (old, new) = (echoing().await, echoing().await);
    let name = "_sip._udp.moving.test";
    shop.dns.server(name, 1, 1, 0, old.address.port(), "sbc.test");
    shop.carrier("moving.test", "918", json!({})).await;
    shop.talks("918000000001").await;
    assert_eq!(old.invited("+918000000001"), 1);
    shop.dns.remove(name).server(name, 1, 1, 0, new.address.port(), "sbc.test");
    let moved = async || {
        let shown = shop.world.platform.operator("GET", "/admin/carriers/moving.test%20918", None).await.ok();
        (shown["addresses"][0]["address"] == new.address.to_string()).then_some(())
    };
    until("the new address", moved).await;
    shop.talks("918000000002").await;
    assert_eq!((old.invited("+918000000002"), new.invited("+918000000002")), (0, 1));
    // The name expires and the name server refuses: what is known is used.
    shop.dns.remove(name).server(name, 1, 1, 0, 9, "unanswered.test");
    shop.dns.mute("unanswered.test");
    let asked = shop.dns.asked("unanswered.test");
    until("another look-up", || async { (shop.dns.asked("unanswered.test") > asked).then_some(()) }).await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    shop.talks("918000000003").await;
    assert_eq!(new.invited("+918000000003"), 1);
}

async fn a_pbx_is_found_by_the_transport_its_uri_names(shop: &Shop<'_>) {
    let world = shop.world;
    let (udp, port) = (echoing().await, free_port(STREAMS));
    let tcp = Sipp::start(
        &carrier_side::echo(0),
        SocketAddr::new(STREAMS, port),
        None,
        &["-t", "t1", "-rtp_echo", "-mi", "127.0.0.1", "-mp", &free_port(LOCALHOST).to_string()],
    );
    listening(port).await;
    shop.dns.server("_sip._udp.pbx.test", LONG, 1, 0, udp.address.port(), "sbc.test").server(
        "_sip._tcp.pbx.test",
        LONG,
        1,
        0,
        port,
        "streams.test",
    );
    let network = SocketAddr::new(PBX, free_port(PBX));
    world.carrier("network in", network, &["000"], 9).await;
    let call = async |name: &str, uri: &str| {
        let number = inbound(shop, name, uri).await;
        let host = world.sip().ip().to_string();
        let call = Caller::call_from(network, world.sip(), None, |media| {
            let dialog = Dialog::new("+919812345678", &format!("+{number}"), &host, media);
            dialog.invite().answered().ack().pause(100).bye()
        });
        call.await.finish().await.went_as_written();
        format!("+{number}")
    };
    let number = call("named udp", "sip:pbx.test").await;
    assert_eq!((udp.invited(&number), tcp.logged().contains(&number)), (1, false));
    let number = call("named tcp", "sip:pbx.test;transport=tcp").await;
    assert_eq!((udp.invited(&number), tcp.logged().contains(&number)), (0, true));
}

/// A trunk whose calls go to a URI, with a number.
async fn inbound(shop: &Shop<'_>, name: &str, uri: &str) -> String {
    let world = shop.world;
    let number = world.number(&shop.customer).await;
    let body = json!({"name": name, "trunk_direction": "inbound"});
    let trunk = text(&world.api(&shop.customer, "POST", "/trunks", Some(&body)).await.ok(), "trunk_id");
    let body = json!({"uri": uri, "priority": 1, "weight": 10, "trunk_id": trunk});
    world.api(&shop.customer, "POST", "/origination-uris", Some(&body)).await.ok();
    let body = json!({ "trunk_group_id": trunk });
    world.api(&shop.customer, "POST", &format!("/numbers/%2B{number}/assign"), Some(&body)).await.ok();
    number
}

async fn a_name_that_leads_to_a_private_address_is_not_called(shop: &Shop<'_>) {
    shop.dns.address("inside.test", LONG, IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)));
    let number = inbound(shop, "inside", "sip:inside.test").await;
    let network = SocketAddr::new(PBX, free_port(PBX));
    shop.world.carrier("network to inside", network, &["001"], 9).await;
    let host = shop.world.sip().ip().to_string();
    let call = Caller::call_from(network, shop.world.sip(), None, |media| {
        let dialog = Dialog::new("+919812345678", &format!("+{number}"), &host, media);
        dialog.invite().refused_because(503, "TRUNK_UNREACHABLE")
    });
    call.await.finish().await.went_as_written();
    assert!(shop.dns.asked("inside.test") > 0);
}
