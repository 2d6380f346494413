//! Why a call ended: Vobiz's hangup causes (Vobiz voice reference, "Hangup causes"), whose names
//! and numbers programs compare, with the SIP status each one becomes or came from.

use serde::{Deserialize, Serialize};

macro_rules! causes {
    ($($variant:ident = $code:literal, $name:literal, $text:ident, $sip:literal;)*) => {
        /// A hangup cause of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[expect(missing_docs, reason = "each variant's meaning is its Vobiz name, given by `name`")]
        pub enum HangupCause { $($variant,)* }

        impl HangupCause {
            /// Every cause, in the order of codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// `HangupCauseCode`.
            pub const fn code(self) -> u16 {
                match self { $(Self::$variant => $code,)* }
            }

            /// `HangupCauseName`, an interface string.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The raw `HangupCause` (`NORMAL_CLEARING`, …) that most often goes with it.
            pub const fn text(self) -> HangupText {
                match self { $(Self::$variant => HangupText::$text,)* }
            }

            /// The SIP status that refuses an unanswered caller for this cause.
            pub const fn sip_status(self) -> u16 {
                match self { $(Self::$variant => $sip,)* }
            }
        }
    };
}

causes! {
    Unknown = 0, "Unknown", Unknown, 500;
    Canceled = 1000, "Canceled", OriginatorCancel, 487;
    OutOfCredits = 1010, "Canceled (Out Of Credits)", CallRejected, 402;
    SimultaneousDialLimit = 1020, "Canceled (Simultaneous dial limit reached)", CallRejected, 503;
    InvalidDestination = 2000, "Invalid Destination Address", InvalidNumber, 484;
    OutOfService = 2010, "Destination Out Of Service", DestinationOutOfOrder, 502;
    EndpointNotRegistered = 2020, "Endpoint Not Registered", NoAnswer, 480;
    CountryBarred = 2030, "Destination Country Barred", CallRejected, 403;
    NumberBarred = 2040, "Destination Number Barred", CallRejected, 403;
    PrefixBarred = 2050, "Destination Prefix Barred", CallRejected, 403;
    LoopDetected = 2060, "Loop Detected", CallRejected, 482;
    MediaAnchoring = 2070, "Violates Media Anchoring", CallRejected, 403;
    NoAnswer = 3000, "No Answer", NoAnswer, 480;
    BusyLine = 3010, "Busy Line", UserBusy, 486;
    Rejected = 3020, "Rejected", CallRejected, 603;
    UnknownCallerId = 3030, "Unknown Caller ID", CallRejected, 403;
    Forbidden = 3040, "Forbidden", CallRejected, 403;
    Unallocated = 3050, "Unallocated number", UnallocatedNumber, 404;
    RequestTimeout = 3070, "Request timeout", NoAnswer, 408;
    CarrierError = 3080, "Internal server error from carrier", ServerError, 500;
    CarrierCongestion = 3090, "Network congestion from carrier", ServiceUnavailable, 503;
    BusyEverywhere = 3100, "Busy everywhere", UserBusy, 600;
    Declined = 3110, "Declined", CallRejected, 603;
    DoesNotExist = 3120, "User does not exist anywhere", UnallocatedNumber, 604;
    SpamBlock = 3130, "Spam block", CallRejected, 607;
    DoNotOriginate = 3140, "DNO Caller ID", CallRejected, 403;
    NormalHangup = 4000, "Normal Hangup", NormalClearing, 480;
    EndOfXml = 4010, "End Of XML Instructions", NormalClearing, 480;
    MultipartyEnded = 4020, "Multiparty Call Ended", NormalClearing, 480;
    MultipartyKicked = 4030, "Kicked Out Of Multiparty Call", NormalClearing, 480;
    NetworkError = 5000, "Network Error", NetworkOutOfOrder, 502;
    InternalError = 5010, "Internal Error", ServerError, 500;
    RoutingError = 5020, "Routing Error", UnallocatedNumber, 503;
    ConcurrencyLimit = 5030, "Concurrency Limit Breached", SwitchCongestion, 503;
    ScheduledHangup = 6000, "Scheduled Hangup", AllottedTimeout, 480;
    RingTimeout = 6010, "Ring Timeout Reached", NoAnswer, 480;
    MediaTimeout = 6020, "Media Timeout", MediaTimeout, 480;
    AnswerUrlError = 7011, "Error Reaching Answer URL", NormalTemporaryFailure, 503;
    ActionUrlError = 7012, "Error Reaching Action URL", NormalTemporaryFailure, 503;
    TransferUrlError = 7013, "Error Reaching Transfer URL", NormalTemporaryFailure, 503;
    RedirectUrlError = 7014, "Error Reaching Redirect URL", NormalTemporaryFailure, 503;
    InvalidActionUrl = 7022, "Invalid Action URL", NormalTemporaryFailure, 503;
    InvalidTransferUrl = 7023, "Invalid Transfer URL", NormalTemporaryFailure, 503;
    InvalidRedirectUrl = 7024, "Invalid Redirect URL", NormalTemporaryFailure, 503;
    InvalidActionMethod = 7032, "Invalid Method For Action URL", NormalTemporaryFailure, 503;
    InvalidTransferMethod = 7033, "Invalid Method For Transfer URL", NormalTemporaryFailure, 503;
    InvalidRedirectMethod = 7034, "Invalid Method For Redirect URL", NormalTemporaryFailure, 503;
    InvalidAnswerXml = 8011, "Invalid Answer XML", NormalTemporaryFailure, 503;
    InvalidActionXml = 8012, "Invalid Action XML", NormalTemporaryFailure, 503;
    InvalidTransferXml = 8013, "Invalid Transfer XML", NormalTemporaryFailure, 503;
    InvalidRedirectXml = 8014, "Invalid Redirect XML", NormalTemporaryFailure, 503;
    LostRace = 9000, "Lost Race", LoseRace, 487;
    MachineDetected = 9100, "Machine Detected", NormalClearing, 480;
    ConfirmKeyFailed = 9110, "Confirm Key Challenge Failed", NormalClearing, 480;
}

impl HangupCause {
    /// The cause of a code, if the catalogue has it.
    pub fn from_code(code: u16) -> Option<Self> {
        Self::ALL.iter().copied().find(|cause| cause.code() == code)
    }

    /// The cause of a final SIP failure received from the far side (Vobiz voice reference 7.8).
    pub fn from_sip_status(status: u16) -> Self {
        match status {
            401 | 403 | 407 => Self::Forbidden,
            404 | 410 => Self::Unallocated,
            408 => Self::RequestTimeout,
            480 => Self::NoAnswer,
            482 => Self::LoopDetected,
            484 => Self::InvalidDestination,
            486 => Self::BusyLine,
            487 => Self::Canceled,
            502 => Self::OutOfService,
            503 | 504 => Self::CarrierCongestion,
            600 => Self::BusyEverywhere,
            603 => Self::Declined,
            604 => Self::DoesNotExist,
            607 | 608 => Self::SpamBlock,
            500..=599 => Self::CarrierError,
            300..=399 => Self::RoutingError,
            400..=499 => Self::Rejected,
            _ => Self::Unknown,
        }
    }

    /// The Q.850 cause for the SIP `Reason` header (RFC 3326).
    pub const fn q850(self) -> u8 {
        match self.text() {
            HangupText::NormalClearing | HangupText::OriginatorCancel | HangupText::LoseRace => 16,
            HangupText::UserBusy => 17,
            HangupText::NoAnswer => 19,
            HangupText::CallRejected => 21,
            HangupText::InvalidNumber => 28,
            HangupText::UnallocatedNumber => 1,
            HangupText::DestinationOutOfOrder => 27,
            HangupText::NetworkOutOfOrder => 38,
            HangupText::NormalTemporaryFailure | HangupText::ServerError => 41,
            HangupText::SwitchCongestion => 42,
            HangupText::ServiceUnavailable => 34,
            HangupText::MediaTimeout | HangupText::AllottedTimeout => 102,
            HangupText::ProtocolError => 111,
            HangupText::Unknown => 31,
        }
    }
}

impl Serialize for HangupCause {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u16(self.code())
    }
}

impl<'de> Deserialize<'de> for HangupCause {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let code = u16::deserialize(deserializer)?;
        Self::from_code(code).ok_or_else(|| serde::de::Error::custom(format!("no hangup cause {code}")))
    }
}

macro_rules! texts {
    ($($variant:ident = $text:literal,)*) => {
        /// The raw cause text (`HangupCause` in webhooks, `hangup_cause` in records).
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each variant's meaning is its text, given by `as_str`")]
        pub enum HangupText { $($variant,)* }

        impl HangupText {
            /// The interface string.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

texts! {
    NormalClearing = "NORMAL_CLEARING",
    UserBusy = "USER_BUSY",
    NoAnswer = "NO_ANSWER",
    OriginatorCancel = "ORIGINATOR_CANCEL",
    CallRejected = "CALL_REJECTED",
    InvalidNumber = "INVALID_NUMBER",
    UnallocatedNumber = "UNALLOCATED_NUMBER",
    ServiceUnavailable = "SERVICE_UNAVAILABLE",
    ServerError = "SERVER_ERROR",
    MediaTimeout = "MEDIA_TIMEOUT",
    ProtocolError = "PROTOCOL_ERROR",
    NetworkOutOfOrder = "NETWORK_OUT_OF_ORDER",
    DestinationOutOfOrder = "DESTINATION_OUT_OF_ORDER",
    NormalTemporaryFailure = "NORMAL_TEMPORARY_FAILURE",
    SwitchCongestion = "SWITCH_CONGESTION",
    LoseRace = "LOSE_RACE",
    AllottedTimeout = "ALLOTTED_TIMEOUT",
    Unknown = "UNKNOWN",
}

/// Who ended the call (`HangupSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HangupSource {
    /// The calling party.
    Caller,
    /// The called party.
    Callee,
    /// The platform: timers, money, limits.
    Vobiz,
    /// The telephone network's answer.
    Carrier,
    /// A REST request.
    #[serde(rename = "API Request")]
    ApiRequest,
    /// The document: `<Hangup>` or its end.
    #[serde(rename = "Answer XML")]
    AnswerXml,
    /// A failure on the way: unreachable URL, bad document.
    Error,
    /// Not known, after a crash for example.
    Unknown,
}

impl HangupSource {
    /// The interface string.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Caller => "Caller",
            Self::Callee => "Callee",
            Self::Vobiz => "Vobiz",
            Self::Carrier => "Carrier",
            Self::ApiRequest => "API Request",
            Self::AnswerXml => "Answer XML",
            Self::Error => "Error",
            Self::Unknown => "Unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_are_unique_and_found_again() {
        for (i, cause) in HangupCause::ALL.iter().enumerate() {
            assert_eq!(HangupCause::from_code(cause.code()), Some(*cause));
            for other in &HangupCause::ALL[..i] {
                assert_ne!(other.name(), cause.name());
                assert!(other.code() < cause.code(), "in the order of codes");
            }
        }
        assert_eq!(HangupCause::from_code(7015), None);
    }
}
