//! Published operations that are not built: each is answered 501 with a sentence that names it, so that a
//! client learns what is missing instead of guessing from a 404.

use axum::routing::any;

use super::{ApiError, Routes};

/// Pattern and what it would be.
const OPERATIONS: &[(&str, &str)] = &[
    ("/messaging/{*rest}", "WhatsApp messaging"),
    ("/Account/{auth_id}/capacity", "Campaign capacity"),
    ("/Account/{auth_id}/campaign/{*rest}", "The campaign manager"),
    ("/Account/{auth_id}/campaigns", "The campaign manager"),
    ("/Account/{auth_id}/campaigns/{*rest}", "The campaign manager"),
    ("/Account/{auth_id}/Message", "SMS"),
    ("/Account/{auth_id}/Message/{*rest}", "SMS"),
];

/// The routes.
pub(super) fn routes() -> Routes {
    OPERATIONS.iter().fold(Routes::new(), |routes, (pattern, operation)| {
        let refuse = async move || sentence(operation);
        routes.route(pattern, any(refuse))
    })
}

/// The refusal of one operation.
pub(super) fn sentence(operation: &str) -> ApiError {
    ApiError::not_built(&format!("Not built: {operation}."))
}
