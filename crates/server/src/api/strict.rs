//! What serde would let pass in a body: a key given twice, of which it takes one; a NUL, which one of the databases
//! cannot keep; a list where an object is meant.

use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The whole body: an object.
pub(super) struct Body;

impl<'de> Deserialize<'de> for Body {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value { whole: true }.deserialize(deserializer).map(|()| Self)
    }
}

/// A value within it, or all of it.
#[derive(Clone, Copy)]
struct Value {
    whole: bool,
}

impl<'de> DeserializeSeed<'de> for Value {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.whole { deserializer.deserialize_map(self) } else { deserializer.deserialize_any(self) }
    }
}

fn without_nul<E: Error>(text: &str) -> Result<(), E> {
    if text.contains('\0') { Err(E::custom("must not have a NUL character")) } else { Ok(()) }
}

impl<'de> Visitor<'de> for Value {
    type Value = ();

    fn expecting(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("a JSON object")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        without_nul(text)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Self { whole: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<String>()? {
            without_nul(&name)?;
            members.next_value_seed(Self { whole: false })?;
            if let Some(name) = seen.replace(name) {
                return Err(A::Error::custom(format_args!("duplicate field `{name}`")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_twice_a_nul_and_a_list_are_refused_at_any_depth() {
        for good in ["{}", r#"{"a": [1, -1, 1.5, null, true, "x", {"a": {}}]}"#] {
            assert!(serde_json::from_str::<Body>(good).is_ok(), "{good}");
        }
        for bad in [
            "[]",
            "null",
            "3",
            r#"{"a": 1, "a": 1}"#,
            r#"{"a": [{"b": 1, "b": 2}]}"#,
            r#"{"a": "\u0000"}"#,
            r#"{"\u0000": 1}"#,
        ] {
            assert!(serde_json::from_str::<Body>(bad).is_err(), "{bad}");
        }
    }
}
