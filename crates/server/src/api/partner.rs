//! The partner itself (REST reference §5.1), and what it reads and moves:
//!
//! - [`ledger`]: transactions, [`records`]: call records, [`numbers`]: numbers, each of one customer or of all (§5.7).
//! - [`dashboard`]: what all of it adds up to (§5.2).
//! - [`capacity`]: channels and calls per second given and taken back (§5.5).

mod capacity;
mod dashboard;
mod ledger;
mod numbers;
mod records;
#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};
use tandem_model::ErrorCode;
use tandem_store::resources::account::Account;

use super::account::{in_full, is_verified, profile_of, profile_text, tier_of};
use super::json::{instant, money_text};
use super::{ApiError, AppState, Routes};
use crate::auth::{Caller, Partner};

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/me", get(me))
        .merge(capacity::routes())
        .merge(dashboard::routes())
        .merge(ledger::routes())
        .merge(numbers::routes())
        .merge(records::routes())
}

/// What the operator grants a partner.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Capability {
    CreateAccounts,
    TransferBalance,
    ViewCdrs,
    TransferConcurrency,
}

/// The partner in full, if it may.
pub(super) async fn may(
    state: &AppState,
    caller: &Caller,
    capability: Capability,
) -> Result<Account, ApiError> {
    let partner = in_full(state, &caller.account.id).await?;
    let (granted, flag) = match capability {
        Capability::CreateAccounts => (partner.capabilities.create_accounts, "can_create_accounts"),
        Capability::TransferBalance => (partner.capabilities.transfer_balance, "can_transfer_balance"),
        Capability::ViewCdrs => (partner.capabilities.view_cdrs, "can_view_cdrs"),
        Capability::TransferConcurrency => {
            (partner.capabilities.transfer_concurrency, "can_transfer_concurrency")
        }
    };
    if granted {
        return Ok(partner);
    }
    Err(ApiError::new(ErrorCode::CapabilityMissing).word("forbidden").details(json!({ flag: false })))
}

/// `GET /partner/me`: profile, capabilities, balance.
async fn me(State(state): State<AppState>, Partner(caller): Partner) -> Result<Json<Value>, ApiError> {
    let partner = in_full(&state, &caller.account.id).await?;
    Ok(Json(profile(&state, &partner).await?))
}

async fn profile(state: &AppState, partner: &Account) -> Result<Value, ApiError> {
    let customers = state.reader.customer_count(&partner.id).await?;
    let tier = tier_of(state, partner).await?;
    let profile = profile_of(partner);
    let slug = match profile_text(&profile, "slug") {
        slug if slug.is_empty() => slug_of(&partner.name),
        slug => slug,
    };
    Ok(json!({
        "id": partner.api_id,
        "account_id": partner.numeric_id,
        "name": partner.name,
        "slug": slug,
        "company": partner.company,
        "auth_id": partner.id,
        "email": partner.email,
        "phone": partner.phone,
        "billing_model": "direct",
        "is_active": partner.enabled,
        "is_verified": is_verified(partner),
        "max_accounts": partner.max_accounts,
        "can_create_accounts": partner.capabilities.create_accounts,
        "can_create_pricing_tiers": partner.capabilities.create_pricing_tiers,
        "can_view_cdrs": partner.capabilities.view_cdrs,
        "can_transfer_balance": partner.capabilities.transfer_balance,
        "default_pricing_tier_id": tier.id,
        "account_count": customers,
        "balance": money_text(partner.balance),
        "created_at": instant(partner.created_at),
        "updated_at": instant(partner.updated_at),
    }))
}

/// A name as it stands in URLs.
fn slug_of(name: &str) -> String {
    let words = name.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}
