//! The parameters that every call-control request carries (Vobiz voice reference, "Standard
//! parameters"), built from the facts of the call and nothing else.

use std::borrow::Cow;

use tandem_model::{CallFacts, CallStatus, RecordingId, RecordingResult};

pub use tandem_model::ports::Parameters;

/// The standard set for an event of a leg.
///
/// Custom headers go out under both spellings, `X-VH-` and `X-PH-`: programs written for either read their own.
pub fn standard(facts: &CallFacts, event: &str, status: CallStatus) -> Parameters {
    let call = facts.call.to_string();
    let a_leg = facts.a_leg.to_string();
    let mut parameters = Vec::with_capacity(18 + 2 * facts.custom_headers.len());
    add(&mut parameters, "CallUUID", call.clone());
    add(&mut parameters, "RequestUUID", call);
    add(&mut parameters, "ALegUUID", a_leg.clone());
    add(&mut parameters, "ALegRequestUUID", a_leg);
    add(&mut parameters, "From", facts.from.as_str());
    add(&mut parameters, "To", facts.to.as_str());
    if let Some(number) = &facts.forwarded_from {
        add(&mut parameters, "ForwardedFrom", number.as_str());
    }
    add(&mut parameters, "CallerName", facts.caller_name.as_str());
    add(&mut parameters, "Direction", facts.direction.as_str());
    add(&mut parameters, "CallStatus", status.as_str());
    add(&mut parameters, "Event", event);
    add(&mut parameters, "ParentAuthID", facts.parent_account.as_str());
    add(&mut parameters, "SessionStart", facts.started_at.strftime("%Y-%m-%d %H:%M:%S%.6f").to_string());
    add(&mut parameters, "BillRate", facts.bill_rate.as_str());
    if facts.from.starts_with("sip:") {
        add(&mut parameters, "RouteType", "sip");
    }
    // STIR/SHAKEN is a North American matter; elsewhere the platform says so.
    add(&mut parameters, "STIRVerification", "Not Applicable");
    add(&mut parameters, "STIRAttestation", "Not Applicable");
    add_custom_headers(&mut parameters, &facts.custom_headers);
    parameters
}

/// What is told of a recording, over or not.
pub fn recording(parameters: &mut Parameters, id: RecordingId, url: &str, result: Option<&RecordingResult>) {
    add(parameters, "RecordingID", id.to_string());
    let Some(result) = result else { return };
    let url = if result.error.is_none() { url } else { "" };
    add(parameters, "RecordFile", url);
    add(parameters, "RecordUrl", url);
    let duration_ms = result.duration_ms;
    add(parameters, "RecordingDuration", (duration_ms.saturating_add(500) / 1_000).to_string());
    add(parameters, "RecordingDurationMs", duration_ms.to_string());
    add(parameters, "RecordingStartMs", result.started_at.as_millisecond().to_string());
    add(parameters, "RecordingEndMs", result.ended_at.as_millisecond().to_string());
    add(parameters, "RecordingEndReason", result.reason.as_str());
    add(parameters, "Digits", result.digits.as_str());
}

/// Adds one.
pub(crate) fn add(parameters: &mut Parameters, name: &'static str, value: impl Into<String>) {
    parameters.push((Cow::Borrowed(name), value.into()));
}

/// Adds custom headers under both prefixes.
pub(crate) fn add_custom_headers(parameters: &mut Parameters, headers: &[(String, String)]) {
    for (name, value) in headers {
        parameters.push((Cow::Owned(format!("X-VH-{name}")), value.clone()));
        parameters.push((Cow::Owned(format!("X-PH-{name}")), value.clone()));
    }
}
