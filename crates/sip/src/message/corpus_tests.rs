//! The torture messages of RFC 4475: what the parser says to each of the 49.

use super::*;

fn verdict(name: &str) -> Result<String, ParseError> {
    let path = format!("{}/tests/rfc4475/{name}.dat", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).expect(&path);
    let mut scratch = Vec::new();
    Message::parse(&bytes, &mut scratch, MAX_STREAM_MESSAGE_BYTES).map(|message| match message {
        Message::Request(request) => request.method_token.to_owned(),
        Message::Response(response) => response.status.to_string(),
    })
}

#[test]
fn valid_messages_are_accepted() {
    // §3.1.1, §3.2 to §3.4: valid, or invalid only for a layer above the parser.
    for (name, what) in [
        ("wsinv", "INVITE"),
        ("intmeth", "!interesting-Method0123456789_*+`.%indeed'~"),
        ("esc01", "INVITE"),
        ("escnull", "REGISTER"),
        ("esc02", "RE%47IST%45R"),
        ("lwsdisp", "OPTIONS"),
        ("longreq", "INVITE"),
        ("dblreq", "REGISTER"),
        ("semiuri", "OPTIONS"),
        ("transports", "OPTIONS"),
        ("mpart01", "MESSAGE"),
        ("unreason", "200"),
        ("noreason", "100"),
        ("badbranch", "OPTIONS"),
        ("bext01", "OPTIONS"),
        ("invut", "INVITE"),
        ("regaut01", "REGISTER"),
        ("bcast", "200"),
        ("zeromf", "OPTIONS"),
        ("cparam01", "REGISTER"),
        ("cparam02", "REGISTER"),
        ("regescrt", "REGISTER"),
        ("sdp01", "INVITE"),
        ("inv2543", "INVITE"),
        ("baddate", "INVITE"),
        ("unksm2", "REGISTER"),
        ("regbadct", "REGISTER"),
        ("escruri", "INVITE"),
    ] {
        assert_eq!(verdict(name), Ok(what.to_owned()), "{name}");
    }
}

#[test]
fn invalid_messages_are_refused_for_their_reason() {
    use HeaderName as H;
    use ParseError as E;
    for (name, why) in [
        ("badinv01", E::Malformed(H::Via)),
        ("clerr", E::BodyTooShort),
        ("ncl", E::Malformed(H::ContentLength)),
        ("scalar02", E::Malformed(H::CSeq)),
        ("scalarlg", E::Malformed(H::CSeq)),
        ("quotbal", E::Malformed(H::To)),
        ("ltgtruri", E::RequestUri),
        ("lwsruri", E::StartLine),
        ("lwsstart", E::StartLine),
        ("trws", E::StartLine),
        ("mismatch01", E::MethodMismatch),
        ("mismatch02", E::MethodMismatch),
        ("bigcode", E::StartLine),
        ("badvers", E::Version),
        // The corpus file lacks the empty line, which outweighs its display name.
        ("baddn", E::Unterminated),
        ("badaspec", E::Malformed(H::To)),
        ("insuf", E::Missing(H::CallId)),
        ("unkscm", E::Scheme),
        ("novelsc", E::Scheme),
        ("multi01", E::Duplicate(H::CallId)),
        ("mcl01", E::Duplicate(H::ContentLength)),
    ] {
        assert_eq!(verdict(name), Err(why), "{name}");
    }
}

#[test]
fn the_corpus_is_complete_and_every_truncation_of_it_is_survived() {
    let directory = format!("{}/tests/rfc4475", env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(directory).expect("corpus") {
        let path = entry.expect("entry").path();
        if path.extension().is_none_or(|extension| extension != "dat") {
            continue;
        }
        count += 1;
        let bytes = std::fs::read(path).expect("readable");
        for end in 0..bytes.len() {
            let mut scratch = Vec::new();
            let _ = Message::parse(&bytes[..end], &mut scratch, MAX_STREAM_MESSAGE_BYTES);
        }
    }
    assert_eq!(count, 49);
}
