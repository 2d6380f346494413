//! Over which transport a route leaves, and which name its far end has to prove.

use std::net::SocketAddr;

use tandem_model::ports::{NextHop, RouteDestination, Transport};

use crate::directory::CarrierEntry;

/// To a carrier: its transport is the operator's word, nothing else is tried.
pub(super) fn to_carrier(carrier: &CarrierEntry, address: SocketAddr) -> RouteDestination {
    match carrier.transport {
        Transport::Tls => RouteDestination::Host(NextHop {
            address,
            transport: Transport::Tls,
            name: carrier.host.clone(),
            may_use_tcp: false,
        }),
        transport => RouteDestination::Address(address, transport),
    }
}

/// To a customer's SIP URI: over the transport it names, else by UDP, with TCP for what is too long for a datagram
/// (RFC 3261 §18.1.1).
pub(super) fn to_uri(uri: &str, host: &str, address: SocketAddr) -> NextHop {
    let named = uri.split(['?', '>']).next().unwrap_or_default().split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("transport").then(|| value.trim().to_ascii_lowercase())
    });
    let transport = match named.as_deref() {
        Some("tls") => Transport::Tls,
        Some("tcp") => Transport::Tcp,
        _ => Transport::Udp,
    };
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or(rest),
        None => host.split(':').next().unwrap_or(host),
    };
    NextHop { address, transport, name: name.to_owned(), may_use_tcp: named.is_none() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_customers_uri_chooses_its_transport_or_leaves_it_to_the_length() {
        let hop = |uri: &str, host: &str| {
            let hop = to_uri(uri, host, "203.0.113.5:5060".parse().unwrap());
            (hop.transport, hop.name, hop.may_use_tcp)
        };
        let host = "pbx.example:5071";
        assert_eq!(hop("sip:a@pbx.example:5071", host), (Transport::Udp, "pbx.example".into(), true));
        assert_eq!(hop("sip:pbx.example;transport=udp", host), (Transport::Udp, "pbx.example".into(), false));
        assert_eq!(hop("sip:pbx.example;Transport=TCP", host), (Transport::Tcp, "pbx.example".into(), false));
        assert_eq!(hop("sip:[2001:db8::1]:5061;lr;transport=tls", "[2001:db8::1]:5061").0, Transport::Tls);
        assert_eq!(hop("sip:[2001:db8::1]", "[2001:db8::1]").1, "2001:db8::1");
    }
}
