//! The operator's requests, on the socket's routes and on the files.

use serde_json::{Value, json};
use tandem_store::StoreError;

use super::House;
use crate::config::{Overrides, load};
use crate::node::StartError;

#[tokio::test]
async fn a_reference_books_money_once_and_never_with_another_amount() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let book = async |kind: &str, amount: &str, reference: &str| {
        let body = json!({"amount": amount, "reference": reference});
        house.admin("POST", &format!("/admin/accounts/{}/{kind}", partner.id), body).await
    };
    let first = book("credit", "500.00", "r1").await;
    assert_eq!((&first.body["balance"], &first.body["repeated"]), (&json!("1500.00"), &json!(false)));
    let again = book("credit", "500", "r1").await;
    assert_eq!((&again.body["balance"], &again.body["repeated"]), (&json!("1500.00"), &json!(true)));
    assert_eq!(book("credit", "501", "r1").await.status, 409);
    assert_eq!(book("adjust", "-1500", "r1").await.body["balance"], "0.00", "another kind of movement");
    assert_eq!(book("adjust", "-0.01", "r2").await.status, 402);
    assert_eq!(book("refund", "2", "r3").await.body["balance"], "2.00");
    for (kind, amount) in [("credit", "-1"), ("refund", "0"), ("adjust", "0"), ("adjust", "x")] {
        assert_eq!(book(kind, amount, "r4").await.status, 400, "{kind} {amount}");
    }
    assert_eq!(book("steal", "1", "r5").await.status, 404);
    let nobody =
        house.admin("POST", "/admin/accounts/MA_X/credit", json!({"amount": "1", "reference": "r"})).await;
    assert_eq!(nobody.status, 404);
    house.assert_clean().await;
}

#[tokio::test]
async fn carriers_are_made_changed_in_part_listed_and_removed() {
    let house = House::open().await;
    let new = json!({"name": "acme", "host": "203.0.113.5", "prefixes": ["+91"], "password": "s3cret"});
    let made = house.admin("POST", "/admin/carriers", new.clone()).await;
    assert_eq!(
        (made.status, &made.body["prefixes"], &made.body["port"]),
        (201, &json!(["91"]), &json!(5060))
    );
    assert!(!made.body.to_string().contains("s3cret"));
    assert_eq!(house.admin("POST", "/admin/carriers", new).await.status, 409);
    let changed = house
        .admin("PUT", "/admin/carriers/acme", json!({"name": "acme", "priority": 3, "cps_limit": 7}))
        .await;
    assert_eq!((&changed.body["priority"], &changed.body["host"]), (&json!(3), &json!("203.0.113.5")));
    assert_eq!(changed.body["has_password"], true, "what was not given stays");
    let list = house.admin("GET", "/admin/carriers", Value::Null).await.body;
    assert_eq!(
        (&list["carriers"][0]["name"], &list["carriers"][0]["cps_limit"]),
        (&json!("acme"), &json!(7))
    );
    for bad in [
        json!({"sources": ["nowhere"]}),
        json!({"number_format": "x"}),
        json!({"prefixes": ["9x"]}),
        json!({"colour": "red"}),
    ] {
        assert_eq!(house.admin("PUT", "/admin/carriers/acme", bad.clone()).await.status, 400, "{bad}");
    }
    assert_eq!(house.admin("DELETE", "/admin/carriers/acme", Value::Null).await.status, 204);
    assert_eq!(house.admin("DELETE", "/admin/carriers/acme", Value::Null).await.status, 404);
    assert_eq!(house.admin("PUT", "/admin/carriers/acme", json!({})).await.status, 404);
}

#[tokio::test]
async fn what_an_import_changes_is_seen_before_it_is_applied() {
    let house = House::open().await;
    let import = async |rows: &str, further: Value| {
        let csv = format!("prefix,per_minute,pulse,minimum,connection_fee\n{rows}");
        let mut body = json!({ "csv": csv });
        body.as_object_mut().unwrap().extend(further.as_object().unwrap().clone());
        house.admin("PUT", "/admin/decks/standard", body).await
    };
    let dry = import("91,0.45,60,0,0\n44,2,1,0,0\n", json!({"dry_run": true})).await;
    assert_eq!((dry.status, &dry.body["applied"], &dry.body["base"]), (200, &json!(false), &json!("none")));
    assert_eq!(dry.body["diff"]["added"], 2);
    assert_eq!(
        house.admin("GET", "/admin/decks", Value::Null).await.body["decks"],
        json!([]),
        "nothing is stored"
    );

    let first = import("91,0.45,60,0,0\n44,2,1,0,0\n", json!({"base": "none"})).await;
    assert_eq!((first.status, &first.body["applied"]), (200, &json!(true)));
    let dry = import("91,0.5,60,0,0\n1,3,1,0,0\n", json!({"dry_run": true})).await;
    let diff = &dry.body["diff"];
    assert_eq!((&diff["added"], &diff["changed"], &diff["removed"]), (&json!(1), &json!(1), &json!(1)));
    let changed = &diff["changes"][2];
    assert_eq!((&changed["prefix"], &changed["old"]["per_minute"]), (&json!("91"), &json!("0.450000")));
    assert_eq!(changed["new"]["per_minute"], "0.500000");

    let base = dry.body["base"].clone();
    assert_eq!(import("7,1,1,0,0\n", json!({})).await.status, 200, "somebody else was faster");
    let late = import("91,0.5,60,0,0\n1,3,1,0,0\n", json!({"base": base})).await;
    assert_eq!(late.status, 409, "{}", late.body);
    let dry = import("7,1,1,0,0\n", json!({"dry_run": true})).await;
    assert_eq!((&dry.body["diff"]["unchanged"], &dry.body["diff"]["changes"]), (&json!(1), &json!([])));
    assert_eq!(import("7,1,1,0,0\n", json!({"dry_run": true, "currency": "USD"})).await.status, 409);
}

#[tokio::test]
async fn a_deck_is_replaced_whole_or_not_at_all() {
    let house = House::open().await;
    let header = "prefix,per_minute,pulse,minimum,connection_fee\n";
    let put = async |name: &str, rows: &str, currency: &str, default: bool| {
        let body = json!({"currency": currency, "default": default, "csv": format!("{header}{rows}")});
        house.admin("PUT", &format!("/admin/decks/{name}"), body).await
    };
    let many = (0..250).map(|n| format!("91{n},0.5,1,0,0")).collect::<Vec<_>>().join("\n");
    assert_eq!(put("standard", &many, "INR", true).await.body["prefixes"], 250);
    let bad = put("standard", "91,1,1,0,0\n9x,1,1,0,0\n", "INR", true).await;
    assert_eq!(bad.status, 400);
    assert!(
        bad.body["details"]["lines"][0].as_str().unwrap().starts_with("row 3, column prefix:"),
        "{}",
        bad.body
    );
    assert_eq!(
        (&bad.body["details"]["errors"][0]["row"], &bad.body["details"]["errors"][0]["column"]),
        (&json!(3), &json!("prefix"))
    );
    let list = async || house.admin("GET", "/admin/decks", Value::Null).await.body["decks"].clone();
    assert_eq!(list().await[0]["prefixes"], 250, "nothing of a bad file is stored");
    put("standard", "91,1,1,0,0\n", "INR", false).await;
    assert_eq!((&list().await[0]["prefixes"], &list().await[0]["default"]), (&json!(1), &json!(true)));
    assert_eq!(put("standard", "91,1,1,0,0\n", "USD", false).await.status, 409);
    put("other", "91,1,1,0,0\n", "INR", true).await;
    let decks = list().await;
    assert_eq!(
        (&decks[0]["name"], &decks[0]["default"], &decks[1]["default"]),
        (&json!("other"), &json!(true), &json!(false))
    );
    let partner = house.partner("p@acme.example").await;
    let account = format!("/admin/accounts/{}", partner.id);
    let set = house
        .admin("PUT", &account, json!({"deck": "standard", "cps_limit": 9, "kyc_status": "completed"}))
        .await;
    assert_eq!((&set.body["deck_id"], &set.body["cps_limit"]), (&decks[1]["deck_id"], &json!(9)));
    assert_eq!(house.admin("PUT", &account, json!({"deck": "nothing"})).await.status, 400);
    assert_eq!(house.admin("PUT", &account, json!({"deck": ""})).await.body["deck_id"], Value::Null);
}

#[tokio::test]
async fn countries_open_close_and_are_forgotten() {
    let house = House::open().await;
    let set = async |body: Value| house.admin("POST", "/admin/countries", body).await.status;
    assert_eq!(set(json!({"country": "us", "action": "open"})).await, 200);
    assert_eq!(set(json!({"country": "+4490", "action": "bar"})).await, 200);
    assert_eq!(set(json!({"country": "XX", "action": "open"})).await, 400);
    assert_eq!(set(json!({"country": "US", "action": "close"})).await, 400);
    assert_eq!(set(json!({"country": "US", "action": "open", "account": "MA_X"})).await, 400);
    let list = house.admin("GET", "/admin/countries", Value::Null).await.body;
    assert_eq!(list["countries"].as_array().unwrap().len(), 2);
    assert_eq!(set(json!({"country": "US", "action": "forget"})).await, 200);
    let list = house.admin("GET", "/admin/countries", Value::Null).await.body;
    assert_eq!(list["countries"], json!([{"scope": "*", "country": "4490", "action": "bar"}]));
}

#[tokio::test]
async fn dead_letters_that_are_not_there_cannot_be_replayed() {
    let house = House::open().await;
    let list = house.admin("GET", "/admin/dead-letters", Value::Null).await;
    assert_eq!(list.body, json!({"events": []}));
    let replay =
        async |event: &str| house.admin("POST", "/admin/dead-letters/replay", json!({"event": event})).await;
    assert_eq!(replay("all").await.body, json!({"replayed": 0}));
    assert_eq!(replay(&tandem_model::EventId::random().to_string()).await.status, 404);
    assert_eq!(replay("some").await.status, 400);
}

#[tokio::test]
async fn without_a_node_a_request_is_performed_on_the_files_under_their_lock() {
    let folder = tempfile::tempdir().unwrap();
    let overrides = Overrides::default().set("node.data", folder.path().to_str().unwrap());
    let loaded = load(None, &overrides).unwrap();
    let body = json!({"name": "Acme", "email": "p@acme.example", "balance": "5"});
    let (status, made) =
        crate::operator::offline(&loaded, "POST", "/admin/partners", Some(&body)).await.unwrap();
    assert_eq!((status, made["balance"].as_str()), (201, Some("5.00")));
    let (_, list) = crate::operator::offline(&loaded, "GET", "/admin/partners", None).await.unwrap();
    assert_eq!(list["partners"][0]["auth_id"], made["auth_id"]);
    let _held = tandem_store::Store::open_sqlite(folder.path()).await.unwrap();
    let refused = crate::operator::offline(&loaded, "GET", "/admin/partners", None).await.unwrap_err();
    assert!(matches!(refused, StartError::Store(StoreError::Locked(_))), "{refused}");
}
