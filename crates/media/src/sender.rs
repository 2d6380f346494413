//! One leg's outgoing RTP identity.
use std::time::Instant;

use crate::rtp::Header;

/// Where the audio of an outgoing packet comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// Files, speech, tones, silence from the leg's own queue.
    Playout,
    /// Another leg's packets, rewritten.
    Relay,
    /// A conference mixer or an audio stream.
    Frames,
    /// DTMF events.
    Digits,
}

/// One SSRC, continuous sequence and monotonic timestamps for the life of the leg.
#[derive(Debug)]
pub struct RtpSender {
    ssrc: u32,
}

impl RtpSender {
    /// Starts an identity.
    pub fn new(ssrc: u32, first_sequence: u16, first_timestamp: u32, clock_rate: u32) -> Self {
        todo!()
    }

    /// The header of the next packet of `samples` clock ticks from `source`, due at `at`.
    pub fn next(&mut self, at: Instant, source: SourceKind, payload_type: u8, samples: u32) -> Header {
        todo!()
    }

    /// Our SSRC.
    pub fn ssrc(&self) -> u32 {
        self.ssrc
    }
}
