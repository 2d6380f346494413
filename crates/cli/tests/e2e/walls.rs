//! One customer cannot see, change or end what is another's: under the other's path it is told that the path is
//! not its own; under its own path the other's ids are not there.

use serde_json::{Value, json};
use tandem_testkit::Answer;

use crate::stage::world::text;
use crate::stage::{CarrierPeer, World, WorldOptions, carrier_side, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_customer_reaches_nothing_of_the_first() {
    let world = World::open(WorldOptions::default(), |request| match request.path() {
        "/answer" => Answer::xml("<Response><Wait length=\"60\"/></Response>"),
        _ => Answer::status(204),
    })
    .await;
    let carrier = CarrierPeer::start(&carrier_side::echo(0)).await;
    world.carrier("echo", carrier.address, &[], 1).await;
    let (owner, other) =
        tokio::join!(world.customer("owner", 100.0, (50, 50)), world.customer("other", 100.0, (50, 50)));
    let number = world.number(&owner).await;
    let trunk = world.trunk(&owner, "canary-trunk").await;
    world.credential(&owner, &trunk, "canaryuser", "canary-password-1").await;
    world.acl(&owner, &trunk, "127.0.0.7").await;
    world.application(&owner, &number, "answer", json!({})).await;
    let order = |from: &str| json!({"from": from, "to": "919000000031", "answer_url": world.sink.url("answer"), "answer_method": "POST"});
    let finished =
        text(&world.api(&owner, "POST", "/Call/", Some(&order(&number))).await.ok(), "request_uuid");
    until("first call", || async { world.live_calls(&owner).await.contains(&finished).then_some(()) }).await;
    world.api(&owner, "DELETE", &format!("/Call/{finished}/"), None).await.ok();
    world.record(&owner, &finished).await;
    let live = text(&world.api(&owner, "POST", "/Call/", Some(&order(&number))).await.ok(), "request_uuid");
    until("second call", || async { world.live_calls(&owner).await.contains(&live).then_some(()) }).await;

    let credentials = world.api(&owner, "GET", "/trunks/credentials", None).await.ok();
    let credential = text(&credentials["objects"][0], "id");
    let acls = world.api(&owner, "GET", "/trunks/ip-acl", None).await.ok();
    let acl = text(&acls["objects"][0], "id");
    let applications = world.api(&owner, "GET", "/Application/", None).await.ok();
    let application = text(&applications["objects"][0], "app_id");
    let answers = world.sink.url("stolen");
    let things: Vec<(&str, String, Option<Value>)> = vec![
        ("GET", format!("/Call/{live}?status=live"), None),
        ("DELETE", format!("/Call/{live}/"), None),
        ("GET", format!("/cdr/{finished}"), None),
        ("GET", format!("/trunks/{}", trunk.id), None),
        ("PUT", format!("/trunks/{}", trunk.id), Some(json!({"name": "stolen"}))),
        ("GET", format!("/trunks/{}/signing-secret", trunk.id), None),
        ("DELETE", format!("/trunks/{}", trunk.id), None),
        ("PUT", format!("/credentials/{credential}"), Some(json!({"password": "stolen-password-1"}))),
        ("DELETE", format!("/credentials/{credential}"), None),
        ("DELETE", format!("/ip-acl/{acl}"), None),
        ("GET", format!("/Application/{application}/"), None),
        ("POST", format!("/Application/{application}/"), Some(json!({ "answer_url": answers }))),
        ("DELETE", format!("/Application/{application}/"), None),
        ("DELETE", format!("/numbers/%2B{number}/application"), None),
        ("DELETE", format!("/numbers/%2B{number}?immediate=true"), None),
    ];
    // The owner sees each of them first, so that a refusal below means something.
    // (A signing secret is shown once, and was.)
    let shown =
        things.iter().filter(|(method, path, _)| *method == "GET" && !path.ends_with("signing-secret"));
    for (method, path, _) in shown {
        let reply = world.api(&owner, method, path, None).await;
        assert_eq!(reply.status, 200, "the owner: {method} {path}: {}", reply.body);
    }
    let canaries = [live.as_str(), &finished, &trunk.id, &trunk.secret, "canary-trunk", "canaryuser"];
    for (method, path, body) in &things {
        let own_path = world.api(&other, method, path, body.as_ref()).await;
        assert!(
            [403, 404].contains(&own_path.status),
            "{method} {path}: {} {}",
            own_path.status,
            own_path.body
        );
        let foreign = format!("/Account/{}{path}", owner.who.id);
        let foreign_path = world.platform.rest(method, &foreign, &other.who, body.as_ref()).await;
        assert_eq!(foreign_path.status, 403, "{method} {foreign}: {}", foreign_path.body);
        let nobody = format!("/Account/MA_ZZZZZZZZ{path}");
        let absent = world.platform.rest(method, &nobody, &other.who, body.as_ref()).await;
        assert_eq!(absent.status, 403, "an account that does not exist looks the same");
        for reply in [own_path, foreign_path] {
            let words = reply.body.to_string();
            // Its own path may be said back; nothing else of the owner's may.
            let leaked = canaries.iter().find(|canary| words.contains(**canary) && !path.contains(**canary));
            assert!(leaked.is_none(), "{method} {path} told {leaked:?}: {words}");
        }
    }
    for path in [
        "/trunks",
        "/trunks/credentials",
        "/trunks/ip-acl",
        "/cdr",
        "/Application/",
        "/numbers",
        "/Call?status=live",
    ] {
        let words = world.api(&other, "GET", path, None).await.ok().to_string();
        let leaked = canaries.iter().find(|canary| words.contains(**canary));
        assert!(leaked.is_none(), "{path} lists {leaked:?}: {words}");
    }
    // A number may not be used as caller ID either.
    let stolen = world.api(&other, "POST", "/Call/", Some(&order(&number))).await;
    assert!([400, 403].contains(&stolen.status), "{} {}", stolen.status, stolen.body);

    assert_eq!(world.live_calls(&owner).await, std::slice::from_ref(&live), "the call still lives");
    let after = world.api(&owner, "GET", &format!("/trunks/{}", trunk.id), None).await.ok();
    assert_eq!(after["name"], "canary-trunk");
    world.api(&owner, "DELETE", &format!("/Call/{live}/"), None).await.ok();
    world.record(&owner, &live).await;
}
