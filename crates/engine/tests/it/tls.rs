//! SIP over TLS: phones and PBXes that connect, and carriers whose certificate must be good for their name.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tandem_engine::TlsConfig;
use tandem_model::ports::{NextHop, Route, RouteDestination, Transport};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::support::wire::{Came, field, options, response};
use crate::support::{PATIENCE, Peer, Voice, Wire, World, engine_with, loopback, route_to};

const HOST: &str = "registrar.test";
const CARRIER: &str = "sbc.carrier.test";

struct Identity {
    certificate: CertificateDer<'static>,
    server: Arc<ServerConfig>,
}

fn identity(name: &str) -> Identity {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let certificate = made.cert.der().clone();
    let key = PrivatePkcs8KeyDer::from(made.signing_key.serialize_der()).into();
    let server = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.clone()], key)
        .unwrap();
    Identity { certificate, server: Arc::new(server) }
}

fn trusting(certificates: &[&CertificateDer<'static>]) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates {
        roots.add((*certificate).clone()).unwrap();
    }
    let client = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    Arc::new(client)
}

fn to_carrier(address: SocketAddr, name: &str) -> Route {
    let hop = NextHop { address, transport: Transport::Tls, name: name.to_owned(), may_use_tcp: false };
    Route { destination: RouteDestination::Hosts(vec![hop]), ..route_to(address) }
}

#[tokio::test]
async fn a_peer_on_tls_is_answered_and_one_that_speaks_something_else_is_left() {
    let world = World::new();
    world.registrar(HOST);
    let ours = identity(HOST);
    let engine = engine_with(&world, |config| {
        let (server, client) = (ours.server.clone(), trusting(&[]));
        config.tls = Some(TlsConfig { bind: loopback(0), server, client });
        config.timing.half_open = Duration::from_millis(300);
    })
    .await;
    let tls = engine.tls_addr().expect("TLS is served");
    let plain = TcpStream::connect(tls).await.unwrap();
    let local = plain.local_addr().unwrap();
    let connector = TlsConnector::from(trusting(&[&ours.certificate]));
    let stream = connector.connect(ServerName::try_from(HOST).unwrap(), plain).await.expect("a handshake");
    let mut peer = Wire::over(stream);
    peer.send(options("TLS", local, HOST, "one").as_bytes()).await;
    let ok = peer.message().await;
    assert!(ok.starts_with("SIP/2.0 200") && field(&ok, "Via").starts_with("SIP/2.0/TLS"), "{ok}");
    peer.send(b"\r\n\r\n").await;
    assert_eq!(peer.raw(2).await, b"\r\n");

    let mut silent = TcpStream::connect(tls).await.unwrap();
    let mut byte = [0];
    let closed = tokio::time::timeout(PATIENCE, tokio::io::AsyncReadExt::read(&mut silent, &mut byte)).await;
    assert_eq!(closed.expect("an unfinished handshake is closed").unwrap_or(0), 0);
    engine.shutdown().await;
}

/// A carrier that shows `shown`; we call it `name` and trust its certificate. Its connection, if it came to one.
async fn call_carrier(shown: &str, name: &str) -> (Option<String>, bool) {
    let world = World::new();
    let (a, fallback) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    let (ours, theirs) = (identity(HOST), identity(shown));
    let listener = TcpListener::bind(loopback(0)).await.unwrap();
    let carrier = listener.local_addr().unwrap();
    world.bridge_to(vec![to_carrier(carrier, name), route_to(fallback.addr())]);
    let engine = engine_with(&world, |config| {
        let (server, client) = (ours.server.clone(), trusting(&[&theirs.certificate]));
        config.tls = Some(TlsConfig { bind: loopback(0), server, client });
    })
    .await;
    let voice = Voice::start().await;
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    let (stream, _) = tokio::time::timeout(PATIENCE, listener.accept()).await.expect("a connection").unwrap();
    let accepted = TlsAcceptor::from(theirs.server.clone()).accept(stream).await;
    let outcome = match accepted {
        Ok(stream) => {
            let sni = stream.get_ref().1.server_name().map(str::to_owned);
            let mut wire = Wire::over(stream);
            match wire.next().await {
                Came::Message(invite) => {
                    assert!(invite.starts_with("INVITE ") && invite.contains(";transport=tls"), "{invite}");
                    wire.send(response(&invite, "486 Busy Here", "", "").as_bytes()).await;
                    assert!(wire.message().await.starts_with("ACK "));
                    (sni, true)
                }
                Came::Closed | Came::Ping => (sni, false),
            }
        }
        Err(_) => (None, false),
    };
    if !outcome.1 {
        fallback.invited().await;
    }
    engine.abandon().await;
    outcome
}

#[tokio::test]
async fn a_carrier_on_tls_hears_its_name_and_proves_it() {
    assert_eq!(call_carrier(CARRIER, CARRIER).await, (Some(CARRIER.to_owned()), true));
}

#[tokio::test]
async fn a_carrier_with_another_names_certificate_gets_no_call_and_the_next_route_does() {
    let (_, called) = call_carrier("somebody.else.test", CARRIER).await;
    assert!(!called);
}
