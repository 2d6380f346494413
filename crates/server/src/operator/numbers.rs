//! `/admin/numbers/{e164}`: what a number is, and what only the operator does with it: gives it to who is entitled to its
//! series, blocks it, takes it from a sub-account before its time.

use axum::extract::{Path, State};
use axum::routing::{delete, get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, E164, ErrorCode, Ids, clock, month_end_after};
use tandem_store::resources::number::{
    AssignSubAccount, AssignSubOutcome, BuyNumber, BuyOutcome, Number, Seller, UpdateNumber,
};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks};

/// Longest shortest rental.
const MONTHS_MAX: u32 = 120;
/// Tags of a number, and characters of one.
const TAGS_MAX: usize = 20;
const TAG_MAX: usize = 60;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/numbers/{e164}", get(read).put(update))
        .route("/admin/numbers/{e164}/give", post(give))
        .route("/admin/numbers/{e164}/sub-account", delete(unassign))
}

fn nobody(e164: E164) -> ApiError {
    ApiError::not_found(format!("There is no number {e164}"))
}

async fn found(state: &AppState, e164: &str) -> Result<Number, ApiError> {
    let e164 = checks::number("number", e164)?;
    state.reader.number(e164).await?.ok_or_else(|| nobody(e164))
}

fn view(number: &Number) -> Json<Value> {
    Json(json!({
        "e164": number.e164, "country": number.country, "series": number.series.as_str(), "status": number.status,
        "account_id": number.account, "sub_account_id": number.sub_account, "application_id": number.application,
        "trunk_id": number.trunk, "setup_fee": number.setup_fee.to_fixed(2),
        "monthly_fee": number.monthly_fee.to_fixed(2), "currency": number.currency, "is_blocked": number.is_blocked,
        "aadhaar_verification_required": number.aadhaar_required, "aadhaar_verified": number.aadhaar_verified,
        "minimum_commitment_months": number.minimum_commitment_months,
        "tags": serde_json::from_str::<Vec<String>>(&number.tags).unwrap_or_default(),
        "purchased_at": number.purchased_at, "next_billing_at": number.next_billing_at,
        "unpaid_since": number.unpaid_since, "release_at": number.release_at, "released_at": number.released_at,
        "quarantine_until": number.quarantine_until, "last_call_at": number.last_call_at,
    }))
}

async fn read(State(state): State<AppState>, Path(e164): Path<String>) -> Result<Json<Value>, ApiError> {
    Ok(view(&found(&state, &e164).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    is_blocked: Option<bool>,
    aadhaar_verified: Option<bool>,
    minimum_commitment_months: Option<u32>,
    #[serde(default)]
    monthly_fee: Value,
    tags: Option<Vec<String>>,
}

/// Changes what is given. Another price counts from the next month on.
async fn update(
    State(state): State<AppState>,
    Path(e164): Path<String>,
    request: RequestId,
    body: Payload<Update>,
) -> Result<Json<Value>, ApiError> {
    let (e164, body) = (checks::number("number", &e164)?, body.value);
    if body.minimum_commitment_months.is_some_and(|months| months > MONTHS_MAX) {
        return Err(ApiError::field("minimum_commitment_months", &format!("is 0 to {MONTHS_MAX}")));
    }
    let monthly_fee = match &body.monthly_fee {
        Value::Null => None,
        value => Some(checks::positive_amount("monthly_fee", value)?),
    };
    let tags = match &body.tags {
        None => None,
        Some(tags) if tags.len() <= TAGS_MAX && tags.iter().all(|tag| tag.chars().count() <= TAG_MAX) => {
            Some(json!(tags).to_string())
        }
        Some(_) => {
            let words = format!("is at most {TAGS_MAX} texts of at most {TAG_MAX} characters");
            return Err(ApiError::field("tags", &words));
        }
    };
    let fields = [
        ("is_blocked", body.is_blocked.is_some()),
        ("aadhaar_verified", body.aadhaar_verified.is_some()),
        ("minimum_commitment_months", body.minimum_commitment_months.is_some()),
        ("monthly_fee", monthly_fee.is_some()),
        ("tags", tags.is_some()),
    ];
    let command = UpdateNumber {
        e164,
        is_blocked: body.is_blocked,
        aadhaar_verified: body.aadhaar_verified,
        minimum_commitment_months: body.minimum_commitment_months,
        monthly_fee,
        tags,
        fields: fields.into_iter().filter_map(|(name, given)| given.then_some(name)).collect(),
        actor: operator(&request),
        at: clock::wall(),
    };
    if !commit(&state, command).await? {
        return Err(nobody(e164));
    }
    Ok(view(&found(&state, &e164.plus()).await?))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Give {
    account: String,
}

/// Sells a number of any series to an account, at its price: what customers cannot buy themselves.
async fn give(
    State(state): State<AppState>,
    Path(e164): Path<String>,
    request: RequestId,
    body: Payload<Give>,
) -> Result<Json<Value>, ApiError> {
    let e164 = checks::number("number", &e164)?;
    let id = AccountId::new(&body.value.account);
    let account = state.reader.directory_account(id.as_str()).await?;
    let account = account.ok_or_else(|| ApiError::not_found(format!("There is no account {id}")))?;
    if account.kind == "partner" {
        return Err(ApiError::field("account", "is a main account or a sub-account"));
    }
    let at = clock::wall();
    let command = BuyNumber {
        e164,
        owner: account.parent.clone().unwrap_or_else(|| account.id.clone()),
        sub_account: account.parent.is_some().then(|| account.id.clone()),
        purchase: Ids::random(),
        next_billing_at: month_end_after(at, at),
        seller: Seller::Operator,
        actor: operator(&request),
        at,
    };
    match commit(&state, command).await? {
        BuyOutcome::Bought(number) => Ok(view(&number)),
        BuyOutcome::NotInInventory => {
            Err(ApiError::not_found(format!("{e164} is not in the inventory, or has an owner")))
        }
        BuyOutcome::OwnedAlready => {
            Err(ApiError::because(ErrorCode::Conflict, "The account has this number already")
                .word("already_owned"))
        }
        BuyOutcome::TooMany => {
            let words = "The account has as many numbers of this series as one person may have";
            Err(ApiError::because(ErrorCode::Conflict, words))
        }
        BuyOutcome::OtherCurrency { price } => {
            Err(ApiError::field("account", &format!("has no {price}, which the number costs")))
        }
        BuyOutcome::Insufficient { required, available, currency } => {
            let words = format!(
                "It costs {} {currency}, and the account has {}",
                required.to_fixed(2),
                available.to_fixed(2)
            );
            Err(ApiError::because(ErrorCode::InsufficientBalance, words))
        }
    }
}

/// Takes a number from its sub-account whatever calls it had; the audit says that it was forced.
async fn unassign(
    State(state): State<AppState>,
    Path(e164): Path<String>,
    request: RequestId,
) -> Result<Json<Value>, ApiError> {
    let number = found(&state, &e164).await?;
    let owner = number.account.ok_or_else(|| nobody(number.e164))?;
    let command = AssignSubAccount {
        e164: number.e164,
        owner,
        sub_account: None,
        cool_off: None,
        actor: operator(&request),
        at: clock::wall(),
    };
    match commit(&state, command).await? {
        AssignSubOutcome::Done => Ok(view(&found(&state, &e164).await?)),
        _ => Err(ApiError::because(
            ErrorCode::Conflict,
            "The number is with no sub-account, or not in service",
        )),
    }
}
