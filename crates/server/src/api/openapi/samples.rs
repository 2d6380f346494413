//! What path parameters are, and what stands for them in examples: `{trunk_id}` in an example is one that fits where
//! it is shown. Contract tests put the ids of their own world there.

use serde_json::Value;

/// A path parameter.
pub(crate) struct Sample {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) value: &'static str,
}

/// Every name that may stand in braces, in patterns and in examples.
pub(crate) const SAMPLES: &[Sample] = &[
    Sample { name: "auth_id", what: "The account, such as $CUSTOMER_ID", value: "MA_7QX2L0PD" },
    Sample { name: "sub_auth_id", what: "The sub-account", value: "SA_4M1ZK8TR" },
    Sample { name: "currency", what: "The account's currency, such as INR", value: "INR" },
    Sample { name: "e164", what: "A number of the account, with or without +", value: "+918045671200" },
    Sample { name: "app_id", what: "The application", value: "31415926535897932" },
    Sample { name: "trunk_id", what: "The trunk", value: "7a1d3c52-2c55-4f0b-9d0e-8d7a4f3c1b77" },
    Sample { name: "stream_id", what: "The stream", value: "8a5d6d2e-6b7c-4f6b-9d35-0f5a4a9e2b11" },
    Sample { name: "call_uuid", what: "The call", value: "6f0c3a52-2c55-4f0b-9d0e-8d7a4f3c1b77" },
    Sample { name: "recording_id", what: "The recording", value: "77aa8c1e-3c52-4f0b-9d0e-8d7a4f3c1b77" },
    Sample {
        name: "subscription_id",
        what: "The subscription",
        value: "3c52d0b8-2c55-4f0b-9d0e-8d7a4f3c1b77",
    },
    Sample { name: "name", what: "The conference, as its XML calls it", value: "Sales" },
    Sample { name: "member_id", what: "A member's number, several with commas, or all", value: "10" },
    Sample { name: "endpoint_id", what: "The endpoint", value: "27182818284590452" },
    Sample { name: "id", what: "The id as its list shows it", value: "0b0d7f3e-5c1c-4c7e-9a54-0d6f7b0c9911" },
    Sample { name: "spare_e164", what: "A number of the inventory", value: "+918045671200" },
    Sample { name: "customer", what: "A customer of the partner", value: "MA_7QX2L0PD" },
    Sample { name: "cin", what: "A company of the search", value: "U72900KA2015PTC104729" },
    Sample { name: "email", what: "An e-mail address", value: "anita@shop.example" },
    Sample { name: "own_email", what: "The account's e-mail address", value: "anita@shop.example" },
    Sample { name: "partner_email", what: "The partner's e-mail address", value: "ops@acme.example" },
    Sample { name: "password_link", what: "The token of the letter's link", value: "pwl_9f31…" },
    Sample { name: "refresh_token", what: "A refresh token", value: "rt_5d0c…" },
    Sample { name: "payment_id", what: "The payment", value: "2c55d0b8-3c52-4f0b-9d0e-8d7a4f3c1b77" },
    Sample { name: "month", what: "The month, as 2026-01.csv", value: "2026-01.csv" },
    Sample { name: "provider", what: "The payment provider's name", value: "http" },
    Sample { name: "password", what: "A password", value: "Change-me-1" },
];

/// The sample of a name.
pub(crate) fn sample(name: &str) -> Option<&'static Sample> {
    SAMPLES.iter().find(|sample| sample.name == name)
}

/// A text with what stands in braces replaced by `with`.
pub(crate) fn replaced(text: &str, with: &dyn Fn(&str) -> Option<String>) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let Some((name, tail)) = after.split_once('}') else {
            out.push('{');
            rest = after;
            continue;
        };
        match with(name) {
            Some(value) => out.push_str(&value),
            None => out.push_str(&format!("{{{name}}}")),
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// The same in every text of a value.
pub(crate) fn replaced_in(value: &Value, with: &dyn Fn(&str) -> Option<String>) -> Value {
    match value {
        Value::String(text) => replaced(text, with).into(),
        Value::Array(items) => items.iter().map(|item| replaced_in(item, with)).collect(),
        Value::Object(members) => Value::Object(
            members.iter().map(|(name, member)| (name.clone(), replaced_in(member, with))).collect(),
        ),
        other => other.clone(),
    }
}

/// An example as the document shows it.
pub(crate) fn filled(value: &Value) -> Value {
    replaced_in(value, &|name| sample(name).map(|sample| sample.value.to_owned()))
}
