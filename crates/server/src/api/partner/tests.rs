//! What partners read and move, over HTTP: shapes by dialect, filters, walls, capability flags.

use serde_json::{Value, json};

use crate::api::tests::{House, Login, assert_keys};

async fn family(house: &House) -> (Login, Login, Login) {
    let partner = house.partner("p@acme.example").await;
    let one = house.customer(&partner, "a@shop.example", 100).await;
    let two = house.customer(&partner, "b@shop.example", 50).await;
    (partner, one, two)
}

/// A record of a call that began at noon UTC of that day.
async fn call(
    house: &House,
    account: &str,
    day: &str,
    direction: &str,
    context: &str,
    billsec: i64,
    cost: i64,
) -> String {
    let noon: jiff::Timestamp = format!("{day}T12:00:00Z").parse().unwrap();
    let (at, uuid) = (noon.as_microsecond(), tandem_model::CallId::random().to_string());
    let (answered, cause) =
        if billsec > 0 { (at.to_string(), "NORMAL_CLEARING") } else { ("null".to_owned(), "USER_BUSY") };
    house
        .run_sql(&format!(
            "insert into call_record (uuid, account_id, answer_time, billsec, call_direction, caller_id_name, caller_id_number,
               context, cost, created_at, currency, destination_number, duration, end_time, hangup_cause, origination_region,
               region, ring_time, sip_call_id, start_time, updated_at, rate)
             values ('{uuid}', '{account}', {answered}, {billsec}, '{direction}', '', '+911', '{context}', {cost}, {at}, 'INR',
               '+912', {billsec}, {at}, '{cause}', 'local', 'local', 0, 'x', {at}, {at},
               '{{\"per_minute\":0,\"pulse_s\":1,\"minimum_s\":0,\"connection_fee\":0}}')"
        ))
        .await;
    uuid
}

async fn python(house: &House, path: &str, who: &Login) -> Value {
    let headers =
        [("x-auth-id", who.id.as_str()), ("x-auth-token", who.token.as_str()), ("x-fern-language", "Python")];
    house.raw("GET", &format!("/api/v1{path}"), &headers, "").await.body
}

#[tokio::test]
async fn ledgers_of_customers_are_filtered_summed_and_walled() {
    let house = House::open().await;
    let (partner, one, two) = family(&house).await;
    let stranger = house.partner("q@other.example").await;
    let book = json!({"amount": "0.40", "reference": "r1"});
    house.admin("POST", &format!("/admin/accounts/{}/refund", one.id), book).await;
    let of_one = format!("/partner/accounts/{}/transactions", one.id);
    let page = house.get(&of_one, &partner).await.body;
    assert_keys(&page, "account_auth_id transactions summary total page per_page total_pages");
    assert_keys(
        &page["transactions"][0],
        "id account_id balance_id type amount currency description reference status processed_at created_at updated_at",
    );
    assert_eq!((&page["total"], &page["summary"]["total_credit"]), (&json!(2), &json!(100.4)));
    let typed = python(&house, &of_one, &partner).await;
    assert_eq!(
        (&typed["transactions"][0]["amount"], &typed["summary"]["total_credit"]),
        (&json!(0), &json!(100))
    );
    let total = async |query: &str| {
        house.get(&format!("/partner/transactions?{query}"), &partner).await.body["total"].clone()
    };
    for (query, expected) in [
        ("", 3),
        ("transaction_type=transfer", 2),
        ("transaction_type=refund", 1),
        ("transaction_type=debit", 0),
        ("transaction_type=recharge", 0),
        ("search=refund", 1),
        ("search=NOTHING", 0),
        ("to_date=2020-01-01", 0),
        ("from_date=2020-01-01", 3),
        ("account=MA_NOBODY", 0),
    ] {
        assert_eq!(total(query).await, expected, "{query}");
    }
    assert_eq!(total(&format!("account={}", two.id)).await, 1);
    assert_eq!(total(&format!("account={}", partner.id)).await, 3, "its own: the opening and two transfers");
    assert_eq!(house.get("/partner/transactions", &stranger).await.body["total"], 0);
    assert_eq!(
        house.get(&format!("/partner/transactions?account={}", one.id), &stranger).await.body["total"],
        0
    );
    assert_eq!(house.get(&of_one, &stranger).await.status, 404);
    assert_eq!(house.get(&of_one, &one).await.status, 403);
    for (query, status) in
        [("per_page=200", 200), ("per_page=201", 422), ("transaction_type=gift", 400), ("from_date=x", 400)]
    {
        assert_eq!(house.get(&format!("{of_one}?{query}"), &partner).await.status, status, "{query}");
    }
}

#[tokio::test]
async fn records_of_customers_need_the_capability_and_are_rounded_for_typed_clients() {
    let house = House::open().await;
    let (partner, one, two) = family(&house).await;
    let uuid = call(&house, &one.id, "2026-01-05", "outbound", "sip-trunking", 60, 450_000).await;
    call(&house, &one.id, "2026-01-06", "inbound", "voice-api", 0, 0).await;
    call(&house, &one.id, "2026-01-07", "outbound", "voice-api", 30, 0).await;
    call(&house, &two.id, "2026-01-07", "outbound", "voice-api", 90, 1_000_000).await;
    let of_one = format!("/partner/accounts/{}/cdrs", one.id);
    let page = house.get(&of_one, &partner).await.body;
    assert_keys(&page, "account_id account_auth_id count data pagination success summary");
    assert_eq!(
        (&page["summary"]["answerRate"], &page["summary"]["total_cost"]),
        (&json!(66.67), &json!(0.45))
    );
    let typed = python(&house, &of_one, &partner).await;
    assert_eq!((&typed["summary"]["answerRate"], &typed["summary"]["total_cost"]), (&json!(67), &json!(0)));
    let count =
        async |query: &str| house.get(&format!("{of_one}?{query}"), &partner).await.body["count"].clone();
    for (query, expected) in [
        ("status=answered", 2),
        ("status=busy", 1),
        ("status=failed", 0),
        ("status=no_answer", 0),
        ("call_direction=inbound", 1),
        ("min_duration=60", 1),
        ("hangup_cause=USER_BUSY", 1),
        ("start_date=2026-01-06&end_date=2026-01-06", 1),
        ("per_page=2", 2),
    ] {
        assert_eq!(count(query).await, expected, "{query}");
    }
    assert_eq!(house.get(&format!("{of_one}?status=odd"), &partner).await.status, 400);
    assert_eq!(house.get("/partner/cdrs", &partner).await.body["pagination"]["total"], 4);
    let record = house.get(&format!("{of_one}/{uuid}"), &partner).await.body;
    assert_eq!((&record["uuid"], record.as_object().unwrap().len()), (&json!(uuid), 43));
    assert_eq!(house.get(&format!("/partner/accounts/{}/cdrs/{uuid}", two.id), &partner).await.status, 404);
    house.admin("PUT", &format!("/admin/accounts/{}", partner.id), json!({"can_view_cdrs": false})).await;
    for path in ["/partner/cdrs", of_one.as_str(), &format!("{of_one}/{uuid}")] {
        let refused = house.get(path, &partner).await;
        assert_eq!(
            (refused.status, &refused.body["details"]["can_view_cdrs"]),
            (403, &json!(false)),
            "{path}"
        );
    }
}

#[tokio::test]
async fn numbers_of_customers_are_listed_with_their_owners() {
    let house = House::open().await;
    let (partner, one, two) = family(&house).await;
    for (n, owner) in [(1, &one), (2, &two)] {
        house
            .run_sql(&format!(
                "insert into number (e164, id, account_id, country, currency, created_at, updated_at)
                 values ('+91804567000{n}', '6c1d6a1e-35d0-4e5e-8f62-7f5d0a5c7a0{n}', '{}', 'IN', 'INR', {n}, 0)",
                owner.id
            ))
            .await;
    }
    let page = house.get(&format!("/partner/accounts/{}/numbers", one.id), &partner).await.body;
    assert_keys(&page, "items page per_page total account_auth_id");
    assert_eq!((&page["total"], &page["items"][0]["e164"]), (&json!(1), &json!("+918045670001")));
    let all = house.get("/partner/numbers", &partner).await.body;
    assert_keys(&all, "items page per_page total");
    assert_eq!(all["total"], 2);
    assert_eq!(
        house.get("/partner/numbers?search=0002", &partner).await.body["items"][0]["account_id"],
        two.id
    );
    assert_eq!(house.get("/partner/numbers", &one).await.status, 403);
}

#[tokio::test]
async fn the_dashboard_adds_up_records_by_direction_product_and_day() {
    let house = House::open().await;
    let (partner, one, two) = family(&house).await;
    call(&house, &one.id, "2026-01-05", "outbound", "sip-trunking", 90, 450_000).await;
    call(&house, &two.id, "2026-01-05", "inbound", "voice-api", 60, 250_000).await;
    call(&house, &one.id, "2026-01-06", "outbound", "voice-api", 0, 0).await;
    call(&house, &one.id, "2026-02-01", "outbound", "voice-api", 600, 9).await;
    let shown = house.get("/partner/analytics?from_date=2026-01-05&to_date=2026-01-07", &partner).await.body;
    assert_keys(
        &shown,
        "partner period accounts total_balance currency calls traffic by_product time_series",
    );
    assert_eq!(
        shown["calls"],
        json!({"total_calls": 3, "answered_calls": 2, "total_minutes": 2.5, "total_cost": "0.70"})
    );
    assert_eq!(shown["traffic"]["inbound"]["total_cost"], "0.25");
    assert_eq!(shown["by_product"]["sip_trunking"]["total_minutes"], 2, "whole minutes");
    assert_eq!(shown["by_product"]["voice_api"]["total_calls"], 2);
    let days = shown["time_series"].as_array().unwrap();
    assert_eq!(days.len(), 3);
    assert_keys(&days[0], "date total_calls answered_calls total_minutes total_cost inbound outbound");
    assert_eq!((&days[0]["date"], &days[0]["total_calls"]), (&json!("2026-01-05"), &json!(2)));
    assert_eq!((&days[1]["outbound"]["total_calls"], &days[2]["total_calls"]), (&json!(1), &json!(0)));
    assert_eq!((&shown["accounts"]["total"], &shown["total_balance"]), (&json!(2), &json!("150.00000")));
    assert_keys(&shown["accounts"]["customers"][0], "auth_id name email phone is_active created_at");
    assert_eq!(shown["partner"]["balance"], Value::Null);
    let dashboard = house.get("/partner/dashboard", &partner).await.body;
    assert_eq!(dashboard["time_series"].as_array().unwrap().len(), 30);
    for bad in [
        "from_date=x",
        "to_date=2026-13-01",
        "from_date=2026-01-02&to_date=2026-01-01",
        "from_date=2020-01-01&to_date=2026-01-01",
    ] {
        assert_eq!(house.get(&format!("/partner/analytics?{bad}"), &partner).await.status, 400, "{bad}");
    }
}

#[tokio::test]
async fn capacity_goes_to_customers_and_back_within_what_was_given() {
    let house = House::open().await;
    let (partner, one, _) = family(&house).await;
    house
        .admin(
            "PUT",
            &format!("/admin/accounts/{}", partner.id),
            json!({"concurrent_limit": 50, "cps_limit": 9}),
        )
        .await;
    let path = |what: &str| format!("/partner/accounts/{}/concurrency/{what}", one.id);
    let send = async |what: &str, body: Value| house.ask("POST", &path(what), &partner, body).await;
    let given = send("transfer", json!({"slots": 20, "description": "June"})).await;
    assert_eq!(given.status, 200, "{}", given.body);
    assert_keys(
        &given.body,
        "success slots resource from_account to_account transfer_reference partner_remaining customer_effective message",
    );
    assert_eq!(
        (&given.body["partner_remaining"], &given.body["customer_effective"]),
        (&json!(30), &json!(23))
    );
    assert_eq!(send("transfer", json!({"slots": 31})).await.status, 400);
    assert_eq!(send("transfer", json!({"resource": "cps", "slots": 4})).await.body["customer_effective"], 5);
    let too_much = send("reclaim", json!({"slots": 21})).await;
    assert_eq!((too_much.status, &too_much.body["available"]), (400, &json!(20)));
    let back = send("reclaim", json!({"slots": 15})).await.body;
    assert_eq!((&back["from_account"], &back["partner_remaining"]), (&json!(one.id), &json!(45)));
    let seen = house.get(&format!("/partner/accounts/{}/concurrency", one.id), &partner).await.body;
    assert_eq!(
        seen,
        json!({
            "partner_auth_id": partner.id, "customer_auth_id": one.id, "partner_concurrent_calls_limit": 45,
            "customer_concurrent_calls_limit": 8, "net_concurrent_calls_allocated": 5, "partner_cps_limit": 5,
            "customer_cps_limit": 5, "net_cps_allocated": 4,
        })
    );
    let me = house.get(&format!("/Account/{}/concurrency", one.id), &one).await.body;
    assert_eq!(me["max_concurrent"], 8, "what admission goes by");
    let history = house.get("/partner/concurrency/transfers?limit=2", &partner).await.body;
    assert_eq!((&history["total"], history["transfers"].as_array().unwrap().len()), (&json!(3), 2));
    assert_eq!(history["transfers"][0]["direction"], "reclaim");
    for bad in [
        json!({}),
        json!({"slots": 0}),
        json!({"slots": 10_001}),
        json!({"slots": "x"}),
        json!({"slots": 1, "resource": "luck"}),
        json!({"slots": 1, "description": "x".repeat(501)}),
    ] {
        assert_eq!(send("transfer", bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(house.get("/partner/concurrency/transfers?limit=201", &partner).await.status, 400);
    assert_eq!(
        house
            .ask("POST", "/partner/accounts/MA_NOBODY/concurrency/transfer", &partner, json!({"slots": 1}))
            .await
            .status,
        404
    );
    let twice = json!({"slots": 1});
    for _ in 0..2 {
        assert_eq!(
            house.ask_keyed("k", &path("transfer"), &partner, twice.clone()).await.body["partner_remaining"],
            44
        );
    }
    house
        .admin("PUT", &format!("/admin/accounts/{}", partner.id), json!({"can_transfer_concurrency": false}))
        .await;
    assert_eq!(send("transfer", json!({"slots": 1})).await.status, 403);
    assert_eq!(send("reclaim", json!({"slots": 1})).await.status, 403);
}

#[test]
fn a_slug_has_no_character_that_a_url_would_escape() {
    assert_eq!(super::slug_of("Acme & Söhne, Ltd."), "acme-s-hne-ltd");
    assert_eq!(super::slug_of(" !"), "");
}
