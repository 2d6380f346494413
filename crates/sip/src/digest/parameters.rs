//! The `name=value, name="value"` lists of RFC 7235, shared by both sides of digest.

use super::authorization::{MAX_HEADER_BYTES, ParseError};

/// Most parameters in one header value.
const MAX_PARAMETERS: usize = 32;

/// The parameters of one digest header value, unescaped.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Parses `Digest name=value, …`. Blanks around `=` and empty list elements are forgiven.
    pub(super) fn parse(header: &str) -> Result<Self, ParseError> {
        if header.len() > MAX_HEADER_BYTES {
            return Err(ParseError::TooLong { bytes: header.len() });
        }
        let header = header.trim_start();
        let (scheme, mut rest) = header.split_once([' ', '\t', '\r', '\n']).ok_or(ParseError::NotDigest)?;
        if !scheme.eq_ignore_ascii_case("Digest") {
            return Err(ParseError::NotDigest);
        }
        let mut parameters = Vec::new();
        loop {
            rest = rest.trim_start_matches([' ', '\t', '\r', '\n', ',']);
            if rest.is_empty() {
                return Ok(Self(parameters));
            }
            let (name, after_name) = rest.split_once('=').ok_or(ParseError::BadSyntax)?;
            let name = name.trim_end();
            if name.is_empty() || !name.bytes().all(is_token) || parameters.len() == MAX_PARAMETERS {
                return Err(ParseError::BadSyntax);
            }
            let (value, after_value) = take_value(after_name.trim_start()).ok_or(ParseError::BadSyntax)?;
            parameters.push((name.to_ascii_lowercase(), value));
            rest = after_value.trim_start();
            if !rest.is_empty() && !rest.starts_with(',') {
                return Err(ParseError::BadSyntax);
            }
        }
    }

    /// Takes a parameter out; the first wins where one stands twice.
    pub(super) fn take(&mut self, name: &str) -> Option<String> {
        let position = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.remove(position).1)
    }

    /// Takes a parameter that must be there.
    pub(super) fn require(&mut self, name: &'static str) -> Result<String, ParseError> {
        self.take(name).ok_or(ParseError::Missing(name))
    }
}

/// A token or a quoted string, and what follows it.
fn take_value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([',', ' ', '\t', '\r', '\n']).unwrap_or(text.len());
        let (token, rest) = text.split_at(end);
        return Some((token.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((position, character)) = characters.next() {
        match character {
            '"' => return Some((value, quoted.get(position + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            plain => value.push(plain),
        }
    }
    None
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte)
}

/// Writes a quoted string; control characters, which could end the header, are dropped.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars().filter(|character| !character.is_ascii_control()) {
        if matches!(character, '"' | '\\') {
            quoted.push('\\');
        }
        quoted.push(character);
    }
    quoted.push('"');
    quoted
}
