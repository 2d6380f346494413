//! Collecting keys.

use tandem_callflow::Leg;

use crate::driver::{Driver, parameter};

const DONE: &str = "<Response><Hangup/></Response>";

fn gather(attributes: &str, inside: &str) -> Driver {
    let xml = format!(
        "<Response><Gather action='/done' {attributes}>{inside}</Gather><Speak>nothing heard</Speak></Response>"
    );
    Driver::outbound(&xml).page("https://app.example/done", DONE)
}

fn keys(mut driver: Driver, from_ms: u64, keys: &str) -> Driver {
    for (at, key) in (from_ms..).step_by(100).zip(keys.chars()) {
        driver = driver.digit(at, Leg::A, key);
    }
    driver
}

/// The keys posted and when, or `None` when nothing was.
fn posted(driver: Driver) -> Option<(String, u128)> {
    let call = driver.run();
    let fetch = call.fetches().get(1).map(|fetch| parameter(&fetch.params, "Digits"));
    let at = call.effects.iter().filter(|(_, it)| matches!(it, tandem_callflow::Effect::Fetch { .. })).nth(1);
    fetch.zip(at.map(|(at, _)| at.as_millis()))
}

#[test]
fn the_action_gets_the_documented_parameters() {
    let call = keys(gather("numDigits='2'", ""), 500, "42").run();
    let params = &call.fetches()[1].params;
    for (name, value) in [
        ("InputType", "dtmf"),
        ("Digits", "42"),
        ("Speech", ""),
        ("SpeechConfidenceScore", ""),
        ("BilledAmount", "0.00000"),
        ("Event", "Redirect"),
        ("CallStatus", "in-progress"),
    ] {
        assert_eq!(parameter(params, name), value, "{name}");
    }
}

#[test]
fn a_key_interrupts_the_prompt_and_the_prompts_after_it() {
    let call = keys(
        gather("numDigits='1'", "<Speak>one</Speak><Play>/two.wav</Play><Speak>three</Speak>"),
        1500,
        "7",
    )
    .run();
    assert_eq!(call.time_of("StopPlayback"), Some(1500));
    assert_eq!(call.spoken(), ["one"]);
    assert_eq!(call.fetches().len(), 2);
}

#[test]
fn as_many_keys_as_asked_for_are_posted_at_once() {
    assert_eq!(posted(keys(gather("numDigits='3'", ""), 500, "123456")), Some(("123".to_owned(), 700)));
}

#[test]
fn the_finish_key_ends_the_input_and_is_not_part_of_it() {
    assert_eq!(posted(keys(gather("", ""), 500, "12#")), Some(("12".to_owned(), 700)));
    assert_eq!(posted(keys(gather("finishOnKey='*'", ""), 500, "1#*")), Some(("1#".to_owned(), 700)));
    assert_eq!(posted(keys(gather("finishOnKey='junk'", ""), 500, "1#")), Some(("1".to_owned(), 600)));
}

#[test]
fn without_a_finish_key_every_key_is_input() {
    for none in ["finishOnKey=''", "finishOnKey='none'", "finishOnKey='NONE'"] {
        let found = posted(keys(gather(&format!("{none} numDigits='3'"), ""), 500, "1#*"));
        assert_eq!(found, Some(("1#*".to_owned(), 700)), "{none}");
    }
}

#[test]
fn the_gap_after_a_key_ends_the_input() {
    assert_eq!(posted(keys(gather("digitEndTimeout='2'", ""), 500, "12")), Some(("12".to_owned(), 2600)));
    assert_eq!(posted(keys(gather("", ""), 500, "12")), Some(("12".to_owned(), 5600)), "auto is 5 s");
}

#[test]
fn the_time_for_the_whole_input_begins_when_the_prompts_are_over() {
    let call = gather("executionTimeout='6'", "<Speak loop='10'>long</Speak><Wait length='2'/>").run();
    let spoken_after =
        call.effects.iter().rfind(|(_, it)| matches!(it, tandem_callflow::Effect::Play { .. }));
    assert_eq!(spoken_after.unwrap().0.as_millis(), 100 + 10_000 + 2_000 + 6_000);
    assert_eq!(call.spoken(), ["long", "nothing heard"]);
}

#[test]
fn the_time_for_the_whole_input_ends_it_with_the_keys_so_far() {
    let found = posted(keys(gather("executionTimeout='5' digitEndTimeout='10'", ""), 500, "12"));
    assert_eq!(found, Some(("12".to_owned(), 5100)));
}

#[test]
fn without_a_key_nothing_is_requested_and_the_next_element_runs() {
    let call = gather("", "<Speak>press</Speak>").run();
    assert_eq!(call.fetches().len(), 1);
    assert_eq!(call.spoken(), ["press", "nothing heard"]);
    let call = keys(gather("", "<Speak>press</Speak>"), 500, "#").run();
    assert_eq!(call.spoken(), ["press", "nothing heard"], "the finish key alone is no input");
}

#[test]
fn with_redirect_false_the_action_is_told_and_the_document_goes_on() {
    let call = keys(gather("numDigits='1' redirect='false'", ""), 500, "1").run();
    assert_eq!(call.fetches().len(), 2);
    assert_eq!(call.spoken(), ["nothing heard"]);
}

#[test]
fn without_an_action_the_documents_own_url_is_asked() {
    for action in ["", "action=''"] {
        let xml = format!("<Response><Gather {action} numDigits='1'/></Response>");
        let call = Driver::outbound(&xml).digit(500, Leg::A, '1').run();
        assert_eq!(call.fetches()[1].url, crate::driver::ANSWER_URL, "{action}");
    }
}

#[test]
fn numbers_out_of_range_are_clamped() {
    assert_eq!(
        posted(keys(gather("executionTimeout='1' finishOnKey='none'", ""), 500, "1")).unwrap().1,
        5100
    );
    assert_eq!(posted(keys(gather("timeout='3'", ""), 500, "1")).unwrap().1, 5100, "alias, clamped to 5 s");
    assert_eq!(posted(keys(gather("numDigits='0'", ""), 500, "12")), Some(("1".to_owned(), 500)));
    let many = "1".repeat(40);
    assert_eq!(posted(keys(gather("numDigits='99'", ""), 500, &many)).unwrap().0.len(), 32);
}

#[test]
fn legacy_names_gather_too() {
    for name in ["GetDigits", "GetInput", "gather", "GATHER"] {
        let xml = format!("<Response><{name} action='/done' numDigits='1'/></Response>");
        let call =
            Driver::outbound(&xml).page("https://app.example/done", DONE).digit(500, Leg::A, '1').run();
        assert_eq!(call.fetches().len(), 2, "{name}");
    }
}

#[test]
fn the_callees_keys_are_not_the_callers() {
    let call = gather("numDigits='1'", "").digit(500, Leg(1), '1').run();
    assert_eq!(call.fetches().len(), 1);
}

#[test]
fn the_numbers_input_url_takes_what_is_gathered_without_an_action() {
    let input = "https://desk.example/input";
    for (action, asked) in [
        ("", input),
        ("action='/done'", "https://app.example/done"),
        ("action=''", crate::driver::ANSWER_URL),
    ] {
        let mut setup = crate::driver::setup();
        if let tandem_callflow::Program::Document(plan) = &mut setup.program {
            let method = tandem_model::HttpMethod::Get;
            plan.input = Some(tandem_model::UrlCall { url: input.to_owned(), method });
        }
        setup.a_leg = tandem_callflow::ALegState::Answered;
        let xml = format!("<Response><Gather {action} numDigits='1'/></Response>");
        let call = Driver::new(setup).page(crate::driver::ANSWER_URL, &xml).digit(500, Leg::A, '1').run();
        assert_eq!(call.fetches()[1].url, asked, "{action}");
    }
}

#[test]
fn keys_are_secret_while_a_gather_that_asks_for_it_listens_and_only_then() {
    for (attributes, secret) in [("log='false'", true), ("log='0'", true), ("", false), ("log='true'", false)]
    {
        let call = gather(attributes, "<Speak>your card</Speak>").run_until(1_500);
        assert_eq!(call.call.keeps_keys_secret(), secret, "{attributes}");
    }
    let over = gather("log='false'", "").run_until(16_000);
    assert!(!over.call.keeps_keys_secret(), "the Gather is over");
}

#[test]
fn no_trace_line_holds_the_keys() {
    let call =
        keys(gather("log='false' retries='2' validDigits='4'", "<Speak>your card</Speak>"), 500, "4111#")
            .run();
    for (_, effect) in &call.effects {
        if let tandem_callflow::Effect::Trace(line) = effect {
            assert!(!line.contains('4'), "{line}");
        }
    }
}

#[test]
fn several_finish_keys_each_end_the_input() {
    assert_eq!(posted(keys(gather("finishOnKey='*#'", ""), 500, "12*")), Some(("12".to_owned(), 700)));
    assert_eq!(posted(keys(gather("finishOnKey='*#'", ""), 500, "12#")), Some(("12".to_owned(), 700)));
}

#[test]
fn retries_are_clamped_and_speak_again_each_time() {
    for (retries, times) in [("0", 1), ("3", 3), ("10", 10), ("11", 10)] {
        let call = gather(&format!("retries='{retries}' timeout='5'"), "<Speak>press</Speak>").run();
        assert_eq!(call.spoken().iter().filter(|text| **text == "press").count(), times, "{retries}");
    }
}
