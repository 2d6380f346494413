//! Which carriers a number leaves through, and how the INVITE to each is written.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use tandem_model::ports::{Route, RouteCredentials, RouteDestination};
use tandem_model::{CarrierId, E164, ErrorCode, Refusal};

use super::bucket::Bucket;
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
}

/// Carriers' own limits on this node: calls a second each.
#[derive(Default)]
pub(crate) struct CarrierLimits(Mutex<HashMap<CarrierId, Bucket>>);

impl CarrierLimits {
    fn take(&self, carrier: &CarrierEntry, now: Instant) -> bool {
        if carrier.cps_limit == 0 {
            return true;
        }
        let mut buckets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        buckets
            .entry(carrier.id)
            .or_insert_with(|| Bucket::new(carrier.cps_limit, now))
            .take(carrier.cps_limit, now)
    }
}

/// Routes of a number, best first: the carriers of the longest matching prefix by priority, equal
/// priorities drawn by weight with `draw` (0..1 each), those at their limit left out.
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
        .filter(|carrier| carrier.enabled && carrier.address.is_some() && carries(carrier, &number))
        .map(|carrier| {
            // Efraimidis–Spirakis: the order of u^(1/w) is a weighted draw without replacement.
            let key = draw().powf(1.0 / carrier.weight.max(1) as f64);
            (carrier, key)
        })
        .collect();
    candidates.sort_by(|(a, key_a), (b, key_b)| a.priority.cmp(&b.priority).then(key_b.total_cmp(key_a)));
    if candidates.is_empty() {
        return Err(Refusal::new(ErrorCode::NoRoute));
    }
    let routes: Vec<_> = candidates
        .iter()
        .filter(|(carrier, _)| limits.take(carrier, now))
        .take(MOST_ROUTES)
        .filter_map(|(carrier, _)| to_carrier(directory, account, carrier, number, caller))
        .collect();
    if routes.is_empty() {
        return Err(Refusal::because(
            ErrorCode::NoRoute,
            "Every carrier of this destination is at its limit",
        ));
    }
    Ok(routes)
}

fn carries(carrier: &CarrierEntry, number: &E164) -> bool {
    carrier.prefixes.is_empty()
        || carrier.prefixes.iter().any(|prefix| number.digits().starts_with(prefix.as_str()))
}

fn to_carrier(
    directory: &Directory,
    account: &AccountEntry,
    carrier: &CarrierEntry,
    number: E164,
    caller: &Presented,
) -> Option<Route> {
    let address = carrier.address?;
    let home = account.country_rules();
    let called = carrier.format.write(number, home);
    let domain = &directory.hosts().trunk_domain;
    let calling = caller.number.map(|number| carrier.format.write(number, home));
    let from_user = match (&calling, caller.private) {
        (Some(number), false) => number.clone(),
        _ => "anonymous".to_owned(),
    };
    let mut headers = custom_headers(&caller.headers);
    if let Some(diversion) = caller.diversion {
        headers.push((
            "Diversion".to_owned(),
            format!("<sip:{}@{domain}>", carrier.format.write(diversion, home)),
        ));
    }
    if caller.private {
        headers.push(("Privacy".to_owned(), "id".to_owned()));
    }
    Some(Route {
        carrier: Some(carrier.id),
        destination: RouteDestination::Address(address, carrier.transport),
        request_uri: format!("sip:{called}@{address}"),
        from_uri: format!("sip:{from_user}@{domain}"),
        display_name: if caller.private { String::new() } else { caller.name.clone() },
        to_uri: format!("sip:{called}@{address}"),
        asserted_identity: calling.map(|number| format!("sip:{number}@{domain}")),
        headers,
        credentials: carrier.username.clone().zip(carrier.password.clone()).map(|(username, password)| {
            RouteCredentials { username, password, realm: carrier.realm.clone() }
        }),
        nat: false,
    })
}

/// Custom headers under both prefixes a program may look for.
pub(crate) fn custom_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers.iter().map(|(name, value)| (format!("X-VH-{name}"), value.clone())).collect()
}
