//! Owned copies of what messages say, for events.

use std::time::Duration;

use super::{Body, Party, Reason, ReasonProtocol, RequestFacts, ResponseFacts};
use crate::flow::Flow;
use crate::leg::SessionRequest;
use crate::message::{
    Common, HeaderName, Headers, ListElements, NameAddr, Parameters, ParseError, Request, Response, UriError,
    leading_decimal, unquote,
};

const MAX_FORWARDS_IF_ABSENT: u8 = 70;
/// Longest session interval that is kept (RFC 4028 asks for half an hour).
pub(super) const MAX_SESSION_EXPIRES: Duration = Duration::from_hours(24);
/// Parts looked at in a multipart body.
const MAX_PARTS: usize = 8;

/// What a request outside a dialog said, or why its From or To is of no use.
pub(super) fn request_facts(flow: Flow, request: &Request<'_>) -> Result<RequestFacts, ParseError> {
    let common = &request.common;
    let headers = &common.headers;
    let (sdp, body) = bodies(common);
    Ok(RequestFacts {
        flow,
        method: request.method,
        request_uri: request.uri.to_owned(),
        from: party(&common.from, HeaderName::From)?,
        to: party(&common.to, HeaderName::To)?,
        call_id: common.call_id.to_owned(),
        cseq: common.cseq.number,
        max_forwards: common.max_forwards.unwrap_or(MAX_FORWARDS_IF_ABSENT),
        via_host: common.via.host.to_owned(),
        via_port: common.via.port,
        contacts: elements(headers, HeaderName::Contact),
        authorization: values(headers, HeaderName::Authorization),
        proxy_authorization: values(headers, HeaderName::ProxyAuthorization),
        p_asserted_identity: elements(headers, HeaderName::PAssertedIdentity),
        remote_party_id: headers.first(HeaderName::RemotePartyId).map(str::to_owned),
        diversion: elements(headers, HeaderName::Diversion),
        privacy: headers.first(HeaderName::Privacy).map(str::to_owned),
        path: elements(headers, HeaderName::Path),
        expires: headers.first(HeaderName::Expires).and_then(leading_decimal),
        user_agent: headers.first(HeaderName::UserAgent).map(str::to_owned),
        custom: custom(headers),
        sdp,
        body,
    })
}

/// What a response to one of our requests said.
pub(super) fn response_facts(flow: Flow, response: &Response<'_>) -> ResponseFacts {
    let headers = &response.common.headers;
    let via = &response.common.via.parameters;
    ResponseFacts {
        flow,
        status: response.status,
        phrase: response.phrase.to_owned(),
        challenges: challenges(headers),
        contacts: elements(headers, HeaderName::Contact),
        expires: headers.first(HeaderName::Expires).and_then(leading_decimal),
        min_expires: headers.first(HeaderName::MinExpires).and_then(leading_decimal),
        retry_after: headers.first(HeaderName::RetryAfter).and_then(leading_decimal),
        received: via.value("received").map(str::to_owned),
        rport: via.value("rport").and_then(|port| port.parse().ok()),
        service_route: elements(headers, HeaderName::ServiceRoute),
    }
}

/// Challenges of a 401 or 407, in order.
pub(super) fn challenges(headers: &Headers<'_>) -> Vec<String> {
    let is_challenge = |name| matches!(name, HeaderName::WwwAuthenticate | HeaderName::ProxyAuthenticate);
    headers.iter().filter(|header| is_challenge(header.name)).map(|header| header.value.to_owned()).collect()
}

/// The Reason header: Q.850 if it is there, else SIP.
pub(super) fn reason(headers: &Headers<'_>) -> Option<Reason> {
    let mut found = None;
    for element in headers.elements(HeaderName::Reason) {
        let (protocol, rest) = element.split_once(';').unwrap_or((element, ""));
        let protocol = match protocol.trim() {
            word if word.eq_ignore_ascii_case("Q.850") => ReasonProtocol::Q850,
            word if word.eq_ignore_ascii_case("SIP") => ReasonProtocol::Sip,
            _ => continue,
        };
        let Some(parameters) = Parameters::parse(&format!(";{rest}")).map(|parameters| {
            let cause = parameters.value("cause").and_then(|cause| cause.trim_matches('"').parse().ok());
            (cause, parameters.value("text").map(unquote))
        }) else {
            continue;
        };
        let (Some(cause), text) = parameters else { continue };
        let reason = Reason { protocol, cause, text };
        if protocol == ReasonProtocol::Q850 {
            return Some(reason);
        }
        found = found.or(Some(reason));
    }
    found
}

/// Session-Expires of a request (RFC 4028 §9); `we_refresh` is the answerer's view. Where only a proxy on the way knows
/// session timers, the caller will never refresh: we do.
pub(super) fn session_request(headers: &Headers<'_>) -> Option<SessionRequest> {
    let (interval, refresher) = session_expires(headers)?;
    // The answerer may shorten the interval (§9), and prints the shorter one.
    let interval = interval.min(MAX_SESSION_EXPIRES);
    let says_so =
        [HeaderName::Supported, HeaderName::Require].iter().any(|name| lists(headers, *name, "timer"));
    let peer_knows = says_so || refresher.is_some();
    let we_refresh = refresher.map_or(!peer_knows, |refresher| refresher == Refresher::Uas);
    Some(SessionRequest { interval, we_refresh, peer_knows })
}

/// Session-Expires of a response to us; `we_refresh` is the asker's view. A response that leaves the refresher out breaks
/// RFC 4028 §9: one refresh too many is harmless, a call ended for want of one is not.
pub(super) fn session_answer(headers: &Headers<'_>) -> Option<SessionRequest> {
    let (interval, refresher) = session_expires(headers)?;
    let we_refresh = refresher != Some(Refresher::Uas);
    // An interval so long that nobody waits for its end is none.
    (interval <= MAX_SESSION_EXPIRES).then_some(SessionRequest { interval, we_refresh, peer_knows: true })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Refresher {
    Uac,
    Uas,
}

fn session_expires(headers: &Headers<'_>) -> Option<(Duration, Option<Refresher>)> {
    let value = headers.first(HeaderName::SessionExpires)?;
    let seconds = leading_decimal(value)?;
    let parameters = value.find(';').and_then(|at| Parameters::parse(value.get(at..)?));
    let refresher = match parameters.and_then(|parameters| parameters.value("refresher")) {
        Some(word) if word.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
        Some(word) if word.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
        _ => None,
    };
    Some((Duration::from_secs(u64::from(seconds)), refresher))
}

/// Option tags of Require that we do not support, as an Unsupported value.
pub(super) fn unsupported(headers: &Headers<'_>) -> Option<String> {
    let tags: Vec<&str> = headers
        .elements(HeaderName::Require)
        .filter(|tag| !["timer", "100rel"].iter().any(|known| known.eq_ignore_ascii_case(tag)))
        .collect();
    (!tags.is_empty()).then(|| tags.join(", "))
}

/// Whether the sender of an INVITE can read our answer: without Accept it can (RFC 3261 §20.1); an
/// Accept that leaves out session descriptions says that no answer of ours is of use.
pub(super) fn takes_session_description(headers: &Headers<'_>) -> bool {
    if headers.first(HeaderName::Accept).is_none() {
        return true;
    }
    headers.elements(HeaderName::Accept).any(|range| {
        let media_type = range.split(';').next().unwrap_or(range).trim();
        ["application/sdp", "application/*", "*/*"].iter().any(|known| known.eq_ignore_ascii_case(media_type))
            || is_multipart(media_type)
    })
}

/// Whether a list header holds a token.
pub(super) fn lists(headers: &Headers<'_>, name: HeaderName, token: &str) -> bool {
    headers.elements(name).any(|element| element.eq_ignore_ascii_case(token))
}

/// SDP alone.
pub(super) fn sdp(common: &Common<'_>) -> Option<Vec<u8>> {
    session_description(common).map(<[u8]>::to_vec)
}

/// SDP of a body, found inside multipart/mixed too (SIP-I, PIDF-LO).
pub(super) fn session_description<'a>(common: &Common<'a>) -> Option<&'a [u8]> {
    if common.body.is_empty() {
        return None;
    }
    let media_type = common.media_type()?;
    if media_type.eq_ignore_ascii_case("application/sdp") {
        return Some(common.body);
    }
    if !is_multipart(media_type) {
        return None;
    }
    let value = common.headers.first(HeaderName::ContentType)?;
    let parameters = Parameters::parse(value.get(value.find(';')?..)?)?;
    let boundary = parameters.value("boundary")?.trim_matches('"');
    part_with_sdp(common.body, boundary)
}

/// Whether a media type is some multipart.
pub(super) fn is_multipart(media_type: &str) -> bool {
    media_type.get(..10).is_some_and(|start| start.eq_ignore_ascii_case("multipart/"))
}

fn part_with_sdp<'a>(body: &'a [u8], boundary: &str) -> Option<&'a [u8]> {
    let delimiter = format!("--{boundary}");
    let mut rest = body;
    for _ in 0..MAX_PARTS {
        let start = find(rest, delimiter.as_bytes())? + delimiter.len();
        rest = rest.get(start..)?;
        if rest.starts_with(b"--") {
            return None;
        }
        let end = find(rest, delimiter.as_bytes())?;
        let part = rest.get(..end)?;
        let split = find(part, b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(part.get(..split)?).to_ascii_lowercase();
        if head.lines().any(|line| {
            line.strip_prefix("content-type:").or_else(|| line.strip_prefix("c:")).is_some_and(|value| {
                value.split(';').next().is_some_and(|media_type| media_type.trim() == "application/sdp")
            })
        }) {
            let content = part.get(split + 4..)?;
            return Some(content.strip_suffix(b"\r\n").unwrap_or(content));
        }
        rest = rest.get(end..)?;
    }
    None
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    if needle.is_empty() {
        return None;
    }
    haystack.windows(needle.len()).position(|window| window == needle)
}

fn bodies(common: &Common<'_>) -> (Option<Vec<u8>>, Option<Body>) {
    let sdp = sdp(common);
    if sdp.is_some() || common.body.is_empty() {
        return (sdp, None);
    }
    let content_type = common.headers.first(HeaderName::ContentType).unwrap_or("").to_owned();
    (None, Some(Body { content_type, bytes: common.body.to_vec() }))
}

fn party(address: &NameAddr<'_>, name: HeaderName) -> Result<Party, ParseError> {
    let uri = address.uri().map_err(|error| match error {
        UriError::UnknownScheme => ParseError::Scheme,
        _ => ParseError::Malformed(name),
    })?;
    Ok(Party {
        display_name: address.display_name(),
        uri: uri.to_owned(),
        tag: address.tag().map(str::to_owned),
    })
}

fn elements(headers: &Headers<'_>, name: HeaderName) -> Vec<String> {
    headers.elements(name).map(str::to_owned).collect()
}

fn values(headers: &Headers<'_>, name: HeaderName) -> Vec<String> {
    headers.values(name).map(str::to_owned).collect()
}

fn custom(headers: &Headers<'_>) -> Vec<(String, String)> {
    headers
        .iter()
        .filter(|header| {
            header.name == HeaderName::Other
                && header.raw_name.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-"))
        })
        .map(|header| (header.raw_name.to_owned(), header.value.to_owned()))
        .collect()
}

/// Contact URIs of a redirect, those we can read.
pub(super) fn redirect_targets(headers: &Headers<'_>) -> Vec<crate::message::OwnedUri> {
    headers
        .values(HeaderName::Contact)
        .flat_map(ListElements::new)
        .filter_map(NameAddr::parse)
        .filter_map(|contact| contact.uri().ok().map(|uri| uri.to_owned()))
        .collect()
}
