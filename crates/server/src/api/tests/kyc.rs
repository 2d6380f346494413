//! KYC over HTTP: exact shapes, refusals, walls, one key one session, test mode, erasure.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Answer, House, Login, assert_keys};
use crate::config::Overrides;

const CREATED: &str =
    "session_id account_auth_id customer_email email_dispatched_to kyc_type status expires_at widget_url
  kyc_link message";
const SESSION: &str =
    "id account_auth_id customer_email kyc_type status expires_at first_opened_at completed_at webhook_url
  redirect_url reminder_schedule metadata verified_data created_at updated_at";

/// Nobody listens there: letters stay due.
async fn with_mail() -> House {
    let overrides = Overrides::default()
        .set("mail.smtp_url", "smtp://127.0.0.1:1")
        .set("mail.from", "kyc@acme.example")
        .set("kyc.verifier", "sandbox");
    House::open_with(overrides).await
}

fn by_mail(account: &str) -> Value {
    json!({"account_auth_id": account, "customer_email": "Canary.Person@shop.example", "expires_in_days": 3,
        "reminder_schedule": [{"trigger": "days_before_expiry", "value": 1}], "metadata": {"order": 7},
        "webhook_url": "https://acme.example/kyc"})
}

fn by_redirect(account: &str) -> Value {
    json!({"account_auth_id": account, "flow_type": "redirect", "redirect_url": "https://acme.example/back?x=1"})
}

async fn asked(house: &House, partner: &Login, body: Value) -> Value {
    let made = house.ask("POST", "/partner/kyc-sessions", partner, body).await;
    assert_eq!(made.status, 201, "{}", made.body);
    made.body
}

fn refused(answer: &Answer, status: u16, words: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert!(answer.body["message"].as_str().unwrap().contains(words), "{}", answer.body);
}

#[tokio::test]
async fn a_session_by_mail_has_exactly_the_contracts_keys() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let made = asked(&house, &partner, by_mail(&customer.id)).await;
    assert_keys(&made, CREATED);
    assert_eq!((&made["status"], &made["widget_url"]), (&json!("email_sent"), &Value::Null));
    assert_eq!(made["customer_email"], "canary.person@shop.example");
    assert_eq!(made["email_dispatched_to"], "c***@shop.example");
    let id = made["session_id"].as_str().unwrap();
    let read = house.get(&format!("/partner/kyc-sessions/{id}"), &partner).await;
    assert_keys(&read.body, SESSION);
    assert_eq!((&read.body["id"], &read.body["metadata"]), (&made["session_id"], &json!({"order": 7})));
    assert_eq!(read.body["reminder_schedule"], json!([{"trigger": "days_before_expiry", "value": 1}]));
    assert_eq!(read.body["verified_data"], Value::Null);
    let list = house.get("/partner/kyc-sessions?status=email_sent&size=5", &partner).await.body;
    assert_keys(&list, "sessions total page size");
    assert_eq!(
        (&list["total"], &list["size"], &list["sessions"][0]["id"]),
        (&json!(1), &json!(5), &made["session_id"])
    );
    let none = house.get("/partner/kyc-sessions?status=opened", &partner).await.body;
    assert_eq!(none["total"], 0);
}

#[tokio::test]
async fn a_session_by_redirect_hands_its_link_out_and_replaces_the_one_before() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let first = asked(&house, &partner, by_mail(&customer.id)).await;
    let made = asked(&house, &partner, by_redirect(&customer.id)).await;
    assert_keys(&made, CREATED);
    assert_eq!((&made["customer_email"], &made["email_dispatched_to"]), (&Value::Null, &Value::Null));
    let url = made["widget_url"].as_str().unwrap();
    let token = url.strip_prefix("http://api.example/verify?token=kst_").unwrap();
    assert_eq!((made["status"].as_str(), token.len()), (Some("link_ready"), 64));
    let path = format!("/partner/kyc-sessions/{}", first["session_id"].as_str().unwrap());
    assert_eq!(house.get(&path, &partner).await.body["status"], "revoked");
    let again = house.ask("POST", &format!("{path}/resend"), &partner, json!({})).await;
    refused(&again, 409, "Cannot resend: session is 'revoked'");
    let mine = format!("/partner/kyc-sessions/{}", made["session_id"].as_str().unwrap());
    refused(&house.ask("POST", &format!("{mine}/resend"), &partner, json!({})).await, 400, "no e-mail");
    let gone = house.ask("DELETE", &mine, &partner, json!({"reason": "changed our mind"})).await;
    assert_eq!((gone.status, &gone.body["message"]), (200, &json!("Session revoked")));
    assert_keys(&gone.body, "message session_id");
    let twice = house.ask("DELETE", &mine, &partner, Value::Null).await;
    refused(&twice, 409, "Session is already in terminal status: 'revoked'");
    assert_eq!(twice.body["error"], "HTTPError");
}

#[tokio::test]
async fn a_letter_may_be_asked_for_again_after_thirty_minutes_from_creation() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let made = asked(&house, &partner, by_mail(&customer.id)).await;
    let path = format!("/partner/kyc-sessions/{}/resend", made["session_id"].as_str().unwrap());
    let early = house.ask("POST", &path, &partner, json!({})).await;
    refused(&early, 429, "Email was sent recently. Please wait ");
    assert_eq!((&early.body["error"], &early.body["status_code"]), (&json!("HTTPError"), &json!(429)));
    let seconds: u32 = early.headers["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1790..=1800).contains(&seconds), "{seconds}");
    assert!(
        early.body["message"]
            .as_str()
            .unwrap()
            .contains(&format!("wait {seconds} seconds before resending."))
    );
}

#[tokio::test]
async fn what_is_wrong_is_named_and_changes_nothing() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let id = customer.id.as_str();
    for (field, body) in [
        ("account_auth_id", json!({})),
        ("flow_type", json!({"account_auth_id": id, "flow_type": "sms"})),
        ("customer_email", json!({"account_auth_id": id})),
        ("customer_email", json!({"account_auth_id": id, "customer_email": "nobody"})),
        ("redirect_url", json!({"account_auth_id": id, "flow_type": "redirect"})),
        (
            "redirect_url",
            json!({"account_auth_id": id, "flow_type": "redirect", "redirect_url": "javascript:alert(1)"}),
        ),
        (
            "webhook_url",
            json!({"account_auth_id": id, "customer_email": "a@b.example", "webhook_url": "ftp://x/"}),
        ),
        (
            "expires_in_days",
            json!({"account_auth_id": id, "customer_email": "a@b.example", "expires_in_days": 91}),
        ),
        (
            "reminder_schedule",
            json!({"account_auth_id": id, "customer_email": "a@b.example", "reminder_schedule": [{"trigger": "daily"}]}),
        ),
        ("metadata", json!({"account_auth_id": id, "customer_email": "a@b.example", "metadata": []})),
        (
            "metadata",
            json!({"account_auth_id": id, "customer_email": "a@b.example", "metadata": {"n": "9999 4105 7058"}}),
        ),
        (
            "metadata",
            json!({"account_auth_id": id, "customer_email": "a@b.example", "metadata": {"n": "x".repeat(5000)}}),
        ),
    ] {
        let answer = house.ask("POST", "/partner/kyc-sessions", &partner, body).await;
        assert_eq!(answer.status, 422, "{field}: {}", answer.body);
        assert!(answer.body["details"][field].is_string(), "{field}: {}", answer.body);
    }
    let list = house.get("/partner/kyc-sessions", &partner).await.body;
    assert_eq!(list["total"], 0);
}

#[tokio::test]
async fn without_a_mail_server_the_mail_flow_is_refused_by_the_keys_name() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let answer = house.ask("POST", "/partner/kyc-sessions", &partner, by_mail(&customer.id)).await;
    refused(&answer, 501, "mail.smtp_url");
    asked(&house, &partner, by_redirect(&customer.id)).await;
}

#[tokio::test]
async fn fifty_twins_make_one_session_and_get_one_answer() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let body = by_redirect(&customer.id);
    let answers =
        join_all((0..50).map(|_| house.ask_keyed("once", "/partner/kyc-sessions", &partner, body.clone())))
            .await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    assert_eq!(house.get("/partner/kyc-sessions", &partner).await.body["total"], 1);
    let other = house.ask_keyed("once", "/partner/kyc-sessions", &partner, by_mail(&customer.id)).await;
    assert_eq!(other.status, 422, "another body under the same key");
}

#[tokio::test]
async fn nobody_reaches_a_session_of_somebody_else() {
    let house = with_mail().await;
    let (owner, other) = (house.partner("p@acme.example").await, house.partner("q@other.example").await);
    let customer = house.customer(&owner, "a@shop.example", 0).await;
    let made = asked(&house, &owner, by_mail(&customer.id)).await;
    let path = format!("/partner/kyc-sessions/{}", made["session_id"].as_str().unwrap());
    assert!(
        house.get(&path, &owner).await.body.to_string().contains("canary.person"),
        "the owner sees it first"
    );
    let attempts = [
        ("GET", path.clone(), Value::Null),
        ("DELETE", path.clone(), Value::Null),
        ("POST", format!("{path}/resend"), json!({})),
        ("POST", "/partner/kyc-sessions".to_owned(), by_mail(&customer.id)),
        ("DELETE", format!("/partner/accounts/{}/kyc-data", customer.id), Value::Null),
        ("GET", format!("/partner/kyc-sessions?account_auth_id={}", customer.id), Value::Null),
        ("GET", "/partner/kyc-sessions".to_owned(), Value::Null),
    ];
    for (method, path, body) in attempts {
        let answer = house.ask(method, &path, &other, body.clone()).await;
        let list =
            path.starts_with("/partner/kyc-sessions") && !path.contains("kyc-sessions/") && method == "GET";
        assert_eq!(answer.status, if list { 200 } else { 404 }, "{method} {path}: {}", answer.body);
        assert!(!answer.body.to_string().contains("canary"), "{method} {path}: {}", answer.body);
        let wrong = Login { id: customer.id.clone(), token: customer.token.clone() };
        let answer = house.ask(method, &path, &wrong, body).await;
        assert_eq!(answer.status, 403, "a customer is no partner: {method} {path}");
    }
    assert_eq!(house.get(&path, &owner).await.body["status"], "email_sent", "nothing changed");
}

/// A sub-account, as whoever builds sub-accounts will make it.
async fn sub_account(house: &House, parent: &Login, id: &'static str, profile: &'static str) {
    house.run_sql(&format!(
        "insert into account (auth_id, numeric_id, api_id, kind, parent_id, name, country, currency, profile, created_at, updated_at)
         values ('{id}', {}, '{id}', 'sub', '{}', '{id}', 'IN', 'INR', '{profile}', 0, 0)",
        id.bytes().map(i64::from).sum::<i64>(),
        parent.id
    ))
    .await;
}

const CUSTOMER_USE: &str = r#"{"kyc_mode":"customer_use","business_type":"private_limited"}"#;

#[tokio::test]
async fn a_sub_accounts_documents_are_verified_in_test_mode_by_the_magic_inputs() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let parent = house.customer(&partner, "a@shop.example", 0).await;
    sub_account(&house, &parent, "SA_TEST1", CUSTOMER_USE).await;
    let status = async || house.get("/sub-accounts/SA_TEST1/kyc/status", &parent).await.body;
    let fresh = status().await;
    assert_keys(
        &fresh,
        "sub_account_id kyc_mode business_type overall_status kyc_calls_blocked verifications",
    );
    assert_eq!(
        (&fresh["overall_status"], &fresh["kyc_calls_blocked"]),
        (&json!("not_started"), &json!(true))
    );
    assert_keys(&fresh["verifications"], "pan gst cin aadhaar");
    let show = async |path: &str, body: Value| {
        house.ask("POST", &format!("/sub-accounts/test/SA_TEST1/kyc/{path}"), &parent, body).await
    };
    let verified = show("verify-pan", json!({"pan": "TESTSUCCESS0001"})).await;
    assert_eq!(
        verified.body,
        json!({"verification_type": "pan", "status": "verified", "kyc_calls_blocked": true, "mock": true})
    );
    assert_eq!(show("verify-pan", json!({"pan": "TESTFAIL0001"})).await.body["status"], "failed");
    assert_eq!(status().await["overall_status"], "failed");
    assert_eq!(show("verify-pan", json!({"pan": "TESTERROR0001"})).await.status, 500);
    assert_eq!(show("verify-pan", json!({"pan": "TESTPENDING001"})).await.body["status"], "pending");
    let finalize = async |document: &str, outcome: &str| {
        show("finalize-pending", json!({"verification_type": document, "outcome": outcome})).await
    };
    assert_eq!(finalize("pan", "verified").await.body["status"], "verified");
    assert_eq!(finalize("pan", "verified").await.status, 409, "nothing is pending any more");
    assert_eq!(finalize("passport", "verified").await.status, 400);
    assert_eq!(
        show("verify-gst", json!({"gstin": "TESTFAIL0001"})).await.status,
        400,
        "15 characters in test mode too"
    );
    assert_eq!(show("verify-gst", json!({"gstin": "TESTFAIL0001000"})).await.body["status"], "failed");
    assert_eq!(
        show("verify-gst", json!({"gstin": "TESTSUCCESS0001"})).await.body["kyc_calls_blocked"],
        false
    );
    let done = status().await;
    assert_eq!((&done["overall_status"], &done["kyc_calls_blocked"]), (&json!("verified"), &json!(false)));
    let visit =
        show("digilocker/initiate", json!({"redirect_url": "https://acme.example/back", "oauth_state": "s"}))
            .await;
    assert_keys(&visit.body, "auth_url access_request_id");
    assert_eq!(
        show("digilocker/verify", json!({"access_request_id": "MOCK_AR_FAIL"})).await.body["status"],
        "failed"
    );
    assert_eq!(status().await["kyc_calls_blocked"], true, "one failed document holds everything up");
    assert_eq!(
        show("digilocker/verify", json!({"access_request_id": "MOCK_AR_SUCCESS"})).await.body["status"],
        "verified"
    );
    let found = show("cin/search", json!({"company_name": "Acme"})).await.body;
    let cin = found["matches"][0]["cin"].clone();
    let confirmed = show("cin/confirm", json!({"company_name": "Acme", "selected_cin": cin})).await;
    assert_eq!(confirmed.body["status"], "verified");
    let full = show(
        "digilocker/verify",
        json!({"access_request_id": "MOCK_AR_SUCCESS", "linked_number": "999941057058"}),
    )
    .await;
    assert_eq!(full.status, 400, "twelve digits are no mobile number");
}

#[tokio::test]
async fn real_documents_are_checked_for_their_form_and_verified_by_the_configured_verifier() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let parent = house.customer(&partner, "a@shop.example", 0).await;
    sub_account(&house, &parent, "SA_REAL1", "{}").await;
    let show = async |path: &str, body: Value| {
        house.ask("POST", &format!("/sub-accounts/SA_REAL1/kyc/{path}"), &parent, body).await
    };
    assert_eq!(show("verify-pan", json!({"pan": "TESTSUCCESS0001"})).await.status, 400);
    assert_eq!(show("verify-pan", json!({})).await.status, 400);
    let result = show("verify-pan", json!({"pan": "ABCPE1234F"})).await;
    assert_keys(&result.body, "verification_type status kyc_calls_blocked");
    assert_eq!(
        (&result.body["status"], &result.body["kyc_calls_blocked"]),
        (&json!("verified"), &json!(false))
    );
    let keyed = [
        house
            .ask_keyed("v", "/sub-accounts/SA_REAL1/kyc/verify-pan", &parent, json!({"pan": "ABCPE0001F"}))
            .await,
        house
            .ask_keyed("v", "/sub-accounts/SA_REAL1/kyc/verify-pan", &parent, json!({"pan": "ABCPE0001F"}))
            .await,
    ];
    assert_eq!((&keyed[0].body["status"], &keyed[0].body), (&json!("failed"), &keyed[1].body));
    assert_eq!(keyed[1].headers["idempotent-replayed"], "true");
    assert_eq!(show("verify-pan", json!({"pan": "ABCPE0004F"})).await.status, 503);
}

#[tokio::test]
async fn only_its_parent_reaches_a_sub_accounts_kyc() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let parent = house.customer(&partner, "a@shop.example", 0).await;
    let other = house.customer(&partner, "b@shop.example", 0).await;
    sub_account(&house, &parent, "SA_WALL1", CUSTOMER_USE).await;
    let made = house.ask("POST", "/sub-accounts/SA_WALL1/kyc-sessions", &parent,
        json!({"flow_type": "email", "customer_email": "canary@person.example", "account_auth_id": "ignored"})).await;
    assert_eq!(made.status, 201, "{}", made.body);
    assert_keys(&made.body, "session_id account_auth_id customer_email status expires_at widget_url message");
    assert_eq!(made.body["account_auth_id"], "SA_WALL1");
    let id = made.body["session_id"].as_str().unwrap();
    let operations = [
        ("GET", "/sub-accounts/SA_WALL1/kyc/status".to_owned(), Value::Null),
        ("POST", "/sub-accounts/SA_WALL1/kyc/verify-pan".to_owned(), json!({"pan": "ABCPE1234F"})),
        ("POST", "/sub-accounts/test/SA_WALL1/kyc/verify-pan".to_owned(), json!({"pan": "TESTFAIL0001"})),
        (
            "POST",
            "/sub-accounts/SA_WALL1/kyc-sessions".to_owned(),
            json!({"flow_type": "redirect", "redirect_url": "https://x.example/"}),
        ),
        ("GET", format!("/sub-accounts/SA_WALL1/kyc-sessions/{id}"), Value::Null),
        ("DELETE", format!("/sub-accounts/SA_WALL1/kyc-sessions/{id}"), Value::Null),
        ("DELETE", "/sub-accounts/SA_WALL1/kyc-data".to_owned(), Value::Null),
    ];
    for (method, path, body) in operations {
        for (who, status) in [(&other, 404), (&partner, 403)] {
            let answer = house.ask(method, &path, who, body.clone()).await;
            assert_eq!(answer.status, status, "{method} {path}: {}", answer.body);
            assert!(!answer.body.to_string().contains("canary"));
        }
    }
    let read = house.get(&format!("/sub-accounts/SA_WALL1/kyc-sessions/{id}"), &parent).await;
    assert_keys(&read.body, SESSION);
    assert_eq!(
        (&read.body["status"], &read.body["customer_email"]),
        (&json!("email_sent"), &json!("canary@person.example"))
    );
    let list = house.get("/sub-accounts/SA_WALL1/kyc-sessions", &parent).await.body;
    assert_eq!(list["total"], 1);
    assert_eq!(house.get("/sub-accounts/SA_NONE/kyc/status", &parent).await.status, 404);
}

#[tokio::test]
async fn the_operator_decides_on_what_waits_for_him() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let parent = house.customer(&partner, "a@shop.example", 0).await;
    sub_account(&house, &parent, "SA_HAND1", CUSTOMER_USE).await;
    let shown = house
        .ask("POST", "/sub-accounts/SA_HAND1/kyc/verify-pan", &parent, json!({"pan": "AAACT2727Q"}))
        .await;
    assert_eq!(shown.body["status"], "pending");
    let search = house
        .ask("POST", "/sub-accounts/SA_HAND1/kyc/cin/search", &parent, json!({"company_name": "x"}))
        .await;
    assert_eq!(search.status, 501, "there is no register to search by hand");
    let list = house.admin("GET", "/admin/kyc", Value::Null).await.body;
    let check = list["checks"][0]["check_id"].as_str().unwrap().to_owned();
    assert!(!list.to_string().contains("AAACT2727Q"), "a list shows no numbers");
    let seen = house.admin("GET", &format!("/admin/kyc/{check}"), Value::Null).await.body;
    assert_eq!(seen["fields"]["pan"], "AAACT2727Q", "who decides must see it");
    assert_eq!(house.admin("POST", &format!("/admin/kyc/{check}/reject"), json!({})).await.status, 400);
    let no =
        house.admin("POST", &format!("/admin/kyc/{check}/reject"), json!({"reason": "unreadable"})).await;
    assert_eq!((no.status, &no.body["state"]), (200, &json!("failed")));
    assert_eq!(house.admin("POST", &format!("/admin/kyc/{check}/approve"), json!({})).await.status, 409);
    let status = house.get("/sub-accounts/SA_HAND1/kyc/status", &parent).await.body;
    assert_eq!(
        (&status["verifications"]["pan"], &status["kyc_calls_blocked"]),
        (&json!("failed"), &json!(true))
    );
    assert!(
        house.admin("GET", "/admin/kyc", Value::Null).await.body["checks"].as_array().unwrap().is_empty()
    );
}

#[tokio::test]
async fn erasure_takes_the_data_and_leaves_the_decision() {
    let house = with_mail().await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 0).await;
    let made = house.ask_keyed("e", "/partner/kyc-sessions", &partner, by_mail(&customer.id)).await.body;
    let path = format!("/partner/kyc-sessions/{}", made["session_id"].as_str().unwrap());
    let erased = house
        .ask("DELETE", &format!("/partner/accounts/{}/kyc-data", customer.id), &partner, Value::Null)
        .await;
    assert_eq!((erased.status, &erased.body["sessions"]), (200, &json!(1)));
    assert_eq!(erased.body["events"], 1, "the event that told of it");
    let read = house.get(&path, &partner).await.body;
    assert_keys(&read, SESSION);
    assert_eq!((&read["status"], &read["customer_email"]), (&json!("revoked"), &Value::Null));
    let again = house.ask_keyed("e", "/partner/kyc-sessions", &partner, by_mail(&customer.id)).await;
    assert_eq!(again.status, 201);
    assert_ne!(again.body["session_id"], made["session_id"], "the kept answer went too");
    let admin =
        house.admin("POST", &format!("/admin/accounts/{}/kyc-data/erase", customer.id), json!({})).await;
    assert_eq!((admin.status, &admin.body["sessions"]), (200, &json!(1)));
}
