//! `/admin/kyc`: documents that wait for the operator's eyes, his verdicts, what a session's letters came to, erasure.

use axum::extract::{Path, State};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_model::AccountId;
use tandem_model::kyc::CheckState;
use tandem_store::kyc::{Check, CheckWork};

use super::operator;
use crate::api::{ApiError, AppState, Payload, RequestId};

/// Listed at most; the oldest first, so that work shortens the list.
const LISTED_MAX: u32 = 500;
const REASON_MAX: usize = 300;

pub(super) fn routes() -> Router<AppState> {
    Router::new()
        .route("/admin/kyc", get(list))
        .route("/admin/kyc/{id}", get(show))
        .route("/admin/kyc/{id}/approve", post(approve))
        .route("/admin/kyc/{id}/reject", post(reject))
        .route("/admin/accounts/{auth_id}/kyc-data/erase", post(erase))
}

fn listed(check: &Check) -> Value {
    json!({
        "check_id": check.id, "account_id": check.account, "document": check.document,
        "session_id": check.session, "state": check.state, "since": check.created_at,
    })
}

async fn list(State(state): State<AppState>) -> Result<Json<Value>, ApiError> {
    let checks = state.reader.kyc_work(CheckWork::Manual, LISTED_MAX).await?;
    Ok(Json(json!({ "checks": checks.iter().map(listed).collect::<Vec<_>>() })))
}

async fn found(state: &AppState, id: &str) -> Result<Check, ApiError> {
    let check = state.reader.kyc_check(id).await?;
    check.ok_or_else(|| ApiError::not_found(format!("No document has the id {id}")))
}

/// One document with what was shown, in clear: who decides must see it. The reading is audited.
async fn show(
    State(state): State<AppState>,
    id: RequestId,
    Path(check): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let check = found(&state, &check).await?;
    let evidence = state.kyc.evidence(&check, operator(&id)).await?;
    let letters = match &check.session {
        Some(session) => state.reader.kyc_letters(session).await?,
        None => Vec::new(),
    };
    let mut shown = listed(&check);
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("fields".to_owned(), json!(evidence.fields));
        shown.insert("found".to_owned(), json!(evidence.found));
        shown.insert("reason".to_owned(), json!(evidence.reason));
        let letters = letters.iter().map(|letter| {
            json!({"step": letter.step, "state": letter.state, "due_at": letter.due_at, "error": letter.error})
        });
        shown.insert("letters".to_owned(), letters.collect());
    }
    Ok(Json(shown))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Verdict {
    reason: Option<String>,
}

async fn decide(
    state: &AppState,
    id: &RequestId,
    check: &str,
    verdict: CheckState,
    reason: Option<String>,
) -> Result<Json<Value>, ApiError> {
    let check = found(state, check).await?;
    if check.verifier != "manual" {
        let words = format!("The {} verifier decides on this document, not the operator", check.verifier);
        return Err(ApiError::because(tandem_model::ErrorCode::Conflict, words));
    }
    if !state.kyc.decide(&check, verdict, Map::new(), reason, operator(id)).await? {
        let words = "This document has its verdict already, or its session is over";
        return Err(ApiError::because(tandem_model::ErrorCode::Conflict, words));
    }
    state.settled().await;
    Ok(Json(json!({ "check_id": check.id, "account_id": check.account, "state": verdict })))
}

async fn approve(
    State(state): State<AppState>,
    id: RequestId,
    Path(check): Path<String>,
    _: Payload<Verdict>,
) -> Result<Json<Value>, ApiError> {
    decide(&state, &id, &check, CheckState::Verified, None).await
}

async fn reject(
    State(state): State<AppState>,
    id: RequestId,
    Path(check): Path<String>,
    verdict: Payload<Verdict>,
) -> Result<Json<Value>, ApiError> {
    let reason = verdict.value.reason.map(|reason| reason.trim().to_owned()).unwrap_or_default();
    if reason.is_empty() || reason.chars().count() > REASON_MAX {
        return Err(ApiError::field("reason", "is 1 to 300 characters: the owner is told it"));
    }
    decide(&state, &id, &check, CheckState::Failed, Some(reason)).await
}

async fn erase(
    State(state): State<AppState>,
    id: RequestId,
    Path(account): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let erased = state.kyc.erase(&AccountId::new(&account), operator(&id)).await?;
    Ok(Json(json!({
        "account_id": account, "subjects": erased.subjects, "sessions": erased.sessions,
        "documents": erased.documents, "events": erased.events,
    })))
}
