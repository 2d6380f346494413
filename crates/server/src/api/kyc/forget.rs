//! Erasure, a route of our own: what people showed for an account is gone for good, what was decided stays.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::delete;
use serde_json::{Value, json};
use tandem_model::AccountId;
use tandem_store::audit::Actor;

use super::sub_account::SubAccount;
use crate::api::{ApiError, AppState, Routes};
use crate::auth::Partner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/accounts/{auth_id}/kyc-data", delete(of_customer))
        .route("/sub-accounts/{sub_auth_id}/kyc-data", delete(of_sub_account))
}

async fn erase(state: &AppState, account: &AccountId, actor: Actor) -> Result<Json<Value>, ApiError> {
    let erased = state.kyc.erase(account, actor).await?;
    Ok(Json(json!({
        "message": "KYC data erased", "account_auth_id": account, "sessions": erased.sessions,
        "documents": erased.documents, "events": erased.events,
    })))
}

/// `DELETE /partner/accounts/{MA}/kyc-data`: erases what was shown for a customer. A session under way is revoked without
/// an event; whether KYC is complete stays.
async fn of_customer(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let customer = state.reader.customer(&caller.account.id, &AccountId::new(&id)).await?;
    let customer = customer
        .ok_or_else(|| ApiError::not_found("No customer of yours has that id").word("account_not_found"))?;
    erase(&state, &customer.id, caller.actor).await
}

/// `DELETE /sub-accounts/{SA}/kyc-data`: the same for a sub-account.
async fn of_sub_account(State(state): State<AppState>, sub: SubAccount) -> Result<Json<Value>, ApiError> {
    erase(&state, &sub.row.id, sub.caller.actor).await
}
