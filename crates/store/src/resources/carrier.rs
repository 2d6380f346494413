//! Interconnects to the telephone network, by name: the operator's.

use jiff::Timestamp;
use tandem_model::CarrierId;

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::{CarrierRow, DirectoryKind};
use crate::value::Value;
use crate::{Command, Reader, StoreError, Tx};

/// Makes an interconnect, or replaces the one of that name as it was read.
pub struct PutCarrier {
    /// As it shall be.
    pub carrier: CarrierRow,
    /// Whether it must be new.
    pub mode: PutMode,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// See [`PutCarrier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutMode {
    /// Make it; the name must be free.
    Create,
    /// Replace it, by its id.
    Replace,
}

const INSERT: &str = "insert into carrier (carrier_id, name, host, port, transport, priority, weight, cps_limit,
    concurrent_limit, prefixes, number_format, auth_username, auth_password_sealed, auth_realm, source_addresses,
    enabled, created_at, updated_at, options)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $17, $18)
  on conflict do nothing";
const UPDATE: &str =
    "update carrier set name = $2, host = $3, port = $4, transport = $5, priority = $6, weight = $7,
    cps_limit = $8, concurrent_limit = $9, prefixes = $10, number_format = $11, auth_username = $12,
    auth_password_sealed = $13, auth_realm = $14, source_addresses = $15, enabled = $16, updated_at = $17,
    options = $18
  where carrier_id = $1";

impl Command for PutCarrier {
    /// False when the name is taken (create) or it is gone (replace).
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let carrier = &self.carrier;
            let params: [Value<'_>; 18] = [
                carrier.id.into(),
                (&carrier.name).into(),
                (&carrier.host).into(),
                carrier.port.into(),
                (&carrier.transport).into(),
                carrier.priority.into(),
                carrier.weight.into(),
                carrier.cps_limit.into(),
                carrier.concurrent_limit.into(),
                list(&carrier.prefixes)?.into(),
                (&carrier.number_format).into(),
                carrier.auth_username.as_ref().into(),
                carrier.auth_password_sealed.as_ref().into(),
                carrier.auth_realm.as_ref().into(),
                list(&carrier.source_addresses)?.into(),
                carrier.enabled.into(),
                self.at.into(),
                (&carrier.options).into(),
            ];
            let (sql, action) = match self.mode {
                PutMode::Create => (INSERT, "create"),
                PutMode::Replace => (UPDATE, "update"),
            };
            if tx.execute(sql, &params).await? == 0 {
                return Ok(false);
            }
            noted(tx, &self.actor, carrier.id, action, self.at).await?;
            Ok(true)
        })
    }
}

/// Removes an interconnect. Calls that run through it run on.
pub struct RemoveCarrier {
    /// Its name.
    pub name: String,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for RemoveCarrier {
    /// False when there is none.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const REMOVE: &str = "delete from carrier where name = $1 returning carrier_id";
        Box::pin(async move {
            let Some(row) = tx.query_one(REMOVE, &[(&self.name).into()]).await? else { return Ok(false) };
            noted(tx, &self.actor, row.parsed("carrier_id")?, "delete", self.at).await?;
            Ok(true)
        })
    }
}

async fn noted(
    tx: &mut Tx<'_>,
    actor: &Actor,
    id: CarrierId,
    action: &str,
    at: Timestamp,
) -> Result<(), StoreError> {
    let id = id.to_string();
    let change =
        Change { at, account: None, action, resource_kind: "carrier", resource_id: &id, fields: &[] };
    audit::append(tx, actor, change).await?;
    tx.directory_changed(DirectoryKind::Carrier, &id, at).await
}

fn list(texts: &[String]) -> Result<String, StoreError> {
    serde_json::to_string(texts).map_err(|error| StoreError::Data(error.to_string()))
}

impl Reader {
    /// The interconnect of that name.
    pub async fn carrier_named(&self, name: &str) -> Result<Option<CarrierRow>, StoreError> {
        Ok(self.directory_carriers().await?.into_iter().find(|carrier| carrier.name == name))
    }
}
