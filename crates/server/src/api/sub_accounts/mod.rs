//! Sub-accounts of a main account (REST reference §3), and the older Plivo routes for the same (§2.7).
//!
//! The cast: [`parent`], who may ask (the main account with its own credentials, for itself); [`request`], what a body may
//! say and what it makes of a sub-account; [`view`], a sub-account as each client reads it; [`plivo`], the older routes.

mod parent;
mod plivo;
mod request;
#[cfg(test)]
mod tests;
mod view;

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::get;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, ErrorCode, Ids, clock};
use tandem_store::resources::account::{
    Account, CreateSubAccount, CreateSubAccountOutcome, NewSubAccount, RemoveSubAccount,
    RemoveSubAccountOutcome, SUB_ACCOUNTS_MAX, UpdateSubAccount, UpdateSubAccountOutcome,
};

use super::lenient::Fields;
use super::paging::PageQuery;
use super::revision::{self, after};
use super::{ApiError, AppState, Dialect, Effect, Payload, Posted, Query, Reply, RequestId, Routes};
use crate::auth::sessions::Draft;
use crate::auth::{context, hash_password, mint_token};
use parent::Parent;
use request::{Change, NewSub};
use view::{Fresh, Shown};

/// Ids drawn for one sub-account.
const DRAWS: usize = 4;
/// The epoch of an account that was just made.
const FIRST_EPOCH: i64 = 1;
/// Rows of a page: by default, and at most.
const SIZE: u32 = 25;
const SIZE_MAX: u32 = 100;

pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/sub-accounts", get(list).post(create))
        .route("/Account/{auth_id}/sub-accounts/{sub_auth_id}", get(read).put(update).delete(remove))
        .merge(plivo::routes())
}

fn not_found() -> ApiError {
    ApiError::not_found("No sub-account of yours has that id").word("sub_account_not_found")
}

fn email_taken() -> ApiError {
    ApiError::because(ErrorCode::Conflict, "An account with this e-mail address exists")
        .word("email_taken")
        .hint("Use another e-mail address, or go on with the account that has this one.")
        .details(json!({ "email": "is taken" }))
}

async fn found(state: &AppState, parent: &AccountId, id: &str) -> Result<Account, ApiError> {
    state.reader.sub_account(parent, &AccountId::new(id)).await?.ok_or_else(not_found)
}

/// The number of the main account in `parent_account_id`.
async fn numeric_id(state: &AppState, parent: &AccountId) -> Result<i64, ApiError> {
    Ok(super::account::in_full(state, parent).await?.numeric_id)
}

#[derive(Debug, Deserialize)]
struct ListQuery {
    page: Option<i64>,
    size: Option<i64>,
    per_page: Option<i64>,
    active_only: Option<String>,
}

/// `GET …/sub-accounts`: newest first; disabled ones too with `active_only=false`.
async fn list(
    State(state): State<AppState>,
    Parent(caller): Parent,
    request: RequestId,
    dialect: Dialect,
    Query(query): Query<ListQuery>,
) -> Result<Json<Value>, ApiError> {
    let parent = &caller.account.id;
    let page = PageQuery::new(query.page, query.size.or(query.per_page)).page(SIZE, SIZE_MAX);
    let all = query.active_only.is_some_and(|word| matches!(word.trim(), "false" | "False" | "0" | "no"));
    let enabled = (!all).then_some(true);
    let (rows, total) = state.reader.sub_accounts(parent, enabled, page.offset(), page.size).await?;
    let number = numeric_id(&state, parent).await?;
    let subs: Vec<Value> = rows.iter().map(|row| Shown::of(row, number).view(dialect)).collect();
    let mut body = json!({ "total": total, "page": page.number, "size": page.size });
    if dialect == Dialect::Plain {
        // The older Go client reads these and no others.
        body["api_id"] = json!(request.api_id);
        body["meta"] = view::meta(page, total, parent);
        body["objects"] = json!(subs);
    }
    body["sub_accounts"] = json!(subs);
    Ok(Json(body))
}

/// What was made of a wish for a sub-account: the command, and what its answer must know.
struct Making {
    command: CreateSubAccount,
    token: String,
    session: Draft,
    wanted: NewSub,
}

async fn making(state: &AppState, parent: &Parent, wanted: NewSub) -> Result<Making, ApiError> {
    let password_hash = match wanted.password.clone() {
        Some(password) => Some(hash_password(password).await.map_err(ApiError::internal)?),
        None => None,
    };
    let token = mint_token();
    let account = NewSubAccount {
        candidates: (0..DRAWS).map(|_| Ids::account("SA")).collect(),
        api_id: Ids::random(),
        parent: parent.0.account.id.clone(),
        name: wanted.name.clone(),
        email: wanted.email.clone(),
        phone: wanted.phone.clone(),
        description: wanted.description.clone(),
        enabled: wanted.enabled,
        profile: wanted.profile.clone(),
        token_hash: state.vault.token_hash(&token),
        token_sealed: state.vault.seal(context::AUTH_TOKEN, &token),
        password_hash,
    };
    let at = clock::wall();
    let session = Draft::new(&state.vault, &state.config.api, at);
    let command = CreateSubAccount {
        account,
        session: Some(session.session.clone()),
        actor: parent.0.actor.clone(),
        at,
    };
    Ok(Making { command, token, session, wanted })
}

fn refused(outcome: &CreateSubAccountOutcome) -> ApiError {
    match outcome {
        CreateSubAccountOutcome::EmailTaken => email_taken(),
        CreateSubAccountOutcome::LimitReached => {
            let words = format!("An account may have {SUB_ACCOUNTS_MAX} sub-accounts and has them");
            ApiError::because(ErrorCode::CapabilityMissing, words)
                .word("max_sub_accounts_reached")
                .hint("Delete one that is not used, or ask for more.")
        }
        CreateSubAccountOutcome::NoParent => parent::not_yours(),
        other => ApiError::internal(format!("a sub-account came to {other:?}")),
    }
}

/// `POST …/sub-accounts`: its credentials are answered here and nowhere else; an `Idempotency-Key` answers the same ones
/// again.
async fn create(
    State(state): State<AppState>,
    parent: Parent,
    request: RequestId,
    dialect: Dialect,
    posted: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let wanted = NewSub::read(posted.value)?;
    let Making { command, token, session, wanted } = making(&state, &parent, wanted).await?;
    let owner = parent.0.account.id.clone();
    let vault = state.vault.clone();
    let (parent, api_id, at) = (owner.clone(), command.account.api_id, command.at);
    let answer = move |outcome: &CreateSubAccountOutcome| {
        let CreateSubAccountOutcome::Created { id, numeric_id, parent_numeric_id } = outcome else {
            return Err(refused(outcome));
        };
        let fresh = Fresh {
            id,
            parent: &parent,
            numeric_id: *numeric_id,
            parent_numeric_id: *parent_numeric_id,
            api_id,
            at,
            wanted: &wanted,
            token: &token,
        };
        let mut body = json!({
            "message": "Sub-account created successfully",
            "sub_account": fresh.shown().view(dialect),
            "auth_credentials": { "auth_id": id, "auth_token": token },
            "tokens": session.tokens(&vault, id, FIRST_EPOCH).view(),
        });
        if dialect == Dialect::Plain {
            body["auth_id"] = json!(id);
            body["auth_token"] = json!(token);
            body["api_id"] = json!(request.api_id);
        }
        Ok(Reply::created(body))
    };
    posted.effect.run(&owner, command, answer).await
}

/// `GET …/sub-accounts/{SA}`: its token is masked.
async fn read(
    State(state): State<AppState>,
    Parent(caller): Parent,
    Path((_, id)): Path<(String, String)>,
    dialect: Dialect,
) -> Result<Json<Value>, ApiError> {
    let row = found(&state, &caller.account.id, &id).await?;
    let number = numeric_id(&state, &caller.account.id).await?;
    Ok(Json(Shown::of(&row, number).view(dialect)))
}

/// Applies a change to the sub-account as it is now; anew when it changed meanwhile.
async fn apply(state: &AppState, parent: &Parent, id: &str, change: &Change) -> Result<Account, ApiError> {
    let caller = &parent.0;
    for _ in 0..revision::ATTEMPTS {
        let row = found(state, &caller.account.id, id).await?;
        let (changed, fields) = change.on(&row)?;
        let command = UpdateSubAccount {
            id: row.id.clone(),
            parent: caller.account.id.clone(),
            change: changed,
            expected: row.updated_at,
            fields,
            actor: caller.actor.clone(),
            at: after(row.updated_at),
        };
        match state.writer.submit(command).await? {
            UpdateSubAccountOutcome::Updated => {
                state.settled().await;
                return found(state, &caller.account.id, id).await;
            }
            UpdateSubAccountOutcome::EmailTaken => return Err(email_taken()),
            UpdateSubAccountOutcome::Stale => {}
        }
    }
    Err(revision::stale())
}

/// `PUT …/sub-accounts/{SA}`: what is not sent stays. Promoting it to `customer_use` blocks its calls until its own documents
/// are verified.
async fn update(
    State(state): State<AppState>,
    parent: Parent,
    Path((_, id)): Path<(String, String)>,
    dialect: Dialect,
    Payload { value, .. }: Payload<Fields>,
) -> Result<Json<Value>, ApiError> {
    let change = Change::read(value)?;
    let row = apply(&state, &parent, &id, &change).await?;
    let number = numeric_id(&state, &parent.0.account.id).await?;
    Ok(Json(Shown::of(&row, number).view(dialect)))
}

async fn end(parent: &Parent, id: &str, effect: &Effect, done: Reply) -> Result<Reply, ApiError> {
    let owner = parent.0.account.id.clone();
    let command = RemoveSubAccount {
        id: AccountId::new(id),
        parent: owner.clone(),
        actor: parent.0.actor.clone(),
        at: clock::wall(),
    };
    let answer = move |outcome: &RemoveSubAccountOutcome| match outcome {
        RemoveSubAccountOutcome::Removed => Ok(done.clone()),
        RemoveSubAccountOutcome::NotFound => Err(not_found()),
        RemoveSubAccountOutcome::InUse(calls) => {
            let words = format!("The sub-account has {calls} live calls: end them first");
            Err(ApiError::because(ErrorCode::Conflict, words)
                .word("sub_account_in_use")
                .hint("End its calls first."))
        }
    };
    effect.run(&owner, command, answer).await
}

/// `DELETE …/sub-accounts/{SA}`: its numbers return to the main account; its trunks, endpoints and applications go.
async fn remove(
    parent: Parent,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let done = Reply::ok(json!({ "message": "Sub-account deleted successfully" }));
    end(&parent, &id, &effect, done).await
}
