//! Live calls steered over REST: other documents for either leg, sounds, keys; in every dialect's words.

use serde_json::{Value, json};
use tandem_testkit::{Answer, Request};

use crate::stage::world::text;
use crate::stage::{CarrierPeer, Customer, PATIENCE, World, WorldOptions, carrier_side, genuine};

const CALLEE: &str = "919000000061";
const SECOND: &str = "919000000062";

async fn world() -> (World, CarrierPeer) {
    let world = World::open(WorldOptions::default(), |request| match request.path() {
        "/hold" => Answer::xml("<Response><Speak loop=\"0\">Please hold the line.</Speak></Response>"),
        "/dial" => Answer::xml(format!(
            "<Response><Dial redirect=\"false\"><Number>+{SECOND}</Number></Dial><Speak loop=\"0\">Alone.</Speak></Response>"
        )),
        "/bye" => Answer::xml("<Response><Hangup/></Response>"),
        _ => Answer::status(204),
    })
    .await;
    let carrier = CarrierPeer::start(&carrier_side::echo(300)).await;
    world.carrier("echo", carrier.address, &[], 1).await;
    (world, carrier)
}

/// A call whose document runs.
async fn talking(world: &World, customer: &Customer, document: &str) -> String {
    let number = world.number(customer).await;
    let order = json!({"from": number, "to": CALLEE, "answer_url": world.sink.url(document)});
    let started = world.api(customer, "POST", "/Call/", Some(&order)).await;
    let call = text(&started.body, "request_uuid");
    requests(world, &call, "StartApp", 1).await;
    call
}

/// Waits for so many requests of a kind about a call.
async fn requests(world: &World, call: &str, event: &str, count: usize) -> Vec<Request> {
    let is = |request: &&Request| request.call() == call && request.event() == event;
    let all = world.sink.wait(PATIENCE, |all| all.iter().filter(is).count() >= count).await;
    all.into_iter().filter(|request| is(&request)).collect()
}

async fn ask(world: &World, customer: &Customer, dialect: &str, what: &str, body: Value) -> (u16, Value) {
    let path = format!("/Account/{}/Call/{what}", customer.who.id);
    let headers = [("x-fern-language", dialect)];
    let headers = if dialect.is_empty() { &headers[..0] } else { &headers[..] };
    let reply = world.platform.rest_with("POST", &path, &customer.who, headers, Some(&body)).await;
    (reply.status, reply.body)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_is_spoken_to_and_transferred_in_every_dialect() {
    let (world, _carrier) = world().await;
    let customer = world.customer("steers", 100.0, (100, 100)).await;
    for dialect in ["", "Python", "JAVA"] {
        let call = talking(&world, &customer, "hold").await;
        let speech = json!({"text": "One minute left."});
        for (what, body, message) in [
            ("Speak", speech.clone(), "speak started"),
            ("Play", json!({"urls": world.sink.url("music.wav"), "mix": false}), "play started"),
            ("DTMF", json!({"digits": "1w2#"}), "digits sent"),
        ] {
            let (status, told) = ask(&world, &customer, dialect, &format!("{call}/{what}/"), body).await;
            assert_eq!((status, &told["message"]), (202, &json!(message)), "{dialect}: {told}");
            let keys: Vec<_> = told.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys, ["api_id", "message"]);
        }
        for what in ["Speak", "Play", "Play"] {
            let stopped = world.api(&customer, "DELETE", &format!("/Call/{call}/{what}/"), None).await;
            assert_eq!((stopped.status, &stopped.body), (204, &Value::Null), "also when nothing plays");
        }
        let (status, told) = ask(
            &world,
            &customer,
            dialect,
            &call,
            json!({"legs": "bleg", "bleg_url": world.sink.url("bye")}),
        )
        .await;
        assert_eq!(status, 404, "nobody else is there: {told}");
        let (status, told) =
            ask(&world, &customer, dialect, &call, json!({"legs": "both", "aleg_url": "x"})).await;
        assert_eq!(status, 400, "{told}");
        let (status, told) =
            ask(&world, &customer, dialect, &format!("{call}/"), json!({"aleg_url": world.sink.url("bye")}))
                .await;
        assert_eq!((status, &told["message"]), (202, &json!("call transferred")), "{dialect}: {told}");
        assert_eq!((&told["call_uuid"], &told["call_uuids"]), (&json!(call), &json!([call])));
        let moved = requests(&world, &call, "Transfer", 1).await;
        genuine::callback(&customer.who.token, &moved[0]);
        assert_eq!(moved[0].param("CallStatus").as_deref(), Some("in-progress"));
        let record = world.record(&customer, &call).await;
        assert_eq!(record["hangup_source"], "Answer XML", "{record}");
        let (status, _) = ask(&world, &customer, dialect, &format!("{call}/Speak/"), speech).await;
        assert_eq!(status, 404, "it is over");
    }
    world.verify_ledger();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_legs_are_moved_apart_and_leave_a_record_each() {
    let (world, carrier) = world().await;
    let customer = world.customer("parts", 100.0, (100, 100)).await;
    let call = talking(&world, &customer, "dial").await;
    let dialled = || async {
        let calls = world.live_calls(&customer).await;
        calls.into_iter().find(|live| *live != call)
    };
    let second = loop {
        if let Some(second) = dialled().await {
            break second;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    // Refused until both talk.
    let body =
        json!({"legs": "both", "aleg_url": world.sink.url("hold"), "bleg_url": world.sink.url("hold")});
    let moved = loop {
        let (status, told) = ask(&world, &customer, "", &call, body.clone()).await;
        if status == 202 {
            break told;
        }
        assert_eq!(status, 404, "{told}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    };
    assert_eq!(moved["call_uuids"], json!([call, second]));
    for leg in [&call, &second] {
        requests(&world, leg, "Transfer", 1).await;
    }
    // They are apart: each ends by itself.
    let ended = world.api(&customer, "DELETE", &format!("/Call/{second}/"), None).await;
    assert_eq!(ended.status, 204);
    assert_eq!(world.record(&customer, &second).await["hangup_source"], "API Request");
    assert_eq!(world.live_calls(&customer).await, std::slice::from_ref(&call));
    let (status, told) = ask(&world, &customer, "", &call, json!({"aleg_url": world.sink.url("bye")})).await;
    assert_eq!(status, 202, "{told}");
    assert_eq!(world.record(&customer, &call).await["hangup_source"], "Answer XML");
    assert_eq!((carrier.invited(&format!("+{CALLEE}")), carrier.invited(&format!("+{SECOND}"))), (1, 1));
    world.verify_ledger();
}
