//! Who changed what: appended in the transaction of the change, never updated. Field names only, no values:
//! a value may be a secret or somebody's personal data.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::value::Row;
use crate::{Reader, StoreError, Tx};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When.
    pub at: Timestamp,
    /// Who: an auth_id, `admin`, `system`.
    pub actor: String,
    /// The account it concerns.
    pub account: Option<AccountId>,
    /// `create`, `update`, `delete`, `rotate`, …
    pub action: String,
    /// `application`, `trunk`, …
    pub resource_kind: String,
    /// Which one.
    pub resource_id: String,
    /// Names of the fields that changed.
    pub fields: Vec<String>,
    /// The request that asked.
    pub request_id: Option<String>,
    /// Where it came from.
    pub source_ip: Option<String>,
}

/// Who asks for a change: the part of an audit entry that a request knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// An auth_id, `admin`, `system`.
    pub name: String,
    /// The request.
    pub request_id: Option<String>,
    /// Where it came from.
    pub source_ip: Option<String>,
}

impl Actor {
    /// The program itself.
    pub fn system() -> Self {
        Self { name: "system".to_owned(), request_id: None, source_ip: None }
    }
}

const APPEND: &str = "insert into audit (at, actor, account_id, action, resource_kind, resource_id, fields, request_id, source_ip)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";

/// What a change did, beside who asked for it.
#[derive(Clone, Copy, Debug)]
pub struct Change<'c> {
    /// When.
    pub at: Timestamp,
    /// The account it concerns.
    pub account: Option<&'c AccountId>,
    /// `create`, `update`, `delete`, …
    pub action: &'c str,
    /// `application`, `trunk`, …
    pub resource_kind: &'c str,
    /// Which one.
    pub resource_id: &'c str,
    /// Names of the fields that changed.
    pub fields: &'c [&'c str],
}

/// Appends an entry to the transaction of the change.
pub async fn append(tx: &mut Tx<'_>, actor: &Actor, change: Change<'_>) -> Result<(), StoreError> {
    let fields = serde_json::to_string(change.fields).map_err(|error| StoreError::Data(error.to_string()))?;
    let params = [
        change.at.into(),
        (&actor.name).into(),
        change.account.into(),
        change.action.into(),
        change.resource_kind.into(),
        change.resource_id.into(),
        fields.into(),
        actor.request_id.as_ref().into(),
        actor.source_ip.as_ref().into(),
    ];
    tx.execute(APPEND, &params).await?;
    Ok(())
}

fn entry_of(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        at: row.instant("at")?,
        actor: row.string("actor")?,
        account: row.opt_text("account_id")?.map(AccountId::new),
        action: row.string("action")?,
        resource_kind: row.string("resource_kind")?,
        resource_id: row.string("resource_id")?,
        fields: row.json("fields")?,
        request_id: row.opt_string("request_id")?,
        source_ip: row.opt_string("source_ip")?,
    })
}

impl Reader {
    /// An account's entries, newest first.
    pub async fn audit(&self, account: &AccountId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        const LIST: &str = "select * from audit where account_id = $1 order by at desc, id desc limit $2";
        self.query(LIST, &[account.into(), limit.into()]).await?.iter().map(entry_of).collect()
    }
}
