//! Golden documents: each XML file in `tests/golden` begins with a comment that scripts the people around
//! the call; the snapshot is the trace of orders in virtual time.
//!
//! Script lines: `call inbound|outbound|fallback|silent` (the last has no early media), `<ms> A <keys>`,
//! `<ms> A hangs up|cancels|falls silent|is silent` (falls: watched; is: recorded), `<ms> B<n> rings|early|answers|busy|hangs up|refused|<keys>`. Further documents
//! are in `pages/`.

use std::fs;
use std::path::Path;

use tandem_callflow::{ALegState, CallSetup, Leg};
use tandem_model::{ErrorCode, HangupCause, HangupSource};

use crate::driver::{ANSWER_URL, Driver, setup, with_fallback};

#[test]
fn golden_documents_give_the_orders_of_their_snapshots() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut seen = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|it| it == "xml")) {
        let xml = fs::read_to_string(file).unwrap();
        let name = file.file_stem().unwrap().to_str().unwrap();
        let call = scripted(&folder, &xml).run();
        insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots", omit_expression => true }, {
            insta::assert_snapshot!(name, call.trace());
        });
        seen += 1;
    }
    assert!(seen >= 30, "the golden folder was read");
}

#[test]
fn the_reference_page_is_generated_from_the_specifications() {
    insta::with_settings!({ prepend_module_to_snapshot => false, snapshot_path => "../snapshots", omit_expression => true }, {
        insta::assert_snapshot!("reference", tandem_callflow::document::reference());
    });
}

fn scripted(folder: &Path, xml: &str) -> Driver {
    let script = xml.split_once("<!--").and_then(|(_, rest)| rest.split_once("-->")).expect("a script").0;
    let mut lines = script.lines().map(str::trim).filter(|line| !line.is_empty());
    let kind = lines.next().and_then(|line| line.strip_prefix("call ")).expect("`call …` first");
    let mut driver = match kind {
        "inbound" => Driver::new(setup()),
        "outbound" => Driver::new(CallSetup { a_leg: ALegState::Answered, ..setup() }),
        "silent" => Driver::new(CallSetup { early_media: false, ..setup() }),
        "fallback" => Driver::new(with_fallback(setup())),
        other => panic!("unknown kind of call: {other}"),
    }
    .page(ANSWER_URL, xml);
    for page in fs::read_dir(folder.join("pages")).unwrap() {
        let page = page.unwrap().path();
        let url = format!("https://app.example/{}", page.file_stem().unwrap().to_str().unwrap());
        driver = driver.page(&url, &fs::read_to_string(&page).unwrap());
    }
    lines.fold(driver, act)
}

fn act(driver: Driver, line: &str) -> Driver {
    let mut words = line.splitn(3, ' ');
    let (Some(at), Some(who), Some(what)) = (words.next(), words.next(), words.next()) else {
        panic!("not `<ms> <leg> <what>`: {line}");
    };
    let at: u64 = at.parse().expect("milliseconds");
    let leg = who.strip_prefix('B').map_or(0, |number| number.parse().expect("a leg"));
    match (leg, what) {
        (0, "is silent") => driver.silence(at),
        (0, "cancels") => driver.caller_cancels(at),
        (0, "falls silent" | "beeps") => driver.noticed(at, Leg::A),
        (0, "hangs up") => driver.caller_hangs_up(at),
        (leg, "hangs up") => driver.ends(at, leg, HangupCause::NormalHangup, HangupSource::Callee),
        (leg, "busy") => driver.ends(at, leg, HangupCause::BusyLine, HangupSource::Carrier),
        (leg, "refused") => driver.refused(at, leg, ErrorCode::CallerIdNotOwned),
        (leg, "rings") => driver.rings(at, leg),
        (leg, "early") => driver.early(at, leg),
        (leg, "answers") => driver.answers(at, leg),
        (leg, keys) => {
            keys.chars().zip((at..).step_by(200)).fold(driver, |it, (key, at)| it.digit(at, Leg(leg), key))
        }
    }
}
