//! A customer's resources over HTTP: the router on a temporary SQLite store, on a node that runs no calls.

mod calls;
mod steering;
mod trunking;

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use serde_json::Value;
use tandem_model::clock;
use tandem_store::{BoxFuture, Command, Store, StoreError, Tx, WriterConfig};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::{AppState, Shared, router};
use crate::auth::Vault;
use crate::config::{Overrides, load};
use crate::directory::{Directory, OurHosts};
use crate::egress::EgressPolicy;
use crate::kyc::{Desk, DeskParts};

/// The secret of each account that tests open.
const TOKEN: &str = "tk_test";

struct House {
    state: AppState,
    router: axum::Router,
    _store: Store,
    _folder: tempfile::TempDir,
}

struct OpenAccount {
    id: &'static str,
    parent: Option<&'static str>,
    token_hash: String,
}

impl Command for OpenAccount {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const OPEN: &str =
            "insert into account (auth_id, numeric_id, api_id, kind, parent_id, name, country, currency,
            token_hash, cps_limit, concurrent_limit, created_at, updated_at)
          values ($1, $2, $1, $3, $4, $1, 'IN', 'INR', $5, 100, 100, 0, 0)";
        Box::pin(async move {
            let number = tx.next_number("account").await?;
            let kind = if self.parent.is_some() { "sub" } else { "master" };
            let params =
                [self.id.into(), number.into(), kind.into(), self.parent.into(), (&self.token_hash).into()];
            tx.execute(OPEN, &params).await?;
            Ok(())
        })
    }
}

/// An answer, read.
struct Answer {
    status: StatusCode,
    body: Value,
    text: String,
}

impl House {
    async fn open() -> Self {
        Self::open_with(Overrides::default()).await
    }

    async fn open_with(overrides: Overrides) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Arc::new(load(None, &overrides).unwrap().config);
        let payments = crate::billing::Payments::of(&config.payments, "http://api.example", None);
        let store = Store::open_sqlite(folder.path()).await.unwrap();
        let (writer, _feed) =
            store.start_writer(WriterConfig::for_node("node-1", clock::wall())).await.unwrap();
        let hosts = OurHosts {
            trunk_domain: config.sip.domain.clone(),
            registrar: config.sip.registrar.clone(),
            application_domain: config.sip.application_domain.clone(),
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
        let state = AppState::new(Shared {
            recordings: crate::recordings::Recordings::of(&config),
            api_url: "http://api.example".to_owned(),
            config,
            vault,
            reader: store.reader(),
            writer,
            payments: payments.unwrap(),
            kyc: kyc.unwrap(),
            directory: Directory::new(
                hosts,
                Arc::new(EgressPolicy::public_only()),
                crate::names::Names::literals_only(),
            ),
            live: None,
            timelines: None,
            nudge: Arc::new(Notify::new()),
        });
        let house = Self { router: router(state.clone()), state, _store: store, _folder: folder };
        for (id, parent) in [("MA_A", None), ("MA_B", None), ("SA_A", Some("MA_A"))] {
            let token_hash = house.state.vault.token_hash(&format!("{TOKEN}{id}"));
            house.state.writer.submit(OpenAccount { id, parent, token_hash }).await.unwrap();
        }
        house
    }

    /// A request of MA_A under its own path.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Answer {
        self.ask_as("MA_A", "", method, &format!("/api/v1/Account/MA_A/{path}"), body).await
    }

    async fn ask_as(&self, id: &str, fern: &str, method: Method, path: &str, body: Value) -> Answer {
        self.ask_with(id, &[("x-fern-language", fern)], method, path, body).await
    }

    async fn ask_with(
        &self,
        id: &str,
        headers: &[(&str, &str)],
        method: Method,
        path: &str,
        body: Value,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("x-auth-id", id)
            .header("x-auth-token", format!("{TOKEN}{id}"))
            .header("content-type", "application/json");
        for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        Answer { status, body: serde_json::from_str(&text).unwrap_or_default(), text }
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask(Method::GET, path, Value::Null).await
    }

    async fn post(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::POST, path, body).await
    }

    async fn put(&self, path: &str, body: Value) -> Answer {
        self.ask(Method::PUT, path, body).await
    }

    async fn delete(&self, path: &str) -> Answer {
        self.ask(Method::DELETE, path, Value::Null).await
    }
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

fn sorted(mut names: Vec<&'static str>) -> Vec<&'static str> {
    names.sort_unstable();
    names
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}
