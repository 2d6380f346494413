//! From one leg's packet to another's.
use std::time::Instant;

use crate::leg::{Incoming, MediaLeg};

/// Why a packet was not relayed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RelayDrop {
    /// The codecs do not meet without transcoding we do not do.
    Codec,
    /// The other leg has no telephone-event or comfort noise.
    Unsupported,
    /// Late, from before a source switch.
    Late,
    /// The other leg is on hold, dialling digits, playing, or has no destination.
    Busy,
    /// The buffer is too small.
    Buffer,
}

/// Counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct RelayCounters {
    /// Packets relayed.
    pub relayed: u64,
}

/// One direction of a bridge: rewrites what one leg accepted into what the other sends.
#[derive(Debug, Default)]
pub struct Bridge {}

impl Bridge {
    /// A bridge.
    pub fn new() -> Self {
        Self::default()
    }

    /// Rewrites the datagram in `buffer` (which `incoming` describes) in place and returns the
    /// bytes to send to `to.destination()`. `buffer` may be longer than the datagram: differing
    /// packet times need room.
    pub fn relay(
        &mut self,
        now: Instant,
        buffer: &mut [u8],
        incoming: &Incoming,
        to: &mut MediaLeg,
    ) -> Result<usize, RelayDrop> {
        todo!()
    }

    /// Further packets made of the last datagram (60 ms in, 20 ms out); call until `None`.
    pub fn poll(&mut self, now: Instant, to: &mut MediaLeg, out: &mut [u8]) -> Option<usize> {
        todo!()
    }
}
