//! From a request as the SIP core reads it to the facts admission decides on.

use jiff::Timestamp;
use tandem_model::ports::{CallerIdentity, EdgeFacts, InviteFacts, Transport as ModelTransport};
use tandem_model::{CallId, DialogRecord};
use tandem_sip::message::Uri;
use tandem_sip::{RequestFacts, Transport};

/// Most custom headers handed on.
pub(crate) const MAX_CUSTOM_HEADERS: usize = 24;
/// Longest value of a custom header handed on; longer ones are left out.
pub(crate) const MAX_CUSTOM_VALUE_BYTES: usize = 512;
/// Carries the platform's own count of visits.
const HOPS_HEADER: &str = "X-Tandem-Hops";
/// Longest hop cookie looked at.
const MAX_HOPS_BYTES: usize = 64;
/// What marks a customer's own header: today's prefix and the older one.
const CUSTOM_PREFIXES: [&str; 2] = ["X-VH-", "X-PH-"];

/// The hosts of a request, lower case, without brackets: what [`EdgeFacts`] borrows.
pub(crate) struct Hosts {
    request: String,
    from: String,
    to: String,
}

impl Hosts {
    pub(crate) fn of(request: &RequestFacts) -> Self {
        let bare = |uri: Uri<'_>| bare_host(uri.host());
        Self {
            request: bare(request.request_uri.view()),
            from: bare(request.from.uri.view()),
            to: bare(request.to.uri.view()),
        }
    }

    /// What is known before authentication.
    pub(crate) fn edge<'a>(&'a self, request: &'a RequestFacts) -> EdgeFacts<'a> {
        EdgeFacts {
            source: request.flow.remote,
            transport: model_transport(request.flow.transport),
            method: request.method.as_str(),
            request_host: &self.request,
            request_user: request.request_uri.view().user().unwrap_or_default(),
            from_host: &self.from,
            from_user: request.from.uri.view().user().unwrap_or_default(),
            to_host: &self.to,
        }
    }
}

/// A host as the directory knows it: lower case, without brackets.
pub(super) fn bare_host(host: &str) -> String {
    host.trim_matches(['[', ']']).to_ascii_lowercase()
}

/// A transport in the words of the ports.
pub(super) fn model_transport(transport: Transport) -> ModelTransport {
    match transport {
        Transport::Udp => ModelTransport::Udp,
        Transport::Tcp | Transport::Ws => ModelTransport::Tcp,
        Transport::Tls | Transport::Wss => ModelTransport::Tls,
    }
}

/// The facts of an authenticated INVITE.
pub(crate) fn invite_facts(
    call: CallId,
    identity: CallerIdentity,
    request: &RequestFacts,
    dialog: DialogRecord,
    received_at: Timestamp,
) -> InviteFacts {
    let user = |uri: Uri<'_>| uri.user().unwrap_or_default().to_owned();
    let asserted = request.p_asserted_identity.iter().chain(&request.remote_party_id);
    InviteFacts {
        call,
        identity,
        dialled: user(request.request_uri.view()),
        domain: request.request_uri.view().host().to_ascii_lowercase(),
        from_user: user(request.from.uri.view()),
        display_name: request.from.display_name.clone(),
        asserted_user: asserted
            .filter_map(|value| sip_uri_within(value))
            .find_map(|uri| uri.user().map(str::to_owned)),
        privacy: request.privacy.as_deref().is_some_and(asks_privacy),
        diversion: request.diversion.first().and_then(|value| sip_uri_within(value)).map(user),
        custom_headers: custom_headers(&request.custom),
        source: request.flow.remote,
        sip_call_id: request.call_id.clone(),
        user_agent: request.user_agent.clone(),
        hop_cookie: hop_cookie(&request.custom),
        received_at,
        dialog,
    }
}

fn hop_cookie(headers: &[(String, String)]) -> Option<String> {
    let mut found = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(HOPS_HEADER));
    found.next().map(|(_, value)| value.clone()).filter(|value| value.len() <= MAX_HOPS_BYTES)
}

/// The URI of a header value, between angle brackets or bare with its parameters cut off.
pub(crate) fn sip_uri_within(value: &str) -> Option<Uri<'_>> {
    let text = match value.rsplit_once('<') {
        Some((_, rest)) => rest.split_once('>')?.0,
        None => value.split(';').next().unwrap_or(value),
    };
    Uri::parse(text.trim()).ok()
}

fn asks_privacy(value: &str) -> bool {
    value.split([';', ',']).any(|word| {
        let word = word.trim();
        word.eq_ignore_ascii_case("id")
            || word.eq_ignore_ascii_case("user")
            || word.eq_ignore_ascii_case("full")
    })
}

fn custom_headers(headers: &[(String, String)]) -> Vec<(String, String)> {
    headers
        .iter()
        .filter_map(|(name, value)| {
            let prefix = name.get(..5)?;
            let ours = CUSTOM_PREFIXES.iter().any(|known| known.eq_ignore_ascii_case(prefix));
            let fits = name.len() > 5 && value.len() <= MAX_CUSTOM_VALUE_BYTES;
            (ours && fits).then(|| (name[5..].to_owned(), value.clone()))
        })
        .take(MAX_CUSTOM_HEADERS)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_is_found_with_and_without_brackets() {
        let user = |value: &str| sip_uri_within(value).and_then(|uri| uri.user().map(str::to_owned));
        assert_eq!(user("\"A <b>\" <sip:+91@h>;reason=x").as_deref(), Some("+91"));
        assert_eq!(user("sip:+92@h;privacy=off").as_deref(), Some("+92"));
        assert_eq!(user("tel:+93").as_deref(), Some("+93"));
        assert_eq!(user("<sip:x"), None);
        assert_eq!(user("nonsense"), None);
    }

    #[test]
    fn custom_headers_are_those_of_the_customer_and_bounded() {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let found = custom_headers(&[
            header("X-VH-Order", "7"),
            header("x-ph-Old", "8"),
            header("X-Other", "9"),
            header("X-VH-", "empty name"),
            header("X-VH-Fits", &"v".repeat(MAX_CUSTOM_VALUE_BYTES)),
            header("X-VH-Long", &"v".repeat(MAX_CUSTOM_VALUE_BYTES + 1)),
        ]);
        let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["Order", "Old", "Fits"]);
        let many: Vec<_> = (0..=MAX_CUSTOM_HEADERS).map(|n| header(&format!("X-VH-N{n}"), "v")).collect();
        assert_eq!(custom_headers(&many).len(), MAX_CUSTOM_HEADERS);
    }

    #[test]
    fn privacy_is_asked_by_its_words() {
        assert!(asks_privacy("id") && asks_privacy("header; ID") && asks_privacy("full"));
        assert!(!asks_privacy("none") && !asks_privacy("idle"));
    }
}
