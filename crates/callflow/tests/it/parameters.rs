//! The standard parameters.

use tandem_callflow::parameters::standard;
use tandem_model::{AccountId, CallFacts, CallStatus};

use crate::driver::{call_id, facts};

fn lines(facts: &CallFacts) -> String {
    let params = standard(facts, "StartApp", CallStatus::Ringing);
    params.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("\n")
}

#[test]
fn the_standard_set_has_the_documented_names_and_formats() {
    insta::assert_snapshot!(lines(&facts()), @r"
    CallUUID=00000000-0000-0000-0000-00000000000a
    RequestUUID=00000000-0000-0000-0000-00000000000a
    ALegUUID=00000000-0000-0000-0000-00000000000a
    ALegRequestUUID=00000000-0000-0000-0000-00000000000a
    From=919812345678
    To=918012345678
    CallerName=Asha
    Direction=inbound
    CallStatus=ringing
    Event=StartApp
    ParentAuthID=MA_TESTTEST
    SessionStart=2026-11-21 07:00:00.123456
    BillRate=0.45000
    STIRVerification=Not Applicable
    STIRAttestation=Not Applicable
    ");
}

#[test]
fn forwarding_custom_headers_and_sip_callers_add_their_own() {
    let facts = CallFacts {
        from: "sip:asha@registrar.example".to_owned(),
        forwarded_from: Some("911100000000".to_owned()),
        custom_headers: vec![("Campaign".to_owned(), "7".to_owned())],
        parent_account: AccountId::new("PA_PARENT00"),
        a_leg: call_id(0xF),
        ..facts()
    };
    let lines = lines(&facts);
    for line in [
        "From=sip:asha@registrar.example",
        "ForwardedFrom=911100000000",
        "RouteType=sip",
        "X-VH-Campaign=7",
        "X-PH-Campaign=7",
        "ParentAuthID=PA_PARENT00",
        "ALegUUID=00000000-0000-0000-0000-00000000000f",
    ] {
        assert!(lines.contains(line), "{line} in\n{lines}");
    }
}

#[test]
fn microseconds_are_always_six_digits() {
    let facts = CallFacts { started_at: "2026-01-02T03:04:05Z".parse().unwrap(), ..facts() };
    assert!(lines(&facts).contains("SessionStart=2026-01-02 03:04:05.000000"));
}
