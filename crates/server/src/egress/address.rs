//! Which addresses a tenant's URL may reach: global unicast, plus what the operator allows by CIDR.
//!
//! The tables are the IANA special-purpose registries (RFC 6890 and successors), read strictly:
//! what is not surely public is refused. Address forms that carry an IPv4 address inside
//! (mapped, NAT64) are judged by that address; obsolete tunnels (6to4, Teredo) are refused whole.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// Which addresses may be connected to.
#[derive(Clone, Debug, Default)]
pub struct EgressPolicy {
    /// Networks allowed besides the global ones: private targets the operator trusts, loopback in
    /// development.
    pub allow: Vec<IpNet>,
}

impl EgressPolicy {
    /// Global addresses only.
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Global addresses and this machine: development.
    pub fn with_loopback() -> Self {
        let v4 = ipnet::Ipv4Net::new_assert(Ipv4Addr::new(127, 0, 0, 0), 8);
        let v6 = ipnet::Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128);
        Self { allow: vec![IpNet::V4(v4), IpNet::V6(v6)] }
    }

    /// Whether `address` may be connected to.
    pub fn permits(&self, address: IpAddr) -> bool {
        // `::ffff:10.0.0.1` connects to 10.0.0.1: one address, one answer.
        let address = address.to_canonical();
        self.allow.iter().any(|network| network.contains(&address)) || is_global(address)
    }
}

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_global_v4(v4),
        IpAddr::V6(v6) => is_global_v6(v6),
    }
}

fn is_global_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match (a, b, c) {
        (0 | 10 | 127, _, _) => true,           // this network, private, loopback
        (100, 64..=127, _) => true,             // carrier-grade NAT
        (169, 254, _) => true,                  // link local, cloud metadata
        (172, 16..=31, _) => true,              // private
        (192, 0, 0 | 2) => true,                // protocol assignments, documentation
        (192, 88, 99) => true,                  // 6to4 relays, withdrawn
        (192, 168, _) => true,                  // private
        (198, 18 | 19, _) => true,              // benchmarking
        (198, 51, 100) | (203, 0, 113) => true, // documentation
        (224..=255, _, _) => true,              // multicast, reserved, broadcast
        _ => false,
    };
    !special
}

fn is_global_v6(address: Ipv6Addr) -> bool {
    let [s0, s1, s2, s3, s4, s5, s6, s7] = address.segments();
    let embedded = Ipv4Addr::from((u32::from(s6) << 16) | u32::from(s7));
    match (s0, s1, s2, s3, s4, s5) {
        // ::ffff:a.b.c.d (mapped; `to_canonical` normally took it) and 64:ff9b::a.b.c.d (NAT64).
        (0, 0, 0, 0, 0, 0xffff) | (0x64, 0xff9b, 0, 0, 0, 0) => is_global_v4(embedded),
        // Unspecified, loopback, IPv4-compatible and IPv4-translated (::ffff:0:a.b.c.d): never public.
        (0, ..) => false,
        (0x2001, 0..=0x01ff, ..) => false, // IETF protocols: Teredo, benchmarking, ORCHID
        (0x2001, 0x0db8, ..) => false,     // documentation
        (0x2002, ..) => false,             // 6to4
        (0x3fff, 0..=0x0fff, ..) => false, // documentation
        (0x3ffe, ..) => false,             // 6bone, returned
        (0x2000..=0x3fff, ..) => true,     // global unicast
        _ => false,                        // unassigned, ULA, link and site local, multicast, NAT64 local use
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(policy: &EgressPolicy, text: &str) -> bool {
        policy.permits(text.parse().unwrap())
    }

    #[test]
    fn only_public_addresses_are_permitted() {
        let policy = EgressPolicy::public_only();
        for refused in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::8.8.8.8",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:0:7f00:1::",
            "2001:2::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::",
            "2002:808:808::",
            "3fff::1",
            "3ffe::1",
            "5f00::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "4000::1",
        ] {
            assert!(!judged(&policy, refused), "{refused} must be refused");
        }
        for permitted in [
            "1.1.1.1",
            "8.8.8.8",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.1",
            "169.253.0.1",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "192.167.255.255",
            "198.17.0.1",
            "198.20.0.0",
            "223.255.255.255",
            "::ffff:8.8.8.8",
            "64:ff9b::8.8.8.8",
            "2001:200::1",
            "2400:cb00::1",
            "2606:4700::1111",
            "2a00:1450::1",
            "3ffd::1",
        ] {
            assert!(judged(&policy, permitted), "{permitted} must be permitted");
        }
    }

    #[test]
    fn the_operator_can_allow_networks_in_either_spelling() {
        let policy = EgressPolicy { allow: vec!["10.1.0.0/16".parse().unwrap()] };
        assert!(judged(&policy, "10.1.2.3"));
        assert!(judged(&policy, "::ffff:10.1.2.3"));
        assert!(!judged(&policy, "10.2.0.1"));
        assert!(!judged(&policy, "127.0.0.1"));
        let development = EgressPolicy::with_loopback();
        assert!(judged(&development, "127.9.9.9"));
        assert!(judged(&development, "::1"));
        assert!(!judged(&development, "0.0.0.0"), "any-address reaches this machine by another name");
        assert!(!judged(&development, "10.0.0.1"));
    }
}
