//! DTMF: digits and how they travel.
//!
//! * [`TelephoneEvent`] is the RFC 4733 payload, [`EventReceiver`] makes one digit of a burst of
//!   them, [`DtmfSender`] makes a burst of one digit.
//! * [`info`] reads and writes SIP INFO bodies.
//! * [`InbandDetector`] hears the tones themselves, for peers that have neither.

pub mod info;

mod event;
mod inband;
mod receiver;
mod sender;

pub use event::TelephoneEvent;
pub use inband::InbandDetector;
pub use receiver::EventReceiver;
pub use sender::{DtmfSender, MAX_QUEUED_DIGITS};

/// One of the sixteen DTMF digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digit(u8);

const CHARACTERS: [char; 16] =
    ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', '*', '#', 'A', 'B', 'C', 'D'];

pub(crate) const ROWS: [u16; 4] = [697, 770, 852, 941];
pub(crate) const COLUMNS: [u16; 4] = [1_209, 1_336, 1_477, 1_633];

/// Digits as they lie on the keypad.
const KEYPAD: [[u8; 4]; 4] = [[1, 2, 3, 12], [4, 5, 6, 13], [7, 8, 9, 14], [10, 0, 11, 15]];

impl Digit {
    /// From `0-9 * # A-D`, either case.
    pub fn from_char(character: char) -> Option<Self> {
        let wanted = character.to_ascii_uppercase();
        CHARACTERS.iter().position(|known| *known == wanted).map(|code| Self(code as u8))
    }

    /// From an RFC 4733 event code 0–15; other events (flash, fax tones) are no digits.
    pub fn from_event(code: u8) -> Option<Self> {
        (code < 16).then_some(Self(code))
    }

    /// From the row and column of the keypad, 0–3 each.
    pub(crate) fn from_keypad(row: usize, column: usize) -> Option<Self> {
        KEYPAD.get(row)?.get(column).copied().map(Self)
    }

    /// As a character.
    pub fn as_char(self) -> char {
        CHARACTERS.get(usize::from(self.0)).copied().unwrap_or('?')
    }

    /// The RFC 4733 event code.
    pub fn event(self) -> u8 {
        self.0
    }

    /// The pair of tones, row first (Q.23).
    pub fn frequencies(self) -> (u16, u16) {
        for (row, keys) in ROWS.iter().zip(KEYPAD) {
            for (column, key) in COLUMNS.iter().zip(keys) {
                if key == self.0 {
                    return (*row, *column);
                }
            }
        }
        (ROWS[0], COLUMNS[0])
    }
}

/// What a receiver learned about a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitEvent {
    /// A digit began; reported exactly once per key press, so collectors act on this one. A digit
    /// that begins while another is held says that the other's end was lost.
    Began(Digit),
    /// It ended (a lost end is closed by timeout).
    Ended {
        /// Which digit.
        digit: Digit,
        /// How long it was held, as far as was heard.
        duration_ms: u16,
    },
}

/// Why a digit string was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigitsError {
    /// A character that is neither a digit nor a pause.
    #[error("not a DTMF digit or pause: {0:?}")]
    Character(char),
    /// More than [`MAX_QUEUED_DIGITS`] would be queued.
    #[error("more than {MAX_QUEUED_DIGITS} DTMF digits queued")]
    TooMany,
    /// telephone-event was not negotiated: send SIP INFO instead.
    #[error("telephone-event was not negotiated")]
    NotNegotiated,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_digit_has_one_character_one_code_and_one_pair() {
        let mut pairs = std::collections::HashSet::new();
        for character in "0123456789*#ABCD".chars() {
            let digit = Digit::from_char(character).unwrap();
            assert_eq!(digit.as_char(), character);
            assert_eq!(Digit::from_event(digit.event()), Some(digit));
            assert!(pairs.insert(digit.frequencies()));
        }
        assert_eq!(Digit::from_char('d'), Digit::from_char('D'));
        assert_eq!(Digit::from_char('E'), None);
        assert_eq!(Digit::from_event(15).map(Digit::as_char), Some('D'));
        assert_eq!(Digit::from_event(16), None);
        assert_eq!(Digit::from_char('5').unwrap().frequencies(), (770, 1_336));
    }
}
