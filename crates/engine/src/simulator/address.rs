//! Addresses and numbers as they stand in SIP messages.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

/// A user part that is safe in a SIP URI (RFC 3261 §25.1).
pub(super) fn uri_user(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte);
    let mut user = String::with_capacity(text.len());
    for byte in text.bytes() {
        if is_plain(byte) {
            user.push(char::from(byte));
        } else {
            user.push_str(&format!("%{byte:02X}"));
        }
    }
    user
}

/// The address peers reach us at: the socket's, or the one the kernel would send from.
pub(super) fn address_towards(local: SocketAddr, platform: SocketAddr) -> io::Result<IpAddr> {
    if !local.ip().is_unspecified() {
        return Ok(local.ip());
    }
    let any = if platform.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { local.ip() };
    let probe = UdpSocket::bind(SocketAddr::new(any, 0))?;
    // Connecting a UDP socket sends nothing; it only picks the route.
    probe.connect(platform)?;
    Ok(probe.local_addr()?.ip())
}
