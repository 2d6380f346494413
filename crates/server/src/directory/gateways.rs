//! Gateways whose probes fail: what probing says, planning asks. In memory on each node, for each node sees its own path; a node that
//! has not probed yet takes every gateway to be up.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::{PoisonError, RwLock};

use tandem_model::ports::{Gateway, GatewayHealth};

use super::Directory;
use crate::names::Place;

/// Addresses that are down.
#[derive(Default)]
pub(super) struct Gateways(RwLock<HashSet<SocketAddr>>);

impl Gateways {
    pub(super) fn mark(&self, address: SocketAddr, health: GatewayHealth) {
        let mut down = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = match health {
            GatewayHealth::Down => down.insert(address),
            GatewayHealth::Up => down.remove(&address),
        };
        if changed {
            tracing::warn!(gateway = %address, ?health, "a gateway's probes say something new");
        }
    }

    pub(super) fn down(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn is_down(&self, address: SocketAddr) -> bool {
        self.0.read().unwrap_or_else(PoisonError::into_inner).contains(&address)
    }
}

impl Directory {
    /// Whether the last probes of a gateway failed: routes to it come after all others.
    pub(crate) fn is_down(&self, address: SocketAddr) -> bool {
        self.gateways.is_down(address)
    }

    /// Gateways of carriers and of trunks' origination that are in use, each once.
    pub(super) fn gateways_in_use(&self) -> Vec<Gateway> {
        self.places()
            .iter()
            .flat_map(|place| self.names.listed(place))
            .map(|target| Gateway { address: target.address, transport: target.transport })
            .collect::<HashSet<_>>()
            .into_iter()
            .collect()
    }

    /// Every place calls may go to: of carriers and of trunks that are in use.
    pub(super) fn places(&self) -> Vec<Place> {
        let mut found = HashSet::new();
        let carriers = self.carriers();
        found.extend(carriers.iter().filter(|carrier| carrier.enabled).map(|carrier| carrier.place.clone()));
        for trunk in self.read(|table| table.trunks()) {
            if trunk.enabled && trunk.inbound {
                found.extend(trunk.places().cloned());
            }
        }
        found.into_iter().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gateway_is_up_until_its_probes_fail_and_again_when_they_succeed() {
        let gateways = Gateways::default();
        let (one, other) =
            (SocketAddr::from(([192, 0, 2, 1], 5060)), SocketAddr::from(([192, 0, 2, 1], 5070)));
        assert!(!gateways.is_down(one));
        gateways.mark(one, GatewayHealth::Down);
        assert!(gateways.is_down(one) && !gateways.is_down(other));
        gateways.mark(one, GatewayHealth::Up);
        assert!(!gateways.is_down(one));
    }
}
