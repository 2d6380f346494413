//! Inventory, purchase, routing of numbers.

use serde_json::{Value, json};

use super::{House, Login, assert_keys};

const FOR_SALE: &str = "id account_id e164 country capabilities status provider setup_fee monthly_fee currency voice_enabled
  tags is_blocked created_at updated_at is_trial_number minimum_commitment_months aadhaar_verification_required
  aadhaar_verified region";
const OWNED: &str = "id account_id e164 country capabilities status provider setup_fee monthly_fee currency voice_enabled
  tags is_blocked created_at updated_at is_trial_number minimum_commitment_months aadhaar_verification_required
  aadhaar_verified region application_id purchased_at last_billing_date next_billing_date source released_at
  trunk_group_id";

async fn stocked() -> (House, Login) {
    let house = House::open().await;
    let numbers = json!({"numbers": ["+918045671200", "+918045671201", "+912245671202"], "country": "IN",
        "setup_fee": "100", "monthly_fee": "500", "currency": "INR"});
    let added = house.admin("POST", "/admin/inventory", numbers.clone()).await;
    assert_eq!(added.body, json!({"added": 3, "known_before": 0}));
    let again = house.admin("POST", "/admin/inventory", numbers).await;
    assert_eq!(again.body, json!({"added": 0, "known_before": 3}));
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 1000).await;
    (house, customer)
}

#[tokio::test]
async fn a_purchase_takes_number_and_price_together_and_never_more_than_there_is() {
    let (house, customer) = stocked().await;
    let at = |path: &str| format!("/Account/{}{path}", customer.id);
    let list = house.get(&at("/inventory/numbers"), &customer).await.body;
    assert_keys(&list, "items page per_page total");
    assert_eq!(list["total"], 3);
    assert_keys(&list["items"][0], FOR_SALE);
    for (query, total) in [
        ("search=8045671", 2),
        ("search=%2B9180", 2),
        ("exclude=%2B9180", 1),
        ("exclude=9180,9122", 0),
        ("exclude=9180&exclude=9122", 0),
        ("country=in", 3),
        ("country=US", 0),
        ("search=%25", 3),
    ] {
        let found = house.get(&at(&format!("/inventory/numbers?{query}")), &customer).await.body;
        assert_eq!(found["total"], total, "{query}");
    }

    let buy =
        async |body: Value| house.ask("POST", &at("/numbers/purchase-from-inventory"), &customer, body).await;
    let bought = buy(json!({"e164": "+918045671200"})).await;
    assert_eq!(
        (bought.status, bought.body["message"].as_str()),
        (200, Some("Number purchased successfully"))
    );
    assert_keys(&bought.body["number"], OWNED);
    assert_eq!(
        (&bought.body["number"]["setup_fee"], &bought.body["number"]["account_id"]),
        (&json!(100), &json!(customer.id))
    );
    let owned = buy(json!({"e164": "+918045671200"})).await;
    assert_eq!((owned.status, owned.body["error"].as_str()), (409, Some("already_owned")));
    let none = buy(json!({"e164": "+918045671999"})).await;
    assert_eq!((none.status, none.body["error"].as_str()), (404, Some("not_found")));
    let poor = buy(json!({"number": "918045671201"})).await;
    assert_eq!((poor.status, poor.body["error"].as_str()), (402, Some("INSUFFICIENT_BALANCE")));
    assert_eq!(
        poor.body["details"],
        json!({"required": 600, "available": 400, "currency": "INR", "shortfall": 200})
    );
    let owned = house.get(&at("/numbers"), &customer).await.body;
    assert_eq!(
        (&owned["total"], &owned["per_page"]),
        (&json!(1), &json!(25)),
        "what was not paid was not kept"
    );
    assert_keys(&owned["items"][0], OWNED);
    assert_eq!(house.get(&at("/inventory/numbers"), &customer).await.body["total"], 2);
    let balance = house.get(&at("/balance/INR"), &customer).await.body;
    assert_eq!(balance["balance"], 400);
    for spelling in ["%2B918045671200", "%252B918045671200", "+918045671200", "918045671200"] {
        let one = house.get(&at(&format!("/numbers/{spelling}")), &customer).await;
        assert_eq!((one.status, &one.body["e164"]), (200, &json!("+918045671200")), "{spelling}");
    }
    assert_eq!(house.get(&at("/numbers/+918045671201"), &customer).await.status, 404);
    house.assert_clean().await;
}

#[tokio::test]
async fn a_number_leads_to_an_application_or_a_trunk_of_its_owner_only() {
    let (house, customer) = stocked().await;
    let at = |path: &str| format!("/Account/{}{path}", customer.id);
    house.ask("POST", &at("/numbers/purchase"), &customer, json!({"phoneNumber": "+918045671200"})).await;
    let application = house
        .ask(
            "POST",
            &at("/Application/"),
            &customer,
            json!({"app_name": "front", "answer_url": "https://ivr.example/a"}),
        )
        .await;
    assert_eq!(application.status, 201, "{}", application.body);
    let app_id = application.body["app_id"].as_str().unwrap();
    let route = at("/numbers/%2B918045671200/application");
    let attached = house.ask("POST", &route, &customer, json!({"application_id": app_id})).await;
    assert_eq!(attached.status, 200, "{}", attached.body);
    assert_keys(&attached.body, "message number application");
    assert_eq!(
        (&attached.body["number"], &attached.body["application"]["app_id"]),
        (&json!("+918045671200"), &json!(app_id))
    );
    assert!(attached.body["application"]["api_id"].is_string());
    assert_eq!(house.ask("POST", &route, &customer, json!({"app_id": "123"})).await.status, 404);
    assert_eq!(house.ask("POST", &route, &customer, json!({})).await.status, 400);
    let number = house.get(&at("/numbers/918045671200"), &customer).await.body;
    assert_eq!(number["application_id"], app_id);
    for _ in 0..2 {
        let detached = house.ask("DELETE", &route, &customer, Value::Null).await;
        assert_eq!(
            detached.body,
            json!({"message": "Number detached from application", "number": "+918045671200"})
        );
    }

    let trunk = house
        .ask("POST", &at("/trunks"), &customer, json!({"name": "in", "trunk_direction": "inbound"}))
        .await;
    let trunk_id = trunk.body["trunk_id"].as_str().unwrap();
    let route = at("/numbers/+918045671200/assign");
    assert_eq!(house.ask("DELETE", &route, &customer, Value::Null).await.status, 404);
    let body = json!({"trunk_group_id": trunk_id});
    let assigned = house.ask("POST", &route, &customer, body.clone()).await;
    assert_eq!((assigned.status, &assigned.body), (204, &Value::Null));
    let twice = house.ask("POST", &route, &customer, body).await;
    assert_eq!(
        (twice.status, twice.body["message"].as_str()),
        (400, Some("This number is already assigned to a trunk."))
    );
    assert_eq!(house.ask("DELETE", &route, &customer, Value::Null).await.status, 204);
    let foreign = json!({"trunk_group_id": tandem_model::Ids::random()});
    assert_eq!(house.ask("POST", &route, &customer, foreign).await.status, 404);
    assert_eq!(house.ask("POST", &route, &customer, json!({"trunk_group_id": "x"})).await.status, 400);
}

/// The customer with the one number of this page's tests.
async fn owner() -> (House, Login) {
    let (house, customer) = stocked().await;
    house
        .admin(
            "POST",
            &format!("/admin/accounts/{}/credit", customer.id),
            json!({"amount": "5000", "reference": "r"}),
        )
        .await;
    let path = format!("/Account/{}/numbers/purchase-from-inventory", customer.id);
    let bought = house.ask("POST", &path, &customer, json!({"e164": "+918045671200"})).await;
    assert_eq!(bought.status, 200, "{}", bought.body);
    (house, customer)
}

async fn balance(house: &House, who: &Login) -> Value {
    house.get(&format!("/Account/{}/balance/INR", who.id), who).await.body["balance"].clone()
}

#[tokio::test]
async fn a_release_costs_waits_a_day_and_can_be_taken_back() {
    let (house, customer) = owner().await;
    let at = |path: &str| format!("/Account/{}/numbers/%2B918045671200{path}", customer.id);
    let ask = async |method: &str, path: &str| house.ask(method, &at(path), &customer, Value::Null).await;
    let none = house
        .ask("DELETE", &format!("/Account/{}/numbers/918045671201", customer.id), &customer, Value::Null)
        .await;
    assert_eq!((none.status, none.body["error"].as_str()), (403, Some("forbidden")));
    let idle = ask("POST", "/cancel-release").await;
    assert_eq!((idle.status, idle.body["error"].as_str()), (400, Some("number is not pending release")));
    let ended = ask("DELETE", "").await;
    assert_eq!(ended.status, 200, "{}", ended.body);
    assert_keys(&ended.body, "cancel_url cooldown_ends_at message note release_fee status");
    assert_eq!(
        (&ended.body["release_fee"], ended.body["status"].as_str()),
        (&json!(700), Some("pending_release"))
    );
    let cancel_url = ended.body["cancel_url"].as_str().unwrap();
    assert_eq!(cancel_url, format!("/api/v1/account/{}/numbers/+918045671200/cancel-release", customer.id));
    let again = ask("DELETE", "").await;
    assert_eq!((again.status, &again.body["cooldown_ends_at"]), (409, &ended.body["cooldown_ends_at"]));
    assert_eq!(balance(&house, &customer).await, 5400 - 700);
    let shown = ask("GET", "").await.body;
    assert_eq!((shown["status"].as_str(), &shown["released_at"]), (Some("pending_release"), &Value::Null));
    let body = json!({"application_id": "1"});
    assert_eq!(
        house.ask("POST", &at("/application"), &customer, body).await.status,
        404,
        "nothing is attached meanwhile"
    );
    let cancelled = ask("POST", "/cancel-release").await;
    assert_eq!(cancelled.status, 200, "{}", cancelled.body);
    assert_keys(&cancelled.body, "message status currency refund_amount refund_status");
    assert_eq!(
        (&cancelled.body["refund_amount"], balance(&house, &customer).await),
        (&json!(700), json!(5400))
    );
    assert_eq!(ask("DELETE", "?immediate=perhaps").await.status, 400);
    let gone = ask("DELETE", "?immediate=true").await;
    assert_eq!((gone.status, gone.body["status"].as_str()), (200, Some("released")));
    assert_eq!(ask("GET", "").await.status, 404);
    assert_eq!(ask("POST", "/cancel-release").await.status, 404);
    let for_sale =
        house.get(&format!("/Account/{}/inventory/numbers?search=8045671200", customer.id), &customer).await;
    assert_eq!(for_sale.body["total"], 0, "it rests");
    let seen = house.admin("GET", "/admin/numbers/+918045671200", Value::Null).await.body;
    assert_eq!((seen["status"].as_str(), &seen["account_id"]), (Some("released"), &Value::Null));
    assert!(seen["quarantine_until"].is_string());
    house.assert_clean().await;
}

#[tokio::test]
async fn a_number_moves_between_sub_accounts_by_their_main_account_alone() {
    let (house, customer) = owner().await;
    let sub = house
        .ask(
            "POST",
            &format!("/Account/{}/sub-accounts", customer.id),
            &customer,
            json!({"name": "team", "email": "s@shop.example"}),
        )
        .await;
    let sub = super::login(&sub.body);
    let at = |who: &Login| format!("/account/{}/numbers/918045671200/assign-subaccount", who.id);
    let body = json!({"sub_account_id": sub.id});
    assert_eq!(house.ask("POST", &at(&sub), &sub, body.clone()).await.status, 403);
    assert_eq!(
        house.ask("POST", &at(&customer), &customer, json!({"sub_account_id": "SA_NOBODY1"})).await.status,
        404
    );
    assert_eq!(house.ask("DELETE", &at(&customer), &customer, Value::Null).await.status, 404);
    let done = house.ask("POST", &at(&customer), &customer, body.clone()).await;
    assert_eq!((done.status, &done.body), (204, &Value::Null));
    let own = house.get(&format!("/Account/{}/numbers", sub.id), &sub).await.body;
    assert_eq!(own["total"], 1);
    let forced = house.ask("DELETE", &(at(&customer) + "?force=true"), &customer, Value::Null).await;
    assert_eq!(forced.status, 403);
    house
        .run_sql(&format!(
            "update number set last_call_at = {}",
            tandem_model::clock::wall().as_microsecond()
        ))
        .await;
    let cool = house.ask("DELETE", &at(&customer), &customer, Value::Null).await;
    assert_eq!((cool.status, cool.body["error"].as_str()), (409, Some("did_cool_off_in_effect")));
    let left = cool.body["cool_off_remaining_seconds"].as_i64().unwrap();
    assert!((1_295_000..=1_296_000).contains(&left), "{left}");
    let health = house
        .get(
            &format!("/Account/{}/numbers/918045671200/health?granularity=hourly&days=7", customer.id),
            &customer,
        )
        .await;
    assert_eq!(
        (health.status, health.body["usage_status"].as_str()),
        (200, Some("active")),
        "{}",
        health.body
    );
    assert_eq!(
        house
            .get(
                &format!("/Account/{}/numbers/918045671200/health?granularity=hourly&days=8", customer.id),
                &customer
            )
            .await
            .status,
        400
    );
    let insisted = house.admin("DELETE", "/admin/numbers/918045671200/sub-account", Value::Null).await;
    assert_eq!((insisted.status, &insisted.body["sub_account_id"]), (200, &Value::Null));
    let audit = house.text(&format!("/Account/{}/audit", customer.id), &customer).await;
    assert!(audit.contains("force_unassign_sub_account"), "{audit}");
}

#[tokio::test]
async fn a_complaint_is_written_down_once_and_told_with_the_agreed_secret() {
    let (mut house, customer) = owner().await;
    let complain = json!({"urn": "UCC-1", "number": "+918045671200", "complainant": "+919812345678",
        "date": "2026-11-20", "description": "Loans at night"});
    let nobodys = json!({"urn": "UCC-0", "number": "+918045671201", "complainant": "+919812345678"});
    assert_eq!(house.admin("POST", "/admin/ndnc", nobodys).await.status, 404);
    let short = json!({"url": "https://shop.example/ndnc", "secret": "short"});
    assert_eq!(house.admin("PUT", &format!("/admin/ndnc/{}", customer.id), short).await.status, 400);
    let webhook = json!({"url": "https://shop.example/ndnc", "secret": "agreed-for-complaints"});
    assert_eq!(house.admin("PUT", &format!("/admin/ndnc/{}", customer.id), webhook).await.status, 200);
    while house.events.try_next().is_some() {}
    let told = house.admin("POST", "/admin/ndnc", complain.clone()).await;
    assert_eq!((told.status, &told.body["told"]), (200, &json!(true)), "{}", told.body);
    let again = house.admin("POST", "/admin/ndnc", complain).await;
    assert_eq!(again.body["repeated"], true);
    let event = house.events.try_next().unwrap();
    assert_eq!((event.kind.as_str(), event.url.as_str()), ("ndnc.complaint", "https://shop.example/ndnc"));
    let body: Value = serde_json::from_str(&event.body).unwrap();
    assert_keys(&body, "accountName totalComplaints complaints");
    assert_keys(
        &body["complaints"][0],
        "urn did complainantNumber complaintDate description accountId accountName accountEmail",
    );
    assert_eq!(
        (&body["complaints"][0]["did"], &body["complaints"][0]["accountId"]),
        (&json!("+918045671200"), &json!(customer.id))
    );
    assert!(house.events.try_next().is_none(), "once");
    assert_eq!(
        house.admin("GET", "/admin/ndnc", Value::Null).await.body["complaints"].as_array().unwrap().len(),
        1
    );
}

#[tokio::test]
async fn older_clients_buy_find_and_give_back_numbers_in_plivos_words() {
    let (house, customer) = owner().await;
    let at = |path: &str| format!("/Account/{}{path}", customer.id);
    let found = house.get(&at("/PhoneNumber/?country_iso=in&pattern=2245"), &customer).await.body;
    assert_eq!(
        (&found["meta"]["total_count"], found["objects"][0]["number"].as_str()),
        (&json!(1), Some("912245671202"))
    );
    assert_eq!(found["objects"][0]["monthly_rental_rate"], "500.00000");
    assert_eq!(
        house.ask("POST", &at("/PhoneNumber/912245671202/"), &customer, json!({"app_id": "77"})).await.status,
        400
    );
    let bought = house.ask("POST", &at("/AvailablePrefix/912245671202/"), &customer, json!({})).await;
    assert_eq!((bought.status, bought.body["status"].as_str()), (201, Some("fulfilled")), "{}", bought.body);
    assert_eq!(house.ask("POST", &at("/PhoneNumber/912245671202/"), &customer, json!({})).await.status, 409);
    assert_eq!(house.ask("POST", &at("/PhoneNumber/912245671999/"), &customer, json!({})).await.status, 404);
    assert_eq!(
        house.ask("POST", &at("/Number/"), &customer, json!({"number": "918045671201"})).await.status,
        201
    );
    let list = house.get(&at("/Number/?limit=2"), &customer).await.body;
    assert_eq!((&list["meta"]["total_count"], list["objects"].as_array().unwrap().len()), (&json!(3), 2));
    let app = house
        .ask(
            "POST",
            &at("/Application/"),
            &customer,
            json!({"app_name": "a", "answer_url": "https://a.example/"}),
        )
        .await;
    let app = app.body["app_id"].as_str().unwrap().to_owned();
    let one = at("/Number/912245671202/");
    assert_eq!(house.ask("POST", &one, &customer, json!({"app_id": app})).await.status, 202);
    let shown = house.get(&one, &customer).await.body;
    assert_eq!(shown["application"], json!(format!("/v1/Account/{}/Application/{app}/", customer.id)));
    assert_eq!(house.ask("POST", &one, &customer, json!({"app_id": ""})).await.status, 202);
    assert_eq!(house.get(&one, &customer).await.body["application"], Value::Null);
    let gone = house.ask("DELETE", &one, &customer, Value::Null).await;
    assert_eq!((gone.status, &gone.body), (204, &Value::Null));
    assert_eq!(house.get(&one, &customer).await.body["status"], "pending_release");
    house.assert_clean().await;
}

#[tokio::test]
async fn a_numbers_own_urls_are_set_read_and_taken_away() {
    let (house, customer) = owner().await;
    let path = format!("/Account/{}/numbers/918045671200/urls", customer.id);
    let put = async |body: Value| house.ask("PUT", &path, &customer, body).await;
    let set = put(json!({"answer_url": "https://a.example/answer", "answer_method": "get", "input_url": "https://a.example/in"})).await;
    assert_eq!((set.status, set.body["answer_method"].as_str()), (200, Some("GET")), "{}", set.body);
    assert_eq!(put(json!({"input_url": "ftp://a.example/"})).await.status, 400);
    assert_eq!(put(json!({"input_url": null})).await.status, 200);
    let read = house.get(&path, &customer).await.body;
    assert_eq!(
        (read["answer_url"].as_str(), &read["input_url"]),
        (Some("https://a.example/answer"), &Value::Null)
    );
}

#[tokio::test]
async fn indias_series_are_given_and_verified_by_the_operator() {
    let (house, customer) = owner().await;
    let numbers = json!({"numbers": ["+919212345678", "+911400123456"], "country": "IN", "currency": "INR"});
    house.admin("POST", "/admin/inventory", numbers).await;
    let at = |path: &str| format!("/Account/{}{path}", customer.id);
    assert_eq!(house.get(&at("/inventory/numbers?search=9212345678"), &customer).await.body["total"], 0);
    let bought =
        house.ask("POST", &at("/numbers/purchase"), &customer, json!({"e164": "+919212345678"})).await;
    assert_eq!(bought.status, 404);
    for number in ["+919212345678", "+911400123456"] {
        let given = house
            .admin("POST", &format!("/admin/numbers/{number}/give"), json!({"account": customer.id}))
            .await;
        assert_eq!((given.status, &given.body["account_id"]), (200, &json!(customer.id)), "{}", given.body);
    }
    let read = async |number: &str| house.get(&at(&format!("/numbers/{number}")), &customer).await.body;
    assert_eq!(read("911400123456").await["tags"], json!(["promotional"]));
    let mobile = read("919212345678").await;
    assert_eq!(
        (&mobile["aadhaar_verification_required"], &mobile["aadhaar_verified"]),
        (&json!(true), &json!(false))
    );
    let verified = json!({"aadhaar_verified": true, "minimum_commitment_months": 3});
    assert_eq!(house.admin("PUT", "/admin/numbers/919212345678", verified).await.status, 200);
    assert_eq!(read("919212345678").await["aadhaar_verified"], true);
    let kept = house.ask("DELETE", &at("/numbers/919212345678"), &customer, Value::Null).await;
    assert_eq!((kept.status, kept.body["error"].as_str()), (409, Some("minimum_commitment")));
    assert_eq!(house.admin("PUT", "/admin/numbers/919212345678", json!({"color": "red"})).await.status, 400);
}
