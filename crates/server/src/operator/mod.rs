//! The operator's own requests: partners, money, carriers, rates, inventory, countries, the ledger's proof,
//! dead letters, bans. Served on `DATA/admin.sock` only, whose permissions are its door; `tandem admin` speaks it,
//! and performs it on the files when no node runs. Unknown fields are refused: these routes are ours.

mod accounts;
mod carriers;
mod countries;
mod dead_letters;
mod deck_csv;
mod deck_diff;
mod decks;
mod edge;
mod inventory;
mod keyed;
mod kyc;
mod ledger;
mod ndnc;
mod numbers;
mod partners;
mod status;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, header};
use axum::middleware;
use http_body_util::BodyExt as _;
use serde_json::Value;
use tandem_model::clock;
use tandem_store::audit::Actor;
use tandem_store::{Command, WriterConfig};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use crate::api::{ApiError, AppState, Canonical, RequestId, RequestLimits, Shared, enclosed};
use crate::auth::Vault;
use crate::billing::Payments;
use crate::config::Loaded;
use crate::directory::{Directory, OurHosts};
use crate::egress::EgressPolicy;
use crate::kyc::{Desk, DeskParts};
use crate::names::Names;
use crate::node::{StartError, open_store, prepare_data};
use crate::recordings::Recordings;

/// A deck of some hundred thousand prefixes is some megabytes.
const BODY_MAX: usize = 64 * 1024 * 1024;
/// Importing such a deck takes a while.
const TIMEOUT: Duration = Duration::from_mins(5);

pub(crate) use status::metrics_routes;

/// The operator's routes.
pub(crate) fn router(state: AppState) -> Router {
    let routes = Router::new()
        .merge(partners::routes())
        .merge(accounts::routes())
        .merge(carriers::routes())
        .merge(decks::routes())
        .merge(inventory::routes())
        .merge(numbers::routes())
        .merge(ndnc::routes())
        .merge(countries::routes())
        .merge(ledger::routes())
        .merge(dead_letters::routes())
        .merge(status::routes())
        .merge(edge::routes())
        .merge(kyc::routes())
        .layer(middleware::from_fn_with_state(state.clone(), keyed::keyed))
        .with_state(state);
    enclosed(routes, Canonical::default(), RequestLimits { timeout: TIMEOUT, body_bytes: BODY_MAX })
}

/// Performs one request on the files of a node that does not run: the data folder's lock is held for it,
/// so a node that starts meanwhile is refused. Answers status and body as the socket would.
pub async fn offline(
    loaded: &Loaded,
    method: &str,
    path: &str,
    body: Option<&Value>,
) -> Result<(u16, Value), StartError> {
    let config = Arc::new(loaded.config.clone());
    prepare_data(&config)?;
    let vault = Arc::new(Vault::open(&config.node.data.join("master.key"))?);
    let store = open_store(&config).await?;
    let (writer, _events) = store.start_writer(WriterConfig::unfenced(clock::wall())).await?;
    let policy = Arc::new(EgressPolicy { allow: config.webhooks.allow_private.clone() });
    let kyc = Desk::new(DeskParts {
        config: config.clone(),
        vault: vault.clone(),
        reader: store.reader(),
        writer: writer.clone(),
        scrubber: store.scrubber(),
        api_url: config.api.public_url.clone(),
        egress: None,
    });
    let payments = Payments::of(&config.payments, &config.api.public_url, None);
    let state = AppState::new(Shared {
        payments: payments.map_err(StartError::Configuration)?,
        kyc: kyc.map_err(StartError::Configuration)?,
        directory: Directory::new(no_hosts(), policy, Names::literals_only()),
        reader: store.reader(),
        writer: writer.clone(),
        recordings: Recordings::of(&config),
        api_url: config.api.public_url.clone(),
        live: None,
        timelines: None,
        nudge: Arc::new(Notify::new()),
        config,
        vault,
    });
    let refused = |error: http::Error| StartError::Configuration(format!("operator request {path}: {error}"));
    let content = body.map(Value::to_string).unwrap_or_default();
    let request =
        Request::builder().method(method).uri(path).header(header::CONTENT_TYPE, "application/json");
    let request = request.body(Body::from(content)).map_err(refused)?;
    let response = match router(state).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    writer.shutdown().await;
    Ok((status, serde_json::from_slice(&bytes).unwrap_or(Value::Null)))
}

/// Nobody is located by a directory that no socket asks.
fn no_hosts() -> OurHosts {
    OurHosts {
        trunk_domain: String::new(),
        registrar: String::new(),
        application_domain: String::new(),
        addresses: HashSet::new(),
    }
}

/// Who the audit names for requests of this socket.
fn operator(id: &RequestId) -> Actor {
    Actor { name: "admin".to_owned(), request_id: Some(id.text.clone()), source_ip: None }
}

/// Runs a command and wakes the directory.
async fn commit<C: Command>(state: &AppState, command: C) -> Result<C::Output, ApiError> {
    let output = state.writer.submit(command).await?;
    state.settled().await;
    Ok(output)
}
