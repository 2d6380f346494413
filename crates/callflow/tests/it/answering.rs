//! When an inbound call is answered, and by what.

use tandem_callflow::Effect;
use tandem_model::HangupCause;

use crate::driver::Driver;

#[test]
fn the_answer_url_is_requested_while_the_caller_hears_ringing() {
    let call = Driver::inbound("<Response><Speak>Hi</Speak></Response>").run();
    assert_eq!(call.story(), ["Ring", "Fetch answer", "Answer", "Play", "Hangup", "Finished"]);
    let params = &call.fetches()[0].params;
    assert_eq!(crate::driver::parameter(params, "CallStatus"), "ringing");
    assert_eq!(crate::driver::parameter(params, "Event"), "StartApp");
}

#[test]
fn an_api_call_is_in_progress_and_is_neither_rung_nor_answered_again() {
    let call = Driver::outbound("<Response><Speak>Hi</Speak></Response>").run();
    assert_eq!(call.story(), ["Fetch answer", "Play", "Hangup", "Finished"]);
    assert_eq!(crate::driver::parameter(&call.fetches()[0].params, "CallStatus"), "in-progress");
}

#[test]
fn every_element_that_needs_media_answers() {
    for element in ["<Speak>x</Speak>", "<Play>https://a.example/x.wav</Play>", "<Gather action='/x'/>"] {
        let call = Driver::inbound(&format!("<Response>{element}</Response>")).run();
        assert_eq!(call.time_of("Answer"), Some(100), "{element}");
    }
}

#[test]
fn a_first_wait_delays_the_answer() {
    let call = Driver::inbound("<Response><Wait length='3'/><Speak>Hi</Speak></Response>").run();
    assert_eq!(call.time_of("Answer"), Some(3100));
}

#[test]
fn a_later_wait_pauses_an_answered_call() {
    let call = Driver::inbound("<Response><Speak>Hi</Speak><Wait length='3'/></Response>").run();
    assert_eq!(call.time_of("Answer"), Some(100));
    assert_eq!(call.time_of("Hangup"), Some(110 + 1000 + 3000));
}

#[test]
fn a_first_hangup_rejects_with_603_and_costs_no_answer() {
    for hangup in ["<Hangup/>", "<Hangup reason='rejected'/>", "<Hangup reason='no_input'/>", "<Reject/>"] {
        let call = Driver::inbound(&format!("<Response>{hangup}</Response>")).run();
        assert_eq!(call.story(), ["Ring", "Fetch answer", "Reject", "Finished"]);
        assert!(call.trace().contains("Reject 603"), "{}", call.trace());
        assert_eq!(call.finished().cause, HangupCause::Rejected);
    }
}

#[test]
fn a_busy_hangup_rejects_with_486() {
    let call = Driver::inbound("<Response><Hangup reason='busy'/></Response>").run();
    assert!(call.trace().contains("Reject 486"));
    assert_eq!(call.finished().cause, HangupCause::BusyLine);
}

#[test]
fn an_empty_document_ends_with_4010() {
    for xml in ["<Response/>", "<Response></Response>"] {
        assert_eq!(Driver::outbound(xml).run().finished().cause, HangupCause::EndOfXml);
        assert_eq!(Driver::inbound(xml).run().story(), ["Ring", "Fetch answer", "Reject", "Finished"]);
    }
}

#[test]
fn sounds_that_cannot_be_had_are_skipped() {
    let call = Driver::outbound(
        "<Response><Play>ftp://a.example/x.wav</Play><Speak> </Speak><Speak>still here</Speak></Response>",
    )
    .run();
    assert_eq!(call.spoken(), ["still here"]);
}

#[test]
fn a_caller_is_answered_when_the_first_sound_is_ready_and_not_before() {
    let call = Driver::inbound("<Response><Speak>Welcome.</Speak><Speak>Goodbye.</Speak></Response>").run();
    let prepared: Vec<_> =
        call.effects.iter().filter(|(_, effect)| matches!(effect, Effect::Prepare { .. })).collect();
    assert_eq!(prepared.len(), 2, "the second text is made while the first is spoken: {}", call.trace());
    let order =
        |name: &str| call.effects.iter().position(|(_, effect)| format!("{effect:?}").starts_with(name));
    assert!(order("Prepare") < order("Answer"), "{}", call.trace());
}

#[test]
fn a_sound_that_takes_long_does_not_keep_the_caller_ringing_for_ever() {
    let call = Driver::slow_sounds("<Response><Speak>Welcome.</Speak></Response>").run();
    assert_eq!(call.time_of("Answer"), Some(2_100), "{}", call.trace());
    assert_eq!(call.spoken(), ["Welcome."]);
}

#[test]
fn a_caller_who_gives_up_while_a_sound_is_made_is_not_answered() {
    let call = Driver::slow_sounds("<Response><Speak>Welcome.</Speak></Response>").caller_cancels(500).run();
    assert_eq!(call.time_of("Answer"), None, "{}", call.trace());
}
