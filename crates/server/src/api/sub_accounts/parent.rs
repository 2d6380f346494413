//! Whose request it is: a main account with its own credentials, under its own id. Somebody else's id and one that nobody
//! has are both not there.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use tandem_model::ErrorCode;

use crate::api::{ApiError, AppState};
use crate::auth::{Caller, CallerKind};

/// The main account that asks.
pub(super) struct Parent(pub(super) Caller);

pub(super) fn not_yours() -> ApiError {
    ApiError::not_found("You have no account with that id").word("parent_account_not_found")
}

impl FromRequestParts<AppState> for Parent {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.kind != CallerKind::Master {
            let words = "Sub-accounts are administered with their main account's credentials";
            return Err(ApiError::because(ErrorCode::AccountMismatch, words));
        }
        let parameters = RawPathParams::from_request_parts(parts, &()).await.ok();
        let path = parameters.as_ref().and_then(|parameters| {
            parameters.iter().find(|(name, _)| *name == "auth_id").map(|(_, id)| id.to_owned())
        });
        if path.as_deref() == Some(caller.account.id.as_str()) { Ok(Self(caller)) } else { Err(not_yours()) }
    }
}
