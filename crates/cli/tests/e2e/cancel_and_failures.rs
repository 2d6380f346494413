//! What goes wrong in telephony every day: the caller gives up, the callee is busy or away, a carrier is out of
//! order, messages are lost or repeated; holding and late offers. Each call ends with one record that tells it right.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::Value;
use tandem_testkit::Answer;

use crate::stage::peer::Called;
use crate::stage::script::Audio;
use crate::stage::{Caller, CarrierPeer, Customer, Dialog, Trunk, World, WorldOptions, carrier_side};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const USER: &str = "pbx";
const PASSWORD: &str = "correct-horse-7";
const TONE: u16 = 700;

struct Shop {
    world: World,
    customer: Customer,
    number: String,
    trunk: Trunk,
}

struct Ended {
    called: Called,
    record: Value,
    hangup: Value,
}

impl Shop {
    /// Runs a scenario of the PBX; what its call came to.
    async fn call(&self, to: &str, scenario: impl FnOnce(Dialog) -> Dialog) -> Ended {
        let call = Caller::call(PBX, self.world.sip(), Some(TONE), |media| {
            let dialog = Dialog::new(&self.number, to, &self.trunk.domain, media);
            scenario(dialog.credentials(USER, PASSWORD))
        });
        let called = call.await.finish().await;
        called.went_as_written();
        let mut events = self.world.trunk_events(&self.trunk, to, 2).await;
        assert_eq!(events.len(), 2, "CallInitiated and Hangup, once each: {events:#?}");
        events.sort_by_key(|event| event["Event"] != "CallInitiated");
        let hangup = events.pop().expect("two");
        let call = hangup["CallUUID"].as_str().expect("an id").to_owned();
        let record = self.world.record(&self.customer, &call).await;
        assert_eq!(record["hangup_cause_code"], hangup["HangupCauseCode"], "{record}");
        Ended { called, record, hangup }
    }
}

impl Ended {
    #[track_caller]
    fn came_to(&self, cause: &str, code: i64, source: &str) {
        let told =
            (&self.record["hangup_cause"], &self.record["hangup_cause_code"], &self.record["hangup_source"]);
        let expected = (&Value::from(cause), &Value::from(code), &Value::from(source));
        assert_eq!(told, expected, "{} {}", self.record, self.hangup);
        assert_eq!(self.hangup["HangupSource"], source, "{}", self.hangup);
    }

    #[track_caller]
    fn talked(&self, seconds: i64) {
        assert_eq!(self.record["billsec"], seconds, "{}", self.record);
        assert_eq!(self.record["total_cost"], seconds as f64 / 100.0, "{}", self.record);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_day_failures_end_in_one_right_record() {
    let options =
        WorldOptions { environment: vec![("TANDEM_SIP__RING_TIMEOUT_S", "3")], ..WorldOptions::default() };
    let world = World::open(options, |_| Answer::status(204)).await;
    let (busy, broken, spare, away, echo, deaf) = tokio::join!(
        carrier("486 Busy Here"),
        carrier("503 Service Unavailable"),
        async { CarrierPeer::start(&carrier_side::echo(100)).await },
        async { CarrierPeer::start(&carrier_side::ring_until_cancelled()).await },
        async { CarrierPeer::start(&carrier_side::echo(100)).await },
        async { CarrierPeer::start(&carrier_side::echo_slow_to_bye(700)).await },
    );
    for (name, peer, prefix, priority) in [
        ("busy", &busy, "9190", 1),
        ("broken", &broken, "9191", 1),
        ("spare", &spare, "9191", 2),
        ("away", &away, "9192", 1),
        ("echo", &echo, "9193", 1),
        ("deaf", &deaf, "9194", 1),
    ] {
        world.carrier(name, peer.address, &[prefix], priority).await;
    }
    let customer = world.customer("shop", 100.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, "pbx").await;
    world.credential(&customer, &trunk, USER, PASSWORD).await;
    let shop = Shop { world, customer, number, trunk };
    tokio::join!(
        async {
            let end = shop.call("919200000001", |call| call.invite().rings().pause(500).cancel()).await;
            end.came_to("ORIGINATOR_CANCEL", 4_000, "Caller");
            end.talked(0);
        },
        async {
            let end = shop.call("919000000001", |call| call.invite().refused(486)).await;
            end.came_to("USER_BUSY", 3_010, "Carrier");
            end.talked(0);
        },
        async {
            let end = shop.call("919200000002", |call| call.invite().rings().refused(480)).await;
            end.came_to("NO_ANSWER", 6_010, "Vobiz");
            end.talked(0);
            let rang = end.record["ring_time"].as_i64();
            assert!(rang == Some(3) || rang == Some(4), "{}", end.record);
        },
        async {
            let end =
                shop.call("919100000001", |call| call.invite().answered().ack().pause(1_300).bye()).await;
            end.came_to("NORMAL_CLEARING", 4_000, "Caller");
            end.talked(1);
            assert_eq!(broken.invited("+919100000001"), 1, "the first carrier was asked");
            assert_eq!(spare.invited("+919100000001"), 1, "the second one answered");
        },
        async {
            // The first ACK is lost: the 200 comes again before there is one.
            let script = |call: Dialog| call.invite().answered().pause(900).ack().pause(1_500).bye();
            let end = shop.call("919300000001", script).await;
            end.came_to("NORMAL_CLEARING", 4_000, "Caller");
            end.talked(2);
        },
        async {
            // The carrier does not answer the BYE at once.
            let end =
                shop.call("919400000001", |call| call.invite().answered().ack().pause(1_300).bye()).await;
            end.came_to("NORMAL_CLEARING", 4_000, "Caller");
            end.talked(1);
        },
        async {
            let script = |call: Dialog| {
                let talking = call.invite().answered().ack().pause(1_000);
                let held = talking.reinvite(Audio::SendOnly, "recvonly").pause(1_000);
                held.reinvite(Audio::Both, "sendrecv").pause(1_400).bye()
            };
            let end = shop.call("919300000002", script).await;
            end.came_to("NORMAL_CLEARING", 4_000, "Caller");
            let heard = end.called.heard.tone_ms(TONE);
            assert!(heard > 1_200, "{heard} ms of echo around the hold");
            assert_eq!(end.called.heard.sources.len(), 1, "one SSRC through hold and resume");
            let billed = end.record["billsec"].as_i64();
            assert!(billed == Some(3) || billed == Some(4), "held time is talk time: {}", end.record);
        },
        async {
            let script = |call: Dialog| {
                call.invite_with(Audio::None).answered().ack_with(Audio::Both).pause(1_300).bye()
            };
            let end = shop.call("919300000003", script).await;
            end.came_to("NORMAL_CLEARING", 4_000, "Caller");
            end.talked(1);
            assert!(end.called.heard.tone_ms(TONE) > 500, "{} ms of echo", end.called.heard.tone_ms(TONE));
        },
        repeated_invite(&shop, &echo),
    );
    let records = shop.world.records(&shop.customer).await;
    assert_eq!(records.len(), 9, "one record for each call: {records:#?}");
    let spent: f64 = records.iter().filter_map(|record| record["total_cost"].as_f64()).sum();
    let balance = shop.world.balance(&shop.customer.who.id).await;
    assert_eq!(balance, 100_000_000 - (spent * 1e6).round() as i64);
    shop.world.verify_ledger();
}

async fn carrier(status: &str) -> CarrierPeer {
    CarrierPeer::start(&carrier_side::refuse(status)).await
}

/// A retransmitted INVITE is the same call.
async fn repeated_invite(shop: &Shop, echo: &CarrierPeer) {
    let to = "919300000004";
    let script = |call: Dialog| call.invite().repeat_invite().answered().ack().pause(1_300).bye();
    let end = shop.call(to, script).await;
    end.talked(1);
    assert_eq!(echo.invited(&format!("+{to}")), 1, "twice the same INVITE is one call");
}
