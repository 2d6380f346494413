//! Trunks and what hangs on them: credentials, address lists, origination URIs. For each kind all rows at start, and one by id when it changed.

use jiff::Timestamp;
use tandem_model::{AccountId, CallbackEvents, E164, TrunkId};

use crate::value::Row;
use crate::{Reader, StoreError};

/// A trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrunkRow {
    /// Its id.
    pub id: TrunkId,
    /// Its account.
    pub account: AccountId,
    /// First label of its domain.
    pub domain_label: String,
    /// A domain of the customer's own.
    pub custom_domain: Option<String>,
    /// Its name.
    pub name: String,
    /// `inbound`, `outbound` or `both`.
    pub direction: String,
    /// `active`, `disabled`, …
    pub status: String,
    /// Takes calls.
    pub enabled: bool,
    /// SRTP asked for.
    pub secure: bool,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Where calls from the network go.
    pub inbound_destination: Option<String>,
    /// Live calls.
    pub concurrent_calls_limit: u64,
    /// New calls per second.
    pub cps_limit: u64,
    /// Longest call, seconds.
    pub max_duration_s: Option<i64>,
    /// Silence that ends a call, seconds.
    pub media_timeout_s: Option<i64>,
    /// `md5`, `sha256` or `both`.
    pub digest: String,
    /// Credential attached by id.
    pub credential_id: Option<String>,
    /// ACL entry attached by id.
    pub acl_id: Option<String>,
    /// First origination URI.
    pub primary_uri_id: Option<String>,
    /// Second origination URI.
    pub fallback_uri_id: Option<String>,
    /// How numbers are written to the PBX.
    pub number_format: String,
    /// The number its calls go out as when the PBX names none.
    pub caller_id: Option<E164>,
    /// Records its calls.
    pub recording: bool,
    /// Told of its calls.
    pub webhook_url: Option<String>,
    /// `POST` or `GET`.
    pub webhook_method: String,
    /// Which events of its calls it is told of.
    pub webhook_events: CallbackEvents,
    /// Told of recordings too.
    pub recording_webhook_enabled: bool,
    /// Signs its webhooks; encrypted.
    pub secret_sealed: Option<Vec<u8>>,
    /// The secret before rotation.
    pub secret_previous_sealed: Option<Vec<u8>>,
    /// Until when that one signs too.
    pub secret_previous_until: Option<Timestamp>,
}

fn trunk_of(row: &Row) -> Result<TrunkRow, StoreError> {
    Ok(TrunkRow {
        id: row.parsed("trunk_id")?,
        account: row.account("account_id")?,
        domain_label: row.string("domain_label")?,
        custom_domain: row.opt_string("custom_domain")?,
        name: row.string("name")?,
        direction: row.string("direction")?,
        status: row.string("status")?,
        enabled: row.flag("enabled")?,
        secure: row.flag("secure")?,
        transport: row.string("transport")?,
        inbound_destination: row.opt_string("inbound_destination")?,
        concurrent_calls_limit: row.count("concurrent_calls_limit")?,
        cps_limit: row.count("cps_limit")?,
        max_duration_s: row.opt_int("max_duration_s")?,
        media_timeout_s: row.opt_int("media_timeout_s")?,
        digest: row.string("digest")?,
        credential_id: row.opt_string("credential_id")?,
        acl_id: row.opt_string("acl_id")?,
        primary_uri_id: row.opt_string("primary_uri_id")?,
        fallback_uri_id: row.opt_string("fallback_uri_id")?,
        number_format: row.string("number_format")?,
        caller_id: row.opt_parsed("caller_id")?,
        recording: row.flag("recording")?,
        webhook_url: row.opt_string("webhook_url")?,
        webhook_method: row.string("webhook_method")?,
        webhook_events: row.parsed("status_callback_events")?,
        recording_webhook_enabled: row.flag("recording_webhook_enabled")?,
        secret_sealed: row.opt_bytes("secret_sealed")?,
        secret_previous_sealed: row.opt_bytes("secret_previous_sealed")?,
        secret_previous_until: row.opt_instant("secret_previous_until")?,
    })
}

/// A user name and password of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CredentialRow {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its trunk, once attached.
    pub trunk: Option<TrunkId>,
    /// User name.
    pub username: String,
    /// Password, encrypted.
    pub password_sealed: Vec<u8>,
    /// Usable.
    pub enabled: bool,
}

fn trunk_credential_of(row: &Row) -> Result<CredentialRow, StoreError> {
    Ok(CredentialRow {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        username: row.string("username")?,
        password_sealed: row.bytes("password_sealed")?,
        enabled: row.flag("enabled")?,
    })
}

/// A source address of a trunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclRow {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its trunk, once attached.
    pub trunk: Option<TrunkId>,
    /// Address or network.
    pub cidr: String,
    /// Usable.
    pub enabled: bool,
}

fn trunk_acl_of(row: &Row) -> Result<AclRow, StoreError> {
    Ok(AclRow {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        cidr: row.string("cidr")?,
        enabled: row.flag("enabled")?,
    })
}

/// Where a trunk's calls from the network go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OriginationUriRow {
    /// Its id.
    pub id: String,
    /// Its account.
    pub account: AccountId,
    /// Its trunk, once attached.
    pub trunk: Option<TrunkId>,
    /// SIP URI.
    pub uri: String,
    /// Lower first.
    pub priority: i64,
    /// Splits equal priorities.
    pub weight: i64,
    /// `udp`, `tcp` or `tls`.
    pub transport: String,
    /// Usable.
    pub enabled: bool,
}

fn origination_uri_of(row: &Row) -> Result<OriginationUriRow, StoreError> {
    Ok(OriginationUriRow {
        id: row.string("id")?,
        account: row.account("account_id")?,
        trunk: row.opt_parsed("trunk_id")?,
        uri: row.string("uri")?,
        priority: row.int("priority")?,
        weight: row.int("weight")?,
        transport: row.string("transport")?,
        enabled: row.flag("enabled")?,
    })
}

impl Reader {
    /// Every trunk.
    pub async fn directory_trunks(&self) -> Result<Vec<TrunkRow>, StoreError> {
        self.query("select * from trunk", &[]).await?.iter().map(trunk_of).collect()
    }

    /// One trunk, if it still exists.
    pub async fn directory_trunk(&self, id: &str) -> Result<Option<TrunkRow>, StoreError> {
        let row = self.point("select * from trunk where trunk_id = $1", &[id.into()]).await?;
        row.as_ref().map(trunk_of).transpose()
    }

    /// Every trunk credential.
    pub async fn directory_credentials(&self) -> Result<Vec<CredentialRow>, StoreError> {
        self.query("select * from trunk_credential", &[]).await?.iter().map(trunk_credential_of).collect()
    }

    /// One trunk credential, if it still exists.
    pub async fn directory_credential(&self, id: &str) -> Result<Option<CredentialRow>, StoreError> {
        let row = self.point("select * from trunk_credential where id = $1", &[id.into()]).await?;
        row.as_ref().map(trunk_credential_of).transpose()
    }

    /// Every trunk acl.
    pub async fn directory_acls(&self) -> Result<Vec<AclRow>, StoreError> {
        self.query("select * from trunk_acl", &[]).await?.iter().map(trunk_acl_of).collect()
    }

    /// One trunk acl, if it still exists.
    pub async fn directory_acl(&self, id: &str) -> Result<Option<AclRow>, StoreError> {
        let row = self.point("select * from trunk_acl where id = $1", &[id.into()]).await?;
        row.as_ref().map(trunk_acl_of).transpose()
    }

    /// Every origination uri.
    pub async fn directory_origination_uris(&self) -> Result<Vec<OriginationUriRow>, StoreError> {
        self.query("select * from origination_uri", &[]).await?.iter().map(origination_uri_of).collect()
    }

    /// One origination uri, if it still exists.
    pub async fn directory_origination_uri(&self, id: &str) -> Result<Option<OriginationUriRow>, StoreError> {
        let row = self.point("select * from origination_uri where id = $1", &[id.into()]).await?;
        row.as_ref().map(origination_uri_of).transpose()
    }
}
