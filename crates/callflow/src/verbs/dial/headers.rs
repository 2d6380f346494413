//! `sipHeaders`: custom headers in every spelling documents use, as names without prefix.

use crate::document::{Element, Severity};

/// Headers per leg.
const MAX_HEADERS: usize = 32;
/// Longest name.
const MAX_NAME: usize = 64;
/// Longest value, in characters.
const MAX_VALUE_CHARS: usize = 256;

/// Reads `k=v,k=v`. A pair that cannot be a header is left out with a warning; it does not take the
/// others with it.
pub(super) fn read(text: &str, element: &Element<'_>) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for pair in text.split(',').filter(|pair| !pair.trim().is_empty()) {
        match header(pair) {
            Some(header) if headers.len() < MAX_HEADERS => headers.push(header),
            _ => element.note(
                Severity::Warning,
                format!("sipHeaders of <{}>: a pair is left out", element.name()),
                "Write Name=value,Name=value; names of letters, digits, - and _.",
            ),
        }
    }
    headers
}

/// `base` with `over` laid over it, by name in any case.
pub(super) fn overlay(mut base: Vec<(String, String)>, over: Vec<(String, String)>) -> Vec<(String, String)> {
    base.retain(|(name, _)| !over.iter().any(|(other, _)| other.eq_ignore_ascii_case(name)));
    base.extend(over);
    base.truncate(MAX_HEADERS);
    base
}

fn header(pair: &str) -> Option<(String, String)> {
    let (name, value) = pair.split_once('=')?;
    let name = bare_name(name.trim());
    let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(token) {
        return None;
    }
    // A control character would end the header and begin another.
    let value = value.trim().chars().filter(|c| !c.is_control()).take(MAX_VALUE_CHARS).collect();
    Some((name.to_owned(), value))
}

/// The name without `X-VH`/`X-PH` before or after it.
fn bare_name(name: &str) -> &str {
    const MARKS: [&str; 2] = ["X-VH", "X-PH"];
    for mark in MARKS {
        if let Some((head, tail)) = name.split_at_checked(mark.len())
            && head.eq_ignore_ascii_case(mark)
            && let Some(bare) = tail.strip_prefix('-')
        {
            return bare;
        }
        if let Some((head, tail)) = name.split_at_checked(name.len().saturating_sub(mark.len()))
            && tail.eq_ignore_ascii_case(mark)
        {
            return head.strip_suffix('-').unwrap_or(head);
        }
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_a_name_becomes_the_bare_name() {
        for written in
            ["Reason", "ReasonX-VH", "Reason-X-VH", "X-VH-Reason", "X-PH-Reason", "reasonx-ph", "x-vh-reason"]
        {
            assert!(bare_name(written).eq_ignore_ascii_case("reason"), "{written}");
        }
        assert_eq!(bare_name("X-VH"), "", "a mark alone is no name");
    }

    #[test]
    fn control_characters_cannot_smuggle_a_header() {
        let (name, value) = header("Reason=a\r\nVia: evil").unwrap();
        assert_eq!((name.as_str(), value.as_str()), ("Reason", "aVia: evil"));
        assert_eq!(header("Bad Name=x"), None);
        assert_eq!(header("Na\r\nme=x"), None);
        assert_eq!(header("no-value"), None);
    }

    #[test]
    fn names_and_values_have_limits() {
        assert!(header(&format!("{}=v", "n".repeat(MAX_NAME))).is_some());
        assert!(header(&format!("{}=v", "n".repeat(MAX_NAME + 1))).is_none());
        let (_, value) = header(&format!("n={}", "ü".repeat(MAX_VALUE_CHARS + 1))).unwrap();
        assert_eq!(value.chars().count(), MAX_VALUE_CHARS);
    }

    #[test]
    fn a_users_header_wins_over_the_dials() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let base = vec![pair("Reason", "a"), pair("Team", "x")];
        assert_eq!(overlay(base, vec![pair("reason", "b")]), [pair("Team", "x"), pair("reason", "b")]);
    }
}
