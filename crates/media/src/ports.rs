//! Which RTP port a leg gets.
use std::ops::RangeInclusive;
use std::time::{Duration, Instant};

/// Why no port was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortError {
    /// All ports are in use or in quarantine.
    #[error("RTP ports are exhausted: {in_use} in use, {quarantined} in quarantine")]
    Exhausted {
        /// Ports held by legs.
        in_use: usize,
        /// Ports waiting for late packets to stop.
        quarantined: usize,
    },
    /// The range holds no even port with an odd one after it.
    #[error("RTP port range {0}-{1} holds no pair")]
    EmptyRange(u16, u16),
}

/// Hands out random even ports (RTP even, RTCP the odd one above) and rests released ones.
#[derive(Debug)]
pub struct PortAllocator {}

impl PortAllocator {
    /// Over `range`, in an order drawn from `seed`, resting released ports for `quarantine`.
    pub fn new(range: RangeInclusive<u16>, quarantine: Duration, seed: u64) -> Result<Self, PortError> {
        todo!()
    }
    /// Takes an even port.
    pub fn allocate(&mut self, now: Instant) -> Result<u16, PortError> {
        todo!()
    }
    /// Gives a port back; it rests before it is used again. Unknown ports are ignored.
    pub fn release(&mut self, now: Instant, port: u16) {
        todo!()
    }
    /// Ports held.
    pub fn in_use(&self) -> usize {
        todo!()
    }
    /// Ports that could be given now.
    pub fn available(&self, now: Instant) -> usize {
        todo!()
    }
}
