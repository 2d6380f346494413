//! Checks of single fields, shared by resources: parse once at the edge, name the field when it fails.

use std::str::FromStr;

use axum::http::StatusCode;
use serde_json::Value;
use tandem_model::{CountryRules, Dialled, E164, Money, normalise};

use super::ApiError;
use crate::auth::PASSWORD_MAX;

/// A required text of 1 to `max` characters.
pub(crate) fn text(name: &str, value: Option<&str>, max: usize) -> Result<String, ApiError> {
    let value = value.map(str::trim).unwrap_or_default();
    if value.is_empty() {
        return Err(ApiError::field(name, "is required"));
    }
    if value.chars().count() > max {
        return Err(ApiError::field(name, &format!("is at most {max} characters")));
    }
    Ok(value.to_owned())
}

/// A text of at most `max` characters; absent and empty are the same.
pub(crate) fn optional_text(name: &str, value: Option<&str>, max: usize) -> Result<String, ApiError> {
    match value.map(str::trim) {
        None | Some("") => Ok(String::new()),
        value => text(name, value, max),
    }
}

/// An amount above zero, as a JSON number or as text.
pub(crate) fn positive_amount(name: &str, value: &Value) -> Result<Money, ApiError> {
    let amount = amount(name, value)?;
    if amount <= Money::ZERO {
        return Err(ApiError::field(name, "is greater than 0"));
    }
    Ok(amount)
}

/// An amount, as a JSON number or as text.
pub(crate) fn amount(name: &str, value: &Value) -> Result<Money, ApiError> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        // Shortest decimal that reads back the same; `1e-7` and its like have too many decimals anyway.
        Value::Number(number) => {
            number.as_f64().filter(|_| number.is_f64()).map_or_else(|| number.to_string(), |n| n.to_string())
        }
        Value::Null => return Err(ApiError::field(name, "is required")),
        _ => return Err(ApiError::field(name, "is a number, such as 12.50")),
    };
    text.parse().map_err(|error: tandem_model::MoneyError| ApiError::field(name, &error.to_string()))
}

/// A phone number in E.164.
pub(crate) fn number(name: &str, value: &str) -> Result<E164, ApiError> {
    E164::parse(value.trim())
        .map_err(|error| ApiError::field(name, &format!("{error}; write it like +918045671200")))
}

/// A phone number as people write it: E.164 with or without `+`, and what calls take that can be nothing else: separators,
/// `00` and the trunk prefix of the account's country.
pub(crate) fn written_number(name: &str, value: &str, country: CountryRules) -> Result<E164, ApiError> {
    let strict = number(name, value);
    match (strict, normalise(value, country)) {
        (Err(_), Ok(Dialled::Number(number))) => Ok(number),
        (strict, _) => strict,
    }
}

/// An e-mail address: one `@` with something that can be a host behind it.
pub(crate) fn email(name: &str, value: &str) -> Result<String, ApiError> {
    const MAX: usize = 254;
    let value = value.trim();
    let good = value.len() <= MAX
        && !value.contains(|character: char| character.is_whitespace() || character.is_control())
        && value.split_once('@').is_some_and(|(user, host)| {
            !user.is_empty()
                && host.contains('.')
                && !host.contains('@')
                && !host.starts_with('.')
                && !host.ends_with('.')
        });
    if good { Ok(value.to_ascii_lowercase()) } else { Err(ApiError::field(name, "is not an e-mail address")) }
}

/// A password somebody may choose.
pub(crate) fn password(name: &str, value: &str) -> Result<(), ApiError> {
    let remedy = "is 8 to 128 characters with a digit and a special character";
    let length = value.chars().count();
    let digit = value.chars().any(|character| character.is_ascii_digit());
    let special = value.chars().any(|character| !character.is_alphanumeric() && !character.is_whitespace());
    if (8..=PASSWORD_MAX).contains(&length) && digit && special {
        Ok(())
    } else {
        Err(ApiError::field(name, remedy).status(StatusCode::UNPROCESSABLE_ENTITY))
    }
}

/// An ISO 3166 alpha-2 code.
pub(crate) fn country(name: &str, value: &str) -> Result<String, ApiError> {
    let code = value.trim().to_ascii_uppercase();
    if phonenumber::metadata::DATABASE.by_id(&code).is_some() {
        Ok(code)
    } else {
        Err(ApiError::field(name, "is an ISO 3166 alpha-2 code, such as IN"))
    }
}

/// Anything that parses from text.
pub(crate) fn parsed<T: FromStr>(name: &str, value: &str, remedy: &str) -> Result<T, ApiError> {
    value.trim().parse().map_err(|_| ApiError::field(name, remedy))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn amounts_come_as_numbers_or_text_and_never_lose_a_digit() {
        for (value, micros) in
            [(json!(500), 500_000_000), (json!(0.1), 100_000), (json!("12.50"), 12_500_000)]
        {
            assert_eq!(amount("amount", &value).unwrap().micros, micros, "{value}");
        }
        for value in [json!(0.0000001), json!(true), json!(null), json!("x"), json!(1e300)] {
            assert!(amount("amount", &value).is_err(), "{value}");
        }
        assert!(positive_amount("amount", &json!(0)).is_err());
        assert!(positive_amount("amount", &json!(-1)).is_err());
    }

    #[test]
    fn a_password_needs_eight_characters_a_digit_and_a_special_one() {
        assert!(password("password", "Change-me-1").is_ok());
        assert!(password("password", "a-34567").is_err());
        assert!(password("password", "a-345678").is_ok());
        for weak in ["", "password", "passw0rd", "pass-word", &format!("-1{}", "x".repeat(127))] {
            assert!(password("password", weak).is_err(), "{weak}");
        }
    }

    #[test]
    fn addresses_and_countries_are_told_from_noise() {
        assert_eq!(email("email", " A@B.example ").unwrap(), "a@b.example");
        for text in ["", "a", "a@b", "@b.c", "a@b@c.d", "a b@c.d", "a@.c"] {
            assert!(email("email", text).is_err(), "{text}");
        }
        assert_eq!(country("country", "in").unwrap(), "IN");
        assert!(country("country", "XX").is_err());
    }
}
