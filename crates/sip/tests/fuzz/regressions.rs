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
