//! A SIP peer that says what a scenario tells it to, message by message, right or wrong: no transaction, no retransmission,
//! no dialog of its own. What the platform does is what is looked at.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tandem_model::{clock, entropy};
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::PATIENCE;

/// Longest datagram.
const DATAGRAM: usize = 65_535;

/// A message as it came.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    text: String,
    source: SocketAddr,
}

impl Message {
    /// Status of a response.
    pub(crate) fn status(&self) -> Option<u16> {
        self.text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Method: of a request, or of the request that was answered.
    pub(crate) fn method(&self) -> String {
        match self.status() {
            Some(_) => self.header("CSeq").split(' ').nth(1).unwrap_or_default().to_owned(),
            None => self.text.split(' ').next().unwrap_or_default().to_owned(),
        }
    }

    /// Request-URI.
    pub(crate) fn uri(&self) -> &str {
        self.text.split(' ').nth(1).unwrap_or_default()
    }

    /// All values of a header.
    pub(crate) fn headers(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The first value of a header that must be there.
    #[track_caller]
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers(name).first().copied().unwrap_or_else(|| panic!("no {name} in {}", self.text))
    }

    /// To-tag.
    pub(crate) fn to_tag(&self) -> &str {
        self.header("To").split(";tag=").nth(1).unwrap_or_default()
    }

    /// Body.
    pub(crate) fn body(&self) -> &str {
        self.text.split_once("\r\n\r\n").map_or("", |(_, body)| body)
    }

    /// Length of the whole.
    pub(crate) fn bytes(&self) -> usize {
        self.text.len()
    }

    /// The URI between the brackets of a Contact.
    #[track_caller]
    pub(crate) fn contact(&self) -> &str {
        let contact = self.header("Contact");
        contact.split(['<', '>']).nth(1).unwrap_or_else(|| panic!("no URI in {contact}"))
    }

    /// Where the SDP wants the audio.
    #[track_caller]
    pub(crate) fn media(&self) -> SocketAddr {
        let line = |start: &str| {
            let found = self.body().lines().find_map(|line| line.strip_prefix(start));
            found.unwrap_or_else(|| panic!("no {start} in {}", self.text)).trim().to_owned()
        };
        let port = line("m=audio ").split(' ').next().unwrap_or_default().parse().expect("a port");
        SocketAddr::new(line("c=IN IP4 ").parse().expect("an address"), port)
    }
}

/// A peer on a port of its own.
pub(crate) struct Wire {
    socket: UdpSocket,
    /// Where it listens.
    pub(crate) address: SocketAddr,
    seen: Mutex<Vec<Message>>,
}

impl Wire {
    /// Listens on any port of an address.
    pub(crate) async fn open(ip: IpAddr) -> Self {
        Self::at(SocketAddr::new(ip, 0)).await
    }

    /// Listens there.
    pub(crate) async fn at(local: SocketAddr) -> Self {
        let socket = UdpSocket::bind(local).await.expect("a free port");
        let address = socket.local_addr().expect("an address");
        Self { socket, address, seen: Mutex::default() }
    }

    /// Sends bytes as they are.
    pub(crate) async fn say(&self, to: SocketAddr, text: &str) {
        self.socket.send_to(text.as_bytes(), to).await.expect("it leaves");
    }

    /// Waits for a message of a kind; what comes before it is kept in what was seen and otherwise passed over.
    ///
    /// # Panics
    /// After [`PATIENCE`], with everything that came.
    #[track_caller]
    pub(crate) fn hear(
        &self,
        what: impl std::fmt::Display,
        is_it: impl Fn(&Message) -> bool,
    ) -> impl Future<Output = Message> {
        let asked_at = std::panic::Location::caller();
        async move {
            let found = async {
                loop {
                    let message = self.next().await;
                    if is_it(&message) {
                        return message;
                    }
                }
            };
            timeout(PATIENCE, found).await.unwrap_or_else(|_| {
                panic!("{asked_at}: {} never heard {what}; it heard {:#?}", self.address, self.seen())
            })
        }
    }

    /// Waits for a request.
    #[track_caller]
    pub(crate) fn asked(&self, method: &str) -> impl Future<Output = Message> {
        let method = method.to_owned();
        self.hear(method.clone(), move |message| message.status().is_none() && message.method() == method)
    }

    /// Waits for a response to a method.
    #[track_caller]
    pub(crate) fn told(&self, status: u16, method: &str) -> impl Future<Output = Message> {
        let method = method.to_owned();
        let what = format!("{status} to {method}");
        self.hear(what, move |message| message.status() == Some(status) && message.method() == method)
    }

    /// Listens for so long.
    pub(crate) async fn listen(&self, time: Duration) {
        let until = clock::monotonic() + time;
        while let Some(left) = until.checked_duration_since(clock::monotonic()) {
            drop(timeout(left, self.next()).await);
        }
    }

    /// Everything that came and was listened to.
    pub(crate) fn seen(&self) -> Vec<Message> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests of a method came.
    pub(crate) fn requests(&self, method: &str) -> usize {
        self.seen().iter().filter(|message| message.status().is_none() && message.method() == method).count()
    }

    /// How many responses of a status came.
    pub(crate) fn responses(&self, status: u16) -> usize {
        self.seen().iter().filter(|message| message.status() == Some(status)).count()
    }

    /// Answers a request as `tag`, with further header lines and SDP.
    pub(crate) async fn reply(&self, request: &Message, status: u16, tag: &str, lines: &str, sdp: &str) {
        let mut text = format!("SIP/2.0 {status} As It Is\r\n");
        for name in ["Via", "Record-Route"] {
            for value in request.headers(name) {
                write!(text, "{name}: {value}\r\n").expect("a string takes it");
            }
        }
        let to = request.header("To");
        let tag = if to.contains(";tag=") || tag.is_empty() { String::new() } else { format!(";tag={tag}") };
        write!(
            text,
            "From: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: <sip:wire@{}>\r\n{lines}{}",
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            self.address,
            body(sdp)
        )
        .expect("a string takes it");
        self.say(request.source, &text).await;
    }

    /// A request of a callee inside the dialog that it made, as `tag`, of the platform's `invite`.
    pub(crate) async fn callee_asks(
        &self,
        invite: &Message,
        method: &str,
        cseq: u32,
        tag: &str,
        lines: &str,
        sdp: &str,
    ) {
        let text = format!(
            "{method} {} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch=z9hG4bK{:016x};rport\r\nFrom: {};tag={tag}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:wire@{}>\r\n{lines}{}",
            invite.contact(),
            self.address,
            entropy::number(),
            invite.header("To"),
            invite.header("From"),
            invite.header("Call-ID"),
            self.address,
            body(sdp)
        );
        self.say(invite.source, &text).await;
    }

    async fn next(&self) -> Message {
        let mut buffer = vec![0; DATAGRAM];
        loop {
            // An ICMP error of something sent earlier is no message.
            let Ok((length, source)) = self.socket.recv_from(&mut buffer).await else { continue };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            // A keep-alive.
            if text.trim().is_empty() {
                continue;
            }
            let message = Message { text, source };
            self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(message.clone());
            return message;
        }
    }
}

/// A call that a wire makes.
pub(crate) struct Calling<'a> {
    pub(crate) wire: &'a Wire,
    platform: SocketAddr,
    uri: String,
    from: String,
    call_id: String,
    branch: String,
    cseq: u32,
    /// To-tag and Contact of the dialog, once there is one.
    dialog: Option<(String, String)>,
    /// Contact of ours, after a move.
    pub(crate) contact: SocketAddr,
}

impl<'a> Calling<'a> {
    /// A call from a number to a URI; nothing is sent yet.
    pub(crate) fn new(wire: &'a Wire, platform: SocketAddr, from: &str, to: &str, host: &str) -> Self {
        let id = entropy::number();
        Self {
            wire,
            platform,
            uri: format!("sip:{to}@{host}"),
            from: format!("<sip:{from}@{host}>;tag=a{id:x}"),
            call_id: format!("{id:016x}"),
            branch: String::new(),
            cseq: 0,
            dialog: None,
            contact: wire.address,
        }
    }

    /// INVITE.
    pub(crate) async fn invite(&mut self, lines: &str, sdp: &str) {
        self.ask("INVITE", lines, sdp).await;
    }

    /// The last request again, byte by byte, as a network may do it.
    pub(crate) async fn repeat(&self, method: &str, lines: &str, sdp: &str) {
        self.wire.say(self.platform, &self.print(method, self.cseq, &self.branch, lines, sdp)).await;
    }

    /// A new request: CSeq and branch of its own.
    pub(crate) async fn ask(&mut self, method: &str, lines: &str, sdp: &str) {
        self.cseq += 1;
        self.branch = format!("z9hG4bK{:016x}", entropy::number());
        self.repeat(method, lines, sdp).await;
    }

    /// CANCEL of the INVITE that was sent last.
    pub(crate) async fn cancel(&self) {
        self.repeat("CANCEL", "", "").await;
    }

    /// The dialog is the one of this response.
    pub(crate) fn take_dialog(&mut self, response: &Message) {
        self.dialog = Some((response.to_tag().to_owned(), response.contact().to_owned()));
    }

    /// The 200 to the INVITE, acknowledged with SDP if there is any.
    pub(crate) async fn answered(&mut self, sdp: &str) -> Message {
        let ok = self.wire.told(200, "INVITE").await;
        self.take_dialog(&ok);
        self.ack(sdp).await;
        ok
    }

    /// ACK to the 2xx of the INVITE sent last.
    pub(crate) async fn ack(&self, sdp: &str) {
        self.ack_of(self.cseq, sdp).await;
    }

    /// ACK to the 2xx of the INVITE with that CSeq number.
    pub(crate) async fn ack_of(&self, cseq: u32, sdp: &str) {
        let branch = format!("z9hG4bK{:016x}", entropy::number());
        self.wire.say(self.platform, &self.print("ACK", cseq, &branch, "", sdp)).await;
    }

    /// A final failure, acknowledged in its transaction.
    pub(crate) async fn refused(&mut self, status: u16) -> Message {
        let refusal = self.wire.told(status, "INVITE").await;
        if self.dialog.is_some() {
            self.repeat("ACK", "", "").await;
        } else {
            self.dialog = Some((refusal.to_tag().to_owned(), self.uri.clone()));
            self.repeat("ACK", "", "").await;
            self.dialog = None;
        }
        refusal
    }

    /// BYE and its 200.
    pub(crate) async fn hang_up(&mut self) {
        self.ask("BYE", "", "").await;
        self.wire.told(200, "BYE").await;
    }

    fn print(&self, method: &str, cseq: u32, branch: &str, lines: &str, sdp: &str) -> String {
        let (tag, target) = match &self.dialog {
            Some((tag, target)) => (format!(";tag={tag}"), target.as_str()),
            None => (String::new(), self.uri.as_str()),
        };
        format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {};branch={branch};rport\r\nFrom: {}\r\nTo: <{}>{tag}\r\n\
             Call-ID: {}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nUser-Agent: wire\r\nContact: <sip:wire@{}>\r\n\
             {lines}{}",
            self.wire.address,
            self.from,
            self.uri,
            self.call_id,
            self.contact,
            body(sdp)
        )
    }
}

/// The end of the header and the body.
fn body(sdp: &str) -> String {
    if sdp.is_empty() {
        "Content-Length: 0\r\n\r\n".to_owned()
    } else {
        format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
    }
}

/// An audio description.
#[derive(Clone, Copy)]
pub(crate) struct Sdp<'a> {
    /// Connection address and port.
    pub(crate) media: SocketAddr,
    /// Version of `o=`.
    pub(crate) version: u32,
    /// `a=` of the direction.
    pub(crate) direction: &'a str,
    /// Further lines after the audio: other media.
    pub(crate) further: &'a str,
}

impl Sdp<'_> {
    /// Talk both ways.
    pub(crate) fn talk(media: SocketAddr) -> Self {
        Self { media, version: 1, direction: "sendrecv", further: "" }
    }

    /// Printed.
    pub(crate) fn text(self) -> String {
        let Self { media, version, direction, further } = self;
        format!(
            "v=0\r\no=wire 7 {version} IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0 101\r\n\
             a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=ptime:20\r\na={direction}\r\n{further}",
            ip = media.ip(),
            port = media.port()
        )
    }
}
