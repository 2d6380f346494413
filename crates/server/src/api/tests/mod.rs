//! Handlers over a real store: requests in, status and JSON out. No node runs, so accounts and everything
//! else are read from the store.

mod access;
mod asked_recordings;
mod audit;
mod callback_events;
mod keys;
mod kyc;
mod money;
mod numbers;
mod operator;
mod passwords;
mod paying;
mod posts;
mod recordings;
mod sessions;
mod stumbles;

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tandem_model::clock;
use tandem_store::{BoxFuture, Command, EventFeed, Store, StoreError, Tx, Writer, WriterConfig};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::{AppState, Shared, router};
use crate::auth::Vault;
use crate::config::{Overrides, load};
use crate::directory::{Directory, OurHosts};
use crate::egress::EgressPolicy;
use crate::kyc::{Desk, DeskParts};
use crate::recordings::Recordings;

/// A store with the API and the operator's routes on it.
pub(crate) struct House {
    api: Router,
    page: Router,
    operator: Router,
    pub(crate) kyc: Desk,
    pub(crate) events: EventFeed,
    pub(super) writer: Writer,
    vault: Arc<Vault>,
    pub(crate) recordings: Recordings,
    store: Store,
    folder: tempfile::TempDir,
}

/// Any statement, as a command.
struct RunSql(&'static str);

impl Command for RunSql {
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        Box::pin(tx.execute(self.0, &[]))
    }
}

/// An answer, read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

/// Credentials.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) id: String,
    pub(crate) token: String,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::open_with(Overrides::default()).await
    }

    pub(crate) async fn open_with(overrides: Overrides) -> Self {
        Self::at(tempfile::tempdir().unwrap(), overrides).await
    }

    /// On the database of a folder.
    pub(crate) async fn at(folder: tempfile::TempDir, overrides: Overrides) -> Self {
        let overrides = overrides.set("node.data", folder.path().to_str().unwrap());
        let config = Arc::new(load(None, &overrides).unwrap().config);
        let store = Store::open_sqlite(folder.path()).await.unwrap();
        let (writer, events) =
            store.start_writer(WriterConfig::for_node("test", clock::wall())).await.unwrap();
        let hosts = OurHosts {
            trunk_domain: "sip.example".to_owned(),
            registrar: "registrar.example".to_owned(),
            application_domain: "app.example".to_owned(),
            addresses: HashSet::new(),
        };
        let vault = Arc::new(Vault::from_master(&[7; 32]));
        let kyc = Desk::new(DeskParts {
            config: config.clone(),
            vault: vault.clone(),
            reader: store.reader(),
            writer: writer.clone(),
            scrubber: store.scrubber(),
            api_url: "http://api.example".to_owned(),
            egress: None,
        });
        let kyc = kyc.unwrap();
        let payments = crate::billing::Payments::of(&config.payments, "http://api.example", None).unwrap();
        let recordings = Recordings::of(&config);
        let state = AppState::new(Shared {
            recordings: recordings.clone(),
            api_url: "http://api.example".to_owned(),
            config,
            vault: vault.clone(),
            reader: store.reader(),
            writer: writer.clone(),
            kyc: kyc.clone(),
            payments,
            directory: Directory::new(
                hosts,
                Arc::new(EgressPolicy { allow: Vec::new() }),
                crate::names::Names::literals_only(),
            ),
            live: None,
            timelines: None,
            nudge: Arc::new(Notify::new()),
        });
        Self {
            page: crate::reset_page::router(state.clone(), Router::new()),
            api: router(state.clone()),
            operator: crate::operator::router(state),
            kyc,
            events,
            writer,
            vault,
            recordings,
            store,
            folder,
        }
    }

    /// What is kept of a body beside its key.
    pub(super) fn fingerprint(&self, body: &Value) -> String {
        self.vault.token_hash(&hex::encode(Sha256::digest(body.to_string())))
    }

    /// An answer as it is kept.
    pub(super) fn sealed_answer(&self, body: &Value) -> Vec<u8> {
        self.vault.seal(crate::auth::context::REPLAY, &body.to_string())
    }

    /// Where its database is.
    pub(crate) fn database(&self) -> std::path::PathBuf {
        self.folder.path().join("tandem.db")
    }

    /// Runs a command that no request makes.
    pub(crate) async fn submit<C: Command>(&self, command: C) -> C::Output {
        self.writer.submit(command).await.unwrap()
    }

    /// A request whose body may be anything; the answer's body as it came.
    pub(crate) async fn bytes(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> (u16, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.api.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A statement that no request makes.
    pub(crate) async fn run_sql(&self, sql: &str) {
        self.writer.submit(RunSql(sql.to_owned().leak())).await.unwrap();
    }

    async fn send(router: &Router, request: Request<Body>) -> Answer {
        let response = router.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap() };
        Answer { status, headers, body }
    }

    /// A request with headers of the test's own.
    pub(crate) async fn raw(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Self::send(&self.api, request.body(Body::from(body.to_owned())).unwrap()).await
    }

    /// A request to the page of a password link: its status and its text.
    pub(super) async fn reset_page(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = Request::builder().method(method).uri(path).body(Body::from(body.to_owned())).unwrap();
        let response = self.page.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    /// A request as somebody, below `/api/v1`.
    pub(crate) async fn ask(&self, method: &str, path: &str, who: &Login, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let headers = [("x-auth-id", who.id.as_str()), ("x-auth-token", who.token.as_str())];
        self.raw(method, &format!("/api/v1{path}"), &headers, &body).await
    }

    /// The same with an `Idempotency-Key`.
    pub(crate) async fn ask_keyed(&self, key: &str, path: &str, who: &Login, body: Value) -> Answer {
        let headers =
            [("x-auth-id", who.id.as_str()), ("x-auth-token", who.token.as_str()), ("idempotency-key", key)];
        self.raw("POST", &format!("/api/v1{path}"), &headers, &body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str, who: &Login) -> Answer {
        self.ask("GET", path, who, Value::Null).await
    }

    /// The text that somebody reads, below `/api/v1`.
    pub(crate) async fn text(&self, path: &str, who: &Login) -> String {
        let request = Request::builder()
            .uri(format!("/api/v1{path}"))
            .header("x-auth-id", &who.id)
            .header("x-auth-token", &who.token);
        let response = self.api.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.status().as_u16(), 200, "{path}");
        String::from_utf8(response.into_body().collect().await.unwrap().to_bytes().to_vec()).unwrap()
    }

    /// A request of the operator.
    pub(crate) async fn admin(&self, method: &str, path: &str, body: Value) -> Answer {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).body(Body::from(body)).unwrap();
        Self::send(&self.operator, request).await
    }

    /// The same with an `Idempotency-Key`.
    pub(super) async fn admin_keyed(&self, key: &str, path: &str, body: Value) -> Answer {
        let request = Request::builder().method("POST").uri(path).header("idempotency-key", key);
        Self::send(&self.operator, request.body(Body::from(body.to_string())).unwrap()).await
    }

    /// A partner with 1,000 INR.
    pub(crate) async fn partner(&self, email: &str) -> Login {
        let made = self
            .admin(
                "POST",
                "/admin/partners",
                json!({"name": "Acme", "email": email, "currency": "INR", "balance": "1000"}),
            )
            .await;
        assert_eq!(made.status, 201, "{}", made.body);
        login(&made.body)
    }

    /// A customer of a partner, with so many rupees.
    pub(crate) async fn customer(&self, partner: &Login, email: &str, rupees: i64) -> Login {
        let made = self.ask("POST", "/partner/accounts", partner, new_customer(email)).await;
        assert_eq!(made.status, 201, "{}", made.body);
        let customer = login(&made.body);
        if rupees > 0 {
            let path = format!("/partner/accounts/{}/transfer-balance", customer.id);
            let moved = self.ask("POST", &path, partner, json!({"amount": rupees, "currency": "INR"})).await;
            assert_eq!(moved.status, 200, "{}", moved.body);
        }
        customer
    }

    /// Every sum adds up.
    pub(crate) async fn assert_clean(&self) {
        let report = self.admin("GET", "/admin/ledger/verify", Value::Null).await.body;
        assert_eq!(report["ok"], true, "{report}");
    }
}

pub(crate) fn login(body: &Value) -> Login {
    let text = |name: &str| body[name].as_str().unwrap().to_owned();
    Login { id: text("auth_id"), token: text("auth_token") }
}

pub(crate) fn new_customer(email: &str) -> Value {
    json!({"name": "Anita Rao", "email": email, "phone": "+919800000001", "password": "Change-me-1", "country": "IN"})
}

/// The keys of an object.
pub(crate) fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Asserts exactly these keys, separated by spaces: strict clients refuse one more or one less.
pub(crate) fn assert_keys(value: &Value, expected: &str) {
    assert_eq!(keys(value), expected.split_whitespace().collect::<BTreeSet<_>>());
}
