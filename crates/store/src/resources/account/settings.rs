//! What an account sets for itself: where events go that nothing more specific takes; its name and address.

use jiff::Timestamp;
use tandem_model::{AccountId, CallbackEvents};

use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::resources::change::{Noted, note};
use crate::{Command, Reader, StoreError, Tx};

/// An account's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Where events go that no call, application or trunk takes.
    pub default_callback_url: Option<String>,
    /// `GET` or `POST`.
    pub default_callback_method: String,
    /// Which events.
    pub default_callback_events: CallbackEvents,
    /// When the account last changed.
    pub updated_at: Timestamp,
}

impl Reader {
    /// An account's settings.
    pub async fn settings(&self, account: &AccountId) -> Result<Option<Settings>, StoreError> {
        const ONE: &str =
            "select default_callback_url, default_callback_method, default_callback_events, updated_at
          from account where auth_id = $1";
        let row = self.point(ONE, &[account.into()]).await?;
        row.map(|row| {
            Ok(Settings {
                default_callback_url: row.opt_string("default_callback_url")?,
                default_callback_method: row.string("default_callback_method")?,
                default_callback_events: row.parsed("default_callback_events")?,
                updated_at: row.instant("updated_at")?,
            })
        })
        .transpose()
    }
}

/// Changes what is given of the settings.
pub struct ChangeSettings {
    /// Whose.
    pub account: AccountId,
    /// `Some(None)` for nowhere.
    pub default_callback_url: Option<Option<String>>,
    /// `GET` or `POST`.
    pub default_callback_method: Option<String>,
    /// Which events; empty for all.
    pub default_callback_events: Option<CallbackEvents>,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for ChangeSettings {
    /// False when there is no such account.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const CHANGE: &str = "update account set
            default_callback_url = case when cast($2 as bigint) = 1 then cast($3 as text) else default_callback_url end,
            default_callback_method = coalesce(cast($4 as text), default_callback_method),
            default_callback_events = coalesce(cast($5 as text), default_callback_events), updated_at = $6
          where auth_id = $1";
        Box::pin(async move {
            let events = self.default_callback_events.map(|events| events.to_string());
            let params = [
                (&self.account).into(),
                self.default_callback_url.is_some().into(),
                self.default_callback_url.as_ref().and_then(Option::as_ref).into(),
                self.default_callback_method.as_ref().into(),
                events.as_ref().into(),
                self.at.into(),
            ];
            if tx.execute(CHANGE, &params).await? == 0 {
                return Ok(false);
            }
            noted(tx, &self.actor, &self.account, &self.fields, self.at).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

/// Changes the name and the profile of an account, if the profile is still the one that was read.
pub struct ChangeProfile {
    /// Whose.
    pub account: AccountId,
    /// Its name, if that changes.
    pub name: Option<String>,
    /// The profile that was read.
    pub read: String,
    /// The profile as it shall be.
    pub profile: String,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for ChangeProfile {
    /// False when it changed meanwhile, or there is no such account.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const CHANGE: &str =
            "update account set name = coalesce(cast($2 as text), name), profile = $3, updated_at = $4
          where auth_id = $1 and profile = $5";
        Box::pin(async move {
            let params = [
                (&self.account).into(),
                self.name.as_ref().into(),
                (&self.profile).into(),
                self.at.into(),
                (&self.read).into(),
            ];
            if tx.execute(CHANGE, &params).await? == 0 {
                return Ok(false);
            }
            noted(tx, &self.actor, &self.account, &self.fields, self.at).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

async fn noted(
    tx: &mut Tx<'_>,
    actor: &Actor,
    account: &AccountId,
    fields: &[&str],
    at: Timestamp,
) -> Result<(), StoreError> {
    let noted =
        Noted { kind: DirectoryKind::Account, id: account.as_str(), account, action: "update", fields, at };
    note(tx, actor, noted).await
}
