//! Sans-IO media: RTP, RTCP, G.711, DTMF, playout, recording, quality.
//!
//! The cast, top-down. [`MediaLeg`] is one side of one call: it judges what arrives, sends with
//! one unbroken identity ([`RtpSender`]), plays ([`Playout`]), hears and dials digits ([`dtmf`])
//! and reports ([`Quality`]). [`Bridge`] rewrites a datagram that one leg accepted into what
//! another leg sends. [`Tap`] turns two such streams into a stereo recording and [`wav`] into a
//! file.
//!
//! Nothing here opens a socket, starts a thread or reads a clock: the instant is passed in, so
//! every rule is tested in virtual time. The relay path never allocates.
#![expect(dead_code, unused_variables, reason = "signatures first")]

pub mod dtmf;
pub mod energy;
pub mod rtp;
pub mod wav;

mod bridge;
mod codec;
mod latch;
mod leg;
mod playout;
mod ports;
mod quality;
mod recorder;
mod sender;

pub use bridge::{Bridge, RelayCounters, RelayDrop};
pub use codec::{Codec, Direction, PayloadKind, PayloadMap};
pub use latch::LatchPolicy;
pub use leg::{Incoming, LegConfig, LegEvent, LegStats, MediaLeg, Negotiated, Received, Reject, RtcpFacts};
pub use playout::{Material, PlayId, PlayItem, Playout, PlayoutError, Repeat, Start, StartGate};
pub use ports::{PortAllocator, PortError};
pub use quality::Quality;
pub use recorder::{RecordFormat, Side, Tap};
pub use sender::{RtpSender, SourceKind};
