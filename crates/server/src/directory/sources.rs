//! Where peers may come from: carriers' source addresses and trunks' access lists, read into the spelling in which the
//! engine reports addresses (an IPv4 peer of an IPv6 socket is an IPv4 peer).

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;
use tandem_store::directory::CarrierRow;

use super::entry::SourceEntry;

/// Where the operator says that a carrier's calls come from.
pub(super) fn listed_sources(row: &CarrierRow) -> Vec<SourceEntry> {
    row.source_addresses
        .iter()
        .filter_map(|text| {
            if let Ok(address) = text.parse::<SocketAddr>() {
                return Some(SourceEntry { ip: address.ip().to_canonical(), port: Some(address.port()) });
            }
            text.parse::<IpAddr>().ok().map(|ip| SourceEntry { ip: ip.to_canonical(), port: None })
        })
        .collect()
}

/// A network in the spelling in which peers' addresses come: `::ffff:10.0.0.0/104` is 10.0.0.0/8.
pub(super) fn network(text: &str) -> Option<IpNet> {
    const MAPPED_BITS: u8 = 96;
    let network = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let mapped = match network.addr() {
        IpAddr::V6(ip) => ip.to_ipv4_mapped().zip(network.prefix_len().checked_sub(MAPPED_BITS)),
        IpAddr::V4(_) => None,
    };
    match mapped {
        Some((ip, bits)) => IpNet::new(ip.into(), bits).ok(),
        None => Some(network),
    }
}

/// A switch among a carrier's stored options, a JSON object.
pub(crate) fn option(options: &str, name: &str) -> bool {
    serde_json::from_str::<serde_json::Value>(options).is_ok_and(|options| options[name] == true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mapped_network_is_the_ipv4_network_and_an_ipv6_one_stays_itself() {
        let contains = |list: &str, ip: &str| network(list).unwrap().contains(&ip.parse::<IpAddr>().unwrap());
        assert!(contains("::ffff:10.1.0.0/112", "10.1.2.3"));
        assert!(!contains("::ffff:10.1.0.0/112", "10.2.2.3"));
        assert!(contains("::ffff:10.1.2.3", "10.1.2.3"));
        assert!(contains("2001:db8::/48", "2001:db8::7"));
        assert!(!contains("2001:db8::/48", "2001:db9::7"));
        assert!(contains("10.1.2.3", "10.1.2.3"));
        assert_eq!(network("pbx.example"), None);
    }
}
