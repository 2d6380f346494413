//! The operator's own requests: partners, money, carriers, rates, inventory, the ledger's proof. Served on
//! `DATA/admin.sock` only; `tandem admin` speaks it, and performs it on the files when no node runs.

use axum::Router;

use crate::api::AppState;

/// The operator's routes.
pub(crate) fn router(state: AppState) -> Router {
    Router::new().with_state(state)
}
