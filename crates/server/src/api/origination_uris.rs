//! Origination URIs (REST reference §9.4): where a trunk's calls from the network go.

use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use serde::Serialize;
use serde_json::json;
use tandem_model::{Ids, clock};
use tandem_store::resources::origination_uri::{
    CreateOriginationUri, DeleteOriginationUri, OriginationUri, UpdateOriginationUri,
};

use super::credentials::{OfTrunk, no_such_trunk, trunk_of};
use super::json::instant;
use super::lenient::{Fields, Given, invalid};
use super::window::WindowQuery;
use super::{ApiError, AppState, Dialect, Effect, Payload, Posted, Query, Reply, Routes};
use crate::auth::Scoped;

/// Priorities and weights at most (as in a DNS SRV record).
const SPLIT_MAX: u64 = 65_535;
const PRIORITY_DEFAULT: u64 = 1;
const WEIGHT_DEFAULT: u64 = 10;
/// Characters of a name, and of a URI, at most.
const NAME_MAX: usize = 500;
const URI_MAX: usize = 255;
/// Names of the URI.
const URI: [&str; 2] = ["sip_uri", "uri"];

/// The routes of origination URIs.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/origination-uris", post(create).get(list))
        .route("/Account/{auth_id}/origination-uris/{id}", put(update).get(read).delete(remove))
        .route("/Account/{auth_id}/trunks/origination-uris", get(list).post(create))
        .route("/Account/{auth_id}/trunks/origination-uris/{id}", put(update).get(read).delete(remove))
}

/// One URI.
#[derive(Debug, Serialize)]
struct UriView {
    id: String,
    account_id: String,
    uri: String,
    priority: u32,
    weight: u32,
    enabled: bool,
    transport: String,
    description: String,
    created_at: String,
    updated_at: String,
}

fn view(uri: OriginationUri) -> UriView {
    UriView {
        id: uri.id,
        account_id: uri.account.to_string(),
        uri: uri.uri,
        priority: uri.priority,
        weight: uri.weight,
        enabled: uri.enabled,
        transport: uri.transport,
        description: uri.description,
        created_at: instant(uri.created_at),
        updated_at: instant(uri.updated_at),
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("Origination URI not found").word("Origination URI not found")
}

/// The transport of `sip:[user@]host[:port][;transport=…]`, or `None` when it is not of that form.
fn transport_of(uri: &str) -> Option<&'static str> {
    let rest = uri.strip_prefix("sip:")?;
    if rest.contains(|c: char| c.is_whitespace() || matches!(c, '<' | '>' | '"' | '?')) {
        return None;
    }
    let (address, parameters) = rest.split_once(';').unwrap_or((rest, ""));
    let (user, host_port) = address.rsplit_once('@').unwrap_or(("-", address));
    let (host, port) = match host_port.rsplit_once(':') {
        Some((host, port)) if !host_port.ends_with(']') => (host, Some(port)),
        _ => (host_port, None),
    };
    let host_is_one = !host.is_empty()
        && (host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-'))
            || host.starts_with('[') && host.ends_with(']'));
    let port_is_one = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    if user.is_empty() || !host_is_one || !port_is_one {
        return None;
    }
    let transport = parameters.split(';').find_map(|parameter| parameter.strip_prefix("transport="));
    match transport.map(str::to_ascii_lowercase).as_deref() {
        None | Some("udp") => Some("udp"),
        Some("tcp") => Some("tcp"),
        Some("tls") => Some("tls"),
        Some(_) => None,
    }
}

fn checked(uri: &str) -> Result<String, ApiError> {
    let transport =
        transport_of(uri).ok_or_else(|| invalid("Invalid SIP URI format. Expected: sip:user@host:port"))?;
    Ok(transport.to_owned())
}

fn split(fields: &mut Fields, name: &'static str) -> Option<u32> {
    fields.number(&[name], 0, SPLIT_MAX).value().map(|number| number as u32)
}

/// Create a URI, for one trunk (`trunk_id`) or for a trunk to name later (`primary_uri_uuid`).
async fn create(
    scoped: Scoped,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let uri = fields.required(&URI, URI_MAX);
    let priority = split(&mut fields, "priority").unwrap_or(PRIORITY_DEFAULT as u32);
    let weight = split(&mut fields, "weight").unwrap_or(WEIGHT_DEFAULT as u32);
    let description = fields.text(&["name", "description"], NAME_MAX).value().unwrap_or_default();
    let trunk = trunk_of(&mut fields);
    let enabled = fields.flag(&["enabled"]).value().unwrap_or(true);
    fields.check_sentence()?;
    let transport = checked(&uri)?;
    let now = clock::wall();
    let uri = OriginationUri {
        id: Ids::random().to_string(),
        account: scoped.id().clone(),
        trunk,
        uri,
        priority,
        weight,
        transport,
        description,
        enabled,
        created_at: now,
        updated_at: now,
    };
    let made = json!(view(uri.clone()));
    let command = CreateOriginationUri { uri, actor: scoped.caller.actor.clone() };
    effect
        .run(scoped.id(), command, move |created| match created {
            true => Ok(Reply::created(made.clone())),
            false => Err(no_such_trunk()),
        })
        .await
}

/// List URIs, newest first; `trunk_id` narrows.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    Query(query): Query<WindowQuery>,
    Query(of): Query<OfTrunk>,
) -> Result<Reply, ApiError> {
    let (window, trunk) = (query.window(), of.trunk_id);
    let (rows, total) =
        state.reader.origination_uris(scoped.id(), trunk, window.offset, window.limit).await?;
    let objects: Vec<_> = rows.into_iter().map(view).collect();
    Ok(Reply::ok(json!({ "meta": window.trunk_meta(total, dialect), "objects": objects })))
}

/// Read one URI.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let uri = state.reader.origination_uri(scoped.id(), &id).await?.ok_or_else(not_found)?;
    Ok(Reply::ok(json!(view(uri))))
}

/// Change a URI: fields that are not sent stay.
async fn update(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((auth_id, id)): Path<(String, String)>,
    Payload { value: mut fields, .. }: Payload<Fields>,
) -> Result<Reply, ApiError> {
    let uri = fields.text(&URI, URI_MAX).value();
    let description = match fields.text(&["name", "description"], NAME_MAX) {
        Given::Absent => None,
        Given::Null => Some(String::new()),
        Given::Value(text) => Some(text),
    };
    let (priority, weight) = (split(&mut fields, "priority"), split(&mut fields, "weight"));
    let enabled = fields.flag(&["enabled"]).value();
    fields.check_known()?;
    fields.check_sentence()?;
    let uri = match uri {
        Some(uri) => {
            let transport = checked(&uri)?;
            Some((uri, transport))
        }
        None => None,
    };
    let command = UpdateOriginationUri {
        id: id.clone(),
        account: scoped.id().clone(),
        uri,
        priority,
        weight,
        description,
        enabled,
        actor: scoped.caller.actor.clone(),
        at: clock::wall(),
    };
    if !state.writer.submit(command).await? {
        return Err(not_found());
    }
    state.settled().await;
    read(State(state), scoped, Path((auth_id, id))).await
}

/// Delete a URI.
async fn remove(
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = DeleteOriginationUri { id, account, actor, at: clock::wall() };
    effect
        .run(scoped.id(), command, |removed| match removed {
            true => Ok(Reply::no_content()),
            false => Err(not_found()),
        })
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sip_uri_has_a_host_and_perhaps_user_port_and_transport() {
        assert_eq!(transport_of("sip:pbx@pbx.example:5080"), Some("udp"));
        assert_eq!(transport_of("sip:pbx.example"), Some("udp"));
        assert_eq!(transport_of("sip:a@198.51.100.4;transport=TCP"), Some("tcp"));
        assert_eq!(transport_of("sip:a@[2001:db8::1]:5061;transport=tls"), Some("tls"));
        for bad in [
            "pbx.example",
            "sips:a@b",
            "sip:",
            "sip:@b",
            "sip:a@",
            "sip:a@b:0",
            "sip:a@b:65536",
            "sip:a b@c",
            "sip:a@b;transport=sctp",
            "<sip:a@b>",
            "sip:a@b?X=1",
        ] {
            assert_eq!(transport_of(bad), None, "{bad}");
        }
    }
}
