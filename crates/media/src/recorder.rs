//! The recording tap.
use std::time::Instant;

use crate::codec::Codec;

/// Which channel of the recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Left.
    Caller,
    /// Right.
    Callee,
}

/// What the recording holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecordFormat {
    /// PCM16 or a G.711 law.
    pub encoding: crate::wav::Encoding,
    /// Mono mixes both sides.
    pub channels: crate::wav::Channels,
}

/// Places frames of two directions on one time line and yields interleaved chunks.
#[derive(Debug)]
pub struct Tap {}

impl Tap {
    /// Starts a recording at `now`.
    pub fn new(now: Instant, format: RecordFormat) -> Self {
        todo!()
    }
    /// Places one RTP packet's audio. Codecs other than G.711 are counted and left silent.
    pub fn place(
        &mut self,
        now: Instant,
        side: Side,
        ssrc: u32,
        timestamp: u32,
        codec: Codec,
        payload: &[u8],
    ) {
        todo!()
    }
    /// Appends what is old enough to be final to `out` (file bytes after the header).
    pub fn drain(&mut self, now: Instant, out: &mut Vec<u8>) {
        todo!()
    }
    /// Appends everything up to `now`: the recording ends.
    pub fn finish(&mut self, now: Instant, out: &mut Vec<u8>) {
        todo!()
    }
}
