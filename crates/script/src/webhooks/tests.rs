use super::*;
use crate::Variables;
use crate::read::read;

fn webhooks(expect: &str) -> Webhooks {
    let text = format!(
        "webhooks:\n  token: t\n  serve: {{/a: [one, two]}}\n  {expect}\nparties: {{p: {{dial: '1'}}}}\n"
    );
    read(&text, &Variables::default()).unwrap().webhooks.unwrap()
}

fn request(at_ms: u64, path: &str, parameters: &[(&str, &str)]) -> Received {
    let parameters =
        parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Received {
        at_ms,
        method: "POST".to_owned(),
        path: path.to_owned(),
        parameters,
        signature: Signature::Valid,
    }
}

#[track_caller]
fn miss(expect: &str, received: &[Received]) -> String {
    let outcomes = webhooks(expect).judge(received, 1_000, 2_000);
    match outcomes.iter().find(|one| one.is_miss()).map(|one| &one.verdict) {
        Some(Verdict::Missed { expected, heard }) => format!("{expected} | {heard}"),
        _ => "held".to_owned(),
    }
}

#[test]
fn the_first_request_gets_the_first_answer_and_the_last_is_repeated() {
    let webhooks = webhooks("ordered: false");
    let bodies: Vec<_> = (0..3).map(|nth| webhooks.answer("/a", nth).unwrap().body.clone()).collect();
    assert!(bodies[0] != bodies[1] && bodies[1] == bodies[2]);
    assert!(webhooks.answer("/b", 0).is_none());
}

#[test]
fn count_parameters_and_method_are_judged_and_the_difference_is_told() {
    let hangup = request(1_200, "/hangup", &[("Event", "Hangup"), ("Duration", "7")]);
    let expect = "expect: [{path: /hangup, parameters: {Event: Hangup, Duration: '/^[1-9]$/'}, count: 1}]";
    assert_eq!(miss(expect, std::slice::from_ref(&hangup)), "held");
    assert_eq!(miss(expect, &[]), "1 such requests | 0 of no request");
    let twice = [hangup.clone(), hangup.clone()];
    assert!(
        miss(expect, &twice).starts_with("1 such requests | 2 of POST /hangup (Hangup)"),
        "{}",
        miss(expect, &twice)
    );
    let wrong = request(1_200, "/hangup", &[("Event", "Hangup"), ("Duration", "70")]);
    assert_eq!(
        miss(expect, &[wrong]),
        "1 such requests | 0; POST /hangup (Hangup) at 1.20 s: Duration is \"70\", not /^[1-9]$/"
    );
    assert_eq!(miss("expect: [{path: /hangup, parameters: {Digits: ~}}]", &[hangup]), "held");
    assert!(miss("expect: [{count: 0}]", &[request(1, "/x", &[])]).contains("1 of POST /x"));
}

#[test]
fn time_is_counted_from_the_start_or_the_end() {
    let at = |at_ms| [request(at_ms, "/x", &[])];
    assert_eq!(miss("expect: [{path: /x, within: 500ms}]", &at(1_500)), "held");
    assert_eq!(miss("expect: [{path: /x, within: 500ms}]", &at(1_501)), "within 500 ms | after 501 ms");
    assert_eq!(
        miss("expect: [{path: /x, within: 500ms, of: start}]", &at(501)),
        "within 500 ms | after 501 ms"
    );
    assert_eq!(miss("expect: [{path: /x, within: 500ms}]", &at(3)), "held", "before the end is soon enough");
}

#[test]
fn order_is_judged_where_it_is_demanded() {
    let received = [request(1, "/b", &[]), request(2, "/a", &[])];
    let expect = "[{path: /a}, {path: /b}]";
    assert_eq!(miss(&format!("expect: {expect}"), &received), "held");
    assert!(miss(&format!("ordered: true\n  expect: {expect}"), &received).starts_with("it comes after"));
    let received = [request(1, "/a", &[]), request(2, "/b", &[])];
    assert_eq!(miss(&format!("ordered: true\n  expect: {expect}"), &received), "held");
}

#[test]
fn a_wrong_signature_is_a_miss_where_one_is_demanded() {
    let bad = Received { signature: Signature::Wrong, ..request(1, "/a", &[]) };
    assert_eq!(miss("expect: [{path: /a}]", std::slice::from_ref(&bad)), "held");
    assert!(
        miss("expect: [{path: /a, signature: valid}]", &[bad])
            .contains("POST /a at 1 ms with a wrong signature")
    );
}

#[test]
fn settled_means_that_nothing_needed_is_to_come() {
    let webhooks = webhooks("expect: [{path: /a, count: {at_least: 2}}, {path: /b, count: 0}]");
    assert!(!webhooks.is_settled(&[request(1, "/a", &[])]));
    assert!(webhooks.is_settled(&[request(1, "/a", &[]), request(2, "/a", &[])]));
    assert!(webhooks.awaits("/b") && !webhooks.awaits("/c"));
}
