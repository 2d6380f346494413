//! Where calls to a number go: an application or a trunk (REST reference §6.6, §6.7).

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{ApplicationId, E164, ErrorCode, TrunkId, clock};
use tandem_store::resources::number::{AssignOutcome, AssignTrunk, AttachApplication, AttachOutcome};

use super::{no_number, number_in_path, owned_number};
use crate::api::{ApiError, AppState, Effect, Posted, Reply, RequestId, applications, checks};
use crate::auth::Scoped;

#[derive(Debug, Deserialize)]
pub(super) struct AttachBody {
    application_id: Option<Value>,
    app_id: Option<Value>,
}

/// `POST …/numbers/{e164}/application`: calls to the number are steered by the application. Attaching
/// another replaces it.
pub(super) async fn attach(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    id: RequestId,
    posted: Posted<AttachBody>,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let wanted = match posted.value.application_id.or(posted.value.app_id) {
        Some(Value::String(text)) => text,
        Some(Value::Number(number)) => number.to_string(),
        _ => return Err(ApiError::field("application_id", "is required")),
    };
    let no_application = || {
        ApiError::not_found("Application not found")
            .word("Application not found")
            .with("app_id", wanted.as_str())
    };
    let named = ApplicationId::new(&wanted);
    let application = match state.reader.application(scope.id(), &named).await? {
        Some(own) => Some(own),
        None => state.reader.application(scope.payer(), &named).await?,
    };
    let application = application.ok_or_else(no_application)?;
    let command = AttachApplication {
        e164,
        owner: scope.payer().clone(),
        application: Some(application.id.clone()),
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    };
    let view = applications::detail(&state, application, id.api_id);
    let answer = move |outcome: &AttachOutcome| match outcome {
        AttachOutcome::Done => Ok(Reply::ok(json!({
            "message": "Number attached to application", "number": e164, "application": view,
        }))),
        AttachOutcome::NoNumber => Err(no_number(e164)),
        AttachOutcome::NoApplication => {
            Err(ApiError::not_found("Application not found").word("Application not found"))
        }
    };
    posted.effect.run(&scope.caller.account.id, command, answer).await
}

/// `DELETE …/numbers/{e164}/application`: nothing happens when nothing is attached.
pub(super) async fn detach(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let command = AttachApplication {
        e164,
        owner: scope.payer().clone(),
        application: None,
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    };
    let answer = move |outcome: &AttachOutcome| match outcome {
        AttachOutcome::NoNumber => Err(no_number(e164)),
        _ => Ok(Reply::ok(json!({ "message": "Number detached from application", "number": e164 }))),
    };
    effect.run(&scope.caller.account.id, command, answer).await
}

#[derive(Debug, Deserialize)]
pub(super) struct AssignBody {
    trunk_group_id: Option<String>,
    trunk_id: Option<String>,
}

/// `POST …/numbers/{e164}/assign`: calls to the number go to the trunk. Unassign it first to move it.
pub(super) async fn assign(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    posted: Posted<AssignBody>,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let wanted = posted.value.trunk_group_id.or(posted.value.trunk_id);
    let wanted = checks::text("trunk_group_id", wanted.as_deref(), 36)?;
    let trunk: TrunkId = checks::parsed("trunk_group_id", &wanted, "is a trunk's UUID")?;
    let answer = move |outcome: &AssignOutcome| match outcome {
        AssignOutcome::Done => Ok(Reply::no_content()),
        AssignOutcome::Assigned => {
            let words = "This number is already assigned to a trunk.";
            Err(ApiError::because(ErrorCode::ValidationError, words).word("invalid request"))
        }
        AssignOutcome::NoTrunk => Err(ApiError::new(ErrorCode::TrunkNotFound)),
        AssignOutcome::NoNumber | AssignOutcome::NotAssigned => Err(no_number(e164)),
    };
    posted.effect.run(&scope.caller.account.id, assignment(&scope, e164, Some(trunk)), answer).await
}

/// `DELETE …/numbers/{e164}/assign`.
pub(super) async fn unassign(
    State(state): State<AppState>,
    scope: Scoped,
    Path((_, e164)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let e164 = owned_number(&state, &scope, number_in_path(&e164)?).await?.e164;
    let answer = move |outcome: &AssignOutcome| match outcome {
        AssignOutcome::Done => Ok(Reply::no_content()),
        AssignOutcome::NotAssigned => {
            Err(ApiError::not_found("This number is not assigned to a trunk.").word("Number not assigned"))
        }
        _ => Err(no_number(e164)),
    };
    effect.run(&scope.caller.account.id, assignment(&scope, e164, None), answer).await
}

fn assignment(scope: &Scoped, e164: E164, trunk: Option<TrunkId>) -> AssignTrunk {
    AssignTrunk {
        e164,
        owner: scope.payer().clone(),
        trunk,
        actor: scope.caller.actor.clone(),
        at: clock::wall(),
    }
}
