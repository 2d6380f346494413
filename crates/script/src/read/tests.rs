use std::fmt::Write as _;

use super::*;
use crate::script::{Awaited, Body, Deed, KeyBy, Role, Sound};
use crate::table::STEPS;

fn parse(text: &str) -> Result<Script, String> {
    let variables =
        Variables { set: [("number".to_owned(), "+918000".to_owned())].into(), ..Variables::default() };
    read(text, &variables).map_err(|problem| problem.to_string())
}

fn one(steps: &str) -> Result<Script, String> {
    parse(&format!("parties:\n  caller:\n    dial: '1'\n    steps:\n{steps}"))
}

fn problem(text: &str) -> String {
    parse(text).unwrap_err()
}

const WHOLE: &str = r#"
name: Front desk
platform: tandem:5060
timeout: 30s
variables: {agent: "9000"}
webhooks:
  listen: 127.0.0.1:9000
  token: secret
  ordered: true
  serve:
    /answer: <Response/>
    /menu:
      - xml: <Response><Hangup/></Response>
        delay: 50ms
      - {file: menu.xml}
      - {status: 500}
    /tone.wav: {tone: 440 for 2s}
  expect:
    - path: /answer
      method: post
      parameters: {CallStatus: ringing, From: /^\+?91/, Digits: ~}
      count: 1
      within: 2s
      of: start
      signature: valid
parties:
  caller:
    dial: ${number}
    from: "+919812345678"
    headers: {X-Test: yes}
    codec: pcma
    steps:
      - wait_for: answer
        within: 5s
      - {wait_for: tone, hz: 440, for: 300ms}
      - {wait_for: webhook, path: /answer, parameters: {From: "1"}}
      - press: 1234#
        by: inband
        barge_in: 500ms
        stops_within: 300ms
      - say: hello
      - tone: 440 for 2s
      - play: a.wav
      - expect: {energy: {above: -30}, length: {at_least: 1s, at_most: 2s}, tone: 440 Hz, digits: ""}
      - request: {url: "http://127.0.0.1:1/", user: a, password: b, json: "{}"}
      - record: out.wav
      - hang_up
    expect:
      status: 200
      cause: 16
      ended_by: us
      duration: {at_least: 1s}
      post_dial_delay: 2s
  agent:
    answer: ${agent}
    steps:
      - pause: 100ms
      - answer: {after: 1s}
"#;

#[test]
fn a_whole_script_is_read() {
    // `answer` has options beside it, not below it.
    assert!(problem(WHOLE).contains("`answer` has no value"));
    let script = parse(&WHOLE.replace("- answer: {after: 1s}", "- {answer: , after: 1s}")).unwrap();
    assert_eq!((script.name.as_deref(), script.platform.as_str()), (Some("Front desk"), "tandem:5060"));
    let webhooks = script.webhooks.unwrap();
    assert_eq!(webhooks.serve[1].answers.len(), 3);
    assert_eq!(webhooks.serve[2].answers[0].body, Body::Tone { hz: 440, lasting: Duration::from_secs(2) });
    let caller = &script.parties[0];
    let Role::Dials(dialling) = &caller.role else { panic!("it dials") };
    assert_eq!((dialling.to.as_str(), caller.steps.len()), ("+918000", 11));
    let Deed::Press(keys, KeyBy::Inband, barge) = &caller.steps[3].deed else { panic!("it presses") };
    assert_eq!((keys.as_str(), barge.at), ("1234#", Some(Duration::from_millis(500))));
    assert_eq!(caller.steps[3].title, "press: 1234#, by inband, barge_in 500ms, stops_within 300ms");
    assert_eq!(caller.steps[8].title, "request: url http://127.0.0.1:1/, user a, password, json {}");
    assert!(matches!(&caller.steps[5].deed, Deed::Sound(Sound::Tone { hz: 440, .. }, _)));
    assert!(matches!(&caller.steps[2].deed, Deed::Wait(wait) if matches!(wait.what, Awaited::Webhook(_))));
    let Role::Answers(answering) = &script.parties[1].role else { panic!("it answers") };
    assert_eq!(answering.number.as_deref(), Some("9000"));
}

#[test]
fn a_wrong_key_is_told_with_its_place_the_known_ones_and_the_nearest() {
    assert_eq!(
        one("      - wait_for: audio\n        witin: 3s\n").unwrap_err(),
        "6:9: `witin` is no option of `wait_for`; did you mean `within`? Known: within, for, hz, tolerance, digits, path, method, parameters"
    );
    let told = one("      - pres: 1\n").unwrap_err();
    assert!(
        told.starts_with("5:9: `pres` is no step; did you mean `press`? Known: wait_for, say,"),
        "{told}"
    );
    assert!(
        problem("partys: {}\n").starts_with("1:1: `partys` is no key of a script; did you mean `parties`?")
    );
    let told = problem("parties:\n  a: {dail: '1'}\n");
    assert!(told.starts_with("2:7: `dail` is no key of a party; did you mean `dial`?"), "{told}");
}

#[test]
fn what_makes_no_sense_is_refused_where_it_stands() {
    let mut all = String::new();
    for (steps, place, word) in [
        ("      - press: 12x\n", "5:16", "0-9, *, #, A-D"),
        ("      - wait_for: sound\n", "5:19", "Known: audio, silence"),
        ("      - wait_for: tone\n", "5:9", "`hz` is missing"),
        ("      - wait_for: audio\n        hz: 440\n", "6:9", "no such option"),
        ("      - wait_for: audio\n        within: 3\n", "6:17", "write 250ms"),
        ("      - say: hi\n        press: '1'\n", "6:9", "`say` and `press` are two steps"),
        ("      - refuse: 486\n", "5:9", "only a party that is called"),
        ("      - hang_up: now\n", "5:18", "has no value"),
        ("      - expect: {}\n", "5:17", "expects nothing"),
        ("      - expect: {length: {at_least: 2s, at_most: 1s}}\n", "5:26", "nothing lies between"),
        ("      - wait_for: webhook\n", "5:9", "needs `webhooks`"),
        ("      - request: {url: 'https://a/'}\n", "5:24", "no http:// URL"),
        ("      - tone: 99\n", "5:15", "does not pass a telephone"),
        ("      - [1]\n", "5:9", "a step is a mapping"),
        ("      - press:\n", "5:", "`press`: keys is needed here"),
    ] {
        let told = one(steps).unwrap_err();
        let good = told.starts_with(place) && told.contains(word);
        if !good {
            writeln!(all, "{steps} -> {told}").unwrap();
        }
    }
    assert_eq!(all, "");
    for (text, word) in [
        ("parties: {a: {steps: []}}", "needs `dial`"),
        ("parties: {a: {answer: any}}", "needs the step `answer` or `refuse`"),
        ("parties: {a: {answer: any, steps: [{press: '1'}]}}", "does `answer` or `refuse` first"),
        ("parties: {a: {answer: any, user: b, steps: [answer]}}", "only a party that dials"),
        ("parties: {a: {dial: '1', user: b}}", "`user` needs its `password`"),
        ("parties: {a: {dial: '1', answer: '2'}}", "is not called"),
        ("parties: {}", "1 to 64 parties"),
        ("name: a", "`parties` is missing"),
        ("webhooks: {expect: [{signature: valid}]}\nparties: {a: {dial: '1'}}", "without `webhooks: token`"),
        ("webhooks: {serve: {answer: x}}\nparties: {a: {dial: '1'}}", "begins with /"),
        ("platform: tandem\nparties: {a: {dial: '1'}}", "HOST:PORT"),
        ("parties: {a: {dial: '${nobody}'}}", "--set nobody=…"),
    ] {
        assert!(problem(text).contains(word), "{text}: {}", problem(text));
    }
}

#[test]
fn the_examples_are_read() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/scripts");
    let pair = |name: &str| (name.to_owned(), "+918000".to_owned());
    let names = ["number", "token", "webhook_url", "driver", "api", "id", "user", "password", "domain"];
    let mut variables = Variables { set: names.map(pair).into(), ..Variables::default() };
    variables.set.insert("api".to_owned(), "http://127.0.0.1:8080/api/v1/Account/MA_1".to_owned());
    let mut count = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let script = read(&std::fs::read_to_string(&path).unwrap(), &variables);
        assert!(script.is_ok(), "{}:{}", path.display(), script.unwrap_err());
        count += 1;
    }
    assert!(count >= 5, "{count} examples");
}

#[test]
fn every_kind_of_step_is_read() {
    for step in STEPS {
        let wrong = one(&format!("      - {}: [x]\n", step.name)).unwrap_err();
        assert!(!wrong.contains("is no step"), "{wrong}");
    }
}

#[test]
fn the_limits_hold_at_and_one_past() {
    let steps = |count: usize| one(&"      - hang_up\n".repeat(count));
    assert_eq!(steps(steps::MAX_STEPS).unwrap().parties[0].steps.len(), steps::MAX_STEPS);
    assert!(steps(steps::MAX_STEPS + 1).unwrap_err().contains("at most 1000 steps"));
    let parties = |count: usize| {
        let all = (0..count).fold(String::new(), |all, party| format!("{all}  p{party}: {{dial: '1'}}\n"));
        parse(&format!("parties:\n{all}"))
    };
    assert_eq!(parties(MAX_PARTIES).unwrap().parties.len(), MAX_PARTIES);
    assert!(parties(MAX_PARTIES + 1).unwrap_err().contains("1 to 64"));
}
