//! Who stands at the door with bad intentions: guesses, replays, forged ways back, smuggled headers. Messages written by
//! hand, against the running binary.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use md5::{Digest as _, Md5};
use serde_json::json;
use tandem_model::entropy;
use tandem_testkit::Answer;

use crate::stage::peer::free_port;
use crate::stage::wire::{Message, Sdp, Wire};
use crate::stage::{Customer, Trunk, World, WorldOptions};

const REGISTRAR: &str = "registrar.tandem.localhost";
const PASSWORD: &str = "correct-horse-7";
/// Wrong answers that ban a source in this world.
const BAN_AFTER: usize = 4;
const ACL_PBX: [u8; 4] = [127, 0, 0, 54];
/// Long enough that nothing more comes.
const QUIET: Duration = Duration::from_millis(400);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_door_is_kept() {
    let options =
        WorldOptions { environment: vec![("TANDEM_EDGE__BAN_AFTER", "4")], ..WorldOptions::default() };
    let world = World::open(options, |_| Answer::status(204)).await;
    let customer = world.customer("phones", 100.0, (50, 50)).await;
    let trunk = world.trunk(&customer, "listed").await;
    world.acl(&customer, &trunk, &IpAddr::from(ACL_PBX).to_string()).await;
    stale_foreign_and_replayed_nonces_are_asked_again_and_ban_nobody(&world, &customer).await;
    guesses_ban_their_source_until_the_operator_lifts_it(&world).await;
    a_listed_source_and_one_that_has_proven_itself_are_never_banned(&world, &customer).await;
    answers_go_only_to_where_the_packet_came_from(&world).await;
    a_short_question_is_answered_when_it_was_asked_twice(&world).await;
    smuggled_headers_reach_no_carrier(&world, &customer, &trunk).await;
    a_request_at_the_end_of_its_hops_goes_no_further(&world, &customer, &trunk).await;
}

/// Somebody at the door, from an address of its own.
struct Visitor<'a> {
    world: &'a World,
    wire: Wire,
}

impl<'a> Visitor<'a> {
    async fn from(world: &'a World, last: u8) -> Self {
        Self { world, wire: Wire::open(IpAddr::from([127, 0, 0, last])).await }
    }

    /// Sends REGISTER with these header lines and waits for what comes back, if anything does.
    async fn registers(&self, user: &str, lines: &str) -> Option<Message> {
        let id = entropy::number();
        let own = self.wire.address;
        let text = format!(
            "REGISTER sip:{REGISTRAR} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id:x};rport\r\n\
             From: <sip:{user}@{REGISTRAR}>;tag={id:x}\r\nTo: <sip:{user}@{REGISTRAR}>\r\nCall-ID: {id:x}\r\n\
             CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContact: <sip:{user}@{own}>\r\nExpires: 600\r\n\
             Allow: INVITE, ACK, CANCEL, BYE, OPTIONS, UPDATE, REFER, NOTIFY, SUBSCRIBE, INFO, MESSAGE\r\n\
             Supported: replaces, norefersub, extended-refer, timer, outbound, path, X-cisco-serviceuri\r\n\
             User-Agent: A phone as they are sold today\r\n{lines}Content-Length: 0\r\n\r\n"
        );
        self.hears(&text).await
    }

    async fn hears(&self, text: &str) -> Option<Message> {
        let before = self.wire.seen().len();
        self.wire.say(self.world.sip(), text).await;
        for _ in 0..20 {
            self.wire.listen(QUIET / 20).await;
            if let Some(answer) = self.wire.seen().get(before) {
                return Some(answer.clone());
            }
        }
        None
    }

    /// A live nonce for this visitor.
    async fn nonce(&self) -> String {
        let challenge = self.registers("anybody", "").await.expect("a challenge");
        quoted(challenge.header("WWW-Authenticate"), "nonce")
    }

    /// Answers a challenge of its own with a wrong password.
    async fn guesses(&self, user: &str) -> Option<u16> {
        let nonce = self.nonce().await;
        let answer = self.registers(user, &authorization(user, "wrong", &nonce, 1)).await;
        answer.and_then(|answer| answer.status())
    }
}

fn quoted(value: &str, name: &str) -> String {
    let start = format!("{name}=\"");
    let found = value.split(start.as_str()).nth(1).and_then(|rest| rest.split('"').next());
    found.unwrap_or_else(|| panic!("no {name} in {value}")).to_owned()
}

/// RFC 2617 with qop=auth for REGISTER.
fn authorization(user: &str, password: &str, nonce: &str, count: u32) -> String {
    let md5 = |text: String| hex::encode(Md5::digest(text));
    let uri = format!("sip:{REGISTRAR}");
    let (ha1, ha2) = (md5(format!("{user}:{REGISTRAR}:{password}")), md5(format!("REGISTER:{uri}")));
    let response = md5(format!("{ha1}:{nonce}:{count:08x}:c0ffee:auth:{ha2}"));
    format!(
        "Authorization: Digest username=\"{user}\", realm=\"{REGISTRAR}\", nonce=\"{nonce}\", uri=\"{uri}\", \
         response=\"{response}\", algorithm=MD5, qop=auth, nc={count:08x}, cnonce=\"c0ffee\"\r\n"
    )
}

fn is_stale(answer: Option<&Message>) -> bool {
    answer.is_some_and(|answer| {
        answer.status() == Some(401) && answer.header("WWW-Authenticate").contains("stale=true")
    })
}

fn banned(world: &World) -> Vec<String> {
    let listed = world.platform.admin(&["bans", "list"]);
    let bans = listed["bans"].as_array().expect("a list");
    bans.iter().map(|ban| ban["source"].as_str().expect("a source").to_owned()).collect()
}

async fn stale_foreign_and_replayed_nonces_are_asked_again_and_ban_nobody(
    world: &World,
    customer: &Customer,
) {
    let body = json!({"username": "doorstep", "password": PASSWORD, "alias": "phone"});
    world.api(customer, "POST", "/Endpoint/", Some(&body)).await.ok();
    let (owner, thief) = (Visitor::from(world, 51).await, Visitor::from(world, 52).await);
    let nonce = owner.nonce().await;
    let proof = authorization("doorstep", PASSWORD, &nonce, 1);
    let stolen = thief.registers("doorstep", &proof).await;
    assert!(is_stale(stolen.as_ref()), "somebody else's nonce: {stolen:?}");
    let taken = owner.registers("doorstep", &proof).await.expect("an answer");
    assert_eq!(taken.status(), Some(200), "the thief's try has not used it up: {taken:?}");
    let replayed = owner.registers("doorstep", &proof).await;
    assert!(is_stale(replayed.as_ref()), "the same nonce and nc again: {replayed:?}");
    let next = owner.registers("doorstep", &authorization("doorstep", PASSWORD, &nonce, 2)).await;
    assert_eq!(next.and_then(|next| next.status()), Some(200), "the same nonce with the next nc");
    for number in 0..3 * BAN_AFTER {
        let made_up = authorization("doorstep", "wrong", &format!("{number:048x}"), 1);
        let answer = thief.registers("doorstep", &made_up).await;
        assert!(is_stale(answer.as_ref()), "{answer:?}");
    }
    assert_eq!(banned(world), [""; 0]);
}

async fn guesses_ban_their_source_until_the_operator_lifts_it(world: &World) {
    let guesser = Visitor::from(world, 53).await;
    for user in ["doorstep", "nobody", "admin", "100"] {
        assert_eq!(guesser.guesses(user).await, Some(401), "{user}");
    }
    assert_eq!(guesser.registers("doorstep", "").await.map(|answer| answer.status()), None, "not a byte");
    assert_eq!(banned(world), ["127.0.0.53"]);
    assert!(world.platform.try_admin(&["bans", "lift", "127.0.0.99"]).is_err(), "it is not banned");
    assert!(world.platform.try_admin(&["bans", "lift", "everybody"]).is_err());
    let lifted = world.platform.admin(&["bans", "lift", "127.0.0.53"]);
    assert_eq!(lifted["lifted"], "127.0.0.53");
    assert_eq!(banned(world), [""; 0]);
    assert_eq!(guesser.guesses("operator").await, Some(401), "listened to again");
    let dropped = world.platform.admin(&["edge"]);
    assert!(dropped["dropped"]["banned"].as_u64() > Some(0), "{dropped}");
}

async fn a_listed_source_and_one_that_has_proven_itself_are_never_banned(world: &World, customer: &Customer) {
    let (listed, proven) = (Visitor::from(world, ACL_PBX[3]).await, Visitor::from(world, 51).await);
    let body = json!({"username": "doorstep2", "password": PASSWORD, "alias": "phone"});
    world.api(customer, "POST", "/Endpoint/", Some(&body)).await.ok();
    let nonce = proven.nonce().await;
    let taken = proven.registers("doorstep2", &authorization("doorstep2", PASSWORD, &nonce, 1)).await;
    assert_eq!(taken.and_then(|taken| taken.status()), Some(200));
    for visitor in [listed, proven] {
        for number in 0..2 * BAN_AFTER {
            assert_eq!(visitor.guesses(&format!("guess{number}")).await, Some(401));
        }
    }
    assert_eq!(banned(world), [""; 0]);
}

async fn answers_go_only_to_where_the_packet_came_from(world: &World) {
    let (asker, victim) = (Visitor::from(world, 55).await, Wire::open(IpAddr::from([127, 0, 0, 56])).await);
    let other = victim.address;
    let ways = [
        format!("{other};rport"),
        format!("{other};received={};rport={}", other.ip(), other.port()),
        format!("{other};maddr={};rport", other.ip()),
    ];
    for (number, way) in ways.iter().enumerate() {
        let text = format!(
            "OPTIONS sip:{REGISTRAR} SIP/2.0\r\nVia: SIP/2.0/UDP {way};branch=z9hG4bKway{number}\r\n\
             From: <sip:a@{other}>;tag=1\r\nTo: <sip:{REGISTRAR}>\r\nCall-ID: way{number}\r\nCSeq: 1 OPTIONS\r\n\
             Contact: <sip:a@{other}>\r\nMax-Forwards: 70\r\nUser-Agent: {}\r\nContent-Length: 0\r\n\r\n",
            "x".repeat(200)
        );
        let answer = asker.hears(&text).await;
        assert_eq!(answer.and_then(|answer| answer.status()), Some(200), "{way}");
    }
    victim.listen(QUIET).await;
    assert!(victim.seen().is_empty(), "{:?}", victim.seen());
}

async fn a_short_question_is_answered_when_it_was_asked_twice(world: &World) {
    let asker = Visitor::from(world, 57).await;
    let own = asker.wire.address;
    let text = format!(
        "REGISTER sip:{REGISTRAR} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKshort;rport\r\n\
         From: <sip:a@{REGISTRAR}>;tag=1\r\nTo: <sip:a@{REGISTRAR}>\r\nCall-ID: short\r\nCSeq: 1 REGISTER\r\n\r\n"
    );
    assert!(asker.hears(&text).await.is_none(), "the challenge is larger than the question");
    let answer = asker.hears(&text).await.expect("a challenge");
    assert_eq!(answer.status(), Some(401));
    assert!((text.len() + 1..=2 * text.len()).contains(&answer.bytes()), "{} {}", text.len(), answer.bytes());
}

async fn smuggled_headers_reach_no_carrier(world: &World, customer: &Customer, trunk: &Trunk) {
    let number = world.number(customer).await;
    let (pbx, carrier) = (
        Visitor::from(world, ACL_PBX[3]).await,
        Wire::at(SocketAddr::new(IpAddr::from([127, 0, 0, 58]), free_port(IpAddr::from([127, 0, 0, 58]))))
            .await,
    );
    world.carrier("smuggled", carrier.address, &["9192"], 1).await;
    let invite = |to: &str, parameter: &str, lines: &str| {
        let (id, own, domain) = (entropy::number(), pbx.wire.address, &trunk.domain);
        let sdp = Sdp::talk(own).text();
        format!(
            "INVITE sip:{to}@{domain}{parameter} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{id:x};rport\r\n\
             From: <sip:{number}@{domain}>;tag={id:x}\r\nTo: <sip:{to}@{domain}>\r\nCall-ID: {id:x}\r\nCSeq: 1 INVITE\r\n\
             Max-Forwards: 70\r\nContact: <sip:a@{own}>\r\n{lines}Content-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        )
    };
    let smuggled = [
        ("", "X-VH-Note: a\rX-Injected: b\r\n"),
        ("", "X-VH-Note: a\nX-Injected: b\r\n"),
        ("", "X-VH-Note: a\0b\r\n"),
        ("", "Content-Length: 0\r\n"),
        ("", "Call-ID: another\r\n"),
        (";x=a\rX-Injected: b", ""),
        (";x=%0d%0aX-Injected:%20b?X-Injected=c", ""),
    ];
    for (parameter, lines) in smuggled {
        let answer = pbx.hears(&invite("919200000001", parameter, lines)).await;
        let status = answer.and_then(|answer| answer.status());
        assert!(matches!(status, None | Some(400)), "{parameter:?} {lines:?}: {status:?}");
    }
    // A folded value is one value (RFC 3261 §7.3.1), and leaves as one line.
    pbx.wire.say(world.sip(), &invite("919200000002", "", "X-VH-Note: a\r\n X-Injected: b\r\n")).await;
    let passed = carrier.asked("INVITE").await;
    assert_eq!(passed.headers("X-Injected"), [""; 0]);
    let note: Vec<_> = passed.header("X-VH-Note").split_whitespace().collect();
    assert_eq!(note, ["a", "X-Injected:", "b"]);
    assert!(passed.uri().contains("919200000002"), "the first that came: {}", passed.uri());
    carrier.reply(&passed, 486, "busy", "", "").await;
    pbx.wire.told(486, "INVITE").await;
}

async fn a_request_at_the_end_of_its_hops_goes_no_further(world: &World, customer: &Customer, trunk: &Trunk) {
    let pbx = Visitor::from(world, ACL_PBX[3]).await;
    let number = world.number(customer).await;
    let (own, domain) = (pbx.wire.address, &trunk.domain);
    let sdp = Sdp::talk(own).text();
    let text = format!(
        "INVITE sip:919200000003@{domain} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKlast;rport\r\n\
         From: <sip:{number}@{domain}>;tag=1\r\nTo: <sip:919200000003@{domain}>\r\nCall-ID: last\r\nCSeq: 1 INVITE\r\n\
         Max-Forwards: 0\r\nContact: <sip:a@{own}>\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    assert_eq!(pbx.hears(&text).await.and_then(|answer| answer.status()), Some(483));
}
