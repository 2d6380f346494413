//! Lists of the events of calls: set, read back, refused.

use serde_json::{Value, json};

use super::{House, Login};

const KNOWN: [&str; 8] = [
    "Ring",
    "StartApp",
    "Hangup",
    "recording.completed",
    "call.failed",
    "call.initiated",
    "call.answered",
    "call.completed",
];

async fn customer(house: &House) -> Login {
    let partner = house.partner("p@acme.example").await;
    house.customer(&partner, "a@shop.example", 0).await
}

#[tokio::test]
async fn an_account_lists_the_events_its_default_callback_is_told() {
    let house = House::open().await;
    let a = customer(&house).await;
    let path = format!("/Account/{}/settings", a.id);
    let set = async |events: Value| {
        let answer = house.ask("PATCH", &path, &a, json!({ "default_callback_events": events })).await;
        (answer.status, answer.body["default_callback_events"].clone())
    };
    assert_eq!(house.get(&path, &a).await.body["default_callback_events"], json!([]), "all, at first");
    assert_eq!(set(json!(["Hangup"])).await, (200, json!(["Hangup"])));
    assert_eq!(house.get(&path, &a).await.body["default_callback_events"], json!(["Hangup"]));
    let other = house.ask("PATCH", &path, &a, json!({"default_callback_method": "GET"})).await;
    assert_eq!(other.body["default_callback_events"], json!(["Hangup"]), "what is not sent stays");
    let shuffled = json!([" call.FAILED", "hangup", "CALL.initiated", "call.completed", "Ring"]);
    assert_eq!(
        set(shuffled).await,
        (200, json!(["Ring", "Hangup", "call.failed"])),
        "newer names, each once, in one order"
    );
    let every = json!(["Ring", "StartApp", "Hangup", "recording.completed", "call.failed"]);
    assert_eq!(set(json!(KNOWN)).await, (200, every));
    assert_eq!(set(json!([])).await, (200, json!([])), "empty for all");
    set(json!(["Ring"])).await;
    assert_eq!(set(Value::Null).await, (200, json!([])));
    assert_eq!(set(json!(vec!["Ring"; 16])).await, (200, json!(["Ring"])), "at the bound");
    let audited = house.get(&format!("/Account/{}/audit?limit=1", a.id), &a).await;
    assert_eq!(audited.body["entries"][0]["fields"], json!(["default_callback_events"]));
}

#[tokio::test]
async fn a_list_of_events_with_anything_else_in_it_is_refused_by_name() {
    let house = House::open().await;
    let a = customer(&house).await;
    let settings = format!("/Account/{}/settings", a.id);
    let first = house.ask("PATCH", &settings, &a, json!({"default_callback_events": ["Ring"]})).await;
    let application = json!({"app_name": "One", "answer_url": "https://shop.example/a"});
    let trunk = json!({"name": "pbx"});
    let places = [
        ("PATCH", settings.clone(), json!({}), "default_callback_events"),
        ("POST", format!("/Account/{}/Application/", a.id), application, "callback_events"),
        ("POST", format!("/Account/{}/trunks", a.id), trunk, "status_callback_events"),
    ];
    for (method, path, body, field) in places {
        for (events, words) in [
            (json!(["Ring", "call.hungup"]), "\"call.hungup\""),
            (json!([""]), "\"\""),
            (json!("Ring"), "list"),
            (json!(7), "list"),
            (json!({"Ring": true}), "list"),
            (json!(["Ring", null]), "list"),
            (json!([["Ring"]]), "list"),
            (json!(vec!["Ring"; 17]), "16"),
        ] {
            let mut body = body.clone();
            body[field] = events.clone();
            let bad = house.ask(method, &path, &a, body).await;
            let why = bad.body["details"][field].as_str().unwrap_or_default();
            assert_eq!((bad.status, why.contains(words)), (400, true), "{field} {events}: {}", bad.body);
            if words.starts_with('"') {
                assert!(KNOWN.iter().all(|known| why.contains(known)), "it says what there is: {why}");
            }
        }
        let long = "x".repeat(10_000);
        let mut body = body.clone();
        body[field] = json!([long]);
        let bad = house.ask(method, &path, &a, body).await;
        assert_eq!(bad.status, 400);
        assert!(bad.body.to_string().len() < 1_500, "a long name is not said again in full");
    }
    let still = house.get(&settings, &a).await.body;
    assert_eq!(still, first.body, "nothing changed");
    assert_eq!(house.get(&format!("/Account/{}/trunks", a.id), &a).await.body["meta"]["total"], 0);
}

#[tokio::test]
async fn applications_and_trunks_show_a_list_that_leaves_something_out() {
    let house = House::open().await;
    let a = customer(&house).await;
    let applications = format!("/Account/{}/Application/", a.id);
    let body = json!({"app_name": "One", "callback_url": "https://shop.example/a", "callback_events": ["Call.Failed"]});
    let made = house.ask("POST", &applications, &a, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let one = format!("{applications}{}/", made.body["app_id"].as_str().unwrap());
    assert_eq!(house.get(&one, &a).await.body["callback_events"], json!(["call.failed"]));
    house.ask("POST", &one, &a, json!({"callback_events": []})).await;
    assert_eq!(
        house.get(&one, &a).await.body.get("callback_events"),
        None,
        "the typed clients do not know it"
    );

    let trunks = format!("/Account/{}/trunks", a.id);
    let body = json!({"name": "pbx", "status_callback_events": ["call.initiated"]});
    let made = house.ask("POST", &trunks, &a, body).await;
    assert_eq!((made.status, made.body.get("status_callback_events")), (201, None), "nor this one here");
    let item = house.get(&trunks, &a).await.body["objects"][0].clone();
    assert_eq!(item["status_callback_events"], json!(["Ring"]));
    let one = format!("{trunks}/{}", made.body["trunk_id"].as_str().unwrap());
    house.ask("PUT", &one, &a, json!({"status_callback_events": null})).await;
    let item = house.get(&trunks, &a).await.body["objects"][0].clone();
    assert_eq!(item.get("status_callback_events"), None);
}
