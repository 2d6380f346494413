//! Hosted sessions of a partner's customers (REST reference §5.6), and what sessions of sub-accounts share with them.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::{get, post};
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, ErrorCode, Ids, clock};
use tandem_store::audit::Actor;
use tandem_store::kyc::{CreateOutcome, QueueLetter, QueueOutcome, Session, SessionFilter};

use super::request::{SessionBody, wrong};
use super::{http_error, view};
use crate::api::paging::PageQuery;
use crate::api::{ApiError, AppState, Effect, Payload, Posted, Query, Reply, Routes};
use crate::auth::Partner;
use crate::kyc::{Live, NewRequest};

/// Between two letters of a session, the first one included.
const COOLDOWN: SignedDuration = SignedDuration::from_mins(30);
/// Longest reason of a revocation.
const REASON_MAX: usize = 500;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/partner/kyc-sessions", get(list).post(create))
        .route("/partner/kyc-sessions/{id}", get(read).delete(revoke))
        .route("/partner/kyc-sessions/{id}/resend", post(resend))
}

/// How the answer to a new session looks.
pub(super) type Shape = fn(&Live, &str, Option<&str>) -> Value;

/// Makes a session and answers for it; with an idempotency key once and for all.
pub(super) async fn make(
    state: &AppState,
    effect: &Effect,
    request: NewRequest,
    shape: Shape,
) -> Result<Reply, ApiError> {
    let owner = request.owner.clone();
    let (account, email) = (request.account.clone(), request.private.customer_email.clone());
    let (command, live) = state.kyc.prepare(request).await?;
    let answer = move |outcome: &CreateOutcome| match outcome {
        CreateOutcome::Created { .. } => Ok(Reply::created(shape(&live, account.as_str(), email.as_deref()))),
        CreateOutcome::SubjectGone => Err(http_error(
            ErrorCode::Conflict,
            "The account's KYC data was erased in the same moment: ask again",
        )),
    };
    let reply = effect.run(&owner, command, answer).await?;
    state.kyc.wake();
    Ok(reply)
}

/// `POST /partner/kyc-sessions`: a session for a customer; it replaces the customer's live one. By e-mail the first letter
/// leaves at once; by redirect the answer carries the link.
async fn create(
    State(state): State<AppState>,
    Partner(caller): Partner,
    posted: Posted<SessionBody>,
) -> Result<Reply, ApiError> {
    let Posted { value: body, effect } = posted;
    let partner = caller.account.id.clone();
    let account = body.account_auth_id.as_deref().map(str::trim).filter(|id| !id.is_empty());
    let account = account.ok_or_else(|| wrong("account_auth_id", "is required"))?;
    let customer = state.reader.customer(&partner, &AccountId::new(account)).await?;
    let customer = customer.ok_or_else(|| {
        http_error(ErrorCode::NotFound, "No customer of yours has that id").word("account_not_found")
    })?;
    let key = effect.key(&partner).map(|key| key.key);
    let request = body.checked(&state, partner, customer.id, key, caller.actor)?;
    make(&state, &effect, request, view::created).await
}

#[derive(Debug, Deserialize)]
pub(super) struct ListQuery {
    page: Option<i64>,
    size: Option<i64>,
    per_page: Option<i64>,
    status: Option<String>,
    account_auth_id: Option<String>,
}

/// An owner's sessions, newest first.
pub(super) async fn listed(
    state: &AppState,
    owner: &AccountId,
    query: ListQuery,
    only: Option<&AccountId>,
) -> Result<Json<Value>, ApiError> {
    let page = PageQuery::new(query.page, query.size.or(query.per_page)).page(20, 100);
    let asked = query.account_auth_id.as_deref().filter(|id| !id.is_empty()).map(AccountId::new);
    let status = query.status.as_deref().filter(|status| !status.is_empty());
    let filter = SessionFilter { account: only.or(asked.as_ref()), status };
    let (rows, total) = state.reader.kyc_sessions(owner, filter, page.offset(), page.size).await?;
    let mut sessions = Vec::with_capacity(rows.len());
    for row in rows {
        sessions.push(view::session(state, row).await?);
    }
    Ok(Json(json!({ "sessions": sessions, "total": total, "page": page.number, "size": page.size })))
}

/// A session of the owner's, about the account if one is named.
pub(super) async fn owned(
    state: &AppState,
    owner: &AccountId,
    id: &str,
    about: Option<&AccountId>,
) -> Result<Session, ApiError> {
    let row = state.reader.kyc_session(owner, id).await?;
    row.filter(|row| about.is_none_or(|about| *about == row.account))
        .ok_or_else(|| http_error(ErrorCode::NotFound, "KYC session not found"))
}

/// One more letter, unless the last was asked for less than 30 minutes ago.
pub(super) async fn resent(
    state: &AppState,
    effect: &Effect,
    row: Session,
    actor: Actor,
) -> Result<Reply, ApiError> {
    if row.flow != "email" {
        let words = "Resend is not available for this session: no e-mail is tied to it";
        return Err(http_error(ErrorCode::ValidationError, words));
    }
    let over =
        |status: &str| http_error(ErrorCode::Conflict, format!("Cannot resend: session is '{status}'"));
    if row.status.is_final() {
        return Err(over(row.status.as_str()));
    }
    let email = match state.kyc.open(row.clone()).await? {
        Some(opened) => opened.private.customer_email.unwrap_or_default(),
        None => return Err(over("erased")),
    };
    let (at, owner) = (clock::wall(), row.owner.clone());
    let letter = QueueLetter {
        session: row.id.clone(),
        account: row.account.clone(),
        step: format!("resend:{}", Ids::random().simple()),
        quiet_since: at - COOLDOWN,
        actor,
        at,
    };
    let answer = move |outcome: &QueueOutcome| match outcome {
        QueueOutcome::Queued => Ok(Reply::ok(json!({
            "message": "KYC link sent again", "session_id": row.id, "status": row.status,
            "email_dispatched_to": crate::kyc::mask::email(&email),
        }))),
        QueueOutcome::TooSoon(asked) => {
            let left = (*asked + COOLDOWN).duration_since(at);
            let seconds = u32::try_from(left.as_millis().div_euclid(1000) + 1).unwrap_or(1).min(1800);
            let words = format!("Email was sent recently. Please wait {seconds} seconds before resending.");
            Err(http_error(ErrorCode::RateLimited, words).retry_after(seconds))
        }
        QueueOutcome::Over => Err(over("over")),
    };
    let reply = effect.run(&owner, letter, answer).await?;
    state.kyc.wake();
    Ok(reply)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reason {
    reason: Option<String>,
}

/// Takes a session back.
pub(super) async fn revoked(
    state: &AppState,
    row: Session,
    reason: Reason,
    actor: Actor,
) -> Result<Json<Value>, ApiError> {
    use crate::kyc::Revocation;
    let reason = reason.reason.map(|reason| reason.trim().to_owned()).filter(|reason| !reason.is_empty());
    if reason.as_ref().is_some_and(|reason| reason.chars().count() > REASON_MAX) {
        return Err(wrong("reason", "is at most 500 characters"));
    }
    if row.status.is_final() {
        return Err(already(row.status.as_str()));
    }
    match state.kyc.revoke(&row.owner, &row.id, reason, actor).await? {
        Some(Revocation::Revoked) => Ok(Json(json!({ "message": "Session revoked", "session_id": row.id }))),
        Some(Revocation::Over(status)) => Err(already(status.as_str())),
        None => Err(http_error(ErrorCode::NotFound, "KYC session not found")),
    }
}

fn already(status: &str) -> ApiError {
    http_error(ErrorCode::Conflict, format!("Session is already in terminal status: '{status}'"))
}

/// `GET /partner/kyc-sessions`: newest first, by `status` and `account_auth_id`.
async fn list(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    listed(&state, &caller.account.id, query, None).await
}

/// `GET /partner/kyc-sessions/{id}`.
async fn read(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
) -> Result<Json<Value>, ApiError> {
    let row = owned(&state, &caller.account.id, &id, None).await?;
    Ok(Json(view::session(&state, row).await?))
}

/// `POST /partner/kyc-sessions/{id}/resend`: the link once more by e-mail; 429 within 30 minutes of the last.
async fn resend(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
    posted: Posted<Value>,
) -> Result<Reply, ApiError> {
    let row = owned(&state, &caller.account.id, &id, None).await?;
    resent(&state, &posted.effect, row, caller.actor).await
}

/// `DELETE /partner/kyc-sessions/{id}`: the link stops working at once.
async fn revoke(
    State(state): State<AppState>,
    Partner(caller): Partner,
    Path(id): Path<String>,
    reason: Payload<Reason>,
) -> Result<Json<Value>, ApiError> {
    let row = owned(&state, &caller.account.id, &id, None).await?;
    revoked(&state, row, reason.value, caller.actor).await
}
