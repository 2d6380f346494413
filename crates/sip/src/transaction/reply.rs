//! What every response to one request repeats: Via, From, To, Call-ID, CSeq and Record-Route
//! (RFC 3261 §8.2.6.2), printed once when the request arrives.

use std::fmt::Write;
use std::net::IpAddr;

use crate::flow::{Flow, Transport};
use crate::message::{Common, HeaderName, MessageWriter, NameAddr, Via};

/// Printed lines in one allocation: `[Via…, From, Call-ID, CSeq][Record-Route…][To value]`.
#[derive(Clone, Debug)]
pub(crate) struct ReplyTemplate {
    text: Box<[u8]>,
    record_route_at: u32,
    to_at: u32,
    to_has_tag: bool,
}

impl ReplyTemplate {
    /// Print the lines for a request that came over a flow.
    pub(crate) fn new(buffer: &mut Vec<u8>, common: &Common<'_>, flow: Flow) -> Self {
        let mut printed = Printed::start(buffer);
        for (position, text) in common.headers.elements(HeaderName::Via).enumerate() {
            if position == 0 {
                printed.top_via(&common.via, flow);
            } else {
                printed.line("Via", text);
            }
        }
        printed.line("From", common.from.text);
        printed.line("Call-ID", common.call_id);
        printed.sequence(common.cseq.number, common.cseq.method);
        let routes: &mut dyn Iterator<Item = &str> = &mut common.headers.elements(HeaderName::RecordRoute);
        printed.end(routes, common.to.text, common.to.tag().is_some())
    }

    /// Print the lines from values that are kept elsewhere.
    pub(crate) fn from_parts<'a>(
        buffer: &mut Vec<u8>,
        vias: impl Iterator<Item = &'a str>,
        from: &str,
        to: &str,
        call_id: &str,
        cseq: &str,
    ) -> Self {
        let mut printed = Printed::start(buffer);
        for via in vias {
            printed.line("Via", via);
        }
        printed.line("From", from);
        printed.line("Call-ID", call_id);
        printed.line("CSeq", cseq);
        let has_tag = NameAddr::parse(to).map_or_else(|| to.contains(";tag="), |to| to.tag().is_some());
        printed.end(&mut std::iter::empty(), to, has_tag)
    }

    /// Print the repeated lines into a response; `tag` is added to To if the request's had none.
    pub(crate) fn print(
        &self,
        writer: &mut MessageWriter<'_>,
        tag: Option<&dyn std::fmt::Display>,
        routes: Routes,
    ) {
        let split = |from: u32, to: u32| self.text.get(from as usize..to as usize).unwrap_or_default();
        writer.printed_lines(split(0, self.record_route_at));
        if routes == Routes::Repeated {
            writer.printed_lines(split(self.record_route_at, self.to_at));
        }
        let to = self.to();
        match tag {
            Some(tag) if !self.to_has_tag => writer.formatted(HeaderName::To, format_args!("{to};tag={tag}")),
            _ => writer.field(HeaderName::To, to),
        };
    }

    /// The To value of the request.
    pub(crate) fn to(&self) -> &str {
        let to = self.text.get(self.to_at as usize..).unwrap_or_default();
        std::str::from_utf8(to).unwrap_or_default()
    }

    /// The Via values, `received` and `rport` filled in.
    pub(crate) fn vias(&self) -> impl Iterator<Item = &str> {
        let head = self.text.get(..self.record_route_at as usize).unwrap_or_default();
        let head = std::str::from_utf8(head).unwrap_or_default();
        head.split("\r\n").filter_map(|line| line.strip_prefix("Via: "))
    }
}

/// Whether a response repeats Record-Route: those that make a dialog do (§12.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Routes {
    Repeated,
    Omitted,
}

/// Where responses go (RFC 3261 §18.2.2, RFC 3581): always to the source address; to the source port
/// if the transport is a stream or `rport` was asked for, else to the port of `sent-by`. `maddr` is
/// not followed: it would let a stranger aim our answers.
pub(crate) fn reply_flow(via: &Via<'_>, flow: Flow) -> Flow {
    if flow.transport.is_reliable() || via.wants_rport() {
        return flow;
    }
    let mut remote = flow.remote;
    remote.set_port(via.port.unwrap_or(5060));
    flow.to(remote)
}

struct Printed<'b> {
    buffer: &'b mut Vec<u8>,
}

impl<'b> Printed<'b> {
    fn start(buffer: &'b mut Vec<u8>) -> Self {
        buffer.clear();
        Self { buffer }
    }

    fn line(&mut self, name: &str, value: &str) {
        self.buffer.extend_from_slice(name.as_bytes());
        self.buffer.extend_from_slice(b": ");
        self.text(value);
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn sequence(&mut self, number: u32, method: &str) {
        let mut value = String::with_capacity(24);
        let _ = write!(value, "{number} {method}");
        self.line("CSeq", &value);
    }

    /// The topmost Via with what we saw filled in (RFC 3261 §18.2.1, RFC 3581 §4).
    fn top_via(&mut self, via: &Via<'_>, flow: Flow) {
        let (head, _) = via.text.split_once(';').unwrap_or((via.text, ""));
        self.buffer.extend_from_slice(b"Via: ");
        self.text(head.trim_end());
        let source = flow.remote.ip().to_canonical();
        let differs = sent_by_address(via.host) != Some(source);
        let with_rport = via.wants_rport() && flow.transport == Transport::Udp || via.wants_rport();
        for (name, value) in via.parameters.iter() {
            if name.eq_ignore_ascii_case("received") || name.eq_ignore_ascii_case("rport") {
                continue;
            }
            self.buffer.push(b';');
            self.text(name);
            if let Some(value) = value {
                self.buffer.push(b'=');
                self.text(value);
            }
        }
        if differs || with_rport {
            let mut value = String::with_capacity(48);
            let _ = write!(value, ";received={source}");
            self.text(&value);
        }
        if with_rport {
            let mut value = String::with_capacity(16);
            let _ = write!(value, ";rport={}", flow.remote.port());
            self.text(&value);
        }
        self.buffer.extend_from_slice(b"\r\n");
    }

    fn end(self, routes: &mut dyn Iterator<Item = &str>, to: &str, to_has_tag: bool) -> ReplyTemplate {
        let Self { buffer } = self;
        let record_route_at = buffer.len() as u32;
        for route in routes {
            let mut printed = Printed { buffer: &mut *buffer };
            printed.line("Record-Route", route);
        }
        let to_at = buffer.len() as u32;
        Printed { buffer: &mut *buffer }.text(to);
        ReplyTemplate { text: buffer.as_slice().into(), record_route_at, to_at, to_has_tag }
    }

    /// Values come from a checked message or a snapshot; a snapshot is a file, so line breaks are
    /// kept out here as well.
    fn text(&mut self, value: &str) {
        if value.bytes().any(|byte| byte < b' ' || byte == 0x7f) {
            self.buffer
                .extend(value.bytes().map(|byte| if byte < b' ' || byte == 0x7f { b' ' } else { byte }));
        } else {
            self.buffer.extend_from_slice(value.as_bytes());
        }
    }
}

fn sent_by_address(host: &str) -> Option<IpAddr> {
    let host = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    host.parse::<IpAddr>().ok().map(|address| address.to_canonical())
}
