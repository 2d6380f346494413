//! A display name with a URI, as we print it in From, To and P-Asserted-Identity.

use std::fmt;

use super::field::{IllegalField, check_value};
use super::uri::{OwnedUri, UriError};

/// Longest display name that we print.
pub const MAX_DISPLAY_NAME_BYTES: usize = 128;

/// A printable `"display" <uri>`, without header parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    display_name: Option<String>,
    uri: OwnedUri,
}

impl Address {
    /// A bare URI in angle brackets.
    pub fn new(uri: OwnedUri) -> Self {
        Self { display_name: None, uri }
    }

    /// Parse a URI.
    pub fn parse(uri: &str) -> Result<Self, UriError> {
        OwnedUri::parse(uri).map(Self::new)
    }

    /// Add a display name: plain text, which the printer quotes. An empty one is left out.
    pub fn with_display_name(self, name: &str) -> Result<Self, IllegalField> {
        check_value(name)?;
        if name.len() > MAX_DISPLAY_NAME_BYTES {
            return Err(IllegalField::TooLong);
        }
        Ok(Self { display_name: (!name.is_empty()).then(|| name.to_owned()), uri: self.uri })
    }

    /// The display name as plain text.
    pub fn display_name(&self) -> Option<&str> {
        self.display_name.as_deref()
    }

    /// The URI.
    pub fn uri(&self) -> &OwnedUri {
        &self.uri
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.display_name {
            f.write_str("\"")?;
            for character in name.chars() {
                if matches!(character, '"' | '\\') {
                    f.write_str("\\")?;
                }
                write!(f, "{character}")?;
            }
            f.write_str("\" ")?;
        }
        write!(f, "<{}>", self.uri)
    }
}
