//! IP access lists of trunks: addresses whose calls need no password. Asked for by the REST API.

use jiff::Timestamp;
use tandem_model::{AccountId, TrunkId};

use super::change::{Noted, note, owns_trunk, unname};
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// Its id, a UUID.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// The trunk it was made for; it may also be named by a trunk.
    pub trunk: Option<TrunkId>,
    /// Address or network, as the customer wrote it.
    pub cidr: String,
    /// For people; the `name` of the request.
    pub description: String,
    /// Usable.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn acl_of(row: &Row) -> Result<Acl, StoreError> {
    Ok(Acl {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        cidr: row.string("cidr")?,
        description: row.string("description")?,
        enabled: row.flag("enabled")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

/// Inserts an entry with its notes.
pub(super) async fn insert(tx: &mut Tx<'_>, acl: &Acl, actor: &Actor) -> Result<(), StoreError> {
    const INSERT: &str = "insert into trunk_acl (id, account_id, trunk_id, cidr, description, enabled,
        created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let params = [
        (&acl.id).into(),
        (&acl.account).into(),
        acl.trunk.into(),
        (&acl.cidr).into(),
        (&acl.description).into(),
        acl.enabled.into(),
        acl.created_at.into(),
        acl.updated_at.into(),
    ];
    tx.execute(INSERT, &params).await?;
    let (id, account, at) = (acl.id.as_str(), &acl.account, acl.updated_at);
    let kind = DirectoryKind::Acl;
    note(tx, actor, Noted { kind, id, account, action: "create", fields: &[], at }).await
}

/// Makes an entry.
pub struct CreateAcl {
    /// The entry.
    pub acl: Acl,
    /// Who asks.
    pub actor: Actor,
}

impl Command for CreateAcl {
    /// False when its trunk is not the account's.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            if !owns_trunk(tx, &self.acl.account, self.acl.trunk).await? {
                return Ok(false);
            }
            insert(tx, &self.acl, &self.actor).await?;
            Ok(true)
        })
    }
}

/// Changes an entry.
pub struct UpdateAcl {
    /// Which one.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// The new address or network.
    pub cidr: Option<String>,
    /// New words.
    pub description: Option<String>,
    /// Usable or not.
    pub enabled: Option<bool>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for UpdateAcl {
    /// False when the account has no such entry.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const UPDATE: &str = "update trunk_acl set cidr = coalesce($3, cidr),
              description = coalesce($4, description), enabled = coalesce($5, enabled), updated_at = $6
            where id = $1 and account_id = $2";
        Box::pin(async move {
            let params = [
                (&self.id).into(),
                (&self.account).into(),
                self.cidr.as_ref().into(),
                self.description.as_ref().into(),
                self.enabled.into(),
                self.at.into(),
            ];
            if tx.execute(UPDATE, &params).await? == 0 {
                return Ok(false);
            }
            let fields: Vec<&str> = [
                self.cidr.as_ref().map(|_| "ip_address"),
                self.description.as_ref().map(|_| "description"),
                self.enabled.map(|_| "enabled"),
            ]
            .into_iter()
            .flatten()
            .collect();
            let (id, account, at) = (self.id.as_str(), &self.account, self.at);
            let kind = DirectoryKind::Acl;
            note(tx, &self.actor, Noted { kind, id, account, action: "update", fields: &fields, at }).await?;
            Ok(true)
        })
    }
}

/// Removes an entry.
pub struct DeleteAcl {
    /// Which one.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for DeleteAcl {
    /// False when the account has no such entry.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const DELETE: &str = "delete from trunk_acl where id = $1 and account_id = $2";
        const UNNAME: &str = "update trunk set acl_id = null, updated_at = $3
            where acl_id = $1 and account_id = $2 returning trunk_id as id";
        Box::pin(async move {
            let (id, account, at) = (self.id.as_str(), &self.account, self.at);
            if tx.execute(DELETE, &[id.into(), account.into()]).await? == 0 {
                return Ok(false);
            }
            unname(tx, UNNAME, id, account, at).await?;
            let kind = DirectoryKind::Acl;
            note(tx, &self.actor, Noted { kind, id, account, action: "delete", fields: &[], at }).await?;
            Ok(true)
        })
    }
}

impl Reader {
    /// One entry, if it is the account's.
    pub async fn acl(&self, account: &AccountId, id: &str) -> Result<Option<Acl>, StoreError> {
        const ONE: &str = "select * from trunk_acl where id = $1 and account_id = $2";
        self.point(ONE, &[id.into(), account.into()]).await?.as_ref().map(acl_of).transpose()
    }

    /// A page of an account's entries, newest first, and how many there are; of one trunk's if given.
    pub async fn acls(
        &self,
        account: &AccountId,
        trunk: Option<TrunkId>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Acl>, u64), StoreError> {
        const WHERE: &str = "from trunk_acl where account_id = $1
            and (cast($2 as text) is null or trunk_id = cast($2 as text)
              or id in (select acl_id from trunk where trunk_id = cast($2 as text)))";
        let count = format!("select count(*) as n {WHERE}");
        let page = format!("select * {WHERE} order by created_at desc, id desc limit $3 offset $4");
        let key = [account.into(), trunk.into()];
        let total = self.query_one(count, &key).await?.map_or(Ok(0), |row| row.count("n"))?;
        let rows = self.query(page, &[account.into(), trunk.into(), limit.into(), offset.into()]).await?;
        Ok((rows.iter().map(acl_of).collect::<Result<_, _>>()?, total))
    }
}
