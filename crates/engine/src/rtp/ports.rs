//! Port pairs: bound on the caller's thread, rested after use.
//!
//! Binding on demand costs two sockets per leg (about 10 µs with quality-of-service marking, see
//! `examples/relay_load.rs`) and holds no descriptors for calls that do not exist; a pool bound in
//! advance would spend two descriptors per pair to save that.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::RangeInclusive;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, Type};
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

    /// Binds a free pair for packets from and to `peer`. A plane on `[::]` has both address families;
    /// each leg's sockets have one, so that no packet comes in two spellings.
    pub(super) fn bind(&self, peer: IpAddr) -> Result<PortPair, OpenError> {
        let ip = match (self.bind_ip, peer.to_canonical()) {
            (IpAddr::V6(ours), IpAddr::V4(_)) if ours.is_unspecified() => Ipv4Addr::UNSPECIFIED.into(),
            (ours, _) => ours,
        };
        let mut last = io::Error::from(io::ErrorKind::AddrInUse);
        for _ in 0..BIND_ATTEMPTS {
            let port = self.lock().allocate(clock::monotonic())?;
            match bind_pair(ip, port) {
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

    fn lock(&self) -> std::sync::MutexGuard<'_, PortAllocator> {
        self.allocator.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn bind_pair(ip: IpAddr, port: u16) -> io::Result<PortPair> {
    let rtp = bind_one(SocketAddr::new(ip, port))?;
    let rtcp = bind_one(SocketAddr::new(ip, port.saturating_add(1)))?;
    // Routers may ignore it and kernels may refuse it; a call works without.
    let _ = match ip {
        IpAddr::V4(_) => SockRef::from(&rtp).set_tos_v4(EXPEDITED_FORWARDING),
        IpAddr::V6(_) => SockRef::from(&rtp).set_tclass_v6(EXPEDITED_FORWARDING),
    };
    Ok(PortPair { port, rtp, rtcp })
}

fn bind_one(address: SocketAddr) -> io::Result<UdpSocket> {
    let kind = Type::DGRAM.nonblocking();
    let socket = Socket::new(Domain::for_address(address), kind, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    socket.bind(&address.into())?;
    Ok(socket.into())
}
