//! Lists of events: an account's default callback, and a trunk's webhook, are told what their lists name and nothing else.
//! On both databases. Events to one URL arrive in the order in which they happened, so when a later one is there an
//! earlier one that is missing was never sent.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use tandem_testkit::databases::PostgresCluster;
use tandem_testkit::{Answer, Request};

use crate::stage::world::text;
use crate::stage::{
    Caller, CarrierPeer, Customer, Dialog, PATIENCE, Trunk, World, WorldOptions, carrier_side,
};

const PBX: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const PASSWORD: &str = "correct-horse-7";
/// Answers.
const ANSWERING: &str = "919000000081";
/// Is busy.
const BUSY: &str = "919100000081";
/// In a country that is closed.
const BARRED: &str = "14155550100";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_events_decides_what_is_told_on_sqlite() {
    Box::pin(lists_decide(None)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_list_of_events_decides_what_is_told_on_postgresql() {
    Box::pin(lists_decide(Some(PostgresCluster::shared().create_database()))).await;
}

async fn lists_decide(database: Option<String>) {
    let options = WorldOptions { database, ..WorldOptions::default() };
    let world = World::open(options, |request| match request.path() {
        "/answer" => Answer::xml("<Response><Hangup/></Response>"),
        _ => Answer::status(204),
    })
    .await;
    let (echo, busy) = tokio::join!(async { CarrierPeer::start(&carrier_side::echo(100)).await }, async {
        CarrierPeer::start(&carrier_side::refuse("486 Busy Here")).await
    },);
    world.carrier("echo", echo.address, &["9190"], 1).await;
    world.carrier("busy", busy.address, &["9191"], 1).await;
    tokio::join!(
        only_hangups(&world),
        everything(&world),
        only_failures(&world),
        a_default_for_a_trunk(&world),
        a_trunk_of_its_own_mind(&world),
    );
    world.verify_ledger();
}

/// A customer whose default callback is a path of the sink by its name, with a list of events.
async fn customer(world: &World, name: &str, events: &[&str]) -> Customer {
    let customer = world.customer(name, 100.0, (100, 100)).await;
    let body = json!({"default_callback_url": world.sink.url(name), "default_callback_events": events});
    world.api(&customer, "PATCH", "/settings", Some(&body)).await.ok();
    customer
}

/// Makes an API call with no status URL; its id.
async fn dial(world: &World, customer: &Customer, number: &str, to: &str) -> String {
    let body = json!({"from": number, "to": to, "answer_url": world.sink.url("answer"), "answer_method": "POST",
        "hangup_url": world.sink.url("hangup")});
    text(&world.api(customer, "POST", "/Call/", Some(&body)).await.ok(), "request_uuid")
}

/// What a path was told of calls, in order, once it heard of the end of this one.
async fn told(world: &World, path: &str, call: &str) -> Vec<(String, String)> {
    let here = |request: &&Request| request.path().trim_start_matches('/') == path;
    let ended = |request: &Request| here(&request) && request.call() == call && request.event() == "Hangup";
    let all = world.sink.wait(PATIENCE, |all| all.iter().any(ended)).await;
    all.iter().filter(here).map(|request| (request.call(), request.event())).collect()
}

async fn only_hangups(world: &World) {
    let customer = customer(world, "only-hangups", &["call.completed", "HANGUP"]).await;
    let settings = world.api(&customer, "GET", "/settings", None).await.ok();
    assert_eq!(settings["default_callback_events"], json!(["Hangup"]));
    let number = world.number(&customer).await;
    let call = dial(world, &customer, &number, ANSWERING).await;
    let heard = told(world, "only-hangups", &call).await;
    assert_eq!(
        heard,
        [(call, "Hangup".to_owned())],
        "one event of an answered call, and not the two before it"
    );
}

async fn everything(world: &World) {
    let customer = customer(world, "everything", &[]).await;
    let number = world.number(&customer).await;
    let call = dial(world, &customer, &number, ANSWERING).await;
    let mut heard = told(world, "everything", &call).await;
    heard.sort();
    let expected = ["Hangup", "Ring", "StartApp"].map(|event| (call.clone(), event.to_owned()));
    assert_eq!(heard, expected);
}

async fn only_failures(world: &World) {
    let customer = customer(world, "only-failures", &["call.failed"]).await;
    let number = world.number(&customer).await;
    let answered = dial(world, &customer, &number, ANSWERING).await;
    world.record(&customer, &answered).await;
    let busy = dial(world, &customer, &number, BUSY).await;
    let heard = told(world, "only-failures", &busy).await;
    assert_eq!(heard, [(busy, "Hangup".to_owned())], "of the call that was answered nothing is told");
}

/// A trunk of the name, with or without a place of its own for its events; calls out with the same user name.
async fn trunk(world: &World, customer: &Customer, name: &str, further: serde_json::Value) -> Trunk {
    let mut body = json!({"name": name, "trunk_direction": "outbound"});
    body.as_object_mut().expect("an object").extend(further.as_object().cloned().unwrap_or_default());
    let made = world.api(customer, "POST", "/trunks", Some(&body)).await.ok();
    let id = text(&made, "trunk_id");
    let secret = world.api(customer, "GET", &format!("/trunks/{id}/signing-secret"), None).await.ok();
    let trunk = Trunk { domain: text(&made, "trunk_domain"), secret: text(&secret, "signing_secret"), id };
    world.credential(customer, &trunk, name, PASSWORD).await;
    trunk
}

/// A PBX calls through a trunk: a call that is answered, or one that is refused.
async fn pbx_calls(world: &World, trunk: &Trunk, user: &str, from: &str, to: &str, refused: Option<u16>) {
    let call = Caller::call(PBX, world.sip(), None, |media| {
        let dialog = Dialog::new(&format!("+{from}"), &format!("+{to}"), &trunk.domain, media);
        let dialog = dialog.credentials(user, PASSWORD).invite();
        match refused {
            Some(status) => dialog.refused(status),
            None => dialog.answered().ack().pause(300).bye(),
        }
    })
    .await;
    call.finish().await.went_as_written();
}

/// What the account's list says holds for what a trunk without a webhook leaves to it: a refusal is a failure.
async fn a_default_for_a_trunk(world: &World) {
    let customer = customer(world, "trunk-default", &["call.failed"]).await;
    let number = world.number(&customer).await;
    let trunk = trunk(world, &customer, "trunk-default", json!({})).await;
    pbx_calls(world, &trunk, "trunk-default", &number, ANSWERING, None).await;
    world.records_once(&customer, 1).await;
    pbx_calls(world, &trunk, "trunk-default", &number, BARRED, Some(403)).await;
    let events = world.trunk_events(&trunk, BARRED, 1).await;
    assert_eq!((&events[0]["Event"], &events[0]["Allowed"]), (&json!("CallInitiated"), &json!(false)));
    let all = world.sink.requests();
    let here = all.iter().filter(|request| request.path() == "/trunk-default");
    assert_eq!(here.count(), 1, "the call that was answered began and ended without a word");
}

/// A trunk's own list, and what it leaves out does not fall to the account's default.
async fn a_trunk_of_its_own_mind(world: &World) {
    let customer = customer(world, "fallen-through", &[]).await;
    let number = world.number(&customer).await;
    let own =
        json!({"status_callback": world.sink.url("own-mind"), "status_callback_events": ["call.completed"]});
    let trunk = trunk(world, &customer, "own-mind", own).await;
    let listed = world.api(&customer, "GET", "/trunks", None).await.ok();
    assert_eq!(listed["objects"][0]["status_callback_events"], json!(["Hangup"]), "{listed}");
    pbx_calls(world, &trunk, "own-mind", &number, ANSWERING, None).await;
    let events = world.trunk_events(&trunk, ANSWERING, 1).await;
    assert_eq!(events.iter().map(|event| &event["Event"]).collect::<Vec<_>>(), ["Hangup"]);
    // The default hears of what no trunk takes, so it would have heard of this too.
    let call = dial(world, &customer, &number, ANSWERING).await;
    let heard = told(world, "fallen-through", &call).await;
    assert!(heard.iter().all(|(about, _)| *about == call), "{heard:?}");
    assert_eq!(heard.len(), 3, "{heard:?}");
}
