//! Who gets in, and where.

use base64::Engine as _;
use serde_json::{Value, json};

use super::{House, Login};
use crate::config::Overrides;

#[tokio::test]
async fn only_the_right_token_gets_in_by_headers_or_basic() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let me = "/api/v1/partner/me";
    let with = async |headers: &[(&str, &str)]| house.raw("GET", me, headers, "").await;
    assert_eq!(with(&[]).await.status, 401);
    assert_eq!(with(&[("x-auth-id", &partner.id), ("x-auth-token", "tk_wrong")]).await.status, 401);
    assert_eq!(with(&[("x-auth-id", "PA_NOBODY"), ("x-auth-token", &partner.token)]).await.status, 401);
    let basic = |id: &str, token: &str| {
        format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(format!("{id}:{token}")))
    };
    assert_eq!(with(&[("authorization", &basic(&partner.id, &partner.token))]).await.status, 200);
    assert_eq!(with(&[("authorization", &basic(&partner.id, "x"))]).await.status, 401);
    assert_eq!(with(&[("authorization", "Basic %%%")]).await.status, 401);
    let bearer = with(&[("authorization", &format!("Bearer {}", partner.token))]).await;
    assert_eq!((bearer.status, bearer.body["message"].as_str()), (401, Some("Invalid token")));
    // Generated SDKs send noise beside the header pair.
    let noisy = [
        ("x-auth-id", partner.id.as_str()),
        ("x-auth-token", &partner.token),
        ("authorization", "Bearer junk"),
    ];
    assert_eq!(with(&noisy).await.status, 200);
}

#[tokio::test]
async fn a_foreign_account_and_one_that_does_not_exist_answer_the_same() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let a = house.customer(&partner, "a@shop.example", 0).await;
    let b = house.customer(&partner, "b@shop.example", 0).await;
    assert_eq!(house.get(&format!("/Account/{}/numbers", a.id), &a).await.status, 200, "its own");
    let mut answers = Vec::new();
    for path in [b.id.as_str(), "MA_NOBODY0", partner.id.as_str()] {
        let mut answer = house.get(&format!("/Account/{path}/numbers"), &a).await;
        assert_eq!(answer.status, 403);
        answer.body.as_object_mut().unwrap().remove("api_id");
        answers.push(answer.body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    assert_eq!(answers[0]["message"], "Access denied: account ID mismatch");
    assert_eq!(answers[0]["code"], 403);
    for path in [a.id.as_str(), "MA_NOBODY0", partner.id.as_str()] {
        let answer = house.get(&format!("/Account/{path}/numbers"), &partner).await;
        assert_eq!((answer.status, &answer.body["message"]), (403, &answers[0]["message"]), "{path}");
    }
    let ledger = house.get(&format!("/Account/{}/transactions", b.id), &a).await;
    assert_eq!(ledger.body["error"], json!({"code": 403, "message": "Access denied: account ID mismatch"}));
    let nobody = Login { id: a.id.clone(), token: "x".to_owned() };
    let ledger = house.get(&format!("/Account/{}/transactions", a.id), &nobody).await;
    assert_eq!(ledger.body["error"], json!({"code": 401, "message": "Invalid token"}));
    assert_eq!(house.get("/partner/me", &a).await.status, 403, "a customer is no partner");
    let foreign = house.partner("q@other.example").await;
    let path = format!("/partner/accounts/{}", a.id);
    assert_eq!(house.get(&path, &foreign).await.status, 404, "another partner's customer is not there");
}

#[tokio::test]
async fn a_disabled_account_is_refused_and_its_money_stays() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 5).await;
    let path = format!("/admin/accounts/{}", customer.id);
    assert_eq!(house.admin("PUT", &path, json!({"enabled": false})).await.status, 200);
    let answer = house.get("/auth/me", &customer).await;
    assert_eq!((answer.status, answer.body["error"].as_str()), (403, Some("ACCOUNT_INACTIVE")));
    house.admin("PUT", &path, json!({"enabled": true})).await;
    let balance = house.get(&format!("/Account/{}/balance/INR", customer.id), &customer).await;
    assert_eq!(balance.body["balance"], 5);
}

#[tokio::test]
async fn past_its_rate_an_account_waits_and_others_do_not() {
    let limits = Overrides::default().set("api.rate_limit_per_s", 1).set("api.rate_limit_burst", 3);
    let house = House::open_with(limits).await;
    let (a, b) = (house.partner("p@acme.example").await, house.partner("q@acme.example").await);
    for _ in 0..3 {
        assert_eq!(house.get("/partner/me", &a).await.status, 200);
    }
    let slow = house.get("/partner/me", &a).await;
    assert_eq!((slow.status, slow.body["error"].as_str()), (429, Some("RATE_LIMIT_EXCEEDED")));
    assert_eq!(slow.headers["retry-after"], "1");
    assert_eq!(slow.headers["ratelimit-limit"], "3");
    assert_eq!(slow.headers["ratelimit-remaining"], "0");
    assert_eq!(slow.headers["ratelimit-reset"], "1");
    let reset: i64 = slow.headers["x-ratelimit-reset"].to_str().unwrap().parse().unwrap();
    let now = tandem_model::clock::wall().as_second();
    assert!((now + 1..=now + 2).contains(&reset), "Unix seconds: {reset} at {now}");
    assert_eq!(slow.body["details"]["limit"], 1);
    assert_eq!(slow.body["details"]["retryAfter"], 1);
    let quick = house.get("/partner/me", &b).await;
    assert_eq!(quick.status, 200);
    assert_eq!(quick.headers["x-ratelimit-remaining"], "2");
    assert_eq!(
        house.ask("POST", "/partner/accounts", &a, json!({})).await.status,
        400,
        "changes have their own"
    );
}

#[tokio::test]
async fn every_spelling_of_a_path_reaches_the_resource_without_a_redirect() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let a = house.customer(&partner, "a@shop.example", 0).await;
    for path in
        ["/api/v1/Account/{}/concurrency", "/v1/accounts/{}/CONCURRENCY/", "/API/v1/account/{}/concurrency/"]
    {
        let headers = [("x-auth-id", a.id.as_str()), ("x-auth-token", a.token.as_str())];
        let answer = house.raw("GET", &path.replace("{}", &a.id), &headers, "").await;
        assert_eq!(answer.status, 200, "{path}");
        super::assert_keys(
            &answer.body,
            "account_id concurrent_calls max_concurrent utilization_pct request_id",
        );
    }
    let older = house.get(&format!("/Account/{}/Concurrency/", a.id), &a).await;
    assert_eq!((&older.body["limit"], &older.body["current"]), (&json!(3), &json!(0)));
}

#[tokio::test]
async fn refusals_name_the_request_the_field_or_the_operation() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let unknown = house.raw("GET", "/api/v1/nothing", &[("x-request-id", "mine-1")], "").await;
    assert_eq!((unknown.status, unknown.body["error"].as_str()), (404, Some("NOT_FOUND")));
    assert_eq!(unknown.headers["x-request-id"], "mine-1");
    assert!(unknown.body["api_id"].as_str().unwrap().len() == 36);
    let method = house.ask("DELETE", "/partner/me", &partner, Value::Null).await;
    assert_eq!(method.status, 405);
    assert!(method.headers.contains_key("allow"));
    let unbuilt = house.ask("GET", "/account/M/capacity", &partner, json!({})).await;
    assert_eq!((unbuilt.status, unbuilt.body["error"].as_str()), (501, Some("NOT_BUILT")));
    assert_eq!(unbuilt.body["message"], "Not built: Campaign capacity.");
    let message = house.ask("DELETE", "/messaging/x/y/", &partner, Value::Null).await;
    assert_eq!(message.status, 501);
    let headers = [("x-auth-id", partner.id.as_str()), ("x-auth-token", partner.token.as_str())];
    for (body, field) in [
        ("{\"name\": 5}", "name"),
        ("{nonsense", "body"),
        ("[]", "body"),
        ("{\"name\": \"a\", \"email\": \"b\", \"name\": \"c\"}", "name"),
        ("{\"x\": [{\"deep\": 1, \"deep\": 2}]}", "x[0].deep"),
    ] {
        let bad = house.raw("POST", "/api/v1/partner/accounts", &headers, body).await;
        assert_eq!(bad.status, 400, "{body}: {}", bad.body);
        assert!(bad.body["details"][field].is_string(), "{body}: {}", bad.body);
    }
    let large = "x".repeat(2 * 1024 * 1024);
    assert_eq!(house.raw("POST", "/api/v1/partner/accounts", &headers, &large).await.status, 413);
    let page = house.get("/partner/accounts?page=two", &partner).await;
    assert_eq!((page.status, page.body["details"]["page"].is_string()), (400, true), "{}", page.body);
}
