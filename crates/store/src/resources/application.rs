//! Applications: the URLs that steer calls. Asked for by the REST API; promises that a change, its audit
//! entry and the directories' notice commit together.

use jiff::Timestamp;
use tandem_model::{AccountId, ApplicationId, CallbackEvents, E164};

use crate::audit::{self, Actor, Change};
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

/// An application in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Application {
    /// Its id.
    pub id: ApplicationId,
    /// Its account.
    pub account: AccountId,
    /// The sub-account it belongs to; fixed at creation.
    pub sub_account: Option<AccountId>,
    /// Its name.
    pub name: String,
    /// `XML`.
    pub application_type: String,
    /// Returns the first document.
    pub answer_url: String,
    /// Its method.
    pub answer_method: String,
    /// Told of the end.
    pub hangup_url: Option<String>,
    /// Its method.
    pub hangup_method: String,
    /// Asked when the answer URL fails.
    pub fallback_answer_url: Option<String>,
    /// Its method.
    pub fallback_method: String,
    /// Which events of its calls the answer URL is told of.
    pub callback_events: CallbackEvents,
    /// Told of messages.
    pub message_url: Option<String>,
    /// Its method.
    pub message_method: String,
    /// Asked on SIP transfer.
    pub sip_transfer_url: Option<String>,
    /// Its method.
    pub sip_transfer_method: String,
    /// The account's default.
    pub default_app: bool,
    /// Given to new numbers.
    pub default_number_app: bool,
    /// Given to new endpoints.
    pub default_endpoint_app: bool,
    /// Usable.
    pub enabled: bool,
    /// Keeps incoming messages.
    pub log_incoming_message: bool,
    /// Callable by its SIP URI from anywhere.
    pub public_uri: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

const INSERT: &str = "insert into application (app_id, account_id, sub_account, name, application_type, answer_url,
    answer_method, hangup_url, hangup_method, fallback_answer_url, fallback_method, message_url, message_method,
    sip_transfer_url, sip_transfer_method, default_app, default_number_app, default_endpoint_app, enabled,
    log_incoming_message, public_uri, created_at, updated_at, callback_events)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24)
  on conflict (app_id) do nothing";
const UPDATE: &str = "update application set sub_account = $3, name = $4, application_type = $5, answer_url = $6,
    answer_method = $7, hangup_url = $8, hangup_method = $9, fallback_answer_url = $10, fallback_method = $11,
    message_url = $12, message_method = $13, sip_transfer_url = $14, sip_transfer_method = $15, default_app = $16,
    default_number_app = $17, default_endpoint_app = $18, enabled = $19, log_incoming_message = $20,
    public_uri = $21, created_at = $22, updated_at = $23, callback_events = $24
  where app_id = $1 and account_id = $2 and updated_at = $25";
const NO_OTHER_DEFAULT: &str =
    "update application set default_app = 0 where account_id = $1 and app_id <> $2 and default_app = 1";

impl Application {
    fn params(&self) -> Vec<Value<'_>> {
        vec![
            (&self.id).into(),
            (&self.account).into(),
            self.sub_account.as_ref().into(),
            (&self.name).into(),
            (&self.application_type).into(),
            (&self.answer_url).into(),
            (&self.answer_method).into(),
            self.hangup_url.as_ref().into(),
            (&self.hangup_method).into(),
            self.fallback_answer_url.as_ref().into(),
            (&self.fallback_method).into(),
            self.message_url.as_ref().into(),
            (&self.message_method).into(),
            self.sip_transfer_url.as_ref().into(),
            (&self.sip_transfer_method).into(),
            self.default_app.into(),
            self.default_number_app.into(),
            self.default_endpoint_app.into(),
            self.enabled.into(),
            self.log_incoming_message.into(),
            self.public_uri.into(),
            self.created_at.into(),
            self.updated_at.into(),
            Value::Text(self.callback_events.to_string().into()),
        ]
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: ApplicationId::new(row.text("app_id")?),
            account: row.account("account_id")?,
            sub_account: row.opt_text("sub_account")?.map(AccountId::new),
            name: row.string("name")?,
            application_type: row.string("application_type")?,
            answer_url: row.string("answer_url")?,
            answer_method: row.string("answer_method")?,
            hangup_url: row.opt_string("hangup_url")?,
            hangup_method: row.string("hangup_method")?,
            fallback_answer_url: row.opt_string("fallback_answer_url")?,
            fallback_method: row.string("fallback_method")?,
            callback_events: row.parsed("callback_events")?,
            message_url: row.opt_string("message_url")?,
            message_method: row.string("message_method")?,
            sip_transfer_url: row.opt_string("sip_transfer_url")?,
            sip_transfer_method: row.string("sip_transfer_method")?,
            default_app: row.flag("default_app")?,
            default_number_app: row.flag("default_number_app")?,
            default_endpoint_app: row.flag("default_endpoint_app")?,
            enabled: row.flag("enabled")?,
            log_incoming_message: row.flag("log_incoming_message")?,
            public_uri: row.flag("public_uri")?,
            created_at: row.instant("created_at")?,
            updated_at: row.instant("updated_at")?,
        })
    }
}

/// Makes an application. False when the id is taken: draw another.
pub struct CreateApplication {
    /// The application.
    pub application: Application,
    /// Who asks.
    pub actor: Actor,
}

impl Command for CreateApplication {
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        Box::pin(async move {
            let application = &self.application;
            if tx.execute(INSERT, &application.params()).await? == 0 {
                return Ok(false);
            }
            finish(tx, application, &self.actor, "create", &[]).await?;
            Ok(true)
        })
    }
}

/// Replaces an application as it was read: the caller applies the PATCH to what it read, and a change in
/// between is noticed by `expected` (the `updated_at` read) rather than overwritten.
pub struct UpdateApplication {
    /// As it shall be.
    pub application: Application,
    /// `updated_at` as read.
    pub expected: Timestamp,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpdateOutcome {
    /// Changed.
    Updated,
    /// It is gone, or has changed since it was read: read it again.
    Stale,
}

impl Command for UpdateApplication {
    type Output = UpdateOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<UpdateOutcome, StoreError>> {
        Box::pin(async move {
            let mut params = self.application.params();
            params.push(self.expected.into());
            if tx.execute(UPDATE, &params).await? == 0 {
                return Ok(UpdateOutcome::Stale);
            }
            finish(tx, &self.application, &self.actor, "update", &self.fields).await?;
            Ok(UpdateOutcome::Updated)
        })
    }
}

/// What every change of an application carries with it.
async fn finish(
    tx: &mut Tx<'_>,
    application: &Application,
    actor: &Actor,
    action: &str,
    fields: &[&str],
) -> Result<(), StoreError> {
    if application.default_app {
        let params = [(&application.account).into(), (&application.id).into()];
        tx.execute(NO_OTHER_DEFAULT, &params).await?;
    }
    let change = Change {
        at: application.updated_at,
        account: Some(&application.account),
        action,
        resource_kind: "application",
        resource_id: application.id.as_str(),
        fields,
    };
    audit::append(tx, actor, change).await?;
    tx.directory_changed(DirectoryKind::Application, application.id.as_str(), application.updated_at).await
}

/// Removes an application nothing uses.
pub struct DeleteApplication {
    /// Which one.
    pub id: ApplicationId,
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What became of a removal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteOutcome {
    /// Gone.
    Deleted,
    /// No such application of this account.
    NotFound,
    /// In use.
    InUse {
        /// By so many numbers.
        numbers: u64,
        /// By so many endpoints.
        endpoints: u64,
        /// Some of those numbers, with `+`.
        some: Vec<String>,
    },
}

impl Command for DeleteApplication {
    type Output = DeleteOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<DeleteOutcome, StoreError>> {
        const DELETE: &str = "delete from application where app_id = $1 and account_id = $2
            and not exists (select 1 from number where application_id = $1)
            and not exists (select 1 from endpoint where app_id = $1)";
        const USES: &str = "select (select count(*) from number where application_id = $1) as numbers,
              (select count(*) from endpoint where app_id = $1) as endpoints
            from application where app_id = $1 and account_id = $2";
        const SOME: &str = "select e164 from number where application_id = $1 order by e164 limit 3";
        Box::pin(async move {
            let key = [(&self.id).into(), (&self.account).into()];
            if tx.execute(DELETE, &key).await? == 0 {
                let Some(row) = tx.query_one(USES, &key).await? else { return Ok(DeleteOutcome::NotFound) };
                let (numbers, endpoints) = (row.count("numbers")?, row.count("endpoints")?);
                let rows = tx.query(SOME, &key[..1]).await?;
                let plus = |row: &Row| Ok(row.parsed::<E164>("e164")?.plus());
                let some = rows.iter().map(plus).collect::<Result<_, StoreError>>()?;
                return Ok(DeleteOutcome::InUse { numbers, endpoints, some });
            }
            let change = Change {
                at: self.at,
                account: Some(&self.account),
                action: "delete",
                resource_kind: "application",
                resource_id: self.id.as_str(),
                fields: &[],
            };
            audit::append(tx, &self.actor, change).await?;
            tx.directory_changed(DirectoryKind::Application, self.id.as_str(), self.at).await?;
            Ok(DeleteOutcome::Deleted)
        })
    }
}

impl Reader {
    /// One application, if it is the account's.
    pub async fn application(
        &self,
        account: &AccountId,
        id: &ApplicationId,
    ) -> Result<Option<Application>, StoreError> {
        const ONE: &str = "select * from application where app_id = $1 and account_id = $2";
        let row = self.point(ONE, &[id.into(), account.into()]).await?;
        row.as_ref().map(Application::of).transpose()
    }

    /// A page of an account's applications, newest first, and how many there are in all.
    pub async fn applications(
        &self,
        account: &AccountId,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Application>, u64), StoreError> {
        const COUNT: &str = "select count(*) as n from application where account_id = $1";
        const PAGE: &str = "select * from application where account_id = $1
          order by created_at desc, app_id desc limit $2 offset $3";
        let total = self.query_one(COUNT, &[account.into()]).await?.map_or(Ok(0), |row| row.count("n"))?;
        let rows = self.query(PAGE, &[account.into(), limit.into(), offset.into()]).await?;
        Ok((rows.iter().map(Application::of).collect::<Result<_, _>>()?, total))
    }
}
