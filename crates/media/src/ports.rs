//! Which RTP port a leg gets.
//!
//! Even ports for RTP, the odd one above for RTCP. Drawn at random, so that a stranger cannot aim
//! at the next call; rested after release, so that late packets of one call never reach another.
//! Only the policy lives here: the engine binds.

use std::collections::VecDeque;
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Why no port was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// All ports are in use or resting.
    #[error("RTP ports are exhausted: {in_use} in use, {quarantined} resting after a call")]
    Exhausted {
        /// Ports held by legs.
        in_use: usize,
        /// Ports waiting for late packets to stop.
        quarantined: usize,
    },
    /// The range holds no even port with an odd one after it.
    #[error("RTP port range {0}-{1} holds no pair of an even and an odd port")]
    EmptyRange(u16, u16),
}

/// Hands out random even ports and rests released ones.
#[derive(Debug)]
pub struct PortAllocator {
    free: Vec<u16>,
    held: Vec<u16>,
    resting: VecDeque<(Instant, u16)>,
    quarantine: Duration,
    random: StdRng,
}

impl PortAllocator {
    /// Over `range`, in an order drawn from `seed`, resting released ports for `quarantine`.
    pub fn new(range: RangeInclusive<u16>, quarantine: Duration, seed: u64) -> Result<Self, PortError> {
        let free: Vec<u16> =
            range.clone().filter(|port| port % 2 == 0 && *port > 0 && range.contains(&(port + 1))).collect();
        if free.is_empty() {
            return Err(PortError::EmptyRange(*range.start(), *range.end()));
        }
        let random = StdRng::seed_from_u64(seed);
        Ok(Self { free, held: Vec::new(), resting: VecDeque::new(), quarantine, random })
    }

    /// Takes an even port.
    pub fn allocate(&mut self, now: Instant) -> Result<u16, PortError> {
        self.wake(now);
        if self.free.is_empty() {
            return Err(PortError::Exhausted { in_use: self.held.len(), quarantined: self.resting.len() });
        }
        let port = self.free.swap_remove(self.random.random_range(0..self.free.len()));
        if let Err(place) = self.held.binary_search(&port) {
            self.held.insert(place, port);
        }
        Ok(port)
    }

    /// Gives a port back; it rests before it is used again. One that is not held is ignored, so
    /// a double release never hands a port to two calls.
    pub fn release(&mut self, now: Instant, port: u16) {
        if let Ok(place) = self.held.binary_search(&port) {
            self.held.remove(place);
            self.resting.push_back((now + self.quarantine, port));
        }
    }

    /// Ports held.
    pub fn in_use(&self) -> usize {
        self.held.len()
    }

    /// Ports that could be given now.
    pub fn available(&self, now: Instant) -> usize {
        self.free.len() + self.resting.iter().take_while(|(until, _)| *until <= now).count()
    }

    fn wake(&mut self, now: Instant) {
        while let Some((_, port)) = self.resting.pop_front_if(|(until, _)| *until <= now) {
            self.free.push(port);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_clock::{after, origin};
    use std::collections::HashSet;

    const REST: Duration = Duration::from_secs(30);

    #[test]
    fn only_even_ports_with_a_partner_are_given_and_each_once() {
        let now = origin();
        let mut ports = PortAllocator::new(10_001..=10_010, REST, 7).unwrap();
        let given: HashSet<u16> = (0..4).map(|_| ports.allocate(now).unwrap()).collect();
        assert_eq!(given, HashSet::from([10_002, 10_004, 10_006, 10_008]));
        assert_eq!(ports.allocate(now), Err(PortError::Exhausted { in_use: 4, quarantined: 0 }));
    }

    #[test]
    fn a_released_port_rests_to_the_last_moment() {
        let now = origin();
        let mut ports = PortAllocator::new(10_000..=10_001, REST, 7).unwrap();
        let port = ports.allocate(now).unwrap();
        ports.release(now, port);
        assert_eq!(ports.available(after(now, 29_999)), 0);
        assert_eq!(
            ports.allocate(after(now, 29_999)),
            Err(PortError::Exhausted { in_use: 0, quarantined: 1 })
        );
        assert_eq!(ports.available(after(now, 30_000)), 1);
        assert_eq!(ports.allocate(after(now, 30_000)), Ok(port));
    }

    #[test]
    fn a_double_release_gives_the_port_to_one_call_only() {
        let now = origin();
        let mut ports = PortAllocator::new(10_000..=10_003, Duration::ZERO, 7).unwrap();
        let first = ports.allocate(now).unwrap();
        ports.release(now, first);
        ports.release(now, first);
        ports.release(now, 4);
        let given: HashSet<u16> = (0..2).map(|_| ports.allocate(now).unwrap()).collect();
        assert_eq!(given.len(), 2);
        assert!(ports.allocate(now).is_err());
    }

    #[test]
    fn the_order_comes_from_the_seed() {
        let now = origin();
        let order = |seed| -> Vec<u16> {
            let mut ports = PortAllocator::new(20_000..=20_999, REST, seed).unwrap();
            (0..50).map(|_| ports.allocate(now).unwrap()).collect()
        };
        assert_eq!(order(1), order(1));
        assert_ne!(order(1), order(2));
        assert!(order(1).windows(2).any(|pair| pair[1] != pair[0] + 2));
    }

    #[test]
    fn ranges_without_a_pair_are_refused_and_the_top_of_the_range_is_safe() {
        assert!(matches!(PortAllocator::new(10_001..=10_002, REST, 1), Err(PortError::EmptyRange(..))));
        let mut top = PortAllocator::new(65_534..=65_535, REST, 1).unwrap();
        assert_eq!(top.allocate(origin()), Ok(65_534));
    }
}
