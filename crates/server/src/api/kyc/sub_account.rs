//! Whose request it is: a main account's own credentials, for a sub-account of its own. A sub-account's credentials are
//! refused; a sub-account of somebody else is not there.

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use tandem_model::{AccountId, ErrorCode};
use tandem_store::directory::AccountRow;

use crate::api::{ApiError, AppState};
use crate::auth::{Caller, CallerKind};

/// Longest id looked at.
const ID_MAX: usize = 32;

/// A sub-account and the parent that asks for it.
pub(super) struct SubAccount {
    pub(super) caller: Caller,
    pub(super) row: AccountRow,
}

impl SubAccount {
    pub(super) fn parent(&self) -> &AccountId {
        &self.caller.account.id
    }
}

impl FromRequestParts<AppState> for SubAccount {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &AppState) -> Result<Self, ApiError> {
        let caller = Caller::from_request_parts(parts, state).await?;
        if caller.kind != CallerKind::Master {
            let words = "KYC of a sub-account takes its parent's credentials";
            return Err(ApiError::because(ErrorCode::AccountMismatch, words));
        }
        let parameters = RawPathParams::from_request_parts(parts, &()).await.ok();
        let id = parameters.as_ref().and_then(|parameters| {
            parameters.iter().find(|(name, _)| *name == "sub_auth_id").map(|(_, id)| id.to_owned())
        });
        let id = id.filter(|id| id.len() <= ID_MAX).unwrap_or_default();
        let row = state.reader.directory_account(&id).await?;
        let own = row.filter(|row| row.kind == "sub" && row.parent.as_ref() == Some(&caller.account.id));
        match own {
            Some(row) => Ok(Self { caller, row }),
            None => {
                Err(ApiError::not_found("No sub-account of yours has that id").word("sub_account_not_found"))
            }
        }
    }
}
