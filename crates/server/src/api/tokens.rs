//! A new auth token (ours): for an account by itself or, for a sub-account, by its parent; for a partner on a route
//! of its own. The old token dies at once unless the configuration or the request gives it a while.

use axum::extract::State;
use axum::routing::post;
use jiff::SignedDuration;
use serde::Deserialize;
use serde_json::{Value, json};
use tandem_model::{AccountId, clock};
use tandem_store::audit::Actor;
use tandem_store::resources::account::RotateToken;

use super::json::optional_instant;
use super::{ApiError, AppState, Posted, Reply, Routes};
use crate::auth::{Partner, Scoped, context, mint_token};

/// Longest grace, seconds: a week.
const GRACE_MAX_S: u64 = 7 * 86_400;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/token/rotate", post(rotate))
        .route("/partner/token/rotate", post(rotate_partner))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rotation {
    /// Seconds for which the old token is good too.
    #[serde(default)]
    grace_s: Option<Value>,
}

/// `POST /Account/{auth_id}/token/rotate`.
async fn rotate(
    State(state): State<AppState>,
    scope: Scoped,
    posted: Posted<Rotation>,
) -> Result<Reply, ApiError> {
    let account = scope.id().clone();
    rotated(&state, account, scope.caller.actor, posted).await
}

/// `POST /partner/token/rotate`.
async fn rotate_partner(
    State(state): State<AppState>,
    Partner(caller): Partner,
    posted: Posted<Rotation>,
) -> Result<Reply, ApiError> {
    rotated(&state, caller.account.id.clone(), caller.actor, posted).await
}

async fn rotated(
    state: &AppState,
    account: AccountId,
    actor: Actor,
    posted: Posted<Rotation>,
) -> Result<Reply, ApiError> {
    let grace_s = match &posted.value.grace_s {
        None => state.config.api.token_grace_s.min(GRACE_MAX_S),
        Some(given) => given
            .as_u64()
            .filter(|grace| *grace <= GRACE_MAX_S)
            .ok_or_else(|| ApiError::field("grace_s", &format!("is 0 to {GRACE_MAX_S} whole seconds")))?,
    };
    let at = clock::wall();
    let grace = SignedDuration::from_secs(i64::try_from(grace_s).unwrap_or_default());
    let previous_until = (grace_s > 0).then(|| at + grace);
    let token = mint_token();
    let command = RotateToken {
        account: account.clone(),
        token_hash: state.vault.token_hash(&token),
        token_sealed: state.vault.seal(context::AUTH_TOKEN, &token),
        previous_until,
        actor,
        at,
    };
    let shown = json!({
        "message": "The auth token is changed",
        "auth_id": account,
        "auth_token": token,
        "previous_valid_until": optional_instant(previous_until),
    });
    let answer = move |rotated: &bool| match rotated {
        true => Ok(Reply::ok(shown.clone())),
        false => Err(ApiError::not_found("The account is gone")),
    };
    posted.effect.run(&account, command, answer).await
}
