//! What an operator can see: the tables of a running node during a call and after it, by command and by Prometheus.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use tandem_testkit::Answer;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::peer::free_port;
use crate::stage::{Caller, CarrierPeer, Dialog, World, WorldOptions, carrier_side, until};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// On 127.0.0.1 the ports of these tests are claimed by listening.
const NODE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 4));

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_are_shown_during_a_call_and_are_empty_after_it() {
    let metrics = format!("{NODE}:{}", free_port(NODE));
    let options = WorldOptions {
        // 64×T1, for which transactions are kept, is 2.6 s.
        environment: vec![("TANDEM_SIP__T1_MS", "40"), ("TANDEM_METRICS__LISTEN", metrics.clone().leak())],
        ..WorldOptions::default()
    };
    let world = World::open(options, |_| Answer::status(204)).await;
    let echo = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("echo", echo.address, &[], 1).await;
    let customer = world.customer("pbx", 10.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, "pbx").await;
    world.credential(&customer, &trunk, "pbx", "correct-horse-7").await;
    let call = Caller::call(PBX, world.sip(), None, |media| {
        let dialog = Dialog::new(&number, "919812345678", &trunk.domain, media);
        dialog.credentials("pbx", "correct-horse-7").invite().answered().ack().pause(1_500).bye()
    })
    .await;
    call.connected().await;
    until("both legs talking", || async {
        let shown = readings(&world.platform.admin(&["status"]), None);
        (shown["calls_talking"] == 1).then_some(shown)
    })
    .await;
    let during = readings(&world.platform.admin(&["status"]), Some("drains"));
    for (name, value) in [("sip_legs", 2), ("sip_leg_owners", 2), ("media_legs", 2), ("sessions", 1)] {
        assert_eq!(during[name], value, "{name} in {during:?}");
    }
    let scraped = scrape(&metrics).await;
    assert!(scraped.contains("\ntandem_sip_legs 2\n"), "{scraped}");
    assert!(scraped.contains("# TYPE tandem_sip_legs gauge\n"), "{scraped}");
    call.finish().await.went_as_written();
    until("empty tables", || async {
        let left = readings(&world.platform.admin(&["status"]), Some("drains"));
        left.values().all(|value| *value == 0).then_some(())
    })
    .await;
}

/// Readings by name, of one kind or all.
fn readings(status: &Value, kind: Option<&str>) -> HashMap<String, u64> {
    let all = status["readings"].as_array().unwrap_or_else(|| panic!("no readings: {status}"));
    let wanted = all.iter().filter(|one| kind.is_none_or(|kind| one["kind"] == kind));
    wanted
        .map(|one| {
            (one["name"].as_str().expect("a name").to_owned(), one["value"].as_u64().expect("a number"))
        })
        .collect()
}

async fn scrape(place: &str) -> String {
    let mut stream = TcpStream::connect(place).await.expect("it listens");
    stream
        .write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        .await
        .expect("it is open");
    let mut text = String::new();
    stream.read_to_string(&mut text).await.expect("text");
    text
}
