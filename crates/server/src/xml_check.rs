//! A document looked at before a call runs it: for `tandem xml check` and for the API, in the same words.

use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, USER_AGENT};
use http::{HeaderMap, HeaderValue, Method};
use serde_json::{Value, json};
use tandem_callflow::document::{Check, Finding, MAX_DOCUMENT_BYTES, check};

use crate::egress::{Egress, EgressLimits, EgressPolicy, EgressRequest, EgressTarget, Overflow, Redirects};

/// How long a document may take to come, as in a call.
const FETCH_TIMEOUT: Duration = Duration::from_secs(10);

/// What an application is asked with when its answer URL is looked at: the parameters it is likely to read.
const SAMPLE: &[(&str, &str)] = &[
    ("CallUUID", "11111111-1111-4111-8111-111111111111"),
    ("RequestUUID", "11111111-1111-4111-8111-111111111111"),
    ("From", "919812345678"),
    ("To", "918012345678"),
    ("CallerName", "919812345678"),
    ("Direction", "inbound"),
    ("CallStatus", "ringing"),
    ("Event", "StartApp"),
];

/// What the look at a document showed, as JSON.
pub fn report(body: &[u8]) -> Value {
    let Check { errors, warnings, plan } = &check(body);
    let plan: Vec<Value> =
        plan.iter().map(|step| json!({ "element": step.element, "line": step.line })).collect();
    json!({
        "valid": errors.is_empty(),
        "errors": errors.iter().map(finding).collect::<Vec<_>>(),
        "warnings": warnings.iter().map(finding).collect::<Vec<_>>(),
        "plan": plan,
    })
}

fn finding(finding: &Finding) -> Value {
    json!({
        "line": finding.line,
        "column": finding.column,
        "element": finding.element,
        "attribute": finding.attribute,
        "severity": finding.severity.as_str(),
        "message": finding.message,
        "remedy": finding.remedy,
    })
}

/// Asks an answer URL for its document the way a call would, unsigned: POST with parameters, or GET.
pub async fn fetch(url: &str, method: &str) -> Result<Vec<u8>, String> {
    // Whoever runs this command may reach what the machine can reach.
    let egress = Egress::new(EgressPolicy::with_loopback()).map_err(|error| error.to_string())?;
    let target = EgressTarget::parse(url).map_err(|error| error.to_string())?;
    let params: Vec<(&str, String)> =
        SAMPLE.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
    let mut headers = HeaderMap::new();
    headers.insert(USER_AGENT, HeaderValue::from_static("Vobiz"));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let limits = EgressLimits::new(FETCH_TIMEOUT, MAX_DOCUMENT_BYTES, Overflow::Fail, Redirects::Follow);
    let request = if method.eq_ignore_ascii_case("GET") {
        EgressRequest {
            method: Method::GET,
            target: target.with_query(&params),
            headers,
            body: Bytes::new(),
            limits,
        }
    } else {
        let form = "application/x-www-form-urlencoded";
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form));
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(&params).finish();
        EgressRequest { method: Method::POST, target, headers, body: body.into(), limits }
    };
    let answer = egress.send(request).await.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("the server answered {}", answer.status.as_u16()));
    }
    Ok(answer.body.to_vec())
}
