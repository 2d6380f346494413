//! Money: whole micro-units of a currency in an `i64`. No floats anywhere near a balance.

use std::fmt;
use std::ops::{Add, AddAssign, Neg, Sub, SubAssign};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Micro-units in one unit of currency.
const MICROS: i64 = 1_000_000;

/// The largest amount parsed from text: far above any balance, far below overflow when summed.
const MAX_UNITS: i64 = 1_000_000_000_000;

/// An amount in micro-units (1/1,000,000) of some account's currency. The currency is kept beside it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Money {
    /// Micro-units; negative is a debit.
    pub micros: i64,
}

/// Why a text is not an amount.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MoneyError {
    /// Not of the form `-?digits(.digits)?`.
    #[error("an amount is digits with an optional sign and up to 6 decimals, such as 12.50")]
    Malformed,
    /// More than six decimals: it would have to be rounded, and nobody said which way.
    #[error("an amount has at most 6 decimals")]
    TooPrecise,
    /// Beyond one million million units.
    #[error("an amount is at most 1000000000000")]
    TooLarge,
}

impl Money {
    /// Nothing.
    pub const ZERO: Self = Self { micros: 0 };

    /// From micro-units.
    pub const fn from_micros(micros: i64) -> Self {
        Self { micros }
    }

    /// From whole units of the currency.
    pub const fn from_units(units: i64) -> Self {
        Self { micros: units * MICROS }
    }

    /// With exactly `decimals` (0–6) digits after the point, rounded half away from zero.
    pub fn to_fixed(self, decimals: u32) -> String {
        let scale = 10_i64.pow(6 - decimals.min(6));
        let sign = if self.micros < 0 { "-" } else { "" };
        let magnitude = i128::from(self.micros).unsigned_abs();
        let rounded = (magnitude + (scale as u128) / 2) / scale as u128;
        let unit = 10_u128.pow(decimals.min(6));
        if decimals == 0 {
            return format!("{sign}{rounded}");
        }
        format!("{sign}{}.{:0width$}", rounded / unit, rounded % unit, width = decimals as usize)
    }

    /// As a JSON number for Vobiz's float-typed fields. Exact for amounts below 2^53 micro-units.
    pub fn to_f64(self) -> f64 {
        self.micros as f64 / MICROS as f64
    }

    /// Adds, or `None` on overflow.
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.micros.checked_add(other.micros).map(Self::from_micros)
    }
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_fixed(6))
    }
}

impl FromStr for Money {
    type Err = MoneyError;

    fn from_str(text: &str) -> Result<Self, MoneyError> {
        let (negative, digits) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) || digits.ends_with('.') {
            return Err(MoneyError::Malformed);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > 6 {
            return Err(MoneyError::TooPrecise);
        }
        let units: i64 = whole.parse().map_err(|_| MoneyError::TooLarge)?;
        if units > MAX_UNITS {
            return Err(MoneyError::TooLarge);
        }
        let micros: i64 = format!("{fraction:0<6}").parse().map_err(|_| MoneyError::Malformed)?;
        let total = units * MICROS + micros;
        Ok(Self { micros: if negative { -total } else { total } })
    }
}

impl Add for Money {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self { micros: self.micros + other.micros }
    }
}

impl Sub for Money {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self { micros: self.micros - other.micros }
    }
}

impl Neg for Money {
    type Output = Self;
    fn neg(self) -> Self {
        Self { micros: -self.micros }
    }
}

impl AddAssign for Money {
    fn add_assign(&mut self, other: Self) {
        self.micros += other.micros;
    }
}

impl SubAssign for Money {
    fn sub_assign(&mut self, other: Self) {
        self.micros -= other.micros;
    }
}

/// An ISO 4217 code: three upper-case letters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Indian rupees, the default of the field.
    pub const INR: Self = Self(*b"INR");

    /// The code as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("XXX")
    }

    /// The currency of a country (ISO 3166 alpha-2); US dollars where we keep no rule.
    pub fn of_country(country: &str) -> Self {
        match country.to_ascii_uppercase().as_str() {
            "IN" => Self::INR,
            "GB" => Self(*b"GBP"),
            "AE" => Self(*b"AED"),
            "SG" => Self(*b"SGD"),
            "DE" | "FR" | "ES" | "IT" | "NL" | "IE" | "BE" | "AT" | "PT" | "FI" => Self(*b"EUR"),
            _ => Self(*b"USD"),
        }
    }
}

impl FromStr for Currency {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let upper = text.to_ascii_uppercase();
        match upper.as_bytes() {
            [a, b, c] if upper.bytes().all(|byte| byte.is_ascii_uppercase()) => Ok(Self([*a, *b, *c])),
            _ => Err("a currency is three letters, such as INR"),
        }
    }
}

impl TryFrom<String> for Currency {
    type Error = &'static str;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_parse_and_print_without_loss() {
        for (text, micros) in [("0", 0), ("12.5", 12_500_000), ("-0.000001", -1), ("412.350000", 412_350_000)]
        {
            assert_eq!(text.parse::<Money>().unwrap().micros, micros, "{text}");
        }
        assert_eq!(Money::from_micros(-1_234_567).to_fixed(2), "-1.23");
        assert_eq!(Money::from_micros(1_235_000).to_fixed(2), "1.24");
        assert_eq!(Money::from_units(1300).to_fixed(5), "1300.00000");
        assert_eq!(Money::from_micros(999_999).to_fixed(0), "1");
    }

    #[test]
    fn amounts_that_would_need_rounding_or_guessing_are_refused() {
        for text in ["", ".", "1.", ".5", "1,5", "+1", "1e3", " 1", "--1", "0x1"] {
            assert_eq!(text.parse::<Money>(), Err(MoneyError::Malformed), "{text:?}");
        }
        assert_eq!("0.0000001".parse::<Money>(), Err(MoneyError::TooPrecise));
        assert!("1000000000000".parse::<Money>().is_ok());
        assert_eq!("1000000000001".parse::<Money>(), Err(MoneyError::TooLarge));
        assert_eq!("99999999999999999999".parse::<Money>(), Err(MoneyError::TooLarge));
    }
}
