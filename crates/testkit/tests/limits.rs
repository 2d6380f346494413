//! docs/reference/limits.md says of every queue how much it holds: its constants exist, have the values it names, and no
//! file has a queue that it does not name.

use std::fs;
use std::path::{Path, PathBuf};

/// What makes a queue. A one-shot channel is none, nor is the place of the latest value.
const QUEUES: &[&str] =
    &["mpsc::channel(", "mpsc::channel::<", "VecDeque<", "BinaryHeap<", "Semaphore::new("];
/// Crates whose queues are the product's.
const CRATES: &[&str] = &["callflow", "engine", "media", "model", "server", "sip", "store"];
/// The simulator is a peer for demonstrations and tests: its queues hold nobody's calls.
const NOT_OURS: &str = "crates/engine/src/simulator/";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

fn page() -> String {
    fs::read_to_string(root().join("docs/reference/limits.md")).expect("the page is there")
}

/// The words of a line that stand between backticks.
fn quoted(line: &str) -> impl Iterator<Item = &str> {
    line.split('`').skip(1).step_by(2)
}

#[test]
fn every_constant_of_the_page_exists_and_has_the_value_it_names() {
    let mut checked = 0;
    for line in page().lines().filter(|line| line.starts_with("| ")) {
        let Some(file) = quoted(line).find(|word| word.starts_with("crates/")) else { continue };
        let source = fs::read_to_string(root().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        let names = quoted(line).filter(|word| word.chars().all(|c| c.is_ascii_uppercase() || c == '_'));
        for name in names.filter(|name| !matches!(*name, "OVERLOADED")) {
            let declared = format!("const {name}: ");
            let found = source.lines().find(|line| line.contains(&declared));
            let found = found.unwrap_or_else(|| panic!("{file} has no constant {name}: {line}"));
            let named = line.split(&format!("`{name}` = ")).nth(1).map(|rest| {
                rest.chars()
                    .take_while(|c| c.is_ascii_digit() || *c == ',')
                    .filter(char::is_ascii_digit)
                    .collect::<String>()
            });
            if let Some(named) = named.filter(|named| !named.is_empty()) {
                let value =
                    found.split(" = ").nth(1).unwrap_or_default().trim_end_matches(';').replace('_', "");
                assert_eq!(value, named, "{name} of {file}");
                checked += 1;
            }
        }
    }
    assert!(checked >= 15, "{checked} values were compared: is the table still read?");
}

#[test]
fn no_file_has_a_queue_that_the_page_does_not_name() {
    let page = page();
    let mut unnamed = Vec::new();
    for name in CRATES {
        visit(&root().join("crates").join(name).join("src"), &mut |path| {
            let shown = path.strip_prefix(root()).expect("below the root").display().to_string();
            let is_rust = path.extension().is_some_and(|extension| extension == "rs");
            let is_test = shown.contains("/tests");
            if !is_rust || is_test || shown.starts_with(NOT_OURS) || page.contains(&format!("`{shown}`")) {
                return;
            }
            let source = fs::read_to_string(path).expect("readable");
            let product = source.split("#[cfg(test)]").next().unwrap_or_default();
            if let Some(queue) = QUEUES.iter().find(|queue| product.contains(**queue)) {
                unnamed.push(format!("{shown}: {queue}"));
            }
        });
    }
    assert!(unnamed.is_empty(), "give these a row in docs/reference/limits.md: {unnamed:#?}");
}

fn visit(folder: &Path, take: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() { visit(&path, take) } else { take(&path) }
    }
}
