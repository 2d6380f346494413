//! The account itself: who am I, my balance, my channels (REST reference §2.1, §2.2, §2.5).

use axum::extract::{Path, State};
use axum::routing::get;
use axum::{Extension, Json};
use serde_json::{Map, Value, json};
use tandem_model::{CountryRules, Currency, ErrorCode, Rate};
use tandem_store::resources::account::Account;
use tandem_store::resources::deck::PricingTier;

use super::json::{instant, joined, money, whole_money};
use super::{ApiError, AppState, Dialect, RequestId, Routes, WrittenPath};
use crate::auth::{Caller, Scoped};

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/auth/me", get(me))
        .route("/Account/{auth_id}/balance/{currency}", get(balance))
        .route("/Account/{auth_id}/concurrency", get(concurrency))
}

/// An account in full, or the caller's own when it vanished meanwhile: never a guess.
pub(super) async fn in_full(state: &AppState, id: &tandem_model::AccountId) -> Result<Account, ApiError> {
    let account = state.reader.account_in_full(id).await?;
    account.ok_or_else(|| ApiError::not_found("The account is gone"))
}

/// The account's deck, as the pricing tier Vobiz has in its place.
pub(super) async fn tier_of(state: &AppState, account: &Account) -> Result<PricingTier, ApiError> {
    let code = CountryRules::of(&account.country).code;
    let tier = state.reader.pricing_tier(account.deck_id.as_deref(), account.currency, code).await?;
    Ok(tier.unwrap_or_else(|| PricingTier {
        id: String::new(),
        name: "None".to_owned(),
        description: "No rate deck in this currency: calls are refused".to_owned(),
        currency: account.currency,
        is_default: false,
        rate: None,
    }))
}

/// The profile document of an account.
pub(super) fn profile_of(account: &Account) -> Map<String, Value> {
    serde_json::from_str(&account.profile).unwrap_or_default()
}

/// A text of the profile; empty when it is not there.
pub(super) fn profile_text(profile: &Map<String, Value>, name: &str) -> String {
    profile.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// `GET /auth/me`: the account the credentials belong to. The token itself is masked.
async fn me(
    State(state): State<AppState>,
    caller: Caller,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let account = in_full(&state, &caller.account.id).await?;
    let tier = tier_of(&state, &account).await?;
    let profile = profile_of(&account);
    let text = |name: &str| profile_text(&profile, name);
    let rate = tier.rate.unwrap_or(Rate::FREE);
    let person = json!({
        "type": match account.kind.as_str() { "sub" => "SUB_ACCOUNT", "partner" => "PARTNER", _ => "MASTER" },
        "id": account.numeric_id.to_string(),
        "api_id": account.api_id,
        "name": account.name,
        "email": account.email,
        "phone": account.phone,
        "description": account.description,
        "auth_id": account.id,
        "auth_secret": "********",
        "auth_token_expire_time": null,
        "country": account.country,
        "timezone": account.timezone,
        "city": text("city"),
        "state": text("state"),
        "address": text("address"),
        "zip_code": text("zip_code"),
        "company": account.company,
        "account_type": account_type(&profile),
    });
    let terms = json!({
        "postpaid": account.postpaid,
        "auto_recharge": false,
        "auto_recharge_config": null,
        "enabled": account.enabled,
        "carrier_type": null,
        "customer_type": null,
        "credit_limit": whole_money(account.credit_limit, dialect),
        "cps_limit": account.cps_limit,
        "concurrent_calls_limit": account.concurrent_limit,
        "base_cps_limit": account.cps_limit.saturating_sub(account.purchased_cps),
        "base_concurrent_calls_limit": account.concurrent_limit.saturating_sub(account.purchased_concurrent),
        "purchased_cps": account.purchased_cps,
        "purchased_concurrent_calls": account.purchased_concurrent,
        "risk_rating": 0,
        "risk_status": null,
        "features": { "call_queue": true },
        "ip_auth_enabled": false,
        "ip_whitelist_rules": {},
        "allow_aws_ips": true,
        "role": "user",
        "is_active": account.enabled,
        "is_verified": is_verified(&account),
        "is_trial_account": false,
        "created_at": instant(account.created_at),
        "updated_at": instant(account.updated_at),
        "last_login": instant(account.last_login_at.unwrap_or(account.created_at)),
        "pricing_tier_id": tier.id,
        "pricing_tier": {
            "id": tier.id,
            "name": tier.name,
            "description": tier.description,
            "currency": tier.currency,
            "rate_per_minute": money(rate.per_minute),
            "billing_increment_seconds": rate.pulse_s,
            "minimum_duration_seconds": rate.minimum_s,
            "is_active": true,
            "is_default": tier.is_default,
        },
    });
    Ok(Json(joined(person, terms)))
}

/// `standard` unless the account was made as something else.
pub(super) fn account_type(profile: &Map<String, Value>) -> String {
    let text = profile_text(profile, "account_type");
    if text.is_empty() { "standard".to_owned() } else { text }
}

/// KYC is complete.
pub(super) fn is_verified(account: &Account) -> bool {
    matches!(account.kyc_status.as_str(), "completed" | "verified")
}

/// `GET …/balance/{currency}`: of the account that pays, in its one currency.
async fn balance(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, currency)): Path<(String, String)>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let account = in_full(&state, scope.payer()).await?;
    let asked: Currency = currency.parse().map_err(|remedy| ApiError::field("currency", remedy))?;
    if asked != account.currency {
        let words = format!("This account has no {asked} balance; its currency is {}", account.currency);
        return Err(ApiError::because(ErrorCode::NotFound, words));
    }
    Ok(Json(json!({
        "id": account.api_id,
        "account_id": scope.id(),
        "currency": account.currency,
        "balance": money(account.balance),
        "reserved_funds": whole_money(account.held, dialect),
        "promotional_balance": 0,
        "promotional_reserved_balance": 0,
        "available_balance": money(account.balance - account.held),
        "credit_limit": whole_money(account.credit_limit, dialect),
        "is_postpaid": account.postpaid,
        "credit_limit_type": "fixed",
        "low_balance_threshold": whole_money(account.low_balance_threshold, dialect),
        "status": if account.enabled { "active" } else { "inactive" },
        "created_at": instant(account.created_at),
        "updated_at": instant(account.updated_at),
    })))
}

/// `GET …/concurrency`: live calls and the limit. Asked for with a capital C it is an older client, which
/// reads `limit` and `current` (REST reference §2.7).
async fn concurrency(
    State(state): State<AppState>,
    scope: Scoped,
    id: RequestId,
    Extension(WrittenPath(written)): Extension<WrittenPath>,
) -> Result<Json<Value>, ApiError> {
    let counted = state.reader.concurrency(scope.payer()).await?;
    let (live, limit) = counted.ok_or_else(|| ApiError::not_found("The account is gone"))?;
    let mut body = json!({
        "account_id": scope.id(),
        "concurrent_calls": live,
        "max_concurrent": limit,
        "utilization_pct": (live * 100).checked_div(limit).unwrap_or_default(),
        "request_id": id.text,
    });
    if written.contains("/Concurrency") {
        body["limit"] = limit.into();
        body["current"] = live.into();
    }
    Ok(Json(body))
}
