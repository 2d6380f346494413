//! SIP over TCP: framing, keep-alive, reuse both ways, limits and what happens at them, and requests too long for UDP.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tandem_engine::{EngineConfig, EngineHandle};
use tandem_model::HangupCause;
use tandem_model::ports::Transport;
use tandem_sip::LARGE_REQUEST_BYTES;
use tokio::net::{TcpListener, TcpSocket};

use crate::edge::authorization;
use crate::support::wire::{Came, field, options, response};
use crate::support::{
    PATIENCE, Peer, Voice, Wire, World, engine_with, loopback, route_over, route_to, route_to_either,
    route_to_phone,
};

const HOST: &str = "registrar.test";

async fn listening(world: &Arc<World>, adjust: impl FnOnce(&mut EngineConfig)) -> (EngineHandle, SocketAddr) {
    world.registrar(HOST);
    let engine = engine_with(world, |config| {
        config.tcp_bind = Some(loopback(0));
        adjust(config);
    })
    .await;
    let tcp = engine.tcp_addr().expect("TCP is served");
    assert_eq!(tcp, engine.sip_addr(), "at the port of UDP");
    (engine, tcp)
}

#[tokio::test]
async fn a_request_in_pieces_is_answered_over_its_connection_and_a_ping_gets_its_pong() {
    let world = World::new();
    let (engine, tcp) = listening(&world, |_| {}).await;
    let mut peer = Wire::connect(tcp).await;
    let request = options("TCP", peer.local(), HOST, "one");
    let (head, tail) = request.as_bytes().split_at(40);
    peer.send(head).await;
    tokio::task::yield_now().await;
    peer.send(tail).await;
    let ok = peer.message().await;
    assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
    assert!(field(&ok, "Via").contains("SIP/2.0/TCP"), "{ok}");
    peer.send(b"\r\n\r\n").await;
    assert_eq!(peer.raw(2).await, b"\r\n");
    // Two at once, and a line break between them.
    let both = [options("TCP", peer.local(), HOST, "two"), options("TCP", peer.local(), HOST, "three")];
    peer.send(both.join("\r\n").as_bytes()).await;
    assert!(field(&peer.message().await, "Call-ID").starts_with("two"));
    assert!(field(&peer.message().await, "Call-ID").starts_with("three"));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_frame_that_cannot_be_read_closes_the_connection_and_no_other() {
    let world = World::new();
    let (engine, tcp) = listening(&world, |_| {}).await;
    let mut good = Wire::connect(tcp).await;
    let endless = format!("OPTIONS sip:{HOST} SIP/2.0\r\nSubject: {}\r\n", "x".repeat(65_536));
    let long = format!("OPTIONS sip:{HOST} SIP/2.0\r\nContent-Length: 70000\r\n\r\n");
    let without = format!("OPTIONS sip:{HOST} SIP/2.0\r\nCall-ID: a\r\n\r\n");
    for bad in [endless, long, without] {
        let mut peer = Wire::connect(tcp).await;
        peer.send(bad.as_bytes()).await;
        assert_eq!(peer.next().await, Came::Closed, "{}", &bad[..60]);
    }
    good.send(options("TCP", good.local(), HOST, "good").as_bytes()).await;
    assert!(good.message().await.starts_with("SIP/2.0 200"));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_says_nothing_or_half_of_something_is_closed_and_so_is_an_idle_one() {
    let world = World::new();
    let (engine, tcp) = listening(&world, |config| {
        config.timing.half_open = Duration::from_millis(150);
        config.timing.idle_connection = Duration::from_millis(400);
    })
    .await;
    let mut silent = Wire::connect(tcp).await;
    let mut half = Wire::connect(tcp).await;
    half.send(b"OPTIONS sip:registrar.test SIP/2.0\r\n").await;
    let mut idle = Wire::connect(tcp).await;
    idle.send(b"\r\n\r\n").await;
    assert_eq!(idle.raw(2).await, b"\r\n");
    let began = tokio::time::Instant::now();
    assert_eq!(silent.next().await, Came::Closed);
    assert_eq!(half.next().await, Came::Closed);
    assert!(began.elapsed() < Duration::from_millis(400), "{:?}", began.elapsed());
    assert_eq!(idle.next().await, Came::Closed);
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    engine.shutdown().await;
}

#[tokio::test]
async fn a_source_may_open_as_many_connections_as_it_may_and_not_one_more() {
    let world = World::new();
    let (engine, tcp) = listening(&world, |config| {
        config.limits.connections = 3;
        config.limits.connections_per_source = 2;
    })
    .await;
    let mut kept = Vec::new();
    for name in ["a", "b"] {
        let mut peer = Wire::connect(tcp).await;
        peer.send(options("TCP", peer.local(), HOST, name).as_bytes()).await;
        peer.message().await;
        kept.push(peer);
    }
    let mut third = Wire::connect(tcp).await;
    assert_eq!(third.next().await, Came::Closed, "one more of this source");
    // Another source has a place of its own, the last one there is.
    let mut others = Vec::new();
    for (source, admitted) in [("127.0.0.2:0", true), ("127.0.0.3:0", false)] {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(source.parse().unwrap()).unwrap();
        let mut peer = Wire::over(socket.connect(tcp).await.unwrap());
        peer.send(options("TCP", peer.local(), HOST, "c").as_bytes()).await;
        assert_eq!(matches!(peer.next().await, Came::Message(_)), admitted, "{source}");
        others.push(peer);
    }
    // A place that is left is free again.
    drop(kept.pop());
    let mut again = false;
    for _ in 0..50 {
        let mut peer = Wire::connect(tcp).await;
        peer.send(options("TCP", peer.local(), HOST, "d").as_bytes()).await;
        if matches!(peer.next().await, Came::Message(_)) {
            again = true;
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(again, "a closed connection gives its place back");
    engine.shutdown().await;
}

#[tokio::test]
async fn a_peer_that_does_not_read_loses_its_connection_and_nobody_else_waits() {
    let world = World::new();
    let (engine, tcp) = listening(&world, |_| {}).await;
    let mut deaf = Wire::connect(tcp).await;
    let local = deaf.local();
    // Each answer repeats this Via: answers pile up faster than questions cost.
    let padding = "x".repeat(8_000);
    let sending = async {
        for number in 0..4_000 {
            let question = options("TCP", local, HOST, &format!("n{number}"))
                .replace(";rport", &format!(";rport;x={padding}"));
            deaf.send(question.as_bytes()).await;
        }
    };
    let _ = tokio::time::timeout(PATIENCE, sending).await;
    let mut good = Wire::connect(tcp).await;
    good.send(options("TCP", good.local(), HOST, "good").as_bytes()).await;
    assert!(good.message().await.starts_with("SIP/2.0 200"));
    // What was written before the end may still be read; then the end comes.
    loop {
        match deaf.next().await {
            Came::Closed => break,
            Came::Message(_) | Came::Ping => {}
        }
    }
    engine.shutdown().await;
}

/// Registers alice over `phone`.
async fn register(phone: &mut Wire<tokio::net::TcpStream>, contact: &str) {
    let local = phone.local();
    let request = |cseq: u32, proof: &str| {
        format!(
            "REGISTER sip:{HOST} SIP/2.0\r\nVia: SIP/2.0/TCP 192.0.2.1:5062;branch=z9hG4bKreg{cseq};rport\r\n\
             From: <sip:alice@{HOST}>;tag=a\r\nTo: <sip:alice@{HOST}>\r\nCall-ID: reg@{local}\r\n\
             CSeq: {cseq} REGISTER\r\nContact: <{contact}>;expires=120\r\n{proof}Content-Length: 0\r\n\r\n"
        )
    };
    phone.send(request(1, "").as_bytes()).await;
    let challenge = phone.message().await;
    assert!(challenge.starts_with("SIP/2.0 401"), "{challenge}");
    let challenges = vec![field(&challenge, "WWW-Authenticate").to_owned()];
    let proof = authorization(&challenges, "REGISTER", &format!("sip:{HOST}"), "alice", "secret");
    phone.send(request(2, &format!("Authorization: {}\r\n", proof.value())).as_bytes()).await;
    let ok = phone.message().await;
    assert!(ok.starts_with("SIP/2.0 200"), "{ok}");
}

#[tokio::test]
async fn a_phone_registered_over_a_connection_is_called_over_it_and_forgotten_with_it() {
    let world = World::new();
    let a = Peer::start().await;
    world.acl_trunk(a.addr());
    world.user("alice", "secret");
    world.bridge_to(vec![route_to_phone("alice")]);
    let (engine, tcp) = listening(&world, |_| {}).await;
    let mut phone = Wire::connect(tcp).await;
    register(&mut phone, "sip:alice@192.0.2.1:5062;transport=tcp").await;
    assert_eq!(world.bindings()[0].flow, format!("tcp:{}", phone.local()));

    let (a_voice, phone_voice) = (Voice::start().await, Voice::start().await);
    a.invite(engine.sip_addr(), "alice", "trunk.test", &a_voice.sdp());
    let invite = phone.message().await;
    assert!(invite.starts_with("INVITE sip:alice@192.0.2.1:5062;transport=tcp "), "{invite}");
    assert!(field(&invite, "Via").starts_with("SIP/2.0/TCP"), "{invite}");
    assert!(field(&invite, "Contact").contains(";transport=tcp"), "{invite}");
    let sdp = phone_voice.sdp();
    let further = "Contact: <sip:alice@192.0.2.1:5062;transport=tcp>\r\nContent-Type: application/sdp\r\n";
    phone.send(response(&invite, "200 OK", further, &sdp).as_bytes()).await;
    assert!(phone.message().await.starts_with("ACK "));
    a.answered().await;
    // The phone goes; its registration, which only this connection could reach, goes with it.
    drop(phone);
    world
        .eventually("the binding is removed", |seen| {
            seen.saves
                .iter()
                .any(|change| matches!(change, tandem_model::ports::BindingChange::Remove { .. }))
                .then_some(())
        })
        .await;
    assert!(world.bindings().is_empty());
    engine.shutdown().await;
}

#[tokio::test]
async fn a_stored_connection_is_best_made_anew_to_where_the_contact_listens() {
    let world = World::new();
    let a = Peer::start().await;
    world.acl_trunk(a.addr());
    world.user("alice", "secret");
    world.bridge_to(vec![route_to_phone("alice")]);
    let phone_listens = TcpListener::bind(loopback(0)).await.unwrap();
    let (first, tcp) = listening(&world, |_| {}).await;
    let mut phone = Wire::connect(tcp).await;
    let contact = format!("sip:alice@{};transport=tcp", phone_listens.local_addr().unwrap());
    register(&mut phone, &contact).await;
    first.abandon().await;

    let (second, _) = listening(&world, |_| {}).await;
    let voice = Voice::start().await;
    a.invite(second.sip_addr(), "alice", "trunk.test", &voice.sdp());
    let (stream, _) =
        tokio::time::timeout(PATIENCE, phone_listens.accept()).await.expect("a connection").unwrap();
    let mut phone = Wire::over(stream);
    assert!(phone.message().await.starts_with(&format!("INVITE {contact} ")));
    second.abandon().await;
}

#[tokio::test]
async fn a_refused_connection_gives_way_to_the_next_route_at_once() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    let closed = TcpListener::bind(loopback(0)).await.unwrap().local_addr().unwrap();
    world.bridge_to(vec![route_over(Transport::Tcp, closed), route_to(b.addr())]);
    let (engine, _) = listening(&world, |_| {}).await;
    let voice = Voice::start().await;
    let began = tokio::time::Instant::now();
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    b.invited().await;
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    engine.abandon().await;
}

#[tokio::test]
async fn a_connection_that_is_not_answered_gives_way_to_the_next_route_after_its_time() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    // A listener whose queue is full takes no more: the kernel drops what comes.
    let socket = socket_with_backlog();
    let full = socket.local_addr().unwrap();
    let mut waiting = Vec::new();
    for _ in 0..4 {
        waiting.push(
            tokio::time::timeout(Duration::from_millis(100), tokio::net::TcpStream::connect(full)).await,
        );
    }
    world.bridge_to(vec![route_over(Transport::Tcp, full), route_to(b.addr())]);
    let (engine, _) = listening(&world, |config| config.timing.connect = Duration::from_millis(300)).await;
    let voice = Voice::start().await;
    let began = tokio::time::Instant::now();
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    b.invited().await;
    assert!((250..2_000).contains(&began.elapsed().as_millis()), "{:?}", began.elapsed());
    engine.abandon().await;
}

fn socket_with_backlog() -> TcpListener {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(loopback(0)).unwrap();
    socket.listen(1).unwrap()
}

/// An offer that makes the INVITE longer or not longer than a datagram should be.
fn padded(mut route: tandem_model::ports::Route, bytes: usize) -> tandem_model::ports::Route {
    route.headers.push(("X-VH-Padding".to_owned(), "p".repeat(bytes)));
    route
}

#[tokio::test]
async fn an_invite_too_long_for_a_datagram_goes_over_tcp_and_a_short_one_by_udp() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    let b_tcp = TcpListener::bind(b.addr()).await.unwrap();
    let (engine, _) = listening(&world, |_| {}).await;
    let voice = Voice::start().await;
    world.bridge_to(vec![padded(route_to_either(b.addr()), 10)]);
    a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voice.sdp());
    b.invited().await;

    world.bridge_to(vec![padded(route_to_either(b.addr()), 1_000)]);
    a.invite(engine.sip_addr(), "+918012345679", "trunk.test", &voice.sdp());
    let (stream, _) = tokio::time::timeout(PATIENCE, b_tcp.accept()).await.expect("a connection").unwrap();
    let mut wire = Wire::over(stream);
    let invite = wire.message().await;
    assert!(
        invite.len() > LARGE_REQUEST_BYTES && field(&invite, "Via").starts_with("SIP/2.0/TCP"),
        "{invite}"
    );
    wire.send(response(&invite, "486 Busy Here", "", "").as_bytes()).await;
    assert!(wire.message().await.starts_with("ACK "));
    engine.abandon().await;
}

#[tokio::test]
async fn an_invite_too_long_for_a_datagram_goes_by_udp_after_all_when_the_peer_has_no_tcp() {
    let world = World::new();
    let (a, b) = (Peer::start().await, Peer::start().await);
    world.acl_trunk(a.addr());
    world.bridge_to(vec![padded(route_to_either(b.addr()), 1_000)]);
    let (engine, _) = listening(&world, |_| {}).await;
    let voices = (Voice::start().await, Voice::start().await);
    for call in 0..2 {
        let a_leg = a.invite(engine.sip_addr(), "+918012345678", "trunk.test", &voices.0.sdp());
        let (leg, _) = b.invited().await;
        let invites: Vec<_> =
            b.received().into_iter().filter(|message| message.starts_with("INVITE ")).collect();
        assert_eq!(invites.len(), call + 1, "once by UDP each time");
        assert!(field(&invites[call], "Via").starts_with("SIP/2.0/UDP"), "{}", invites[call]);
        assert!(invites[call].len() > LARGE_REQUEST_BYTES);
        let _ = b.command(|endpoint, now| endpoint.answer(now, leg, voices.1.sdp().as_bytes()));
        a.answered().await;
        let _ = a.command(|endpoint, now| endpoint.bye(now, a_leg, None));
        b.bye().await;
    }
    assert!(world.ends(2).await.iter().all(|end| end.cause == HangupCause::NormalHangup));
    engine.shutdown().await;
}

#[tokio::test]
async fn a_datagram_of_eight_kib_is_read_whole() {
    let world = World::new();
    let (engine, _) = listening(&world, |_| {}).await;
    let socket = tokio::net::UdpSocket::bind(loopback(0)).await.unwrap();
    let local = socket.local_addr().unwrap();
    let question = options("UDP", local, HOST, "long");
    let padding = "x".repeat(8_192 - question.len() - "Subject: \r\n".len());
    let question = question.replace("Max-Forwards", &format!("Subject: {padding}\r\nMax-Forwards"));
    assert_eq!(question.len(), 8_192);
    socket.send_to(question.as_bytes(), engine.sip_addr()).await.unwrap();
    let mut buffer = vec![0; 65_536];
    let length = tokio::time::timeout(PATIENCE, socket.recv(&mut buffer)).await.expect("an answer").unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 200"));
    engine.shutdown().await;
}
