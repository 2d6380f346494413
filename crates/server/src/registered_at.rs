//! The carriers that want us to register: the engine holds what the directory says, followed every second.

use std::collections::HashMap;
use std::time::Duration;

use tandem_engine::{EngineHandle, GatewayAccount, RegistrationState};
use tandem_model::CarrierId;
use tokio_util::sync::CancellationToken;

use crate::directory::{CarrierEntry, Directory};

/// How often the carriers are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// Tells the engine until cancelled.
pub(crate) async fn follow(directory: Directory, engine: EngineHandle, cancel: CancellationToken) {
    let mut any = false;
    loop {
        let carriers = directory.carriers();
        let accounts: Vec<_> = carriers.iter().filter_map(|carrier| account(&directory, carrier)).collect();
        // Most nodes register nowhere: nothing is said until there is something to say.
        if any || !accounts.is_empty() {
            any = !accounts.is_empty();
            engine.hold_registrations(accounts).await;
        }
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// What a carrier's registration has come to, for people; `None` where none is wanted.
pub(crate) fn words(states: &HashMap<CarrierId, RegistrationState>, carrier: CarrierId) -> Option<String> {
    states.get(&carrier).map(|state| state.words())
}

fn account(directory: &Directory, carrier: &CarrierEntry) -> Option<GatewayAccount> {
    if !carrier.enabled || !carrier.register {
        return None;
    }
    // The first that is not down: another one takes its place when probes say so.
    let target = directory.stable_targets(&carrier.place).into_iter().next()?;
    Some(GatewayAccount {
        carrier: carrier.id,
        address: target.address,
        transport: target.transport,
        host: carrier.place.name(),
        username: carrier.username.clone()?,
        password: carrier.password.clone()?,
        realm: carrier.realm.clone(),
    })
}
