//! KYC over the API (REST reference §4, §5.6): hosted sessions of a partner's customers and of sub-accounts, documents of
//! sub-accounts, their test mode, and erasure.
//!
//! - `sessions`: a partner's; `sub_sessions`: a main account's for its sub-accounts; `request` and `view`: what both read and
//!   show; `documents`: documents of sub-accounts; `sub_account`: whose request it is; `forget`: erasure.

mod documents;
mod forget;
mod request;
mod sessions;
mod sub_account;
mod sub_sessions;
mod view;

use tandem_model::ErrorCode;

use super::{ApiError, Routes};
use crate::kyc::KycError;
use crate::kyc::verifier::VerifierError;

/// When a verifier that failed may be asked again, seconds.
const RETRY_AFTER_S: u32 = 5;

/// The routes.
pub(super) fn routes() -> Routes {
    Routes::new()
        .merge(sessions::routes())
        .merge(sub_sessions::routes())
        .merge(documents::routes())
        .merge(forget::routes())
}

impl From<KycError> for ApiError {
    fn from(error: KycError) -> Self {
        match error {
            KycError::Store(error) => error.into(),
            KycError::Vault(error) => error.into(),
            KycError::Verifier(VerifierError::NotOffered(words)) => Self::because(ErrorCode::NotBuilt, words),
            KycError::Verifier(VerifierError::Unavailable(_)) => {
                tracing::warn!(%error, "a document could not be verified");
                Self::new(ErrorCode::VerifierUnavailable).retry_after(RETRY_AFTER_S)
            }
            KycError::Erased => Self::because(ErrorCode::Conflict, "The data of this KYC was erased"),
            KycError::Busy => super::revision::stale(),
        }
    }
}

/// The shape of this family's refusals (REST reference §1.4).
fn http_error(code: ErrorCode, message: impl Into<String>) -> ApiError {
    ApiError::because(code, message).word("HTTPError").with("status_code", code.http_status())
}
