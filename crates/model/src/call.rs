//! A call as the business sees it: what is known at admission, while it lives, and at its end.

use std::net::SocketAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{AccountId, CallId, HangupCause, HangupSource, RecordingId};

/// Direction from the platform's point of view, as records and webhooks have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CallDirection {
    /// From the telephone network, or from an endpoint, to the platform.
    Inbound,
    /// From the platform (API, Dial, a customer's PBX through a trunk) to the network.
    Outbound,
}

impl CallDirection {
    /// `inbound` or `outbound`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

/// `CallStatus` of webhooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallStatus {
    /// Accepted for dialling, no INVITE yet.
    Queued,
    /// Not answered yet.
    Ringing,
    /// Answered.
    InProgress,
    /// Answered and ended.
    Completed,
    /// Callee busy.
    Busy,
    /// Could not be completed.
    Failed,
    /// Our ring timer ended it.
    Timeout,
    /// Callee did not answer.
    NoAnswer,
    /// Caller gave up.
    Cancel,
}

impl CallStatus {
    /// The interface string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Ringing => "ringing",
            Self::InProgress => "in-progress",
            Self::Completed => "completed",
            Self::Busy => "busy",
            Self::Failed => "failed",
            Self::Timeout => "timeout",
            Self::NoAnswer => "no-answer",
            Self::Cancel => "cancel",
        }
    }

    /// The status of an ended call.
    pub fn of_end(answered: bool, cause: HangupCause) -> Self {
        if answered {
            return Self::Completed;
        }
        match cause {
            HangupCause::BusyLine | HangupCause::BusyEverywhere => Self::Busy,
            HangupCause::RingTimeout => Self::Timeout,
            HangupCause::NoAnswer | HangupCause::RequestTimeout | HangupCause::EndpointNotRegistered => {
                Self::NoAnswer
            }
            HangupCause::Canceled | HangupCause::LostRace => Self::Cancel,
            HangupCause::NormalHangup => Self::Cancel,
            _ => Self::Failed,
        }
    }
}

/// Which leg of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LegRole {
    /// The leg the session began with.
    A,
    /// A leg dialled from it.
    B,
}

/// What a restarted process needs to end a dialog it no longer holds: an opaque document the SIP core wrote
/// (Call-ID, tags, CSeq, remote target, route set, transport, flow; for early legs Via and branch).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogRecord {
    /// Which leg.
    pub role: LegRole,
    /// The SIP core's own JSON.
    pub snapshot: String,
}

/// The identifying facts of a call, fixed at admission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallFacts {
    /// The call; also its `RequestUUID`.
    pub call: CallId,
    /// Who pays.
    pub account: AccountId,
    /// Direction.
    pub direction: CallDirection,
    /// Caller as shown in webhooks: digits without `+`, or a `sip:` URI.
    pub from: String,
    /// Callee in the same form.
    pub to: String,
    /// SIP display name, or the number.
    pub caller_name: String,
    /// When the INVITE came, or the API call was accepted.
    pub started_at: Timestamp,
    /// `BillRate`: price of a minute as a decimal string.
    pub bill_rate: String,
    /// `ParentAuthID`: the account that owns the number.
    pub parent_account: AccountId,
    /// The A leg's call id: equal to `call` on an A leg.
    pub a_leg: CallId,
    /// `ForwardedFrom`, only when the INVITE carried Diversion.
    pub forwarded_from: Option<String>,
    /// `X-VH-*` headers of the INVITE, names without the prefix.
    pub custom_headers: Vec<(String, String)>,
}

/// Measured quality of a call, seen from the leg that heard worse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LegQuality {
    /// 1.0–4.5 by the E-model (ITU-T G.107).
    pub mos: f32,
    /// RFC 3550 interarrival jitter, ms.
    pub jitter_ms: f32,
    /// Packets lost, percent.
    pub loss_percent: f32,
}

/// How a call ended: everything the record needs beyond [`CallFacts`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CallEnd {
    /// The call.
    pub call: CallId,
    /// When it ended.
    pub ended_at: Timestamp,
    /// First 180/183 seen, if any.
    pub progress_at: Option<Timestamp>,
    /// When billing began, if it was answered.
    pub answered_at: Option<Timestamp>,
    /// Whole seconds, rounded half up, from answer to the BYE seen or sent, by the monotonic clock.
    pub billsec: u64,
    /// Whole seconds from the INVITE to the answer or the end.
    pub ring_s: u64,
    /// The catalogue's cause.
    pub cause: HangupCause,
    /// Raw cause text where it differs from the catalogue's usual one (`ORIGINATOR_CANCEL`, …).
    pub cause_text: Option<String>,
    /// Who ended it.
    pub source: HangupSource,
    /// `send_bye`, `recv_bye`, `send_cancel`, `send_refuse`.
    pub disposition: String,
    /// Words for people, in the trunk webhook's `Reason`.
    pub reason: String,
    /// Call-ID of the caller's leg.
    pub sip_call_id: String,
    /// User-Agent of the caller's leg.
    pub sip_user_agent: Option<String>,
    /// `PCMU`, `PCMA`, …
    pub codec: Option<String>,
    /// Quality, when audio was received.
    pub quality: Option<LegQuality>,
    /// Remote signalling address of the A leg.
    pub network_addr: Option<SocketAddr>,
    /// Remote signalling address of the carrier's leg.
    pub carrier_addr: Option<SocketAddr>,
    /// The URI that answered.
    pub terminated_to: Option<String>,
    /// The other call of the bridge, if there was one.
    pub bridge: Option<CallId>,
    /// The recording, if one was made.
    pub recording: Option<RecordingId>,
    /// The callee answered while CANCEL was in flight: nothing is charged, the record is flagged.
    pub answered_while_cancelling: bool,
}

/// A call found in the store whose process is gone: its dialogs are still open at the peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrphanCall {
    /// The call.
    pub call: CallId,
    /// What was written of its dialogs.
    pub dialogs: Vec<DialogRecord>,
    /// It was answered: BYE; otherwise CANCEL towards B and 500 towards A.
    pub answered: bool,
}
