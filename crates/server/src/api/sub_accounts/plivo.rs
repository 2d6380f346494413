//! Sub-accounts on the older routes, in Plivo's shapes.

use axum::Json;
use axum::extract::{Path, State};
use axum::routing::get;
use serde_json::{Value, json};
use tandem_store::resources::account::CreateSubAccountOutcome;

use super::parent::Parent;
use super::request::{Change, NewSub};
use super::view::Shown;
use super::{Making, apply, end, found, making, numeric_id, refused};
use crate::api::lenient::Fields;
use crate::api::window::WindowQuery;
use crate::api::{ApiError, AppState, Claimed, Effect, Posted, Query, Reply, RequestId, Routes, claim};

pub(super) fn routes() -> Routes {
    Routes::new().route("/Account/{auth_id}/Subaccount", get(list).post(create)).route(
        "/Account/{auth_id}/Subaccount/{sub_auth_id}",
        get(read).post(update).put(update).delete(remove),
    )
}

/// List sub-accounts, disabled ones too, newest first.
async fn list(
    State(state): State<AppState>,
    Parent(caller): Parent,
    request: RequestId,
    Query(query): Query<WindowQuery>,
) -> Result<Json<Value>, ApiError> {
    let window = query.window();
    let parent = &caller.account.id;
    let (rows, total) = state.reader.sub_accounts(parent, None, window.offset, window.limit).await?;
    let number = numeric_id(&state, parent).await?;
    let objects: Vec<Value> = rows.iter().map(|row| Shown::of(row, number).plivo()).collect();
    let meta = window.plivo_meta(&format!("/v1/Account/{parent}/Subaccount/"), total);
    Ok(Json(json!({ "api_id": request.api_id, "meta": meta, "objects": objects })))
}

/// Make a sub-account; its credentials are answered here and nowhere else.
async fn create(
    State(state): State<AppState>,
    parent: Parent,
    request: RequestId,
    posted: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let wanted = NewSub::read(posted.value)?;
    let Making { mut command, token, .. } = making(&state, &parent, wanted).await?;
    command.session = None;
    let answer = move |outcome: &CreateSubAccountOutcome| match outcome {
        CreateSubAccountOutcome::Created { id, .. } => Ok(Reply::created(json!({
            "api_id": request.api_id, "message": "created", "auth_id": id, "auth_token": token,
        }))),
        other => Err(refused(other)),
    };
    posted.effect.run(&parent.0.account.id, command, answer).await
}

/// Read one; its token is masked.
async fn read(
    State(state): State<AppState>,
    Parent(caller): Parent,
    Path((_, id)): Path<(String, String)>,
) -> Result<Json<Value>, ApiError> {
    let row = found(&state, &caller.account.id, &id).await?;
    let number = numeric_id(&state, &caller.account.id).await?;
    Ok(Json(Shown::of(&row, number).plivo()))
}

/// Change one: what is not sent stays.
async fn update(
    State(state): State<AppState>,
    parent: Parent,
    request: RequestId,
    Path((_, id)): Path<(String, String)>,
    Posted { value, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let change = Change::read(value)?;
    let hold = match claim(&state, &effect, &parent.0.account.id).await? {
        Claimed::Replay(reply) => return Ok(reply),
        Claimed::Go(hold) => hold,
    };
    let applied = apply(&state, &parent, &id, &change).await;
    let answer = applied.map(|_| Reply::ok(json!({ "api_id": request.api_id, "message": "changed" })));
    hold.keep(&state, &answer).await;
    answer
}

/// Remove one.
async fn remove(
    parent: Parent,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    end(&parent, &id, &effect, Reply::no_content()).await
}
