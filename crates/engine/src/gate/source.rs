//! What counts as one source: whoever has one address of an IPv6 /64 has them all.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An IPv4 address or an IPv6 /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Source {
    is_v6: bool,
    bits: u64,
}

impl Source {
    /// The source an address belongs to; a mapped IPv4 address is the IPv4 address.
    pub(crate) fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(ip) => Self { is_v6: false, bits: u64::from(u32::from(ip)) },
            IpAddr::V6(ip) => Self { is_v6: true, bits: (u128::from(ip) >> 64) as u64 },
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_v6 {
            write!(f, "{}/64", Ipv6Addr::from(u128::from(self.bits) << 64))
        } else {
            Ipv4Addr::from(self.bits as u32).fmt(f)
        }
    }
}

impl FromStr for Source {
    type Err = std::net::AddrParseError;

    /// An address, or a source as it is printed.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_suffix("/64").unwrap_or(text).parse().map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_ipv4_address_or_one_ipv6_64_is_one_source() {
        let of = |text: &str| text.parse::<Source>().unwrap();
        assert_ne!(of("203.0.113.9"), of("203.0.113.8"));
        assert_eq!(of("203.0.113.9"), of("::ffff:203.0.113.9"));
        assert_eq!(of("2001:db8:1:2::9"), of("2001:db8:1:2:ffff::1"));
        assert_ne!(of("2001:db8:1:2::9"), of("2001:db8:1:3::9"));
        assert_ne!(of("203.0.113.9"), of("::cb00:7109"), "the same bits of another family");
        for text in ["203.0.113.9", "2001:db8:1:2::/64"] {
            assert_eq!(of(text).to_string(), text);
        }
        assert!("203.0.113.0/24".parse::<Source>().is_err());
    }
}
