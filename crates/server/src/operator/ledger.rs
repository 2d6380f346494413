//! `/admin/ledger/verify`: does the money add up?

use axum::extract::State;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use tandem_store::money::Mismatch;

use crate::api::{ApiError, AppState};

pub(super) fn routes() -> Router<AppState> {
    Router::new().route("/admin/ledger/verify", get(verify))
}

/// Compares every stored sum with what it sums up; `ok` when nothing differs.
async fn verify(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let report = state.reader.verify_ledger().await?;
    let list = |mismatches: &[Mismatch]| -> Vec<Value> {
        mismatches
            .iter()
            .map(|one| json!({ "subject": one.subject, "expected": one.expected, "found": one.found }))
            .collect()
    };
    Ok(Json(json!({
        "ok": report.is_clean(),
        "currencies": list(&report.currencies),
        "transactions": list(&report.transactions),
        "balances": list(&report.balances),
        "held": list(&report.held),
        "live_calls": list(&report.live_calls),
        "records": list(&report.records),
        "unrecorded": list(&report.unrecorded),
    })))
}
