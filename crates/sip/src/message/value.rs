//! Typed header values: Via, From and To, CSeq, and what they are made of.

use super::method::Method;
use super::scan::{Parameters, decimal, is_token, quoted_end, unquote};
use super::uri::{Uri, UriError, split_port};

/// The prefix of a branch made by an RFC 3261 element (§8.1.1.7).
pub const BRANCH_COOKIE: &str = "z9hG4bK";

/// One Via value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Via<'a> {
    /// The whole value as written.
    pub text: &'a str,
    /// `UDP`, `TCP`, …
    pub transport: &'a str,
    /// Host of `sent-by`, IPv6 brackets included.
    pub host: &'a str,
    /// Port of `sent-by`.
    pub port: Option<u16>,
    /// Parameters.
    pub parameters: Parameters<'a>,
}

impl<'a> Via<'a> {
    /// Parse one value.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (head, parameters) = match text.find(';') {
            Some(at) => (text.get(..at)?, text.get(at..)?),
            None => (text, ""),
        };
        let (name, rest) = head.split_once('/')?;
        let (version, rest) = rest.split_once('/')?;
        if !name.trim().eq_ignore_ascii_case("SIP") || version.trim() != "2.0" {
            return None;
        }
        let rest = rest.trim();
        let (transport, sent_by) = rest.split_once([' ', '\t'])?;
        let sent_by = sent_by.trim();
        let (host, port) = split_sent_by(sent_by)?;
        let parameters = Parameters::parse(parameters)?;
        is_token(transport).then_some(Self { text, transport, host, port, parameters })
    }

    /// The branch, if it identifies a transaction on its own (RFC 3261 §17.2.3): the cookie and
    /// something after it.
    pub fn branch(&self) -> Option<&'a str> {
        self.parameters.value("branch").filter(|branch| {
            branch.len() > BRANCH_COOKIE.len()
                && branch
                    .get(..BRANCH_COOKIE.len())
                    .is_some_and(|cookie| cookie.eq_ignore_ascii_case(BRANCH_COOKIE))
        })
    }

    /// Whether the sender asks for symmetric response routing (RFC 3581).
    pub fn wants_rport(&self) -> bool {
        self.parameters.has("rport")
    }
}

fn split_sent_by(text: &str) -> Option<(&str, Option<u16>)> {
    if let Ok((length, port)) = split_port(text) {
        return Some((text.get(..length)?, port));
    }
    // `host : port` is legal (RFC 3261 §25.1, COLON takes whitespace) and rare.
    let colon = text.rfind(':')?;
    let host = text.get(..colon)?.trim();
    let port = decimal(text.get(colon + 1..)?.trim())?;
    let (length, none) = split_port(host).ok()?;
    (length == host.len() && none.is_none() && (1..=65535).contains(&port))
        .then_some((host, Some(port as u16)))
}

/// A `name-addr` or `addr-spec` with header parameters: From, To, Contact, Route, …
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NameAddr<'a> {
    /// The whole value as written.
    pub text: &'a str,
    /// Display name as written, quotes included; empty if none.
    pub raw_display_name: &'a str,
    /// The URI's text, of any scheme.
    pub uri_text: &'a str,
    /// Parameters after the address.
    pub parameters: Parameters<'a>,
}

impl<'a> NameAddr<'a> {
    /// Parse one value. Unquoted display names may hold anything but `<`.
    pub fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        let (raw_display_name, rest) = if text.starts_with('"') {
            let end = quoted_end(text)?;
            (text.get(..end)?, text.get(end..)?.trim_start())
        } else {
            match text.find('<') {
                Some(at) => (text.get(..at)?.trim(), text.get(at..)?),
                None => ("", text),
            }
        };
        let (uri_text, parameters) = match rest.strip_prefix('<') {
            Some(inside) => {
                let end = inside.find('>')?;
                (inside.get(..end)?, inside.get(end + 1..)?)
            }
            None if !raw_display_name.is_empty() => return None,
            // Without brackets, parameters belong to the header and `?` and `,` may not stand in
            // the URI (RFC 3261 §20.10).
            None => match rest.find(';') {
                Some(at) => (rest.get(..at)?.trim_end(), rest.get(at..)?),
                None => (rest, ""),
            },
        };
        let bare = !rest.starts_with('<');
        let unbalanced = !raw_display_name.starts_with('"') && raw_display_name.contains('"');
        let has_scheme = uri_text.find(':').is_some_and(|at| at > 0);
        if unbalanced
            || !has_scheme
            || (bare && uri_text.contains(['?', ',']))
            || uri_text.bytes().any(|byte| byte <= b' ' || matches!(byte, b'"' | b'<' | b'>'))
        {
            return None;
        }
        Some(Self { text, raw_display_name, uri_text, parameters: Parameters::parse(parameters)? })
    }

    /// The URI, parsed.
    pub fn uri(&self) -> Result<Uri<'a>, UriError> {
        Uri::parse(self.uri_text)
    }

    /// The display name without quotes and escapes.
    pub fn display_name(&self) -> Option<String> {
        (!self.raw_display_name.is_empty()).then(|| unquote(self.raw_display_name))
    }

    /// The tag.
    pub fn tag(&self) -> Option<&'a str> {
        self.parameters.value("tag")
    }
}

/// CSeq: a number and a method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CSeq<'a> {
    /// Below 2³¹ (RFC 3261 §8.1.1.5).
    pub number: u32,
    /// The method's token.
    pub method: &'a str,
}

impl<'a> CSeq<'a> {
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let (number, method) = text.trim().split_once([' ', '\t'])?;
        let number = decimal(number).filter(|number| *number < 1 << 31)?;
        let method = method.trim();
        is_token(method).then_some(Self { number, method })
    }

    /// The method.
    pub fn method(&self) -> Method {
        Method::parse(self.method)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tortuous_via_is_read() {
        let via = Via::parse("SIP  / 2.0 / TCP     spindle.example.com   ;branch  =   z9hG4bK9ikj8 ; rport")
            .expect("valid");
        assert_eq!((via.transport, via.host, via.port), ("TCP", "spindle.example.com", None));
        assert_eq!(via.branch(), Some("z9hG4bK9ikj8"));
        assert!(via.wants_rport());
        assert_eq!(Via::parse("SIP/2.0/UDP h : 5070").map(|via| via.port), Some(Some(5070)));
    }

    #[test]
    fn a_bare_cookie_is_no_branch() {
        let via = Via::parse("SIP/2.0/UDP h;branch=z9hG4bK").expect("valid");
        assert_eq!(via.branch(), None);
    }

    #[test]
    fn name_addr_forms_are_read() {
        let quoted = NameAddr::parse(r#""A \"B\", C" <sip:x@h;p=1> ; tag = t1"#).expect("valid");
        assert_eq!(quoted.display_name().as_deref(), Some(r#"A "B", C"#));
        assert_eq!((quoted.uri_text, quoted.tag()), ("sip:x@h;p=1", Some("t1")));
        let bare = NameAddr::parse("sip:x@h;tag=t2").expect("valid");
        assert_eq!((bare.uri_text, bare.tag()), ("sip:x@h", Some("t2")));
        let unquoted = NameAddr::parse("Bell, Alexander <sip:x@h>").expect("lenient");
        assert_eq!(unquoted.raw_display_name, "Bell, Alexander");
    }

    #[test]
    fn malformed_name_addrs_are_refused() {
        for bad in [
            r#""Mr. J. User <sip:x@h>"#,
            "<sip:x@h",
            "<sip: x@h>",
            "x y",
            "<sip:x@h>;;tag=1",
            "sip:x@h?a=b",
            "",
        ] {
            assert_eq!(NameAddr::parse(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn cseq_stops_below_two_to_the_31() {
        assert_eq!(CSeq::parse("2147483647 INVITE").map(|cseq| cseq.number), Some(2_147_483_647));
        assert_eq!(CSeq::parse("2147483648 INVITE"), None);
        assert_eq!(CSeq::parse("0009 \t INVITE").map(|cseq| cseq.number), Some(9));
        assert_eq!(CSeq::parse("-1 INVITE"), None);
        assert_eq!(CSeq::parse("1"), None);
    }
}
