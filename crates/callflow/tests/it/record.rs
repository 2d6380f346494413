//! Recording the caller.

use tandem_callflow::{Effect, Leg};
use tandem_model::{RecordingChannels, RecordingFormat, RecordingOrder, RecordingWords};

use crate::driver::{Driver, ms, parameter};

fn message(attributes: &str, after: &str) -> Driver {
    let xml = format!("<Response><Record action='/done' {attributes}/>{after}</Response>");
    Driver::outbound(&xml).page("https://app.example/done", "<Response><Hangup/></Response>")
}

fn orders(call: &Driver) -> Vec<&RecordingOrder> {
    let order = |effect| match effect {
        &(_, Effect::StartRecording { ref order, .. }) => Some(&**order),
        _ => None,
    };
    call.effects.iter().filter_map(order).collect()
}

#[test]
fn the_action_gets_the_documented_parameters_once() {
    let call = message("finishOnKey='9'", "").digit(5_100, Leg::A, '9').run();
    assert_eq!(call.fetches().len(), 2);
    let params = &call.fetches()[1].params;
    for (name, value) in [
        ("Event", "Record"),
        ("CallStatus", "in-progress"),
        ("RecordingDuration", "4"),
        ("RecordingDurationMs", "4010"),
        ("RecordingEndReason", "FinishedOnKey"),
        ("Digits", "9"),
        ("ParentAuthID", "MA_TESTTEST"),
    ] {
        assert_eq!(parameter(params, name), value, "{name}");
    }
    for name in ["RecordingID", "RecordingStartMs", "RecordingEndMs", "SessionStart", "BillRate", "ALegUUID"]
    {
        assert!(!parameter(params, name).is_empty(), "{name}");
    }
    assert_eq!(parameter(params, "RecordFile"), parameter(params, "RecordUrl"));
}

#[test]
fn the_last_element_takes_its_next_document_from_the_action_and_others_do_not() {
    for (attributes, after, goes_on) in [
        ("", "", false),
        ("", "<Speak>next</Speak>", true),
        ("redirect='true'", "<Speak>next</Speak>", false),
        ("redirect='false'", "<Speak>next</Speak>", true),
        ("redirect='false'", "", true),
    ] {
        let call = message(attributes, after).digit(3_000, Leg::A, '1').run();
        assert_eq!(call.fetches().len(), 2, "the action is always told");
        let cause = call.finished().cause.code();
        let spoken = after.is_empty() || call.spoken() == ["next"];
        assert_eq!(goes_on && spoken, cause == 4010 && goes_on, "{attributes} {after}");
        assert_eq!(goes_on, cause == 4010, "{attributes} {after}: {cause}");
    }
}

#[test]
fn each_way_of_ending_has_its_reason() {
    let reason = |call: Driver| parameter(&call.run().fetches()[1].params, "RecordingEndReason");
    assert_eq!(reason(message("", "").digit(3_000, Leg::A, '0')), "FinishedOnKey");
    assert_eq!(reason(message("", "").silence(9_000)), "RecordingTimeout");
    assert_eq!(reason(message("maxLength='7'", "")), "maxLength");
    assert_eq!(reason(message("finishOnKey='' maxLength='7'", "").digit(3_000, Leg::A, '0')), "maxLength");
    assert_eq!(
        reason(message("finishOnKey='none' maxLength='7'", "").digit(3_000, Leg::A, '#')),
        "maxLength"
    );
    assert_eq!(
        reason(message("finishOnKey='A5x' maxLength='7'", "").digit(3_000, Leg::A, '5')),
        "FinishedOnKey"
    );
    assert_eq!(
        reason(message("finishOnKey='5' maxLength='7'", "").digit(500, Leg::A, '5')),
        "maxLength",
        "the beep is no message"
    );
}

#[test]
fn a_caller_who_hangs_up_leaves_the_action_to_the_driver() {
    let call = message("", "<Speak>not reached</Speak>").caller_hangs_up(6_000).run();
    assert_eq!(call.fetches().len(), 1);
    let stop = call.effects.iter().find_map(|(_, effect)| match effect {
        Effect::StopRecording { reason, abandoned, .. } => Some((reason.as_str(), *abandoned)),
        _ => None,
    });
    assert_eq!(stop, Some(("HungUp", true)));
    let order = orders(&call)[0];
    assert_eq!(order.action.as_ref().map(|action| action.url.as_str()), Some("https://app.example/done"));
}

#[test]
fn during_the_beep_there_is_nothing_to_keep() {
    let call = message("", "").caller_hangs_up(600).run();
    assert_eq!((orders(&call).len(), call.fetches().len()), (0, 1));
    let call = message("playBeep='false' maxLength='2'", "").run();
    assert_eq!(call.time_of("Play"), None);
    assert_eq!(orders(&call).len(), 1);
}

#[test]
fn a_session_recording_runs_on_and_every_element_makes_one() {
    let xml = "<Response><Record recordSession='true' maxLength='600'/><Record recordSession='true'/><Wait length='3'/></Response>";
    let call = Driver::inbound(xml).run();
    let orders = orders(&call);
    assert_eq!(orders.len(), 2);
    assert!(call.effects.iter().all(|(_, effect)| !matches!(effect, Effect::StopRecording { .. })));
    assert_eq!(orders[0].channels, RecordingChannels::Stereo);
    assert_eq!((orders[0].max_length, orders[1].max_length), (ms(600_000), ms(60_000)));
    assert_eq!((orders[0].format, orders[0].silence), (RecordingFormat::Mp3, None));
    assert!(call.story().contains(&"Answer".to_owned()));
}

#[test]
fn only_a_dial_that_joins_two_legs_begins_what_waits_for_it() {
    let xml = "<Response><Record startOnDialAnswer='true' callbackUrl='/file'/><Dial><Number>1</Number></Dial><Wait length='1'/></Response>";
    let call = Driver::inbound(xml).rings(500, 1).ends(
        2_000,
        1,
        tandem_model::HangupCause::BusyLine,
        tandem_model::HangupSource::Carrier,
    );
    assert!(orders(&call.run()).is_empty());
    let call = Driver::inbound(xml).answers(2_000, 1).caller_hangs_up(9_000).run();
    let order = orders(&call)[0];
    assert_eq!(order.tells[0].words, RecordingWords::RecordStop);
    assert!(call.time_of("StartRecording") >= call.time_of("Bridge"));
}

#[test]
fn a_callback_that_is_no_url_is_nobody_and_the_recording_is_made() {
    let xml = "<Response><Record recordSession='true' callbackUrl='ftp://a.example/x' action='/a' method='PUT'/><Wait length='1'/></Response>";
    let call = Driver::inbound(xml).run();
    assert!(orders(&call)[0].tells.is_empty());
}
