//! Which carriers a number leaves through, and how the INVITE to each is written.

use std::time::Instant;

use tandem_model::ports::{NextHop, Route, RouteDestination};
use tandem_model::{E164, ErrorCode, Refusal};

pub(crate) use super::carriers::CarrierLimits;
use super::hops::HOPS_HEADER;
use super::next_hop;
use crate::directory::{AccountEntry, CarrierEntry, Directory};

/// Most carriers tried for one call.
const MOST_ROUTES: usize = 4;

/// The caller as presented to the far side.
#[derive(Clone, Debug)]
pub(crate) struct Presented {
    /// Caller number.
    pub(crate) number: Option<E164>,
    /// Display name; empty for none.
    pub(crate) name: String,
    /// The forwarding number, when the caller is not the account's own.
    pub(crate) diversion: Option<E164>,
    /// The caller asked for privacy.
    pub(crate) private: bool,
    /// Custom headers, names without prefix.
    pub(crate) headers: Vec<(String, String)>,
    /// The hop cookie.
    pub(crate) hops: String,
}

/// Routes of a number, best first: the carriers whose prefixes cover it by priority, equal priorities drawn by
/// weight with `draw` (0..1 each); those at their limit are left out, those whose probes fail come last.
pub(crate) fn routes(
    directory: &Directory,
    limits: &CarrierLimits,
    account: &AccountEntry,
    number: E164,
    caller: &Presented,
    now: Instant,
    mut draw: impl FnMut() -> f64,
) -> Result<Vec<Route>, Refusal> {
    let mut candidates: Vec<_> = directory
        .carriers()
        .into_iter()
        .filter(|carrier| carrier.enabled && carries(carrier, &number))
        .filter_map(|carrier| {
            let hops = next_hop::to_carrier(directory, &carrier.place);
            if hops.is_empty() {
                return None;
            }
            let down = next_hop::are_down(directory, &hops);
            let drawn = weighted(carrier.weight, draw());
            Some((down, carrier.priority, drawn, carrier, hops))
        })
        .collect();
    candidates.sort_by(|a, b| (a.0, a.1).cmp(&(b.0, b.1)).then(b.2.total_cmp(&a.2)));
    if candidates.is_empty() {
        return Err(Refusal::new(ErrorCode::NoRoute));
    }
    let routes: Vec<_> = candidates
        .into_iter()
        .filter(|(_, _, _, carrier, _)| limits.has_room(carrier, now))
        .take(MOST_ROUTES)
        .map(|(_, _, _, carrier, hops)| to_carrier(directory, account, &carrier, hops, number, caller))
        .collect();
    if routes.is_empty() { Err(Refusal::new(ErrorCode::CarriersFull)) } else { Ok(routes) }
}

/// Where a weight puts its owner in the order of one draw, greatest first (Efraimidis–Spirakis: the order of
/// `u^(1/w)` is a weighted draw without replacement).
pub(crate) fn weighted(weight: i64, drawn: f64) -> f64 {
    drawn.powf(1.0 / weight.max(1) as f64)
}

fn carries(carrier: &CarrierEntry, number: &E164) -> bool {
    carrier.prefixes.is_empty()
        || carrier.prefixes.iter().any(|prefix| number.digits().starts_with(prefix.as_str()))
}

fn to_carrier(
    directory: &Directory,
    account: &AccountEntry,
    carrier: &CarrierEntry,
    hops: Vec<NextHop>,
    number: E164,
    caller: &Presented,
) -> Route {
    let place = &carrier.place;
    let home = account.country_rules();
    let called = carrier.format.write(number, home);
    let domain = &directory.hosts().trunk_domain;
    let calling = caller.number.map(|number| carrier.caller_format.write(number, home));
    let from_user = match (&calling, caller.private) {
        (Some(number), false) => number.clone(),
        _ => "anonymous".to_owned(),
    };
    let mut headers = headers(caller);
    if let Some(diversion) = caller.diversion {
        headers.push((
            "Diversion".to_owned(),
            format!("<sip:{}@{domain}>", carrier.caller_format.write(diversion, home)),
        ));
    }
    if caller.private {
        headers.push(("Privacy".to_owned(), "id".to_owned()));
    }
    Route {
        carrier: Some(carrier.id),
        destination: RouteDestination::Hosts(hops),
        request_uri: format!("sip:{called}@{place}"),
        from_uri: format!("sip:{from_user}@{domain}"),
        display_name: if caller.private { String::new() } else { caller.name.clone() },
        to_uri: format!("sip:{called}@{place}"),
        asserted_identity: calling.map(|number| format!("sip:{number}@{domain}")),
        headers,
        credentials: carrier.credentials(),
        nat: false,
        failover: carrier.failover.clone(),
    }
}

/// The customer's own headers, and the hop cookie.
pub(crate) fn headers(caller: &Presented) -> Vec<(String, String)> {
    let custom = caller.headers.iter().map(|(name, value)| (format!("X-VH-{name}"), value.clone()));
    custom.chain([(HOPS_HEADER.to_owned(), caller.hops.clone())]).collect()
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;
    use std::sync::Arc;

    use tandem_model::ports::{Directory as _, Failover, Gateway, GatewayHealth, Transport};
    use tandem_model::{AccountId, CarrierId, Currency, Ids, clock};

    use super::*;
    use crate::directory::{NumberFormat, OurHosts};
    use crate::egress::EgressPolicy;
    use crate::names::{Names, Place};

    fn gateway(last: u8) -> SocketAddr {
        SocketAddr::from(([192, 0, 2, last], 5060))
    }

    fn carrier(name: &str, priority: i64, last: u8) -> CarrierEntry {
        CarrierEntry {
            id: CarrierId(Ids::random()),
            name: name.to_owned(),
            place: Place::new(&gateway(last).ip().to_string(), 5060, Some(Transport::Udp)),
            addresses: vec![gateway(last)],
            priority,
            weight: 10,
            cps_limit: 0,
            concurrent_limit: 0,
            prefixes: vec!["91".to_owned()],
            format: NumberFormat::Plus,
            caller_format: NumberFormat::Plus,
            failover: Failover::of_carriers(),
            username: None,
            password: None,
            realm: None,
            listed_sources: Vec::new(),
            register: false,
            enabled: true,
        }
    }

    fn directory(carriers: Vec<CarrierEntry>) -> Directory {
        let hosts = OurHosts {
            trunk_domain: "sip.test".to_owned(),
            registrar: "registrar.test".to_owned(),
            application_domain: "app.test".to_owned(),
            addresses: std::collections::HashSet::new(),
        };
        let directory =
            Directory::new(hosts, Arc::new(EgressPolicy { allow: Vec::new() }), Names::literals_only());
        directory.with_carriers(carriers);
        directory
    }

    fn ways(directory: &Directory, limits: &CarrierLimits) -> Result<Vec<RouteDestination>, ErrorCode> {
        let account = AccountEntry {
            id: AccountId::new("MA_A"),
            kind: "master".to_owned(),
            parent: None,
            permissions: crate::auth::Permissions::ALL,
            enabled: true,
            kyc_pending: false,
            kyc_blocks_calls: false,
            country: "IN".to_owned(),
            currency: Currency::INR,
            cps_limit: 1,
            deck: None,
            token: None,
            token_hash: None,
            previous_token: None,
            default_callback: None,
            epoch: 1,
            requests_per_minute: None,
            ndnc_secret: None,
        };
        let caller = Presented {
            number: None,
            name: String::new(),
            diversion: None,
            private: false,
            headers: Vec::new(),
            hops: String::new(),
        };
        let number = "+919812345678".parse().unwrap();
        routes(directory, limits, &account, number, &caller, clock::monotonic(), || 0.5)
            .map(|routes| routes.into_iter().map(|route| route.destination).collect())
            .map_err(|refusal| refusal.code)
    }

    fn to(last: u8) -> RouteDestination {
        RouteDestination::Hosts(vec![NextHop {
            address: gateway(last),
            transport: Transport::Udp,
            name: gateway(last).ip().to_string(),
            may_use_tcp: false,
        }])
    }

    #[test]
    fn a_gateway_that_is_down_comes_after_all_others_and_is_still_better_than_none() {
        let (limits, directory) =
            (CarrierLimits::default(), directory(vec![carrier("first", 1, 1), carrier("second", 2, 2)]));
        assert_eq!(ways(&directory, &limits), Ok(vec![to(1), to(2)]));
        let first = Gateway { address: gateway(1), transport: Transport::Udp };
        assert!(directory.gateways().contains(&first));
        directory.mark_gateway(&first, GatewayHealth::Down);
        assert_eq!(ways(&directory, &limits), Ok(vec![to(2), to(1)]));
        directory.mark_gateway(&Gateway { address: gateway(2), ..first.clone() }, GatewayHealth::Down);
        assert_eq!(ways(&directory, &limits), Ok(vec![to(1), to(2)]));
        directory.mark_gateway(&first, GatewayHealth::Up);
        assert_eq!(ways(&directory, &limits), Ok(vec![to(1), to(2)]));
    }

    #[test]
    fn no_carrier_and_no_room_are_two_refusals() {
        let limits = CarrierLimits::default();
        assert_eq!(ways(&directory(Vec::new()), &limits), Err(ErrorCode::NoRoute));
        let small = CarrierEntry { concurrent_limit: 1, ..carrier("small", 1, 1) };
        let _channel = limits.seize(&small, clock::monotonic());
        assert_eq!(ways(&directory(vec![small]), &limits), Err(ErrorCode::CarriersFull));
    }

    #[test]
    fn equal_priorities_share_by_weight() {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        };
        let first = (0..10_000).filter(|_| weighted(30, uniform()) > weighted(10, uniform())).count();
        assert!((7_200..7_800).contains(&first), "30 of 40 is three quarters, not {first} of 10000");
    }
}
