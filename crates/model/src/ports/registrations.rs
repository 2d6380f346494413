//! Phones' contacts across restarts: without them a restart makes every phone unreachable until it
//! registers again.

use super::Pending;
use super::admission::StoreUnavailable;

/// One contact of one endpoint, as stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBinding {
    /// Endpoint user name.
    pub username: String,
    /// Contact URI as registered.
    pub contact: String,
    /// Received flow, `udp:203.0.113.9:5062`.
    pub flow: String,
    /// Absolute expiry, seconds since the epoch.
    pub expires_at: i64,
    /// Call-ID of the REGISTER.
    pub call_id: String,
    /// CSeq of the REGISTER.
    pub cseq: u32,
    /// User-Agent.
    pub user_agent: String,
    /// Path headers, comma separated; empty for none.
    pub path: String,
}

/// A durable change of bindings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BindingChange {
    /// Insert or replace by (username, contact).
    Upsert(StoredBinding),
    /// Remove by (username, contact).
    Remove {
        /// Endpoint user name.
        username: String,
        /// Contact URI.
        contact: String,
    },
}

/// Stored registrations.
pub trait Registrations: Send + Sync {
    /// Every binding that has not expired, at start.
    fn load(&self) -> Pending<'_, Result<Vec<StoredBinding>, StoreUnavailable>>;

    /// Makes changes durable; awaited before the 200 to REGISTER.
    fn save(&self, changes: Vec<BindingChange>) -> Pending<'_, Result<(), StoreUnavailable>>;
}
