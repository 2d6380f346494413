//! Whether an answer is exactly of the told shape in one client's dialect: its keys, their types, nulls only where told.

use serde_json::Value;
use uuid::Uuid;

use crate::api::openapi::{Field, Shape, Shown};

/// What differs, by its place.
pub(super) fn differences(shape: &Shape, value: &Value, dialect: &str) -> Vec<String> {
    let mut found = Vec::new();
    compare(shape, value, dialect, "", &mut found);
    found
}

fn is_shown(field: &Field, dialect: &str) -> bool {
    match field.shown {
        Shown::All => true,
        Shown::NotPython => dialect != "python",
        Shown::NotFern => dialect == "plain",
    }
}

fn compare(shape: &Shape, value: &Value, dialect: &str, at: &str, found: &mut Vec<String>) {
    let is = match shape {
        Shape::Text { most } => {
            value.as_str().is_some_and(|text| most.is_none_or(|most| text.chars().count() <= most as usize))
        }
        Shape::Form(form) => value.as_str().is_some_and(|text| is_of_form(form, text)),
        Shape::Words(words) => value.as_str().is_some_and(|text| words.iter().any(|word| word == text)),
        // Others than the typed clients are shown fractions of money.
        Shape::Whole { .. } => value.is_i64() || value.is_u64() || (dialect == "plain" && value.is_number()),
        Shape::Number => value.is_number(),
        Shape::Flag => value.is_boolean(),
        Shape::Any => true,
        Shape::Open => value.is_object(),
        Shape::Wrong(_) => false,
        Shape::List(item) => match value.as_array() {
            Some(items) => {
                for (index, value) in items.iter().enumerate() {
                    compare(item, value, dialect, &format!("{at}[{index}]"), found);
                }
                true
            }
            None => false,
        },
        Shape::Object(fields) => match value.as_object() {
            Some(members) => {
                for field in fields.iter().filter(|field| is_shown(field, dialect)) {
                    let at = format!("{at}.{}", field.name);
                    match members.get(&field.name) {
                        None if field.optional => {}
                        None => found.push(format!("{at} is missing")),
                        Some(Value::Null) if field.nullable => {}
                        Some(member) => compare(&field.shape, member, dialect, &at, found),
                    }
                }
                for name in members.keys() {
                    if !fields.iter().any(|field| field.name == *name && is_shown(field, dialect)) {
                        found.push(format!("{at}.{name} is not told"));
                    }
                }
                true
            }
            None => false,
        },
    };
    if !is {
        found.push(format!("{at} is {value}, not {}", shape.words()));
    }
}

fn is_of_form(form: &str, text: &str) -> bool {
    match form {
        "uuid" => Uuid::parse_str(text).is_ok(),
        "time" => text.ends_with('Z') && text.parse::<jiff::Timestamp>().is_ok(),
        "url" => text.starts_with("http"),
        "email" => text.contains('@'),
        "e164" => text.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit()),
        "money" => text.split_once('.').is_some_and(|(_, decimals)| decimals.len() == 5),
        _ => ["MA_", "SA_", "PA_"].iter().any(|prefix| text.starts_with(prefix)),
    }
}

#[test]
fn one_key_more_or_less_a_null_and_a_fraction_are_seen() {
    use serde_json::json;
    let shape = Shape::parse("{a:int b? c-python*:bool}");
    let good = json!({"a": 1, "b": null});
    assert!(differences(&shape, &good, "python").is_empty());
    for (bad, dialect) in [
        (json!({"a": 1}), "plain"),
        (json!({"a": null, "b": null}), "plain"),
        (json!({"a": 1.5, "b": ""}), "fern"),
        (json!({"a": 1, "b": "", "c": true}), "python"),
        (json!({"a": 1, "b": "", "d": 1}), "plain"),
        (json!([]), "plain"),
    ] {
        assert!(!differences(&shape, &bad, dialect).is_empty(), "{bad}");
    }
}
