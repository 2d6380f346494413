//! SIP endpoints: users whose phones register here. Asked for by the REST API. User names are unique on the
//! whole platform: they are all in one realm.

use jiff::Timestamp;
use tandem_model::{AccountId, ApplicationId, EndpointId};

use super::change::{Noted, Updated, note};
use crate::audit::Actor;
use crate::calls::contains;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

/// An endpoint in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: EndpointId,
    /// Its account.
    pub account: AccountId,
    /// The sub-account it belongs to; fixed at creation.
    pub sub_account: Option<AccountId>,
    /// User name; fixed at creation.
    pub username: String,
    /// Password, encrypted.
    pub password_sealed: Vec<u8>,
    /// For people.
    pub alias: String,
    /// Steers its calls.
    pub application: Option<ApplicationId>,
    /// May call.
    pub allow_voice: bool,
    /// May send messages.
    pub allow_message: bool,
    /// May show itself.
    pub allow_video: bool,
    /// May call its own domain.
    pub allow_same_domain: bool,
    /// May call other domains.
    pub allow_other_domains: bool,
    /// May call telephone numbers.
    pub allow_phones: bool,
    /// May call applications.
    pub allow_apps: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

fn endpoint_of(row: &Row) -> Result<Endpoint, StoreError> {
    Ok(Endpoint {
        id: EndpointId::new(row.text("endpoint_id")?),
        account: row.account("account_id")?,
        sub_account: row.opt_text("sub_account")?.map(AccountId::new),
        username: row.string("username")?,
        password_sealed: row.bytes("password_sealed")?,
        alias: row.string("alias")?,
        application: row.opt_text("app_id")?.map(ApplicationId::new),
        allow_voice: row.flag("allow_voice")?,
        allow_message: row.flag("allow_message")?,
        allow_video: row.flag("allow_video")?,
        allow_same_domain: row.flag("allow_same_domain")?,
        allow_other_domains: row.flag("allow_other_domains")?,
        allow_phones: row.flag("allow_phones")?,
        allow_apps: row.flag("allow_apps")?,
        created_at: row.instant("created_at")?,
        updated_at: row.instant("updated_at")?,
    })
}

async fn owns_application(tx: &mut Tx<'_>, endpoint: &Endpoint) -> Result<bool, StoreError> {
    const OWN: &str = "select app_id from application where app_id = $1 and account_id = $2";
    let Some(application) = &endpoint.application else { return Ok(true) };
    Ok(tx.query_one(OWN, &[application.into(), (&endpoint.account).into()]).await?.is_some())
}

async fn noted(
    tx: &mut Tx<'_>,
    actor: &Actor,
    endpoint: &Endpoint,
    action: &str,
    fields: &[&str],
) -> Result<(), StoreError> {
    let (id, account, at) = (endpoint.id.as_str(), &endpoint.account, endpoint.updated_at);
    note(tx, actor, Noted { kind: DirectoryKind::Endpoint, id, account, action, fields, at }).await
}

/// Forgets the contacts of a user name: they were made with a password that is no longer good.
async fn unregister(tx: &mut Tx<'_>, username: &str) -> Result<(), StoreError> {
    tx.execute("delete from registration where username = $1", &[username.into()]).await?;
    Ok(())
}

/// Makes an endpoint. Without an application it gets the account's default for endpoints, if there is one.
pub struct CreateEndpoint {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// Who asks.
    pub actor: Actor,
}

/// What became of a new endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateEndpointOutcome {
    /// Made.
    Created,
    /// Somebody has the user name.
    UsernameTaken,
    /// The id is taken: draw another.
    IdTaken,
    /// The application is not the account's.
    ApplicationNotFound,
}

impl Command for CreateEndpoint {
    type Output = CreateEndpointOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<CreateEndpointOutcome, StoreError>> {
        const INSERT: &str = "insert into endpoint (endpoint_id, account_id, sub_account, username,
              password_sealed, alias, app_id, allow_voice, allow_message, allow_video, allow_same_domain,
              allow_other_domains, allow_phones, allow_apps, enabled, created_at, updated_at)
            values ($1, $2, $3, $4, $5, $6, coalesce(cast($7 as text), (select app_id from application
                where account_id = $2 and default_endpoint_app = 1 and enabled = 1
                order by created_at desc, app_id desc limit 1)),
              $8, $9, $10, $11, $12, $13, $14, 1, $15, $16)
            on conflict do nothing";
        const TAKEN: &str = "select endpoint_id from endpoint where username = $1";
        Box::pin(async move {
            let endpoint = &self.endpoint;
            if !owns_application(tx, endpoint).await? {
                return Ok(CreateEndpointOutcome::ApplicationNotFound);
            }
            let params = [
                (&endpoint.id).into(),
                (&endpoint.account).into(),
                endpoint.sub_account.as_ref().into(),
                (&endpoint.username).into(),
                (&endpoint.password_sealed).into(),
                (&endpoint.alias).into(),
                endpoint.application.as_ref().into(),
                endpoint.allow_voice.into(),
                endpoint.allow_message.into(),
                endpoint.allow_video.into(),
                endpoint.allow_same_domain.into(),
                endpoint.allow_other_domains.into(),
                endpoint.allow_phones.into(),
                endpoint.allow_apps.into(),
                endpoint.created_at.into(),
                endpoint.updated_at.into(),
            ];
            if tx.execute(INSERT, &params).await? == 0 {
                let taken = tx.query_one(TAKEN, &[(&endpoint.username).into()]).await?.is_some();
                return Ok(if taken {
                    CreateEndpointOutcome::UsernameTaken
                } else {
                    CreateEndpointOutcome::IdTaken
                });
            }
            noted(tx, &self.actor, endpoint, "create", &[]).await?;
            Ok(CreateEndpointOutcome::Created)
        })
    }
}

/// Replaces an endpoint as it was read; see `UpdateApplication`. A new password drops its registrations.
pub struct UpdateEndpoint {
    /// As it shall be.
    pub endpoint: Endpoint,
    /// `updated_at` as read.
    pub expected: Timestamp,
    /// Names of the fields that change, for the audit; `password` among them unregisters it.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
}

impl Command for UpdateEndpoint {
    type Output = Updated;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Updated, StoreError>> {
        const UPDATE: &str = "update endpoint set password_sealed = $3, alias = $4, app_id = $5,
              allow_voice = $6, allow_message = $7, allow_video = $8, updated_at = $9
            where endpoint_id = $1 and account_id = $2 and updated_at = $10";
        Box::pin(async move {
            let endpoint = &self.endpoint;
            if !owns_application(tx, endpoint).await? {
                return Ok(Updated::Unknown("application"));
            }
            let params = [
                (&endpoint.id).into(),
                (&endpoint.account).into(),
                (&endpoint.password_sealed).into(),
                (&endpoint.alias).into(),
                endpoint.application.as_ref().into(),
                endpoint.allow_voice.into(),
                endpoint.allow_message.into(),
                endpoint.allow_video.into(),
                endpoint.updated_at.into(),
                self.expected.into(),
            ];
            if tx.execute(UPDATE, &params).await? == 0 {
                return Ok(Updated::Stale);
            }
            if self.fields.contains(&"password") {
                unregister(tx, &endpoint.username).await?;
            }
            noted(tx, &self.actor, endpoint, "update", &self.fields).await?;
            Ok(Updated::Updated)
        })
    }
}

/// Removes an endpoint and its registrations.
pub struct DeleteEndpoint {
    /// Which one.
    pub id: EndpointId,
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for DeleteEndpoint {
    /// False when the account has no such endpoint.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const DELETE: &str =
            "delete from endpoint where endpoint_id = $1 and account_id = $2 returning username";
        Box::pin(async move {
            let (id, account, at) = (self.id.as_str(), &self.account, self.at);
            let Some(row) = tx.query_one(DELETE, &[id.into(), account.into()]).await? else {
                return Ok(false);
            };
            unregister(tx, row.text("username")?).await?;
            let kind = DirectoryKind::Endpoint;
            note(tx, &self.actor, Noted { kind, id, account, action: "delete", fields: &[], at }).await?;
            Ok(true)
        })
    }
}

/// Which endpoints. An absent field does not filter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointFilter {
    /// Substring of the user name.
    pub username_contains: Option<String>,
    /// The user name.
    pub username_exact: Option<String>,
    /// Beginning of the user name.
    pub username_startswith: Option<String>,
    /// Substring of the alias.
    pub alias_contains: Option<String>,
    /// The alias.
    pub alias_exact: Option<String>,
    /// Its application.
    pub application: Option<ApplicationId>,
    /// Whether it has no application.
    pub application_is_null: Option<bool>,
    /// The sub-account it belongs to.
    pub sub_account: Option<AccountId>,
}

const WHERE: &str = "from endpoint where account_id = $1
  and (cast($2 as text) is null or username like cast($2 as text) escape '\\')
  and (cast($3 as text) is null or username = cast($3 as text))
  and (cast($4 as text) is null or username like cast($4 as text) escape '\\')
  and (cast($5 as text) is null or alias like cast($5 as text) escape '\\')
  and (cast($6 as text) is null or alias = cast($6 as text))
  and (cast($7 as text) is null or app_id = cast($7 as text))
  and (cast($8 as bigint) is null or (cast($8 as bigint) = 1) = (app_id is null))
  and (cast($9 as text) is null or sub_account = cast($9 as text))";

impl EndpointFilter {
    fn params<'v>(&'v self, account: &'v AccountId) -> Vec<Value<'v>> {
        // `contains` frames its needle with `%`; a beginning is the same without the first.
        let starts = self.username_startswith.as_deref().map(|text| contains(text)[1..].to_owned());
        vec![
            account.into(),
            self.username_contains.as_deref().map(contains).into(),
            self.username_exact.as_ref().into(),
            starts.into(),
            self.alias_contains.as_deref().map(contains).into(),
            self.alias_exact.as_ref().into(),
            self.application.as_ref().into(),
            self.application_is_null.into(),
            self.sub_account.as_ref().into(),
        ]
    }
}

impl Reader {
    /// One endpoint, if it is the account's.
    pub async fn endpoint(
        &self,
        account: &AccountId,
        id: &EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        const ONE: &str = "select * from endpoint where endpoint_id = $1 and account_id = $2";
        self.point(ONE, &[id.into(), account.into()]).await?.as_ref().map(endpoint_of).transpose()
    }

    /// A page of an account's endpoints, newest first, and how many match in all.
    pub async fn endpoints(
        &self,
        account: &AccountId,
        filter: &EndpointFilter,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Endpoint>, u64), StoreError> {
        let mut params = filter.params(account);
        let count = self.query_one(format!("select count(*) as n {WHERE}"), &params).await?;
        let total = count.map_or(Ok(0), |row| row.count("n"))?;
        params.push(limit.into());
        params.push(offset.into());
        let page =
            format!("select * {WHERE} order by created_at desc, endpoint_id desc limit $10 offset $11");
        let rows = self.query(page, &params).await?;
        Ok((rows.iter().map(endpoint_of).collect::<Result<_, _>>()?, total))
    }
}
