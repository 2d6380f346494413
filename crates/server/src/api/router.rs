//! The route table, and what stands around it.

use axum::Router;

use super::AppState;

/// The REST API of one node.
pub(crate) fn router(state: AppState) -> Router {
    Router::new().with_state(state)
}
