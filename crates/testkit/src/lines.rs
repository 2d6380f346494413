//! Bridged calls by the dozen, both ends in one hand: an ACL PBX that calls, a carrier that answers, and RTP from each to
//! the other in which every packet says whose it is. What arrives at either end is counted by whose it is.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use serde_json::{Value, json};
use tandem_model::{clock, entropy};

use crate::spray::{MARK, packet};

/// Length of a frame.
const FRAME: Duration = Duration::from_millis(20);
/// Samples of a frame.
const SAMPLES: u32 = 160;
const CALLER: &[u8] = b"the caller of line ";
const CALLEE: &[u8] = b"the callee of line ";
/// An unanswered INVITE is said again after so many frames.
const REPEAT_FRAMES: u32 = 25;
/// Frames between two INVITEs: 25 calls a second.
const SPACING: u32 = 2;
/// Every call is up by then, or the run fails.
const SETUP: Duration = Duration::from_secs(20);
/// After the last BYE.
const FAREWELL: Duration = Duration::from_secs(1);

/// The calls to come.
#[derive(Clone, Debug)]
pub struct Lines {
    /// Where SIP is served.
    pub platform: SocketAddr,
    /// The PBX's address: on the trunk's ACL.
    pub caller: SocketAddr,
    /// Where the carrier listens.
    pub callee: SocketAddr,
    /// The trunk's domain.
    pub domain: String,
    /// A number of the customer, with plus.
    pub number: String,
    /// Dialled numbers begin with these digits; four more follow.
    pub dialled: String,
    /// How many calls at once.
    pub calls: u16,
    /// How long they talk once all are up.
    pub talk: Duration,
}

/// What both ends heard.
#[derive(Clone, Copy, Debug, Default)]
pub struct LinesReport {
    /// Calls that were answered.
    pub answered: u64,
    /// Calls whose BYE was answered.
    pub ended: u64,
    /// Packets that callers and callees sent.
    pub sent: u64,
    /// Of those, how many the other end of the same line heard.
    pub heard: u64,
    /// Packets of another line.
    pub crossed: u64,
    /// Sprayed packets.
    pub foreign: u64,
    /// Anything else.
    pub others: u64,
}

impl LinesReport {
    /// As the tools print it.
    pub fn json(&self) -> Value {
        json!({"answered": self.answered, "ended": self.ended, "sent": self.sent, "heard": self.heard,
            "crossed": self.crossed, "foreign": self.foreign, "others": self.others})
    }
}

struct End {
    socket: UdpSocket,
    far: Option<SocketAddr>,
    ssrc: u32,
    frames: u32,
    says: Vec<u8>,
    hears: Vec<u8>,
}

struct Line {
    call_id: String,
    branch: String,
    dialled: String,
    /// To-tag and Contact, once answered.
    dialog: Option<(String, String)>,
    asked_at: u32,
    ended: bool,
    caller: End,
    callee: End,
}

struct Wires<'a> {
    lines: &'a Lines,
    caller: UdpSocket,
    callee: UdpSocket,
}

impl Lines {
    /// Makes the calls, lets them talk, hangs up. `up` is run once all are answered.
    ///
    /// # Errors
    /// When sockets cannot be had, or not every call is answered in time.
    pub async fn run(&self, up: impl FnOnce()) -> io::Result<LinesReport> {
        let wires = Wires { lines: self, caller: bound(self.caller)?, callee: bound(self.callee)? };
        let mut lines = (0..self.calls).map(|number| self.line(number)).collect::<io::Result<Vec<_>>>()?;
        let mut report = LinesReport::default();
        let mut tick = tokio::time::interval(FRAME);
        let began = clock::monotonic();
        let mut up = Some(up);
        let (mut frame, mut ends_at, mut gone_at) = (0_u32, None, None);
        loop {
            tick.tick().await;
            frame += 1;
            let now = clock::monotonic();
            wires.signal(&mut lines, frame);
            let talking = ends_at.is_some() && gone_at.is_none();
            for line in &mut lines {
                let Line { caller, callee, .. } = line;
                for end in [caller, callee] {
                    let heard = end.listen();
                    if talking {
                        report.sent += u64::from(end.speak());
                    }
                    report.heard += heard.heard;
                    report.crossed += heard.crossed;
                    report.foreign += heard.foreign;
                    report.others += heard.others;
                }
            }
            report.answered = lines.iter().filter(|line| line.dialog.is_some()).count() as u64;
            if report.answered == u64::from(self.calls)
                && let Some(up) = up.take()
            {
                ends_at = Some(now + self.talk);
                up();
            }
            if up.is_some() && now > began + SETUP {
                return Err(io::Error::other(format!("{} of {} calls are up", report.answered, self.calls)));
            }
            if gone_at.is_none() && ends_at.is_some_and(|ends_at| now >= ends_at) {
                gone_at = Some(now + FAREWELL);
                for line in &lines {
                    wires.bye(line);
                }
            }
            if gone_at.is_some_and(|gone_at| now >= gone_at) {
                report.ended = lines.iter().filter(|line| line.ended).count() as u64;
                return Ok(report);
            }
        }
    }

    fn line(&self, number: u16) -> io::Result<Line> {
        let end = |ip: IpAddr, says: &[u8], hears: &[u8]| {
            let whole = |words: &[u8]| [words, format!("{number:04}").as_bytes()].concat();
            io::Result::Ok(End {
                socket: bound(SocketAddr::new(ip, 0))?,
                far: None,
                ssrc: entropy::number() as u32,
                frames: 0,
                says: whole(says),
                hears: whole(hears),
            })
        };
        Ok(Line {
            call_id: format!("{:016x}", entropy::number()),
            branch: format!("z9hG4bK{:016x}", entropy::number()),
            dialled: format!("{}{number:04}", self.dialled),
            dialog: None,
            asked_at: 0,
            ended: false,
            caller: end(self.caller.ip(), CALLER, CALLEE)?,
            callee: end(self.callee.ip(), CALLEE, CALLER)?,
        })
    }
}

impl Wires<'_> {
    /// Reads both sockets and says what is due.
    fn signal(&self, lines: &mut [Line], frame: u32) {
        let mut buffer = vec![0; 65_536];
        while let Ok((length, _)) = self.caller.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let Some(line) = lines.iter_mut().find(|line| header(&text, "Call-ID") == line.call_id) else {
                continue;
            };
            let status = text.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3)).unwrap_or_default();
            if status == "200" && header(&text, "CSeq").ends_with("INVITE") {
                let tag = header(&text, "To").split(";tag=").nth(1).unwrap_or_default().to_owned();
                let contact =
                    header(&text, "Contact").split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                line.caller.far = media(&text);
                line.dialog = Some((tag, contact));
                self.ask(line, "ACK", 1, "");
            } else if status == "200" {
                line.ended = true;
            }
        }
        while let Ok((length, source)) = self.callee.recv_from(&mut buffer) {
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let method = text.split(' ').next().unwrap_or_default();
            let user = text.split([':', '@']).nth(1).unwrap_or_default().trim_start_matches('+').to_owned();
            let sdp = match (method, lines.iter_mut().find(|line| line.dialled == user)) {
                ("INVITE", Some(line)) => {
                    line.callee.far = media(&text);
                    line.callee.sdp()
                }
                ("BYE" | "CANCEL" | "OPTIONS", _) => String::new(),
                _ => continue,
            };
            drop(self.callee.send_to(answer(&text, self.lines.callee, &sdp).as_bytes(), source));
        }
        for (number, line) in (0..).zip(lines) {
            let due = if line.asked_at == 0 { SPACING * number } else { line.asked_at + REPEAT_FRAMES };
            if line.dialog.is_none() && frame > due {
                line.asked_at = frame;
                self.ask(line, "INVITE", 1, &line.caller.sdp());
            }
        }
    }

    fn bye(&self, line: &Line) {
        self.ask(line, "BYE", 2, "");
    }

    fn ask(&self, line: &Line, method: &str, cseq: u32, sdp: &str) {
        let Lines { domain, number, caller, platform, .. } = self.lines;
        let (tag, target) = match &line.dialog {
            Some((tag, contact)) => (format!(";tag={tag}"), contact.clone()),
            None => (String::new(), format!("sip:{}@{domain}", line.dialled)),
        };
        let branch =
            if method == "INVITE" { line.branch.clone() } else { format!("{}{method}", line.branch) };
        let text = format!(
            "{method} {target} SIP/2.0\r\nVia: SIP/2.0/UDP {caller};branch={branch};rport\r\n\
             From: <sip:{number}@{domain}>;tag={id}\r\nTo: <sip:{dialled}@{domain}>{tag}\r\nCall-ID: {id}\r\n\
             CSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:pbx@{caller}>\r\n{body}",
            id = line.call_id,
            dialled = line.dialled,
            body = body(sdp)
        );
        drop(self.caller.send_to(text.as_bytes(), platform));
    }
}

impl End {
    fn sdp(&self) -> String {
        let own =
            self.socket.local_addr().map_or((String::new(), 0), |own| (own.ip().to_string(), own.port()));
        format!(
            "v=0\r\no=line 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n\
             a=rtpmap:0 PCMU/8000\r\na=ptime:20\r\na=sendrecv\r\n",
            ip = own.0,
            port = own.1
        )
    }

    fn speak(&mut self) -> bool {
        let Some(far) = self.far else { return false };
        self.frames += 1;
        let packet = packet(self.ssrc, self.frames as u16, self.frames * SAMPLES, &self.says);
        self.socket.send_to(&packet, far).is_ok()
    }

    fn listen(&self) -> LinesReport {
        let mut heard = LinesReport::default();
        let mut buffer = [0; 2_048];
        while let Ok((length, _)) = self.socket.recv_from(&mut buffer) {
            let payload = buffer[..length].get(12..).unwrap_or_default();
            let counter = match payload {
                _ if payload.starts_with(&self.hears) => &mut heard.heard,
                _ if payload.starts_with(MARK) => &mut heard.foreign,
                _ if payload.starts_with(CALLER) || payload.starts_with(CALLEE) => &mut heard.crossed,
                _ => &mut heard.others,
            };
            *counter += 1;
        }
        heard
    }
}

fn bound(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn header<'a>(text: &'a str, name: &str) -> &'a str {
    let lines = text.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
    let mut found = lines.filter(|(found, _)| found.eq_ignore_ascii_case(name));
    found.next().map_or("", |(_, value)| value.trim())
}

fn media(text: &str) -> Option<SocketAddr> {
    let line = |start: &str| text.lines().find_map(|line| line.strip_prefix(start));
    let port = line("m=audio ")?.split(' ').next()?.parse().ok()?;
    Some(SocketAddr::new(line("c=IN IP4 ")?.trim().parse().ok()?, port))
}

fn body(sdp: &str) -> String {
    if sdp.is_empty() {
        return "Content-Length: 0\r\n\r\n".to_owned();
    }
    format!("Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len())
}

/// 200 to a request, with a tag of its own.
fn answer(request: &str, own: SocketAddr, sdp: &str) -> String {
    let vias = request.lines().filter(|line| line.starts_with("Via:"));
    let vias = vias.collect::<Vec<_>>().join("\r\n");
    let to = header(request, "To");
    let tag = if to.contains(";tag=") { "" } else { ";tag=callee" };
    format!(
        "SIP/2.0 200 OK\r\n{vias}\r\nFrom: {}\r\nTo: {to}{tag}\r\nCall-ID: {}\r\nCSeq: {}\r\n\
         Contact: <sip:callee@{own}>\r\n{}",
        header(request, "From"),
        header(request, "Call-ID"),
        header(request, "CSeq"),
        body(sdp)
    )
}
