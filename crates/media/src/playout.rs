//! What a leg says by itself.
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::energy::Tone;

/// Names a queued item so that its end can be reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PlayId(pub u64);

/// The sound itself, shared so that a thousand calls play one prompt from one allocation.
#[derive(Clone, Debug)]
pub enum Material {
    /// G.711 µ-law bytes, 8 kHz.
    Ulaw(Arc<[u8]>),
    /// G.711 A-law bytes, 8 kHz.
    Alaw(Arc<[u8]>),
    /// 16-bit linear, 8 kHz.
    Pcm(Arc<[i16]>),
    /// Silence.
    Silence(Duration),
    /// A generated tone.
    Tone(Tone, Duration),
    /// Nothing: completes when everything before it has been sent (stream checkpoints).
    Mark,
}

/// How often an item plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Repeat {
    /// This many times.
    Times(NonZeroU32),
    /// Until cleared.
    Forever,
}

/// One queued sound.
#[derive(Clone, Debug)]
pub struct PlayItem {
    /// Reported by [`LegEvent::PlayoutDone`](crate::LegEvent::PlayoutDone).
    pub id: PlayId,
    /// What to play.
    pub material: Material,
    /// How often.
    pub repeat: Repeat,
}

/// Why an item was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlayoutError {
    /// The queue holds its limit of items.
    #[error("playout queue is full")]
    QueueFull,
    /// The leg's codec is not G.711.
    #[error("cannot generate audio in the negotiated codec")]
    Codec,
}

/// The queue.
#[derive(Debug)]
pub struct Playout {}

/// When the first word may be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At ACK.
    AtAck,
    /// At the first inbound packet after ACK, or 300 ms after it: the peer is behind a NAT and
    /// words sent earlier are lost.
    AtFirstPacket,
    /// At once (early media).
    AtOnce,
}

/// Holds playout back until the peer can hear it.
#[derive(Clone, Copy, Debug)]
pub struct StartGate {
    start: Start,
    acked: Option<Instant>,
    heard: bool,
}
