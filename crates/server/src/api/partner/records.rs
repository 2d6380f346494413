//! Call records of one customer, or of all, for partners that may see them. The typed clients read whole numbers in the
//! summary (REST reference §21 row 24).

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};
use tandem_model::{AccountId, CallId};
use tandem_store::calls::RecordsOf;

use super::{Capability, may};
use crate::api::lenient::Fields;
use crate::api::partner_accounts::customer;
use crate::api::records::{Listed, listed, single};
use crate::api::{ApiError, AppState, Dialect, Query, Routes};
use crate::auth::Partner;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/cdrs", get(all))
        .route("/partner/accounts/{auth_id}/cdrs", get(of_one))
        .route("/partner/accounts/{auth_id}/cdrs/{call_uuid}", get(read))
}

async fn envelope(
    state: &AppState,
    whose: RecordsOf<'_>,
    account: &AccountId,
    mut fields: Fields,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let Listed { mut body, .. } = listed(state, whose, account, &mut fields).await?;
    body["account_auth_id"] = json!(account);
    if dialect.is_fern() {
        for name in ["answerRate", "total_cost"] {
            let rounded = body["summary"][name].as_f64().unwrap_or_default().round();
            body["summary"][name] = json!(rounded as i64);
        }
    }
    Ok(Json(body))
}

/// `GET /partner/accounts/{MA}/cdrs`: newest first, its sub-accounts' included.
async fn of_one(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
    Query(fields): Query<Fields>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let partner = may(&state, &caller, Capability::ViewCdrs).await?;
    let account = customer(&state, &partner.id, &id).await?;
    envelope(&state, RecordsOf::Account(&account.id), &account.id, fields, dialect).await
}

/// `GET /partner/cdrs`: of all customers.
async fn all(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(fields): Query<Fields>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let partner = may(&state, &caller, Capability::ViewCdrs).await?;
    envelope(&state, RecordsOf::CustomersOf(&partner.id), &partner.id, fields, dialect).await
}

/// `GET /partner/accounts/{MA}/cdrs/{call_uuid}`: the record itself, without an envelope.
async fn read(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path((id, call)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let partner = may(&state, &caller, Capability::ViewCdrs).await?;
    let account = customer(&state, &partner.id, &id).await?;
    let not_found = || ApiError::not_found("CDR not found").word("CDR not found");
    let call: CallId = call.parse().map_err(|_| not_found())?;
    let record = state.reader.call_record(&account.id, call).await?;
    Ok(Json(single(record.ok_or_else(not_found)?)))
}
