//! Which sub-account a number is for (REST reference §6.8). Main accounts decide that with their own credentials.

use axum::extract::{Path, State};
use serde::Deserialize;
use serde_json::json;
use tandem_model::{AccountId, E164, ErrorCode, clock};
use tandem_store::resources::number::{AssignSubAccount, AssignSubOutcome};

use super::{no_number, number_in_path, switch};
use crate::api::json::instant;
use crate::api::own::Own;
use crate::api::{ApiError, AppState, Effect, Posted, Query, Reply, checks};
use crate::billing::NumberTerms;

#[derive(Debug, Deserialize)]
pub(super) struct AssignBody {
    sub_account_id: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct UnassignQuery {
    force: Option<String>,
}

fn command(
    state: &AppState,
    own: &Own,
    e164: E164,
    sub_account: Option<AccountId>,
) -> Result<AssignSubAccount, ApiError> {
    let terms = NumberTerms::of(&state.config.numbers).map_err(ApiError::internal)?;
    Ok(AssignSubAccount {
        e164,
        owner: own.id().clone(),
        sub_account,
        cool_off: Some(terms.cool_off),
        actor: own.0.actor.clone(),
        at: clock::wall(),
    })
}

/// What it came to; the number moves with nobody's calls on it.
pub(crate) fn moved(outcome: &AssignSubOutcome, e164: E164) -> Result<Reply, ApiError> {
    match outcome {
        AssignSubOutcome::Done => Ok(Reply::no_content()),
        AssignSubOutcome::NoNumber => Err(no_number(e164)),
        AssignSubOutcome::NoSubAccount => {
            Err(ApiError::not_found("This account has no such sub-account").word("Sub-account not found"))
        }
        AssignSubOutcome::NotAssigned => {
            Err(ApiError::not_found("This number is assigned to no sub-account").word("Number not assigned"))
        }
        AssignSubOutcome::CoolOff { until } => {
            let left = until.duration_since(clock::wall()).as_secs().max(1);
            let words = "The number has had calls lately: who called it must not reach somebody else";
            Err(ApiError::because(ErrorCode::Conflict, words)
                .word("did_cool_off_in_effect")
                .hint("Assign it once cool_off_until has passed.")
                .with("cool_off_until", instant(*until))
                .with("cool_off_remaining_seconds", json!(left)))
        }
    }
}

/// `POST …/numbers/{e164}/assign-subaccount`: calls of the number are the sub-account's from now on.
pub(super) async fn assign(
    State(state): State<AppState>,
    own: Own,
    Path((_, e164)): Path<(String, String)>,
    posted: Posted<AssignBody>,
) -> Result<Reply, ApiError> {
    let e164 = number_in_path(&e164)?;
    let wanted = checks::text("sub_account_id", posted.value.sub_account_id.as_deref(), 32)?;
    let command = command(&state, &own, e164, Some(AccountId::new(&wanted)))?;
    posted.effect.run(own.id(), command, move |outcome| moved(outcome, e164)).await
}

/// `DELETE …/numbers/{e164}/assign-subaccount`: the main account has it again, unless it had a call lately. Only the
/// operator can insist.
pub(super) async fn unassign(
    State(state): State<AppState>,
    own: Own,
    Path((_, e164)): Path<(String, String)>,
    Query(query): Query<UnassignQuery>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let e164 = number_in_path(&e164)?;
    if switch("force", query.force.as_deref())? {
        let words = "Only the operator can take a number back before its time: tandem admin number unassign";
        return Err(ApiError::because(ErrorCode::PermissionMissing, words).word("forbidden"));
    }
    let command = command(&state, &own, e164, None)?;
    effect.run(own.id(), command, move |outcome| moved(outcome, e164)).await
}
