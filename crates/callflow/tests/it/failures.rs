//! Documents that cannot be had: fallback, apology, causes.

use tandem_callflow::document::Reading;
use tandem_callflow::{CallSetup, End, FAILURE_MAX};
use tandem_model::ports::{FetchFailure, FetchKind};
use tandem_model::{HangupCause, HangupSource};

use crate::driver::{ANSWER_URL, Driver, FALLBACK_URL, setup, with_fallback};

const HELLO: &str = "<Response><Speak>hello</Speak></Response>";

#[test]
fn the_fallback_is_asked_with_the_same_parameters_when_the_answer_url_fails() {
    let call = Driver::new(with_fallback(setup()))
        .broken_page(ANSWER_URL, FetchFailure::TimedOut)
        .page(FALLBACK_URL, HELLO)
        .run();
    let [answer, fallback] = call.fetches()[..] else { panic!("{}", call.trace()) };
    assert_eq!(answer.params, fallback.params);
    assert_eq!(fallback.kind, FetchKind::Fallback);
    assert_eq!(call.spoken(), ["hello"]);
    assert_eq!(call.finished().cause, HangupCause::EndOfXml);
}

#[test]
fn the_fallback_is_asked_when_the_answer_xml_is_invalid() {
    let call = Driver::new(with_fallback(setup()))
        .page(ANSWER_URL, "<Response><Speak>a & b</Speak></Response>")
        .page(FALLBACK_URL, HELLO)
        .run();
    assert_eq!(call.spoken(), ["hello"]);
}

#[test]
fn when_all_fail_the_caller_is_answered_told_and_hung_up() {
    let call = Driver::new(with_fallback(setup()))
        .broken_page(ANSWER_URL, FetchFailure::Status(500))
        .page(FALLBACK_URL, "not xml")
        .run();
    assert_eq!(
        call.story(),
        ["Ring", "Fetch answer", "Fetch fallback", "Answer", "Play", "Hangup", "Finished"]
    );
    assert_eq!(call.spoken(), [CallSetup::APOLOGY]);
    assert_eq!(
        call.finished(),
        End::new(HangupCause::AnswerUrlError, HangupSource::Error),
        "the answer URL's own failure"
    );
}

#[test]
fn the_answer_url_has_a_cause_for_each_way_of_failing() {
    let cause = |driver: Driver| driver.run().finished().cause;
    let broken = |failure| Driver::new(setup()).broken_page(ANSWER_URL, failure);
    assert_eq!(cause(broken(FetchFailure::Unreachable)), HangupCause::AnswerUrlError);
    assert_eq!(cause(broken(FetchFailure::Refused)), HangupCause::AnswerUrlError);
    assert_eq!(cause(broken(FetchFailure::TooLarge)), HangupCause::InvalidAnswerXml);
    let misplaced = "<Response><Gather><Dial>1</Dial></Gather></Response>";
    assert_eq!(cause(Driver::inbound(misplaced)), HangupCause::InvalidAnswerXml);
}

#[test]
fn an_unknown_element_is_skipped_or_makes_a_strict_document_invalid() {
    let xml = "<Response><Nonsense/><Speak>on</Speak></Response>";
    assert_eq!(Driver::inbound(xml).run().spoken(), ["on"]);
    let strict = Driver::new(CallSetup { reading: Reading::Strict, ..setup() }).page(ANSWER_URL, xml).run();
    assert_eq!(strict.finished().cause, HangupCause::InvalidAnswerXml);
}

#[test]
fn an_element_that_is_not_built_ends_the_call_where_it_is_reached() {
    for (element, words) in [
        ("<Conference>sales</Conference>", "<Conference> is not built"),
        ("<AudioStream>wss://x.example</AudioStream>", "<Stream> is not built"),
        ("<Connect><Stream url='wss://x.example'/></Connect>", "<Stream> is not built"),
        ("<MultiPartyCall role='agent'>x</MultiPartyCall>", "<MultiPartyCall> is not built"),
        ("<Message src='1' dst='2'>x</Message>", "<Message> is not built"),
        ("<Gather inputType='speech'/>", "speech input of <Gather> is not built"),
    ] {
        let xml = format!("<Response><Speak>hello</Speak>{element}<Speak>never</Speak></Response>");
        let call = Driver::inbound(&xml).run();
        assert_eq!(call.spoken(), ["hello", CallSetup::APOLOGY], "{element}");
        assert_eq!(call.finished(), End::new(HangupCause::InternalError, HangupSource::Error));
        assert_eq!(call.call.failure(), Some(format!("Internal Error: {words}").as_str()));
    }
}

#[test]
fn a_call_that_ends_for_want_of_a_document_says_why_for_its_author() {
    let why = |driver: Driver| driver.run().call.failure().map(str::to_owned);
    assert_eq!(
        why(Driver::inbound("<Response>\n  <Dial/>\n</Response>")).as_deref(),
        Some("Invalid Answer XML: <Dial> needs a <Number> or a <User> (line 2, column 3)")
    );
    let unreachable = Driver::new(setup()).broken_page(ANSWER_URL, FetchFailure::Status(500));
    assert!(why(unreachable).unwrap().starts_with("Error Reaching Answer URL: "));
    let url = why(Driver::inbound("<Response><Redirect>ftp://x.example/</Redirect></Response>")).unwrap();
    assert!(url.ends_with("no http or https URL: ftp://x.example/"), "{url}");
    let both = Driver::new(with_fallback(setup()))
        .broken_page(ANSWER_URL, FetchFailure::Status(500))
        .page(FALLBACK_URL, "<Response><Dial/></Response>");
    let both = why(both).unwrap();
    assert!(
        both.starts_with("Error Reaching Answer URL: ") && both.contains("; the fallback: <Dial>"),
        "{both}"
    );

    let fallback_works = Driver::new(with_fallback(setup()))
        .broken_page(ANSWER_URL, FetchFailure::TimedOut)
        .page(FALLBACK_URL, HELLO);
    assert_eq!(why(fallback_works), None);
    let gone = Driver::inbound("<Response><Dial/></Response>").caller_hangs_up(1_050);
    assert_eq!(why(gone), None, "who hangs up under the apology ends the call himself");
}

#[test]
fn the_reason_is_cut_where_nobody_reads_on() {
    let of = |letters: usize| {
        let xml = format!("<Response><{}/></Response>", "x".repeat(letters));
        let setup = CallSetup { reading: Reading::Strict, ..setup() };
        let call = Driver::new(setup).page(ANSWER_URL, &xml).run();
        call.call.failure().unwrap().to_owned()
    };
    let rest = of(1).chars().count() - 1;
    let at = of(FAILURE_MAX - rest);
    assert_eq!((at.chars().count(), at.ends_with(')')), (FAILURE_MAX, true));
    let past = of(FAILURE_MAX - rest + 1);
    assert_eq!((past.chars().count(), past.ends_with('…')), (FAILURE_MAX, true));
}

#[test]
fn without_an_apology_an_unanswered_call_is_refused_silently() {
    let setup = CallSetup { apology: String::new(), ..setup() };
    let call = Driver::new(setup).broken_page(ANSWER_URL, FetchFailure::Unreachable).run();
    assert_eq!(call.story(), ["Ring", "Fetch answer", "Reject", "Finished"]);
}

#[test]
fn a_redirect_has_a_cause_for_each_way_of_failing() {
    let cause = |redirect: &str| {
        let call = Driver::outbound(&format!("<Response>{redirect}<Speak>never</Speak></Response>"))
            .page("https://app.example/bad", "<Nope/>")
            .run();
        assert_eq!(call.spoken(), [CallSetup::APOLOGY]);
        assert_eq!(call.finished().source, HangupSource::Error);
        call.finished().cause.code()
    };
    assert_eq!(cause("<Redirect>/missing</Redirect>"), 7014);
    assert_eq!(cause("<Redirect>ftp://x.example/</Redirect>"), 7024);
    assert_eq!(cause("<Redirect method='PUT'>/missing</Redirect>"), 7034);
    assert_eq!(cause("<Redirect>/bad</Redirect>"), 8014);
}

#[test]
fn an_action_has_a_cause_for_each_way_of_failing() {
    let cause = |attributes: &str| {
        let call = Driver::outbound(&format!("<Response><Gather {attributes} numDigits='1'/></Response>"))
            .page("https://app.example/bad", "<Nope/>")
            .digit(500, tandem_callflow::Leg::A, '1')
            .run();
        call.finished().cause.code()
    };
    assert_eq!(cause("action='/missing'"), 7012);
    assert_eq!(cause("action='ftp://x.example/'"), 7022);
    assert_eq!(cause("action='/missing' method='PUT'"), 7032);
    assert_eq!(cause("action='/bad'"), 8012);
}

#[test]
fn a_failing_action_with_redirect_false_lets_the_document_go_on() {
    for action in ["/missing", "/bad", "ftp://x.example/"] {
        let xml = format!(
            "<Response><Gather action='{action}' redirect='false' numDigits='1'/><Speak>on</Speak></Response>"
        );
        let call = Driver::outbound(&xml)
            .page("https://app.example/bad", "<Nope/>")
            .digit(500, tandem_callflow::Leg::A, '1')
            .run();
        assert_eq!(call.spoken(), ["on"]);
        assert_eq!(call.finished().cause, HangupCause::EndOfXml);
    }
}

#[test]
fn a_redirect_loop_ends_at_a_hundred_documents_a_minute() {
    let call = Driver::outbound("<Response><Redirect>/answer</Redirect></Response>").run();
    assert_eq!(call.fetches().len(), 100);
    assert_eq!(call.finished(), End::new(HangupCause::RedirectUrlError, HangupSource::Error));
}

#[test]
fn a_slow_loop_may_go_on() {
    // A document every 0.7 s is 85 a minute.
    let xml = "<Response><Speak>menu</Speak><Redirect>/answer</Redirect></Response>";
    let call = Driver::outbound(xml).caller_hangs_up(300_000).run();
    assert_eq!(call.finished().cause, HangupCause::NormalHangup);
    assert!(call.fetches().len() > 200);
}

#[test]
fn relative_urls_resolve_against_the_document_and_fragments_reach_the_fetcher() {
    let call = Driver::outbound("<Response><Redirect method='GET'>ivr/menu?x=1#rt=500</Redirect></Response>")
        .page("https://app.example/ivr/menu?x=1#rt=500", "<Response><Redirect>next</Redirect></Response>")
        .page("https://app.example/ivr/next", HELLO)
        .run();
    let urls: Vec<_> = call.fetches().iter().map(|fetch| fetch.url.as_str()).collect();
    assert_eq!(urls[1..], ["https://app.example/ivr/menu?x=1#rt=500", "https://app.example/ivr/next"]);
    assert_eq!(call.fetches()[1].method.as_str(), "GET");
    assert_eq!(crate::driver::parameter(&call.fetches()[1].params, "Event"), "Redirect");
}
