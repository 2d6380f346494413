//! Inputs that once broke a promise.

use tandem_sip::message::{HeaderName, MAX_DATAGRAM_BYTES, Message, ParseError};

use crate::message;

fn refusal(text: &str) -> Option<ParseError> {
    let mut scratch = Vec::new();
    Message::parse(text.as_bytes(), &mut scratch, MAX_DATAGRAM_BYTES).err()
}

/// An escaped control character was taken outside quotes too; our answer repeated it as a space, and with it another
/// Call-ID than the request's.
#[test]
fn an_escaped_control_character_is_for_quoted_strings_only() {
    let with = |call_id: &str, subject: &str| {
        format!(
            "OPTIONS sip:b@h SIP/2.0\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\n\
             Call-ID: {call_id}\r\nCSeq: 1 OPTIONS\r\nSubject: {subject}\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let malformed = Some(ParseError::Malformed(HeaderName::CallId));
    for (call_id, subject, refused) in [
        ("c\\\u{7}c", "x", Some(ParseError::HeaderLine)),
        ("c\"\\\u{7}\"c", "x", malformed),
        ("c\"\\\u{7f}\"c", "x", malformed),
        ("c", "x\\\u{7}", Some(ParseError::HeaderLine)),
        ("c", "\"x\\\u{7}\"", None),
        ("c\\c", "x", None),
    ] {
        let text = with(call_id, subject);
        assert_eq!(refusal(&text), refused, "{text:?}");
        message::check(text.as_bytes());
    }
}

/// A From without brackets kept a `>` that stood in it; put between brackets of ours it made the ACK of a call that
/// nobody knew unreadable.
#[test]
fn a_bare_address_holds_no_bracket() {
    let with = |from: &str| {
        format!(
            "SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a;branch=z9hG4bKx\r\nFrom: {from};tag=1\r\nTo: <sip:b@h>;tag=2\r\n\
             Call-ID: c\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
        )
    };
    for (from, refused) in [
        ("sip:a@h>", Some(ParseError::Malformed(HeaderName::From))),
        ("<sip:a@h>>", Some(ParseError::Malformed(HeaderName::From))),
        ("sip:a@h", None),
        ("<sip:a@h>", None),
    ] {
        assert_eq!(refusal(&with(from)), refused, "{from}");
        message::check(with(from).as_bytes());
    }
}
