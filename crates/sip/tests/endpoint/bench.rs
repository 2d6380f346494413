//! A bench: one endpoint in virtual time, with a peer written out by hand.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tandem_sip::message::{Address, OwnedUri};
use tandem_sip::{Endpoint, EndpointConfig, Event, Flow, Input, LegId, OutgoingInvite, Output, Transport};

pub(crate) const SDP: &str = "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\n";

/// The one look at the clock: where virtual time starts.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
pub(crate) fn start_of_time() -> Instant {
    Instant::now()
}

pub(crate) struct Bench {
    pub(crate) endpoint: Endpoint,
    pub(crate) start: Instant,
    pub(crate) now: Instant,
    pub(crate) flow: Flow,
    sent: Vec<(Duration, Flow, String)>,
    events: Vec<Event>,
}

pub(crate) fn udp(port: u16) -> Flow {
    flow(Transport::Udp, port)
}

pub(crate) fn flow(transport: Transport, port: u16) -> Flow {
    let local: SocketAddr = "192.0.2.1:5060".parse().expect("address");
    let remote: SocketAddr = format!("198.51.100.7:{port}").parse().expect("address");
    Flow { transport, local, remote }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(|_| ())
    }

    pub(crate) fn over(transport: Transport) -> Self {
        let mut bench = Self::new();
        bench.flow = flow(transport, 5060);
        bench
    }

    pub(crate) fn with(change: impl FnOnce(&mut EndpointConfig)) -> Self {
        let mut config = EndpointConfig::new("192.0.2.1", 5060);
        change(&mut config);
        let start = start_of_time();
        let endpoint = Endpoint::new(config, [7; 32]);
        Self { endpoint, start, now: start, flow: udp(5060), sent: Vec::new(), events: Vec::new() }
    }

    pub(crate) fn receive(&mut self, text: &str) {
        self.receive_over(self.flow, text);
    }

    pub(crate) fn receive_over(&mut self, flow: Flow, text: &str) {
        self.endpoint.handle(self.now, Input::Datagram { flow, bytes: text.as_bytes() });
        self.drain();
    }

    /// Let virtual time pass, stopping at every deadline.
    pub(crate) fn advance(&mut self, by: Duration) {
        let target = self.now + by;
        self.drain();
        while let Some(at) = self.endpoint.deadline().filter(|at| *at <= target) {
            self.now = self.now.max(at);
            self.endpoint.handle(self.now, Input::Timeout);
            self.drain();
        }
        self.now = target;
    }

    pub(crate) fn seconds(&mut self, seconds: u64) {
        self.advance(Duration::from_secs(seconds));
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll() {
            match output {
                Output::Transmit { flow, bytes } => {
                    let text = String::from_utf8(bytes.to_vec()).expect("text");
                    self.sent.push((self.now - self.start, flow, text));
                }
                Output::Event(event) => self.events.push(event),
            }
        }
    }

    /// What was sent since the last look.
    pub(crate) fn sent(&mut self) -> Vec<String> {
        self.drain();
        std::mem::take(&mut self.sent).into_iter().map(|(_, _, text)| text).collect()
    }

    /// What was sent since the last look, with its destination.
    pub(crate) fn sent_to(&mut self) -> Vec<(SocketAddr, String)> {
        self.drain();
        std::mem::take(&mut self.sent).into_iter().map(|(_, flow, text)| (flow.remote, text)).collect()
    }

    /// What was sent since the last look, with the flow it went by.
    pub(crate) fn sent_over(&mut self) -> Vec<(Flow, String)> {
        self.drain();
        std::mem::take(&mut self.sent).into_iter().map(|(_, flow, text)| (flow, text)).collect()
    }

    /// First words of what was sent since the last look, with milliseconds since the start.
    pub(crate) fn sent_at(&mut self) -> Vec<(u128, String)> {
        self.drain();
        let sent = std::mem::take(&mut self.sent).into_iter();
        sent.map(|(at, _, text)| (at.as_millis(), summary(&text))).collect()
    }

    pub(crate) fn summaries(&mut self) -> Vec<String> {
        self.sent().iter().map(|text| summary(text)).collect()
    }

    /// The only message sent since the last look.
    #[track_caller]
    pub(crate) fn only_sent(&mut self) -> String {
        let sent = self.sent();
        assert_eq!(sent.len(), 1, "{sent:#?}");
        sent.into_iter().next().expect("one")
    }

    pub(crate) fn events(&mut self) -> Vec<Event> {
        self.drain();
        std::mem::take(&mut self.events)
    }

    #[track_caller]
    pub(crate) fn only_event(&mut self) -> Event {
        let events = self.events();
        assert_eq!(events.len(), 1, "{events:#?}");
        events.into_iter().next().expect("one")
    }

    /// Take in an INVITE and return its leg.
    #[track_caller]
    pub(crate) fn invited(&mut self, text: &str) -> LegId {
        self.receive(text);
        match self.only_event() {
            Event::Invite { leg, .. } => leg,
            other => panic!("{other:?}"),
        }
    }

    /// Place a call; returns the leg and the INVITE.
    #[track_caller]
    pub(crate) fn call(&mut self, change: impl FnOnce(&mut OutgoingInvite)) -> (LegId, String) {
        let mut invite = outgoing(self.flow);
        change(&mut invite);
        let leg = self.endpoint.invite(self.now, invite).expect("room");
        let text = self.only_sent();
        (leg, text)
    }

    /// Place a call and have it answered by `tag`; returns the leg, the INVITE and the ACK.
    #[track_caller]
    pub(crate) fn connected(&mut self, tag: &str) -> (LegId, String, String) {
        let (leg, invite) = self.call(|_| ());
        self.receive(&answer_to(&invite, tag, ""));
        let ack = self.only_sent();
        assert!(matches!(self.only_event(), Event::Answered { .. }));
        (leg, invite, ack)
    }

    /// Take a call and answer it; returns the leg, our To-tag, and the bench is past the ACK.
    #[track_caller]
    pub(crate) fn answered(&mut self) -> (LegId, String) {
        let leg = self.invited(&invite("z9hG4bKinv", SDP));
        let _ = self.endpoint.answer(self.now, leg, SDP.as_bytes());
        let tag = to_tag(&self.only_sent());
        self.receive(&request("ACK", 1, "z9hG4bKack", &tag, "", ""));
        assert!(matches!(self.only_event(), Event::Acked { .. }));
        (leg, tag)
    }

    /// Nothing is left after all timers.
    #[track_caller]
    pub(crate) fn assert_empty(&mut self) {
        self.seconds(200);
        let stats = self.endpoint.stats();
        assert_eq!((stats.legs, stats.server_transactions, stats.client_transactions), (0, 0, 0));
        assert_eq!(self.endpoint.deadline(), None);
    }
}

pub(crate) fn outgoing(flow: Flow) -> OutgoingInvite {
    let to = OwnedUri::parse("sip:+911234567890@carrier.example").expect("uri");
    let from = Address::parse("sip:+918000000000@192.0.2.1").expect("uri");
    let mut invite = OutgoingInvite::new(flow, to.clone(), from, Address::new(to));
    invite.sdp = Some(SDP.as_bytes().to_vec());
    invite.contact_user = Some("+918000000000".to_owned());
    invite
}

pub(crate) fn body(content_type: &str, body: &str) -> String {
    if body.is_empty() {
        "Content-Length: 0\r\n\r\n".to_owned()
    } else {
        format!("Content-Type: {content_type}\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }
}

/// An INVITE of the hand-written peer.
pub(crate) fn invite(branch: &str, sdp: &str) -> String {
    request("INVITE", 1, branch, "", "", sdp)
}

/// A request of the hand-written peer, whose tag is `peer` and Call-ID `call-1`.
pub(crate) fn request(
    method: &str,
    cseq: u32,
    branch: &str,
    to_tag: &str,
    extra: &str,
    content: &str,
) -> String {
    let tag = if to_tag.is_empty() { String::new() } else { format!(";tag={to_tag}") };
    let content_type = if method == "INFO" { "application/dtmf-relay" } else { "application/sdp" };
    format!(
        "{method} sip:+918000000000@192.0.2.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP 198.51.100.7:5060;branch={branch};rport\r\n\
         From: \"Peer\" <sip:+911111111111@198.51.100.7>;tag=peer\r\n\
         To: <sip:+918000000000@192.0.2.1>{tag}\r\n\
         Call-ID: call-1\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n\
         Contact: <sip:peer@198.51.100.7:5060>\r\n{extra}{}",
        body(content_type, content)
    )
}

/// A response of the hand-written peer to a request of ours.
pub(crate) fn response_to(request: &str, status: u16, tag: &str, extra: &str, sdp: &str) -> String {
    let to = header(request, "To");
    let to = if tag.is_empty() || to.contains(";tag=") { to } else { format!("{to};tag={tag}") };
    format!(
        "SIP/2.0 {status} Whatever\r\nVia: {};received=192.0.2.1\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\n\
         CSeq: {}\r\n{extra}{}",
        header(request, "Via"),
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        body("application/sdp", sdp)
    )
}

pub(crate) fn answer_to(invite: &str, tag: &str, extra: &str) -> String {
    response_to(invite, 200, tag, &format!("Contact: <sip:b@198.51.100.7:5070>\r\n{extra}"), SDP)
}

/// A request of the hand-written callee inside a dialog that we opened with `invite`.
pub(crate) fn callee_request(
    invite: &str,
    method: &str,
    cseq: u32,
    branch: &str,
    tag: &str,
    content: &str,
) -> String {
    format!(
        "{method} sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7:5060;branch={branch};rport\r\n\
         From: {};tag={tag}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:b@198.51.100.7:5070>\r\n{}",
        header(invite, "To"),
        header(invite, "From"),
        header(invite, "Call-ID"),
        body("application/sdp", content)
    )
}

/// All values of a header in a printed message.
pub(crate) fn headers(message: &str, name: &str) -> Vec<String> {
    let head = message.split("\r\n\r\n").next().unwrap_or("");
    let prefix = format!("{name}: ");
    head.split("\r\n").filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect()
}

#[track_caller]
pub(crate) fn header(message: &str, name: &str) -> String {
    headers(message, name).into_iter().next().unwrap_or_else(|| panic!("no {name} in {message}"))
}

pub(crate) fn to_tag(message: &str) -> String {
    let to = header(message, "To");
    to.split(";tag=").nth(1).unwrap_or_else(|| panic!("no tag in {to}")).to_owned()
}

/// Status code, or method.
pub(crate) fn summary(message: &str) -> String {
    let line = message.lines().next().unwrap_or("");
    let mut words = line.split(' ');
    let first = words.next().unwrap_or("");
    if first == "SIP/2.0" { words.next().unwrap_or("").to_owned() } else { first.to_owned() }
}

pub(crate) fn request_uri(message: &str) -> &str {
    message.split(' ').nth(1).unwrap_or("")
}
