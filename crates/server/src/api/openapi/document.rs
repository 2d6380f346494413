//! The OpenAPI 3.1 document of the entries.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tandem_model::ErrorCode;

use super::glossary::meaning;
use super::operation::{Operation, Who};
use super::operations;
use super::samples::sample;
use super::shape::{Side, object};
use crate::api::routes::PREFIX;

const ABOUT: &str = "Programmable voice and SIP trunking in Vobiz's shapes.\n\nAny casing of a path, with or without a slash at \
its end, reaches the same operation. `X-Fern-Language`, which generated clients send, chooses their variant of an \
answer. Every POST takes an `Idempotency-Key`: the same key gives the same answer for a day. A refusal has a status, a code \
of one catalogue or its family's own words in `error`, a sentence in `message` and what to do in `hint`; `details` names \
the fields that are wrong.";

/// The whole document.
pub(crate) fn document() -> Value {
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut tags = Vec::new();
    for operation in operations() {
        if !tags.contains(&operation.tag) {
            tags.push(operation.tag);
        }
        let methods = paths.entry(format!("{PREFIX}{}", operation.pattern)).or_default();
        methods.insert(operation.method.to_ascii_lowercase(), described(&operation));
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tandem REST API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": ABOUT,
            "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": tags.iter().map(|tag| json!({ "name": tag })).collect::<Vec<_>>(),
        "paths": paths,
        "components": { "schemas": { "Error": error() }, "securitySchemes": schemes() },
    })
}

fn schemes() -> Value {
    json!({
        "authId": { "type": "apiKey", "in": "header", "name": "X-Auth-ID" },
        "authToken": { "type": "apiKey", "in": "header", "name": "X-Auth-Token" },
        "basic": { "type": "http", "scheme": "basic", "description": "auth_id:auth_token" },
        "session": {
            "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
            "description": "An access token of a sign-in. Beside a valid pair of headers it is not looked at.",
        },
    })
}

fn error() -> Value {
    let codes: Vec<&str> = ErrorCode::ALL.iter().map(|code| code.slug()).collect();
    json!({
        "type": "object",
        "description": format!(
            "A refusal. `error` is a code of the catalogue ({}) or the words a family of operations prints instead; \
             ledger reads answer 401 and 403 as {{error: {{code, message}}}}.", codes.join(", ")
        ),
        "required": ["error"],
        "properties": {
            "status": { "enum": ["error", "failure"] },
            "error": { "type": ["string", "object"] },
            "message": { "type": "string" },
            "api_id": { "type": "string", "format": "uuid" },
            "code": { "type": "integer", "description": "The HTTP status once more." },
            "hint": { "type": "string", "description": "What to do." },
            "details": { "type": "object", "description": "By field, what is wrong with it." },
        },
    })
}

fn described(operation: &Operation) -> Value {
    let mut described = json!({
        "operationId": operation.id(),
        "summary": operation.summary,
        "tags": [operation.tag],
        "parameters": parameters(operation),
        "responses": responses(operation),
        "security": security(operation.who),
    });
    explain(&mut described["responses"], operation);
    if !operation.note.is_empty() {
        described["description"] = operation.note.into();
    }
    if let Some(example) = operation.example() {
        described["requestBody"] = json!({
            "required": operation.body.iter().any(|field| field.required),
            "content": { "application/json": {
                "schema": explained(object(&operation.body, Side::Request), operation), "example": super::samples::filled(&example),
            } },
        });
    }
    described
}

fn explained(mut schema: Value, operation: &Operation) -> Value {
    explain(&mut schema, operation);
    schema
}

/// Puts what fields mean beside them, at any depth.
fn explain(schema: &mut Value, operation: &Operation) {
    match schema {
        Value::Object(members) => {
            if let Some(Value::Object(properties)) = members.get_mut("properties") {
                for (name, property) in properties {
                    let unsaid = property.is_object() && property.get("description").is_none();
                    if let Some(meaning) = meaning(operation, name).filter(|_| unsaid) {
                        property["description"] = meaning.into();
                    }
                }
            }
            members.values_mut().for_each(|member| explain(member, operation));
        }
        Value::Array(items) => items.iter_mut().for_each(|item| explain(item, operation)),
        _ => {}
    }
}

fn security(who: Who) -> Value {
    match who {
        Who::Nobody => json!([]),
        _ => json!([{ "authId": [], "authToken": [] }, { "basic": [] }, { "session": [] }]),
    }
}

fn parameters(operation: &Operation) -> Vec<Value> {
    let mut parameters: Vec<Value> = operation
        .parameters()
        .iter()
        .map(|name| {
            let mut parameter =
                json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } });
            if let Some(sample) = sample(name) {
                parameter["description"] = sample.what.into();
                parameter["example"] = sample.value.into();
            }
            parameter
        })
        .collect();
    for field in &operation.query {
        let schema = field.schema(Side::Request);
        let mut parameter =
            json!({ "name": field.name, "in": "query", "required": field.required, "schema": schema });
        if let Some(meaning) = meaning(operation, &field.name) {
            parameter["description"] = meaning.into();
        }
        parameters.push(parameter);
    }
    if operation.method == "POST" {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": false,
            "schema": { "type": "string", "minLength": 1, "maxLength": 255 },
        }));
    }
    parameters
}

fn responses(operation: &Operation) -> Value {
    let mut responses = Map::new();
    let mut done = json!({ "description": "Done" });
    if let Some(shape) = &operation.answer {
        done["content"] = json!({ operation.media: { "schema": shape.schema() } });
    }
    responses.insert(operation.status.to_string(), done);
    let mut refusals: BTreeMap<u16, Vec<ErrorCode>> = BTreeMap::new();
    for (status, code) in operation.all_errors() {
        refusals.entry(status).or_default().push(code);
    }
    for (status, codes) in refusals {
        let words: Vec<String> =
            codes.iter().map(|code| format!("`{}`: {}", code.slug(), code.title())).collect();
        let mut refusal = json!({
            "description": words.join(". "),
            "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
        });
        if matches!(status, 429 | 503) {
            refusal["headers"] =
                json!({ "Retry-After": { "description": "Seconds", "schema": { "type": "integer" } } });
        }
        responses.insert(status.to_string(), refusal);
    }
    Value::Object(responses)
}
