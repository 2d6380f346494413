//! Ways to end, and that they end once.

use std::time::Duration;

use tandem_callflow::{CallSetup, End, Input, Leg};
use tandem_model::{HangupCause, HangupSource};

use crate::driver::{Driver, setup};

#[test]
fn hangup_waits_until_what_plays_has_played() {
    let call =
        Driver::inbound("<Response><Speak loop='3'>Bye</Speak><Hangup/><Speak>never</Speak></Response>")
            .run();
    assert_eq!(call.time_of("Hangup"), Some(110 + 3000));
    assert_eq!(call.spoken(), ["Bye"]);
    assert_eq!(call.finished(), End::new(HangupCause::NormalHangup, HangupSource::AnswerXml));
}

#[test]
fn the_end_of_the_document_is_4010() {
    let call = Driver::inbound("<Response><Speak>Hi</Speak></Response>").run();
    assert_eq!(call.finished(), End::new(HangupCause::EndOfXml, HangupSource::AnswerXml));
}

#[test]
fn a_scheduled_hangup_lets_the_document_go_on_and_then_ends_it() {
    let call =
        Driver::inbound("<Response><Hangup schedule='5'/><Speak loop='0'>on and on</Speak></Response>").run();
    assert_eq!(call.time_of("Hangup"), Some(5100));
    assert_eq!(call.finished(), End::new(HangupCause::ScheduledHangup, HangupSource::Vobiz));
    assert_eq!(call.finished().text.as_str(), "ALLOTTED_TIMEOUT");
}

#[test]
fn a_scheduled_hangup_with_nothing_after_it_ends_at_once() {
    let call = Driver::outbound("<Response><Hangup schedule='50'/></Response>").run();
    assert_eq!(call.finished().cause, HangupCause::EndOfXml);
    assert_eq!(call.time_of("Hangup"), Some(100));
}

#[test]
fn the_longest_call_is_counted_from_the_answer() {
    let setup = CallSetup { max_duration: Duration::from_mins(1), ..setup() };
    let xml = "<Response><Wait length='10'/><Speak loop='0'>on and on</Speak></Response>";
    let call = Driver::new(setup).page(crate::driver::ANSWER_URL, xml).run();
    assert_eq!(call.time_of("Hangup"), Some(100 + 10_000 + 10 + 60_000));
    assert_eq!(call.finished(), End::new(HangupCause::ScheduledHangup, HangupSource::Vobiz));
}

#[test]
fn a_request_from_above_ends_the_call_at_once_and_leaves_its_cause() {
    let call = Driver::inbound("<Response><Speak loop='0'>on and on</Speak></Response>")
        .requested(2000, HangupCause::OutOfCredits, HangupSource::Vobiz)
        .run();
    assert_eq!(call.time_of("Hangup"), Some(2000));
    assert_eq!(call.story()[3..], ["Play", "Hangup", "Finished"]);
    assert_eq!(call.finished().cause, HangupCause::OutOfCredits);
}

#[test]
fn a_request_from_above_before_the_answer_rejects() {
    let call = Driver::inbound("<Response><Wait length='20'/></Response>")
        .requested(2000, HangupCause::Canceled, HangupSource::ApiRequest)
        .run();
    assert!(call.trace().contains("Reject 487"), "{}", call.trace());
}

#[test]
fn a_caller_who_hangs_up_ends_everything_and_no_further_element_runs() {
    let xml = "<Response><Speak>one</Speak><Speak>two</Speak></Response>";
    let call = Driver::inbound(xml).caller_hangs_up(500).run();
    assert_eq!(call.story(), ["Ring", "Fetch answer", "Answer", "Play", "Finished"]);
    assert_eq!(call.finished(), End::new(HangupCause::NormalHangup, HangupSource::Caller));
}

#[test]
fn a_caller_who_gives_up_while_the_document_is_fetched_ends_the_call() {
    let call = Driver::inbound("<Response><Speak>one</Speak></Response>").caller_cancels(50).run();
    assert_eq!(call.story(), ["Ring", "Fetch answer", "Finished"]);
    assert_eq!(call.finished().text.as_str(), "ORIGINATOR_CANCEL");
}

#[test]
fn our_hangup_crossing_the_callers_keeps_our_cause() {
    let call = Driver::outbound("<Response><Hangup/></Response>").caller_hangs_up(105).run();
    assert_eq!(call.finished(), End::new(HangupCause::NormalHangup, HangupSource::AnswerXml));
}

#[test]
fn a_leg_whose_end_is_never_reported_does_not_keep_the_call_for_ever() {
    let mut call = Driver::outbound("<Response><Hangup/></Response>").run_until(100);
    let told = call.effects.last().unwrap().0;
    let now = |call: &Driver| call.call.deadline().unwrap();
    let deadline = now(&call);
    call.call.handle(deadline, Input::LegRinging { leg: Leg(1) });
    assert!(!call.call.is_finished());
    call.call.handle(deadline, Input::Deadline);
    assert!(call.call.is_finished());
    assert_eq!(told.as_millis(), 100);
}
