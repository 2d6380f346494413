//! The page that shows the table, and the test that keeps it.

use std::path::Path;

use crate::case::{Answer, Case, Parsed};
use crate::cases;

const HEAD: &str = "# SIP torture messages

What becomes of every message of RFC 4475 (SIP torture tests) and RFC 5118 (the same for IPv6). The table is what
`crates/sip/tests/torture` asserts, and this page is printed from it; the end-to-end tests send the same bytes to the
running binary and compare its answers with the last column but one.

The rule behind the outcomes: **strict on framing, lenient on display**. Whatever decides where a message ends, which
transaction or dialog it belongs to, or what is to be done, must be unambiguous, or the message is refused; what is only
shown to people (display names, reason phrases, dates, unknown headers) never costs a call.

* **Parser**: the method or status accepted, or the error.
* **Endpoint**: what the SIP core does by itself over UDP; *call* and *request* are handed up, and nothing has been sent.
* **A carrier hears**: the final answer of the platform when the message comes from a known carrier's address. Anybody
  unknown hears nothing, whatever he sends.

Limits, each tested at and one past: a message over UDP has at most 8 KiB, over a stream 64 KiB; 64 header lines; 64 elements
in the lists that route a message (Via, Route, Record-Route, Contact, Path); a URI 1,024 bytes; a digest header 4,096 bytes; a
session description 8 KiB with 8 media lines of 64 attributes and 64 formats each. What frames, identifies or steers a
message may stand once: From, To, Call-ID, CSeq, Max-Forwards, Content-Length, Content-Type, Content-Disposition, Expires,
Min-Expires, Session-Expires, Min-SE, RSeq, RAck, Retry-After, Refer-To, Event.
";

fn page() -> String {
    let mut page = String::from(HEAD);
    for (folder, title) in [("rfc4475", "RFC 4475"), ("rfc5118", "RFC 5118 (IPv6)")] {
        page.push_str(&format!(
            "\n## {title}\n\n| § | Message | Class | Parser | Endpoint | A carrier hears | Why |\n|---|---|---|---|---|---|---|\n"
        ));
        for case in cases().iter().filter(|case| case.folder == folder) {
            page.push_str(&line(case));
        }
    }
    page
}

fn line(case: &Case) -> String {
    let parser = match &case.parsed {
        Parsed::Request(method) if method.contains('`') => format!("`` {method} ``"),
        Parsed::Request(method) => format!("`{method}`"),
        Parsed::Response(status) => status.to_string(),
        Parsed::Refused(error) => format!("refused: {error}"),
    };
    let endpoint = match case.answer {
        Answer::Silence => "silence".to_owned(),
        Answer::Status(status) => status.to_string(),
        Answer::Call => "call".to_owned(),
        Answer::Request => "request".to_owned(),
    };
    let carrier = case.carrier_hears.map_or("silence".to_owned(), |status| status.to_string());
    let Case { section, name, class, why, .. } = case;
    format!("| {section} | {name} | {class} | {parser} | {endpoint} | {carrier} | {why} |\n")
}

#[test]
fn the_page_shows_the_table() {
    let page = page();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/reference/sip-torture.md");
    let fresh = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sip-torture.md");
    std::fs::write(&fresh, &page).expect("the build's folder is writable");
    let stored = std::fs::read_to_string(&kept).unwrap_or_default();
    assert!(stored == page, "the page is stale: cp {} {}", fresh.display(), kept.display());
}
