//! Letting peers in: as many as may be, and each in its turn.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};
use tandem_sip::{Flow, Transport};
use tokio::net::{TcpListener, TcpStream};

use super::Place;
use super::connection::{Line, OpenedBy};
use crate::shard::Shard;
use crate::shard::socket::canonical;

/// Connections the kernel keeps until they are accepted.
const BACKLOG: i32 = 1_024;
/// After an error of the listener (no descriptors left), before it is asked again.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// A peer that acknowledges nothing for so long is gone, whatever is queued for it (RFC 5482).
const USER_TIMEOUT: Duration = Duration::from_secs(30);
/// A silent peer is asked by the kernel after so long.
const KEEPALIVE_AFTER: Duration = Duration::from_mins(1);

/// Binds a listening socket.
pub(crate) fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    if address.ip().is_unspecified() && address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    // A restarted process listens at once, though connections of the former still fade away.
    socket.set_reuse_address(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// What every SIP socket is told: no delay for small messages, and notice of peers that are gone.
pub(super) fn prepare(stream: &TcpStream) {
    let socket = SockRef::from(stream);
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER);
    // Each of these is a courtesy; a connection works without.
    let _ = socket.set_tcp_nodelay(true);
    let _ = socket.set_tcp_user_timeout(Some(USER_TIMEOUT));
    let _ = socket.set_tcp_keepalive(&keepalive);
}

/// Accepts for ever; each connection gets a task of its own.
pub(crate) async fn accept(shard: Rc<Shard>, listener: TcpListener, transport: Transport) {
    loop {
        let (stream, source) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a SIP connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let source = canonical(source);
        let Some(flow) = shard.flow_over(transport, source) else { return };
        if !shard.may_connect(flow) {
            continue;
        }
        let Some(place) = Place::take(&shard, Some(source.ip())) else {
            shard.streams.count(|stats| stats.turned_away += 1);
            let turned_away = shard.streams.stats().turned_away;
            if turned_away.is_power_of_two() {
                tracing::warn!(%source, turned_away, "a SIP connection is turned away: too many are open");
            }
            continue;
        };
        prepare(&stream);
        shard.tasks.spawn_local(serve(Rc::clone(&shard), place, flow, stream));
    }
}

async fn serve(shard: Rc<Shard>, place: Place, flow: Flow, stream: TcpStream) {
    let Some(tls) = shard.streams.tls.as_ref().filter(|_| flow.transport == Transport::Tls) else {
        return Line::enter(&shard, place, flow, None).carry(stream, OpenedBy::Peer).await;
    };
    let handshake = tls.acceptor().accept(stream);
    match tokio::time::timeout(shard.config.timing.half_open, handshake).await {
        Ok(Ok(stream)) => Line::enter(&shard, place, flow, None).carry(stream, OpenedBy::Peer).await,
        Ok(Err(error)) => {
            shard.streams.count(|stats| stats.unreadable += 1);
            tracing::info!(remote = %flow.remote, %error, "a TLS handshake failed");
        }
        Err(_) => shard.streams.count(|stats| stats.unreadable += 1),
    }
}
