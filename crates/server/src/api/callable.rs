//! Whether a URL that a customer names may be called, judged when it is given: one that leads inside would only fail when
//! a call needs it. The judgement that counts is made again at every connection (`egress`).

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use super::AppState;
use super::lenient::Fields;
use crate::egress::{EgressPolicy, EgressTarget};

/// How long a name may take to resolve; one that takes longer passes.
const RESOLVE: Duration = Duration::from_secs(1);

/// Refuses a URL that was sent, under any of its field's names, and leads to an address that is not public.
pub(super) async fn refuse_inside(
    state: &AppState,
    fields: &mut Fields,
    names: &[&'static str],
    url: Option<&str>,
) {
    if let (Some(name), Some(url)) = (names.iter().find(|name| fields.has(&[**name])), url)
        && !may_call(url, &policy(state)).await
    {
        let why = "The URL leads to an address that is not public: use a public one, or have the operator allow the \
                   network (webhooks.allow_private)";
        fields.refuse(name, why);
    }
}

/// What may be connected to here.
pub(super) fn policy(state: &AppState) -> EgressPolicy {
    EgressPolicy { allow: state.config.webhooks.allow_private.clone() }
}

/// Whether every address a URL leads to today is permitted. A name that does not resolve passes: it is
/// judged again at each connection.
pub(super) async fn may_call(url: &str, policy: &EgressPolicy) -> bool {
    let Ok(target) = EgressTarget::parse(url) else { return false };
    let addresses: Vec<IpAddr> = match target.url().host() {
        None => return false,
        Some(url::Host::Ipv4(ip)) => vec![ip.into()],
        Some(url::Host::Ipv6(ip)) => vec![ip.into()],
        Some(url::Host::Domain(name)) => {
            let name = name.trim_end_matches('.');
            if name.eq_ignore_ascii_case("localhost") || name.to_ascii_lowercase().ends_with(".localhost") {
                vec![Ipv4Addr::LOCALHOST.into()]
            } else {
                match tokio::time::timeout(RESOLVE, tokio::net::lookup_host((name, 0))).await {
                    Ok(Ok(found)) => found.map(|address| address.ip()).collect(),
                    Ok(Err(_)) | Err(_) => Vec::new(),
                }
            }
        }
    };
    addresses.into_iter().all(|address| policy.permits(address))
}
