//! Header fields that callers may add to a message we print: an allow-list, checked when the
//! value is made, so that printing cannot fail and cannot be injected into.

use thiserror::Error;

/// Longest value of a header field that we print.
pub const MAX_FIELD_VALUE_BYTES: usize = 2048;
/// Longest name of a custom (`X-…`) header field that we print.
pub const MAX_CUSTOM_NAME_BYTES: usize = 64;
/// Most extra header fields on one outbound message.
pub const MAX_EXTRA_FIELDS: usize = 32;

/// Why a header field was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum IllegalField {
    /// The value holds CR, LF, NUL or another control character.
    #[error("header value holds a control character")]
    ControlCharacter,
    /// The value is longer than [`MAX_FIELD_VALUE_BYTES`].
    #[error("header value is longer than {MAX_FIELD_VALUE_BYTES} bytes")]
    TooLong,
    /// A custom name does not start with `X-`, is not a token, or is too long.
    #[error("custom header name is not an X- token of at most {MAX_CUSTOM_NAME_BYTES} bytes")]
    BadName,
}

/// The names a caller may print beside those that the core writes itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FieldName {
    /// RFC 3326.
    Reason,
    /// RFC 5806.
    Diversion,
    /// RFC 3323.
    Privacy,
    /// RFC 3325.
    PAssertedIdentity,
    /// RFC 3261 §20.33.
    RetryAfter,
    /// RFC 3261 §20.44.
    WwwAuthenticate,
    /// RFC 3261 §20.27.
    ProxyAuthenticate,
    /// RFC 3261 §20.7.
    Authorization,
    /// RFC 3261 §20.28.
    ProxyAuthorization,
    /// A registration's bindings, or a redirect's targets.
    Contact,
    /// RFC 3261 §20.19.
    Expires,
    /// RFC 3261 §20.23.
    MinExpires,
    /// RFC 3327.
    Path,
    /// RFC 3608.
    ServiceRoute,
    /// RFC 3261 §20.43.
    Warning,
    /// RFC 3261 §20.35.
    Server,
    /// RFC 3261 §20.41.
    UserAgent,
    /// RFC 3261 §20.17.
    Date,
    /// RFC 3261 §20.1.
    Accept,
    /// RFC 6665.
    Event,
    /// RFC 6665.
    SubscriptionState,
    /// `X-VH-…`, `X-PH-…` or another `X-` header.
    Custom(String),
}

impl FieldName {
    /// The name on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Reason => "Reason",
            Self::Diversion => "Diversion",
            Self::Privacy => "Privacy",
            Self::PAssertedIdentity => "P-Asserted-Identity",
            Self::RetryAfter => "Retry-After",
            Self::WwwAuthenticate => "WWW-Authenticate",
            Self::ProxyAuthenticate => "Proxy-Authenticate",
            Self::Authorization => "Authorization",
            Self::ProxyAuthorization => "Proxy-Authorization",
            Self::Contact => "Contact",
            Self::Expires => "Expires",
            Self::MinExpires => "Min-Expires",
            Self::Path => "Path",
            Self::ServiceRoute => "Service-Route",
            Self::Warning => "Warning",
            Self::Server => "Server",
            Self::UserAgent => "User-Agent",
            Self::Date => "Date",
            Self::Accept => "Accept",
            Self::Event => "Event",
            Self::SubscriptionState => "Subscription-State",
            Self::Custom(name) => name,
        }
    }
}

/// One header field that may be printed: its name is allowed and its value is one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeaderField {
    name: FieldName,
    value: String,
}

impl HeaderField {
    /// Make a field with a listed name.
    pub fn new(name: FieldName, value: impl Into<String>) -> Result<Self, IllegalField> {
        if let FieldName::Custom(custom) = &name {
            check_custom_name(custom)?;
        }
        let value = value.into();
        check_value(&value)?;
        Ok(Self { name, value })
    }

    /// Make an `X-…` field.
    pub fn custom(name: &str, value: impl Into<String>) -> Result<Self, IllegalField> {
        Self::new(FieldName::Custom(name.to_owned()), value)
    }

    /// The name.
    pub fn name(&self) -> &FieldName {
        &self.name
    }

    /// The value.
    pub fn value(&self) -> &str {
        &self.value
    }
}

/// Whether a value fits on one header line.
pub(crate) fn check_value(value: &str) -> Result<(), IllegalField> {
    if value.len() > MAX_FIELD_VALUE_BYTES {
        return Err(IllegalField::TooLong);
    }
    if value.bytes().any(|byte| byte < 0x20 && byte != b'\t' || byte == 0x7f) {
        return Err(IllegalField::ControlCharacter);
    }
    Ok(())
}

fn check_custom_name(name: &str) -> Result<(), IllegalField> {
    let is_x = name.get(..2).is_some_and(|prefix| prefix.eq_ignore_ascii_case("x-"));
    let is_token = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.!%*+`'~".contains(&byte));
    if is_x && is_token && name.len() > 2 && name.len() <= MAX_CUSTOM_NAME_BYTES {
        Ok(())
    } else {
        Err(IllegalField::BadName)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_line_break_is_refused() {
        for bad in ["a\r\nEvil: 1", "a\nb", "a\rb", "a\0b", "a\x7fb"] {
            assert_eq!(HeaderField::custom("X-VH-A", bad), Err(IllegalField::ControlCharacter));
        }
    }

    #[test]
    fn a_custom_name_must_be_an_x_token() {
        for bad in ["Via", "X-", "X-a b", "X-a:b", "X-a\r\n", "Xa", ""] {
            assert_eq!(HeaderField::custom(bad, "v"), Err(IllegalField::BadName), "{bad:?}");
        }
        assert!(HeaderField::custom("X-VH-Order_1", "v").is_ok());
    }

    #[test]
    fn value_and_name_limits_hold_at_and_one_past() {
        assert!(HeaderField::custom("X-A", "v".repeat(MAX_FIELD_VALUE_BYTES)).is_ok());
        assert_eq!(
            HeaderField::custom("X-A", "v".repeat(MAX_FIELD_VALUE_BYTES + 1)),
            Err(IllegalField::TooLong)
        );
        let name = |length: usize| format!("X-{}", "a".repeat(length - 2));
        assert!(HeaderField::custom(&name(MAX_CUSTOM_NAME_BYTES), "v").is_ok());
        assert_eq!(HeaderField::custom(&name(MAX_CUSTOM_NAME_BYTES + 1), "v"), Err(IllegalField::BadName));
    }
}
