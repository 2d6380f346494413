//! DTMF: RFC 4733 events, SIP INFO bodies, in-band tones.

/// One of the sixteen DTMF digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Digit(u8);

impl Digit {
    /// From `0-9 * # A-D` (either case).
    pub fn from_char(c: char) -> Option<Self> {
        todo!()
    }
    /// From an RFC 4733 event code 0–15.
    pub fn from_event(code: u8) -> Option<Self> {
        todo!()
    }
    /// As a character.
    pub fn as_char(self) -> char {
        todo!()
    }
    /// The RFC 4733 event code.
    pub fn event(self) -> u8 {
        self.0
    }
}

/// What a receiver learned about a digit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DigitEvent {
    /// A digit began: report it to whoever collects (exactly once per key press).
    Began(Digit),
    /// It ended after this long (lost ends are closed by timeout).
    Ended {
        /// Which.
        digit: Digit,
        /// How long it was held.
        duration_ms: u16,
    },
}

/// Why a digit string was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DigitsError {
    /// A character that is neither a digit nor a pause.
    #[error("not a DTMF digit or pause: {0:?}")]
    Character(char),
    /// More than the limit of queued digits.
    #[error("too many digits queued")]
    TooMany,
    /// telephone-event was not negotiated: send SIP INFO instead.
    #[error("telephone-event was not negotiated")]
    NotNegotiated,
}
