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
    let gone = buy(json!({"e164": "+918045671200"})).await;
    assert_eq!((gone.status, gone.body["error"].as_str()), (404, Some("not_found")));
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
    let path = at("/numbers/+918045671200");
    assert_eq!(house.ask("DELETE", &path, &customer, Value::Null).await.status, 501);
    assert_eq!(house.ask("DELETE", &at("/numbers/+918045671201"), &customer, Value::Null).await.status, 403);
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
