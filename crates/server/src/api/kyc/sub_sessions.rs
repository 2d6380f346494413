//! Hosted sessions of sub-accounts (REST reference §4). Only their creation is published; list, read, resend and revoke are
//! those of a partner's sessions.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use serde::Deserialize;
use serde_json::Value;

use super::request::SessionBody;
use super::sessions::{ListQuery, Reason, listed, make, owned, resent, revoked};
use super::sub_account::SubAccount;
use super::view;
use crate::api::{ApiError, AppState, Payload, Posted, Query, Reply, Routes};

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/sub-accounts/{sub_auth_id}/kyc-sessions", get(list).post(create))
        .route("/sub-accounts/{sub_auth_id}/kyc-sessions/{id}", get(read).delete(revoke))
        .route("/sub-accounts/{sub_auth_id}/kyc-sessions/{id}/resend", post(resend))
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// `POST /sub-accounts/{SA}/kyc-sessions`.
async fn create(
    State(state): State<AppState>,
    sub: SubAccount,
    posted: Posted<SessionBody>,
) -> Result<Reply, ApiError> {
    let Posted { value: body, effect } = posted;
    let parent = sub.parent().clone();
    let key = effect.key(&parent).map(|key| key.key);
    let request = body.checked(&state, parent, sub.row.id, key, sub.caller.actor)?;
    make(&state, &effect, request, view::created_for_sub).await
}

async fn list(
    State(state): State<AppState>,
    sub: SubAccount,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&state, sub.parent(), query, Some(&sub.row.id)).await
}

async fn read(
    State(state): State<AppState>,
    sub: SubAccount,
    Path(Named { id }): Path<Named>,
) -> Result<Json<Value>, ApiError> {
    let row = owned(&state, sub.parent(), &id, Some(&sub.row.id)).await?;
    Ok(Json(view::session(&state, row).await?))
}

async fn resend(
    State(state): State<AppState>,
    sub: SubAccount,
    Path(Named { id }): Path<Named>,
    posted: Posted<Value>,
) -> Result<Reply, ApiError> {
    let row = owned(&state, sub.parent(), &id, Some(&sub.row.id)).await?;
    resent(&state, &posted.effect, row, sub.caller.actor).await
}

async fn revoke(
    State(state): State<AppState>,
    sub: SubAccount,
    Path(Named { id }): Path<Named>,
    reason: Payload<Reason>,
) -> Result<Json<Value>, ApiError> {
    let row = owned(&state, sub.parent(), &id, Some(&sub.row.id)).await?;
    revoked(&state, row, reason.value, sub.caller.actor).await
}
