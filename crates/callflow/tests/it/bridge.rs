//! Trunk calls: the caller sees what the callee does.

use tandem_callflow::{CallSetup, End, Input, Leg};
use tandem_model::{HangupCause, HangupSource};

use crate::driver::{Driver, bridge_setup, end, ms};

#[test]
fn ringing_early_audio_and_answer_pass_through_and_a_is_answered_after_b() {
    let call = Driver::new(bridge_setup()).rings(500, 1).rings(600, 1).early(700, 1).answers(3000, 1);
    let call = call.caller_hangs_up(10_000).run();
    assert_eq!(call.story(), ["Dial", "Ring", "EarlyMedia", "Answer", "Bridge", "HangupLeg", "Finished"]);
    assert_eq!(call.time_of("Answer"), Some(3000));
    assert_eq!(call.time_of("Bridge"), Some(3010));
    assert_eq!(call.finished(), End::new(HangupCause::NormalHangup, HangupSource::Caller));
}

#[test]
fn the_callees_refusal_is_passed_on_with_its_status() {
    let refuse = |status| {
        let mut call = Driver::new(bridge_setup());
        call.at(
            ms(800),
            Input::LegEnded {
                leg: Leg(1),
                end: end(HangupCause::BusyLine, HangupSource::Carrier),
                sip_status: status,
            },
        );
        let call = call.run();
        assert_eq!(call.finished(), End::new(HangupCause::BusyLine, HangupSource::Carrier));
        call.trace()
    };
    assert!(refuse(Some(600)).contains("Reject 600"));
    assert!(refuse(None).contains("Reject 486"), "the cause's own");
    assert!(refuse(Some(407)).contains("Reject 486"), "a challenge to us is not the caller's");
    assert!(refuse(Some(302)).contains("Reject 486"), "redirections are never passed on");
}

#[test]
fn a_callee_who_hangs_up_takes_the_caller_along() {
    let call = Driver::new(bridge_setup())
        .answers(1000, 1)
        .ends(9000, 1, HangupCause::NormalHangup, HangupSource::Callee)
        .run();
    assert_eq!(call.story(), ["Dial", "Answer", "Bridge", "Unbridge", "Hangup", "Finished"]);
    assert_eq!(call.finished(), End::new(HangupCause::NormalHangup, HangupSource::Callee));
}

#[test]
fn a_caller_who_gives_up_cancels_the_callee() {
    let call = Driver::new(bridge_setup()).rings(500, 1).caller_cancels(2000).run();
    assert_eq!(call.story(), ["Dial", "Ring", "HangupLeg", "Finished"]);
    assert!(call.trace().contains("HangupLeg B1 (1000 ORIGINATOR_CANCEL by Caller)"));
}

#[test]
fn a_callee_who_does_not_answer_is_cancelled_after_the_ring_timeout() {
    let call = Driver::new(bridge_setup()).rings(500, 1).run();
    assert_eq!(call.time_of("HangupLeg"), Some(60_000));
    assert!(call.trace().contains("Reject 480 (6010 NO_ANSWER by Vobiz)"), "{}", call.trace());
}

#[test]
fn a_callee_who_answers_and_goes_before_the_caller_is_answered_ends_the_call() {
    let call = Driver::new(bridge_setup())
        .answers(1000, 1)
        .ends(1005, 1, HangupCause::NormalHangup, HangupSource::Callee)
        .run();
    assert_eq!(call.story(), ["Dial", "Answer", "Hangup", "Finished"]);
}

#[test]
fn the_longest_call_ends_both() {
    let setup = CallSetup { max_duration: ms(30_000), ..bridge_setup() };
    let call = Driver::new(setup).answers(1000, 1).run();
    assert_eq!(call.story(), ["Dial", "Answer", "Bridge", "HangupLeg", "Hangup", "Finished"]);
    assert_eq!(call.time_of("Hangup"), Some(31_010));
    assert!(call.trace().contains("HangupLeg B1 (6000 ALLOTTED_TIMEOUT by Vobiz)"));
}
