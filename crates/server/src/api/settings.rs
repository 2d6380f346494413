//! What an account sets for itself (ours; the original keeps it in its console), and the older account routes that
//! clients still call (REST reference §2.7, §2.8).

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{HttpMethod, clock};
use tandem_store::money::TransactionFilter;
use tandem_store::resources::account::{ChangeProfile, ChangeSettings, Settings};

use super::account::{account_type, in_full, profile_of, profile_text};
use super::callable;
use super::callback_events;
use super::json::{instant, money_text};
use super::lenient::{Fields, Given};
use super::{ApiError, AppState, Payload, Posted, Query, Reply, RequestId, Routes, revision};
use crate::auth::Scoped;

/// Longest name or line of an address.
const TEXT_MAX: usize = 200;
/// Rows of a page of the older transaction list.
const ROWS: u32 = 50;
/// What of an older update goes into the profile.
const PROFILE: [&str; 4] = ["address", "city", "state", "zip_code"];

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}", get(older).post(older_update))
        .route("/Account/{auth_id}/Transaction", get(older_transactions))
        .route("/Account/{auth_id}/settings", get(read).patch(change))
}

async fn found(state: &AppState, scope: &Scoped) -> Result<Settings, ApiError> {
    let settings = state.reader.settings(scope.id()).await?;
    settings.ok_or_else(|| ApiError::not_found("The account is gone"))
}

fn view(scope: &Scoped, settings: &Settings) -> Value {
    json!({
        "account_id": scope.id(),
        "default_callback_url": settings.default_callback_url,
        "default_callback_method": settings.default_callback_method,
        "default_callback_events": settings.default_callback_events.names(),
        "updated_at": instant(settings.updated_at),
    })
}

/// `GET …/settings`.
async fn read(State(state): State<AppState>, scope: Scoped) -> Result<Json<Value>, ApiError> {
    Ok(Json(view(&scope, &found(&state, &scope).await?)))
}

/// `PATCH …/settings`: what is not sent stays; null takes the callback away. From then on events of calls that no
/// more specific URL takes go there: those of trunks without a webhook, and of calls without an
/// application; of these only the ones in the list of events, if it has any.
async fn change(
    State(state): State<AppState>,
    scope: Scoped,
    Payload { value: mut fields, .. }: Payload<Fields>,
) -> Result<Json<Value>, ApiError> {
    const KNOWN: [&str; 3] = ["default_callback_url", "default_callback_method", "default_callback_events"];
    if let Some(unknown) = fields.names().find(|name| !KNOWN.contains(name)) {
        return Err(ApiError::field(unknown, "is not a setting"));
    }
    let url = fields.url(&["default_callback_url"]);
    let method = fields.method(&["default_callback_method"]);
    let default_callback_events = callback_events::events(&mut fields, "default_callback_events").value();
    let default_callback_url = match url {
        Given::Absent => None,
        Given::Null => Some(None),
        Given::Value(url) => Some(Some(url)),
    };
    let url = default_callback_url.as_ref().and_then(Option::as_deref);
    callable::refuse_inside(&state, &mut fields, &["default_callback_url"], url).await;
    fields.check()?;
    let default_callback_method = match method {
        Given::Absent => None,
        Given::Null => Some(HttpMethod::Post.as_str().to_owned()),
        Given::Value(method) => Some(method.as_str().to_owned()),
    };
    let changed = [
        ("default_callback_url", default_callback_url.is_some()),
        ("default_callback_method", default_callback_method.is_some()),
        ("default_callback_events", default_callback_events.is_some()),
    ];
    let fields: Vec<_> = changed.into_iter().filter_map(|(name, given)| given.then_some(name)).collect();
    if !fields.is_empty() {
        let command = ChangeSettings {
            account: scope.id().clone(),
            default_callback_url,
            default_callback_method,
            default_callback_events,
            fields,
            actor: scope.caller.actor.clone(),
            at: clock::wall(),
        };
        state.writer.submit(command).await?;
        state.settled().await;
    }
    Ok(Json(view(&scope, &found(&state, &scope).await?)))
}

/// `GET /Account/{auth_id}/`: the account in Plivo's shape.
async fn older(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
) -> Result<Json<Value>, ApiError> {
    let account = in_full(&state, scope.id()).await?;
    let payer = in_full(&state, scope.payer()).await?;
    let profile = profile_of(&account);
    let text = |name: &str| profile_text(&profile, name);
    Ok(Json(json!({
        "api_id": request.api_id,
        "auth_id": account.id,
        "account_type": account_type(&profile),
        "billing_mode": if payer.postpaid { "postpaid" } else { "prepaid" },
        "timezone": account.timezone,
        "cash_credits": money_text(payer.balance),
        "auto_recharge": false,
        "resource_uri": format!("/v1/Account/{}/", account.id),
        "name": account.name,
        "address": text("address"),
        "city": text("city"),
        "state": text("state"),
    })))
}

/// `POST /Account/{auth_id}/`: name and address.
async fn older_update(
    State(state): State<AppState>,
    scope: Scoped,
    request: RequestId,
    Posted { value: mut sent, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let name = match sent.text(&["name"], TEXT_MAX) {
        Given::Value(name) if !name.trim().is_empty() => Some(name.trim().to_owned()),
        Given::Absent => None,
        _ => {
            sent.refuse("name", "Must not be empty");
            None
        }
    };
    let parts: Vec<_> = PROFILE.iter().map(|field| (*field, sent.text(&[field], TEXT_MAX))).collect();
    sent.check()?;
    for _ in 0..revision::ATTEMPTS {
        let account = in_full(&state, scope.id()).await?;
        let mut profile = profile_of(&account);
        let mut fields: Vec<&'static str> = name.iter().map(|_| "name").collect();
        for (field, given) in &parts {
            match given {
                Given::Absent => continue,
                Given::Null => drop(profile.remove(*field)),
                Given::Value(text) => drop(profile.insert((*field).to_owned(), text.trim().into())),
            }
            fields.push(*field);
        }
        let command = ChangeProfile {
            account: account.id,
            name: name.clone(),
            read: account.profile,
            profile: Value::Object(profile).to_string(),
            fields,
            actor: scope.caller.actor.clone(),
            at: clock::wall(),
        };
        let api_id = request.api_id;
        let answer = move |changed: &bool| match changed {
            true => Ok(Reply::ok(json!({ "api_id": api_id, "message": "changed" }))),
            false => Err(revision::stale()),
        };
        match effect.run(scope.id(), command, answer).await {
            Err(error) if revision::is_stale(&error) => {}
            answer => return answer,
        }
    }
    Err(revision::stale())
}

#[derive(Debug, Deserialize)]
struct Cursor {
    cursor: Option<String>,
}

/// `GET …/Transaction/?cursor=`: the ledger as older clients page it; amounts are signed.
async fn older_transactions(
    State(state): State<AppState>,
    scope: Scoped,
    Query(query): Query<Cursor>,
) -> Result<Json<Value>, ApiError> {
    let offset: u32 = match query.cursor.as_deref() {
        None | Some("") => 0,
        Some(text) => {
            text.parse().map_err(|_| ApiError::field("cursor", "is the meta.next of another page"))?
        }
    };
    let found = state
        .reader
        .transactions(scope.payer(), &TransactionFilter::default(), u64::from(offset), ROWS)
        .await?;
    let after = u64::from(offset) + u64::from(ROWS);
    let next = if after < found.total { after.to_string() } else { String::new() };
    let objects: Vec<Value> = found
        .lines
        .iter()
        .map(|line| {
            json!({
                "id": line.id, "amount": money_text(line.amount), "description": line.description,
                "created_at": instant(line.created_at),
            })
        })
        .collect();
    Ok(Json(json!({ "objects": objects, "meta": { "next": next } })))
}
