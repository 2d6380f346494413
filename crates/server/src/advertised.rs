//! The addresses peers reach this node at: configured, or found out from the routing table.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use crate::node::StartError;

/// Documentation addresses (RFC 5737, RFC 3849): a datagram socket "connected" to one sends nothing.
const SOMEWHERE_V4: &str = "192.0.2.1:9";
const SOMEWHERE_V6: &str = "[2001:db8::1]:9";

/// What is written into Via, Contact and SDP, by the peer's address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Advertised {
    /// For everybody, or for peers on IPv4 when there is an IPv6 address as well.
    pub(crate) ip: IpAddr,
    /// For peers on IPv6, when `ip` is an IPv4 address.
    pub(crate) v6: Option<Ipv6Addr>,
}

impl Advertised {
    /// Reads `sip.advertise` (empty, one address, or one of each family separated by a comma) for a node that listens on
    /// `bind`.
    pub(crate) fn of(value: &str, bind: SocketAddr) -> Result<Self, StartError> {
        let refused = || {
            StartError::Configuration(format!(
                "sip.advertise is {value:?}: give an IP address, or an IPv4 and an IPv6 address separated by a comma"
            ))
        };
        let mut v4 = None;
        let mut v6 = None;
        for text in value.split(',').map(str::trim).filter(|text| !text.is_empty()) {
            let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
            let twice = match bare.parse::<IpAddr>().map_err(|_| refused())?.to_canonical() {
                IpAddr::V4(ip) => v4.replace(ip).is_some(),
                IpAddr::V6(ip) => v6.replace(ip).is_some(),
            };
            if twice {
                return Err(refused());
            }
        }
        if bind.is_ipv4() && v6.is_some() {
            return Err(StartError::Configuration(format!(
                "sip.advertise names an IPv6 address, but sip.listen is {bind}: listen on [::]:{}",
                bind.port()
            )));
        }
        Ok(match (v4, v6) {
            (Some(ip), v6) => Self { ip: ip.into(), v6 },
            (None, Some(ip)) => Self { ip: ip.into(), v6: None },
            (None, None) => Self::found(bind),
        })
    }

    /// The listening address, or those this machine speaks from.
    fn found(bind: SocketAddr) -> Self {
        if !bind.ip().is_unspecified() {
            return Self { ip: bind.ip(), v6: None };
        }
        let v4 = spoken_from((Ipv4Addr::UNSPECIFIED, 0).into(), SOMEWHERE_V4);
        if bind.is_ipv4() {
            return Self { ip: v4.unwrap_or(Ipv4Addr::LOCALHOST.into()), v6: None };
        }
        let v6 = spoken_from((Ipv6Addr::UNSPECIFIED, 0).into(), SOMEWHERE_V6);
        match (v4, v6) {
            (Some(ip), Some(IpAddr::V6(v6))) => Self { ip, v6: Some(v6) },
            (Some(ip), _) => Self { ip, v6: Some(Ipv6Addr::LOCALHOST) },
            (None, Some(ip)) => Self { ip, v6: None },
            (None, None) => Self { ip: Ipv4Addr::LOCALHOST.into(), v6: Some(Ipv6Addr::LOCALHOST) },
        }
    }

    /// Both, as text without brackets.
    pub(crate) fn names(self, bind: SocketAddr) -> HashSet<String> {
        let mut names = HashSet::from([self.ip.to_string()]);
        names.extend(self.v6.map(|ip| ip.to_string()));
        if bind.ip().is_unspecified() || bind.ip().is_loopback() {
            names.insert("localhost".to_owned());
            let reached_by_v4 = bind.is_ipv4() || bind.ip().is_unspecified();
            names.extend(reached_by_v4.then(|| Ipv4Addr::LOCALHOST.to_string()));
            names.extend(bind.is_ipv6().then(|| Ipv6Addr::LOCALHOST.to_string()));
        }
        if !bind.ip().is_unspecified() {
            names.insert(bind.ip().to_string());
        }
        names
    }
}

/// Connecting a datagram socket sends nothing; it only asks the routing table.
fn spoken_from(any: SocketAddr, somewhere: &str) -> Option<IpAddr> {
    let socket = UdpSocket::bind(any).ok()?;
    socket.connect(somewhere).ok()?;
    socket.local_addr().ok().map(|address| address.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(value: &str, bind: &str) -> Option<(String, Option<String>)> {
        let advertised = Advertised::of(value, bind.parse().unwrap()).ok()?;
        Some((advertised.ip.to_string(), advertised.v6.map(|ip| ip.to_string())))
    }

    #[test]
    fn one_address_of_each_family_may_be_advertised() {
        let both = Some(("203.0.113.5".to_owned(), Some("2001:db8::5".to_owned())));
        assert_eq!(of("203.0.113.5, 2001:db8::5", "[::]:5060"), both);
        assert_eq!(of("[2001:db8::5],203.0.113.5", "[::]:5060"), both);
        assert_eq!(of("2001:db8::5", "[::]:5060"), Some(("2001:db8::5".to_owned(), None)));
        assert_eq!(of("", "[::1]:5060"), Some(("::1".to_owned(), None)));
        assert_eq!(of("", "127.0.0.1:5060"), Some(("127.0.0.1".to_owned(), None)));
        assert_eq!(of("203.0.113.5,203.0.113.6", "[::]:5060"), None);
        assert_eq!(of("sip.example", "[::]:5060"), None);
        assert_eq!(of("203.0.113.5,2001:db8::5", "0.0.0.0:5060"), None, "nobody could reach it there");
    }

    #[test]
    fn a_node_on_every_address_answers_to_both_families() {
        let advertised = Advertised { ip: "203.0.113.5".parse().unwrap(), v6: "2001:db8::5".parse().ok() };
        let names = advertised.names("[::]:5060".parse().unwrap());
        for name in ["203.0.113.5", "2001:db8::5", "127.0.0.1", "::1", "localhost"] {
            assert!(names.contains(name), "{name} in {names:?}");
        }
    }
}
