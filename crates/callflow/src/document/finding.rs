//! What reading a document turned up: for the author, with a position and a remedy.

use std::fmt;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// The call ends where this is reached, or the document is not run at all.
    Error,
    /// Something is ignored or replaced; the call goes on.
    Warning,
    /// Accepted without effect, and no harm done.
    Note,
}

impl Severity {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One thing found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// The element it is about.
    pub element: Option<String>,
    /// The attribute, when it is about one.
    pub attribute: Option<String>,
    /// What is wrong with what.
    pub message: String,
    /// What to do about it; empty when that is plain.
    pub remedy: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {})", self.message, self.line)
    }
}

/// The name most like `written`, when one is near enough to be what was meant.
pub(crate) fn nearest<'a>(written: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    // Two letters that changed places are two changes.
    let most = if written.len() <= 3 { 1 } else { (written.len() / 3).max(2) };
    names
        .into_iter()
        .map(|name| (distance(&written, &name.to_ascii_lowercase()), name))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Longest name compared; nothing longer is a slip of the pen.
const MAX_COMPARED: usize = 48;

/// Insertions, deletions and replacements that make one name the other.
fn distance(one: &str, other: &str) -> usize {
    if one.len() > MAX_COMPARED || other.len() > MAX_COMPARED {
        return usize::MAX;
    }
    let mut row: Vec<usize> = (0..=other.chars().count()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, b) in row.iter_mut().skip(1).zip(other.chars()) {
            let above = *cell;
            let best = (diagonal + usize::from(a != b)).min(above + 1).min(left + 1);
            (diagonal, left) = (above, best);
            *cell = best;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_is_recognised_and_another_word_is_not() {
        let names = ["numDigits", "timeout", "finishOnKey"];
        assert_eq!(nearest("numdigit", names), Some("numDigits"));
        assert_eq!(nearest("finishOnkeys", names), Some("finishOnKey"));
        assert_eq!(nearest("vioce", ["voice", "loop"]), Some("voice"));
        assert_eq!(nearest("colour", names), None);
        assert_eq!(nearest(&"x".repeat(MAX_COMPARED + 1), names), None);
    }

    #[test]
    fn distances_count_single_changes() {
        for (one, other, expected) in
            [("", "abc", 3), ("kitten", "sitting", 3), ("same", "same", 0), ("ab", "ba", 2)]
        {
            assert_eq!(distance(one, other), expected, "{one} {other}");
        }
    }
}
