//! The web server of a script: what it answers and what it must have been asked.

use std::path::PathBuf;
use std::time::Duration;

use super::fields::{Fields, Reader, scalar, tone};
use super::steps::method;
use super::{WEB, address, http_status, http_url, not_empty, path};
use crate::problem::Problem;
use crate::script::{Answer, Body, RequestExpectation, RequestMatch, Served, Since, Webhooks};
use crate::table::{ANSWER, REQUEST_EXPECTATION, WEBHOOKS};
use crate::values::{self, Bounds, Matcher};
use crate::yaml::{Key, Node, Value};

/// Length of a served tone, unless told.
const TONE_FOR: Duration = Duration::from_secs(1);

pub(super) fn webhooks(node: &Node) -> Result<Webhooks, Problem> {
    let fields = Fields::of(node, &WEBHOOKS)?;
    let token = fields.read("token", not_empty)?;
    let expect: Vec<RequestExpectation> = match fields.node("expect") {
        Some(Node { value: Value::List(items), .. }) => {
            items.iter().map(expectation).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(Problem::new(other.place, "`expect`: a list of requests is needed here")),
        None => Vec::new(),
    };
    if let Some(signed) = expect.iter().find(|one| one.signed && token.is_none()) {
        return Err(Problem::new(signed.place, "a signature cannot be checked without `webhooks: token`"));
    }
    let serve = match fields.node("serve") {
        Some(Node { value: Value::Map(members), .. }) => {
            members.iter().map(served).collect::<Result<_, _>>()?
        }
        Some(other) => return Err(Problem::new(other.place, "`serve`: a mapping of paths is needed here")),
        None => Vec::new(),
    };
    Ok(Webhooks {
        listen: fields.read("listen", address)?.unwrap_or(WEB),
        url: fields.read("url", http_url)?.map(|url| url.trim_end_matches('/').to_owned()),
        token,
        serve,
        expect,
        ordered: fields.read("ordered", values::truth)?.unwrap_or(false),
    })
}

fn served((key, node): &(Key, Node)) -> Result<Served, Problem> {
    let path = path(&key.text).map_err(|message| Problem::new(key.place, message))?;
    let answers = match &node.value {
        Value::List(items) if items.is_empty() => {
            return Err(Problem::new(node.place, "an empty list answers nothing"));
        }
        Value::List(items) => items.iter().map(answer).collect::<Result<_, _>>()?,
        _ => vec![answer(node)?],
    };
    Ok(Served { path, answers })
}

fn answer(node: &Node) -> Result<Answer, Problem> {
    let place = node.place;
    if let Value::Text(text) = &node.value {
        let body = Body::Text(text.clone());
        return Ok(Answer { place, status: 200, content_type: None, body, delay: Duration::ZERO });
    }
    let fields = Fields::of(node, &ANSWER)?;
    let status = fields.read("status", http_status)?;
    let tone = fields.read("tone", tone)?;
    let body = match (fields.text("xml")?, fields.read("file", not_empty)?, tone) {
        (Some(xml), None, None) => Body::Text(xml),
        (None, Some(file), None) => Body::File(PathBuf::from(file)),
        (None, None, Some((hz, lasting))) => Body::Tone { hz, lasting: lasting.unwrap_or(TONE_FOR) },
        (None, None, None) if status.is_some() => Body::Text(String::new()),
        _ => {
            return Err(Problem::new(
                place,
                "an answer is one of `xml`, `file`, `tone`, or a `status` alone",
            ));
        }
    };
    Ok(Answer {
        place,
        status: status.unwrap_or(200),
        content_type: fields.text("type")?,
        body,
        delay: fields.time("delay", Duration::ZERO)?,
    })
}

fn expectation(node: &Node) -> Result<RequestExpectation, Problem> {
    let fields = Fields::of(node, &REQUEST_EXPECTATION)?;
    let signature: Reader<()> = |text| match text {
        "valid" => Ok(()),
        _ => Err(format!("`{text}`: only `valid` can be demanded")),
    };
    let since: Reader<Since> = |text| match text {
        "start" => Ok(Since::Start),
        "end" => Ok(Since::End),
        _ => Err(format!("`{text}` is neither start nor end")),
    };
    Ok(RequestExpectation {
        place: node.place,
        request: request_match(&fields)?,
        count: fields.count_bounds("count")?.unwrap_or(Bounds { at_least: Some(1), at_most: None }),
        within: fields.read("within", values::length)?,
        of: fields.read("of", since)?.unwrap_or(Since::End),
        signed: fields.read("signature", signature)?.is_some(),
    })
}

/// `path`, `method` and `parameters` of a mapping that has them.
pub(super) fn request_match(fields: &Fields<'_>) -> Result<RequestMatch, Problem> {
    let parameters = match fields.node("parameters") {
        Some(Node { value: Value::Map(members), .. }) => {
            members.iter().map(parameter).collect::<Result<_, _>>()?
        }
        Some(other) => {
            return Err(Problem::new(other.place, "`parameters`: a mapping of names is needed here"));
        }
        None => Vec::new(),
    };
    Ok(RequestMatch { path: fields.read("path", path)?, method: fields.read("method", method)?, parameters })
}

fn parameter((key, node): &(Key, Node)) -> Result<(String, Matcher), Problem> {
    let matcher = match &node.value {
        Value::Nothing => Matcher::Absent,
        _ => values::matcher(scalar(node, &key.text)?)
            .map_err(|message| Problem::new(node.place, format!("`{}`: {message}", key.text)))?,
    };
    Ok((key.text.clone(), matcher))
}
