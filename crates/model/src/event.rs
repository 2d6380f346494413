//! The catalogue of events that leave as webhooks: what each is called on the wire, how it is
//! signed and how long it is retried.

use serde::{Deserialize, Serialize};

/// How an event travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryChannel {
    /// Form-encoded call-control callback, V1/V2/V3 signatures with the account token; up to 3 fast
    /// retries.
    Callback,
    /// Form-encoded call-control callback that must not be lost (`Event=Hangup`): fast retries, then
    /// the durable schedule.
    DurableCallback,
    /// JSON trunk webhook: body HMAC (hex) and Standard Webhooks headers with the trunk's secret; 1, 2, 4 s.
    Trunk,
    /// JSON trunk webhook that must not be lost: 1, 2, 4 s, then the durable schedule.
    DurableTrunk,
    /// JSON event about an account that holds personal data: `sha256=` body HMAC with the account's token, 1, 2, 4 s, then
    /// the durable schedule. At rest its body is sealed under its subject's key; answers to it are not kept.
    DurableSealed,
    /// JSON event about an account: `sha256=` body HMAC with the account's token, 1, 2, 4 s, then the durable schedule.
    DurableAccount,
    /// JSON complaint about a number: body HMAC (hex) with the secret agreed for complaints, 1, 2, 4 s, then the durable
    /// schedule.
    DurableNdnc,
    /// A letter to `mailto:` an address, along the durable schedule until the mail server takes it.
    Mail,
}

/// A kind of event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EventKind {
    /// A trunk attempt passed or failed admission.
    CallInitiated,
    /// A trunk call ended; its record and charge are in the payload.
    TrunkHangup,
    /// The far side of an API call rings.
    Ring,
    /// An API call was answered and its document begins: told to its status URL.
    StartApp,
    /// A session recording began.
    Record,
    /// A recording that a document or the API asked for is over, told to whom they named.
    RecordStop,
    /// A recording can be fetched, told to the account.
    RecordingCompleted,
    /// The same, to a trunk's webhook.
    TrunkRecordingCompleted,
    /// A recording could not be made, told to the account.
    RecordingFailed,
    /// The same, to a trunk's webhook.
    TrunkRecordingFailed,
    /// A leg steered by XML ended.
    Hangup,
    /// An event on a Dial leg (`DialAnswer`, `DialConnected`, `DialHangup`).
    DialEvent,
    /// A hosted KYC session began.
    KycInitiated,
    /// Every document of a KYC session was given; some wait for their verdict.
    KycSubmitted,
    /// A KYC session is verified.
    KycCompleted,
    /// A document of a KYC session was refused for good.
    KycFailed,
    /// A KYC session's time ran out.
    KycSessionExpired,
    /// A KYC session was taken back.
    KycSessionRevoked,
    /// An account's balance fell through its threshold.
    BalanceLow,
    /// The same, as a letter.
    BalanceLowLetter,
    /// The month of a number could not be paid, or its grace ends soon.
    NumberUnpaid,
    /// The same, as a letter.
    NumberUnpaidLetter,
    /// A number is the account's no more.
    NumberReleased,
    /// The same, as a letter.
    NumberReleasedLetter,
    /// Somebody complained of unwanted calls from a number.
    NdncComplaint,
    /// A list of recordings, as a letter.
    RecordingExport,
}

impl EventKind {
    /// The name on the wire (`Event`, `X-Vobiz-Event`).
    pub const fn name(self) -> &'static str {
        match self {
            Self::CallInitiated => "CallInitiated",
            Self::TrunkHangup | Self::Hangup => "Hangup",
            Self::Ring => "Ring",
            Self::StartApp => "StartApp",
            Self::DialEvent => "DialEvent",
            Self::Record => "Record",
            Self::RecordStop => "RecordStop",
            Self::RecordingCompleted | Self::TrunkRecordingCompleted => "recording.completed",
            Self::RecordingFailed | Self::TrunkRecordingFailed => "recording.failed",
            Self::KycInitiated => "kyc.initiated",
            Self::KycSubmitted => "kyc.submitted",
            Self::KycCompleted => "kyc.completed",
            Self::KycFailed => "kyc.failed",
            Self::KycSessionExpired => "kyc.session_expired",
            Self::KycSessionRevoked => "kyc.session_revoked",
            Self::BalanceLow | Self::BalanceLowLetter => "balance.low",
            Self::NumberUnpaid | Self::NumberUnpaidLetter => "number.unpaid",
            Self::NumberReleased | Self::NumberReleasedLetter => "number.released",
            Self::NdncComplaint => "ndnc.complaint",
            Self::RecordingExport => "recording.export",
        }
    }

    /// How it travels.
    pub const fn channel(self) -> DeliveryChannel {
        match self {
            Self::CallInitiated => DeliveryChannel::Trunk,
            Self::TrunkHangup | Self::TrunkRecordingCompleted | Self::TrunkRecordingFailed => {
                DeliveryChannel::DurableTrunk
            }
            Self::Ring | Self::StartApp | Self::DialEvent | Self::Record => DeliveryChannel::Callback,
            Self::Hangup | Self::RecordStop => DeliveryChannel::DurableCallback,
            Self::KycInitiated
            | Self::KycSubmitted
            | Self::KycCompleted
            | Self::KycFailed
            | Self::KycSessionExpired
            | Self::KycSessionRevoked => DeliveryChannel::DurableSealed,
            Self::BalanceLow
            | Self::NumberUnpaid
            | Self::NumberReleased
            | Self::RecordingCompleted
            | Self::RecordingFailed => DeliveryChannel::DurableAccount,
            Self::BalanceLowLetter
            | Self::NumberUnpaidLetter
            | Self::NumberReleasedLetter
            | Self::RecordingExport => DeliveryChannel::Mail,
            Self::NdncComplaint => DeliveryChannel::DurableNdnc,
        }
    }
}
