//! Partner, customer, balance, transfer, ledger: shapes and sums.

use serde_json::{Value, json};

use super::{House, assert_keys, new_customer};

const ACCOUNT: &str = "type id api_id name email phone description auth_id auth_secret auth_token_expire_time country
  timezone city state address zip_code company account_type postpaid auto_recharge auto_recharge_config enabled
  carrier_type customer_type credit_limit cps_limit concurrent_calls_limit base_cps_limit
  base_concurrent_calls_limit purchased_cps purchased_concurrent_calls risk_rating risk_status features
  ip_auth_enabled ip_whitelist_rules allow_aws_ips role is_active is_verified is_trial_account created_at
  updated_at last_login pricing_tier_id pricing_tier";
const PARTNER: &str =
    "id account_id name slug company auth_id email phone billing_model is_active is_verified max_accounts
  can_create_accounts can_create_pricing_tiers can_view_cdrs can_transfer_balance default_pricing_tier_id
  account_count balance created_at updated_at";
const CUSTOMER: &str = "name email phone description gstin gst_status tds_enabled tds_percentage business_type id auth_id
  api_id account_type role postpaid address city state timezone country zip_code company billing_mode auto_recharge
  cash_credits cps_limit concurrent_calls_limit base_cps_limit base_concurrent_calls_limit purchased_cps
  purchased_concurrent_calls is_active is_verified is_trial_account enabled kyc_status google_id referral_code
  referral_disabled custom_referrer_reward_amount custom_referee_reward_amount created_at updated_at last_login
  pricing_tier_id pricing_tier partner_id auto_recharge_config resource_uri auth_token";
const BALANCE: &str = "id account_id currency balance reserved_funds promotional_balance promotional_reserved_balance
  available_balance credit_limit is_postpaid credit_limit_type low_balance_threshold status created_at updated_at";
const LINE: &str =
    "id account_id balance_id type amount currency description reference reference_type status processed_at
  created_at updated_at";

#[tokio::test]
async fn a_customer_has_exactly_the_documented_keys_everywhere() {
    let house = House::open().await;
    let deck = json!({"currency": "INR", "default": true,
        "csv": "prefix,per_minute,pulse,minimum,connection_fee\n91,0.45,60,0,0\n9,9,1,0,0\nin91,0,1,0,0\n"});
    assert_eq!(house.admin("PUT", "/admin/decks/standard", deck).await.status, 200);
    let partner = house.partner("p@acme.example").await;
    let made = house.ask("POST", "/partner/accounts", &partner, new_customer("A@Shop.example")).await;
    assert_keys(&made.body, "auth_id auth_token name email status balance currency country created_at");
    assert_eq!((&made.body["balance"], &made.body["currency"]), (&json!(0), &json!("INR")));
    let customer = super::login(&made.body);

    let me = house.get("/auth/me", &customer).await.body;
    assert_keys(&me, ACCOUNT);
    assert_keys(
        &me["pricing_tier"],
        "id name description currency rate_per_minute billing_increment_seconds minimum_duration_seconds is_active is_default",
    );
    assert_eq!(me["pricing_tier"]["rate_per_minute"], 0.45, "the longest prefix of its own country");
    assert_eq!(
        (&me["cps_limit"], &me["concurrent_calls_limit"], &me["id"]),
        (&json!(1), &json!(3), &json!("500002"))
    );
    for (key, value) in me.as_object().unwrap() {
        let nullable = [
            "auth_token_expire_time",
            "auto_recharge_config",
            "carrier_type",
            "customer_type",
            "risk_status",
        ];
        assert!(!value.is_null() || nullable.contains(&key.as_str()), "{key} is null");
    }

    let read = house.get(&format!("/partner/accounts/{}", customer.id), &partner).await.body;
    assert_keys(&read, CUSTOMER);
    assert_eq!((&read["auth_token"], &read["kyc_status"]), (&json!(customer.token), &json!("pending")));
    assert_eq!((&read["cash_credits"], &read["partner_id"]), (&json!("0.00000"), &json!(partner.id)));
    let list = house.get("/partner/accounts?search=SHOP&per_page=5", &partner).await.body;
    assert_keys(&list, "accounts total page size");
    assert_eq!((&list["accounts"][0], &list["size"]), (&read, &json!(5)));
    assert_eq!(house.get("/partner/accounts?search=%25", &partner).await.body["total"], 0);

    let profile = house.get("/partner/me", &partner).await.body;
    assert_keys(&profile, PARTNER);
    assert_eq!((&profile["balance"], &profile["account_count"]), (&json!("1000.00000"), &json!(1)));
}

#[tokio::test]
async fn a_transfer_shows_on_both_ledgers_or_on_neither() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let path = format!("/partner/accounts/{}/transfer-balance", customer.id);
    let send = async |body: Value| house.ask("POST", &path, &partner, body).await;
    let done = send(json!({"amount": 412.35, "currency": "INR", "description": "June"})).await;
    assert_eq!(done.status, 200);
    assert_keys(
        &done.body,
        "transaction_id from_account to_account amount currency description status partner_balance_after
         customer_balance_after timestamp",
    );
    assert_eq!(done.body["partner_balance_after"], 587.65);
    assert!(done.body["transaction_id"].as_str().unwrap().starts_with("txn_"));
    let poor = send(json!({"amount": 600, "currency": "INR"})).await;
    assert_eq!(poor.status, 400);
    for (key, value) in [
        ("error", json!("insufficient_balance")),
        ("current_balance", json!(587.65)),
        ("requested_amount", json!(600)),
        ("currency", json!("INR")),
    ] {
        assert_eq!(poor.body[key], value);
    }
    for bad in [
        json!({"amount": 0, "currency": "INR"}),
        json!({"amount": -5, "currency": "INR"}),
        json!({"amount": 1, "currency": "USD"}),
        json!({"currency": "INR"}),
        json!({"amount": "x", "currency": "INR"}),
    ] {
        assert_eq!(send(bad.clone()).await.status, 400, "{bad}");
    }
    let stranger = house
        .ask(
            "POST",
            "/partner/accounts/MA_NOBODY/transfer-balance",
            &partner,
            json!({"amount": 1, "currency": "INR"}),
        )
        .await;
    assert_eq!(stranger.status, 404);

    let balance = house.get(&format!("/Account/{}/balance/INR", customer.id), &customer).await.body;
    assert_keys(&balance, BALANCE);
    assert_eq!((&balance["balance"], &balance["reserved_funds"]), (&json!(412.35), &json!(0)));
    assert_eq!(house.get(&format!("/Account/{}/balance/USD", customer.id), &customer).await.status, 404);
    let held = house.get(&format!("/partner/accounts/{}/balance", customer.id), &partner).await.body;
    assert_keys(&held, "auth_id name cash_credits currency updated_at");

    let ledger = format!("/Account/{}/transactions", customer.id);
    let all = house.get(&ledger, &customer).await.body;
    assert_keys(&all, "transactions summary total page per_page total_pages");
    assert_keys(&all["summary"], "total_transactions total_debit total_credit net_amount by_reference_type");
    assert_keys(&all["transactions"][0], LINE);
    let line = &all["transactions"][0];
    assert_eq!(
        (&line["type"], &line["amount"], &line["balance_id"]),
        (&json!("credit"), &json!(412.35), &balance["id"])
    );
    assert_eq!(line["description"], "Transfer from partner Acme: June");
    assert!(line["reference"].as_str().unwrap().starts_with(&format!("ptc:{}:{}:", partner.id, customer.id)));
    for (query, total) in [
        ("type=debit", 0),
        ("type=credit", 1),
        ("type=ptc", 1),
        ("status=pending", 0),
        ("status=completed", 1),
        ("currency=inr", 1),
        ("currency=USD", 0),
        ("description=JUNE", 1),
        ("reference=ptc:", 1),
        ("from_date=2100-01-01", 0),
        ("start_date=2100-01-01", 0),
        ("to_date=2100-01-01", 1),
        ("transaction_id=x", 0),
        ("reference_type=cdr", 0),
        ("unknown=1", 1),
    ] {
        assert_eq!(house.get(&format!("{ledger}?{query}"), &customer).await.body["total"], total, "{query}");
    }
    assert_eq!(house.get(&format!("{ledger}?per_page=1001"), &customer).await.body["per_page"], 50);
    let kinds = house.get(&format!("{ledger}/reference-types"), &customer).await.body;
    assert_eq!(kinds, json!({"reference_types": ["ptc"]}));
    let rounded = house
        .raw(
            "GET",
            &format!("/api/v1{ledger}"),
            &[("x-auth-id", &customer.id), ("x-auth-token", &customer.token), ("x-fern-language", "Python")],
            "",
        )
        .await
        .body;
    assert_eq!(rounded["summary"]["total_credit"], 412, "typed clients declare it an integer");
    house.assert_clean().await;
}

#[tokio::test]
async fn a_customer_that_cannot_be_made_is_refused_with_the_reason() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    house.customer(&partner, "a@shop.example", 0).await;
    let with = |name: &str, value: Value| {
        let mut body = new_customer("new@shop.example");
        body[name] = value;
        body
    };
    for (body, status, field) in [
        (with("email", json!("A@shop.example")), 409, "email"),
        (with("email", json!("nonsense")), 400, "email"),
        (with("password", json!("weak")), 422, "password"),
        (with("phone", json!("12")), 400, "phone"),
        (with("country", json!("XX")), 400, "country"),
        (with("name", json!("")), 400, "name"),
    ] {
        let answer = house.ask("POST", "/partner/accounts", &partner, body.clone()).await;
        assert_eq!(
            (answer.status, answer.body["details"][field].is_string()),
            (status, true),
            "{body} {}",
            answer.body
        );
    }
    let small = house
        .admin("POST", "/admin/partners", json!({"name": "S", "email": "s@s.example", "max_accounts": 1}))
        .await;
    let small = super::login(&small.body);
    house.customer(&small, "only@s.example", 0).await;
    let full = house.ask("POST", "/partner/accounts", &small, new_customer("two@s.example")).await;
    assert_eq!((full.status, full.body["error"].as_str()), (403, Some("max_accounts_reached")));
}
