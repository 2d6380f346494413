//! The route table and the entries are equal.

use std::collections::BTreeSet;

use crate::api::openapi::{Field, Shape, operations, replaced, sample};
use crate::api::router::built_patterns;
use crate::api::tests::House;

#[tokio::test]
async fn every_route_has_an_entry_and_every_entry_a_route() {
    let house = House::open().await;
    let mut routed = BTreeSet::new();
    for pattern in built_patterns() {
        let path = format!("/api/v1{}", replaced(&pattern, &|_| Some("x".to_owned())));
        let (status, headers, _) = house.bytes("PROBE", &path, &[], Vec::new()).await;
        assert_eq!(status, 405, "{pattern} takes any method");
        for method in headers["allow"].to_str().unwrap().split(',').map(str::trim).filter(|m| *m != "HEAD") {
            routed.insert(format!("{method} {pattern}"));
        }
    }
    let told: Vec<String> =
        operations().iter().map(|operation| format!("{} {}", operation.method, operation.pattern)).collect();
    let entries: BTreeSet<String> = told.iter().cloned().collect();
    assert_eq!(told.len(), entries.len(), "an operation has two entries");
    let missing: Vec<_> = routed.difference(&entries).collect();
    assert!(
        missing.is_empty(),
        "no entry in api/openapi/entries/ (see docs/how-to/add-a-resource.md) for {missing:#?}"
    );
    let extra: Vec<_> = entries.difference(&routed).collect();
    assert!(extra.is_empty(), "no route for the entries {extra:#?}");
}

#[test]
fn entries_are_well_written_and_have_what_a_request_needs() {
    let mut wrong = Vec::new();
    for operation in operations() {
        let name = format!("{} {}", operation.method, operation.pattern);
        let mut faults = Vec::new();
        operation.query.iter().chain(&operation.body).for_each(|field| faults_of(field, &mut faults));
        if let Some(shape) = &operation.answer {
            faults_in(shape, &mut faults);
        }
        wrong.extend(faults.into_iter().map(|fault| format!("{name}: {fault}")));
        for parameter in operation.parameters() {
            if sample(parameter).is_none() {
                wrong.push(format!("{name}: no sample of {{{parameter}}} in openapi/samples.rs"));
            }
        }
        let without = operation.body.iter().filter(|field| field.required && field.example.is_none());
        wrong.extend(without.map(|field| format!("{name}: no example of {}", field.name)));
        if operation.body.iter().all(|field| field.example.is_none()) && !operation.body.is_empty() {
            wrong.push(format!("{name}: no example"));
        }
        if operation.summary.is_empty() || operation.status < 200 {
            wrong.push(format!("{name}: no summary or status"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn faults_of(field: &Field, faults: &mut Vec<String>) {
    if field.name.is_empty() {
        faults.push("a field without a name".to_owned());
    }
    faults_in(&field.shape, faults);
}

fn faults_in(shape: &Shape, faults: &mut Vec<String>) {
    match shape {
        Shape::Wrong(text) => faults.push(format!("not in the notation: {text}")),
        Shape::List(item) => faults_in(item, faults),
        Shape::Object(fields) => fields.iter().for_each(|field| faults_of(field, faults)),
        _ => {}
    }
}
