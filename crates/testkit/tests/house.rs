//! The house rules that a machine can check: who may import whom, how long a file may be, that
//! migrations come in pairs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, MetadataCommand};

/// `(crate, what it may import of ours)`, from docs/ARCHITECTURE.md.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("tandem-model", &[]),
    ("tandem-sip", &[]),
    ("tandem-media", &[]),
    ("tandem-callflow", &["tandem-model"]),
    ("tandem-script", &["tandem-media"]),
    ("tandem-store", &["tandem-model"]),
    ("tandem-engine", &["tandem-model", "tandem-sip", "tandem-media", "tandem-callflow"]),
    ("tandem-server", &["tandem-model", "tandem-store", "tandem-engine", "tandem-callflow"]),
    ("tandem-cli", &["tandem-server", "tandem-script"]),
];

/// Files longer than this need a reason in [`LONG_WITH_REASON`].
const LONGEST_FILE: usize = 600;

const LONG_WITH_REASON: &[(&str, &str)] = &[
    ("crates/cli/src/arguments.rs", "the one table of what the command line takes, with its help texts"),
    (
        "crates/server/src/egress/tests.rs",
        "a table of URLs that must not be reached, and the listeners that prove it",
    ),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the repository is there")
}

#[test]
fn crates_import_only_what_the_architecture_allows() {
    let metadata = MetadataCommand::new().manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let mut seen = BTreeSet::new();
    for package in &metadata.packages {
        let name = package.name.to_string();
        if name == "tandem-testkit" {
            continue;
        }
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(of, _)| *of == name)
            .unwrap_or_else(|| panic!("{name} is not in the architecture: say who may import it, and what"));
        for dependency in &package.dependencies {
            let ours = dependency.name.starts_with("tandem-");
            if ours && dependency.kind == DependencyKind::Normal {
                assert!(
                    allowed.contains(&dependency.name.as_str()),
                    "{name} imports {}, which docs/ARCHITECTURE.md forbids",
                    dependency.name
                );
            }
        }
        seen.insert(name);
    }
    assert_eq!(seen.len(), MAY_IMPORT.len(), "every crate of the architecture exists");
}

#[test]
fn no_file_is_longer_than_it_has_a_reason_to_be() {
    let mut too_long = Vec::new();
    visit(&root().join("crates"), &mut |path| {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let lines = fs::read_to_string(path).unwrap().lines().count();
            let shown = path.strip_prefix(root()).unwrap().display().to_string();
            if lines > LONGEST_FILE && !LONG_WITH_REASON.iter().any(|(file, _)| *file == shown) {
                too_long.push(format!("{shown}: {lines} lines"));
            }
        }
    });
    assert!(too_long.is_empty(), "split these, or give a reason: {too_long:#?}");
}

#[test]
fn migrations_come_in_pairs() {
    let folder = root().join("crates/store/migrations");
    let names = |dialect: &str| -> BTreeSet<String> {
        fs::read_dir(folder.join(dialect))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect()
    };
    let (sqlite, postgres) = (names("sqlite"), names("postgres"));
    assert!(!sqlite.is_empty());
    assert_eq!(sqlite, postgres);
}

fn visit(folder: &Path, take: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                visit(&path, take);
            }
        } else {
            take(&path);
        }
    }
}
