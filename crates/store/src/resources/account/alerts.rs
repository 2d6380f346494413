//! Below what an account wants to be told that its money runs low, and how.

use jiff::Timestamp;
use tandem_model::{AccountId, Money};

use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::resources::change::{Noted, note};
use crate::{Command, Reader, StoreError, Tx};

/// An account's alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alerts {
    /// The account is told when its balance falls below this.
    pub low_balance_threshold: Money,
    /// Where its webhook goes.
    pub url: Option<String>,
    /// What delivery counts that URL by.
    pub endpoint_key: Option<String>,
    /// Where its letter goes.
    pub email: Option<String>,
}

/// Puts alerts in the place of those that were read.
pub struct PutAlerts {
    /// Whose.
    pub account: AccountId,
    /// As they are to be.
    pub alerts: Alerts,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for PutAlerts {
    /// False when there is no such account.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const PUT: &str =
            "update account set low_balance_threshold = $2, alert_url = $3, alert_endpoint = $4,
            alert_email = $5, updated_at = $6 where auth_id = $1";
        Box::pin(async move {
            let alerts = &self.alerts;
            let params = [
                (&self.account).into(),
                alerts.low_balance_threshold.into(),
                alerts.url.as_ref().into(),
                alerts.endpoint_key.as_ref().into(),
                alerts.email.as_ref().into(),
                self.at.into(),
            ];
            if tx.execute(PUT, &params).await? == 0 {
                return Ok(false);
            }
            let noted = Noted {
                kind: DirectoryKind::Account,
                id: self.account.as_str(),
                account: &self.account,
                action: "update",
                fields: &self.fields,
                at: self.at,
            };
            note(tx, &self.actor, noted).await?;
            Ok(true)
        })
    }

    fn accounts(&self) -> Vec<&AccountId> {
        vec![&self.account]
    }
}

impl Reader {
    /// An account's alerts.
    pub async fn alerts(&self, account: &AccountId) -> Result<Option<Alerts>, StoreError> {
        const ALERTS: &str = "select low_balance_threshold, alert_url, alert_endpoint, alert_email
          from account where auth_id = $1";
        let row = self.point(ALERTS, &[account.into()]).await?;
        row.map(|row| {
            Ok(Alerts {
                low_balance_threshold: row.money("low_balance_threshold")?,
                url: row.opt_string("alert_url")?,
                endpoint_key: row.opt_string("alert_endpoint")?,
                email: row.opt_string("alert_email")?,
            })
        })
        .transpose()
    }
}
