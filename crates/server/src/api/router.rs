//! The route table: one line a resource.

use std::sync::Arc;
use std::time::Duration;

use axum::{Extension, Router};

use super::canonical::Canonical;
use super::envelope::{RequestLimits, enclosed};
use super::{
    AppState, Routes, account, alerts, applications, audit, calls, channels, conferences, credentials,
    endpoints, ip_acl, kyc, not_built, numbers, openapi, origination_uris, partner, partner_accounts,
    passwords, payments, recordings, records, sessions, settings, statements, sub_accounts, tokens,
    transactions, trunks, xml,
};
use crate::api_listener::speaks_tls;
use crate::auth::Limits;

/// Every resource.
pub(super) fn table() -> Routes {
    Routes::new()
        .merge(account::routes())
        .merge(alerts::routes())
        .merge(channels::routes())
        .merge(payments::routes())
        .merge(statements::routes())
        .merge(numbers::routes())
        .merge(partner::routes())
        .merge(partner_accounts::routes())
        .merge(transactions::routes())
        .merge(applications::routes())
        .merge(calls::routes())
        .merge(conferences::routes())
        .merge(credentials::routes())
        .merge(endpoints::routes())
        .merge(ip_acl::routes())
        .merge(kyc::routes())
        .merge(origination_uris::routes())
        .merge(recordings::routes())
        .merge(records::routes())
        .merge(passwords::routes())
        .merge(sessions::routes())
        .merge(settings::routes())
        .merge(audit::routes())
        .merge(sub_accounts::routes())
        .merge(tokens::routes())
        .merge(trunks::routes())
        .merge(xml::routes())
        .merge(not_built::routes())
}

/// The patterns of what is built.
#[cfg(test)]
pub(super) fn built_patterns() -> Vec<String> {
    let (_, unbuilt) = not_built::routes().into_parts();
    let (_, patterns) = table().into_parts();
    patterns.into_iter().filter(|pattern| !unbuilt.contains(pattern)).collect()
}

/// The REST API of one node.
pub(crate) fn router(state: AppState) -> Router {
    let (router, patterns) = table().into_parts();
    let canonical = Canonical::new(patterns.iter().map(String::as_str));
    let api = &state.config.api;
    let limits =
        RequestLimits { timeout: Duration::from_millis(api.timeout_ms), body_bytes: api.body_limit_bytes };
    let asked = Arc::new(Limits::new(api));
    let speaks_tls = speaks_tls(api);
    // One layer for both: each is a box that every request clones.
    let router = router.layer((Extension(asked), Extension(records::Exports::default())));
    let rest = enclosed(router.with_state(state), canonical, limits);
    openapi::router(rest, speaks_tls)
}
