//! What of the Vobiz XML reference is built: its elements, attributes and hangup causes against what the code says of
//! itself, as a page of the reference. What is not built says so, and why.

use std::fmt::Write as _;

use tandem_model::HangupCause;

use super::spec::{Spec, Support};
use crate::verbs;

/// Elements of the Vobiz XML reference with their attributes, and what stands in for text.
const CONTRACT: &[(&str, &[&str])] = &[
    ("Speak", &["voice", "language", "loop"]),
    ("Play", &["loop"]),
    ("Wait", &["length", "silence", "minSilence", "beep"]),
    (
        "Gather",
        &[
            "action",
            "method",
            "inputType",
            "executionTimeout",
            "digitEndTimeout",
            "speechEndTimeout",
            "finishOnKey",
            "numDigits",
            "speechModel",
            "hints",
            "language",
            "interimSpeechResultsCallback",
            "interimSpeechResultsCallbackMethod",
            "log",
            "redirect",
            "profanityFilter",
            "retries",
            "invalidDigitsSound",
            "validDigits",
            "playBeep",
        ],
    ),
    (
        "Record",
        &[
            "action",
            "method",
            "fileFormat",
            "redirect",
            "timeout",
            "maxLength",
            "playBeep",
            "finishOnKey",
            "recordSession",
            "startOnDialAnswer",
            "transcriptionType",
            "transcriptionUrl",
            "transcriptionMethod",
            "callbackUrl",
            "callbackMethod",
            "recordChannelType",
        ],
    ),
    (
        "Dial",
        &[
            "action",
            "method",
            "callbackUrl",
            "callbackMethod",
            "redirect",
            "callerId",
            "callerName",
            "timeout",
            "timeLimit",
            "hangupOnStar",
            "dialMusic",
            "confirmSound",
            "confirmKey",
            "confirmTimeout",
            "digitsMatch",
            "digitsMatchBLeg",
            "sipHeaders",
        ],
    ),
    ("Number", &["sendDigits", "sendOnPreanswer", "sendDigitsMode"]),
    ("User", &["sendDigits", "sendOnPreanswer", "sipHeaders", "sipAuthUsername", "sipAuthPassword"]),
    ("Redirect", &["method"]),
    ("Hangup", &["reason", "schedule"]),
    ("PreAnswer", &[]),
    ("DTMF", &["async"]),
    ("Conference", &[]),
    ("Stream", &[]),
    ("MultiPartyCall", &[]),
    ("Message", &[]),
];

/// Where each cause of the catalogue is seen to be produced: a test, as file and name; or why none can be yet.
const CAUSES: &[(u16, Seen)] = &[
    (0, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (
        1000,
        Seen::By(
            "crates/cli/tests/e2e/api_calls.rs",
            "calls_beyond_the_second_wait_for_their_turn_and_can_be_taken_back",
        ),
    ),
    (
        1010,
        Seen::By("crates/engine/tests/it/ends.rs", "a_call_whose_money_runs_out_ends_at_the_covered_second"),
    ),
    (
        1020,
        Seen::Not(
            "more callees than a Dial may have do not fit into a document, so the limit of the engine is not met",
        ),
    ),
    (2000, Seen::By("crates/cli/tests/e2e/refusals.rs", "bad_destinations_are_refused")),
    (
        2010,
        Seen::By(
            "crates/cli/tests/e2e/refusals.rs",
            "a_number_whose_trunk_is_disabled_is_refused_to_the_network",
        ),
    ),
    (2020, Seen::By("crates/engine/tests/it/phones.rs", "an_unregistered_phone_is_2020")),
    (2030, Seen::By("crates/cli/tests/e2e/refusals.rs", "bad_destinations_are_refused")),
    (2040, Seen::By("crates/cli/tests/e2e/refusals.rs", "bad_destinations_are_refused")),
    (2050, Seen::By("crates/cli/tests/e2e/refusals.rs", "bad_destinations_are_refused")),
    (2060, Seen::By("crates/cli/tests/e2e/refusals.rs", "a_call_that_came_round_too_often_is_a_loop")),
    (2070, Seen::Not("it is about conferences of telephones and browsers, and there are neither")),
    (3000, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3010, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3020, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3030, Seen::By("crates/cli/tests/e2e/refusals.rs", "a_caller_id_not_owned_is_refused")),
    (3040, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3050, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3070, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3080, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3090, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3100, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3110, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3120, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3130, Seen::By("crates/engine/tests/it/verbs.rs", "every_refusal_of_a_callee_has_its_cause")),
    (3140, Seen::Not("there is no do-not-originate list")),
    (4000, Seen::By("crates/callflow/tests/it/dial.rs", "after_a_conversation_without_action_the_call_ends")),
    (4010, Seen::By("crates/engine/tests/it/application.rs", "the_end_of_the_document_hangs_up_with_4010")),
    (4020, Seen::Not("multiparty calls are not built")),
    (4030, Seen::Not("multiparty calls are not built")),
    (5000, Seen::Not("it takes a transport that breaks in mid-call; the tests have none yet")),
    (
        5010,
        Seen::By(
            "crates/callflow/tests/it/failures.rs",
            "an_element_that_is_not_built_ends_the_call_where_it_is_reached",
        ),
    ),
    (5020, Seen::By("crates/cli/tests/e2e/refusals.rs", "bad_destinations_are_refused")),
    (5030, Seen::By("crates/cli/tests/e2e/refusals.rs", "calls_beyond_the_cps_wait_and_then_are_refused")),
    (6000, Seen::By("crates/engine/tests/it/ends.rs", "the_longest_talk_time_ends_a_call_with_6000")),
    (
        6010,
        Seen::By("crates/engine/tests/it/trunk.rs", "a_callee_that_rings_too_long_is_cancelled_with_6010"),
    ),
    (6020, Seen::By("crates/engine/tests/it/ends.rs", "a_peer_that_falls_silent_ends_the_call_with_6020")),
    (
        7011,
        Seen::By(
            "crates/callflow/tests/it/failures.rs",
            "the_answer_url_has_a_cause_for_each_way_of_failing",
        ),
    ),
    (7012, Seen::By("crates/callflow/tests/it/failures.rs", "an_action_has_a_cause_for_each_way_of_failing")),
    (7013, Seen::By("crates/callflow/src/call/failure.rs", "every_cause_says_where_and_how_it_failed")),
    (
        7014,
        Seen::By("crates/callflow/tests/it/failures.rs", "a_redirect_has_a_cause_for_each_way_of_failing"),
    ),
    (7022, Seen::By("crates/callflow/tests/it/failures.rs", "an_action_has_a_cause_for_each_way_of_failing")),
    (7023, Seen::By("crates/callflow/src/call/failure.rs", "every_cause_says_where_and_how_it_failed")),
    (
        7024,
        Seen::By("crates/callflow/tests/it/failures.rs", "a_redirect_has_a_cause_for_each_way_of_failing"),
    ),
    (7032, Seen::By("crates/callflow/tests/it/failures.rs", "an_action_has_a_cause_for_each_way_of_failing")),
    (7033, Seen::By("crates/callflow/src/call/failure.rs", "every_cause_says_where_and_how_it_failed")),
    (
        7034,
        Seen::By("crates/callflow/tests/it/failures.rs", "a_redirect_has_a_cause_for_each_way_of_failing"),
    ),
    (
        8011,
        Seen::By(
            "crates/engine/tests/it/application.rs",
            "a_document_that_cannot_be_run_is_told_in_the_end_of_the_call",
        ),
    ),
    (8012, Seen::By("crates/callflow/tests/it/failures.rs", "an_action_has_a_cause_for_each_way_of_failing")),
    (8013, Seen::By("crates/callflow/src/call/failure.rs", "every_cause_says_where_and_how_it_failed")),
    (
        8014,
        Seen::By("crates/callflow/tests/it/failures.rs", "a_redirect_has_a_cause_for_each_way_of_failing"),
    ),
    (
        9000,
        Seen::By(
            "crates/engine/tests/it/verbs.rs",
            "of_ten_callees_the_one_who_presses_the_key_takes_the_call",
        ),
    ),
    (9100, Seen::Not("answering machines are not told from people")),
    (9110, Seen::By("crates/engine/tests/it/verbs.rs", "a_callee_who_does_not_confirm_is_hung_up_with_9110")),
];

/// How a cause is known to be produced.
#[derive(Clone, Copy, Debug)]
enum Seen {
    /// A test of that name in that file.
    By(&'static str, &'static str),
    /// Nothing produces it; the words say why.
    Not(&'static str),
}

/// The page, in Markdown.
pub fn coverage() -> String {
    let mut page = String::from(
        "# Coverage of call-control XML\n\n\
         The elements and attributes of the Vobiz XML reference, and what this server makes of them. Elements that are not built \
         are accepted where they are written; a call that reaches one ends (5010). What each does is told in \
         [xml.md](xml.md).\n\n\
         This page is generated from the code.\n\n\
         | Element | Attribute | State |\n|---|---|---|\n",
    );
    // Writing to a String cannot fail.
    for (element, attributes) in CONTRACT {
        let Some(spec) = verbs::specs().find(|spec| spec.name == *element) else {
            let _ = writeln!(page, "| `{element}` | | not built |");
            continue;
        };
        let _ = writeln!(page, "| `{element}` | | built |");
        for attribute in *attributes {
            let _ = writeln!(page, "| | `{attribute}` | {} |", state(spec, attribute));
        }
    }
    page.push_str(
        "\n## Hangup causes\n\nEach cause of the catalogue, and a test that produces it.\n\n\
         | Code | Name | Produced by |\n|---|---|---|\n",
    );
    for cause in HangupCause::ALL {
        let seen = CAUSES.iter().find(|(code, _)| *code == cause.code()).map(|(_, seen)| *seen);
        let by = match seen {
            Some(Seen::By(file, test)) => format!("`{test}` ({file})"),
            Some(Seen::Not(why)) => format!("nothing: {why}"),
            None => "nothing".to_owned(),
        };
        let _ = writeln!(page, "| {} | {} | {by} |", cause.code(), cause.name());
    }
    page
}

fn state(spec: &Spec, attribute: &str) -> String {
    match spec.attribute(attribute).map(|attribute| attribute.support) {
        Some(Support::Built) => "built".to_owned(),
        Some(Support::Ignored(why)) => format!("without effect: {why}"),
        Some(Support::NotBuilt { .. }) => "not built: ignored with a warning".to_owned(),
        None => "unknown: ignored with a warning".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_element_and_attribute_of_the_contract_is_known() {
        for (element, attributes) in CONTRACT {
            match verbs::specs().find(|spec| spec.name == *element) {
                Some(spec) => {
                    for attribute in *attributes {
                        assert!(spec.attribute(attribute).is_some(), "{attribute} of <{element}>");
                    }
                }
                None => assert!(verbs::NOT_BUILT.iter().any(|(name, _)| name == element), "{element}"),
            }
        }
    }

    #[test]
    fn every_cause_names_a_test_that_is_there_or_says_why_none_is() {
        let root = format!("{}/../..", env!("CARGO_MANIFEST_DIR"));
        for cause in HangupCause::ALL {
            let seen = CAUSES.iter().filter(|(code, _)| *code == cause.code()).collect::<Vec<_>>();
            let [(_, seen)] = seen[..] else { panic!("{} stands there {} times", cause.code(), seen.len()) };
            if let Seen::By(file, test) = seen {
                let text = std::fs::read_to_string(format!("{root}/{file}")).unwrap_or_default();
                assert!(text.contains(&format!("fn {test}(")), "{}: no test {test} in {file}", cause.code());
            }
        }
    }
}
