//! Telephone numbers: the one place where what somebody dialled becomes E.164 (telephony rules,
//! "Numbers"). Rules go by length and the account's country; short and emergency codes are never
//! normalised. Whether a number *exists* in a numbering plan is asked at the REST edge, not here.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Digits in the longest E.164 number (ITU-T E.164).
const MAX_DIGITS: usize = 15;
/// Fewer digits than this, without an international prefix, are a short code.
const MIN_DIGITS: usize = 7;
/// Longest dialled string looked at.
const MAX_DIALLED: usize = 64;

/// An E.164 number: 7–15 digits, kept without the `+`, packed so that copying is free.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct E164 {
    digits: [u8; MAX_DIGITS],
    length: u8,
}

/// Why a text is not a dialable number.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NumberError {
    /// Characters other than digits and visual separators.
    #[error("a number is digits, optionally with a leading +")]
    Malformed,
    /// Shorter than seven digits with a country code.
    #[error("the number is too short")]
    TooShort,
    /// Longer than fifteen digits.
    #[error("the number is longer than 15 digits")]
    TooLong,
}

/// What a caller dialled, once understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialled {
    /// A subscriber number.
    Number(E164),
    /// A short or emergency code, as dialled: never normalised, refused unless routed.
    Short(E164Short),
}

/// A short code: 2–6 digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct E164Short {
    digits: [u8; 6],
    length: u8,
}

impl E164Short {
    /// The digits.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.length)]).unwrap_or_default()
    }
}

impl fmt::Debug for E164Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What normalisation needs to know of a country.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountryRules {
    /// Country calling code, such as `91`.
    pub code: &'static str,
    /// Trunk prefix dialled before national numbers, such as `0`.
    pub trunk_prefix: &'static str,
    /// Digits of a national significant number: least and most.
    pub national_length: (usize, usize),
}

impl CountryRules {
    /// India: ten digits; ten digits starting 6–9 are a mobile, never `+91` with eight digits.
    pub const IN: Self = Self { code: "91", trunk_prefix: "0", national_length: (10, 10) };

    /// The rules of an ISO 3166 alpha-2 country; India where we keep none.
    pub fn of(country: &str) -> Self {
        match country.to_ascii_uppercase().as_str() {
            "US" | "CA" => Self { code: "1", trunk_prefix: "1", national_length: (10, 10) },
            "GB" => Self { code: "44", trunk_prefix: "0", national_length: (9, 10) },
            "DE" => Self { code: "49", trunk_prefix: "0", national_length: (7, 11) },
            "FR" => Self { code: "33", trunk_prefix: "0", national_length: (9, 9) },
            "AE" => Self { code: "971", trunk_prefix: "0", national_length: (8, 9) },
            "SG" => Self { code: "65", trunk_prefix: "", national_length: (8, 8) },
            "AU" => Self { code: "61", trunk_prefix: "0", national_length: (9, 9) },
            _ => Self::IN,
        }
    }
}

impl E164 {
    /// From digits with or without `+`; separators are not accepted here.
    pub fn parse(text: &str) -> Result<Self, NumberError> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NumberError::Malformed);
        }
        if digits.len() > MAX_DIGITS {
            return Err(NumberError::TooLong);
        }
        if digits.len() < MIN_DIGITS || digits.starts_with('0') {
            return Err(NumberError::TooShort);
        }
        let mut packed = [0; MAX_DIGITS];
        packed[..digits.len()].copy_from_slice(digits.as_bytes());
        Ok(Self { digits: packed, length: digits.len() as u8 })
    }

    /// The digits, without `+`: the form of webhooks.
    pub fn digits(&self) -> &str {
        std::str::from_utf8(&self.digits[..usize::from(self.length)]).unwrap_or_default()
    }

    /// With `+`: the form of records and of SIP.
    pub fn plus(&self) -> String {
        format!("+{}", self.digits())
    }
}

impl fmt::Display for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "+{}", self.digits())
    }
}

impl fmt::Debug for E164 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for E164 {
    type Err = NumberError;
    fn from_str(text: &str) -> Result<Self, NumberError> {
        Self::parse(text)
    }
}

impl TryFrom<String> for E164 {
    type Error = NumberError;
    fn try_from(text: String) -> Result<Self, NumberError> {
        Self::parse(&text)
    }
}

impl From<E164> for String {
    fn from(number: E164) -> Self {
        number.plus()
    }
}

/// Understands a dialled string: `+91…`, `0091…`, `tel:`, `sip:…@…`, `;phone-context=+91`, national
/// with or without the trunk prefix, with visual separators.
pub fn normalise(dialled: &str, country: CountryRules) -> Result<Dialled, NumberError> {
    if dialled.len() > MAX_DIALLED {
        return Err(NumberError::TooLong);
    }
    let text = dialled.trim();
    let text = ["tel:", "sip:", "sips:"].iter().find_map(|scheme| text.strip_prefix(scheme)).unwrap_or(text);
    let (text, parameters) = text.split_once(';').unwrap_or((text, ""));
    let text = text.split_once('@').map_or(text, |(user, _)| user);
    let context = parameters
        .split(';')
        .find_map(|parameter| parameter.strip_prefix("phone-context="))
        .and_then(|context| context.strip_prefix('+'));

    let international = text.starts_with('+') || text.starts_with("%2B");
    let body = text.strip_prefix('+').or_else(|| text.strip_prefix("%2B")).unwrap_or(text);
    let mut digits = String::with_capacity(body.len());
    for character in body.chars() {
        match character {
            '0'..='9' => digits.push(character),
            ' ' | '-' | '.' | '(' | ')' => {}
            _ => return Err(NumberError::Malformed),
        }
    }
    if digits.is_empty() {
        return Err(NumberError::Malformed);
    }
    if international {
        return E164::parse(&digits).map(Dialled::Number);
    }
    if let Some(rest) = digits.strip_prefix("00") {
        return E164::parse(rest).map(Dialled::Number);
    }
    let (least, most) = country.national_length;
    if let Some(code) = context.filter(|code| code.bytes().all(|byte| byte.is_ascii_digit())) {
        return E164::parse(&format!("{code}{digits}")).map(Dialled::Number);
    }
    if digits.len() < MIN_DIGITS && !digits.starts_with('0') {
        let mut packed = [0; 6];
        packed[..digits.len()].copy_from_slice(digits.as_bytes());
        return Ok(Dialled::Short(E164Short { digits: packed, length: digits.len() as u8 }));
    }
    // Length before leading digits: ten digits that happen to start with 91 are an Indian mobile.
    if (least..=most).contains(&digits.len()) && !has_trunk_prefix(&digits, country) {
        return E164::parse(&format!("{}{digits}", country.code)).map(Dialled::Number);
    }
    if has_trunk_prefix(&digits, country) {
        let national = &digits[country.trunk_prefix.len()..];
        if (least..=most).contains(&national.len()) {
            return E164::parse(&format!("{}{national}", country.code)).map(Dialled::Number);
        }
    }
    E164::parse(&digits).map(Dialled::Number)
}

fn has_trunk_prefix(digits: &str, country: CountryRules) -> bool {
    country.trunk_prefix == "0" && digits.starts_with('0')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn dial(text: &str) -> String {
        match normalise(text, CountryRules::IN) {
            Ok(Dialled::Number(number)) => number.plus(),
            Ok(Dialled::Short(code)) => format!("short {}", code.as_str()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn every_habit_of_dialling_reaches_the_same_number() {
        for text in [
            "+919812345678",
            "919812345678",
            "00919812345678",
            "09812345678",
            "9812345678",
            "tel:+91-98123-45678",
            "sip:+919812345678@trunk.example",
            "%2B919812345678",
            "9812345678;phone-context=+91",
            "+91 (98123) 45678",
        ] {
            assert_eq!(dial(text), "+919812345678", "{text}");
        }
    }

    #[test]
    fn ten_digits_that_start_with_91_are_a_mobile() {
        assert_eq!(dial("9198765432"), "+919198765432");
    }

    #[test]
    fn short_and_emergency_codes_are_never_normalised() {
        assert_eq!(dial("112"), "short 112");
        assert_eq!(dial("1912"), "short 1912");
    }

    #[test]
    fn what_is_no_number_is_refused() {
        assert_eq!(dial("alice"), NumberError::Malformed.to_string());
        assert_eq!(dial(""), NumberError::Malformed.to_string());
        assert_eq!(dial("+1234567890123456"), NumberError::TooLong.to_string());
        assert_eq!(dial("+123456789012345"), "+123456789012345");
        assert_eq!(dial("+123456"), NumberError::TooShort.to_string());
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "[0-9+]{1,18}") {
            if let Ok(Dialled::Number(number)) = normalise(&text, CountryRules::IN) {
                prop_assert_eq!(normalise(&number.plus(), CountryRules::IN), Ok(Dialled::Number(number)));
            }
        }

        #[test]
        fn any_text_is_answered_without_panic(text in ".{0,80}") {
            let _ = normalise(&text, CountryRules::IN);
        }
    }
}
