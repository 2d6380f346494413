//! Every way a call is refused, by sipp: the SIP answer and its Reason, one record with its cause, one webhook with its reason, and
//! not a micro-unit moved. Before authentication: no record at all. All on one node, each scenario a function of its own.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};
use tandem_testkit::{Answer, Sipp};

use crate::stage::{
    Caller, CarrierPeer, Customer, Dialog, PATIENCE, Trunk, World, WorldOptions, carrier_side,
};
use crate::stage::{peer::free_port, until};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const ACL_PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
const STRANGER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 9));
const USER: &str = "pbx";
const PASSWORD: &str = "correct-horse-7";
/// Money of each customer, in micro-units.
const BALANCE: i64 = 50_000_000;

/// A customer with a trunk and a number.
struct Shop {
    customer: Customer,
    trunk: Trunk,
    number: String,
}

/// What a refusal must look like everywhere.
struct Expected<'a> {
    to: &'a str,
    status: u16,
    code: &'a str,
    cause: (i64, &'a str),
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_refusal_has_its_answer_its_record_and_its_webhook() {
    let options =
        WorldOptions { environment: vec![("TANDEM_SIP__CPS_QUEUE_MS", "1500")], ..WorldOptions::default() };
    let world = World::open(options, |request| match request.path() {
        "/calls-itself" => {
            let own = request.param("To").unwrap_or_default();
            Answer::xml(format!("<Response><Dial><Number>+{own}</Number></Dial></Response>"))
        }
        _ => Answer::status(204),
    })
    .await;
    let carrier = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("echo", carrier.address, &["9190", "9191", "44"], 1).await;
    let world = &world;
    tokio::join!(
        a_wrong_password_is_answered_alike_for_known_and_unknown_users(world),
        an_unknown_domain_is_silence_or_404_for_a_known_source(world),
        an_address_not_on_the_acl_is_refused_without_a_record(world),
        a_disabled_trunk_is_refused_after_authentication(world),
        a_disabled_account_is_refused(world),
        no_balance_is_refused(world),
        a_caller_id_not_owned_is_refused(world),
        calls_beyond_the_cps_wait_and_then_are_refused(world),
        a_call_beyond_the_concurrency_is_refused(world),
        bad_destinations_are_refused(world),
        a_flood_of_refusals_is_counted_on_one_record(world),
        a_number_whose_trunk_is_disabled_is_refused_to_the_network(world),
        a_call_that_came_round_too_often_is_a_loop(world, &carrier),
        a_document_that_dials_its_own_number_is_a_loop(world),
    );
    world.verify_ledger();
}

async fn shop(world: &World, name: &str, limits: (u32, u32)) -> Shop {
    let customer = world.customer(name, BALANCE as f64 / 1e6, limits).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, name).await;
    world.credential(&customer, &trunk, USER, PASSWORD).await;
    Shop { customer, trunk, number }
}

impl Shop {
    fn dialog(&self, to: &str, media: std::net::SocketAddr) -> Dialog {
        Dialog::new(&self.number, to, &self.trunk.domain, media).credentials(USER, PASSWORD)
    }

    /// Calls as `from` and must be refused as expected.
    async fn is_refused(&self, world: &World, from: &str, expected: Expected<'_>) -> Value {
        let call = Caller::call(PBX, world.sip(), None, |media| {
            Dialog::new(from, expected.to, &self.trunk.domain, media)
                .credentials(USER, PASSWORD)
                .invite()
                .refused_because(expected.status, expected.code)
        });
        call.await.finish().await.went_as_written();
        self.tells_of(world, expected).await
    }

    /// One event and one record tell of it.
    async fn tells_of(&self, world: &World, expected: Expected<'_>) -> Value {
        let to = expected.to.trim_start_matches('+');
        let events = world.trunk_events(&self.trunk, to, 1).await;
        let [event] = events.as_slice() else { panic!("{} events: {events:#?}", events.len()) };
        assert_eq!(event["Event"], "CallInitiated", "{event}");
        assert_eq!(
            (&event["Allowed"], &event["ReasonCode"]),
            (&json!(false), &json!(expected.code)),
            "{event}"
        );
        let record = world.record(&self.customer, event["CallUUID"].as_str().expect("an id")).await;
        assert_eq!(record["hangup_cause_code"], expected.cause.0, "{record}");
        assert_eq!(record["hangup_cause_name"], expected.cause.1, "{record}");
        assert_eq!(record["hangup_source"], "Vobiz", "{record}");
        assert_eq!(record["failure_reason"], event["Reason"], "{record}");
        assert_eq!(
            (record["billsec"].as_u64(), record["total_cost"].as_f64()),
            (Some(0), Some(0.0)),
            "{record}"
        );
        record
    }

    /// Nothing was taken or is held, and there are so many records in all.
    async fn has_paid_nothing(&self, world: &World, records: usize) {
        let path = format!("/admin/accounts/{}", self.customer.who.id);
        let account = world.platform.operator("GET", &path, None).await.ok();
        assert_eq!(world.balance(&self.customer.who.id).await, BALANCE, "{account}");
        assert_eq!((&account["held"], &account["live_calls"]), (&json!("0.000000"), &json!(0)), "{account}");
        let found = world.records_once(&self.customer, records).await;
        assert_eq!(found.len(), records, "{found:#?}");
    }
}

async fn a_wrong_password_is_answered_alike_for_known_and_unknown_users(world: &World) {
    let shop = shop(world, "guessed", (10, 10)).await;
    let guess = |username: &'static str| {
        let shop = &shop;
        async move {
            let call = Caller::call(PBX, world.sip(), None, |media| {
                let dialog = Dialog::new(&shop.number, "919000000101", &shop.trunk.domain, media);
                dialog.credentials(username, "wrong").invite().refused(401)
            });
            let called = call.await.finish().await;
            called.went_as_written();
            let words = called.outcome.words;
            let last = words.rsplit("SIP/2.0 401").next().expect("an answer").to_owned();
            let names = last.lines().skip(1).take_while(|line| !line.trim().is_empty());
            names.filter_map(|line| line.split_once(':')).map(|(name, _)| name.to_owned()).collect::<Vec<_>>()
        }
    };
    let (known, unknown) = tokio::join!(guess(USER), guess("nobody-here"));
    assert!(known.iter().any(|name| name == "WWW-Authenticate"), "{known:?}");
    assert_eq!(known, unknown);
    let events = world.sink.requests();
    assert!(
        events.iter().all(|event| event.json()["TrunkID"] != shop.trunk.id.as_str()),
        "it is nobody's call"
    );
    shop.has_paid_nothing(world, 0).await;
}

async fn an_unknown_domain_is_silence_or_404_for_a_known_source(world: &World) {
    let shop = shop(world, "lost", (10, 10)).await;
    world.acl(&shop.customer, &shop.trunk, &ACL_PBX.to_string()).await;
    let suffix = shop.trunk.domain.split_once('.').expect("a label and a suffix").1.to_owned();
    let unknown = format!("00000000.{suffix}");
    let stranger = Caller::call(STRANGER, world.sip(), None, |media| {
        Dialog::new(&shop.number, "919000000102", &unknown, media).invite().silence(1_200)
    });
    let known = Caller::call(ACL_PBX, world.sip(), None, |media| {
        let dialog = Dialog::new(&shop.number, "919000000102", &unknown, media);
        dialog.invite().refused_because(404, "TRUNK_NOT_FOUND")
    });
    let (stranger, known) =
        tokio::join!(async { stranger.await.finish().await }, async { known.await.finish().await });
    stranger.went_as_written();
    known.went_as_written();
    shop.has_paid_nothing(world, 0).await;
}

async fn an_address_not_on_the_acl_is_refused_without_a_record(world: &World) {
    let shop = shop(world, "listed", (10, 10)).await;
    let trunk = world.trunk(&shop.customer, "by address").await;
    world.acl(&shop.customer, &trunk, "127.0.0.77").await;
    let call = Caller::call(STRANGER, world.sip(), None, |media| {
        let dialog = Dialog::new(&shop.number, "919000000103", &trunk.domain, media);
        dialog.invite().refused_because(403, "INVALID_CREDENTIALS")
    });
    call.await.finish().await.went_as_written();
    shop.has_paid_nothing(world, 0).await;
}

async fn a_disabled_trunk_is_refused_after_authentication(world: &World) {
    let shop = shop(world, "closed", (10, 10)).await;
    let path = format!("/trunks/{}", shop.trunk.id);
    world.api(&shop.customer, "PUT", &path, Some(&json!({"trunk_status": "disabled"}))).await.ok();
    let stranger = Caller::call(STRANGER, world.sip(), None, |media| {
        Dialog::new(&shop.number, "919000000104", &shop.trunk.domain, media).invite().refused(401)
    });
    stranger.await.finish().await.went_as_written();
    let expected =
        Expected { to: "919000000104", status: 403, code: "TRUNK_DISABLED", cause: (3040, "Forbidden") };
    let record = shop.is_refused(world, &shop.number, expected).await;
    assert_eq!(record["trunk_id"], shop.trunk.id);
    shop.has_paid_nothing(world, 1).await;
}

async fn a_disabled_account_is_refused(world: &World) {
    let shop = shop(world, "suspended", (10, 10)).await;
    let path = format!("/admin/accounts/{}", shop.customer.who.id);
    world.platform.operator("PUT", &path, Some(&json!({"enabled": false}))).await.ok();
    let call = Caller::call(PBX, world.sip(), None, |media| {
        shop.dialog("919000000105", media).invite().refused_because(403, "ACCOUNT_INACTIVE")
    });
    call.await.finish().await.went_as_written();
    world.platform.operator("PUT", &path, Some(&json!({"enabled": true}))).await.ok();
    let expected =
        Expected { to: "919000000105", status: 403, code: "ACCOUNT_INACTIVE", cause: (3040, "Forbidden") };
    shop.tells_of(world, expected).await;
    shop.has_paid_nothing(world, 1).await;
}

async fn no_balance_is_refused(world: &World) {
    let customer = world.customer("broke", 0.0, (10, 10)).await;
    let number = world.number(&customer).await;
    let trunk = world.trunk(&customer, "broke").await;
    world.credential(&customer, &trunk, USER, PASSWORD).await;
    let shop = Shop { customer, trunk, number };
    let expected = Expected {
        to: "919000000106",
        status: 402,
        code: "INSUFFICIENT_BALANCE",
        cause: (1010, "Canceled (Out Of Credits)"),
    };
    let record = shop.is_refused(world, &shop.number, expected).await;
    let reason = record["failure_reason"].as_str().unwrap_or_default();
    assert_eq!(reason, "Insufficient balance: 0.00 INR");
    assert_eq!(world.balance(&shop.customer.who.id).await, 0);
    assert_eq!(world.records(&shop.customer).await.len(), 1);
}

async fn a_caller_id_not_owned_is_refused(world: &World) {
    let shop = shop(world, "masked", (10, 10)).await;
    let expected =
        |to| Expected { to, status: 403, code: "CALLER_ID_NOT_OWNED", cause: (3030, "Unknown Caller ID") };
    shop.is_refused(world, "+918099999999", expected("919000000107")).await;
    shop.is_refused(world, "extension-7", expected("919000000108")).await;
    shop.has_paid_nothing(world, 2).await;
}

/// One call a second: of four at once one goes through, one waits for its second, two find the queue full.
async fn calls_beyond_the_cps_wait_and_then_are_refused(world: &World) {
    let shop = shop(world, "hasty", (1, 10)).await;
    let busy = |to: &'static str| {
        let shop = &shop;
        async move {
            let call = Caller::call(PBX, world.sip(), None, |media| {
                shop.dialog(to, media).invite().answered().ack().pause(200).bye()
            });
            let called = call.await.finish().await;
            if called.outcome.success {
                return true;
            }
            let words = &called.outcome.words;
            assert!(words.contains("SIP/2.0 503"), "{words}");
            assert!(words.contains("CPS_EXCEEDED") && !words.contains("Retry-After"), "{words}");
            let expected = Expected {
                to,
                status: 503,
                code: "CPS_EXCEEDED",
                cause: (5030, "Concurrency Limit Breached"),
            };
            shop.tells_of(world, expected).await;
            false
        }
    };
    let through =
        tokio::join!(busy("919000000110"), busy("919000000111"), busy("919000000112"), busy("919000000113"),);
    let through = [through.0, through.1, through.2, through.3].into_iter().filter(|through| *through).count();
    assert_eq!(through, 2, "one at once, one after its second");
    world.records_once(&shop.customer, 4).await;
}

async fn a_call_beyond_the_concurrency_is_refused(world: &World) {
    let shop = shop(world, "single", (10, 1)).await;
    let talk = Caller::call(PBX, world.sip(), None, |media| {
        shop.dialog("919000000114", media).invite().answered().ack().pause(2_500).bye()
    });
    let talk = talk.await;
    until("live call", || async { (world.live_calls(&shop.customer).await.len() == 1).then_some(()) }).await;
    let expected = Expected {
        to: "919000000115",
        status: 503,
        code: "CONCURRENCY_EXCEEDED",
        cause: (5030, "Concurrency Limit Breached"),
    };
    shop.is_refused(world, &shop.number, expected).await;
    talk.finish().await.went_as_written();
    let records = world.records_once(&shop.customer, 2).await;
    assert_eq!(records.len(), 2);
}

async fn bad_destinations_are_refused(world: &World) {
    let shop = shop(world, "abroad", (100, 10)).await;
    for (country, action) in [("9191900", "bar"), ("44", "open")] {
        let rule = json!({"country": country, "action": action, "account": shop.customer.who.id});
        world.platform.operator("POST", "/admin/countries", Some(&rule)).await.ok();
    }
    let cases = [
        ("+14155550100", 403, "COUNTRY_BARRED", (2030, "Destination Country Barred")),
        ("919190000001", 403, "PREFIX_BARRED", (2050, "Destination Prefix Barred")),
        ("917700000001", 503, "NO_ROUTE", (5020, "Routing Error")),
        ("+447911123456", 503, "NO_RATE", (5020, "Routing Error")),
        ("112", 403, "SHORT_CODE_BARRED", (2040, "Destination Number Barred")),
        ("front-desk", 484, "INVALID_DESTINATION", (2000, "Invalid Destination Address")),
        ("919812345678901234", 484, "INVALID_DESTINATION", (2000, "Invalid Destination Address")),
    ];
    let refusals = cases.map(|(to, status, code, cause)| {
        let shop = &shop;
        async move { shop.is_refused(world, &shop.number, Expected { to, status, code, cause }).await }
    });
    futures_util::future::join_all(refusals).await;
    shop.has_paid_nothing(world, cases.len()).await;
}

async fn a_flood_of_refusals_is_counted_on_one_record(world: &World) {
    const CALLS: usize = 120;
    let shop = shop(world, "dialler", (1_000, 10)).await;
    let address = "127.0.0.31";
    world.acl(&shop.customer, &shop.trunk, address).await;
    let ip: IpAddr = address.parse().expect("an address");
    let scenario = {
        let media = std::net::SocketAddr::new(ip, 40_000);
        let dialog = Dialog::new(&shop.number, "+14155550199", &shop.trunk.domain, media);
        dialog.invite().refused_because(403, "COUNTRY_BARRED").xml()
    };
    let local = std::net::SocketAddr::new(ip, free_port(ip));
    let (count, media) = (CALLS.to_string(), free_port(ip).to_string());
    let arguments =
        ["-m", &count, "-r", "200", "-l", &count, "-recv_timeout", "20000", "-mi", address, "-mp", &media];
    let outcome = Sipp::start(&scenario, local, Some(world.sip()), &arguments).wait(PATIENCE).await;
    assert!(outcome.success, "{}", outcome.words);
    let records = until("count of the flood", || async {
        let records = world.records(&shop.customer).await;
        let all: u64 = records.iter().map(|record| record["occurrences"].as_u64().unwrap_or(1)).sum();
        (all == CALLS as u64).then_some(records)
    })
    .await;
    assert!(records.len() < CALLS / 2, "{} records of {CALLS} refusals", records.len());
    assert!(records.iter().all(|record| record["hangup_cause_code"] == 2030), "{records:#?}");
    let counted = records.iter().filter(|record| record["occurrences"].as_u64().is_some()).count();
    assert_eq!(counted, 1, "one row counts the flood");
    let events = world.trunk_events(&shop.trunk, "14155550199", records.len()).await;
    assert_eq!(events.len(), records.len(), "an event for each record");
    shop.has_paid_nothing(world, records.len()).await;
}

/// The network asks for a number whose trunk is off: congestion, so that it may try elsewhere.
async fn a_number_whose_trunk_is_disabled_is_refused_to_the_network(world: &World) {
    let customer = world.customer("asleep", 1.0, (10, 10)).await;
    let number = world.number(&customer).await;
    let body = json!({"name": "inbound", "trunk_direction": "inbound", "trunk_status": "disabled",
        "inbound_destination": "127.0.0.1:9"});
    let made = world.api(&customer, "POST", "/trunks", Some(&body)).await.ok();
    let body = json!({"trunk_group_id": made["trunk_id"]});
    world.api(&customer, "POST", &format!("/numbers/%2B{number}/assign"), Some(&body)).await.ok();
    let local = std::net::SocketAddr::new(ACL_PBX, free_port(ACL_PBX));
    world.carrier("in-a", local, &["000"], 9).await;
    let call = Caller::call_from(local, world.sip(), None, |media| {
        let dialog = Dialog::new("919812345678", &number, &world.sip().ip().to_string(), media);
        dialog.invite().refused_because(503, "TRUNK_UNREACHABLE")
    });
    call.await.finish().await.went_as_written();
    let records = world.records_once(&customer, 1).await;
    assert_eq!(records[0]["hangup_cause_code"], 2010, "{records:#?}");
    assert_eq!(records.len(), 1);
}

/// Somebody beyond the carrier forwards the call back, with its headers: the fourth visit is one too many.
async fn a_call_that_came_round_too_often_is_a_loop(world: &World, carrier: &CarrierPeer) {
    let shop = shop(world, "forwarder", (100, 10)).await;
    let mut cookie = None;
    for visit in 0..3 {
        let to = format!("91900000012{visit}");
        let call = Caller::call(PBX, world.sip(), None, |media| {
            let dialog = shop.dialog(&to, media);
            let dialog = match &cookie {
                Some(cookie) => dialog.header(&format!("X-Tandem-Hops: {cookie}")),
                None => dialog,
            };
            dialog.invite().answered().ack().pause(100).bye()
        });
        call.await.finish().await.went_as_written();
        let (hops, max_forwards) = carrier.hops(&format!("+{to}")).expect("the carrier was called");
        assert_eq!(max_forwards, 69, "one less than the PBX sent");
        assert!(hops.starts_with(&format!("{}.", visit + 1)), "{hops}");
        cookie = Some(hops);
    }
    let to = "919000000129";
    let call = Caller::call(PBX, world.sip(), None, |media| {
        let dialog = shop.dialog(to, media).header(&format!("X-Tandem-Hops: {}", cookie.unwrap_or_default()));
        dialog.invite().refused_because(482, "LOOP_DETECTED")
    });
    call.await.finish().await.went_as_written();
    let expected = Expected { to, status: 482, code: "LOOP_DETECTED", cause: (2060, "Loop Detected") };
    shop.tells_of(world, expected).await;
}

/// The number's own document dials the number: the leg is refused and on record, the call itself runs on to its end.
async fn a_document_that_dials_its_own_number_is_a_loop(world: &World) {
    let customer = world.customer("mirror", 1.0, (10, 10)).await;
    let number = world.number(&customer).await;
    world.application(&customer, &number, "calls-itself", json!({})).await;
    let ip: IpAddr = "127.0.0.4".parse().expect("an address");
    let local = std::net::SocketAddr::new(ip, free_port(ip));
    world.carrier("in-mirror", local, &["001"], 9).await;
    let host = world.sip().ip().to_string();
    // Its document comes to its end without an answer: 480.
    let call = Caller::call_from(local, world.sip(), None, |media| {
        Dialog::new("919812345678", &format!("+{number}"), &host, media).invite().refused(480)
    });
    call.await.finish().await.went_as_written();
    let records = world.records_once(&customer, 2).await;
    let leg = records.iter().find(|record| record["call_direction"] == "outbound");
    let leg = leg.unwrap_or_else(|| panic!("no leg: {records:#?}"));
    assert_eq!(leg["hangup_cause_code"], 2060, "{leg}");
    assert_eq!(leg["destination_number"], format!("+{number}"), "{leg}");
    assert_eq!(records.len(), 2);
    assert_eq!(world.balance(&customer.who.id).await, 1_000_000);
}
