//! Framing, limits and the round trip of the message parser.

use proptest::prelude::*;

use super::*;

const HEAD: &str = "INVITE sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\n\
                    To: <sip:b@h>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n";

fn parse_error(text: &str) -> Option<ParseError> {
    let mut scratch = Vec::new();
    Message::parse(text.as_bytes(), &mut scratch, MAX_DATAGRAM_BYTES).err()
}

#[test]
fn headers_that_frame_or_identify_may_not_stand_twice() {
    for line in [
        "Content-Length: 0\r\nl: 0\r\n",
        "CSeq: 1 INVITE\r\n",
        "i: c\r\n",
        "From: <sip:a@h>;tag=1\r\n",
        "t: <sip:b@h>\r\n",
        "Max-Forwards: 1\r\nMax-Forwards: 1\r\n",
        "c: application/sdp\r\nContent-Type: application/sdp\r\n",
        "Content-Disposition: session\r\nContent-Disposition: session\r\n",
        "Expires: 1\r\nExpires: 1\r\n",
        "Min-Expires: 1\r\nMin-Expires: 1\r\n",
        "x: 90\r\nSession-Expires: 90\r\n",
        "Min-SE: 90\r\nMin-SE: 90\r\n",
        "RSeq: 1\r\nRSeq: 1\r\n",
        "RAck: 1 1 INVITE\r\nRAck: 1 1 INVITE\r\n",
        "Retry-After: 1\r\nRetry-After: 1\r\n",
        "r: <sip:x@h>\r\nRefer-To: <sip:x@h>\r\n",
        "o: x\r\nEvent: x\r\n",
    ] {
        assert!(
            matches!(parse_error(&format!("{HEAD}{line}\r\n")), Some(ParseError::Duplicate(_))),
            "{line:?}"
        );
    }
}

#[test]
fn headers_that_are_only_shown_may_repeat() {
    for line in ["User-Agent: a\r\nUser-Agent: b\r\n", "s: a\r\nSubject: b\r\n", "X-A: 1\r\nX-A: 2\r\n"] {
        assert_eq!(parse_error(&format!("{HEAD}{line}\r\n")), None, "{line:?}");
    }
}

#[test]
fn content_lengths_that_contradict_each_other_are_refused_in_every_spelling() {
    use HeaderName::ContentLength;
    for (lines, error) in [
        ("Content-Length: 3\r\nContent-Length: 0\r\n", ParseError::Duplicate(ContentLength)),
        ("Content-Length: 3\r\nl: 3\r\n", ParseError::Duplicate(ContentLength)),
        ("content-length : 3\r\nL: 0\r\n", ParseError::Duplicate(ContentLength)),
        ("Content-Length: 3, 0\r\n", ParseError::Malformed(ContentLength)),
        ("Content-Length: 3\r\n 0\r\n", ParseError::Malformed(ContentLength)),
        ("Content-Length: 3;x\r\n", ParseError::Malformed(ContentLength)),
        ("Content-Length:\r\n", ParseError::Malformed(ContentLength)),
        ("Content-Length\u{a0}: 3\r\n", ParseError::HeaderLine),
        ("Content-Length: \u{663}\r\n", ParseError::Malformed(ContentLength)),
    ] {
        assert_eq!(parse_error(&format!("{HEAD}{lines}\r\nabc")), Some(error), "{lines:?}");
    }
}

#[test]
fn lists_that_route_are_refused_past_their_limit_wherever_the_commas_stand() {
    for name in [
        HeaderName::Via,
        HeaderName::Route,
        HeaderName::RecordRoute,
        HeaderName::Contact,
        HeaderName::Path,
        HeaderName::ServiceRoute,
    ] {
        let (element, mut count) = match name {
            HeaderName::Via => ("SIP/2.0/UDP a", MAX_LIST_ELEMENTS - 1),
            _ => ("<sip:a,b@h>", MAX_LIST_ELEMENTS),
        };
        let with = |count: usize| {
            let value = vec![element; count].join(", ");
            parse_error(&format!("{HEAD}{}: {value}\r\n\r\n", name.as_str()))
        };
        assert_eq!(with(count), None, "{name:?}");
        count += 1;
        assert_eq!(with(count), Some(ParseError::TooManyElements(name)), "{name:?}");
    }
}

#[test]
fn other_lists_are_read_up_to_their_limit() {
    let value = vec!["x"; MAX_LIST_ELEMENTS + 1].join(",");
    let text = format!("{HEAD}Allow: {value}\r\n\r\n");
    let mut scratch = Vec::new();
    let message = Message::parse(text.as_bytes(), &mut scratch, MAX_DATAGRAM_BYTES).expect("accepted");
    let Message::Request(request) = message else { panic!("a request") };
    assert_eq!(request.common.headers.elements(HeaderName::Allow).count(), MAX_LIST_ELEMENTS);
}

#[test]
fn a_request_uri_carries_no_headers() {
    for (uri, error) in [
        ("sip:b@h?Subject=x", Some(ParseError::RequestUri)),
        ("sip:b@h;lr?", Some(ParseError::RequestUri)),
        ("sip:b?c@h", None),
    ] {
        assert_eq!(parse_error(&format!("{HEAD}\r\n").replacen("sip:b@h", uri, 1)), error, "{uri}");
    }
}

#[test]
fn content_length_must_be_honest() {
    assert_eq!(parse_error(&format!("{HEAD}Content-Length: 3\r\n\r\nabc")), None);
    assert_eq!(parse_error(&format!("{HEAD}Content-Length: 4\r\n\r\nabc")), Some(ParseError::BodyTooShort));
    for bad in ["-1", "+1", "0x1", "", "1 1", "99999999999"] {
        let error = parse_error(&format!("{HEAD}Content-Length: {bad}\r\n\r\nabc"));
        assert_eq!(error, Some(ParseError::Malformed(HeaderName::ContentLength)), "{bad:?}");
    }
}

#[test]
fn header_count_limit_holds_at_and_one_past() {
    let with = |extra: usize| format!("{HEAD}{}\r\n", "X-A: b\r\n".repeat(extra));
    assert_eq!(parse_error(&with(MAX_HEADERS - 5)), None);
    assert_eq!(parse_error(&with(MAX_HEADERS - 4)), Some(ParseError::TooManyHeaders));
}

#[test]
fn size_limit_holds_at_and_one_past() {
    let with = |length: usize, limit: usize| {
        let text = format!("{HEAD}\r\n{}", "b".repeat(length - HEAD.len() - 2));
        let mut scratch = Vec::new();
        Message::parse(text.as_bytes(), &mut scratch, limit).err()
    };
    for limit in [MAX_DATAGRAM_BYTES, MAX_STREAM_MESSAGE_BYTES] {
        assert_eq!(with(limit, limit), None);
        assert_eq!(with(limit + 1, limit), Some(ParseError::TooLong));
    }
}

#[test]
fn a_latin_1_display_name_does_not_lose_the_call() {
    let mut bytes = HEAD.replace("<sip:a@h>", "Jos# <sip:a@h>").into_bytes();
    bytes.extend_from_slice(b"\r\n");
    for byte in &mut bytes {
        if *byte == b'#' {
            *byte = 0xe9;
        }
    }
    let mut scratch = Vec::new();
    let Ok(Message::Request(request)) = Message::parse(&bytes, &mut scratch, MAX_DATAGRAM_BYTES) else {
        panic!("refused");
    };
    assert_eq!(request.common.from.raw_display_name, "Jos?");
}

#[test]
fn a_bare_line_feed_or_control_character_in_a_header_is_refused() {
    for bad in ["X-A: a\nB: c\r\n", "X-A: a\0\r\n", "X-A: a\rb\r\n", "no colon\r\n", ": x\r\n", "a b: x\r\n"]
    {
        assert_eq!(parse_error(&format!("{HEAD}{bad}\r\n")), Some(ParseError::HeaderLine), "{bad:?}");
    }
}

#[test]
fn a_value_cannot_start_a_line_of_its_own() {
    let mut out = Vec::new();
    MessageWriter::request(&mut out, "INVITE", "sip:x@h\r\nEvil: 1")
        .field(HeaderName::Reason, "a\r\nEvil: 2")
        .formatted(HeaderName::Subject, format_args!("{}", "b\nEvil: 3"))
        .finish("a/b\r\nEvil: 4", b"body");
    let text = String::from_utf8(out).expect("text");
    assert!(!text.contains("\nEvil"), "{text}");
}

proptest! {
    #[test]
    fn no_bytes_make_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut scratch = Vec::new();
        let _ = Message::parse(&bytes, &mut scratch, MAX_DATAGRAM_BYTES);
    }

    #[test]
    fn no_header_text_makes_the_parser_panic(
        name in "(Via|v|From|To|Contact|CSeq|Route|Call-ID|Content-Length|Max-Forwards)",
        value in "[ -~\\r\\n\\t\"<>;,:@\\[\\]é]{0,80}",
    ) {
        let text = format!("OPTIONS sip:x@h SIP/2.0\r\n{name}: {value}\r\n\r\n");
        let mut scratch = Vec::new();
        let _ = Message::parse(text.as_bytes(), &mut scratch, MAX_DATAGRAM_BYTES);
        let _ = NameAddr::parse(&value);
        let _ = Via::parse(&value);
        let _ = Uri::parse(&value);
        let _ = ListElements::new(&value).count();
    }

    #[test]
    fn what_is_printed_is_what_is_parsed(
        user in "[a-zA-Z0-9+._-]{1,20}",
        display in "[ -~é]{1,30}",
        branch in "z9hG4bK[a-z0-9]{1,20}",
        tag in "[a-z0-9]{1,16}",
        call_id in "[a-z0-9@.-]{1,30}",
        number in 0u32..(1 << 31),
        hops in any::<u8>(),
        custom in "[!-~]([ -~]{0,40}[!-~])?",
        body in prop::collection::vec(any::<u8>(), 0..200),
    ) {
        let uri = format!("sip:{user}@192.0.2.1:5070;transport=tcp");
        let address = Address::parse(&uri).expect("uri").with_display_name(&display).expect("display");
        let mut out = Vec::new();
        let field = HeaderField::custom("X-VH-Test", custom.clone()).expect("field");
        MessageWriter::request(&mut out, "INVITE", &uri)
            .formatted(HeaderName::Via, format_args!("SIP/2.0/UDP 192.0.2.9:5060;branch={branch};rport"))
            .formatted(HeaderName::From, format_args!("{address};tag={tag}"))
            .formatted(HeaderName::To, format_args!("{address}"))
            .field(HeaderName::CallId, &call_id)
            .formatted(HeaderName::CSeq, format_args!("{number} INVITE"))
            .formatted(HeaderName::MaxForwards, format_args!("{hops}"))
            .extra(&field)
            .finish("application/octet-stream", &body);
        let mut scratch = Vec::new();
        let message = Message::parse(&out, &mut scratch, MAX_DATAGRAM_BYTES).expect("parses");
        let Message::Request(request) = message else { panic!("a request") };
        let common = &request.common;
        prop_assert_eq!(request.uri.as_str(), uri.as_str());
        prop_assert_eq!(common.via.branch(), Some(branch.as_str()));
        prop_assert_eq!(common.from.display_name(), Some(display));
        prop_assert_eq!(common.from.uri_text, uri.as_str());
        prop_assert_eq!(common.from.tag(), Some(tag.as_str()));
        prop_assert_eq!(common.to.tag(), None);
        prop_assert_eq!(common.call_id, call_id.as_str());
        prop_assert_eq!(common.cseq.number, number);
        prop_assert_eq!(common.max_forwards, Some(hops));
        prop_assert_eq!(common.headers.first(HeaderName::Other), Some(custom.as_str()));
        prop_assert_eq!(common.body, body.as_slice());
    }
}
