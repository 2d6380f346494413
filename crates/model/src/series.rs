//! What kind of number a number is. India's series have rules of their own; everybody else's numbers are local.

use crate::E164;

/// A series of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NumberSeries {
    /// Bought by anybody.
    Local,
    /// India's 92: a mobile number, bound to a person's Aadhaar.
    Mobile,
    /// India's 140: promotional calls, in daytime only.
    Promotional,
    /// India's 160: service and transaction calls of banks, insurers and the state.
    Transactional,
}

/// Mobile numbers that one person may have.
pub const MOBILE_NUMBERS_MAX: u64 = 5;

impl NumberSeries {
    /// Every series.
    pub const ALL: [Self; 4] = [Self::Local, Self::Mobile, Self::Promotional, Self::Transactional];

    /// The series a number is of.
    pub fn of(number: E164) -> Self {
        match number.digits() {
            digits if digits.starts_with("91140") => Self::Promotional,
            digits if digits.starts_with("91160") => Self::Transactional,
            digits if digits.starts_with("9192") && digits.len() == 12 => Self::Mobile,
            _ => Self::Local,
        }
    }

    /// The word of column and contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Mobile => "mobile",
            Self::Promotional => "promotional",
            Self::Transactional => "transactional",
        }
    }

    /// From that word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|series| series.as_str() == word)
    }

    /// Whether customers buy it themselves; the operator gives the others to who is entitled to them.
    pub const fn is_for_sale(self) -> bool {
        matches!(self, Self::Local)
    }

    /// Whether it stands for a person that must have shown an Aadhaar.
    pub const fn needs_aadhaar(self) -> bool {
        matches!(self, Self::Mobile)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indias_series_are_known_by_their_prefix() {
        for (text, series) in [
            ("+918045671200", NumberSeries::Local),
            ("+911400123456", NumberSeries::Promotional),
            ("+911600123456", NumberSeries::Transactional),
            ("+919212345678", NumberSeries::Mobile),
            ("+919312345678", NumberSeries::Local),
            ("+14005550100", NumberSeries::Local),
        ] {
            assert_eq!(NumberSeries::of(text.parse().unwrap()), series, "{text}");
        }
        for series in NumberSeries::ALL {
            assert_eq!(NumberSeries::parse(series.as_str()), Some(series));
        }
    }
}
