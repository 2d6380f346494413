//! The contract with a provider, against one of the test's own that checks every signature itself.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::{Value, json};
use tandem_model::{AccountId, Currency, Ids, Money};
use tokio::task::JoinSet;

use super::*;
use crate::egress::EgressPolicy;

const SECRET: &str = "a-secret-of-the-provider";

fn hmac_of(parts: &[&[u8]]) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            mac.update(b".");
        }
        mac.update(part);
    }
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

struct Gateway {
    provider: HttpProvider,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
    _tasks: JoinSet<()>,
}

async fn gateway(answer: fn(&Value) -> (u16, Value)) -> Gateway {
    let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
    let seeing = seen.clone();
    let handler = async move |uri: Uri, headers: HeaderMap, body: Bytes| -> Response {
        let text = |name: &str| {
            headers.get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
        };
        let stamp = text("x-tandem-timestamp");
        let expected = hmac_of(&[stamp.as_bytes(), b"POST", uri.path().as_bytes(), &body]);
        if text("x-tandem-signature") != expected {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let json: Value = serde_json::from_slice(&body).unwrap();
        let (status, answer) = answer(&json);
        seeing.lock().unwrap().push((text("idempotency-key"), json));
        (StatusCode::from_u16(status).unwrap(), answer.to_string()).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/pay/", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    let router = Router::new().fallback(handler);
    tasks.spawn(async move { drop(axum::serve(listener, router).await) });
    let policy = EgressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()] };
    let egress = Egress::new(policy).unwrap();
    let provider = HttpProvider::new(&base, SecretString::from(SECRET), "https://api.example", egress);
    Gateway { provider: provider.unwrap(), seen, _tasks: tasks }
}

fn wish() -> Wish {
    Wish {
        intent: Ids::random(),
        account: AccountId::new("MA_A"),
        amount: Money::from_micros(500_500_000),
        currency: Currency::INR,
        return_url: Some("https://shop.example/back".to_owned()),
    }
}

#[tokio::test]
async fn a_provider_is_told_once_by_id_and_says_where_to_pay() {
    let gateway = gateway(|body| {
        let id = body["intent_id"].as_str().unwrap();
        (200, json!({"reference": format!("r-{id}"), "checkout_url": "https://gateway.example/c/1"}))
    })
    .await;
    let wish = wish();
    let checkout = gateway.provider.open(&wish).await.unwrap();
    assert_eq!(checkout.reference, format!("r-{}", wish.intent));
    let (key, body) = gateway.seen.lock().unwrap().remove(0);
    assert_eq!(key, wish.intent.to_string());
    assert_eq!((&body["amount"], &body["currency"]), (&json!("500.50"), &json!("INR")));
    assert_eq!(body["webhook_url"], "https://api.example/api/v1/payments/http/webhook");
}

#[tokio::test]
async fn refusals_are_told_from_silence_and_from_nonsense() {
    let refusing = gateway(|_| (422, json!({"reason": "too much"}))).await;
    assert_eq!(refusing.provider.open(&wish()).await, Err(ProviderError::Refused("too much".to_owned())));
    for answer in [
        (|_: &Value| (500, json!({}))) as fn(&Value) -> (u16, Value),
        |_| (429, json!({})),
        |_| (200, json!({"reference": "r"})),
        |_| (200, json!({"reference": "", "checkout_url": "https://g.example/"})),
        |_| (200, json!({"reference": "r", "checkout_url": "javascript:alert(1)"})),
    ] {
        let gateway = gateway(answer).await;
        assert!(matches!(gateway.provider.open(&wish()).await, Err(ProviderError::Unavailable(_))));
    }
}

#[tokio::test]
async fn a_notice_is_believed_only_by_its_signature_and_its_age() {
    let gateway = gateway(|_| (200, json!({}))).await;
    let notice = |at: i64, signed: &[u8]| {
        let mut headers = HeaderMap::new();
        let stamp = at.to_string();
        headers.insert("x-tandem-timestamp", stamp.parse().unwrap());
        headers.insert("x-tandem-signature", hmac_of(&[stamp.as_bytes(), signed]).parse().unwrap());
        headers
    };
    let now = clock::wall().as_second();
    let genuine = |headers: &HeaderMap| gateway.provider.is_genuine(headers, b"{}");
    assert!(genuine(&notice(now, b"{}")));
    assert!(genuine(&notice(now - 290, b"{}")));
    assert!(!genuine(&notice(now - 310, b"{}")) && !genuine(&notice(now + 310, b"{}")));
    assert!(!genuine(&notice(now, b"{ }")));
    assert!(!genuine(&HeaderMap::new()));
    let mut without = notice(now, b"{}");
    without.insert("x-tandem-signature", "sha256=".parse().unwrap());
    assert!(!genuine(&without));
}
