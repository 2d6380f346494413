//! The registrar: bindings by user, expiry, and the rules of RFC 3261 §10.3.

use super::binding::{Binding, BindingChange};
use super::facts::{RegisterFacts, RegisterOutcome};
use super::keepalive::KeepAlive;

/// Shortest registration; below it 423.
pub const MIN_EXPIRES_SECONDS: u32 = 60;
/// Longest registration; longer wishes are shortened.
pub const MAX_EXPIRES_SECONDS: u32 = 3_600;
/// Where the phone names none.
pub const DEFAULT_EXPIRES_SECONDS: u32 = 3_600;
/// Most bindings of one user; one more replaces the least recently refreshed, because phones that
/// restart without unregistering leave dead ones behind.
pub const MAX_BINDINGS_PER_AOR: usize = 10;
/// Most bindings in one registrar.
pub const MAX_BINDINGS_TOTAL: usize = 262_144;

/// All bindings of this node. Times are seconds since the epoch.
#[derive(Debug, Default)]
pub struct Registrar {}

impl Registrar {
    /// An empty registrar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes over stored bindings at start. Those that expired meanwhile come back as removals.
    pub fn load(&mut self, now: u64, stored: impl IntoIterator<Item = Binding>) -> Vec<BindingChange> {
        let _ = (now, stored.into_iter().count());
        todo!()
    }

    /// Decides one REGISTER.
    pub fn handle(&mut self, now: u64, facts: RegisterFacts) -> RegisterOutcome {
        let _ = (now, facts);
        todo!()
    }

    /// Drops every binding of a user, as when its password changes.
    pub fn remove_all(&mut self, aor: &str) -> Vec<BindingChange> {
        let _ = aor;
        todo!()
    }

    /// Drops the bindings that only a closed connection could reach.
    pub fn connection_closed(&mut self, connection: u64) -> Vec<BindingChange> {
        let _ = connection;
        todo!()
    }

    /// Drops what has expired at `now`.
    pub fn expire(&mut self, now: u64) -> Vec<BindingChange> {
        let _ = now;
        todo!()
    }

    /// The keep-alives due at `now`, at most [`super::KEEPALIVE_BATCH`].
    pub fn keepalives(&mut self, now: u64) -> Vec<KeepAlive> {
        let _ = now;
        todo!()
    }

    /// The live bindings of a user, most recently refreshed first.
    pub fn bindings(&self, aor: &str, now: u64) -> Vec<&Binding> {
        let _ = (aor, now);
        todo!()
    }

    /// When [`Self::expire`] or [`Self::keepalives`] next has something to do.
    pub fn deadline(&self) -> Option<u64> {
        todo!()
    }
}
