//! Whatever is sent, the answer is a 4xx that names what is wrong, and nothing has changed.

use serde_json::{Map, Value, json};

use super::database::Witness;
use super::golden::HELD_ELSEWHERE;
use super::world::{Request, World};
use crate::api::openapi::{Field, Operation, Shape, Who, operations};

/// A body, and what the answer must name; nothing when any refusal will do.
struct Bad {
    what: String,
    body: Vec<u8>,
    names: Option<String>,
    status: Option<u16>,
}

/// Ids nobody has, or that are none.
fn no_ids() -> Vec<String> {
    vec![
        "00000000-0000-4000-8000-000000000000".to_owned(),
        "0".to_owned(),
        "%00".to_owned(),
        "%FF%FE".to_owned(),
        "..".to_owned(),
        "%27%20or%201%3D1--".to_owned(),
        "9".repeat(300),
    ]
}

fn bad(what: impl Into<String>, body: impl Into<Vec<u8>>, names: Option<&str>) -> Bad {
    Bad { what: what.into(), body: body.into(), names: names.map(str::to_owned), status: None }
}

fn with(example: &Map<String, Value>, name: &str, value: Value) -> Vec<u8> {
    let mut body = example.clone();
    body.insert(name.to_owned(), value);
    Value::Object(body).to_string().into_bytes()
}

/// Bodies that are wrong for an operation.
fn bodies(operation: &Operation, example: &Map<String, Value>, limit: usize) -> Vec<Bad> {
    let mut all = vec![
        bad("cut off", "{\"a\": ", None),
        bad("a list", "[]", None),
        bad("a number", "3", None),
        bad("a text", "\"x\"", None),
        bad("two objects", "{}{}", None),
        bad("a form", "a=b&c=d", None),
        bad("bytes that are no text", &b"{\"name\": \"\xff\xfe\"}"[..], None),
        bad("a deep nest", format!("{}{}", "[".repeat(5_000), "]".repeat(5_000)), None),
    ];
    let mut large = Value::Object(example.clone()).to_string();
    large.extend(std::iter::repeat_n(' ', limit + 1 - large.len()));
    all.push(Bad { status: Some(413), ..bad("too large", large, None) });
    if let Some((name, value)) = example.iter().next() {
        let rest = Value::Object(example.clone()).to_string();
        let twice = format!("{{\"{name}\": {value}, {}", &rest[1..]);
        all.push(bad(format!("{name} twice"), twice, Some(name)));
    }
    for field in &operation.body {
        let name = field.name.as_str();
        for value in wrong_values(field) {
            let shown = value.to_string();
            let shown: String = shown.chars().take(40).collect();
            all.push(bad(format!("{name} = {shown}"), with(example, name, value), Some(name)));
        }
        if field.required {
            let mut without = example.clone();
            without.remove(name);
            all.push(bad(format!("no {name}"), Value::Object(without).to_string(), Some(name)));
            all.push(bad(format!("{name} = null"), with(example, name, Value::Null), Some(name)));
        }
    }
    all
}

fn wrong_values(field: &Field) -> Vec<Value> {
    let mut values = match &field.shape {
        Shape::Any | Shape::Wrong(_) => return Vec::new(),
        Shape::Open => return vec![json!([]), json!("x"), json!(3)],
        Shape::List(_) => return vec![json!("x"), json!({"x": 1}), json!([{"x": {}}])],
        Shape::Object(_) => return vec![json!("x"), json!(3), json!([{"x": {}}])],
        Shape::Text { most } => {
            let long = most.map(|most| json!("x".repeat(most as usize + 1)));
            std::iter::once(json!("a\u{0}b")).chain(long).collect()
        }
        Shape::Form("uuid") => vec![json!("nonsense"), json!("a\u{0}b")],
        Shape::Form("url") => {
            vec![json!("nonsense"), json!("ftp://a.example/"), json!("javascript:alert(1)")]
        }
        Shape::Form("email") => vec![json!("nobody"), json!("a@b@c"), json!("a\u{0}@b.example")],
        Shape::Form("e164") => vec![json!("nonsense"), json!("+0"), json!("9".repeat(40))],
        Shape::Form(_) => vec![json!("MA_NOBODY9"), json!("x".repeat(200))],
        Shape::Words(_) => vec![json!("nonsense"), json!("a\u{0}b")],
        Shape::Whole { least, most } => {
            let past = [least.map(|least| least - 1), most.map(|most| most + 1)];
            let past = past.into_iter().flatten().map(Value::from);
            past.chain([json!("x"), json!(1.5), json!(1e300)]).collect()
        }
        // An amount that must be there is of something.
        Shape::Number if field.required => vec![json!("x"), json!(-1), json!(0), json!(1e300)],
        Shape::Number => vec![json!("x"), json!(-1), json!(1e300)],
        Shape::Flag => vec![json!("perhaps"), json!(7)],
    };
    values.extend([json!({"x": 1}), json!([1])]);
    values
}

/// What a sweep found.
struct Sweep {
    asked: usize,
    wrong: Vec<String>,
}

impl Sweep {
    /// Sees to one answer; says whether the world is as it was.
    fn judge(&mut self, what: &str, bad: &Bad, status: u16, text: &str, witness: &mut Witness) -> bool {
        self.asked += 1;
        let is_right = bad.status.map_or((400..500).contains(&status), |expected| expected == status);
        if !is_right {
            self.wrong.push(format!("{what}: {} is answered {status} {text}", bad.what));
        } else if let Some(name) = &bad.names
            && !text.contains(name.as_str())
            // An id that nobody has is answered as what is not there.
            && status != 404
        {
            self.wrong.push(format!("{what}: {} is not named: {status} {text}", bad.what));
        }
        let changed = witness.changes();
        if !changed.is_empty() && (400..600).contains(&status) {
            self.wrong.push(format!("{what}: {} changed {changed:#?}", bad.what));
        }
        changed.is_empty()
    }
}

#[tokio::test]
async fn bad_bodies_are_refused_by_name_and_change_nothing() {
    let mut sweep = Sweep { asked: 0, wrong: Vec::new() };
    let limit =
        crate::config::load(None, &crate::config::Overrides::default()).unwrap().config.api.body_limit_bytes;
    for operation in
        operations().iter().filter(|operation| !operation.body.is_empty() && operation.status != 501)
    {
        let name = format!("{} {}", operation.method, operation.pattern);
        let mut world = World::fresh().await;
        let mut witness = world.witness();
        let request = world.example(operation);
        let example = request.body.as_ref().and_then(Value::as_object).cloned().unwrap_or_default();
        for bad in bodies(operation, &example, limit) {
            let (status, text) =
                send_bytes(&world, operation, &request, bad.body.clone(), "application/json").await;
            if !sweep.judge(&name, &bad, status, &text, &mut witness) {
                world = World::fresh().await;
                witness = world.witness();
            }
        }
        let good = Value::Object(example).to_string().into_bytes();
        for kind in
            ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "nonsense"]
        {
            let (status, text) = send_bytes(&world, operation, &request, good.clone(), kind).await;
            sweep.asked += 1;
            let expected = if is_engine(operation) { 503 } else { operation.status };
            if status >= 500 && status != expected {
                sweep.wrong.push(format!("{name}: {kind} is answered {status} {text}"));
            }
            world = World::fresh().await;
        }
    }
    eprintln!("bad bodies: {} requests, {} faults", sweep.asked, sweep.wrong.len());
    assert!(sweep.wrong.is_empty(), "{}", sweep.wrong.join("\n"));
}

fn is_engine(operation: &Operation) -> bool {
    HELD_ELSEWHERE.contains(&(operation.method, operation.pattern.as_str()))
}

async fn send_bytes(
    world: &World,
    operation: &Operation,
    request: &Request,
    body: Vec<u8>,
    kind: &str,
) -> (u16, String) {
    let who = world.owner_of(operation);
    let headers =
        [("content-type", kind), ("x-auth-id", who.id.as_str()), ("x-auth-token", who.token.as_str())];
    let path = format!("/api/v1{}", request.path);
    let (status, _, text) = world.house.bytes(operation.method, &path, &headers, body).await;
    (status, text)
}

#[tokio::test]
async fn ids_that_are_none_and_queries_that_make_no_sense_are_refused_and_change_nothing() {
    let mut sweep = Sweep { asked: 0, wrong: Vec::new() };
    for operation in
        operations().iter().filter(|operation| operation.who != Who::Nobody && operation.status != 501)
    {
        let name = format!("{} {}", operation.method, operation.pattern);
        let world = World::fresh().await;
        let mut witness = world.witness();
        let who = Some(world.owner_of(operation));
        for parameter in operation.parameters() {
            for id in no_ids() {
                let what = bad(format!("{parameter} = {}", &id[..id.len().min(40)]), "", None);
                let request = world.example_with(operation, parameter, &id);
                let (status, text) = world.send(&request, who, "plain").await;
                sweep.judge(&name, &what, status, &text, &mut witness);
            }
        }
        let asked = world.example(operation);
        let base = asked.path.split('?').next().unwrap_or_default();
        for field in &operation.query {
            for value in ["-1", "x", "%00", "%FF%FE", "99999999999999999999", "1e9", "", "%F0%9F%92%A9"] {
                let request = Request { path: format!("{base}?{}={value}", field.name), ..asked.clone() };
                let (status, text) = world.send(&request, who, "plain").await;
                sweep.asked += 1;
                if status >= 500 || !witness.changes().is_empty() {
                    sweep.wrong.push(format!("{name}?{}={value} is answered {status} {text}", field.name));
                }
            }
            let long = format!("{base}?{}={}", field.name, "y".repeat(9_000));
            let (status, text) = world.send(&Request { path: long, ..asked.clone() }, who, "plain").await;
            sweep.asked += 1;
            if status >= 500 {
                sweep.wrong.push(format!("{name}: a long {} is answered {status} {text}", field.name));
            }
        }
    }
    eprintln!("bad ids and queries: {} requests, {} faults", sweep.asked, sweep.wrong.len());
    assert!(sweep.wrong.is_empty(), "{}", sweep.wrong.join("\n"));
}

#[tokio::test]
async fn every_casing_and_slash_reaches_every_operation() {
    let mut wrong = Vec::new();
    for operation in operations().iter().filter(|operation| operation.method == "GET") {
        let world = World::fresh().await;
        let plain = world.example(operation).path;
        let (place, query) =
            plain.split_once('?').map_or((plain.as_str(), ""), |(place, query)| (place, query));
        let parts: Vec<String> = place
            .split('/')
            .zip(operation.pattern.split('/'))
            .map(
                |(part, told)| {
                    if told.starts_with('{') { part.to_owned() } else { part.to_ascii_uppercase() }
                },
            )
            .collect();
        let request = Request { method: "GET", path: format!("{}/?{query}", parts.join("/")), body: None };
        let (status, text) = world.send(&request, Some(world.owner_of(operation)), "plain").await;
        if status != operation.status {
            wrong.push(format!("{}: {status} {text}", request.path));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
