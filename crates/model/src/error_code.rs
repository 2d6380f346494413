//! The one catalogue of refusals: every refusal carries one of these, in the SIP `Reason` header, the
//! call record, the event and the API's error body.

use serde::{Deserialize, Serialize};

use crate::{Currency, HangupCause, Money};

macro_rules! error_codes {
    ($($variant:ident = $slug:literal, $http:literal, $sip:literal, $cause:ident, $title:literal, $remedy:literal;)*) => {
        /// A refusal of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "SCREAMING_SNAKE_CASE")]
        #[expect(missing_docs, reason = "each variant's meaning is its title, given by `title`")]
        pub enum ErrorCode { $($variant,)* }

        impl ErrorCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable name in machine-readable places, `UPPER_SNAKE`.
            pub const fn slug(self) -> &'static str { match self { $(Self::$variant => $slug,)* } }

            /// The HTTP status of an API answer that carries it.
            pub const fn http_status(self) -> u16 { match self { $(Self::$variant => $http,)* } }

            /// The SIP status of a refused INVITE that carries it.
            pub const fn sip_status(self) -> u16 { match self { $(Self::$variant => $sip,)* } }

            /// The hangup cause in the record.
            pub const fn hangup_cause(self) -> HangupCause {
                match self { $(Self::$variant => HangupCause::$cause,)* }
            }

            /// What happened, in a few words.
            pub const fn title(self) -> &'static str { match self { $(Self::$variant => $title,)* } }

            /// What the caller should do about it.
            pub const fn remedy(self) -> &'static str { match self { $(Self::$variant => $remedy,)* } }
        }
    };
}

error_codes! {
    InvalidCredentials = "INVALID_CREDENTIALS", 401, 403, Forbidden, "Wrong or missing credentials", "Send X-Auth-ID and X-Auth-Token (or Basic), or the trunk's username and password.";
    TokenExpired = "TOKEN_EXPIRED", 401, 403, Forbidden, "The access token has expired", "Trade the refresh token at /auth/refresh, or sign in again.";
    AccountMismatch = "ACCOUNT_MISMATCH", 403, 403, Forbidden, "Access denied: account ID mismatch", "Use the account id that belongs to your credentials.";
    AccountInactive = "ACCOUNT_INACTIVE", 403, 403, Forbidden, "The account is disabled", "Ask the operator to enable it.";
    CapabilityMissing = "CAPABILITY_MISSING", 403, 403, Forbidden, "This partner may not do that", "Ask the operator to grant the capability.";
    PermissionMissing = "PERMISSION_DENIED", 403, 403, Forbidden, "The sub-account may not do that", "Ask its main account to grant the permission.";
    KycRequired = "KYC_REQUIRED", 403, 403, Forbidden, "KYC is not complete", "Complete the account's KYC.";
    ValidationError = "VALIDATION_ERROR", 400, 400, InvalidDestination, "A field is missing or malformed", "Correct what the message names.";
    NotFound = "NOT_FOUND", 404, 404, Unallocated, "No such resource", "Check the id.";
    TrunkNotFound = "TRUNK_NOT_FOUND", 404, 404, RoutingError, "No trunk with that id or domain", "Check the trunk id or domain.";
    TrunkDisabled = "TRUNK_DISABLED", 403, 403, Forbidden, "The trunk is disabled", "Enable the trunk.";
    TrunkUnreachable = "TRUNK_UNREACHABLE", 503, 503, OutOfService, "The trunk of the number takes no calls", "Enable the trunk for inbound calls and give it an origination URI.";
    Conflict = "CONFLICT", 409, 403, Forbidden, "It is in use or exists already", "Detach or rename it first.";
    DuplicateUsername = "DUPLICATE_USERNAME", 409, 403, Forbidden, "The username is taken", "Choose another username.";
    InsufficientBalance = "INSUFFICIENT_BALANCE", 402, 402, OutOfCredits, "Insufficient balance", "Add money to the account.";
    CallerIdNotOwned = "CALLER_ID_NOT_OWNED", 403, 403, UnknownCallerId, "The from number is not owned by this account", "Use a number of the account as caller ID.";
    OutsideCallingHours = "OUTSIDE_CALLING_HOURS", 403, 403, Forbidden, "Promotional numbers call from 09:00 to 21:00 India time", "Call in the daytime, or from a number of another series.";
    InvalidDestinationNumber = "INVALID_DESTINATION", 400, 484, InvalidDestination, "The destination is not a dialable number", "Dial +E.164, or a national number.";
    ShortCodeBarred = "SHORT_CODE_BARRED", 403, 403, NumberBarred, "Short and emergency codes are not routed", "Ask the operator to route the code.";
    CountryBarred = "COUNTRY_BARRED", 403, 403, CountryBarred, "The destination country is closed", "Ask the operator to open the country.";
    PrefixBarred = "PREFIX_BARRED", 403, 403, PrefixBarred, "The destination prefix is barred", "Ask the operator to open the prefix.";
    NoRoute = "NO_ROUTE", 404, 503, RoutingError, "No carrier routes this destination", "The operator adds a carrier: tandem admin carrier add --name … --host …";
    CarriersFull = "CARRIERS_FULL", 429, 503, CarrierCongestion, "Every carrier of this destination is at its limit", "Try again; ask the operator for more channels.";
    NoRate = "NO_RATE", 404, 503, RoutingError, "No rate covers this destination", "The operator imports rates: tandem admin rates import rates.csv --deck standard --default --yes";
    NumberNotRouted = "NUMBER_NOT_ROUTED", 404, 404, Unallocated, "The number is not connected to an application or trunk", "Attach the number to an application or assign it to a trunk.";
    EndpointNotRegistered = "ENDPOINT_NOT_REGISTERED", 404, 480, EndpointNotRegistered, "The endpoint has no live registration", "Register the phone.";
    LoopDetected = "LOOP_DETECTED", 409, 482, LoopDetected, "The call came back to itself", "Check forwarding on the far side.";
    CpsExceeded = "CPS_EXCEEDED", 429, 503, ConcurrencyLimit, "Too many new calls per second", "Slow down, or buy more CPS.";
    ConcurrencyExceeded = "CONCURRENCY_EXCEEDED", 429, 503, ConcurrencyLimit, "Too many live calls", "End a call, or buy more channels.";
    RateLimited = "RATE_LIMIT_EXCEEDED", 429, 503, ConcurrencyLimit, "Too many requests", "Wait for Retry-After seconds.";
    Overloaded = "OVERLOADED", 503, 503, CarrierCongestion, "The node is overloaded or draining", "Retry after the given seconds.";
    StoreUnavailable = "STORE_UNAVAILABLE", 503, 503, InternalError, "The database cannot be written", "Retry; the operator should look at the disk or database.";
    IdempotencyMismatch = "IDEMPOTENCY_MISMATCH", 422, 400, InternalError, "The idempotency key was used with another body", "Use a new key.";
    RequestInProgress = "REQUEST_IN_PROGRESS", 409, 400, InternalError, "A request with this idempotency key is running", "Retry shortly.";
    EgressRefused = "EGRESS_REFUSED", 400, 400, InternalError, "The URL points to an address that is not public", "Use a public URL, or ask the operator to allow the network.";
    NotBuilt = "NOT_BUILT", 501, 501, InternalError, "This operation is not built", "See the reference for what is.";
    MailNotConfigured = "MAIL_NOT_CONFIGURED", 501, 501, InternalError, "This server sends no e-mail", "Ask the operator to set mail.smtp_url and mail.from, or use the redirect flow.";
    PaymentFailed = "PAYMENT_FAILED", 402, 402, InternalError, "The payment provider refused the payment", "See details.reason; try another amount or way to pay.";
    PaymentsNotConfigured = "PAYMENTS_NOT_CONFIGURED", 501, 501, InternalError, "This server takes no payments", "Ask the operator to set payments.provider, or to credit the account.";
    PaymentProviderUnavailable = "PAYMENT_PROVIDER_UNAVAILABLE", 503, 503, InternalError, "The payment provider does not answer", "Try again after the given seconds.";
    VerifierUnavailable = "VERIFIER_UNAVAILABLE", 503, 503, InternalError, "The verification service does not answer", "Try again after the given seconds.";
    Internal = "INTERNAL", 500, 500, InternalError, "Something failed on our side", "Quote the request id to the operator.";
}

/// A refusal with the words for this occasion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The catalogue's code.
    pub code: ErrorCode,
    /// For people: what failed, for what input, for example `Insufficient balance: 0.50 INR`.
    pub reason: String,
    /// Seconds until a retry may succeed; only when the node itself is the limit.
    pub retry_after_s: Option<u32>,
    /// How much money was wanting; only when money was.
    pub shortage: Option<Shortage>,
}

/// Money that was needed and is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// What was needed.
    pub required: Money,
    /// Balance − held + credit limit.
    pub available: Money,
    /// Their currency.
    pub currency: Currency,
}

impl Refusal {
    /// A refusal in the catalogue's own words.
    pub fn new(code: ErrorCode) -> Self {
        Self { code, reason: code.title().to_owned(), retry_after_s: None, shortage: None }
    }

    /// A refusal with words for the occasion.
    pub fn because(code: ErrorCode, reason: impl Into<String>) -> Self {
        Self { code, reason: reason.into(), retry_after_s: None, shortage: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slugs_are_unique_and_statuses_are_statuses() {
        for (i, code) in ErrorCode::ALL.iter().enumerate() {
            assert!((400..600).contains(&code.http_status()), "{code:?}");
            assert!((400..700).contains(&code.sip_status()), "{code:?}");
            assert!(ErrorCode::ALL[..i].iter().all(|other| other.slug() != code.slug()), "{code:?}");
        }
    }
}
