//! Where a request comes from: the peer of its connection, or whom the operator's proxy names.

use std::net::{IpAddr, SocketAddr};

use axum::extract::ConnectInfo;
use axum::http::request::Parts;

use crate::config::ApiConfig;

/// The address of who asks; nothing on the admin socket. Behind a proxy it is the last entry of X-Forwarded-For,
/// the one the proxy wrote itself; what stands before it anybody may have written.
pub(crate) fn source_of(parts: &Parts, api: &ApiConfig) -> Option<IpAddr> {
    let peer = parts.extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip().to_canonical());
    if !api.behind_proxy {
        return peer;
    }
    let lines = parts.headers.get_all("x-forwarded-for");
    let last = lines.iter().filter_map(|line| line.to_str().ok()).next_back();
    let named = last.and_then(|line| line.rsplit(',').next()).and_then(|text| address(text.trim()));
    named.or(peer)
}

/// With a port or without.
fn address(text: &str) -> Option<IpAddr> {
    let ip = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|socket| socket.ip()));
    ip.ok().map(|ip: IpAddr| ip.to_canonical())
}

/// Those who share a bucket: one IPv4 address, or an IPv6 /64, which is what one customer is given.
pub(crate) fn bucket_of(source: IpAddr) -> IpAddr {
    match source {
        IpAddr::V4(_) => source,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::from([a, b, c, d, 0, 0, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;
    use crate::config::{Overrides, load};

    #[test]
    fn only_behind_a_proxy_is_a_header_believed_and_only_its_last_entry() {
        let mut api = load(None, &Overrides::default()).unwrap().config.api;
        let peer: SocketAddr = "10.0.0.1:5".parse().unwrap();
        let request = Request::builder()
            .header("x-forwarded-for", "6.6.6.6")
            .header("x-forwarded-for", "1.2.3.4, 203.0.113.9:44")
            .extension(ConnectInfo(peer));
        let (parts, ()) = request.body(()).unwrap().into_parts();
        assert_eq!(source_of(&parts, &api), Some(peer.ip()));
        api.behind_proxy = true;
        assert_eq!(source_of(&parts, &api), Some("203.0.113.9".parse().unwrap()));
        let (parts, ()) = Request::builder().extension(ConnectInfo(peer)).body(()).unwrap().into_parts();
        assert_eq!(source_of(&parts, &api), Some(peer.ip()), "nobody is named");
    }

    #[test]
    fn a_v6_customer_is_one_source() {
        let one: IpAddr = "2001:db8:1:2::3".parse().unwrap();
        assert_eq!(bucket_of(one), bucket_of("2001:db8:1:2:ffff::1".parse().unwrap()));
        assert_ne!(bucket_of(one), bucket_of("2001:db8:1:3::3".parse().unwrap()));
    }
}
