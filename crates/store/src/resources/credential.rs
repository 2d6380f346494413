//! Trunk credentials: user names and passwords a PBX authenticates with. Asked for by the REST API.

use jiff::Timestamp;
use tandem_model::{AccountId, TrunkId};

use super::change::{Noted, Removed, note};
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::Row;
use crate::{Command, Reader, StoreError, Tx};

/// A credential in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// Its id, a UUID.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// The trunk it was made for; it may also be named by a trunk.
    pub trunk: Option<TrunkId>,
    /// User name; fixed at creation.
    pub username: String,
    /// Password, encrypted.
    pub password_sealed: Vec<u8>,
    /// For people.
    pub description: String,
    /// Usable.
    pub enabled: bool,
    /// Read only: the domain label of the trunk it serves, its realm.
    pub domain_label: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn credential_of(row: &Row) -> Result<Credential, StoreError> {
    Ok(Credential {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        username: row.string("username")?,
        password_sealed: row.bytes("password_sealed")?,
        description: row.string("description")?,
        enabled: row.flag("enabled")?,
        domain_label: row.opt_string("domain_label")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

const INSERT: &str = "insert into trunk_credential (id, account_id, trunk_id, username, password_sealed,
    description, enabled, created_at, updated_at)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing";

/// Inserts it with its notes; false when the user name is taken.
pub(super) async fn insert(
    tx: &mut Tx<'_>,
    credential: &Credential,
    actor: &Actor,
) -> Result<bool, StoreError> {
    let params = [
        (&credential.id).into(),
        (&credential.account).into(),
        credential.trunk.into(),
        (&credential.username).into(),
        (&credential.password_sealed).into(),
        (&credential.description).into(),
        credential.enabled.into(),
        credential.created_at.into(),
        credential.updated_at.into(),
    ];
    if tx.execute(INSERT, &params).await? == 0 {
        return Ok(false);
    }
    noted(tx, actor, credential, "create", &[]).await?;
    Ok(true)
}

async fn noted(
    tx: &mut Tx<'_>,
    actor: &Actor,
    credential: &Credential,
    action: &str,
    fields: &[&str],
) -> Result<(), StoreError> {
    let Credential { id, account, updated_at, .. } = credential;
    let kind = DirectoryKind::Credential;
    note(tx, actor, Noted { kind, id, account, action, fields, at: *updated_at }).await
}

/// Makes a credential.
pub struct CreateCredential {
    /// The credential.
    pub credential: Credential,
    /// Who asks.
    pub actor: Actor,
}

/// What became of a new credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateCredentialOutcome {
    /// Made.
    Created,
    /// The trunk, or the account's credentials without a trunk, have the user name.
    UsernameTaken,
    /// Its trunk is not the account's.
    TrunkNotFound,
}

impl Command for CreateCredential {
    type Output = CreateCredentialOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<CreateCredentialOutcome, StoreError>> {
        Box::pin(async move {
            let credential = &self.credential;
            if !super::change::owns_trunk(tx, &credential.account, credential.trunk).await? {
                return Ok(CreateCredentialOutcome::TrunkNotFound);
            }
            let inserted = insert(tx, credential, &self.actor).await?;
            Ok(if inserted {
                CreateCredentialOutcome::Created
            } else {
                CreateCredentialOutcome::UsernameTaken
            })
        })
    }
}

/// Changes a credential; the user name stays.
pub struct UpdateCredential {
    /// Which one.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// The new password, encrypted.
    pub password_sealed: Option<Vec<u8>>,
    /// New words.
    pub description: Option<String>,
    /// Usable or not.
    pub enabled: Option<bool>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for UpdateCredential {
    /// False when the account has no such credential.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const UPDATE: &str = "update trunk_credential set
              password_sealed = coalesce($3, password_sealed), description = coalesce($4, description),
              enabled = coalesce($5, enabled), updated_at = $6
            where id = $1 and account_id = $2";
        Box::pin(async move {
            let params = [
                (&self.id).into(),
                (&self.account).into(),
                self.password_sealed.as_ref().into(),
                self.description.as_ref().into(),
                self.enabled.into(),
                self.at.into(),
            ];
            if tx.execute(UPDATE, &params).await? == 0 {
                return Ok(false);
            }
            let fields: Vec<&str> = [
                self.password_sealed.as_ref().map(|_| "password"),
                self.description.as_ref().map(|_| "description"),
                self.enabled.map(|_| "enabled"),
            ]
            .into_iter()
            .flatten()
            .collect();
            let (id, account, at) = (self.id.as_str(), &self.account, self.at);
            let kind = DirectoryKind::Credential;
            let update = Noted { kind, id, account, action: "update", fields: &fields, at };
            note(tx, &self.actor, update).await?;
            Ok(true)
        })
    }
}

/// Removes a credential whose trunk carries no call.
pub struct DeleteCredential {
    /// Which one.
    pub id: String,
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for DeleteCredential {
    type Output = Removed;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Removed, StoreError>> {
        const LIVE: &str = "select (select count(*) from live_call where live_call.trunk_id in (
                select trunk.trunk_id from trunk
                where trunk.credential_id = c.id or trunk.trunk_id = c.trunk_id)) as live
            from trunk_credential c where c.id = $1 and c.account_id = $2";
        const DELETE: &str = "delete from trunk_credential where id = $1 and account_id = $2";
        const UNNAME: &str = "update trunk set credential_id = null, updated_at = $3
            where credential_id = $1 and account_id = $2 returning trunk_id as id";
        Box::pin(async move {
            let key = [self.id.as_str().into(), (&self.account).into()];
            let Some(row) = tx.query_one(LIVE, &key).await? else { return Ok(Removed::NotFound) };
            let live = row.count("live")?;
            if live > 0 {
                return Ok(Removed::InUse(live));
            }
            tx.execute(DELETE, &key).await?;
            let (id, account, at) = (self.id.as_str(), &self.account, self.at);
            super::change::unname(tx, UNNAME, id, account, at).await?;
            let kind = DirectoryKind::Credential;
            note(tx, &self.actor, Noted { kind, id, account, action: "delete", fields: &[], at }).await?;
            Ok(Removed::Removed)
        })
    }
}

const SELECT: &str = "select c.*, coalesce(own.domain_label,
    (select min(naming.domain_label) from trunk naming where naming.credential_id = c.id)) as domain_label
  from trunk_credential c left join trunk own on own.trunk_id = c.trunk_id where c.account_id = $1";

impl Reader {
    /// One credential, if it is the account's.
    pub async fn credential(&self, account: &AccountId, id: &str) -> Result<Option<Credential>, StoreError> {
        let sql = format!("{SELECT} and c.id = $2");
        let row = self.query_one(sql, &[account.into(), id.into()]).await?;
        row.as_ref().map(credential_of).transpose()
    }

    /// A page of an account's credentials, newest first, and how many there are; of one trunk's if given.
    pub async fn credentials(
        &self,
        account: &AccountId,
        trunk: Option<TrunkId>,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Credential>, u64), StoreError> {
        const OF_TRUNK: &str = "and (cast($2 as text) is null or c.trunk_id = cast($2 as text)
            or c.id in (select credential_id from trunk where trunk_id = cast($2 as text)))";
        let count =
            format!("select count(*) as n from trunk_credential c where c.account_id = $1 {OF_TRUNK}");
        let page = format!("{SELECT} {OF_TRUNK} order by c.created_at desc, c.id desc limit $3 offset $4");
        let key = [account.into(), trunk.into()];
        let total = self.query_one(count, &key).await?.map_or(Ok(0), |row| row.count("n"))?;
        let rows = self.query(page, &[account.into(), trunk.into(), limit.into(), offset.into()]).await?;
        Ok((rows.iter().map(credential_of).collect::<Result<_, _>>()?, total))
    }
}
