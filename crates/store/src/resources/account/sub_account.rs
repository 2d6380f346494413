//! Sub-accounts: made and changed by their main account, whose country, currency and partner they share and who
//! pays for them.

use jiff::Timestamp;
use tandem_model::AccountId;
use uuid::Uuid;

use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::resources::change::{Noted, note};
use crate::sessions::{self, NewSession};
use crate::{Command, StoreError, Tx};

/// The epoch of an account that was just made.
const FIRST_EPOCH: i64 = 1;

/// Sub-accounts of one main account at most.
pub const SUB_ACCOUNTS_MAX: u64 = 1_000;

/// What a sub-account starts with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSubAccount {
    /// Ids to try, in order: they are short enough to collide.
    pub candidates: Vec<AccountId>,
    /// A stable UUID.
    pub api_id: Uuid,
    /// Its main account.
    pub parent: AccountId,
    /// Its name.
    pub name: String,
    /// Its e-mail address, unique over the platform.
    pub email: Option<String>,
    /// Its phone number.
    pub phone: String,
    /// For people.
    pub description: String,
    /// May do anything at all.
    pub enabled: bool,
    /// A JSON object: permissions, rate limit, KYC mode.
    pub profile: String,
    /// Keyed hash of its token.
    pub token_hash: String,
    /// Its token, encrypted.
    pub token_sealed: Vec<u8>,
    /// Hash of its password, if it may sign in.
    pub password_hash: Option<String>,
}

/// Makes a sub-account.
pub struct CreateSubAccount {
    /// What it starts with.
    pub account: NewSubAccount,
    /// A first session of its own.
    pub session: Option<NewSession>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CreateSubAccountOutcome {
    /// Made.
    Created {
        /// Under this id.
        id: AccountId,
        /// Its number in `id` fields.
        numeric_id: i64,
        /// The number of its main account.
        parent_numeric_id: i64,
    },
    /// Another account has the e-mail address.
    EmailTaken,
    /// The main account has [`SUB_ACCOUNTS_MAX`].
    LimitReached,
    /// No such main account.
    NoParent,
    /// Every candidate id is taken: draw others.
    NoFreeId,
}

const PARENT: &str =
    "select numeric_id, (select count(*) from account as sub where sub.parent_id = $1) as subs
  from account where auth_id = $1 and kind = 'master'";
const INSERT: &str = "insert into account (auth_id, numeric_id, api_id, kind, partner_id, parent_id, name, email, phone,
    description, company, country, timezone, currency, profile, enabled, kyc_status, token_hash, token_sealed,
    password_hash, cps_limit, concurrent_limit, created_at, updated_at)
  select $2, $3, $4, 'sub', parent.partner_id, parent.auth_id, $5, $6, $7, $8, parent.company, parent.country,
    parent.timezone, parent.currency, $9, $10, 'pending', $11, $12, $13, parent.cps_limit, parent.concurrent_limit,
    $14, $14
  from account as parent where parent.auth_id = $1
  on conflict do nothing";
const EMAIL: &str = "select auth_id from account where email = $1";

impl Command for CreateSubAccount {
    type Output = CreateSubAccountOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let account = &self.account;
            let Some(parent) = tx.query_one(PARENT, &[(&account.parent).into()]).await? else {
                return Ok(CreateSubAccountOutcome::NoParent);
            };
            if parent.count("subs")? >= SUB_ACCOUNTS_MAX {
                return Ok(CreateSubAccountOutcome::LimitReached);
            }
            for id in &account.candidates {
                let numeric_id = tx.next_number("account").await?;
                if self.insert(tx, id, numeric_id).await? {
                    if let Some(session) = &self.session {
                        sessions::open(tx, id, FIRST_EPOCH, session).await?;
                    }
                    self.noted(tx, id).await?;
                    let parent_numeric_id = parent.int("numeric_id")?;
                    return Ok(CreateSubAccountOutcome::Created {
                        id: id.clone(),
                        numeric_id,
                        parent_numeric_id,
                    });
                }
                if let Some(email) = &account.email
                    && tx.query_one(EMAIL, &[email.into()]).await?.is_some()
                {
                    return Ok(CreateSubAccountOutcome::EmailTaken);
                }
            }
            Ok(CreateSubAccountOutcome::NoFreeId)
        })
    }

    /// The parent's row is locked, so that two nodes cannot both take its last place.
    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account.parent]
    }
}

impl CreateSubAccount {
    async fn insert(&self, tx: &mut Tx<'_>, id: &AccountId, numeric_id: i64) -> Result<bool, StoreError> {
        let account = &self.account;
        let api_id = account.api_id.hyphenated().to_string();
        let params = [
            (&account.parent).into(),
            id.into(),
            numeric_id.into(),
            api_id.into(),
            (&account.name).into(),
            account.email.as_ref().into(),
            (&account.phone).into(),
            (&account.description).into(),
            (&account.profile).into(),
            account.enabled.into(),
            (&account.token_hash).into(),
            (&account.token_sealed).into(),
            account.password_hash.as_ref().into(),
            self.at.into(),
        ];
        Ok(tx.execute(INSERT, &params).await? == 1)
    }

    async fn noted(&self, tx: &mut Tx<'_>, id: &AccountId) -> Result<(), StoreError> {
        let noted = Noted {
            kind: DirectoryKind::Account,
            id: id.as_str(),
            account: &self.account.parent,
            action: "create",
            fields: &[],
            at: self.at,
        };
        note(tx, &self.actor, noted).await
    }
}

/// What a sub-account looks like after a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubAccountChange {
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: Option<String>,
    /// Its phone number.
    pub phone: String,
    /// For people.
    pub description: String,
    /// May do anything at all.
    pub enabled: bool,
    /// A JSON object.
    pub profile: String,
}

/// Changes a sub-account that is as it was read.
pub struct UpdateSubAccount {
    /// Which one.
    pub id: AccountId,
    /// Its main account.
    pub parent: AccountId,
    /// As it is to be.
    pub change: SubAccountChange,
    /// Its `updated_at` when it was read.
    pub expected: Timestamp,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
    /// Now, and later than `expected`.
    pub at: Timestamp,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateSubAccountOutcome {
    /// Changed.
    Updated,
    /// It is gone, or has changed since it was read: read it again.
    Stale,
    /// Another account has the e-mail address.
    EmailTaken,
}

const UPDATE: &str =
    "update account set name = $4, email = $5, phone = $6, description = $7, enabled = $8, profile = $9,
    updated_at = $10
  where auth_id = $1 and parent_id = $2 and kind = 'sub' and updated_at = $3
    and not exists (select 1 from account as other where other.email = $5 and other.auth_id <> $1)";
const OTHERS_EMAIL: &str = "select auth_id from account where email = $1 and auth_id <> $2";

impl Command for UpdateSubAccount {
    type Output = UpdateSubAccountOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Self::Output, StoreError>> {
        Box::pin(async move {
            let change = &self.change;
            let params = [
                (&self.id).into(),
                (&self.parent).into(),
                self.expected.into(),
                (&change.name).into(),
                change.email.as_ref().into(),
                (&change.phone).into(),
                (&change.description).into(),
                change.enabled.into(),
                (&change.profile).into(),
                self.at.into(),
            ];
            if tx.execute(UPDATE, &params).await? == 0 {
                let taken = [change.email.as_ref().into(), (&self.id).into()];
                return Ok(match tx.query_one(OTHERS_EMAIL, &taken).await? {
                    Some(_) => UpdateSubAccountOutcome::EmailTaken,
                    None => UpdateSubAccountOutcome::Stale,
                });
            }
            let noted = Noted {
                kind: DirectoryKind::Account,
                id: self.id.as_str(),
                account: &self.parent,
                action: "update",
                fields: &self.fields,
                at: self.at,
            };
            note(tx, &self.actor, noted).await?;
            Ok(UpdateSubAccountOutcome::Updated)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.id]
    }
}
