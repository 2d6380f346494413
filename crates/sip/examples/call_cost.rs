//! CPU per answered call of the SIP core alone: INVITE, 100, 180, 200, ACK, BYE, 200, in memory.
//!
//! `cargo run --release -p tandem-sip --example call_cost [calls]`. The caller's messages are text
//! prepared outside the measured stretch. The figure is wall time: on a busy machine take `user + sys` of
//! `time` over the calls instead, which counts the preparation too. Transactions stay
//! for their 64×T1 as they would on the wire.

use std::time::{Duration, Instant};

use tandem_sip::{Endpoint, EndpointConfig, Event, Flow, Input, Output, Transport};

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n\
                   m=audio 40000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\n";
/// Virtual time between calls: 10,000 calls each second.
const SPACING: Duration = Duration::from_micros(100);

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn wall() -> Instant {
    Instant::now()
}

fn message(method: &str, call: usize, tag: &str, body: &str) -> String {
    let to_tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
    let cseq = if method == "BYE" { 2 } else { 1 };
    let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!(
        "{method} sip:+918000000000@192.0.2.1:5060 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9hG4bK-{call}-{method};rport\r\n\
         From: \"Load\" <sip:+911111111111@198.51.100.7>;tag=f{call}\r\nTo: <sip:+918000000000@192.0.2.1>{to_tag}\r\n\
         Call-ID: {call}@198.51.100.7\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:load@198.51.100.7:5060>\r\nUser-Agent: load/1\r\n{content}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[expect(clippy::print_stdout, reason = "prints its figure")]
fn main() {
    let calls: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let mut endpoint = Endpoint::new(EndpointConfig::new("192.0.2.1", 5060), [1; 32]);
    let local = "192.0.2.1:5060".parse().expect("address");
    let remote = "198.51.100.7:5060".parse().expect("address");
    let flow = Flow { transport: Transport::Udp, local, remote };
    let start = wall();
    let mut spent = Duration::ZERO;
    let mut bytes_out = 0;
    for call in 0..calls {
        let now = start + SPACING * u32::try_from(call).unwrap_or(u32::MAX);
        let invite = message("INVITE", call, "", SDP);
        let begun = wall();
        if endpoint.deadline().is_some_and(|at| at <= now) {
            endpoint.handle(now, Input::Timeout);
        }
        endpoint.handle(now, Input::Datagram { flow, bytes: invite.as_bytes() });
        let mut answer = None;
        while let Some(output) = endpoint.poll() {
            if let Output::Event(Event::Invite { leg, .. }) = output {
                let _ = endpoint.trying(now, leg);
                let _ = endpoint.ringing(now, leg);
                let _ = endpoint.answer(now, leg, SDP.as_bytes());
            } else if let Output::Transmit { bytes, .. } = output {
                bytes_out += bytes.len();
                answer = Some(bytes);
            }
        }
        spent += begun.elapsed();
        let answer = answer.expect("a 200");
        let text = std::str::from_utf8(&answer).expect("text");
        let tag = text.split("\r\nTo: ").nth(1).and_then(|to| to.split(";tag=").nth(1));
        let tag = tag.and_then(|tag| tag.split("\r\n").next()).expect("a tag").to_owned();
        let (ack, bye) = (message("ACK", call, &tag, ""), message("BYE", call, &tag, ""));
        let begun = wall();
        endpoint.handle(now, Input::Datagram { flow, bytes: ack.as_bytes() });
        endpoint.handle(now, Input::Datagram { flow, bytes: bye.as_bytes() });
        while let Some(output) = endpoint.poll() {
            if let Output::Transmit { bytes, .. } = output {
                bytes_out += bytes.len();
            }
        }
        spent += begun.elapsed();
    }
    let micros = spent.as_secs_f64() * 1e6 / calls as f64;
    println!("{micros:.2} µs per answered call ({calls} calls, {} bytes out each)", bytes_out / calls);
}
