//! The only SIP and RTP sockets: shards, sessions, RTP workers, the carrier simulator.
//!
//! The cast, top-down. [`Engine::start`] binds the sockets and starts the signalling shard and the
//! RTP workers; [`EngineHandle`] steers them. A shard is one thread that owns a SIP endpoint; each
//! call is one task on it, a session of legs that performs the effects of its call flow. Whatever
//! the engine does not know (who is a stranger, may this call exist, what does the customer want)
//! it asks through [`tandem_model::ports`].

mod config;
mod gate;
mod gateway;
mod handle;
mod limiter;
mod live;
mod overload;
mod recording_file;
pub mod rtp;
mod session;
mod shard;
pub mod simulator;
mod status;
mod steer;

pub use config::{EdgeLimits, EngineConfig, Limits, Probing, Timing, TlsConfig};
pub use gate::{Ban, EdgeCounts};
pub use gateway::{GatewayAccount, RegistrationState};
pub use handle::{Engine, EngineError, EngineHandle, OriginateError, Origination};
pub use recording_file::RecordingFile;
pub use status::{Reading, ReadingKind};
pub use steer::{LiveCommand, LiveLegs, LiveSound, MAX_WAITING_ORDERS, SoundKind, SteerError, Steered};
