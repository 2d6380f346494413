//! Another password, another token: what dies at once, and what has a while yet.

use std::time::Duration;

use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Answer, House, Login, assert_keys};
use crate::config::Overrides;
use crate::dev::{Mailbox, catch_mail};

const OLD: &str = "Change-me-1";
const NEW: &str = "Changed-it-2";

async fn post(house: &House, path: &str, body: Value) -> Answer {
    house.raw("POST", &format!("/api/v1{path}"), &[], &body.to_string()).await
}

async fn sign_in(house: &House, password: &str) -> Answer {
    post(house, "/auth/login", json!({"email": "a@shop.example", "password": password})).await
}

async fn shop(house: &House) -> Login {
    let partner = house.partner("p@acme.example").await;
    house.customer(&partner, "a@shop.example", 0).await
}

async fn is_out(house: &House, session: &Answer) -> bool {
    let bearer = format!("Bearer {}", session.body["access_token"].as_str().unwrap());
    let access = house.raw("GET", "/api/v1/auth/me", &[("authorization", &bearer)], "").await.status;
    let refresh = json!({"refresh_token": session.body["refresh_token"]});
    access == 401 && post(house, "/auth/refresh", refresh).await.status == 401
}

#[tokio::test]
async fn a_changed_password_ends_every_session_and_leaves_the_auth_token() {
    let house = House::open().await;
    let a = shop(&house).await;
    let session = sign_in(&house, OLD).await;
    for (body, status, field) in [
        (json!({"current_password": "x", "new_password": NEW}), 400, "current_password"),
        (json!({"current_password": OLD, "new_password": "short"}), 422, "new_password"),
        (json!({"current_password": OLD}), 400, "new_password"),
        (json!({"current_password": OLD, "new_password": NEW, "else": 1}), 400, "else"),
        (json!({"current_password": "x".repeat(129), "new_password": NEW}), 400, "current_password"),
    ] {
        let bad = house.ask("POST", "/auth/password", &a, body).await;
        assert_eq!((bad.status, bad.body["details"][field].is_string()), (status, true), "{}", bad.body);
    }
    let change = json!({"current_password": OLD, "new_password": NEW});
    let done = house.ask("POST", "/auth/password", &a, change.clone()).await;
    assert_eq!(done.status, 200, "{}", done.body);
    assert!(is_out(&house, &session).await);
    assert_eq!(sign_in(&house, OLD).await.status, 401);
    assert_eq!(sign_in(&house, NEW).await.status, 200);
    assert_eq!(house.get("/auth/me", &a).await.status, 200, "programs go on");
    assert_eq!(post(&house, "/auth/password", change).await.status, 401, "nobody's");
}

#[tokio::test]
async fn an_account_without_a_password_sets_its_first_one_by_its_token() {
    let house = House::open().await;
    let partner = house.partner("p@acme.example").await;
    let done = house.ask("POST", "/auth/password", &partner, json!({"new_password": NEW})).await;
    assert_eq!(done.status, 200, "{}", done.body);
    let signed_in = post(&house, "/partner/login", json!({"email": "p@acme.example", "password": NEW})).await;
    assert_eq!(signed_in.status, 200);
    assert_eq!(house.ask("POST", "/auth/password", &partner, json!({"new_password": OLD})).await.status, 400);
}

/// The token of the newest letter, once there are so many.
async fn link(mailbox: &Mailbox, letters: usize) -> String {
    for _ in 0..200 {
        let mails = mailbox.texts();
        if mails.len() >= letters {
            let text = &mails[0];
            let start = text.find("/reset-password?token=").expect("a link") + "/reset-password?token=".len();
            return text[start..].split_whitespace().next().unwrap().to_owned();
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("no letter came");
}

#[tokio::test]
async fn a_link_by_mail_sets_a_password_once_and_tells_nobody_who_has_an_account() {
    let (tasks, cancel, mailbox) = (TaskTracker::new(), CancellationToken::new(), Mailbox::default());
    let url = catch_mail(&tasks, mailbox.clone(), cancel.clone()).await.unwrap();
    let overrides = Overrides::default().set("mail.smtp_url", url).set("mail.from", "kyc@acme.example");
    let house = House::open_with(overrides).await;
    shop(&house).await;
    let session = sign_in(&house, OLD).await;
    let ask = async |email: &str, key: &str| {
        let body = json!({"email": email}).to_string();
        house.raw("POST", "/api/v1/auth/password/forgot", &[("idempotency-key", key)], &body).await
    };
    let mut answers = Vec::new();
    for (email, key) in [
        ("a@shop.example", "1"),
        ("nobody@shop.example", "1"),
        ("a@shop.example", "1"),
        ("nobody@shop.example", "1"),
    ] {
        let answer = ask(email, key).await;
        assert_eq!(answer.status, 202, "{}", answer.body);
        answers.push((answer.body, answer.headers.contains_key("idempotent-replayed")));
    }
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[2], answers[3], "a replay tells nothing either");
    let first = link(&mailbox, 1).await;
    assert_eq!(mailbox.texts().len(), 1, "one key, one letter, and none to nobody");

    let reset = |token: &str, password: &str| {
        post(&house, "/auth/password/reset", json!({"token": token, "new_password": password}))
    };
    assert!(reset("pwl_wrong", NEW).await.body["details"]["token"].is_string());
    assert_eq!(reset(&first, "weak").await.status, 422);
    assert_eq!(reset(&first, NEW).await.status, 200);
    assert!(is_out(&house, &session).await);
    assert_eq!(sign_in(&house, NEW).await.status, 200);
    assert_eq!(reset(&first, OLD).await.status, 400, "once");

    ask("a@shop.example", "2").await;
    let second = link(&mailbox, 2).await;
    let (status, page) = house.reset_page("GET", &format!("/reset-password?token={second}"), "").await;
    assert!(
        status == 200 && page.contains(&second) && page.contains("autocomplete=\"new-password\""),
        "{page}"
    );
    let (status, page) = house.reset_page("GET", "/reset-password?token=%22%3E%3Cscript%3E", "").await;
    assert!(status == 404 && !page.contains("script"), "{page}");
    let form = |password: &str| format!("token={second}&password={password}");
    let (status, page) = house.reset_page("POST", "/reset-password", &form("weak")).await;
    assert!(status == 422 && page.contains("role=\"alert\""));
    assert_eq!(house.reset_page("POST", "/reset-password", &form(OLD)).await.0, 200);
    assert_eq!(house.reset_page("POST", "/reset-password", &form(OLD)).await.0, 404);
    assert_eq!(sign_in(&house, OLD).await.status, 200);
    assert_eq!(
        ask("a@shop.example", "3").await.status,
        429,
        "nobody's mailbox is flooded: three, then three an hour"
    );
    assert_eq!(ask("nobody@shop.example", "3").await.status, 202);
    assert_eq!(ask("nobody@shop.example", "4").await.status, 429);
    cancel.cancel();
}

#[tokio::test]
async fn without_a_mail_server_a_forgotten_password_is_refused_clearly() {
    let house = House::open().await;
    let answer = post(&house, "/auth/password/forgot", json!({"email": "a@shop.example"})).await;
    assert_eq!((answer.status, answer.body["error"].as_str()), (501, Some("MAIL_NOT_CONFIGURED")));
}

#[tokio::test]
async fn a_rotated_token_replaces_the_old_one_at_once_or_after_its_grace() {
    let house = House::open().await;
    let a = shop(&house).await;
    let path = format!("/Account/{}/token/rotate", a.id);
    let rotate = async |who: &Login, body: Value| {
        let answer = house.ask("POST", &path, who, body).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_keys(&answer.body, "message auth_id auth_token previous_valid_until");
        let token = answer.body["auth_token"].as_str().unwrap().to_owned();
        (Login { id: a.id.clone(), token }, answer.body["previous_valid_until"].clone())
    };
    let status = async |who: &Login| house.get("/auth/me", who).await.status;
    let (second, until) = rotate(&a, Value::Null).await;
    assert_eq!((status(&a).await, status(&second).await, until), (401, 200, Value::Null));
    let (third, until) = rotate(&second, json!({"grace_s": 3600})).await;
    assert!(until.is_string());
    assert_eq!((status(&a).await, status(&second).await, status(&third).await), (401, 200, 200));
    let (fourth, _) = rotate(&third, json!({"grace_s": 1})).await;
    assert_eq!((status(&second).await, status(&third).await), (401, 200), "two live at most");
    house.run_sql("update account set token_previous_until = token_previous_until - 2000000 where token_previous_until is not null").await;
    assert_eq!((status(&third).await, status(&fourth).await), (401, 200), "the grace is over");
    for bad in
        [json!({"grace_s": -1}), json!({"grace_s": 604_801}), json!({"grace_s": "1"}), json!({"grace": 1})]
    {
        let answer = house.ask("POST", &path, &fourth, bad).await;
        assert_eq!(
            (answer.status, answer.body["error"].as_str()),
            (400, Some("VALIDATION_ERROR")),
            "{}",
            answer.body
        );
    }
    let foreign = house.partner("q@other.example").await;
    assert_eq!(house.ask("POST", &path, &foreign, Value::Null).await.status, 403);
    let changed = house.ask("POST", "/partner/token/rotate", &foreign, Value::Null).await;
    assert_eq!((changed.status, changed.body["auth_id"].as_str()), (200, Some(foreign.id.as_str())));
    assert_eq!(house.get("/partner/me", &foreign).await.status, 401);
    assert_eq!(house.ask("POST", "/partner/token/rotate", &fourth, Value::Null).await.status, 403);
}

#[tokio::test]
async fn the_configured_grace_is_taken_when_the_request_names_none() {
    let house = House::open_with(Overrides::default().set("api.token_grace_s", 60)).await;
    let a = shop(&house).await;
    let rotated = house.ask("POST", &format!("/account/{}/TOKEN/rotate/", a.id), &a, Value::Null).await;
    assert!(rotated.body["previous_valid_until"].is_string(), "{}", rotated.body);
    assert_eq!(house.get("/auth/me", &a).await.status, 200);
}
