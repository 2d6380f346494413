//! Trunks: how a customer's PBX and the network reach each other. Asked for by the REST API. Promises that
//! no two trunks share a domain, that a trunk names only parts of its own account, and that it goes
//! with all that hangs on it, never under a live call.

use jiff::Timestamp;
use tandem_model::{AccountId, CallbackEvents, E164, TrunkId};

use super::acl::{self, Acl};
use super::change::{Noted, Removed, Updated, note};
use super::credential::{self, Credential};
use crate::audit::Actor;
use crate::command::BoxFuture;
use crate::directory::DirectoryKind;
use crate::value::{Row, Value};
use crate::{Command, Reader, StoreError, Tx};

/// A trunk in full.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trunk {
    /// Its id.
    pub id: TrunkId,
    /// Its account.
    pub account: AccountId,
    /// First label of its domain: the first eight hex digits of its id.
    pub domain_label: String,
    /// Its name.
    pub name: String,
    /// For people.
    pub description: String,
    /// `inbound`, `outbound` or `both`.
    pub direction: String,
    /// Takes calls.
    pub enabled: bool,
    /// SRTP asked for.
    pub secure: bool,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Where calls from the network go when it has no origination URI.
    pub inbound_destination: Option<String>,
    /// Live calls.
    pub concurrent_calls_limit: u64,
    /// New calls per second.
    pub cps_limit: u64,
    /// Credential named by the trunk.
    pub credential_id: Option<String>,
    /// ACL entry named by the trunk.
    pub acl_id: Option<String>,
    /// First origination URI.
    pub primary_uri_id: Option<String>,
    /// Second origination URI.
    pub fallback_uri_id: Option<String>,
    /// Records its calls.
    pub recording: bool,
    /// Asks for transcripts.
    pub enable_transcription: bool,
    /// Asks for redaction.
    pub pii_redaction: bool,
    /// What to redact, comma-separated.
    pub pii_entity_types: Option<String>,
    /// Told of its calls.
    pub webhook_url: Option<String>,
    /// `POST` or `GET`.
    pub webhook_method: String,
    /// Which events of its calls it is told of.
    pub webhook_events: CallbackEvents,
    /// Told of recordings too.
    pub recording_webhook_enabled: bool,
    /// How numbers are written to the PBX: `e164-plus`, `e164` or `national`.
    pub number_format: String,
    /// The number its calls go out as when the PBX names none of its account's.
    pub caller_id: Option<E164>,
    /// Signs its webhooks; encrypted. Written at creation, then only by [`RotateTrunkSecret`].
    pub secret_sealed: Option<Vec<u8>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

const INSERT: &str = "insert into trunk (trunk_id, account_id, name, description, direction, status, enabled,
    secure, transport, inbound_destination, concurrent_calls_limit, cps_limit, credential_id, acl_id,
    primary_uri_id, fallback_uri_id, recording, enable_transcription, pii_redaction, pii_entity_types, webhook_url,
    webhook_method, recording_webhook_enabled, updated_at, number_format, caller_id, status_callback_events,
    created_at, domain_label, secret_sealed)
  values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23,
    $24, $25, $26, $27, $28, $29, $30)
  on conflict do nothing";
const UPDATE: &str =
    "update trunk set name = $3, description = $4, direction = $5, status = $6, enabled = $7,
    secure = $8, transport = $9, inbound_destination = $10, concurrent_calls_limit = $11, cps_limit = $12,
    credential_id = $13, acl_id = $14, primary_uri_id = $15, fallback_uri_id = $16, recording = $17,
    enable_transcription = $18, pii_redaction = $19, pii_entity_types = $20, webhook_url = $21,
    webhook_method = $22, recording_webhook_enabled = $23, updated_at = $24, number_format = $25, caller_id = $26,
    status_callback_events = $27
  where trunk_id = $1 and account_id = $2 and updated_at = $28";

impl Trunk {
    /// The columns an update may change, in the order of both statements.
    fn params(&self) -> Vec<Value<'_>> {
        vec![
            self.id.into(),
            (&self.account).into(),
            (&self.name).into(),
            (&self.description).into(),
            (&self.direction).into(),
            if self.enabled { "active".into() } else { "disabled".into() },
            self.enabled.into(),
            self.secure.into(),
            (&self.transport).into(),
            self.inbound_destination.as_ref().into(),
            self.concurrent_calls_limit.into(),
            self.cps_limit.into(),
            self.credential_id.as_ref().into(),
            self.acl_id.as_ref().into(),
            self.primary_uri_id.as_ref().into(),
            self.fallback_uri_id.as_ref().into(),
            self.recording.into(),
            self.enable_transcription.into(),
            self.pii_redaction.into(),
            self.pii_entity_types.as_ref().into(),
            self.webhook_url.as_ref().into(),
            (&self.webhook_method).into(),
            self.recording_webhook_enabled.into(),
            self.updated_at.into(),
            (&self.number_format).into(),
            self.caller_id.as_ref().map(E164::digits).into(),
            Value::Text(self.webhook_events.to_string().into()),
        ]
    }

    fn of(row: &Row) -> Result<Self, StoreError> {
        Ok(Self {
            id: row.parsed("trunk_id")?,
            account: row.account("account_id")?,
            domain_label: row.string("domain_label")?,
            name: row.string("name")?,
            description: row.string("description")?,
            direction: row.string("direction")?,
            enabled: row.flag("enabled")?,
            secure: row.flag("secure")?,
            transport: row.string("transport")?,
            inbound_destination: row.opt_string("inbound_destination")?,
            concurrent_calls_limit: row.count("concurrent_calls_limit")?,
            cps_limit: row.count("cps_limit")?,
            credential_id: row.opt_string("credential_id")?,
            acl_id: row.opt_string("acl_id")?,
            primary_uri_id: row.opt_string("primary_uri_id")?,
            fallback_uri_id: row.opt_string("fallback_uri_id")?,
            recording: row.flag("recording")?,
            enable_transcription: row.flag("enable_transcription")?,
            pii_redaction: row.flag("pii_redaction")?,
            pii_entity_types: row.opt_string("pii_entity_types")?,
            webhook_url: row.opt_string("webhook_url")?,
            webhook_method: row.string("webhook_method")?,
            webhook_events: row.parsed("status_callback_events")?,
            recording_webhook_enabled: row.flag("recording_webhook_enabled")?,
            number_format: row.string("number_format")?,
            caller_id: row.opt_parsed("caller_id")?,
            secret_sealed: row.opt_bytes("secret_sealed")?,
            created_at: row.instant("created_at")?,
            updated_at: row.instant("updated_at")?,
        })
    }

    /// The first part it names that its account does not have, by its field.
    async fn unknown_part(&self, tx: &mut Tx<'_>) -> Result<Option<&'static str>, StoreError> {
        const CREDENTIAL: &str = "select id from trunk_credential where id = $1 and account_id = $2";
        const ACL: &str = "select id from trunk_acl where id = $1 and account_id = $2";
        const URI: &str = "select id from origination_uri where id = $1 and account_id = $2";
        let parts = [
            ("credential_uuid", CREDENTIAL, &self.credential_id),
            ("ipacl_uuid", ACL, &self.acl_id),
            ("primary_uri_uuid", URI, &self.primary_uri_id),
            ("fallback_uri_uuid", URI, &self.fallback_uri_id),
        ];
        for (field, sql, id) in parts {
            let Some(id) = id else { continue };
            if tx.query_one(sql, &[id.into(), (&self.account).into()]).await?.is_none() {
                return Ok(Some(field));
            }
        }
        Ok(None)
    }

    async fn note(
        &self,
        tx: &mut Tx<'_>,
        actor: &Actor,
        action: &str,
        fields: &[&str],
    ) -> Result<(), StoreError> {
        let id = self.id.to_string();
        let (account, at) = (&self.account, self.updated_at);
        note(tx, actor, Noted { kind: DirectoryKind::Trunk, id: &id, account, action, fields, at }).await
    }
}

/// Makes a trunk, with a credential and ACL entries of its own when the request carried them.
pub struct CreateTrunk {
    /// The trunk; it gets its id and its domain here.
    pub trunk: Trunk,
    /// Ids to try in turn: the first whose domain is free is taken.
    pub draws: Vec<TrunkId>,
    /// `username` and `password` of the request; made for this trunk.
    pub credential: Option<Credential>,
    /// `ip_whitelist` of the request; made for this trunk.
    pub acls: Vec<Acl>,
    /// Who asks.
    pub actor: Actor,
}

/// What became of a new trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CreateTrunkOutcome {
    /// Made, under this id.
    Created(TrunkId),
    /// Other trunks have all the domains drawn.
    DomainsTaken,
    /// It names a part that is not the account's: the field's name.
    Unknown(&'static str),
}

impl Command for CreateTrunk {
    type Output = CreateTrunkOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<CreateTrunkOutcome, StoreError>> {
        Box::pin(async move {
            if let Some(field) = self.trunk.unknown_part(tx).await? {
                return Ok(CreateTrunkOutcome::Unknown(field));
            }
            for id in self.draws.iter().copied() {
                let trunk = Trunk { id, domain_label: id.label(), ..self.trunk.clone() };
                let mut params = trunk.params();
                params.push(trunk.created_at.into());
                params.push((&trunk.domain_label).into());
                params.push(trunk.secret_sealed.as_ref().into());
                if tx.execute(INSERT, &params).await? == 0 {
                    continue;
                }
                trunk.note(tx, &self.actor, "create", &[]).await?;
                if let Some(credential) = &self.credential {
                    let credential = Credential { trunk: Some(id), ..credential.clone() };
                    credential::insert(tx, &credential, &self.actor).await?;
                }
                for acl in &self.acls {
                    acl::insert(tx, &Acl { trunk: Some(id), ..acl.clone() }, &self.actor).await?;
                }
                return Ok(CreateTrunkOutcome::Created(id));
            }
            Ok(CreateTrunkOutcome::DomainsTaken)
        })
    }
}

/// Replaces a trunk as it was read; see `UpdateApplication`.
pub struct UpdateTrunk {
    /// As it shall be; its secret and domain are not touched.
    pub trunk: Trunk,
    /// `updated_at` as read.
    pub expected: Timestamp,
    /// Names of the fields that change, for the audit.
    pub fields: Vec<&'static str>,
    /// Who asks.
    pub actor: Actor,
}

impl Command for UpdateTrunk {
    type Output = Updated;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Updated, StoreError>> {
        Box::pin(async move {
            if let Some(field) = self.trunk.unknown_part(tx).await? {
                return Ok(Updated::Unknown(field));
            }
            let mut params = self.trunk.params();
            params.push(self.expected.into());
            if tx.execute(UPDATE, &params).await? == 0 {
                return Ok(Updated::Stale);
            }
            self.trunk.note(tx, &self.actor, "update", &self.fields).await?;
            Ok(Updated::Updated)
        })
    }
}

/// Removes a trunk that carries no call, with its credentials, ACL entries and URIs; its numbers stay,
/// routed nowhere. A part that another trunk names too stays with that one.
pub struct DeleteTrunk {
    /// Which one.
    pub id: TrunkId,
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What hangs on a trunk, and how it goes.
const PARTS: [(DirectoryKind, &str, &str); 3] = [
    (
        DirectoryKind::Credential,
        "update trunk_credential set trunk_id = null where trunk_id = $1
           and id in (select credential_id from trunk where trunk_id <> $1 and credential_id is not null)",
        "delete from trunk_credential where account_id = $2 and (trunk_id = $1
           or trunk_id is null and id = $3
             and not exists (select 1 from trunk where credential_id = $3 and trunk_id <> $1))
         returning id",
    ),
    (
        DirectoryKind::Acl,
        "update trunk_acl set trunk_id = null where trunk_id = $1
           and id in (select acl_id from trunk where trunk_id <> $1 and acl_id is not null)",
        "delete from trunk_acl where account_id = $2 and (trunk_id = $1
           or trunk_id is null and id = $3
             and not exists (select 1 from trunk where acl_id = $3 and trunk_id <> $1))
         returning id",
    ),
    (
        DirectoryKind::OriginationUri,
        "update origination_uri set trunk_id = null where trunk_id = $1
           and id in (select coalesce(primary_uri_id, fallback_uri_id) from trunk where trunk_id <> $1
             union select fallback_uri_id from trunk where trunk_id <> $1)",
        "delete from origination_uri where account_id = $2 and (trunk_id = $1
           or trunk_id is null and id in ($3, $4)
             and not exists (select 1 from trunk where trunk_id <> $1
               and (primary_uri_id = origination_uri.id or fallback_uri_id = origination_uri.id)))
         returning id",
    ),
];

impl Command for DeleteTrunk {
    type Output = Removed;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<Removed, StoreError>> {
        const FIND: &str = "select credential_id, acl_id, primary_uri_id, fallback_uri_id,
              (select count(*) from live_call where live_call.trunk_id = trunk.trunk_id) as live
            from trunk where trunk_id = $1 and account_id = $2";
        const DETACH: &str =
            "update number set trunk_id = null, updated_at = $2 where trunk_id = $1 returning e164";
        const DELETE: &str = "delete from trunk where trunk_id = $1 and account_id = $2";
        Box::pin(async move {
            let key = [self.id.into(), (&self.account).into()];
            let Some(found) = tx.query_one(FIND, &key).await? else { return Ok(Removed::NotFound) };
            let live = found.count("live")?;
            if live > 0 {
                return Ok(Removed::InUse(live));
            }
            for row in tx.query(DETACH, &[self.id.into(), self.at.into()]).await? {
                tx.directory_changed(DirectoryKind::Number, row.text("e164")?, self.at).await?;
            }
            for (kind, release, delete) in PARTS {
                tx.execute(release, &[self.id.into()]).await?;
                let named = match kind {
                    DirectoryKind::Credential => vec![found.opt_text("credential_id")?],
                    DirectoryKind::Acl => vec![found.opt_text("acl_id")?],
                    _ => vec![found.opt_text("primary_uri_id")?, found.opt_text("fallback_uri_id")?],
                };
                let mut params = key.to_vec();
                params.extend(named.into_iter().map(Value::from));
                for row in tx.query(delete, &params).await? {
                    tx.directory_changed(kind, row.text("id")?, self.at).await?;
                }
            }
            tx.execute(DELETE, &key).await?;
            let (id, account, at) = (self.id.to_string(), &self.account, self.at);
            let noted =
                Noted { kind: DirectoryKind::Trunk, id: &id, account, action: "delete", fields: &[], at };
            note(tx, &self.actor, noted).await?;
            Ok(Removed::Removed)
        })
    }
}

/// Hands out a trunk's signing secret for the one time it may be read after it was made.
pub struct ShowTrunkSecret {
    /// Which trunk.
    pub id: TrunkId,
    /// Whose.
    pub account: AccountId,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

/// What a look at a signing secret found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretOutcome {
    /// The sealed secret; it will not be handed out again.
    Shown(Vec<u8>),
    /// It has been read, or the trunk never had one.
    Spent,
    /// No such trunk of this account.
    NotFound,
}

impl Command for ShowTrunkSecret {
    type Output = SecretOutcome;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<SecretOutcome, StoreError>> {
        const SHOW: &str = "update trunk set secret_shown = 1 where trunk_id = $1 and account_id = $2
            and secret_shown = 0 and secret_sealed is not null returning secret_sealed";
        const EXISTS: &str = "select trunk_id from trunk where trunk_id = $1 and account_id = $2";
        Box::pin(async move {
            let key = [self.id.into(), (&self.account).into()];
            let Some(row) = tx.query_one(SHOW, &key).await? else {
                let exists = tx.query_one(EXISTS, &key).await?.is_some();
                return Ok(if exists { SecretOutcome::Spent } else { SecretOutcome::NotFound });
            };
            let id = self.id.to_string();
            let change = crate::audit::Change {
                at: self.at,
                account: Some(&self.account),
                action: "read_secret",
                resource_kind: DirectoryKind::Trunk.as_str(),
                resource_id: &id,
                fields: &[],
            };
            crate::audit::append(tx, &self.actor, change).await?;
            Ok(SecretOutcome::Shown(row.bytes("secret_sealed")?))
        })
    }
}

/// Gives a trunk a new signing secret; the old one signs beside it for a while.
pub struct RotateTrunkSecret {
    /// Which trunk.
    pub id: TrunkId,
    /// Whose.
    pub account: AccountId,
    /// The new secret, encrypted. The answer to the request shows it: it counts as read.
    pub sealed: Vec<u8>,
    /// Until when the old one signs too.
    pub previous_until: Timestamp,
    /// Who asks.
    pub actor: Actor,
    /// Now.
    pub at: Timestamp,
}

impl Command for RotateTrunkSecret {
    /// False when the account has no such trunk.
    type Output = bool;

    fn run<'a>(&'a self, tx: &'a mut Tx<'_>) -> BoxFuture<'a, Result<bool, StoreError>> {
        const ROTATE: &str = "update trunk set secret_previous_sealed = secret_sealed,
              secret_previous_until = $4, secret_sealed = $3, secret_shown = 1, updated_at = $5
            where trunk_id = $1 and account_id = $2";
        Box::pin(async move {
            let params = [
                self.id.into(),
                (&self.account).into(),
                (&self.sealed).into(),
                self.previous_until.into(),
                self.at.into(),
            ];
            if tx.execute(ROTATE, &params).await? == 0 {
                return Ok(false);
            }
            let (id, account, at) = (self.id.to_string(), &self.account, self.at);
            let noted = Noted {
                kind: DirectoryKind::Trunk,
                id: &id,
                account,
                action: "rotate_secret",
                fields: &[],
                at,
            };
            note(tx, &self.actor, noted).await?;
            Ok(true)
        })
    }
}

impl Reader {
    /// One trunk, if it is the account's.
    pub async fn trunk(&self, account: &AccountId, id: TrunkId) -> Result<Option<Trunk>, StoreError> {
        const ONE: &str = "select * from trunk where trunk_id = $1 and account_id = $2";
        self.point(ONE, &[id.into(), account.into()]).await?.as_ref().map(Trunk::of).transpose()
    }

    /// A page of an account's trunks, newest first, and how many there are in all.
    pub async fn trunks(
        &self,
        account: &AccountId,
        offset: u64,
        limit: u32,
    ) -> Result<(Vec<Trunk>, u64), StoreError> {
        const COUNT: &str = "select count(*) as n from trunk where account_id = $1";
        const PAGE: &str = "select * from trunk where account_id = $1
          order by created_at desc, trunk_id desc limit $2 offset $3";
        let total = self.query_one(COUNT, &[account.into()]).await?.map_or(Ok(0), |row| row.count("n"))?;
        let rows = self.query(PAGE, &[account.into(), limit.into(), offset.into()]).await?;
        Ok((rows.iter().map(Trunk::of).collect::<Result<_, _>>()?, total))
    }
}
