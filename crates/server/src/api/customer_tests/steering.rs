//! Applications and endpoints.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{House, keys, sorted, text};

#[tokio::test]
async fn an_application_lives_as_the_contract_says() {
    let house = House::open().await;
    let made = house
        .post("Application/", json!({"app_name": "front desk", "answer_url": "https://ivr.example/a"}))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(keys(&made.body), ["api_id", "app_id", "message"]);
    let id = text(&made.body["app_id"]).to_owned();
    let path = format!("Application/{id}/");
    let read = house.get(&path).await.body;
    let application_keys = [
        "answer_method",
        "answer_url",
        "app_id",
        "app_name",
        "application_type",
        "created_at",
        "default_app",
        "default_endpoint_app",
        "enabled",
        "fallback_answer_url",
        "fallback_method",
        "hangup_method",
        "hangup_url",
        "log_incoming_message",
        "message_method",
        "message_url",
        "public_uri",
        "resource_uri",
        "sip_transfer_method",
        "sip_transfer_url",
        "sip_uri",
        "sub_account",
        "updated_at",
    ];
    assert_eq!(keys(&read), sorted([&application_keys[..], &["api_id"]].concat()));
    assert_eq!(read["hangup_url"], "https://ivr.example/a", "the answer URL is told");
    assert_eq!(read["sip_uri"], format!("sip:{id}@app.tandem.localhost"));
    let list = house.get("application?limit=1").await.body;
    assert_eq!(keys(&list["objects"][0]), sorted(application_keys.to_vec()));
    assert_eq!((&list["meta"]["next"], &list["meta"]["previous"]), (&json!(""), &Value::Null));

    let changed =
        house.post(&path, json!({"hangup_url": "https://ivr.example/h", "hangup_method": "get"})).await;
    assert_eq!((changed.status, &changed.body["message"]), (StatusCode::OK, &json!("changed")));
    let read = house.get(&path).await.body;
    assert_eq!(
        (&read["hangup_url"], &read["hangup_method"]),
        (&json!("https://ivr.example/h"), &json!("GET"))
    );

    let bad = house.post("Application", json!({"app_name": "x", "answer_url": "ftp://x/"})).await;
    assert_eq!(
        (bad.status, &bad.body["error"]),
        (StatusCode::BAD_REQUEST, &json!("invalid request parameters"))
    );
    assert_eq!(bad.body["details"]["answer_url"], "Enter a valid URL");
    let phone = json!({"username": "asha", "password": "12345678", "alias": "a", "application": id.parse::<u64>().unwrap()});
    assert_eq!(house.post("Endpoint/", phone).await.status, StatusCode::CREATED);
    let used = house.delete(&path).await;
    assert_eq!(
        (used.status, &used.body["error"]),
        (StatusCode::CONFLICT, &json!("Cannot delete application"))
    );
    assert_eq!(used.body["message"], "Application is currently in use by 1 endpoints");
    let endpoint = house.get("Endpoint").await.body["objects"][0]["endpoint_id"].clone();
    house.delete(&format!("Endpoint/{}", text(&endpoint))).await;
    let gone = house.delete(&path).await;
    assert_eq!((gone.status, gone.text.as_str()), (StatusCode::NO_CONTENT, ""));
    let missing = house.get(&path).await;
    assert_eq!(
        (&missing.body["error"], &missing.body["app_id"]),
        (&json!("Application not found"), &json!(id))
    );
}

#[tokio::test]
async fn a_url_that_leads_inside_is_refused_when_it_is_given() {
    let house = House::open().await;
    for (field, url) in [
        ("answer_url", "http://10.1.2.3/answer"),
        ("hangup_url", "http://169.254.169.254/latest"),
        ("fallback_answer_url", "https://[fd00::1]/f"),
    ] {
        let mut body = json!({"app_name": "front desk", "answer_url": "https://ivr.example/a"});
        body[field] = json!(url);
        let refused = house.post("Application/", body).await;
        assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
        assert!(refused.text.contains(field) && refused.text.contains("allow_private"), "{}", refused.text);
    }
    assert_eq!(house.get("Application/").await.body["meta"]["total_count"], 0);
}

#[tokio::test]
async fn an_account_id_that_is_missing_from_a_path_is_named() {
    let house = House::open().await;
    let refused = house.ask_as("MA_A", "", Method::GET, "/api/v1/Account//cdr", Value::Null).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST, "{}", refused.text);
    assert!(refused.text.contains("auth_id"), "{}", refused.text);
}

#[tokio::test]
async fn an_endpoint_answers_each_client_in_its_dialect() {
    let house = House::open().await;
    let body = |name: &str| json!({"username": name, "password": "12345678", "alias": "desk"});
    let path = "/api/v1/Account/MA_A/Endpoint/";
    let python = house.ask_as("MA_A", "Python", Method::POST, path, body("asha")).await;
    assert_eq!(python.status, StatusCode::CREATED, "{}", python.text);
    assert_eq!(keys(&python.body), ["alias", "endpoint_id", "username"]);
    let plain = house.post("Endpoint/", body("ravi")).await;
    assert_eq!(plain.body["sip_uri"], "sip:ravi@registrar.tandem.localhost");
    let other = house.ask_as("MA_B", "", Method::POST, "/api/v1/Account/MA_B/Endpoint", body("asha")).await;
    assert_eq!(
        (other.status, &other.body["error"]),
        (StatusCode::CONFLICT, &json!("username already exists"))
    );

    let one = format!("{path}{}", text(&python.body["endpoint_id"]));
    let read = house.ask_as("MA_A", "Python", Method::GET, &one, Value::Null).await.body;
    let endpoint_keys = [
        "alias",
        "application",
        "endpoint_id",
        "resource_uri",
        "sip_registered",
        "sip_uri",
        "sub_account",
        "username",
    ];
    assert_eq!(keys(&read), sorted(endpoint_keys.to_vec()));
    assert_eq!((&read["sip_registered"], &read["application"]), (&json!("false"), &json!("")));
    let changed = house.ask_as("MA_A", "Python", Method::POST, &one, json!({"alias": "hall"})).await;
    assert_eq!((changed.status, changed.text.as_str()), (StatusCode::ACCEPTED, "\"\""));
    let changed = house.ask_as("MA_A", "", Method::POST, &one, json!({"alias": "hall 2"})).await;
    assert_eq!(changed.body["message"], "changed");
    let list = house.get("Endpoint?username__startswith=as").await.body;
    assert_eq!((&list["meta"]["total_count"], &list["meta"]["next"]), (&json!(1), &Value::Null));
    assert_eq!(list["objects"][0]["alias"], "hall 2");
    assert_eq!(
        house.post("Endpoint", json!({"username": "x", "password": "1234567"})).await.status,
        StatusCode::BAD_REQUEST
    );
}
