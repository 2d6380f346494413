//! The words of the business: typed ids, money, rates, numbers, the event and error-code
//! catalogues, call records, and the ports through which the engine asks the service.
//!
//! Used by every other crate. Promises: no I/O, no async runtime, no clock of its own (time is read
//! in [`clock`], the one place, by drivers only). Refuses to know: SQL, HTTP, SIP syntax.

mod application;
mod call;
mod callback;
pub mod clock;
mod e164;
pub mod entropy;
mod error_code;
mod event;
mod hangup;
mod id;
pub mod kyc;
mod money;
mod month;
pub mod ports;
mod rate;
mod recording;
pub mod rhythm;
mod series;

pub use application::{ApplicationPlan, HttpMethod, UrlCall};
pub use call::{
    CallDirection, CallEnd, CallFacts, CallStatus, DialogRecord, LegQuality, LegRole, OrphanCall,
};
pub use callback::{CallbackEvent, CallbackEvents, EventCallback};
pub use e164::{CountryRules, Dialled, E164, NumberError, normalise};
pub use error_code::{ErrorCode, Refusal, Shortage};
pub use event::{DeliveryChannel, EventKind};
pub use hangup::{HangupCause, HangupSource, HangupText};
pub use id::{
    AccountId, ApplicationId, CallId, CarrierId, EndpointId, EventId, Ids, NodeId, PartnerId, RecordingId,
    TrunkId,
};
pub use money::{Currency, Money, MoneyError};
pub use month::month_end_after;
pub use rate::Rate;
pub use recording::{
    RecordingChannels, RecordingEndReason, RecordingFormat, RecordingOrder, RecordingResult, RecordingTell,
    RecordingWords,
};
pub use series::{MOBILE_NUMBERS_MAX, NumberSeries};
