//! Carriers' own limits: new calls a second and live calls. Planning looks whether a carrier has room; dialling takes the channel at
//! the moment an INVITE leaves, so that a carrier kept in reserve loses nothing to calls that never reached it.
//!
//! This node's calls are counted exactly, in memory. Other nodes' calls, and those of a process that died and is not settled yet, are
//! what the store says of them every second, so that nodes together may overshoot by what they dial within one. Calls a second
//! are shared out evenly among the nodes that live.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tandem_model::CarrierId;
use tandem_model::ports::CarrierChannel;

use super::bucket::Bucket;
use crate::directory::CarrierEntry;

/// The limits of all carriers on this node. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct CarrierLimits {
    loads: Arc<Mutex<HashMap<CarrierId, Load>>>,
    /// Nodes that live, this one among them; 0 until they were counted. They share the calls of a second.
    nodes: Arc<AtomicU32>,
}

#[derive(Default)]
struct Load {
    bucket: Option<Bucket>,
    /// Channels taken by this process.
    here: u64,
    /// Live calls that are not this process's.
    elsewhere: u64,
}

impl Load {
    fn has_channel(&self, limit: u32) -> bool {
        limit == 0 || self.here + self.elsewhere < u64::from(limit)
    }
}

impl CarrierLimits {
    /// Whether the carrier would take a call now.
    pub(crate) fn has_room(&self, carrier: &CarrierEntry, now: Instant) -> bool {
        let cps = self.cps(carrier);
        self.with(carrier.id, |load| {
            load.has_channel(carrier.concurrent_limit)
                && (carrier.cps_limit == 0
                    || load.bucket.get_or_insert_with(|| Bucket::new(cps, now)).has_token(cps, now))
        })
    }

    /// Takes a channel, and one of this second's calls; `None` when either is used up.
    pub(crate) fn seize(&self, carrier: &CarrierEntry, now: Instant) -> Option<CarrierChannel> {
        let cps = self.cps(carrier);
        let taken = self.with(carrier.id, |load| {
            let room = load.has_channel(carrier.concurrent_limit)
                && (carrier.cps_limit == 0
                    || load.bucket.get_or_insert_with(|| Bucket::new(cps, now)).take(cps, now));
            load.here += u64::from(room);
            room
        });
        let (limits, id) = (self.clone(), carrier.id);
        taken.then(|| {
            CarrierChannel::new(move || {
                limits.with(id, |load| load.here = load.here.saturating_sub(1));
            })
        })
    }

    /// What the store says of calls that are not this process's.
    pub(crate) fn set_elsewhere(&self, counts: &HashMap<CarrierId, u64>) {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        for (id, load) in loads.iter_mut() {
            load.elsewhere = counts.get(id).copied().unwrap_or_default();
        }
        for (id, count) in counts {
            loads.entry(*id).or_default().elsewhere = *count;
        }
    }

    /// How many nodes live.
    pub(crate) fn set_nodes(&self, nodes: u32) {
        self.nodes.store(nodes, Ordering::Relaxed);
    }

    /// This node's share of a carrier's calls of a second.
    fn cps(&self, carrier: &CarrierEntry) -> f64 {
        f64::from(carrier.cps_limit) / f64::from(self.nodes.load(Ordering::Relaxed).max(1))
    }

    fn with<T>(&self, carrier: CarrierId, look: impl FnOnce(&mut Load) -> T) -> T {
        let mut loads = self.loads.lock().unwrap_or_else(PoisonError::into_inner);
        look(loads.entry(carrier).or_default())
    }
}

#[cfg(test)]
mod tests {
    use tandem_model::ports::{Failover, Transport};
    use tandem_model::{Ids, clock};

    use super::*;
    use crate::directory::NumberFormat;
    use crate::names::Place;

    fn carrier(cps_limit: u32, concurrent_limit: u32) -> CarrierEntry {
        CarrierEntry {
            place: Place::new("192.0.2.1", 5060, Some(Transport::Udp)),
            addresses: Vec::new(),
            id: CarrierId(Ids::random()),
            name: "acme".to_owned(),
            priority: 1,
            weight: 10,
            cps_limit,
            concurrent_limit,
            prefixes: Vec::new(),
            format: NumberFormat::Plus,
            caller_format: NumberFormat::Plus,
            failover: Failover::of_carriers(),
            username: None,
            password: None,
            realm: None,
            listed_sources: Vec::new(),
            register: false,
            enabled: true,
        }
    }

    #[test]
    fn a_channel_is_taken_at_the_limit_and_given_back_by_its_end() {
        let (limits, now, carrier) = (CarrierLimits::default(), clock::monotonic(), carrier(0, 2));
        let (first, second) = (limits.seize(&carrier, now), limits.seize(&carrier, now));
        assert!(first.is_some() && second.is_some());
        assert!(!limits.has_room(&carrier, now) && limits.seize(&carrier, now).is_none());
        drop(first);
        assert!(limits.has_room(&carrier, now) && limits.seize(&carrier, now).is_some());
    }

    #[test]
    fn calls_of_other_processes_take_channels_until_they_are_settled() {
        let (limits, now, carrier) = (CarrierLimits::default(), clock::monotonic(), carrier(0, 3));
        limits.set_elsewhere(&HashMap::from([(carrier.id, 2)]));
        let only = limits.seize(&carrier, now);
        assert!(only.is_some() && limits.seize(&carrier, now).is_none());
        limits.set_elsewhere(&HashMap::new());
        assert!(limits.seize(&carrier, now).is_some());
    }

    #[test]
    fn nodes_share_the_calls_of_a_second() {
        let (limits, now, carrier) = (CarrierLimits::default(), clock::monotonic(), carrier(6, 0));
        limits.set_nodes(3);
        let taken: Vec<_> = (0..6).filter_map(|_| limits.seize(&carrier, now)).collect();
        assert_eq!(taken.len(), 2);
        limits.set_nodes(1);
        let later = now + std::time::Duration::from_secs(1);
        assert_eq!((0..9).filter_map(|_| limits.seize(&carrier, later)).count(), 6);
    }

    #[test]
    fn looking_costs_none_of_the_calls_of_this_second() {
        let (limits, now, carrier) = (CarrierLimits::default(), clock::monotonic(), carrier(1, 0));
        for _ in 0..10 {
            assert!(limits.has_room(&carrier, now));
        }
        let taken = limits.seize(&carrier, now);
        assert!(taken.is_some() && !limits.has_room(&carrier, now) && limits.seize(&carrier, now).is_none());
    }
}
