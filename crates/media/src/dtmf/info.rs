//! DTMF in SIP INFO bodies: `application/dtmf-relay` and `application/dtmf`.
//!
//! Old PBXes and browser libraries send these; every spelling met in the field is read, one of
//! each kind is written.

use super::Digit;

/// Bodies longer than this are no DTMF.
pub const MAX_BODY: usize = 256;

/// Held this long when the body does not say.
pub const DEFAULT_DURATION_MS: u16 = 160;

/// Which body a peer speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InfoKind {
    /// `application/dtmf-relay`: `Signal=` and `Duration=` lines.
    DtmfRelay,
    /// `application/dtmf`: the digit alone.
    Dtmf,
}

/// One digit from an INFO request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InfoDigit {
    /// Which digit.
    pub digit: Digit,
    /// How long it was held.
    pub duration_ms: u16,
}

impl InfoKind {
    /// By Content-Type, parameters and case ignored.
    pub fn from_content_type(content_type: &str) -> Option<Self> {
        let media_type = content_type.split(';').next().unwrap_or_default().trim();
        if media_type.eq_ignore_ascii_case("application/dtmf-relay") {
            Some(Self::DtmfRelay)
        } else if media_type.eq_ignore_ascii_case("application/dtmf") {
            Some(Self::Dtmf)
        } else {
            None
        }
    }

    /// The Content-Type to send.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::DtmfRelay => "application/dtmf-relay",
            Self::Dtmf => "application/dtmf",
        }
    }

    /// The body to send for `digit`.
    pub fn body(self, digit: InfoDigit) -> String {
        match self {
            Self::DtmfRelay => {
                format!("Signal={}\r\nDuration={}\r\n", digit.digit.as_char(), digit.duration_ms)
            }
            Self::Dtmf => digit.digit.as_char().to_string(),
        }
    }
}

/// Reads a body of either kind; `None` if it names no digit.
pub fn parse(body: &[u8]) -> Option<InfoDigit> {
    if body.len() > MAX_BODY {
        return None;
    }
    let text = std::str::from_utf8(body).ok()?;
    let mut signal = None;
    let mut duration_ms = DEFAULT_DURATION_MS;
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match line.split_once('=') {
            Some((name, value)) if name.trim().eq_ignore_ascii_case("signal") => {
                signal = signal.or(digit(value.trim()));
            }
            Some((name, value)) if name.trim().eq_ignore_ascii_case("duration") => {
                duration_ms = value.trim().parse().unwrap_or(DEFAULT_DURATION_MS);
            }
            Some(_) => {}
            None => signal = signal.or(digit(line)),
        }
    }
    signal.map(|digit| InfoDigit { digit, duration_ms })
}

/// A digit as a character, or as its event code (`10` is `*`), with or without quotes.
fn digit(value: &str) -> Option<Digit> {
    let value = value.trim_matches('"');
    let mut characters = value.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Digit::from_char(only),
        (Some(_), Some(_)) => value.parse().ok().and_then(Digit::from_event),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(body: &str) -> Option<(char, u16)> {
        parse(body.as_bytes()).map(|info| (info.digit.as_char(), info.duration_ms))
    }

    #[test]
    fn every_spelling_from_the_field_is_read() {
        assert_eq!(read("Signal=5\r\nDuration=250\r\n"), Some(('5', 250)));
        assert_eq!(read("Signal= *\nDuration = 100"), Some(('*', 100)));
        assert_eq!(read("signal=11\r\n"), Some(('#', DEFAULT_DURATION_MS)));
        assert_eq!(read("7"), Some(('7', DEFAULT_DURATION_MS)));
        assert_eq!(read("#\r\n"), Some(('#', DEFAULT_DURATION_MS)));
        assert_eq!(read("Duration=100"), None);
        assert_eq!(read("Signal=!"), None);
        assert_eq!(read(""), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        for character in "0123456789*#ABCD".chars() {
            let info = InfoDigit { digit: Digit::from_char(character).unwrap(), duration_ms: 160 };
            for kind in [InfoKind::DtmfRelay, InfoKind::Dtmf] {
                assert_eq!(parse(kind.body(info).as_bytes()), Some(info));
                assert_eq!(InfoKind::from_content_type(kind.content_type()), Some(kind));
            }
        }
        assert_eq!(
            InfoKind::from_content_type("Application/DTMF-Relay; charset=x"),
            Some(InfoKind::DtmfRelay)
        );
    }

    #[test]
    fn a_body_at_the_limit_is_read_and_one_past_is_not() {
        let mut body = b"Signal=1\r\n".to_vec();
        body.resize(MAX_BODY, b' ');
        assert!(parse(&body).is_some());
        body.push(b' ');
        assert!(parse(&body).is_none());
    }

    proptest! {
        #[test]
        fn arbitrary_bodies_never_panic(body in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = parse(&body);
        }
    }
}
