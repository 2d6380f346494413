//! Port pairs: bound on the caller's thread, rested after use.
//!
//! Binding on demand costs two sockets per leg (about 10 µs with quality-of-service marking, see
//! `examples/relay_load.rs`) and holds no descriptors for calls that do not exist; a pool bound in
//! advance would spend two descriptors per pair to save that.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use mio::net::UdpSocket;
use socket2::SockRef;
use tandem_media::{PortAllocator, PortError};
use tandem_model::clock;

use super::plane::OpenError;

/// Ports tried before giving up: others on the machine may sit inside our range.
const BIND_ATTEMPTS: usize = 32;
/// Expedited forwarding (RFC 3246) in the upper six bits of the traffic class.
const EXPEDITED_FORWARDING: u32 = 0xb8;

/// The ports of the whole plane.
#[derive(Debug)]
pub(super) struct PortPool {
    bind_ip: IpAddr,
    allocator: Mutex<PortAllocator>,
}

/// A bound pair.
#[derive(Debug)]
pub(super) struct PortPair {
    pub(super) port: u16,
    pub(super) rtp: UdpSocket,
    pub(super) rtcp: UdpSocket,
}

impl PortPool {
    pub(super) fn new(
        bind_ip: IpAddr,
        range: RangeInclusive<u16>,
        quarantine: Duration,
        seed: u64,
    ) -> Result<Self, PortError> {
        let allocator = Mutex::new(PortAllocator::new(range, quarantine, seed)?);
        Ok(Self { bind_ip, allocator })
    }

    /// Binds a free pair.
    pub(super) fn bind(&self) -> Result<PortPair, OpenError> {
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..BIND_ATTEMPTS {
            let port = self.lock().allocate(clock::monotonic())?;
            match self.bind_pair(port) {
                Ok(pair) => return Ok(pair),
                Err(error) => {
                    self.release(port);
                    let taken = error.kind() == io::ErrorKind::AddrInUse;
                    last = error;
                    if !taken {
                        break;
                    }
                }
            }
        }
        Err(OpenError::Bind(last))
    }

    /// Puts a port to rest; its sockets are closed already.
    pub(super) fn release(&self, port: u16) {
        self.lock().release(clock::monotonic(), port);
    }

    fn bind_pair(&self, port: u16) -> io::Result<PortPair> {
        let rtp = UdpSocket::bind(SocketAddr::new(self.bind_ip, port))?;
        let rtcp = UdpSocket::bind(SocketAddr::new(self.bind_ip, port.saturating_add(1)))?;
        if self.bind_ip.is_ipv4() {
            // Routers may ignore it and kernels may refuse it; a call works without.
            let _ = SockRef::from(&rtp).set_tos_v4(EXPEDITED_FORWARDING);
        }
        Ok(PortPair { port, rtp, rtcp })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, PortAllocator> {
        self.allocator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
