//! docs/reference/sip-scenarios.md names tests that exist, and every scenario of the networks' end-to-end tests is in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const PAGE: &str = "docs/reference/sip-scenarios.md";
const SCENARIOS: &str = "crates/cli/tests/e2e/networks";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

/// Names of functions in the Rust files below a folder.
fn functions(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            functions(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            let found = text.match_indices("fn ").map(|(at, _)| &text[at + 3..]);
            let name = |rest: &str| rest.split(['(', '<']).next().unwrap_or_default().to_owned();
            names.extend(found.map(name).filter(|name| is_name(name)));
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What stands in backticks in the last column of the page's tables.
fn named() -> Vec<String> {
    let page = fs::read_to_string(root().join(PAGE)).expect("the page");
    let rows = page.lines().filter(|line| line.starts_with("| ") && line.ends_with(" |"));
    let last = rows.filter_map(|row| row.trim_end_matches(" |").rsplit(" | ").next());
    last.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn every_test_the_page_names_exists() {
    let mut known = BTreeSet::new();
    functions(&root().join("crates"), &mut known);
    let named = named();
    assert!(named.len() > 50, "{} names found: the page is read wrongly", named.len());
    let missing: Vec<_> = named.iter().filter(|name| !known.contains(*name)).collect();
    assert!(missing.is_empty(), "{PAGE} names tests that are not there: {missing:#?}");
}

#[test]
fn every_scenario_is_on_the_page() {
    let named: BTreeSet<String> = named().into_iter().collect();
    let mut missing = Vec::new();
    for entry in fs::read_dir(root().join(SCENARIOS)).expect("the scenarios") {
        let text = fs::read_to_string(entry.expect("a readable entry").path()).expect("a readable file");
        let scenarios = text.split("Box::pin(").skip(1).filter_map(|rest| rest.split('(').next());
        missing.extend(scenarios.filter(|name| is_name(name) && !named.contains(*name)).map(str::to_owned));
    }
    assert!(missing.is_empty(), "not in {PAGE}: {missing:#?}");
}
