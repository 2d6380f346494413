//! `/admin/carriers`: interconnects, by name.

use std::net::{IpAddr, SocketAddr};

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::ports::Transport;
use tandem_model::{CarrierId, ErrorCode, Ids, clock};
use tandem_store::directory::CarrierRow;
use tandem_store::resources::carrier::{PutCarrier, PutMode, RemoveCarrier};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks};
use crate::auth::context;
use crate::directory::CarrierOptions;
use crate::directory::carrier_option;
use crate::directory::stored_transport;
use crate::names::{Place, Target};
use crate::registered_at::words;

/// Longest name or host.
const TEXT_MAX: usize = 253;
/// How calls may go there; `any` as the DNS records of its host say (RFC 3263).
const TRANSPORTS: [&str; 4] = ["udp", "tcp", "tls", "any"];
/// How numbers may be written.
const FORMATS: [&str; 3] = ["e164-plus", "e164", "national"];
/// Prefixes or sources of one carrier.
const LIST_MAX: usize = 1000;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/carriers", get(list).post(create))
        .route("/admin/carriers/{name}", get(read).put(update).delete(remove))
}

/// Every field may be left out of a change. Without `sources`, calls come from `host` (from `host:port`
/// when that is this machine).
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct CarrierFields {
    name: Option<String>,
    host: Option<String>,
    /// 0 where its SRV records or, without, its transport say.
    port: Option<u16>,
    transport: Option<String>,
    prefixes: Option<Vec<String>>,
    priority: Option<i64>,
    weight: Option<i64>,
    cps_limit: Option<u32>,
    concurrent_limit: Option<u32>,
    number_format: Option<String>,
    /// How it wants caller ids; as `number_format` when empty.
    caller_format: Option<String>,
    /// SIP statuses after which the next carrier is tried; an empty list for the usual ones.
    failover: Option<Vec<u16>>,
    username: Option<String>,
    password: Option<String>,
    realm: Option<String>,
    sources: Option<Vec<String>>,
    register: Option<bool>,
    enabled: Option<bool>,
}

impl CarrierFields {
    /// Puts what is given into `row`.
    fn apply(self, row: &mut CarrierRow, state: &AppState) -> Result<(), ApiError> {
        if let Some(name) = self.name {
            row.name = checks::text("name", Some(&name), TEXT_MAX)?;
        }
        if let Some(host) = self.host {
            row.host = checks::text("host", Some(&host), TEXT_MAX)?;
        }
        if let Some(word) = self.transport {
            row.transport = one_of("transport", word, &TRANSPORTS)?;
            let engine = state.live.as_ref().map(|live| &live.engine);
            let is_off = |address: Option<SocketAddr>| engine.is_some() && address.is_none();
            if row.transport == "tcp" && is_off(engine.and_then(|engine| engine.tcp_addr())) {
                return Err(ApiError::field(
                    "transport",
                    "is tcp, which this node has off: clear sip.tcp_listen",
                ));
            }
            if row.transport == "tls" && is_off(engine.and_then(|engine| engine.tls_addr())) {
                return Err(ApiError::field(
                    "transport",
                    "is tls, which this node has off: set sip.tls_certificate and sip.tls_key",
                ));
            }
        }
        if let Some(word) = self.number_format {
            row.number_format = one_of("number_format", word, &FORMATS)?;
        }
        if let Some(prefixes) = self.prefixes {
            row.prefixes = prefixes.iter().map(|prefix| digits(prefix)).collect::<Result<_, _>>()?;
        }
        if let Some(sources) = self.sources {
            row.source_addresses = sources.into_iter().map(address).collect::<Result<_, _>>()?;
        }
        if row.prefixes.len() > LIST_MAX || row.source_addresses.len() > LIST_MAX {
            return Err(ApiError::field("prefixes", &format!("and sources are at most {LIST_MAX} each")));
        }
        let or_none = |text: String| Some(text).filter(|text| !text.is_empty());
        if let Some(username) = self.username {
            row.auth_username = or_none(username);
        }
        if let Some(realm) = self.realm {
            row.auth_realm = or_none(realm);
        }
        if let Some(password) = self.password {
            row.auth_password_sealed =
                or_none(password).map(|password| state.vault.seal(context::CARRIER_PASSWORD, &password));
        }
        row.port = self.port.map_or(row.port, u64::from);
        row.priority = self.priority.unwrap_or(row.priority);
        row.weight = self.weight.unwrap_or(row.weight).max(1);
        row.cps_limit = self.cps_limit.map_or(row.cps_limit, u64::from);
        row.concurrent_limit = self.concurrent_limit.map_or(row.concurrent_limit, u64::from);
        let mut options = CarrierOptions::read(&row.options);
        if let Some(word) = self.caller_format {
            let word = (!word.is_empty()).then(|| one_of("caller_format", word, &FORMATS)).transpose()?;
            options.caller_format = word;
        }
        if let Some(statuses) = self.failover {
            options.failover = (!statuses.is_empty()).then(|| failover(statuses)).transpose()?;
        }
        row.options = options.write();
        if let Some(on) = self.register {
            let mut options: serde_json::Map<String, Value> =
                serde_json::from_str(&row.options).unwrap_or_default();
            options.insert("register".to_owned(), json!(on));
            row.options = Value::Object(options).to_string();
        }
        if carrier_option(&row.options, "register")
            && (row.auth_username.is_none() || row.auth_password_sealed.is_none())
        {
            return Err(ApiError::field("register", "needs a username and a password"));
        }
        row.enabled = self.enabled.unwrap_or(row.enabled);
        Ok(())
    }
}

fn one_of(name: &str, word: String, words: &[&str]) -> Result<String, ApiError> {
    if words.contains(&word.as_str()) {
        Ok(word)
    } else {
        Err(ApiError::field(name, &format!("is one of {}", words.join(", "))))
    }
}

/// Final failures; a 3xx is never followed, and 401 and 407 are answered, not walked away from.
fn failover(mut statuses: Vec<u16>) -> Result<Vec<u16>, ApiError> {
    statuses.sort_unstable();
    statuses.dedup();
    if statuses.iter().all(|status| (400..700).contains(status) && !matches!(status, 401 | 407)) {
        Ok(statuses)
    } else {
        Err(ApiError::field("failover", "are SIP statuses from 400 to 699, without 401 and 407"))
    }
}

fn digits(prefix: &str) -> Result<String, ApiError> {
    let digits = prefix.trim().trim_start_matches('+');
    if (1..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(digits.to_owned())
    } else {
        Err(ApiError::field("prefixes", "are leading digits of numbers with country code, such as 91"))
    }
}

fn address(text: String) -> Result<String, ApiError> {
    if text.parse::<IpAddr>().is_ok() || text.parse::<SocketAddr>().is_ok() {
        Ok(text)
    } else {
        Err(ApiError::field("sources", "are addresses, such as 203.0.113.5 or 203.0.113.5:5060"))
    }
}

fn view(row: &CarrierRow) -> Value {
    let options = CarrierOptions::read(&row.options);
    json!({
        "caller_format": options.caller_format.as_deref().unwrap_or(&row.number_format),
        "failover": options.failover().statuses(),
        "carrier_id": row.id, "name": row.name, "host": row.host, "port": port(row), "transport": row.transport,
        "prefixes": row.prefixes, "priority": row.priority, "weight": row.weight, "cps_limit": row.cps_limit,
        "concurrent_limit": row.concurrent_limit, "number_format": row.number_format,
        "username": row.auth_username, "has_password": row.auth_password_sealed.is_some(),
        "realm": row.auth_realm, "sources": row.source_addresses, "enabled": row.enabled,
        "register": carrier_option(&row.options, "register"),
    })
}

/// The port as it is given, or as it follows from an address and a transport; SRV records say the rest.
fn port(row: &CarrierRow) -> Option<u16> {
    let given = u16::try_from(row.port).ok().filter(|port| *port != 0);
    let transport = stored_transport(&row.transport);
    given.or_else(|| Some(Place::new(&row.host, 0, transport).literal()?.0.port()))
}

/// The same with what a running node knows: whether the gateway is down, and how far our registration there has come.
fn live_view(state: &AppState, row: &CarrierRow) -> Value {
    let mut shown = view(row);
    if let Some(live) = &state.live {
        let carriers = state.directory.carriers();
        let targets = carriers
            .iter()
            .find(|carrier| carrier.id == row.id)
            .map(|carrier| state.directory.stable_targets(&carrier.place))
            .unwrap_or_default();
        let is_down = |target: &Target| state.directory.is_down(target.address);
        shown["down"] = json!(!targets.is_empty() && targets.iter().all(is_down));
        shown["addresses"] = targets
            .iter()
            .map(|target| {
                json!({"address": target.address, "transport": transport(target.transport), "down": is_down(target)})
            })
            .collect();
        shown["registration"] = json!(words(&live.engine.registrations(), row.id));
    }
    shown
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "udp",
        Transport::Tcp => "tcp",
        Transport::Tls => "tls",
    }
}

fn nobody(name: &str) -> ApiError {
    ApiError::not_found(format!("There is no carrier {name}"))
}

fn name_taken() -> ApiError {
    ApiError::because(ErrorCode::Conflict, "A carrier of this name exists; update it or choose another name")
}

async fn create(
    State(state): State<AppState>,
    request: RequestId,
    body: Payload<CarrierFields>,
) -> Result<(StatusCode, Json<Value>), ApiError> {
    let fields = body.value;
    if fields.name.is_none() {
        return Err(ApiError::field("name", "is required"));
    }
    if fields.host.is_none() {
        return Err(ApiError::field("host", "is required"));
    }
    let mut row = CarrierRow {
        id: CarrierId(Ids::random()),
        name: String::new(),
        host: String::new(),
        port: 0,
        transport: "udp".to_owned(),
        priority: 1,
        weight: 10,
        cps_limit: 0,
        concurrent_limit: 0,
        prefixes: Vec::new(),
        number_format: "e164-plus".to_owned(),
        auth_username: None,
        auth_password_sealed: None,
        auth_realm: None,
        source_addresses: Vec::new(),
        options: "{}".to_owned(),
        deck_id: None,
        enabled: true,
    };
    fields.apply(&mut row, &state)?;
    let shown = view(&row);
    let command =
        PutCarrier { carrier: row, mode: PutMode::Create, actor: operator(&request), at: clock::wall() };
    if commit(&state, command).await? { Ok((StatusCode::CREATED, Json(shown))) } else { Err(name_taken()) }
}

/// Changes what is given.
async fn update(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: RequestId,
    body: Payload<CarrierFields>,
) -> Result<Json<Value>, ApiError> {
    let mut row = state.reader.carrier_named(&name).await?.ok_or_else(|| nobody(&name))?;
    let fields = body.value;
    if let Some(new) = fields.name.as_deref().filter(|new| *new != name)
        && state.reader.carrier_named(new).await?.is_some()
    {
        return Err(name_taken());
    }
    fields.apply(&mut row, &state)?;
    let shown = view(&row);
    let command =
        PutCarrier { carrier: row, mode: PutMode::Replace, actor: operator(&request), at: clock::wall() };
    if commit(&state, command).await? { Ok(Json(shown)) } else { Err(nobody(&name)) }
}

async fn read(State(state): State<AppState>, Path(name): Path<String>) -> Result<Json<Value>, ApiError> {
    let row = state.reader.carrier_named(&name).await?.ok_or_else(|| nobody(&name))?;
    Ok(Json(live_view(&state, &row)))
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let mut rows = state.reader.directory_carriers().await?;
    rows.sort_by(|a, b| (a.priority, &a.name).cmp(&(b.priority, &b.name)));
    Ok(Json(json!({ "carriers": rows.iter().map(|row| live_view(&state, row)).collect::<Vec<_>>() })))
}

async fn remove(
    State(state): State<AppState>,
    Path(name): Path<String>,
    request: RequestId,
) -> Result<StatusCode, ApiError> {
    let command = RemoveCarrier { name: name.clone(), actor: operator(&request), at: clock::wall() };
    if commit(&state, command).await? { Ok(StatusCode::NO_CONTENT) } else { Err(nobody(&name)) }
}
