//! Any bytes as a SIP message: no panic, no limit passed, and what is accepted prints to a message that says the same.

use tandem_sip::message::{
    Framed, HeaderName, MAX_DATAGRAM_BYTES, MAX_HEADERS, MAX_STREAM_MESSAGE_BYTES, Message, MessageWriter,
    NameAddr,
};

/// Reads the bytes as the endpoint does and checks what came of it.
///
/// # Panics
/// When something promised does not hold.
pub(crate) fn check(bytes: &[u8]) {
    let _ = tandem_sip::shard_of(bytes);
    let _ = tandem_sip::call_id_of(bytes);
    let mut scratch = Vec::new();
    if let Ok(framed) = Framed::parse(bytes, &mut scratch, MAX_STREAM_MESSAGE_BYTES) {
        assert!(framed.headers.iter().count() <= MAX_HEADERS);
        for header in framed.headers.iter() {
            assert!(!header.value.contains(['\r', '\n']), "a value is one line: {:?}", header.value);
        }
    }
    let mut scratch = Vec::new();
    let Ok(message) = Message::parse(bytes, &mut scratch, MAX_STREAM_MESSAGE_BYTES) else { return };
    let mut again = Vec::new();
    let is_datagram = Message::parse(bytes, &mut again, MAX_DATAGRAM_BYTES).is_ok();
    assert_eq!(is_datagram, bytes.len() <= MAX_DATAGRAM_BYTES, "the limits differ in nothing but length");
    let mut printed = Vec::new();
    let (common, mut writer) = match &message {
        Message::Request(request) => {
            let _ = (request.uri.user(), request.uri.ip(), request.uri.parameter("transport"));
            let writer = MessageWriter::request(&mut printed, request.method_token, request.uri.as_str());
            (&request.common, writer)
        }
        Message::Response(response) => {
            assert!((100..=699).contains(&response.status));
            let writer = MessageWriter::response(&mut printed, response.status, Some(response.phrase));
            (&response.common, writer)
        }
    };
    assert!(common.body.len() <= bytes.len());
    assert!(common.cseq.number < 1 << 31);
    let mut fields = 0;
    for header in common.headers.iter() {
        for element in common.headers.elements(header.name) {
            if let Some(address) = NameAddr::parse(element) {
                let _ = (address.uri(), address.display_name(), address.tag());
            }
        }
        if !matches!(header.name, HeaderName::ContentLength | HeaderName::ContentType) {
            writer.field(header.name, header.value);
            fields += 1;
        }
    }
    writer.finish(common.headers.first(HeaderName::ContentType).unwrap_or(""), common.body);
    if fields + 2 > MAX_HEADERS {
        return;
    }
    let mut scratch = Vec::new();
    let reread = Message::parse(&printed, &mut scratch, usize::MAX);
    let reread = reread.unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&printed)));
    let theirs = match &reread {
        Message::Request(request) => &request.common,
        Message::Response(response) => &response.common,
    };
    let names = |common: &tandem_sip::message::Common<'_>| -> Vec<HeaderName> {
        let framing = [HeaderName::ContentLength, HeaderName::ContentType, HeaderName::Other];
        common.headers.iter().map(|header| header.name).filter(|name| !framing.contains(name)).collect()
    };
    assert_eq!(names(common), names(theirs));
    assert_eq!((common.body, common.cseq.number), (theirs.body, theirs.cseq.number));
    assert_eq!(common.via.branch(), theirs.via.branch());
    assert_eq!((common.from.uri_text, common.to.tag()), (theirs.from.uri_text, theirs.to.tag()));
}
