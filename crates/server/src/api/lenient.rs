//! The fields of a request as clients really send them: numbers as strings, flags as words, one field under
//! several names. Reading collects what is wrong, by field, so that one answer names all of it.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};
use tandem_model::{ErrorCode, HttpMethod};

use super::ApiError;
use crate::egress::EgressTarget;

/// Longest URL kept.
const URL_MAX: usize = 2_048;

/// Unknown fields named in a refusal at most, and characters of each.
const SHOWN: usize = 10;
const NAME_SHOWN: usize = 64;

/// A field of a change: absent, null and a value are three things.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Given<T> {
    /// Not sent: leave it.
    Absent,
    /// Sent as null or empty: take it away.
    Null,
    /// Sent.
    Value(T),
}

impl<T> Given<T> {
    /// The value, if one was sent.
    pub(super) fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }

    /// The same of another type.
    pub(super) fn map<U>(self, change: impl FnOnce(T) -> U) -> Given<U> {
        match self {
            Self::Absent => Given::Absent,
            Self::Null => Given::Null,
            Self::Value(value) => Given::Value(change(value)),
        }
    }
}

impl<T: PartialEq> Given<T> {
    /// Puts what was sent where something always is; says whether it differs.
    pub(super) fn put(self, slot: &mut T) -> bool {
        match self {
            Self::Value(value) if value != *slot => {
                *slot = value;
                true
            }
            _ => false,
        }
    }

    /// Puts what was sent where nothing may be; says whether it differs.
    pub(super) fn put_optional(self, slot: &mut Option<T>) -> bool {
        let new = match self {
            Self::Absent => return false,
            Self::Null => None,
            Self::Value(value) => Some(value),
        };
        let differs = new != *slot;
        *slot = new;
        differs
    }
}

/// The fields of one request: a JSON object, or a query.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(transparent)]
pub(super) struct Fields {
    map: Map<String, Value>,
    #[serde(skip)]
    errors: BTreeMap<&'static str, String>,
    /// What was asked for, sent or not: the fields the request knows, by the first of their names.
    #[serde(skip)]
    known: Vec<&'static str>,
    /// Whether any of what was asked for was sent.
    #[serde(skip)]
    knows_any: bool,
}

impl Fields {
    /// These, and of the other's what was not sent here.
    pub(super) fn or(mut self, other: Self) -> Self {
        for (name, value) in other.map {
            self.map.entry(name).or_insert(value);
        }
        self
    }

    /// The first of `names` that was sent.
    pub(super) fn raw(&self, names: &[&'static str]) -> Option<&Value> {
        names.iter().find_map(|name| self.map.get(*name))
    }

    /// The name by which it was sent; the first, if it was not.
    fn sent(&self, names: &[&'static str]) -> &'static str {
        let sent = names.iter().find(|name| self.map.contains_key(**name));
        sent.or(names.first()).copied().unwrap_or_default()
    }

    /// Whether any of `names` was sent.
    pub(super) fn has(&self, names: &[&'static str]) -> bool {
        self.raw(names).is_some()
    }

    /// The names of what was sent.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.map.keys().map(String::as_str)
    }

    /// Notes that a field is wrong; the first reason stays.
    pub(super) fn refuse(&mut self, name: &'static str, why: impl Into<String>) {
        self.errors.entry(name).or_insert_with(|| why.into());
    }

    /// Notes that a field is one the request knows.
    pub(super) fn asked(&mut self, names: &[&'static str]) {
        self.knows_any |= self.has(names);
        if let Some(name) = names.first().filter(|name| !self.known.contains(name)) {
            self.known.push(name);
        }
    }

    /// Refuses a change of which no field is known, once all have been asked for: nothing would be changed, in silence.
    /// Unknown fields beside known ones pass, as clients send them; so does an empty body.
    pub(super) fn check_known(&self) -> Result<(), ApiError> {
        if self.knows_any || self.map.is_empty() {
            return Ok(());
        }
        let known = self.known.join(", ");
        let remedy = format!("is not a field of this request; there are {known}");
        let sent: Map<String, Value> =
            self.map.keys().take(SHOWN).map(|name| (shown(name), remedy.as_str().into())).collect();
        let names = sent.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let words = format!("Nothing to change: {names} is no field of this request; there are {known}");
        Err(ApiError::because(ErrorCode::ValidationError, words).details(Value::Object(sent)))
    }

    /// Refuses to empty what must always be there.
    pub(super) fn demand_kept(&mut self, names: &[&'static str]) {
        let is_empty = |value: &Value| value.as_str().map_or(value.is_null(), |text| text.trim().is_empty());
        if self.raw(names).is_some_and(is_empty) {
            self.refuse(self.sent(names), "This field is required");
        }
    }

    /// Refuses what is wrong so far, in the words of applications and endpoints: every field in `details`.
    pub(super) fn check(&self) -> Result<(), ApiError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let words = "invalid request parameters";
        let error = ApiError::because(ErrorCode::ValidationError, self.sentence());
        Err(error.word(words).details(json!(self.errors)))
    }

    /// The same in the words of trunks and calls: `error` is the sentence itself.
    pub(super) fn check_sentence(&self) -> Result<(), ApiError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        Err(invalid(self.sentence()).details(json!(self.errors)))
    }

    fn sentence(&self) -> String {
        self.errors.iter().map(|(field, why)| format!("{field}: {why}")).collect::<Vec<_>>().join("; ")
    }

    /// Text of at most `longest` characters; numbers are taken as they are written.
    pub(super) fn text(&mut self, names: &[&'static str], longest: usize) -> Given<String> {
        self.asked(names);
        let name = self.sent(names);
        let text = match self.raw(names) {
            None => return Given::Absent,
            Some(Value::Null) => return Given::Null,
            Some(Value::String(text)) => text.trim().to_owned(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Bool(flag)) => flag.to_string(),
            Some(Value::Array(_) | Value::Object(_)) => {
                self.refuse(name, "Must be text");
                return Given::Absent;
            }
        };
        if text.is_empty() {
            return Given::Null;
        }
        if text.chars().count() > longest {
            self.refuse(name, format!("Must have at most {longest} characters"));
            return Given::Absent;
        }
        if text.chars().any(char::is_control) {
            self.refuse(name, "Must not have control characters");
            return Given::Absent;
        }
        Given::Value(text)
    }

    /// Text that must be there.
    pub(super) fn required(&mut self, names: &[&'static str], longest: usize) -> String {
        let given = self.text(names, longest);
        self.demand(names, given)
    }

    fn demand(&mut self, names: &[&'static str], given: Given<String>) -> String {
        match given {
            Given::Value(text) => text,
            Given::Absent | Given::Null => {
                self.refuse(self.sent(names), "This field is required");
                String::new()
            }
        }
    }

    /// A flag: JSON's own, `"true"`/`"false"`, `1`/`0`.
    pub(super) fn flag(&mut self, names: &[&'static str]) -> Given<bool> {
        self.asked(names);
        let flag = match self.raw(names) {
            None => return Given::Absent,
            Some(Value::Null) => return Given::Null,
            Some(Value::Bool(flag)) => Some(*flag),
            Some(Value::Number(number)) => number.as_u64().filter(|n| *n < 2).map(|n| n == 1),
            Some(Value::String(text)) => match text.trim().to_ascii_lowercase().as_str() {
                "" => return Given::Null,
                "true" | "1" | "yes" => Some(true),
                "false" | "0" | "no" => Some(false),
                _ => None,
            },
            Some(_) => None,
        };
        match flag {
            Some(flag) => Given::Value(flag),
            None => {
                self.refuse(self.sent(names), "Must be true or false");
                Given::Absent
            }
        }
    }

    /// A whole number within bounds, or its digits as text.
    pub(super) fn number(&mut self, names: &[&'static str], least: u64, most: u64) -> Given<u64> {
        self.whole(names, least, most, "a whole number")
    }

    /// A time in whole seconds.
    pub(super) fn seconds(&mut self, names: &[&'static str], least: u64, most: u64) -> Given<u64> {
        self.whole(names, least, most, "a whole number of seconds")
    }

    fn whole(&mut self, names: &[&'static str], least: u64, most: u64, what: &str) -> Given<u64> {
        self.asked(names);
        let number = match self.raw(names) {
            None => return Given::Absent,
            Some(Value::Null) => return Given::Null,
            Some(Value::Number(number)) => number.as_u64(),
            Some(Value::String(text)) if text.trim().is_empty() => return Given::Null,
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(_) => None,
        };
        match number.filter(|number| (least..=most).contains(number)) {
            Some(number) => Given::Value(number),
            None => {
                let why = match most {
                    u64::MAX => format!("Must be {what}, {least} or more"),
                    _ => format!("Must be {what} from {least} to {most}"),
                };
                self.refuse(self.sent(names), why);
                Given::Absent
            }
        }
    }

    /// `GET` or `POST`, in any case.
    pub(super) fn method(&mut self, names: &[&'static str]) -> Given<HttpMethod> {
        let word = self.word(names, &["GET", "POST"]);
        word.map(|word| if word == "GET" { HttpMethod::Get } else { HttpMethod::Post })
    }

    /// An absolute http or https URL, kept as written: signatures are over this text.
    pub(super) fn url(&mut self, names: &[&'static str]) -> Given<String> {
        let given = self.text(names, URL_MAX);
        if let Given::Value(url) = &given
            && EgressTarget::parse(url).is_err()
        {
            self.refuse(self.sent(names), "Enter a valid URL");
            return Given::Absent;
        }
        given
    }

    /// A URL that must be there.
    pub(super) fn required_url(&mut self, names: &[&'static str]) -> String {
        let given = self.url(names);
        self.demand(names, given)
    }

    /// One of a few words, in any case; the word as listed.
    pub(super) fn word(&mut self, names: &[&'static str], words: &[&'static str]) -> Given<&'static str> {
        let text = match self.text(names, 64) {
            Given::Absent => return Given::Absent,
            Given::Null => return Given::Null,
            Given::Value(text) => text,
        };
        match words.iter().find(|word| word.eq_ignore_ascii_case(&text)) {
            Some(word) => Given::Value(word),
            None => {
                let why = format!("Must be one of: {}", words.join(", "));
                self.refuse(self.sent(names), why);
                Given::Absent
            }
        }
    }
}

/// A name a client made up, as much of it as is said again.
fn shown(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(NAME_SHOWN).collect()
}

/// A 400 whose `error` is the sentence, as trunks, what hangs on them, and calls answer.
pub(super) fn invalid(sentence: impl Into<String>) -> ApiError {
    let sentence = sentence.into();
    ApiError::because(ErrorCode::ValidationError, sentence.clone()).word(sentence)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(json: Value) -> Fields {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn numbers_and_flags_are_read_however_they_are_written() {
        let mut fields = fields(json!({
            "a": "7", "b": 8, "c": "TRUE", "d": 0, "e": "x", "f": -1, "g": null, "h": ""
        }));
        assert_eq!(fields.number(&["a"], 0, 10), Given::Value(7));
        assert_eq!(fields.number(&["b"], 0, 8), Given::Value(8));
        assert_eq!(fields.flag(&["c"]), Given::Value(true));
        assert_eq!(fields.flag(&["d"]), Given::Value(false));
        assert_eq!(fields.number(&["g"], 0, 1), Given::Null);
        assert_eq!(fields.flag(&["h"]), Given::Null);
        assert_eq!(fields.flag(&["nothing"]), Given::Absent);
        assert!(fields.check().is_ok());
        fields.number(&["b"], 0, 7);
        fields.flag(&["e"]);
        fields.number(&["f"], 0, 7);
        assert_eq!(fields.errors.keys().copied().collect::<Vec<_>>(), ["b", "e", "f"]);
        assert!(fields.check().is_err() && fields.check_sentence().is_err());
    }

    #[test]
    fn text_is_bounded_at_its_limit() {
        let mut fields =
            fields(json!({"at": "é".repeat(5), "past": "é".repeat(6), "bell": "a\u{7}", "list": []}));
        assert_eq!(fields.text(&["at"], 5), Given::Value("ééééé".to_owned()));
        assert_eq!(fields.text(&["past"], 5), Given::Absent);
        assert_eq!(fields.text(&["bell"], 5), Given::Absent);
        assert_eq!(fields.text(&["list"], 5), Given::Absent);
        assert_eq!(fields.errors.len(), 3);
    }

    #[test]
    fn the_first_name_that_was_sent_wins_and_urls_keep_their_spelling() {
        let mut fields = fields(json!({"old": "HTTPS://A.example/x?y=%7E", "new": "ftp://a.example/"}));
        assert_eq!(fields.required_url(&["absent", "old"]), "HTTPS://A.example/x?y=%7E");
        assert_eq!(fields.url(&["new", "old"]), Given::Absent);
        assert_eq!(fields.errors["new"], "Enter a valid URL");
        fields.url(&["absent", "new"]);
        assert_eq!(fields.errors.keys().copied().collect::<Vec<_>>(), ["new"], "named as it was sent");
    }
}
