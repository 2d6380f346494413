//! What a resource adds to the API: its routes, remembered as patterns too, so that the canonicaliser
//! and the router work from the same table.

use axum::Router;
use axum::routing::MethodRouter;

use super::AppState;

/// Every route of the contract lives below this.
pub(crate) const PREFIX: &str = "/api/v1";

/// Routes of one resource, or of all.
///
/// Patterns are written without `/api/v1`, in the contract's own casing, without a trailing slash:
/// `/Account/{auth_id}/numbers/{e164}`. Parameters at the same place must have the same name in all
/// resources (`{auth_id}`, `{e164}`, `{app_id}`, `{trunk_id}`, `{call_uuid}`, `{endpoint_id}`, `{id}`
/// below `credentials`, `ip-acl` and `origination-uris`). `{e164}` reaches the handler as `+` and digits.
#[derive(Default)]
pub(crate) struct Routes {
    router: Router<AppState>,
    patterns: Vec<String>,
}

impl Routes {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Adds a route; methods of the same pattern given apart are merged.
    pub(crate) fn route(mut self, pattern: &str, methods: MethodRouter<AppState>) -> Self {
        self.router = self.router.route(&format!("{PREFIX}{pattern}"), methods);
        self.patterns.push(pattern.to_owned());
        self
    }

    /// Adds another resource's routes.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.router = self.router.merge(other.router);
        self.patterns.extend(other.patterns);
        self
    }

    /// The router, and the patterns for the canonicaliser.
    pub(crate) fn into_parts(self) -> (Router<AppState>, Vec<String>) {
        (self.router, self.patterns)
    }
}
