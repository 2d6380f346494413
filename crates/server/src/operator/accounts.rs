//! `/admin/accounts/{id}`: money in and out, switches and limits.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, ErrorCode, Ids, Money, clock};
use tandem_store::audit::Audited;
use tandem_store::money::{Post, PostKind, PostOutcome, Posting};
use tandem_store::resources::account::{Granted, UpdateAccount, UpdateAccountOutcome};

use super::{commit, operator};
use crate::api::{ApiError, AppState, Payload, RequestId, checks, moved};

/// Longest reference or description.
const TEXT_MAX: usize = 200;
/// States of KYC that the operator may set.
const KYC_STATES: &[&str] = &["pending", "verified", "completed", "failed"];

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/accounts/{id}", get(read).put(update))
        .route("/admin/accounts/{id}/{movement}", post(book))
}

fn nobody(id: &AccountId) -> ApiError {
    ApiError::not_found(format!("There is no account {id}"))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Movement {
    #[serde(default)]
    amount: Value,
    reference: String,
    #[serde(default)]
    description: String,
}

/// Books money: `credit`, `refund` (positive amounts) or `adjust` (either way). The same reference books
/// once; with another amount it is refused.
async fn book(
    State(state): State<AppState>,
    Path((id, movement)): Path<(String, String)>,
    request: RequestId,
    body: Payload<Movement>,
) -> Result<Json<Value>, ApiError> {
    let (kind, ref_kind, words) = match movement.as_str() {
        "credit" => (PostKind::TopUp, "payment", "Payment"),
        "refund" => (PostKind::Refund, "refund", "Refund"),
        "adjust" => (PostKind::Adjustment, "manual_adjustment", "Adjustment"),
        _ => return Err(ApiError::not_found("Money moves by credit, adjust or refund")),
    };
    let amount = match kind {
        PostKind::Adjustment => checks::amount("amount", &body.value.amount)?,
        _ => checks::positive_amount("amount", &body.value.amount)?,
    };
    if amount == Money::ZERO {
        return Err(ApiError::field("amount", "is not 0"));
    }
    let reference = checks::text("reference", Some(&body.value.reference), TEXT_MAX)?;
    let description = match body.value.description.trim() {
        "" => format!("{words} {reference}"),
        text => checks::text("description", Some(text), TEXT_MAX)?,
    };
    let account = AccountId::new(&id);
    let (transaction, at) = (Ids::random(), clock::wall());
    let posting = Posting {
        id: transaction,
        account: account.clone(),
        kind,
        amount,
        ref_kind: ref_kind.to_owned(),
        ref_id: reference.clone(),
        description,
        at,
    };
    let of = account.clone();
    let entry = move |outcome: &PostOutcome| {
        let action = match kind {
            PostKind::TopUp => "credit",
            PostKind::Refund => "refund",
            _ => "adjust",
        };
        match outcome {
            PostOutcome::Done { .. } => vec![moved(&of, action, transaction, at)],
            _ => Vec::new(),
        }
    };
    let command = Audited { command: Post(posting), entry, actor: operator(&request) };
    let (balance, repeated) = match commit(&state, command).await? {
        PostOutcome::Done { balance } => (balance, false),
        PostOutcome::AlreadyDone { balance } => (balance, true),
        PostOutcome::ReferenceConflict { posted } => {
            let words = format!("Reference {reference} was booked before with {}", posted.to_fixed(2));
            return Err(ApiError::because(ErrorCode::Conflict, words));
        }
        PostOutcome::Insufficient { available, currency } => {
            let words =
                format!("Only {} {currency} can be taken: the rest is spent or held", available.to_fixed(2));
            return Err(ApiError::because(ErrorCode::InsufficientBalance, words));
        }
        PostOutcome::NoAccount => return Err(nobody(&account)),
    };
    let currency = state.reader.balance(&account).await?.map(|balance| balance.currency);
    Ok(Json(json!({
        "account_id": account, "amount": amount.to_fixed(6), "reference": reference, "repeated": repeated,
        "balance": balance.to_fixed(2), "currency": currency,
    })))
}

async fn view(state: &AppState, id: &AccountId) -> Result<Json<Value>, ApiError> {
    let account = state.reader.account_in_full(id).await?.ok_or_else(|| nobody(id))?;
    Ok(Json(json!({
        "auth_id": account.id, "kind": account.kind, "partner_id": account.partner, "parent_id": account.parent,
        "name": account.name, "email": account.email, "country": account.country, "currency": account.currency,
        "enabled": account.enabled, "kyc_status": account.kyc_status, "balance": account.balance.to_fixed(6),
        "held": account.held.to_fixed(6), "live_calls": account.live_calls, "cps_limit": account.cps_limit,
        "concurrent_limit": account.concurrent_limit, "deck_id": account.deck_id,
        "created_at": account.created_at, "updated_at": account.updated_at,
    })))
}

async fn read(State(state): State<AppState>, Path(id): Path<String>) -> Result<Json<Value>, ApiError> {
    view(&state, &AccountId::new(&id)).await
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Update {
    enabled: Option<bool>,
    cps_limit: Option<u32>,
    concurrent_limit: Option<u32>,
    #[serde(alias = "concurrent_calls_limit")]
    concurrent_calls: Option<u32>,
    kyc_status: Option<String>,
    /// Name or id of a deck; `""` for the default one.
    deck: Option<String>,
    can_create_accounts: Option<bool>,
    can_transfer_balance: Option<bool>,
    can_view_cdrs: Option<bool>,
    can_create_pricing_tiers: Option<bool>,
    can_transfer_concurrency: Option<bool>,
    max_accounts: Option<u32>,
}

/// Changes what is given.
async fn update(
    State(state): State<AppState>,
    Path(id): Path<String>,
    request: RequestId,
    body: Payload<Update>,
) -> Result<Json<Value>, ApiError> {
    let body = body.value;
    let concurrent_limit = body.concurrent_limit.or(body.concurrent_calls);
    if body.kyc_status.as_deref().is_some_and(|word| !KYC_STATES.contains(&word)) {
        return Err(ApiError::field("kyc_status", "is pending, verified, completed or failed"));
    }
    let deck_id = match body.deck.as_deref() {
        None => None,
        Some("") => Some(None),
        Some(name) => {
            let decks = state.reader.decks().await?;
            let deck = decks.into_iter().find(|deck| deck.id == name || deck.name == name);
            Some(Some(deck.ok_or_else(|| ApiError::field("deck", "is the name of a rate deck"))?.id))
        }
    };
    let fields = [
        ("enabled", body.enabled.is_some()),
        ("cps_limit", body.cps_limit.is_some()),
        ("concurrent_limit", concurrent_limit.is_some()),
        ("kyc_status", body.kyc_status.is_some()),
        ("deck_id", deck_id.is_some()),
        ("can_create_accounts", body.can_create_accounts.is_some()),
        ("can_transfer_balance", body.can_transfer_balance.is_some()),
        ("can_view_cdrs", body.can_view_cdrs.is_some()),
        ("can_create_pricing_tiers", body.can_create_pricing_tiers.is_some()),
        ("can_transfer_concurrency", body.can_transfer_concurrency.is_some()),
        ("max_accounts", body.max_accounts.is_some()),
    ];
    let account = AccountId::new(&id);
    let command = UpdateAccount {
        id: account.clone(),
        enabled: body.enabled,
        cps_limit: body.cps_limit,
        concurrent_limit,
        kyc_status: body.kyc_status,
        deck_id,
        granted: Granted {
            create_accounts: body.can_create_accounts,
            transfer_balance: body.can_transfer_balance,
            view_cdrs: body.can_view_cdrs,
            create_pricing_tiers: body.can_create_pricing_tiers,
            transfer_concurrency: body.can_transfer_concurrency,
            max_accounts: body.max_accounts,
        },
        fields: fields.into_iter().filter_map(|(name, given)| given.then_some(name)).collect(),
        actor: operator(&request),
        at: clock::wall(),
    };
    match commit(&state, command).await? {
        UpdateAccountOutcome::Updated => view(&state, &account).await,
        UpdateAccountOutcome::NotFound => Err(nobody(&account)),
        UpdateAccountOutcome::NoSuchDeck => {
            Err(ApiError::field("deck", "is a deck of the account's currency"))
        }
    }
}
