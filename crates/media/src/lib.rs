//! Sans-IO media: RTP, RTCP, G.711, DTMF, playout, recording, quality.
//!
//! The cast, top-down. [`MediaLeg`] is one side of one call: it judges what arrives
//! ([`RtpReceiver`], [`Latch`]), sends with one unbroken identity ([`RtpSender`]), plays
//! ([`Playout`]), hears and dials digits ([`dtmf`]) and reports ([`rtcp`], [`Quality`]).
//! [`Bridge`] rewrites a datagram that one leg accepted into what another leg sends. [`Tap`] turns
//! two such streams into a recording and [`wav`] into a file, [`Mixer`] many into a conference. [`PortAllocator`] says which port a
//! leg gets.
//!
//! Nothing here opens a socket, starts a thread or reads a clock: the instant is passed in, so
//! every rule is tested in virtual time. The relay path does not allocate.

#![warn(missing_docs)]

pub mod dtmf;
pub mod energy;
pub mod g711;
pub mod rtcp;
pub mod rtp;
pub mod wav;

mod bridge;
mod codec;
mod jitter_buffer;
mod latch;
mod leg;
mod listener;
mod mixer;
mod overlay;
mod playout;
mod ports;
mod quality;
mod receiver;
mod recorder;
mod repacketise;
mod rewriter;
mod sender;
mod start_gate;
#[cfg(test)]
mod test_clock;
mod watch;

pub use bridge::{Bridge, RelayCounters, RelayDrop};
pub use codec::{Codec, Direction, PayloadKind, PayloadMap};
pub use jitter_buffer::JitterBuffer;
pub use latch::{Latch, LatchPolicy, LatchVerdict};
pub use leg::{
    Incoming, LegConfig, LegEvent, LegStats, MediaLeg, Negotiated, Received, Reject, RtcpFacts,
    UNPROVEN_PACKETS,
};
pub use listener::{ListenFor, Listener};
pub use mixer::Mixer;
pub use overlay::Beneath;
pub use playout::{
    MAX_QUEUED_ITEMS, Material, PlayId, PlayItem, Playout, PlayoutError, PlayoutEvent, Repeat,
};
pub use ports::{PortAllocator, PortError};
pub use quality::{Quality, mos, one_way_delay};
pub use receiver::{Arrival, ReceiverStats, RtpReceiver};
pub use recorder::{Side, Tap};
pub use repacketise::{PTIME_MS, Repacketiser};
pub use rewriter::{RelayRewriter, Rewritten};
pub use sender::{RtpSender, SourceKind};
pub use start_gate::{Start, StartGate};
pub use watch::MediaWatch;
pub use wav::RecordFormat;
