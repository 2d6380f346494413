//! What the service keeps of a live call beside its facts, in memory and, word for word, in its row: enough
//! for any process to settle it.

use serde::{Deserialize, Serialize};
use tandem_model::{CallDirection, CallFacts, CarrierId, Currency, EventCallback, Money, Rate};

use super::payload::TrunkFacts;

/// `context` of a record: which product the call used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Product {
    /// Steered by XML.
    #[serde(rename = "voice-api")]
    VoiceApi,
    /// A trunk call.
    #[serde(rename = "sip-trunking")]
    SipTrunking,
}

/// A live call's business.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Context {
    /// Identity.
    pub(crate) facts: CallFacts,
    /// Who pays: the account, or its main account.
    pub(crate) payer: tandem_model::AccountId,
    /// Which product.
    pub(crate) product: Product,
    /// Price.
    pub(crate) rate: Rate,
    /// The payer's currency.
    pub(crate) currency: Currency,
    /// Held now.
    pub(crate) hold: Money,
    /// Seconds the hold covers; `None` when the call is free.
    pub(crate) covered_s: Option<u64>,
    /// How often the call has been here, this time included.
    #[serde(default)]
    pub(crate) visits: u8,
    /// The trunk, when it is a trunk call or an endpoint behind one.
    pub(crate) trunk: Option<TrunkFacts>,
    /// Where the trunk's webhooks go.
    pub(crate) trunk_webhook: Option<EventCallback>,
    /// The trunk's webhook is told of recordings too.
    #[serde(default)]
    pub(crate) trunk_hears_recordings: bool,
    /// Told where neither a trunk's webhook nor an application's URL is: the account's own, or its main account's.
    #[serde(default)]
    pub(crate) default_callback: Option<EventCallback>,
    /// Told when it ends (XML calls).
    pub(crate) hangup: Option<EventCallback>,
    /// Told of its ringing, answer and end (API calls).
    #[serde(default)]
    pub(crate) status: Option<EventCallback>,
    /// The application, by id.
    pub(crate) application: Option<String>,
    /// The first carrier, by id.
    pub(crate) carrier: Option<String>,
    /// The endpoint's user name, when one is the customer's side.
    pub(crate) endpoint: Option<String>,
    /// The A call, for a Dial leg.
    pub(crate) parent_call: Option<tandem_model::CallId>,
    /// The recording being made, by id.
    pub(crate) recording: Option<tandem_model::RecordingId>,
}

impl Context {
    /// The carrier it goes out through; `None` for calls that come in.
    pub(crate) fn carrier_out(&self) -> Option<CarrierId> {
        let out = self.facts.direction == CallDirection::Outbound;
        self.carrier.as_deref().filter(|_| out).and_then(|carrier| carrier.parse().ok())
    }
}
