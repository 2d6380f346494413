//! Signing in, staying in, being put out.

use futures_util::future::join_all;
use serde_json::{Value, json};

use super::{Answer, House, Login, assert_keys};
use crate::config::Overrides;

const PASSWORD: &str = "Change-me-1";

impl House {
    async fn post(&self, path: &str, body: Value) -> Answer {
        self.raw("POST", &format!("/api/v1{path}"), &[], &body.to_string()).await
    }

    async fn sign_in(&self, email: &str) -> Value {
        let answer = self.post("/auth/login", json!({"email": email, "password": PASSWORD})).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        answer.body
    }

    async fn bearer(&self, path: &str, token: &str) -> Answer {
        self.raw("GET", &format!("/api/v1{path}"), &[("authorization", &format!("Bearer {token}"))], "").await
    }
}

fn text<'v>(body: &'v Value, name: &str) -> &'v str {
    body[name].as_str().unwrap()
}

async fn shop(house: &House) -> Login {
    let partner = house.partner("p@acme.example").await;
    house.customer(&partner, "a@shop.example", 0).await
}

#[tokio::test]
async fn a_sign_in_gives_tokens_in_both_nestings_that_work_wherever_the_pair_does() {
    let house = House::open().await;
    let a = shop(&house).await;
    let body = house.sign_in(" A@Shop.example ").await;
    assert_keys(&body, "access_token refresh_token token_type expires_in tokens account");
    assert_keys(&body["tokens"], "access_token refresh_token token_type expires_in");
    assert_eq!(body["tokens"]["access_token"], body["access_token"]);
    assert_eq!((&body["token_type"], &body["expires_in"]), (&json!("bearer"), &json!(1800)));
    assert_eq!(
        (text(&body["account"], "auth_id"), text(&body["account"], "type")),
        (a.id.as_str(), "MASTER")
    );
    let access = text(&body, "access_token");
    for path in
        ["/auth/me".to_owned(), format!("/Account/{}/balance/INR", a.id), format!("/account/{}/trunks", a.id)]
    {
        assert_eq!(house.bearer(&path, access).await.status, 200, "{path}");
    }
    assert_eq!(house.bearer("/partner/me", access).await.status, 403, "a customer is no partner");
    assert_eq!(house.bearer("/Account/MA_NOBODY0/trunks", access).await.status, 403);
    let me = house.bearer("/auth/me", access).await.body;
    assert_ne!(me["last_login"], me["created_at"], "it is remembered");
    let changed = format!("{}x", &access[..access.len() - 1]);
    assert_eq!(house.bearer("/auth/me", &changed).await.status, 401);
    // Generated SDKs send noise beside the pair; a blank pair is none.
    let blank = [("x-auth-id", ""), ("x-auth-token", ""), ("authorization", &format!("Bearer {access}"))];
    assert_eq!(house.raw("GET", "/api/v1/auth/me", &blank, "").await.status, 200);
    let noise = [
        ("x-auth-id", a.id.as_str()),
        ("x-auth-token", "wrong"),
        ("authorization", &format!("Bearer {access}")),
    ];
    assert_eq!(house.raw("GET", "/api/v1/auth/me", &noise, "").await.status, 401, "the pair is what counts");
}

#[tokio::test]
async fn a_partner_signs_in_for_an_hour_in_its_own_shape() {
    let house = House::open().await;
    shop(&house).await;
    let made = json!({"name": "Beta", "email": "b@beta.example", "currency": "INR", "password": PASSWORD});
    assert_eq!(house.admin("POST", "/admin/partners", made).await.status, 201);
    let credentials = json!({"email": "b@beta.example", "password": PASSWORD});
    let answer = house.post("/partner/login", credentials).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_keys(&answer.body, "tokens");
    assert_keys(&answer.body["tokens"], "access_token token_type expires_in");
    assert_eq!(answer.body["tokens"]["token_type"], "Bearer");
    assert_eq!(answer.body["tokens"]["expires_in"], 3600);
    assert_eq!(house.bearer("/partner/me", text(&answer.body["tokens"], "access_token")).await.status, 200);
    for (email, password) in
        [("a@shop.example", PASSWORD), ("b@beta.example", "x"), ("p@acme.example", PASSWORD)]
    {
        let wrong = house.post("/partner/login", json!({"email": email, "password": password})).await;
        assert_eq!(
            (wrong.status, wrong.body["error"].as_str()),
            (401, Some("invalid_credentials")),
            "{email}"
        );
        assert!(wrong.body["message"].is_string());
    }
}

#[tokio::test]
async fn whatever_is_wrong_with_a_sign_in_the_answer_is_one() {
    let house = House::open().await;
    let a = shop(&house).await;
    let mut answers = Vec::new();
    for (email, password) in
        [("a@shop.example", "Change-me-2"), ("nobody@shop.example", PASSWORD), ("p@acme.example", "")]
    {
        let password = if password.is_empty() { "no password is set" } else { password };
        let mut wrong = house.post("/auth/login", json!({"email": email, "password": password})).await;
        assert_eq!(
            (wrong.status, wrong.body["error"].as_str()),
            (401, Some("INVALID_CREDENTIALS")),
            "{email}"
        );
        wrong.body.as_object_mut().unwrap().remove("api_id");
        answers.push(wrong.body);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:?}");
    for (body, field) in [
        (json!({}), "email"),
        (json!({"email": "a", "password": "x"}), "email"),
        (json!({"email": "a@shop.example"}), "password"),
        (json!({"email": "a@shop.example", "password": "x".repeat(129)}), "password"),
        (json!({"email": 5}), "email"),
    ] {
        let bad = house.post("/auth/login", body).await;
        assert_eq!((bad.status, bad.body["details"][field].is_string()), (400, true), "{}", bad.body);
    }
    house.admin("PUT", &format!("/admin/accounts/{}", a.id), json!({"enabled": false})).await;
    let right = house.post("/auth/login", json!({"email": "a@shop.example", "password": PASSWORD})).await;
    assert_eq!((right.status, right.body["error"].as_str()), (403, Some("ACCOUNT_INACTIVE")));
    let wrong = house.post("/auth/login", json!({"email": "a@shop.example", "password": "x"})).await;
    assert_eq!(wrong.status, 401, "who does not know the password learns nothing");
}

#[tokio::test]
async fn a_refresh_token_is_good_once_and_a_copy_ends_the_session() {
    let house = House::open().await;
    let a = shop(&house).await;
    let first = house.sign_in("a@shop.example").await;
    let other = house.sign_in("a@shop.example").await;
    let renew = async |name: &str, token: &str| house.post("/auth/refresh", json!({name: token})).await;
    let second = renew("refreshToken", text(&first, "refresh_token")).await;
    assert_eq!(second.status, 200, "{}", second.body);
    assert_keys(&second.body, "access_token refresh_token token_type expires_in tokens");
    assert_eq!(
        house.bearer("/auth/me", text(&second.body, "access_token")).await.body["auth_id"],
        a.id.as_str()
    );
    let third = renew("refresh_token", text(&second.body, "refresh_token")).await;
    assert_eq!(third.status, 200);
    let copied = renew("refresh_token", text(&first, "refresh_token")).await;
    assert_eq!((copied.status, copied.body["error"].as_str()), (401, Some("INVALID_CREDENTIALS")));
    assert_eq!(
        renew("refresh_token", text(&third.body, "refresh_token")).await.status,
        401,
        "its family is revoked"
    );
    assert_eq!(
        renew("refresh_token", text(&other, "refresh_token")).await.status,
        200,
        "another session goes on"
    );
    assert_eq!(renew("refresh_token", "rt_x").await.status, 401);
    assert_eq!(renew("refresh_token", "").await.body["details"]["refresh_token"], "is required");
    assert_eq!(renew("refresh_token", &"x".repeat(129)).await.status, 400);
    let out = house.sign_in("a@shop.example").await;
    let token = json!({"refresh_token": out["refresh_token"]});
    assert_eq!(house.post("/auth/logout", token.clone()).await.status, 200);
    assert_eq!(house.post("/auth/refresh", token.clone()).await.status, 401);
    assert_eq!(house.post("/auth/logout", json!({"refresh_token": "rt_x"})).await.status, 200);
}

#[tokio::test]
async fn a_renewal_repeated_under_its_key_gives_the_same_pair_and_fifty_twins_one() {
    let house = House::open().await;
    shop(&house).await;
    let first = house.sign_in("a@shop.example").await;
    let body = json!({"refreshToken": first["refresh_token"]}).to_string();
    let renew = || house.raw("POST", "/api/v1/auth/refresh", &[("idempotency-key", "r1")], &body);
    let answers = join_all((0..50).map(|_| renew())).await;
    assert!(answers.iter().all(|answer| answer.status == 200 && answer.body == answers[0].body));
    let next = json!({"refreshToken": answers[0].body["refresh_token"]});
    assert_eq!(house.post("/auth/refresh", next).await.status, 200, "nobody was taken for a thief");
}

#[tokio::test]
async fn another_epoch_or_a_disabled_account_ends_every_access_token_at_once() {
    let house = House::open().await;
    let a = shop(&house).await;
    let body = house.sign_in("a@shop.example").await;
    let access = text(&body, "access_token");
    let path = format!("/admin/accounts/{}", a.id);
    house.admin("PUT", &path, json!({"enabled": false})).await;
    let answer = house.bearer("/auth/me", access).await;
    assert_eq!((answer.status, answer.body["error"].as_str()), (403, Some("ACCOUNT_INACTIVE")));
    let answer = house.post("/auth/refresh", json!({"refresh_token": body["refresh_token"]})).await;
    assert_eq!((answer.status, answer.body["error"].as_str()), (403, Some("ACCOUNT_INACTIVE")));
    house.admin("PUT", &path, json!({"enabled": true})).await;
    assert_eq!(house.bearer("/auth/me", access).await.status, 200);
    house.run_sql("update account set epoch = epoch + 1").await;
    assert_eq!(house.bearer("/auth/me", access).await.status, 401);
    assert_eq!(
        house.post("/auth/refresh", json!({"refresh_token": body["refresh_token"]})).await.status,
        401
    );
}

#[tokio::test]
async fn guesses_are_counted_by_address_whether_or_not_somebody_has_it() {
    let house = House::open_with(Overrides::default().set("api.logins_per_minute", 3)).await;
    shop(&house).await;
    for email in ["a@shop.example", "nobody@shop.example"] {
        let guess = json!({"email": email, "password": "x"});
        for _ in 0..3 {
            assert_eq!(house.post("/auth/login", guess.clone()).await.status, 401);
        }
        let slow = house.post("/auth/login", guess.clone()).await;
        assert_eq!((slow.status, slow.body["error"].as_str()), (429, Some("RATE_LIMIT_EXCEEDED")), "{email}");
        assert_eq!(slow.headers["retry-after"], "20");
        assert_eq!(slow.headers["ratelimit-remaining"], "0");
        let right = house.post("/auth/login", json!({"email": email, "password": PASSWORD})).await;
        assert_eq!(right.status, 429, "the right password too: nobody learns by it");
    }
}
