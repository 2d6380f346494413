//! One key, one effect.

use futures_util::future::join_all;
use serde_json::json;

use super::{House, new_customer};

#[tokio::test]
async fn the_same_key_gives_the_same_answer_and_one_customer() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let body = new_customer("a@shop.example");
    let first = house.ask_keyed("k1", "/partner/accounts", &partner, body.clone()).await;
    assert_eq!(first.status, 201);
    let again = house.ask_keyed("k1", "/partner/accounts", &partner, body).await;
    assert_eq!((again.status, &again.body), (201, &first.body), "the token included");
    assert_eq!(again.headers["idempotent-replayed"], "true");
    let other = house.ask_keyed("k1", "/partner/accounts", &partner, new_customer("b@shop.example")).await;
    assert_eq!((other.status, other.body["error"].as_str()), (422, Some("IDEMPOTENCY_MISMATCH")));
    let list = house.get("/partner/accounts", &partner).await;
    assert_eq!(list.body["total"], 1);
    let path = format!("/partner/accounts/{}/transfer-balance", first.body["auth_id"].as_str().unwrap());
    let elsewhere = house.ask_keyed("k1", &path, &partner, json!({"amount": 1, "currency": "INR"})).await;
    assert_eq!(elsewhere.status, 200, "a key belongs to its path");
    let long = "k".repeat(256);
    assert_eq!(house.ask_keyed(&long, &path, &partner, json!({})).await.status, 400);
}

#[tokio::test]
async fn fifty_twins_at_once_move_the_money_once() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let path = format!("/partner/accounts/{}/transfer-balance", customer.id);
    let body = json!({"amount": 10.5, "currency": "INR"});
    let answers = join_all((0..50).map(|_| house.ask_keyed("t", &path, &partner, body.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    let balance = house.get(&format!("/Account/{}/balance/inr", customer.id), &customer).await;
    assert_eq!(balance.body["balance"], 10.5);
    house.assert_clean().await;
}

#[tokio::test]
async fn a_refusal_is_not_kept_so_the_same_key_can_succeed_later() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let path = format!("/partner/accounts/{}/transfer-balance", customer.id);
    let body = json!({"amount": 1001, "currency": "INR"});
    assert_eq!(house.ask_keyed("t", &path, &partner, body.clone()).await.status, 400);
    let credit = json!({"amount": "1", "reference": "r1"});
    house.admin("POST", &format!("/admin/accounts/{}/credit", partner.id), credit).await;
    let paid = house.ask_keyed("t", &path, &partner, body).await;
    assert_eq!((paid.status, &paid.body["partner_balance_after"]), (200, &json!(0)));
}
