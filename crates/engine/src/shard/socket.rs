//! The UDP socket of a signalling shard: bound with a receive buffer that survives a burst of
//! INVITEs, and said so when the kernel gives less.

use std::io;
use std::net::{IpAddr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Largest datagram read: SIP over UDP is limited to 8 KiB, the endpoint refuses what is longer.
pub(crate) const MAX_DATAGRAM_BYTES: usize = 65_536;

/// Binds a non-blocking socket whose receive buffer holds `receive_buffer_bytes`.
pub(crate) fn bind(address: SocketAddr, receive_buffer_bytes: usize) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        // Whatever the system's default: [::] means everybody.
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(receive_buffer_bytes)?;
    if socket.recv_buffer_size()? < receive_buffer_bytes {
        // Past net.core.rmem_max, where CAP_NET_ADMIN allows it; where not, the warning below says so.
        let _ = rustix::net::sockopt::set_socket_recv_buffer_size_force(&socket, receive_buffer_bytes);
    }
    socket.set_send_buffer_size(receive_buffer_bytes)?;
    socket.bind(&address.into())?;
    let got_bytes = socket.recv_buffer_size()?;
    if got_bytes < receive_buffer_bytes {
        tracing::warn!(
            asked_bytes = receive_buffer_bytes,
            got_bytes,
            "the kernel gives SIP a smaller receive buffer than asked: raise net.core.rmem_max, or bursts lose packets"
        );
    }
    Ok(socket.into())
}

/// Hands a bound socket to the runtime of this thread.
pub(crate) fn adopt(socket: std::net::UdpSocket) -> io::Result<UdpSocket> {
    UdpSocket::from_std(socket)
}

/// A peer's address as everything above the sockets sees it: an IPv4 peer of an IPv6 socket has its IPv4 address, so
/// that lists, guards and flows know it whichever socket it came through.
pub(crate) fn canonical(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        ip @ IpAddr::V4(_) => SocketAddr::new(ip, peer.port()),
        IpAddr::V6(_) => peer,
    }
}

/// A peer's address as a socket bound to `local` takes it.
pub(crate) fn spelled_for(local: SocketAddr, peer: SocketAddr) -> SocketAddr {
    match peer.ip() {
        IpAddr::V4(ip) if local.is_ipv6() => SocketAddr::new(ip.to_ipv6_mapped().into(), peer.port()),
        _ => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv4_peer_of_an_ipv6_socket_is_known_by_its_ipv4_address_and_answered_in_the_sockets_spelling() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let mapped = address("[::ffff:203.0.113.9]:5062");
        assert_eq!(canonical(mapped), address("203.0.113.9:5062"));
        assert_eq!(spelled_for(address("[::]:5060"), canonical(mapped)), mapped);
        let real = address("[2001:db8::9]:5062");
        assert_eq!(canonical(real), real);
        assert_eq!(spelled_for(address("[::]:5060"), real), real);
        let v4 = address("203.0.113.9:5062");
        assert_eq!(spelled_for(address("0.0.0.0:5060"), v4), v4);
    }
}
