//! The message parser: frame first (start line, header lines, body), then check what every message
//! must have. A framed message that fails the check can still be answered.

use smallvec::SmallVec;

use super::error::ParseError;
use super::method::Method;
use super::name::HeaderName;
use super::scan::{ListElements, decimal, is_token};
use super::uri::{Uri, UriError};
use super::value::{CSeq, NameAddr, Via};

/// Longest message accepted over UDP.
pub const MAX_DATAGRAM_BYTES: usize = 8 * 1024;
/// Longest message accepted over a stream.
pub const MAX_STREAM_MESSAGE_BYTES: usize = 64 * 1024;
/// Most header lines of a message.
pub const MAX_HEADERS: usize = 64;
/// Most elements of one list header over all its lines. A message with more of those that route it
/// ([`LISTS`]) is refused; of others the first are read.
pub const MAX_LIST_ELEMENTS: usize = 64;

/// Lists that cannot be cut short without changing where messages go.
const LISTS: [HeaderName; 6] = [
    HeaderName::Via,
    HeaderName::Route,
    HeaderName::RecordRoute,
    HeaderName::Contact,
    HeaderName::Path,
    HeaderName::ServiceRoute,
];

/// Headers that frame or identify a message, or decide what is done and when: a second one, even of the
/// same value, makes the message ambiguous. Headers that are only shown may repeat; the first counts.
const SINGLE: [HeaderName; 17] = [
    HeaderName::From,
    HeaderName::To,
    HeaderName::CallId,
    HeaderName::CSeq,
    HeaderName::MaxForwards,
    HeaderName::ContentLength,
    HeaderName::ContentType,
    HeaderName::ContentDisposition,
    HeaderName::Expires,
    HeaderName::MinExpires,
    HeaderName::SessionExpires,
    HeaderName::MinSe,
    HeaderName::RSeq,
    HeaderName::RAck,
    HeaderName::RetryAfter,
    HeaderName::ReferTo,
    HeaderName::Event,
];

const SINGLE_BITS: u64 = bits(&SINGLE);
const LIST_BITS: u64 = bits(&LISTS);
const _: () = assert!((HeaderName::Other as u64) < 64, "names fit into the bits of a u64");

const INLINE_HEADERS: usize = 24;

/// One header line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// The name, if we know it.
    pub name: HeaderName,
    /// The name as written.
    pub raw_name: &'a str,
    /// The value, unfolded and trimmed.
    pub value: &'a str,
}

/// The header lines of a message, in order.
#[derive(Clone, Debug, Default)]
pub struct Headers<'a>(SmallVec<[Header<'a>; INLINE_HEADERS]>);

impl<'a> Headers<'a> {
    /// All lines.
    pub fn iter(&self) -> impl Iterator<Item = &Header<'a>> {
        self.0.iter()
    }

    /// The first value of a name.
    pub fn first(&self, name: HeaderName) -> Option<&'a str> {
        self.0.iter().find(|header| header.name == name).map(|header| header.value)
    }

    /// The values of a name, one per line, not split at commas.
    pub fn values(&self, name: HeaderName) -> impl Iterator<Item = &'a str> {
        self.0.iter().filter(move |header| header.name == name).map(|header| header.value)
    }

    /// The elements of a list header over all its lines, at most [`MAX_LIST_ELEMENTS`].
    pub fn elements(&self, name: HeaderName) -> impl Iterator<Item = &'a str> {
        self.values(name).flat_map(ListElements::new).take(MAX_LIST_ELEMENTS)
    }

    fn required(&self, name: HeaderName) -> Result<&'a str, ParseError> {
        self.first(name).filter(|value| !value.is_empty()).ok_or(ParseError::Missing(name))
    }

    /// Nothing of [`SINGLE`] stands twice, nothing of [`LISTS`] is longer than its limit.
    fn check_counts(&self) -> Result<(), ParseError> {
        let mut seen = 0_u64;
        let mut commas = 0;
        for header in &self.0 {
            let bit = 1 << header.name as u64;
            if bit & SINGLE_BITS & seen != 0 {
                return Err(ParseError::Duplicate(header.name));
            }
            seen |= bit;
            if bit & LIST_BITS != 0 {
                commas += 1 + header.value.bytes().filter(|byte| *byte == b',').count();
            }
        }
        // Commas also stand in quoted strings, so few of them settle it and many do not.
        if commas <= MAX_LIST_ELEMENTS {
            return Ok(());
        }
        let is_long = |name: &HeaderName| {
            self.values(*name).flat_map(ListElements::new).nth(MAX_LIST_ELEMENTS).is_some()
        };
        LISTS.into_iter().find(is_long).map_or(Ok(()), |name| Err(ParseError::TooManyElements(name)))
    }
}

/// A message cut into start line, header lines and the bytes after them; nothing is checked yet.
#[derive(Clone, Debug)]
pub struct Framed<'a> {
    /// First line.
    pub start_line: &'a str,
    /// Header lines; if there were too many or one was malformed, those before it.
    pub headers: Headers<'a>,
    rest: &'a [u8],
    defect: Option<ParseError>,
}

/// What every checked message has.
#[derive(Clone, Debug)]
pub struct Common<'a> {
    /// All header lines.
    pub headers: Headers<'a>,
    /// Topmost Via.
    pub via: Via<'a>,
    /// From.
    pub from: NameAddr<'a>,
    /// To.
    pub to: NameAddr<'a>,
    /// Call-ID.
    pub call_id: &'a str,
    /// CSeq.
    pub cseq: CSeq<'a>,
    /// Max-Forwards, if written.
    pub max_forwards: Option<u8>,
    /// Body, as long as Content-Length says.
    pub body: &'a [u8],
}

/// A checked request.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Method.
    pub method: Method,
    /// The method's token as written.
    pub method_token: &'a str,
    /// Request-URI.
    pub uri: Uri<'a>,
    /// The rest.
    pub common: Common<'a>,
}

/// A checked response.
#[derive(Clone, Debug)]
pub struct Response<'a> {
    /// 100–699.
    pub status: u16,
    /// Reason phrase.
    pub phrase: &'a str,
    /// The rest.
    pub common: Common<'a>,
}

/// A checked message.
#[derive(Clone, Debug)]
pub enum Message<'a> {
    /// A request.
    Request(Request<'a>),
    /// A response.
    Response(Response<'a>),
}

impl<'a> Message<'a> {
    /// Parse one whole message of at most `limit` bytes.
    ///
    /// The message borrows `bytes`; only when its headers are folded or not UTF-8 are they rewritten
    /// (same length) into `scratch`, which it then borrows.
    pub fn parse(bytes: &'a [u8], scratch: &'a mut Vec<u8>, limit: usize) -> Result<Self, ParseError> {
        Framed::parse(bytes, scratch, limit)?.check()
    }
}

impl<'a> Framed<'a> {
    /// Cut a message into its parts. See [`Message::parse`].
    pub fn parse(bytes: &'a [u8], scratch: &'a mut Vec<u8>, limit: usize) -> Result<Self, ParseError> {
        if bytes.len() > limit {
            return Err(ParseError::TooLong);
        }
        let blank = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n' | 0)).count();
        let bytes = bytes.get(blank..).unwrap_or_default();
        if bytes.is_empty() {
            return Err(ParseError::KeepAlive);
        }
        let head_length = find(bytes, b"\r\n\r\n").ok_or(ParseError::Unterminated)? + 2;
        let (head, rest) = bytes.split_at(head_length);
        let rest = rest.get(2..).unwrap_or_default();
        match std::str::from_utf8(head) {
            Ok(text) if !is_folded(text) => Self::cut(text, rest),
            _ => {
                plain_text(head, scratch);
                let text = std::str::from_utf8(scratch).map_err(|_| ParseError::HeaderLine)?;
                Self::cut(text, rest)
            }
        }
    }

    fn cut(head: &'a str, rest: &'a [u8]) -> Result<Self, ParseError> {
        let (start_line, lines) = head.split_once("\r\n").ok_or(ParseError::Unterminated)?;
        if !start_line.contains("SIP/") && !start_line.contains("sip/") {
            return Err(ParseError::NotSip);
        }
        let mut framed = Self { start_line, headers: Headers::default(), rest, defect: None };
        let mut lines = lines;
        while let Some((line, next)) = lines.split_once("\r\n") {
            lines = next;
            if framed.headers.0.len() == MAX_HEADERS {
                framed.defect = Some(ParseError::TooManyHeaders);
                break;
            }
            match header_line(line) {
                Some(header) => framed.headers.0.push(header),
                None => framed.defect = framed.defect.or(Some(ParseError::HeaderLine)),
            }
        }
        Ok(framed)
    }

    /// Whether the start line is a response's.
    pub fn is_response(&self) -> bool {
        self.start_line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/"))
    }

    /// Check what every message must have.
    pub fn check(self) -> Result<Message<'a>, ParseError> {
        if self.is_response() {
            let (status, phrase) = status_line(self.start_line)?;
            return Ok(Message::Response(Response { status, phrase, common: self.common()? }));
        }
        let (method_token, uri) = request_line(self.start_line)?;
        let method = Method::parse(method_token);
        let common = self.common()?;
        if common.cseq.method != method_token {
            return Err(ParseError::MethodMismatch);
        }
        let uri = Uri::parse(uri).map_err(|error| match error {
            UriError::UnknownScheme => ParseError::Scheme,
            _ => ParseError::RequestUri,
        })?;
        // Headers of a Request-URI belong to whoever forms the request (§19.1.1): none is sent.
        if uri.has_headers() {
            return Err(ParseError::RequestUri);
        }
        Ok(Message::Request(Request { method, method_token, uri, common }))
    }

    fn common(self) -> Result<Common<'a>, ParseError> {
        if let Some(defect) = self.defect {
            return Err(defect);
        }
        let headers = self.headers;
        headers.check_counts()?;
        let malformed = ParseError::Malformed;
        let call_id = headers.required(HeaderName::CallId)?;
        // Inside quotes a control character may be escaped, but a Call-ID is repeated byte for byte or not at all.
        if call_id.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
            return Err(malformed(HeaderName::CallId));
        }
        let cseq = CSeq::parse(headers.required(HeaderName::CSeq)?).ok_or(malformed(HeaderName::CSeq))?;
        let from = party(&headers, HeaderName::From)?;
        let to = party(&headers, HeaderName::To)?;
        let mut vias = headers.elements(HeaderName::Via);
        let via = vias.next().ok_or(ParseError::Missing(HeaderName::Via))?;
        let via = Via::parse(via).ok_or(malformed(HeaderName::Via))?;
        let max_forwards = match headers.first(HeaderName::MaxForwards) {
            None => None,
            Some(text) => {
                let hops = decimal(text).and_then(|hops| u8::try_from(hops).ok());
                Some(hops.ok_or(malformed(HeaderName::MaxForwards))?)
            }
        };
        let body = match headers.first(HeaderName::ContentLength) {
            None => self.rest,
            Some(text) => {
                let length = decimal(text).ok_or(malformed(HeaderName::ContentLength))?;
                // Bytes past Content-Length are not ours to read (RFC 3261 §18.3).
                self.rest.get(..length as usize).ok_or(ParseError::BodyTooShort)?
            }
        };
        drop(vias);
        Ok(Common { headers, via, from, to, call_id, cseq, max_forwards, body })
    }
}

impl<'a> Common<'a> {
    /// Content-Type without parameters.
    pub fn media_type(&self) -> Option<&'a str> {
        let value = self.headers.first(HeaderName::ContentType)?;
        value.split(';').next().map(str::trim)
    }
}

/// A set of names.
const fn bits(names: &[HeaderName]) -> u64 {
    let mut bits = 0;
    let mut rest = names;
    while let [name, others @ ..] = rest {
        bits |= 1 << *name as u64;
        rest = others;
    }
    bits
}

fn party<'a>(headers: &Headers<'a>, name: HeaderName) -> Result<NameAddr<'a>, ParseError> {
    let party = NameAddr::parse(headers.required(name)?).ok_or(ParseError::Malformed(name))?;
    match party.parameters.has("tag").then(|| party.tag()) {
        Some(tag) if !tag.is_some_and(is_token) => Err(ParseError::Malformed(name)),
        _ => Ok(party),
    }
}

fn header_line(line: &str) -> Option<Header<'_>> {
    let (raw_name, value) = line.split_once(':')?;
    let raw_name = raw_name.trim_end_matches([' ', '\t']);
    let has_control = value.bytes().any(|byte| byte < b' ' || byte == 0x7f);
    let is_clean = !has_control || has_only_escaped_controls(value);
    if !is_token(raw_name) || !is_clean {
        return None;
    }
    Some(Header { name: HeaderName::parse(raw_name), raw_name, value: value.trim_matches([' ', '\t']) })
}

/// A quoted pair may hold any byte but CR and LF (RFC 3261 §25.1), and stands in quoted strings; elsewhere only HT is
/// legal.
fn has_only_escaped_controls(value: &str) -> bool {
    let (mut quoted, mut escaped) = (false, false);
    value.bytes().all(|byte| {
        let clean = escaped || !(byte < b' ' && byte != b'\t' || byte == 0x7f);
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && quoted && !escaped;
        clean && !matches!(byte, b'\r' | b'\n')
    })
}

fn request_line(line: &str) -> Result<(&str, &str), ParseError> {
    let (method, rest) = line.split_once(' ').ok_or(ParseError::StartLine)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(ParseError::StartLine)?;
    if !version.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) || !is_token(method) {
        return Err(ParseError::StartLine);
    }
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(ParseError::Version);
    }
    if uri.is_empty() || uri.contains(' ') {
        return Err(ParseError::StartLine);
    }
    Ok((method, uri))
}

fn status_line(line: &str) -> Result<(u16, &str), ParseError> {
    let (version, rest) = line.split_once(' ').ok_or(ParseError::StartLine)?;
    if !version.eq_ignore_ascii_case("SIP/2.0") {
        return Err(ParseError::Version);
    }
    let (digits, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
    if digits.len() != 3 {
        return Err(ParseError::StartLine);
    }
    match decimal(digits) {
        Some(status @ 100..=699) => Ok((status as u16, phrase)),
        _ => Err(ParseError::StartLine),
    }
}

/// Where a needle starts; the standard library's substring search works on `str` only.
fn find(haystack: &[u8], needle: &[u8; 4]) -> Option<usize> {
    let mut from = 0;
    while let Some(at) = haystack.get(from..)?.iter().position(|byte| *byte == b'\r') {
        let start = from + at;
        if haystack.get(start..start + 4)? == needle {
            return Some(start);
        }
        from = start + 1;
    }
    None
}

fn is_folded(head: &str) -> bool {
    head.match_indices('\n').any(|(at, _)| matches!(head.as_bytes().get(at + 1), Some(b' ' | b'\t')))
}

/// Rewrite a header section byte for byte: a line fold becomes spaces (RFC 3261 §7.3.1), a byte that
/// is not ASCII becomes `?` if the whole is not UTF-8.
fn plain_text(head: &[u8], out: &mut Vec<u8>) {
    let is_text = std::str::from_utf8(head).is_ok();
    out.clear();
    out.extend_from_slice(head);
    for at in 0..out.len() {
        match out.get(at..at + 3) {
            Some([b'\r', b'\n', b' ' | b'\t']) => {
                for byte in out.iter_mut().skip(at).take(2) {
                    *byte = b' ';
                }
            }
            _ => {
                if let Some(byte) = out.get_mut(at).filter(|byte| !is_text && !byte.is_ascii()) {
                    *byte = b'?';
                }
            }
        }
    }
}
