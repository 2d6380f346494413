//! Trunks, what hangs on them, their secrets.

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};
use tandem_model::TrunkId;

use super::{House, keys, sorted, text};
use crate::config::Overrides;

const TRUNK_KEYS: [&str; 18] = [
    "trunk_id",
    "account_id",
    "name",
    "trunk_domain",
    "trunk_status",
    "secure",
    "trunk_direction",
    "concurrent_calls_limit",
    "cps_limit",
    "description",
    "transport",
    "recording",
    "enable_transcription",
    "pii_redaction",
    "webhook_method",
    "recording_webhook_enabled",
    "created_at",
    "updated_at",
];

#[tokio::test]
async fn a_trunk_has_exactly_the_keys_the_typed_clients_know() {
    let house = House::open().await;
    let made = house
        .post("trunks", json!({"name": "pbx", "trunk_direction": "OUTBOUND", "webhook_url": null}))
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    assert_eq!(keys(&made.body), sorted(TRUNK_KEYS.to_vec()));
    let id = text(&made.body["trunk_id"]);
    assert_eq!(made.body["trunk_domain"], format!("{}.sip.tandem.localhost", &id[..8]));
    assert_eq!(
        (&made.body["trunk_status"], &made.body["trunk_direction"]),
        (&json!("active"), &json!("outbound"))
    );
    assert_eq!(house.get(&format!("trunks/{id}/")).await.body, made.body);

    let list = house.get("Trunks/").await.body;
    assert_eq!(list["meta"], json!({"limit": 20, "offset": 0, "total": 1, "total_count": 1}));
    let python =
        house.ask_as("MA_A", "Python", Method::GET, "/api/v1/Account/MA_A/trunks", Value::Null).await;
    assert_eq!(python.body["meta"], json!({"limit": 20, "offset": 0, "total": 1}));
    assert_eq!(list["objects"][0]["webhook_url"], Value::Null);
    assert_eq!(keys(&list["objects"][0]).len(), 23);
}

#[tokio::test]
async fn a_trunk_takes_every_name_its_fields_go_by() {
    let house = House::open().await;
    let made = house
        .post(
            "trunks",
            json!({
                "name": "pbx", "trunk_type": "INBOUND", "max_concurrent_calls": "12", "enabled": false,
                "username": "asha", "password": "12345678", "ipWhitelist": ["8.8.8.8", "9.9.9.0/24"],
                "status_callback": "https://8.8.8.8/hook", "status_callback_method": "get"
            }),
        )
        .await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let body = &made.body;
    assert_eq!((&body["trunk_direction"], &body["trunk_status"]), (&json!("inbound"), &json!("disabled")));
    assert_eq!((&body["concurrent_calls_limit"], &body["webhook_method"]), (&json!(12), &json!("GET")));
    let id = text(&body["trunk_id"]);
    let credentials = house.get(&format!("trunks/credentials?trunk_id={id}")).await.body;
    assert_eq!(credentials["objects"][0]["username"], "asha");
    assert_eq!(credentials["objects"][0]["realm"], body["trunk_domain"]);
    assert_eq!(house.get(&format!("ip-acl?trunk_id={id}")).await.body["meta"]["total"], 2);

    let changed =
        house.put(&format!("trunks/{id}"), json!({"trunk_status": "enabled", "cps_limit": 100})).await;
    assert_eq!((&changed.body["trunk_status"], &changed.body["cps_limit"]), (&json!("active"), &json!(100)));
    assert_eq!(changed.body["concurrent_calls_limit"], 12, "what is not sent stays");
    assert_eq!(
        house.put(&format!("trunks/{id}"), json!({"cps_limit": 101})).await.status,
        StatusCode::BAD_REQUEST
    );
    assert_eq!(house.delete(&format!("trunks/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.get(&format!("trunks/{id}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(house.get("credentials").await.body["meta"]["total"], 0, "what hangs on it goes with it");
}

#[tokio::test]
async fn a_webhook_url_to_a_private_address_is_refused_unless_allowed() {
    let house = House::open().await;
    for url in [
        "http://127.0.0.1:9/",
        "http://10.0.0.1/",
        "http://localhost/x",
        "http://0x7f.1/",
        "http://[::1]/",
        "ftp://8.8.8.8/",
        "x",
    ] {
        let answer = house.post("trunks", json!({"name": "pbx", "webhook_url": url})).await;
        assert_eq!(
            (answer.status, &answer.body["error"]),
            (StatusCode::BAD_REQUEST, &json!("invalid webhook_url")),
            "{url}"
        );
    }
    let long = format!("https://8.8.8.8/{}", "a".repeat(500 - "https://8.8.8.8/".len()));
    assert_eq!(
        house.post("trunks", json!({"name": "pbx", "webhook_url": long})).await.status,
        StatusCode::CREATED
    );
    let past = house.post("trunks", json!({"name": "pbx", "webhook_url": format!("{long}a")})).await;
    assert_eq!(past.status, StatusCode::BAD_REQUEST);
    let dev = House::open_with(Overrides::default().set("webhooks.allow_private", vec!["127.0.0.0/8"])).await;
    let answer = dev.post("trunks", json!({"name": "pbx", "webhook_url": "http://127.0.0.1:9/"})).await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.text);
    let acl = dev.post("ip-acl", json!({"name": "me", "ip_address": "127.0.0.1"})).await;
    assert_eq!(acl.status, StatusCode::CREATED);
}

#[tokio::test]
async fn a_signing_secret_is_shown_once_and_again_only_after_rotation() {
    let house = House::open().await;
    let id = text(&house.post("trunks", json!({"name": "pbx"})).await.body["trunk_id"]).to_owned();
    let path = format!("trunks/{id}/signing-secret");
    let first = house.get(&path).await;
    assert!(text(&first.body["signing_secret"]).starts_with("whsec_"));
    let spent = house.get(&path).await;
    assert_eq!((spent.status, &spent.body["error"]), (StatusCode::GONE, &json!("SECRET_ALREADY_SHOWN")));
    assert!(text(&spent.body["message"]).contains("rotate"));
    let rotated = house.post(&format!("{path}/rotate"), Value::Null).await;
    assert!(text(&rotated.body["signing_secret"]).starts_with("whsec_"));
    assert_ne!(rotated.body["signing_secret"], first.body["signing_secret"]);
    assert_eq!(house.get(&path).await.status, StatusCode::GONE);
    let other =
        house.ask_as("MA_B", "", Method::GET, &format!("/api/v1/Account/MA_B/{path}"), Value::Null).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn what_hangs_on_trunks_answers_in_its_familys_words() {
    let house = House::open().await;
    let made = house.post("credentials", json!({"username": "asha", "password": "s3cret-pass"})).await;
    assert_eq!(made.status, StatusCode::CREATED, "{}", made.text);
    let credential_keys =
        ["id", "account_id", "username", "password", "realm", "enabled", "created_at", "updated_at"];
    assert_eq!(keys(&made.body), sorted(credential_keys.to_vec()));
    assert_eq!(made.body["password"], "<redacted>");
    assert!(!made.text.contains("s3cret-pass"));
    let twin = house.post("credentials", json!({"username": "asha", "password": "12345678"})).await;
    assert_eq!(twin.status, StatusCode::CONFLICT);
    assert_eq!(
        (&twin.body["error"], &twin.body["code"]),
        (&json!("Username already exists for this trunk"), &json!(409))
    );
    assert_eq!(
        house.post("credentials", json!({"username": "b", "password": "1234567"})).await.status,
        StatusCode::BAD_REQUEST
    );
    let id = text(&made.body["id"]);
    let changed = house.put(&format!("credentials/{id}"), json!({"enabled": false})).await;
    assert_eq!(changed.body["enabled"], false);
    assert_eq!(
        house.put(&format!("credentials/{id}"), json!({"username": "x"})).await.status,
        StatusCode::BAD_REQUEST
    );

    let trunk = house.post("trunks", json!({"name": "pbx", "credential_uuid": id})).await;
    assert_eq!(trunk.status, StatusCode::CREATED);
    assert_eq!(house.get(&format!("credentials/{id}")).await.body["realm"], trunk.body["trunk_domain"]);
    let strange = house.post("trunks", json!({"name": "pbx", "ipacl_uuid": TrunkId::random()})).await;
    assert_eq!(strange.status, StatusCode::BAD_REQUEST);
    assert_eq!(house.delete(&format!("credentials/{id}")).await.status, StatusCode::NO_CONTENT);
    assert_eq!(house.delete(&format!("credentials/{id}")).await.status, StatusCode::NOT_FOUND);

    let acl = house.post("ip-acl", json!({"name": "office", "ip_address": "8.8.4.0/24"})).await;
    let acl_keys = ["id", "account_id", "ip_address", "description", "enabled", "created_at", "updated_at"];
    assert_eq!(keys(&acl.body), sorted(acl_keys.to_vec()), "{}", acl.text);
    assert_eq!((&acl.body["description"], &acl.body["ip_address"]), (&json!("office"), &json!("8.8.4.0/24")));
    for bad in ["203.0.113.7", "127.0.0.1", "::1", "x"] {
        let answer = house.post("ip-acl", json!({"name": "x", "ip_address": bad})).await;
        assert_eq!(
            (&answer.body["error"], &answer.body["code"]),
            (&json!("Invalid IP address format"), &json!(400)),
            "{bad}"
        );
    }
    let wide = house.post("ip-acl", json!({"name": "x", "ip_address": "8.8.0.0/23"})).await;
    assert_eq!(wide.status, StatusCode::BAD_REQUEST);
    let acl_path = format!("ip-acl/{}", text(&acl.body["id"]));
    assert_eq!(house.put(&acl_path, json!({"name": "home"})).await.body["description"], "home");
    assert_eq!(house.delete(&acl_path).await.status, StatusCode::NO_CONTENT);

    let uri = house
        .post(
            "origination-uris",
            json!({"name": "first", "sip_uri": "sip:a@pbx.example:5080;transport=tcp", "priority": 1}),
        )
        .await;
    let uri_keys = [
        "id",
        "account_id",
        "uri",
        "priority",
        "weight",
        "enabled",
        "transport",
        "description",
        "created_at",
        "updated_at",
    ];
    assert_eq!(keys(&uri.body), sorted(uri_keys.to_vec()), "{}", uri.text);
    assert_eq!((&uri.body["weight"], &uri.body["transport"]), (&json!(10), &json!("tcp")));
    let bad =
        house.post("origination-uris", json!({"name": "x", "sip_uri": "pbx.example", "priority": 1})).await;
    assert_eq!(bad.body["error"], "Invalid SIP URI format. Expected: sip:user@host:port");
    let list = house.get("trunks/origination-uris").await.body;
    assert_eq!((&list["meta"]["total"], &list["objects"][0]), (&json!(1), &uri.body));
}

#[tokio::test]
async fn one_idempotency_key_makes_one_trunk() {
    let house = House::open().await;
    let create = |name: &'static str| {
        let headers = &[("idempotency-key", "k1")];
        house.ask_with("MA_A", headers, Method::POST, "/api/v1/Account/MA_A/trunks", json!({"name": name}))
    };
    let first = create("pbx").await;
    let again = create("pbx").await;
    assert_eq!((again.status, &again.body), (StatusCode::CREATED, &first.body));
    assert_eq!(create("other").await.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(house.get("trunks").await.body["meta"]["total"], 1);
}
