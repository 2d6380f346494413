//! What somebody new to the API gets wrong, and what he is told: which field, how much money, what to do next.

use serde_json::{Value, json};

use super::{Answer, House, Login, new_customer};

const ONE: &str = "+918045671200";

/// A customer with 700 rupees and one number, which cost 600 of 1300.
async fn owner() -> (House, Login, Login) {
    let house = House::open().await;
    let numbers = json!({"numbers": [ONE, "+918045671202", "+918045671203"], "country": "IN", "setup_fee": "100",
        "monthly_fee": "500", "currency": "INR"});
    house.admin("POST", "/admin/inventory", numbers).await;
    let partner = house.partner("p@acme.example").await;
    let customer = house.customer(&partner, "a@shop.example", 610).await;
    let bought = buy(&house, &customer, ONE).await;
    assert_eq!(bought.status, 200, "{}", bought.body);
    (house, partner, customer)
}

async fn buy(house: &House, who: &Login, number: &str) -> Answer {
    let path = format!("/Account/{}/numbers/purchase-from-inventory", who.id);
    house.ask("POST", &path, who, json!({ "e164": number })).await
}

#[track_caller]
fn refused(answer: &Answer, status: u16, word: &str, hint: &str) {
    assert_eq!(answer.status, status, "{}", answer.body);
    assert_eq!(answer.body["error"], word, "{}", answer.body);
    assert!(answer.body["hint"].as_str().unwrap().contains(hint), "{}", answer.body);
}

#[tokio::test]
async fn who_lacks_the_release_fee_is_told_how_much_and_the_tier_shows_it() {
    let (house, partner, customer) = owner().await;
    let path = format!("/Account/{}/numbers/{ONE}", customer.id);
    let poor = house.ask("DELETE", &path, &customer, Value::Null).await;
    refused(&poor, 402, "INSUFFICIENT_BALANCE", "Add money");
    let details = json!({"required": 700, "available": 10, "shortfall": 690, "currency": "INR"});
    assert_eq!(poor.body["details"], details);
    let shown = house.get(&format!("/partner/accounts/{}", customer.id), &partner).await.body;
    assert_eq!(shown["pricing_tier"]["did_release_fee"], 700, "{shown}");
    let again = buy(&house, &customer, "+918045671202").await;
    assert_eq!(again.body["details"]["shortfall"], 590, "{}", again.body);
}

#[tokio::test]
async fn a_number_one_has_is_not_said_to_be_unknown() {
    let (house, partner, customer) = owner().await;
    refused(&buy(&house, &customer, ONE).await, 409, "already_owned", "Nothing is to be done");
    refused(&buy(&house, &customer, "+918045679999").await, 404, "not_found", "lists what is for sale");
    let other = house.customer(&partner, "b@shop.example", 100).await;
    refused(&buy(&house, &other, ONE).await, 404, "not_found", "lists what is for sale");
}

#[tokio::test]
async fn numbers_are_bought_as_people_write_them() {
    let (house, _, customer) = owner().await;
    for written in ["08045671200", "+91 80456 71200", "0091-80456-71200", "918045671200"] {
        refused(&buy(&house, &customer, written).await, 409, "already_owned", "");
    }
    // Ten digits may be a whole number of another country: nothing is guessed where money is spent.
    refused(&buy(&house, &customer, "8045671200").await, 404, "not_found", "");
    assert_eq!(buy(&house, &customer, "112").await.status, 400);
}

#[tokio::test]
async fn each_refusal_hints_at_its_own_remedy() {
    let (house, partner, customer) = owner().await;
    let taken = house.ask("POST", "/partner/accounts", &partner, new_customer("a@shop.example")).await;
    refused(&taken, 409, "email_taken", "another e-mail address");
    let method = house.ask("PUT", "/partner/accounts", &partner, json!({})).await;
    refused(&method, 405, "METHOD_NOT_ALLOWED", "Allow");
    refused(&house.get("/partner/me", &customer).await, 403, "forbidden", "credentials of a partner");
    let path = format!("/Account/{}/numbers", partner.id);
    refused(&house.get(&path, &partner).await, 403, "ACCOUNT_MISMATCH", "below /partner");
    refused(&house.get("/nowhere", &customer).await, 404, "NOT_FOUND", "Check the path");

    let at = |path: &str| format!("/Account/{}{path}", customer.id);
    let body = json!({"app_name": "a", "answer_url": "https://a.example/x"});
    let app = house.ask("POST", &at("/Application/"), &customer, body).await.body["app_id"].clone();
    let attach = at(&format!("/numbers/{ONE}/application"));
    let attached = house.ask("POST", &attach, &customer, json!({"application_id": app})).await;
    assert_eq!(attached.status, 200, "{}", attached.body);
    let application = at(&format!("/Application/{}/", app.as_str().unwrap()));
    let used = house.ask("DELETE", &application, &customer, Value::Null).await;
    refused(&used, 409, "Cannot delete application", "DELETE …/numbers/{e164}/application");
    assert!(
        used.body["message"].as_str().unwrap().ends_with(&format!("1 phone numbers: {ONE}")),
        "{}",
        used.body
    );
    assert_eq!(used.body["details"]["numbers"], json!([ONE]));

    house
        .admin(
            "POST",
            &format!("/admin/accounts/{}/credit", customer.id),
            json!({"amount": "700", "reference": "r"}),
        )
        .await;
    let number = at(&format!("/numbers/{ONE}"));
    assert_eq!(house.ask("DELETE", &number, &customer, Value::Null).await.status, 200);
    let pending = house.ask("DELETE", &number, &customer, Value::Null).await;
    refused(&pending, 409, "release_pending", "cancel-release");
}

#[tokio::test]
async fn a_change_that_names_no_known_field_is_refused_and_names_them() {
    let (house, _, customer) = owner().await;
    let at = |path: &str| format!("/Account/{}{path}", customer.id);
    let body = json!({"app_name": "a", "answer_url": "https://a.example/x"});
    let app = house.ask("POST", &at("/Application/"), &customer, body).await.body["app_id"].clone();
    let application = at(&format!("/Application/{}/", app.as_str().unwrap()));
    let change = async |body: Value| house.ask("POST", &application, &customer, body).await;
    let wrong = change(json!({"answerurl": "https://b.example/"})).await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    assert!(wrong.body["details"]["answerurl"].as_str().unwrap().contains("answer_url"), "{}", wrong.body);
    for empty in [json!({"answer_url": ""}), json!({"answer_url": null})] {
        let refused = change(empty).await;
        assert_eq!(
            (refused.status, &refused.body["details"]["answer_url"]),
            (400, &json!("This field is required"))
        );
    }
    assert_eq!(change(json!({"answer_url": "https://b.example/", "more": 1})).await.status, 200);
    assert_eq!(house.get(&application, &customer).await.body["answer_url"], "https://b.example/");
    let urls = at(&format!("/numbers/{ONE}/urls"));
    let wrong = house.ask("PUT", &urls, &customer, json!({"answer": "https://b.example/"})).await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    assert!(wrong.body["message"].as_str().unwrap().contains("answer_url"), "{}", wrong.body);
}

#[tokio::test]
async fn filters_out_of_a_closed_set_are_refused() {
    let (house, _, customer) = owner().await;
    let at = |path: &str| format!("/Account/{}{path}", customer.id);
    for (path, names) in [
        ("/transactions?status=foo", "completed"),
        ("/inventory/numbers?country=India", "ISO 3166"),
        ("/inventory/numbers?page=abc", "page"),
        ("/cdr?page=abc", "page"),
        ("/cdr/recent?limit=x", "limit"),
        ("/cdr/search?direction=sideways", "inbound"),
    ] {
        let answer = house.get(&at(path), &customer).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(answer.body["message"].as_str().unwrap().contains(names), "{path}: {}", answer.body);
    }
    // The contract: a type is matched exactly, other keys are ignored, a page before the first is the first.
    for path in ["/transactions?type=foo", "/cdr?page=0", "/cdr?callid=x", "/transactions?status=failed"] {
        assert_eq!(house.get(&at(path), &customer).await.status, 200, "{path}");
    }
    let found = house.get(&at("/cdr/search?direction=inbound"), &customer).await;
    assert_eq!((found.status, &found.body["filters"]["call_direction"]), (200, &json!("inbound")));
}

#[tokio::test]
async fn everything_wrong_with_a_new_customer_is_told_at_once() {
    let (house, partner, _) = owner().await;
    let wrong =
        house.ask("POST", "/partner/accounts", &partner, json!({"description": "d", "city": 3})).await;
    assert_eq!(wrong.status, 400, "{}", wrong.body);
    let names = super::keys(&wrong.body["details"]);
    assert_eq!(
        names.into_iter().collect::<Vec<_>>(),
        ["city", "country", "email", "name", "password", "phone"]
    );
    let mut weak = new_customer("c@shop.example");
    weak["password"] = "weak".into();
    assert_eq!(
        house.ask("POST", "/partner/accounts", &partner, weak).await.status,
        422,
        "one alone keeps its status"
    );
}

#[tokio::test]
async fn a_body_that_is_no_json_is_told_in_plain_words() {
    let (house, partner, _) = owner().await;
    let headers = [("x-auth-id", partner.id.as_str()), ("x-auth-token", partner.token.as_str())];
    for (body, words) in [
        ("name=x", "the body: must be a JSON object; it is not JSON, at line 1, column 2"),
        ("{\n \"name\": nobody}", "the body: must be a JSON object; it is not JSON, at line 2, column 11"),
        ("{\"name\": \"x\"", "the body: must be a JSON object; it ends too early, at line 1, column 12"),
        ("[]", "the body: must be a JSON object, not a list"),
        ("{\"name\": 3}", "name: must be a string, not a number"),
    ] {
        let answer = house.raw("POST", "/api/v1/partner/accounts", &headers, body).await;
        assert_eq!((answer.status, answer.body["message"].as_str()), (400, Some(words)), "{body}");
    }
}

#[tokio::test]
async fn missing_credentials_are_told_from_wrong_ones() {
    let (house, _, customer) = owner().await;
    let path = format!("/api/v1/Account/{}/numbers", customer.id);
    let ask = async |headers: &[(&str, &str)]| house.raw("GET", &path, headers, "").await;
    let none = ask(&[]).await;
    refused(&none, 401, "INVALID_CREDENTIALS", "X-Auth-ID");
    assert!(none.body["message"].as_str().unwrap().starts_with("Credentials are missing"), "{}", none.body);
    let half = ask(&[("x-auth-id", "MA_X")]).await;
    assert!(half.body["message"].as_str().unwrap().ends_with("without X-Auth-Token"), "{}", half.body);
    let wrong = ask(&[("x-auth-id", "MA_X"), ("x-auth-token", "x")]).await;
    assert_eq!((wrong.status, &wrong.body["message"]), (401, &json!("Invalid token")));
    let ledger = house.raw("GET", &format!("/api/v1/Account/{}/transactions", customer.id), &[], "").await;
    assert_eq!(
        ledger.body["error"],
        json!({"code": 401, "message": "Invalid token"}),
        "as the contract has it"
    );
}
