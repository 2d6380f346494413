//! The listening sockets of an engine, bound before its thread starts, so that a taken port is an error of the start.

use std::io;
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::socket::bind as bind_udp;
use super::streams::{TlsPlace, bind as bind_tcp};
use crate::config::EngineConfig;
use crate::handle::EngineError;

/// Free ports tried until one is free for UDP and TCP alike.
const ATTEMPTS: usize = 16;

/// Everything SIP listens on.
pub(crate) struct Sockets {
    pub(crate) socket: UdpSocket,
    pub(crate) local: SocketAddr,
    pub(crate) tcp: Option<TcpListener>,
    pub(crate) tls: Option<(TcpListener, TlsPlace)>,
}

impl Sockets {
    /// Binds what the configuration names.
    pub(crate) fn bind(config: &EngineConfig) -> Result<Self, EngineError> {
        let failed = |address| move |source| EngineError::Bind { address, source };
        let (socket, local, tcp) = pair(config)?;
        let tls = match &config.tls {
            None => None,
            Some(tls) => {
                let listener = bind_tcp(tls.bind).map_err(failed(tls.bind))?;
                let local = listener.local_addr().map_err(failed(tls.bind))?;
                let place = TlsPlace { local, server: tls.server.clone(), client: tls.client.clone() };
                Some((listener, place))
            }
        };
        Ok(Self { socket, local, tcp, tls })
    }
}

/// UDP, and TCP at the same port unless it has one of its own: a URI with a port means both (RFC 3261 §19.1.2).
fn pair(config: &EngineConfig) -> Result<(UdpSocket, SocketAddr, Option<TcpListener>), EngineError> {
    let failed = |address| move |source| EngineError::Bind { address, source };
    let mut attempts = 0;
    loop {
        attempts += 1;
        let socket =
            bind_udp(config.sip_bind, config.limits.receive_buffer_bytes).map_err(failed(config.sip_bind))?;
        let local = socket.local_addr().map_err(failed(config.sip_bind))?;
        let Some(mut place) = config.tcp_bind else { return Ok((socket, local, None)) };
        let follows = place.port() == 0;
        if follows {
            place.set_port(local.port());
        }
        match bind_tcp(place) {
            Ok(listener) => return Ok((socket, local, Some(listener))),
            // The port was ours to choose: another one may be free for both.
            Err(error)
                if error.kind() == io::ErrorKind::AddrInUse
                    && follows
                    && config.sip_bind.port() == 0
                    && attempts < ATTEMPTS => {}
            Err(source) => return Err(EngineError::Bind { address: place, source }),
        }
    }
}
