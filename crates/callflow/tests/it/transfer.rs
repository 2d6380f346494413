//! Legs that the API moves to other documents.

use tandem_callflow::{ALegState, CallSetup, Input, Leg, Program};
use tandem_model::ports::{FetchFailure, FetchKind};
use tandem_model::{HangupCause, HangupSource, HttpMethod, UrlCall};

use crate::driver::{Driver, ms, parameter, setup};

const MOVED: &str = "https://app.example/moved";

fn to(url: &str) -> UrlCall {
    UrlCall { url: url.to_owned(), method: HttpMethod::Get }
}

impl Driver {
    fn transferred(mut self, at_ms: u64, releasing: Option<u32>) -> Self {
        self.at(ms(at_ms), Input::Transfer { to: to(MOVED), releasing: releasing.map(Leg) });
        self
    }

    fn released(mut self, at_ms: u64, leg: u32) -> Self {
        self.at(ms(at_ms), Input::Released { leg: Leg(leg) });
        self
    }
}

const TALKING: &str = r#"<Response><Dial callbackUrl="/events"><Number>911111111111</Number></Dial>
    <Speak>After the call.</Speak></Response>"#;

#[test]
fn what_runs_is_torn_down_and_the_new_document_runs_at_once() {
    let call = Driver::inbound("<Response><Speak loop=\"0\">Hold the line.</Speak></Response>")
        .page(MOVED, "<Response><Speak>You are somebody else now.</Speak></Response>")
        .transferred(3_000, None)
        .run();
    assert_eq!(call.spoken(), ["Hold the line.", "You are somebody else now."]);
    let story = call.story();
    assert_eq!(
        story[story.len() - 6..],
        ["Play", "StopPlayback", "Fetch moved", "Play", "Hangup", "Finished"],
        "{}",
        call.trace()
    );
    let fetch = call.fetches()[1];
    assert_eq!((fetch.kind, fetch.method), (FetchKind::Transfer, HttpMethod::Get));
    assert_eq!(parameter(&fetch.params, "Event"), "Transfer");
    assert_eq!(parameter(&fetch.params, "CallStatus"), "in-progress");
}

#[test]
fn the_other_leg_is_hung_up_when_only_the_caller_moves() {
    let call = Driver::inbound(TALKING)
        .page(MOVED, "<Response><Speak>Moved.</Speak></Response>")
        .answers(1_000, 1)
        .transferred(3_000, None)
        .run();
    assert_eq!(call.spoken(), ["Moved."]);
    let story = call.story();
    let part = story.iter().position(|it| it == "Unbridge").expect("parted");
    assert_eq!(story[part..part + 4], ["Unbridge", "HangupLeg", "DialHangup", "Fetch moved"]);
}

#[test]
fn a_callee_that_moves_is_let_go_and_the_caller_goes_on_as_after_a_dial() {
    let call = Driver::inbound(TALKING).answers(1_000, 1).released(3_000, 1).run();
    assert!(!call.story().iter().any(|it| it == "HangupLeg"), "{}", call.trace());
    assert_eq!(call.finished().source, HangupSource::ApiRequest);
    let dialled = TALKING.replace("<Dial", "<Dial redirect=\"false\"");
    let call = Driver::inbound(&dialled).answers(1_000, 1).released(3_000, 1).run();
    assert_eq!(call.spoken(), ["After the call."]);
}

#[test]
fn both_move_and_neither_is_hung_up() {
    let call = Driver::inbound(TALKING)
        .page(MOVED, "<Response><Speak>Moved.</Speak></Response>")
        .answers(1_000, 1)
        .transferred(3_000, Some(1))
        .run();
    assert_eq!(call.spoken(), ["Moved."]);
    assert!(!call.story().iter().any(|it| it == "HangupLeg"), "{}", call.trace());
    assert_eq!(call.fetches().len(), 2);
}

#[test]
fn a_leg_whose_new_document_cannot_be_had_ends_by_the_cause_of_transfers() {
    let silent = || CallSetup { apology: String::new(), ..setup() };
    for (failure, cause) in [
        (FetchFailure::Unreachable, HangupCause::TransferUrlError),
        (FetchFailure::InvalidUrl, HangupCause::InvalidTransferUrl),
        (FetchFailure::TooLarge, HangupCause::InvalidTransferXml),
    ] {
        let call = Driver::new(silent())
            .page(crate::driver::ANSWER_URL, "<Response><Wait length=\"60\"/><Speak>x</Speak></Response>")
            .broken_page(MOVED, failure);
        let call = call.transferred(1_000, None).caller_cancels(5_000).run();
        assert_eq!(call.fetches().len(), 1, "nobody transfers a caller who is not answered");
        let call = Driver::new(silent())
            .page(crate::driver::ANSWER_URL, "<Response><Speak loop=\"0\">x</Speak></Response>")
            .broken_page(MOVED, failure)
            .transferred(3_000, None)
            .run();
        assert_eq!((call.finished().cause, call.finished().source), (cause, HangupSource::Error));
    }
}

#[test]
fn a_moved_callee_runs_its_document_as_a_call_of_its_own() {
    let moved = CallSetup { program: Program::Transferred(to(MOVED)), a_leg: ALegState::Answered, ..setup() };
    let call = Driver::new(moved).page(MOVED, "<Response><Speak>Hello callee.</Speak></Response>").run();
    assert_eq!(call.story(), ["Fetch moved", "Play", "Hangup", "Finished"]);
    assert_eq!(parameter(&call.fetches()[0].params, "Event"), "Transfer");
    assert_eq!(call.finished().cause, HangupCause::EndOfXml);
}
