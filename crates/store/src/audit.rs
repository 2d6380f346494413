//! Who changed what: appended in the transaction of the change; triggers in both databases see to it that nothing
//! is changed or taken away. Field names only, no values: a value may be a secret or somebody's personal data. What a
//! row was before and after stands there as a hash.

mod snapshot;

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::value::Row;
use crate::{Reader, StoreError, Tx};

/// One entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Grows with each entry.
    pub id: i64,
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
    /// The row as it was left by the change before this one.
    pub before_hash: Option<String>,
    /// The row as this change left it; nothing when it is gone.
    pub after_hash: Option<String>,
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

const APPEND: &str = "insert into audit (at, actor, account_id, action, resource_kind, resource_id, fields, request_id, source_ip,
    before_hash, after_hash)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9,
    (select after_hash from audit where resource_kind = $5 and resource_id = $6 order by id desc limit 1), $10)";

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
    let after = snapshot::hash_of(tx, change.resource_kind, change.resource_id).await?;
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
        after.into(),
    ];
    tx.execute(APPEND, &params).await?;
    Ok(())
}

fn entry_of(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.int("id")?,
        at: row.instant("at")?,
        actor: row.string("actor")?,
        account: row.opt_text("account_id")?.map(AccountId::new),
        action: row.string("action")?,
        resource_kind: row.string("resource_kind")?,
        resource_id: row.string("resource_id")?,
        fields: row.json("fields")?,
        request_id: row.opt_string("request_id")?,
        source_ip: row.opt_string("source_ip")?,
        before_hash: row.opt_string("before_hash")?,
        after_hash: row.opt_string("after_hash")?,
    })
}

/// A change that keeps no account of itself, with one: for money and other facts that have a table of their own.
pub struct Audited<C, F> {
    /// The change.
    pub command: C,
    /// What to write down, if anything, for what it came to.
    pub entry: F,
    /// Who asks.
    pub actor: Actor,
}

/// An entry in the making; see [`Change`].
#[derive(Clone, Debug)]
pub struct Entry {
    /// When.
    pub at: Timestamp,
    /// The account it concerns.
    pub account: Option<AccountId>,
    /// `transfer`, `credit`, …
    pub action: &'static str,
    /// `money`, …
    pub resource_kind: &'static str,
    /// Which one.
    pub resource_id: String,
    /// Names of the fields that changed.
    pub fields: Vec<&'static str>,
}

impl<C, F> crate::Command for Audited<C, F>
where
    C: crate::Command,
    F: Fn(&C::Output) -> Vec<Entry> + Send + Sync + 'static,
{
    type Output = C::Output;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> crate::BoxFuture<'a, Result<C::Output, StoreError>> {
        Box::pin(async move {
            let output = self.command.run(tx).await?;
            for entry in (self.entry)(&output) {
                let change = Change {
                    at: entry.at,
                    account: entry.account.as_ref(),
                    action: entry.action,
                    resource_kind: entry.resource_kind,
                    resource_id: &entry.resource_id,
                    fields: &entry.fields,
                };
                append(tx, &self.actor, change).await?;
            }
            Ok(output)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        self.command.accounts()
    }
}

/// Which entries are asked for.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Entries older than this one.
    pub before_id: Option<i64>,
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub to: Option<Timestamp>,
    /// This action only.
    pub action: Option<String>,
    /// Those of an account this actor did elsewhere, too.
    pub or_actor: Option<String>,
}

impl Reader {
    /// An account's entries, newest first.
    pub async fn audit(&self, account: &AccountId, limit: u32) -> Result<Vec<AuditEntry>, StoreError> {
        self.audit_page(account, &AuditFilter::default(), limit).await
    }

    /// A page of an account's entries, newest first.
    pub async fn audit_page(
        &self,
        account: &AccountId,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        const PAGE: &str = "select * from audit
          where (account_id = $1 or (cast($6 as text) is not null and actor = cast($6 as text)))
            and (cast($2 as bigint) is null or id < cast($2 as bigint))
            and (cast($3 as bigint) is null or at >= cast($3 as bigint))
            and (cast($4 as bigint) is null or at <= cast($4 as bigint))
            and (cast($5 as text) is null or action = cast($5 as text))
          order by id desc limit $7";
        let params = [
            account.into(),
            filter.before_id.into(),
            filter.from.into(),
            filter.to.into(),
            filter.action.as_ref().into(),
            filter.or_actor.as_ref().into(),
            limit.into(),
        ];
        self.query(PAGE, &params).await?.iter().map(entry_of).collect()
    }
}
