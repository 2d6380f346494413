//! An account on the money of its own: a customer or a partner with its own credentials, under its own id. Sub-accounts
//! have no money; what they see of their main account's stands elsewhere.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use tandem_model::{AccountId, ErrorCode};

use super::{ApiError, AppState};
use crate::auth::{Caller, CallerKind};

/// The account that asks, which is the one in the path.
pub(super) struct Own(pub(super) Caller);

impl Own {
    pub(super) fn id(&self) -> &AccountId {
        &self.0.account.id
    }
}

impl FromRequestParts<AppState> for Own {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        let parameters = RawPathParams::from_request_parts(parts, &()).await.ok();
        let path = parameters.as_ref().and_then(|parameters| {
            parameters.iter().find(|(name, _)| *name == "auth_id").map(|(_, id)| id.to_owned())
        });
        if path.as_deref() != Some(caller.account.id.as_str()) {
            return Err(ApiError::new(ErrorCode::AccountMismatch));
        }
        if caller.kind == CallerKind::Sub {
            let words = "A sub-account has no money of its own: use its main account's credentials";
            return Err(ApiError::because(ErrorCode::PermissionMissing, words));
        }
        Ok(Self(caller))
    }
}
