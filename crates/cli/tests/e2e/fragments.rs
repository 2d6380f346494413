//! A request too long for one packet of the network, cut into IP fragments by the kernel itself: a network of its own whose
//! loopback carries 1,280 bytes at most, as IPv6 links may. Needs root.

use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use tandem_testkit::{Answer, Namespace};

use crate::stage::{Caller, CarrierPeer, Dialog, World, WorldOptions, carrier_side};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const MTU: &str = "1280";

#[test]
fn a_long_request_in_fragments_is_taken() {
    let network = match Namespace::new("frag") {
        Ok(network) => network,
        Err(missing) => return eprintln!("not run: {missing}"),
    };
    network.run(|| {
        let narrowed = Command::new("ip").args(["link", "set", "lo", "mtu", MTU]).status();
        assert!(narrowed.is_ok_and(|status| status.success()), "loopback takes another MTU");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        runtime.expect("a runtime").block_on(Box::pin(long_call()));
    });
}

async fn long_call() {
    let world = World::open(WorldOptions::default(), |_| Answer::status(204)).await;
    let carrier = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("echo", carrier.address, &[], 1).await;
    let customer = world.customer("pbx", 10.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, "pbx").await;
    world.credential(&customer, &trunk, "pbx", "correct-horse-7").await;
    let before = fragments();
    let call = Caller::call(PBX, world.sip(), None, |media| {
        let mut dialog =
            Dialog::new(&number, "919812345678", &trunk.domain, media).credentials("pbx", "correct-horse-7");
        for header in 0..12 {
            dialog = dialog.header(&format!("X-VH-Long{header}: {}", "v".repeat(400)));
        }
        dialog.invite().answered().ack().pause(100).bye()
    });
    call.await.finish().await.went_as_written();
    let after = fragments();
    assert!(
        after.0 > before.0 && after.1 > before.1,
        "cut and put together: {before:?} before, {after:?} after"
    );
    assert_eq!(carrier.invited("+919812345678"), 1);
    let record = &world.records_once(&customer, 1).await[0];
    assert_eq!(record["hangup_cause_code"], 4000, "{record}");
    world.verify_ledger();
}

/// IP packets cut into pieces, and put together again, in this network so far.
fn fragments() -> (u64, u64) {
    let snmp = fs::read_to_string("/proc/thread-self/net/snmp").expect("the kernel's counters");
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Ip: "));
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    let read = |wanted: &str| {
        let found = names.split(' ').zip(values.split(' ')).find(|(name, _)| *name == wanted);
        found.and_then(|(_, value)| value.parse().ok()).expect("a counter")
    };
    (read("FragOKs"), read("ReasmOKs"))
}
