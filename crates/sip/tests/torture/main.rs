//! The torture messages of RFC 4475 and RFC 5118 against the parser and the endpoint, message by message.
//!
//! One table says what is expected of each ([`rfc4475`], [`rfc5118`]); `docs/reference/sip-torture.md` is printed from
//! it, and the end-to-end tests send the same messages to the running binary and read the answers off that page.

mod case;
mod page;
mod rfc4475;
mod rfc5118;

use case::{Answer, Case, Parsed};
use tandem_sip::message::{MAX_DATAGRAM_BYTES, Message, ParseError};

fn cases() -> Vec<Case> {
    rfc4475::cases().into_iter().chain(rfc5118::cases()).collect()
}

#[test]
fn every_message_is_read_and_answered_as_the_table_says() {
    let mut wrong = Vec::new();
    for case in cases() {
        let bytes = case.bytes();
        let mut scratch = Vec::new();
        let parsed = match Message::parse(&bytes, &mut scratch, MAX_DATAGRAM_BYTES) {
            Ok(message) => {
                (case.facts)(&message);
                match message {
                    Message::Request(request) => Parsed::Request(request.method_token.to_owned()),
                    Message::Response(response) => Parsed::Response(response.status),
                }
            }
            Err(error) => Parsed::Refused(error),
        };
        let answer = Answer::of_endpoint(&bytes);
        if (&parsed, answer) != (&case.parsed, case.answer) {
            wrong.push(format!("{}: {parsed:?}, {answer:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_table_holds_every_message_once() {
    for (folder, count) in [("rfc4475", 49), ("rfc5118", 12)] {
        let mut stored: Vec<String> = std::fs::read_dir(case::folder(folder))
            .expect("the messages are there")
            .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
            .filter_map(|name| name.strip_suffix(".dat").map(str::to_owned))
            .collect();
        let mut listed: Vec<String> =
            cases().iter().filter(|case| case.folder == folder).map(|case| case.name.to_owned()).collect();
        stored.sort();
        listed.sort();
        assert_eq!((stored.len(), &stored), (count, &listed), "{folder}");
    }
}

#[test]
fn every_truncation_of_every_message_is_survived_by_parser_and_endpoint() {
    for case in cases() {
        let bytes = case.bytes();
        for end in 0..bytes.len() {
            let cut = bytes.get(..end).expect("within");
            let mut scratch = Vec::new();
            let _ = Message::parse(cut, &mut scratch, MAX_DATAGRAM_BYTES);
            let _ = Answer::of_endpoint(cut);
        }
    }
}

/// The archive's file ends in the middle of the headers. With its end, the display name is what is wrong, and
/// display is forgiven (§3.1.2.15 leaves it to the element).
#[test]
fn an_unquoted_comma_in_a_display_name_is_forgiven() {
    let baddn = cases().into_iter().find(|case| case.name == "baddn").expect("listed");
    let mut bytes = baddn.bytes();
    let mut scratch = Vec::new();
    let cut = Message::parse(&bytes, &mut scratch, MAX_DATAGRAM_BYTES).err();
    assert_eq!(cut, Some(ParseError::Unterminated));
    bytes.extend_from_slice(b"\r\n");
    let mut scratch = Vec::new();
    let whole = Message::parse(&bytes, &mut scratch, MAX_DATAGRAM_BYTES).expect("accepted");
    assert_eq!(case::common(&whole).from.raw_display_name, "Bell, Alexander");
}
