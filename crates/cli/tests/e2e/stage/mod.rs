//! What the scenarios stand on: a provisioned world, sipp peers, a handset, and the oracle of signatures.

pub(crate) mod genuine;
pub(crate) mod handset;
pub(crate) mod peer;
pub(crate) mod script;
pub(crate) mod tariff;
pub(crate) mod wire;
pub(crate) mod world;

pub(crate) use peer::{Caller, CarrierPeer};
pub(crate) use script::{Dialog, carrier_side};
pub(crate) use world::{Customer, Trunk, World, WorldOptions};

use std::time::Duration;

use tandem_model::clock;

/// Longest anything may take that is not itself a matter of seconds.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Asks again and again until there is an answer.
///
/// # Panics
/// After [`PATIENCE`], with what was waited for.
#[track_caller]
pub(crate) fn until<T, F, W>(what: W, mut ask: impl FnMut() -> F) -> impl Future<Output = T>
where
    F: Future<Output = Option<T>>,
    W: std::fmt::Display,
{
    let asked_at = std::panic::Location::caller();
    async move {
        let deadline = clock::monotonic() + PATIENCE;
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            assert!(clock::monotonic() < deadline, "{asked_at}: no {what} after {PATIENCE:?}");
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
    }
}
