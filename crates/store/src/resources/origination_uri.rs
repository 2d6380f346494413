//! Origination URIs: where a trunk's calls from the network go. Asked for by the REST API.

use jiff::Timestamp;
use tandem_model::{AccountId, TrunkId};

use super::change::{Noted, note, owns_trunk, unname};
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// One URI.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginationUri {
    /// Its id, a UUID.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// The trunk it was made for; it may also be named by a trunk.
    pub trunk: Option<TrunkId>,
    /// The SIP URI.
    pub uri: String,
    /// Lower first.
    pub priority: u32,
    /// Splits equal priorities.
    pub weight: u32,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// For people; the `name` of the request.
    pub description: String,
    /// Usable.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn small(row: &Row, column: &str) -> Result<u32, StoreError> {
    u32::try_from(row.int(column)?).map_err(|_| StoreError::Data(format!("column {column}")))
}

fn uri_of(row: &Row) -> Result<OriginationUri, StoreError> {
    Ok(OriginationUri {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        uri: row.string("uri")?,
        priority: small(row, "priority")?,
        weight: small(row, "weight")?,
        transport: row.string("transport")?,
        description: row.string("description")?,
        enabled: row.flag("enabled")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

/// Makes a URI.
pub struct CreateOriginationUri {
    /// The URI.
    pub uri: OriginationUri,
    /// Who asks.
    pub actor: Actor,
}

impl Command for CreateOriginationUri {
    /// False when its trunk is not the account's.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const INSERT: &str = "insert into origination_uri (id, account_id, trunk_id, uri, priority, weight,
              transport, description, enabled, created_at, updated_at)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
        Box::pin(async move {
            let uri = &self.uri;
            if !owns_trunk(tx, &uri.account, uri.trunk).await? {
                return Ok(false);
            }
            let params = [
                (&uri.id).into(),
                (&uri.account).into(),
                uri.trunk.into(),
                (&uri.uri).into(),
                uri.priority.into(),
                uri.weight.into(),
                (&uri.transport).into(),
                (&uri.description).into(),
                uri.enabled.into(),
                uri.created_at.into(),
                uri.updated_at.into(),
            ];
            tx.execute(INSERT, &params).await?;
            let (id, account, at) = (uri.id.as_str(), &uri.account, uri.updated_at);
            let kind = DirectoryKind::OriginationUri;
            note(tx, &self.actor, Noted { kind, id, account, action: "create", fields: &[], at }).await?;
            Ok(true)
        })
    }
}

/// Changes a URI.
pub struct UpdateOriginationUri {
    /// Which one.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// The new SIP URI with its transport.
    pub uri: Option<(String, String)>,
    /// Lower first.
    pub priority: Option<u32>,
    /// Splits equal priorities.
    pub weight: Option<u32>,
    /// New words.
    pub description: Option<String>,
    /// Usable or not.
    pub enabled: Option<bool>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for UpdateOriginationUri {
    /// False when the account has no such URI.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const UPDATE: &str = "update origination_uri set uri = coalesce($3, uri),
              transport = coalesce($4, transport), priority = coalesce($5, priority),
              weight = coalesce($6, weight), description = coalesce($7, description),
              enabled = coalesce($8, enabled), updated_at = $9
            where id = $1 and account_id = $2";
        Box::pin(async move {
            let params = [
                (&self.id).into(),
                (&self.account).into(),
                self.uri.as_ref().map(|(uri, _)| uri).into(),
                self.uri.as_ref().map(|(_, transport)| transport).into(),
                self.priority.into(),
                self.weight.into(),
                self.description.as_ref().into(),
                self.enabled.into(),
                self.at.into(),
            ];
            if tx.execute(UPDATE, &params).await? == 0 {
                return Ok(false);
            }
            let fields: Vec<&str> = [
                self.uri.as_ref().map(|_| "uri"),
                self.priority.map(|_| "priority"),
                self.weight.map(|_| "weight"),
                self.description.as_ref().map(|_| "description"),
                self.enabled.map(|_| "enabled"),
            ]
            .into_iter()
            .flatten()
            .collect();
            let (id, account, at) = (self.id.as_str(), &self.account, self.at);
            let kind = DirectoryKind::OriginationUri;
            note(tx, &self.actor, Noted { kind, id, account, action: "update", fields: &fields, at }).await?;
            Ok(true)
        })
    }
}

/// Removes a URI.
pub struct DeleteOriginationUri {
    /// Which one.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for DeleteOriginationUri {
    /// False when the account has no such URI.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const DELETE: &str = "delete from origination_uri where id = $1 and account_id = $2";
        const UNNAME: &str = "update trunk set updated_at = $3,
              primary_uri_id = case when primary_uri_id = $1 then null else primary_uri_id end,
              fallback_uri_id = case when fallback_uri_id = $1 then null else fallback_uri_id end
            where (primary_uri_id = $1 or fallback_uri_id = $1) and account_id = $2 returning trunk_id as id";
        Box::pin(async move {
            let (id, account, at) = (self.id.as_str(), &self.account, self.at);
            if tx.execute(DELETE, &[id.into(), account.into()]).await? == 0 {
                return Ok(false);
            }
            unname(tx, UNNAME, id, account, at).await?;
            let kind = DirectoryKind::OriginationUri;
            note(tx, &self.actor, Noted { kind, id, account, action: "delete", fields: &[], at }).await?;
            Ok(true)
        })
    }
}

impl Reader {
    /// One URI, if it is the account's.
    pub async fn origination_uri(
        &self,
        account: &AccountId,
        id: &str,
    ) -> Result<Option<OriginationUri>, StoreError> {
        const ONE: &str = "select * from origination_uri where id = $1 and account_id = $2";
        self.point(ONE, &[id.into(), account.into()]).await?.as_ref().map(uri_of).transpose()
    }

    /// A page of an account's URIs, newest first, and how many there are; of one trunk's if given.
    pub async fn origination_uris(
        &self,
        account: &AccountId,
        trunk: Option<TrunkId>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<OriginationUri>, u64), StoreError> {
        const WHERE: &str = "from origination_uri where account_id = $1
            and (cast($2 as text) is null or trunk_id = cast($2 as text)
              or id in (select primary_uri_id from trunk where trunk_id = cast($2 as text))
              or id in (select fallback_uri_id from trunk where trunk_id = cast($2 as text)))";
        let count = format!("select count(*) as n {WHERE}");
        let page = format!("select * {WHERE} order by created_at desc, id desc limit $3 offset $4");
        let key = [account.into(), trunk.into()];
        let total = self.query_one(count, &key).await?.map_or(Ok(0), |row| row.count("n"))?;
        let rows = self.query(page, &[account.into(), trunk.into(), limit.into(), offset.into()]).await?;
        Ok((rows.iter().map(uri_of).collect::<Result<_, _>>()?, total))
    }
}
