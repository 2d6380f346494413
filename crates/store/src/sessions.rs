//! Sessions of people: refresh tokens (one use each, in families), and links that set a new password. Only
//! hashes are kept. Whatever makes a session void (another password, a stolen token) is decided here, in the
//! transaction that finds out; access tokens die with the account's epoch.

mod password;

use jiff::Timestamp;
use tandem_model::AccountId;

pub use password::{AskPasswordLink, ChangePassword, OpenPasswordLink, PasswordLinkOutcome, ResetPassword};

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::resources::account::{CreateAccount, CreateAccountOutcome};
use crate::{Command, Reader, StoreError, Tx};

/// A refresh token about to be kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewSession {
    /// Keyed hash of the token.
    pub hash: String,
    /// The sign-in it descends from.
    pub family: String,
    /// Until when it may be used.
    pub expires_at: Timestamp,
    /// Now.
    pub at: Timestamp,
}

const INSERT: &str =
    "insert into refresh_token (hash, family, account_id, epoch, state, expires_at, created_at)
  values ($1, $2, $3, $4, 'live', $5, $6)";

/// Keeps a refresh token of an account, in the command that makes it.
pub async fn open(
    tx: &mut Tx<'_>,
    account: &AccountId,
    epoch: i64,
    session: &NewSession,
) -> Result<(), StoreError> {
    let params = [
        (&session.hash).into(),
        (&session.family).into(),
        account.into(),
        epoch.into(),
        session.expires_at.into(),
        session.at.into(),
    ];
    tx.execute(INSERT, &params).await?;
    Ok(())
}

/// What a sign-in needs to know of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// Its auth_id.
    pub account: AccountId,
    /// `partner`, `master` or `sub`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its e-mail address.
    pub email: String,
    /// Hash of its password, if it has one.
    pub password_hash: Option<String>,
    /// Tokens of other epochs are void.
    pub epoch: i64,
    /// It, and its parent if it has one, may do anything at all.
    pub enabled: bool,
}

const PERSON: &str =
    "select account.*, case when account.enabled = 1 and coalesce(parent.enabled, 1) = 1 then 1 else 0 end
    as usable from account left join account as parent on parent.auth_id = account.parent_id where ";

fn person_of(row: &crate::Row) -> Result<Person, StoreError> {
    Ok(Person {
        account: row.account("auth_id")?,
        kind: row.string("kind")?,
        name: row.string("name")?,
        email: row.opt_string("email")?.unwrap_or_default(),
        password_hash: row.opt_string("password_hash")?,
        epoch: row.int("epoch")?,
        enabled: row.flag("usable")?,
    })
}

impl Reader {
    /// Who has this e-mail address.
    pub async fn person_by_email(&self, email: &str) -> Result<Option<Person>, StoreError> {
        let row = self.point(format!("{PERSON}account.email = $1"), &[email.into()]).await?;
        row.as_ref().map(person_of).transpose()
    }

    /// Who an account is.
    pub async fn person(&self, account: &AccountId) -> Result<Option<Person>, StoreError> {
        let row = self.point(format!("{PERSON}account.auth_id = $1"), &[account.into()]).await?;
        row.as_ref().map(person_of).transpose()
    }

    /// Whose refresh token that is, whatever became of it.
    pub async fn refresh_token_owner(&self, hash: &str) -> Result<Option<AccountId>, StoreError> {
        const OWNER: &str = "select account_id from refresh_token where hash = $1";
        self.point(OWNER, &[hash.into()]).await?.map(|row| row.account("account_id")).transpose()
    }
}

/// Somebody proved to know the password: opens a session, unless the account changed since.
pub struct SignIn {
    /// Whose.
    pub account: AccountId,
    /// The epoch in which the password was read.
    pub epoch: i64,
    /// Its first refresh token; `None` for a session that cannot be renewed.
    pub session: Option<NewSession>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for SignIn {
    /// False when the account was disabled, or another password set, since it was read.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const SEEN: &str =
            "update account set last_login_at = $2 where auth_id = $1 and epoch = $3 and enabled = 1";
        Box::pin(async move {
            let params = [(&self.account).into(), self.at.into(), self.epoch.into()];
            if tx.execute(SEEN, &params).await? == 0 {
                return Ok(false);
            }
            if let Some(session) = &self.session {
                open(tx, &self.account, self.epoch, session).await?;
            }
            note(tx, &self.actor, &self.account, "login", &[], self.at).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// A sign-in that failed, for the audit of the account it was tried on.
pub struct FailedSignIn {
    /// Whose.
    pub account: AccountId,
    /// From where.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for FailedSignIn {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(note(tx, &self.actor, &self.account, "login_failed", &[], self.at))
    }
}

/// Trades a refresh token for the next one of its family.
pub struct RenewSession {
    /// Hash of the token shown.
    pub hash: String,
    /// The next one; its family is that of the token shown.
    pub next: NewSession,
    /// Who asks.
    pub actor: Actor,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RenewOutcome {
    /// Traded.
    Renewed {
        /// Whose.
        account: AccountId,
        /// For the access token.
        epoch: i64,
    },
    /// No such token, or one that was revoked.
    Unknown,
    /// Nobody used it in time.
    Expired,
    /// It was used before: somebody has a copy, and its family is revoked now.
    Reused,
    /// The account is disabled.
    Inactive,
}

const SPEND: &str = "update refresh_token set state = 'used', used_at = $2
  where hash = $1 and state = 'live' and expires_at > $2 and exists (select 1 from account
    where account.auth_id = refresh_token.account_id and account.epoch = refresh_token.epoch and account.enabled = 1)
  returning account_id, family, epoch";
const WHY: &str =
    "select refresh_token.state, refresh_token.expires_at, refresh_token.family, refresh_token.account_id,
    account.enabled from refresh_token join account on account.auth_id = refresh_token.account_id
  where refresh_token.hash = $1";
const REVOKE_FAMILY: &str = "update refresh_token set state = 'revoked' where family = $1 and state = 'live'";
const REVOKE_ALL: &str =
    "update refresh_token set state = 'revoked' where account_id = $1 and state = 'live'";

impl Command for RenewSession {
    type Output = RenewOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<RenewOutcome, StoreError>> {
        Box::pin(async move {
            let at = self.next.at;
            if let Some(row) = tx.query_one(SPEND, &[(&self.hash).into(), at.into()]).await? {
                let (account, epoch) = (row.account("account_id")?, row.int("epoch")?);
                let next = NewSession { family: row.string("family")?, ..self.next.clone() };
                open(tx, &account, epoch, &next).await?;
                return Ok(RenewOutcome::Renewed { account, epoch });
            }
            let Some(row) = tx.query_one(WHY, &[(&self.hash).into()]).await? else {
                return Ok(RenewOutcome::Unknown);
            };
            if row.text("state")? == "used" {
                tx.execute(REVOKE_FAMILY, &[row.text("family")?.into()]).await?;
                let account = row.account("account_id")?;
                note(tx, &self.actor, &account, "refresh_token_reused", &[], at).await?;
                return Ok(RenewOutcome::Reused);
            }
            if !row.flag("enabled")? {
                return Ok(RenewOutcome::Inactive);
            }
            if row.text("state")? == "live" && row.instant("expires_at")? <= at {
                return Ok(RenewOutcome::Expired);
            }
            Ok(RenewOutcome::Unknown)
        })
    }
}

/// Ends the session a refresh token belongs to.
pub struct EndSession {
    /// Hash of the token.
    pub hash: String,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for EndSession {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        const FAMILY: &str = "select family, account_id from refresh_token where hash = $1";
        Box::pin(async move {
            let Some(row) = tx.query_one(FAMILY, &[(&self.hash).into()]).await? else { return Ok(()) };
            tx.execute(REVOKE_FAMILY, &[row.text("family")?.into()]).await?;
            note(tx, &self.actor, &row.account("account_id")?, "logout", &[], self.at).await
        })
    }
}

/// Makes an account together with its first session. Its epoch is 1.
pub struct CreateWithSession {
    /// The account.
    pub create: CreateAccount,
    /// Its session.
    pub session: NewSession,
}

impl Command for CreateWithSession {
    type Output = CreateAccountOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<CreateAccountOutcome, StoreError>> {
        Box::pin(async move {
            let outcome = self.create.run(tx).await?;
            if let CreateAccountOutcome::Created(id) = &outcome {
                open(tx, id, 1, &self.session).await?;
            }
            Ok(outcome)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        self.create.accounts()
    }
}

/// Opens a session of an account that stands already: what [`SignIn`] does, without a person.
pub struct OpenSession {
    /// Whose.
    pub account: AccountId,
    /// Its refresh token.
    pub session: NewSession,
}

impl Command for OpenSession {
    /// The account's epoch; `None` when it is gone or disabled.
    type Output = Option<i64>;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Option<i64>, StoreError>> {
        const EPOCH: &str = "select epoch from account where auth_id = $1 and enabled = 1";
        Box::pin(async move {
            let Some(row) = tx.query_one(EPOCH, &[(&self.account).into()]).await? else { return Ok(None) };
            let epoch = row.int("epoch")?;
            open(tx, &self.account, epoch, &self.session).await?;
            Ok(Some(epoch))
        })
    }
}

/// Forgets refresh tokens and password links long past.
pub struct PurgeSessions {
    /// Those that expired before this.
    pub before: Timestamp,
}

impl Command for PurgeSessions {
    /// How many went.
    type Output = u64;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<u64, StoreError>> {
        const TOKENS: &str = "delete from refresh_token where expires_at < $1";
        const LINKS: &str = "delete from password_link where expires_at < $1";
        Box::pin(async move {
            let tokens = tx.execute(TOKENS, &[self.before.into()]).await?;
            Ok(tokens + tx.execute(LINKS, &[self.before.into()]).await?)
        })
    }
}

/// Makes every token of an account void: a new epoch, and no refresh token left.
async fn end_all(tx: &mut Tx<'_>, account: &AccountId, at: Timestamp) -> Result<(), StoreError> {
    const EPOCH: &str = "update account set epoch = epoch + 1, updated_at = $2 where auth_id = $1";
    tx.execute(EPOCH, &[account.into(), at.into()]).await?;
    tx.execute(REVOKE_ALL, &[account.into()]).await?;
    tx.directory_changed(DirectoryKind::Account, account.as_str(), at).await
}

async fn note(
    tx: &mut Tx<'_>,
    actor: &Actor,
    account: &AccountId,
    action: &str,
    fields: &[&str],
    at: Timestamp,
) -> Result<(), StoreError> {
    let change = Change {
        at,
        account: Some(account),
        action,
        resource_kind: "session",
        resource_id: account.as_str(),
        fields,
    };
    audit::append(tx, actor, change).await
}
