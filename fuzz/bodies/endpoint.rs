//! A script of up to fifty steps against one endpoint with tiny tables: messages of three peers, well formed and bent,
//! replies to what it sent, repetitions, commands of the owner of its calls, failing paths, and time.
//!
//! After every step its tables are within their bounds, whatever it sent is well formed and goes to a peer. At the end
//! the owner hangs up what is left and all timers run out: then nothing may remain, in no table and no index.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tandem_sip::message::{Address, FieldName, HeaderField, Message, Method, OwnedUri};
use tandem_sip::{
    ChallengeKind, Endpoint, EndpointConfig, Event, Flow, Input, LegId, Limits, NatPolicy, OutgoingInvite,
    OutgoingRequest, Output, Reason, ReasonProtocol, TransactionId, Transport,
};

/// Longest script.
const MAX_STEPS: usize = 50;
/// Messages of the endpoint that peers still remember.
const MEMORY: usize = 24;
/// Looks at the timers that one advance may need; more is an endpoint that wakes for nothing.
const MAX_WAKES: usize = 20_000;

const SDP: &str = "v=0\r\no=- 1 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n";
const METHODS: [&str; 12] = [
    "INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "INFO", "PRACK", "UPDATE", "REFER", "MESSAGE",
    "STRANGE",
];
const STATUSES: [u16; 20] =
    [100, 180, 183, 199, 200, 202, 302, 400, 401, 404, 405, 407, 408, 481, 486, 487, 491, 500, 503, 603];
const EXTRAS: [&str; 16] = [
    "",
    "Require: 100rel\r\n",
    "Require: timer\r\nSession-Expires: 90;refresher=uas\r\n",
    "Supported: timer\r\nSession-Expires: 90;refresher=uac\r\n",
    "Session-Expires: 4294967295;refresher=uas\r\nAllow: UPDATE\r\n",
    "Session-Expires: 0\r\n",
    "RAck: 1 1 INVITE\r\n",
    "RSeq: 1\r\nRequire: 100rel\r\n",
    "Record-Route: <sip:198.51.100.8;lr>, <sip:198.51.100.9:5070>\r\n",
    "Allow: INVITE, UPDATE\r\n",
    "Require: unheard-of\r\n",
    "WWW-Authenticate: Digest realm=\"r\", nonce=\"n\"\r\n",
    "Retry-After: 1\r\nReason: Q.850;cause=16;text=\"x\"\r\n",
    "Max-Forwards: 0\r\n",
    "Contact: <sip:p@203.0.113.99:9>\r\n",
    "Contact: *\r\n",
];

/// Reads choices out of the input; when it is used up, all are 0.
struct Choices<'a> {
    rest: &'a [u8],
}

impl<'a> Choices<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.rest.split_first().map_or((0, self.rest), |(first, rest)| (*first, rest));
        self.rest = rest;
        first
    }

    fn below(&mut self, limit: usize) -> usize {
        if limit == 0 { 0 } else { usize::from(self.byte()) % limit }
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    fn bytes(&mut self, most: usize) -> &'a [u8] {
        let length = self.below(most + 1).min(self.rest.len());
        let (taken, rest) = self.rest.split_at(length);
        self.rest = rest;
        taken
    }

    fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// What a peer remembers of a message the endpoint sent.
#[derive(Clone)]
struct Heard {
    flow: Flow,
    text: String,
}

struct Play<'a> {
    choices: Choices<'a>,
    endpoint: Endpoint,
    limits: Limits,
    now: Instant,
    heard: VecDeque<Heard>,
    last: Option<(Flow, Vec<u8>)>,
    legs: BTreeMap<LegId, bool>,
    requests: Vec<TransactionId>,
}

/// Plays a script.
///
/// # Panics
/// When something promised does not hold.
pub(crate) fn check(start: Instant, bytes: &[u8]) {
    let mut choices = Choices { rest: bytes };
    let limits = Limits {
        legs: 3 + choices.below(4),
        server_transactions: 4 + choices.below(12),
        client_transactions: 3 + choices.below(12),
        forks_per_leg: 1 + choices.below(3),
        pending_outputs: 32,
    };
    let mut config = EndpointConfig::new("192.0.2.1", 5060);
    config.limits = limits;
    config.nat_policy = choices.of(&[NatPolicy::Contact, NatPolicy::ReceivedFlow]);
    config.guard =
        tandem_sip::AddressGuard::new(|address| address.ip().to_string().starts_with("198.51.100."));
    let mut play = Play {
        choices,
        endpoint: Endpoint::new(config, [3; 32]),
        limits,
        now: start,
        heard: VecDeque::new(),
        last: None,
        legs: BTreeMap::new(),
        requests: Vec::new(),
    };
    for _ in 0..MAX_STEPS {
        if play.choices.is_empty() {
            break;
        }
        play.step();
        play.drain();
    }
    play.end();
}

impl Play<'_> {
    fn step(&mut self) {
        match self.choices.below(16) {
            0 | 1 => self.request(None),
            2 | 3 => {
                let leg = self.heard_of(|text| text.contains(";tag="));
                self.request(leg);
            }
            4..=6 => self.reply(),
            7 => self.repeat(),
            8 | 9 => self.pass(),
            10..=12 => self.command(),
            13 => self.place(),
            14 => {
                let flow = self.flow();
                let bytes = self.choices.bytes(255);
                self.receive(flow, bytes.to_vec());
            }
            _ => {
                let flow = self.flow();
                self.endpoint.handle(self.now, Input::TransportFailed { flow });
            }
        }
    }

    fn flow(&mut self) -> Flow {
        let transport = self.choices.of(&[
            Transport::Udp,
            Transport::Udp,
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Ws,
        ]);
        let host = 7 + self.choices.below(3) as u8;
        Flow {
            transport,
            local: SocketAddr::from(([192, 0, 2, 1], 5060)),
            remote: SocketAddr::from(([198, 51, 100, host], 5060)),
        }
    }

    fn heard_of(&mut self, like: impl Fn(&str) -> bool) -> Option<Heard> {
        let fitting: Vec<&Heard> = self.heard.iter().filter(|heard| like(&heard.text)).collect();
        let at = self.choices.below(fitting.len());
        fitting.get(at).map(|heard| (*heard).clone())
    }

    /// A request of a peer: new, or inside the dialog that a message of ours belongs to.
    fn request(&mut self, dialog: Option<Heard>) {
        let method = self.choices.of(&METHODS);
        let branch = self.choices.below(6);
        let extra = self.choices.of(&EXTRAS);
        let body = if self.choices.below(2) == 0 { SDP } else { "" };
        let (flow, from, to, call_id) = match &dialog {
            // Their From is our To in requests, our From in responses to them.
            Some(Heard { flow, text }) if text.starts_with("SIP/2.0") => {
                (*flow, header(text, "From"), header(text, "To"), header(text, "Call-ID"))
            }
            Some(Heard { flow, text }) => {
                let theirs = header(text, "To");
                let theirs = if theirs.contains(";tag=") { theirs } else { format!("{theirs};tag=callee") };
                (*flow, theirs, header(text, "From"), header(text, "Call-ID"))
            }
            None => {
                let call = self.choices.below(4);
                (
                    self.flow(),
                    "<sip:p@198.51.100.7>;tag=peer".to_owned(),
                    "<sip:us@192.0.2.1>".to_owned(),
                    format!("call-{call}"),
                )
            }
        };
        let number = 1 + self.choices.below(4);
        let text = format!(
            "{method} sip:us@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bKp{branch};rport\r\nFrom: {from}\r\n\
             To: {to}\r\nCall-ID: {call_id}\r\nCSeq: {number} {method}\r\nContact: <sip:p@{}>\r\n{extra}{}",
            flow.remote,
            flow.remote,
            content(body)
        );
        self.deliver(flow, text);
    }

    /// A response of a peer to a request of ours.
    fn reply(&mut self) {
        let Some(Heard { flow, text }) = self.heard_of(|text| !text.starts_with("SIP/2.0")) else { return };
        let status = self.choices.of(&STATUSES);
        let fork = self.choices.below(4);
        let extra = self.choices.of(&EXTRAS);
        let body = if self.choices.below(2) == 0 { SDP } else { "" };
        let to = header(&text, "To");
        let to = if to.contains(";tag=") { to } else { format!("{to};tag=fork{fork}") };
        let reply = format!(
            "SIP/2.0 {status} Whatever\r\nVia: {}\r\nFrom: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
             Contact: <sip:q@{}>\r\n{extra}{}",
            header(&text, "Via"),
            header(&text, "From"),
            header(&text, "Call-ID"),
            header(&text, "CSeq"),
            flow.remote,
            content(body)
        );
        self.deliver(flow, reply);
    }

    /// As it is, or with a few bytes changed.
    fn deliver(&mut self, flow: Flow, text: String) {
        let mut bytes = text.into_bytes();
        if self.choices.below(4) == 3 {
            for _ in 0..=self.choices.below(3) {
                let at = usize::from(self.choices.byte()) * 4 + self.choices.below(4);
                let at = at % bytes.len().max(1);
                let cut = self.choices.below(6).min(bytes.len() - at);
                let piece = self.choices.bytes(6);
                bytes.splice(at..at + cut, piece.iter().copied());
            }
        }
        self.receive(flow, bytes);
    }

    fn receive(&mut self, flow: Flow, bytes: Vec<u8>) {
        self.endpoint.handle(self.now, Input::Datagram { flow, bytes: &bytes });
        self.last = Some((flow, bytes));
    }

    fn repeat(&mut self) {
        let Some((flow, bytes)) = self.last.clone() else { return };
        for _ in 0..=self.choices.below(3) {
            self.endpoint.handle(self.now, Input::Datagram { flow, bytes: &bytes });
            self.drain();
        }
    }

    fn pass(&mut self) {
        let milliseconds =
            self.choices.of(&[0, 1, 499, 500, 1_000, 4_000, 5_000, 32_000, 33_000, 61_000, 181_000]);
        self.advance(Duration::from_millis(milliseconds));
    }

    fn advance(&mut self, by: Duration) {
        let target = self.now + by;
        for wake in 0.. {
            assert!(wake < MAX_WAKES, "the endpoint wakes again and again");
            let Some(at) = self.endpoint.deadline().filter(|at| *at <= target) else { break };
            self.now = self.now.max(at);
            self.endpoint.handle(self.now, Input::Timeout);
            self.drain();
        }
        self.now = target;
    }

    fn command(&mut self) {
        let known: Vec<LegId> = self.legs.keys().copied().collect();
        let at = self.choices.below(known.len());
        let Some(&leg) = known.get(at) else { return self.respond() };
        let (now, sdp) = (self.now, SDP.as_bytes());
        let reason = Reason { protocol: ReasonProtocol::Q850, cause: 16, text: Some("a \"b\"".to_owned()) };
        let endpoint = &mut self.endpoint;
        let _ = match self.choices.below(24) {
            0 => endpoint.trying(now, leg),
            1 => endpoint.ringing(now, leg),
            2 => endpoint.progress(now, leg, sdp),
            3..=5 => endpoint.answer(now, leg, sdp),
            6 => endpoint.reject(now, leg, 486, None, &[]),
            7 => endpoint.ignore(now, leg),
            8 => endpoint.challenge(
                now,
                leg,
                ChallengeKind::Unauthorized,
                &["Digest realm=\"r\", nonce=\"n\"".to_owned()],
            ),
            9 => endpoint.bye(now, leg, Some(&reason)),
            10 => endpoint.cancel(now, leg, Some(&reason)),
            11 => endpoint.hang_up(now, leg, 480, Some(&reason)),
            12 => endpoint.reinvite(now, leg, Some(sdp)),
            13 => endpoint.reinvite(now, leg, None),
            14 => endpoint.accept_reinvite(now, leg, sdp),
            15 => endpoint.reject_reinvite(now, leg, 488),
            16 => endpoint.acknowledge(now, leg, sdp),
            17 => endpoint.info(now, leg, "application/dtmf-relay", b"Signal=1\r\n"),
            18 => endpoint.abandon(now, leg),
            19 => {
                let field =
                    HeaderField::new(FieldName::Authorization, "Digest username=\"u\"").expect("one line");
                endpoint.retry_with_auth(now, leg, field)
            }
            20 => {
                let _ = endpoint.dialog_snapshot(leg);
                endpoint.set_ring_timeout(now, leg, Duration::from_secs(5))
            }
            21 => endpoint.turn_away(now, leg, 403, None, &[]),
            22 => endpoint.overlook(leg),
            _ => return self.respond(),
        };
    }

    fn respond(&mut self) {
        let at = self.choices.below(self.requests.len());
        let Some(&transaction) = self.requests.get(at) else { return };
        let status = self.choices.of(&STATUSES);
        let _ = match self.choices.below(4) {
            0 => self.endpoint.overlook_request(transaction),
            1 => self.endpoint.respond_once(self.now, transaction, status, &[]),
            _ => self.endpoint.respond(self.now, transaction, status, None, &[], None),
        };
    }

    /// A call or a request of ours.
    fn place(&mut self) {
        let flow = self.flow();
        let uri = OwnedUri::parse("sip:q@198.51.100.7").expect("a URI");
        let from = Address::parse("sip:us@192.0.2.1").expect("a URI");
        if self.choices.below(4) == 0 {
            let method = self.choices.of(&[Method::Options, Method::Register, Method::Message]);
            let request = OutgoingRequest::new(flow, method, uri.clone(), from, Address::new(uri));
            let _ = self.endpoint.request(self.now, request);
            return;
        }
        let mut invite = OutgoingInvite::new(flow, uri.clone(), from, Address::new(uri));
        invite.sdp = (self.choices.below(3) != 0).then(|| SDP.as_bytes().to_vec());
        invite.ring_timeout = Duration::from_secs(self.choices.of(&[5, 60]));
        if let Ok(leg) = self.endpoint.invite(self.now, invite) {
            self.legs.insert(leg, true);
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll() {
            match output {
                Output::Transmit { flow, bytes } => self.transmitted(flow, &bytes),
                Output::Event(event) => self.happened(&event),
            }
        }
        let stats = self.endpoint.stats();
        assert!(stats.legs <= self.limits.legs, "{stats:?}");
        assert!(stats.server_transactions <= self.limits.server_transactions, "{stats:?}");
        assert!(stats.client_transactions <= self.limits.client_transactions, "{stats:?}");
        let entries = stats.legs + 2 * stats.server_transactions + stats.client_transactions;
        assert!(stats.index_entries <= entries, "an index outgrew its table: {stats:?}");
        assert!(stats.timers <= 3 * entries + 2_048, "deadlines pile up: {stats:?}");
    }

    fn transmitted(&mut self, flow: Flow, bytes: &[u8]) {
        assert!(flow.remote.ip().to_string().starts_with("198.51.100."), "sent to {flow:?}");
        let text = String::from_utf8_lossy(bytes).into_owned();
        let is_request = !text.starts_with("SIP/2.0");
        if is_request {
            let mut scratch = Vec::new();
            match Message::parse(bytes, &mut scratch, usize::MAX) {
                Ok(Message::Request(request)) => assert_eq!(
                    request.common.headers.first(tandem_sip::message::HeaderName::Via).map(|_| 1),
                    Some(1)
                ),
                other => panic!("{other:?} of {text}"),
            }
        }
        let framing = |name: &str| text.lines().filter(|line| line.starts_with(name)).count();
        assert_eq!(framing("Content-Length: "), 1, "{text}");
        if self.heard.len() == MEMORY {
            self.heard.pop_front();
        }
        self.heard.push_back(Heard { flow, text });
    }

    fn happened(&mut self, event: &Event) {
        let (leg, is_final) = match event {
            Event::Invite { leg, .. } => {
                assert!(self.legs.insert(*leg, true).is_none(), "a leg begins once");
                return;
            }
            Event::Request { transaction, .. } => {
                self.requests.push(*transaction);
                return;
            }
            Event::Response { .. } | Event::RequestFailed { .. } => return,
            Event::Rejected { leg, .. }
            | Event::Redirected { leg, .. }
            | Event::Cancelled { leg, .. }
            | Event::Bye { leg, .. }
            | Event::AckTimeout { leg }
            | Event::Terminated { leg, .. } => (*leg, true),
            Event::LateAnswerAfterCancel { leg }
            | Event::Ringing { leg, .. }
            | Event::Progress { leg, .. }
            | Event::Answered { leg, .. }
            | Event::Challenged { leg, .. }
            | Event::Acked { leg, .. }
            | Event::Reinvited { leg, .. }
            | Event::ReinviteAnswered { leg, .. }
            | Event::ReinviteFailed { leg, .. }
            | Event::Info { leg, .. }
            | Event::InfoAnswered { leg, .. } => (*leg, false),
        };
        let is_live =
            self.legs.get_mut(&leg).unwrap_or_else(|| panic!("{event:?} of a leg that never began"));
        assert!(*is_live, "{event:?} after the leg's end");
        *is_live = !is_final;
    }

    /// Everybody hangs up and all timers run out.
    fn end(&mut self) {
        for leg in self.legs.keys().copied().collect::<Vec<_>>() {
            let _ = self.endpoint.hang_up(self.now, leg, 480, None);
            self.drain();
        }
        for transaction in std::mem::take(&mut self.requests) {
            let _ = self.endpoint.respond(self.now, transaction, 500, None, &[], None);
            self.drain();
        }
        // 64×T1 for a 2xx without ACK, again for its BYE, and again for what answers that.
        self.advance(Duration::from_secs(400));
        for leg in self.legs.keys().copied().collect::<Vec<_>>() {
            let _ = self.endpoint.hang_up(self.now, leg, 480, None);
            self.drain();
        }
        self.advance(Duration::from_secs(400));
        let stats = self.endpoint.stats();
        let left = (stats.legs, stats.server_transactions, stats.client_transactions, stats.index_entries);
        assert_eq!(left, (0, 0, 0, 0), "{:?}", self.endpoint);
        // The deadline of a session that would have lasted a day.
        self.advance(Duration::from_hours(25));
        assert_eq!(self.endpoint.deadline(), None);
    }
}

fn content(body: &str) -> String {
    if body.is_empty() {
        return "Content-Length: 0\r\n\r\n".to_owned();
    }
    format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

fn header(text: &str, name: &str) -> String {
    let prefix = format!("{name}: ");
    text.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
}
