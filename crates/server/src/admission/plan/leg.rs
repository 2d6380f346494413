//! What is dialled from a call's document or by the API: a number, through the carriers, or a SIP URI.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use jiff::Timestamp;
use tandem_model::ports::{Failover, LegRequest, LegTarget, Plan, Route, RouteDestination, Transport};
use tandem_model::{AccountId, CallDirection, CallFacts, CallId, E164, ErrorCode, Money, Refusal};

use super::super::context::{Context, Product};
use super::super::policy;
use super::super::routing::{self, Presented};
use super::{Planned, Planner, Refused, digits_or_text};
use crate::directory::AccountEntry;

/// A call that begins here.
const FIRST_VISIT: u8 = 1;

impl Planner<'_> {
    /// Plans a `<Dial>` leg.
    pub(crate) fn leg(&self, request: &LegRequest, visits: u8) -> Result<(Planned, Vec<Route>), Refused> {
        let parent = &request.parent;
        let Some(account) = self.directory.account(&parent.account) else {
            return Err(Refused::nobodys(ErrorCode::AccountInactive));
        };
        let caller = request.caller_id.as_deref().unwrap_or(&parent.from);
        let own = policy::owned_caller(
            self.directory,
            &account.id,
            account.country_rules(),
            caller,
            request.requested_at,
        );
        let presented = Presented {
            number: None,
            name: request.caller_name.clone().unwrap_or_default(),
            diversion: None,
            private: false,
            headers: request.custom_headers.clone(),
            hops: self.hops.sign(visits),
        };
        let presented = match (own, &request.caller_id) {
            (Ok(number), _) => Presented { number: Some(number), ..presented },
            // A forwarded caller's own number may pass, with the forwarding number as Diversion.
            (Err(_), None) => Presented {
                number: E164::parse(caller).ok(),
                diversion: E164::parse(&parent.to)
                    .ok()
                    .filter(|did| policy::owns(self.directory, &account.id, did)),
                ..presented
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
        if let LegTarget::Number(dialled) = &request.target
            && digits_or_text(dialled, account.country_rules()) == parent.to
            // A phone's call out through its application dials just what the phone dialled, and nobody's document is there.
            && E164::parse(&parent.to).is_ok_and(|number| self.directory.number(&number).is_some())
        {
            let facts = CallFacts { to: parent.to.clone(), ..facts };
            let words = "The leg would call the number its own call was made to";
            return Err(Refused::on_record(
                Refusal::because(ErrorCode::LoopDetected, words),
                &Self::context(facts, &account, Product::VoiceApi),
            ));
        }
        let (mut planned, routes) = self.outgoing(facts, &account, &request.target, &presented)?;
        planned.context.parent_call = Some(parent.call);
        Ok((planned, routes))
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
            return Err(Refused::nobodys(ErrorCode::AccountInactive));
        };
        let caller =
            match policy::owned_caller(self.directory, &account.id, account.country_rules(), from, at) {
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
            hops: self.hops.sign(FIRST_VISIT),
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
        let refuse = |refusal: Refusal, context: &Context| Refused::on_record(refusal, context);
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
            headers: routing::headers(caller),
            credentials: None,
            nat,
            failover: Failover::of_origination(),
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
}

fn bad_uri(uri: &str) -> Refusal {
    let shown: String = uri.chars().take(64).collect();
    Refusal::because(ErrorCode::InvalidDestinationNumber, format!("{shown} is not a sip:user@host URI"))
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
