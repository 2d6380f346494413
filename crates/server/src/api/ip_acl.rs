//! IP access lists of trunks (REST reference §9.3): IPv4 addresses and networks, no wider than /24.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use ipnet::{IpNet, Ipv4Net};
use serde::Serialize;
use serde_json::json;
use tandem_model::{Ids, clock};
use tandem_store::resources::acl::{Acl, CreateAcl, DeleteAcl, UpdateAcl};

use super::credentials::{OfTrunk, no_such_trunk, trunk_of};
use super::json::instant;
use super::lenient::{Fields, Given, invalid};
use super::window::WindowQuery;
use super::{ApiError, AppState, Dialect, Effect, Payload, Posted, Query, Reply, Routes};
use crate::auth::Scoped;

/// The shortest prefix taken: wider networks need an operator.
const PREFIX_MIN: u8 = 24;
/// Characters of a name at most.
const NAME_MAX: usize = 500;
/// Names of the address.
const ADDRESS: [&str; 3] = ["ip_address", "cidr_ip", "ip"];

/// The routes of access lists.
pub(super) fn routes() -> Routes {
    Routes::new()
        .route("/Account/{auth_id}/ip-acl", post(create).get(list))
        .route("/Account/{auth_id}/ip-acl/{id}", put(update).get(read).delete(remove))
        .route("/Account/{auth_id}/trunks/ip-acl", get(list).post(create))
        .route("/Account/{auth_id}/trunks/ip-acl/{id}", put(update).get(read).delete(remove))
}

/// One entry.
#[derive(Debug, Serialize)]
struct AclView {
    id: String,
    account_id: String,
    ip_address: String,
    description: String,
    enabled: bool,
    created_at: String,
    updated_at: String,
}

fn view(acl: Acl) -> AclView {
    AclView {
        id: acl.id,
        account_id: acl.account.to_string(),
        ip_address: acl.cidr,
        description: acl.description,
        enabled: acl.enabled,
        created_at: instant(acl.created_at),
        updated_at: instant(acl.updated_at),
    }
}

fn not_found() -> ApiError {
    ApiError::not_found("IP ACL not found").word("IP ACL not found")
}

/// An IPv4 address or network a customer may name as its own. `allowed` are the networks the operator opened:
/// loopback is taken only when they cover it.
pub(super) fn network(text: &str, allowed: &[IpNet]) -> Result<Ipv4Net, &'static str> {
    const FORMAT: &str = "Invalid IP address format";
    let network = match text.parse::<Ipv4Addr>() {
        Ok(address) => Ipv4Net::from(address),
        Err(_) => text.parse::<Ipv4Net>().map_err(|_| FORMAT)?,
    };
    if network.prefix_len() < PREFIX_MIN {
        return Err("Networks wider than /24 are not accepted");
    }
    let [a, b, c, _] = network.network().octets();
    let documentation = matches!((a, b, c), (192, 0, 2) | (198, 51, 100) | (203, 0, 113));
    if documentation || a == 0 || a >= 224 || (a, b) == (169, 254) {
        return Err(FORMAT);
    }
    if a == 127 && !allowed.iter().any(|net| net.contains(&IpAddr::V4(network.network()))) {
        return Err(FORMAT);
    }
    Ok(network)
}

/// Create an entry, for one trunk (`trunk_id`) or for a trunk to name later (`ipacl_uuid`).
async fn create(
    State(state): State<AppState>,
    scoped: Scoped,
    Posted { value: mut fields, effect }: Posted<Fields>,
) -> Result<Reply, ApiError> {
    let cidr = fields.required(&ADDRESS, 64);
    let description = fields.text(&["name", "description"], NAME_MAX).value().unwrap_or_default();
    let trunk = trunk_of(&mut fields);
    let enabled = fields.flag(&["enabled"]).value().unwrap_or(true);
    fields.check_sentence()?;
    network(&cidr, &state.config.webhooks.allow_private).map_err(invalid)?;
    let now = clock::wall();
    let acl = Acl {
        id: Ids::random().to_string(),
        account: scoped.id().clone(),
        trunk,
        cidr,
        description,
        enabled,
        created_at: now,
        updated_at: now,
    };
    let made = json!(view(acl.clone()));
    let command = CreateAcl { acl, actor: scoped.caller.actor.clone() };
    effect
        .run(scoped.id(), command, move |created| match created {
            true => Ok(Reply::created(made.clone())),
            false => Err(no_such_trunk()),
        })
        .await
}

/// List entries, newest first; `trunk_id` narrows.
async fn list(
    State(state): State<AppState>,
    scoped: Scoped,
    dialect: Dialect,
    Query(query): Query<WindowQuery>,
    Query(of): Query<OfTrunk>,
) -> Result<Reply, ApiError> {
    let (window, trunk) = (query.window(), of.trunk_id);
    let (rows, total) = state.reader.acls(scoped.id(), trunk, window.offset, window.limit).await?;
    let objects: Vec<_> = rows.into_iter().map(view).collect();
    Ok(Reply::ok(json!({ "meta": window.trunk_meta(total, dialect), "objects": objects })))
}

/// Read one entry.
async fn read(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
) -> Result<Reply, ApiError> {
    let acl = state.reader.acl(scoped.id(), &id).await?.ok_or_else(not_found)?;
    Ok(Reply::ok(json!(view(acl))))
}

/// Change an entry: fields that are not sent stay.
async fn update(
    State(state): State<AppState>,
    scoped: Scoped,
    Path((auth_id, id)): Path<(String, String)>,
    Payload { value: mut fields, .. }: Payload<Fields>,
) -> Result<Reply, ApiError> {
    let cidr = fields.text(&ADDRESS, 64).value();
    let description = match fields.text(&["name", "description"], NAME_MAX) {
        Given::Absent => None,
        Given::Null => Some(String::new()),
        Given::Value(text) => Some(text),
    };
    let enabled = fields.flag(&["enabled"]).value();
    fields.check_sentence()?;
    if let Some(cidr) = &cidr {
        network(cidr, &state.config.webhooks.allow_private).map_err(invalid)?;
    }
    let command = UpdateAcl {
        id: id.clone(),
        account: scoped.id().clone(),
        cidr,
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

/// Delete an entry.
async fn remove(
    scoped: Scoped,
    Path((_, id)): Path<(String, String)>,
    effect: Effect,
) -> Result<Reply, ApiError> {
    let (account, actor) = (scoped.id().clone(), scoped.caller.actor.clone());
    let command = DeleteAcl { id, account, actor, at: clock::wall() };
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
    fn addresses_are_ipv4_and_networks_no_wider_than_a_24() {
        let loopback = ["127.0.0.0/8".parse().unwrap()];
        for good in ["8.8.8.8", "10.1.2.3", "198.18.0.0/24", "9.9.9.9/32"] {
            assert!(network(good, &[]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "pbx.example",
            "8.8.8.8/23",
            "0.0.0.0/0",
            "::1",
            "2001:4860::/64",
            "203.0.113.7",
            "192.0.2.0/24",
            "198.51.100.9/32",
            "127.0.0.1",
            "224.0.0.1",
            "169.254.169.254",
            "8.8.8.8/33",
        ] {
            assert!(network(bad, &[]).is_err(), "{bad}");
        }
        assert!(network("127.0.0.1", &loopback).is_ok(), "development allows this machine");
    }
}
