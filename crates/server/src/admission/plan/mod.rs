//! From an authenticated INVITE, a Dial element or an API call to a plan with a price: the whole
//! decision but for money and concurrency, which only the store decides.
//!
//! The cast: [`arrival`] says whose call an INVITE is and whether they may call at all; then, by what it is, [`trunk_call`],
//! [`inbound_call`] and [`endpoint_call`] plan it, [`leg`] plans what is dialled from a document or the API, [`to_customer`]
//! writes the routes to a customer's own PBX.

mod arrival;
mod endpoint_call;
mod inbound_call;
mod leg;
mod to_customer;
mod trunk_call;

use std::time::Instant;

use tandem_model::ports::{InviteFacts, Plan, Route};
use tandem_model::{
    ApplicationPlan, CallFacts, CallbackEvents, CountryRules, Dialled, E164, ErrorCode, EventCallback, Money,
    Rate, Refusal, entropy, normalise,
};

pub(crate) use arrival::{Arrival, Way};

use super::context::{Context, Product};
use super::hops::HopSigner;
use super::routing::{self, CarrierLimits, Presented};
use crate::config::Config;
use crate::directory::{AccountEntry, ApplicationEntry, Directory};

/// A call decided but for the money.
pub(crate) struct Planned {
    /// The business of the call; `hold` is what to reserve.
    pub(crate) context: Context,
    /// What it runs.
    pub(crate) plan: Plan,
    /// Hard limit on talk time.
    pub(crate) max_duration_s: u64,
    /// Record it.
    pub(crate) record: bool,
    /// The caller is expected behind NAT.
    pub(crate) nat: bool,
}

/// A refusal, with the business as far as it was known: a record needs an account.
pub(crate) struct Refused {
    /// Why.
    pub(crate) refusal: Refusal,
    /// Whose call it was; `None` writes no record (nobody's number was called).
    pub(crate) context: Option<Box<Context>>,
}

impl Refused {
    /// A refusal of a call that has an account: it goes on record.
    fn on_record(refusal: Refusal, context: &Context) -> Self {
        Self { refusal, context: Some(Box::new(context.clone())) }
    }

    /// A refusal of a call that is nobody's.
    fn nobodys(code: ErrorCode) -> Self {
        Self { refusal: Refusal::new(code), context: None }
    }
}

/// What planning reads.
pub(crate) struct Planner<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) config: &'a Config,
    pub(crate) limits: &'a CarrierLimits,
    pub(crate) hops: &'a HopSigner,
    pub(crate) now: Instant,
}

impl Planner<'_> {
    /// Plans an INVITE from outside, once it is known whose it is.
    pub(crate) fn invite(&self, invite: &InviteFacts, arrival: Arrival) -> Result<Planned, Refused> {
        let Arrival { context, account, way } = arrival;
        match way {
            Way::Trunk(trunk) => self.trunk_call(invite, context, &account, &trunk),
            Way::Number(number, called) => self.inbound_call(invite, context, &number, called),
            Way::Endpoint(endpoint) => self.endpoint_call(context, &endpoint),
        }
    }

    fn routes(
        &self,
        account: &AccountEntry,
        number: E164,
        caller: &Presented,
    ) -> Result<Vec<Route>, Refusal> {
        routing::routes(self.directory, self.limits, account, number, caller, self.now, draw)
    }

    fn may_call(&self, account: &AccountEntry) -> Result<(), Refusal> {
        let payer = self.directory.account(account.payer());
        if !account.enabled || !payer.as_ref().is_some_and(|payer| payer.enabled) {
            return Err(Refusal::new(ErrorCode::AccountInactive));
        }
        if !account.permissions.calls {
            return Err(Refusal::new(ErrorCode::PermissionMissing));
        }
        let pending = account.kyc_pending || payer.is_some_and(|payer| payer.kyc_pending);
        if account.kyc_blocks_calls || (self.config.kyc.pending_blocks_calls && pending) {
            return Err(Refusal::new(ErrorCode::KycRequired));
        }
        Ok(())
    }

    fn context(facts: CallFacts, account: &AccountEntry, product: Product) -> Context {
        Context {
            facts: CallFacts { parent_account: account.payer().clone(), ..facts },
            payer: account.payer().clone(),
            product,
            rate: Rate::FREE,
            currency: account.currency,
            hold: Money::ZERO,
            covered_s: None,
            visits: 0,
            trunk: None,
            trunk_webhook: None,
            trunk_hears_recordings: false,
            default_callback: None,
            hangup: None,
            status: None,
            application: None,
            carrier: None,
            endpoint: None,
            parent_call: None,
            recording: None,
        }
    }

    /// Where events go that neither a trunk nor an application takes: a sub-account's own place, else its main account's.
    pub(super) fn default_callback(&self, account: &AccountEntry) -> Option<EventCallback> {
        let payers = || self.directory.account(account.payer())?.default_callback.clone();
        account.default_callback.clone().or_else(payers)
    }

    /// The price of a call to a number, and what to hold for its first stretch.
    fn price(&self, context: &mut Context, account: &AccountEntry, number: &E164) -> Result<(), Refusal> {
        let payer = self.directory.account(account.payer());
        let deck = payer.as_deref().and_then(|payer| self.directory.deck_of(payer));
        let rate = deck.as_deref().and_then(|deck| deck.rate(number)).map(|(_, rate)| rate);
        let Some(rate) = rate else { return Err(Refusal::new(ErrorCode::NoRate)) };
        self.hold_for(context, rate);
        Ok(())
    }

    /// Inbound calls cost what the deck says of `in` prefixes, and nothing when it says nothing.
    fn price_inbound(&self, context: &mut Context, account: &AccountEntry, number: &E164) {
        let payer = self.directory.account(account.payer());
        let deck = payer.as_deref().and_then(|payer| self.directory.deck_of(payer));
        let rate = deck.as_deref().and_then(|deck| deck.inbound_rate(number));
        self.hold_for(context, rate.unwrap_or(Rate::FREE));
    }

    fn hold_for(&self, context: &mut Context, rate: Rate) {
        let reserve_s = self.config.billing.reserve_s.max(1);
        context.rate = rate;
        context.hold = rate.cost(reserve_s);
        context.covered_s = rate.seconds_for(context.hold);
        context.facts.bill_rate = rate.per_minute.to_fixed(5);
    }

    fn steer(context: &mut Context, application: &ApplicationEntry) {
        context.application = Some(application.id.to_string());
        let told = hangup_of(&application.plan);
        // A hangup URL is there for that one event; the answer URL in its place is told what the list says.
        let listed = application.plan.hangup.is_none();
        let events = if listed { application.events } else { CallbackEvents::ALL };
        context.hangup = Some(EventCallback { events, ..told });
    }

    fn planned(&self, context: Context, plan: Plan) -> Planned {
        Planned {
            context,
            plan,
            max_duration_s: self.config.sip.max_duration_s,
            record: self.config.recordings.all,
            nat: false,
        }
    }
}

/// Where `Event=Hangup` goes: the hangup URL, else the answer URL.
pub(crate) fn hangup_of(plan: &ApplicationPlan) -> EventCallback {
    EventCallback::all(plan.hangup.clone().unwrap_or_else(|| plan.answer.clone()))
}

/// E.164 digits where the text is a number, else the text: what webhooks show.
fn digits_or_text(text: &str, rules: CountryRules) -> String {
    match normalise(text, rules) {
        Ok(Dialled::Number(number)) => number.digits().to_owned(),
        _ => text.to_owned(),
    }
}

/// A number between 0 and 1 for weighted draws.
fn draw() -> f64 {
    (entropy::number() >> 11) as f64 / (1_u64 << 53) as f64
}
