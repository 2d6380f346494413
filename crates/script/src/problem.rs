//! What is wrong with a script and where: the messages that people read in their editor and their CI.

use std::fmt;

/// A place in a script, as editors count: both from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Line.
    pub line: usize,
    /// Column, in characters.
    pub column: usize,
}

/// Something wrong in a script.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where.
    pub place: Place,
    /// What, and what would be right.
    pub message: String,
}

impl Problem {
    pub(crate) fn new(place: Place, message: impl Into<String>) -> Self {
        Self { place, message: message.into() }
    }

    /// A word that is none of those known here, with the nearest of them.
    pub(crate) fn unknown(place: Place, what: &str, word: &str, known: &[&str]) -> Self {
        let hint = nearest(word, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
        Self::new(place, format!("`{word}` is no {what}{hint} Known: {}", known.join(", ")))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.message)
    }
}

impl std::error::Error for Problem {}

/// The known word that somebody most likely meant.
fn nearest<'a>(word: &str, known: &[&'a str]) -> Option<&'a str> {
    let word = word.to_ascii_lowercase().replace(['-', ' '], "_");
    let scored = known.iter().map(|candidate| (strsim::damerau_levenshtein(&word, candidate), *candidate));
    let (distance, best) = scored.min_by_key(|(distance, _)| *distance)?;
    (distance <= 1 + best.len() / 4).then_some(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_finger_gets_the_word_that_was_meant() {
        let known = ["wait_for", "within", "press", "hang_up"];
        for (word, meant) in
            [("wait-for", "wait_for"), ("whithin", "within"), ("pres", "press"), ("hangup", "hang_up")]
        {
            assert_eq!(nearest(word, &known), Some(meant), "{word}");
        }
        assert_eq!(nearest("telephone", &known), None);
        let told = Problem::unknown(Place { line: 3, column: 5 }, "step", "pres", &known).to_string();
        assert_eq!(
            told,
            "3:5: `pres` is no step; did you mean `press`? Known: wait_for, within, press, hang_up"
        );
    }
}
