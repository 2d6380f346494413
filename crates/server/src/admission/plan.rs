//! From an authenticated INVITE, a Dial element or an API call to a plan with a price: the whole
//! decision but for money and concurrency, which only the store decides.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use jiff::Timestamp;
use tandem_model::ports::{
    CallerIdentity, InviteFacts, LegRequest, LegTarget, Plan, Route, RouteDestination, Transport,
};
use tandem_model::{
    AccountId, ApplicationPlan, CallDirection, CallFacts, CallId, CountryRules, Dialled, E164, ErrorCode,
    Money, Rate, Refusal, TrunkId, UrlCall, entropy, normalise,
};

use super::context::{Context, Product};
use super::payload::TrunkFacts;
use super::policy;
use super::routing::{self, CarrierLimits, Presented};
use crate::config::Config;
use crate::directory::{AccountEntry, Directory, TrunkEntry};

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

/// What planning reads.
pub(crate) struct Planner<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) config: &'a Config,
    pub(crate) limits: &'a CarrierLimits,
    pub(crate) now: Instant,
}

impl Planner<'_> {
    /// Plans an INVITE from outside.
    pub(crate) fn invite(&self, invite: &InviteFacts) -> Result<Planned, Refused> {
        match &invite.identity {
            CallerIdentity::Trunk(trunk) => self.trunk_call(invite, *trunk),
            CallerIdentity::Carrier(carrier) => self.inbound_call(invite, &carrier.to_string()),
            CallerIdentity::Endpoint(username) => self.endpoint_call(invite, username),
        }
    }

    fn trunk_call(&self, invite: &InviteFacts, trunk: TrunkId) -> Result<Planned, Refused> {
        let Some(trunk) = self.directory.trunk(&trunk) else { return Err(nobody(ErrorCode::TrunkNotFound)) };
        let Some(account) = self.directory.account(&trunk.account) else {
            return Err(nobody(ErrorCode::AccountInactive));
        };
        let mut facts = facts_of(invite, &account.id, CallDirection::Outbound);
        let rules = account.country_rules();
        facts.to = digits_or_text(&invite.dialled, rules);
        let caller_text = invite.asserted_user.as_deref().unwrap_or(&invite.from_user);
        facts.from = digits_or_text(caller_text, rules);
        name_caller(&mut facts, invite);
        let mut context = Self::context(facts, &account, Product::SipTrunking);
        context.trunk = Some(TrunkFacts {
            trunk_id: trunk.id.to_string(),
            domain: invite.domain.clone(),
            source_ip: invite.source.ip().to_string(),
            sip_call_id: invite.sip_call_id.clone(),
        });
        context.trunk_webhook.clone_from(&trunk.webhook);
        let refuse = |refusal: Refusal, context: &Context| Refused {
            refusal,
            context: Some(Box::new(context.clone())),
        };

        self.may_call(&account).map_err(|refusal| refuse(refusal, &context))?;
        if !trunk.outbound {
            let refusal = Refusal::because(
                ErrorCode::TrunkDisabled,
                "The trunk is inbound only: it may not originate calls",
            );
            return Err(refuse(refusal, &context));
        }
        let number = policy::destination(
            self.directory,
            &account,
            &self.config.billing.open_country_codes,
            &invite.dialled,
        )
        .map_err(|refusal| refuse(refusal, &context))?;
        number.digits().clone_into(&mut context.facts.to);
        let caller = policy::owned_caller(self.directory, &account.id, rules, caller_text)
            .map_err(|refusal| refuse(refusal, &context))?;
        caller.digits().clone_into(&mut context.facts.from);
        self.price(&mut context, &account, &number).map_err(|refusal| refuse(refusal, &context))?;
        let presented = Presented {
            number: Some(caller),
            name: invite.display_name.clone().unwrap_or_default(),
            diversion: None,
            private: invite.privacy,
            headers: invite.custom_headers.clone(),
        };
        let routes =
            self.routes(&account, number, &presented).map_err(|refusal| refuse(refusal, &context))?;
        context.carrier = routes.first().and_then(|route| route.carrier).map(|carrier| carrier.to_string());
        let max_duration_s = trunk.max_duration_s.unwrap_or(self.config.sip.max_duration_s);
        let plan = Plan::Bridge { routes, ring_timeout_s: self.config.sip.ring_timeout_s };
        let record = trunk.recording || self.config.recordings.all;
        // A digest trunk is a PBX behind somebody's router until its own SDP says otherwise; an ACL names its address.
        let nat = !trunk.acl.iter().any(|net| net.contains(&invite.source.ip()));
        Ok(Planned { context, plan, max_duration_s, record, nat })
    }

    fn inbound_call(&self, invite: &InviteFacts, carrier: &str) -> Result<Planned, Refused> {
        let home = CountryRules::of(&self.config.billing.country);
        let Ok(Dialled::Number(called)) = normalise(&invite.dialled, home) else {
            return Err(nobody(ErrorCode::NumberNotRouted));
        };
        let number = self.directory.number(&called).filter(|number| number.active);
        let Some(number) = number else { return Err(nobody(ErrorCode::NumberNotRouted)) };
        let Some(account) = self.directory.account(&number.account) else {
            return Err(nobody(ErrorCode::NumberNotRouted));
        };
        let mut facts = facts_of(invite, &account.id, CallDirection::Inbound);
        called.digits().clone_into(&mut facts.to);
        let caller_text =
            invite.asserted_user.as_deref().filter(|_| !invite.privacy).unwrap_or(&invite.from_user);
        facts.from = digits_or_text(caller_text, home);
        name_caller(&mut facts, invite);
        let mut context = Self::context(facts, &account, Product::VoiceApi);
        context.carrier = Some(carrier.to_owned());
        let refuse = |refusal: Refusal, context: &Context| Refused {
            refusal,
            context: Some(Box::new(context.clone())),
        };
        self.may_call(&account).map_err(|refusal| refuse(refusal, &context))?;
        self.price_inbound(&mut context, &account, &called);

        if let Some(application) = &number.application {
            let application =
                self.directory.application(application).filter(|application| application.enabled);
            let Some(application) = application else {
                return Err(refuse(Refusal::new(ErrorCode::NumberNotRouted), &context));
            };
            let plan = application.plan.clone();
            Self::steer(&mut context, &plan, application.id.as_str());
            return Ok(self.planned(context, Plan::Application(plan)));
        }
        let Some(trunk) = number.trunk.and_then(|trunk| self.directory.trunk(&trunk)) else {
            return Err(refuse(Refusal::new(ErrorCode::NumberNotRouted), &context));
        };
        context.product = Product::SipTrunking;
        context.trunk = Some(TrunkFacts {
            trunk_id: trunk.id.to_string(),
            domain: format!("{}.{}", trunk.label, self.directory.hosts().trunk_domain),
            source_ip: invite.source.ip().to_string(),
            sip_call_id: invite.sip_call_id.clone(),
        });
        context.trunk_webhook.clone_from(&trunk.webhook);
        if !trunk.enabled || !trunk.inbound {
            return Err(refuse(Refusal::new(ErrorCode::TrunkDisabled), &context));
        }
        let routes = self.to_customer(&trunk, called, invite);
        if routes.is_empty() {
            let words = "The trunk has no origination URI that can be reached";
            return Err(refuse(Refusal::because(ErrorCode::NumberNotRouted, words), &context));
        }
        let plan = Plan::Bridge { routes, ring_timeout_s: self.config.sip.ring_timeout_s };
        let mut planned = self.planned(context, plan);
        planned.record |= trunk.recording;
        Ok(planned)
    }

    fn endpoint_call(&self, invite: &InviteFacts, username: &str) -> Result<Planned, Refused> {
        let Some(endpoint) = self.directory.endpoint(username) else {
            return Err(nobody(ErrorCode::InvalidCredentials));
        };
        let Some(account) = self.directory.account(&endpoint.account) else {
            return Err(nobody(ErrorCode::AccountInactive));
        };
        let mut facts = facts_of(invite, &account.id, CallDirection::Inbound);
        facts.from = format!("sip:{username}@{}", self.directory.hosts().registrar);
        facts.to = digits_or_text(&invite.dialled, account.country_rules());
        name_caller(&mut facts, invite);
        let mut context = Self::context(facts, &account, Product::VoiceApi);
        context.endpoint = Some(username.to_owned());
        let refuse = |refusal: Refusal, context: &Context| Refused {
            refusal,
            context: Some(Box::new(context.clone())),
        };
        self.may_call(&account).map_err(|refusal| refuse(refusal, &context))?;
        let application = endpoint
            .application
            .as_ref()
            .and_then(|application| self.directory.application(application))
            .filter(|application| application.enabled);
        let Some(application) = application else {
            let words = "The endpoint has no application to steer its calls";
            return Err(refuse(Refusal::because(ErrorCode::NumberNotRouted, words), &context));
        };
        let plan = application.plan.clone();
        Self::steer(&mut context, &plan, application.id.as_str());
        let mut planned = self.planned(context, Plan::Application(plan));
        planned.nat = true;
        Ok(planned)
    }

    /// Plans a `<Dial>` leg.
    pub(crate) fn leg(&self, request: &LegRequest) -> Result<(Planned, Vec<Route>), Refused> {
        let parent = &request.parent;
        let Some(account) = self.directory.account(&parent.account) else {
            return Err(nobody(ErrorCode::AccountInactive));
        };
        let caller = request.caller_id.as_deref().unwrap_or(&parent.from);
        let own = policy::owned_caller(self.directory, &account.id, account.country_rules(), caller);
        let presented = match (own, &request.caller_id) {
            (Ok(number), _) => Presented { number: Some(number), ..Self::presented(request) },
            // A forwarded caller's own number may pass, with the forwarding number as Diversion.
            (Err(_), None) => Presented {
                number: E164::parse(caller).ok(),
                diversion: E164::parse(&parent.to)
                    .ok()
                    .filter(|did| policy::owns(self.directory, &account.id, did)),
                ..Self::presented(request)
            },
            (Err(refusal), Some(_)) => return Err(Refused { refusal, context: None }),
        };
        let facts = CallFacts {
            call: request.call,
            direction: CallDirection::Outbound,
            from: presented.number.map_or_else(|| caller.to_owned(), |number| number.digits().to_owned()),
            to: String::new(),
            caller_name: request.caller_name.clone().unwrap_or_else(|| parent.caller_name.clone()),
            started_at: request.requested_at,
            forwarded_from: None,
            custom_headers: request.custom_headers.clone(),
            ..parent.clone()
        };
        let (mut planned, routes) = self.outgoing(facts, &account, &request.target, &presented)?;
        planned.context.parent_call = Some(parent.call);
        Ok((planned, routes))
    }

    fn presented(request: &LegRequest) -> Presented {
        Presented {
            number: None,
            name: request.caller_name.clone().unwrap_or_default(),
            diversion: None,
            private: false,
            headers: request.custom_headers.clone(),
        }
    }

    /// Plans an API call: `from` must be the account's number unless it goes to one of its own endpoints.
    pub(crate) fn originate(
        &self,
        call: CallId,
        account: &AccountId,
        from: &str,
        caller_name: Option<&str>,
        target: &LegTarget,
        custom_headers: &[(String, String)],
        at: Timestamp,
    ) -> Result<(Planned, Vec<Route>), Refused> {
        let Some(account) = self.directory.account(account) else {
            return Err(nobody(ErrorCode::AccountInactive));
        };
        let caller = match policy::owned_caller(self.directory, &account.id, account.country_rules(), from) {
            Ok(number) => number,
            Err(refusal) => return Err(Refused { refusal, context: None }),
        };
        let facts = CallFacts {
            call,
            account: account.id.clone(),
            direction: CallDirection::Outbound,
            from: caller.digits().to_owned(),
            to: String::new(),
            caller_name: caller_name.unwrap_or(caller.digits()).to_owned(),
            started_at: at,
            bill_rate: Money::ZERO.to_fixed(5),
            parent_account: account.payer().clone(),
            a_leg: call,
            forwarded_from: None,
            custom_headers: custom_headers.to_vec(),
        };
        let presented = Presented {
            number: Some(caller),
            name: caller_name.unwrap_or_default().to_owned(),
            diversion: None,
            private: false,
            headers: custom_headers.to_vec(),
        };
        self.outgoing(facts, &account, target, &presented)
    }

    fn outgoing(
        &self,
        mut facts: CallFacts,
        account: &Arc<AccountEntry>,
        target: &LegTarget,
        presented: &Presented,
    ) -> Result<(Planned, Vec<Route>), Refused> {
        facts.to = match target {
            LegTarget::Number(number) => digits_or_text(number, account.country_rules()),
            LegTarget::User(uri) => uri.clone(),
        };
        let mut context = Self::context(facts, account, Product::VoiceApi);
        let refuse = |refusal: Refusal, context: &Context| Refused {
            refusal,
            context: Some(Box::new(context.clone())),
        };
        self.may_call(account).map_err(|refusal| refuse(refusal, &context))?;
        let routes = match target {
            LegTarget::Number(dialled) => {
                let number = policy::destination(
                    self.directory,
                    account,
                    &self.config.billing.open_country_codes,
                    dialled,
                )
                .map_err(|refusal| refuse(refusal, &context))?;
                number.digits().clone_into(&mut context.facts.to);
                self.price(&mut context, account, &number).map_err(|refusal| refuse(refusal, &context))?;
                let routes =
                    self.routes(account, number, presented).map_err(|refusal| refuse(refusal, &context))?;
                context.carrier = routes.first().and_then(|route| route.carrier).map(|id| id.to_string());
                routes
            }
            LegTarget::User(uri) => {
                let (route, endpoint) =
                    self.to_user(account, uri, presented).map_err(|refusal| refuse(refusal, &context))?;
                context.endpoint = endpoint;
                vec![route]
            }
        };
        let planned = self.planned(
            context,
            Plan::Bridge { routes: Vec::new(), ring_timeout_s: self.config.sip.ring_timeout_s },
        );
        Ok((planned, routes))
    }

    /// A SIP URI: an endpoint of the same account, or an outside address the guard lets through.
    fn to_user(
        &self,
        account: &AccountEntry,
        uri: &str,
        caller: &Presented,
    ) -> Result<(Route, Option<String>), Refusal> {
        let rest = uri.trim().strip_prefix("sip:").ok_or_else(|| bad_uri(uri))?;
        let rest = rest.split(['?', ';']).next().unwrap_or(rest);
        let (user, host) = rest.split_once('@').ok_or_else(|| bad_uri(uri))?;
        let hosts = self.directory.hosts();
        let from_user = caller.number.map_or_else(|| "anonymous".to_owned(), |number| number.plus());
        let route = |destination, request_uri: String, nat| Route {
            carrier: None,
            destination,
            to_uri: request_uri.clone(),
            request_uri,
            from_uri: format!("sip:{from_user}@{}", hosts.registrar),
            display_name: caller.name.clone(),
            asserted_identity: None,
            headers: routing::custom_headers(&caller.headers),
            credentials: None,
            nat,
        };
        let host_name = host_without_port(host).to_ascii_lowercase();
        if host_name == hosts.registrar || hosts.addresses.contains(&host_name) {
            let endpoint = self.directory.endpoint(user).filter(|endpoint| endpoint.account == account.id);
            let Some(endpoint) = endpoint else { return Err(Refusal::new(ErrorCode::EndpointNotRegistered)) };
            let destination = RouteDestination::Endpoint(endpoint.username.clone());
            let request_uri = format!("sip:{user}@{}", hosts.registrar);
            return Ok((route(destination, request_uri, true), Some(endpoint.username.clone())));
        }
        let address = literal_address(host).ok_or_else(|| {
            Refusal::because(
                ErrorCode::InvalidDestinationNumber,
                format!("{host_name} is not an endpoint's host; outside SIP URIs need an IP address"),
            )
        })?;
        if !tandem_model::ports::Directory::may_send_to(self.directory, address) {
            return Err(Refusal::new(ErrorCode::EgressRefused));
        }
        Ok((route(RouteDestination::Address(address, Transport::Udp), format!("sip:{rest}"), false), None))
    }

    /// The origination URIs of an inbound trunk, by priority, equal ones drawn by weight.
    fn to_customer(&self, trunk: &TrunkEntry, called: E164, invite: &InviteFacts) -> Vec<Route> {
        let mut uris: Vec<(i64, f64, String, SocketAddr)> = trunk
            .uris
            .iter()
            .filter_map(|entry| {
                let first = trunk.primary_uri.as_deref() == Some(entry.id.as_str());
                let last = trunk.fallback_uri.as_deref() == Some(entry.id.as_str());
                let priority = if first {
                    i64::MIN
                } else if last {
                    i64::MAX
                } else {
                    entry.priority
                };
                let host =
                    entry.uri.trim().trim_start_matches("sip:").split(';').next()?.rsplit('@').next()?;
                Some((
                    priority,
                    draw().powf(1.0 / entry.weight.max(1) as f64),
                    host.to_owned(),
                    entry.address?,
                ))
            })
            .collect();
        uris.sort_by(|a, b| a.0.cmp(&b.0).then(b.1.total_cmp(&a.1)));
        if uris.is_empty() {
            uris.extend(
                trunk.inbound_destination.iter().map(|(host, address)| (0, 0.0, host.clone(), *address)),
            );
        }
        let mut headers = routing::custom_headers(&invite.custom_headers);
        if let Some(diversion) = &invite.diversion {
            headers.push(("Diversion".to_owned(), format!("<sip:{diversion}@{}>", invite.domain)));
        }
        uris.into_iter()
            .filter(|(_, _, _, address)| {
                tandem_model::ports::Directory::may_send_to(self.directory, *address)
            })
            .map(|(_, _, host, address)| Route {
                carrier: None,
                destination: RouteDestination::Address(address, Transport::Udp),
                request_uri: format!("sip:{}@{host}", called.plus()),
                from_uri: format!("sip:{}@{}", invite.from_user, self.directory.hosts().trunk_domain),
                display_name: invite.display_name.clone().unwrap_or_default(),
                to_uri: format!("sip:{}@{host}", called.plus()),
                asserted_identity: None,
                headers: headers.clone(),
                credentials: None,
                nat: false,
            })
            .collect()
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
        if self.config.kyc.pending_blocks_calls
            && (account.kyc_pending || payer.is_some_and(|payer| payer.kyc_pending))
        {
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
            trunk: None,
            trunk_webhook: None,
            hangup: None,
            application: None,
            carrier: None,
            endpoint: None,
            parent_call: None,
            recording: None,
        }
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

    fn steer(context: &mut Context, plan: &ApplicationPlan, application: &str) {
        context.application = Some(application.to_owned());
        context.hangup = Some(hangup_of(plan));
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
pub(crate) fn hangup_of(plan: &ApplicationPlan) -> UrlCall {
    plan.hangup.clone().unwrap_or_else(|| plan.answer.clone())
}

fn nobody(code: ErrorCode) -> Refused {
    Refused { refusal: Refusal::new(code), context: None }
}

fn bad_uri(uri: &str) -> Refusal {
    let shown: String = uri.chars().take(64).collect();
    Refusal::because(ErrorCode::InvalidDestinationNumber, format!("{shown} is not a sip:user@host URI"))
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

/// E.164 digits where the text is a number, else the text: what webhooks show.
fn digits_or_text(text: &str, rules: CountryRules) -> String {
    match normalise(text, rules) {
        Ok(Dialled::Number(number)) => number.digits().to_owned(),
        _ => text.to_owned(),
    }
}

/// The host of `host[:port]`, an IPv6 address without its brackets.
fn host_without_port(host: &str) -> &str {
    match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    }
}

/// `host[:port]` with a literal address.
fn literal_address(host: &str) -> Option<SocketAddr> {
    host.parse().ok().or_else(|| {
        let ip: IpAddr = host.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
        Some(SocketAddr::new(ip, 5060))
    })
}

/// A number between 0 and 1 for weighted draws.
fn draw() -> f64 {
    (entropy::number() >> 11) as f64 / (1_u64 << 53) as f64
}
