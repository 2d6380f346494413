//! Random documents met by random events: whatever happens, the laws hold and the call ends once.

use std::time::Duration;

use proptest::prelude::*;
use tandem_callflow::{ALegState, CallSetup, Input, Leg, PlaybackId, PlaybackOutcome, Program};
use tandem_model::ports::FetchFailure;
use tandem_model::{ErrorCode, HangupCause, HangupSource, Refusal};

use crate::driver::{ANSWER_URL, Driver, FALLBACK_URL, end, ms, setup, with_fallback};

fn prompt() -> impl Strategy<Value = String> {
    prop_oneof![
        (0..3_u32).prop_map(|times| format!("<Speak loop='{times}'>hi</Speak>")),
        Just("<Play>/x.wav</Play>".to_owned()),
        (1..4_u32).prop_map(|length| format!("<Wait length='{length}'/>")),
        Just("<Speak/>".to_owned()),
    ]
}

fn url() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just("/answer"), Just("/one"), Just("/two"), Just("/missing"), Just("/bad"), Just("ftp://x/")]
}

fn dial() -> impl Strategy<Value = String> {
    (1..4_usize, any::<[bool; 5]>(), url(), 1..30_u32, 1..60_u32, any::<[bool; 4]>()).prop_map(
        |(legs, [action, redirect, star, callback, digits], url, timeout, limit, [music, file, sound, key])| {
            let music = match (music, file) {
                (false, _) => String::new(),
                (true, true) => "dialMusic='/x.wav'".to_owned(),
                (true, false) => format!("dialMusic='{url}'"),
            };
            let sound = if sound { "confirmSound='/heard' confirmTimeout='7'" } else { "" };
            let key = if key { "confirmKey='1'" } else { "" };
            let action = if action { format!("action='{url}'") } else { String::new() };
            let callback = if callback { "callbackUrl='/cb'" } else { "" };
            let number =
                if digits { "<Number sendDigits='1w2'>111</Number>" } else { "<User>sip:a@b</User>" };
            format!(
                "<Dial {action} {callback} {music} {sound} {key} redirect='{redirect}' hangupOnStar='{star}' timeout='{timeout}' \
                 timeLimit='{limit}' digitsMatch='1,2'>{}</Dial>",
                number.repeat(legs)
            )
        },
    )
}

fn element() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => prompt(),
        2 => (url(), any::<bool>(), 1..4_u32, prop::collection::vec(prompt(), 0..3)).prop_map(
            |(url, redirect, keys, prompts)| format!(
                "<Gather action='{url}' redirect='{redirect}' numDigits='{keys}'>{}</Gather>",
                prompts.concat()
            )
        ),
        3 => dial(),
        1 => url().prop_map(|url| format!("<Redirect>{url}</Redirect>")),
        1 => Just("<Hangup reason='busy'/>".to_owned()),
        1 => (1..40_u32).prop_map(|after| format!("<Hangup schedule='{after}'/>")),
        1 => prop::collection::vec(prompt(), 0..3).prop_map(|prompts| format!("<PreAnswer>{}</PreAnswer>", prompts.concat())),
        1 => any::<bool>().prop_map(|all| format!("<DTMF async='{all}'>1w2</DTMF>")),
        1 => Just("<Wait length='9' silence='true'/><Wait length='9' beep='true'/>".to_owned()),
        1 => Just("<Conference>x</Conference>".to_owned()),
        2 => (url(), any::<bool>(), 1..9_u32).prop_map(|(url, redirect, most)| format!(
            "<Record action='{url}' redirect='{redirect}' maxLength='{most}'/>"
        )),
        1 => Just("<Record recordSession='true' callbackUrl='/file'/>".to_owned()),
        1 => Just("<Record startOnDialAnswer='true'/>".to_owned()),
        1 => Just("<MultiPartyCall/>".to_owned()),
    ]
}

fn document() -> impl Strategy<Value = String> {
    prop_oneof![
        12 => prop::collection::vec(element(), 0..6).prop_map(|all| format!("<Response>{}</Response>", all.concat())),
        1 => Just("<Response><Speak>a & b</Speak></Response>".to_owned()),
    ]
}

fn input() -> impl Strategy<Value = Input> {
    let leg = || (0..6_u32).prop_map(Leg);
    let b_leg = || (1..6_u32).prop_map(Leg);
    let cause = prop::sample::select(HangupCause::ALL);
    let source =
        prop_oneof![Just(HangupSource::Caller), Just(HangupSource::Callee), Just(HangupSource::Carrier)];
    prop_oneof![
        3 => b_leg().prop_map(|leg| Input::LegRinging { leg }),
        2 => b_leg().prop_map(|leg| Input::LegEarlyMedia { leg }),
        5 => b_leg().prop_map(|leg| Input::LegAnswered { leg }),
        4 => (b_leg(), cause, source, prop::option::of(300..700_u16)).prop_map(|(leg, cause, source, sip_status)| {
            Input::LegEnded { leg, end: end(cause, source), sip_status }
        }),
        1 => b_leg().prop_map(|leg| Input::LegRefused { leg, refusal: Refusal::new(ErrorCode::NoRoute) }),
        6 => (leg(), prop::sample::select("0123456789*#".chars().collect::<Vec<_>>()))
            .prop_map(|(leg, digit)| Input::Digit { leg, digit }),
        1 => (1..9_u64).prop_map(|playback| Input::PlaybackDone {
            playback: PlaybackId(playback),
            outcome: PlaybackOutcome::Failed("gone".to_owned()),
        }),
        1 => leg().prop_map(|leg| Input::Noticed { leg }),
        1 => Just(Input::Deadline),
        1 => Just(Input::Start),
    ]
}

/// How the call is brought to an end, if its document does not.
fn last() -> impl Strategy<Value = Input> {
    prop_oneof![
        Just(Input::LegEnded {
            leg: Leg::A,
            end: end(HangupCause::NormalHangup, HangupSource::Caller),
            sip_status: None
        }),
        Just(Input::HangupRequested { end: end(HangupCause::OutOfCredits, HangupSource::Vobiz) }),
    ]
}

fn play(
    setup: CallSetup,
    documents: &[String],
    inputs: Vec<(u64, Input)>,
    last: (u64, Input),
) -> Result<(), TestCaseError> {
    let urls = [ANSWER_URL, FALLBACK_URL, "https://app.example/one", "https://app.example/two"];
    let mut driver = Driver::new(setup)
        .broken_page("https://app.example/bad", FetchFailure::TooLarge)
        .page("https://app.example/heard", "<Response><Speak>1?</Speak><Wait/></Response>");
    for (url, document) in urls.into_iter().zip(documents) {
        driver = driver.page(url, document);
    }
    for (at, input) in inputs {
        driver.at(ms(at), input);
    }
    driver.at(ms(last.0), last.1);
    let call = driver.run();
    prop_assert_eq!(call.laws.finished, 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_document_met_by_anything_ends_once_and_leaves_nothing_behind(
        documents in prop::collection::vec(document(), 4),
        inputs in prop::collection::vec((0..60_000_u64, input()), 0..25),
        ending in (0..90_000_u64, last()),
        answered in any::<bool>(),
        apology in any::<bool>(),
        early_media in any::<bool>(),
    ) {
        let mut setup = with_fallback(setup());
        if answered {
            setup.a_leg = ALegState::Answered;
        }
        setup.early_media = early_media;
        if !apology {
            setup.apology.clear();
        }
        play(setup, &documents, inputs, ending)?;
    }

    #[test]
    fn any_bridge_met_by_anything_ends_once_and_leaves_nothing_behind(
        inputs in prop::collection::vec((0..60_000_u64, input()), 0..25),
        ending in (0..90_000_u64, last()),
        ring_s in 1..60_u64,
    ) {
        let program = Program::Bridge { ring_timeout: Duration::from_secs(ring_s) };
        play(CallSetup { program, ..setup() }, &[], inputs, ending)?;
    }
}
