//! Sans-IO SIP: messages, transactions, dialogs, digest, registration, SDP.

mod endpoint;
mod flow;
pub mod message;

pub mod digest;
pub mod registrar;
pub mod sdp;

pub use endpoint::{
    AddressGuard, Advertised, Body, ChallengeKind, CommandError, DialogSnapshot, Endpoint, EndpointConfig,
    EndpointStats, Event, Input, LegId, Limits, NatPolicy, Outcome, OutgoingInvite, OutgoingRequest, Output,
    Packet, Party, PendingInvite, Reason, ReasonProtocol, RequestFacts, RequestId, ResponseFacts,
    SnapshotRole, SnapshotState, Termination, Timers, TransactionId, call_id_of, shard_of,
};
pub use flow::{Flow, Transport};
