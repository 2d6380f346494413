//! A request for calls, read: who calls whom, which URLs steer it, within which limits.

use serde_json::Value;
use tandem_model::ports::LegTarget;
use tandem_model::{ApplicationPlan, ErrorCode, HttpMethod, UrlCall};

use crate::api::ApiError;
use crate::api::lenient::{Fields, Given, invalid};

/// Destinations of one request at most.
const DESTINATIONS_MAX: usize = 1_000;
/// Characters of one destination, and of `to`, at most.
const DESTINATION_MAX: usize = 255;
const TO_MAX: usize = DESTINATIONS_MAX * (DESTINATION_MAX + 1);
/// Characters of `caller_name` at most.
const CALLER_NAME_MAX: usize = 50;
/// Talk time is cut at a day, seconds.
const TIME_LIMIT_MAX: u64 = 86_400;
/// Custom headers, their names and values, at most.
const HEADERS_MAX: usize = 32;
const HEADER_NAME_MAX: usize = 64;
const HEADER_VALUE_MAX: usize = 256;

/// Fields of features that are not built, with the value that asks for nothing.
const NOT_BUILT: [(&str, &str); 13] = [
    ("machine_detection", "false"),
    ("machine_detection_url", ""),
    ("machine_detection_method", "POST"),
    ("machine_detection_time", "5000"),
    ("machine_detection_maximum_speech_length", "5000"),
    ("machine_detection_initial_silence", "4500"),
    ("machine_detection_maximum_words", "3"),
    ("machine_detection_initial_greeting", "1500"),
    ("send_digits", ""),
    ("send_on_preanswer", "false"),
    ("error_parent_not_found", "false"),
    ("parent_call_uuid", ""),
    ("conf_id", ""),
];

/// What a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) from: String,
    pub(super) targets: Vec<LegTarget>,
    pub(super) plan: ApplicationPlan,
    pub(super) caller_name: Option<String>,
    pub(super) time_limit_s: Option<u64>,
    pub(super) ring_timeout_s: Option<u32>,
    pub(super) custom_headers: Vec<(String, String)>,
}

/// Reads a request.
pub(super) fn read(mut fields: Fields) -> Result<Order, ApiError> {
    refuse_not_built(&mut fields)?;
    let from = fields.required(&["from"], DESTINATION_MAX);
    let to = fields.required(&["to"], TO_MAX);
    let answer_url = fields.required_url(&["answer_url"]);
    let answer = UrlCall { url: answer_url, method: method(&mut fields, "answer_method") };
    let fallback = url_call(&mut fields, &["fallback_url", "fallback_answer_url"], "fallback_method");
    let hangup = url_call(&mut fields, &["hangup_url"], "hangup_method");
    let ring = url_call(&mut fields, &["ring_url"], "ring_method");
    let status = url_call(&mut fields, &["status_url"], "status_method");
    let caller_name = fields.text(&["caller_name"], CALLER_NAME_MAX).value();
    let time_limit_s = fields.seconds(&["time_limit"], 1, u64::MAX).value().map(|s| s.min(TIME_LIMIT_MAX));
    let rings = [
        fields.seconds(&["ring_timeout"], 1, TIME_LIMIT_MAX).value(),
        fields.seconds(&["hangup_on_ring"], 0, TIME_LIMIT_MAX).value().map(|seconds| seconds.max(1)),
    ];
    let ring_timeout_s = rings.into_iter().flatten().min().map(|seconds| seconds as u32);
    let custom_headers = custom_headers(&mut fields);
    fields.check_sentence()?;
    let targets = targets(&to)?;
    let plan = ApplicationPlan { answer, fallback, hangup, ring, status, input: None };
    Ok(Order { from, targets, plan, caller_name, time_limit_s, ring_timeout_s, custom_headers })
}

/// A field that would do something if it were built is refused, not ignored.
fn refuse_not_built(fields: &mut Fields) -> Result<(), ApiError> {
    for (name, nothing) in NOT_BUILT {
        if let Given::Value(value) = fields.text(&[name], TO_MAX)
            && !value.eq_ignore_ascii_case(nothing)
        {
            let sentence = format!("Not built: {name} of a call. Leave it out.");
            return Err(ApiError::because(ErrorCode::NotBuilt, sentence.clone()).word(sentence));
        }
    }
    Ok(())
}

fn method(fields: &mut Fields, name: &'static str) -> HttpMethod {
    fields.method(&[name]).value().unwrap_or_default()
}

fn url_call(fields: &mut Fields, url: &[&'static str], method_name: &'static str) -> Option<UrlCall> {
    let method = method(fields, method_name);
    fields.url(url).value().map(|url| UrlCall { url, method })
}

/// Numbers and `sip:` URIs with `<` between them; a comma is part of whatever it stands in.
fn targets(to: &str) -> Result<Vec<LegTarget>, ApiError> {
    let targets: Vec<LegTarget> = to
        .split('<')
        .map(str::trim)
        .filter(|destination| !destination.is_empty())
        .map(|destination| {
            let scheme = destination.split_once(':').map(|(scheme, _)| scheme.to_ascii_lowercase());
            match scheme.as_deref() {
                Some("sip" | "sips") => LegTarget::User(destination.to_owned()),
                _ => LegTarget::Number(destination.to_owned()),
            }
        })
        .collect();
    if targets.is_empty() {
        return Err(invalid("to: This field is required"));
    }
    if targets.len() > DESTINATIONS_MAX {
        return Err(invalid(format!("to: At most {DESTINATIONS_MAX} destinations")));
    }
    if to.split('<').any(|destination| destination.len() > DESTINATION_MAX) {
        return Err(invalid(format!("to: A destination has at most {DESTINATION_MAX} characters")));
    }
    Ok(targets)
}

/// `sip_headers`: `k=v,k=v` or an object; names as they are or with `X-VH-`/`X-PH-` before them.
fn custom_headers(fields: &mut Fields) -> Vec<(String, String)> {
    const NAME: &str = "sip_headers";
    let pairs: Vec<(String, String)> = match fields.raw(&[NAME]) {
        Some(Value::Object(map)) => map
            .iter()
            .map(|(name, value)| {
                (name.clone(), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            })
            .collect(),
        Some(Value::String(text)) => text
            .split(',')
            .filter(|pair| !pair.trim().is_empty())
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect(),
        None | Some(Value::Null) => Vec::new(),
        Some(_) => {
            fields.refuse(NAME, "Must be name=value pairs with commas between them");
            return Vec::new();
        }
    };
    if pairs.len() > HEADERS_MAX {
        fields.refuse(NAME, format!("Must be at most {HEADERS_MAX} headers"));
        return Vec::new();
    }
    let mut headers = Vec::with_capacity(pairs.len());
    for (written, value) in pairs {
        let name = bare_name(&written);
        let token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let name_is_one = !name.is_empty() && name.len() <= HEADER_NAME_MAX && name.chars().all(token);
        if !name_is_one || value.chars().count() > HEADER_VALUE_MAX || value.chars().any(char::is_control) {
            fields.refuse(NAME, "Must be letters and digits with a value, such as Reason=billing");
            return Vec::new();
        }
        headers.push((name.to_owned(), value));
    }
    headers
}

fn bare_name(name: &str) -> &str {
    ["X-VH-", "X-PH-"]
        .iter()
        .find_map(|mark| {
            let (head, bare) = name.split_at_checked(mark.len())?;
            head.eq_ignore_ascii_case(mark).then_some(bare)
        })
        .unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(extra: Value) -> Result<Order, ApiError> {
        let mut body =
            json!({ "from": "918045671200", "to": "919812345678", "answer_url": "https://a.example/x" });
        body.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        read(serde_json::from_value(body).unwrap())
    }

    fn number(text: &str) -> LegTarget {
        LegTarget::Number(text.to_owned())
    }

    #[test]
    fn the_least_request_is_from_to_and_an_answer_url() {
        let order = asked(json!({})).unwrap();
        assert_eq!(order.targets, [number("919812345678")]);
        assert_eq!(order.plan.answer.method, HttpMethod::Post);
        assert_eq!((order.plan.hangup, order.ring_timeout_s, order.time_limit_s), (None, None, None));
        for missing in ["from", "to", "answer_url"] {
            let error = asked(json!({ missing: null })).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ValidationError, "{missing}");
        }
    }

    #[test]
    fn destinations_are_split_at_less_than_signs_up_to_a_thousand() {
        let order = |count: usize| asked(json!({ "to": vec!["919812345678"; count].join("<") }));
        assert_eq!(order(1000).unwrap().targets.len(), 1000);
        assert!(order(1001).is_err());
        let mixed = asked(json!({ "to": "+14155550100<sip:a@b.example< 1,2" })).unwrap();
        assert_eq!(
            mixed.targets,
            [number("+14155550100"), LegTarget::User("sip:a@b.example".to_owned()), number("1,2")]
        );
    }

    #[test]
    fn what_is_not_built_is_refused_unless_it_asks_for_nothing() {
        for nothing in [
            json!({"machine_detection": "false", "send_digits": "", "machine_detection_time": 5000}),
            json!({"machine_detection": false, "send_on_preanswer": false, "conf_id": null}),
        ] {
            assert!(asked(nothing).is_ok());
        }
        for something in [
            json!({"machine_detection": "true"}),
            json!({"machine_detection": "hangup"}),
            json!({"machine_detection_time": 3000}),
            json!({"send_digits": "1W2"}),
            json!({"parent_call_uuid": "x"}),
        ] {
            assert_eq!(asked(something).unwrap_err().code(), ErrorCode::NotBuilt);
        }
    }

    #[test]
    fn limits_come_as_numbers_or_text_and_the_day_is_the_longest() {
        let order = asked(json!({
            "time_limit": "90000", "ring_timeout": 45, "hangup_on_ring": "30", "hangup_method": "get",
            "hangup_url": "https://a.example/h", "status_url": "https://a.example/s", "status_method": "get", "sip_headers": "X-VH-Reason=billing,X-PH-a=1,b=2"
        }))
        .unwrap();
        assert_eq!((order.time_limit_s, order.ring_timeout_s), (Some(86_400), Some(30)));
        assert_eq!(order.plan.hangup.unwrap().method, HttpMethod::Get);
        assert_eq!(order.plan.status.unwrap().method, HttpMethod::Get);
        let headers: Vec<_> = order.custom_headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(headers, ["Reason", "a", "b"]);
        assert!(asked(json!({"sip_headers": {"Reason": "a\r\nVia: x"}})).is_err());
        assert!(asked(json!({"caller_name": "x".repeat(50)})).is_ok());
        assert!(asked(json!({"caller_name": "x".repeat(51)})).is_err());
    }
}
