//! Sans-IO SIP: messages, transactions, dialogs, digest, registration, SDP.

mod arena;
mod dialog;
pub mod digest;
mod endpoint;
mod flow;
mod identity;
mod leg;
pub mod message;
mod registrant;
pub mod registrar;
pub mod sdp;
mod stream;
mod timer_queue;
mod transaction;

pub use endpoint::{
    AckTiming, AddressGuard, Advertised, Body, ChallengeKind, CommandError, CourtesyGuard, DialogSnapshot,
    Door, Endpoint, EndpointConfig, EndpointStats, Event, Input, Knock, LARGE_REQUEST_BYTES, LegId, Limits,
    NatPolicy, Outcome, OutgoingInvite, OutgoingRequest, Output, Packet, Party, PendingInvite, Reason,
    ReasonProtocol, RequestFacts, RequestId, ResponseFacts, SnapshotRole, SnapshotState, Termination, Timers,
    TransactionId,
};
pub use flow::{Flow, Transport};
pub use identity::{call_id_of, shard_of};
pub use registrant::{Answer as RegisterAnswer, DEFAULT_INTERVAL_SECONDS, Next, Registrant};
pub use stream::{Frame, FrameError, PING, PONG, StreamFramer};
