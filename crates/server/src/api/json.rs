//! Numbers and instants as the contract prints them (REST reference §1.7): typed clients refuse `1.0`
//! where they expect an integer, and take `1` where they expect a float.

use jiff::Timestamp;
use serde_json::Value;
use tandem_model::Money;

use super::Dialect;

/// An amount as a JSON number, without a fraction it does not need.
pub(crate) fn money(amount: Money) -> Value {
    const UNIT: i64 = 1_000_000;
    if amount.micros % UNIT == 0 {
        return (amount.micros / UNIT).into();
    }
    amount.to_f64().into()
}

/// An amount in a field that typed clients declare an integer: rounded for them, exact for others.
pub(crate) fn whole_money(amount: Money, dialect: Dialect) -> Value {
    if dialect.is_fern() {
        return amount.to_fixed(0).parse::<i64>().unwrap_or_default().into();
    }
    money(amount)
}

/// An amount as text with five decimals.
pub(crate) fn money_text(amount: Money) -> String {
    amount.to_fixed(5)
}

/// `2026-01-05T06:10:00.120000Z`.
pub(crate) fn instant(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}

/// The same, or null.
pub(crate) fn optional_instant(at: Option<Timestamp>) -> Value {
    at.map_or(Value::Null, |at| instant(at).into())
}

/// Two halves of one object: some of the contract's have more keys than `json!` takes at once.
pub(crate) fn joined(first: Value, second: Value) -> Value {
    match (first, second) {
        (Value::Object(mut object), Value::Object(rest)) => {
            object.extend(rest);
            Value::Object(object)
        }
        (first, _) => first,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_no_fraction_they_do_not_need() {
        assert_eq!(money(Money::from_units(700)).to_string(), "700");
        assert_eq!(money(Money::from_micros(412_350_000)).to_string(), "412.35");
        assert_eq!(money(Money::from_micros(-1)).to_string(), "-1e-6");
        assert_eq!(whole_money(Money::from_micros(1_500_000), Dialect::FernPython).to_string(), "2");
        assert_eq!(whole_money(Money::from_micros(1_500_000), Dialect::Plain).to_string(), "1.5");
        assert_eq!(money_text(Money::from_units(1300)), "1300.00000");
    }

    #[test]
    fn instants_have_six_decimals() {
        let at: Timestamp = "2026-01-05T06:10:00.12Z".parse().unwrap();
        assert_eq!(instant(at), "2026-01-05T06:10:00.120000Z");
    }
}
