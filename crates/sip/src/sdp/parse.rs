//! Bytes to [`SessionDescription`]: strict about framing and limits, lenient about content.

use super::description::{
    Attribute, Connection, Crypto, Direction, Fmtp, Host, Media, MediaKind, Origin, RtcpAttribute, RtpMap,
    SessionDescription, Transport,
};

/// Largest description that is read.
pub const MAX_SDP_BYTES: usize = 8 * 1024;
/// Most `m=` lines.
pub const MAX_MEDIA_LINES: usize = 8;
/// Most `a=` lines in the session section and in each media section.
pub const MAX_ATTRIBUTES_PER_SECTION: usize = 64;
/// Most formats on one `m=` line.
pub const MAX_FORMATS_PER_MEDIA: usize = 64;

/// Why bytes are not a session description. Answered 400.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SdpError {
    /// Longer than [`MAX_SDP_BYTES`].
    #[error("the description has {bytes} bytes, more than {MAX_SDP_BYTES}")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// The first line is not `v=0`.
    #[error("the description does not start with v=0")]
    NotVersionZero,
    /// A line is not `<letter>=<value>`, or holds a control character.
    #[error("line {line} is not of the form <letter>=<value>")]
    BadLine {
        /// Line number from 1.
        line: usize,
    },
    /// A line that we must understand is malformed.
    #[error("line {line}: malformed {kind}= line")]
    BadValue {
        /// Line number from 1.
        line: usize,
        /// Its type letter.
        kind: char,
    },
    /// No `o=` line.
    #[error("the description has no o= line")]
    NoOrigin,
    /// More than [`MAX_MEDIA_LINES`].
    #[error("more than {MAX_MEDIA_LINES} media sections")]
    TooManyMedia,
    /// More than [`MAX_ATTRIBUTES_PER_SECTION`].
    #[error("more than {MAX_ATTRIBUTES_PER_SECTION} attributes in one section")]
    TooManyAttributes,
    /// More than [`MAX_FORMATS_PER_MEDIA`].
    #[error("more than {MAX_FORMATS_PER_MEDIA} formats on one media line")]
    TooManyFormats,
}

impl SessionDescription {
    /// Parses a body of type `application/sdp`.
    ///
    /// CRLF and LF both end a line, blank lines may follow the last one, text that is not UTF-8 is
    /// replaced, a missing `s=` or `t=` is forgiven, and malformed attributes stay as text.
    pub fn parse(body: &[u8]) -> Result<Self, SdpError> {
        if body.len() > MAX_SDP_BYTES {
            return Err(SdpError::TooLong { bytes: body.len() });
        }
        let text = String::from_utf8_lossy(body);
        let mut lines = text.trim_end_matches(['\r', '\n', ' ']).split('\n').enumerate();
        if lines.next().map(|(_, first)| first.trim_end_matches(['\r', ' '])) != Some("v=0") {
            return Err(SdpError::NotVersionZero);
        }
        let mut parser = Parser::default();
        for (index, line) in lines {
            let line_number = index + 1;
            let (kind, value) = split_line(line).ok_or(SdpError::BadLine { line: line_number })?;
            parser.take(line_number, kind, value)?;
        }
        parser.finish()
    }
}

/// Splits `<letter>=<value>`; control characters other than the tab are refused, since they would
/// otherwise travel into what we print.
fn split_line(line: &str) -> Option<(char, &str)> {
    let line = line.strip_suffix('\r').unwrap_or(line);
    let (kind, value) = line.split_once('=')?;
    let mut letters = kind.chars();
    let letter = letters.next().filter(char::is_ascii_alphabetic)?;
    let clean = !value.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t');
    (letters.next().is_none() && clean).then(|| (letter, trim(value)))
}

fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}

/// What has been read so far.
#[derive(Default)]
struct Parser {
    origin: Option<Origin>,
    session_name: Option<String>,
    connection: Option<Connection>,
    timing: (u64, u64),
    direction: Option<Direction>,
    attributes: Vec<Attribute>,
    media: Vec<Media>,
    /// `a=` lines in the present section.
    attribute_lines: usize,
}

impl Parser {
    fn take(&mut self, line: usize, kind: char, value: &str) -> Result<(), SdpError> {
        let bad = SdpError::BadValue { line, kind };
        match (kind, self.media.last_mut()) {
            ('o', None) => {
                if self.origin.is_some() {
                    return Err(bad);
                }
                self.origin = Some(origin(value).ok_or(bad)?);
            }
            ('s', None) => self.session_name = Some(value.to_owned()),
            ('t', None) => self.timing = timing(value),
            ('c', None) => self.connection = Some(connection(value).ok_or(bad)?),
            ('c', Some(media)) => media.connection = Some(connection(value).ok_or(bad)?),
            ('a', section) => {
                self.attribute_lines += 1;
                if self.attribute_lines > MAX_ATTRIBUTES_PER_SECTION {
                    return Err(SdpError::TooManyAttributes);
                }
                let Some(attribute) = attribute(value) else { return Ok(()) };
                match section {
                    Some(media) => apply_to_media(media, attribute),
                    None => match direction(&attribute) {
                        Some(direction) => self.direction = Some(direction),
                        None => self.attributes.push(attribute),
                    },
                }
            }
            ('m', _) => {
                if self.media.len() == MAX_MEDIA_LINES {
                    return Err(SdpError::TooManyMedia);
                }
                let media = media(value).ok_or(bad)?;
                if media.formats.len() > MAX_FORMATS_PER_MEDIA {
                    return Err(SdpError::TooManyFormats);
                }
                self.media.push(media);
                self.attribute_lines = 0;
            }
            _ => {}
        }
        Ok(())
    }

    fn finish(self) -> Result<SessionDescription, SdpError> {
        Ok(SessionDescription {
            origin: self.origin.ok_or(SdpError::NoOrigin)?,
            session_name: self.session_name.filter(|name| !name.is_empty()).unwrap_or_else(|| "-".to_owned()),
            connection: self.connection,
            timing: self.timing,
            direction: self.direction,
            attributes: self.attributes,
            media: self.media,
        })
    }
}

/// Reads `o=` from its end, because some gateways send user names with blanks.
fn origin(value: &str) -> Option<Origin> {
    let mut words: Vec<&str> = value.split_ascii_whitespace().collect();
    let host = words.pop()?;
    let address_type = words.pop()?;
    let network = words.pop()?;
    let version = words.pop()?.to_owned();
    let session_id = words.pop()?.to_owned();
    if words.is_empty() {
        return None;
    }
    Some(Origin {
        username: words.join(" "),
        session_id,
        version,
        host: parse_host(network, address_type, host)?,
    })
}

fn connection(value: &str) -> Option<Connection> {
    let mut words = value.split_ascii_whitespace();
    let (network, address_type, host) = (words.next()?, words.next()?, words.next()?);
    Some(Connection { host: parse_host(network, address_type, host)? })
}

/// A literal address counts as what it is, even under the wrong address type.
fn parse_host(network: &str, address_type: &str, host: &str) -> Option<Host> {
    let ipv6 = address_type.eq_ignore_ascii_case("IP6");
    if !network.eq_ignore_ascii_case("IN") || !(ipv6 || address_type.eq_ignore_ascii_case("IP4")) {
        return None;
    }
    let host = host.split('/').next().filter(|host| !host.is_empty())?;
    Some(match host.parse() {
        Ok(address) => Host::Ip(address),
        Err(_) => Host::Name { ipv6, name: host.to_owned() },
    })
}

fn timing(value: &str) -> (u64, u64) {
    let mut words = value.split_ascii_whitespace().map(str::parse);
    match (words.next(), words.next()) {
        (Some(Ok(start)), Some(Ok(stop))) => (start, stop),
        _ => (0, 0),
    }
}

fn media(value: &str) -> Option<Media> {
    let mut words = value.split_ascii_whitespace();
    let kind = MediaKind::from_name(words.next()?);
    // `port/count` is for hierarchical encodings that nobody sends in a call.
    let port = words.next()?.split('/').next()?.parse().ok()?;
    let transport = Transport::from_name(words.next()?);
    let formats: Vec<String> = words.map(str::to_owned).collect();
    // RFC 8866 wants a format even on a refused section; some answerers leave it out there.
    (port == 0 || !formats.is_empty()).then(|| Media::new(kind, port, transport, formats))
}

fn attribute(value: &str) -> Option<Attribute> {
    let (name, value) = match value.split_once(':') {
        Some((name, value)) => (name, Some(trim(value).to_owned())),
        None => (value, None),
    };
    let name = trim(name);
    (!name.is_empty()).then(|| Attribute { name: name.to_owned(), value })
}

fn direction(attribute: &Attribute) -> Option<Direction> {
    if attribute.value.is_some() {
        return None;
    }
    [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive]
        .into_iter()
        .find(|direction| direction.as_str() == attribute.name)
}

/// Moves a well-formed attribute into its field; all others stay as text.
fn apply_to_media(media: &mut Media, attribute: Attribute) {
    if let Some(direction) = direction(&attribute) {
        media.direction = Some(direction);
        return;
    }
    let understood = match (attribute.name.as_str(), attribute.value.as_deref()) {
        ("rtcp-mux", None) => {
            media.rtcp_mux = true;
            true
        }
        ("rtpmap", Some(value)) => rtpmap(value).map(|map| media.rtpmaps.push(map)).is_some(),
        ("fmtp", Some(value)) => fmtp(value).map(|fmtp| media.fmtps.push(fmtp)).is_some(),
        ("ptime", Some(value)) => value.parse().map(|ptime| media.ptime_ms = Some(ptime)).is_ok(),
        ("maxptime", Some(value)) => value.parse().map(|ptime| media.maxptime_ms = Some(ptime)).is_ok(),
        ("rtcp", Some(value)) => rtcp(value).map(|rtcp| media.rtcp = Some(rtcp)).is_some(),
        ("crypto", Some(value)) if !value.is_empty() => {
            media.crypto.push(Crypto::new(value));
            true
        }
        _ => false,
    };
    if !understood {
        media.attributes.push(attribute);
    }
}

fn payload_type(text: &str) -> Option<u8> {
    text.parse().ok().filter(|payload_type| *payload_type < 128)
}

fn rtpmap(value: &str) -> Option<RtpMap> {
    let mut words = value.split_ascii_whitespace();
    let payload_type = payload_type(words.next()?)?;
    let mut parts = words.next()?.split('/');
    let encoding = parts.next().filter(|encoding| !encoding.is_empty())?.to_owned();
    let clock_rate = parts.next()?.parse().ok()?;
    let channels = match parts.next() {
        Some(channels) => channels.parse::<u8>().ok()?.max(1),
        None => 1,
    };
    Some(RtpMap { payload_type, encoding, clock_rate, channels })
}

fn fmtp(value: &str) -> Option<Fmtp> {
    let (format, parameters) = value.split_once([' ', '\t'])?;
    Some(Fmtp { payload_type: payload_type(format)?, parameters: trim(parameters).to_owned() })
}

fn rtcp(value: &str) -> Option<RtcpAttribute> {
    let mut words = value.split_ascii_whitespace();
    let port = words.next()?.parse().ok()?;
    let address = match words.next() {
        Some(network) => Some(parse_host(network, words.next()?, words.next()?)?.ip()?),
        None => None,
    };
    Some(RtcpAttribute { port, address })
}
