//! The values that scripts are made of: lengths of time, bounds, addresses, matchers.

use std::time::Duration;

use regex::Regex;

/// Longest length of time anywhere in a script.
pub const LONGEST: Duration = Duration::from_hours(1);

/// Two ends, either of them open.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Bounds<T> {
    /// Not less than this.
    pub at_least: Option<T>,
    /// Not more than this.
    pub at_most: Option<T>,
}

impl<T: PartialOrd + Copy> Bounds<T> {
    /// Whether a value lies within.
    pub fn hold(&self, value: T) -> bool {
        self.at_least.is_none_or(|least| value >= least) && self.at_most.is_none_or(|most| value <= most)
    }

    /// In words, each end written by `write`.
    pub fn words(&self, write: impl Fn(T) -> String) -> String {
        match (self.at_least.map(&write), self.at_most.map(&write)) {
            (Some(least), Some(most)) if least == most => least,
            (Some(least), Some(most)) => format!("{least} to {most}"),
            (Some(least), None) => format!("at least {least}"),
            (None, Some(most)) => format!("at most {most}"),
            (None, None) => "anything".to_owned(),
        }
    }
}

/// What a parameter of a request must be.
#[derive(Clone, Debug)]
pub enum Matcher {
    /// Exactly this.
    Equals(String),
    /// Something that this expression fits.
    Matches(Regex),
    /// Not there.
    Absent,
}

impl Matcher {
    /// Whether a value (or its absence) is right.
    pub fn holds(&self, value: Option<&str>) -> bool {
        match (self, value) {
            (Self::Equals(expected), Some(value)) => expected == value,
            (Self::Matches(expression), Some(value)) => expression.is_match(value),
            (Self::Absent, None) => true,
            _ => false,
        }
    }

    /// In words.
    pub fn words(&self) -> String {
        match self {
            Self::Equals(text) => format!("{text:?}"),
            Self::Matches(expression) => format!("/{expression}/"),
            Self::Absent => "absent".to_owned(),
        }
    }
}

/// `250ms`, `1.5s`, `2m`.
pub fn length(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no length of time: write 250ms, 1.5s or 2m");
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let number: f64 = digits.trim().parse().map_err(|_| wrong())?;
    let unit_ms = match text.get(digits.len()..).unwrap_or_default() {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        _ => return Err(wrong()),
    };
    let ms = number * unit_ms;
    if !(0.0..=LONGEST.as_millis() as f64).contains(&ms) {
        return Err(format!("`{text}` is more than an hour, or less than nothing"));
    }
    Ok(Duration::from_millis(ms.round() as u64))
}

/// A length as people read it.
pub fn told(length: Duration) -> String {
    let ms = length.as_millis();
    if ms < 1_000 { format!("{ms} ms") } else { format!("{:.2} s", ms as f64 / 1_000.0) }
}

/// `440`, `440 Hz`.
pub(crate) fn frequency(text: &str) -> Result<u16, String> {
    let number = text.trim_end_matches("Hz").trim_end_matches("hz").trim();
    let hz: u16 = number.parse().map_err(|_| format!("`{text}` is no frequency: write 440"))?;
    if (MIN_HZ..=MAX_HZ).contains(&hz) {
        Ok(hz)
    } else {
        Err(format!("{hz} Hz does not pass a telephone: {MIN_HZ} to {MAX_HZ}"))
    }
}

/// Lowest and highest tone that G.711 carries and hearing names.
pub(crate) const MIN_HZ: u16 = 100;
pub(crate) const MAX_HZ: u16 = 3_700;

/// `-30`, `-30 dBFS`.
pub(crate) fn level(text: &str) -> Result<f64, String> {
    let number = text.trim_end_matches("dBFS").trim();
    let level: f64 = number.parse().map_err(|_| format!("`{text}` is no level: write -30"))?;
    if (-96.0..=0.0).contains(&level) {
        Ok(level)
    } else {
        Err(format!("{level} dBFS: -96 is silence, 0 the loudest"))
    }
}

/// Digits of a keypad; with pauses (`w` half a second, `W` one) where they are dialled.
pub(crate) fn digits(text: &str, with_pauses: bool) -> Result<String, String> {
    let good = |letter: char| letter.is_ascii_digit() || "*#ABCD".contains(letter);
    let fits = |letter: char| good(letter) || with_pauses && "wW".contains(letter);
    if text.is_empty() || text.len() > MAX_DIGITS || !text.chars().all(fits) {
        let pauses = if with_pauses { ", w and W for half a second and one" } else { "" };
        return Err(format!("`{text}` is no row of up to {MAX_DIGITS} keys: 0-9, *, #, A-D{pauses}"));
    }
    Ok(text.to_owned())
}

/// Most digits of one step.
pub(crate) const MAX_DIGITS: usize = 128;

/// `true`, `false`.
pub(crate) fn truth(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// `/expression/` or a text.
pub(crate) fn matcher(text: &str) -> Result<Matcher, String> {
    match text.strip_prefix('/').and_then(|rest| rest.strip_suffix('/')) {
        Some(expression) if !expression.is_empty() => {
            Regex::new(expression).map(Matcher::Matches).map_err(|error| format!("/{expression}/: {error}"))
        }
        _ => Ok(Matcher::Equals(text.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_units() {
        for (text, ms) in [("250ms", 250), ("1.5s", 1_500), ("2m", 120_000), ("0s", 0), ("60m", 3_600_000)] {
            assert_eq!(length(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["250", "1 hour", "s", "-1s", "61m", "1e9m", "", "NaNs"] {
            assert!(length(bad).is_err(), "{bad}");
        }
        assert_eq!(
            (told(Duration::from_millis(340)), told(Duration::from_millis(2_340))),
            ("340 ms".into(), "2.34 s".into())
        );
    }

    #[test]
    fn the_limits_hold_at_and_one_past() {
        assert!(frequency("100").is_ok() && frequency("99").is_err());
        assert!(frequency("3700 Hz").is_ok() && frequency("3701").is_err());
        assert!(
            level("-96").is_ok() && level("-96.1 dBFS").is_err() && level("0").is_ok() && level("1").is_err()
        );
        assert!(digits(&"1".repeat(MAX_DIGITS), false).is_ok());
        assert!(digits(&"1".repeat(MAX_DIGITS + 1), false).is_err());
        assert!(digits("12w#", true).is_ok() && digits("12w#", false).is_err() && digits("", true).is_err());
    }

    #[test]
    fn a_text_between_slashes_is_an_expression() {
        assert!(matcher("/^9+$/").unwrap().holds(Some("999")));
        assert!(!matcher("/^9+$/").unwrap().holds(Some("998")));
        assert!(matcher("/answer").unwrap().holds(Some("/answer")));
        assert!(!matcher("x").unwrap().holds(None) && Matcher::Absent.holds(None));
        assert!(matcher("/(/").is_err());
    }

    #[test]
    fn bounds_include_their_ends() {
        let bounds = Bounds { at_least: Some(1), at_most: Some(2) };
        assert_eq!([0, 1, 2, 3].map(|value| bounds.hold(value)), [false, true, true, false]);
        assert_eq!(bounds.words(|value| value.to_string()), "1 to 2");
    }
}
