//! Who changed what is written down with the change, shown to whom it concerns, and cannot be taken back.

use serde_json::{Value, json};

use super::{House, assert_keys};

const ENTRY: &str = "id at actor account_id action resource_kind resource_id fields before_hash after_hash request_id source_ip";

fn actions(body: &Value) -> Vec<&str> {
    body["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_change_is_written_down_with_field_names_and_hashes_that_fit_together() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let a = house.customer(&partner, "a@shop.example", 5).await;
    let path = format!("/Account/{}", a.id);
    let made = json!({"app_name": "One", "answer_url": "https://shop.example/canary"});
    let headers = [("x-auth-id", a.id.as_str()), ("x-auth-token", &a.token), ("x-request-id", "mine-7")];
    let made = house.raw("POST", &format!("/api/v1{path}/Application/"), &headers, &made.to_string()).await;
    assert_eq!(made.status, 201);
    let application = format!("{path}/Application/{}/", made.body["app_id"].as_str().unwrap());
    house.ask("POST", &application, &a, json!({"answer_url": "https://shop.example/b"})).await;
    house.ask("DELETE", &application, &a, Value::Null).await;
    house
        .ask(
            "PATCH",
            &format!("{path}/settings"),
            &a,
            json!({"default_callback_url": "https://shop.example/d"}),
        )
        .await;
    let wrong = json!({"email": "a@shop.example", "password": "wrong"}).to_string();
    house.raw("POST", "/api/v1/auth/login", &[], &wrong).await;
    let right = json!({"email": "a@shop.example", "password": "Change-me-1"}).to_string();
    house.raw("POST", "/api/v1/auth/login", &[], &right).await;

    let audit = house.get(&format!("{path}/audit"), &a).await;
    assert_eq!(audit.status, 200, "{}", audit.body);
    assert_keys(&audit.body, "entries next_cursor");
    assert_eq!(
        actions(&audit.body),
        ["login", "login_failed", "update", "delete", "update", "create", "transfer", "create"]
    );
    let entry = |index: usize| &audit.body["entries"][index];
    assert_keys(entry(0), ENTRY);
    assert_eq!((&entry(1)["actor"], &entry(0)["actor"]), (&json!("anonymous"), &json!(a.id)));
    assert_eq!(entry(2)["fields"], json!(["default_callback_url"]));
    assert_eq!(
        (&entry(5)["request_id"], &entry(5)["resource_kind"]),
        (&json!("mine-7"), &json!("application"))
    );
    assert_eq!(entry(5)["before_hash"], Value::Null, "it was not there");
    assert_eq!(entry(4)["before_hash"], entry(5)["after_hash"], "left as the one before left it");
    assert_ne!(entry(4)["after_hash"], entry(5)["after_hash"]);
    assert_eq!(entry(3)["before_hash"], entry(4)["after_hash"]);
    assert_eq!(entry(3)["after_hash"], Value::Null, "it is gone");
    assert_eq!(entry(6)["actor"], partner.id.as_str(), "money came from the partner");
    let text = audit.body.to_string();
    assert!(!text.contains("canary") && !text.contains("https://"), "names, never values");

    let by_action = house.get(&format!("{path}/audit?action=update"), &a).await;
    assert_eq!(actions(&by_action.body), ["update", "update"]);
    let mut cursor = String::new();
    let mut all = Vec::new();
    loop {
        let page = house.get(&format!("{path}/audit?limit=3&cursor={cursor}"), &a).await;
        assert_eq!(page.status, 200, "{}", page.body);
        all.extend(page.body["entries"].as_array().unwrap().clone());
        cursor = page.body["next_cursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
    }
    assert_eq!(json!(all), audit.body["entries"]);
    let none = house.get(&format!("{path}/audit?to=2020-01-01"), &a).await;
    assert_eq!(none.body["entries"], json!([]));
    let some = house.get(&format!("{path}/audit?from=2020-01-01&to=2999-12-31"), &a).await;
    assert_eq!(some.body["entries"].as_array().unwrap().len(), 8);
    for (query, field) in [
        ("limit=0", "limit"),
        ("limit=201", "limit"),
        ("cursor=x", "cursor"),
        ("from=soon", "from"),
        ("to=1", "to"),
    ] {
        let bad = house.get(&format!("{path}/audit?{query}"), &a).await;
        assert_eq!(
            (bad.status, bad.body["details"][field].is_string()),
            (400, true),
            "{query}: {}",
            bad.body
        );
    }
}

#[tokio::test]
async fn a_partner_sees_what_it_did_to_its_customers_and_nothing_of_others() {
    let house = House::open().await;
    let (partner, other) = (house.partner("p@acme.example").await, house.partner("q@other.example").await);
    let a = house.customer(&partner, "a@shop.example", 5).await;
    house.customer(&other, "b@shop.example", 0).await;
    house
        .ask("PATCH", &format!("/Account/{}/settings", a.id), &a, json!({"default_callback_method": "GET"}))
        .await;
    let seen = house.get("/partner/audit", &partner).await;
    assert_eq!(
        actions(&seen.body),
        ["transfer", "transfer", "create", "create"],
        "its own half, its customer's, both accounts"
    );
    assert!(!seen.body.to_string().contains(&other.id));
    assert_eq!(house.get("/partner/audit", &a).await.status, 403);
    assert_eq!(house.get(&format!("/Account/{}/audit", a.id), &other).await.status, 403);
    let credit = json!({"amount": "1", "reference": "r1"});
    house.admin("POST", &format!("/admin/accounts/{}/credit", a.id), credit.clone()).await;
    house.admin("POST", &format!("/admin/accounts/{}/credit", a.id), credit).await;
    let own = house.get(&format!("/Account/{}/audit?action=credit", a.id), &a).await;
    assert_eq!((actions(&own.body), &own.body["entries"][0]["actor"]), (vec!["credit"], &json!("admin")));
}

#[tokio::test]
async fn an_account_sets_its_default_callback_and_nothing_it_does_not_have() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let a = house.customer(&partner, "a@shop.example", 0).await;
    let path = format!("/Account/{}/settings", a.id);
    let read = house.get(&path, &a).await;
    assert_keys(
        &read.body,
        "account_id default_callback_url default_callback_method default_callback_events updated_at",
    );
    assert_eq!(
        (&read.body["default_callback_url"], &read.body["default_callback_method"]),
        (&Value::Null, &json!("POST"))
    );
    let set = house
        .ask(
            "PATCH",
            &path,
            &a,
            json!({"default_callback_url": "https://shop.example/d", "default_callback_method": "get"}),
        )
        .await;
    assert_eq!(set.status, 200, "{}", set.body);
    assert_eq!(
        (&set.body["default_callback_url"], &set.body["default_callback_method"]),
        (&json!("https://shop.example/d"), &json!("GET"))
    );
    let cleared = house.ask("PATCH", &path, &a, json!({"default_callback_url": null})).await;
    assert_eq!(
        (&cleared.body["default_callback_url"], &cleared.body["default_callback_method"]),
        (&Value::Null, &json!("GET"))
    );
    assert_eq!(house.ask("PATCH", &path, &a, json!({})).await.status, 200);
    for (body, field) in [
        (json!({"default_callback_url": "ftp://x"}), "default_callback_url"),
        (json!({"default_callback_url": 5}), "default_callback_url"),
        (json!({"default_callback_method": "PUT"}), "default_callback_method"),
        (json!({"balance": 5}), "balance"),
    ] {
        let bad = house.ask("PATCH", &path, &a, body).await;
        assert_eq!(
            (bad.status, bad.body["details"][field].is_string()),
            (400, true),
            "{field}: {}",
            bad.body
        );
    }
    let other = house.customer(&partner, "b@shop.example", 0).await;
    assert_eq!(
        house.ask("PATCH", &path, &other, json!({"default_callback_method": "GET"})).await.status,
        403
    );
}

#[tokio::test]
async fn older_clients_read_and_change_their_account_and_page_their_ledger() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let a = house.customer(&partner, "a@shop.example", 60).await;
    let path = format!("/Account/{}/", a.id);
    let read = house.get(&path, &a).await;
    assert_keys(
        &read.body,
        "api_id auth_id account_type billing_mode timezone cash_credits auto_recharge resource_uri name address city state",
    );
    assert_eq!(
        (&read.body["cash_credits"], &read.body["billing_mode"]),
        (&json!("60.00000"), &json!("prepaid"))
    );
    let changed = house
        .ask("POST", &path, &a, json!({"name": " Anita R. ", "address": "1 Main Rd", "city": "Pune"}))
        .await;
    assert_eq!((changed.status, &changed.body["message"]), (200, &json!("changed")), "{}", changed.body);
    assert_keys(&changed.body, "api_id message");
    let read = house.get(&format!("/accounts/{}", a.id), &a).await;
    assert_eq!(
        (&read.body["name"], &read.body["city"], &read.body["address"]),
        (&json!("Anita R."), &json!("Pune"), &json!("1 Main Rd"))
    );
    assert_eq!(house.ask("POST", &path, &a, json!({"name": ""})).await.status, 400);
    assert_eq!(house.ask("POST", &path, &a, json!({"city": "x".repeat(201)})).await.status, 400);
    assert_eq!(house.get(&path, &partner).await.status, 403);

    for reference in 0..55 {
        let credit = json!({"amount": "1", "reference": format!("r{reference}")});
        house.admin("POST", &format!("/admin/accounts/{}/credit", a.id), credit).await;
    }
    let first = house.get(&format!("/Account/{}/Transaction/?cursor=", a.id), &a).await;
    assert_keys(&first.body, "objects meta");
    assert_keys(&first.body["objects"][0], "id amount description created_at");
    assert_eq!(first.body["objects"][0]["amount"], "1.00000");
    assert_eq!(first.body["objects"].as_array().unwrap().len(), 50);
    let next = first.body["meta"]["next"].as_str().unwrap();
    let second = house.get(&format!("/Account/{}/Transaction/?cursor={next}", a.id), &a).await;
    assert_eq!(
        (second.body["objects"].as_array().unwrap().len(), &second.body["meta"]["next"]),
        (6, &json!(""))
    );
    assert_eq!(house.get(&format!("/Account/{}/Transaction/?cursor=x", a.id), &a).await.status, 400);
}
