//! Calls made over REST: the document's speech is heard, the call is listed while it lives, ends on request, is
//! made once per key, and is refused with the status the contract gives.

use std::time::Duration;

use serde_json::{Value, json};
use tandem_testkit::{Answer, Request};

use crate::stage::world::text;
use crate::stage::{CarrierPeer, Customer, PATIENCE, World, WorldOptions, carrier_side, genuine, until};

const CALLEE: &str = "919000000055";

fn order(world: &World, from: &str, to: &str) -> Value {
    json!({"from": from, "to": to, "answer_url": world.sink.url("answer"), "answer_method": "POST",
        "hangup_url": world.sink.url("hangup"), "ring_url": world.sink.url("ring")})
}

async fn events(world: &World, customer: &Customer, call: &str, last: &str) -> Vec<Request> {
    let concerns = |request: &Request| request.call() == call;
    let all =
        world.sink.wait(PATIENCE, |all| all.iter().any(|one| concerns(one) && one.event() == last)).await;
    let about: Vec<_> = all.into_iter().filter(concerns).collect();
    for request in &about {
        genuine::callback(&customer.who.token, request);
    }
    about
}

async fn world() -> (World, CarrierPeer) {
    let world = World::open(WorldOptions::default(), |request| match request.path() {
        "/answer" => Answer::xml("<Response><Speak loop=\"0\">Hello from Tandem.</Speak></Response>"),
        _ => Answer::status(204),
    })
    .await;
    let carrier = CarrierPeer::start(&carrier_side::echo(300)).await;
    world.carrier("echo", carrier.address, &[], 1).await;
    (world, carrier)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_lives_is_listed_and_ends_on_request() {
    let (world, carrier) = world().await;
    let customer = world.customer("caller", 100.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let started = world.api(&customer, "POST", "/Call/", Some(&order(&world, &number, CALLEE))).await;
    assert_eq!(started.status, 200, "{}", started.body);
    let call = text(&started.body, "request_uuid");
    let about = events(&world, &customer, &call, "StartApp").await;
    let start = about.iter().find(|request| request.event() == "StartApp").expect("it came");
    for (name, value) in [
        ("RequestUUID", call.as_str()),
        ("From", &number),
        ("To", CALLEE),
        ("Direction", "outbound"),
        ("CallStatus", "in-progress"),
        ("ParentAuthID", &customer.who.id),
    ] {
        assert_eq!(start.param(name).as_deref(), Some(value), "{name}");
    }
    let ring = events(&world, &customer, &call, "Ring").await;
    let ring = ring.iter().find(|request| request.event() == "Ring").expect("it rang");
    assert_eq!(ring.param("CallStatus").as_deref(), Some("ringing"));

    assert_eq!(world.live_calls(&customer).await, std::slice::from_ref(&call));
    let live = world.api(&customer, "GET", &format!("/Call/{call}?status=live"), None).await.ok();
    assert_eq!(live["call_uuid"], call.as_str());
    assert_eq!(live["call_status"], "in-progress");
    assert_eq!(live["direction"], "outbound");
    tokio::time::sleep(Duration::from_millis(1_400)).await;

    let ended = world.api(&customer, "DELETE", &format!("/Call/{call}/"), None).await;
    assert_eq!((ended.status, &ended.body), (204, &Value::Null));
    let about = events(&world, &customer, &call, "Hangup").await;
    let hangups: Vec<_> = about.iter().filter(|request| request.event() == "Hangup").collect();
    assert_eq!(hangups.len(), 1);
    assert_eq!(hangups[0].param("HangupSource").as_deref(), Some("API Request"));
    let record = world.record(&customer, &call).await;
    assert_eq!(record["hangup_source"], "API Request", "{record}");
    assert_eq!(record["hangup_cause_code"], 4_000);
    let billed = record["billsec"].as_i64().unwrap_or_default();
    assert!((1..=3).contains(&billed), "{record}");
    assert_eq!(world.balance(&customer.who.id).await, 100_000_000 - 10_000 * billed);
    assert!(world.live_calls(&customer).await.is_empty());
    assert_eq!(carrier.invited(&format!("+{CALLEE}")), 1);
    let again = world.api(&customer, "DELETE", &format!("/Call/{call}/"), None).await;
    assert_eq!(again.status, 404, "{}", again.body);
    world.verify_ledger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_is_one_call_and_limits_have_their_statuses() {
    let (world, carrier) = world().await;
    tokio::join!(one_key(&world, &carrier), no_money(&world), too_fast(&world), too_many(&world));
    world.verify_ledger();
}

async fn one_key(world: &World, carrier: &CarrierPeer) {
    let customer = world.customer("keyed", 100.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let to = "919000000056";
    let body = order(world, &number, to);
    let path = format!("/Account/{}/Call/", customer.who.id);
    let twenty = (0..20).map(|_| {
        world.platform.rest_with(
            "POST",
            &path,
            &customer.who,
            &[("idempotency-key", "order-4711")],
            Some(&body),
        )
    });
    let replies = futures_util::future::join_all(twenty).await;
    let mut calls: Vec<_> = replies
        .iter()
        .filter(|reply| reply.status == 200)
        .map(|reply| text(&reply.body, "request_uuid"))
        .collect();
    let busy = replies.iter().filter(|reply| reply.status == 409).count();
    assert_eq!(calls.len() + busy, 20, "{:?}", replies.iter().map(|reply| reply.status).collect::<Vec<_>>());
    calls.dedup();
    assert_eq!(calls.len(), 1, "one key, one call");
    let call = calls.remove(0);
    events(world, &customer, &call, "StartApp").await;
    assert_eq!(world.live_calls(&customer).await, std::slice::from_ref(&call));
    let late = world.platform.rest_with(
        "POST",
        &path,
        &customer.who,
        &[("idempotency-key", "order-4711")],
        Some(&body),
    );
    assert_eq!(text(&late.await.ok(), "request_uuid"), call, "a later twin gets the same answer");
    let other = order(world, &number, "919000000057");
    let other = world.platform.rest_with(
        "POST",
        &path,
        &customer.who,
        &[("idempotency-key", "order-4711")],
        Some(&other),
    );
    assert_eq!(other.await.status, 422, "the same key for something else");
    world.api(&customer, "DELETE", &format!("/Call/{call}/"), None).await.ok();
    world.record(&customer, &call).await;
    assert_eq!(world.records(&customer).await.len(), 1);
    assert_eq!(carrier.invited(&format!("+{to}")), 1);
}

async fn no_money(world: &World) {
    let customer = world.customer("broke", 0.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let reply = world.api(&customer, "POST", "/Call/", Some(&order(world, &number, CALLEE))).await;
    assert_eq!(reply.status, 402, "{}", reply.body);
    assert!(world.live_calls(&customer).await.is_empty());
}

async fn too_fast(world: &World) {
    let customer = world.customer("hasty", 100.0, (1, 100)).await;
    let number = world.number(&customer).await;
    let body = order(world, &number, "919000000058");
    let orders = (0..20).map(|_| world.api(&customer, "POST", "/Call/", Some(&body)));
    let replies = futures_util::future::join_all(orders).await;
    let fired = replies.iter().filter(|reply| reply.status == 200).count();
    let refused: Vec<_> = replies.iter().filter(|reply| reply.status == 429).collect();
    assert_eq!(fired + refused.len(), 20);
    assert!((11..=14).contains(&fired), "{fired} calls taken at one a second with ten seconds of patience");
    assert!(!refused.is_empty());
    for reply in &refused {
        let seconds = reply.headers.get("retry-after").and_then(|value| value.to_str().ok());
        assert!(
            seconds.is_some_and(|value| value.parse::<u32>().is_ok_and(|s| (1..=5).contains(&s))),
            "{reply:?}"
        );
    }
    end_all(world, &customer).await;
}

async fn too_many(world: &World) {
    let customer = world.customer("greedy", 100.0, (100, 3)).await;
    let number = world.number(&customer).await;
    let body = order(world, &number, "919000000059");
    let orders = (0..8).map(|_| world.api(&customer, "POST", "/Call/", Some(&body)));
    let replies = futures_util::future::join_all(orders).await;
    let mut statuses: Vec<_> = replies.iter().map(|reply| reply.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 200, 429, 429, 429, 429, 429]);
    let refused = replies.iter().filter(|reply| reply.status == 429);
    assert!(refused.clone().all(|reply| reply.headers.contains_key("retry-after")));
    end_all(world, &customer).await;
}

async fn end_all(world: &World, customer: &Customer) {
    until("an end of all calls", || async {
        let (queued, live) = (queued_calls(world, customer).await, world.live_calls(customer).await);
        for call in queued.iter().chain(&live) {
            world.api(customer, "DELETE", &format!("/Call/{call}/"), None).await;
        }
        (queued.is_empty() && live.is_empty()).then_some(())
    })
    .await;
}

async fn queued_calls(world: &World, customer: &Customer) -> Vec<String> {
    let queued = world.api(customer, "GET", "/Call?status=queued", None).await.ok();
    let calls = queued["calls"].as_array().expect("a list");
    calls.iter().filter_map(|call| call.as_str().map(str::to_owned)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_beyond_the_second_wait_for_their_turn_and_can_be_taken_back() {
    let (world, carrier) = world().await;
    let customer = world.customer("patient", 100.0, (1, 100)).await;
    let number = world.number(&customer).await;
    let to = ["919000000061", "919000000062", "919000000063", "919000000064", "919000000065"];
    let bulk = order(&world, &number, &to.join("<"));
    let fired = world.api(&customer, "POST", "/Call/", Some(&bulk)).await.ok();
    let calls: Vec<String> = (0..to.len())
        .map(|index| {
            let destination = &fired["destinations"][index];
            assert_eq!(destination["to"], to[index], "{fired}");
            text(destination, "call_uuid")
        })
        .collect();
    assert_eq!(fired["request_uuid"].as_array().map(Vec::len), Some(to.len()), "{fired}");

    let queued = queued_calls(&world, &customer).await;
    assert!(queued.len() >= 3, "one is dialled at once, the others wait: {queued:?}");
    assert!(!queued.contains(&calls[0]));
    let waiting = world.api(&customer, "GET", &format!("/Call/{}/?status=queued", calls[4]), None).await.ok();
    assert_eq!((&waiting["call_status"], &waiting["to"]), (&json!("queued"), &json!(to[4])));
    let live = world.api(&customer, "GET", &format!("/Call/{}/?status=live", calls[4]), None).await;
    assert_eq!(live.status, 404, "it does not live yet");

    let cancelled = world.api(&customer, "DELETE", &format!("/Call/{}/", calls[4]), None).await;
    assert_eq!(cancelled.status, 204, "{}", cancelled.body);
    let legacy = world.api(&customer, "DELETE", &format!("/Request/{}/", calls[3]), None).await;
    assert_eq!(legacy.status, 204, "{}", legacy.body);
    for call in [&calls[3], &calls[4]] {
        let record = world.record(&customer, call).await;
        assert_eq!((&record["hangup_cause_code"], &record["billsec"]), (&json!(1000), &json!(0)), "{record}");
        assert_eq!(record["hangup_source"], "API Request");
        let about = events(&world, &customer, call, "Hangup").await;
        assert_eq!(about.len(), 1, "neither rung nor answered");
        let again = world.api(&customer, "DELETE", &format!("/Call/{call}/"), None).await;
        assert_eq!(again.status, 404);
    }
    for call in &calls[..3] {
        events(&world, &customer, call, "StartApp").await;
    }
    let invited: Vec<usize> = to.iter().map(|to| carrier.invited(&format!("+{to}"))).collect();
    assert_eq!(invited, [1, 1, 1, 0, 0], "those taken back were never dialled");
    end_all(&world, &customer).await;
    for call in &calls {
        world.record(&customer, call).await;
    }
    assert_eq!(world.records(&customer).await.len(), to.len(), "one record each");
    world.verify_ledger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_url_hears_of_ringing_answer_and_end() {
    let (world, _carrier) = world().await;
    let customer = world.customer("watchful", 100.0, (100, 100)).await;
    let number = world.number(&customer).await;
    let mut order = order(&world, &number, "919000000066");
    order["status_url"] = world.sink.url("status").into();
    order.as_object_mut().expect("an object").remove("ring_url");
    let fired = world.api(&customer, "POST", "/Call/", Some(&order)).await.ok();
    let call = text(&fired, "request_uuid");
    events(&world, &customer, &call, "StartApp").await;
    world.api(&customer, "DELETE", &format!("/Call/{call}/"), None).await.ok();
    let told = |all: &[Request]| {
        let told = all.iter().filter(|one| one.call() == call && one.path() == "/status");
        told.map(|one| (one.event().clone(), one.param("CallStatus").unwrap_or_default())).collect::<Vec<_>>()
    };
    // The hangup URL hears of the end too, before the status URL or after it.
    let ends =
        |all: &[Request]| all.iter().filter(|one| one.call() == call && one.event() == "Hangup").count();
    let all = world.sink.wait(PATIENCE, |all| told(all).len() == 3 && ends(all) == 2).await;
    let mut heard = told(&all);
    heard.sort();
    let expected = [("Hangup", "completed"), ("Ring", "ringing"), ("StartApp", "in-progress")];
    assert_eq!(heard, expected.map(|(event, status)| (event.to_owned(), status.to_owned())));
    for request in all.iter().filter(|one| one.call() == call) {
        genuine::callback(&customer.who.token, request);
    }
    assert_eq!(ends(&all), 2);
}
