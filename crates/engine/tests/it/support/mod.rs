//! What the tests share: [`world`] stands in for the service, [`peer`] is a SIP peer, [`audio`] its
//! voice.

pub(crate) mod audio;
pub(crate) mod peer;
pub(crate) mod wire;
pub(crate) mod world;

use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use tandem_engine::{Engine, EngineConfig, EngineHandle};
use tandem_model::entropy;
use tandem_model::ports::{Failover, NextHop, Route, RouteDestination, Transport};

pub(crate) use audio::Voice;
pub(crate) use peer::Peer;
pub(crate) use wire::Wire;
pub(crate) use world::World;

/// Nothing in a test takes longer, or it is a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Where engines listen.
const PORTS: Range<u16> = 3_000..5_000;
/// Ports looked at before the system is asked for one.
const ATTEMPTS: usize = 32;

/// An engine on a free port in front of `world`.
pub(crate) async fn engine(world: &Arc<World>) -> EngineHandle {
    engine_with(world, |_| {}).await
}

/// The same, configured.
pub(crate) async fn engine_with(world: &Arc<World>, adjust: impl FnOnce(&mut EngineConfig)) -> EngineHandle {
    let mut config = EngineConfig::new(loopback(own_port()), [7; 32]);
    config.limits.receive_buffer_bytes = 1 << 20;
    config.timing.settle_grace = Duration::from_millis(800);
    adjust(&mut config);
    Engine::start(config, world.ports()).await.expect("the engine starts")
}

/// A port for an engine, below those that the system hands out: one that stops and starts again at its port must not find
/// that another test, which asked for any port, was given it meanwhile.
fn own_port() -> u16 {
    for _ in 0..ATTEMPTS {
        let port = PORTS.start + (entropy::number() % PORTS.len() as u64) as u16;
        if UdpSocket::bind(loopback(port)).is_ok() && TcpListener::bind(loopback(port)).is_ok() {
            return port;
        }
    }
    0
}

/// 127.0.0.1 at a port.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

/// A route to a peer.
pub(crate) fn route_to(address: SocketAddr) -> Route {
    route(RouteDestination::Address(address, Transport::Udp), &format!("sip:+918012345678@{address}"))
}

/// A route to a peer over a transport.
pub(crate) fn route_over(transport: Transport, address: SocketAddr) -> Route {
    Route { destination: RouteDestination::Address(address, transport), ..route_to(address) }
}

/// A route to a peer that takes UDP unless a message is too long for it.
pub(crate) fn route_to_either(address: SocketAddr) -> Route {
    let hop =
        NextHop { address, transport: Transport::Udp, name: address.ip().to_string(), may_use_tcp: true };
    Route { destination: RouteDestination::Hosts(vec![hop]), ..route_to(address) }
}

/// A route to a registered phone.
pub(crate) fn route_to_phone(username: &str) -> Route {
    route(RouteDestination::Endpoint(username.to_owned()), &format!("sip:{username}@registrar.test"))
}

fn route(destination: RouteDestination, uri: &str) -> Route {
    Route {
        carrier: None,
        destination,
        request_uri: uri.to_owned(),
        from_uri: "sip:+919800000001@tandem.test".to_owned(),
        display_name: String::new(),
        to_uri: uri.to_owned(),
        asserted_identity: None,
        headers: vec![("X-VH-Order".to_owned(), "42".to_owned())],
        credentials: None,
        nat: false,
        failover: Failover::of_carriers(),
    }
}
