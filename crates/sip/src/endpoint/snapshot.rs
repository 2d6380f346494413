//! A dialog as plain data, kept durably so that a restarted process can end a call it no longer
//! holds: BYE for an answered leg, CANCEL for a ringing one, 500 for an unanswered caller.

use serde::{Deserialize, Serialize};

use super::config::NatPolicy;
use crate::flow::Flow;

/// Which side of the INVITE we were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotRole {
    /// The INVITE came from outside.
    Uas,
    /// We sent the INVITE.
    Uac,
}

/// How far the INVITE had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SnapshotState {
    /// No final response yet: end it with `orphan_cancel` (UAC) or `orphan_reject` (UAS).
    Pending,
    /// Answered: end it with `orphan_bye`.
    Answered,
}

/// The INVITE that was pending when the snapshot was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingInvite {
    /// UAC: the branch of our INVITE. UAS: the branch of the topmost Via.
    pub branch: String,
    /// UAS: every Via value as received, topmost first, `received` and `rport` filled in. Empty
    /// for UAC.
    pub vias: Vec<String>,
    /// The INVITE's CSeq number.
    pub cseq: u32,
    /// UAC: the Request-URI, which CANCEL and ACK repeat.
    pub request_uri: String,
    /// UAC: Route values, which CANCEL and ACK repeat.
    pub route: Vec<String>,
}

/// One dialog (or the INVITE that may become one) as plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogSnapshot {
    /// Our side of the INVITE.
    pub role: SnapshotRole,
    /// Progress of the INVITE.
    pub state: SnapshotState,
    /// The path its messages take.
    pub flow: Flow,
    /// Whether requests go to the flow or to the remote target.
    pub nat_policy: NatPolicy,
    /// Call-ID.
    pub call_id: String,
    /// Our From or To value, without tag.
    pub local: String,
    /// Our tag.
    pub local_tag: String,
    /// Their From or To value, without tag.
    pub remote: String,
    /// Their tag; empty while unknown.
    pub remote_tag: String,
    /// Last CSeq number we used.
    pub local_cseq: u32,
    /// Last CSeq number they used.
    pub remote_cseq: Option<u32>,
    /// Their Contact URI (or the Request-URI while unknown).
    pub remote_target: String,
    /// Route set as Route values in sending order.
    pub route_set: Vec<String>,
    /// The INVITE that awaits its final response.
    pub pending_invite: Option<PendingInvite>,
}
