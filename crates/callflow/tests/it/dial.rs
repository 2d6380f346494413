//! Dialling: ring-through, forks, control flow, reports.

use tandem_callflow::{Effect, Input, Leg, PlaybackId, PlaybackOutcome};
use tandem_model::{ErrorCode, HangupCause, HangupSource};

use crate::driver::{Driver, call_id, ms, parameter};

const AFTER: &str = "<Response><Speak>after action</Speak></Response>";

/// A Dial to two numbers, with a Speak after it.
fn dial(attributes: &str) -> String {
    format!(
        "<Response><Dial {attributes}><Number>+911111111111</Number><User>sip:bo@reg.example</User></Dial>\
         <Speak>after dial</Speak></Response>"
    )
}

fn inbound(attributes: &str) -> Driver {
    Driver::inbound(&dial(attributes)).page("https://app.example/act", AFTER)
}

fn outbound(attributes: &str) -> Driver {
    Driver::outbound(&dial(attributes)).page("https://app.example/act", AFTER)
}

fn busy(driver: Driver, at_ms: u64, leg: u32) -> Driver {
    driver.ends(at_ms, leg, HangupCause::BusyLine, HangupSource::Carrier)
}

fn callee_hangs_up(driver: Driver, at_ms: u64, leg: u32) -> Driver {
    driver.ends(at_ms, leg, HangupCause::NormalHangup, HangupSource::Callee)
}

fn action(call: &Driver) -> Vec<String> {
    let request =
        call.fetches().into_iter().find(|it| it.url.ends_with("/act")).expect("the action was asked");
    ["DialStatus", "DialRingStatus", "DialHangupCause", "DialBLegUUID", "CallStatus"]
        .map(|name| parameter(&request.params, name))
        .to_vec()
}

#[test]
fn an_unanswered_caller_rings_through_and_is_answered_when_the_callee_answers() {
    let call = inbound("").rings(1000, 1).answers(4000, 1).caller_hangs_up(9000).run();
    assert_eq!(call.time_of("Answer"), Some(4000));
    assert_eq!(call.time_of("Bridge"), Some(4010));
    assert!(!call.story().contains(&"Play".to_owned()), "no ringback of ours: A hears ringing");
}

#[test]
fn an_answered_caller_hears_ringback_until_early_audio_or_the_answer() {
    let call = outbound("")
        .rings(1000, 1)
        .rings(1100, 2)
        .early(2000, 2)
        .answers(4000, 1)
        .caller_hangs_up(9000)
        .run();
    let story = call.story();
    assert_eq!(
        story[3..],
        ["Play", "StopPlayback", "EarlyMedia", "HangupLeg", "Bridge", "HangupLeg", "Finished"],
        "{}",
        call.trace()
    );
}

#[test]
fn the_first_to_answer_wins_and_the_others_lose_the_race() {
    let call = outbound("callbackUrl='/cb'").answers(2000, 2).answers(2005, 1).caller_hangs_up(9000).run();
    assert!(call.trace().contains("HangupLeg B1 (9000 LOSE_RACE by Vobiz)"));
    assert!(call.trace().contains("Bridge A B2"));
    let events: Vec<_> = call.notices().iter().map(|it| parameter(&it.params, "Event")).collect();
    assert_eq!(events, ["DialAnswer", "DialHangup", "DialConnected", "DialHangup"]);
    let positions: Vec<_> =
        call.notices().iter().map(|it| parameter(&it.params, "DialBLegPosition")).collect();
    assert_eq!(positions, ["2", "1", "2", "2"]);
}

#[test]
fn after_a_conversation_the_action_decides() {
    let call = callee_hangs_up(outbound("action='/act'").answers(2000, 1), 8000, 1).run();
    assert_eq!(
        action(&call),
        ["completed", "true", "NORMAL_CLEARING", &call_id(0xB1).to_string(), "in-progress"]
    );
    assert_eq!(call.spoken(), ["after action"]);
}

#[test]
fn after_a_conversation_without_action_the_call_ends() {
    let call = callee_hangs_up(outbound("").answers(2000, 1), 8000, 1).run();
    assert_eq!(call.spoken(), [""; 0]);
    assert_eq!(call.finished().cause, HangupCause::NormalHangup);
    assert_eq!(call.finished().source, HangupSource::Callee);
}

#[test]
fn with_redirect_false_the_document_goes_on_after_a_conversation() {
    for action in ["", "action='/act'"] {
        let call =
            callee_hangs_up(outbound(&format!("redirect='false' {action}")).answers(2000, 1), 8000, 1).run();
        assert_eq!(call.spoken(), ["after dial"], "{action}");
    }
}

#[test]
fn when_nobody_is_reached_the_action_decides_or_else_the_next_element_runs() {
    let both_busy = |driver| busy(busy(driver, 1000, 1), 1500, 2).run();
    let call = both_busy(outbound("action='/act'"));
    assert_eq!(action(&call)[..3], ["busy", "false", "USER_BUSY"]);
    assert_eq!(call.spoken(), ["after action"]);
    assert_eq!(both_busy(outbound("")).spoken(), ["after dial"]);
    assert_eq!(both_busy(outbound("action='/act' redirect='false'")).spoken(), ["after dial"]);
}

#[test]
fn the_most_telling_end_of_a_fork_is_reported() {
    let call = busy(outbound("action='/act'").refused(200, 2, ErrorCode::NoRoute), 1000, 1).run();
    assert_eq!(action(&call)[0], "busy");
    let call = outbound("action='/act'")
        .ends(1000, 1, HangupCause::Rejected, HangupSource::Callee)
        .ends(1100, 2, HangupCause::NoAnswer, HangupSource::Carrier)
        .run();
    assert_eq!(action(&call)[0], "no-answer");
}

#[test]
fn a_leg_that_is_refused_makes_no_events_and_the_document_continues() {
    let refused = |attributes| {
        outbound(attributes)
            .refused(150, 1, ErrorCode::CallerIdNotOwned)
            .refused(150, 2, ErrorCode::CallerIdNotOwned)
            .run()
    };
    let call = refused("callbackUrl='/cb' callerId='+14155550100'");
    assert!(call.notices().is_empty());
    assert_eq!(call.spoken(), ["after dial"]);
    assert!(call.trace().contains("The from number is not owned by this account"));
    let call = refused("action='/act'");
    assert_eq!(action(&call), ["failed", "false", "CALL_REJECTED", "", "in-progress"]);
}

#[test]
fn callees_who_do_not_answer_in_time_are_cancelled_with_6010() {
    let call = outbound("timeout='20' action='/act' callbackUrl='/cb'").rings(900, 1).run();
    assert_eq!(call.time_of("HangupLeg"), Some(20_100));
    assert_eq!(action(&call)[..3], ["no-answer", "true", "NO_ANSWER"]);
    let hangup = &call.notices()[0].params;
    assert_eq!(parameter(hangup, "DialBLegHangupCauseCode"), "6010");
    assert_eq!(parameter(hangup, "DialBLegHangupCauseName"), "Ring Timeout Reached");
    assert_eq!(parameter(hangup, "DialBLegHangupSource"), "Vobiz");
    assert_eq!(outbound("").run().time_of("HangupLeg"), Some(120_100), "120 s without timeout");
}

#[test]
fn a_conversation_is_limited_from_the_connection() {
    let call = outbound("timeLimit='60' action='/act'").answers(5000, 1).run();
    assert_eq!(call.time_of("Unbridge"), Some(65_000));
    assert_eq!(action(&call)[..3], ["completed", "true", "ALLOTTED_TIMEOUT"]);
}

#[test]
fn star_drops_the_callee_only_when_asked_and_only_by_the_caller() {
    let star = |attributes, leg| outbound(attributes).answers(2000, 1).digit(4000, leg, '*');
    let call = star("hangupOnStar='true' action='/act'", Leg::A).run();
    assert!(call.trace().contains("HangupLeg B1 (4000 NORMAL_CLEARING by Caller)"));
    assert_eq!(call.spoken(), ["after action"]);
    for (attributes, leg) in [("", Leg::A), ("hangupOnStar='true'", Leg(1))] {
        let call = star(attributes, leg).caller_hangs_up(9000).run();
        assert_eq!(call.time_of("Finished"), Some(9000));
    }
}

#[test]
fn a_caller_who_hangs_up_while_it_rings_cancels_all_and_the_action_is_still_asked() {
    let call = inbound("action='/act' callbackUrl='/cb'").rings(900, 1).caller_cancels(3000).run();
    assert_eq!(
        call.story()[4..],
        ["HangupLeg", "DialHangup", "HangupLeg", "DialHangup", "Fetch act", "Finished"]
    );
    assert_eq!(action(&call), ["cancel", "true", "ORIGINATOR_CANCEL", &call_id(0xB1).to_string(), "cancel"]);
}

#[test]
fn a_caller_who_hangs_up_in_conversation_ends_the_callee_and_the_action_is_still_asked() {
    let call = outbound("action='/act' callbackUrl='/cb'").answers(2000, 1).caller_hangs_up(9400).run();
    assert_eq!(action(&call)[..3], ["completed", "true", "NORMAL_CLEARING"]);
    assert_eq!(action(&call)[4], "completed");
    let hangup = &call.notices().last().unwrap().params;
    assert_eq!(parameter(hangup, "DialBLegDuration"), "7");
    assert_eq!(parameter(hangup, "DialBLegBillDuration"), "60");
    assert_eq!(parameter(hangup, "DialBLegHangupSource"), "Caller");
    assert_eq!(call.spoken(), [""; 0], "the action's document is not run");
}

#[test]
fn a_late_word_about_an_old_leg_does_not_touch_the_next_dial() {
    let xml =
        "<Response><Dial timeout='5'><Number>111</Number></Dial><Dial><Number>222</Number></Dial></Response>";
    let call =
        Driver::outbound(xml).ends(5200, 1, HangupCause::Canceled, HangupSource::Vobiz).answers(7000, 2);
    let call = call.caller_hangs_up(9000).run();
    assert!(call.trace().contains("Bridge A B2"), "{}", call.trace());
}

#[test]
fn keys_are_sent_to_the_callee_who_answers() {
    let xml = "<Response><Dial><Number sendDigits='ww1x2#'>111</Number></Dial></Response>";
    let call = Driver::outbound(xml).answers(2000, 1).caller_hangs_up(9000).run();
    assert!(call.trace().contains("SendDigits B1 ww12#"));
}

#[test]
fn matched_keys_are_told_to_the_callback() {
    let call = outbound("callbackUrl='/cb' digitsMatch='*9' digitsMatchBLeg='5'")
        .answers(2000, 1)
        .digit(3000, Leg::A, '*')
        .digit(3100, Leg::A, '9')
        .digit(3200, Leg(1), '5')
        .caller_hangs_up(9000)
        .run();
    let found: Vec<_> = call
        .notices()
        .iter()
        .filter(|it| parameter(&it.params, "Event") == "DialDigitsMatch")
        .map(|it| (parameter(&it.params, "DialDigitsMatch"), parameter(&it.params, "DialDigitsPressedBy")))
        .collect();
    assert_eq!(found, [("*9".to_owned(), "aleg".to_owned()), ("5".to_owned(), "bleg".to_owned())]);
}

#[test]
fn caller_id_name_and_headers_go_with_the_order() {
    let name = "n".repeat(60);
    let xml = format!(
        "<Response><Dial callerId='+918012345678' callerName='{name}' sipHeaders='ReasonX-VH=billing,X-PH-Team=a'>\
         <Number>111</Number><User sipHeaders='Team=b'>sip:bo@reg.example</User></Dial></Response>"
    );
    let call = Driver::outbound(&xml).caller_hangs_up(9000).run();
    let orders: Vec<_> = call
        .effects
        .iter()
        .filter_map(|(_, effect)| match effect {
            Effect::Dial { order, .. } => Some(order),
            _ => None,
        })
        .collect();
    assert_eq!(orders[0].caller_id.as_deref(), Some("+918012345678"));
    assert_eq!(orders[0].caller_name.as_deref(), Some(&name[..50]));
    let headers = |index: usize| format!("{:?}", orders[index].custom_headers);
    assert_eq!(headers(0), r#"[("Reason", "billing"), ("Team", "a")]"#);
    assert_eq!(headers(1), r#"[("Reason", "billing"), ("Team", "b")]"#);
}

#[test]
fn a_bare_number_in_dial_is_dialled() {
    let call =
        Driver::outbound("<Response><Dial> +911111111111 </Dial></Response>").caller_hangs_up(900).run();
    assert!(call.trace().contains("Dial B1 +911111111111 "));
}

#[test]
fn a_callee_who_answers_and_goes_before_the_caller_is_answered_is_a_conversation_of_no_length() {
    let call = inbound("action='/act'").answers(2000, 1).ends(
        2005,
        1,
        HangupCause::NormalHangup,
        HangupSource::Callee,
    );
    let call = call.run();
    assert_eq!(action(&call)[0], "completed");
    assert_eq!(call.spoken(), ["after action"]);
}

#[test]
fn a_ringback_tone_that_cannot_be_had_is_not_stopped_later() {
    let mut call = outbound("").rings(1000, 1).answers(4000, 1).caller_hangs_up(9000);
    let outcome = PlaybackOutcome::Failed("no such tone".to_owned());
    call.at(ms(1100), Input::PlaybackDone { playback: PlaybackId(1), outcome });
    assert_eq!(call.run().time_of("StopPlayback"), None);
}
