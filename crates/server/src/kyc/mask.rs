//! What of a number may be shown: enough for its owner to know it again.

/// `c***@example.com`.
pub(crate) fn email(address: &str) -> String {
    match address.split_once('@') {
        Some((user, host)) => format!("{}***@{host}", user.chars().take(1).collect::<String>()),
        None => "***".to_owned(),
    }
}

/// The last four characters, the rest crossed out.
pub(crate) fn number(number: &str) -> String {
    const SHOWN: usize = 4;
    let hidden = number.chars().count().saturating_sub(SHOWN);
    number
        .chars()
        .enumerate()
        .map(|(index, character)| if index < hidden { 'X' } else { character })
        .collect()
}

/// `XXXXXXXX1234`, from whatever a verifier calls a masked Aadhaar number.
pub(crate) fn aadhaar(text: &str) -> Option<String> {
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    let last = digits.get(digits.len().checked_sub(4)?..)?;
    Some(format!("XXXXXXXX{last}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ends_are_shown() {
        assert_eq!(email("customer@example.com"), "c***@example.com");
        assert_eq!(email("nonsense"), "***");
        assert_eq!(number("ABCPE1234F"), "XXXXXX234F");
        assert_eq!(number("12"), "12");
        assert_eq!(aadhaar("xxxx xxxx 1234").as_deref(), Some("XXXXXXXX1234"));
        assert_eq!(aadhaar("999941057058").as_deref(), Some("XXXXXXXX7058"));
        assert_eq!(aadhaar("12"), None);
    }
}
