//! Nothing a caller hands to the builder can add a line, a header or a body to what is sent: whatever the text, either
//! it is refused, or the message reads back with the headers it was given and no other.

use std::net::SocketAddr;
use std::time::Instant;

use proptest::prelude::*;
use tandem_sip::message::{
    Address, FieldName, HeaderField, HeaderName, MAX_EXTRA_FIELDS, Message, Method, OwnedUri, Request,
};
use tandem_sip::{
    CommandError, Endpoint, EndpointConfig, Flow, OutgoingInvite, OutgoingRequest, Output, Packet, Transport,
};

const NAMES: [FieldName; 21] = [
    FieldName::Reason,
    FieldName::Diversion,
    FieldName::Privacy,
    FieldName::PAssertedIdentity,
    FieldName::RetryAfter,
    FieldName::WwwAuthenticate,
    FieldName::ProxyAuthenticate,
    FieldName::Authorization,
    FieldName::ProxyAuthorization,
    FieldName::Contact,
    FieldName::Expires,
    FieldName::MinExpires,
    FieldName::Path,
    FieldName::ServiceRoute,
    FieldName::Warning,
    FieldName::Server,
    FieldName::UserAgent,
    FieldName::Date,
    FieldName::Accept,
    FieldName::Event,
    FieldName::SubscriptionState,
];

/// The one look at the clock: where virtual time starts.
#[expect(clippy::disallowed_methods, reason = "an Instant cannot be made in another way")]
fn now() -> Instant {
    Instant::now()
}

fn endpoint() -> Endpoint {
    Endpoint::new(EndpointConfig::new("192.0.2.1", 5060), [9; 32])
}

fn flow() -> Flow {
    let address = |text: &str| text.parse::<SocketAddr>().expect("an address");
    Flow { transport: Transport::Udp, local: address("192.0.2.1:5060"), remote: address("198.51.100.7:5060") }
}

/// Text that somebody would like to be more than text.
fn hostile() -> impl Strategy<Value = String> {
    prop_oneof![
        ".{0,40}",
        "[ -~\\r\\n\\t\\x00\\x7f]{0,40}",
        "(x|\\r\\n|\\n|\\r|\\u{85}|\\u{2028}|: |;|,|\"|<|>|@|Via: x|Content-Length: 9|\\r\\n\\r\\n){0,8}",
        Just("x\r\nContent-Length: 0\r\n\r\nBYE sip:a SIP/2.0".to_owned()),
    ]
}

/// Names and values as they read back, without those that frame.
fn fields(request: &Request<'_>) -> Vec<(String, String)> {
    let framing = [HeaderName::ContentLength, HeaderName::ContentType];
    let headers = request.common.headers.iter().filter(|header| !framing.contains(&header.name));
    headers.map(|header| (header.raw_name.to_owned(), header.value.to_owned())).collect()
}

fn sent(endpoint: &mut Endpoint) -> Packet {
    match (endpoint.poll(), endpoint.poll()) {
        (Some(Output::Transmit { bytes, .. }), None) => bytes,
        other => panic!("one message: {other:?}"),
    }
}

fn counted(bytes: &[u8], name: HeaderName) -> usize {
    let mut scratch = Vec::new();
    match Message::parse(bytes, &mut scratch, usize::MAX).expect("well formed") {
        Message::Request(request) => request.common.headers.values(name).count(),
        Message::Response(response) => response.common.headers.values(name).count(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn an_invite_of_any_text_has_the_headers_it_was_given(
        display in hostile(), call_id in hostile(), user in hostile(), uri in hostile(), sdp in prop::option::of(hostile()),
        values in prop::collection::vec((0..NAMES.len() + 1, hostile(), hostile()), 0..MAX_EXTRA_FIELDS + 2),
    ) {
        let target = OwnedUri::parse(&format!("sip:{uri}@198.51.100.7"))
            .unwrap_or_else(|_| OwnedUri::parse("sip:x@198.51.100.7").expect("a URI"));
        let plain = Address::parse("sip:us@192.0.2.1").expect("a URI");
        let from = plain.clone().with_display_name(&display).unwrap_or(plain);
        let mut invite = OutgoingInvite::new(flow(), target.clone(), from, Address::new(target));
        invite.headers = values
            .into_iter()
            .filter_map(|(name, custom, value)| match NAMES.get(name) {
                Some(name) => HeaderField::new(name.clone(), value).ok(),
                None => HeaderField::custom(&format!("X-{custom}"), value).ok(),
            })
            .collect();
        invite.call_id = Some(call_id);
        invite.contact_user = Some(user);
        invite.sdp = sdp.map(String::into_bytes);
        let (given, body) = (invite.headers.clone(), invite.sdp.clone());
        let mut endpoint = endpoint();
        match endpoint.invite(now(), invite) {
            Err(error) => {
                prop_assert_eq!(error, CommandError::Unprintable);
                prop_assert!(endpoint.poll().is_none());
            }
            Ok(_) => {
                let packet = sent(&mut endpoint);
                let mut scratch = Vec::new();
                let message = Message::parse(&packet, &mut scratch, usize::MAX);
                let Ok(Message::Request(request)) = message else { panic!("{message:?}") };
                prop_assert_eq!(request.method, Method::Invite);
                let expected: Vec<_> = given
                    .iter()
                    .map(|field| {
                        let value = field.value().trim_matches([' ', '\t']).replace('\t', " ");
                        (field.name().as_str().to_owned(), value)
                    })
                    .collect();
                let found = fields(&request);
                // Via, From, To, Call-ID, CSeq, Max-Forwards, Contact, Allow, Supported, User-Agent are ours.
                prop_assert_eq!(found.len(), 10 + expected.len());
                let own = found.iter().take(10).map(|(name, _)| name.as_str()).collect::<Vec<_>>();
                prop_assert_eq!(
                    own,
                    ["Via", "From", "To", "Call-ID", "CSeq", "Max-Forwards", "Contact", "Allow", "Supported", "User-Agent"]
                );
                prop_assert_eq!(found.get(10..), Some(expected.as_slice()));
                prop_assert_eq!(counted(&packet, HeaderName::ContentLength), 1);
                prop_assert_eq!(request.common.body, body.as_deref().unwrap_or_default());
            }
        }
    }

    #[test]
    fn a_request_of_any_text_is_one_message(
        content_type in hostile(), call_id in hostile(), tag in hostile(), user in hostile(), body in hostile(),
    ) {
        let uri = OwnedUri::parse("sip:x@198.51.100.7").expect("a URI");
        let mut request =
            OutgoingRequest::new(flow(), Method::Message, uri.clone(), Address::new(uri.clone()), Address::new(uri));
        request.call_id = Some(call_id);
        request.from_tag = Some(tag);
        request.contact_user = Some(user);
        request.body = Some((content_type, body.clone().into_bytes()));
        let mut endpoint = endpoint();
        if endpoint.request(now(), request).is_ok() {
            let packet = sent(&mut endpoint);
            let mut scratch = Vec::new();
            let message = Message::parse(&packet, &mut scratch, usize::MAX);
            let Ok(Message::Request(request)) = message else { panic!("{message:?}") };
            prop_assert_eq!(fields(&request).len(), 8);
            prop_assert_eq!(request.common.body, body.as_bytes());
        }
    }
}
