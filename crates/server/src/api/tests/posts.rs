//! Every POST of the route table takes an `Idempotency-Key`: a new one that does not is found here.

use futures_util::future::join_all;
use serde_json::{Value, json};
use tandem_model::{AccountId, clock};
use tandem_store::idempotency::{ClaimIdempotent, FinishIdempotent, IdempotencyKey, KeptAnswer};

use super::{House, new_customer};
use crate::api::router::table;
use crate::config::Overrides;

/// A key one character too long is refused by whatever looks at keys, before anything else is looked at.
#[tokio::test]
async fn no_route_takes_a_post_without_looking_at_its_key() {
    let many = Overrides::default().set("api.write_rate_limit_burst", 10_000);
    let house = House::open_with(many).await;
    let partner = house.partner("p@acme.example").await;
    let a = house.customer(&partner, "a@shop.example", 0).await;
    let sub = "insert into account (auth_id, numeric_id, api_id, kind, parent_id, name, country, currency, created_at, updated_at)
        select 'SA_POSTS', 7, '00000000-0000-4000-8000-000000000000', 'sub', auth_id, 'Sub', 'IN', 'INR', 0, 0
        from account where kind = 'master'";
    house.run_sql(sub).await;
    let long = "k".repeat(256);
    let mut looked_at = 0;
    for pattern in table().into_parts().1 {
        let is_partners = pattern.starts_with("/partner");
        let path = pattern
            .replace("{auth_id}", &a.id)
            .replace("{sub_auth_id}", "SA_POSTS")
            .replace("{e164}", "+918045670001")
            .replace("{*rest}", "x");
        let path: String = path
            .split('/')
            .map(
                |segment| {
                    if segment.starts_with('{') { "11111111-1111-4111-8111-111111111111" } else { segment }
                },
            )
            .collect::<Vec<_>>()
            .join("/");
        let who = if is_partners { &partner } else { &a };
        let answer = house.ask_keyed(&long, &path, who, json!({})).await;
        match answer.status {
            // No POST there, or nothing built.
            405 | 501 => {}
            400 => {
                assert!(answer.body["details"]["Idempotency-Key"].is_string(), "{pattern}: {}", answer.body);
                looked_at += 1;
            }
            other => panic!("POST {pattern} answered {other} to a key that is too long: {}", answer.body),
        }
    }
    assert!(looked_at > 30, "{looked_at}");
}

#[tokio::test]
async fn fifty_twins_make_one_customer_one_kyc_session_and_one_top_up() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let body = new_customer("a@shop.example");
    let answers =
        join_all((0..50).map(|_| house.ask_keyed("c", "/partner/accounts", &partner, body.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    assert_eq!(house.get("/partner/accounts", &partner).await.body["total"], 1);

    let customer = answers[0].body["auth_id"].as_str().unwrap();
    let body = json!({"account_auth_id": customer, "flow_type": "redirect", "redirect_url": "https://acme.example/"});
    let answers =
        join_all((0..50).map(|_| house.ask_keyed("k", "/partner/kyc-sessions", &partner, body.clone())))
            .await;
    assert!(answers.iter().all(|answer| answer.status == 201 && answer.body == answers[0].body));
    assert_eq!(house.get("/partner/kyc-sessions", &partner).await.body["total"], 1);

    let path = format!("/admin/accounts/{customer}/credit");
    let body = json!({"amount": "2.5", "reference": "r1"});
    let answers = join_all((0..50).map(|_| house.admin_keyed("t", &path, body.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 200), "{}", answers[0].body);
    assert!(
        answers.iter().all(|answer| answer.body["repeated"] == false),
        "the answer of the one that booked"
    );
    let other = house.admin_keyed("t", &path, json!({"amount": "3", "reference": "r1"})).await;
    assert_eq!((other.status, other.body["error"].as_str()), (422, Some("IDEMPOTENCY_MISMATCH")));
    let account = house.admin("GET", &format!("/admin/accounts/{customer}"), Value::Null).await;
    assert_eq!(account.body["balance"], "2.500000");
    house.assert_clean().await;
}

#[tokio::test]
async fn an_update_by_post_is_repeated_under_its_key_and_refused_with_another_body() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let a = house.customer(&partner, "a@shop.example", 0).await;
    let application = json!({"app_name": "One", "answer_url": "https://shop.example/a"});
    let made = house.ask("POST", &format!("/Account/{}/Application/", a.id), &a, application).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let path = format!("/Account/{}/Application/{}/", a.id, made.body["app_id"].as_str().unwrap());
    let body = json!({"answer_url": "https://shop.example/b"});
    let first = house.ask_keyed("u", &path, &a, body.clone()).await;
    assert_eq!(first.status, 200, "{}", first.body);
    let again = house.ask_keyed("u", &path, &a, body).await;
    assert_eq!((again.status, &again.body), (200, &first.body), "the api_id too");
    assert_eq!(
        house.ask_keyed("u", &path, &a, json!({"answer_url": "https://shop.example/c"})).await.status,
        422
    );
}

#[tokio::test]
async fn a_twin_waits_for_the_answer_and_gives_up_after_five_seconds() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let claim = |key: &str, body: &Value| IdempotencyKey {
        account: AccountId::new(&partner.id),
        key: format!("POST /api/v1/partner/accounts {key}"),
        fingerprint: house.fingerprint(body),
        at: clock::wall(),
    };
    let body = new_customer("a@shop.example");
    for key in ["kept", "never"] {
        house.writer.submit(ClaimIdempotent(claim(key, &body))).await.unwrap();
    }
    let finish = async {
        tokio::time::sleep(std::time::Duration::from_millis(400)).await;
        let answer = KeptAnswer { status: 201, sealed_body: house.sealed_answer(&json!({"done": true})) };
        house.writer.submit(FinishIdempotent { key: claim("kept", &body), answer }).await.unwrap();
    };
    let ask = |key: &'static str| house.ask_keyed(key, "/partner/accounts", &partner, body.clone());
    let (kept, never, ()) = tokio::join!(ask("kept"), ask("never"), finish);
    assert_eq!((kept.status, &kept.body["done"]), (201, &json!(true)));
    assert_eq!((never.status, never.body["error"].as_str()), (409, Some("REQUEST_IN_PROGRESS")));
    assert!(never.headers.contains_key("retry-after"));
}

#[tokio::test]
async fn keys_are_forgotten_after_a_day() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let first = house.ask_keyed("k", "/partner/accounts", &partner, new_customer("a@shop.example")).await;
    assert_eq!(first.status, 201);
    crate::janitor::forget(&house.writer).await.unwrap();
    let other = new_customer("b@shop.example");
    assert_eq!(house.ask_keyed("k", "/partner/accounts", &partner, other.clone()).await.status, 422);
    house.run_sql("update idempotency set created_at = created_at - 86400000001").await;
    crate::janitor::forget(&house.writer).await.unwrap();
    assert_eq!(house.ask_keyed("k", "/partner/accounts", &partner, other).await.status, 201);
}
