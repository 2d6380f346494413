//! How a list of routes is walked: when the next one is tried, and the channel a carrier gives for one call.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Transport;

/// Failures of a carrier that another carrier may not have: silence, congestion, a fault of its own.
const OF_CARRIERS: [u16; 6] = [408, 480, 500, 502, 503, 504];
/// Failures of a customer's PBX that its other one may not have. 480 is the PBX's own word on a person.
const OF_ORIGINATION: [u16; 5] = [408, 500, 502, 503, 504];

/// The final SIP statuses after which the next route is tried; every other one ends the search, for somebody has said no. Silence and
/// failures of the transport always go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover(Arc<[u16]>);

impl Failover {
    /// The statuses a carrier's operator chose.
    pub fn after(statuses: &[u16]) -> Self {
        Self(statuses.into())
    }

    /// The usual ones between carriers: 408, 480, 500, 502, 503, 504.
    pub fn of_carriers() -> Self {
        Self::after(&OF_CARRIERS)
    }

    /// The usual ones between the origination URIs of a trunk: 408, 500, 502, 503, 504.
    pub fn of_origination() -> Self {
        Self::after(&OF_ORIGINATION)
    }

    /// Whether the next route is tried after this status.
    pub fn tries_next(&self, status: u16) -> bool {
        self.0.contains(&status)
    }

    /// The statuses.
    pub fn statuses(&self) -> &[u16] {
        &self.0
    }
}

/// A carrier's channel, given back when it is dropped.
#[must_use = "a dropped channel is free again"]
pub struct CarrierChannel(Option<Box<dyn FnOnce() + Send>>);

impl CarrierChannel {
    /// A channel whose end is told to `release`.
    pub fn new(release: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(release)))
    }

    /// A channel nobody counts.
    pub fn uncounted() -> Self {
        Self(None)
    }
}

impl Drop for CarrierChannel {
    fn drop(&mut self) {
        if let Some(release) = self.0.take() {
            release();
        }
    }
}

impl fmt::Debug for CarrierChannel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CarrierChannel")
    }
}

/// A gateway to ask for signs of life: of a carrier, or of a trunk's origination.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Gateway {
    /// Where.
    pub address: SocketAddr,
    /// Over what.
    pub transport: Transport,
}

/// What its probes (OPTIONS) say of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayHealth {
    /// It answers.
    Up,
    /// It does not, or says that it cannot take calls: routes to it come after all others.
    Down,
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn a_person_who_said_no_is_not_asked_again_elsewhere() {
        for status in [404, 486, 603, 403, 484, 487, 600] {
            assert!(!Failover::of_carriers().tries_next(status), "{status}");
            assert!(!Failover::of_origination().tries_next(status), "{status}");
        }
        for status in [408, 503, 504] {
            assert!(Failover::of_carriers().tries_next(status), "{status}");
            assert!(Failover::of_origination().tries_next(status), "{status}");
        }
        assert!(Failover::of_carriers().tries_next(480) && !Failover::of_origination().tries_next(480));
        assert!(Failover::after(&[404]).tries_next(404) && !Failover::after(&[404]).tries_next(503));
    }

    #[test]
    fn a_channel_is_given_back_once() {
        let released = Arc::new(AtomicU32::new(0));
        let counter = Arc::clone(&released);
        drop(CarrierChannel::new(move || {
            counter.fetch_add(1, Ordering::Relaxed);
        }));
        drop(CarrierChannel::uncounted());
        assert_eq!(released.load(Ordering::Relaxed), 1);
    }
}
