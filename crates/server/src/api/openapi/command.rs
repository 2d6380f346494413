//! The curl command that makes an operation's example request, with what differs from reader to reader as variables of the
//! shell. Which variable stands for what is said at the top of the page.

use super::operation::{JSON, Operation, Who};
use super::samples::{replaced, sample};
use crate::api::routes::PREFIX;

/// What is a variable in commands: a path parameter or a place in an example, and the variable's name.
const VARIABLES: &[(&str, &str)] = &[
    ("auth_id", "CUSTOMER_ID"),
    ("customer", "CUSTOMER_ID"),
    ("sub_auth_id", "SUB_ID"),
    ("e164", "NUMBER"),
    ("spare_e164", "NUMBER"),
    ("app_id", "APP_ID"),
    ("endpoint_id", "ENDPOINT_ID"),
    ("trunk_id", "TRUNK_ID"),
    ("call_uuid", "CALL_UUID"),
    ("recording_id", "RECORDING_ID"),
    ("stream_id", "STREAM_ID"),
    ("subscription_id", "SUBSCRIPTION_ID"),
    ("payment_id", "PAYMENT_ID"),
    ("refresh_token", "REFRESH_TOKEN"),
    ("password_link", "LINK_TOKEN"),
    ("cin", "CIN"),
    ("id", "ID"),
];

fn variable(name: &str) -> Option<&'static str> {
    VARIABLES.iter().find(|(known, _)| *known == name).map(|(_, variable)| *variable)
}

/// In double quotes: variables, and samples for the rest.
fn in_address(name: &str) -> Option<String> {
    match variable(name) {
        Some(variable) => Some(format!("${variable}")),
        None => sample(name).map(|sample| sample.value.replace('+', "%2B")),
    }
}

/// In single quotes, which a variable interrupts. Ids and numbers hold nothing that a shell would split.
fn in_body(name: &str) -> Option<String> {
    match variable(name) {
        Some(variable) => Some(format!("'${variable}'")),
        None => sample(name).map(|sample| sample.value.to_owned()),
    }
}

/// The command.
pub(super) fn curl(operation: &Operation) -> String {
    let path = replaced(&operation.pattern, &in_address);
    let query: Vec<String> = operation
        .query
        .iter()
        .filter(|field| field.required || !matches!(field.shape, super::shape::Shape::Whole { .. }))
        .filter_map(|field| {
            let example = field.example.as_ref()?;
            let text = example.as_str().map_or_else(|| example.to_string(), str::to_owned);
            Some(format!("{}={}", field.name, replaced(&text, &in_address)))
        })
        .collect();
    let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
    let mut lines = vec![match operation.method {
        "GET" => format!("curl \"$API{PREFIX}{path}{query}\""),
        method => format!("curl -X {method} \"$API{PREFIX}{path}{query}\""),
    }];
    match operation.who {
        Who::Nobody => {}
        Who::Partner => {
            lines.push("-H \"X-Auth-ID: $PARTNER_ID\" -H \"X-Auth-Token: $PARTNER_TOKEN\"".to_owned());
        }
        Who::Account | Who::Caller | Who::Parent => {
            lines.push("-H \"X-Auth-ID: $CUSTOMER_ID\" -H \"X-Auth-Token: $CUSTOMER_TOKEN\"".to_owned());
        }
    }
    if let Some(example) = operation.example() {
        let text = example.to_string().replace('\'', r"'\''");
        lines.push("-H 'Content-Type: application/json'".to_owned());
        lines.push(format!("-d '{}'", in_json(&text)));
    }
    if let Some(file) = file(operation) {
        lines.push(format!("-o {file}"));
    }
    lines.join(" \\\n  ")
}

/// Placeholders in the text of JSON, whose own braces they stand among: only `{name}` of a known name is one.
fn in_json(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let known = after.split_once('}').and_then(|(name, tail)| Some((in_body(name)?, tail)));
        rest = if let Some((value, tail)) = known {
            out.push_str(&value);
            tail
        } else {
            out.push('{');
            after
        };
    }
    out.push_str(rest);
    out
}

/// What an answer that is a file is kept as.
fn file(operation: &Operation) -> Option<&'static str> {
    match operation.media {
        JSON => None,
        "text/csv" if operation.pattern.ends_with("/cdr/export") => Some("records.csv"),
        "text/csv" => Some("statement.csv"),
        "audio/wav" => Some("recording.wav"),
        _ => Some("answer"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::operations;
    use super::*;

    fn of(method: &str, pattern: &str) -> String {
        let all = operations();
        let found = all.iter().find(|operation| operation.method == method && operation.pattern == pattern);
        curl(found.unwrap())
    }

    #[test]
    fn numbers_ids_and_credentials_are_variables_in_every_command() {
        for operation in operations() {
            let command = curl(&operation);
            for fixed in ["MA_7QX", "SA_4M1", "91804567", "uuidgen", "{e164}", "{customer}", "{call_uuid}"] {
                assert!(!command.contains(fixed), "{fixed} in {command}");
            }
        }
        let bought = of("POST", "/Account/{auth_id}/numbers/purchase-from-inventory");
        assert!(bought.contains(r#"-d '{"currency":"INR","e164":"'$NUMBER'"}'"#), "{bought}");
        let called = of("POST", "/Account/{auth_id}/Call");
        assert!(called.contains("$API/api/v1/Account/$CUSTOMER_ID/Call\""), "{called}");
        assert!(called.contains(r#""from":"'$NUMBER'""#), "{called}");
    }

    #[test]
    fn partners_use_their_own_credentials_and_files_are_kept() {
        let given = of("POST", "/partner/accounts/{auth_id}/transfer-balance");
        assert!(given.contains("$PARTNER_TOKEN") && given.contains("/accounts/$CUSTOMER_ID/"), "{given}");
        for (pattern, kept) in [
            ("/Account/{auth_id}/cdr/export", "-o records.csv"),
            ("/Account/{auth_id}/statements/{month}", "-o statement.csv"),
            ("/Account/{auth_id}/Recording/{recording_id}/download", "-o recording.wav"),
        ] {
            assert!(of("GET", pattern).ends_with(kept), "{pattern}");
        }
        let deleted = of("DELETE", "/Account/{auth_id}/Recording/BulkDelete");
        assert!(deleted.contains("?call_uuid=$CALL_UUID"), "{deleted}");
    }
}
