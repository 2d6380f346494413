//! Sub-accounts over HTTP: shapes by dialect, who may ask, what permissions forbid, what an end leaves.

use serde_json::{Value, json};

use crate::api::tests::{Answer, House, Login, assert_keys, login};

const OBJECT: &str = "name email phone description permissions rate_limit id parent_account_id parent_auth_id auth_id
  auth_token api_id email_verified enabled created modified is_active created_at updated_at last_used account resource_uri";

fn subs(who: &Login) -> String {
    format!("/accounts/{}/sub-accounts/", who.id)
}

async fn made(house: &House, parent: &Login, body: Value) -> Login {
    let answer = house.ask("POST", &subs(parent), parent, body).await;
    assert_eq!(answer.status, 201, "{}", answer.body);
    login(&answer.body)
}

async fn with_language(
    house: &House,
    language: &str,
    method: &str,
    path: &str,
    who: &Login,
    body: &str,
) -> Answer {
    let headers =
        [("x-auth-id", who.id.as_str()), ("x-auth-token", who.token.as_str()), ("x-fern-language", language)];
    house.raw(method, &format!("/api/v1{path}"), &headers, body).await
}

async fn customer(house: &House) -> (Login, Login) {
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 100).await;
    (partner, customer)
}

#[tokio::test]
async fn each_dialect_reads_exactly_its_own_keys() {
    let house = House::open().await;
    let (_, parent) = customer(&house).await;
    let body = r#"{"name":"QA team"}"#;
    let python = with_language(&house, "Python", "POST", &subs(&parent), &parent, body).await;
    assert_eq!(python.status, 201, "{}", python.body);
    assert_keys(&python.body, "message sub_account auth_credentials tokens");
    assert_keys(&python.body["sub_account"], OBJECT);
    assert_keys(&python.body["tokens"], "access_token refresh_token token_type expires_in");
    let bearer = format!("Bearer {}", python.body["tokens"]["access_token"].as_str().unwrap());
    let me = house.raw("GET", "/api/v1/auth/me", &[("authorization", &bearer)], "").await;
    assert_eq!(me.body["auth_id"], python.body["sub_account"]["auth_id"], "{}", me.body);
    let refresh = json!({"refreshToken": python.body["tokens"]["refresh_token"]}).to_string();
    assert_eq!(house.raw("POST", "/api/v1/auth/refresh", &[], &refresh).await.status, 200);
    let sub = &python.body["sub_account"];
    assert_eq!(sub["auth_token"], python.body["auth_credentials"]["auth_token"]);
    assert_eq!(
        (&sub["permissions"], &sub["rate_limit"], &sub["email"]),
        (&Value::Null, &json!(1000), &Value::Null)
    );
    let id = sub["auth_id"].as_str().unwrap();
    assert!(id.starts_with("SA_"));
    assert_eq!(sub["resource_uri"], format!("/v1/Account/{}/Subaccount/{id}/", parent.id));

    let node = with_language(&house, "JavaScript", "POST", &subs(&parent), &parent, body).await;
    assert_keys(&node.body["sub_account"], &format!("{OBJECT} kyc_mode kyc_calls_blocked business_type"));
    let plain = house.ask("POST", &subs(&parent), &parent, json!({"name": "Go"})).await;
    assert_keys(&plain.body, "message sub_account auth_credentials tokens auth_id auth_token api_id");

    let path = format!("/accounts/{}/sub-accounts/{id}", parent.id);
    let read = with_language(&house, "Python", "GET", &path, &parent, "").await;
    assert_keys(&read.body, OBJECT);
    assert_eq!(read.body["auth_token"], "<redacted>");
    let list = with_language(&house, "Python", "GET", &subs(&parent), &parent, "").await;
    assert_keys(&list.body, "sub_accounts total page size");
    assert_eq!((&list.body["total"], &list.body["size"]), (&json!(3), &json!(25)));
    assert!(!list.body.to_string().contains(python.body["auth_credentials"]["auth_token"].as_str().unwrap()));
    let list = house.get(&format!("{}?size=2&page=1", subs(&parent)), &parent).await;
    assert_keys(&list.body, "sub_accounts total page size api_id meta objects");
    assert_eq!(list.body["sub_accounts"].as_array().unwrap().len(), 2);
    assert_eq!(list.body["meta"]["total_count"], 3);
}

#[tokio::test]
async fn every_wrong_field_is_named_and_nothing_is_made() {
    let house = House::open().await;
    let (_, parent) = customer(&house).await;
    let long = "x".repeat(201);
    for (body, field) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": long}), "name"),
        (json!({"name": "a", "email": "nobody"}), "email"),
        (json!({"name": "a", "phone": "12"}), "phone"),
        (json!({"name": "a", "rate_limit": 0}), "rate_limit"),
        (json!({"name": "a", "rate_limit": "many"}), "rate_limit"),
        (json!({"name": "a", "permissions": ["calls"]}), "permissions"),
        (json!({"name": "a", "permissions": {"calls": "yes"}}), "permissions"),
        (json!({"name": "a", "enabled": "perhaps"}), "enabled"),
        (json!({"name": "a", "kyc_mode": "mine"}), "kyc_mode"),
        (json!({"name": "a", "business_type": "circus"}), "business_type"),
        (json!({"name": "a", "password": 7}), "password"),
        (json!({"name": "a", "kyc_mode": "customer_use"}), "email"),
        (json!({"name": "a", "description": "x".repeat(501)}), "description"),
    ] {
        let answer = house.ask("POST", &subs(&parent), &parent, body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.body);
        assert!(answer.body["details"].get(field).is_some(), "{body}: {}", answer.body);
    }
    let weak = house.ask("POST", &subs(&parent), &parent, json!({"name": "a", "password": "weak"})).await;
    assert_eq!(weak.status, 422);
    assert_eq!(house.get(&subs(&parent), &parent).await.body["total"], 0);
    let taken = json!({"name": "a", "email": "A@shop.example"});
    assert_eq!(house.ask("POST", &subs(&parent), &parent, taken).await.status, 409);
}

#[tokio::test]
async fn a_change_keeps_what_is_not_sent_and_a_promotion_blocks_calls() {
    let house = House::open().await;
    let (_, parent) = customer(&house).await;
    let sub = made(
        &house,
        &parent,
        json!({"name": "One", "description": "d", "permissions": {"calls": true, "cdr": true}}),
    )
    .await;
    let path = format!("/accounts/{}/sub-accounts/{}", parent.id, sub.id);
    let put = async |body: Value| house.ask("PUT", &path, &parent, body).await;
    assert_eq!(put(json!({"kyc_mode": "customer_use"})).await.status, 400, "it has no address");
    let changed =
        put(json!({"email": "one@shop.example", "kyc_mode": "customer_use", "business_type": "llp"})).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(
        (&changed.body["kyc_calls_blocked"], &changed.body["business_type"]),
        (&json!(true), &json!("llp"))
    );
    assert_eq!((&changed.body["name"], &changed.body["description"]), (&json!("One"), &json!("d")));
    let changed =
        put(json!({"permissions": {"calls": false}, "phone": "+919800000001", "name": "Uno"})).await;
    assert_eq!(changed.body["permissions"], json!({"calls": false, "cdr": true}));
    assert_eq!(
        (&changed.body["phone"], &changed.body["kyc_mode"]),
        (&json!("+919800000001"), &json!("customer_use"))
    );
    assert_eq!(put(json!({"email": null})).await.status, 400, "a customer's sub-account keeps its address");
    assert_eq!(put(json!({"name": null})).await.status, 400);
    assert_eq!(put(json!({"email": "a@shop.example"})).await.status, 409);
    let status = house.get(&format!("/sub-accounts/{}/kyc/status", sub.id), &parent).await;
    assert_eq!(status.body["kyc_calls_blocked"], true, "{}", status.body);
    let read = house.get(&path, &parent).await.body;
    assert_eq!(read["email"], "one@shop.example", "a refused change changed nothing");
}

#[tokio::test]
async fn only_the_parent_sees_them_and_a_strangers_are_not_there() {
    let house = House::open().await;
    let (partner, parent) = customer(&house).await;
    let other = house.customer(&partner, "b@shop.example", 0).await;
    let sub = made(&house, &parent, json!({"name": "One"})).await;
    let path = |owner: &Login| format!("/accounts/{}/sub-accounts/{}", owner.id, sub.id);
    for method in ["GET", "PUT", "DELETE"] {
        let body = if method == "PUT" { json!({"name": "x"}) } else { Value::Null };
        assert_eq!(
            house.ask(method, &path(&parent), &other, body.clone()).await.status,
            404,
            "a foreign parent"
        );
        assert_eq!(
            house.ask(method, &path(&other), &other, body.clone()).await.status,
            404,
            "a foreign sub-account"
        );
        assert_eq!(house.ask(method, &path(&parent), &sub, body.clone()).await.status, 403, "itself");
        assert_eq!(
            house.ask(method, &path(&parent), &partner, body.clone()).await.status,
            403,
            "the partner"
        );
        let numeric = format!("/accounts/{}/sub-accounts/500003", parent.id);
        assert_eq!(house.ask(method, &numeric, &parent, body).await.status, 404, "numeric ids are no paths");
    }
    assert_eq!(house.get(&subs(&other), &other).await.body["total"], 0);
    assert_eq!(house.get(&path(&parent), &parent).await.body["name"], "One");
    assert_eq!(house.get("/auth/me", &sub).await.body["type"], "SUB_ACCOUNT");
    let balance = house.get(&format!("/Account/{}/balance/INR", sub.id), &sub).await;
    assert_eq!(balance.body["balance"], 100, "its parent pays: {}", balance.body);
}

#[tokio::test]
async fn permissions_forbid_what_they_do_not_grant() {
    let house = House::open().await;
    let (_, parent) = customer(&house).await;
    let sub =
        made(&house, &parent, json!({"name": "One", "permissions": {"calls": false, "cdr": false}})).await;
    let status = async |method: &str, path: &str, who: &Login| {
        let path = format!("/Account/{}/{path}", sub.id);
        let answer = house.ask(method, &path, who, json!({})).await;
        (answer.status, answer.body["error"].clone())
    };
    for (method, path) in [
        ("GET", "cdr"),
        ("GET", "cdr/search"),
        ("GET", "cdrs"),
        ("POST", "Call/"),
        ("GET", "Call/?status=live"),
    ] {
        assert_eq!(status(method, path, &sub).await, (403, json!("PERMISSION_DENIED")), "{method} {path}");
    }
    assert_eq!(status("GET", "cdr", &parent).await.0, 200, "the parent may");
    assert_eq!(status("GET", "transactions", &sub).await.0, 200);
    let path = format!("/accounts/{}/sub-accounts/{}", parent.id, sub.id);
    house.ask("PUT", &path, &parent, json!({"permissions": {"cdr": true}})).await;
    assert_eq!(status("GET", "cdr", &sub).await.0, 200);
    assert_eq!(status("POST", "Call/", &sub).await.0, 403);
    house.ask("PUT", &path, &parent, json!({"permissions": null})).await;
    assert_eq!(status("GET", "Call/?status=live", &sub).await.0, 200);
}

#[tokio::test]
async fn a_disabled_one_keeps_its_numbers_and_an_ended_one_gives_them_back() {
    let house = House::open().await;
    let (_, parent) = customer(&house).await;
    let sub = made(&house, &parent, json!({"name": "One", "email": "one@shop.example"})).await;
    let path = format!("/accounts/{}/sub-accounts/{}", parent.id, sub.id);
    house
        .run_sql(&format!(
            "insert into number (e164, id, account_id, sub_account, country, currency, created_at, updated_at)
             values ('+918045670001', '6c1d6a1e-35d0-4e5e-8f62-7f5d0a5c7a01', '{}', '{}', 'IN', 'INR', 0, 0)",
            parent.id, sub.id
        ))
        .await;
    let app = json!({"app_name": "own", "answer_url": "https://app.example/answer"});
    assert_eq!(house.ask("POST", &format!("/Account/{}/Application/", sub.id), &sub, app).await.status, 201);

    assert_eq!(house.ask("PUT", &path, &parent, json!({"enabled": false})).await.body["is_active"], false);
    assert_eq!(house.get("/auth/me", &sub).await.status, 403, "ACCOUNT_INACTIVE");
    assert_eq!(house.get(&subs(&parent), &parent).await.body["total"], 0, "active ones only");
    assert_eq!(house.get(&format!("{}?active_only=false", subs(&parent)), &parent).await.body["total"], 1);
    let numbers = house.get(&format!("/Account/{}/numbers", sub.id), &parent).await.body;
    assert_eq!(numbers["items"][0]["account_id"], sub.id, "{numbers}");

    let gone = house.ask("DELETE", &path, &parent, Value::Null).await;
    assert_eq!((gone.status, &gone.body["message"]), (200, &json!("Sub-account deleted successfully")));
    assert_eq!(house.ask("DELETE", &path, &parent, Value::Null).await.status, 404);
    assert_eq!(house.get(&path, &parent).await.status, 404);
    assert_eq!(house.get("/auth/me", &sub).await.status, 401);
    assert_eq!(house.get(&format!("/Account/{}/numbers", sub.id), &parent).await.status, 403);
    let numbers = house.get(&format!("/Account/{}/numbers", parent.id), &parent).await.body;
    assert_eq!(numbers["items"][0]["account_id"], parent.id, "{numbers}");
    made(&house, &parent, json!({"name": "Two", "email": "one@shop.example"})).await;
}

#[tokio::test]
async fn one_key_makes_one_sub_account_and_shows_the_same_token() {
    let house = House::open().await;
    let (_, parent) = customer(&house).await;
    let path = subs(&parent);
    let ask = || house.ask_keyed("k1", &path, &parent, json!({"name": "One"}));
    let (first, again) = (ask().await, ask().await);
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body["auth_credentials"], again.body["auth_credentials"]);
    assert_eq!(again.headers["idempotent-replayed"], "true");
    assert_eq!(house.get(&subs(&parent), &parent).await.body["total"], 1);
    let other = house.ask_keyed("k1", &subs(&parent), &parent, json!({"name": "Two"})).await;
    assert_eq!(other.status, 422);
}

#[tokio::test]
async fn the_older_routes_speak_plivo() {
    let house = House::open().await;
    let (_, parent) = customer(&house).await;
    let path = format!("/Account/{}/Subaccount/", parent.id);
    let made = house.ask("POST", &path, &parent, json!({"name": "One", "enabled": true})).await;
    assert_eq!(made.status, 201);
    assert_keys(&made.body, "api_id message auth_id auth_token");
    let list = house.get(&path, &parent).await.body;
    assert_keys(&list, "api_id meta objects");
    assert_keys(&list["meta"], "limit next offset previous total_count");
    assert_keys(
        &list["objects"][0],
        "account api_id auth_id auth_token created enabled modified name new_auth_token resource_uri",
    );
    let one = format!("{path}{}/", made.body["auth_id"].as_str().unwrap());
    let changed = house.ask("POST", &one, &parent, json!({"name": "Uno", "enabled": false})).await;
    assert_eq!((changed.status, &changed.body["message"]), (200, &json!("changed")));
    let read = house.get(&one, &parent).await.body;
    assert_eq!((&read["name"], &read["enabled"]), (&json!("Uno"), &json!(false)));
    assert_eq!(house.ask("DELETE", &one, &parent, Value::Null).await.status, 204);
    assert_eq!(house.get(&one, &parent).await.status, 404);
}
