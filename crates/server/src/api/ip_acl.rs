//! IP access lists of trunks (REST reference §9.3): IPv4 addresses and networks, no wider than /24; IPv6 likewise, no wider
//! than /48, which is what one site has (our own addition).

use std::net::IpAddr;

use axum::extract::{Path, State};
use axum::routing::{get, post, put};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
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

/// The shortest prefixes taken: wider networks need an operator.
const PREFIX_MIN: u8 = 24;
const PREFIX_MIN_V6: u8 = 48;
/// Bits before the IPv4 address in a mapped one.
const MAPPED_BITS: u8 = 96;
/// Characters of a name at most.
const NAME_MAX: usize = 500;
/// What is said of anything that is no such address.
const FORMAT: &str = "Invalid IP address format";
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

/// An address or network a customer may name as its own. `allowed` are the networks the operator opened: loopback is taken
/// only when they cover it. A mapped address (`::ffff:192.0.2.1`) is judged as the IPv4 address it is.
pub(super) fn network(text: &str, allowed: &[IpNet]) -> Result<IpNet, &'static str> {
    let network = match text.parse::<IpAddr>() {
        Ok(address) => IpNet::from(address),
        Err(_) => text.parse::<IpNet>().map_err(|_| FORMAT)?,
    };
    match network {
        IpNet::V4(network) => of_v4(network, allowed),
        IpNet::V6(network) => match network.network().to_ipv4_mapped() {
            Some(address) => {
                let bits = network.prefix_len().checked_sub(MAPPED_BITS).ok_or(FORMAT)?;
                of_v4(Ipv4Net::new(address, bits).map_err(|_| FORMAT)?, allowed)
            }
            None => of_v6(network, allowed),
        },
    }
}

fn of_v6(network: Ipv6Net, allowed: &[IpNet]) -> Result<IpNet, &'static str> {
    if network.prefix_len() < PREFIX_MIN_V6 {
        return Err("IPv6 networks wider than /48 are not accepted");
    }
    let address = network.network();
    let [first, second, ..] = address.segments();
    let documentation = (first, second) == (0x2001, 0x0db8);
    let link_local = first & 0xffc0 == 0xfe80;
    // Below ::/16 lie addresses of other kinds, and this machine.
    let other = first == 0 && !address.is_loopback();
    if documentation || link_local || address.is_multicast() || other {
        return Err(FORMAT);
    }
    if address.is_loopback() && !allowed.iter().any(|net| net.contains(&IpAddr::V6(address))) {
        return Err(FORMAT);
    }
    Ok(IpNet::V6(network))
}

fn of_v4(network: Ipv4Net, allowed: &[IpNet]) -> Result<IpNet, &'static str> {
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
    Ok(IpNet::V4(network))
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
    fields.check_known()?;
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
    fn networks_are_no_wider_than_a_24_and_a_48_and_of_a_kind_that_can_call() {
        let loopback = ["127.0.0.0/8".parse().unwrap()];
        for good in [
            "8.8.8.8",
            "10.1.2.3",
            "198.18.0.0/24",
            "9.9.9.9/32",
            "2001:4860::8888",
            "2001:4860:7::/48",
            "fd00:1:2::/64",
            "::ffff:9.9.9.9",
            "::ffff:9.9.9.0/120",
        ] {
            assert!(network(good, &[]).is_ok(), "{good}");
        }
        for bad in [
            "",
            "pbx.example",
            "8.8.8.8/23",
            "0.0.0.0/0",
            "::1",
            "2001:4860::/47",
            "::/0",
            "::",
            "2001:db8::1",
            "fe80::1",
            "ff02::1",
            "::ffff:9.9.0.0/112",
            "::ffff:127.0.0.1",
            "::ffff:0.0.0.0/90",
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
        let own = ["::1/128".parse().unwrap()];
        assert!(network("::1", &own).is_ok());
        assert!(network("127.0.0.1", &loopback).is_ok(), "development allows this machine");
    }
}
