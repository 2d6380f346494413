//! The partner itself (REST reference §5.1).

use axum::Json;
use axum::extract::State;
use axum::routing::get;
use serde_json::{Value, json};

use super::account::{in_full, is_verified, profile_of, profile_text, tier_of};
use super::json::{instant, money_text};
use super::{ApiError, AppState, Routes};
use crate::auth::Partner;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new().route("/partner/me", get(me))
}

/// `GET /partner/me`: profile, capabilities, balance.
async fn me(State(state): State<AppState>, Partner(caller): Partner) -> Result<Json<Value>, ApiError> {
    let partner = in_full(&state, &caller.account.id).await?;
    let customers = state.reader.customer_count(&partner.id).await?;
    let tier = tier_of(&state, &partner).await?;
    let profile = profile_of(&partner);
    let slug = match profile_text(&profile, "slug") {
        slug if slug.is_empty() => slug_of(&partner.name),
        slug => slug,
    };
    Ok(Json(json!({
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
        "is_verified": is_verified(&partner),
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
    })))
}

/// A name as it stands in URLs.
fn slug_of(name: &str) -> String {
    let words = name.split(|character: char| !character.is_ascii_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_has_no_character_that_a_url_would_escape() {
        assert_eq!(slug_of("Acme & Söhne, Ltd."), "acme-s-hne-ltd");
        assert_eq!(slug_of(" !"), "");
    }
}
