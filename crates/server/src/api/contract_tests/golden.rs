//! Every operation's example, asked in every client's dialect, against the told shape and against the golden body.
//! `UPDATE_GOLDEN=1 cargo test -p tandem-server golden` writes crates/server/contract/golden anew; read the difference.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::conform::differences;
use super::world::World;
use crate::api::openapi::{DIALECTS, GOLDEN, JSON, operations};

/// Made by a running engine only, or signed by a payment provider; tests of their own hold them.
pub(super) const HELD_ELSEWHERE: [(&str, &str); 10] = [
    ("POST", "/payments/{provider}/webhook"),
    ("POST", "/Account/{auth_id}/Call"),
    ("DELETE", "/Account/{auth_id}/Call/{call_uuid}"),
    ("DELETE", "/Account/{auth_id}/Request/{call_uuid}"),
    ("POST", "/Account/{auth_id}/Call/{call_uuid}"),
    ("POST", "/Account/{auth_id}/Call/{call_uuid}/Play"),
    ("DELETE", "/Account/{auth_id}/Call/{call_uuid}/Play"),
    ("POST", "/Account/{auth_id}/Call/{call_uuid}/Speak"),
    ("DELETE", "/Account/{auth_id}/Call/{call_uuid}/Speak"),
    ("POST", "/Account/{auth_id}/Call/{call_uuid}/DTMF"),
];

/// Rows of a list that are kept: more would tell of the world, not of the contract.
const ROWS: usize = 2;

#[tokio::test]
async fn every_operation_answers_its_golden_body_in_every_dialect() {
    let mut wrong = Vec::new();
    let mut files: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    for operation in operations() {
        if operation.status == 501 || HELD_ELSEWHERE.contains(&(operation.method, operation.pattern.as_str()))
        {
            continue;
        }
        let name = format!("{} {}", operation.method, operation.pattern);
        let mut golden =
            json!({ "status": operation.status, "dialects": DIALECTS.map(|(dialect, _)| dialect) });
        for (dialect, _) in DIALECTS {
            let world = World::fresh().await;
            let request = world.example(&operation);
            let (status, text) = world.send(&request, Some(world.owner_of(&operation)), dialect).await;
            if status != operation.status {
                wrong.push(format!("{name} in {dialect}: {status} {text}"));
                continue;
            }
            let Some(shape) = &operation.answer else {
                if !text.is_empty() {
                    wrong.push(format!("{name} in {dialect}: {text} where nothing is told"));
                }
                continue;
            };
            if operation.media != JSON {
                golden["body"] = text.lines().next().unwrap_or_default().into();
                continue;
            }
            let Ok(mut body) = serde_json::from_str::<Value>(&text) else {
                wrong.push(format!("{name} in {dialect}: {text:?} is no JSON"));
                continue;
            };
            wrong.extend(
                differences(shape, &body, dialect)
                    .iter()
                    .map(|words| format!("{name} in {dialect}: {words}")),
            );
            steady(&mut body);
            if dialect == "plain" {
                golden["body"] = body;
            } else if golden["body"] != body {
                golden[dialect] = body;
            }
        }
        files.entry(file_of(operation.tag)).or_default().insert(name, golden);
    }
    if wants_update() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contract/golden");
        for (file, bodies) in &files {
            let text = serde_json::to_string_pretty(bodies).unwrap() + "\n";
            std::fs::write(folder.join(format!("{file}.json")), text).unwrap();
        }
    } else {
        for (file, bodies) in files {
            let kept = GOLDEN.iter().find(|(name, _)| *name == file).map(|(_, text)| *text);
            let kept: Map<String, Value> = match kept {
                Some(text) => serde_json::from_str(text).unwrap(),
                None => {
                    wrong.push(format!("no golden file {file}: name it in openapi/coverage.rs"));
                    continue;
                }
            };
            for (name, golden) in bodies {
                if kept.get(&name) != Some(&golden) {
                    let kept = kept.get(&name).map(Value::to_string).unwrap_or_default();
                    wrong.push(format!(
                        "{name} differs from its golden body:\n  kept {kept}\n  now  {golden}"
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[expect(clippy::disallowed_methods, reason = "a developer's wish to this test, not configuration")]
fn wants_update() -> bool {
    std::env::var_os("UPDATE_GOLDEN").is_some()
}

fn file_of(tag: &str) -> String {
    tag.to_ascii_lowercase().replace(' ', "-")
}

/// Puts words in place of what differs from run to run.
fn steady(value: &mut Value) {
    match value {
        Value::String(text) => *text = steady_text(text),
        Value::Array(items) => {
            items.truncate(ROWS);
            items.iter_mut().for_each(steady);
        }
        Value::Object(members) => members.values_mut().for_each(steady),
        _ => {}
    }
}

fn steady_text(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    if text.len() >= 19 && text.as_bytes()[4] == b'-' && text.starts_with("20") {
        return match text.as_bytes()[10] {
            b'T' => "<time>".to_owned(),
            _ => "<spaced time>".to_owned(),
        };
    }
    if text.starts_with("whsec_") {
        return "whsec_<…>".to_owned();
    }
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let (word, tail) = rest.split_at(end);
        out.push_str(&steady_word(word));
        let next = tail.chars().next();
        out.extend(next);
        rest = &tail[next.map_or(0, char::len_utf8)..];
    }
    out
}

fn steady_word(word: &str) -> String {
    let is_hex = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    if Uuid::parse_str(word).is_ok() && word.len() == 36 {
        return "<uuid>".to_owned();
    }
    let shape: String = word.chars().map(|c| if c.is_ascii_digit() { '9' } else { c }).collect();
    match shape.as_str() {
        "9999-99" => return "<month>".to_owned(),
        "9999-99-99" => return "<day>".to_owned(),
        _ => {}
    }
    for prefix in ["MA_", "SA_", "PA_", "tk_", "txn_", "cct_", "sandbox_", "kst_", "AR_"] {
        if word.starts_with(prefix) && word.len() > prefix.len() {
            return format!("{prefix}<…>");
        }
    }
    match word.len() {
        8 if is_hex(word) => "<label>".to_owned(),
        15.. if word.bytes().all(|byte| byte.is_ascii_digit()) => "<id>".to_owned(),
        32.. if is_hex(word) || word.bytes().any(|byte| byte.is_ascii_digit()) => "<secret>".to_owned(),
        _ => word.to_owned(),
    }
}

#[test]
fn what_differs_from_run_to_run_is_not_kept() {
    for (text, kept) in [
        ("2026-01-05T06:10:00.120000Z", "<time>"),
        ("2026-04-02 12:11:19.740666+00:00", "<spaced time>"),
        ("/v1/Account/MA_7QX2L0PD/Application/31415926535897932/", "/v1/Account/MA_<…>/Application/<id>/"),
        ("sip:7a1d3c52.sip.example", "sip:<label>.sip.example"),
        ("6f0c3a52-2c55-4f0b-9d0e-8d7a4f3c1b77", "<uuid>"),
        ("canary owner", "canary owner"),
    ] {
        assert_eq!(steady_text(text), kept);
    }
}
