//! `/admin/ndnc`: complaints about unwanted calls that the regulator passed on, and where accounts are told of them.

use axum::extract::{Path, State};
use axum::routing::{get, put};
use axum::{Json, Router};
use jiff::civil::Date;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, ErrorCode, EventId, clock};
use tandem_store::ndnc::{Complaint, ComplaintOutcome, PutNdncWebhook, RecordComplaint};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks};
use crate::auth::context;
use crate::egress::EgressTarget;
use crate::webhooks::endpoint_key;

/// Longest reference, and description.
const URN_MAX: usize = 100;
const DESCRIPTION_MAX: usize = 1_000;
/// Listed at most.
const LISTED_MAX: u32 = 500;
/// A secret that can be guessed proves nothing.
const SECRET: std::ops::RangeInclusive<usize> = 16..=256;

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/admin/ndnc", get(list).post(record)).route("/admin/ndnc/{account}", put(webhook))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Webhook {
    url: Option<String>,
    #[serde(default)]
    secret: String,
}

/// Says where an account is told; without a URL it is not told any more.
async fn webhook(
    State(state): State<AppState>,
    Path(account): Path<String>,
    request: RequestId,
    body: Payload<Webhook>,
) -> Result<Json<Value>, ApiError> {
    let account = AccountId::new(&account);
    let webhook = match body.value.url.filter(|url| !url.is_empty()) {
        None => None,
        Some(url) => {
            if !SECRET.contains(&body.value.secret.len()) {
                return Err(ApiError::field("secret", "is 16 to 256 characters"));
            }
            EgressTarget::parse(&url).map_err(|_| ApiError::field("url", "is an http or https URL"))?;
            let sealed = state.vault.seal(context::NDNC_SECRET, &body.value.secret);
            let endpoint = endpoint_key(&url);
            Some((url, endpoint, sealed))
        }
    };
    let url = webhook.as_ref().map(|(url, ..)| url.clone());
    let command =
        PutNdncWebhook { account: account.clone(), webhook, actor: operator(&request), at: clock::wall() };
    if !commit(&state, command).await? {
        return Err(ApiError::not_found(format!("There is no account {account}")));
    }
    Ok(Json(json!({ "account_id": account, "url": url })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct NewComplaint {
    urn: String,
    number: String,
    complainant: String,
    #[serde(default)]
    date: Option<String>,
    #[serde(default)]
    description: Option<String>,
}

/// Writes a complaint down and tells the number's account, once for each reference.
async fn record(
    State(state): State<AppState>,
    request: RequestId,
    body: Payload<NewComplaint>,
) -> Result<Json<Value>, ApiError> {
    let (body, at) = (body.value, clock::wall());
    let date = match body.date.as_deref() {
        None => at.strftime("%Y-%m-%d").to_string(),
        Some(text) => {
            let date: Date = checks::parsed("date", text, "is a date such as 2026-01-31")?;
            date.to_string()
        }
    };
    let complaint = Complaint {
        urn: checks::text("urn", Some(&body.urn), URN_MAX)?,
        number: checks::number("number", &body.number)?,
        complainant: checks::number("complainant", &body.complainant)?,
        date,
        description: checks::optional_text("description", body.description.as_deref(), DESCRIPTION_MAX)?,
    };
    let (urn, number) = (complaint.urn.clone(), complaint.number);
    let command = RecordComplaint { complaint, event: EventId::random(), actor: operator(&request), at };
    match commit(&state, command).await? {
        ComplaintOutcome::Recorded { account, told } => {
            Ok(Json(json!({ "urn": urn, "account_id": account, "told": told, "repeated": false })))
        }
        ComplaintOutcome::Known => Ok(Json(json!({ "urn": urn, "repeated": true }))),
        ComplaintOutcome::NobodysNumber => {
            Err(ApiError::because(ErrorCode::NotFound, format!("Nobody has the number {number}")))
        }
    }
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let complaints = state.reader.ndnc_complaints(LISTED_MAX).await?;
    let complaints: Vec<Value> = complaints
        .into_iter()
        .map(|row| {
            json!({
                "urn": row.complaint.urn, "number": row.complaint.number, "account_id": row.account,
                "complainant": row.complaint.complainant, "date": row.complaint.date,
                "description": row.complaint.description, "event_id": row.event, "created_at": row.at,
            })
        })
        .collect();
    Ok(Json(json!({ "complaints": complaints })))
}
