//! The route table: one line a resource.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};

use super::canonical::Canonical;
use super::envelope::{RequestLimits, enclosed};
use super::{
    AppState, Routes, account, applications, audit, calls, credentials, endpoints, ip_acl, kyc, not_built,
    numbers, origination_uris, partner, partner_accounts, passwords, records, sessions, settings,
    sub_accounts, tokens, transactions, trunks,
};
use crate::auth::Limits;

/// Every resource.
pub(super) fn table() -> Routes {
    Routes::new()
        .merge(account::routes())
        .merge(numbers::routes())
        .merge(partner::routes())
        .merge(partner_accounts::routes())
        .merge(transactions::routes())
        .merge(applications::routes())
        .merge(calls::routes())
        .merge(credentials::routes())
        .merge(endpoints::routes())
        .merge(ip_acl::routes())
        .merge(kyc::routes())
        .merge(origination_uris::routes())
        .merge(records::routes())
        .merge(passwords::routes())
        .merge(sessions::routes())
        .merge(settings::routes())
        .merge(audit::routes())
        .merge(sub_accounts::routes())
        .merge(tokens::routes())
        .merge(trunks::routes())
        .merge(not_built::routes())
}

/// The REST API of one node.
pub(crate) fn router(state: AppState) -> Router {
    let (router, patterns) = table().into_parts();
    let canonical = Canonical::new(patterns.iter().map(String::as_str));
    let api = &state.config.api;
    let limits =
        RequestLimits { timeout: Duration::from_millis(api.timeout_ms), body_bytes: api.body_limit_bytes };
    let asked = Arc::new(Limits::new(api));
    enclosed(router.layer(Extension(asked)).with_state(state), canonical, limits)
}
