//! Hundreds of INVITEs with something wrong in them, from a stranger and from a known carrier. After every hundred,
//! sipp places an ordinary call that is answered; at the end nothing has crashed, restarted or stayed behind.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use serde_json::json;
use tandem_testkit::{Answer, Request};

use super::mutation::Mutator;
use super::peer::Peer;
use crate::stage::peer::free_port;
use crate::stage::{Caller, Dialog, World, WorldOptions, until};

/// Mutants between two ordinary calls.
const BATCH: u64 = 100;
/// Mutants sent before the platform is asked whether it keeps up, so that the socket's buffer loses none.
const BURST: u64 = 10;

fn invite(number: &str, platform: SocketAddr, own: SocketAddr, id: u64) -> String {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\n\
         a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n",
        ip = own.ip()
    );
    format!(
        "INVITE sip:+{number}@{platform} SIP/2.0\r\n\
         Via: SIP/2.0/UDP {own};branch=z9hG4bKmutant{id};rport\r\n\
         Record-Route: <sip:{own};lr>\r\n\
         From: \"A. Caller\" <sip:+919812345678@{own}>;tag=t{id}\r\n\
         To: <sip:+{number}@{platform}>\r\n\
         Call-ID: mutant-{id}@{ip}\r\nCSeq: 1 INVITE\r\nContact: <sip:c@{own}>\r\nMax-Forwards: 70\r\n\
         Allow: INVITE, ACK, CANCEL, BYE\r\nSupported: timer\r\nSession-Expires: 1800;refresher=uac\r\nMin-SE: 90\r\n\
         P-Asserted-Identity: <sip:+919812345678@{own}>\r\nDiversion: <sip:+91981@{own}>;reason=unconditional\r\n\
         Privacy: none\r\nUser-Agent: mutant\r\nX-VH-Order: 7\r\nAuthorization: Digest username=\"u\", realm=\"r\", nonce=\"n\", \
         uri=\"sip:x\", response=\"0123456789abcdef0123456789abcdef\", algorithm=MD5, qop=auth, nc=00000001, cnonce=\"c\"\r\n\
         Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{sdp}",
        ip = own.ip(),
        length = sdp.len()
    )
}

async fn survives(mutants: u64, seed: u64) {
    let world = World::open(WorldOptions::default(), |request: &Request| match request.path() {
        "/answer" => Answer::xml("<Response><Speak>Yes?</Speak><Hangup/></Response>"),
        "/mutant" => Answer::xml("<Response><Hangup reason=\"rejected\"/></Response>"),
        _ => Answer::status(204),
    })
    .await;
    let customer = world.customer("target", 100.0, (50, 50)).await;
    let number = world.number(&customer).await;
    world.application(&customer, &number, "answer", json!({})).await;
    let bait = world.number(&customer).await;
    world.application(&customer, &bait, "mutant", json!({})).await;
    let loopback = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let network = SocketAddr::new(loopback, free_port(loopback));
    world.carrier("network", network, &["999"], 9).await;
    let mut carrier = Peer::open(loopback, &[free_port(loopback)], world.sip()).await;
    world.carrier("mutants", carrier.address(), &["998"], 9).await;
    let stranger = Peer::open(IpAddr::from([127, 0, 0, 66]), &[free_port(loopback)], world.sip()).await;
    let process = world.platform.pid();

    let mut mutator = Mutator::new(seed);
    for id in 0..mutants {
        let known = id % 4 != 0;
        let peer = if known { &carrier } else { &stranger };
        let message = invite(&bait, world.sip(), peer.address(), seed << 32 | id);
        peer.send(&mutator.mutate(message.as_bytes())).await;
        if id % BURST == BURST - 1 {
            carrier.ping().await;
        }
        if id % BATCH == BATCH - 1 {
            ordinary_call(&world, network, &number).await;
        }
    }
    assert_eq!(world.platform.pid(), process);
    let log = world.platform.log();
    assert!(!log.contains("panicked"), "{log}");
    until("calls of mutants to end", || async { world.live_calls(&customer).await.is_empty().then_some(()) })
        .await;
    world.verify_ledger();
}

async fn ordinary_call(world: &World, network: SocketAddr, number: &str) {
    let caller = Caller::call_from(network, world.sip(), None, |media| {
        let dialog = Dialog::new("+919812345678", &format!("+{number}"), &world.sip().to_string(), media);
        dialog.invite().answered().ack().hears_bye()
    })
    .await;
    caller.finish().await.went_as_written();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_through_between_hundreds_of_mutated_invites() {
    survives(400, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "ten thousand mutants; `make slow`"]
async fn calls_go_through_between_ten_thousand_mutated_invites() {
    survives(10_000, 2).await;
}
