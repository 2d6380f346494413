//! Sans-IO SIP: messages, transactions, dialogs, digest, registration, SDP.

pub mod digest;
pub mod registrar;
pub mod sdp;
