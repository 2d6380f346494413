//! docs/reference/coverage.md: which of the published operations are built, and in which client's dialect their answer is
//! held by a golden body (crates/server/contract/golden).

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::operations;

/// The published operations: section, group, method, path.
const INDEX: &str = include_str!("../../../contract/endpoints.tsv");

macro_rules! golden {
    ($($name:literal)*) => { &[$(($name, include_str!(concat!("../../../contract/golden/", $name, ".json")))),*] };
}

/// The golden bodies, a file a tag.
pub(crate) const GOLDEN: &[(&str, &str)] = golden! {
    "account" "account-settings" "money" "sessions" "sub-accounts" "sub-account-kyc" "kyc-test-mode" "partner" "kyc-sessions" "numbers"
    "older-number-routes"     "applications" "endpoints" "trunks" "trunk-credentials" "trunk-access-lists" "origination-uris" "calls"
    "call-records" "recordings"
};

/// Whose dialect, as golden files name it.
pub(crate) const DIALECTS: [(&str, &str); 3] =
    [("plain", "Plain"), ("python", "Generated Python"), ("fern", "Other generated")];

/// A pattern without the names of its parameters, and its query.
fn key(method: &str, path: &str) -> String {
    let path = path.split('?').next().unwrap_or(path);
    let segments = path.split('/').map(|segment| if segment.starts_with('{') { "{}" } else { segment });
    format!("{method} {}", segments.collect::<Vec<_>>().join("/"))
}

/// What is known of each operation that is built: which dialects have a golden body.
fn held() -> BTreeMap<String, [bool; 3]> {
    let mut held: BTreeMap<String, [bool; 3]> = operations()
        .iter()
        .filter(|operation| operation.status != 501)
        .map(|operation| (key(operation.method, &operation.pattern), [false; 3]))
        .collect();
    for (_, text) in GOLDEN {
        let golden: Map<String, Value> = serde_json::from_str(text).unwrap_or_default();
        for (name, bodies) in golden {
            let (method, path) = name.split_once(' ').unwrap_or_default();
            if let Some(dialects) = held.get_mut(&key(method, path)) {
                for (known, (dialect, _)) in dialects.iter_mut().zip(DIALECTS) {
                    *known = bodies["dialects"]
                        .as_array()
                        .is_some_and(|dialects| dialects.iter().any(|name| name == dialect));
                }
            }
        }
    }
    held
}

/// How much of something there is.
#[derive(Clone, Copy, Default)]
struct Count {
    published: usize,
    built: usize,
    held: [usize; 3],
}

impl Count {
    fn add(&mut self, held: Option<&[bool; 3]>) {
        self.published += 1;
        if let Some(dialects) = held {
            self.built += 1;
            for (count, is_held) in self.held.iter_mut().zip(dialects) {
                *count += usize::from(*is_held);
            }
        }
    }

    fn row(&self, name: &str) -> String {
        let [plain, python, fern] = self.held;
        format!("| {name} | {} | {} | {plain} | {python} | {fern} |\n", self.published, self.built)
    }
}

pub(super) fn page() -> String {
    let held = held();
    let mut groups: Vec<(String, Count)> = Vec::new();
    let (mut all, mut customers) = (Count::default(), Count::default());
    let mut missing: BTreeMap<u32, (String, Vec<String>)> = BTreeMap::new();
    for line in INDEX.lines().filter(|line| !line.starts_with('#')) {
        let [section, group, method, path] = line.split('\t').collect::<Vec<_>>()[..] else { continue };
        let known = held.get(&key(method, path));
        let name = format!("§{section} {group}");
        if groups.last().is_none_or(|(last, _)| *last != name) {
            groups.push((name.clone(), Count::default()));
        }
        if let Some((_, count)) = groups.last_mut() {
            count.add(known);
        }
        all.add(known);
        let section: u32 = section.parse().unwrap_or_default();
        if (2..=5).contains(&section) {
            customers.add(known);
        }
        if known.is_none() {
            let entry = missing.entry(section).or_insert_with(|| (name, Vec::new()));
            entry.1.push(format!("`{method} {path}`"));
        }
    }
    let mut page = String::from(
        "# Coverage of the REST contract\n\nOf the 199 operations the original publishes or clients are known to call: how many are built, and for how many the\nanswer's exact body is held by a golden file in each dialect (`X-Fern-Language` absent, `Python`, another). A test makes\neach request and compares keys, types, nulls and values; `/docs` and `/openapi.json` of a running server tell the fields.\n\n| Operations | Published | Built | Plain | Generated Python | Other generated |\n|---|---|---|---|---|---|\n",
    );
    page.push_str(&customers.row("**Sections 2 to 5**"));
    page.push_str(&all.row("**All**"));
    for (name, count) in &groups {
        page.push_str(&count.row(name));
    }
    let ours: Vec<String> = operations()
        .iter()
        .filter(|operation| operation.status != 501)
        .filter(|operation| {
            let own = key(operation.method, &operation.pattern);
            !INDEX.lines().any(|line| {
                let columns: Vec<&str> = line.split('\t').collect();
                matches!(columns[..], [_, _, method, path] if key(method, path) == own)
            })
        })
        .map(|operation| format!("`{} {}`", operation.method, operation.pattern))
        .collect();
    page.push_str("\n## Not built\n\nAnswered 501 with a sentence that names the operation, or 404.\n\n");
    for (name, operations) in missing.into_values() {
        page.push_str(&format!("- {name}: {}\n", operations.join(", ")));
    }
    page.push_str(&format!(
        "\n## Beside the published ones\n\nOlder spellings that clients use, and our own additions: {}.\n",
        ours.join(", ")
    ));
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_index_has_the_199_operations_once_each() {
        let lines: Vec<&str> = INDEX.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(lines.len(), 199);
        for (index, line) in lines.iter().enumerate() {
            assert!(!lines[..index].contains(line), "{line}");
        }
    }

    #[test]
    fn names_of_parameters_do_not_matter() {
        assert_eq!(key("GET", "/a/{x}/b?status=live"), "GET /a/{}/b");
    }
}
