//! Countries opened and prefixes barred, for the platform (`*`) or one account.

use jiff::Timestamp;
use tandem_model::AccountId;

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::{Command, StoreError, Tx};

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CountryAction {
    /// Calls may go there.
    Allow,
    /// Calls may not go there, whatever else allows it.
    Bar,
    /// No rule: back to the default.
    Forget,
}

/// Sets the rule of one country or prefix.
pub struct PutCountryRule {
    /// An auth_id, or `*` for the platform.
    pub scope: String,
    /// ISO 3166 alpha-2, digits, or `*`.
    pub country: String,
    /// What it says.
    pub action: CountryAction,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

const PUT: &str = "insert into country_rule (scope, country, action, created_at) values ($1, $2, $3, $4)
  on conflict (scope, country) do update set action = $3";
const FORGET: &str = "delete from country_rule where scope = $1 and country = $2";

impl Command for PutCountryRule {
    type Output = ();

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<(), StoreError>> {
        Box::pin(async move {
            let (scope, country) = ((&self.scope).into(), (&self.country).into());
            let action = match self.action {
                CountryAction::Allow => "allow",
                CountryAction::Bar => "bar",
                CountryAction::Forget => "forget",
            };
            match self.action {
                CountryAction::Forget => tx.execute(FORGET, &[scope, country]).await?,
                _ => tx.execute(PUT, &[scope, country, action.into(), self.at.into()]).await?,
            };
            let account = (self.scope != "*").then(|| AccountId::new(&self.scope));
            let change = Change {
                at: self.at,
                account: account.as_ref(),
                action,
                resource_kind: "country_rule",
                resource_id: &self.country,
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await?;
            tx.directory_changed(DirectoryKind::CountryRule, &self.scope, self.at).await
        })
    }
}
