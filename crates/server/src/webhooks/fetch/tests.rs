//! Fetching against real servers on loopback.

use std::collections::VecDeque;
use std::sync::Mutex;

use axum::Router;
use axum::extract::{OriginalUri, State};
use axum::http::StatusCode;
use axum::http::header::LOCATION;
use axum::response::{IntoResponse as _, Response};
use secrecy::SecretString;
use tandem_model::ports::FetchKind;
use tandem_model::{AccountId, CallId, TrunkId};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::egress::EgressPolicy;
use crate::webhooks::{AccountSecrets, TrunkSecrets, verify_callback};

struct OneToken;

impl SigningSecrets for OneToken {
    fn account(&self, _: &AccountId) -> Option<AccountSecrets> {
        Some(AccountSecrets { token: SecretString::from("token"), main_token: None })
    }

    fn trunk(&self, _: TrunkId) -> Option<TrunkSecrets> {
        None
    }

    fn ndnc(&self, _: &AccountId) -> Option<SecretString> {
        Some(SecretString::from("agreed-for-complaints"))
    }
}

struct Seen {
    method: Method,
    uri: String,
    headers: HeaderMap,
    body: String,
}

/// A customer's server: scripted answers, the last one stays; everything it saw.
#[derive(Default)]
struct Customer {
    script: Mutex<VecDeque<(u16, Vec<u8>)>>,
    seen: Mutex<Vec<Seen>>,
}

impl Customer {
    async fn start(script: &[(u16, &[u8])], tasks: &mut JoinSet<()>) -> (Arc<Self>, String) {
        let script = script.iter().map(|(status, body)| (*status, body.to_vec())).collect();
        let customer = Arc::new(Self { script: Mutex::new(script), ..Self::default() });
        let router = Router::new().fallback(answer).with_state(customer.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        (customer, base)
    }

    fn tries(&self) -> usize {
        self.seen.lock().unwrap().len()
    }
}

async fn answer(
    State(customer): State<Arc<Customer>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: String,
) -> Response {
    let moved = uri.path() == "/moved";
    customer.seen.lock().unwrap().push(Seen { method, uri: uri.to_string(), headers, body });
    if moved {
        return (StatusCode::FOUND, [(LOCATION, "/docs/answer.xml?v=2")]).into_response();
    }
    let mut script = customer.script.lock().unwrap();
    let (status, body) = if script.len() > 1 { script.pop_front().unwrap() } else { script[0].clone() };
    (StatusCode::from_u16(status).unwrap(), body).into_response()
}

fn fetcher(policy: EgressPolicy) -> DocumentFetcher {
    DocumentFetcher::new(Egress::new(policy).unwrap(), Arc::new(OneToken))
}

fn wanted(url: &str, method: HttpMethod) -> FetchRequest {
    FetchRequest {
        account: AccountId::new("MA_TEST"),
        call: CallId::random(),
        kind: FetchKind::Answer,
        url: url.to_owned(),
        method,
        params: vec![("From".into(), "91 98".to_owned()), ("Event".into(), "StartApp".to_owned())].into(),
    }
}

async fn fetch(url: &str, method: HttpMethod) -> Result<Fetched, FetchError> {
    fetcher(EgressPolicy::with_loopback()).fetch(wanted(url, method)).await
}

const XML: &[u8] = b"<Response/>";

#[tokio::test]
async fn a_post_is_form_encoded_signed_and_keeps_the_customers_query() {
    let mut tasks = JoinSet::new();
    let (customer, base) = Customer::start(&[(200, XML)], &mut tasks).await;
    let url = format!("{base}/answer?x=1#rc=0");
    let fetched = fetch(&url, HttpMethod::Post).await.unwrap();
    assert_eq!(fetched, Fetched { body: XML.to_vec(), url: format!("{base}/answer?x=1") });
    let seen = customer.seen.lock().unwrap();
    let seen = &seen[0];
    assert_eq!((seen.method.as_str(), seen.uri.as_str()), ("POST", "/answer?x=1"));
    assert_eq!(seen.body, "From=91+98&Event=StartApp");
    let header =
        |name: &str| seen.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    assert_eq!(header("user-agent"), "Vobiz");
    assert_eq!(header("accept"), "*/*");
    assert_eq!(header("accept-encoding"), "gzip");
    assert_eq!(header("content-type"), "application/x-www-form-urlencoded");
    assert!(verify_callback(&SecretString::from("token"), &url, &seen.headers));
}

#[tokio::test]
async fn a_get_merges_parameters_into_the_query_and_the_base_url_stays_as_written() {
    let mut tasks = JoinSet::new();
    let (customer, base) = Customer::start(&[(200, XML)], &mut tasks).await;
    let url = format!("{base}/answer?x=%20y");
    let fetched = fetch(&url, HttpMethod::Get).await.unwrap();
    assert_eq!(fetched.url, url);
    let seen = customer.seen.lock().unwrap();
    assert_eq!((seen[0].method.as_str(), seen[0].body.as_str()), ("GET", ""));
    assert_eq!(seen[0].uri, "/answer?x=%20y&From=91+98&Event=StartApp");
    assert!(!seen[0].headers.contains_key("content-type"));
    assert!(verify_callback(&SecretString::from("token"), &url, &seen[0].headers));
}

#[tokio::test]
async fn server_errors_are_tried_again_twice() {
    let mut tasks = JoinSet::new();
    let (customer, base) = Customer::start(&[(500, b""), (503, b""), (200, XML)], &mut tasks).await;
    assert!(fetch(&base, HttpMethod::Post).await.is_ok());
    assert_eq!(customer.tries(), 3);

    let (customer, base) = Customer::start(&[(502, b"")], &mut tasks).await;
    let error = fetch(&base, HttpMethod::Post).await.unwrap_err();
    assert_eq!(error.failure, FetchFailure::Status(502));
    assert_eq!(customer.tries(), 3);
}

#[tokio::test]
async fn other_statuses_fail_at_once() {
    let mut tasks = JoinSet::new();
    for status in [400, 403, 404, 304] {
        let (customer, base) = Customer::start(&[(status, b"")], &mut tasks).await;
        let error = fetch(&base, HttpMethod::Post).await.unwrap_err();
        assert_eq!(error.failure, FetchFailure::Status(status));
        assert_eq!(customer.tries(), 1);
    }
    let (customer, base) = Customer::start(&[(404, b""), (200, XML)], &mut tasks).await;
    assert!(fetch(&format!("{base}/#rp=4xx&rc=1"), HttpMethod::Post).await.is_ok());
    assert_eq!(customer.tries(), 2);
}

#[tokio::test]
async fn a_document_of_a_hundred_kibibytes_passes_and_one_byte_more_does_not() {
    let mut tasks = JoinSet::new();
    let exact = vec![b' '; DOCUMENT_BYTES_MAX];
    let (_, base) = Customer::start(&[(200, &exact)], &mut tasks).await;
    assert_eq!(fetch(&base, HttpMethod::Post).await.unwrap().body.len(), DOCUMENT_BYTES_MAX);
    let past = vec![b' '; DOCUMENT_BYTES_MAX + 1];
    let (customer, base) = Customer::start(&[(200, &past)], &mut tasks).await;
    assert_eq!(fetch(&base, HttpMethod::Post).await.unwrap_err().failure, FetchFailure::TooLarge);
    assert_eq!(customer.tries(), 1, "a longer document will not be shorter the next time");
}

#[tokio::test]
async fn after_a_redirect_the_base_url_is_where_the_document_was() {
    let mut tasks = JoinSet::new();
    let (_, base) = Customer::start(&[(200, XML)], &mut tasks).await;
    let fetched = fetch(&format!("{base}/moved"), HttpMethod::Post).await.unwrap();
    assert_eq!(fetched.url, format!("{base}/docs/answer.xml?v=2"));
}

#[tokio::test]
async fn a_server_that_hangs_is_given_up_on_within_the_tuned_times() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://127.0.0.1:{}/#tt=150&rc=1", listener.local_addr().unwrap().port());
    let started = tandem_model::clock::monotonic();
    let error = fetch(&url, HttpMethod::Post).await.unwrap_err();
    assert_eq!(error.failure, FetchFailure::TimedOut);
    let elapsed = started.elapsed();
    assert!(elapsed >= Duration::from_millis(500), "two tries and a pause: {elapsed:?}");
    assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
}

#[tokio::test]
async fn what_cannot_or_may_not_be_fetched_says_so() {
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap().port()
    };
    for (url, failure) in [
        (String::new(), FetchFailure::InvalidUrl),
        ("ftp://app.example/".to_owned(), FetchFailure::InvalidUrl),
        ("http://10.0.0.1/".to_owned(), FetchFailure::Refused),
        (format!("http://127.0.0.1:{closed}/#rc=0"), FetchFailure::Unreachable),
    ] {
        assert_eq!(fetch(&url, HttpMethod::Post).await.unwrap_err().failure, failure, "{url}");
    }
    let guarded = fetcher(EgressPolicy::public_only());
    let error =
        guarded.fetch(wanted(&format!("http://localhost:{closed}/"), HttpMethod::Get)).await.unwrap_err();
    assert_eq!(error.failure, FetchFailure::Refused);
}
