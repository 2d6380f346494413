//! SIP, SIPS and TEL URIs (RFC 3261 §19.1, RFC 3966): a borrowed view and an owned twin.
//!
//! Both keep the text and the offsets of its parts, so nothing is copied or allocated to look at a
//! host or a parameter, and an owned URI costs one allocation.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use thiserror::Error;

/// Longest URI that is accepted or printed.
pub const MAX_URI_BYTES: usize = 1024;

/// Why a text is not a URI that we handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum UriError {
    /// Longer than [`MAX_URI_BYTES`].
    #[error("URI is longer than {MAX_URI_BYTES} bytes")]
    TooLong,
    /// No `scheme:` at the start.
    #[error("URI has no scheme")]
    NoScheme,
    /// A scheme other than sip, sips and tel.
    #[error("URI scheme is not sip, sips or tel")]
    UnknownScheme,
    /// Whitespace, a control character, `<`, `>` or `"`.
    #[error("URI holds a character that it may not")]
    IllegalCharacter,
    /// The host is empty or is neither a name nor an address.
    #[error("URI host is empty or malformed")]
    BadHost,
    /// The port is not a number from 1 to 65535.
    #[error("URI port is not a number from 1 to 65535")]
    BadPort,
}

/// The scheme of a [`Uri`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// `sip:`
    Sip,
    /// `sips:`
    Sips,
    /// `tel:`
    Tel,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parts {
    scheme: Scheme,
    user: (u16, u16),
    host: (u16, u16),
    port: Option<u16>,
    parameters: (u16, u16),
    headers: (u16, u16),
}

/// A parsed URI that borrows its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uri<'a> {
    text: &'a str,
    parts: Parts,
}

/// A parsed URI that owns its text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedUri {
    text: Box<str>,
    parts: Parts,
}

impl<'a> Uri<'a> {
    /// Parse a whole text as a URI.
    pub fn parse(text: &'a str) -> Result<Self, UriError> {
        if text.len() > MAX_URI_BYTES {
            return Err(UriError::TooLong);
        }
        if text.bytes().any(|byte| byte <= b' ' || byte == 0x7f || matches!(byte, b'<' | b'>' | b'"')) {
            return Err(UriError::IllegalCharacter);
        }
        let colon = text.find(':').ok_or(UriError::NoScheme)?;
        let scheme = match &text[..colon] {
            word if word.eq_ignore_ascii_case("sip") => Scheme::Sip,
            word if word.eq_ignore_ascii_case("sips") => Scheme::Sips,
            word if word.eq_ignore_ascii_case("tel") => Scheme::Tel,
            "" => return Err(UriError::NoScheme),
            _ => return Err(UriError::UnknownScheme),
        };
        let start = colon + 1;
        let parts = match scheme {
            Scheme::Tel => tel_parts(text, start)?,
            Scheme::Sip | Scheme::Sips => sip_parts(text, start, scheme)?,
        };
        Ok(Self { text, parts })
    }

    /// The whole text.
    pub fn as_str(self) -> &'a str {
        self.text
    }

    /// The scheme.
    pub fn scheme(self) -> Scheme {
        self.parts.scheme
    }

    /// User part without password, percent-escapes left as they are; the number of a `tel:` URI.
    pub fn user(self) -> Option<&'a str> {
        let user = slice(self.text, self.parts.user);
        let user = user.split(':').next().unwrap_or(user);
        (!user.is_empty()).then_some(user)
    }

    /// Host, IPv6 brackets included; empty for `tel:`.
    pub fn host(self) -> &'a str {
        slice(self.text, self.parts.host)
    }

    /// The host as an address, if it is one.
    pub fn ip(self) -> Option<IpAddr> {
        let host = self.host();
        match host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(inside) => ipv6(inside).map(IpAddr::V6),
            None => host.parse().ok(),
        }
    }

    /// The port, if one is written.
    pub fn port(self) -> Option<u16> {
        self.parts.port
    }

    /// The parameters after the first `;`, without it.
    pub fn parameters(self) -> &'a str {
        slice(self.text, self.parts.parameters)
    }

    /// The value of a parameter; an empty text if it has none.
    pub fn parameter(self, name: &str) -> Option<&'a str> {
        self.parameters().split(';').find_map(|parameter| {
            let (key, value) = parameter.split_once('=').unwrap_or((parameter, ""));
            key.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    /// The headers after `?`, without it.
    pub fn headers(self) -> &'a str {
        slice(self.text, self.parts.headers)
    }

    /// Whether a `?` begins headers, be there any or not.
    pub fn has_headers(self) -> bool {
        let (start, _) = self.parts.headers;
        start > 0 && self.text.as_bytes().get(usize::from(start) - 1) == Some(&b'?')
    }

    /// The text without headers: what may stand as a Request-URI (RFC 3261 §19.1.1).
    pub fn without_headers(self) -> &'a str {
        let (start, _) = self.parts.headers;
        let end = if self.has_headers() { usize::from(start) - 1 } else { self.text.len() };
        self.text.get(..end).unwrap_or(self.text)
    }

    /// Whether the URI marks a loose router (`;lr`, RFC 3261 §19.1.1).
    pub fn is_loose_router(self) -> bool {
        self.parameter("lr").is_some()
    }

    /// An owned copy.
    pub fn to_owned(self) -> OwnedUri {
        OwnedUri { text: self.text.into(), parts: self.parts }
    }
}

impl OwnedUri {
    /// Parse and own a text.
    pub fn parse(text: &str) -> Result<Self, UriError> {
        Uri::parse(text).map(Uri::to_owned)
    }

    /// The borrowed view, which has all accessors.
    pub fn view(&self) -> Uri<'_> {
        Uri { text: &self.text, parts: self.parts }
    }

    /// The whole text.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Uri<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl fmt::Display for OwnedUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn slice(text: &str, (from, to): (u16, u16)) -> &str {
    text.get(usize::from(from)..usize::from(to)).unwrap_or("")
}

// Offsets fit: the text is at most MAX_URI_BYTES long.
fn span(from: usize, to: usize) -> (u16, u16) {
    (from as u16, to as u16)
}

fn tel_parts(text: &str, start: usize) -> Result<Parts, UriError> {
    let end = text[start..].find(';').map_or(text.len(), |at| start + at);
    let number = &text[start..end];
    let is_number = number.bytes().any(|byte| byte.is_ascii_alphanumeric())
        && number.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.()*#%".contains(&byte));
    if !is_number {
        return Err(UriError::BadHost);
    }
    let parameters = span((end + 1).min(text.len()), text.len());
    Ok(Parts {
        scheme: Scheme::Tel,
        user: span(start, end),
        host: (0, 0),
        port: None,
        parameters,
        headers: (0, 0),
    })
}

fn sip_parts(text: &str, start: usize, scheme: Scheme) -> Result<Parts, UriError> {
    // The user part may hold `;` and `?`, so the last `@` before any header decides (RFC 3261 §25.1
    // does not allow a bare `@` in either part).
    let at = text[start..].find('@').map(|at| start + at);
    let user = at.map_or((0, 0), |at| span(start, at));
    let host_start = at.map_or(start, |at| at + 1);
    let rest = &text[host_start..];
    let host_port_end = rest.find([';', '?']).map_or(text.len(), |at| host_start + at);
    let (host_end, port) = split_port(&text[host_start..host_port_end])?;
    let host = span(host_start, host_start + host_end);
    let tail = &text[host_port_end..];
    let question = tail.find('?').map_or(text.len(), |at| host_port_end + at);
    let parameters =
        if tail.starts_with(';') { span(host_port_end + 1, question) } else { span(question, question) };
    let headers = span((question + 1).min(text.len()), text.len());
    Ok(Parts { scheme, user, host, port, parameters, headers })
}

/// An IPv6 address; three colons in a row, which the grammar of RFC 3261 allowed by mistake, are read
/// as two (RFC 5118 §4.10).
pub(crate) fn ipv6(text: &str) -> Option<Ipv6Addr> {
    text.parse().ok().or_else(|| text.contains(":::").then(|| text.replacen(":::", "::", 1).parse().ok())?)
}

/// Split `host[:port]`; returns the host's length and the port.
pub(crate) fn split_port(text: &str) -> Result<(usize, Option<u16>), UriError> {
    let host_end = if text.starts_with('[') {
        let end = text.find(']').ok_or(UriError::BadHost)? + 1;
        if ipv6(&text[1..end - 1]).is_none() {
            return Err(UriError::BadHost);
        }
        end
    } else {
        let end = text.find(':').unwrap_or(text.len());
        let is_name = text[..end].bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
        if end == 0 || !is_name {
            return Err(UriError::BadHost);
        }
        end
    };
    let Some(port) = text[host_end..].strip_prefix(':') else {
        return if text.len() == host_end { Ok((host_end, None)) } else { Err(UriError::BadHost) };
    };
    if port.is_empty() || !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(UriError::BadPort);
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok((host_end, Some(port))),
        _ => Err(UriError::BadPort),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_part_is_found() {
        let uri =
            Uri::parse("sip:+9180;npdi:pw@Example.COM:5070;transport=tcp;lr?Subject=x&y=z").expect("valid");
        assert_eq!(uri.user(), Some("+9180;npdi"));
        assert_eq!((uri.host(), uri.port()), ("Example.COM", Some(5070)));
        assert_eq!(uri.parameter("TRANSPORT"), Some("tcp"));
        assert!(uri.is_loose_router());
        assert_eq!(uri.headers(), "Subject=x&y=z");
    }

    #[test]
    fn an_ipv6_host_keeps_its_brackets_and_is_an_address() {
        let uri = Uri::parse("sips:[2001:db8::1]:5061").expect("valid");
        assert_eq!((uri.scheme(), uri.host(), uri.port()), (Scheme::Sips, "[2001:db8::1]", Some(5061)));
        assert_eq!(uri.ip(), "2001:db8::1".parse().ok());
        assert_eq!(uri.user(), None);
    }

    #[test]
    fn a_tel_uri_has_its_number_as_user() {
        let uri = Uri::parse("tel:1234;phone-context=+91").expect("valid");
        assert_eq!((uri.user(), uri.host()), (Some("1234"), ""));
        assert_eq!(uri.parameter("phone-context"), Some("+91"));
    }

    #[test]
    fn malformed_uris_are_refused_with_the_reason() {
        let cases = [
            ("", UriError::NoScheme),
            (":x", UriError::NoScheme),
            ("http://x", UriError::UnknownScheme),
            ("sip:", UriError::BadHost),
            ("sip:a@", UriError::BadHost),
            ("sip:a@h:0", UriError::BadPort),
            ("sip:a@h:65536", UriError::BadPort),
            ("sip:a@h:", UriError::BadPort),
            ("sip:a@h:+5", UriError::BadPort),
            ("sip:a@[::1", UriError::BadHost),
            ("sip:a@[zz]", UriError::BadHost),
            ("sip:a b@h", UriError::IllegalCharacter),
            ("sip:a@h\r\nX:1", UriError::IllegalCharacter),
            ("tel:", UriError::BadHost),
        ];
        for (text, error) in cases {
            assert_eq!(Uri::parse(text).map(Uri::as_str), Err(error), "{text:?}");
        }
    }

    #[test]
    fn the_length_limit_holds_at_and_one_past() {
        let uri = |length: usize| format!("sip:{}", "h".repeat(length - 4));
        assert!(Uri::parse(&uri(MAX_URI_BYTES)).is_ok());
        assert_eq!(Uri::parse(&uri(MAX_URI_BYTES + 1)), Err(UriError::TooLong));
    }
}
