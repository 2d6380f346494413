//! The UDP socket of a signalling shard: bound with a receive buffer that survives a burst of
//! INVITEs, and said so when the kernel gives less.

use std::io;
use std::net::SocketAddr;

use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;

/// Largest datagram read: SIP over UDP is limited to 8 KiB, the endpoint refuses what is longer.
pub(crate) const MAX_DATAGRAM_BYTES: usize = 65_536;

/// Binds a non-blocking socket whose receive buffer holds `receive_buffer_bytes`.
pub(crate) fn bind(address: SocketAddr, receive_buffer_bytes: usize) -> io::Result<std::net::UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    socket.set_nonblocking(true)?;
    socket.set_recv_buffer_size(receive_buffer_bytes)?;
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
