//! Whose call is this, and may they call at all? The first look at an authenticated INVITE, before it costs anybody one of their calls
//! of this second. From here on a refusal has an account, so it has a record.

use std::sync::Arc;

use tandem_model::ports::{CallerIdentity, InviteFacts};
use tandem_model::{
    AccountId, CallDirection, CallFacts, CountryRules, Dialled, E164, ErrorCode, Money, Refusal, TrunkId,
    normalise,
};

use super::super::context::{Context, Product};
use super::super::hops::MOST_VISITS;
use super::super::payload::TrunkFacts;
use super::{Planner, Refused, digits_or_text};
use crate::directory::{AccountEntry, EndpointEntry, NumberEntry, TrunkEntry};

/// A call that is somebody's.
pub(crate) struct Arrival {
    /// Its business so far.
    pub(crate) context: Context,
    /// Whose.
    pub(super) account: Arc<AccountEntry>,
    /// By which way it came.
    pub(super) way: Way,
}

/// What an INVITE was identified by.
pub(crate) enum Way {
    /// A customer's PBX calls out.
    Trunk(Arc<TrunkEntry>),
    /// The telephone network calls a number in service.
    Number(Arc<NumberEntry>, E164),
    /// A SIP endpoint calls its application.
    Endpoint(Arc<EndpointEntry>),
}

impl Planner<'_> {
    /// Finds the account of an INVITE and what its record will say; refuses loops, disabled trunks and accounts.
    pub(crate) fn arrive(&self, invite: &InviteFacts) -> Result<Arrival, Refused> {
        let mut arrival = match &invite.identity {
            CallerIdentity::Trunk(trunk) => self.trunk_arrival(invite, *trunk),
            CallerIdentity::Carrier(carrier) => self.carrier_arrival(invite, &carrier.to_string()),
            CallerIdentity::Endpoint(username) => self.endpoint_arrival(invite, username),
        }?;
        arrival.context.visits = self.hops.visits(invite.hop_cookie.as_deref()) + 1;
        self.may_arrive(&arrival).map_err(|refusal| Refused::on_record(refusal, &arrival.context))?;
        Ok(arrival)
    }

    fn may_arrive(&self, arrival: &Arrival) -> Result<(), Refusal> {
        if arrival.context.visits > MOST_VISITS {
            return Err(Refusal::new(ErrorCode::LoopDetected));
        }
        if let Way::Trunk(trunk) = &arrival.way {
            if !trunk.enabled {
                return Err(Refusal::new(ErrorCode::TrunkDisabled));
            }
            if !trunk.outbound {
                let words = "The trunk is inbound only: it may not originate calls";
                return Err(Refusal::because(ErrorCode::TrunkDisabled, words));
            }
        }
        self.may_call(&arrival.account)
    }

    fn trunk_arrival(&self, invite: &InviteFacts, trunk: TrunkId) -> Result<Arrival, Refused> {
        let found = self
            .directory
            .trunk(&trunk)
            .and_then(|trunk| self.directory.account(&trunk.account).map(|account| (trunk, account)));
        // Removed since it was proven, a moment ago.
        let Some((trunk, account)) = found else { return Err(Refused::nobodys(ErrorCode::TrunkNotFound)) };
        let mut facts = facts_of(invite, &account.id, CallDirection::Outbound);
        let rules = account.country_rules();
        facts.to = digits_or_text(&invite.dialled, rules);
        facts.from = digits_or_text(caller_text(invite), rules);
        name_caller(&mut facts, invite);
        let mut context = Self::context(facts, &account, Product::SipTrunking);
        context.default_callback = self.default_callback(&account);
        context.trunk = Some(trunk_facts(&trunk, invite.domain.clone(), invite));
        context.trunk_webhook.clone_from(&trunk.webhook);
        context.trunk_hears_recordings = trunk.hears_recordings;
        Ok(Arrival { context, account, way: Way::Trunk(trunk) })
    }

    fn carrier_arrival(&self, invite: &InviteFacts, carrier: &str) -> Result<Arrival, Refused> {
        let home = CountryRules::of(&self.config.billing.country);
        let called = match normalise(&invite.dialled, home) {
            Ok(Dialled::Number(called)) => Some(called),
            Ok(Dialled::Short(_)) | Err(_) => None,
        };
        let found = called.and_then(|called| {
            let number = self.directory.number(&called).filter(|number| number.active)?;
            let account = self.directory.account(&number.account)?;
            Some((called, number, account))
        });
        let Some((called, number, account)) = found else {
            return Err(Refused::nobodys(ErrorCode::NumberNotRouted));
        };
        let mut facts = facts_of(invite, &account.id, CallDirection::Inbound);
        called.digits().clone_into(&mut facts.to);
        let shown = invite.asserted_user.as_deref().filter(|_| !invite.privacy).unwrap_or(&invite.from_user);
        facts.from = digits_or_text(shown, home);
        name_caller(&mut facts, invite);
        let mut context = Self::context(facts, &account, Product::VoiceApi);
        context.default_callback = self.default_callback(&account);
        context.carrier = Some(carrier.to_owned());
        self.price_inbound(&mut context, &account, &called);
        if let Some(trunk) = self.trunk_of(&number) {
            context.product = Product::SipTrunking;
            let domain = format!("{}.{}", trunk.label, self.directory.hosts().trunk_domain);
            context.trunk = Some(trunk_facts(&trunk, domain, invite));
            context.trunk_webhook.clone_from(&trunk.webhook);
            context.trunk_hears_recordings = trunk.hears_recordings;
        }
        Ok(Arrival { context, account, way: Way::Number(number, called) })
    }

    /// The trunk a number leads to; its own answer URL and an application come first.
    pub(super) fn trunk_of(&self, number: &NumberEntry) -> Option<Arc<TrunkEntry>> {
        number
            .trunk
            .filter(|_| number.application.is_none() && number.plan.is_none())
            .and_then(|trunk| self.directory.trunk(&trunk))
    }

    fn endpoint_arrival(&self, invite: &InviteFacts, username: &str) -> Result<Arrival, Refused> {
        let found = self.directory.endpoint(username).and_then(|endpoint| {
            self.directory.account(&endpoint.account).map(|account| (endpoint, account))
        });
        let Some((endpoint, account)) = found else {
            return Err(Refused::nobodys(ErrorCode::InvalidCredentials));
        };
        let mut facts = facts_of(invite, &account.id, CallDirection::Inbound);
        facts.from = format!("sip:{username}@{}", self.directory.hosts().registrar);
        facts.to = digits_or_text(&invite.dialled, account.country_rules());
        name_caller(&mut facts, invite);
        let mut context = Self::context(facts, &account, Product::VoiceApi);
        context.default_callback = self.default_callback(&account);
        context.endpoint = Some(username.to_owned());
        Ok(Arrival { context, account, way: Way::Endpoint(endpoint) })
    }
}

/// Who calls, as a PBX says it: an asserted identity before From.
pub(super) fn caller_text(invite: &InviteFacts) -> &str {
    invite.asserted_user.as_deref().unwrap_or(&invite.from_user)
}

fn trunk_facts(trunk: &TrunkEntry, domain: String, invite: &InviteFacts) -> TrunkFacts {
    TrunkFacts {
        trunk_id: trunk.id.to_string(),
        domain,
        source_ip: invite.source.ip().to_string(),
        sip_call_id: invite.sip_call_id.clone(),
    }
}

fn facts_of(invite: &InviteFacts, account: &AccountId, direction: CallDirection) -> CallFacts {
    CallFacts {
        call: invite.call,
        account: account.clone(),
        direction,
        from: invite.from_user.clone(),
        to: invite.dialled.clone(),
        caller_name: String::new(),
        started_at: invite.received_at,
        bill_rate: Money::ZERO.to_fixed(5),
        parent_account: account.clone(),
        a_leg: invite.call,
        forwarded_from: invite.diversion.clone(),
        custom_headers: invite.custom_headers.clone(),
    }
}

fn name_caller(facts: &mut CallFacts, invite: &InviteFacts) {
    facts.caller_name =
        invite.display_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| facts.from.clone());
}
