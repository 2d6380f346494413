//! The contract with a vendor, against a vendor of the test's own that checks every signature itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde_json::json;
use tandem_model::kyc::Document;
use tokio::task::JoinSet;

use super::*;
use crate::egress::EgressPolicy;

const SECRET: &str = "a-secret-of-the-vendor";

/// What the vendor saw: method, path, idempotency key, body.
type Seen = Arc<Mutex<Vec<(Method, String, String, Value)>>>;

struct Vendor {
    verifier: HttpVerifier,
    seen: Seen,
    _tasks: JoinSet<()>,
}

fn genuine(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let timestamp = text("x-tandem-timestamp");
    let fresh = timestamp.parse::<i64>().is_ok_and(|at| at.abs_diff(clock::wall().as_second()) < 300);
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    for part in
        [timestamp.as_bytes(), b".", method.as_str().as_bytes(), b".", uri.path().as_bytes(), b".", body]
    {
        mac.update(part);
    }
    fresh && text("x-tandem-signature") == format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

async fn vendor(answer: fn(&str, &Value) -> (u16, Value)) -> Vendor {
    let seen = Seen::default();
    let seeing = seen.clone();
    let handler = async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| -> Response {
        if !genuine(&method, &uri, &headers, &body) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let key =
            headers.get("idempotency-key").map(|key| key.to_str().unwrap().to_owned()).unwrap_or_default();
        let json: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = answer(uri.path(), &json);
        seeing.lock().unwrap().push((method, uri.path().to_owned(), key, json));
        (StatusCode::from_u16(status).unwrap(), answer.to_string()).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}/kyc/", listener.local_addr().unwrap());
    let mut tasks = JoinSet::new();
    let router = Router::new().fallback(handler);
    tasks.spawn(async move { drop(axum::serve(listener, router).await) });
    let policy = EgressPolicy { allow: vec!["127.0.0.0/8".parse().unwrap()] };
    let verifier =
        HttpVerifier::new(&base, SecretString::from(SECRET), Egress::new(policy).unwrap()).unwrap();
    Vendor { verifier, seen, _tasks: tasks }
}

fn showing() -> Showing {
    Showing {
        check: "check-1".to_owned(),
        document: Document::Pan,
        fields: BTreeMap::from([("pan".to_owned(), "ABCPE1234F".to_owned())]),
        mock: false,
    }
}

#[tokio::test]
async fn a_pending_document_is_shown_once_and_then_asked_for() {
    let vendor = vendor(|path, _| match path {
        "/kyc/v1/checks" => (202, json!({"status": "pending", "reference": "r 7/7", "retry_after_s": 30})),
        _ => (200, json!({"status": "verified", "evidence": {"pan_name_match": true, "photo": "…"}})),
    })
    .await;
    let finding = vendor.verifier.show(&showing()).await.unwrap();
    let reference = "r 7/7".to_owned();
    assert_eq!(
        finding,
        Finding::Pending { reference: Some(reference.clone()), after: Duration::from_secs(30) }
    );
    let verified = vendor.verifier.ask(&reference).await.unwrap();
    assert_eq!(verified, Finding::Verified(Map::from_iter([("pan_name_match".to_owned(), true.into())])));
    let seen = vendor.seen.lock().unwrap();
    let shown = json!({"check_id": "check-1", "document": "pan", "fields": {"pan": "ABCPE1234F"}});
    assert_eq!(seen[0], (Method::POST, "/kyc/v1/checks".to_owned(), "check-1".to_owned(), shown));
    assert_eq!(seen[1].1, "/kyc/v1/checks/r%207%2F7");
}

#[tokio::test]
async fn a_refusal_carries_its_reason_and_a_search_its_companies() {
    let vendor = vendor(|path, body| match path {
        "/kyc/v1/companies/search" => (
            200,
            json!({"matches": [{"cin": "U1", "company_name": body["company_name"], "status": "Active"}]}),
        ),
        "/kyc/v1/digilocker" => (200, json!({"auth_url": "https://d.example/x", "access_request_id": "AR1"})),
        _ => (200, json!({"status": "failed", "reason": "The name\u{7} differs"})),
    })
    .await;
    assert_eq!(
        vendor.verifier.show(&showing()).await.unwrap(),
        Finding::Failed("The name differs".to_owned())
    );
    let company = Company { cin: "U1".to_owned(), company_name: "Acme".to_owned() };
    assert_eq!(vendor.verifier.companies("Acme").await.unwrap(), [company]);
    let visit = vendor.verifier.digilocker("https://c.example/", "s").await.unwrap();
    assert_eq!(visit.access_request_id, "AR1");
}

#[tokio::test]
async fn what_is_not_the_contracts_decides_nothing() {
    for answer in [
        |_: &str, _: &Value| (500, json!({"status": "verified"})),
        |_: &str, _: &Value| (200, json!({"status": "ok"})),
        |_: &str, _: &Value| (200, json!({"status": "pending"})),
        |_: &str, _: &Value| (200, json!([1])),
        |_: &str, _: &Value| (302, json!({"status": "verified"})),
    ] {
        let vendor = vendor(answer).await;
        let error = vendor.verifier.show(&showing()).await.unwrap_err();
        assert!(matches!(error, VerifierError::Unavailable(_)), "{error}");
        assert!(!error.to_string().contains("ABCPE1234F"));
    }
    let closed = EgressPolicy { allow: Vec::new() };
    let egress = Egress::new(closed).unwrap();
    let verifier = HttpVerifier::new("http://127.0.0.1:1", SecretString::from(SECRET), egress).unwrap();
    assert!(verifier.show(&showing()).await.is_err(), "a private address must be allowed");
}
