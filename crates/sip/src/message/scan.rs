//! The small grammar that header values share: lists, parameters, quoted strings, tokens.

/// Whether a text is a non-empty token (RFC 3261 §25.1).
pub(crate) fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// Where a separator stands outside quoted strings and angle brackets.
///
/// An unbalanced quote or bracket swallows the rest, which the element's own grammar then refuses.
pub(crate) fn find_outside(text: &str, separator: u8) -> Option<usize> {
    let mut quoted = false;
    let mut escaped = false;
    let mut angled = false;
    for (at, byte) in text.bytes().enumerate() {
        if escaped {
            escaped = false;
        } else if quoted {
            match byte {
                b'\\' => escaped = true,
                b'"' => quoted = false,
                _ => {}
            }
        } else if angled {
            angled = byte != b'>';
        } else if byte == separator {
            return Some(at);
        } else if byte == b'"' {
            quoted = true;
        } else if byte == b'<' {
            angled = true;
        }
    }
    None
}

/// The elements of a comma-separated header value, trimmed; empty ones are skipped.
#[derive(Clone, Debug)]
pub struct ListElements<'a> {
    rest: Option<&'a str>,
}

impl<'a> ListElements<'a> {
    pub(crate) fn new(value: &'a str) -> Self {
        Self { rest: Some(value) }
    }
}

impl<'a> Iterator for ListElements<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            let text = self.rest?;
            let element = match find_outside(text, b',') {
                Some(at) => {
                    self.rest = text.get(at + 1..);
                    text.get(..at).unwrap_or("")
                }
                None => {
                    self.rest = None;
                    text
                }
            }
            .trim();
            if !element.is_empty() {
                return Some(element);
            }
        }
    }
}

/// The `;name=value` parameters of a header value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parameters<'a> {
    text: &'a str,
}

impl<'a> Parameters<'a> {
    /// Parameters from a text that starts with `;` or is empty; otherwise, or if one of them is
    /// empty or has a malformed name, nothing.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self { text });
        }
        let inner = text.strip_prefix(';').filter(|inner| !inner.trim().is_empty())?;
        let parameters = Self { text: inner };
        parameters
            .iter()
            .all(|(name, value)| is_token(name) && value.is_none_or(is_value))
            .then_some(parameters)
    }

    /// Names and values in order; quoted values keep their quotes.
    pub fn iter(self) -> impl Iterator<Item = (&'a str, Option<&'a str>)> {
        let mut rest = (!self.text.is_empty()).then_some(self.text);
        std::iter::from_fn(move || {
            let text = rest?;
            let one = match find_outside(text, b';') {
                Some(at) => {
                    rest = text.get(at + 1..);
                    text.get(..at).unwrap_or("")
                }
                None => {
                    rest = None;
                    text
                }
            };
            Some(match one.split_once('=') {
                Some((name, value)) => (name.trim(), Some(value.trim())),
                None => (one.trim(), None),
            })
        })
    }

    /// Whether a parameter is there, with or without value.
    pub fn has(self, name: &str) -> bool {
        self.iter().any(|(key, _)| key.eq_ignore_ascii_case(name))
    }

    /// The value of a parameter.
    pub fn value(self, name: &str) -> Option<&'a str> {
        self.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).and_then(|(_, value)| value)
    }
}

fn is_value(value: &str) -> bool {
    if let Some(inner) = value.strip_prefix('"') {
        return inner.ends_with('"') && quoted_end(value) == Some(value.len());
    }
    !value.is_empty() && !value.bytes().any(|byte| byte <= b' ' || b"<>,;\"".contains(&byte))
}

/// One past the closing quote of a quoted string that starts the text.
pub(crate) fn quoted_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// A quoted string without its quotes, escapes and control characters; other texts as they are.
pub(crate) fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut plain = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match character {
            '\\' => plain.extend(characters.next().filter(|escaped| !escaped.is_control())),
            other => plain.push(other),
        }
    }
    plain
}

/// A decimal number made of digits only; leading zeros are fine, overflow is not.
pub(crate) fn decimal(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// The number that starts a value such as `120 (busy);duration=60`.
pub(crate) fn leading_decimal(text: &str) -> Option<u32> {
    let text = text.trim();
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    decimal(text.get(..end)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commas_inside_quotes_and_brackets_do_not_split() {
        let list: Vec<_> = ListElements::new(r#""a, \"b" <sip:x@h;p=1,2>, <sip:y@h> ,, z"#).collect();
        assert_eq!(list, [r#""a, \"b" <sip:x@h;p=1,2>"#, "<sip:y@h>", "z"]);
    }

    #[test]
    fn parameters_are_found_whatever_the_spacing() {
        let parameters = Parameters::parse(r#" ; tag = a1 ; lr ; text="x;y" "#).expect("valid");
        assert_eq!(parameters.value("TAG"), Some("a1"));
        assert!(parameters.has("lr") && !parameters.has("rl"));
        assert_eq!(parameters.value("text"), Some(r#""x;y""#));
    }

    #[test]
    fn empty_or_nameless_parameters_are_refused() {
        for bad in [";", ";;a", ";a;", "a=b", ";=x", ";a=", ";a=\"x"] {
            assert_eq!(Parameters::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn unquoting_removes_escapes() {
        assert_eq!(unquote(r#""J \"R\" \\""#), r#"J "R" \"#);
    }
}
