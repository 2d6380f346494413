//! Capacity by the month, low balances, payments, statements, over HTTP.

use serde_json::{Value, json};

use super::{House, Login, assert_keys};
use crate::config::Overrides;

async fn customer(house: &House, rupees: i64) -> (Login, Login) {
    let partner = house.partner("p@acme.example").await;
    if rupees > 1_000 {
        let body = json!({"amount": rupees.to_string(), "reference": "more"});
        assert_eq!(
            house.admin("POST", &format!("/admin/accounts/{}/credit", partner.id), body).await.status,
            200
        );
    }
    let customer = house.customer(&partner, "a@shop.example", rupees).await;
    (partner, customer)
}

#[tokio::test]
async fn capacity_is_priced_and_bought_in_packs() {
    let house = House::open().await;
    let (partner, one) = customer(&house, 6_000).await;
    let at = |what: &str| format!("/accounts/{}/{what}", one.id);
    let preview = at("channel-pricing-preview?resource_type=concurrent_calls&quantity=30");
    let priced = house.get(&preview, &one).await.body;
    assert_keys(&priced, "resource_type quantity monthly_cost currency breakdown");
    assert_eq!((&priced["monthly_cost"], &priced["breakdown"][0]["packs"]), (&json!("14970.00"), &json!(3)));
    let buy = async |body: Value| house.ask("POST", &at("channel-subscriptions"), &one, body).await;
    for bad in [
        json!({}),
        json!({"resource_type": "cps"}),
        json!({"resource_type": "cps", "quantity": 4}),
        json!({"resource_type": "x", "quantity": 3}),
        json!({"resource_type": "cps", "quantity": 10_001}),
    ] {
        assert_eq!(buy(bad.clone()).await.status, 400, "{bad}");
    }
    let poor = buy(json!({"resource_type": "concurrent_calls", "quantity": 20})).await;
    assert_eq!((poor.status, &poor.body["error"]), (400, &json!("INSUFFICIENT_BALANCE")));
    assert_eq!(poor.body["details"]["shortfall"], 3_980);
    let bought = buy(json!({"resource_type": "concurrent_calls", "quantity": 10})).await;
    assert_eq!(bought.status, 201, "{}", bought.body);
    assert_keys(
        &bought.body,
        "id account_id resource_type quantity monthly_cost currency status last_billing_date next_billing_date purchased_at
         cancelled_at cancellation_reason is_active created_at updated_at",
    );
    let me = house.get("/auth/me", &one).await.body;
    assert_eq!(
        (
            &me["concurrent_calls_limit"],
            &me["purchased_concurrent_calls"],
            &me["base_concurrent_calls_limit"]
        ),
        (&json!(13), &json!(10), &json!(3))
    );
    let line = house.get(&format!("/Account/{}/transactions?type=debit", one.id), &one).await.body;
    assert_eq!(
        (&line["transactions"][0]["amount"], &line["transactions"][0]["reference_type"]),
        (&json!(4_990), &json!("channel_subscription"))
    );
    assert_eq!(house.get(&at("channel-subscriptions"), &one).await.body["subscriptions"][0], bought.body);
    assert_eq!(house.get(&preview, &partner).await.status, 403, "somebody else's");
    house.run_sql("update account set currency = 'USD' where kind = 'master'").await;
    assert_eq!(house.get(&preview, &one).await.body["error"], "no_pricing_tier");
    house.run_sql("update account set currency = 'INR' where kind = 'master'").await;
    house.assert_clean().await;
}

#[tokio::test]
async fn alerts_are_kept_and_a_fall_is_told_of() {
    let mut house = House::open().await;
    let (_, one) = customer(&house, 100).await;
    let path = format!("/Account/{}/alerts", one.id);
    let first = house.get(&path, &one).await.body;
    assert_keys(&first, "account_id currency low_balance_threshold low_balance_url low_balance_email");
    assert_eq!((&first["low_balance_threshold"], &first["low_balance_url"]), (&json!(100), &Value::Null));
    let put = async |body: Value| house.ask("PUT", &path, &one, body).await;
    for bad in [
        json!({"low_balance_threshold": -1}),
        json!({"low_balance_threshold": "x"}),
        json!({"low_balance_url": "ftp://x"}),
        json!({"low_balance_email": "x"}),
    ] {
        assert_eq!(put(bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(put(json!({"low_balance_email": "a@b.example"})).await.status, 501, "no mail server");
    let kept =
        put(json!({"low_balance_threshold": 40.5, "low_balance_url": "https://shop.example/low"})).await;
    assert_eq!((kept.status, &kept.body["low_balance_threshold"]), (200, &json!(40.5)));
    assert_eq!(
        house.get(&format!("/Account/{}/balance/INR", one.id), &one).await.body["low_balance_threshold"],
        40.5
    );
    let take = json!({"amount": "-60", "reference": "r"});
    house.admin("POST", &format!("/admin/accounts/{}/adjust", one.id), take.clone()).await;
    let event = house.events.try_next().expect("an event was committed");
    assert_eq!((event.kind.as_str(), event.url.as_str()), ("balance.low", "https://shop.example/low"));
    let body: Value = serde_json::from_str(&event.body).unwrap();
    assert_eq!((&body["balance"], &body["threshold"]), (&json!("40.000000"), &json!("40.500000")));
    house.admin("POST", &format!("/admin/accounts/{}/adjust", one.id), take).await;
    assert!(house.events.try_next().is_none(), "a repeated movement is none");
    let cleared = json!({"low_balance_threshold": null, "low_balance_url": null});
    assert_eq!(house.ask("PUT", &path, &one, cleared).await.body["low_balance_threshold"], 100);
}

#[tokio::test]
async fn a_payment_is_opened_with_the_provider_and_credited_once() {
    let house = House::open_with(Overrides::default().set("payments.provider", "sandbox")).await;
    let (partner, one) = customer(&house, 0).await;
    let path = format!("/Account/{}/payments", one.id);
    let opened = house
        .ask("POST", &path, &one, json!({"amount": 250, "return_url": "https://shop.example/back"}))
        .await;
    assert_eq!(opened.status, 201, "{}", opened.body);
    assert_keys(
        &opened.body,
        "payment_id account_id status amount currency provider provider_reference checkout_url reason created_at updated_at
         completed_at",
    );
    let id = opened.body["payment_id"].as_str().unwrap();
    assert_eq!(opened.body["checkout_url"], format!("http://api.example/api/v1/payments/sandbox/{id}"));
    let pay = async |word: &str| {
        let body = json!({"outcome": word}).to_string();
        let answer = house.raw("POST", &format!("/api/v1/payments/sandbox/{id}"), &[], &body).await;
        (answer.status, answer.body["result"].clone())
    };
    assert_eq!(pay("perhaps").await.0, 400);
    assert_eq!(pay("paid").await, (200, json!("credited")));
    assert_eq!(pay("paid").await, (200, json!("repeated")));
    assert_eq!(pay("failed").await, (200, json!("repeated")));
    let read = house.get(&format!("{path}/{id}"), &one).await.body;
    assert_eq!(read["status"], "completed");
    assert_eq!(house.get(&path, &one).await.body["items"][0], read);
    let balance = house.get(&format!("/Account/{}/balance/INR", one.id), &one).await.body;
    assert_eq!(balance["balance"], 250);
    let other = house.customer(&partner, "b@shop.example", 0).await;
    assert_eq!(house.get(&format!("/Account/{}/payments/{id}", other.id), &other).await.status, 404);
    assert_eq!(house.get(&format!("{path}/{id}"), &other).await.status, 403);
    for bad in [
        json!({}),
        json!({"amount": 0}),
        json!({"amount": 0.5}),
        json!({"amount": 1_000_001}),
        json!({"amount": 1.001}),
        json!({"amount": 5, "currency": "USD"}),
        json!({"amount": 5, "return_url": "x"}),
    ] {
        assert_eq!(house.ask("POST", &path, &one, bad.clone()).await.status, 400, "{bad}");
    }
    let own =
        house.ask("POST", &format!("/Account/{}/payments", partner.id), &partner, json!({"amount": 5})).await;
    assert_eq!(own.status, 201, "a partner pays in for itself");
    let unsigned = house.raw("POST", "/api/v1/payments/sandbox/webhook", &[], "{}").await;
    assert_eq!(unsigned.status, 404, "the sandbox has no webhook");
    let said = json!({"intent_id": id, "status": "paid", "amount": "250", "currency": "INR"}).to_string();
    assert_eq!(house.raw("POST", "/api/v1/payments/nobody/webhook", &[], &said).await.status, 404);
    assert_eq!(house.raw("POST", "/api/v1/payments/nobody/webhook", &[], "{}").await.status, 400);
    house.assert_clean().await;
}

#[tokio::test]
async fn fifty_twins_open_one_payment_and_without_a_provider_there_is_none() {
    let house = House::open_with(Overrides::default().set("payments.provider", "sandbox")).await;
    let (_, one) = customer(&house, 0).await;
    let path = format!("/Account/{}/payments", one.id);
    let twins = (0..50).map(|_| house.ask_keyed("k", &path, &one, json!({"amount": 5})));
    let answers = futures_util::future::join_all(twins).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    assert_eq!(house.get(&path, &one).await.body["total"], 1);
    let house = House::open().await;
    let (_, one) = customer(&house, 0).await;
    let refused =
        house.ask("POST", &format!("/Account/{}/payments", one.id), &one, json!({"amount": 5})).await;
    assert_eq!((refused.status, &refused.body["error"]), (501, &json!("PAYMENTS_NOT_CONFIGURED")));
}

#[tokio::test]
async fn a_statements_lines_add_up_to_its_closing_balance() {
    let house = House::open().await;
    let (partner, one) = customer(&house, 100).await;
    for n in 0..7 {
        let body = json!({"amount": "-1.25", "reference": format!("r{n}"), "description": "=cmd, \"x\""});
        house.admin("POST", &format!("/admin/accounts/{}/adjust", one.id), body).await;
    }
    let path = format!("/Account/{}/statements", one.id);
    let list = house.get(&path, &one).await.body;
    let row = &list["statements"][0];
    assert_keys(
        row,
        "month opening_balance total_credit total_debit closing_balance transactions is_final csv_url",
    );
    assert_eq!(
        (&row["closing_balance"], &row["transactions"], &list["total"]),
        (&json!(91.25), &json!(8), &json!(1))
    );
    let month = row["month"].as_str().unwrap();
    let csv = house.text(&format!("{path}/{month}.csv"), &one).await;
    let lines: Vec<&str> = csv.lines().collect();
    assert_eq!(lines.len(), 11, "{csv}");
    assert!(
        lines[1].contains("Opening balance,,,0.000000") && lines[10].contains("Closing balance,,,91.250000"),
        "{csv}"
    );
    assert!(lines[3].contains("\"'=cmd, \"\"x\"\"\""), "{csv}");
    let sum: f64 = lines[2..10]
        .iter()
        .map(|line| {
            let mut cells: Vec<&str> = line.rsplit(',').collect();
            cells.truncate(4);
            cells[2].parse::<f64>().unwrap_or_default() - cells[3].parse::<f64>().unwrap_or_default()
        })
        .sum();
    assert!((sum - 91.25).abs() < 1e-9, "{sum}");
    for file in ["2026-13.csv", "2001-01.csv", "9999-01.csv", "2026-01", "x.csv"] {
        assert_eq!(house.get(&format!("{path}/{file}"), &one).await.status, 404, "{file}");
    }
    assert_eq!(house.get(&path, &partner).await.status, 403);
}
