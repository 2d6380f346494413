//! What the events of a call say: the JSON of trunk webhooks and the form of `Event=Hangup`
//! (Vobiz voice reference 3.6 and 3.13). Pure: facts in, bodies out.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tandem_model::ports::Parameters;
use tandem_model::{CallEnd, CallFacts, CallStatus, Currency, Money, Rate, Refusal};

/// The trunk a call went through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct TrunkFacts {
    /// The trunk.
    pub(crate) trunk_id: String,
    /// Host of the Request-URI.
    pub(crate) domain: String,
    /// Where the INVITE came from.
    pub(crate) source_ip: String,
    /// Its Call-ID.
    pub(crate) sip_call_id: String,
}

/// `CallInitiated`: an attempt passed or failed admission.
pub(crate) fn call_initiated(facts: &CallFacts, trunk: &TrunkFacts, refusal: Option<&Refusal>) -> String {
    json!({
        "Event": "CallInitiated",
        "CallUUID": facts.call,
        "RequestID": facts.call,
        "Timestamp": iso(facts.started_at),
        "From": facts.from,
        "To": facts.to,
        "Direction": facts.direction,
        "Status": "initiated",
        "auth_id": facts.account,
        "AccountId": facts.account,
        "TrunkID": trunk.trunk_id,
        "Domain": trunk.domain,
        "SourceIP": trunk.source_ip,
        "SIPCallID": trunk.sip_call_id,
        "Allowed": refusal.is_none(),
        "Reason": refusal.map_or("", |refusal| refusal.reason.as_str()),
        "ReasonCode": refusal.map_or("", |refusal| refusal.code.slug()),
    })
    .to_string()
}

/// The trunk's `Hangup`.
pub(crate) fn trunk_hangup(
    facts: &CallFacts,
    trunk: &TrunkFacts,
    end: &CallEnd,
    cost: Money,
    currency: Currency,
) -> String {
    json!({
        "Event": "Hangup",
        "CallUUID": facts.call,
        "RequestID": facts.call,
        "Timestamp": iso(end.ended_at),
        "From": facts.from,
        "To": facts.to,
        "Direction": facts.direction,
        "Status": "completed",
        "AccountId": facts.account,
        "auth_id": facts.account,
        "TrunkID": trunk.trunk_id,
        "Domain": trunk.domain,
        "SourceIP": trunk.source_ip,
        "SIPCallID": trunk.sip_call_id,
        "BridgeUUID": end.bridge.unwrap_or(facts.call),
        "StartTime": iso(facts.started_at),
        "AnswerTime": end.answered_at.map(iso),
        "EndTime": iso(end.ended_at),
        "Duration": end.ring_s + end.billsec,
        "Billsec": end.billsec,
        "RingTime": end.ring_s,
        "Cost": cost.to_f64(),
        "CostMicros": cost.micros,
        "Currency": currency,
        "MOS": end.quality.map(|quality| two_decimals(quality.mos)),
        "HangupCauseName": end.cause.name(),
        "HangupCauseCode": end.cause.code(),
        "HangupSource": end.source.as_str(),
        "Reason": end.reason,
    })
    .to_string()
}

/// `Event=Hangup` of a leg steered by XML: the 24 parameters of a live capture, in its order.
pub(crate) fn hangup_form(
    facts: &CallFacts,
    end: &CallEnd,
    rate: &Rate,
    cost: Money,
    zone: &TimeZone,
) -> Parameters {
    let local = |at: Timestamp| at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S").to_string();
    let status = CallStatus::of_end(end.answered_at.is_some(), end.cause);
    let billed =
        if end.answered_at.is_some() && end.billsec > 0 { rate.billed_seconds(end.billsec) } else { 0 };
    let text = end.cause_text.clone().unwrap_or_else(|| end.cause.text().as_str().to_owned());
    let mut form: Parameters = vec![
        ("Event".into(), "Hangup".to_owned()),
        ("CallUUID".into(), facts.call.to_string()),
        ("RequestUUID".into(), facts.call.to_string()),
        ("ALegUUID".into(), facts.a_leg.to_string()),
        ("ALegRequestUUID".into(), facts.a_leg.to_string()),
        ("From".into(), facts.from.clone()),
        ("To".into(), facts.to.clone()),
        ("CallerName".into(), facts.caller_name.clone()),
        ("Direction".into(), facts.direction.as_str().to_owned()),
        ("CallStatus".into(), status.as_str().to_owned()),
        ("Duration".into(), end.billsec.to_string()),
        ("BillDuration".into(), billed.to_string()),
        ("BillRate".into(), facts.bill_rate.clone()),
        ("TotalCost".into(), cost.to_fixed(5)),
        ("SessionStart".into(), utc_micros(facts.started_at)),
        ("StartTime".into(), local(facts.started_at)),
        ("AnswerTime".into(), end.answered_at.map(local).unwrap_or_default()),
        ("EndTime".into(), local(end.ended_at)),
        ("HangupCause".into(), text),
        ("HangupCauseName".into(), end.cause.name().to_owned()),
        ("HangupCauseCode".into(), end.cause.code().to_string()),
        ("HangupSource".into(), end.source.as_str().to_owned()),
        ("ParentAuthID".into(), facts.parent_account.to_string()),
        ("STIRVerification".into(), "Not Applicable".to_owned()),
        ("STIRAttestation".into(), "Not Applicable".to_owned()),
    ];
    if let Some(forwarded) = &facts.forwarded_from {
        form.push(("ForwardedFrom".into(), forwarded.clone()));
    }
    form.extend(
        facts.custom_headers.iter().map(|(name, value)| (format!("X-VH-{name}").into(), value.clone())),
    );
    form
}

/// `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
pub(crate) fn iso(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%dT%H:%M:%S.%6fZ").to_string()
}

/// `YYYY-MM-DD HH:MM:SS.ffffff`, UTC: `SessionStart`.
pub(crate) fn utc_micros(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S.%6f").to_string()
}

fn two_decimals(value: f32) -> f64 {
    (f64::from(value) * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use tandem_model::{AccountId, CallDirection, CallId, ErrorCode, HangupCause, HangupSource, LegQuality};

    use super::*;

    fn facts() -> CallFacts {
        let call: CallId = "6f0c3a52-2c55-4f0b-9d0e-8d7a4f3c1b77".parse().unwrap();
        CallFacts {
            call,
            account: AccountId::new("MA_7QX2L0PD"),
            direction: CallDirection::Inbound,
            from: "919812345678".to_owned(),
            to: "918012345678".to_owned(),
            caller_name: "919812345678".to_owned(),
            started_at: "2026-11-21T07:00:00.123456Z".parse().unwrap(),
            bill_rate: "0.45000".to_owned(),
            parent_account: AccountId::new("MA_7QX2L0PD"),
            a_leg: call,
            forwarded_from: None,
            custom_headers: vec![("Ticket".to_owned(), "77".to_owned())],
        }
    }

    fn end() -> CallEnd {
        CallEnd {
            call: facts().call,
            ended_at: "2026-11-21T07:01:10.5Z".parse().unwrap(),
            progress_at: None,
            answered_at: Some("2026-11-21T07:00:09.5Z".parse().unwrap()),
            billsec: 61,
            ring_s: 9,
            cause: HangupCause::NormalHangup,
            cause_text: None,
            source: HangupSource::Caller,
            disposition: "recv_bye".to_owned(),
            reason: "Normal Hangup".to_owned(),
            sip_call_id: "abc@pbx".to_owned(),
            sip_user_agent: None,
            codec: Some("PCMU".to_owned()),
            quality: Some(LegQuality { mos: 4.409, jitter_ms: 0.2, loss_percent: 0.0 }),
            network_addr: None,
            carrier_addr: None,
            terminated_to: None,
            bridge: None,
            recording: None,
            answered_while_cancelling: false,
        }
    }

    fn rate() -> Rate {
        Rate {
            per_minute: Money::from_micros(450_000),
            pulse_s: 60,
            minimum_s: 0,
            connection_fee: Money::ZERO,
        }
    }

    #[test]
    fn the_hangup_form_has_the_captured_parameters() {
        let zone = TimeZone::get("Asia/Kolkata").unwrap();
        let form = hangup_form(&facts(), &end(), &rate(), rate().cost(61), &zone);
        let value = |name: &str| form.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        for (name, expected) in [
            ("Event", "Hangup"),
            ("CallStatus", "completed"),
            ("Duration", "61"),
            ("BillDuration", "120"),
            ("TotalCost", "0.90000"),
            ("SessionStart", "2026-11-21 07:00:00.123456"),
            ("StartTime", "2026-11-21 12:30:00"),
            ("AnswerTime", "2026-11-21 12:30:09"),
            ("HangupCause", "NORMAL_CLEARING"),
            ("HangupCauseName", "Normal Hangup"),
            ("HangupCauseCode", "4000"),
            ("HangupSource", "Caller"),
            ("ParentAuthID", "MA_7QX2L0PD"),
            ("X-VH-Ticket", "77"),
        ] {
            assert_eq!(value(name), Some(expected), "{name}");
        }
        assert_eq!(value("ForwardedFrom"), None, "only with Diversion");
    }

    #[test]
    fn a_trunk_webhook_says_what_it_cost_to_the_micro_unit() {
        let trunk = TrunkFacts {
            trunk_id: "t".to_owned(),
            domain: "0a1b2c3d.sip.example".to_owned(),
            source_ip: "127.0.0.1".to_owned(),
            sip_call_id: "abc@pbx".to_owned(),
        };
        let body: serde_json::Value =
            serde_json::from_str(&trunk_hangup(&facts(), &trunk, &end(), rate().cost(61), Currency::INR))
                .unwrap();
        assert_eq!(body["Cost"], 0.9);
        assert_eq!(body["CostMicros"], 900_000);
        assert_eq!(body["Duration"], 70);
        assert_eq!(body["MOS"], 4.41);
        let refusal = Refusal::because(ErrorCode::InsufficientBalance, "Insufficient balance: 0.50 INR");
        let body: serde_json::Value =
            serde_json::from_str(&call_initiated(&facts(), &trunk, Some(&refusal))).unwrap();
        assert_eq!(body["Allowed"], false);
        assert_eq!(body["Reason"], "Insufficient balance: 0.50 INR");
    }
}
